"""`meteo-score doctor --live`: the first live contact with each source, with one or few requests each.

A source is collected by its own routes and parsers, for one site or one station and one part of one run.
Nothing is stored. The requests keep the pace, the quota and the User-Agent of a collection.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from contextlib import aclosing
from dataclasses import replace
from datetime import datetime
from typing import Any, cast

from backend.cli.live_checks import (
    check_address,
    check_clocks,
    check_licence,
    check_newest,
    check_payload,
    check_place,
)
from backend.cli.live_report import Check, SourceReport
from backend.cli.live_requests import WatchedFetch, one_place
from backend.collectors import forecast_sources, observation_sources
from backend.collectors.base import Fetch, Source, collect
from backend.collectors.transport.client import HttpClient
from backend.collectors.transport.hosts import HttpLimits
from backend.core.clock_watch import ClockWatch
from backend.core.config import Settings
from backend.core.errors import ConfigError, StoreUnavailableError
from backend.core.records import Site
from backend.core.registry import OPEN_METEO, SOURCES
from backend.core.source_info import SourceInfo
from backend.main import Service

ONE_ATTEMPT = HttpLimits(connect=10, read=30, payload=60, download=300, attempts=1)

_INFO = {info.name: info for info in SOURCES}


def named_sources(settings: Settings, names: Sequence[str], service: Service) -> list[Source[Any]]:
    """Return the sources of these names, as if SOURCES named them; without names, those of the settings.

    Raises ConfigError for an unknown name.
    """
    for name in names:
        if name not in _INFO:
            raise ConfigError(f"--source={name}: unknown source: choose from {', '.join(_INFO)}")
    if names:
        chosen = tuple(dict.fromkeys((*settings.sources, *names)))
        settings = settings.model_copy(update={"sources": chosen, "winds_mobi_providers": chosen})
    if OPEN_METEO.name in names and not settings.open_meteo_models:
        every = tuple(model.name for model in OPEN_METEO.models)
        settings = settings.model_copy(update={"open_meteo_models": every})
    built: list[Source[Any]] = [*forecast_sources(settings, service.worker), *observation_sources(settings)]
    if not names:
        names = (*settings.sources, *settings.winds_mobi_providers)
        names = (*names, OPEN_METEO.name) if settings.open_meteo_models else names
    return [source for source in built if source.name in names]


async def first_contact(service: Service, names: Sequence[str]) -> list[SourceReport]:
    """Return the report of each source, one source after the other, and close the service.

    Raises ConfigError for an unknown name.
    """
    try:
        sites = await asyncio.to_thread(service.sites)
    except StoreUnavailableError:
        sites = ()  # their list is in the store, which does not answer
    watch = ClockWatch(service.clock)
    client = HttpClient.from_settings(service.settings, service.clock, limits=ONE_ATTEMPT, clock_watch=watch)
    try:
        async with client:
            return [
                await report_of(source, service, sites, client, watch)
                for source in named_sources(service.settings, names, service)
            ]
    finally:
        await service.close()


async def report_of(
    source: Source[Any], service: Service, sites: Sequence[Site], client: HttpClient, watch: ClockWatch
) -> SourceReport:
    """Return the checks of one source by each of its routes, and what they cost."""
    info = _INFO[source.name]
    if source.disabled is not None:
        checks = [Check(name="source", verdict="not checked", seen=source.disabled)]
        return SourceReport(source=source.name, display_name=info.display_name, checks=checks)
    counted = client.counted()
    checks = []
    hosts: dict[str, None] = {}
    for route in source.routes:
        one = replace(source, routes=(route,))
        fetch = WatchedFetch(counted)
        found = await checks_by_route(one, info, service.clock(), sites, fetch, watch)
        label = route.name if len(source.routes) > 1 else ""
        checks += [replace(check, route=label) for check in found]
        hosts |= fetch.hosts
    checks += check_clocks(hosts, watch)
    checks.append(await check_licence(source, info, hosts, counted))
    return SourceReport(
        source=source.name,
        display_name=info.display_name,
        checks=checks,
        requests=counted.requests,
        bytes=counted.bytes,
    )


async def checks_by_route(
    source: Source[Any],
    info: SourceInfo,
    now: datetime,
    sites: Sequence[Site],
    fetch: WatchedFetch,
    watch: ClockWatch,
) -> list[Check]:
    """Collect one small payload by the only route of `source`, and check it."""
    needs, where = one_place(source, now, sites)
    batches: list[Any] = []
    models: set[str] = set()
    async with aclosing(cast(Any, collect(source, needs, cast(Fetch, fetch)))) as collected:
        async for batch in collected:
            batches.append(batch)
            models |= {record.model for record in batch.records} if source.models else set()
            # The rest would cost the publisher more: further runs, or the height of the model's ground.
            if batch.records and models.issuperset(source.models):
                break
    failures = [f"{failure.reason} ({failure.url})" for batch in batches for failure in batch.failures]
    return [
        check_address(source, info, fetch),
        check_newest(source, batches, now, fetch, watch),
        # A host that does not answer has one line, and not the same reason twice.
        Check(name="payload", verdict="not checked", seen="the address did not answer")
        if fetch.errors and not any(batch.records for batch in batches)
        else check_payload(source, batches, models, failures, where),
        check_place(source, needs, batches, sites, where),
    ]
