"""A day to come at a site: the strongest hour, and what the beacon read when as much was announced."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import cast

import numpy as np
import pytest

from backend.answers.announced import view_of
from backend.answers.coming_day import ComingDay, coming_day
from backend.answers.service import ServiceParts
from backend.answers.withholding import withheld_from_public
from backend.core.records import Forecast, ForecastBatch, Run
from backend.main import Service
from backend.scoring.views import EVENING_BEFORE, MORNING, TWO_EVENINGS_BEFORE
from backend.tests.support.score_store import DIRECTION, GUST, SPEED, Grid, constant, keep
from backend.tests.support.served import NOW, make_service
from backend.tests.support.stores import make_tables
from backend.tests.support.worlds import HandClock

AROME, PARAPENTE, FFVL, ROMMA = "arome_0025", "meteo_parapente", "ffvl:901", "romma:902"
TODAY = NOW.date()
TOMORROW = TODAY + timedelta(days=1)
DAYS = 41
RUN = datetime(2026, 7, 15, 6, tzinfo=UTC)
PEAK = 15
"""The local hour of the strongest announced wind."""


def announce(service: Service, model: str, peak: float, *, run: datetime = RUN, base: float = 10.0) -> None:
    """Store a run for the first site: `base` km/h, and `peak` at 15:00 on each day."""
    records = []
    for lead in range(72):
        time = run + timedelta(hours=lead)
        wind = peak if (time.hour + 2) % 24 == PEAK else base
        values = {SPEED: wind, GUST: wind + 12, DIRECTION: 200.0 if time.hour < 12 else 300.0}
        records += [Forecast(model, "grand-pre", each, run, time, value) for each, value in values.items()]
    service.store.add_forecasts(
        ForecastBatch(
            source="arome" if model == AROME else model,
            route="object_storage",
            rank=0,
            collected_at=run + timedelta(hours=4),
            newest=run,
            run=Run(model, run, run + timedelta(hours=4), published=True),
            parts=("whole",),
            sites=("grand-pre",),
            records=tuple(records),
        )
    )


def service_with(
    folder: Path,
    announced: Mapping[str, Grid],
    observed: Mapping[str, Grid],
    *,
    sites: str | None = None,
    peaks: Mapping[str, float] | None = None,
) -> Service:
    """Return a service with DAYS past days in the three views, and with a run for the days to come."""
    service = make_service(folder) if sites is None else make_service(folder, sites=sites)
    make_tables(service.database)
    service.store.save_sites(service.sites())
    keep(
        service.database,
        service.sites()[0],
        TODAY - timedelta(days=DAYS),
        models={model: {SPEED: grid} for model, grid in announced.items()},
        stations={code: {SPEED: grid} for code, grid in observed.items()},
        views=(MORNING, EVENING_BEFORE, TWO_EVENINGS_BEFORE),
    )
    for model, peak in ({AROME: 26.0} if peaks is None else peaks).items():
        announce(service, model, peak)
    return service


def asked(service: Service, days_ahead: int = 1, limit: float = 25.0) -> ComingDay:
    parts = cast(ServiceParts, service)
    return coming_day(
        parts,
        service.sites()[0],
        TODAY + timedelta(days=days_ahead),
        withheld_from_public(parts),
        wind_limit=limit,
        gust_limit=35.0,
    )


def windy_on(days: int, *, strong: int, wind: float = 31.0, else_: float = 22.0) -> Grid:
    """Return readings of the last `days` days: `wind` on the first `strong` of them, then `else_`."""
    grid = constant(DAYS, 10.0)
    grid[-days:] = else_
    grid[-days : DAYS - days + strong] = wind
    return grid


def announced_on(days: int, wind: float = 26.0) -> Grid:
    grid = constant(DAYS, 10.0)
    grid[-days:] = wind
    return grid


def test_the_strongest_hour_has_what_the_beacon_read_then(tmp_path: Path) -> None:
    service = service_with(tmp_path, {AROME: announced_on(41)}, {FFVL: windy_on(41, strong=29)})
    day = asked(service)
    assert day.headline is not None
    assert (day.headline.hour, day.headline.wind) == (PEAK, 26.0)
    given = day.headline.given
    assert given is not None
    assert (given.low, given.high) == (25.0, 30.0)
    assert (given.p10, given.p90) == (22.0, 31.0)
    assert (given.n_days, given.n_hours, given.days_above) == (41, 41 * 9, 29)


@pytest.mark.parametrize(("days", "shown"), [(19, False), (20, True)])
def test_twenty_days_are_needed(tmp_path: Path, days: int, shown: bool) -> None:
    service = service_with(tmp_path, {AROME: announced_on(days)}, {FFVL: windy_on(days, strong=5)})
    day = asked(service)
    assert day.headline is not None
    given = day.headline.given
    assert given is not None
    assert (given.n_days, given.shown) == (days, shown)
    assert (given.p10 is not None, given.days_above is not None) == (shown, shown)


def test_a_wind_that_was_never_announced_has_nothing_beside_it(tmp_path: Path) -> None:
    service = service_with(tmp_path, {AROME: constant(DAYS, 10.0)}, {FFVL: constant(DAYS, 10.0)})
    day = asked(service)
    assert day.headline is not None
    assert day.headline.given is None
    shown = [hour.hour for hour in day.hours if hour.given is not None]
    assert shown == [hour for hour in range(10, 19) if hour != PEAK]  # flying hours only


@pytest.mark.parametrize(
    ("days_ahead", "view"), [(0, "morning"), (1, "evening_before"), (2, "two_evenings_before")]
)
def test_the_lead_decides_the_view(tmp_path: Path, days_ahead: int, view: str) -> None:
    service = service_with(tmp_path, {AROME: announced_on(41)}, {FFVL: windy_on(41, strong=29)})
    assert asked(service, days_ahead).view == view


@pytest.mark.parametrize(
    ("utc", "view"), [((14, 22), "evening_before"), ((15, 4), "evening_before"), ((15, 5), "morning")]
)
def test_until_the_morning_run_today_is_judged_by_the_evening_before(utc: tuple[int, int], view: str) -> None:
    assert view_of(0, datetime(2026, 7, *utc, 30, tzinfo=UTC)).name == view


def test_the_hours_of_today_that_are_over_are_not_the_strongest(tmp_path: Path) -> None:
    service = service_with(tmp_path, {AROME: announced_on(41)}, {FFVL: windy_on(41, strong=29)})
    announce(service, AROME, 26.0, run=RUN + timedelta(hours=1), base=30.0)
    day = asked(service, 0)
    assert day.headline is not None
    assert day.headline.hour >= 14


def test_in_the_evening_the_flying_hours_of_today_are_over(tmp_path: Path) -> None:
    service = service_with(tmp_path, {AROME: announced_on(41)}, {FFVL: windy_on(41, strong=29)})
    at_18, evening = (
        asked(replace(service, clock=HandClock(NOW.replace(hour=hour))), 0) for hour in (16, 18)
    )
    assert at_18.headline is not None
    assert (at_18.over, at_18.headline.hour) == (False, 18)
    assert at_18.gust is not None
    assert (evening.over, evening.headline, evening.gust) == (True, None, None)
    assert evening.trust is not None
    assert not asked(replace(service, clock=HandClock(NOW.replace(hour=18)))).over, "tomorrow is to come"


def test_directions_are_compared_with_the_take_off(tmp_path: Path) -> None:
    service = service_with(tmp_path, {AROME: announced_on(41)}, {FFVL: windy_on(41, strong=29)})
    by_hour = {hour.hour: hour for hour in asked(service).hours}
    assert (by_hour[9].direction, by_hour[9].on_slope) == (200.0, True)
    assert (by_hour[16].direction, by_hour[16].on_slope) == (300.0, False)


def test_the_last_runs_are_of_the_strongest_hour(tmp_path: Path) -> None:
    service = service_with(tmp_path, {AROME: announced_on(41)}, {FFVL: windy_on(41, strong=29)})
    for step, peak in enumerate((29.0, 32.0, 31.0, 40.0), start=1):
        announce(service, AROME, peak, run=RUN - timedelta(hours=6 * step))
    day = asked(service)
    assert day.headline is not None
    (runs,) = day.headline.runs
    assert [run.wind_speed for run in runs.runs] == [26.0, 29.0, 32.0, 31.0]


def test_a_withheld_model_is_named_with_its_mean_error_in_published_months(tmp_path: Path) -> None:
    announced = {AROME: announced_on(41), PARAPENTE: constant(DAYS, 77.7)}
    service = service_with(
        tmp_path, announced, {FFVL: windy_on(41, strong=29)}, peaks={AROME: 26.0, PARAPENTE: 77.7}
    )
    day = asked(service)
    (unshown,) = day.unshown
    assert (unshown.name, unshown.website) == ("MeteoParapente", "https://meteo-parapente.com")
    assert unshown.mean_error is None  # no month is published yet
    assert [model.model for model in day.models] == [AROME]
    assert "77.7" not in day.model_dump_json()


def test_a_withheld_station_gives_no_band_and_no_count(tmp_path: Path) -> None:
    sites = (
        '[[sites]]\nid = "grand-pre"\nname = "Grand Pré"\nlatitude = 45.9\nlongitude = 6.7\n'
        'elevation = 1400\norientation = ["S"]\nstations = ["romma:902"]\nwithout = ["ffvl"]\n'
    )
    noise = np.random.default_rng(1).normal(0, 1, (DAYS, 25))
    service = service_with(tmp_path, {AROME: announced_on(41) + noise}, {ROMMA: noise + 88}, sites=sites)
    day = asked(service)
    assert (day.station, day.station_withheld) == (None, "romma:902")
    assert {hour.given for hour in day.hours} == {None}
    assert day.headline is not None
    assert day.headline.wind == 26.0  # what a public model announces stays


def test_a_site_without_any_run_has_an_empty_day(tmp_path: Path) -> None:
    service = service_with(tmp_path, {}, {}, peaks={})
    day = asked(service)
    assert (day.headline, day.trust, day.gust, day.models) == (None, None, None, [])
    assert {len(hour.winds) for hour in day.hours} == {0}


def test_a_run_that_is_too_old_is_marked(tmp_path: Path) -> None:
    service = service_with(tmp_path, {}, {}, peaks={})
    announce(service, AROME, 26.0, run=RUN - timedelta(hours=42))
    (model,) = asked(service, 0).models
    assert model.stale
    announce(service, AROME, 26.0)
    (model,) = asked(service, 0).models
    assert not model.stale
