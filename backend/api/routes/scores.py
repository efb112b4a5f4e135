"""Which forecast to trust, how each is wrong, and how often a "go" was a bad surprise: `/api/v1`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any, TypeVar

from fastapi import APIRouter, Path, Query, Request, Response

from backend.api.dependencies import TOKEN_OPTIONAL, ServiceDep, ServiceParts
from backend.api.problems import problems
from backend.api.questions import Question, ScoreQuery, cache_headers, collected_models, known_already
from backend.api.routes.sites import require_site
from backend.api.schemas import ApiModel
from backend.api.score_answers import comparison_answer, scores_answer, verdict_answer
from backend.api.score_schemas import ComparisonAnswer, ScoresAnswer, VerdictAnswer
from backend.api.withholding import Withheld, Withholding
from backend.core.errors import NotFound
from backend.scoring.strata import Stratum

router = APIRouter(
    prefix="/api/v1",
    tags=["scores"],
    responses={
        304: {"description": "What `If-None-Match` names is still the answer"},
        **problems(401, 403, 404, 422, 500, 503),
    },
)

A = TypeVar("A", bound=ApiModel)

SiteId = Annotated[str, Path(alias="siteId")]


class GroupQuery(ScoreQuery):
    """What scores of each model are asked for by."""

    model: str | None = None
    stratum: Stratum | None = None


@router.get("/sites/{siteId}/verdict", response_model=VerdictAnswer, openapi_extra=TOKEN_OPTIONAL)
def read_verdict(
    service: ServiceDep,
    site_id: SiteId,
    query: Annotated[ScoreQuery, Query()],
    withheld: Withheld,
    request: Request,
    response: Response,
) -> VerdictAnswer | Response:
    """Return which forecast to trust at a site: a winner, too close to call, or not enough data yet."""
    question = query.question(service, require_site(service.sites(), site_id))
    return _answered(
        service, question, withheld, request, response, lambda: verdict_answer(service, question)
    )


@router.get("/sites/{siteId}/scores", response_model=ScoresAnswer, openapi_extra=TOKEN_OPTIONAL)
def read_scores(
    service: ServiceDep,
    site_id: SiteId,
    query: Annotated[GroupQuery, Query()],
    withheld: Withheld,
    request: Request,
    response: Response,
) -> ScoresAnswer | Response:
    """Return each model's scores on its own pairs, by hour, month, season, sector or wind class if asked."""
    question = query.question(service, require_site(service.sites(), site_id))
    _require_model(service, query.model)
    return _answered(
        service,
        question,
        withheld,
        request,
        response,
        lambda: scores_answer(service, question, model=query.model, stratum=query.stratum),
    )


@router.get("/sites/{siteId}/comparison", response_model=ComparisonAnswer, openapi_extra=TOKEN_OPTIONAL)
def read_comparison(
    service: ServiceDep,
    site_id: SiteId,
    query: Annotated[ScoreQuery, Query()],
    withheld: Withheld,
    request: Request,
    response: Response,
) -> ComparisonAnswer | Response:
    """Return every two models on the hours that both have, with both tests."""
    question = query.question(service, require_site(service.sites(), site_id))
    return _answered(
        service, question, withheld, request, response, lambda: comparison_answer(service, question)
    )


def _answered(
    service: ServiceParts,
    question: Question,
    withheld: Withholding,
    request: Request,
    response: Response,
    answer: Callable[[], A],
) -> A | Response:
    """Answer, unless the asker has the answer already; say how long it may be kept."""
    headers = cache_headers(service, request, question, withheld)
    known = known_already(request, headers)
    if known is not None:
        return known
    found = answer()
    response.headers.update(headers)
    return found


def _require_model(service: ServiceParts, name: str | None) -> None:
    if name is None:
        return
    known: set[Any] = {*collected_models(service), *(row.name for row in service.reading.models())}
    if name not in known:
        raise NotFound(f"There is no model {name!r}: /api/v1/models lists them.")
