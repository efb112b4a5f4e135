"""The corrected forecast of a site: `/api/v1/sites/{id}/forecast`."""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated, cast

from fastapi import APIRouter, Path, Query, Request, Response
from pydantic import BaseModel, ConfigDict, Field

from backend.answers.announced import data_version
from backend.answers.forecast import forecast_answer, record_version
from backend.answers.forecast_shapes import ForecastAnswer
from backend.answers.home import is_about_today
from backend.answers.shapes import DecisionViewName
from backend.answers.sites import require_site
from backend.api.answer_cache import AnswerCache
from backend.api.cache_headers import MAX_AGE_SECONDS, known_already, static_headers
from backend.api.dependencies import TOKEN_OPTIONAL, ServiceDep
from backend.api.problems import problems
from backend.api.queries import Day, Limit
from backend.api.withholding import Withheld
from backend.core.clock import PARIS
from backend.scoring.constants import USUAL_GUST_LIMIT, USUAL_WIND_LIMIT
from backend.scoring.views import VIEW_OF, DecisionView

router = APIRouter(
    prefix="/api/v1",
    tags=["scores"],
    responses={
        304: {"description": "The answer is still the one that `If-None-Match` names"},
        **problems(401, 403, 404, 422, 429, 500, 503),
    },
)


class ForecastQuery(BaseModel):
    """The day, the view, and a pilot's own limits in km/h."""

    model_config = ConfigDict(extra="forbid")

    day: Day | None = Field(None, description="a local day; by default today until noon, then tomorrow")
    view: DecisionViewName | None = Field(None, description="by default the one of the newest decision")
    limit: Limit = USUAL_WIND_LIMIT.value
    gust_limit: Limit = Field(USUAL_GUST_LIMIT.value, alias="gustLimit")


@router.get("/sites/{siteId}/forecast", response_model=ForecastAnswer, openapi_extra=TOKEN_OPTIONAL)
def read_forecast(
    service: ServiceDep,
    site_id: Annotated[str, Path(alias="siteId")],
    query: Annotated[ForecastQuery, Query()],
    withheld: Withheld,
    request: Request,
) -> Response:
    """Return the corrected forecast of a day, hour by hour, with its interval, its chances and its record.

    Where the gate is closed it has the best raw model and the reason. Without an issued forecast it is on
    trial, and marked so.
    """
    site = require_site(service.sites(), site_id)
    now = service.clock()
    day = query.day or now.astimezone(PARIS).date() + timedelta(days=not is_about_today(now))
    headers = static_headers(
        request,
        request.url.query,
        day,
        record_version(service, site),
        data_version(service),
        withheld.key,
        int(now.timestamp()) // MAX_AGE_SECONDS,
    )
    headers |= {
        "Cache-Control": f"{'public' if withheld.public else 'private'}, max-age={MAX_AGE_SECONDS}",
        "Vary": "Authorization",
    }
    if known_already(request, headers):
        return Response(status_code=304, headers=headers)

    def compute() -> bytes:
        view = None if query.view is None else cast(DecisionView, VIEW_OF[query.view])
        answer = forecast_answer(
            service, site, day, withheld, view=view, limit=query.limit, gust_limit=query.gust_limit
        )
        return answer.model_dump_json().encode()

    cache = cast(AnswerCache, request.app.state.answer_cache)
    content = cache.get_or_compute(f"forecast {headers['ETag']}", compute)
    return Response(content, media_type="application/json", headers=headers)
