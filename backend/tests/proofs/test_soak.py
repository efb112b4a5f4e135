"""The soak in short: two days instead of the thirty of `make soak`, on both databases.

docs/lab/reliability.md lists the assertions; the plan of this seed has every kind of mishap.
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
from backend.demo.upstreams.geosphere import LISTED
from backend.scheduler.config import FORECASTS, JOBS, SchedulerConfig
from backend.tests.support.worlds import (
    NOON,
    brings_a_run,
    fails,
    forecast_source,
    make_world,
    observation_source,
)
from proofs.fault_truth import Values
from proofs.soak_life import live_undisturbed
from proofs.soak_plan import DATED, Mishap, Step, Trouble, began, plan, troubles
from proofs.soak_report import END, prove
from proofs.soak_samples import Rest, Sample, unbounded
from proofs.soak_verdict import (
    Row,
    StoredRow,
    false_successes,
    incomplete,
    ledger_problems,
    spoilt_without_cause,
    stored_rows,
    stored_share,
)

DUE = slots(SchedulerConfig.load(), END - timedelta(days=30), END, JOBS)


TWO_DAYS = {"days": 2, "max_lead": 12}


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> str:
    return live_undisturbed(tmp_path_factory.mktemp("undisturbed"), end=END, **TWO_DAYS)


async def test_two_days_of_faults_stay_bounded_lose_nothing_and_are_reported(
    tmp_path: Path, database_url: str, undisturbed: str
) -> None:
    report = await prove(tmp_path, database_url, seed=40774, undisturbed=undisturbed, **TWO_DAYS)
    assert {name: problems for name, problems in report.verdicts.items() if problems} == {}
    assert set(report.mishaps) == set(Mishap)
    assert report.faults.total() >= 8
    assert report.samples[-1].values > 30_000
    assert {"success", "partial", "cancelled"} <= set(report.statuses)
    assert "passed  no key in the ledger" in list(report.lines())


def test_thirty_days_see_every_fault_that_needs_no_date_and_two_upstreams_at_once() -> None:
    steps = plan(DUE, seed=7)
    assert {name for name in began(steps) if name in set(Fault)} == set(Fault) - DATED
    assert {step.mishap for step in steps} == {None, *Mishap}
    assert any(len(step.troubles) > 1 for step in steps)
    assert any(a.troubles and a.troubles == b.troubles for a, b in pairwise(steps))


def test_the_same_seed_makes_the_same_days() -> None:
    assert plan(DUE, seed=7) == plan(DUE, seed=7) != plan(DUE, seed=8)


def test_a_lesser_route_is_struck_while_the_better_ones_are_down() -> None:
    hidden = Trouble("hang", (("ffvl", "500"), ("winds_mobi", "500"), ("balisemeteo", "hang")))
    assert hidden in troubles()["hang"]


# --- Bounds ------------------------------------------------------------------------------------------

CALM = Sample(
    day=1, memory=140.0, worker_memory=99.0, files=21, worker_files=11, upstreams=5, store=2, busy=0,
    tasks=1, threads=8, rows=20_000, values=70_000, store_bytes=700_000, log_bytes=4_000_000,
    payload_files=500, payload_days=3, left_over=0,
)  # fmt: skip


def wrong(samples: Sequence[Sample]) -> set[str]:
    return {name for name, problems in unbounded(samples, Rest(tasks=1, threads=2), 2, "sqlite") if problems}


def days(**changed: float) -> list[Sample]:
    """Return nine days, with changes in the last three."""
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
def test_growth_is_found(changed: dict[str, float], name: str) -> None:
    assert wrong(days(**changed)) == {f"bounded: {name}"}


# --- Verdicts on values and outcomes -----------------------------------------------------------------


async def test_a_success_without_an_available_value_is_false_unless_the_value_is_past_the_lookback(
    tmp_path: Path,
) -> None:
    world = make_world(tmp_path)
    await world.runner.run("collect_forecasts", "cli")
    mine = stored_rows(world.database)
    [(model, site, run, time)] = mine
    now = int(NOON.timestamp())
    fresh, old = (model, site, run, int(time) + 3600), (model, site, now - 37 * 3600, now)
    for row, false in ((fresh, 1), (old, 0)):
        undisturbed = {**mine, row: StoredRow(at=now, parameters=1)}
        assert len(false_successes(world.database, mine, undisturbed, world.runner.config)) == false
    assert stored_share(mine, {**mine, fresh: StoredRow(at=now, parameters=3)})["arome"] == (1, 3)
    world.database.close()


async def test_a_run_of_claef_that_the_data_hub_no_longer_lists_is_not_missed(tmp_path: Path) -> None:
    world = make_world(tmp_path, forecasts=[forecast_source(brings_a_run, name="geosphere")])
    await world.runner.run("collect_forecasts", "cli")
    mine = stored_rows(world.database)
    now, [site] = int(NOON.timestamp()), {row[1] for row in mine}
    assert world.runner.config.lookback(FORECASTS) > LISTED
    for age, false in ((LISTED - timedelta(minutes=1), 1), (LISTED, 0)):
        start = now - int(age.total_seconds())
        undisturbed: dict[Row, StoredRow] = {("claef_1km", site, start, now): StoredRow(now, parameters=1)}
        assert len(false_successes(world.database, mine, undisturbed, world.runner.config)) == false
    world.database.close()


async def test_only_a_fault_of_its_own_upstreams_excuses_a_source_that_fails(tmp_path: Path) -> None:
    world = make_world(tmp_path, observations=[observation_source(fails)])
    run = await world.runner.run("collect_observations", "schedule", NOON)
    assert run is not None
    for upstream, problems in (("romma", 1), ("winds_mobi", 0)):
        step = Step(slot=NOON, job="collect_observations", troubles=(Trouble("500", ((upstream, "500"),)),))
        assert len(spoilt_without_cause(world.database, {run.id: step})) == problems
    world.database.close()


async def test_a_slot_that_is_missing_or_was_never_due_is_found_in_the_ledger(tmp_path: Path) -> None:
    world = make_world(tmp_path)
    await world.runner.run("collect_forecasts", "schedule", NOON)
    assert ledger_problems(world.database, [(NOON, "collect_forecasts")]) == []
    assert len(ledger_problems(world.database, [(NOON, "collect_observations")])) == 2
    world.database.close()


def test_a_missing_value_and_a_different_value_are_found() -> None:
    offered: Values = {("ffvl:9001", 0, "wind_speed"): 12_000}
    assert incomplete(offered, offered) == []
    assert len(incomplete({}, offered)) == len(incomplete(dict.fromkeys(offered, 13_000), offered)) == 1
