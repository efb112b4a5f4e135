"""Forecasts are issued from what had arrived by the decision, and learned as they were issued."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import numpy as np
import pytest
import sqlalchemy as sa

from backend.core.issued import GateState
from backend.core.parameters import Parameter
from backend.core.registry import OWN_MODEL
from backend.forecast.directions import turn
from backend.forecast.experts import DIRECTION, WIND, Rules
from backend.forecast.gate import TRIAL_DAYS
from backend.issuing.packing import UnitState
from backend.issuing.units import replayed
from backend.scoring.days.update import update
from backend.storage import schema as t
from backend.storage.days import forecast_columns
from backend.storage.issued import chains
from backend.storage.issued_batches import store_issued_batch
from backend.storage.learning_days import Question, learning_days, saved_states
from backend.storage.score_queries import model_ids
from backend.storage.store_copy import copy_store
from backend.tests.support.issuing_world import (
    EVENING,
    FIRST,
    NORTH,
    TOMORROW,
    TURNS,
    Hidden,
    IssuingWorld,
    at,
)
from backend.tests.support.stores import open_database

PLAYED = TRIAL_DAYS + 2
"""Evenings until the first forecast: a day is learned on the second evening after the one it is issued on."""

WIND_OF_TOMORROW = Question("public", TOMORROW, Parameter.WIND_SPEED)


@pytest.fixture(scope="module")
def played(tmp_path_factory: pytest.TempPathFactory) -> IssuingWorld:
    """Return a world after the evenings before the first forecast."""
    path = tmp_path_factory.mktemp("issuing") / "store.sqlite3"
    world = IssuingWorld(open_database(f"sqlite:///{path}"))
    world.days(FIRST, PLAYED - 1)
    return world


@pytest.fixture
def world(played: IssuingWorld, tmp_path: Path) -> IssuingWorld:
    """Return a copy of it."""
    return played.copied(tmp_path / "store.sqlite3")


NEXT = FIRST + PLAYED - 1
"""The evening of the first forecast."""


def rows(world: IssuingWorld) -> int:
    with world.database.read() as connection:
        return int(connection.execute(sa.select(sa.func.count()).select_from(t.issued_forecast)).scalar_one())


def test_nothing_is_issued_before_fifteen_days_and_a_trial_from_then_on(world: IssuingWorld) -> None:
    assert rows(world) == 0
    world.days(NEXT, 1)
    wind, gust, direction = world.issued(NEXT + 1)
    assert [row.parameter for row in (wind, gust, direction)] == [
        Parameter.WIND_SPEED,
        Parameter.WIND_GUST,
        Parameter.WIND_DIRECTION,
    ]
    assert wind.hours.days == TRIAL_DAYS
    assert wind.hours.state == GateState.TRIAL
    assert [(each.code, each.figure, each.limit) for each in wind.hours.reasons] == [("few_days", 15, 30)]
    assert (wind.decision_time, wind.issued_at) == (at(NEXT, 19), at(NEXT, 19) + timedelta(seconds=5))
    assert not wind.is_late
    assert {run.model for run in wind.hours.inputs} == {"arome", "icon"}
    assert wind.hours.station == "ffvl:1"
    assert len(wind.hours.values) == 24
    assert [len(each) for each in wind.hours.quantiles] == [24] * 5
    assert wind.hours.best in {"arome", "icon"}
    total = sum(np.array(weight, float) for weight in wind.hours.weights.values())
    np.testing.assert_allclose(total, 1000, atol=15)


def test_the_forecast_is_nearer_to_the_weather_than_any_model(world: IssuingWorld) -> None:
    world.days(NEXT, 1)
    wind = world.issued(NEXT + 1)[0].hours
    weather = np.array(world.weather("planfait", NEXT + 1))

    def error(values: tuple[int | None, ...]) -> float:
        return float(np.abs(np.array(values, float) / 1000 - weather).mean())

    assert error(wind.values) < 0.7 * error(wind.best_values)


def test_a_direction_is_turned_back_across_north_by_what_was_learned_in_wind(
    played: IssuingWorld, database_url: str
) -> None:
    database = open_database(database_url)
    copy_store(played.database, database, lambda _table, _rows: None)
    world = IssuingWorld(database)
    world.days(NEXT, 1)
    direction = world.issued(NEXT + 1)[2].hours
    values, best = (np.array(each, float) / 1000 for each in (direction.values, direction.best_values))
    assert np.abs(turn(values - NORTH)).max() < 5, "the vane shows 180 in light wind"
    np.testing.assert_allclose(turn(best - NORTH), TURNS["icon"])
    assert direction.best == "icon"
    assert ((values >= 0) & (values < 360)).all()
    quantiles = np.array(direction.quantiles, float) / 1000
    assert (quantiles[0] <= quantiles[-1]).all() and np.abs(quantiles).max() < 30, "turns from the value"


def test_directions_that_contradict_each_other_have_none(world: IssuingWorld) -> None:
    world.collect(NEXT)
    with world.database.write() as connection:  # a direction opposite to that of the other model
        opposite = sa.update(t.forecast).where(
            t.forecast.c.model_id == sa.select(t.model.c.id).where(t.model.c.name == "icon").scalar_subquery()
        )
        connection.execute(opposite.values(wind_direction=190_000))
    world.issue(NEXT)
    assert None in world.issued(NEXT + 1)[2].hours.values
    assert None not in world.issued(NEXT + 1)[0].hours.values


def test_a_run_that_was_not_available_at_the_decision_is_not_used(world: IssuingWorld) -> None:
    world.collect(NEXT)
    world.announce(at(NEXT, 17), NEXT + 1, available=at(NEXT, 19, 10), shift=50.0)
    world.issue(NEXT, late=timedelta(hours=1))
    wind = world.issued(NEXT + 1)[0]
    assert {run.reference_time for run in wind.hours.inputs} == {int(at(NEXT, 14).timestamp())}
    assert max(value or 0 for value in wind.hours.values) < 40_000


def test_a_reading_that_came_after_the_decision_is_not_learned(world: IssuingWorld) -> None:
    world.announce(at(NEXT, 14), NEXT + 1)
    world.measure(NEXT - 1, range(19, 24), at(NEXT, 8))
    world.measure(NEXT, range(18), at(NEXT, 18, 45))
    # Hours of the day before are corrected after the decision, and the job runs later still.
    world.measure(NEXT - 1, range(10, 13), at(NEXT, 19, 30), value=60.0)
    world.issue(NEXT, late=timedelta(hours=1))
    with world.database.read() as connection:
        days = learning_days(connection, WIND_OF_TOMORROW, ["planfait"])["planfait", "ffvl:1"]
    learned = days[-3].readings
    assert learned is not None and learned.day == NEXT - 1
    assert (learned.observed < 60_000).all(), "a correction counts from its arrival on"
    assert (learned.observed[[9, 14, 20]] > 0).all(), "the other hours are learned"


def test_a_day_waits_for_its_last_readings(world: IssuingWorld) -> None:
    world.announce(at(NEXT, 14), NEXT + 1)
    world.measure(NEXT - 1, range(19, 23), at(NEXT, 8))  # nothing of today yet
    assert world.issue(NEXT) == 0, "the day before is not complete, so that 14 days are learned"
    world.measure(NEXT, range(18), at(NEXT + 1, 8))
    world.days(NEXT + 1, 1)
    assert world.issued(NEXT + 2)[0].hours.days == TRIAL_DAYS + 1


def test_a_second_run_issues_nothing_twice(world: IssuingWorld) -> None:
    world.days(NEXT, 1)
    before = rows(world)
    assert world.issue(NEXT) == 0
    assert rows(world) == before
    with world.database.read() as connection:
        assert all(chain.fault is None for chain in chains(connection))


def test_a_forecast_that_is_issued_late_is_marked(world: IssuingWorld) -> None:
    world.collect(NEXT)
    world.issue(NEXT, late=timedelta(minutes=16))
    assert world.issued(NEXT + 1)[0].is_late


def test_another_reference_station_starts_again(world: IssuingWorld) -> None:
    world.change_reference("planfait", "romma:9", NEXT + 1)
    world.days(NEXT, 1)
    assert world.issued(NEXT + 1) == []
    assert world.issued(NEXT + 1, site="passy") != []


def test_a_station_that_is_the_reference_again_starts_again(world: IssuingWorld) -> None:
    world.change_reference("planfait", "romma:9", NEXT + 1)
    world.days(NEXT, 1)
    world.change_reference("planfait", "ffvl:1", NEXT + 2)
    world.days(NEXT + 1, 1)
    assert world.issued(NEXT + 2) == []
    with world.database.read() as connection:
        saved = saved_states(connection, TOMORROW, Parameter.WIND_SPEED, ["planfait"])["public"]["planfait"]
    assert (saved.station, saved.first) == ("ffvl:1", NEXT + 2)
    assert UnitState.unpacked(saved.content).state.days[0] == 0


@pytest.mark.parametrize("confirmed", [True, False])
def test_a_moved_station_starts_again_on_the_day_of_its_move(world: IssuingWorld, confirmed: bool) -> None:
    moved = NEXT - 3
    for day, latitude in ((FIRST, 45.85), (moved, 45.87), (NEXT - 2, 45.87), (NEXT - 1, 45.87)):
        world.place("ffvl:1", at(day, 13), latitude)
    if confirmed:
        world.store.confirm_station("planfait", "ffvl:1", at(NEXT - 1, 14))
    world.days(NEXT, 1)
    assert world.issued(NEXT + 1) == []
    assert world.issued(NEXT + 1, site="passy") != []
    with world.database.read() as connection:
        saved = saved_states(connection, TOMORROW, Parameter.WIND_SPEED, ["planfait", "passy"])["public"]
    assert (saved["planfait"].first, saved["passy"].first) == (moved, 0)
    state = UnitState.unpacked(saved["planfait"].content).state
    assert state.days[0] < 5, "the days since the move, and none before it"


@pytest.mark.parametrize(("metres", "first"), [(100, NEXT - 3), (400, NEXT - 2)])
def test_a_move_that_a_second_route_states_later_starts_nothing_again(
    world: IssuingWorld, metres: int, first: int
) -> None:
    """Unless it states another place: routes that disagree are not known to state one move."""
    stated = {"direct": (0, NEXT - 3), "late": (metres, NEXT - 2)}
    for route, (apart, moved) in stated.items():
        world.place("ffvl:1", at(FIRST, 13), 45.85, route)
        for day in (moved, moved + 1, moved + 2):
            world.place("ffvl:1", at(day, 13), 45.87 + apart / 111_200, route)
    world.days(NEXT, 1)
    with world.database.read() as connection:
        saved = saved_states(connection, TOMORROW, Parameter.WIND_SPEED, ["planfait"])["public"]["planfait"]
    assert saved.first == first


def test_what_is_withheld_is_in_no_public_forecast(world: IssuingWorld) -> None:
    world.hidden = Hidden({"arome": "arome"}, frozenset())
    world.days(NEXT, 1)
    public, operator = (world.issued(NEXT + 1, audience)[0].hours for audience in ("public", "operator"))
    assert {run.model for run in public.inputs} == {"icon"}
    assert not any(name.startswith("arome") for name in public.weights)
    assert {run.model for run in operator.inputs} == {"arome", "icon"}


def test_a_withheld_reference_station_gives_way_to_a_public_one(world: IssuingWorld) -> None:
    world.hidden = Hidden({}, frozenset({"ffvl"}))
    world.days(NEXT, 1)
    with world.database.read() as connection:
        units = learning_days(connection, WIND_OF_TOMORROW, ["planfait", "passy"], first=NEXT + 1)
    assert list(units) == [("planfait", "romma:9")], "passy has no public station"


@pytest.mark.parametrize(
    ("parameter", "rules"), [(Parameter.WIND_SPEED, WIND), (Parameter.WIND_DIRECTION, DIRECTION)]
)
def test_the_replay_of_the_stored_days_gives_the_bits_of_the_steps(
    world: IssuingWorld, parameter: Parameter, rules: Rules
) -> None:
    world.days(NEXT, 2)
    question = WIND_OF_TOMORROW._replace(parameter=parameter)
    with world.database.read() as connection:
        days = learning_days(connection, question, ["planfait"])["planfait", "ffvl:1"]
        saved = saved_states(connection, TOMORROW, parameter, ["planfait"])["public"]["planfait"]
    steps = UnitState.unpacked(saved.content)
    replay, learned = replayed(days, steps.models, rules)
    assert learned == saved.days
    for name, part in replay.state.arrays().items():
        np.testing.assert_array_equal(part, steps.state.arrays()[name], err_msg=name)
    assert replay.waiting.keys() == steps.waiting.keys()
    for day, hours in replay.waiting.items():
        for name in hours.__dataclass_fields__:
            np.testing.assert_array_equal(getattr(hours, name), getattr(steps.waiting[day], name))


def test_audiences_with_the_same_inputs_have_the_same_forecast_and_others_their_own(
    world: IssuingWorld,
) -> None:
    world.days(NEXT, 1)  # nothing is withheld
    world.hidden = Hidden({"arome": "arome"}, frozenset())
    world.days(NEXT + 1, 2)  # first by a replay, then from the saved states
    equal = []
    for day in range(NEXT + 1, NEXT + 4):
        public, operator = (world.issued(day, audience)[0].hours for audience in ("public", "operator"))
        equal.append(public.values == operator.values and public.weights == operator.weights)
    assert equal == [True, False, False]


@pytest.mark.parametrize("audience", ["public", "operator"])
def test_a_decision_that_was_stored_for_one_audience_is_issued_for_the_other(
    world: IssuingWorld, audience: str
) -> None:
    world.days(NEXT, 1)
    world.collect(NEXT + 1)
    world.now = at(NEXT + 1, EVENING)
    for batch in list(world.issuer.batches(world.now)):
        if batch.question.audience == audience:  # then the program ends
            store_issued_batch(world.database, batch)
    assert world.issue(NEXT + 1) > 0
    world.days(NEXT + 2, 1)
    for day in (NEXT + 2, NEXT + 3):
        public, operator = (world.issued(day, of)[0].hours for of in ("public", "operator"))
        assert public == operator, day


def test_without_the_cache_the_same_is_issued(world: IssuingWorld) -> None:
    world.collect(NEXT)
    with world.database.write() as connection:
        connection.execute(sa.delete(t.learning_state))
    world.issue(NEXT)
    with_replay = world.issued(NEXT + 1)[0].hours
    other = replace(world)  # the same store: the evening after, from the cache
    other.days(NEXT + 1, 1)
    assert with_replay.days == TRIAL_DAYS
    assert other.issued(NEXT + 2)[0].hours.days == TRIAL_DAYS + 1


def test_a_new_model_joins_those_that_are_learned(world: IssuingWorld) -> None:
    world.collect(NEXT)
    world.announce(at(NEXT, 14), NEXT + 1, models=("gfs",))
    world.issue(NEXT)
    wind = world.issued(NEXT + 1)[0].hours
    assert {run.model for run in wind.inputs} == {"arome", "gfs", "icon"}
    assert "gfs:3" not in wind.weights, "its corrections sleep until it has days"


def test_a_decision_on_postgres_or_sqlite_is_the_same(database_url: str) -> None:
    world = IssuingWorld(open_database(database_url))
    world.days(FIRST, 3)
    with world.database.read() as connection:
        days = learning_days(connection, WIND_OF_TOMORROW, ["planfait"])["planfait", "ffvl:1"]
    assert [day.readings is not None for day in days] == [True, False, False]


def test_a_time_that_is_no_decision_of_a_view_issues_nothing(world: IssuingWorld) -> None:
    assert list(world.issuer.batches(at(NEXT, 15))) == []


def test_what_was_issued_and_scored_is_no_input_of_the_next_forecast(world: IssuingWorld) -> None:
    """Our own forecast is in the score days, beside the models; the combination learns from these only."""
    world.days(NEXT, 1)
    update(world.database, at(NEXT + 1, 12))
    world.days(NEXT + 1, 2)
    update(world.database, at(NEXT + 3, 12))
    with world.database.read() as connection:
        own = model_ids(connection)[OWN_MODEL.name]
        scored = forecast_columns(connection, 1, TOMORROW, FIRST, NEXT + 3)
        learned = learning_days(connection, WIND_OF_TOMORROW, ["planfait"])["planfait", "ffvl:1"]
    assert scored.day[scored.owner == own].tolist() == [NEXT + 1, NEXT + 2, NEXT + 3]
    issued = [row.hours for day in range(NEXT + 1, NEXT + 4) for row in world.issued(day)]
    assert len(issued) == 9
    assert {run.model for hours in issued for run in hours.inputs} == {"arome", "icon"}
    assert {name for day in learned for name in day.models.models} == {"arome", "icon"}
    assert not any(expert.startswith(OWN_MODEL.name) for hours in issued for expert in hours.weights)


def test_the_removal_of_a_site_and_the_retention_leave_the_record(world: IssuingWorld) -> None:
    world.days(NEXT, 1)

    def stored() -> list[int]:
        tables = (t.issued_forecast, t.forecast_learning)
        with world.database.read() as connection:
            counts = (connection.execute(sa.select(sa.func.count()).select_from(table)) for table in tables)
            return [count.scalar_one() for count in counts]

    before = stored()
    assert min(before) > 0
    world.store.remove_site("planfait")
    world.store.prune_rejected(world.now + timedelta(days=4000))
    world.store.forget_times_ahead(world.now - timedelta(days=4000))
    assert stored() == before
    assert world.issued(NEXT + 1) != []
