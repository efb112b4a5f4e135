"""`meteo-score doctor --live`: the first live contact with each source, with one or few requests each.

A source is collected by its own routes and parsers, for one site or one station and one part of one run.
Nothing is stored. The requests keep the pace, the quota and the User-Agent of a collection.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any, cast
from urllib.parse import urlsplit

from backend.answers.readiness import SET_THE_CLOCK
from backend.cli.live_report import Check, SourceReport
from backend.collectors import forecast_sources, observation_sources
from backend.collectors.base import Download, Fetch, Payload, Request, Source, collect
from backend.collectors.transport.client import HttpClient
from backend.collectors.transport.hosts import HttpLimits
from backend.core.clock_watch import CLOCK_LIMIT, ClockWatch
from backend.core.config import Settings
from backend.core.errors import CollectorError, ConfigError, FetchError, StoreUnavailableError
from backend.core.records import CollectionRequest, Site, network_of
from backend.core.registry import OPEN_METEO, SOURCES, SourceInfo
from backend.main import Service

PERIOD = timedelta(hours=24)
"""How far back runs are looked for: the newest complete run may be a day old."""
MOST_REQUESTS = 30
"""Requests to one route at most: a listing may have no end."""
ONE_ATTEMPT = HttpLimits(connect=10, read=30, payload=60, download=300, attempts=1)

_INFO = {info.name: info for info in SOURCES}


@dataclass(frozen=True, slots=True)
class OnePart(CollectionRequest):
    """A request in which one part of one run is missing for each model: the first that a route asks for."""

    first: dict[str, tuple[datetime, str]] = field(default_factory=dict)

    def missing(
        self, model: str, reference_time: datetime, part: str, rank: int, version: str = ""
    ) -> tuple[Site, ...]:
        """Return the sites for the first part that is asked for, and none for any other part."""
        if not self.sites:
            return ()
        return (
            self.sites
            if self.first.setdefault(model, (reference_time, part)) == (reference_time, part)
            else ()
        )


class _Watched:
    """A Fetch that notes each host and the error of each request."""

    def __init__(self, fetch: Fetch) -> None:
        self._fetch = fetch
        self.hosts: dict[str, None] = {}
        self.errors: list[CollectorError] = []
        self._requests = 0

    async def __call__(self, request: Request) -> Payload:
        self._note(request)
        try:
            return await self._fetch(request)
        except CollectorError as error:
            self.errors.append(error)
            raise

    @asynccontextmanager
    async def download(self, request: Request) -> AsyncIterator[Download]:
        self._note(request)
        try:
            async with self._fetch.download(request) as download:
                yield download
        except FetchError as error:
            self.errors.append(error)
            raise

    def _note(self, request: Request) -> None:
        self._requests += 1
        if self._requests > MOST_REQUESTS:
            reason = f"doctor --live makes at most {MOST_REQUESTS} requests by one route"
            raise CollectorError(reason, url=request.url)
        self.hosts[urlsplit(request.url).netloc.rpartition("@")[2].lower()] = None


def named_sources(settings: Settings, names: Sequence[str], service: Service) -> list[Source[Any]]:
    """Return the sources of these names, as if SOURCES named them; without names, those of the settings.

    Raises ConfigError for an unknown name.
    """
    for name in names:
        if name not in _INFO:
            raise ConfigError(f"--source={name}: unknown source: choose from {', '.join(_INFO)}")
    if names:
        chosen = tuple(dict.fromkeys((*settings.sources, *names)))
        settings = settings.model_copy(update={"sources": chosen})
    if OPEN_METEO.name in names and not settings.open_meteo_models:
        every = tuple(model.name for model in OPEN_METEO.models)
        settings = settings.model_copy(update={"open_meteo_models": every})
    built: list[Source[Any]] = [*forecast_sources(settings, service.worker), *observation_sources(settings)]
    if names:
        return [source for source in built if source.name in names]
    own = set(settings.sources) | ({OPEN_METEO.name} if settings.open_meteo_models else set())
    return [source for source in built if source.name in own]


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
        fetch = _Watched(counted)
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
    fetch: _Watched,
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


def one_place(source: Source[Any], now: datetime, sites: Sequence[Site]) -> tuple[CollectionRequest, str]:
    """Return a request for one site or one station, and its name; an empty name if there is none."""
    since = now - PERIOD
    if source.models:
        inside = [site for site in sites if all(area.holds(site) for area in source.areas.values())]
        chosen = tuple(inside[:1])
        return OnePart(now=now, since=since, sites=chosen), chosen[0].id if chosen else ""
    for site in sites:
        for code in site.stations:
            if network_of(code) == source.name:
                one = replace(site, stations=(code,))
                # Complete up to now: no history is requested.
                return (
                    CollectionRequest(now=now, since=since, sites=(one,), complete_until={code: now}),
                    code,
                )
    return CollectionRequest(now=now, since=since), ""


def check_address(source: Source[Any], info: SourceInfo, fetch: _Watched) -> Check:
    """Check that the hosts of a route answer."""
    hosts = ", ".join(fetch.hosts)
    if not fetch.hosts:
        return Check(name="address", verdict="not checked", seen="the route needs a station of a site")
    if not fetch.errors:
        return Check(name="address", verdict="ok", seen=f"{hosts} answers")
    seen = "; ".join(dict.fromkeys(f"{error.reason} ({error.url})" for error in fetch.errors))
    return Check(
        name="address",
        verdict="differs",
        expected=f"an answer of {hosts}",
        seen=seen,
        to_do=if_gone(source, info),
    )


def if_gone(source: Source[Any], info: SourceInfo) -> str:
    """Return what is known about a source that does not answer; the default names the publisher's page."""
    page = f"look for a move or an end of the service at {info.website}" if info.website else ""
    general = page or f"ask {info.display_name} whether the service moved or ended"
    return f"{source.live.if_gone}. Then {general}" if source.live.if_gone else general


def check_newest(
    source: Source[Any], batches: Iterable[Any], now: datetime, fetch: _Watched, watch: ClockWatch
) -> Check:
    """Check the age of the newest run or reading, by the clock of the source."""
    name = "newest run" if source.models else "newest data"
    limit = _hours(source.max_age)
    newest = max((batch.newest for batch in batches if batch.newest is not None), default=None)
    if newest is None:
        if fetch.errors or not fetch.hosts:
            seen = "the address did not answer" if fetch.hosts else "nothing was requested"
            return Check(name=name, verdict="not checked", seen=seen)
        return Check(
            name=name,
            verdict="differs",
            expected=f"data that are at most {limit} old",
            seen="none in the answer",
            to_do="compare with the publisher's page; if it has newer data, the format has changed",
        )
    # By the source's own clock, so that a wrong clock here does not look like a late publisher.
    ahead = next((s for host in fetch.hosts if (s := watch.seconds_of(host)) is not None), 0.0)
    age = now + timedelta(seconds=ahead) - newest
    seen = f"{newest:%Y-%m-%d %H:%M} UTC, {_hours(age)} old"
    # A publisher's stamp may be a few minutes ahead of its own clock.
    if -CLOCK_LIMIT <= age <= source.max_age:
        return Check(name=name, verdict="ok", seen=f"{seen} (limit {limit})")
    return Check(
        name=name,
        verdict="differs",
        expected=f"0 to {limit} old",
        seen=seen,
        to_do="wait and repeat; if it stays so, the publisher has stopped or its times have another zone",
    )


def check_payload(
    source: Source[Any], batches: Sequence[Any], models: set[str], failures: Sequence[str], where: str
) -> Check:
    """Check that the values of one place can be read, of each model of the source."""
    records = sum(len(batch.records) for batch in batches)
    refused = [rejected for batch in batches for rejected in batch.rejected]
    short = sorted(set(source.models) - models)
    if not where and not records and not failures:
        reason = "no site lies in the area of all its models" if source.models else "no site has its station"
        return Check(name="payload", verdict="not checked", seen=reason)
    seen = f"{records} values, {len(refused)} set aside"
    if records and not failures and not short:
        return Check(name="payload", verdict="ok", seen=seen)
    if short and models:
        seen += f"; none of {', '.join(short)}"
    details = [*dict.fromkeys(failures)] or [*dict.fromkeys(rejected.reason for rejected in refused)][:3]
    return Check(
        name="payload",
        verdict="differs",
        expected="values in the documented format",
        seen="; ".join([seen, *details]),
        to_do="send this report to the project; the collector stores nothing that it cannot read",
    )


def check_place(
    source: Source[Any],
    needs: CollectionRequest,
    batches: Sequence[Any],
    sites: Sequence[Site],
    where: str,
) -> Check:
    """Check that a site lies in the area, or that a station of a site is in the answer."""
    if source.models:
        areas = source.areas.values()
        inside = sum(all(area.holds(site) for area in areas) for site in sites)
        count = f"{inside} of {len(sites)} sites inside the area"
        if not where:
            return Check(name="area", verdict="not checked", seen=count)
        refused = [one for batch in batches for one in batch.outside]
        if refused:
            return Check(
                name="area",
                verdict="differs",
                expected=f"{where} inside",
                seen="; ".join(f"{one.model}: {one.reason}" for one in refused),
                to_do="the declared area is too large: send this report to the project",
            )
        if not any(batch.records for batch in batches):
            return Check(name="area", verdict="not checked", seen=f"{count}; no values were read")
        return Check(name="area", verdict="ok", seen=f"{count}; {where} has values")
    if not where:
        return Check(name="station", verdict="not checked", seen="no site has a station of this network")
    listed = {
        station
        for batch in batches
        for station in (
            *(record.station for record in batch.records),
            *(station.id for station in batch.stations),
            *(position.station for position in batch.positions),
        )
    }
    if where in listed:
        return Check(name="station", verdict="ok", seen=f"{where} is in the answer")
    if not listed:
        return Check(name="station", verdict="not checked", seen="no station was read")
    return Check(
        name="station",
        verdict="differs",
        expected=f"{where} of {needs.sites[0].id} in the answer",
        seen=f"{len(listed)} other stations",
        to_do="its number has changed, or it has ended: meteo-score sites near",
    )


def check_clocks(hosts: Iterable[str], watch: ClockWatch) -> list[Check]:
    """Check the time that each host states in its answers against ours."""
    checks = []
    for host in hosts:
        seconds = watch.seconds_of(host)
        if seconds is None:
            checks.append(Check(name="clock", verdict="not checked", seen=f"{host} stated no time"))
        elif abs(seconds) <= CLOCK_LIMIT.total_seconds():
            checks.append(Check(name="clock", verdict="ok", seen=f"{host}: {seconds:+.0f} s from ours"))
        else:
            checks.append(
                Check(
                    name="clock",
                    verdict="differs",
                    expected=f"at most {CLOCK_LIMIT.total_seconds():.0f} s from ours",
                    seen=f"{host}: {seconds:+.0f} s",
                    to_do=f"if other hosts differ alike: {SET_THE_CLOCK}",
                )
            )
    return checks


async def check_licence(source: Source[Any], info: SourceInfo, hosts: Iterable[str], fetch: Fetch) -> Check:
    """Check that the licence is still stated on its page; not for a stand-in on this machine."""
    facts, known = source.live, info.licence or "no published licence"
    if not facts.licence_page:
        return Check(name="licence", verdict="not checked", seen=f"{known}; no page to compare is known")
    names = [urlsplit(f"//{host}").hostname for host in hosts]
    if any(name in ("127.0.0.1", "localhost", "::1") for name in names):
        seen = "the address is on this machine, and not the publisher's"
        return Check(name="licence", verdict="not checked", seen=seen)
    try:
        page = await fetch(Request(url=facts.licence_page, kind=facts.licence_kind))
        text = " ".join(re.sub(r"<[^>]*>", " ", page.body.decode("utf-8", "replace")).split()).casefold()
        found = facts.licence_words.casefold() in text
        seen = "the page is there without these words"
    except CollectorError as error:
        found, seen = False, error.reason
    if found:
        return Check(name="licence", verdict="ok", seen=f"{facts.licence_page} states {known}")
    return Check(
        name="licence",
        verdict="differs",
        expected=f"{facts.licence_words!r} at {facts.licence_page}",
        seen=seen,
        to_do=f"read the present terms of {info.display_name} before its values are shown to the public",
    )


def _hours(period: timedelta) -> str:
    minutes = round(period.total_seconds() / 60)
    return f"{minutes} min" if abs(minutes) < 120 else f"{minutes / 60:.1f} h"
