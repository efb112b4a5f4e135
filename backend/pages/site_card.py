"""A site in short: the card for other pages, and the picture beside a link to the site."""

from __future__ import annotations

from dataclasses import dataclass

from backend.answers.attribution import forecast_attribution
from backend.answers.home import HomeQuestion, HomeRow, home_answer, is_about_today
from backend.core.records import Site
from backend.pages.bulletin import draw_hour, limits_text
from backend.pages.charts.picture import HEIGHT, WIDTH, Picture, shortened, wrapped
from backend.pages.charts.style import Spec
from backend.pages.page import Page
from backend.pages.sentences_forecast import chance_item
from backend.pages.sentences_home import gust_words, standing_words
from backend.pages.verdict_card import VerdictCard, verdict_card


@dataclass(frozen=True)
class SiteCard:
    """The verdict of a site, and the next flying day by one public model; `row` is None without a site."""

    page: Page
    site: Site
    title: str
    row: HomeRow | None
    verdict: VerdictCard

    @property
    def shown(self) -> str:
        """The name of the shown model, and how well it is known here."""
        row = self.row
        if row is None or row.trust is None:
            return ""
        standing = standing_words(self.page, row.trust.wind, has_station=row.station is not None)
        gusts = gust_words(self.page, row.trust) if row.trust.gust else None
        return f"{row.trust.wind.name} ({standing if gusts is None else f'{standing}, {gusts}'})"

    @property
    def credits(self) -> list[str]:
        """The credits of the sources of the verdict and of the models of the day."""
        trust = None if self.row is None else self.row.trust
        shown = () if trust is None else [each.model for each in (trust.wind, trust.gust) if each is not None]
        of_day = forecast_attribution(self.page.service, shown)
        return list(dict.fromkeys([*self.verdict.answer.attribution, *of_day]))

    def picture(self) -> Spec:
        """Return the specification of the picture: name, day, verdict."""
        page, words = self.page, self.page.language
        text, answer = self.verdict.words, self.verdict.answer
        picture = Picture()
        picture.text(40, 62, shortened(self.site.name, 32), 60, bold=True)
        picture.text(40, 132, f"{self.title}, {page.unit.symbol}", 36, color="var(--quiet)")
        hours = [] if self.row is None else self.row.hours
        if hours:
            picture.text(WIDTH - 40, 132, limits_text(page), 24, color="var(--quiet)", align="right")
        for index, hour in enumerate(hours):
            left, width = 40 + index * 226, 216
            picture.text(
                left + width / 2, 184, words.hour(hour.hour), 34, color="var(--quiet)", align="center"
            )
            draw_hour(picture, page, hour, left, 208, width, 96)
        if not hours:
            picture.text(40, 236, words.gettext("No public model has values for this day."), 36)
        else:
            picture.text(40, 334, shortened(self.shown, 64), 30, color="var(--quiet)")
        top = 404
        if hours and self.row is not None and self.row.day_chance is not None:
            chance = chance_item(page, self.row.day_chance, page.choices.lim, page.choices.glim)
            picture.text(40, 374, shortened(chance[:1].upper() + chance[1:], 66), 30, bold=True)
            top = 428
        picture.text(40, top, text.finding(answer), 44, bold=True)
        for index, line in enumerate(wrapped(text.verdict(answer), 66, 3)):
            picture.text(40, top + 50 + index * 40, line, 32)
        foot = words.gettext("Statistics about past forecasts at one beacon, not a flight decision.")
        picture.text(40, HEIGHT - 30, foot, 24, color="var(--quiet)")
        picture.text(
            WIDTH - 40, HEIGHT - 30, "MétéoScore", 28, bold=True, color="var(--quiet)", align="right"
        )
        return picture.spec()


def site_card(page: Page, site: Site) -> SiteCard:
    """Return a site in short. Raises StoreUnavailableError."""
    words, today = page.language, is_about_today(page.now)
    question = HomeQuestion(
        chosen=(site.id,), wind_limit=page.choices.lim, gust_limit=page.choices.glim, is_today=today
    )
    answer = home_answer(page.service, question, page.withheld())
    title = words.gettext("Today, %(day)s") if today else words.gettext("Tomorrow, %(day)s")
    return SiteCard(
        page,
        site,
        title % {"day": words.day(answer.day)},
        next(iter(answer.rows), None),
        verdict_card(page, site),
    )
