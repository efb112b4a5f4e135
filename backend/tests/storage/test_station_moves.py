"""A station that moves ends the series of its site until the operator confirms the new place."""

from __future__ import annotations

import random
from collections.abc import Iterable
from dataclasses import replace
from datetime import datetime, timedelta

import pytest
import sqlalchemy as sa

from backend.collectors.set_aside import set_aside_implausible
from backend.core.distance import metres_between
from backend.core.errors import NotFoundError
from backend.core.records import ObservationBatch, Position, Site, Station
from backend.scoring.days.update import make_due, update
from backend.scoring.sample.load import Samples
from backend.scoring.views import NEAREST
from backend.storage import schema as t
from backend.storage.stays import MOVED_METRES, Sighting, stays
from backend.storage.store import Store
from backend.tests.support.score_days import (
    LONG_AFTER,
    SITE,
    WARMTH,
    WIND,
    WIND_GUST,
    a_run,
    add,
    derived,
    every,
    measured,
    number,
    observed_hours,
    utc,
)
from backend.tests.support.stores import open_store

HERE, THERE = (45.955, 6.742), (45.40, 6.05)
"""The places of the beacon in the finding: 82 km apart."""

STATION = "ffvl:2496"
HOUR, DAY = timedelta(hours=1), timedelta(days=1)


def north_of(place: tuple[float, float], metres: float) -> tuple[float, float]:
    return place[0] + metres / 111_132.0, place[1]


def seen(*places: tuple[float, tuple[float, float]]) -> list[Sighting]:
    """Return sightings (hours from the first, place)."""
    return [Sighting(int(hours * 3600), int(hours * 3600), *place, None, "") for hours, place in places]


def begins(sightings: Iterable[Sighting]) -> list[float]:
    """Return when each stay begins, in hours."""
    return [stay.since / 3600 for stay in stays("live", sightings)]


# What a move is


def test_a_move_is_seen_three_times_over_a_day_and_dated_back_to_the_first() -> None:
    assert begins(seen((0, HERE), (6, HERE), (12, THERE), (24, THERE), (36, THERE))) == [0, 12]


@pytest.mark.parametrize(
    "sightings",
    [
        seen((0, HERE), (12, THERE), (36, THERE)),  # two sightings
        seen((0, HERE), (12, THERE), (24, THERE), (35.9, THERE)),  # less than a day
        seen((0, HERE), (12, THERE), (24, HERE), (36, THERE), (48, HERE), (60, THERE)),  # to and fro
        seen((0, HERE), (12, THERE), (24, north_of(THERE, 5000)), (36, north_of(THERE, 9000))),
        seen(*((12 * step, north_of(HERE, 299 * (step > 0))) for step in range(9))),
    ],
)
def test_anything_less_is_no_move(sightings: list[Sighting]) -> None:
    assert begins(sightings) == [0]


def test_three_hundred_metres_are_a_move() -> None:
    away = north_of(HERE, MOVED_METRES + 1)
    assert metres_between(HERE, away) == pytest.approx(MOVED_METRES + 1, abs=1)
    assert begins(seen((0, HERE), (6, away), (18, away), (30, away))) == [0, 6]


def test_a_station_that_drifts_has_moved_once_it_is_that_far_from_where_it_stood() -> None:
    drifting = seen(*((24 * step, north_of(HERE, 50 * step)) for step in range(12)))
    assert begins(drifting) == [0, 6 * 24]


def test_a_station_that_comes_back_has_moved_twice() -> None:
    there = ((hours, THERE) for hours in (12, 24, 36))
    back = ((hours, HERE) for hours in (48, 60, 72))
    assert begins(seen((0, HERE), *there, *back)) == [0, 12, 48]


# In the store


@pytest.fixture
def store(database_url: str) -> Store:
    return open_store(database_url, SITE)


def placed(
    time: datetime,
    place: tuple[float, float] | None,
    *,
    elevation: float | None = None,
    name: str = "",
    route: str = "",
    station: str = STATION,
    since: datetime | None = None,
) -> ObservationBatch:
    """Return a batch that states where a station stands, as it leaves a collection."""
    latitude, longitude = place or (None, None)
    position = Position(station, time, latitude, longitude, elevation, name, since, route)
    batch = ObservationBatch(source="ffvl", route="live", rank=0, collected_at=time, positions=(position,))
    return set_aside_implausible(batch)


def readings(value: float = 12.0) -> ObservationBatch:
    """Return hourly readings of twelve days of July."""
    return measured(every(60, utc(1), 24 * 12, value))


MOVED_AT = utc(5, 10)
MIDDLE_OF_JULY = utc(12)


def moved() -> list[ObservationBatch]:
    """Return collections every six hours from 1 July on; from MOVED_AT on the station is elsewhere."""
    return [
        placed(
            time,
            HERE if time < MOVED_AT else THERE,
            elevation=1300.0 if time < MOVED_AT else 400.0,
            name="Alpha take-off" if time < MOVED_AT else "Elsewhere",
        )
        for time in (utc(1, 4) + step * 6 * HOUR for step in range(40))
    ]


def days_observed(store: Store) -> list[int]:
    """Return the days of July on which readings count."""
    return [day for day in range(1, 13) if observed_hours(store, number(day))]


def test_readings_of_the_new_place_are_stored_and_enter_no_score(store: Store) -> None:
    add(store, [readings(), *moved()])
    update(store.database, LONG_AFTER)
    with store.database.read() as connection:
        stored = connection.execute(sa.select(sa.func.count()).select_from(t.observation)).scalar_one()
        reasons = connection.execute(sa.select(t.doubted.c.reason).distinct()).scalars().all()
    assert stored == 24 * 12
    assert reasons == ["moved"]
    assert days_observed(store) == [1, 2, 3, 4, 5]
    # 10:00 UTC, when the first answer with the new place came, is 12:00 in Paris.
    assert max(observed_hours(store, number(5))) == 11


def test_a_station_that_moves_during_updates_takes_its_readings_back(store: Store) -> None:
    add(store, [readings()])
    for batch in moved():
        add(store, [batch])
        update(store.database, batch.collected_at)
    update(store.database, LONG_AFTER)
    before = derived(store.database)
    make_due(store.database, [1])
    update(store.database, LONG_AFTER)
    assert derived(store.database) == before
    assert days_observed(store) == [1, 2, 3, 4, 5]


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_positions_that_come_in_any_order_give_the_same_days(database_url: str, seed: int) -> None:
    store = open_store(database_url, SITE)
    back = [placed(utc(11, 4) + step * 12 * HOUR, HERE) for step in range(4)]
    batches = [
        *(measured({time: 12.0}) for time in (utc(1) + step * 3 * HOUR for step in range(96))),
        *(batch for batch in moved() if batch.collected_at < utc(11)),
        *back,
        *(placed(utc(4) + step * HOUR, THERE, route="archive") for step in range(30)),
        placed(utc(2), None),
        placed(utc(3), (0.1, 0.1)),
    ]
    chance = random.Random(seed)
    chance.shuffle(batches)
    for index, batch in enumerate([*batches, *chance.sample(batches, 20)]):  # some come again
        add(store, [batch])
        if index % 17 == 0:
            update(store.database, LONG_AFTER)
    update(store.database, LONG_AFTER)
    before = derived(store.database)
    make_due(store.database, [1])
    update(store.database, LONG_AFTER)
    assert derived(store.database) == before
    assert [(move.route, move.since) for move in store.moves([SITE])] == [
        ("live", utc(5, 10)),
        ("live", utc(11, 4)),
    ], "the archive knows of one place only: that is no move"


def test_a_move_is_dated_back_to_the_reading_that_came_with_it(store: Store) -> None:
    at = [utc(5, 10) + step * 12 * HOUR for step in range(3)]
    add(store, [placed(utc(1), HERE), *(placed(time, THERE, since=time - 4 * HOUR / 60) for time in at)])
    assert [move.since for move in store.moves([SITE])] == [utc(5, 9, 56)]


def test_the_operator_confirms_a_place_and_takes_it_back(store: Store) -> None:
    add(store, [readings(), *moved()])
    update(store.database, LONG_AFTER)

    [place] = store.confirm_station(SITE.id, STATION, LONG_AFTER)
    update(store.database, LONG_AFTER)
    assert (place.latitude, place.longitude, place.name) == (*THERE, "Elsewhere")
    assert days_observed(store) == [*range(1, 13)]
    assert [move.confirmed for move in store.moves([SITE])] == [True]

    assert store.withdraw_confirmation(SITE.id, STATION) == 1
    update(store.database, LONG_AFTER)
    assert days_observed(store) == [1, 2, 3, 4, 5]
    assert [move.confirmed for move in store.moves([SITE])] == [False]


def test_a_place_that_was_confirmed_does_not_stand_for_the_next_one(store: Store) -> None:
    further = north_of(THERE, 5000)
    third = [placed(utc(9) + step * 12 * HOUR, further) for step in range(3)]
    add(store, [readings(), *(batch for batch in moved() if batch.collected_at < utc(8))])
    store.confirm_station(SITE.id, STATION, utc(8))
    add(store, third)
    update(store.database, LONG_AFTER)
    assert days_observed(store) == [*range(1, 10)], "9 July has two local hours before midnight in UTC"


def test_a_station_without_a_known_position_cannot_be_confirmed(store: Store) -> None:
    add(store, [readings()])
    with pytest.raises(NotFoundError, match=f"no position of {STATION} is known"):
        store.confirm_station(SITE.id, STATION, LONG_AFTER)


def test_a_station_given_to_a_site_measures_for_it_where_it_stands_then(database_url: str) -> None:
    store = open_store(database_url, replace(SITE, stations=("romma:241",)))
    add(store, [readings(), *moved()])
    store.save_sites([replace(SITE, stations=(STATION, "romma:241"))])
    update(store.database, LONG_AFTER)
    assert days_observed(store) == [*range(5, 13)]
    assert min(observed_hours(store, number(5))) == 12
    assert [move.confirmed for move in store.moves([SITE])] == [True]


def test_an_archive_shows_where_a_station_stood_before_it_was_given_to_a_site(database_url: str) -> None:
    """The archive is read later, by another route without a known place on that day."""
    store = open_store(database_url, replace(SITE, stations=("romma:241",)))
    add(store, [readings(), placed(utc(11), THERE)])
    store.save_sites([replace(SITE, stations=(STATION, "romma:241"))])
    add(store, [replace(batch, route="archive") for batch in moved()])
    update(store.database, LONG_AFTER)
    assert days_observed(store) == [*range(5, 13)]


def test_an_archive_that_states_other_places_than_the_newest_readings_ends_nothing(database_url: str) -> None:
    store = open_store(database_url, replace(SITE, stations=("romma:241",)))
    add(store, [readings(), placed(utc(11), THERE)])
    store.save_sites([replace(SITE, stations=(STATION, "romma:241"))])
    add(store, [placed(utc(1) + step * 12 * HOUR, HERE, route="archive") for step in range(20)])
    update(store.database, LONG_AFTER)
    assert days_observed(store) == [*range(1, 13)]


def test_a_site_judges_a_move_for_itself(database_url: str) -> None:
    other = replace(SITE, id="other", name="Other")
    store = open_store(database_url, SITE, other)
    add(store, [readings(), *moved()])
    store.confirm_station("other", STATION, LONG_AFTER)
    assert [(move.site, move.confirmed) for move in store.moves([SITE, other])] == [
        ("other", True),
        ("planfait", False),
    ]


def test_a_moved_station_gives_no_evidence_against_its_neighbour(database_url: str) -> None:
    """Its wind, 81 km away, does not show whether it is calm at the site."""
    store = open_store(database_url, SITE)
    calm = every(10, utc(8), 6 * 30, {WIND: 0.0, WIND_GUST: 0.0})
    windy = measured(every(10, utc(8), 6 * 30, 40.0))
    add(store, [windy, measured(calm, station="romma:241"), *moved()])
    update(store.database, LONG_AFTER)
    with store.database.read() as connection:
        station = connection.execute(
            sa.select(t.station.c.id).where(t.station.c.code == "romma:241")
        ).scalar()
        reasons = connection.execute(
            sa.select(t.doubted.c.reason).where(t.doubted.c.station_id == station).distinct()
        ).scalars()
        assert list(reasons) == []


def test_each_stay_has_its_own_height(store: Store) -> None:
    values = every(60, utc(1), 24 * 12, {WARMTH: 10.0})
    forecast = a_run(utc(1), {utc(1) + step * HOUR: {WARMTH: 10.0} for step in range(48)})
    later = a_run(utc(8), {utc(8) + step * HOUR: {WARMTH: 10.0} for step in range(48)})
    add(store, [measured(values), forecast, later, *moved()])
    described = ObservationBatch(
        source="ffvl", route="live", rank=0, collected_at=utc(11),
        stations=(Station(STATION, "Elsewhere", *THERE, 400.0),),
    )  # fmt: skip
    add(store, [described])
    update(store.database, LONG_AFTER)
    with store.database.write() as connection:
        point = {"model_id": 1, "site_id": 1, "cell": "", "ground": 1000.0, "height": None}
        connection.execute(sa.insert(t.grid_point).values(point))
    sample = Samples(store.database).load(SITE, NEAREST, number(1), number(12))
    of_station = sample.stations[STATION]
    assert (of_station.station.name, of_station.station.elevation) == ("Alpha take-off", 1300.0)
    # 0.0065 degrees a metre: 1300 m is 1.95 degrees colder than the model's ground, 400 m 3.9 warmer.
    corrected = sample.temperatures["arome_0025"]
    assert {value for value in corrected[0].tolist() if value > -1000} == {8050}
    assert {value for value in corrected[7].tolist() if value > -1000} == {13900}


# Questions


def questions(store: Store, now: datetime = MIDDLE_OF_JULY) -> list[str]:
    return [f"{each.station} {each.text}" for each in store.place_questions([SITE], now)]


def test_a_missing_position_is_a_question_and_no_end(store: Store) -> None:
    add(store, [readings(), *(placed(utc(1) + step * DAY, HERE) for step in range(4))])
    add(store, [placed(utc(5) + step * DAY, None if step % 2 else (0.0, 0.0)) for step in range(6)])
    update(store.database, LONG_AFTER)
    assert days_observed(store) == [*range(1, 13)]
    assert questions(store) == [
        f"{STATION} by live: no position is stated since 2026-07-05; the last known one is used"
    ]


def test_a_changed_height_alone_is_a_question_for_a_month_and_no_end(store: Store) -> None:
    heights = [1200.0] * 4 + [900.0] * 6
    add(store, [readings()])
    add(store, [placed(utc(1) + step * DAY, HERE, elevation=each) for step, each in enumerate(heights)])
    update(store.database, LONG_AFTER)
    assert days_observed(store) == [*range(1, 13)]
    changed = f"{STATION} by live: its height changed from 1200 to 900 m on 2026-07-05, at the same place"
    assert questions(store) == [changed]
    assert questions(store, utc(5) + 31 * DAY) == []


def test_a_difference_between_routes_is_a_question_and_no_move(store: Store) -> None:
    add(store, [readings()])
    for step in range(6):
        add(store, [placed(utc(1, step) + step * DAY, HERE, route="keyed")])
        add(store, [placed(utc(1, step) + step * DAY, north_of(HERE, 800), route="winds_mobi")])
    update(store.database, LONG_AFTER)
    assert days_observed(store) == [*range(1, 13)]
    assert store.moves([SITE]) == ()
    assert questions(store) == [
        f"{STATION} keyed and winds_mobi state places 0.8 km apart; this is not a move"
    ]


def test_a_place_seen_once_is_a_question(store: Store) -> None:
    add(store, [placed(utc(1), HERE), placed(utc(2), THERE)])
    [question] = questions(store)
    assert "stated 81.9 km from its place on 2026-07-02 00:00 UTC" in question


# What is stored


def rows(store: Store) -> int:
    with store.database.read() as connection:
        return connection.execute(sa.select(sa.func.count()).select_from(t.station_position)).scalar_one()


def test_a_station_of_no_site_has_a_row_for_each_place_and_one_of_a_site_one_a_day(store: Store) -> None:
    for step in range(48):
        time = utc(1) + step * HOUR
        add(store, [placed(time, HERE, station="ffvl:1"), placed(time, HERE)])
    assert rows(store) == 1 + 2
    for step in range(48, 96):
        add(store, [placed(utc(1) + step * HOUR, THERE, station="ffvl:1")])
    assert rows(store) == 2 + 2
    site = Site("one", "One", 45.9, 6.7, 1000, stations=("ffvl:1",))
    assert [move.since for move in store.moves([site])] == [utc(3)]


def test_positions_of_a_clock_that_was_ahead_are_forgotten(store: Store) -> None:
    add(store, [placed(utc(1), HERE)])
    add(store, [placed(utc(1).replace(year=2031) + step * DAY, THERE) for step in range(3)])
    assert len(store.moves([SITE])) == 1
    store.forget_times_ahead(utc(2))
    assert store.moves([SITE]) == ()
