"""Sentences of a site's page, in the reader's language."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from backend.answers.beacon_place import BeaconPlace
from backend.answers.now import AgainstAnnounced, AnnouncedNow, StationNow
from backend.answers.yesterday import HourPair, Judgement, ModelOfDay
from backend.core.units import COMPASS
from backend.pages.language import Language
from backend.pages.page import Page
from backend.pages.sentences_flags import FlagWords
from backend.scoring.grid import thousandths
from backend.scoring.sample.wind_groups import sectors


@dataclass(frozen=True)
class SiteWords:
    """The words of one page of a site. Speeds are given in km/h and written in the pilot's unit."""

    page: Page

    @property
    def language(self) -> Language:
        """The language of the page."""
        return self.page.language

    def speed(self, kmh: float) -> str:
        """Return a speed with its unit, without decimals: "26 km/h"."""
        return f"{self.page.speed(kmh)}\N{NO-BREAK SPACE}{self.page.unit.symbol}"

    def direction(self, degrees: float) -> str:
        """Return a direction as the nearest of eight points and in degrees: "SO (225°)". North is 0°."""
        point = COMPASS[int(sectors(np.array(thousandths(degrees))))]
        return f"{self.language.compass(point)} ({self.language.number(round(degrees) % 360)}°)"

    def place(self, place: BeaconPlace) -> str:
        """Return where a beacon stands: "4.7 km from the take-off, 320 m higher"."""
        words = self.language
        if place.distance_km is None:
            return words.gettext("its position is not known")
        far = (
            words.gettext("%(distance)s km from the take-off")
            % {"distance": words.number(place.distance_km, 1)}
            if place.distance_km >= 0.05
            else words.gettext("at the take-off")
        )
        if place.height_difference is None or not round(place.height_difference):
            return far
        height = words.number(abs(place.height_difference))
        if place.height_difference > 0:
            return words.gettext("%(far)s, %(height)s m higher") % {"far": far, "height": height}
        return words.gettext("%(far)s, %(height)s m lower") % {"far": far, "height": height}

    @property
    def flags(self) -> FlagWords:
        """The sentences about flags of a beacon's sensors."""
        return FlagWords(self.language)

    def age(self, station: StationNow) -> str:
        """Return how old a reading is."""
        return self.language.gettext("%(age)s ago") % {"age": self.language.age(station.age_seconds or 0)}

    # --- Now against last evening --------------------------------------------------------------------

    def against(self, against: AgainstAnnounced) -> str:
        """Return how the reading compares with all announcements of the evening before."""
        words, several = self.language, len(against.models) > 1
        names = words.listed([model.name for model in against.models])
        if against.side == "among":
            close = [model.name for model in against.models if model.within]
            if not close:
                return words.gettext("Between what the models announced last evening.")
            return words.gettext("About what %(names)s announced last evening.") % {
                "names": words.listed(close)
            }
        facts = {
            "difference": self.speed(abs(against.difference)),
            "name": names,
        }
        if against.since is None:
            if against.side == "above":
                text = (
                    words.gettext("%(difference)s above every model of last evening.")
                    if several
                    else words.gettext("%(difference)s above what %(name)s announced last evening.")
                )
            else:
                text = (
                    words.gettext("%(difference)s below every model of last evening.")
                    if several
                    else words.gettext("%(difference)s below what %(name)s announced last evening.")
                )
            return text % facts
        facts["hour"] = words.hour(against.since)
        if against.side == "above":
            text = (
                words.gettext("%(difference)s above every model of last evening since %(hour)s.")
                if several
                else words.gettext(
                    "%(difference)s above what %(name)s announced last evening, since %(hour)s."
                )
            )
        else:
            text = (
                words.gettext("%(difference)s below every model of last evening since %(hour)s.")
                if several
                else words.gettext(
                    "%(difference)s below what %(name)s announced last evening, since %(hour)s."
                )
            )
        return text % facts

    def announced(self, model: AnnouncedNow, observed: float) -> str:
        """Return an announcement against the reading: "AROME 23: the beacon reads 3 more"."""
        words = self.language
        shown = {name: round(self.page.unit.of(value)) for name, value in
                 (("announced", model.wind_speed), ("observed", observed))}  # fmt: skip
        more = shown["observed"] - shown["announced"]
        facts = {
            "name": model.name,
            "speed": words.number(shown["announced"]),
            "more": words.number(abs(more)),
        }
        if more > 0:
            return words.gettext("%(name)s %(speed)s: the beacon reads %(more)s more") % facts
        if more < 0:
            return words.gettext("%(name)s %(speed)s: the beacon reads %(more)s less") % facts
        return words.gettext("%(name)s %(speed)s: the beacon reads the same") % facts

    # --- Past days -----------------------------------------------------------------------------------

    def judgement(self, model: ModelOfDay) -> str:
        """Return the word for a model's day: "right", "bad surprise at 15:00"."""
        words = self.language
        if model.judgement is Judgement.BAD_SURPRISE and model.decisive is not None:
            return words.gettext("bad surprise at %(hour)s") % {"hour": words.hour(model.decisive.hour)}
        return {
            Judgement.RIGHT: words.gettext("right"),
            Judgement.TOO_STRONG: words.gettext("too strong"),
            Judgement.TOO_WEAK: words.gettext("too weak"),
            Judgement.BAD_SURPRISE: words.gettext("bad surprise"),
            Judgement.TOO_FEW_HOURS: words.gettext("not judged"),
        }[model.judgement]

    def reason(self, model: ModelOfDay) -> str:
        """Return the hour that decides the word of a model's day."""
        words, pair = self.language, model.decisive
        if model.judgement is Judgement.TOO_FEW_HOURS or pair is None:
            text = words.ngettext(
                "%(num)s hour with forecast and reading is too few",
                "%(num)s hours with forecast and reading are too few",
                model.n_hours,
            )
            return text % {"num": model.n_hours}
        if model.judgement is Judgement.RIGHT:
            text = words.ngettext("at %(num)s hour", "at all %(num)s hours", model.n_hours)
            return text % {"num": model.n_hours}
        return words.gettext("at %(hour)s announced %(forecast)s, came %(observation)s") % {
            "hour": words.hour(pair.hour),
            "forecast": self.page.speed(pair.forecast),
            "observation": self.page.speed(pair.observation),
        }

    def miss(self, name: str, pair: HourPair) -> str:
        """Return a large error in words."""
        words = self.language
        shown = [round(self.page.unit.of(value)) for value in (pair.forecast, pair.observation)]
        facts = {
            "hour": words.hour(pair.hour),
            "name": name,
            "forecast": words.number(shown[0]),
            "observation": words.number(shown[1]),
            "size": f"{words.number(abs(shown[0] - shown[1]))}\N{NO-BREAK SPACE}{self.page.unit.symbol}",
        }
        if pair.error > 0:
            return (
                words.gettext(
                    "at %(hour)s %(name)s announced %(forecast)s, the beacon read %(observation)s:"
                    " %(size)s too strong"
                )
                % facts
            )
        return (
            words.gettext(
                "at %(hour)s %(name)s announced %(forecast)s, the beacon read %(observation)s:"
                " %(size)s too weak"
            )
            % facts
        )
