"""Forecasts and observations, a page of values at a time."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated

from fastapi import APIRouter, Query, Request, Response
from pydantic import AfterValidator, AwareDatetime, BaseModel, BeforeValidator, ConfigDict, Field

from backend.answers.attribution import forecast_attribution, network_attribution
from backend.answers.models import require_model
from backend.answers.sites import known_stations, require_site
from backend.api.dependencies import TOKEN_OPTIONAL, ServiceDep
from backend.api.problems import bad_query, problems
from backend.api.schemas import ForecastPage, ForecastValue, ObservationPage, ObservationValue
from backend.api.tables import CSV_ANSWER, table
from backend.api.withholding import Withheld
from backend.core.errors import UnknownNameError
from backend.core.parameters import Parameter
from backend.core.records import network_of

router = APIRouter(
    prefix="/api",
    tags=["values"],
    responses={**CSV_ANSWER, **problems(401, 403, 404, 422, 429, 500, 503)},
)


def _with_zone(value: object) -> object:
    if isinstance(value, str) and ":" not in value:  # pydantic would read a bare number as seconds
        raise ValueError("must be a time with its zone, such as 2026-07-15T06:00:00Z")
    return value


def _in_utc(moment: datetime) -> datetime:
    try:
        return moment.astimezone(UTC)
    except OverflowError as error:
        raise ValueError("is outside of the calendar") from error


Moment = Annotated[AwareDatetime, BeforeValidator(_with_zone), AfterValidator(_in_utc)]


class _Window(BaseModel):
    """The common query. Unknown names are refused, because they are probably typing errors."""

    model_config = ConfigDict(extra="forbid")

    site: str | None = None
    parameter: Parameter | None = None
    start: Moment | None = Field(None, alias="from", description="first time, included")
    end: Moment | None = Field(None, alias="to", description="end, not included")
    limit: int = Field(1000, ge=1, le=5000)
    cursor: str | None = Field(None, description="`next` of the previous page")


class ForecastQuery(_Window):
    """The query of forecasts; times are valid times."""

    model: str | None = None


class ObservationQuery(_Window):
    """The query of observations; a site means its stations."""

    station: str | None = None


@router.get("/forecasts", response_model=ForecastPage, openapi_extra=TOKEN_OPTIONAL)
def read_forecasts(
    service: ServiceDep,
    query: Annotated[ForecastQuery, Query()],
    withheld: Withheld,
    request: Request,
    response: Response,
) -> ForecastPage | Response:
    """Return forecasts by site, valid time, model and run."""
    _check(query)
    if query.site is not None:
        require_site(service.sites(), query.site)
    require_model(service, query.model, service.sources.of_every_model())
    try:
        values, following = service.reading.forecasts(
            site=query.site,
            model=query.model,
            parameter=query.parameter,
            start=query.start,
            end=query.end,
            models_withheld=withheld.models,
            after=query.cursor,
            limit=query.limit,
        )
    except ValueError as error:
        raise bad_query("cursor", str(error)) from error
    rows = [ForecastValue.model_validate(row) for row in values]
    page = ForecastPage(
        forecasts=rows,
        next=following,
        withheld=withheld.of_models(query.model),
        attribution=forecast_attribution(service, {row.model for row in rows}),
    )
    return table(
        page,
        rows,
        ForecastValue,
        request=request,
        response=response,
        following=following,
        withheld=page.withheld,
    )


@router.get("/observations", response_model=ObservationPage, openapi_extra=TOKEN_OPTIONAL)
def read_observations(
    service: ServiceDep,
    query: Annotated[ObservationQuery, Query()],
    withheld: Withheld,
    request: Request,
    response: Response,
) -> ObservationPage | Response:
    """Return readings by station and time."""
    _check(query)
    sites = service.sites()
    stations = None if query.site is None else require_site(sites, query.site).stations
    if query.station is not None:
        if query.station not in known_stations(service, sites):
            raise UnknownNameError("station", query.station)
        stations = (query.station,)
    try:
        values, following = service.reading.observations(
            station=query.station,
            site=query.site,
            parameter=query.parameter,
            start=query.start,
            end=query.end,
            networks_withheld=withheld.networks,
            after=query.cursor,
            limit=query.limit,
        )
    except ValueError as error:
        raise bad_query("cursor", str(error)) from error
    rows = [ObservationValue.model_validate(row) for row in values]
    page = ObservationPage(
        observations=rows,
        next=following,
        withheld=withheld.of_stations(stations),
        attribution=network_attribution(service, {network_of(row.station) for row in rows}),
    )
    return table(
        page,
        rows,
        ObservationValue,
        request=request,
        response=response,
        following=following,
        withheld=page.withheld,
    )


def _check(query: _Window) -> None:
    if query.start is not None and query.end is not None and query.start > query.end:
        raise bad_query("from", "must not be later than `to`")
