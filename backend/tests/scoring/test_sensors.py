"""Which faults of sensors are learned from generated series of many days, and which are not."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from backend.core.columns import DIRECTION, GUST, SPEED, TEMPERATURE, ReadingRows
from backend.core.local_time import HOURS_A_DAY, day_number, day_of_epoch, local_moment
from backend.core.parameters import ABSENT, Parameter
from backend.scoring.days.quality_control import Flag, ModelContext, flag
from backend.scoring.days.sensors import LastForecasts, digests, learned
from backend.scoring.grid import Span
from backend.scoring.reasons import REASONS

FIRST = day_number(date(2026, 1, 10))
ME, NEIGHBOUR = 1, 2

Series = NDArray[np.float64]


def series(days: int, seed: int = 1, minutes: int = 10) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Return the times of a winter at a slope, and its values: breeze by day, calm nights, a turning wind.

    Nights with a mean and a gust of 0 last for ten hours and more, on some days until after noon.
    """
    chance = np.random.default_rng(seed)
    time = np.arange(local_moment(FIRST), local_moment(FIRST + days), minutes * 60)
    day = np.array([day_of_epoch(int(each)) for each in time]) - FIRST
    hour = (time - np.array([local_moment(FIRST + each) for each in day.tolist()])) / 3600
    strength = chance.uniform(4, 28, days)[day]
    begins = chance.uniform(8, 13.5, days)[day]
    breeze = strength * np.clip(np.sin(np.pi * (hour - begins) / (21 - begins)), 0, None) * (hour > begins)
    speed = np.where(breeze > 1, np.rint(breeze + chance.normal(0, 1.5, len(time))), 0).clip(0)
    gust = np.where(speed > 0, np.rint(1.4 * speed + 2), 0)
    bearing = (200 + 60 * np.sin(2 * np.pi * (day + hour / 24) / 5.3) + chance.normal(0, 15, len(time))) % 360
    direction = np.where(speed > 0, np.rint(bearing / 22.5) % 16 * 22.5, np.nan)
    warmth = np.rint(3 * np.sin(2 * np.pi * (hour - 9) / 24) + chance.normal(0, 3, days)[day])
    return time, np.stack([speed, gust, direction, warmth], axis=1)


def readings(time: NDArray[np.int64], values: NDArray[np.float64]) -> ReadingRows:
    packed = np.where(np.isnan(values), ABSENT, np.nan_to_num(values) * 1000).astype(np.int32)
    there = (packed != ABSENT).any(axis=1)
    minutes = np.full(int(there.sum()), 10, np.int64)
    return ReadingRows(time[there], minutes, packed[there], np.zeros_like(minutes), minutes)


def models(
    days: int,
    wind: Callable[[NDArray[np.float64]], NDArray[np.float64]],
    *,
    names: int = 3,
    direction: Callable[[NDArray[np.float64]], NDArray[np.float64]] = lambda t: 360 * (t / 3) % 360,
    warmth: Callable[[NDArray[np.float64]], NDArray[np.float64]] = lambda t: 5 * np.sin(2 * np.pi * t),
) -> LastForecasts:
    """Return the hourly forecasts of `names` models; `t` is in days from the first one on."""
    moments = np.arange(days)[:, None] + np.arange(HOURS_A_DAY) / 24
    values = np.full((names, days, len(Parameter), HOURS_A_DAY), ABSENT, np.int32)
    for index in range(names):
        values[index, :, SPEED] = 1000 * (wind(moments) + index)
        values[index, :, DIRECTION] = 1000 * direction(moments)
        values[index, :, TEMPERATURE] = 1000 * warmth(moments)

    def last_forecasts(first: int, last: int) -> tuple[NDArray[np.int64], NDArray[np.int32]]:
        rows = np.arange(max(first - FIRST, 0), min(last - FIRST + 1, days))
        hourly = values[:, rows].reshape(-1, len(Parameter), HOURS_A_DAY)
        return np.tile(FIRST + rows, names), hourly

    return last_forecasts


def windy(t: NDArray[np.float64]) -> NDArray[np.float64]:
    return 16 + 6 * np.sin(2 * np.pi * t) + 0 * t


def flags(
    time: NDArray[np.int64], values: Series, last_forecasts: LastForecasts, beside: Series | None = None
) -> list[Flag]:
    span = Span(FIRST, day_of_epoch(int(time[-1])))
    stations = {ME: digests(readings(time, values), span)}
    if beside is not None:
        stations[NEIGHBOUR] = digests(readings(time, beside), span)
    return [flag for flag in learned(stations, last_forecasts) if flag.station == ME]


def taken_out(time: NDArray[np.int64], values: Series, found: list[Flag]) -> dict[tuple[int, str], int]:
    """Return how many values leave the scores, by parameter and reason of what the flags are about."""
    mine = readings(time, values)
    none = ModelContext(int(time[0]), np.empty((0, 0, 4), np.int32), np.empty((0, 3), np.int32))
    reason = flag(mine, [], none, found).reason
    learnt = {
        REASONS.index(name) for name in ("zero_direction", "stopped", "stuck_vane", "frozen_temperature")
    }
    return {
        (parameter, REASONS[number]): int((reason[:, parameter] == number).sum())
        for parameter in range(len(Parameter))
        for number in sorted(learnt)
        if (reason[:, parameter] == number).any()
    }


def since(time: NDArray[np.int64], day: float) -> Any:
    return time >= local_moment(FIRST) + day * 86400


# --- Honest readings ---------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", range(5))
def test_honest_calm_nights_lose_no_reading_with_every_model_too_windy(seed: int) -> None:
    time, values = series(120, seed)
    assert (values[:, SPEED] == 0).mean() > 0.5
    assert flags(time, values, models(120, windy)) == []


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("still", [False, True])
def test_a_week_of_inversion_loses_no_reading_with_every_model_too_windy(seed: int, still: bool) -> None:
    """Seven days and nights at exactly 0, or with a breath of 1 to 3 km/h around noon."""
    time, values = series(120, seed)
    inversion = since(time, 70.4) & ~since(time, 77.5)
    noon = (time // 3600 % 24 >= 11) & (time // 3600 % 24 <= 13)
    breath = np.random.default_rng(seed).integers(0, 4, len(time)) * (not still)
    values[inversion, SPEED] = np.where(noon, breath, 0)[inversion]
    values[inversion, GUST] = values[inversion, SPEED] * 2
    values[inversion, DIRECTION] = np.where(values[inversion, SPEED] > 0, 90, np.nan)
    for days in (78, 90, 120):  # while it lasts, and whenever it is looked at afterwards
        part = ~since(time, days)
        assert flags(time[part], values[part], models(120, windy)) == []


def test_models_alone_exclude_nothing_however_long_the_calm_of_a_station_without_history() -> None:
    time, values = series(60)
    calm = since(time, 20)
    values[calm, SPEED] = values[calm, GUST] = 0
    values[calm, DIRECTION] = np.nan
    found = flags(time, values, models(60, windy))
    assert [(flag.reason, flag.excludes) for flag in found] == [("stopped", False)]  # a question
    assert taken_out(time, values, found) == {}


def test_a_temperature_of_zero_is_never_suspect_by_itself() -> None:
    time, values = series(60)
    values[since(time, 40) & ~since(time, 44), TEMPERATURE] = 0  # fog and thawing snow
    assert flags(time, values, models(60, windy)) == []


def test_a_north_wind_of_two_days_is_no_dead_vane() -> None:
    time, values = series(60)
    north = since(time, 40) & ~since(time, 42) & (values[:, SPEED] > 0)
    values[north, DIRECTION] = 0
    assert flags(time, values, models(60, windy)) == []


# --- An anemometer that stops ------------------------------------------------------------------------


def stopped(days: int = 120, at: float = 80.55) -> tuple[NDArray[np.int64], Series, Any]:
    time, values = series(days)
    dead = since(time, at)
    values[dead, SPEED] = values[dead, GUST] = 0
    values[dead, DIRECTION] = np.nan
    return time, values, dead


def test_a_calm_longer_than_any_verified_one_with_wind_in_every_model_leaves_the_scores() -> None:
    time, values, dead = stopped()
    found = flags(time, values, models(120, windy))
    assert [flag.reason for flag in found] == ["stopped"]
    out = taken_out(time, values, found)
    last_wind = time[~dead & (values[:, SPEED] > 0)][-1]
    calm = int((time > last_wind).sum())  # from the first reading at 0 on, be it honest
    assert out == {(SPEED, "stopped"): calm, (GUST, "stopped"): calm}
    assert calm - int(dead.sum()) < 144


def test_the_first_days_of_a_stop_are_believed_until_it_has_lasted_for_ten() -> None:
    time, values, _ = stopped(days=90, at=80.55)
    assert flags(time, values, models(90, windy)) == []  # nine days with daytime
    time, values, _ = stopped(days=91, at=80.55)
    assert [flag.excludes for flag in flags(time, values, models(91, windy))] == [True]


def test_one_model_that_agrees_with_the_calm_is_enough_to_believe_it() -> None:
    time, values, _ = stopped()

    def one_calm(first: int, last: int) -> tuple[NDArray[np.int64], NDArray[np.int32]]:
        day, hourly = models(120, windy)(first, last)
        hourly = hourly.copy()
        hourly[: len(hourly) // 3, SPEED] = 8_000
        return day, hourly

    found = flags(time, values, one_calm)
    assert [(flag.reason, flag.excludes) for flag in found] == [("stopped", False)]  # a question
    assert taken_out(time, values, found) == {}


def test_without_forecasts_nothing_is_excluded() -> None:
    time, values, _ = stopped()
    empty = np.empty(0, np.int64), np.empty((0, len(Parameter), HOURS_A_DAY), np.int32)
    assert not any(flag.excludes for flag in flags(time, values, lambda *_: empty))


def test_a_calm_as_long_as_a_verified_one_is_believed() -> None:
    """Verified: it ended by itself, and the models had no wind either."""
    time, values, _ = stopped(days=120, at=100.5)  # 19 days with daytime
    earlier = since(time, 50) & ~since(time, 75)
    values[earlier, SPEED] = values[earlier, GUST] = 0
    values[earlier, DIRECTION] = np.nan
    calm_then = models(120, lambda t: np.where((t > 49) & (t < 76), 5.0, windy(t)))
    assert not any(flag.excludes for flag in flags(time, values, calm_then))
    longer = flags(time, values, models(120, windy))  # the models have wind: neither is verified
    assert sum(flag.excludes for flag in longer) == 2


def test_a_neighbour_decides_by_itself() -> None:
    """Where another station measures, its wind decides hour by hour; its calm confirms this one."""
    time, values, _ = stopped()
    found = flags(time, values, models(120, windy), beside=values)
    assert not any(flag.excludes for flag in found)


def test_an_anemometer_that_turns_again_is_believed_again() -> None:
    time, values, _ = stopped()
    _, good = series(120)
    again = since(time, 110)
    values[again] = good[again]
    [flag] = flags(time, values, models(120, windy))
    assert flag.excludes
    assert flag.until == time[again & (good[:, SPEED] > 0)][0]


def test_a_vane_that_keeps_turning_beside_a_calm_shortens_the_wait() -> None:
    time, values, dead = stopped(days=84)
    assert flags(time, values, models(84, windy)) == []
    values[dead, DIRECTION] = np.random.default_rng(3).integers(0, 16, int(dead.sum())) * 22.5
    found = flags(time, values, models(84, windy))
    assert [(flag.reason, flag.excludes) for flag in found] == [("stopped", True)]


def test_a_vane_that_stands_still_beside_a_calm_is_no_evidence() -> None:
    time, values, dead = stopped(days=84)
    values[dead, DIRECTION] = 90
    assert flags(time, values, models(84, windy)) == []


def test_a_silence_is_no_calm() -> None:
    time, values, dead = stopped()
    assert flags(time[~dead], values[~dead], models(120, windy)) == []


# --- A vane ------------------------------------------------------------------------------------------


def dead_vane(days: int, first: float, end: float) -> tuple[NDArray[np.int64], Series, Any]:
    """Return a series whose directions are 0 beside wind, as winds.mobi writes a vane that is missing."""
    time, values = series(days)
    dead = since(time, first) & ~since(time, end)
    values[dead & (values[:, SPEED] > 0), DIRECTION] = 0
    return time, values, dead


def test_a_direction_of_zero_in_nearly_all_moving_readings_leaves_the_scores() -> None:
    time, values, dead = dead_vane(60, 40, 60)
    found = flags(time, values, models(60, windy))
    assert [(flag.reason, flag.excludes) for flag in found] == [("zero_direction", True)]
    out = taken_out(time, values, found)
    zeros = int((values[:, DIRECTION] == 0)[dead].sum())
    assert zeros <= out[DIRECTION, "zero_direction"] <= zeros + 20  # a window may begin a day before
    assert out.keys() == {(DIRECTION, "zero_direction")}


def test_it_takes_three_days_and_a_hundred_readings() -> None:
    # Every hour with wind: ten readings a day and fewer.
    hourly = slice(None, None, 6)
    for days, excluded in ((5, False), (30, True)):
        time, values, _ = dead_vane(days, 0, days)
        values[:, DIRECTION] = np.where(values[:, SPEED] > 0, 0, np.nan)
        time, values = time[hourly], values[hourly]
        moving = int((values[:, SPEED] > 0).sum())
        assert (moving >= 100) == excluded
        found = flags(time, values, models(days, windy))
        assert bool(taken_out(time, values, found)) == excluded
    time, values, _ = dead_vane(2, 0, 2)
    assert int((values[:, SPEED] > 0).sum()) > 100
    assert flags(time, values, models(2, windy)) == []


@pytest.mark.parametrize(("share", "excluded"), [(0.9, False), (0.97, True)])
def test_it_takes_95_percent_of_the_moving_readings(share: float, excluded: bool) -> None:
    time, values, dead = dead_vane(60, 40, 60)
    turned = dead & (values[:, SPEED] > 0) & (np.random.default_rng(1).random(len(time)) > share)
    values[turned, DIRECTION] = 135
    out = taken_out(time, values, flags(time, values, models(60, windy)))
    assert bool(out) == excluded  # and of those, only exact zeros leave the scores
    assert out.get((DIRECTION, "zero_direction"), 0) <= int((values[:, DIRECTION] == 0).sum())


def test_a_north_wind_of_days_returns_once_the_station_reports_other_directions() -> None:
    time, values, _ = dead_vane(60, 40, 50)
    before = ~since(time, 50)
    assert taken_out(time[before], values[before], flags(time[before], values[before], models(60, windy)))
    assert taken_out(time, values, flags(time, values, models(60, windy))) == {}


def test_weeks_of_a_dead_vane_stay_out_once_it_is_repaired_and_what_comes_then_counts() -> None:
    time, values, _ = dead_vane(90, 30, 65)
    [flag] = [each for each in flags(time, values, models(90, windy)) if each.reason == "zero_direction"]
    assert day_of_epoch(flag.until - 1) - FIRST == pytest.approx(64, abs=1)


def test_a_vane_that_stands_still_while_the_wind_varies_leaves_the_scores() -> None:
    time, values = series(90)
    stuck = since(time, 60)
    values[stuck & (values[:, SPEED] > 0), DIRECTION] = 292.5
    found = flags(time, values, models(90, windy, direction=lambda t: 120 + 0 * t))
    assert [(flag.reason, flag.excludes) for flag in found] == [("stuck_vane", True)]
    out = taken_out(time, values, found)
    assert out == {
        (DIRECTION, "stuck_vane"): pytest.approx((values[:, DIRECTION] == 292.5)[stuck].sum(), abs=9)
    }
    # With wind from there in any model, it is a question and no more.
    mild = flags(time, values, models(90, windy, direction=lambda t: 280 + 0 * t))
    assert [(flag.reason, flag.excludes) for flag in mild] == [("stuck_vane", False)]


def test_a_steady_wind_of_four_days_is_no_stuck_vane() -> None:
    time, values = series(90)
    steady = since(time, 60) & ~since(time, 64) & (values[:, SPEED] > 0)
    values[steady, DIRECTION] = 292.5
    assert flags(time, values, models(90, windy, direction=lambda t: 120 + 0 * t)) == []


# --- A thermometer -----------------------------------------------------------------------------------


@pytest.mark.parametrize("frozen_at", [0.0, 7.0])
def test_a_frozen_temperature_leaves_the_scores_and_the_wind_stays(frozen_at: float) -> None:
    time, values = series(90)
    frozen = since(time, 60.3)
    values[frozen, TEMPERATURE] = frozen_at
    found = flags(time, values, models(90, windy))
    assert [(flag.reason, flag.excludes) for flag in found] == [("frozen_temperature", True)]
    out = taken_out(time, values, found)
    assert out.keys() == {(TEMPERATURE, "frozen_temperature")}
    assert out[TEMPERATURE, "frozen_temperature"] >= int(frozen.sum())
    # Where the models have no change of temperature either, it is a question.
    flat = flags(time, values, models(90, windy, warmth=lambda t: 0 * t))
    assert [flag.excludes for flag in flat] == [False]
