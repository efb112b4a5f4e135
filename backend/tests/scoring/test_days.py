"""Score days: which forecast and which reading belong to an hour, and exact updates."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterable
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta

import numpy as np
import pytest
import sqlalchemy as sa

from backend.core.columns import DIRECTION, GUST, SPEED, TEMPERATURE, ReadingRows
from backend.core.local_time import day_number, day_of_epoch, local_moment
from backend.core.parameters import ABSENT, Parameter
from backend.core.records import ForecastBatch, ObservationBatch, Site
from backend.scoring.days.pairing import pair
from backend.scoring.days.update import CHUNK_DAYS, make_due, update
from backend.scoring.grid import Hours, Span
from backend.scoring.questions.series import hours
from backend.scoring.reasons import REASONS
from backend.scoring.sample.load import Samples
from backend.scoring.sample.quantities import Quantity
from backend.scoring.views import EVENING_BEFORE, MORNING, NEAREST, NOON, TWO_EVENINGS_BEFORE, VIEW_OF, View
from backend.scoring.words.caveats import notes
from backend.storage import days, due, published_months, quality_state
from backend.storage import schema as t
from backend.storage.database import Database
from backend.storage.store import Store
from backend.tests.support.score_days import (
    LONG_AFTER,
    SITE,
    WARMTH,
    WIND,
    WIND_DIRECTION,
    WIND_GUST,
    Hour,
    a_run,
    add,
    derived,
    every,
    hours_of,
    measured,
    number,
    observed_hours,
    utc,
)
from backend.tests.support.stores import open_store, set_back


@pytest.fixture
def store(database_url: str) -> Store:
    return open_store(database_url, SITE)


def made(store: Store, *batches: ForecastBatch | ObservationBatch, now: datetime = LONG_AFTER) -> Store:
    """Return the store with these batches in it and its days made."""
    add(store, batches)
    update(store.database, now)
    return store


def forecast_hours(
    store: Store, view: View, day: int, parameter: int = SPEED, model: int = 1, site: int = 1
) -> dict[int, float]:
    """Return a model's values of a day in a view, by hours from local midnight, in the parameter's unit."""
    with store.database.read() as connection:
        found = days.forecast_columns(connection, site, view.number, day, day)
    return hours_of(found, model, parameter)


def mean_hours(store: Store, day: int, parameter: int = SPEED) -> dict[int, float]:
    """Return the hourly means of the first station."""
    with store.database.read() as connection:
        found = days.observed_columns(connection, 1, day, day)
    return {
        hour: value / 1000
        for means in found.means
        for hour, value in enumerate(means[parameter].tolist())
        if value != ABSENT
    }


def doubts(store: Store) -> list[tuple[datetime, int, str]]:
    """Return each flagged value; fail unless the days count the same ones."""
    with store.database.read() as connection:
        found = connection.execute(sa.select(t.doubted).order_by(*t.doubted.primary_key)).all()
        kept = days.observed_columns(connection, 1, -(10**6), 10**6)
    counted = {
        (int(kept.owner[row]), int(kept.day[row]), parameter, REASONS[reason]): int(count)
        for (row, parameter, reason), count in np.ndenumerate(kept.doubts)
        if count
    }
    assert counted == Counter(
        (row.station_id, day_of_epoch(row.time), row.parameter, row.reason) for row in found
    )
    return [(datetime.fromtimestamp(row.time, UTC), row.parameter, row.reason) for row in found]


# --- Which forecast --------------------------------------------------------------------------------


def test_noon_in_paris_is_ten_utc_in_summer_and_eleven_in_winter(store: Store) -> None:
    made(
        store,
        a_run(utc(15, 6), {utc(15, 10): 20}),
        a_run(utc(15, 6, month=12), {utc(15, 11, month=12): 30}),
    )
    assert forecast_hours(store, NEAREST, number(15)) == {12: 20.0}
    assert forecast_hours(store, NEAREST, number(15, month=12)) == {12: 30.0}


def test_a_decision_takes_the_newest_run_that_was_out_by_then(store: Store) -> None:
    noon = utc(15, 10)  # 12:00 in Paris; 07:00 there is 05:00 UTC
    made(
        store,
        a_run(utc(14, 18), {noon: 10}, available=utc(14, 22)),
        a_run(utc(15, 0), {noon: 20}, available=utc(15, 5)),
        a_run(utc(15, 6), {noon: 30}, available=utc(15, 9, 59)),
    )
    assert forecast_hours(store, MORNING, number(15)) == {12: 20.0}
    assert forecast_hours(store, NOON, number(15)) == {12: 30.0}
    assert forecast_hours(store, EVENING_BEFORE, number(15)) == {}
    assert forecast_hours(store, NEAREST, number(15)) == {12: 30.0}


def test_a_run_published_a_second_too_late_does_not_count(store: Store) -> None:
    noon = utc(15, 10)
    made(
        store,
        a_run(utc(14, 6), {noon: 10}, available=utc(14, 17)),  # 19:00 in Paris
        a_run(utc(14, 12), {noon: 20}, available=utc(14, 17) + timedelta(seconds=1)),
    )
    assert forecast_hours(store, EVENING_BEFORE, number(15)) == {12: 10.0}


def test_two_evenings_before_is_counted_in_local_days(store: Store) -> None:
    # 23:30 UTC on the 14th is the 15th in Paris: its first whole hour there is 22:00 UTC.
    made(store, a_run(utc(13, 12), {utc(14, 22): 5, utc(15, 21): 6, utc(15, 22): 7}, available=utc(13, 17)))
    assert forecast_hours(store, TWO_EVENINGS_BEFORE, number(15)) == {0: 5.0, 23: 6.0}
    assert forecast_hours(store, EVENING_BEFORE, number(15)) == {0: 5.0, 23: 6.0}  # nothing newer came


def test_an_hour_before_the_decision_is_not_decided_any_more(store: Store) -> None:
    made(store, a_run(utc(15, 0), {utc(15, 9): 9, utc(15, 10): 10, utc(15, 11): 11}, available=utc(15, 4)))
    assert forecast_hours(store, NOON, number(15)) == {12: 10.0, 13: 11.0}
    assert forecast_hours(store, MORNING, number(15)) == {11: 9.0, 12: 10.0, 13: 11.0}


def test_lead_times_are_counted_from_the_start_of_the_run(store: Store) -> None:
    noon = utc(15, 10)
    made(
        store,
        *(
            a_run(noon - timedelta(hours=lead), {noon: lead})
            for lead in (5, 6, 11, 12, 23, 24, 35, 36, 47, 48, 60)
        ),
    )
    found = {name: forecast_hours(store, VIEW_OF[name], number(15)) for name in VIEW_OF if "lead" in name}
    assert found == {
        "lead_0_5": {12: 5.0},
        "lead_6_11": {12: 6.0},  # the newest run of each
        "lead_12_23": {12: 12.0},
        "lead_24_35": {12: 24.0},
        "lead_36_47": {12: 36.0},
        "lead_48": {12: 48.0},
    }


def test_half_hours_are_no_hours_of_a_day(store: Store) -> None:
    made(store, a_run(utc(15, 6), {utc(15, 10): 20, utc(15, 10, 30): 99}, model="meteo_parapente"))
    assert forecast_hours(store, NEAREST, number(15)) == {12: 20.0}


def test_a_calm_has_no_direction_and_zero_is_a_value(store: Store) -> None:
    hour = {WIND: 0.0, WIND_GUST: 0.0, WIND_DIRECTION: 0.0, WARMTH: 0.0}
    made(store, a_run(utc(15, 6), {utc(15, 10): hour}), measured({utc(15, 10, 5): hour}))
    assert forecast_hours(store, NEAREST, number(15), SPEED) == {12: 0.0}
    assert forecast_hours(store, NEAREST, number(15), TEMPERATURE) == {12: 0.0}
    assert forecast_hours(store, NEAREST, number(15), DIRECTION) == {}
    assert observed_hours(store, number(15), SPEED) == {12: 0.0}
    assert observed_hours(store, number(15), TEMPERATURE) == {12: 0.0}
    assert observed_hours(store, number(15), DIRECTION) == {}


def test_days_of_23_and_25_hours_hold_each_hour_once(store: Store) -> None:
    spring = {utc(28, 23, month=3) + timedelta(hours=hour): float(hour) for hour in range(24)}
    autumn = {utc(24, 22, month=10) + timedelta(hours=hour): float(hour) for hour in range(26)}
    made(store, a_run(utc(28, 21, month=3), spring), a_run(utc(24, 21, month=10), autumn))
    lead = VIEW_OF["lead_12_23"]
    assert max(forecast_hours(store, lead, number(29, month=3))) == 21  # 02:00 to 20:59 UTC after 24 h ahead
    everything = [
        forecast_hours(store, VIEW_OF[name], number(day, month))
        for name in VIEW_OF
        if name.startswith("lead")
        for day, month in ((29, 3), (25, 10))
    ]
    assert sorted(hour for found in everything[::2] for hour in found) == list(range(23))
    assert sorted(hour for found in everything[1::2] for hour in found) == list(range(25))


def test_hours_of_runs_with_an_estimated_availability_are_counted(store: Store) -> None:
    made(
        store,
        a_run(utc(15, 0), {utc(15, 10): 1, utc(15, 11): 2}, model="meteo_parapente", published=False),
        a_run(utc(15, 6), {utc(15, 11): 3}, model="meteo_parapente", available=utc(15, 8)),
    )
    with store.database.read() as connection:
        found = days.forecast_columns(connection, 1, NOON.number, number(15), number(15))
    assert found.estimated.tolist() == [1]
    assert found.minutes[:, 12:14].tolist() == [[600, 300]]


def older_runs(store: Store, view: View, day: int, parameter: int) -> dict[int, int]:
    """Return by how many minutes the run of a value is older than the newest one, by hour, where it is."""
    with store.database.read() as connection:
        (found,) = days.forecast_columns(connection, 1, view.number, day, day).older
    return {hour: int(minutes) for hour, minutes in enumerate(found[parameter]) if minutes}


def test_a_newer_run_without_a_gust_does_not_hide_that_of_the_older_run(store: Store) -> None:
    whole = {WIND: 20.0, WIND_GUST: 35.0, WIND_DIRECTION: 90.0, WARMTH: 8.0}
    made(
        store,
        a_run(utc(14, 6), {utc(15, 10): whole, utc(15, 11): whole}),
        a_run(utc(14, 12), {utc(15, 10): {WIND: 24.0, WIND_DIRECTION: 100.0}, utc(15, 11): whole}),
    )
    day = number(15)
    for view in (EVENING_BEFORE, VIEW_OF["lead_12_23"]):
        assert forecast_hours(store, view, day, SPEED)[12] == 24.0
        assert forecast_hours(store, view, day, DIRECTION)[12] == 100.0
    assert forecast_hours(store, EVENING_BEFORE, day, GUST) == {12: 35.0, 13: 35.0}
    assert forecast_hours(store, EVENING_BEFORE, day, TEMPERATURE) == {12: 8.0, 13: 8.0}
    assert older_runs(store, EVENING_BEFORE, day, GUST) == {12: 360}
    assert older_runs(store, EVENING_BEFORE, day, SPEED) == {}
    assert forecast_hours(store, VIEW_OF["lead_12_23"], day, GUST) == {
        13: 35.0
    }  # the older run is 28 h ahead


def test_a_calm_of_the_newest_run_takes_no_direction_of_an_older_one(store: Store) -> None:
    made(
        store,
        a_run(utc(14, 6), {utc(15, 10): {WIND: 20.0, WIND_DIRECTION: 90.0}}),
        a_run(utc(14, 12), {utc(15, 10): {WIND: 0.0, WIND_DIRECTION: 0.0}}),
    )
    assert forecast_hours(store, EVENING_BEFORE, number(15), SPEED) == {12: 0.0}
    assert forecast_hours(store, EVENING_BEFORE, number(15), DIRECTION) == {}


def test_a_gust_that_came_after_the_decision_leaves_the_older_run_s_gust_in_it(store: Store) -> None:
    newer = a_run(utc(14, 12), {utc(15, 10): 24})
    made(store, a_run(utc(14, 6), {utc(15, 10): {WIND: 20.0, WIND_GUST: 35.0}}), newer)
    late = a_run(utc(14, 12), {utc(15, 10): {WIND_GUST: 50.0}}, available=utc(14, 20))
    made(store, late)
    assert forecast_hours(store, EVENING_BEFORE, number(15), GUST) == {12: 35.0}
    assert forecast_hours(store, EVENING_BEFORE, number(15), SPEED) == {12: 24.0}
    assert forecast_hours(store, VIEW_OF["morning"], number(15), GUST) == {12: 50.0}


def test_hours_of_an_older_run_s_gust_are_counted_and_have_their_own_lead(store: Store) -> None:
    moments = [utc(15, 10), utc(15, 11)]
    whole = {time: {WIND: 20.0, WIND_GUST: 35.0} for time in moments}
    made(
        store,
        a_run(utc(14, 6), whole),
        a_run(utc(14, 12), {time: {WIND: 20.0} for time in moments}),
        measured({time + timedelta(minutes=5): {WIND: 18.0, WIND_GUST: 30.0} for time in moments}),
    )
    sample = Samples(store.database).load(SITE, EVENING_BEFORE, number(15), number(15))
    assert sample.from_older_runs("arome_0025", Parameter.WIND_GUST) == 2
    assert sample.within(Hours.DAY).from_older_runs("arome_0025", Parameter.WIND_GUST) == 2
    assert sample.from_older_runs("arome_0025", Parameter.WIND_SPEED) == 0
    assert sample.lead("arome_0025", Parameter.WIND_GUST)[0, 12] == 28 * 60
    assert sample.lead("arome_0025", Parameter.WIND_SPEED)[0, 12] == 22 * 60
    assert (
        "AROME: in 2 hours the newest run has no wind gust; that of the newest run that has one counts."
    ) in notes(sample, Quantity.WIND_GUST)
    assert not any("newest run" in note for note in notes(sample, Quantity.WIND_SPEED))
    (hour,) = (each for each in hours(sample, Quantity.WIND_GUST) if each.moment == moments[0].timestamp())
    assert (hour.forecasts[0].forecast, hour.forecasts[0].lead) == (35.0, 28 * 60)


# --- Which reading ---------------------------------------------------------------------------------


def test_the_reading_whose_window_has_the_hour_in_its_middle_is_taken(store: Store) -> None:
    made(store, measured({utc(15, 9, 55): 1, utc(15, 10, 0): 2, utc(15, 10, 5): 3, utc(15, 10, 15): 4}))
    assert observed_hours(store, number(15)) == {12: 3.0}


def test_a_window_of_four_minutes_has_another_middle(store: Store) -> None:
    made(store, measured({utc(15, 9, 58): 1, utc(15, 10, 2): 2, utc(15, 10, 6): 3}, averaging=4))
    assert observed_hours(store, number(15)) == {12: 2.0}


def test_a_better_reading_takes_the_place_of_a_worse_one(store: Store) -> None:
    made(store, measured({utc(15, 10, 14): 1}))
    assert observed_hours(store, number(15)) == {12: 1.0}
    made(store, measured({utc(15, 10, 6): 2}))
    assert observed_hours(store, number(15)) == {12: 2.0}


def test_a_reading_too_far_from_the_hour_belongs_to_none(store: Store) -> None:
    made(store, measured({utc(15, 10, 25): 1, utc(15, 10, 35): 2}))
    assert observed_hours(store, number(15)) == {}


def test_a_station_that_reports_every_half_hour_may_be_a_quarter_away(store: Store) -> None:
    made(store, measured(every(30, utc(15, 9, 50), 5, 7.0), averaging=None))
    assert observed_hours(store, number(15)) == {12: 7.0, 13: 7.0, 14: 7.0}


def test_the_first_hour_of_a_day_may_have_a_reading_of_the_day_before(store: Store) -> None:
    made(store, measured({utc(14, 21, 59): 4, utc(14, 21, 49): 3}))
    assert observed_hours(store, number(15)) == {0: 4.0}


def test_the_gust_of_an_hour_is_the_highest_of_the_hour_before_it(store: Store) -> None:
    gusts = {utc(15, 9, 5) + timedelta(minutes=10 * step): {WIND_GUST: 20.0 + step} for step in range(12)}
    made(store, measured(gusts))
    assert observed_hours(store, number(15), GUST) == {12: 25.0, 13: 31.0}


def test_too_few_gusts_are_none(store: Store) -> None:
    gusts = {utc(15, 9, 5) + timedelta(minutes=10 * step): {WIND_GUST: 20.0} for step in range(12)}
    del gusts[utc(15, 9, 25)], gusts[utc(15, 9, 35)]
    made(store, measured(gusts))
    assert observed_hours(store, number(15), GUST) == {13: 20.0}


MAST = "meteofrance_hourly:33236002"
"""A station whose gusts are the maximum of the 60 minutes before the stamp."""


@pytest.fixture
def with_mast(database_url: str) -> Store:
    return open_store(database_url, replace(SITE, stations=(MAST,)))


@pytest.mark.parametrize(
    ("minute", "gust"), [(-13, {}), (-12, {12: 31.0}), (0, {12: 31.0}), (12, {12: 31.0}), (13, {})]
)
def test_the_gust_of_an_hour_by_itself_is_that_of_the_hour_that_it_covers(
    with_mast: Store, minute: int, gust: dict[int, float]
) -> None:
    """48 of its 60 minutes are 0.8 of the hour."""
    made(with_mast, measured({utc(15, 10) + timedelta(minutes=minute): {WIND_GUST: 31.0}}, MAST))
    assert observed_hours(with_mast, number(15), GUST) == gust


def test_hourly_gusts_are_not_taken_from_the_hour_beside(with_mast: Store) -> None:
    """The report of 11:00 UTC is missing: no other one is of the hour that ends there."""
    made(with_mast, measured({utc(15, hour): {WIND_GUST: 20.0 + hour} for hour in (9, 10, 12)}, MAST))
    assert observed_hours(with_mast, number(15), GUST) == {11: 29.0, 12: 30.0, 14: 32.0}


def test_the_gust_of_ten_minutes_or_of_three_hours_is_not_that_of_an_hour() -> None:
    time = np.array([int(utc(15, 10).timestamp())], np.int64)
    values = np.array([[ABSENT, 31_000, ABSENT, ABSENT]], np.int32)
    ten = np.full(1, 10, np.int64)

    def gusts(minutes: int) -> list[int]:
        readings = ReadingRows(time, ten, values, np.zeros(1, np.int64), ten, minutes)
        found = pair(1, readings, values, np.zeros((1, 4, 16), np.int64), Span(number(15), number(15)))
        return [gust for gust in found.hourly[:, GUST].ravel().tolist() if gust != ABSENT]

    assert (gusts(60), gusts(10), gusts(180)) == ([31_000], [], [])


def test_a_calm_beside_the_gust_of_its_hour_is_a_measurement(with_mast: Store) -> None:
    made(with_mast, measured({utc(15, 10): {WIND: 0.0, WIND_GUST: 31.0}}, MAST))
    assert (doubts(with_mast), observed_hours(with_mast, number(15))) == ([], {12: 0.0})


# --- The mean of an hour ----------------------------------------------------------------------------


def reports(values: Iterable[Hour], start: datetime, minutes: int = 10) -> dict[datetime, Hour]:
    return {start + timedelta(minutes=minutes * step): value for step, value in enumerate(values)}


def test_an_hour_has_the_mean_of_the_reports_from_half_an_hour_before_to_half_an_hour_after(
    store: Store,
) -> None:
    """Windows with their middle from 09:30 to before 10:30: (10 + 12 + 14 + 16 + 18 + 21) / 6 = 15.1667."""
    made(store, measured(reports([99, 10, 12, 14, 16, 18, 21, 99, 99], utc(15, 9, 25))))
    assert mean_hours(store, number(15)) == {12: 15.167}
    assert observed_hours(store, number(15)) == {12: 16.0}


@pytest.mark.parametrize(
    ("minutes", "count", "hours"),
    [(10, 3, {}), (10, 4, {12: 7.0}), (5, 7, {}), (5, 8, {12: 7.0}), (15, 3, {}), (15, 4, {12: 7.0})],
)
def test_four_reports_of_six_make_a_mean_and_of_more_the_same_share(
    store: Store, minutes: int, count: int, hours: dict[int, float]
) -> None:
    start = utc(15, 9, 35)
    made(store, measured(every(minutes, start, count, 7.0)))
    assert mean_hours(store, number(15)) == hours


def test_a_beacon_of_two_reports_an_hour_has_no_means(store: Store) -> None:
    made(store, measured(reports([7.0, 8.0] * 6, utc(15, 6), 30)))
    assert len(observed_hours(store, number(15))) == 6
    assert mean_hours(store, number(15)) == {}


def test_what_was_averaged_over_more_than_an_hour_is_no_part_of_one(store: Store) -> None:
    made(store, measured(reports([7.0, 8.0] * 12, utc(15, 10)), averaging=61))
    assert mean_hours(store, number(15)) == {}
    made(store, measured(reports([7.0, 8.0] * 12, utc(16, 10)), averaging=60))
    assert mean_hours(store, number(16)) == {12: 7.5, 13: 7.5, 14: 7.5, 15: 7.5}


def test_the_direction_of_an_hour_is_that_of_the_mean_vector(store: Store) -> None:
    """Twice 10 km/h from 350 and 30 from 20 degrees: atan2(17.048, 76.078) = 12.63, not 185 and not 5."""
    north: Hour = {WIND: 10.0, WIND_DIRECTION: 350.0}
    veered: Hour = {WIND: 30.0, WIND_DIRECTION: 20.0}
    made(store, measured(reports([north, veered, north, veered], utc(15, 9, 45))))
    assert mean_hours(store, number(15)) == {12: 20.0}
    assert mean_hours(store, number(15), DIRECTION) == {12: pytest.approx(12.63, abs=0.005)}


def test_a_calm_counts_as_a_report_but_not_for_the_direction(store: Store) -> None:
    calm: Hour = {WIND: 0.0, WIND_DIRECTION: 200.0}
    east: Hour = {WIND: 8.0, WIND_DIRECTION: 90.0}
    made(store, measured(reports([calm, east, calm, east], utc(15, 9, 45))))
    made(store, measured(reports([calm, calm, calm, calm], utc(16, 9, 45))))
    assert mean_hours(store, number(15)) == {12: 4.0}
    assert mean_hours(store, number(15), DIRECTION) == {12: 90.0}
    assert mean_hours(store, number(16)) == {12: 0.0}
    assert mean_hours(store, number(16), DIRECTION) == {}


def test_of_temperatures_there_is_a_mean_and_of_gusts_none(store: Store) -> None:
    """(-1 + 0 + 0 + 0.5) / 4 = -0.125."""
    warmth = [-1.0, 0.0, 0.0, 0.5]
    made(store, measured(reports([{WARMTH: each, WIND_GUST: 30.0} for each in warmth], utc(15, 9, 45))))
    assert mean_hours(store, number(15), TEMPERATURE) == {12: -0.125}
    assert mean_hours(store, number(15), GUST) == {}


def test_a_doubted_reading_is_in_no_mean(store: Store) -> None:
    """80 stands out from 12 and 14: (10 + 12 + 14 + 16) / 4 = 13."""
    made(store, measured(reports([10, 12, 80, 14, 16], utc(15, 9, 35))))
    assert doubts(store) == [(utc(15, 9, 55), SPEED, "spike")]
    assert mean_hours(store, number(15)) == {12: 13.0}


# --- Which readings are flagged ---------------------------------------------------------------------


def test_a_gust_below_the_mean_is_doubted_and_the_mean_is_not(store: Store) -> None:
    made(store, measured({utc(15, 10, 5): {WIND: 20.0, WIND_GUST: 15.0}}))
    assert doubts(store) == [(utc(15, 10, 5), GUST, "gust_below_mean")]
    assert observed_hours(store, number(15)) == {12: 20.0}


def test_a_single_spike_is_doubted_and_a_storm_that_stays_is_not(store: Store) -> None:
    quiet = every(10, utc(15, 9, 5), 12, 10.0)
    made(store, measured(quiet | {utc(15, 10, 5): 90.0}))
    assert doubts(store) == [(utc(15, 10, 5), SPEED, "spike")]
    made(store, measured({utc(15, 10, 15): 90.0}))  # it goes on: no spike
    assert doubts(store) == []
    assert observed_hours(store, number(15))[12] == 90.0


def test_twelve_equal_winds_in_a_row_are_a_stuck_sensor_and_eleven_are_not(store: Store) -> None:
    reading = {WIND: 12.0, WIND_GUST: 18.0, WIND_DIRECTION: 270.0, WARMTH: 9.0}
    made(store, measured(every(10, utc(15, 8, 5), 11, reading)))
    assert doubts(store) == []
    made(store, measured({utc(15, 9, 55): reading}))
    assert {reason for _, _, reason in doubts(store)} == {"stuck"}
    assert len(doubts(store)) == 12 * 3  # the temperature is another sensor
    assert observed_hours(store, number(15), TEMPERATURE) != {}
    assert observed_hours(store, number(15)) == {}


def test_equal_winds_are_stuck_within_six_hours_and_all_of_them(store: Store) -> None:
    reading = {WIND: 12.0, WIND_GUST: 18.0, WIND_DIRECTION: 270.0}
    made(store, measured(every(40, utc(15, 0), 30, reading)))  # twelve take more than seven hours
    assert doubts(store) == []
    made(store, measured(every(32, utc(17, 0), 20, reading)))  # twelve take 5 h 52 min
    assert len(doubts(store)) == 20 * 3


def test_a_wind_speed_alone_may_well_be_the_same_twelve_times(store: Store) -> None:
    made(store, measured(every(10, utc(15, 8, 5), 30, {WIND: 3.0})))
    assert doubts(store) == []
    made(store, measured(every(10, utc(17, 8, 5), 30, {WIND: 3.0, WIND_DIRECTION: 90.0})))
    assert {reason for _, _, reason in doubts(store)} == {"stuck"}


def test_a_store_of_before_counts_the_same_doubts_once_it_is_migrated(store: Store) -> None:
    steady = every(10, utc(15, 20), 60, {WIND: 10.0, WIND_GUST: 5.0})  # over midnight in Paris
    made(store, measured(steady), measured({utc(20, 12): 8.0}))
    with store.database.read() as connection:
        new = days.observed_columns(connection, 1, number(1), number(31))
    assert (new.doubts.sum(axis=(1, 2)) > 0).tolist() == [True, True, False]
    with store.database.write() as connection:
        set_back(connection, "0004")
    store.database.migrate()
    assert doubts(store)
    with store.database.read() as connection:
        migrated = days.observed_columns(connection, 1, number(1), number(31))
    assert np.array_equal(migrated.doubts, new.doubts)


def test_a_store_of_before_keeps_its_counts_of_doubts_where_there_is_room_for_more_reasons(
    store: Store,
) -> None:
    steady = every(10, utc(15, 20), 60, {WIND: 10.0, WIND_GUST: 5.0})
    made(store, measured(steady), measured({utc(20, 12): 8.0}))
    with store.database.read() as connection:
        new = days.observed_columns(connection, 1, number(1), number(31))
    narrow = sa.update(t.observed_day).where(t.observed_day.c.day == sa.bindparam("of_day"))
    with store.database.write() as connection:
        set_back(connection, "0010")
        for day, counts in zip(new.day.tolist(), new.doubts, strict=True):
            packed = np.ascontiguousarray(counts[:, :8], "<u2").tobytes()
            connection.execute(narrow.values(doubts=packed), {"of_day": day})
    store.database.migrate()
    with store.database.read() as connection:
        migrated = days.observed_columns(connection, 1, number(1), number(31))
        assert days.due_days(connection, 1, number(31)).keys() == {due.EVERY_DAY}
    assert new.doubts.sum() > 0
    assert np.array_equal(migrated.doubts, new.doubts)


@pytest.mark.parametrize("version", ["0005", "0012"])
def test_a_store_of_before_has_its_days_recomputed(store: Store, version: str) -> None:
    made(store, measured({utc(20, 12): 8.0}))
    with store.database.write() as connection:
        connection.exec_driver_sql("UPDATE observed_day SET doubts = NULL")
        set_back(connection, version)
    store.database.migrate()
    with store.database.read() as connection:
        assert days.due_days(connection, 1, number(31)).keys() == {due.EVERY_DAY}
    assert update(store.database, LONG_AFTER).days


def test_a_long_calm_is_doubted_only_where_the_neighbour_has_wind(store: Store) -> None:
    calm = {WIND: 0.0, WIND_GUST: 0.0, WIND_DIRECTION: 90.0}
    made(store, measured(every(10, utc(15, 6, 5), 40, calm)))
    assert doubts(store) == []
    windy = {utc(15, 6, 5) + timedelta(minutes=10 * step): 15.0 + step % 5 for step in range(40)}
    made(store, measured(windy, station="romma:241"))
    assert {reason for _, _, reason in doubts(store)} == {"calm_among_wind"}
    assert observed_hours(store, number(15)) == {}


def _a_climate(store: Store, month: int = 6, *, spread: float = 2.0) -> None:
    """Put in a month of forecasts of 10 km/h, give or take `spread`."""
    add(
        store,
        (
            a_run(
                utc(day, 6, month=month),
                {utc(day, hour, month=month): 10 + spread * (-1) ** (day + hour) for hour in range(6, 12)},
            )
            for day in range(1, 31)
        ),
    )


def test_a_reading_far_from_every_model_is_doubted_by_the_climate_of_the_months_before(store: Store) -> None:
    _a_climate(store)
    made(
        store,
        a_run(utc(15, 6), {utc(15, 10): 10, utc(15, 11): 10}),
        measured({utc(15, 10, 5): 30, utc(15, 11, 5): 18}),
    )
    assert doubts(store) == [(utc(15, 10, 5), SPEED, "far_from_models")]
    assert observed_hours(store, number(15)) == {13: 18.0}


def test_a_limit_that_changes_recomputes_its_month(store: Store) -> None:
    _a_climate(store)
    made(store, a_run(utc(15, 6), {utc(15, 10): 10}), measured({utc(15, 10, 5): 30}))
    assert observed_hours(store, number(15)) == {}
    _a_climate(store, month=5, spread=9.0)  # backfilled: the models' climate is wider than we knew
    update(store.database, LONG_AFTER)
    assert observed_hours(store, number(15)) == {12: 30.0}


# --- The same result in any order ------------------------------------------------------------------


def _a_world(seed: int) -> list[ForecastBatch | ObservationBatch]:
    """Return batches of two models and two stations over three months, with gaps and corrections."""
    chance = random.Random(seed)
    batches: list[ForecastBatch | ObservationBatch] = []
    first = datetime(2026, 9, 1, tzinfo=UTC)
    for day in range(0, 75, 1):
        for hour in (0, 12):
            run = first + timedelta(days=day, hours=hour)
            for model in ("arome_0025", "meteo_parapente"):
                if chance.random() < 0.9:
                    values = {
                        run + timedelta(hours=lead): {
                            WIND: round(chance.uniform(0, 40), 1),
                            WIND_DIRECTION: chance.uniform(0, 359),
                            WARMTH: chance.uniform(-5, 25),
                        }
                        for lead in range(0, 48, 3)
                    }
                    available = run + timedelta(hours=chance.uniform(2, 9))
                    batches.append(a_run(run, values, available=available, model=model))
        if day in range(40, 75) and chance.random() < 0.9:
            for station in ("ffvl:2496", "romma:241"):
                start = first + timedelta(days=day, minutes=chance.choice((0, 3, 5)))
                readings = {
                    start + timedelta(minutes=20 * step): {
                        WIND: chance.choice((0.0, round(chance.uniform(0, 60), 1))),
                        WIND_GUST: chance.uniform(0, 90),
                        WIND_DIRECTION: chance.choice((0.0, 90.0, 180.0)),
                    }
                    for step in range(72)
                    if chance.random() < 0.8
                }
                finer = chance.choice((None, 22.5, 45.0))  # a vane is replaced
                batches.append(measured(readings, station, resolution=finer))
                if chance.random() < 0.3:  # the network corrects itself
                    some = chance.sample(sorted(readings), 5)
                    batches.append(measured({time: chance.uniform(0, 50) for time in some}, station))
    return batches


@pytest.mark.parametrize("seed", [1, 2])
def test_days_kept_up_to_date_in_any_order_equal_those_made_at_once(database_url: str, seed: int) -> None:
    store = open_store(database_url, SITE)
    chance = random.Random(seed)
    batches = _a_world(seed)
    chance.shuffle(batches)
    now = datetime(2026, 11, 10, 12, tzinfo=UTC)
    for number_, batch in enumerate(batches):
        add(store, [batch])
        if number_ % 37 == 0:
            update(store.database, now - timedelta(days=chance.randrange(30)))
    update(store.database, now)
    kept = derived(store.database)
    flags = kept.pop(t.station_flag.name)  # this random weather need not lead to any
    assert {name: bool(found) for name, found in kept.items()} == dict.fromkeys(kept, True)
    kept[t.station_flag.name] = flags
    make_due(store.database, [1])
    update(store.database, now)
    assert derived(store.database) == kept


def test_each_day_has_the_resolution_of_its_own_directions(store: Store) -> None:
    for day, resolution in ((10, 22.5), (11, None), (12, 45.0)):
        values = {utc(day, hour): {WIND: 10.0, WIND_DIRECTION: 90.0} for hour in range(24)}
        add(store, [measured(values, resolution=resolution)])
    update(store.database, LONG_AFTER)
    with store.database.read() as connection:
        found = connection.execute(
            sa.select(t.observed_day.c.day, t.observed_day.c.resolution).order_by(t.observed_day.c.day)
        )
        kept = {row.day - number(10): row.resolution for row in found}
    # The first two local hours of a day are the last two of the day before in UTC.
    assert kept == {0: 22.5, 1: 22.5, 2: 45.0, 3: 45.0}


def test_an_update_makes_every_site_that_something_came_for_and_no_other(store: Store) -> None:
    sites = [SITE, *(replace(SITE, id=f"other-{index}", stations=()) for index in range(4))]
    store.save_sites(sites)
    update(store.database, LONG_AFTER)
    lengths = {"other-0": 3, "other-2": CHUNK_DAYS + 10, "other-3": 3}  # one of them too much for one time
    for site, length in lengths.items():
        values = {utc(1, 10) + timedelta(days=day): day for day in range(length)}
        add(store, [a_run(utc(1), values, site=site)])
    done: list[int] = []
    report = update(store.database, LONG_AFTER, done.append)
    assert report.days == {2: 3, 4: CHUNK_DAYS + 10, 5: 3}
    assert sorted(done) == [2, 4, 5]
    assert forecast_hours(store, NOON, number(3), site=4) == {12: 2.0}
    kept = derived(store.database)
    for site_id in (5, 4, 2):
        make_due(store.database, [site_id])
        update(store.database, LONG_AFTER)
    assert derived(store.database) == kept


def test_an_update_that_is_stopped_leaves_the_rest_to_the_next(store: Store) -> None:
    store.save_sites([SITE, replace(SITE, id="other")])
    for site in (SITE.id, "other"):
        values = {utc(1, 10) + timedelta(days=day): day for day in range(CHUNK_DAYS)}
        add(store, [a_run(utc(1), values, site=site)])
    done: list[int] = []
    first = update(store.database, LONG_AFTER, done.append, stopped=lambda: bool(done))
    assert first.days == {done[0]: CHUNK_DAYS}
    with store.database.read() as connection:
        # Its months are published: no later update would know that they changed.
        assert published_months.public_months(connection, done[0])
    second = update(store.database, LONG_AFTER, stopped=lambda: False)
    assert second.days == {3 - done[0]: CHUNK_DAYS}


def test_days_to_come_wait_until_they_are_today(store: Store) -> None:
    add(store, [a_run(utc(15, 0), {utc(15, 10): 1, utc(16, 10): 2})])
    update(store.database, utc(15, 6))
    assert forecast_hours(store, MORNING, number(15)) == {12: 1.0}
    assert forecast_hours(store, VIEW_OF["lead_24_35"], number(16)) == {}
    update(store.database, utc(16, 0))
    assert forecast_hours(store, VIEW_OF["lead_24_35"], number(16)) == {12: 2.0}


def test_a_day_that_changed_since_it_was_read_is_not_settled(store: Store) -> None:
    add(store, [a_run(utc(15, 0), {utc(15, 10): 1})])
    with store.database.read() as connection:
        read = days.due_days(connection, 1, number(20))
        stamp = days.days_stamp(connection, 1)
    add(store, [a_run(utc(15, 6), {utc(15, 10): 2})])
    with store.database.write() as connection:
        assert not days.settle(connection, 1, read, stamp)
        now = days.due_days(connection, 1, number(20))
        assert days.settle(connection, 1, now, stamp)
        assert days.due_days(connection, 1, number(20)) == {}


def test_days_are_not_settled_once_another_process_has_written_other_days_of_the_site(store: Store) -> None:
    """Limits and flags rest on days that are not due: they may not be those of before."""
    add(store, [a_run(utc(15, 0), {utc(15, 10): 1})])
    with store.database.read() as connection:
        read = days.due_days(connection, 1, number(20))
        stamp = days.days_stamp(connection, 1)
    with store.database.write() as connection:
        days.stamp_days(connection, 1)
        assert not days.settle(connection, 1, read, stamp)
        assert days.due_days(connection, 1, number(20)) == read


def test_the_same_batch_again_makes_nothing_due(store: Store) -> None:
    batch = a_run(utc(15, 0), {utc(15, 10): 1})
    made(store, batch)
    add(store, [batch])
    with store.database.read() as connection:
        assert days.due_sites(connection, number(31)) == {}


def test_a_new_reference_station_is_computed_for_all_days_of_its_site(store: Store) -> None:
    made(store, measured({utc(15, 10, 5): 12}, station="ffvl:7"))
    assert observed_hours(store, number(15)) == {}
    store.save_sites(
        [
            Site(
                SITE.id,
                SITE.name,
                SITE.latitude,
                SITE.longitude,
                SITE.elevation,
                SITE.orientation,
                ("ffvl:7",),
            )
        ]
    )
    update(store.database, LONG_AFTER)
    assert observed_hours(store, number(15)) == {12: 12.0}


def test_what_was_collected_before_there_were_days_is_made_by_the_first_update(store: Store) -> None:
    add(store, [a_run(utc(15, 0), {utc(15, 10): 1}), measured({utc(15, 10, 5): 12})])
    with store.database.write() as connection:  # as the migration leaves a store
        connection.execute(sa.delete(t.due_day))
        due.note_due(connection, [(1, due.EVERY_DAY)])
    update(store.database, LONG_AFTER)
    assert forecast_hours(store, NOON, number(15)) == {12: 1.0}
    assert observed_hours(store, number(15)) == {12: 12.0}


def test_all_days_of_a_site_include_the_hour_after_its_last_reading(store: Store) -> None:
    made(store, measured({utc(14, 10, 5): 12, utc(14, 21, 59): 4}))
    kept = derived(store.database)
    assert observed_hours(store, number(15)) == {0: 4.0}
    with store.database.write() as connection:
        connection.execute(sa.delete(t.observed_day))
    make_due(store.database, [1])
    update(store.database, LONG_AFTER)
    assert derived(store.database) == kept


def test_local_midnight_is_where_a_day_begins() -> None:
    assert np.diff([local_moment(number(29, month=3) + step) for step in range(2)]).tolist() == [23 * 3600]
    assert np.diff([local_moment(number(25, month=10) + step) for step in range(2)]).tolist() == [25 * 3600]


# --- Station flags ----------------------------------------------------------------------------------


def _a_stop(seed: int) -> list[ForecastBatch | ObservationBatch]:
    """Return a batch per day: a station that stops for 14 days, and two models that always have wind.

    Its vane is missing on the last five days. A correction of the network repeats some zeros.
    """
    chance = random.Random(seed)
    first = datetime(2026, 9, 1, tzinfo=UTC)
    batches: list[ForecastBatch | ObservationBatch] = []
    for day in range(60):
        start = first + timedelta(days=day)
        stands, missing = 38 <= day < 52, day >= 55
        values: dict[datetime, Hour] = {}
        for step in range(48):
            wind = 0.0 if stands or step < 14 else round(chance.uniform(1, 30))
            hour: dict[Parameter, float] = {WIND: wind, WIND_GUST: 1.5 * wind, WARMTH: step / 4 + day % 7}
            if wind:
                hour[WIND_DIRECTION] = 0.0 if missing else chance.choice((90.0, 112.5, 135.0))
            values[start + timedelta(minutes=30 * step + 5)] = hour
        batches.append(measured(values))
        if stands and chance.random() < 0.3:
            batches.append(measured(dict.fromkeys(chance.sample(sorted(values), 5), 0.0)))
        for model in ("arome_0025", "meteo_parapente"):
            windy_hours: dict[datetime, Hour] = {
                start + timedelta(hours=hour): {WIND: 14.0 + hour % 5, WIND_DIRECTION: 180.0}
                for hour in range(24)
            }
            batches.append(a_run(start - timedelta(hours=6), windy_hours, model=model))
    return batches


def _learned(database: Database) -> set[tuple[int, str, bool]]:
    with database.read() as connection:
        return {(row[1], row[2], bool(row[5])) for row in quality_state.read_flags(connection, 1)}


@pytest.mark.parametrize("seed", [1, 2])
def test_what_is_learned_of_sensors_in_any_order_equals_what_is_learned_at_once(
    database_url: str, seed: int
) -> None:
    store = open_store(database_url, SITE)
    chance = random.Random(seed)
    batches = _a_stop(seed)
    if seed == 1:
        chance.shuffle(batches)
    now = datetime(2026, 10, 31, 12, tzinfo=UTC)
    for number_, batch in enumerate(batches):
        add(store, [batch])
        if number_ % 23 == 0:
            update(store.database, now - timedelta(days=chance.randrange(30)))
    update(store.database, now)
    kept = derived(store.database)
    assert _learned(store.database) == {(SPEED, "stopped", True), (DIRECTION, "zero_direction", True)}
    assert {row.reason for row in _doubted(store)} >= {"stopped", "zero_direction"}
    make_due(store.database, [1])
    update(store.database, now)
    assert derived(store.database) == kept


def _doubted(store: Store) -> list[sa.Row[tuple[object, ...]]]:
    doubts(store)  # the days count the same ones
    with store.database.read() as connection:
        return list(connection.execute(sa.select(t.doubted)))


def test_days_that_were_made_lose_what_is_learned_later_and_get_it_back(store: Store) -> None:
    """Ten days on end without wind are believed on the ninth; a day is added, and the others are due."""
    batches = [batch for batch in _a_stop(3) if isinstance(batch, ForecastBatch)]
    measurements = [batch for batch in _a_stop(3) if isinstance(batch, ObservationBatch)]
    add(store, batches)
    first = datetime(2026, 9, 1, tzinfo=UTC)

    def until(day: int) -> None:
        end = first + timedelta(days=day)
        add(store, (batch for batch in measurements if max(each.time for each in batch.records) < end))
        update(store.database, end)

    until(46)
    assert _learned(store.database) == set()
    standing = day_number(date(2026, 10, 10))
    assert observed_hours(store, standing)[12] == 0.0
    until(50)
    assert _learned(store.database) == {(SPEED, "stopped", True)}
    assert observed_hours(store, standing) == {}
    assert observed_hours(store, standing, TEMPERATURE) != {}
    with store.database.read() as connection:
        assert days.due_sites(connection, number(20, month=10)) == {}
    # A model that has no wind arrives for these days: the calm may be honest, and counts again.
    calm: dict[datetime, Hour] = {
        first + timedelta(days=day, hours=hour): 3.0 for day in range(36, 52) for hour in range(24)
    }
    add(store, [a_run(first + timedelta(days=35, hours=12), calm, model="icon_d2")])
    update(store.database, first + timedelta(days=50))
    assert {flag[2] for flag in _learned(store.database)} == {False}
    assert observed_hours(store, standing)[12] == 0.0
