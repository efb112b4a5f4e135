"""Sentences of the home page about a site's row, from the fields of the answer."""

from __future__ import annotations

from datetime import datetime

from backend.answers.home import HomeRow
from backend.answers.trust import Standing, Trust, TrustedModel
from backend.core.clock import PARIS
from backend.pages.page import Page
from backend.scoring.constants import PRELIMINARY_DAYS

LONG_AGO = 36 * 3600
"""Seconds after which a moment is named by its day, not by its clock time."""


def standing_words(page: Page, model: TrustedModel, *, has_station: bool) -> str:
    """Return how well the shown model of the mean wind is known at the site."""
    words = page.language
    if model.standing is Standing.CLEARLY_BEST:
        return words.gettext("clearly the best here")
    if model.standing is Standing.TOO_CLOSE:
        return words.gettext("too close to call")
    if model.standing is Standing.ONLY_ONE:
        return words.gettext("the only public model here")
    if model.standing is Standing.INSTEAD:
        return words.gettext("replaces %(name)s, which does not reach all of this day") % {
            "name": model.in_place_of
        }
    if not has_station and model.average_error is None:
        return words.gettext("not yet judged: no public beacon")
    if model.n_days >= PRELIMINARY_DAYS.value:
        return words.gettext("not yet judged: too few common hours")
    return words.ngettext(
        "not yet judged: %(days)s day of %(least)s",
        "not yet judged: %(days)s days of %(least)s",
        model.n_days,
    ) % {
        "days": words.number(model.n_days),
        "least": words.number(PRELIMINARY_DAYS.value),
    }


def error_words(page: Page, model: TrustedModel) -> str | None:
    """Return how far a shown model is usually wrong; None where that is not known."""
    if model.average_error is None:
        return None
    return page.language.gettext("wrong by %(error)s %(unit)s on average") % {
        "error": page.speed(model.average_error, 1),
        "unit": page.unit.symbol,
    }


def record_words(page: Page, trust: Trust) -> list[str]:
    """Return how far the shown model is usually wrong, and how often its flyable days were none."""
    words, error = page.language, error_words(page, trust.wind)
    found = [] if error is None else [error]
    if trust.go_days is not None and trust.go_days.of:
        wrong, of = trust.go_days.wrong, trust.go_days.of
        found.append(
            words.ngettext(
                "announced flyable, wrong on %(wrong)s day of %(of)s",
                "announced flyable, wrong on %(wrong)s days of %(of)s",
                wrong,
            )
            % {"wrong": words.number(wrong), "of": words.number(of)}
        )
    gusts = gust_words(page, trust)
    return found if gusts is None else [*found, gusts]


def gust_words(page: Page, trust: Trust) -> str | None:
    """Return which model the gusts are of; None where it is that of the mean wind."""
    words = page.language
    if trust.gust is None:
        return words.gettext("no public model has gusts")
    if trust.gust.model == trust.wind.model:
        return None
    return words.gettext("gusts: %(name)s") % {"name": trust.gust.name}


def beacon_words(page: Page, row: HomeRow) -> str | None:
    """Return the age of the newest reading at the site's public station; None without such a station."""
    words, station = page.language, row.station
    if station is None:
        return None
    name = words.gettext("beacon")
    if not station.is_reference:
        name = station.name
        if station.distance_km is not None:
            name = words.gettext("%(name)s, %(km)s km away") % {
                "name": station.name,
                "km": words.number(station.distance_km, 1),
            }
    if station.newest_reading is None or station.age_seconds is None:
        return words.gettext("%(beacon)s: no reading yet") % {"beacon": name}
    age = words.age(station.age_seconds)
    if station.stale:
        return words.gettext("%(beacon)s: silent for %(age)s") % {"beacon": name, "age": age}
    return words.gettext("%(beacon)s: %(age)s ago") % {"beacon": name, "age": age}


def run_words(page: Page, run: datetime, age_seconds: float) -> str:
    """Return the local start of a run and its age."""
    words = page.language
    figures = {
        "day": words.day(run.astimezone(PARIS).date()),
        "time": words.clock(run),
        "age": words.age(age_seconds),
    }
    if age_seconds > LONG_AGO:
        return words.gettext("run of %(day)s, %(time)s, %(age)s old") % figures
    return words.gettext("run of %(time)s, %(age)s old") % figures
