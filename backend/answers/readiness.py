"""Is the service well, and if not, why, since when, and what to do: for `ready`, status page and `doctor`.

`take_snapshot` collects what is known, with a few look-ups in the store; `reasons` judges it, and is pure.
"""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Literal

from pydantic import Field

from backend.answers.base import ApiModel
from backend.answers.durations import in_words
from backend.answers.freshness import SourceFreshness, freshness
from backend.answers.service import ServiceParts
from backend.core.clock_watch import ClockOffset
from backend.core.errors import StoreDamagedError, StoreUnavailableError
from backend.scheduler.config import JOB_NAMES, JOBS
from backend.scheduler.runner import BlockedJob
from backend.scheduler.scheduler import is_alive
from backend.storage.database import Trouble
from backend.storage.run_records import FailureStreak

ReasonCode = Literal[
    "store_unreachable",
    "store_damaged",
    "scheduler_dead",
    "run_cannot_begin",
    "job_failing",
    "source_silent",
    "data_stale",
    "disk_low",
    "disk_full",
    "sites_file_broken",
    "clock_off",
]

FAILED_RUNS = 3
"""From how many failed runs of a job in a row the service is degraded."""

DISK_LOW_BYTES = 500_000_000
"""Below this the disk is nearly full: one AROME package may have that many bytes."""

DISK_FULL_BYTES = 50_000_000
"""Below this the disk counts as full: SQLite needs room for its log before it can store anything."""

SET_THE_CLOCK = (
    "Set the clock of the machine and keep it set (timedatectl set-ntp true). What was refused as future is"
    " asked for again."
)

BLOCKING: frozenset[ReasonCode] = frozenset({"store_unreachable", "store_damaged", "scheduler_dead"})
"""With one of these the service cannot do its work: 503. All others are 200 and "degraded"."""


class StateReason(ApiModel):
    """One reason why the service is not well. docs/operations.md has a section for each `code`."""

    code: ReasonCode
    sentence: str
    since: datetime | None = Field(description="null where it is unknown")
    what_to_do: str


@dataclass(frozen=True, slots=True)
class Disk:
    """The room on the disk that a part of the service needs, in bytes."""

    role: str
    free: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Snapshot:
    """What is known of the service at one moment (UTC); nothing in it has been judged yet."""

    now: datetime
    store: Literal["reachable", "unreachable", "damaged"] = "reachable"
    damage: Trouble | None = None
    scheduler: Literal["running", "off", "dead"] = "running"
    blocked: Sequence[BlockedJob] = ()
    streaks: Sequence[FailureStreak] = ()
    silent: dict[str, datetime]
    freshness: Sequence[SourceFreshness] = ()
    disks: Sequence[Disk] = ()
    disk_full: Trouble | None = None
    sites_problem: Trouble | None = None
    clock_offset: ClockOffset | None = None


def take_snapshot(service: ServiceParts) -> Snapshot:
    """Return what is known just now. Blocks for a few look-ups; a store out of reach is an answer too."""
    enabled = {source.name for job in JOBS for source in service.sources.of(job) if source.disabled is None}
    streaks: list[FailureStreak] = []
    silent: dict[str, datetime] = {}
    ages: list[SourceFreshness] = []
    store: Literal["reachable", "unreachable", "damaged"] = "reachable"
    try:
        streaks = [streak for job in JOBS if (streak := service.ledger.failure_streak(job))]
        silent = service.ledger.silent_sources(enabled)
        ages = freshness(service, service.ledger.newest_data())
    except StoreDamagedError:
        store = "damaged"
    except StoreUnavailableError:
        store = "unreachable"
    damage = service.database.damage
    scheduled = service.config.scheduler_enabled
    return Snapshot(
        now=service.clock(),
        store="damaged" if damage is not None and store == "reachable" else store,
        damage=damage,
        scheduler="off" if not scheduled else "running" if is_alive() else "dead",
        blocked=tuple(service.runner.blocked.values()),
        streaks=streaks,
        silent=silent,
        freshness=ages,
        disks=_disks(service),
        disk_full=service.database.full,
        sites_problem=service.site_list.look(),
        clock_offset=service.clock_watch.offset(),
    )


def _disks(service: ServiceParts) -> list[Disk]:
    places = {
        "the store": service.database.path,
        "the payload archive": service.settings.data_dir,
        "temporary files": Path(tempfile.gettempdir()),
    }
    found = []
    for role, path in places.items():
        free = None if path is None else service.free_bytes(path)
        if free is not None:
            found.append(Disk(role, free))
    return found


def reasons(snapshot: Snapshot) -> tuple[StateReason, ...]:
    """Return why the service is not well, what keeps it from its work first; nothing where all is well."""
    return (
        *_about_the_store(snapshot),
        *_about_the_schedule(snapshot),
        *_about_the_data(snapshot),
        *_about_the_machine(snapshot),
    )


def is_blocking(reason: StateReason) -> bool:
    """Say whether the service cannot do its work for this reason."""
    return reason.code in BLOCKING


def _about_the_store(snapshot: Snapshot) -> list[StateReason]:
    if snapshot.store == "damaged":
        return [
            StateReason(
                code="store_damaged",
                sentence="The store is damaged, and some of what was collected cannot be read.",
                since=snapshot.damage.since if snapshot.damage else None,
                what_to_do="Stop the service, keep a copy of the store, and restore a backup or recover what"
                " can be read: docs/operations.md, store_damaged.",
            )
        ]
    if snapshot.store == "unreachable":
        return [
            StateReason(
                code="store_unreachable",
                sentence="The store does not answer.",
                since=None,
                what_to_do="See that the database runs, and that its file or address can be reached; the"
                " service goes on trying, and its log says what the database answers.",
            )
        ]
    return []


def _about_the_schedule(snapshot: Snapshot) -> list[StateReason]:
    found = []
    if snapshot.scheduler == "dead":
        found.append(
            StateReason(
                code="scheduler_dead",
                sentence="The scheduler is not running.",
                since=None,
                what_to_do="While the service starts, wait. Otherwise restart it, and look in its log for"
                " the error before.",
            )
        )
    found += [
        StateReason(
            code="run_cannot_begin",
            sentence=f"{JOB_NAMES[blocked.job]} cannot begin: the store does not take the run.",
            since=blocked.since,
            what_to_do="See that the store can be written to (rights, disk, locks); the run begins by itself"
            " once it can.",
        )
        for blocked in snapshot.blocked
    ]
    found += [
        StateReason(
            code="job_failing",
            sentence=f"The last {streak.runs} runs of {streak.job} failed.",
            since=streak.since,
            what_to_do=f"Read what each source answered: meteo-score runs --job {streak.job}, then"
            " meteo-score runs with the id of the last one.",
        )
        for streak in snapshot.streaks
        if streak.runs >= FAILED_RUNS
    ]
    return found


def _about_the_data(snapshot: Snapshot) -> list[StateReason]:
    found = [
        StateReason(
            code="source_silent",
            sentence=f"{source} has never answered since the start.",
            since=since,
            what_to_do="Check its key, its address and the way to it: meteo-score doctor asks it once.",
        )
        for source, since in sorted(snapshot.silent.items())
    ]
    found += [
        StateReason(
            code="data_stale",
            sentence=f"The newest data of {source.source} are {in_words(source.age_seconds)} old;"
            f" {in_words(source.max_age_seconds)} is the most for its cadence.",
            since=source.newest_data,
            what_to_do="If its runs fail, read their errors; if they end well, its publisher has nothing"
            " newer: wait, or ask the publisher.",
        )
        for source in snapshot.freshness
        if source.stale and source.disabled is None and source.age_seconds is not None
    ]
    return found


def _about_the_machine(snapshot: Snapshot) -> list[StateReason]:
    found = []
    if snapshot.disk_full is not None:
        found.append(
            _disk("disk_full", "The last write found no room on the disk.", snapshot.disk_full.since)
        )
    for disk in snapshot.disks:
        if disk.free < DISK_LOW_BYTES:
            sentence = f"{disk.free // 1_000_000} MB are free on the disk of {disk.role}."
            found.append(_disk("disk_full" if disk.free < DISK_FULL_BYTES else "disk_low", sentence, None))
    if snapshot.sites_problem is not None:
        found.append(
            StateReason(
                code="sites_file_broken",
                sentence="The sites file cannot be used; the last good list goes on.",
                since=snapshot.sites_problem.since,
                what_to_do="Correct the file before the next restart, which would refuse it: the log and"
                " meteo-score sites list name the line and the rule.",
            )
        )
    if snapshot.clock_offset is not None:
        found.append(
            StateReason(
                code="clock_off",
                sentence=snapshot.clock_offset.in_words(),
                since=None,
                what_to_do=SET_THE_CLOCK,
            )
        )
    return found


def _disk(code: ReasonCode, sentence: str, since: datetime | None) -> StateReason:
    return StateReason(
        code=code,
        sentence=sentence,
        since=since,
        what_to_do="Make room: lower KEEP_PAYLOADS_DAYS, or move DATA_DIR or the store to a larger disk.",
    )
