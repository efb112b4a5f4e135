"""The weekly decision of the gate: from issued rows, recorded, and used by the next forecasts."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from backend.core.issued import GateReason, GateState, IssuedForecast, IssuedHours
from backend.core.local_time import local_day
from backend.core.parameters import ABSENT, Parameter
from backend.forecast.cells import Floats
from backend.forecast.gate import DECIDED_EVERY, GATED_DAYS, TRIAL_DAYS
from backend.forecast.learning import METHOD
from backend.issuing.deciding import decided
from backend.storage.gate_decisions import GateDecision, Grounds, append_decision, decisions
from backend.storage.issued import chains
from backend.storage.issued_batches import IssuedBatch, store_issued_batch
from backend.storage.learning_days import ModelsOfDay, Question, ReadingsOfDay
from backend.tests.support.issuing_world import FIRST, TOMORROW, IssuingWorld, at
from backend.tests.support.stores import open_database

PLAYED = GATED_DAYS + 12
"""Evenings: a row counts from 30 learned days on, and is learned two evenings after."""


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> IssuingWorld:
    path = tmp_path_factory.mktemp("deciding") / "store.sqlite3"
    world = IssuingWorld(open_database(f"sqlite:///{path}"))
    world.days(FIRST, PLAYED)
    return world


@pytest.fixture
def played(world: IssuingWorld, tmp_path: Path) -> IssuingWorld:
    """Return a copy of the world, for a test with evidence of its own."""
    return world.copied(tmp_path / "store.sqlite3")


def taken(world: IssuingWorld) -> list[GateDecision]:
    with world.database.read() as connection:
        return decisions(
            connection,
            audience="public",
            view=TOMORROW,
            parameter=Parameter.WIND_SPEED,
            method=METHOD,
            limit=99,
        )


def evidence(world: IssuingWorld, days: range, *, error: float) -> None:
    """Append what was issued for past days, beside the readings: ours errs by `error`, in km/h.

    Our interval is made for an error of 1 km/h. The best raw model announces 4 km/h too much; dressed, and
    corrected by what another station learned, it errs by 1.5 km/h.
    """
    rng = np.random.default_rng(days.start)
    ends = np.array([-1.28, -0.67, 0.0, 0.67, 1.28])[:, None]
    question = Question("public", TOMORROW, Parameter.WIND_SPEED)

    def steps(values: Floats) -> tuple[int, ...]:
        return tuple(np.rint(1000 * values).astype(int).tolist())

    for site in world.sites:
        rows, learned = [], list[ModelsOfDay | ReadingsOfDay]()
        for day in days:
            truth = 14 + 6 * rng.random(24)
            ours, best = truth + error * rng.standard_normal(24), truth + 4 + rng.standard_normal(24)
            dressed = truth + 1.5 * rng.standard_normal(24)
            decided = int(at(day - 1, 19).timestamp())
            observed = np.append(np.array(steps(truth), np.int32), ABSENT).astype(np.int32)
            station = site.stations[0]
            learned.append(ModelsOfDay(site.id, station, day, decided, {"arome": observed}))
            learned.append(ReadingsOfDay(site.id, station, day, decided + 2 * 86_400, observed))
            hours = IssuedHours(
                times=tuple(int(at(day, hour).timestamp()) for hour in range(24)),
                values=steps(ours),
                quantiles=tuple(map(steps, ours + ends)),
                station=station,
                days=GATED_DAYS,
                state=GateState.TRIAL,
                best="arome",
                best_values=steps(best),
                best_quantiles=tuple(map(steps, dressed + 1.5 * ends)),
                placebo=steps(dressed),
            )
            time = at(day - 1, 19)
            rows.append(
                IssuedForecast(
                    site=site.id,
                    audience="public",
                    parameter=Parameter.WIND_SPEED,
                    view=TOMORROW,
                    day=day,
                    method=METHOD,
                    decision_time=time,
                    issued_at=time,
                    hours=hours,
                )
            )
        batch = IssuedBatch(question=question, forecasts=rows, learned=learned)
        store_issued_batch(world.database, batch)


def test_the_gate_opens_and_closes_through_the_job_and_the_rows_follow(played: IssuingWorld) -> None:
    """Weekly evenings of the job: before, between and after evidence of good and of bad forecasts."""
    day = local_day(taken(played)[0].decided_at)
    states, reasons = [], []

    def week() -> GateDecision:
        """Play the evening of the next decision, and the one after it, which uses the decision."""
        nonlocal day
        day += DECIDED_EVERY
        played.days(day, 2)
        wind = played.issued(day + 2)[0].hours
        states.append(wind.state)
        reasons.append({reason.code for reason in wind.reasons})
        decision = taken(played)[0]
        assert local_day(decision.decided_at) == day, "it is stored with the time of the decision"
        return decision

    evidence(played, range(FIRST - 60, FIRST), error=1.0)
    opened = week()
    assert (opened.open, opened.grounds.failures, opened.grounds.reasons) == (True, 0, ())
    assert (opened.grounds.pooled_gain or 0) > 2
    evidence(played, range(FIRST - 110, FIRST - 60), error=8.0)
    once, twice = week(), week()
    assert [(each.open, each.grounds.failures) for each in (once, twice)] == [(True, 1), (False, 2)]
    assert states == [GateState.SHOWN, GateState.SHOWN, GateState.CLOSED]
    assert reasons[:2] == [set(), set()]
    assert {"mae_not_better", "coverage_uncertain"} <= reasons[2]
    with played.database.read() as connection:
        assert all(chain.fault is None for chain in chains(connection))


def test_the_gate_decides_weekly_and_names_the_days_that_are_missing(world: IssuingWorld) -> None:
    found = taken(world)
    days = [round((a.decided_at - b.decided_at) / timedelta(days=1)) for a, b in pairwise(found)]
    assert len(found) >= 2 and set(days) == {DECIDED_EVERY}
    assert not any(decision.open for decision in found)
    [reason] = found[0].grounds.reasons
    assert (reason.code, reason.figure, reason.limit) == ("few_days", found[0].grounds.days, GATED_DAYS)
    assert 0 < found[0].grounds.days < GATED_DAYS
    assert (found[0].grounds.pooled_gain or 0) > 0, "the models of this world have constant errors"


def test_too_few_days_of_evidence_stay_a_trial(world: IssuingWorld) -> None:
    wind = world.issued(FIRST + PLAYED)[0].hours
    assert wind.days > GATED_DAYS
    assert (wind.state, wind.reasons[0].code) == (GateState.TRIAL, "few_days")


def test_a_closed_gate_has_no_veto_of_a_site(played: IssuingWorld) -> None:
    """One bad day of a site is no veto: the gate has not opened."""
    evidence(played, range(FIRST - 20, FIRST - 19), error=30.0)
    question = Question("public", TOMORROW, Parameter.WIND_SPEED)
    with played.database.read() as connection:
        found = decided(connection, question, [site.id for site in played.sites], at(FIRST - 10, 19), None)
    assert found is not None and (found.open, found.grounds.days) == (False, 1)
    assert found.grounds.vetoes == {}


@pytest.mark.parametrize(
    ("is_open", "grounds", "state"),
    [
        (True, Grounds(days=40, failures=0), GateState.SHOWN),
        (
            False,
            Grounds(days=40, failures=1, reasons=(GateReason("mae_not_better", 0.1, 0.0),)),
            GateState.CLOSED,
        ),
        (
            True,
            Grounds(days=40, failures=0, vetoes={"planfait": GateReason("site_no_gain", -0.1, 0.0)}),
            GateState.VETO,
        ),
    ],
)
def test_a_forecast_has_the_state_of_the_newest_decision(
    world: IssuingWorld, is_open: bool, grounds: Grounds, state: GateState
) -> None:
    last = taken(world)[0]
    day = FIRST + PLAYED + list(GateState).index(state)
    time = at(day, 12)
    with world.database.write() as connection:
        append_decision(connection, replace(last, decided_at=time, open=is_open, grounds=grounds))
    world.days(day, 1)
    wind = world.issued(day + 1)[0].hours
    assert wind.state == state
    assert wind.reasons == (grounds.reasons or tuple(grounds.vetoes.values()))
    assert wind.days >= TRIAL_DAYS
