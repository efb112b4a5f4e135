"""The reasons that follow from a snapshot of the service."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import get_args

import pytest

from backend.answers.readiness import (
    BLOCKING,
    DISK_FULL_BYTES,
    DISK_LOW_BYTES,
    Disk,
    ReasonCode,
    Snapshot,
    is_blocking,
    reasons,
)
from backend.core.clock_watch import ClockOffset
from backend.scheduler.config import FORECASTS
from backend.scheduler.runner import BlockedJob
from backend.storage.database import Trouble
from backend.storage.run_records import FailureStreak
from backend.tests.support.served import NOW

HOUR = timedelta(hours=1)
DOCS = Path(__file__).parents[3] / "docs"
FINE = Snapshot(now=NOW, silent={})


def codes(snapshot: Snapshot) -> list[str]:
    return [reason.code for reason in reasons(snapshot)]


def test_a_service_that_is_well_has_no_reason() -> None:
    assert reasons(FINE) == ()
    assert reasons(replace(FINE, scheduler="off")) == ()
    assert codes(replace(FINE, disks=[Disk("the store", DISK_LOW_BYTES)])) == []


UNWELL: dict[ReasonCode, Snapshot] = {
    "store_unreachable": replace(FINE, store="unreachable"),
    "store_damaged": replace(
        FINE, store="damaged", damage=Trouble(NOW - HOUR, "database disk image is malformed")
    ),
    "store_replaced": replace(FINE, store="replaced", replaced=Trouble(NOW - HOUR, "run 7 is not in it")),
    "scheduler_dead": replace(FINE, scheduler="dead"),
    "run_cannot_begin": replace(FINE, blocked=[BlockedJob(FORECASTS, NOW, NOW - HOUR, "10.0.0.7 refused")]),
    "job_failing": replace(FINE, streaks=[FailureStreak(FORECASTS, 3, NOW - HOUR)]),
    "source_silent": replace(FINE, silent={"ffvl": NOW - HOUR}),
    "disk_low": replace(FINE, disks=[Disk("the store", DISK_LOW_BYTES - 1)]),
    "disk_full": replace(FINE, disks=[Disk("the store", DISK_FULL_BYTES - 1)]),
    "sites_file_broken": replace(FINE, sites_problem=Trouble(NOW - HOUR, "/srv/sites.toml, line 3")),
    "clock_off": replace(FINE, clock_offset=ClockOffset(3660.0, 3, 4)),
    "values_not_removed": replace(FINE, retention_since=NOW - 2 * HOUR),
    "backup_overdue": replace(FINE, backed_up_at=NOW - 49 * HOUR, backup_max_age=48 * HOUR),
}


@pytest.mark.parametrize("code", UNWELL)
def test_each_problem_is_one_reason_with_a_sentence_and_what_to_do(code: ReasonCode) -> None:
    (reason,) = reasons(UNWELL[code])
    assert reason.code == code
    assert reason.sentence.endswith(".")
    assert len(reason.what_to_do) > 20
    assert is_blocking(reason) == (code in BLOCKING)
    for private in ("10.0.0.7", "/srv", "malformed"):
        assert private not in reason.sentence + reason.what_to_do, "anyone may read it"


def test_two_failed_runs_are_no_reason_and_a_full_disk_is_one_reason_per_cause() -> None:
    assert codes(replace(FINE, streaks=[FailureStreak(FORECASTS, 2, NOW)])) == []
    full = replace(FINE, disk_full=Trouble(NOW, "database or disk is full"))
    assert [(reason.code, reason.since) for reason in reasons(full)] == [("disk_full", NOW)]


def test_a_backup_is_overdue_only_after_a_first_one_and_within_its_limit() -> None:
    assert codes(replace(FINE, backup_max_age=48 * HOUR)) == []
    assert codes(replace(FINE, backed_up_at=NOW - 47 * HOUR, backup_max_age=48 * HOUR)) == []
    assert codes(replace(FINE, backed_up_at=NOW - 1000 * HOUR)) == [], "BACKUP_MAX_AGE_HOURS=0"


def test_every_code_has_a_section_with_the_steps() -> None:
    text = (DOCS / "operations.md").read_text()
    for code in get_args(ReasonCode):
        assert f"### `{code}`" in text
