"""The sites, stations and models that are collected."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query, Request, Response

from backend.answers.models import models_with_runs
from backend.answers.sites import known_stations, require_site
from backend.answers.station_flags import flag_entry
from backend.api.dependencies import TOKEN_OPTIONAL, ServiceDep
from backend.api.problems import problems
from backend.api.schemas import ModelEntry, ModelList, SiteEntry, SiteList, StationEntry, StationPage
from backend.api.tables import CSV_ANSWER, table
from backend.api.withholding import Withheld
from backend.core.records import network_of
from backend.scoring.days.drift import drifts

router = APIRouter(prefix="/api", tags=["sites"], responses={**CSV_ANSWER, **problems(429, 500, 503)})


@router.get("/sites", response_model=SiteList)
def read_sites(service: ServiceDep, request: Request, response: Response) -> SiteList | Response:
    """Return every configured site. Whether its data are public depends on the source: see the freshness."""
    collected = {site.id for site in service.store.sites()}
    sites = service.sites()
    moved: dict[str, list[str]] = {}
    for move in service.store.moves(sites):
        if not move.confirmed and move.station not in moved.setdefault(move.site, []):
            moved[move.site].append(move.station)
    rows = [
        SiteEntry(
            id=site.id,
            name=site.name,
            latitude=site.latitude,
            longitude=site.longitude,
            elevation=site.elevation,
            orientation=list(site.orientation),
            stations=list(site.stations),
            without=list(site.networks_without_station),
            valid_from=site.valid_from,
            collected=site.id in collected,
            moved_stations=moved.get(site.id, []),
        )
        for site in sites
    ]
    return table(SiteList(sites=rows), rows, SiteEntry, request=request, response=response)


@router.get(
    "/stations",
    response_model=StationPage,
    responses=problems(401, 403, 404, 422),
    openapi_extra=TOKEN_OPTIONAL,
)
def read_stations(
    service: ServiceDep,
    withheld: Withheld,
    request: Request,
    response: Response,
    site: str | None = None,
    limit: Annotated[int, Query(ge=1, le=5000)] = 1000,
    cursor: str | None = None,
) -> StationPage | Response:
    """Return the stations of all networks or of one site, by id, a page at a time."""
    sites = service.sites()
    known = known_stations(service, sites)
    codes = set(known) if site is None else set(require_site(sites, site).stations)
    following_codes = sorted(code for code in codes if cursor is None or code > cursor)
    page = set(following_codes[:limit])
    named = dict.fromkeys(entry.id for entry in sites if page.intersection(entry.stations))
    everything = (*service.store.station_flags(), *drifts(service.database, named, service.clock()))
    # A flag reveals values, such as when the wind was 0. So flags are withheld where values are.
    flags = tuple(flag for flag in everything if network_of(flag.station) not in withheld.networks)
    moves = service.store.moves(sites)
    rows = []
    for station in (known[code] for code in following_codes[:limit]):
        own_moves = [move for move in moves if move.station == station.id]
        rows.append(
            StationEntry(
                id=station.id,
                network=station.network,
                name=station.name or None,
                latitude=station.latitude,
                longitude=station.longitude,
                elevation=station.elevation,
                kind=station.kind or None,
                remarks=station.remarks or None,
                sites=[site.id for site in sites if station.id in site.stations],
                flags=[flag_entry(flag) for flag in flags if flag.station == station.id],
                moved_at=max((move.since for move in own_moves), default=None),
                not_counted_for=sorted({move.site for move in own_moves if not move.confirmed}),
            )
        )
    following = rows[-1].id if len(following_codes) > limit else None
    return table(
        StationPage(stations=rows, next=following),
        rows,
        StationEntry,
        request=request,
        response=response,
        following=following,
    )


@router.get("/models", response_model=ModelList)
def read_models(service: ServiceDep, request: Request, response: Response) -> ModelList | Response:
    """Return the collected models and those with stored runs."""
    sources = {model: source.name for model, source in service.sources.of_every_model().items()}
    rows = [
        ModelEntry(name=name, source=sources.get(name), newest_run=newest_run, runs=runs)
        for name, newest_run, runs in models_with_runs(service, sources)
    ]
    return table(ModelList(models=rows), rows, ModelEntry, request=request, response=response)
