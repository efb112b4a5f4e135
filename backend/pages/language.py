"""The languages of the pages: the choice for a request, the translations, and the forms of numbers and dates.

English texts are the keys of the translations. `web/locale/LANGUAGE/*.po` has them, one file per part of the
pages. They are compiled when the service starts.
"""

from __future__ import annotations

import gettext
import io
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Literal

from babel import Locale, dates, numbers
from babel.lists import format_list
from babel.messages.catalog import Catalog
from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po

from backend.core.clock import PARIS

LOCALES = Path(__file__).parents[1] / "web" / "locale"

LANGUAGES = ("fr", "en")
"""The languages, the preferred one first."""


@dataclass(frozen=True, slots=True)
class Language:
    """One language: its translations, and how it writes numbers, dates and times."""

    code: str
    locale: Locale
    translations: gettext.NullTranslations

    @property
    def of_charts(self) -> Literal["en-GB", "fr-FR"]:
        """The name that d3-format has for the locale: charts write "2,5" in French."""
        return "fr-FR" if self.code == "fr" else "en-GB"

    def gettext(self, text: str) -> str:
        """Return the translation of an English text."""
        return self.translations.gettext(text)

    def ngettext(self, one: str, many: str, count: int) -> str:
        """Return the translation of the form for this count."""
        return self.translations.ngettext(one, many, count)

    @property
    def colon(self) -> str:
        """The colon between two parts of a line, with the spaces of the language."""
        return "\N{NO-BREAK SPACE}: " if self.code == "fr" else ": "

    def number(self, value: float, decimals: int = 0) -> str:
        """Return a number with this many decimals: "6,1" in French. The minus sign is U+2212."""
        rounded = round(value, decimals) + 0.0  # + 0.0: a value that rounds to -0.0 is 0
        pattern = "#,##0" + ("." + "0" * decimals if decimals else "")
        written = numbers.format_decimal(rounded, pattern, self.locale)
        return written.replace("-", "−")

    def percent(self, share: float) -> str:
        """Return a share of 1 in whole percent, with the spacing of the language.

        Only none is 0 % and only all is 100 %: one bad surprise in 252 hours is "< 1 %".
        """
        if 0 < share < 0.005:
            return f"<\N{NO-BREAK SPACE}{numbers.format_percent(0.01, locale=self.locale)}"
        if 0.995 <= share < 1:
            return f">\N{NO-BREAK SPACE}{numbers.format_percent(0.99, locale=self.locale)}"
        return numbers.format_percent(share, locale=self.locale)

    def hour(self, hour: int) -> str:
        """Return a full hour of the local clock: "13 h" or "13:00"."""
        return f"{hour}\N{NO-BREAK SPACE}h" if self.code == "fr" else f"{hour:02d}:00"

    def clock(self, moment: datetime) -> str:
        """Return the local time of a moment: "13 h 05" or "13:05"."""
        local = moment.astimezone(PARIS)
        if self.code == "fr":
            return f"{local.hour}\N{NO-BREAK SPACE}h\N{NO-BREAK SPACE}{local.minute:02d}"
        return f"{local:%H:%M}"

    def day(self, day: date, *, year: bool = False) -> str:
        """Return a day: "lundi 30 novembre" or "Monday 30 November", optionally with its year."""
        day = _local_day(day)
        return dates.format_date(
            day, f"EEEE {self._number_of(day)} MMMM" + (" y" if year else ""), self.locale
        )

    def short_day(self, day: date) -> str:
        """Return a day in few characters: "lun. 30" or "Mon 30"."""
        return dates.format_date(_local_day(day), "EEE d", self.locale)

    def full_date(self, day: date) -> str:
        """Return a day with its year: "30 novembre 2026"."""
        day = _local_day(day)
        return dates.format_date(day, f"{self._number_of(day)} MMMM y", self.locale)

    def _number_of(self, day: date) -> str:
        """Return the pattern for the day of the month: French writes the first as "1er"."""
        return "d'er'" if self.code == "fr" and day.day == 1 else "d"

    def month(self, day: date) -> str:
        """Return the month of a day with its year: "novembre 2026"."""
        return dates.format_date(_local_day(day), "MMMM y", self.locale)

    def month_of_year(self, month: int, *, short: bool = False) -> str:
        """Return a month of the year by itself, 1 to 12: "juin", or short: "juil."."""
        return dates.format_date(date(2000, month, 1), "LLL" if short else "LLLL", self.locale)

    def age(self, seconds: float) -> str:
        """Return a length of time in its largest unit: "7 heures", "7 hours"."""
        return dates.format_timedelta(timedelta(seconds=seconds), threshold=1.2, locale=self.locale)

    def compass(self, point: str) -> str:
        """Return a point of the compass such as "SW": "SO" in French."""
        return point.replace("W", "O") if self.code == "fr" else point

    def sectors(self, points: Sequence[str]) -> str:
        """Return the sectors of a take-off in words: "S, SO et O"."""
        return self.listed([self.compass(point) for point in points])

    def listed(self, names: list[str]) -> str:
        """Return names as a list in words: "AROME, ICON-D2 et IFS"."""
        return format_list(names, locale=self.locale)


def _local_day(day: date) -> date:
    """Return the local day of a moment, whose own date is that of its zone; a day stays as it is."""
    return day.astimezone(PARIS).date() if isinstance(day, datetime) else day


@cache
def language(code: str) -> Language:
    """Return a language of LANGUAGES. Raises KeyError for another code."""
    if code not in LANGUAGES:
        raise KeyError(code)
    locale = Locale.parse("en_GB" if code == "en" else code)
    if code == "en":
        return Language(code, locale, gettext.NullTranslations())
    # One catalogue of all parts: the templates do not know which part has their text.
    whole = Catalog(locale=code)
    for file in sorted((LOCALES / code).glob("*.po")):
        with file.open("rb") as opened:
            part = read_po(opened, locale=code)
        whole.mime_headers = part.mime_headers  # with the plural forms that the translators counted with
        for message in part:
            if message.id:
                whole[message.id] = message
    compiled = io.BytesIO()
    write_mo(compiled, whole)
    compiled.seek(0)
    return Language(code, locale, gettext.GNUTranslations(compiled))


def preferred_language(accept_language: str) -> str:
    """Return the language of LANGUAGES that an Accept-Language header prefers (RFC 9110, 12.5.4)."""
    best, best_quality = LANGUAGES[0], 0.0
    for part in accept_language.split(","):
        name, _, parameter = part.strip().partition(";")
        code = name.strip().lower().partition("-")[0]
        try:
            quality = float(parameter.strip().removeprefix("q=") or 1)
        except ValueError:
            continue
        if code in LANGUAGES and quality > best_quality:
            best, best_quality = code, quality
    return best
