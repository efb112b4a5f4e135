"""The bulletin of a club: its lines of text, its picture, and its feed."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta
from email.utils import format_datetime

from lxml import etree

from backend.answers.bulletin import BulletinAnswer
from backend.answers.home import HomeHour, HomeRow
from backend.answers.trust import Standing
from backend.core.clock import PARIS
from backend.pages.charts.picture import HEIGHT, WIDTH, Picture, shortened
from backend.pages.charts.style import Spec
from backend.pages.page import Page
from backend.pages.sentences_forecast import chance_item
from backend.pages.sentences_home import gust_words

EVENING = time(19, 5)
"""Local time at which a bulletin is published: five minutes after the decision of the evening before."""

_NAME_WIDTH, _CELL_WIDTH, _GAP = 400, 148, 8
_FIRST_ROW, _ROW_HEIGHT = 142, 84
_FOOT_LETTERS = 84
_TITLE_LETTERS = 25


def newest_is_about_today(now: datetime) -> bool:
    """Return whether the newest published bulletin is about today: that of this evening is still to come."""
    return now.astimezone(PARIS).time() < EVENING


def draw_hour(
    picture: Picture, page: Page, hour: HomeHour, x: float, y: float, width: float, height: float
) -> None:
    """Draw an hour as a cell: mean wind, beside it the gust, coloured against the pilot's limits."""
    if hour.wind is None:
        picture.text(x + width / 2, y + height / 2, "–", 40, color="var(--quiet)", align="center")
        return
    colour = "var(--bad)" if hour.over else "var(--ok)"
    picture.box(x, y, width, height, "var(--bad-back)" if hour.over else "var(--ok-back)")
    middle = y + height / 2
    if hour.close:
        picture.text(x + 8, y + 12, "≈", 26, color=colour)  # above the triangle: below, they touch
    mark = "▲" if hour.over else ""
    wind = f"{mark}{page.speed(hour.wind)}"
    if hour.gust is None:
        picture.text(x + width / 2, middle, wind, 46, color=colour, bold=True, align="center")
        return
    picture.text(x + width * 0.62, middle, wind, 46, color=colour, bold=True, align="right")
    picture.text(x + width * 0.67, middle + 4, page.speed(hour.gust), 32, color=colour)


def limits_text(page: Page) -> str:
    """Return what the marks of the cells mean, for a picture."""
    return page.language.gettext("▲ wind > %(wind)s or gust > %(gust)s · ≈ close") % {
        "wind": page.speed(page.choices.lim),
        "gust": page.speed(page.choices.glim),
    }


@dataclass(frozen=True)
class Bulletin:
    """What the page, the picture and the feed of a bulletin show."""

    page: Page
    answer: BulletinAnswer

    @property
    def title(self) -> str:
        """The heading: "Tomorrow, Thursday 16 July"."""
        words, home = self.page.language, self.answer.home
        text = words.gettext("Today, %(day)s") if home.is_today else words.gettext("Tomorrow, %(day)s")
        return text % {"day": words.day(home.day)}

    @property
    def hours(self) -> str:
        """The hours of the columns: "10, 12, 14, 16 and 18 h"."""
        return "/".join(str(hour) for hour in self.answer.home.hours)

    def lines(self) -> list[str]:
        """Return the bulletin as lines of text to send on: a heading, and a line for each site."""
        words = self.page.language
        heading = words.gettext("%(title)s: mean wind (gust) in %(unit)s at %(hours)s h") % {
            "title": self.title,
            "unit": self.page.unit.symbol,
            "hours": self.hours,
        }
        return [heading, *(self.line(row) for row in self.answer.home.rows)]

    def line(self, row: HomeRow) -> str:
        """Return a site in one line: one model's values and name, and the chance of the day if shown."""
        words = self.page.language
        if row.trust is None or not row.hours:
            return words.gettext("%(site)s: no public forecast") % {"site": row.name}
        values = " ".join(self._value(hour) for hour in row.hours)
        line = words.gettext("%(site)s: %(values)s (%(model)s)") % {
            "site": row.name,
            "values": values,
            "model": self.model(row),
        }
        chance = self.chance(row)
        return f"{line}, {chance}" if chance else line

    def chance(self, row: HomeRow) -> str:
        """Return the chance of more than the limits that day; empty where no corrected forecast is shown."""
        choices = self.page.choices
        return (
            ""
            if row.day_chance is None
            else chance_item(self.page, row.day_chance, choices.lim, choices.glim)
        )

    def model(self, row: HomeRow) -> str:
        """Return the name of the shown model, whether it is judged yet, and that of the gusts if another."""
        words = self.page.language
        if row.trust is None:
            return ""
        name = row.trust.wind.name
        if row.trust.wind.standing is Standing.NOT_JUDGED:
            name = words.gettext("%(model)s, not yet judged") % {"model": name}
        gusts = gust_words(self.page, row.trust) if row.trust.gust else None  # no gust is shown without one
        return name if gusts is None else f"{name}, {gusts}"

    def _value(self, hour: HomeHour) -> str:
        if hour.wind is None:
            return "–"
        gust = "" if hour.gust is None else f"({self.page.speed(hour.gust)})"
        return f"{self.page.speed(hour.wind)}{gust}"

    def yesterday(self) -> str | None:
        """Return which models were right yesterday at how many sites, the best first; None if none is judged.

        Models that were right at as many sites are named together: a line of six models is read in one look.
        """
        words = self.page.language
        groups: defaultdict[tuple[int, int], list[str]] = defaultdict(list)
        for each in self.answer.yesterday:
            groups[each.right, each.of].append(each.name)
        if not groups:
            return None
        parts = [
            words.ngettext(
                "%(right)s of %(num)s site: %(models)s", "%(right)s of %(num)s sites: %(models)s", of
            )
            % {
                "right": words.number(right),
                "num": words.number(of),
                "models": words.listed(groups[right, of]),
            }
            for right, of in sorted(groups, key=lambda group: (-group[0] / group[1], -group[1]))
        ]
        return words.gettext("Yesterday, right at %(models)s.") % {"models": " · ".join(parts)}

    def text(self) -> str:
        """Return all lines, and the one about yesterday."""
        yesterday = self.yesterday()
        return "\n".join([*self.lines(), *([] if yesterday is None else [yesterday])])

    def description(self) -> str:
        """Return what the bulletin is about, for previews of links."""
        names = [row.name for row in self.answer.home.rows]
        text = self.page.language.gettext("The next flying day at %(sites)s")
        return text % {"sites": self.page.language.listed(names)}

    # --- Picture -------------------------------------------------------------------------------------

    def picture(self) -> Spec:
        """Return the specification of the picture: a row for each site."""
        page, words, home = self.page, self.page.language, self.answer.home
        picture = Picture()
        size = min(50, _TITLE_LETTERS * 50 // len(self.title))  # the limits are beside it
        picture.text(40, 52, self.title, size, bold=True)
        picture.text(WIDTH - 10, 52, limits_text(page), 28, color="var(--quiet)", align="right")
        units = words.gettext("wind, gust in %(unit)s") % {"unit": page.unit.symbol}
        picture.text(40, 112, units, 30, color="var(--quiet)")
        lefts = [_NAME_WIDTH + 20 + index * (_CELL_WIDTH + _GAP) for index in range(len(home.hours))]
        for left, hour in zip(lefts, home.hours, strict=True):
            picture.text(
                left + _CELL_WIDTH / 2, 112, words.hour(hour), 34, color="var(--quiet)", align="center"
            )
        for index, row in enumerate(home.rows):
            top = _FIRST_ROW + index * _ROW_HEIGHT
            long_name = len(row.name) > 17  # a smaller name is better than one that is cut off
            picture.text(40, top + 24, shortened(row.name, 24), 29 if long_name else 40, bold=True)
            model = self.model(row)
            picture.text(
                40, top + 60, shortened(model, 34), 23 if len(model) > 26 else 26, color="var(--quiet)"
            )
            if not row.hours:
                text = words.gettext("no public forecast")
                picture.text(lefts[0], top + 38, text, 34, color="var(--quiet)")
            # Not strict: a site without a forecast has no hours.
            for left, each in zip(lefts, row.hours, strict=False):
                draw_hour(picture, page, each, left, top, _CELL_WIDTH, _ROW_HEIGHT - 10)
        foot = self.yesterday() or words.gettext("Bold: mean wind. Beside it: gust.")
        if len(foot) > _FOOT_LETTERS and (end := foot.rfind(" · ", 0, _FOOT_LETTERS)) > 0:
            foot = f"{foot[:end]} · …"  # whole groups: the text has them all
        picture.text(40, HEIGHT - 34, shortened(foot, _FOOT_LETTERS), 23 if len(foot) > 64 else 28)
        picture.text(
            WIDTH - 40, HEIGHT - 34, "MétéoScore", 28, bold=True, color="var(--quiet)", align="right"
        )
        return picture.spec()

    # --- Feed ----------------------------------------------------------------------------------------

    def feed(self, address: str) -> bytes:
        """Return the bulletin as an RSS 2.0 feed with one item; `address` is that of the page.

        A dozen elements need no library for feeds: lxml, which is there already, writes them well-formed.
        """
        words, home = self.page.language, self.answer.home
        names = ", ".join(row.name for row in home.rows)
        rss = etree.Element("rss", version="2.0")
        channel = etree.SubElement(rss, "channel")

        def add(parent: etree._Element, tag: str, text: str, **attributes: str) -> None:
            etree.SubElement(parent, tag, attributes).text = text

        add(channel, "title", f"MétéoScore: {names}")
        add(channel, "link", address)
        add(channel, "description", self.description())
        add(channel, "language", words.code)
        add(channel, "ttl", "60")
        item = etree.SubElement(channel, "item")
        add(item, "title", self.title)
        add(item, "link", address)
        # By the day: a reader of feeds shows an item again only when its guid is new.
        add(item, "guid", f"{address}#{home.day.isoformat()}", isPermaLink="false")
        add(item, "pubDate", format_datetime(self.published()))
        add(item, "description", self.text())
        return bytes(etree.tostring(rss, xml_declaration=True, encoding="utf-8", pretty_print=True))

    def published(self) -> datetime:
        """Return when the bulletin of the day was published: at 19:05 local of the evening before."""
        evening_before = self.answer.home.day - timedelta(days=1)
        return datetime.combine(evening_before, EVENING, PARIS).astimezone(UTC)
