"""The soak in short: two days instead of the thirty of `make soak`, on both databases.

What is asserted is said in docs/lab/reliability.md; the seed is one that brings every kind of mishap.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from itertools import pairwise
from pathlib import Path

import pytest

from backend.demo.backfill import slots
from backend.demo.faults import Fault
from backend.scheduler.config import SchedulerConfig
from backend.tests.support.worlds import NOON, fails, make_world, observation_source
from proofs.fault_truth import Values
from proofs.soak_life import live_undisturbed
from proofs.soak_plan import DATED, Mishap, Step, Trouble, began, plan, troubles
from proofs.soak_report import END, prove
from proofs.soak_samples import Rest, Sample, unbounded
from proofs.soak_verdict import (
    Told,
    false_successes,
    incomplete,
    kept_share,
    ledger_problems,
    spoilt_without_cause,
    told,
)

DUE = slots(SchedulerConfig.load(), END - timedelta(days=30), END)


TWO_DAYS = {"days": 2, "max_lead": 12}


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> str:
    return live_undisturbed(tmp_path_factory.mktemp("undisturbed"), end=END, **TWO_DAYS)


async def test_two_days_of_faults_take_up_no_more_lose_nothing_and_are_owned_up_to(
    tmp_path: Path, database_url: str, undisturbed: str
) -> None:
    report = await prove(tmp_path, database_url, seed=43682, undisturbed=undisturbed, **TWO_DAYS)
    assert {name: problems for name, problems in report.verdicts.items() if problems} == {}
    assert set(report.mishaps) == set(Mishap)
    assert report.faults.total() >= 10
    assert report.samples[-1].values > 30_000
    assert {"success", "partial", "cancelled"} <= set(report.statuses)
    assert "passed  no key in the ledger" in list(report.lines())


def test_thirty_days_see_every_fault_that_needs_no_date_and_two_upstreams_at_once() -> None:
    steps = plan(DUE, seed=7)
    assert {name for name in began(steps) if name in set(Fault)} == set(Fault) - DATED
    assert {step.mishap for step in steps} == {None, *Mishap}
    assert any(len(step.troubles) > 1 for step in steps)
    assert any(a.troubles and a.troubles == b.troubles for a, b in pairwise(steps))


def test_the_same_seed_makes_the_same_days_again() -> None:
    assert plan(DUE, seed=7) == plan(DUE, seed=7) != plan(DUE, seed=8)


def test_a_lesser_route_is_struck_while_the_better_ones_are_down() -> None:
    hidden = Trouble("hang", (("ffvl", "500"), ("winds_mobi", "500"), ("balisemeteo", "hang")))
    assert hidden in troubles()["hang"]


# --- What is called bounded --------------------------------------------------------------------------

CALM = Sample(
    day=1, memory=140.0, worker_memory=99.0, files=21, worker_files=11, upstreams=5, store=2, busy=0,
    tasks=1, threads=8, rows=20_000, values=70_000, store_bytes=700_000, log_bytes=4_000_000,
    payload_files=500, payload_days=3, left_over=0,
)  # fmt: skip


def wrong(samples: Sequence[Sample]) -> set[str]:
    return {name for name, problems in unbounded(samples, Rest(tasks=1, threads=2), 2, "sqlite") if problems}


def days(**changed: float) -> list[Sample]:
    """Return nine days of which the last three are different."""
    return [
        replace(CALM, day=day, **(changed if day > 6 else {}))  # type: ignore[arg-type]
        for day in range(1, 10)
    ]


def test_days_that_are_all_the_same_are_bounded() -> None:
    assert wrong(days()) == set()


@pytest.mark.parametrize(
    ("changed", "name"),
    [
        ({"memory": 156.0}, "memory"),
        ({"worker_memory": 115.0}, "memory"),
        ({"files": 22}, "open files"),
        ({"worker_files": 12}, "open files"),
        ({"upstreams": 21}, "open files"),
        ({"store": 6}, "open files"),
        ({"busy": 1}, "open files"),
        ({"tasks": 2}, "tasks"),
        ({"threads": 60}, "threads"),
        ({"store_bytes": 1_200_000}, "store"),
        ({"store_bytes": 800_000}, "store"),
        ({"log_bytes": 17_000_000}, "store"),
        ({"payload_days": 4}, "payload archive"),
        ({"left_over": 1}, "temporary files"),
    ],
)
def test_what_grows_is_found(changed: dict[str, float], name: str) -> None:
    assert wrong(days(**changed)) == {f"bounded: {name}"}


# --- What is called honest, complete and apart -------------------------------------------------------


async def test_a_success_that_lacks_what_was_to_be_had_is_a_lie_and_what_is_past_the_lookback_is_not(
    tmp_path: Path,
) -> None:
    world = make_world(tmp_path)
    await world.runner.run("collect_forecasts", "cli")
    mine = told(world.database)
    [(model, site, run, time)] = mine
    now = int(NOON.timestamp())
    fresh, old = (model, site, run, int(time) + 3600), (model, site, now - 37 * 3600, now)
    for row, lies in ((fresh, 1), (old, 0)):
        undisturbed = {**mine, row: Told(at=now, parameters=1)}
        assert len(false_successes(world.database, mine, undisturbed, world.runner.config)) == lies
    assert kept_share(mine, {**mine, fresh: Told(at=now, parameters=3)})["arome"] == (1, 3)
    world.database.close()


async def test_a_source_that_fails_is_only_excused_by_a_fault_of_its_own_upstreams(tmp_path: Path) -> None:
    world = make_world(tmp_path, observations=[observation_source(fails)])
    run = await world.runner.run("collect_observations", "schedule", NOON)
    assert run is not None
    for upstream, problems in (("romma", 1), ("winds_mobi", 0)):
        step = Step(slot=NOON, job="collect_observations", troubles=(Trouble("500", ((upstream, "500"),)),))
        assert len(spoilt_without_cause(world.database, {run.id: step})) == problems
    world.database.close()


async def test_a_slot_that_is_lacking_or_was_never_due_is_found_in_the_ledger(tmp_path: Path) -> None:
    world = make_world(tmp_path)
    await world.runner.run("collect_forecasts", "schedule", NOON)
    assert ledger_problems(world.database, [(NOON, "collect_forecasts")]) == []
    assert len(ledger_problems(world.database, [(NOON, "collect_observations")])) == 2
    world.database.close()


def test_a_value_that_lacks_or_is_told_otherwise_is_found() -> None:
    offered: Values = {("ffvl:9001", 0, "wind_speed"): 12_000}
    assert incomplete(offered, offered) == []
    assert len(incomplete({}, offered)) == len(incomplete(dict.fromkeys(offered, 13_000), offered)) == 1
