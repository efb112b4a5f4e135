"""`meteo-score doctor`: checks of settings, store, clock, sources and stations, and what to do."""

from __future__ import annotations

import asyncio
import shlex
import sys
from collections import Counter
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Annotated, Any, NamedTuple, cast

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Column, Table

from backend.answers.operation import SENSOR_SHOWN, SILENT_AFTER
from backend.answers.readiness import SET_THE_CLOCK, reasons, take_snapshot
from backend.answers.service import ServiceParts
from backend.answers.station_flags import flag_text
from backend.cli.console import AsJson, print_json, run_to_the_end
from backend.cli.context import opened
from backend.cli.live import first_contact
from backend.cli.live_report import as_objects, as_text, differs
from backend.collectors.areas import not_covered
from backend.collectors.base import Fetch, Source, collect
from backend.collectors.transport.client import HttpClient
from backend.collectors.transport.hosts import HttpLimits
from backend.core.clock_watch import ClockWatch
from backend.core.config import LEAST_TOKEN, slips_in_environment
from backend.core.errors import ConfigError, StoreDamagedError, StoreUnavailableError
from backend.core.map_library import leaflet_folder
from backend.core.private_files import open_to_others
from backend.core.records import CollectionRequest, Failure, Site, network_of
from backend.main import Service
from backend.scheduler.config import FORECASTS, JOBS, OBSERVATIONS, SETTING_NAMES, JobId
from backend.scheduler.jobs import counted
from backend.scoring.days.drift import drifts
from backend.storage.station_flags import BY_OPERATOR, StationFlag
from backend.storage.store_check import check_store

app = typer.Typer(add_completion=False)

SENSOR_LASTS = timedelta(days=3)
"""A sensor counts as suspect for this long after the end of its last flag."""

CLOCK_TOLERANCE = timedelta(minutes=10)

SHORT_LIMITS = HttpLimits(connect=5, read=10, payload=20, attempts=1)
"""An operator waits for the answer: one attempt, short timeouts."""

_RESTORE = "restore a backup, or recover what can be read: docs/operations.md, store_damaged"

_CHECKED_HERE = {"store_unreachable", "store_damaged", "store_replaced", "scheduler_dead", "clock_off"}

_MARKS = {True: "[green]ok[/]", False: "[bold red]action needed[/]", None: "[dim]–[/]"}


class Finding(NamedTuple):
    """The result of one check; `ok` is None for a remark that needs no action."""

    subject: str
    ok: bool | None
    message: str

    def as_json(self) -> dict[str, object]:
        """Return the finding under the names of the JSON output."""
        return {"what": self.subject, "ok": self.ok, "says": self.message}


@app.command()
def doctor(
    context: typer.Context,
    live: Annotated[
        bool,
        typer.Option("--live", help="Check the sources alone, by one small payload each; store nothing."),
    ] = False,
    source: Annotated[
        list[str] | None, typer.Option(help="With --live: only this source; may be repeated.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Check settings, store, clock, sources, sites and stations. Exit 1 if action is needed."""
    used = opened(context)
    if source and not live:
        raise ConfigError("--source: doctor needs --live with it")
    if live:
        service = used.service_without_store
        reports = run_to_the_end(first_contact(service, source or []))
        if as_json:
            print_json(as_objects(reports))
        else:
            sys.stdout.write(f"{as_text(reports, service.clock())}\n")
        raise typer.Exit(1 if differs(reports) else 0)
    file = f"{used.env_file or f'no settings file: there is no .env in {Path.cwd()}'}"
    findings = [
        Finding("settings file", True, file),
        *(
            Finding("environment", None, f"{name} is not a setting: did you mean {meant}?")
            for name, meant in slips_in_environment(SETTING_NAMES).items()
        ),
        *run_to_the_end(_examine(used.service_without_store)),
    ]
    if as_json:
        print_json([finding.as_json() for finding in findings])
    else:
        table = Table("", "What", Column("Finding", overflow="fold"))
        for finding in findings:
            table.add_row(_MARKS[finding.ok], finding.subject, escape(finding.message))
        # A terminal folds sentences to its width; in a file each sentence is one line.
        Console(width=None if sys.stdout.isatty() else 1000).print(table)
    raise typer.Exit(1 if any(finding.ok is False for finding in findings) else 0)


async def _examine(service: Service) -> list[Finding]:
    try:
        clock_watch = ClockWatch(service.clock)
        store = await _store(service)
        readable = all(finding.ok for finding in store[:1])
        # The requests also record the Date headers of the hosts, which the check of the clock needs.
        sources_and_sites = await _sources_and_sites(service, clock_watch, with_store=readable)
        parts = cast(ServiceParts, service)  # a frozen class does not match a protocol of variables
        all_reasons = reasons(await asyncio.to_thread(take_snapshot, parts)) if readable else []
        return [
            *_settings(service),
            *store,
            await _clock(service, clock_watch),
            *(
                Finding(reason.code.replace("_", " "), False, f"{reason.sentence} {reason.what_to_do}")
                for reason in all_reasons
                if reason.code not in _CHECKED_HERE
            ),
            *sources_and_sites,
        ]
    finally:
        await service.close()


def _settings(service: Service) -> list[Finding]:
    """Check the schedule, the admin token, the map, and who can read the files of the service."""
    schedule = ", ".join(f"{job} at {service.config.crontab(job)!r}" for job in JOBS)
    state = "" if service.config.scheduler_enabled else "; switched off by SCHEDULER_ENABLED"
    findings = [Finding("settings", True, f"{schedule} (UTC){state}")]
    # Collection does not need the token, so that one too short to use is no error of the settings.
    if service.settings.admin_token is not None and service.settings.usable_admin_token is None:
        rule = (
            f"ADMIN_TOKEN has fewer than {LEAST_TOKEN} characters, so the admin routes are off:"
            " set a longer one"
        )
        findings.append(Finding("admin token", False, rule))
    if service.settings.map_tiles_url is not None and leaflet_folder() is None:
        message = (
            "MAP_TILES_URL is set, but Leaflet is not installed, so there is no map:"
            " pip install 'meteo-score[map]'"
        )
        findings.append(Finding("map", False, message))
    paths = [service.settings.data_dir / "payloads"]
    if service.database.path is not None:
        paths.append(service.database.path)
    for path in paths:
        # The files hold values that must not be passed on.
        if path.exists() and open_to_others(path):
            message = f"others can read {path}: chmod go= {shlex.quote(str(path))}"
            findings.append(Finding("permissions", False, message))
    return findings


async def _store(service: Service) -> list[Finding]:
    """Check the whole store without creating or changing it."""
    try:
        await asyncio.to_thread(service.database.require_current)
        report = await asyncio.to_thread(check_store, service.database, whole=True)
    except ConfigError as error:
        return [Finding("store", False, str(error))]
    except StoreDamagedError as error:
        return [Finding("store", False, f"{service.database.name}: {error}: {_RESTORE}")]
    except StoreUnavailableError as error:
        return [Finding("store", False, f"{service.database.name}: {error}")]
    store = Finding("store", True, service.database.name)
    if report.problems:
        return [store, Finding("store check", False, f"the store is damaged: {report.damage}: {_RESTORE}")]
    return [store, Finding("store check", True, report.covers)]


async def _clock(service: Service, clock_watch: ClockWatch) -> Finding:
    """Compare the clock with the Date headers of the hosts, and with the newest data in the store."""
    now = service.clock()
    offset = clock_watch.offset()
    if offset is not None:
        return Finding(
            "clock", False, f"it is {now:%Y-%m-%d %H:%M} UTC here: {offset.in_words()} {SET_THE_CLOCK}"
        )
    try:
        newest = await asyncio.to_thread(service.ledger.newest_data)
    except StoreUnavailableError:
        newest = {}
    ahead = {source: time for source, time in newest.items() if time > now + CLOCK_TOLERANCE}
    if ahead:
        source, time = max(ahead.items(), key=lambda item: item[1])
        return Finding(
            "clock",
            False,
            f"it is {now:%Y-%m-%d %H:%M} UTC here, but {source} has data of {time:%Y-%m-%d %H:%M} UTC",
        )
    return Finding("clock", True, f"{now:%Y-%m-%d %H:%M:%S} UTC")


async def _sources_and_sites(service: Service, clock_watch: ClockWatch, *, with_store: bool) -> list[Finding]:
    try:
        sites = await asyncio.to_thread(service.sites)
    except StoreUnavailableError:
        sites = ()  # their list is in the store, which does not answer
    async with HttpClient.from_settings(
        service.settings, service.clock, limits=SHORT_LIMITS, clock_watch=clock_watch
    ) as client:
        sources = await asyncio.gather(
            *(
                _source(service, job, source, sites, client)
                for job in JOBS
                for source in service.sources.of(job)
            )
        )
    if not with_store:
        return [*sources, *_sites(sites), *await _coverage(service, sites)]
    return [
        *sources,
        *await _incomplete_runs(service),
        *_sites(sites),
        *await _coverage(service, sites),
        *await _stations(service, sites),
        *await _sensors(service, sites),
        *await _places(service, sites),
    ]


async def _source(
    service: Service, job: JobId, source: Source[Any], sites: tuple[Site, ...], fetch: Fetch
) -> Finding:
    """Request the index of a source only: the request has no sites, and nothing is stored."""
    if source.disabled is not None:
        return Finding(source.name, None, f"disabled: {source.disabled}")
    now = service.clock()
    needs = CollectionRequest(now=now, since=now - service.config.lookback(job))
    if job == OBSERVATIONS:
        # A network without a feed of all stations needs their numbers: one is enough, without a gap.
        named = [(site, code) for site in sites for code in site.stations if network_of(code) == source.name]
        for site, code in named[:1]:
            one = replace(site, stations=(code,))
            needs = replace(needs, sites=(one,), complete_until={code: now})
    answered = []
    refused: Counter[str] = Counter()
    failed: dict[str, Failure] = {}  # the first of each route: the others add nothing
    async for batch in collect(source, needs, fetch):
        refused.update(value.reason_code for value in batch.rejected)
        for failure in batch.failures:
            failed.setdefault(failure.route, failure)
        if batch.newest is not None or batch.records:
            answered.append(batch)
    failures = [f"{route}: {failure.url}: {failure.reason}" for route, failure in failed.items()]
    if not answered and refused and not failures:
        return Finding(source.name, False, f"every value was refused: {counted(refused)}")
    if not answered:
        return Finding(source.name, False if failures else None, "; ".join(failures) or "nothing to request")
    newest = max((batch.newest for batch in answered if batch.newest), default=None)
    age = "" if newest is None else f", newest data of {newest:%Y-%m-%d %H:%M} UTC"
    message = f"answers by {answered[-1].route}{age}"
    # A beacon that has long been silent is still listed with its last reading, which hides refused ones.
    is_old = newest is not None and now - newest > source.max_age
    if is_old and refused:
        failures.append(f"every current value was refused: {counted(refused)}")
    return Finding(source.name, not failures, "; ".join([message, *failures]))


async def _coverage(service: Service, sites: tuple[Site, ...]) -> list[Finding]:
    """Return the sites outside the area of a model, as declared and as found in its answers."""
    used = [source for source in service.sources.of(FORECASTS) if source.disabled is None]
    areas = {model: area for source in used for model, area in source.areas.items()}
    models = {model for source in used for model in source.models}
    try:
        noted = await asyncio.to_thread(service.store.outside, service.clock())
    except StoreUnavailableError:
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
    """Return the incomplete runs within the lookback, with their missing parts."""
    since = service.clock() - service.config.lookback(FORECASTS)
    try:
        parts = await asyncio.to_thread(service.store.incomplete_parts, since)
    except StoreUnavailableError:
        return []
    runs: dict[str, dict[str, dict[str, None]]] = {}
    for model, start, part, reason in parts:
        title = f"{model} of {start:%Y-%m-%d %H:%M} UTC"
        runs.setdefault(title, {}).setdefault(reason, {})[part] = None
    findings = []
    for title, missing in runs.items():
        text = "; ".join(f"{', '.join(names)}: {reason}" for reason, names in missing.items())
        findings.append(Finding("incomplete run", None, f"{title}: {text}"))
    return findings


def _sites(sites: tuple[Site, ...]) -> list[Finding]:
    without = [site.id for site in sites if not site.stations]
    findings = [Finding("sites", bool(sites), f"{len(sites)} configured")]
    if without:
        findings.append(Finding("sites without a station", None, ", ".join(without)))
    return findings


async def _stations(service: Service, sites: tuple[Site, ...]) -> list[Finding]:
    now = service.clock()
    off = {source.name for source in service.sources.observations if not source.opted_in}
    named = {station for site in sites for station in site.stations}
    mapped = sorted(station for station in named if network_of(station) not in off)
    try:
        known = await asyncio.to_thread(service.store.stations)
        silent = await asyncio.to_thread(service.reading.silent_stations, mapped, now, SILENT_AFTER)
    except StoreUnavailableError:
        return []
    if not known:
        return [Finding("stations", None, "no station is stored yet: run meteo-score collect observations")]
    if not silent:
        return [Finding("stations", True, "no station of a site has been silent for a day")]
    silences = [
        f"{code} ({f'since {last:%Y-%m-%d}' if last else 'no reading yet'})" for code, last in silent.items()
    ]
    return [Finding("stations silent for a day", False, ", ".join(silences))]


async def _sensors(service: Service, sites: tuple[Site, ...]) -> list[Finding]:
    """Return the present and recent flags of the sensors of the stations of sites."""
    now = service.clock()
    try:
        known = await asyncio.to_thread(service.store.station_flags)
        slow = await asyncio.to_thread(drifts, service.database, [site.id for site in sites], now)
    except StoreUnavailableError:
        return []
    findings = []
    for flag in (*known, *slow):
        if not flag.sites or not _lasts(flag, now - SENSOR_SHOWN):
            continue
        suspect = flag.excludes and flag.reason != BY_OPERATOR and _lasts(flag, now - SENSOR_LASTS)
        if flag.reason == BY_OPERATOR:
            action = ""
        elif flag.excludes:
            action = ". The values count again once the station reports normal ones; report it to its network"
        else:
            action = f" If not: meteo-score sites exclude-station {flag.station} {flag.parameter} --from DAY"
        findings.append(
            Finding(f"sensor of {flag.station}", False if suspect else None, f"{flag_text(flag)}{action}")
        )
    return findings


def _lasts(flag: StationFlag, moment: datetime) -> bool:
    return flag.until is None or flag.until > moment


async def _places(service: Service, sites: tuple[Site, ...]) -> list[Finding]:
    """Return the moves that the operator has not confirmed, and doubtful positions of stations of sites."""
    try:
        moves = await asyncio.to_thread(service.store.moves, sites)
        questions = await asyncio.to_thread(service.store.place_questions, sites, service.clock())
    except StoreUnavailableError:
        return []
    findings = []
    for move in moves:
        if move.confirmed:
            continue
        renamed = move.before.name != move.after.name
        names = f" ({move.before.name} -> {move.after.name})" if renamed else ""
        text = (
            f"{move.station} of {move.site}: {move.metres / 1000:.1f} km away since"
            f" {move.since:%Y-%m-%d %H:%M} UTC, by {move.route}{names}. Its readings since then are stored"
            f" and enter no score of {move.site}. If it still measures for the site: meteo-score sites"
            f" confirm-station {move.site} {move.station}; if not, take it out of the site's stations"
        )
        findings.append(Finding("station moved", False, text))
    return findings + [Finding(f"place of {place.station}", None, place.text) for place in questions]
