"""What is asked of the store: pages of values, overviews, and that an answer is a look-up."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import sqlalchemy as sa
from hypothesis import given
from hypothesis import strategies as st

from backend.core.parameters import Parameter
from backend.core.records import IMPORTED
from backend.storage import schema as t
from backend.storage.database import to_epoch
from backend.storage.paging import decode_cursor, encode_cursor
from backend.storage.queries import ForecastRow, ModelRow, ObservationRow, StoreQueries
from backend.storage.store import Store
from backend.tests.support.stores import (
    DIRECTION,
    GUST,
    NOW,
    PASSY,
    PLANFAIT,
    RUN,
    TEMPERATURE,
    WIND,
    forecast,
    forecasts,
    looks_up,
    observations,
    open_store,
    query_plans,
    reading,
    walks,
)

NOON = datetime(2026, 7, 15, 12, tzinfo=UTC)
HOUR, DAY = timedelta(hours=1), timedelta(days=1)


def paged(ask: Callable[..., tuple[list[Any], str | None]], limit: int, **asked: Any) -> list[Any]:
    """Read page by page to the end."""
    found, after = ask(limit=limit, **asked)
    pages = [found]
    while after is not None:
        found, after = ask(limit=limit, after=after, **asked)
        pages.append(found)
    assert all(len(page) == limit for page in pages[:-1]) and len(pages[-1]) <= limit
    return [row for page in pages for row in page]


def brief(rows: list[ForecastRow]) -> list[tuple[str, str, str, int, float]]:
    return [(row.site, row.model, row.parameter, row.lead_minutes // 60, row.value) for row in rows]


# --- Forecasts --------------------------------------------------------------------------------------


def test_a_forecast_comes_back_with_how_it_came(database_url: str) -> None:
    store = open_store(database_url)
    store.add_forecasts(forecasts(forecast(21.5, hours=6.5), route="object_storage"))
    assert StoreQueries(store.database).forecasts() == (
        [
            ForecastRow(
                model="arome_0025",
                site="planfait",
                parameter=WIND,
                reference_time=RUN,
                valid_time=datetime(2026, 7, 15, 12, 30, tzinfo=UTC),
                lead_minutes=390,
                value=21.5,
                route="object_storage",
                available_at=RUN + 4 * HOUR,
                available_at_published=True,
                collected_at=NOW,
            )
        ],
        None,
    )


def some_forecasts(url: str) -> StoreQueries:
    """Two runs of one model and one of another, two parameters, two sites, three hours."""
    store = open_store(url)
    for model, run in (("arome_0025", RUN), ("arome_0025", RUN - 6 * HOUR), ("meteo_parapente", RUN)):
        store.add_forecasts(
            forecasts(
                *(
                    forecast(value, parameter, hours, site, run, model)
                    for site in ("planfait", "passy")
                    for hours in (6, 7, 12)
                    for value, parameter in ((20 + hours, WIND), (10 + hours, TEMPERATURE))
                ),
                run=run,
                model=model,
            )
        )
    return StoreQueries(store.database)


def test_forecasts_are_filtered_by_site_model_parameter_and_valid_time(database_url: str) -> None:
    read = some_forecasts(database_url)
    assert len(read.forecasts()[0]) == 36
    passy, _ = read.forecasts(site="passy", model="meteo_parapente", parameter=WIND)
    assert brief(passy) == [
        ("passy", "meteo_parapente", "wind_speed", lead, 20 + lead) for lead in (6, 7, 12)
    ]
    window, _ = read.forecasts(site="planfait", parameter=TEMPERATURE, start=NOON, end=NOON + HOUR)
    assert brief(window) == [
        ("planfait", "arome_0025", "temperature", 12, 22),  # the earlier run, 12 hours ahead
        ("planfait", "arome_0025", "temperature", 6, 16),
        ("planfait", "meteo_parapente", "temperature", 6, 16),
    ]
    public, _ = read.forecasts(models_withheld={"meteo_parapente"})
    assert {row.model for row in public} == {"arome_0025"} and len(public) == 24
    assert read.forecasts(model="meteo_parapente", models_withheld={"meteo_parapente"}) == ([], None)
    assert read.forecasts(site="nowhere") == ([], None)
    assert read.forecasts(model="unheard_of") == ([], None)
    assert read.forecasts(start=NOON + DAY) == ([], None)


@pytest.mark.parametrize("limit", [1, 2, 3, 5, 12, 35, 36, 37])
def test_pages_of_forecasts_give_each_value_once_and_in_order(database_url: str, limit: int) -> None:
    read = some_forecasts(database_url)
    everything, after = read.forecasts()
    assert after is None
    assert paged(read.forecasts, limit) == everything
    assert paged(read.forecasts, limit, site="passy") == [row for row in everything if row.site == "passy"]
    assert paged(read.forecasts, limit, parameter=TEMPERATURE, model="arome_0025") == [
        row for row in everything if row.parameter == TEMPERATURE and row.model == "arome_0025"
    ]
    assert paged(read.forecasts, limit, start=NOON + HOUR) == [
        row for row in everything if row.valid_time >= NOON + HOUR
    ]


def test_a_page_goes_on_where_the_last_one_ended_though_values_came_in_between(database_url: str) -> None:
    store = open_store(database_url)
    read = StoreQueries(store.database)
    store.add_forecasts(forecasts(forecast(1, hours=1), forecast(3, hours=3)))
    first, after = read.forecasts(limit=1)
    store.add_forecasts(forecasts(forecast(0, hours=0), forecast(2, hours=2), forecast(9, GUST, hours=1)))
    rest, _ = read.forecasts(after=after)
    assert [row.value for row in (*first, *rest)] == [1, 9, 2, 3]


def test_the_series_of_a_site_are_all_read_under_its_name(database_url: str) -> None:
    store = open_store(database_url, PLANFAIT)
    store.add_forecasts(forecasts(forecast(20)))
    store.save_sites((PLANFAIT, replace(PLANFAIT, latitude=45.9, valid_from=NOW)))
    store.add_forecasts(forecasts(forecast(25)))
    found, _ = StoreQueries(store.database).forecasts(site="planfait")
    assert brief(found) == [("planfait", "arome_0025", "wind_speed", 6, value) for value in (20, 25)]


# --- Observations -----------------------------------------------------------------------------------


def test_a_reading_comes_back_with_how_it_came(database_url: str) -> None:
    store = open_store(database_url)
    store.add_observations(
        observations(reading(12.3), route="winds_mobi", averaging_minutes=10, direction_resolution=22.5)
    )
    store.add_observations(observations(reading(0, station="romma:241"), route="page", rank=1))
    found, after = StoreQueries(store.database).observations()
    assert after is None
    assert found == [
        ObservationRow(
            station="ffvl:2496",
            parameter=WIND,
            time=NOON,
            value=12.3,
            route="winds_mobi",
            averaging_minutes=10,
            direction_resolution=22.5,
            collected_at=NOW,
        ),
        ObservationRow(
            station="romma:241",
            parameter=WIND,
            time=NOON,
            value=0.0,
            route="page",
            averaging_minutes=None,
            direction_resolution=None,
            collected_at=NOW,
        ),
    ]


def some_observations(url: str) -> StoreQueries:
    """Four hours of Planfait's two stations, and of one without a site."""
    store = open_store(url)
    store.add_observations(
        observations(
            *(
                reading(value, parameter, 60 * hours, station)
                for station in ("ffvl:2496", "romma:241", "ffvl:9")
                for hours in range(4)
                for value, parameter in ((hours, WIND), (270, DIRECTION))
            )
        )
    )
    return StoreQueries(store.database)


def test_observations_are_filtered_by_station_site_parameter_and_time(database_url: str) -> None:
    read = some_observations(database_url)

    def found(**asked: Any) -> list[tuple[str, str, float]]:
        return [(row.station, f"{row.time:%H:%M}", row.value) for row in read.observations(**asked)[0]]

    assert len(found()) == 24
    assert found(station="ffvl:9", parameter=WIND, start=NOON - HOUR) == [
        ("ffvl:9", "11:00", 1.0),
        ("ffvl:9", "12:00", 0.0),
    ]
    assert found(station="ffvl:9", parameter=DIRECTION, end=NOON - 2 * HOUR) == [("ffvl:9", "09:00", 270.0)]
    assert {station for station, _, _ in found(site="planfait")} == {"ffvl:2496", "romma:241"}
    assert {station for station, _, _ in found(site="planfait", networks_withheld={"romma"})} == {"ffvl:2496"}
    assert found(station="ffvl:9", site="planfait") == []
    assert found(station="ffvl:404") == found(site="passy") == found(site="nowhere") == []
    assert found(start=NOON + HOUR) == []
    assert found(networks_withheld={"ffvl", "romma"}) == []


@pytest.mark.parametrize("limit", [1, 2, 3, 7, 24])
def test_pages_of_observations_give_each_value_once_and_in_order(database_url: str, limit: int) -> None:
    read = some_observations(database_url)
    everything, _ = read.observations()
    assert paged(read.observations, limit) == everything
    assert paged(read.observations, limit, site="planfait", parameter=WIND) == [
        row for row in everything if row.station != "ffvl:9" and row.parameter == WIND
    ]


# --- Cursors ----------------------------------------------------------------------------------------


@given(st.lists(st.integers(-(2**63), 2**63 - 1), min_size=3, max_size=5))
def test_a_cursor_carries_its_position_through_an_address(position: list[int]) -> None:
    cursor = encode_cursor(position)
    assert cursor.replace("-", "").replace("_", "").isalnum()
    assert decode_cursor(cursor, len(position)) == tuple(position)


@pytest.mark.parametrize(
    "cursor", ["", "next", "é", "!!!!", "A" * 200, encode_cursor((1, 2, 3)) + "A", encode_cursor((1,))]
)
def test_a_cursor_that_no_page_gave_is_refused(database_url: str, cursor: str) -> None:
    read = some_observations(database_url)
    for ask in (read.forecasts, read.observations):
        with pytest.raises(ValueError, match="is not a cursor"):
            ask(after=cursor)


@pytest.mark.parametrize("number", [2**63 - 1, -(2**63), 2**40])
def test_a_cursor_made_up_of_huge_numbers_is_the_end_or_the_start(database_url: str, number: int) -> None:
    read = some_forecasts(database_url)
    everything, _ = read.forecasts()
    noon = to_epoch(NOON)
    for made_up in (
        (1, noon, number, 0, 0),
        (1, noon, 1, number, 0),
        (1, number, 1, 1, 1),
        (number, 1, 1, 1, 1),
    ):
        found, _ = read.forecasts(after=encode_cursor(made_up))
        assert found == everything[len(everything) - len(found) :]


def test_a_cursor_of_observations_is_none_of_forecasts(database_url: str) -> None:
    read = some_observations(database_url)
    _, after = read.observations(limit=1)
    assert after is not None
    with pytest.raises(ValueError, match="is not a cursor"):
        read.forecasts(after=after)


# --- Overviews --------------------------------------------------------------------------------------


def test_models_are_named_with_their_newest_run_and_number_of_runs(database_url: str) -> None:
    assert some_forecasts(database_url).models() == [
        ModelRow(name="arome_0025", newest=RUN, runs=2),
        ModelRow(name="meteo_parapente", newest=RUN, runs=1),
    ]


def test_a_site_shows_its_first_station_that_measures_the_parameter(database_url: str) -> None:
    store = open_store(database_url)
    store.add_observations(
        observations(
            *(reading(12, minutes=10), reading(14, minutes=0), reading(280, DIRECTION, minutes=10)),
            *(reading(30, station="romma:241"), reading(21, TEMPERATURE, 20, "romma:241")),
        )
    )
    found = StoreQueries(store.database).newest_values((PLANFAIT, PASSY), NOW)
    assert [(row.parameter, row.station, row.value, row.time) for row in found["planfait"].observed] == [
        (WIND, "ffvl:2496", 14, NOON),
        (DIRECTION, "ffvl:2496", 280, NOON - timedelta(minutes=10)),
        (TEMPERATURE, "romma:241", 21, NOON - timedelta(minutes=20)),
    ]
    assert found["passy"].observed == () and found["passy"].forecast == ()

    public = StoreQueries(store.database).newest_values((PLANFAIT,), NOW, networks_withheld={"ffvl"})
    assert [(row.station, row.value) for row in public["planfait"].observed] == [
        ("romma:241", 30),
        ("romma:241", 21),
    ]


def test_a_station_that_measures_everything_leaves_nothing_to_the_next(database_url: str) -> None:
    store = open_store(database_url)
    store.add_observations(observations(*(reading(7, parameter) for parameter in Parameter)))
    store.add_observations(observations(*(reading(9, each, -10, "romma:241") for each in Parameter)))
    [found] = StoreQueries(store.database).newest_values((PLANFAIT,), NOW).values()
    assert [row.value for row in found.observed] == [7, 7, 7, 7]


def test_a_site_shows_the_forecast_for_now_of_each_models_newest_run(database_url: str) -> None:
    read = some_forecasts(database_url)

    def found(now: datetime, **withheld: Any) -> list[tuple[str, str, str, float]]:
        rows = read.newest_values((PLANFAIT,), now, **withheld)["planfait"].forecast
        return [
            (row.model, f"{row.reference_time:%H}", f"{row.valid_time:%H}", row.value)
            for row in rows
            if row.parameter == WIND
        ]

    assert found(NOON + timedelta(minutes=20)) == [
        ("arome_0025", "06", "12", 26),
        ("meteo_parapente", "06", "12", 26),
    ]
    assert found(NOON + timedelta(minutes=40))[0] == ("arome_0025", "06", "13", 27)
    assert found(NOON - 4 * HOUR)[0] == ("arome_0025", "00", "07", 27), "the newer run has no value for 08:00"
    assert found(NOON, models_withheld={"arome_0025"}) == [("meteo_parapente", "06", "12", 26)]
    assert found(NOON + 12 * HOUR) == []


def test_a_site_that_the_store_does_not_know_yet_has_no_values(database_url: str) -> None:
    store = open_store(database_url, PASSY)
    [found] = StoreQueries(store.database).newest_values((PLANFAIT,), NOW).values()
    assert (found.observed, found.forecast) == ((), ())


def test_models_and_networks_that_no_source_has_are_listed_with_their_origin(database_url: str) -> None:
    store = open_store(database_url)
    for model, source in (
        ("my_wrf", IMPORTED),
        ("arome_001", "arome"),
        ("arome_0025", IMPORTED),
    ):
        store.add_forecasts(forecasts(forecast(20, model=model), model=model, source=source, rank=9))
    stations = ("ffvl:1", "Mine:1", "ffvl2:1", "ff:1", "romma:241", "zoo:9")
    store.add_observations(observations(*(reading(10, station=station) for station in stations)))
    read = StoreQueries(store.database)
    assert read.other_models({"arome_0025"}) == {
        "my_wrf": frozenset({IMPORTED}),
        "arome_001": frozenset({"arome"}),
    }
    assert read.other_networks({"romma", "ffvl"}) == {"Mine", "ffvl2", "ff", "zoo"}


def test_stations_without_a_recent_reading_are_silent(database_url: str) -> None:
    store = open_store(database_url)
    store.add_observations(observations(reading(12), reading(9, minutes=26 * 60, station="romma:241")))
    asked = ("ffvl:2496", "romma:241", "romma:404")
    assert StoreQueries(store.database).silent_stations(asked, NOW, DAY) == {
        "romma:241": NOON - 26 * HOUR,
        "romma:404": None,
    }


# --- Look-ups ---------------------------------------------------------------------------------------


def a_full_store(url: str) -> Store:
    """Thirty days of two models at two sites, and of ten stations every ten minutes."""
    store = open_store(url)
    first = to_epoch(RUN - 30 * DAY)
    with store.database.write() as connection:
        connection.execute(sa.insert(t.model), [{"name": name} for name in ("arome_0025", "meteo_parapente")])
        codes = ["ffvl:2496", "romma:241", *(f"ffvl:{number}" for number in range(1, 9))]
        connection.execute(sa.insert(t.station), [{"code": code, "newest": first} for code in codes])
        batch: dict[str, Any] = {"source": "any", "route": "any", "rank": 0, "collected_at": 0}
        run: dict[str, Any] = {"model_id": 1, "reference_time": 0, "available_at": 0, "published": True}
        connection.execute(sa.insert(t.forecast_batch).values(batch | run))
        connection.execute(sa.insert(t.observation_batch).values(batch))
        connection.execute(
            sa.insert(t.forecast),
            [
                {
                    "site_id": site,
                    "valid_time": first + 21_600 * cycle + 3600 * lead,
                    "model_id": model,
                    "reference_time": first + 21_600 * cycle,
                    "batch_id": 1,
                    "wind_speed": 20_000,
                }
                for site in (1, 2)
                for model in (1, 2)
                for cycle in range(120)
                for lead in range(52)
            ],
        )
        connection.execute(
            sa.insert(t.observation),
            [
                {"station_id": station, "time": first + 600 * step, "batch_id": 1, "wind_speed": 9000}
                for station in range(1, 11)
                for step in range(4320)
            ],
        )
    return store


def test_every_answer_for_a_site_or_a_station_is_a_look_up(database_url: str) -> None:
    store = a_full_store(database_url)
    read = StoreQueries(store.database)

    def ask_everything() -> None:
        found, after = read.forecasts(site="passy", start=RUN - 20 * DAY, end=RUN, limit=500)
        assert len(found) == 500 and after is not None
        assert (
            len(read.forecasts(site="passy", start=RUN - 20 * DAY, after=after, model="arome_0025")[0])
            == 1000
        )
        assert len(read.forecasts(parameter=WIND, after=after, limit=10)[0]) == 10
        seen, later = read.observations(site="planfait", parameter=WIND)
        assert len(seen) == 1000 and later is not None
        assert len(read.observations(station="ffvl:2496", after=later)[0]) == 1000
        assert len(read.newest_values((PLANFAIT, PASSY), RUN)["planfait"].forecast) == 2

    plans = query_plans(store.database, ask_everything)
    values = [plan for plan in plans if looks_up(plan, t.forecast) or looks_up(plan, t.observation)]
    assert len(values) == 10
    assert not [plan for plan in plans if walks(plan, t.forecast, t.observation)]
    # The runs of one valid time may be sorted ("the right part"), never all that there is.
    assert not [plan for plan in values if "TEMP B-TREE FOR ORDER" in plan or "Sort" in plan]


def test_stored_rows_are_looked_up_by_index_when_a_batch_comes_again(database_url: str) -> None:
    store = a_full_store(database_url)
    network = observations(*(reading(12, minutes=10 * step) for step in range(6)))

    def store_again() -> None:
        store.add_forecasts(forecasts(forecast(20, run=RUN - 30 * DAY), run=RUN - 30 * DAY))
        store.add_forecasts(forecasts(forecast(20)))
        store.add_forecasts(forecasts(forecast(20)))
        store.add_observations(network)

    plans = query_plans(store.database, store_again)
    for table in (t.forecast, t.observation):
        assert len([plan for plan in plans if looks_up(plan, table)]) == 1
    assert not [plan for plan in plans if walks(plan, t.forecast, t.observation)]
    # Tables that are walked through are small: a row for each site, removal, and kind of values.
    assert {plan.partition(";")[0] for plan in plans if "SCAN" in plan} <= {
        "SCAN site", "SCAN removal", "SCAN retention",
    }  # fmt: skip
