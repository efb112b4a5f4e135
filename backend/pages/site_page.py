"""The values of a site's page."""

from __future__ import annotations

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
    coming = coming_day(
        page.service,
        site,
        chosen_day(page, day),
        withheld,
        wind_limit=page.choices.lim,
        gust_limit=page.choices.glim,
    )
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
    return {
        "site": site,
        "coming": ComingCard(page, site, coming),
        "corrected": ForecastCard(page, corrected, observed),
        "text": SiteWords(page),
        "now": now_answer(page.service, site, withheld),
        "past": PastDayCard(
            page, yesterday_answer(page.service, site, withheld, limit=page.choices.lim, day=past)
        ),
        "verdict": verdict_card(page, site),
        "least_limit": f"{LEAST_LIMIT.value:g}",
        "most_limit": f"{MOST_LIMIT.value:g}",
        "live_pages": live_pages(site.stations),
    }
