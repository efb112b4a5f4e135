"""The verification of issued forecasts, against figures worked out by hand and against other code."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import cast

import msgspec
import numpy as np
import pytest
import scoringrules  # type: ignore[import-untyped]

from backend.answers.forecast import forecast_answer
from backend.answers.forecast_verification import (
    ParameterVerification,
    VerificationAnswer,
    verification_answer,
)
from backend.answers.service import ReadingParts
from backend.answers.withholding import NOTHING, Withholding, withheld_from_public
from backend.core.issued import LEVELS, IssuedForecast
from backend.core.local_time import date_of, day_number
from backend.core.parameters import Parameter
from backend.forecast.verification import at_all_levels
from backend.scoring.grid import Hours
from backend.scoring.views import EVENING_BEFORE
from backend.storage.issued import append_issued
from backend.tests.support.issued import an_issued_day
from backend.tests.support.score_store import DIRECTION, GUST, SPEED, Grid, constant, keep
from backend.tests.support.scored_site import AROME, DAYS, FFVL, FIRST, noise, scored_site

DAY = day_number(FIRST)


def service_of(
    folder: Path, forecasts: list[IssuedForecast], observed: dict[Parameter, Grid]
) -> ReadingParts:
    service = scored_site(folder, {AROME: {SPEED: constant(DAYS, 20.0)}}, {FFVL: observed})
    with service.database.write() as connection:
        append_issued(connection, forecasts)
    return cast(ReadingParts, service)


def answer_of(
    service: ReadingParts, *, sites: int = 1, hours: Hours = Hours.ALL, withheld: Withholding = NOTHING
) -> VerificationAnswer:
    return verification_answer(
        service,
        service.sites()[:sites],
        EVENING_BEFORE,
        DAY,
        DAY + DAYS - 1,
        withheld,
        hours=hours,
        limit=25.0,
        gust_limit=35.0,
    )


def wind_of(answer: VerificationAnswer) -> ParameterVerification:
    [found] = [each for each in answer.parameters if each.parameter is Parameter.WIND_SPEED]
    return found


def with_references(forecast: IssuedForecast, best: float, placebo: float) -> IssuedForecast:
    count = len(forecast.hours.times)
    of_levels = tuple((round(1000 * (best + each)),) * count for each in (-8.0, -4.0, 0.0, 4.0, 8.0))
    hours = msgspec.structs.replace(
        forecast.hours,
        best=AROME,
        best_values=(round(1000 * best),) * count,
        best_quantiles=of_levels,
        placebo=(round(1000 * placebo),) * count,
    )
    return replace(forecast, hours=hours)


def test_every_figure_of_a_constant_forecast_is_as_worked_out_by_hand(tmp_path: Path) -> None:
    """Issued 20 (16 to 24), measured 21: 1 km/h off, inside, an interval of 8. AROME is 4 off, 25 ± 8."""
    forecasts = [
        with_references(an_issued_day("grand-pre", DAY + day, 20.0), 25.0, 18.0) for day in range(DAYS)
    ]
    wind = wind_of(answer_of(service_of(tmp_path, forecasts, {SPEED: constant(DAYS, 21.0)})))
    assert wind.n_hours == 24 * DAYS
    figures = {
        name: getattr(wind, name)
        for name in ("mae", "coverage", "coverage_by_pit", "width", "interval_score")
    }
    assert {name: each.mean for name, each in figures.items()} == {
        "mae": 1.0, "coverage": 1.0, "coverage_by_pit": 1.0, "width": 8.0, "interval_score": 8.0,
    }  # fmt: skip
    assert {each.n_days for each in figures.values()} == {DAYS}
    assert wind.pit[6] == 1.0, "21 lies between the median 20 and the upper quartile 22: F = 0.5 + 0.25 / 2"
    of_name = {each.reference: each for each in wind.references}
    best, dressed, placebo = (of_name[name] for name in ("best_model", "best_model_dressed", "placebo"))
    assert best.mae is not None and best.mae.mean == 4.0
    assert best.mae_difference is not None and best.mae_difference.mean == -3.0
    assert placebo.mae_difference is not None and placebo.mae_difference.mean == -2.0
    assert dressed.interval_score is not None and dressed.interval_score.mean == 16.0
    assert dressed.coverage is not None and dressed.coverage.mean == 1.0
    assert dressed.crps_difference is not None and dressed.crps_difference.mean < 0
    assert wind.crps is not None and dressed.crps is not None
    assert wind.crps.mean - dressed.crps.mean == pytest.approx(dressed.crps_difference.mean)


def test_the_crps_is_that_of_another_code(tmp_path: Path) -> None:
    observed = 20.0 + noise(4, size=3.0)
    forecasts = [an_issued_day("grand-pre", DAY + day, 20.0) for day in range(DAYS)]
    wind = wind_of(answer_of(service_of(tmp_path, forecasts, {SPEED: observed})))
    issued = at_all_levels(np.array([16.0, 18.0, 20.0, 22.0, 24.0]))
    measured = np.round(observed[:, :24], 3)
    of_hours = np.broadcast_to(issued, (*measured.shape, 19))
    expected = scoringrules.crps_quantile(measured, of_hours, np.arange(1, 20) / 20)
    assert wind.crps is not None
    assert wind.crps.mean == pytest.approx(float(np.mean(expected)), abs=1e-4)


def test_between_issued_quantiles_a_distribution_is_uniform() -> None:
    found = at_all_levels(np.array([0.0, 0.0, 3.0, 7.0, 12.0]))
    assert found[[1, 4, 9, 14, 17]].tolist() == [0.0, 0.0, 3.0, 7.0, 12.0], "at 10, 25, 50, 75 and 90 %"
    assert found[[2, 10, 15]].tolist() == pytest.approx([0.0, 3.8, 7 + 5 / 3])
    assert found[[0, 18]].tolist() == pytest.approx([0.0, 12 + 5 / 3])
    assert len(LEVELS) == 5


def test_what_was_not_issued_for_everyone_or_in_time_is_not_verified(tmp_path: Path) -> None:
    forecasts = [
        *(an_issued_day("grand-pre", DAY + day, 21.0) for day in range(3)),
        *(an_issued_day("grand-pre", DAY + day, 99.0, audience="operator") for day in range(DAYS)),
        *(an_issued_day("grand-pre", DAY + day, 99.0, delay=timedelta(hours=1)) for day in range(5, 9)),
        *(an_issued_day("grand-pre", DAY + day, 99.0, station="ffvl:77") for day in range(9, 12)),
    ]
    service = service_of(tmp_path, forecasts, {SPEED: constant(DAYS, 20.0)})
    for withheld in (NOTHING, withheld_from_public(service)):
        wind = wind_of(answer_of(service, withheld=withheld))
        assert wind.mae is not None
        assert (wind.mae.mean, wind.mae.n_days, wind.mae.low) == (1.0, 3, None)


def test_a_forecast_made_from_what_is_withheld_now_is_left_out_for_the_public(tmp_path: Path) -> None:
    forecasts = [an_issued_day("grand-pre", DAY + day, 21.0, station="romma:902") for day in range(5)]
    service = scored_site(
        tmp_path,
        {AROME: {SPEED: constant(DAYS, 20.0)}},
        {"romma:902": {SPEED: constant(DAYS, 20.0)}},
        public_raw_sources="",
    )
    with service.database.write() as connection:
        append_issued(connection, forecasts)
    parts = cast(ReadingParts, service)
    assert answer_of(parts, withheld=withheld_from_public(parts)).parameters == []
    assert len(answer_of(parts).parameters) == 1


def test_the_turn_of_a_direction_goes_the_shorter_way(tmp_path: Path) -> None:
    forecasts = [
        an_issued_day("grand-pre", DAY + day, 350.0, parameter=DIRECTION, quantiles=False) for day in range(5)
    ]
    speed, vane = constant(DAYS, 20.0), constant(DAYS, 10.0)
    speed[:, :6], vane[:, :6] = 4.0, 200.0  # in light wind a vane turns at random
    observed = {SPEED: speed, DIRECTION: vane}
    [found] = answer_of(service_of(tmp_path, forecasts, observed)).parameters
    assert found.mae is not None and found.mae.mean == 20.0
    assert found.n_hours == 5 * 18
    assert (found.crps, found.coverage, found.chance, found.pit) == (None, None, None, [])


def test_a_calm_beacon_is_not_covered_by_construction(tmp_path: Path) -> None:
    """An interval from 0 holds all of 70 % zeros; the randomised PIT counts the share it is made for."""
    observed = np.where(np.random.default_rng(5).random((DAYS, 25)) < 0.7, 0.0, 10.0)
    forecasts = [an_issued_day("grand-pre", DAY + day, 0.0, spread=1.5) for day in range(DAYS)]
    wind = wind_of(answer_of(service_of(tmp_path, forecasts, {SPEED: observed})))
    assert wind.coverage is not None and wind.coverage_by_pit is not None
    assert wind.coverage.mean == pytest.approx(0.7, abs=0.03)
    assert wind.coverage_by_pit.mean < wind.coverage.mean - 0.05


def issued_winds(wind: Grid, gust: Grid) -> list[IssuedForecast]:
    return [
        an_issued_day("grand-pre", DAY + day, values[day], parameter=parameter)
        for day in range(len(wind))
        for parameter, values in ((SPEED, wind), (GUST, gust))
    ]


def test_chances_are_verified_from_the_31st_day_on(tmp_path: Path) -> None:
    """The forecast of day 32 in the evening before knows 30 days: those up to the day before the decision."""
    wind, gust = 20.0 + 0 * noise(1), 30.0 + 0 * noise(1)
    observed = {SPEED: wind + noise(2, size=4.0), GUST: gust + noise(3, size=4.0)}
    answer = answer_of(service_of(tmp_path, issued_winds(wind, gust), observed))
    chance = wind_of(answer).chance
    assert chance is not None
    assert chance.brier.n_days == DAYS - 31
    assert chance.n_cases == 24 * (DAYS - 31)
    assert sum(each.n_cases for each in chance.bins) == chance.n_cases
    happened = (np.round(observed[SPEED], 3)[31:, :24] > 25.0).mean()
    assert chance.share == pytest.approx(happened)
    assert chance.same_chance == pytest.approx(happened * (1 - happened))
    assert chance.brier.mean == pytest.approx(chance.same_chance, abs=0.03), "the forecast knows no more"
    for each in chance.bins:
        assert (each.chance is None) == (each.n_cases == 0)
        assert each.chance is None or each.low <= each.chance <= each.high
    assert answer.day_chance is not None
    assert answer.day_chance.n_cases == DAYS - 31


def test_a_day_with_a_missing_reading_and_none_above_is_not_judged(tmp_path: Path) -> None:
    wind, gust = 20.0 + 0 * noise(1), 30.0 + 0 * noise(1)
    observed = {SPEED: wind.copy(), GUST: gust.copy()}
    observed[SPEED][-1, 14] = np.nan
    observed[SPEED][-2, 14] = np.nan
    observed[GUST][-2, 15] = 36.0
    day_chance = answer_of(service_of(tmp_path, issued_winds(wind, gust), observed)).day_chance
    assert day_chance is not None
    assert day_chance.n_cases == DAYS - 31 - 1
    assert day_chance.share == pytest.approx(1 / (DAYS - 32))


def test_hours_that_do_not_count_are_in_no_figure(tmp_path: Path) -> None:
    observed = constant(DAYS, 30.0)
    observed[:, 10:19] = 21.0
    forecasts = [an_issued_day("grand-pre", DAY + day, 20.0) for day in range(DAYS)]
    service = service_of(tmp_path, forecasts, {SPEED: observed})
    flying = wind_of(answer_of(service, hours=Hours.FLYING))
    assert flying.mae is not None and flying.mae.mean == pytest.approx(1.0)
    assert flying.n_hours == 9 * DAYS


def test_of_several_sites_a_day_is_one_value(tmp_path: Path) -> None:
    """Two sites with the same station error: the days do not double, and the interval is that of one."""
    observed = 20.0 + noise(6)
    service = scored_site(tmp_path, {AROME: {SPEED: constant(DAYS, 20.0)}}, {FFVL: {SPEED: observed}})
    keep(
        service.database,
        service.sites()[1],
        FIRST,
        models={AROME: {SPEED: constant(DAYS, 20.0)}},
        stations={"romma:903": {SPEED: observed}},
    )
    forecasts = [
        an_issued_day(site, DAY + day, 20.0, station=station)
        for site, station in (("grand-pre", FFVL), ("petit-col", "romma:903"))
        for day in range(DAYS)
    ]
    with service.database.write() as connection:
        append_issued(connection, forecasts)
    parts = cast(ReadingParts, service)
    one, both = answer_of(parts), answer_of(parts, sites=2)
    assert (one.site, both.site, one.n_sites, both.n_sites) == ("grand-pre", None, 1, 2)
    assert wind_of(both).n_hours == 2 * wind_of(one).n_hours
    assert wind_of(both).mae == wind_of(one).mae


def test_errors_at_another_station_are_in_no_chance(tmp_path: Path) -> None:
    """The last 5 days are of another station, which has no 30 days behind it yet."""
    stations = {code: {SPEED: 20.0 + noise(7)} for code in (FFVL, "romma:902")}
    service = scored_site(tmp_path, {AROME: {SPEED: constant(DAYS, 20.0)}}, stations)
    forecasts = [
        an_issued_day("grand-pre", DAY + day, 20.0, station=FFVL if day < DAYS - 5 else "romma:902")
        for day in range(DAYS)
    ]
    with service.database.write() as connection:
        append_issued(connection, forecasts)
    wind = wind_of(answer_of(cast(ReadingParts, service)))
    assert wind.mae is not None and wind.chance is not None
    assert (wind.mae.n_days, wind.chance.brier.n_days) == (DAYS, DAYS - 5 - 31)


def test_the_forecast_states_the_same_share_that_held(tmp_path: Path) -> None:
    """The card of a day and the verification of the days before it are one figure."""
    service = service_of(
        tmp_path,
        [an_issued_day("grand-pre", DAY + day, 20.0) for day in range(DAYS + 1)],
        {SPEED: 20.0 + noise(8, size=3.5)},
    )
    [site, *_] = service.sites()
    tomorrow = date_of(DAY + DAYS)
    shown = forecast_answer(
        service, site, tomorrow, NOTHING, view=EVENING_BEFORE, limit=25.0, gust_limit=35.0
    ).wind_speed.held
    last = DAY + DAYS - 2  # of tomorrow's forecast, the day before its decision
    wind = wind_of(
        verification_answer(
            service,
            [site],
            EVENING_BEFORE,
            last - 89,
            last,
            NOTHING,
            hours=Hours.ALL,
            limit=25.0,
            gust_limit=35.0,
        )
    )
    assert shown is not None and wind.coverage is not None
    assert shown.n_days == wind.coverage.n_days
    assert (shown.share, shown.low, shown.high) == pytest.approx(
        (wind.coverage.mean, wind.coverage.low, wind.coverage.high)
    )
