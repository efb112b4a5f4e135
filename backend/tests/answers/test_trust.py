"""Which public model a row shows, how it stands, and on how many days it was wrong."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import cast

import numpy as np
import pytest

from backend.answers.announced import AnnouncedHour, AnnouncedModel, RunValue
from backend.answers.reading import ReadingService
from backend.answers.service import ReadingParts
from backend.answers.site_records import judged_sites, renew_records
from backend.answers.trust import (
    NOT_JUDGED,
    GoDays,
    Judged,
    Judgement,
    Standing,
    Trust,
    trusted,
)
from backend.answers.withholding import withheld_from_public
from backend.core.config import Settings
from backend.core.records import Site
from backend.scoring.names import model_name
from backend.scoring.questions.scorecard import Finding
from backend.scoring.views import EVENING_BEFORE, MORNING
from backend.storage.site_list import SiteList
from backend.tests.support.score_store import DIRECTION, GUST, SPEED, Grid, constant, keep
from backend.tests.support.stores import open_database, sqlite_url

HOURS = (10, 12, 14, 16, 18)
RUN = datetime(2026, 7, 15, 6, tzinfo=UTC)
NOW = datetime(2026, 7, 15, 16, 10, tzinfo=UTC)
SITE = Site("planfait", "Planfait", 45.85, 6.22, 950.0, (), ("ffvl:1", "romma:2"))


def model(
    name: str, *, hours: tuple[int, ...] = HOURS, gust: bool = True, gust_hours: int = 1
) -> AnnouncedModel:
    value = RunValue(value=20, reference_time=RUN, available_at=RUN, published=True, age_seconds=0)
    return AnnouncedModel(
        model=name,
        name=model_name(name),
        attribution=None,
        gust_hours=gust_hours,
        newest_run=RUN,
        age_seconds=0,
        hours=[
            AnnouncedHour(hour=hour, valid_time=RUN, wind_speed=value, wind_gust=value if gust else None)
            for hour in hours
        ],
    )


def judged(finding: Finding, days: int = 60, **errors: float) -> Judged:
    return Judged(finding, may_rank=days >= 30, n_days=days, errors=errors, compared=frozenset(errors))


def shown(wind: Judged, gust: Judged, *models: AnnouncedModel) -> Trust:
    go_days = {name: GoDays(wrong=5, of=31) for name in wind.errors}
    found = trusted(Judgement("ffvl:1", wind, gust, go_days), models, HOURS)
    assert found is not None
    return found


def test_the_winner_of_the_view_is_shown_with_its_error_and_its_wrong_days() -> None:
    both = judged(Finding.WINNER, icon_d2=3.0, arome_0025=5.0)
    found = shown(both, both, model("arome_0025"), model("icon_d2"))
    assert (found.wind.model, found.wind.standing) == ("icon_d2", Standing.CLEARLY_BEST)
    assert (found.wind.average_error, found.wind.n_days) == (3.0, 60)
    assert found.go_days == GoDays(wrong=5, of=31)


def test_without_a_winner_the_smallest_error_is_too_close_to_call() -> None:
    both = judged(Finding.TOO_CLOSE, icon_d2=3.0, arome_0025=3.1)
    found = shown(both, both, model("arome_0025"), model("icon_d2"))
    assert (found.wind.model, found.wind.standing) == ("icon_d2", Standing.TOO_CLOSE)


def test_below_thirty_days_the_first_of_the_fixed_order_is_not_yet_judged() -> None:
    few = judged(Finding.NOT_ENOUGH, 29, icon_d2=3.0, arome_0025=5.0)
    found = shown(few, few, model("arome_0025"), model("icon_d2"))
    assert (found.wind.model, found.wind.standing) == ("arome_0025", Standing.NOT_JUDGED)
    assert found.wind.n_days == 29


def test_one_model_with_enough_days_is_the_only_one() -> None:
    alone = judged(Finding.NOT_ENOUGH, arome_0025=5.0)
    assert shown(alone, alone, model("arome_0025")).wind.standing is Standing.ONLY_ONE


def test_a_model_that_does_not_reach_all_hours_gives_its_place_to_the_next() -> None:
    both = judged(Finding.WINNER, icon_d2=3.0, arome_0025=5.0)
    found = shown(both, both, model("arome_0025"), model("icon_d2", hours=(10, 12)))
    assert (found.wind.model, found.wind.standing) == ("arome_0025", Standing.INSTEAD)
    assert found.wind.in_place_of == "ICON-D2"


def test_gusts_are_those_of_the_best_model_that_has_them() -> None:
    wind = judged(Finding.WINNER, icon_d2=3.0, arome_0025=5.0)
    gust = judged(Finding.NOT_ENOUGH, arome_0025=6.0)
    found = shown(wind, gust, model("arome_0025"), model("icon_d2", gust=False))
    assert found.gust is not None and (found.wind.model, found.gust.model) == ("icon_d2", "arome_0025")
    close = judged(Finding.TOO_CLOSE, arome_0025=6.0, icon_d2=6.1)
    found = shown(wind, close, model("arome_0025"), model("icon_d2"))
    assert found.gust is not None and found.gust.model == "icon_d2", "no reason for another model"


def test_gusts_of_three_hours_are_not_shown_as_gusts_of_one() -> None:
    found = shown(NOT_JUDGED, NOT_JUDGED, model("ecmwf_ifs025", gust_hours=3))
    assert found.gust is None


def test_without_any_mean_wind_no_model_is_shown() -> None:
    assert trusted(Judgement(None, NOT_JUDGED, NOT_JUDGED, {}), [], HOURS) is None


# --- From the store -----------------------------------------------------------------------------------


@pytest.fixture
def service(tmp_path: Path) -> ReadingParts:
    open_database(sqlite_url(tmp_path)).close()
    settings = Settings.load(database_url=sqlite_url(tmp_path), data_dir=tmp_path)
    return cast(ReadingParts, ReadingService.make(settings, lambda: NOW, durable=False))


def store_days(
    service: ReadingParts,
    days: int,
    models: Mapping[str, float],
    *,
    site: Site = SITE,
    station: str = "ffvl:1",
) -> None:
    """Store days up to today: each model errs by its value, and the second half of the days is windy."""
    observed = constant(days, 15.0)
    observed[days // 2 :] = 40.0
    wave = np.tile([1.0, 1.4], days)[:days, None]  # no two days err alike

    def forecasts(error: float) -> Mapping[object, Grid]:
        return {SPEED: observed + error * wave, GUST: observed + 8, DIRECTION: constant(days, 270)}

    keep(
        service.database,
        site,
        date(2026, 7, 15) - timedelta(days=days - 1),
        models={name: forecasts(error) for name, error in models.items()},  # type: ignore[misc]
        stations={station: {SPEED: observed, GUST: observed + 8, DIRECTION: constant(days, 270)}},
    )


def judgement(service: ReadingParts, site: Site = SITE, limit: float = 25.0) -> Judgement:
    found = judged_sites(
        service,
        [site],
        EVENING_BEFORE,
        withheld_from_public(service),
        wind_limit=limit,
        gust_limit=60.0,
    )
    return found[site.id]


def test_the_public_models_of_a_site_are_ranked_by_their_errors(service: ReadingParts) -> None:
    store_days(service, 40, {"icon_d2": 9.0, "arome_0025": 1.0, "meteo_parapente": 0.1})
    found = judgement(service)
    assert found.station == "ffvl:1"
    assert (found.wind.finding, found.wind.may_rank, found.wind.n_days) == (Finding.WINNER, True, 40)
    assert list(found.wind.errors) == ["arome_0025", "icon_d2"], "the withheld model is best, and absent"
    assert found.wind.errors["arome_0025"] == pytest.approx(1.2)


def test_days_that_are_too_few_for_an_error_are_counted(service: ReadingParts) -> None:
    store_days(service, 9, {"icon_d2": 9.0, "arome_0025": 1.0})
    found = judgement(service)
    assert (found.wind.n_days, found.wind.errors) == (9, {})
    trust = trusted(found, [model("arome_0025")], HOURS)
    assert trust is not None
    assert (trust.wind.standing, trust.wind.n_days) == (Standing.NOT_JUDGED, 9)
    newcomer = trusted(found, [model("arome_ifs_0025")], HOURS)
    assert newcomer is not None
    assert newcomer.wind.n_days == 0, "it is not among the compared models"


def test_wrong_days_are_those_called_flyable_that_were_not(service: ReadingParts) -> None:
    store_days(service, 40, {"icon_d2": -17.0, "arome_0025": 1.0})
    found = judgement(service)
    assert found.go_days["arome_0025"] == GoDays(wrong=0, of=20)
    assert found.go_days["icon_d2"] == GoDays(wrong=20, of=40), "it announces 40 as 16 and 23"
    assert judgement(service, limit=50.0).go_days["icon_d2"] == GoDays(wrong=0, of=40)


def test_what_the_days_show_is_kept_for_all_limits(service: ReadingParts) -> None:
    store_days(service, 40, {"arome_0025": 1.0, "icon_d2": 9.0})
    first = judgement(service)
    assert judgement(service).wind is first.wind
    assert judgement(service, limit=30.0).wind is first.wind
    assert judgement(service, limit=50.0).go_days != first.go_days
    other = judged_sites(
        service, [SITE], MORNING, withheld_from_public(service), wind_limit=25.0, gust_limit=60.0
    )
    assert other["planfait"].wind == NOT_JUDGED


def test_a_changed_day_renews_the_judgement_at_once(service: ReadingParts) -> None:
    store_days(service, 40, {"arome_0025": 1.0, "icon_d2": 9.0})
    assert list(judgement(service).wind.errors) == ["arome_0025", "icon_d2"]
    store_days(service, 40, {"arome_0025": 9.0, "icon_d2": 1.0})
    assert list(judgement(service).wind.errors) == ["icon_d2", "arome_0025"]


def test_records_made_in_advance_are_those_that_a_page_uses(service: ReadingParts) -> None:
    store_days(service, 40, {"arome_0025": 1.0, "icon_d2": 9.0})
    others = tuple(replace(SITE, id=f"site-{number}", stations=()) for number in range(3))
    service.store.save_sites((SITE, *others))
    service = replace(service, site_list=SiteList(service.store, None, lambda: NOW))  # type: ignore[type-var]
    assert renew_records(service, EVENING_BEFORE) == 4
    assert renew_records(service, MORNING) == 8, "those that were used, and those of the next view"


def test_a_site_is_judged_at_its_first_public_station(service: ReadingParts) -> None:
    site = replace(SITE, stations=("romma:2", "ffvl:1"))
    store_days(service, 40, {"arome_0025": 1.0, "icon_d2": 9.0}, site=site, station="ffvl:1")
    found = judgement(service, site)
    assert (found.station, found.wind.finding) == ("ffvl:1", Finding.WINNER)


def test_with_withheld_stations_only_nothing_depends_on_the_limits(service: ReadingParts) -> None:
    site = replace(SITE, stations=("romma:2",))
    store_days(service, 40, {"arome_0025": 1.0, "icon_d2": 9.0}, site=site, station="romma:2")
    found = judgement(service, site)
    assert (found.station, found.go_days) == (None, {})
    assert found.wind.errors == {}, "no month is published yet"


def test_a_site_without_a_station_is_not_judged(service: ReadingParts) -> None:
    site = replace(SITE, stations=())
    service.store.save_sites((site,))
    assert judgement(service, site) == Judgement(None, NOT_JUDGED, NOT_JUDGED, {})
