"""Verdicts, scores, bias, events and series of a site: `/api/v1`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated

from fastapi import APIRouter, Path, Query, Request, Response
from pydantic import Field

from backend.answers.base import ApiModel
from backend.answers.details import bias_answer, events_answer, series_answer
from backend.answers.methods import methods_answer
from backend.answers.models import collected_models, models_answer, require_model
from backend.answers.question import Question
from backend.answers.scores import comparison_answer, scores_answer, verdict_answer
from backend.answers.service import ServiceParts
from backend.answers.shapes import (
    ROUNDED,
    BiasAnswer,
    CommonFields,
    ComparisonAnswer,
    EventsAnswer,
    MethodsAnswer,
    ModelsAnswer,
    ScoresAnswer,
    SeriesAnswer,
    VerdictAnswer,
)
from backend.answers.sites import require_site
from backend.answers.withholding import Withholding
from backend.api.answer_cache import AnswerCache
from backend.api.cache_headers import cache_headers, known_already, static_headers
from backend.api.dependencies import TOKEN_OPTIONAL, ServiceDep
from backend.api.problems import bad_query, problems
from backend.api.queries import HoursQuery, Limit, ScoreQuery, SeriesQuery
from backend.api.withholding import Withheld
from backend.core.registry import OWN_MODEL
from backend.scoring.constants import (
    MOST_SERIES_DAYS,
    USUAL_GUST_LIMIT,
    USUAL_SERIES_DAYS,
    USUAL_WIND_LIMIT,
)
from backend.scoring.grid import Hours
from backend.scoring.sample.quantities import SINGLE_VALUED, Quantity
from backend.scoring.sample.strata import BY_CLOCK, Stratum

router = APIRouter(
    prefix="/api/v1",
    tags=["scores"],
    responses={
        304: {"description": "The answer is still the one that `If-None-Match` names"},
        **problems(401, 403, 404, 422, 429, 500, 503),
    },
)


class EventQuery(HoursQuery):
    """The query of flyability: a pilot's own limits in km/h."""

    limit: Limit = USUAL_WIND_LIMIT.value
    gust_limit: Limit = Field(USUAL_GUST_LIMIT.value, alias="gustLimit")


SiteId = Annotated[str, Path(alias="siteId")]


class ModelQuery(ScoreQuery):
    """A query about all models, or about one."""

    model: str | None = None


class GroupQuery(ModelQuery):
    """The query of scores of each model."""

    stratum: Stratum | None = None

    def counted_hours(self) -> Hours:
        """Return the hours that count: for groups by hour of the day, by default all."""
        return self.group_hours() if self.stratum in BY_CLOCK else super().counted_hours()


@router.get("/sites/{siteId}/verdict", response_model=VerdictAnswer, openapi_extra=TOKEN_OPTIONAL)
def read_verdict(
    service: ServiceDep,
    site_id: SiteId,
    query: Annotated[ScoreQuery, Query()],
    withheld: Withheld,
    request: Request,
) -> Response:
    """Return which forecast to trust at a site: a winner, too close to call, or not enough data yet."""
    question = query.public_question(service, require_site(service.sites(), site_id), withheld)
    return _answered(
        service, question, withheld, request, lambda: verdict_answer(service, question, withheld)
    )


@router.get("/sites/{siteId}/scores", response_model=ScoresAnswer, openapi_extra=TOKEN_OPTIONAL)
def read_scores(
    service: ServiceDep,
    site_id: SiteId,
    query: Annotated[GroupQuery, Query()],
    withheld: Withheld,
    request: Request,
) -> Response:
    """Return each model's scores on its own pairs, or by hour, month, season, sector or wind class."""
    site = require_site(service.sites(), site_id)
    require_model(service, query.model, (*collected_models(service), OWN_MODEL.name))
    question = query.public_question(service, site, withheld, model=query.model)
    return _answered(
        service,
        question,
        withheld,
        request,
        lambda: scores_answer(service, question, withheld, model=query.model, stratum=query.stratum),
    )


@router.get("/sites/{siteId}/comparison", response_model=ComparisonAnswer, openapi_extra=TOKEN_OPTIONAL)
def read_comparison(
    service: ServiceDep,
    site_id: SiteId,
    query: Annotated[ScoreQuery, Query()],
    withheld: Withheld,
    request: Request,
) -> Response:
    """Return each two models on their common hours, with the test of their difference."""
    question = query.public_question(service, require_site(service.sites(), site_id), withheld)
    return _answered(
        service, question, withheld, request, lambda: comparison_answer(service, question, withheld)
    )


@router.get("/sites/{siteId}/bias", response_model=BiasAnswer, openapi_extra=TOKEN_OPTIONAL)
def read_bias(
    service: ServiceDep,
    site_id: SiteId,
    query: Annotated[ModelQuery, Query()],
    withheld: Withheld,
    request: Request,
) -> Response:
    """Return the bias of each model: by hour of the day, by its own forecast, by lead time."""
    site = require_site(service.sites(), site_id)
    _require_single_value(query.quantity(), "has no bias, because the length of a vector error has no sign")
    require_model(service, query.model, (*collected_models(service), OWN_MODEL.name))
    question = query.public_question(service, site, withheld, model=query.model)
    return _answered(
        service,
        question,
        withheld,
        request,
        lambda: bias_answer(service, question, withheld, model=query.model),
    )


@router.get("/sites/{siteId}/events", response_model=EventsAnswer, openapi_extra=TOKEN_OPTIONAL)
def read_events(
    service: ServiceDep,
    site_id: SiteId,
    query: Annotated[EventQuery, Query()],
    withheld: Withheld,
    request: Request,
) -> Response:
    """Return how often a "go" was a bad surprise, for a pilot's own limits in km/h."""
    question = query.public_question(service, require_site(service.sites(), site_id), withheld)
    return _answered(
        service,
        question,
        withheld,
        request,
        lambda: events_answer(
            service, question, withheld, wind_limit=query.limit, gust_limit=query.gust_limit
        ),
    )


@router.get("/sites/{siteId}/series", response_model=SeriesAnswer, openapi_extra=TOKEN_OPTIONAL)
def read_series(
    service: ServiceDep,
    site_id: SiteId,
    query: Annotated[SeriesQuery, Query()],
    withheld: Withheld,
    request: Request,
) -> Response:
    """Return recent days hour by hour: forecast, observation and error, at most a month at a time."""
    question = query.question(
        service,
        require_site(service.sites(), site_id),
        usual=USUAL_SERIES_DAYS.value,
        most=MOST_SERIES_DAYS.value,
    )
    _require_single_value(query.quantity(), "has no hourly values: use wind_speed and wind_direction")
    return _answered(service, question, withheld, request, lambda: series_answer(service, question, withheld))


@router.get("/models", response_model=ModelsAnswer)
def read_models(service: ServiceDep, request: Request) -> Response:
    """Return the models that can appear in an answer."""
    answer = models_answer(service)
    return _given(request, static_headers(request, answer.models), lambda: answer)


@router.get("/methods", response_model=MethodsAnswer)
def read_methods(service: ServiceDep, request: Request) -> Response:
    """Return every constant of scoring, with its reason."""
    return _given(request, static_headers(request), lambda: methods_answer(service))


def _answered(
    service: ServiceParts,
    question: Question,
    withheld: Withholding,
    request: Request,
    answer: Callable[[], ApiModel],
) -> Response:
    """Return the answer, from the cache if possible, or 304 if the client has it already."""
    headers = cache_headers(service, request, question, withheld)
    return _given(request, headers, answer)


def _given(request: Request, headers: dict[str, str], answer: Callable[[], ApiModel]) -> Response:
    if known_already(request, headers):
        return Response(status_code=304, headers=headers)

    def compute() -> bytes:
        content = answer()
        # Rounding is the last step, so that no number of the answer is left out.
        context = ROUNDED if isinstance(content, CommonFields) and content.rounded else None
        return content.model_dump_json(context=context).encode()

    cache: AnswerCache = request.app.state.answer_cache
    content = cache.get_or_compute(headers["ETag"], compute)
    return Response(content, media_type="application/json", headers=headers)


def _require_single_value(quantity: Quantity, why: str) -> None:
    if quantity not in SINGLE_VALUED:
        raise bad_query("parameter", f"{quantity} {why}")
