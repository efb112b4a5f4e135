"""The sentences of a row of the home page, in both languages."""

from __future__ import annotations

from datetime import UTC, datetime
from types import SimpleNamespace
from typing import cast

import pytest

from backend.answers.beacon import BeaconAnswer, BeaconDifference
from backend.answers.home import HomeRow, HomeStation
from backend.answers.trust import GoDays, Standing, Trust, TrustedModel
from backend.pages.choices import Unit
from backend.pages.detail_beacon import BeaconWords
from backend.pages.language import language
from backend.pages.page import Page
from backend.pages.sentences_home import beacon_words, record_words, run_words, standing_words
from backend.pages.sentences_scores import ScoreWords
from backend.scoring.sample.quantities import Quantity

RUN = datetime(2026, 7, 15, 6, tzinfo=UTC)
HOUR = 3600.0


def page(code: str, unit: Unit = Unit.KMH) -> Page:
    """Return what the sentences need of a page."""
    words = language(code)
    return cast(
        Page,
        SimpleNamespace(
            language=words,
            unit=unit,
            speed=lambda kmh, decimals=0: words.number(unit.of(kmh), decimals),
        ),
    )


def model(
    standing: Standing, *, days: int = 45, error: float | None = 6.12, name: str = "AROME"
) -> TrustedModel:
    return TrustedModel(
        model=name.lower(),
        name=name,
        standing=standing,
        in_place_of="ICON-D2" if standing is Standing.INSTEAD else None,
        average_error=error,
        n_days=days,
    )


def plain(text: str | None) -> str:
    assert text is not None
    return text.replace("\N{NO-BREAK SPACE}", " ").replace("\N{NARROW NO-BREAK SPACE}", " ")


STANDINGS = {
    Standing.CLEARLY_BEST: ("nettement le meilleur ici", "clearly the best here"),
    Standing.TOO_CLOSE: ("trop proche pour trancher", "too close to call"),
    Standing.ONLY_ONE: ("seul modèle public ici", "the only public model here"),
    Standing.INSTEAD: (
        "remplace ICON-D2, qui ne couvre pas tout ce jour",
        "replaces ICON-D2, which does not reach all of this day",
    ),
    Standing.NOT_JUDGED: ("pas encore jugé : 12 des 30 jours", "not yet judged: 12 days of 30"),
}


@pytest.mark.parametrize("standing", list(Standing))
def test_each_standing_has_its_words(standing: Standing) -> None:
    shown = model(standing, days=12)
    french, english = STANDINGS[standing]
    assert plain(standing_words(page("fr"), shown, has_station=True)) == french
    assert standing_words(page("en"), shown, has_station=True) == english


def test_one_day_and_one_hour_are_in_the_singular() -> None:
    shown = model(Standing.NOT_JUDGED, days=1)
    assert standing_words(page("en"), shown, has_station=True) == "not yet judged: 1 day of 30"
    english, french = (ScoreWords(page(code), Quantity.WIND_SPEED) for code in ("en", "fr"))
    assert english.behind({"AROME": [(1, 6)]}) == "n of each point: AROME 1 day, 6 h."
    assert english.behind({"AROME": [(1, 6), (2, 9)]}) == "n of each point: AROME 1–2 days, 6–9 h."
    assert plain(french.behind({"AROME": [(1, 6)]})) == "n de chaque point : AROME 1 jour, 6 h."
    for mean in (0.0, 2.0, -2.0):
        other = BeaconDifference(name="Forclaz", station=None, n_hours=1, mean=mean, size=2.0)
        assert BeaconWords(english, cast(BeaconAnswer, None)).difference(other).endswith("(1 hour).")
        assert BeaconWords(french, cast(BeaconAnswer, None)).difference(other).endswith("(1 heure).")


def test_a_site_without_a_public_beacon_names_it_as_the_reason() -> None:
    shown = model(Standing.NOT_JUDGED, days=0, error=None)
    assert standing_words(page("en"), shown, has_station=False) == "not yet judged: no public beacon"


def test_no_missing_beacon_is_named_beside_an_error_that_is_known() -> None:
    # The reference station is withheld: its scores of whole months are published, its readings are not.
    shown = model(Standing.NOT_JUDGED, days=25, error=2.5)
    assert standing_words(page("en"), shown, has_station=False) == "not yet judged: 25 days of 30"
    shown = model(Standing.NOT_JUDGED, days=31, error=2.5)
    assert standing_words(page("en"), shown, has_station=False) == "not yet judged: too few common hours"


def test_the_record_has_the_error_in_the_pilots_unit_and_the_wrong_days() -> None:
    wind = model(Standing.CLEARLY_BEST)
    trust = Trust(wind=wind, gust=wind, go_days=GoDays(wrong=5, of=31))
    assert record_words(page("fr"), trust) == [
        "se trompe de 6,1 km/h en moyenne",
        "annoncé volable, faux 5 jours sur 31",
    ]
    assert record_words(page("en", Unit.KNOTS), trust) == [
        "wrong by 3.3 kt on average",
        "announced flyable, wrong on 5 days of 31",
    ]
    once = trust.model_copy(update={"go_days": GoDays(wrong=1, of=31)})
    assert record_words(page("fr"), once)[1] == "annoncé volable, faux 1 jour sur 31"
    assert record_words(page("en"), once)[1] == "announced flyable, wrong on 1 day of 31"


def test_a_model_without_a_record_has_no_figure() -> None:
    wind = model(Standing.NOT_JUDGED, error=None)
    assert record_words(page("fr"), Trust(wind=wind, gust=wind, go_days=None)) == []
    never = Trust(wind=wind, gust=wind, go_days=GoDays(wrong=0, of=0))
    assert record_words(page("en"), never) == [], "no day was called flyable: no share of nothing"


def test_gusts_of_another_model_are_named() -> None:
    wind = model(Standing.NOT_JUDGED, error=None)
    other = model(Standing.ONLY_ONE, name="ICON-D2")
    assert record_words(page("en"), Trust(wind=wind, gust=other, go_days=None)) == ["gusts: ICON-D2"]
    assert record_words(page("en"), Trust(wind=wind, gust=None, go_days=None)) == [
        "no public model has gusts"
    ]


def row(**fields: object) -> HomeRow:
    station = {
        "station": "ffvl:1",
        "name": "Balise du col",
        "distance_km": 3.24,
        "is_reference": True,
        "newest_reading": RUN,
        "age_seconds": 13 * 60,
        "stale": False,
    }
    return HomeRow(
        site="planfait",
        name="Planfait",
        latitude=45.857,
        longitude=6.224,
        distance_km=None,
        trust=None,
        hours=[],
        newest_run=None,
        run_age_seconds=None,
        run_stale=False,
        station=HomeStation.model_validate(station | fields),
    )


def test_the_beacon_has_its_age_and_its_name_where_it_is_not_the_reference() -> None:
    assert plain(beacon_words(page("fr"), row())) == "balise : il y a 13 minutes"
    assert beacon_words(page("en"), row()) == "beacon: 13 minutes ago"
    elsewhere = row(is_reference=False)
    assert plain(beacon_words(page("fr"), elsewhere)) == "Balise du col, à 3,2 km : il y a 13 minutes"
    silent = row(stale=True, age_seconds=7 * 24 * HOUR)
    assert plain(beacon_words(page("fr"), silent)) == "balise : muette depuis 7 jours"
    assert beacon_words(page("en"), silent) == "beacon: silent for 7 days"
    never = row(stale=True, newest_reading=None, age_seconds=None)
    assert plain(beacon_words(page("fr"), never)) == "balise : pas encore de relevé"


def test_an_old_run_is_named_by_its_day() -> None:
    assert plain(run_words(page("fr"), RUN, 10 * HOUR)) == "run de 8 h 00, vieux de 10 heures"
    assert run_words(page("en"), RUN, 10 * HOUR) == "run of 08:00, 10 hours old"
    assert (
        plain(run_words(page("fr"), RUN, 48 * HOUR)) == "run du mercredi 15 juillet, 8 h 00, vieux de 2 jours"
    )
