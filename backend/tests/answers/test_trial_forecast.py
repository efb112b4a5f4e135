"""The corrected forecast on trial: what it is learned from, and when there is none."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Any, cast

import pytest

from backend.answers.service import ReadingParts
from backend.answers.trial_forecast import TrialDay, TrialState, trial_day
from backend.answers.withholding import NOTHING, withheld_from_public
from backend.core.parameters import Parameter
from backend.core.records import Observation, ObservationBatch
from backend.forecast.gate import TRIAL_DAYS
from backend.scoring.days.update import update
from backend.tests.support.page_store import NOW, page_service

PLANFAIT, PETIT_COL, SANS_BALISE = range(3)


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> ReadingParts:
    return made(tmp_path_factory.mktemp("trial"))


def made(folder: Path, **options: Any) -> ReadingParts:
    return cast(ReadingParts, page_service(folder, **options))  # its variables are read-only


def tomorrow(service: ReadingParts, site: int = PLANFAIT, days_ahead: int = 1) -> TrialDay:
    return trial_day(service, service.sites()[site], days_ahead, NOTHING)


def test_the_forecast_has_a_value_within_its_interval_at_each_hour(service: ReadingParts) -> None:
    answer = tomorrow(service)
    assert (answer.view, answer.station) == ("evening_before", "ffvl:901")
    for of in (answer.wind_speed, answer.wind_gust):
        assert of.state is TrialState.TRIAL
        assert of.n_days >= TRIAL_DAYS
        assert [hour.hour for hour in of.hours] == list(range(24))
        shown = [hour for hour in of.hours if hour.p10 is not None]
        assert len(shown) >= 12
        for hour in shown:
            assert hour.value is not None and hour.p10 is not None and hour.p90 is not None
            assert 0 <= hour.p10 <= hour.value <= hour.p90
            assert hour.best_model is not None
    assert answer.wind_gust.best == "arome_0025", "the only one with gusts and small errors"


def test_known_biases_are_corrected(service: ReadingParts) -> None:
    wind = tomorrow(service).wind_speed
    assert wind.mean_error_size is not None and wind.best_error_size is not None
    assert wind.mean_error_size < wind.best_error_size
    assert wind.within is not None and 0.7 < wind.within < 0.97
    assert 0 < wind.within_days < wind.n_days, "the first days have no interval"


def test_readings_of_today_change_nothing_for_tomorrow(tmp_path: Path) -> None:
    """The decision of the evening knows the days before; part of a day would bias its classes."""
    service = made(tmp_path)
    before = tomorrow(service)
    noon = NOW.replace(hour=10, minute=0)
    records = tuple(
        Observation("ffvl:901", Parameter.WIND_SPEED, noon + timedelta(minutes=10 * step), 60.0)
        for step in range(30)
    )
    batch = ObservationBatch(
        source="ffvl", route="route_9", rank=0, collected_at=NOW, newest=records[-1].time, records=records
    )
    service.store.add_observations(batch)
    update(service.database, NOW)
    assert tomorrow(service) == before


def test_a_site_without_a_station_has_no_forecast(service: ReadingParts) -> None:
    of = tomorrow(service, SANS_BALISE).wind_speed
    assert (of.state, of.hours) == (TrialState.NO_STATION, [])


def test_with_too_few_days_there_is_none(tmp_path: Path) -> None:
    of = tomorrow(made(tmp_path, days=8)).wind_speed
    assert (of.state, of.hours) == (TrialState.TOO_FEW_DAYS, [])
    assert 0 < of.n_days < TRIAL_DAYS


def test_withheld_models_and_stations_are_not_used(tmp_path: Path) -> None:
    service = made(tmp_path, public_raw_sources="")
    withheld = withheld_from_public(service)
    public, all_of_it = (
        trial_day(service, service.sites()[PLANFAIT], 1, each) for each in (withheld, NOTHING)
    )
    assert public.wind_gust == all_of_it.wind_gust, "both models with gusts are public"
    assert public.wind_speed != all_of_it.wind_speed, "MeteoParapente is not"
    assert tomorrow(service, PETIT_COL).station == "romma:902"
    public = trial_day(service, service.sites()[PETIT_COL], 1, withheld)
    assert (public.station, public.wind_speed.state) == (None, TrialState.NO_STATION)


def test_each_day_is_learned_at_its_own_lead(service: ReadingParts) -> None:
    assert tomorrow(service, days_ahead=2).view == "two_evenings_before"
    assert tomorrow(service, days_ahead=0).view == "morning"
