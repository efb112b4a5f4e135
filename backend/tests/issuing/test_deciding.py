"""The weekly decision of the gate: from issued rows, recorded, and used by the next forecasts."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from itertools import pairwise

import pytest

from backend.core.issued import GateReason, GateState
from backend.core.parameters import Parameter
from backend.forecast.gate import DECIDED_EVERY, GATED_DAYS, TRIAL_DAYS
from backend.forecast.learning import METHOD
from backend.storage.gate_decisions import GateDecision, Grounds, append_decision, decisions
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
