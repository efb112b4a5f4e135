"""Files to take along: the hours behind a site's scores, as CSV."""

from __future__ import annotations

import csv
import io
from typing import Annotated

from fastapi import APIRouter, Path, Response

from backend.answers.details import series_answer
from backend.answers.question import make_question
from backend.answers.shapes import SeriesAnswer
from backend.answers.shown_station import shown_station
from backend.answers.sites import require_site
from backend.core.clock import PARIS
from backend.pages.media import respond_media
from backend.pages.page import PageDep
from backend.pages.score_choices import score_choices, score_parts
from backend.scoring.constants import MOST_SERIES_DAYS
from backend.scoring.views import VIEW_OF

router = APIRouter(include_in_schema=False)


@router.get("/sites/{siteId}/hours.csv")
def hours_file(page: PageDep, site_id: Annotated[str, Path(alias="siteId")]) -> Response:
    """Return the last 31 days hour by hour: public observations, forecasts and errors of a quantity."""
    site = require_site(page.service.sites(), site_id)
    choices, withheld = score_choices(page), page.withheld()
    question = make_question(
        page.service,
        site,
        choices.quantity,
        VIEW_OF[choices.view],
        usual=MOST_SERIES_DAYS.value,
        station=shown_station(site, page.now.astimezone(PARIS).date(), withheld),
    )
    name = f"{site.id}-{choices.parameter}-{choices.view}.csv"
    response = respond_media(
        page,
        "text/csv; charset=utf-8",
        lambda: _written(series_answer(page.service, question, withheld)).encode(),
        *score_parts(page, site),
    )
    response.headers["Content-Disposition"] = f'attachment; filename="{name}"'
    return response


def _written(answer: SeriesAnswer) -> str:
    """Return the hours that have a public value, below lines that describe the columns."""
    shown = sorted(
        {each.model for hour in answer.hours for each in hour.forecasts if each.forecast is not None}
    )
    text = io.StringIO(newline="")
    stations = " and ".join(each.name or each.station for each in answer.stations)
    for line in (
        f"MétéoScore, {answer.site_name}: {answer.parameter.value} in {answer.unit}, station {stations}",
        f"forecasts as available {answer.view_text}; error = forecast - observation; empty = no public value",
        f"sources: {'; '.join(answer.attribution)}",
    ):
        text.write(f"# {' '.join(line.split())}\r\n")
    writer = csv.writer(text)
    errors = [f"{model}_error" for model in shown]
    writer.writerow(["valid_time_utc", "local_day", "local_hour", "observation", *shown, *errors])
    for hour in answer.hours:
        of_model = {each.model: each for each in hour.forecasts}
        if hour.observation is None and all(of_model[model].forecast is None for model in shown):
            continue
        writer.writerow(
            [
                f"{hour.valid_time:%Y-%m-%dT%H:%M:%SZ}",
                hour.local_day.isoformat(),
                hour.local_hour,
                hour.observation,
                *(of_model[model].forecast for model in shown),
                *(of_model[model].error for model in shown),
            ]
        )
    return text.getvalue()
