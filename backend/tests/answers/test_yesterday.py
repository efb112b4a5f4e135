"""Past days: the word for each model, the strip of days, and the worst misses of the season."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, timedelta
from pathlib import Path
from typing import cast

import numpy as np
import pytest

from backend.answers.service import ReadingParts
from backend.answers.withholding import withheld_from_public
from backend.answers.yesterday import (
    STRIP_DAYS,
    Judgement,
    ModelOfDay,
    YesterdayAnswer,
    season_of,
    yesterday_answer,
)
from backend.scoring.grid import Season
from backend.tests.support.score_store import GUST, SPEED, Grid, constant, keep
from backend.tests.support.served import NOW, make_service
from backend.tests.support.stores import make_tables

AROME, PARAPENTE, FFVL, ROMMA = "arome_0025", "meteo_parapente", "ffvl:901", "romma:902"
TODAY = NOW.date()
DAYS = 30
FIRST = TODAY - timedelta(days=DAYS)
"""The first of the stored days; the last one is yesterday."""


def steady(value: float = 20.0) -> Grid:
    return constant(DAYS, value)


def with_hours(grid: Grid, day: int, values: Mapping[int, float]) -> Grid:
    """Return a copy with other values at some hours of a day, counted from the end: -1 is yesterday."""
    changed = grid.copy()
    for hour, value in values.items():
        changed[day, hour] = value
    return changed


def answer_for(
    folder: Path,
    models: Mapping[str, Grid],
    stations: Mapping[str, Grid] | None = None,
    *,
    day: date | None = None,
    limit: float = 25.0,
    site: int = 0,
) -> YesterdayAnswer:
    service = make_service(folder)
    make_tables(service.database)
    chosen = service.sites()[site]
    keep(
        service.database,
        chosen,
        FIRST,
        models={model: {SPEED: grid} for model, grid in models.items()},
        stations={
            code: {SPEED: grid, GUST: grid + 10}
            for code, grid in ({FFVL: steady()} if stations is None else stations).items()
        },
    )
    parts = cast(ReadingParts, service)
    return yesterday_answer(parts, chosen, withheld_from_public(parts), limit=limit, day=day)


def only_model(answer: YesterdayAnswer) -> ModelOfDay:
    (model,) = answer.day.models
    return model


@pytest.mark.parametrize(
    ("announced", "judgement", "hour"),
    [
        ({12: 25.0, 13: 15.0}, Judgement.RIGHT, 12),  # 5 km/h is within the tolerance
        ({12: 25.1}, Judgement.TOO_STRONG, 12),
        ({12: 26.0, 15: 13.0}, Judgement.TOO_WEAK, 15),  # the largest error decides
        ({9: 60.0, 19: 60.0}, Judgement.RIGHT, 10),  # outside of the flying hours
    ],
)
def test_the_largest_error_in_flying_hours_decides(
    tmp_path: Path, announced: dict[int, float], judgement: Judgement, hour: int
) -> None:
    model = only_model(answer_for(tmp_path, {AROME: with_hours(steady(), -1, announced)}))
    assert model.judgement is judgement
    assert model.decisive is not None
    assert model.decisive.hour == hour
    assert model.n_hours == 9


def test_a_wind_above_the_limit_that_was_announced_below_it_is_a_bad_surprise(tmp_path: Path) -> None:
    observed = with_hours(steady(), -1, {15: 25.1, 16: 40.0})
    forecast = with_hours(steady(), -1, {15: 25.0, 16: 25.0})
    model = only_model(answer_for(tmp_path, {AROME: forecast}, {FFVL: observed}))
    assert model.judgement is Judgement.BAD_SURPRISE
    assert model.decisive is not None
    assert (model.decisive.hour, round(model.decisive.error, 3)) == (15, -0.1)


def test_a_surprise_depends_on_the_limit(tmp_path: Path) -> None:
    observed = with_hours(steady(), -1, {15: 28.0})
    model = only_model(answer_for(tmp_path, {AROME: steady()}, {FFVL: observed}, limit=30.0))
    assert model.judgement is Judgement.TOO_WEAK


def test_a_day_with_few_hours_is_not_called_right(tmp_path: Path) -> None:
    observed = with_hours(steady(), -1, {10: np.nan, 11: np.nan})
    model = only_model(answer_for(tmp_path, {AROME: steady()}, {FFVL: observed}))
    assert model.judgement is Judgement.TOO_FEW_HOURS
    assert model.n_hours == 7


def test_few_hours_are_enough_to_know_that_a_model_was_wrong(tmp_path: Path) -> None:
    observed = with_hours(steady(), -1, dict.fromkeys(range(10, 18), np.nan))
    model = only_model(answer_for(tmp_path, {AROME: steady(29.0)}, {FFVL: observed}))
    assert model.judgement is Judgement.TOO_STRONG


def test_a_day_without_readings_has_its_forecasts_only(tmp_path: Path) -> None:
    observed = with_hours(steady(), -1, dict.fromkeys(range(24), np.nan))
    answer = answer_for(tmp_path, {AROME: steady()}, {FFVL: observed})
    assert answer.day.observed_hours == 0
    assert {hour.observation for hour in answer.hours} == {None}
    assert [hour.forecasts for hour in answer.hours] == [{AROME: 20.0}] * 9
    assert only_model(answer).decisive is None


def test_the_strip_has_the_days_before_today(tmp_path: Path) -> None:
    answer = answer_for(tmp_path, {AROME: with_hours(steady(), -3, {11: 31.0})})
    assert [day.day for day in answer.strip] == [TODAY - timedelta(days=back) for back in range(14, 0, -1)]
    assert len(answer.strip) == STRIP_DAYS
    words = [day.models[0].judgement for day in answer.strip]
    assert words[-3] is Judgement.TOO_STRONG
    assert words.count(Judgement.RIGHT) == STRIP_DAYS - 1


def test_another_day_is_shown_with_its_gusts(tmp_path: Path) -> None:
    answer = answer_for(tmp_path, {AROME: with_hours(steady(), 0, {11: 31.0})}, day=FIRST)
    assert answer.day.day == FIRST
    assert only_model(answer).judgement is Judgement.TOO_STRONG
    assert (answer.hours[1].hour, answer.hours[1].observation, answer.hours[1].gust) == (11, 20.0, 30.0)


def test_a_day_without_any_value_is_empty(tmp_path: Path) -> None:
    answer = answer_for(tmp_path, {AROME: steady()}, day=date(2020, 1, 1))
    assert answer.day.models == []
    assert answer.day.observed_hours == 0


def test_the_worst_misses_are_one_a_day_and_of_the_season(tmp_path: Path) -> None:
    forecast = with_hours(with_hours(steady(), -2, {12: 50.0, 13: 49.0}), -9, {14: 2.0})
    answer = answer_for(tmp_path, {AROME: forecast})
    assert [(miss.day, miss.pair.hour, miss.pair.error) for miss in answer.misses] == [
        (TODAY - timedelta(days=2), 12, 30.0),
        (TODAY - timedelta(days=9), 14, -18.0),
    ]
    assert (answer.season, answer.season_first_day) == (Season.SUMMER, date(2026, 6, 1))
    assert answer.season_days == DAYS


@pytest.mark.parametrize(
    ("day", "season", "first"),
    [
        (date(2026, 2, 28), Season.WINTER, date(2025, 12, 1)),
        (date(2026, 12, 1), Season.WINTER, date(2026, 12, 1)),
        (date(2026, 3, 1), Season.SPRING, date(2026, 3, 1)),
        (date(2026, 11, 30), Season.AUTUMN, date(2026, 9, 1)),
    ],
)
def test_a_season_has_three_whole_months(day: date, season: Season, first: date) -> None:
    assert season_of(day) == (season, first)


def test_nothing_is_made_from_a_withheld_model(tmp_path: Path) -> None:
    answer = answer_for(tmp_path, {AROME: steady(), PARAPENTE: steady(77.7)})
    assert answer.withheld == ["MeteoParapente"]
    assert [model.model for model in answer.day.models] == [AROME]
    assert "77.7" not in answer.model_dump_json()
    assert "57.7" not in answer.model_dump_json()
    assert answer.misses == []


def test_a_site_is_shown_at_its_first_public_station(tmp_path: Path) -> None:
    service = make_service(
        tmp_path,
        sites='[[sites]]\nid = "grand-pre"\nname = "Grand Pré"\nlatitude = 45.9\nlongitude = 6.7\n'
        'elevation = 1400\norientation = ["S"]\nstations = ["romma:902", "ffvl:901"]\n',
    )
    make_tables(service.database)
    (site,) = service.sites()
    keep(
        service.database,
        site,
        FIRST,
        models={AROME: {SPEED: steady()}},
        stations={ROMMA: {SPEED: steady(88.8)}, FFVL: {SPEED: steady(19.0)}},
    )
    parts = cast(ReadingParts, service)
    answer = yesterday_answer(parts, site, withheld_from_public(parts), limit=25.0)
    assert answer.station is not None
    assert answer.station.station == FFVL
    assert not answer.station.is_reference
    assert answer.station_withheld == ROMMA
    assert {hour.observation for hour in answer.hours} == {19.0}
    assert "88.8" not in answer.model_dump_json()


def test_without_a_public_station_no_day_is_judged(tmp_path: Path) -> None:
    answer = answer_for(tmp_path, {AROME: steady()}, {"romma:903": steady(88.8)}, site=1)
    assert answer.station is None
    assert answer.station_withheld == "romma:903"
    assert only_model(answer).judgement is Judgement.TOO_FEW_HOURS
    assert answer.misses == []
    assert answer.season_days == 0
    assert "88.8" not in answer.model_dump_json()
