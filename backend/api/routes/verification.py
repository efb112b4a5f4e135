"""How good the issued forecasts were, at one site and at all sites together: `/api/v1`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, cast

from fastapi import APIRouter, Path, Query, Request, Response
from pydantic import BaseModel, ConfigDict, Field

from backend.answers.forecast_verification import (
    USUAL_DAYS,
    VerificationAnswer,
    verification_answer,
)
from backend.answers.models import collected_models
from backend.answers.question import chosen_days
from backend.answers.service import ServiceParts
from backend.answers.shapes import DecisionViewName
from backend.answers.sites import require_site
from backend.answers.withholding import Withholding
from backend.api.answer_cache import AnswerCache
from backend.api.cache_headers import MAX_AGE_SECONDS, known_already, static_headers
from backend.api.dependencies import TOKEN_OPTIONAL, ServiceDep
from backend.api.problems import problems
from backend.api.queries import Day, Limit
from backend.api.withholding import Withheld
from backend.core.records import Site
from backend.scoring.constants import USUAL_GUST_LIMIT, USUAL_WIND_LIMIT
from backend.scoring.grid import Hours
from backend.scoring.views import VIEW_OF, DecisionView
from backend.storage.announced import days_stamps

router = APIRouter(
    prefix="/api/v1",
    tags=["scores"],
    responses={
        304: {"description": "The answer is still the one that `If-None-Match` names"},
        **problems(401, 403, 404, 422, 429, 500, 503),
    },
)


class VerificationQuery(BaseModel):
    """The view, the days, the hours, and a pilot's own limits in km/h."""

    model_config = ConfigDict(extra="forbid")

    view: DecisionViewName = "evening_before"
    first: Day | None = Field(
        None, alias="from", description=f"first local day; by default {USUAL_DAYS} days up to `to`"
    )
    last: Day | None = Field(None, alias="to", description="last local day, included; by default today")
    hours: Hours = Field(Hours.ALL, description="`all`, `day`: 08 to 19 local, or `flying`: 10 to 18")
    limit: Limit = USUAL_WIND_LIMIT.value
    gust_limit: Limit = Field(USUAL_GUST_LIMIT.value, alias="gustLimit")


@router.get(
    "/sites/{siteId}/forecast/verification",
    response_model=VerificationAnswer,
    openapi_extra=TOKEN_OPTIONAL,
)
def read_site_verification(
    service: ServiceDep,
    site_id: Annotated[str, Path(alias="siteId")],
    query: Annotated[VerificationQuery, Query()],
    withheld: Withheld,
    request: Request,
) -> Response:
    """Return how good the forecasts issued for a site were: CRPS, coverage, PIT, chances, and references."""
    return _answered(service, [require_site(service.sites(), site_id)], query, withheld, request)


@router.get("/forecast/verification", response_model=VerificationAnswer, openapi_extra=TOKEN_OPTIONAL)
def read_verification(
    service: ServiceDep,
    query: Annotated[VerificationQuery, Query()],
    withheld: Withheld,
    request: Request,
) -> Response:
    """Return how good the forecasts issued for all sites together were."""
    return _answered(service, service.sites(), query, withheld, request)


def _answered(
    service: ServiceParts,
    sites: Sequence[Site],
    query: VerificationQuery,
    withheld: Withholding,
    request: Request,
) -> Response:
    first, last = chosen_days(service, query.first, query.last, usual=USUAL_DAYS)
    # The score days of a site change with its record and with its readings.
    stamps = days_stamps(service.database, service.clock())
    parts = [(site, stamps.get(site.id)) for site in sites]
    headers = {
        **static_headers(
            request, request.url.query, parts, first, last, collected_models(service), withheld.key
        ),
        "Cache-Control": f"{'public' if withheld.public else 'private'}, max-age={MAX_AGE_SECONDS}",
        "Vary": "Authorization",
    }
    if known_already(request, headers):
        return Response(status_code=304, headers=headers)

    def compute() -> bytes:
        return (
            verification_answer(
                service,
                sites,
                cast(DecisionView, VIEW_OF[query.view]),
                first,
                last,
                withheld,
                hours=query.hours,
                limit=query.limit,
                gust_limit=query.gust_limit,
            )
            .model_dump_json()
            .encode()
        )

    cache = cast(AnswerCache, request.app.state.answer_cache)
    content = cache.get_or_compute(headers["ETag"], compute)
    return Response(content, media_type="application/json", headers=headers)
