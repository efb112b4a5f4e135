"""Flags of a beacon's readings and sensors in words."""

from __future__ import annotations

from dataclasses import dataclass

from backend.answers.station_flags import StationFlag
from backend.core.clock import PARIS
from backend.core.parameters import Parameter
from backend.pages.language import Language


@dataclass(frozen=True)
class FlagWords:
    """The sentences about readings that are in doubt, in one language."""

    language: Language

    def parameter(self, parameter: Parameter) -> str:
        """Return a measured quantity in words."""
        words = self.language
        return {
            Parameter.WIND_SPEED: words.gettext("Mean wind"),
            Parameter.WIND_GUST: words.gettext("Gust"),
            Parameter.WIND_DIRECTION: words.gettext("Direction"),
            Parameter.TEMPERATURE: words.gettext("Temperature"),
        }[parameter]

    def reason(self, reason: str) -> str:
        """Return why readings are left out."""
        words = self.language
        return {
            "stuck": words.gettext("the same reading many times in a row"),
            "calm_among_wind": words.gettext("a long calm while its neighbours had wind"),
            "gust_below_mean": words.gettext("a gust below the mean wind"),
            "zero_mean": words.gettext("a mean wind of 0 beside a gust"),
            "moved": words.gettext("measured at another place"),
            "spike": words.gettext("far from the readings before and after"),
            "far_from_models": words.gettext("far from every model"),
            "zero_direction": words.gettext("direction always exactly 0"),
            "stopped": words.gettext("at 0 for many days"),
            "stuck_vane": words.gettext("vane stuck in one direction"),
            "frozen_temperature": words.gettext("the same temperature for days"),
            "drift": words.gettext("its level against the models has changed"),
            "excluded_by_operator": words.gettext("excluded by the operator"),
        }.get(reason, reason.replace("_", " "))

    def flag(self, flag: StationFlag) -> str:
        """Return a period of suspect values with its days and whether they count."""
        words = self.language
        since = words.full_date(flag.since.astimezone(PARIS).date())
        values = {"what": self.parameter(flag.parameter), "reason": self.reason(flag.reason), "since": since}
        if flag.until is None:
            period = words.gettext("%(what)s, since %(since)s: %(reason)s.") % values
        else:
            # The end is the midnight after the last day.
            last = words.full_date(flag.until.astimezone(PARIS).date())
            period = words.gettext("%(what)s, from %(since)s to before %(until)s: %(reason)s.") % {
                **values,
                "until": last,
            }
        fate = (
            words.gettext("These readings do not count.")
            if flag.excluded
            else words.gettext("These readings still count.")
        )
        return f"{period} {fate}"
