"""The values of a site's page."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import date, timedelta
from typing import Any

from backend.answers.coming_day import coming_day
from backend.answers.forecast import forecast_answer
from backend.answers.now import now_answer
from backend.answers.yesterday import yesterday_answer
from backend.core.clock import PARIS
from backend.core.records import Site
from backend.pages.coming_card import ComingCard, chosen_day
from backend.pages.forecast_card import ForecastCard
from backend.pages.live_maps import live_pages
from backend.pages.page import Page
from backend.pages.past_day import PastDayCard
from backend.pages.sentences_site import SiteWords
from backend.pages.verdict_card import verdict_card
from backend.scoring.constants import LEAST_LIMIT, MOST_LIMIT


def site_values(page: Page, site: Site, day: date | None, *, trial: bool = False) -> dict[str, Any]:
    """Return what the template of a site's page needs. Raises InvalidDaysError, StoreUnavailableError.

    `trial` computes the corrected forecast of a day for which none was issued.
    """
    withheld = page.withheld()
    today = page.now.astimezone(PARIS).date()
    past = day if day is not None and day < today else today - timedelta(days=1)
    # Another process draws, so each chart is asked for as soon as its values are there: the answers that
    # follow are computed while it is drawn.
    with ThreadPoolExecutor(max_workers=1) as drawing:
        coming = coming_day(
            page.service,
            site,
            chosen_day(page, day),
            withheld,
            wind_limit=page.choices.lim,
            gust_limit=page.choices.glim,
        )
        coming_card = ComingCard(page, site, coming)
        coming_chart = drawing.submit(coming_card.chart)
        corrected = forecast_answer(
            page.service,
            site,
            coming.day,
            withheld,
            limit=page.choices.lim,
            gust_limit=page.choices.glim,
            on_demand=trial,
        )
        observed = {hour.hour: hour.observed for hour in coming.hours if hour.observed is not None}
        corrected_card = ForecastCard(page, corrected, observed)
        corrected_chart = drawing.submit(corrected_card.chart)
        past_card = PastDayCard(
            page, yesterday_answer(page.service, site, withheld, limit=page.choices.lim, day=past)
        )
        past_chart = drawing.submit(past_card.chart)
        return {
            "site": site,
            "coming": coming_card,
            "corrected": corrected_card,
            "text": SiteWords(page),
            "now": now_answer(page.service, site, withheld),
            "past": past_card,
            "verdict": verdict_card(page, site),
            "least_limit": f"{LEAST_LIMIT.value:g}",
            "most_limit": f"{MOST_LIMIT.value:g}",
            "live_pages": live_pages(site.stations),
            "coming_chart": coming_chart.result(),
            "corrected_chart": corrected_chart.result(),
            "past_chart": past_chart.result(),
        }
