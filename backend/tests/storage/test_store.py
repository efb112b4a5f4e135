"""The store: stored values, precedence, and batches that are stored whole or not at all."""

from __future__ import annotations

import os
import signal
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import product
from pathlib import Path

import pytest
import sqlalchemy as sa
from hypothesis import given
from hypothesis import strategies as st

from backend.core.errors import ConfigError, NotFoundError, StoreReplacedError, StoreUnavailableError
from backend.core.parameters import Parameter
from backend.core.records import GridPoint, ObservationBatch, Rejected, Station
from backend.storage import schema as t
from backend.storage.database import Database
from backend.storage.forecasts import VALUES_AT_A_TIME
from backend.storage.ledger import Ledger
from backend.storage.precedence import NEW, Origin, Row, Values, merge
from backend.storage.queries import StoreQueries
from backend.storage.rows import COLUMNS
from backend.storage.store import MOST_REJECTED, REJECTED_DAYS, Store
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
    observations,
    open_database,
    open_store,
    reading,
    rows,
    sqlite_url,
    start_process,
    written,
)

DAY = timedelta(days=1)


def stored_forecasts(store: Store) -> dict[tuple[str, Parameter, int], tuple[float, str]]:
    """Return each stored forecast: site, parameter and lead in hours, with its value and route."""
    found, _ = StoreQueries(store.database).forecasts()
    return {(row.site, row.parameter, row.lead_minutes // 60): (row.value, row.route) for row in found}


def measured(store: Store) -> dict[tuple[str, Parameter, str], tuple[float, str]]:
    """Return each stored reading: station, parameter and time of day, with its value and route."""
    found, _ = StoreQueries(store.database).observations()
    return {(row.station, row.parameter, f"{row.time:%H:%M}"): (row.value, row.route) for row in found}


# --- Whole batches ----------------------------------------------------------------------------------


def test_texts_stored_by_an_earlier_version_are_read_without_control_characters(database_url: str) -> None:
    store = open_store(database_url)
    ledger = Ledger(store.database)
    store.add_observations(observations(stations=(Station("ffvl:1"),)))
    ledger.claim("collect_observations", "schedule", NOW)
    with store.database.write() as connection:
        connection.execute(sa.update(t.station).values(name="\x1b[31mLoge", remarks="at\x07the crest"))
        connection.execute(sa.update(t.job_run).values(note="\x1b]0;x"))
    (station,) = store.stations()
    assert (station.name, station.remarks) == (r"\x1b[31mLoge", r"at\x07the crest")
    (run,) = ledger.runs()
    assert run.note == r"\x1b]0;x"


def test_a_batch_that_breaks_in_the_middle_leaves_nothing_behind(database_url: str) -> None:
    store = open_store(database_url)
    unknown = GridPoint("arome_0025", "nowhere", "1,1")  # noticed after the values were written
    bad = forecasts(forecast(20), parts=("whole",), sites=("planfait",), grid_points=(unknown,))
    with pytest.raises(KeyError, match="nowhere"):
        store.add_forecasts(bad)
    assert stored_forecasts(store) == {}
    assert rows(store.database, t.model, "name") == []
    assert store.forecast_request((PLANFAIT,), NOW, RUN).collected == {}

    assert store.add_forecasts(replace(bad, grid_points=())) == 1


def _store_a_small_then_a_large_batch(url: str, said_go: Path) -> None:
    store = open_store(url)
    store.add_forecasts(forecasts(*(forecast(hour, hours=hour) for hour in range(48))))
    large = RUN + timedelta(hours=6)
    batch = forecasts(
        *(forecast(20, hours=minute / 60, run=large) for minute in range(120_000)),
        run=large,
        parts=("whole",),
    )
    said_go.touch()
    store.add_forecasts(batch)


def test_a_process_killed_while_storing_leaves_only_whole_batches(database_url: str, tmp_path: Path) -> None:
    # PostgreSQL finds out that its client is gone when it has done what it was asked to: that may last.
    said_go, database = tmp_path / "go", Database(database_url, busy_timeout=60)
    process = start_process(_store_a_small_then_a_large_batch, database_url, said_go)
    while process.is_alive() and not said_go.exists():
        process.join(0.01)
    before = written(database)
    while process.is_alive() and written(database) < before + 500_000:
        process.join(0.001)
    assert process.is_alive(), "the batch was stored before it could be interrupted"
    assert process.pid is not None
    os.kill(process.pid, signal.SIGKILL)
    process.join()

    store = Store(database)
    stored = rows(store.database, t.forecast, "reference_time", "wind_speed")
    assert stored == [(int(RUN.timestamp()), hour * 1000) for hour in range(48)]
    assert len(rows(store.database, t.forecast_batch, "id")) == 1
    assert store.add_forecasts(forecasts(forecast(20, run=NOW), run=NOW)) == 1, "the store goes on working"


def test_forecasts_that_are_not_of_the_run_of_their_batch_are_refused(database_url: str) -> None:
    store = open_store(database_url)
    with pytest.raises(ValueError, match="is not of the run"):
        store.add_forecasts(forecasts(forecast(20), forecast(20, run=RUN - DAY)))
    with pytest.raises(ValueError, match="have no run"):
        store.add_forecasts(replace(forecasts(forecast(20)), run=None))
    assert stored_forecasts(store) == {}


def test_a_batch_that_is_written_in_portions_is_one_batch_with_whole_rows(database_url: str) -> None:
    store = open_store(database_url)
    hours, sites = range(VALUES_AT_A_TIME * 2 // 3), ("planfait", "passy")
    # By parameter, as a file of a model lies: the values of a row come far apart.
    values = [
        forecast(hour % 60, each, hour, site) for each in (WIND, GUST) for site in sites for hour in hours
    ]
    batch = forecasts(*values)
    assert store.add_forecasts(batch) == len(values)
    assert len(rows(store.database, t.forecast_batch, "id")) == 1
    stored = rows(store.database, t.forecast, "wind_speed", "wind_gust")
    assert len(stored) == len(values) // 2
    assert all(wind == gust is not None for wind, gust in stored)
    assert store.add_forecasts(replace(batch, records=(*values, forecast(5, DIRECTION, 3, "passy")))) == 1


# --- Once, and which value wins ---------------------------------------------------------------------


def test_a_repeated_batch_stores_nothing(database_url: str) -> None:
    store = open_store(database_url)
    run = forecasts(
        forecast(20), forecast(31, GUST), forecast(18, hours=7), parts=("a",), sites=("planfait",)
    )
    network = observations(reading(12), reading(270, DIRECTION), reading(9, minutes=10))
    assert (store.add_forecasts(run), store.add_observations(network)) == (3, 3)
    later = NOW + timedelta(hours=6)
    assert store.add_forecasts(replace(run, collected_at=later)) == 0
    assert store.add_observations(replace(network, collected_at=later)) == 0
    assert len(rows(store.database, t.forecast_batch, "id")) == 1
    assert len(rows(store.database, t.observation_batch, "id")) == 1


def test_a_run_never_changes_within_a_rank_but_gains_missing_values(database_url: str) -> None:
    store = open_store(database_url)
    store.add_forecasts(forecasts(forecast(20)))
    assert store.add_forecasts(forecasts(forecast(25), forecast(40, GUST))) == 1
    assert stored_forecasts(store) == {
        ("planfait", WIND, 6): (20, "route_0"),
        ("planfait", GUST, 6): (40, "route_0"),
    }


def test_a_network_corrects_itself_and_takes_nothing_away(database_url: str) -> None:
    store = open_store(database_url)
    store.add_observations(observations(reading(12), reading(21, TEMPERATURE)))
    assert store.add_observations(observations(reading(14), reading(20, GUST))) == 2
    assert measured(store) == {
        ("ffvl:2496", WIND, "12:00"): (14, "route_0"),
        ("ffvl:2496", GUST, "12:00"): (20, "route_0"),
        ("ffvl:2496", TEMPERATURE, "12:00"): (21, "route_0"),
    }


def test_a_better_route_replaces_each_value_of_a_run_and_readings_whole(database_url: str) -> None:
    store = open_store(database_url)
    store.add_forecasts(forecasts(forecast(0), forecast(40, GUST), rank=2))
    assert store.add_forecasts(forecasts(forecast(20), rank=1)) == 1
    assert stored_forecasts(store) == {
        ("planfait", WIND, 6): (20, "route_1"),
        ("planfait", GUST, 6): (40, "route_2"),
    }, "a file without gusts costs no gust"
    assert store.add_forecasts(forecasts(forecast(20), forecast(45, GUST), rank=0)) == 1
    assert stored_forecasts(store)["planfait", GUST, 6] == (45, "route_0")

    store.add_observations(observations(reading(0), reading(0, GUST), rank=2))
    assert store.add_observations(observations(reading(12), rank=1)) == 1
    assert measured(store) == {("ffvl:2496", WIND, "12:00"): (12, "route_1")}


def test_a_calm_takes_no_direction_of_a_lesser_route_in_any_order(database_url: str) -> None:
    store = open_store(database_url)
    calm = forecasts(forecast(0), rank=0)
    lesser = forecasts(forecast(3), forecast(180, Parameter.WIND_DIRECTION), rank=2)
    store.add_forecasts(lesser)
    store.add_forecasts(calm)
    assert stored_forecasts(store) == {("planfait", WIND, 6): (0, "route_0")}
    store.add_forecasts(lesser)
    assert stored_forecasts(store) == {("planfait", WIND, 6): (0, "route_0")}


def test_a_lesser_route_overwrites_nothing_and_adds_to_no_reading(database_url: str) -> None:
    store = open_store(database_url)
    store.add_forecasts(forecasts(forecast(20), rank=0))
    assert store.add_forecasts(forecasts(forecast(9), forecast(30, GUST), forecast(8, hours=7), rank=1)) == 2
    assert stored_forecasts(store) == {
        ("planfait", WIND, 6): (20, "route_0"),
        ("planfait", GUST, 6): (30, "route_1"),
        ("planfait", WIND, 7): (8, "route_1"),
    }

    store.add_observations(observations(reading(12), rank=0))
    assert store.add_observations(observations(reading(9), reading(0, GUST), rank=1)) == 0
    assert measured(store) == {("ffvl:2496", WIND, "12:00"): (12, "route_0")}


def test_a_better_route_with_the_same_values_gains_nothing_but_is_noted(database_url: str) -> None:
    store = open_store(database_url)
    store.add_forecasts(forecasts(forecast(20), rank=1))
    assert store.add_forecasts(forecasts(forecast(20), rank=0)) == 0
    assert stored_forecasts(store) == {("planfait", WIND, 6): (20, "route_0")}


def test_a_repaired_parser_replaces_what_the_broken_one_stored(database_url: str) -> None:
    store = open_store(database_url)
    store.add_forecasts(forecasts(forecast(72), forecast(5, GUST)))
    assert store.add_forecasts(forecasts(forecast(20)), repair=True) == 1
    assert stored_forecasts(store) == {("planfait", WIND, 6): (20, "route_0")}
    assert store.add_forecasts(forecasts(forecast(9), rank=1), repair=True) == 0, "not a better route's"

    store.add_observations(observations(reading(72), reading(5, GUST)))
    assert store.add_observations(observations(reading(12)), repair=True) == 1
    assert measured(store) == {("ffvl:2496", WIND, "12:00"): (12, "route_0")}


def test_absent_stays_absent_and_zero_is_a_value(database_url: str) -> None:
    store = open_store(database_url)
    assert store.add_observations(observations(reading(0.0), reading(0.0, TEMPERATURE))) == 2
    assert store.add_forecasts(forecasts(forecast(0.0), forecast(0.0, TEMPERATURE))) == 2
    assert rows(store.database, t.observation, *COLUMNS) == [(0, None, None, 0)]
    assert rows(store.database, t.forecast, *COLUMNS) == [(0, None, None, 0)]
    assert measured(store)["ffvl:2496", WIND, "12:00"] == (0.0, "route_0")
    assert stored_forecasts(store)["planfait", TEMPERATURE, 6] == (0.0, "route_0")


def test_values_are_stored_to_the_thousandth_of_their_unit(database_url: str) -> None:
    store = open_store(database_url)
    store.add_observations(observations(reading(7.2 * 3.6), reading(-3.4567, TEMPERATURE)))
    assert rows(store.database, t.observation, "wind_speed", "temperature") == [(25920, -3457)]


values = st.lists(st.none() | st.integers(-5, 5), min_size=4, max_size=4).map(tuple)
ranked = st.tuples(st.integers(0, 2), values.filter(lambda row: any(value is not None for value in row)))


@given(st.lists(ranked, min_size=1, max_size=6), st.booleans())
def test_in_any_order_the_best_rank_stays_and_a_repetition_changes_nothing(
    came: list[tuple[int, Values]], last_wins: bool
) -> None:
    origins = {number: Origin(rank, "", number) for number, (rank, _) in enumerate(came, start=1)}
    stored: dict[str, Row] = {}
    for number, (_, row) in enumerate(came, start=1):
        changed, _ = merge(stored, {"here": row}, origins[number], origins, last_wins=last_wins)
        stored |= {key: numbered(each, number) for key, each in changed.items()}
    for index, (value, batch) in enumerate(zip(*stored["here"], strict=True)):
        # Readings are those of the best rank, whole; of forecasts each value is that of its best rank.
        best = min((rank for rank, row in came if last_wins or row[index] is not None), default=0)
        mine = [(number, row) for number, (rank, row) in enumerate(came, start=1) if rank == best]
        given_values = [(row[index], number) for number, row in mine if row[index] is not None]
        of_speed = min((rank for rank, row in came if row[0] is not None), default=best)
        if not given_values or (not last_wins and index == 2 and best > of_speed):
            assert (value, batch) == (None, None)
        elif not last_wins:
            assert (value, batch) == given_values[0]
        else:
            # Where the last ones are the same value, it came in the first of these.
            last = given_values[-1][0]
            others = [number for other, number in given_values if other != last]
            since = max(others, default=0)
            assert (value, batch) == (last, min(n for _, n in given_values if n > since))
    best = min(rank for rank, _ in came)
    again = [row for rank, row in came if rank == best][-1] if not last_wins else stored["here"].values
    number = max(number for number, origin in origins.items() if origin.rank == best)
    assert merge(stored, {"here": again}, origins[number], origins, last_wins=last_wins) == ({}, 0)


def numbered(row: Row, number: int) -> Row:
    """Return a merged row with the number of the batch that came in the place of NEW."""
    return Row(row.values, tuple(number if batch == NEW else batch for batch in row.batches))


# --- What is still wanted ---------------------------------------------------------------------------


def test_what_is_collected_of_a_run_is_known_per_part_and_site(database_url: str) -> None:
    store = open_store(database_url)
    store.add_forecasts(
        forecasts(forecast(20), parts=("20260715", "20260716"), sites=("planfait",)),
    )
    needs = store.forecast_request((PLANFAIT, PASSY), NOW, NOW - timedelta(hours=36))
    assert needs.missing("arome_0025", RUN, "20260715", rank=0) == (PASSY,)
    assert needs.missing("arome_0025", RUN, "20260717", rank=0) == (PLANFAIT, PASSY)
    assert needs.missing("arome_0025", RUN - DAY, "20260715", rank=0) == (PLANFAIT, PASSY)
    assert needs.missing("arome_001", RUN, "20260715", rank=0) == (PLANFAIT, PASSY)
    assert needs.missing("arome_0025", RUN, "20260716", rank=1) == (PASSY,)


def test_a_site_added_later_is_missing_from_what_was_collected_before(database_url: str) -> None:
    store = open_store(database_url, PLANFAIT)
    store.add_forecasts(forecasts(forecast(20), parts=("whole",), sites=("planfait",)))
    store.save_sites((PLANFAIT, PASSY))
    needs = store.forecast_request((PLANFAIT, PASSY), NOW, RUN)
    assert needs.missing("arome_0025", RUN, "whole", rank=0) == (PASSY,)


def test_a_part_stored_by_a_lesser_route_is_missing_for_the_better_one(
    database_url: str,
) -> None:
    store = open_store(database_url, PLANFAIT)

    def missing(rank: int) -> tuple[object, ...]:
        return store.forecast_request((PLANFAIT,), NOW, RUN).missing("arome_0025", RUN, "whole", rank)

    store.add_forecasts(forecasts(forecast(20), parts=("whole",), sites=("planfait",), rank=1))
    assert (missing(0), missing(1), missing(2)) == ((PLANFAIT,), (), ())
    store.add_forecasts(forecasts(forecast(21), parts=("whole",), sites=("planfait",), rank=0))
    store.add_forecasts(forecasts(forecast(20), parts=("whole",), sites=("planfait",), rank=1))
    assert missing(0) == ()


def test_only_runs_since_the_oldest_requested_one_are_looked_up(database_url: str) -> None:
    store = open_store(database_url)
    for run in (RUN - DAY, RUN):
        store.add_forecasts(forecasts(forecast(20, run=run), run=run, parts=("a",), sites=("planfait",)))
    needs = store.forecast_request((PLANFAIT,), NOW, RUN)
    assert (needs.now, needs.since) == (NOW, RUN)
    assert needs.collected == {("arome_0025", RUN, "a", "planfait"): 0}


def test_the_grid_cell_that_answered_is_remembered_and_may_change(database_url: str) -> None:
    store = open_store(database_url)
    for cell in ("12,7", "12,8"):
        point = GridPoint("arome_0025", "planfait", cell, model_elevation=912.5, height=8.0)
        store.add_forecasts(forecasts(grid_points=(point,)))
    assert store.forecast_request((PLANFAIT,), NOW, RUN).cells == {("arome_0025", "planfait"): "12,8"}
    assert rows(store.database, t.grid_point, "ground", "height") == [(912.5, 8.0)]


def test_a_model_elevation_stays_as_long_as_its_cell(database_url: str) -> None:
    store = open_store(database_url)
    stated = GridPoint("arome_0025", "planfait", "12,7", model_elevation=912.5, height=8.0)

    def then(point: GridPoint) -> list[tuple[object, ...]]:
        store.add_forecasts(forecasts(grid_points=(point,)))
        return rows(store.database, t.grid_point, "cell", "ground", "height")

    assert then(stated) == [("12,7", 912.5, 8.0)]
    assert then(replace(stated, model_elevation=None, height=None)) == [("12,7", 912.5, 8.0)]
    assert then(replace(stated, model_elevation=915.0, height=None)) == [("12,7", 915.0, 8.0)]
    assert then(replace(stated, cell="12,8", model_elevation=None)) == [("12,8", None, 8.0)]


def test_a_forecast_request_has_the_sites_with_a_stored_model_elevation(database_url: str) -> None:
    store = open_store(database_url)
    points = (
        GridPoint("arome_0025", "planfait", "12,7", model_elevation=0.0),
        GridPoint("arome_0025", "passy", "9,9"),
    )
    store.add_forecasts(forecasts(grid_points=points))

    needs = store.forecast_request((PLANFAIT, PASSY), NOW, RUN)

    assert needs.model_elevations == {("arome_0025", "planfait")}
    assert needs.without_model_elevation("arome_0025", {}) == (PASSY,)


def test_the_model_elevation_of_a_moved_site_is_unknown(database_url: str) -> None:
    store = open_store(database_url, PLANFAIT)
    store.add_forecasts(
        forecasts(grid_points=(GridPoint("arome_0025", "planfait", "12,7", model_elevation=912.5),))
    )
    opening = NOW + DAY
    moved = replace(PLANFAIT, latitude=45.86, valid_from=opening)
    store.save_sites((PLANFAIT, moved))

    assert store.forecast_request((moved,), opening, RUN).model_elevations == frozenset()


def test_an_observation_collection_knows_the_newest_reading_of_each_station(database_url: str) -> None:
    store = open_store(database_url)
    store.add_observations(observations(reading(12, minutes=20), reading(11, minutes=40)))
    store.add_observations(observations(reading(9, minutes=60), reading(3, station="romma:241")))
    needs = store.observation_request((PLANFAIT,), NOW, NOW - DAY)
    assert needs.newest == {
        "ffvl:2496": datetime(2026, 7, 15, 11, 40, tzinfo=UTC),
        "romma:241": datetime(2026, 7, 15, 12, 0, tzinfo=UTC),
    }
    assert needs.sites == (PLANFAIT,)


def test_when_a_list_of_stations_was_read_is_known_and_never_goes_back(database_url: str) -> None:
    store = open_store(database_url)
    for read_at in (NOW, NOW - DAY):
        store.add_observations(observations(listed="ffvl", collected_at=read_at))
    needs = store.observation_request((PLANFAIT,), NOW, NOW - DAY)
    assert needs.listed == {"ffvl": NOW.replace(second=0)}


# --- Stations and rejected values -------------------------------------------------------------------


def test_what_is_known_of_a_station_is_never_lost(database_url: str) -> None:
    store = open_store(database_url)
    full = Station("ffvl:2496", "Planfait", 45.85, 6.22, 950.0, "FFVL", "in the lee of the hut")
    store.add_observations(observations(reading(12)))
    assert store.stations() == (Station("ffvl:2496"),)
    store.add_observations(observations(stations=(full,)))
    store.add_observations(observations(stations=(Station("ffvl:2496", "", elevation=952.0),)))
    assert store.stations() == (replace(full, elevation=952.0),)
    assert store.observation_request((), NOW, NOW).stations == {"ffvl:2496": replace(full, elevation=952.0)}


def test_a_rejected_value_is_stored_once_with_its_raw_text_and_reason(database_url: str) -> None:
    store = open_store(database_url)
    absurd = Rejected("ffvl:2496", WIND, NOW, "9999", "out_of_range: not within 0 to 250 km/h")
    unreadable = Rejected("ffvl:2496", None, None, "31/02", "time: no such day")
    for batch in (observations(rejected=(absurd, unreadable)), observations(reading(1), rejected=(absurd,))):
        store.add_observations(batch)
    store.add_forecasts(replace(forecasts(rejected=(unreadable,)), run=None))
    columns = ("source", "route", "subject", "parameter", "time", "raw", "reason")
    assert rows(store.database, t.rejected, *columns) == [
        ("ffvl", "route_0", "ffvl:2496", "wind_speed", int(NOW.timestamp()), "9999", absurd.reason),
        ("ffvl", "route_0", "ffvl:2496", None, None, "31/02", "time: no such day"),
    ]


def test_of_many_rejected_values_a_thousand_are_stored_for_ninety_days(database_url: str) -> None:
    store = open_store(database_url)
    ledger = Ledger(store.database)
    claim = ledger.claim("collect_observations", "cli", NOW)
    assert claim is not None

    def flood(first: int, source: str = "ffvl") -> ObservationBatch:
        values = [Rejected(f"{source}:{first + n}", WIND, NOW, "9999", "out_of_range") for n in range(600)]
        return observations(rejected=tuple(values), source=source)

    for batch in (flood(0), flood(600), flood(1200), flood(0, "romma")):
        store.add_observations(batch, claim)
    stored = [source for (source,) in rows(store.database, t.rejected, "source")]
    assert (stored.count("ffvl"), stored.count("romma")) == (MOST_REJECTED, 600)

    store.prune_rejected(NOW + timedelta(days=REJECTED_DAYS))
    assert len(rows(store.database, t.rejected, "source")) == 1600
    store.prune_rejected(NOW + timedelta(days=REJECTED_DAYS, seconds=1))
    assert rows(store.database, t.rejected, "source") == []


def test_a_missing_sensor_is_stored_once_and_not_at_every_reading(database_url: str) -> None:
    store = open_store(database_url)
    for minutes, reason in product((0, 10), ("missing", "out_of_range: not within 0 to 250 km/h")):
        value = Rejected("ffvl:2496", GUST, NOW - timedelta(minutes=minutes), "-", reason)
        store.add_observations(observations(rejected=(value,)))
    noon, earlier = int(NOW.timestamp()), int(NOW.timestamp()) - 600
    assert [
        (time, reason.partition(":")[0])
        for time, reason in rows(store.database, t.rejected, "time", "reason")
    ] == [
        (noon, "missing"),
        (noon, "out_of_range"),
        (earlier, "out_of_range"),
    ]


def test_text_that_not_every_database_can_store_is_stored_as_far_as_possible(database_url: str) -> None:
    store = open_store(database_url)
    odd = "NUL \0, half of a pair \ud83e, whole \U0001fa82"
    stored = "NUL \ufffd, half of a pair \ufffd, whole \U0001fa82"
    batch = observations(
        reading(12, station=f"ffvl:{odd}"),
        stations=(Station(f"ffvl:{odd}", odd),),
        rejected=(Rejected(odd, WIND, NOW, odd, f"out_of_range: {odd}"),),
    )
    for _ in range(2):
        store.add_observations(batch)
    assert store.stations() == (Station(f"ffvl:{stored}", stored),)
    assert rows(store.database, t.rejected, "subject", "raw") == [(stored, stored)]
    found, _ = StoreQueries(store.database).observations(station=f"ffvl:{odd}")
    assert [row.value for row in found] == [12]


# --- Sites ------------------------------------------------------------------------------------------


def test_sites_come_back_as_they_were_given(database_url: str) -> None:
    store = open_store(database_url, PLANFAIT, PASSY)
    assert store.sites() == (PASSY, PLANFAIT)
    store.save_sites((replace(PASSY, name="Plaine-Joux", stations=()),))
    assert store.sites() == (replace(PASSY, name="Plaine-Joux", stations=()),)


def test_a_list_that_is_saved_already_waits_for_no_writer(database_url: str) -> None:
    store = open_store(database_url, PLANFAIT, PASSY, busy_timeout=0.05)
    changed = (
        (PASSY,),
        (PASSY, replace(PLANFAIT, stations=())),
        (PASSY, replace(PLANFAIT, networks_without_station=("ffvl",))),
        (PASSY, PLANFAIT, replace(PLANFAIT, id="semnoz")),
    )
    with open_database(database_url).write():
        store.save_sites((PASSY, PLANFAIT))
        for sites in changed:
            with pytest.raises(StoreUnavailableError, match=r"database is locked|due to lock timeout"):
                store.save_sites(sites)


def test_sites_can_be_added_without_touching_the_others(database_url: str) -> None:
    store = open_store(database_url, PLANFAIT)
    store.add_sites((PASSY,))
    assert store.sites() == (PASSY, PLANFAIT)


def test_a_site_that_moved_is_refused_and_nothing_is_changed(database_url: str) -> None:
    store = open_store(database_url, PLANFAIT)
    moved = replace(PLANFAIT, latitude=45.86)
    with pytest.raises(ConfigError, match=r"site 'planfait': its position changed: .* 45.85, 6.22, 950 m"):
        store.save_sites((PASSY, moved))
    assert store.sites() == (PLANFAIT,)
    store.remove_site("planfait")
    with pytest.raises(ConfigError, match="its position changed"):
        store.add_sites((moved,))


@pytest.mark.parametrize(
    "change",
    [{"latitude": 45.85001}, {"latitude": 45.84999}, {"longitude": 6.22001}, {"elevation": 951.0}],
)
def test_a_change_as_large_as_is_allowed_is_no_move(database_url: str, change: dict[str, float]) -> None:
    store = open_store(database_url, PLANFAIT)
    store.save_sites((replace(PLANFAIT, **change),))  # type: ignore[arg-type]
    assert store.sites() == (PLANFAIT,)


def test_a_better_reading_of_the_same_place_is_no_move(database_url: str) -> None:
    store = open_store(database_url, PLANFAIT)
    store.save_sites((replace(PLANFAIT, latitude=45.850004, elevation=950.6),))
    assert store.sites() == (PLANFAIT,)


def test_a_site_that_moved_opens_a_new_series_and_keeps_the_old_ones_data(database_url: str) -> None:
    store = open_store(database_url, PLANFAIT)
    batch = forecasts(forecast(20), parts=("whole",), sites=("planfait",))
    store.add_forecasts(batch)
    opening = NOW + DAY
    moved = replace(PLANFAIT, latitude=45.86, valid_from=opening)
    store.save_sites((PLANFAIT, moved))
    assert store.sites() == (PLANFAIT, moved)

    before = store.forecast_request((PLANFAIT, moved), NOW, RUN)
    assert before.sites == (PLANFAIT,)
    assert before.missing("arome_0025", RUN, "whole", 0) == ()
    after = store.forecast_request((PLANFAIT, moved), opening, RUN)
    assert after.sites == (moved,)
    assert after.missing("arome_0025", RUN, "whole", 0) == (moved,)
    assert store.add_forecasts(replace(batch, collected_at=opening)) == 1, "the new place has its own values"
    assert rows(store.database, t.forecast, "site_id", "wind_speed") == [(1, 20000), (2, 20000)]


def test_a_move_that_was_taken_back_goes_on_with_the_old_series(database_url: str) -> None:
    store = open_store(database_url, PLANFAIT)
    moved = replace(PLANFAIT, latitude=45.86, valid_from=NOW - DAY)
    store.save_sites((PLANFAIT, moved))
    store.add_forecasts(forecasts(forecast(20)))
    store.save_sites((PLANFAIT,))
    store.add_forecasts(forecasts(forecast(30)))
    assert rows(store.database, t.forecast, "site_id", "wind_speed") == [(1, 30000), (2, 20000)]


def test_a_series_is_identified_by_its_date_and_the_newest_by_its_place(database_url: str) -> None:
    store = open_store(database_url, PLANFAIT)
    moved = replace(PLANFAIT, latitude=45.86, valid_from=NOW - DAY)
    back = replace(PLANFAIT, valid_from=NOW)
    store.save_sites((PLANFAIT, moved, back))
    store.save_sites((PLANFAIT, moved, back))
    assert store.sites() == (PLANFAIT, moved, back)
    store.save_sites((replace(moved, valid_from=None, name="Moved"),))
    assert store.sites() == (replace(moved, name="Moved"),)
    with pytest.raises(ConfigError, match="its position changed"):
        store.save_sites((replace(back, latitude=45.9, valid_from=NOW - timedelta(hours=2)),))
    with pytest.raises(ConfigError, match="its position changed"):
        store.save_sites((replace(moved, latitude=45.9),))


def test_a_site_taken_off_the_list_keeps_its_data_and_what_was_on_its_way(database_url: str) -> None:
    store = open_store(database_url)
    store.add_forecasts(forecasts(forecast(20)))
    store.remove_site("planfait")
    assert store.sites() == (PASSY,)
    assert store.add_forecasts(forecasts(forecast(18, hours=7))) == 1
    assert stored_forecasts(store) == {
        ("planfait", WIND, 6): (20, "route_0"),
        ("planfait", WIND, 7): (18, "route_0"),
    }
    with pytest.raises(NotFoundError, match="there is no site 'planfait'"):
        store.remove_site("planfait")
    store.save_sites((PLANFAIT,))
    assert store.sites() == (PLANFAIT,)


# --- A database that does not answer ----------------------------------------------------------------


def test_a_locked_database_is_unavailable_and_nothing_is_half_written(database_url: str) -> None:
    store = open_store(database_url, busy_timeout=0.05)
    with open_database(database_url).write():
        with pytest.raises(StoreUnavailableError, match=r"database is locked|due to lock timeout"):
            store.add_forecasts(forecasts(forecast(20)))
        assert stored_forecasts(store) == {}, "readers are not held up"
    assert store.add_forecasts(forecasts(forecast(20))) == 1


def test_a_full_disk_leaves_nothing_half_written(tmp_path: Path) -> None:
    store = open_store(sqlite_url(tmp_path))
    many = forecasts(*(forecast(20, hours=minute / 60) for minute in range(20_000)), parts=("a",))
    with store.database.engine.connect() as connection:
        pages = connection.exec_driver_sql("PRAGMA page_count").scalar_one()
        connection.exec_driver_sql(f"PRAGMA max_page_count={pages + 20}")
    with pytest.raises(StoreUnavailableError, match="database or disk is full"):
        store.add_forecasts(many)
    assert stored_forecasts(store) == {}
    with store.database.engine.connect() as connection:
        connection.exec_driver_sql(f"PRAGMA max_page_count={pages + 20_000}")
    assert store.add_forecasts(many) == 20_000


def test_a_store_without_its_folder_is_unavailable_until_the_folder_is_back(tmp_path: Path) -> None:
    folder = tmp_path / "data"
    folder.mkdir()
    store = open_store(sqlite_url(folder))
    assert store.add_forecasts(forecasts(forecast(20))) == 1
    folder.rename(tmp_path / "elsewhere")
    with pytest.raises(StoreUnavailableError, match="unable to open database file"):
        store.add_forecasts(forecasts(forecast(18, hours=7)))
    with pytest.raises(StoreUnavailableError, match="unable to open database file"):
        store.sites()
    (tmp_path / "elsewhere").rename(folder)
    assert store.add_forecasts(forecasts(forecast(18, hours=7))) == 1
    assert stored_forecasts(store).keys() == {("planfait", WIND, 6), ("planfait", WIND, 7)}


def test_a_store_that_was_replaced_under_the_service_is_neither_read_nor_written(tmp_path: Path) -> None:
    store = open_store(sqlite_url(tmp_path), PLANFAIT)
    backup = tmp_path / "backup"
    backup.mkdir()
    open_store(sqlite_url(backup), PASSY).database.close()
    file = backup / "scores.sqlite3"
    before = file.read_bytes()
    file.rename(tmp_path / "scores.sqlite3")  # and the -wal of the old store still lies there
    for use in (store.sites, lambda: store.add_forecasts(forecasts(forecast(20)))):
        with pytest.raises(StoreReplacedError, match="another file has its name"):
            use()
    assert (tmp_path / "scores.sqlite3").read_bytes() == before
    for part in tmp_path.glob("scores.sqlite3-*"):
        part.unlink()
    assert open_store(sqlite_url(tmp_path), PASSY).sites() == (PASSY,), "a restart uses the new one"
