"""Questions about a site: their days, and the sites, models and stations that they name."""

from __future__ import annotations

from datetime import date, timedelta
from pathlib import Path
from typing import cast

import pytest

from backend.answers.models import require_model
from backend.answers.public_question import UnpublishedDaysError
from backend.answers.question import FIRST_DAY, InvalidDaysError, make_question
from backend.answers.service import ServiceParts
from backend.answers.sites import known_stations, require_site
from backend.core.errors import NotFoundError, UnknownNameError
from backend.core.local_time import day_number, month_number
from backend.core.records import Station
from backend.scoring.constants import MOST_DAYS, USUAL_DAYS
from backend.scoring.public.windows import Window
from backend.tests.support.served import NOW, make_service
from backend.tests.support.stores import make_tables

TODAY = NOW.date()


def service_of(folder: Path) -> ServiceParts:
    """Return a service with an empty store and three sites."""
    service = make_service(folder)
    make_tables(service.database)
    return cast(ServiceParts, service)


def test_a_question_without_days_is_about_the_year_up_to_today(tmp_path: Path) -> None:
    service = service_of(tmp_path)
    question = make_question(service, service.sites()[0])
    assert question.last == day_number(TODAY)
    assert question.last - question.first + 1 == USUAL_DAYS.value


@pytest.mark.parametrize(
    ("first", "last", "message"),
    [
        (TODAY + timedelta(days=1), None, "must not be later than the last day, which is today unless given"),
        (TODAY - timedelta(days=MOST_DAYS.value), None, f"at most {MOST_DAYS.value} at a time"),
        (FIRST_DAY - timedelta(days=1), FIRST_DAY, "days are from 2000-01-01 to 2099-12-31"),
    ],
)
def test_days_that_break_a_rule_are_refused_with_the_rule(
    tmp_path: Path, first: date, last: date | None, message: str
) -> None:
    service = service_of(tmp_path)
    with pytest.raises(InvalidDaysError, match=message):
        make_question(service, service.sites()[0], first=first, last=last)


def test_an_unknown_site_is_an_error_that_names_the_nearest_id(tmp_path: Path) -> None:
    sites = service_of(tmp_path).sites()
    assert require_site(sites, "petit-col") is sites[1]
    with pytest.raises(UnknownNameError) as near:
        require_site(sites, "petitcol")
    assert (near.value.kind, str(near.value)) == (
        "site",
        "there is no site 'petitcol' (did you mean 'petit-col'?)",
    )
    with pytest.raises(NotFoundError, match=r"^there is no site 'nowhere'$"):
        require_site(sites, "nowhere")


def test_a_model_is_known_if_it_is_collected_or_stored(tmp_path: Path) -> None:
    service = service_of(tmp_path)
    require_model(service, None, ())
    require_model(service, "arome_0025", ["arome_0025"])
    with pytest.raises(UnknownNameError) as error:
        require_model(service, "nowhere", ["arome_0025"])
    assert (error.value.kind, str(error.value)) == ("model", "there is no model 'nowhere'")


def test_stations_that_a_site_names_are_known_before_their_first_reading(tmp_path: Path) -> None:
    service = service_of(tmp_path)
    assert known_stations(service, service.sites()) == {
        code: Station(code) for code in ("ffvl:901", "romma:902", "romma:903")
    }


def test_days_whose_figures_are_not_published_are_refused_with_the_published_months() -> None:
    may = Window(month_number(day_number(date(2026, 5, 1))), 1)
    error = UnpublishedDaysError(["meteo_parapente"], [may])
    assert not error.of_station
    assert str(error) == (
        "MeteoParapente: raw values are not public, so figures with them are published for whole calendar"
        " months only: 1 month: 2026-05-01 to 2026-05-31."
    )
    of_station = UnpublishedDaysError(["romma:902"], [])
    assert of_station.of_station
    assert str(of_station).startswith("romma:902: the first calendar month is not complete. ")
