"""`meteo-score doctor`: is everything in place, and if not, what to do about it."""

from __future__ import annotations

import asyncio
import shlex
import sys
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any, NamedTuple

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Column, Table

from backend.api.station_flags import flag_text
from backend.collectors.areas import not_covered
from backend.collectors.base import Fetch, Source, collect
from backend.collectors.http import HttpClient
from backend.collectors.http_hosts import Patience
from backend.console import AsJson, opened, print_json, run_to_the_end, silent
from backend.core.config import LEAST_TOKEN
from backend.core.errors import StoreUnavailable
from backend.core.private_files import open_to_others
from backend.core.records import Failure, Site, Station, Wanted
from backend.main import Service
from backend.scheduler.config import FORECASTS, JOBS, OBSERVATIONS, JobId
from backend.storage.station_flags import BY_OPERATOR, StationFlag

SILENT_AFTER = timedelta(days=1)
SENSOR_LASTS = timedelta(days=3)
"""A sensor that was suspect up to this long ago still is."""

SENSOR_SHOWN = timedelta(days=30)
CLOCK_TOLERANCE = timedelta(minutes=10)

IMPATIENT = Patience(connect=5, read=10, payload=20, attempts=1)
"""Somebody is watching: one try, and no long wait."""

_MARKS = {True: "[green]ok[/]", False: "[bold red]mend[/]", None: "[dim]–[/]"}


class Finding(NamedTuple):
    """One thing looked at; `ok` is None where there is nothing to judge."""

    what: str
    ok: bool | None
    says: str


def doctor(context: typer.Context, as_json: AsJson = False) -> None:
    """Look at settings, store, clock, sources, sites and stations. Exit 1 if something needs mending."""
    silent(opened(context).settings)
    findings = run_to_the_end(_examine(opened(context).service))
    if as_json:
        print_json([finding._asdict() for finding in findings])
    else:
        table = Table("", "What", Column("Finding", overflow="fold"))
        for finding in findings:
            table.add_row(_MARKS[finding.ok], finding.what, escape(finding.says))
        # On a terminal sentences are folded to its width; in a file each keeps to its line.
        Console(width=None if sys.stdout.isatty() else 1000).print(table)
    raise typer.Exit(1 if any(finding.ok is False for finding in findings) else 0)


async def _examine(service: Service) -> list[Finding]:
    try:
        return [
            _settings(service),
            *_admin_token(service),
            *_permissions(service),
            *await _store_and_clock(service),
            *await _sources_and_sites(service),
        ]
    finally:
        await service.close()


def _settings(service: Service) -> Finding:
    schedule = ", ".join(f"{job} at {service.config.crontab(job)!r}" for job in JOBS)
    state = "" if service.config.scheduler_enabled else "; switched off by SCHEDULER_ENABLED"
    return Finding("settings", True, f"{schedule} (UTC){state}")


def _admin_token(service: Service) -> list[Finding]:
    """Return that the admin token is too short to be used; the collection goes on without it."""
    if service.settings.admin_token is None or service.settings.usable_admin_token is not None:
        return []
    rule = (
        f"ADMIN_TOKEN has fewer than {LEAST_TOKEN} characters, so the admin routes are off: set a longer one"
    )
    return [Finding("admin token", False, rule)]


def _permissions(service: Service) -> list[Finding]:
    """Return the files that others on this machine can read: they hold values that may not be passed on."""
    paths = [service.settings.data_dir / "payloads"]
    if service.database.path is not None:
        paths.append(service.database.path)
    return [
        Finding("permissions", False, f"others can read {path}: chmod go= {shlex.quote(str(path))}")
        for path in paths
        if path.exists() and open_to_others(path)
    ]


async def _store_and_clock(service: Service) -> list[Finding]:
    try:
        await asyncio.to_thread(service.database.migrate)
        return [Finding("store", True, service.database.name), await _clock(service)]
    except StoreUnavailable as error:
        return [Finding("store", False, f"{service.database.name}: {error}")]


async def _clock(service: Service) -> Finding:
    """Compare the clock with the newest data kept: data from the future mean a clock that is slow."""
    now = service.clock()
    newest = await asyncio.to_thread(service.ledger.newest_data)
    ahead = {source: time for source, time in newest.items() if time > now + CLOCK_TOLERANCE}
    if ahead:
        source, time = max(ahead.items(), key=lambda item: item[1])
        return Finding(
            "clock",
            False,
            f"it is {now:%Y-%m-%d %H:%M} UTC here, but {source} has data of {time:%Y-%m-%d %H:%M}",
        )
    return Finding("clock", True, f"{now:%Y-%m-%d %H:%M:%S} UTC")


async def _sources_and_sites(service: Service) -> list[Finding]:
    try:
        sites = await asyncio.to_thread(service.sites)
    except StoreUnavailable:
        sites = ()  # the store that does not answer has the list of them
    async with HttpClient.from_settings(service.settings, service.clock, patience=IMPATIENT) as client:
        sources = await asyncio.gather(
            *(
                _source(service, job, source, sites, client)
                for job in JOBS
                for source in service.sources.of(job)
            )
        )
    return [
        *sources,
        *await _incomplete_runs(service),
        *_sites(sites),
        *await _coverage(service, sites),
        *await _stations(service, sites),
        *await _sensors(service),
    ]


async def _source(
    service: Service, job: JobId, source: Source[Any], sites: tuple[Site, ...], fetch: Fetch
) -> Finding:
    """Ask a source for its index: nothing is wanted, so that nothing more is fetched or stored."""
    if source.disabled is not None:
        return Finding(source.name, None, f"disabled: {source.disabled}")
    now = service.clock()
    wanted = Wanted(now=now, since=now - service.config.lookback(job))
    if job == OBSERVATIONS:
        wanted = _one_station(wanted, source.name, sites)
    answered = []
    failed: dict[str, Failure] = {}  # the first of each route: the others tell no more
    async for batch in collect(source, wanted, fetch):
        for failure in batch.failures:
            failed.setdefault(failure.route, failure)
        if batch.newest is not None or batch.records:
            answered.append(batch)
    failures = [f"{route}: {failure.url}: {failure.reason}" for route, failure in failed.items()]
    if not answered:
        return Finding(source.name, False if failures else None, "; ".join(failures) or "nothing to ask")
    newest = max((batch.newest for batch in answered if batch.newest), default=None)
    age = "" if newest is None else f", newest data of {newest:%Y-%m-%d %H:%M} UTC"
    says = f"answers by {answered[-1].route}{age}"
    return Finding(source.name, not failures, "; ".join([says, *failures]))


def _one_station(wanted: Wanted, network: str, sites: tuple[Site, ...]) -> Wanted:
    """Want one station, with no gap: a network that has no feed of all can only be asked about some."""
    for site in sites:
        for station in site.stations:
            if station.startswith(f"{network}:"):
                one = replace(site, stations=(station,))
                return replace(wanted, sites=(one,), caught_up={station: wanted.now})
    return wanted


async def _coverage(service: Service, sites: tuple[Site, ...]) -> list[Finding]:
    """Return which models do not cover which sites: by their areas, and as it turned out."""
    used = [source for source in service.sources.of(FORECASTS) if source.disabled is None]
    areas = {model: area for source in used for model, area in source.areas.items()}
    models = {model for source in used for model in source.models}
    try:
        noted = await asyncio.to_thread(service.store.outside, service.clock())
    except StoreUnavailable:
        noted = ()
    listed = {site.id for site in sites}
    away: dict[str, dict[str, None]] = {}
    for one in (*not_covered(areas, sites), *noted):
        if one.site in listed and one.model in models:
            away.setdefault(one.model, {})[one.site] = None
    return [
        Finding(f"sites outside {model}", None, f"no forecasts for {', '.join(names)}")
        for model, names in away.items()
    ]


async def _incomplete_runs(service: Service) -> list[Finding]:
    """Return the runs within the lookback that are not complete, with what is not there."""
    since = service.clock() - service.config.lookback(FORECASTS)
    try:
        parts = await asyncio.to_thread(service.store.incomplete_parts, since)
    except StoreUnavailable:
        return []
    runs: dict[str, dict[str, dict[str, None]]] = {}
    for model, start, part, reason in parts:
        title = f"{model} of {start:%Y-%m-%d %H:%M} UTC"
        runs.setdefault(title, {}).setdefault(reason, {})[part] = None
    return [
        Finding("incomplete run", None, f"{title}: {_in_words(reasons)}") for title, reasons in runs.items()
    ]


def _in_words(reasons: dict[str, dict[str, None]]) -> str:
    return "; ".join(f"{', '.join(parts)}: {reason}" for reason, parts in reasons.items())


def _sites(sites: tuple[Site, ...]) -> list[Finding]:
    without = [site.id for site in sites if not site.stations]
    findings = [Finding("sites", bool(sites), f"{len(sites)} configured")]
    if without:
        findings.append(Finding("sites without a station", None, ", ".join(without)))
    return findings


async def _stations(service: Service, sites: tuple[Site, ...]) -> list[Finding]:
    now = service.clock()
    off = {source.name for source in service.sources.every(OBSERVATIONS) if not source.asked_for}
    named = {station for site in sites for station in site.stations}
    mapped = sorted(station for station in named if Station(station).network not in off)
    try:
        known = await asyncio.to_thread(service.store.stations)
        silent = await asyncio.to_thread(service.reading.silent_stations, mapped, now, SILENT_AFTER)
    except StoreUnavailable:
        return []
    if not known:
        return [Finding("stations", None, "nothing has been collected yet: meteo-score collect observations")]
    if not silent:
        return [Finding("stations", True, "none mapped to a site has been silent for a day")]
    says = [
        f"{code} ({f'since {last:%Y-%m-%d}' if last else 'never heard'})" for code, last in silent.items()
    ]
    return [Finding("stations silent for a day", False, ", ".join(says))]


async def _sensors(service: Service) -> list[Finding]:
    """Return what is known of the sensors of sites' stations, where it lasts or waits for an answer."""
    now = service.clock()
    try:
        flags = await asyncio.to_thread(service.store.station_flags)
    except StoreUnavailable:
        return []
    return [
        Finding(
            f"sensor of {flag.station}",
            False
            if _lasts(flag, now - SENSOR_LASTS) and flag.excludes and flag.reason != BY_OPERATOR
            else None,
            f"{flag_text(flag)}{_what_to_do(flag)}",
        )
        for flag in flags
        if flag.sites and _lasts(flag, now - SENSOR_SHOWN)
    ]


def _lasts(flag: StationFlag, moment: datetime) -> bool:
    return flag.until is None or flag.until > moment


def _what_to_do(flag: StationFlag) -> str:
    if flag.reason == BY_OPERATOR:
        return ""
    command = f"meteo-score sites exclude-station {flag.station} {flag.parameter} --from DAY"
    if flag.excludes:
        return ". The values count again once the station reports others; tell its network"
    return f" If not: {command}"
