"""All errors as `application/problem+json` (RFC 9457)."""

from __future__ import annotations

from http import HTTPStatus
from typing import Any

import structlog
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException

from backend.answers.base import ApiModel
from backend.answers.question import InvalidDaysError
from backend.answers.readiness import StateReason
from backend.api.prefix import path_of, public_path, root_of
from backend.api.security_headers import HEADERS
from backend.core.errors import (
    BusyError,
    ConfigError,
    JobBusyError,
    NotFoundError,
    StoreDamagedError,
    StoreReplacedError,
    StoreUnavailableError,
    UnknownNameError,
)

log = structlog.get_logger()

MEDIA_TYPE = "application/problem+json"

RETRY_AFTER_SECONDS = 10


class FieldProblem(ApiModel):
    """An invalid part of the request, such as "query.from", and the rule that it breaks."""

    field: str
    message: str


class Problem(ApiModel):
    """An error (RFC 9457). Members that do not apply are left out."""

    type: str = "about:blank"
    title: str
    status: int
    detail: str
    instance: str
    errors: list[FieldProblem] | None = None
    run_id: int | None = None
    reasons: list[StateReason] | None = None


_DESCRIPTIONS = {
    401: "The admin token is missing or wrong",
    403: "The service has no admin token configured",
    404: "Not found",
    409: "The job is running; `runId` names the run",
    429: "Too many requests from one address: retry after `Retry-After` seconds",
    422: "The request is invalid; `errors` names the fields",
    500: "Internal error",
    503: "The database or the sites file is not usable now, or there are too many requests",
}


_LISTS = {"site": "/api/sites", "station": "/api/stations", "model": "/api/models"}
_LISTS_OF_V1 = _LISTS | {"model": "/api/v1/models"}


def problems(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """Return the error responses of a route, for the OpenAPI document."""
    schema = {"$ref": "#/components/schemas/Problem"}
    return {
        status: {"description": _DESCRIPTIONS[status], "content": {MEDIA_TYPE: {"schema": schema}}}
        for status in statuses
    }


def bad_query(name: str, message: str) -> RequestValidationError:
    """Return the error for a query parameter that is well formed but not valid."""
    return RequestValidationError([{"loc": ("query", name), "msg": message, "type": "value_error"}])


def install_problem_handlers(app: FastAPI) -> None:
    """Answer every error of an application as a problem, also in its OpenAPI document."""
    app.exception_handler(HTTPException)(_http_error)
    app.exception_handler(RequestValidationError)(_invalid)
    app.exception_handler(InvalidDaysError)(_invalid_days)
    app.exception_handler(NotFoundError)(_not_found)
    app.exception_handler(JobBusyError)(_job_busy)
    app.exception_handler(StoreUnavailableError)(_not_now)
    app.exception_handler(BusyError)(_not_now)
    app.exception_handler(ConfigError)(_not_now)
    app.exception_handler(Exception)(_fault)

    # FastAPI describes only the models that a route returns: the problem is added to its document.
    document_routes = app.openapi

    def document() -> dict[str, Any]:
        document = document_routes()
        schema = Problem.model_json_schema(mode="serialization", ref_template="#/components/schemas/{model}")
        schemas = document["components"]["schemas"]
        schemas.update(schema.pop("$defs"))
        schemas["Problem"] = schema
        return document

    app.openapi = document  # type: ignore[method-assign]  # FastAPI documents this way of extending it


def problem_response(
    request: Request, status: int, detail: str, *, headers: dict[str, str] | None = None, **extra: Any
) -> JSONResponse:
    """Return a problem as the answer to a request."""
    problem = Problem(
        title=HTTPStatus(status).phrase,
        status=status,
        detail=detail,
        instance=public_path(request.scope),
        **extra,
    )
    content = problem.model_dump(mode="json", exclude_none=True)
    return JSONResponse(content, status, headers=headers, media_type=MEDIA_TYPE)


async def _http_error(request: Request, error: HTTPException) -> JSONResponse:
    detail, path, root = error.detail, request.url.path, root_of(request.scope)
    if detail == HTTPStatus(error.status_code).phrase:  # from the framework: no route, or not this method
        detail = {
            404: f"There is nothing at {path}: {root}/docs lists all addresses.",
            405: f"{request.method} is not possible at {path}: {root}/docs lists its methods.",
        }.get(error.status_code, detail)
    return problem_response(request, error.status_code, detail, headers=dict(error.headers or {}))


async def _invalid(request: Request, error: RequestValidationError) -> JSONResponse:
    errors = [
        FieldProblem(field=".".join(map(str, part["loc"])), message=part["msg"].removeprefix("Value error, "))
        for part in error.errors()
    ]
    detail = "; ".join(f"{part.field}: {part.message}" for part in errors)
    return problem_response(request, 422, detail, errors=errors)


async def _invalid_days(request: Request, error: InvalidDaysError) -> JSONResponse:
    return await _invalid(request, bad_query("from", str(error)))


async def _not_found(request: Request, error: NotFoundError) -> JSONResponse:
    detail = str(error)
    if isinstance(error, UnknownNameError):
        # Each version of the API has its own list of models, with other fields.
        lists = _LISTS_OF_V1 if path_of(request.scope).startswith("/api/v1/") else _LISTS
        detail = f"{detail[:1].upper()}{detail[1:]}: {root_of(request.scope)}{lists[error.kind]} lists them."
    return problem_response(request, 404, detail)


async def _job_busy(request: Request, error: JobBusyError) -> JSONResponse:
    return problem_response(request, 409, str(error), run_id=error.run_id)


async def _not_now(request: Request, error: BusyError | ConfigError | StoreUnavailableError) -> JSONResponse:
    """Answer 503. The message of the error contains hosts, users or paths, so it goes to the log only."""
    if isinstance(error, BusyError):
        log.warning("too many requests", path=request.url.path, reason=str(error))
        detail = "Too many requests at the same time: retry in a moment."
    elif isinstance(error, ConfigError):
        log.error("configuration cannot be used", path=request.url.path, reason=str(error))
        detail = "The sites file is not usable: the log of the service has the line and the rule."
    else:
        log.warning("store unavailable", path=request.url.path, reason=str(error))
        detail = "The database is unreachable; the service retries by itself."
        if isinstance(error, StoreDamagedError):
            detail = "The store is damaged: some values cannot be read until the operator restores the store."
        elif isinstance(error, StoreReplacedError):
            detail = "The store was replaced: the service answers again once the operator has restarted it."
    return problem_response(request, 503, detail, headers={"Retry-After": str(RETRY_AFTER_SECONDS)})


async def _fault(request: Request, error: Exception) -> JSONResponse:
    log.error("request failed", method=request.method, path=request.url.path, exc_info=error)
    # This response does not pass through the middleware that adds the headers to all others.
    return problem_response(
        request, 500, "Internal error: the details are in the log of the service.", headers=HEADERS
    )
