"""When a value was known: it belongs to the value, and nothing that comes later changes it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from backend.core.parameters import ABSENT, Parameter
from backend.core.records import BACKFILLED, IMPORTED, Forecast, ForecastBatch, ObservationBatch, Run
from backend.files.export_filter import Choice
from backend.files.export_values import forecast_frames, observation_frames
from backend.scoring.days.update import update
from backend.scoring.views import DECISION_VIEWS
from backend.storage import collected_rows, days
from backend.storage import schema as t
from backend.storage.queries import ForecastRow, ObservationRow, StoreQueries
from backend.storage.store import Store
from backend.tests.support.stores import (
    DIRECTION,
    GUST,
    NOW,
    PLANFAIT,
    RUN,
    TEMPERATURE,
    WIND,
    forecast,
    forecasts,
    observations,
    open_store,
    reading,
    rows,
    sqlite_url,
)

MODEL = "arome_0025"
NINE, EVENING = RUN.replace(hour=9), RUN.replace(hour=20)
EARLIER = timedelta(minutes=1)


@pytest.fixture
def store(database_url: str) -> Store:
    return open_store(database_url, PLANFAIT)


def forecast_batch(*records: Forecast, at: datetime, published: bool = True, **fields: Any) -> ForecastBatch:
    """Return a batch of the run that was available at a time."""
    run = Run(MODEL, RUN, at, published=published)
    return replace(forecasts(*records, **fields), run=run)


def known(store: Store) -> dict[Parameter, ForecastRow]:
    """Return what is stored of the one hour that the tests are about."""
    found, _ = StoreQueries(store.database).forecasts()
    return {row.parameter: row for row in found}


def measured(store: Store) -> dict[Parameter, ObservationRow]:
    found, _ = StoreQueries(store.database).observations()
    return {row.parameter: row for row in found}


def decided(store: Store, name: str, now: datetime) -> dict[Parameter, set[float]]:
    """Return what the days of a decision view hold, by parameter."""
    update(store.database, now)
    (view,) = (view for view in DECISION_VIEWS if view.name == name)
    with store.database.read() as connection:
        found = days.forecast_columns(connection, 1, view.number, 0, 10**6)
    return {
        parameter: {
            value / 1000 for value in found.hourly[:, parameter.number].ravel().tolist() if value != ABSENT
        }
        for parameter in Parameter
    }


# --- Forecasts ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("order", [1, -1])
def test_a_value_is_used_by_a_decision_only_if_it_was_available_itself(store: Store, order: int) -> None:
    tomorrow = range(24, 36)
    came = [
        forecast_batch(*(forecast(20, WIND, hour) for hour in tomorrow), at=NINE),
        forecast_batch(*(forecast(31, GUST, hour) for hour in tomorrow), at=EVENING),
    ]
    for batch in came[::order]:
        store.add_forecasts(batch)
    assert {row.parameter: row.available_at for row in known(store).values()} == {WIND: NINE, GUST: EVENING}

    evening_before = decided(store, "evening_before", NOW + timedelta(days=2))
    assert (evening_before[WIND], evening_before[GUST]) == ({20.0}, set()), (
        "decided at 18:00 UTC at the latest"
    )
    morning = decided(store, "morning", NOW + timedelta(days=2))
    assert (morning[WIND], morning[GUST]) == ({20.0}, {31.0})


def test_an_hour_counts_as_estimated_where_one_of_its_values_does(store: Store) -> None:
    store.add_forecasts(forecast_batch(forecast(20), at=NINE))
    store.add_forecasts(forecast_batch(forecast(31, GUST), at=EVENING, published=False))
    with store.database.read() as connection:
        found = collected_rows.forecast_rows(connection, 1, 0, 2**40)
    assert found.available_at.tolist() == [int(NINE.timestamp())]
    assert found.later.tolist() == [[0, 1, int(EVENING.timestamp())]]
    assert found.estimated.tolist() == [True]


def test_a_better_route_that_gives_the_same_value_later_leaves_when_it_was_known(store: Store) -> None:
    store.add_forecasts(forecast_batch(forecast(20), forecast(30, GUST), at=NINE, rank=1))
    store.add_forecasts(forecast_batch(forecast(20), forecast(31, GUST), at=EVENING, rank=0))
    found = known(store)
    assert (found[WIND].route, found[WIND].available_at) == ("route_0", NINE)
    assert (found[GUST].value, found[GUST].available_at) == (31, EVENING), (
        "a value that was not known at nine"
    )


@pytest.mark.parametrize(("source", "route"), [(IMPORTED, "file"), ("arome", f"single_runs{BACKFILLED}")])
def test_neither_a_file_nor_an_estimate_sets_when_a_collected_value_was_known(
    store: Store, source: str, route: str
) -> None:
    word = forecast_batch(forecast(20), at=NINE, published=False, rank=5, source=source, route=route)
    store.add_forecasts(word)
    store.add_forecasts(forecast_batch(forecast(20), at=EVENING, rank=0))
    assert known(store)[WIND].available_at == EVENING
    store.add_forecasts(word)
    assert known(store)[WIND].available_at == EVENING


def test_values_that_came_apart_are_exported_each_with_its_own_time(store: Store) -> None:
    store.add_forecasts(forecast_batch(forecast(20), forecast(180, DIRECTION), at=NINE))
    store.add_forecasts(forecast_batch(forecast(31, GUST), at=EVENING))
    store.add_observations(observations(reading(12), averaging_minutes=10, direction_resolution=22.5))
    store.add_observations(observations(reading(21, TEMPERATURE)))
    (frame,) = forecast_frames(store.database, Choice())
    assert dict(frame.select("parameter", "available_at").iter_rows()) == {
        WIND: NINE,
        DIRECTION: NINE,
        GUST: EVENING,
    }
    (frame,) = observation_frames(store.database, Choice())
    assert {
        name: tuple(rest) for name, *rest in frame.select("parameter", "averaging_minutes").iter_rows()
    } == {
        WIND: (10,),
        TEMPERATURE: (None,),
    }


def test_rows_that_came_in_one_batch_take_no_more_room(store: Store) -> None:
    store.add_forecasts(forecasts(forecast(20), forecast(31, GUST), forecast(200, DIRECTION)))
    store.add_forecasts(forecasts(forecast(25), forecast(31, GUST), collected_at=EVENING))
    store.add_observations(observations(reading(12), reading(20, GUST)))
    store.add_observations(observations(reading(12), reading(20, GUST), collected_at=EVENING))
    assert rows(store.database, t.forecast_origin, "batch_id") == []
    assert rows(store.database, t.observation_origin, "batch_id") == []


def test_a_row_whose_values_come_together_again_has_no_origins_left(store: Store) -> None:
    store.add_observations(observations(reading(12), collected_at=NINE))
    store.add_observations(observations(reading(20, GUST), collected_at=NOW))
    assert len(rows(store.database, t.observation_origin, "batch_id")) == 1
    store.add_observations(observations(reading(13), reading(21, GUST), collected_at=EVENING))
    assert rows(store.database, t.observation_origin, "batch_id") == []
    assert {row.collected_at for row in measured(store).values()} == {EVENING}


# --- Readings -----------------------------------------------------------------------------------------


def test_a_temperature_of_the_same_moment_does_not_erase_how_the_wind_was_measured(store: Store) -> None:
    store.add_observations(
        observations(reading(12), reading(200, DIRECTION), averaging_minutes=30, direction_resolution=22.5)
    )
    store.add_observations(observations(reading(21, TEMPERATURE), averaging_minutes=1))
    found = measured(store)
    assert (found[WIND].averaging_minutes, found[DIRECTION].direction_resolution) == (30, 22.5)
    assert (found[TEMPERATURE].averaging_minutes, found[TEMPERATURE].direction_resolution) == (1, None)
    with store.database.read() as connection:
        read = collected_rows.reading_rows(connection, 1, 0, 2**40)
    assert (read.averaging.tolist(), read.resolution.tolist()) == ([30], [22_500])
    assert read.temperature_averaging.tolist() == [1]


def test_a_wind_of_the_same_moment_has_its_own_averaging_beside_many_other_values(store: Store) -> None:
    store.add_observations(observations(reading(21, TEMPERATURE), reading(31, GUST)))
    store.add_observations(
        observations(reading(12), reading(200, DIRECTION), averaging_minutes=30, direction_resolution=45.0)
    )
    with store.database.read() as connection:
        read = collected_rows.reading_rows(connection, 1, 0, 2**40)
    assert (read.averaging.tolist(), read.resolution.tolist()) == ([30], [45_000])
    assert read.temperature_averaging.tolist() == [0]


def test_a_correction_stays_when_an_older_payload_is_parsed_again(store: Store) -> None:
    first = observations(reading(10), reading(15, GUST), collected_at=NINE)
    store.add_observations(first)
    store.add_observations(observations(reading(22), collected_at=NOW))
    assert store.add_observations(first, repair=True) == 0
    found = measured(store)
    assert (found[WIND].value, found[GUST].value) == (22, 15)


def test_a_repaired_parser_still_repairs_values_of_the_same_payload(store: Store) -> None:
    store.add_observations(observations(reading(10), reading(15, GUST), collected_at=NINE))
    store.add_observations(observations(reading(21, TEMPERATURE), collected_at=NOW))
    assert store.add_observations(observations(reading(36), collected_at=NINE), repair=True) == 1
    assert {parameter: row.value for parameter, row in measured(store).items()} == {WIND: 36, TEMPERATURE: 21}


def test_a_forecast_that_a_repaired_parser_changes_is_known_since_the_same_time(store: Store) -> None:
    store.add_forecasts(forecast_batch(forecast(72), at=NINE, collected_at=NINE))
    again = forecast_batch(forecast(20), at=NINE - EARLIER, collected_at=NINE)
    assert store.add_forecasts(again, repair=True) == 1
    assert (known(store)[WIND].value, known(store)[WIND].available_at) == (20, NINE)
    published_again = forecast_batch(forecast(25), at=EVENING, collected_at=EVENING)
    assert store.add_forecasts(published_again, repair=True) == 0, "a run never changes"


# --- In any order -----------------------------------------------------------------------------------


@dataclass(frozen=True)
class Arrival:
    """A batch of one hour or moment: its rank, how it came, when it was available (hours), what it holds."""

    rank: int
    kind: str
    available: int
    published: bool
    values: tuple[int | None, ...]

    @property
    def fields(self) -> dict[str, Any]:
        """Return what a batch of this kind is labelled with: a live route, an archive, or a file."""
        if self.kind == "file":
            return {"source": IMPORTED, "route": "file", "rank": 1000}
        label = BACKFILLED if self.kind == "archive" else ""
        return {"source": "arome", "route": f"route_{self.rank}{label}", "rank": self.rank}

    @property
    def given(self) -> list[tuple[Parameter, int]]:
        return [(p, v) for p, v in zip(Parameter, self.values, strict=True) if v is not None]

    def forecasts(self, position: int) -> ForecastBatch:
        return forecast_batch(
            *(forecast(value, parameter) for parameter, value in self.given),
            **self.fields,
            at=RUN + timedelta(hours=self.available),
            published=self.published and self.kind != "file",
            collected_at=RUN + timedelta(hours=12, minutes=position),
        )

    def observations(self, position: int) -> ObservationBatch:
        return observations(
            *(reading(value, parameter) for parameter, value in self.given),
            **self.fields,
            averaging_minutes=self.available + 1,
            collected_at=RUN + timedelta(hours=12, minutes=position),
        )


arrivals = st.lists(
    st.builds(
        Arrival,
        rank=st.integers(0, 1),
        kind=st.sampled_from(["live", "live", "archive", "file"]),
        available=st.integers(0, 9),
        published=st.booleans(),
        values=st.lists(st.none() | st.integers(1, 2), min_size=4, max_size=4).filter(any).map(tuple),
    ),
    min_size=1,
    max_size=5,
)


def emptied(store: Store) -> Store:
    with store.database.write() as connection:
        for table in (t.forecast, t.forecast_origin, t.forecast_batch):
            connection.execute(sa.delete(table))
        for table in (t.observation, t.observation_origin, t.observation_batch):
            connection.execute(sa.delete(table))
    return store


def rank_of(route: str) -> int:
    return 1000 if route == "file" else int(route.removesuffix(BACKFILLED)[-1])


def check_forecasts(store: Store, came: Sequence[Arrival]) -> None:
    """After each batch every value is what it was and known since when it was, but for a better route's."""
    emptied(store)
    for position, arrival in enumerate(came):
        before = known(store)
        batch = arrival.forecasts(position)
        store.add_forecasts(batch)
        after, given_now, own = known(store), dict(arrival.given), RUN + timedelta(hours=arrival.available)
        for parameter, row in before.items():
            now = after.get(parameter)
            # A direction goes with the speed of a better route: a calm has none.
            about = Parameter.WIND_SPEED if parameter is Parameter.WIND_DIRECTION else parameter
            if batch.rank >= rank_of(row.route) or given_now.keys().isdisjoint({parameter, about}):
                assert now == row
            elif now is not None and now.value == row.value:
                estimate = row.route == "file" or (
                    row.route.endswith(BACKFILLED) and not row.available_at_published
                )
                assert now.available_at == (own if estimate else min(own, row.available_at))
            else:
                assert (now.value if now else None) == given_now.get(parameter)
                assert now is None or now.available_at == own
        for parameter in after.keys() - before.keys():
            assert (after[parameter].value, after[parameter].available_at) == (given_now[parameter], own)
    firsts: dict[Parameter, float] = {}
    best: dict[Parameter, int] = {}
    for arrival in sorted(came, key=lambda each: each.fields["rank"]):  # stable: the first of a rank stays
        firsts = dict(arrival.given) | firsts
        best = {parameter: arrival.fields["rank"] for parameter, _ in arrival.given} | best
    of_direction = best.get(Parameter.WIND_DIRECTION, 0)
    if of_direction > best.get(Parameter.WIND_SPEED, of_direction):
        del firsts[Parameter.WIND_DIRECTION]
    assert {parameter: row.value for parameter, row in known(store).items()} == firsts
    once = known(store)
    for position, arrival in enumerate(came):
        store.add_forecasts(arrival.forecasts(position))
        store.add_forecasts(arrival.forecasts(position), repair=True)
        assert known(store) == once, "neither a batch that comes again nor a replay changes anything"


def check_observations(store: Store, came: Sequence[Arrival]) -> None:
    """Within a route the last value stays, each as it was measured; replays in any order change nothing."""
    emptied(store)
    for position, arrival in enumerate(came):
        store.add_observations(arrival.observations(position))
    best = min(arrival.fields["rank"] for arrival in came)
    lasts: dict[Parameter, float] = {}
    for arrival in came:
        if arrival.fields["rank"] == best:
            lasts |= dict(arrival.given)
    once = measured(store)
    assert {parameter: row.value for parameter, row in once.items()} == lasts
    for parameter, row in once.items():
        ways = {each.available + 1 for each in came if (parameter, row.value) in each.given}
        assert row.averaging_minutes in ways
    for position, arrival in reversed(list(enumerate(came))):
        store.add_observations(arrival.observations(position), repair=True)
        assert measured(store) == once


@pytest.fixture(scope="module")
def on_sqlite(tmp_path_factory: pytest.TempPathFactory) -> Store:
    return open_store(sqlite_url(tmp_path_factory.mktemp("store")), PLANFAIT)


@settings(max_examples=60)
@given(came=arrivals)
def test_no_order_of_arrival_changes_what_was_known_when(on_sqlite: Store, came: list[Arrival]) -> None:
    check_forecasts(on_sqlite, came)


@settings(max_examples=60)
@given(came=arrivals)
def test_no_order_of_arrival_loses_a_correction_or_how_it_was_measured(
    on_sqlite: Store, came: list[Arrival]
) -> None:
    check_observations(on_sqlite, came)


@settings(max_examples=15, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(came=arrivals)
def test_the_same_holds_on_postgresql(postgres_url: str, came: list[Arrival]) -> None:
    store = open_store(postgres_url, PLANFAIT)
    check_forecasts(store, came)
    check_observations(store, came)
    store.database.close()
