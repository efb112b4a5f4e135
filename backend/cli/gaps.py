"""`meteo-score gaps`: what is missing, until when it can still be collected, and its collection."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from itertools import groupby
from typing import Annotated, Any, cast

import typer
from rich.console import Console
from rich.table import Table

from backend.answers.completeness import DAYS
from backend.answers.gaps import Gap, Gaps, find_gaps, still_offered
from backend.answers.service import ServiceParts
from backend.cli.backfill import SPAN, Piece, all_well, report, run_pieces
from backend.cli.console import AsJson, print_json, print_text, quiet_on_a_terminal, run_to_the_end
from backend.cli.context import opened
from backend.core.errors import ConfigError
from backend.core.local_time import date_of, day_number, local_day
from backend.core.records import Site
from backend.core.text import did_you_mean
from backend.main import Service
from backend.scheduler.config import JOBS
from backend.scheduler.orders import Selection
from backend.scheduler.past_days import selection_of_day
from backend.storage.run_records import run_as_dict

app = typer.Typer(add_completion=False)

ALL_SITES = "all {} sites"


@app.command()
def gaps(
    context: typer.Context,
    first: Annotated[
        datetime | None,
        typer.Option("--from", formats=["%Y-%m-%d"], help=f"First local day; default: the last {DAYS} days."),
    ] = None,
    last: Annotated[
        datetime | None, typer.Option("--to", formats=["%Y-%m-%d"], help="Last local day; default: today.")
    ] = None,
    site: Annotated[list[str] | None, typer.Option(help="Only this site; may be repeated.")] = None,
    source: Annotated[
        list[str] | None, typer.Option(help="Only this source or model; may be repeated.")
    ] = None,
    fetch: Annotated[
        bool, typer.Option("--fetch", help="Collect now what the sources still offer of it.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Show what is missing by day, source and site, and until when it can still be collected.

    Nothing is expected from before a site, its station or the source was configured. With --fetch: exit 1 if
    something that a source still offers is missing afterwards, or a run failed.
    """
    quiet_on_a_terminal(opened(context).settings)
    service = opened(context).service if fetch else opened(context).service_without_store
    now = service.clock()
    today = local_day(now)
    end = today if last is None else day_number(last.date())
    start = end - DAYS + 1 if first is None else day_number(first.date())
    if end > today:
        raise ConfigError(f"--to {date_of(end)}: must be today at most")
    if start > end:
        raise ConfigError(f"--from {date_of(start)}: must not be later than --to {date_of(end)}")
    known = {name for job in JOBS for one in service.sources.of(job) for name in (one.name, *one.models)}
    for name in source or ():
        if name not in known:
            raise ConfigError(f"--source {name}: must be one of {', '.join(sorted(known))}")
    if fetch:
        opened(context).migrated()
    else:
        service.database.require_current()
    sites = _chosen(service.sites(), site)
    days = range(start, end + 1)
    parts = cast(ServiceParts, service)
    found = find_gaps(parts, sites, days, source)
    if not fetch:
        if as_json:
            print_json(_as_dict(found, days))
        else:
            _print_gaps(found, days, sites, now)
        return

    pieces = list(_pieces(service, still_offered(found.gaps, now), now))
    done, stopped = run_to_the_end(run_pieces(service, pieces, shown=not as_json))
    left = find_gaps(parts, sites, days, source)
    offered = still_offered(left.gaps, service.clock())
    if as_json:
        runs = [run_as_dict(run) for _, run in done]
        print_json(_as_dict(left, days) | {"missingBefore": _missing(found.gaps), "runs": runs})
        if stopped:
            print_text(f"meteo-score: {stopped}", err=True)
    else:
        if pieces:
            report(done, stopped, as_json=False, title="Fetched")
        else:
            print_text("No source offers anything of what is missing: nothing was fetched.")
        _print_gaps(left, days, sites, service.clock())
        before, after = _counted(_missing(found.gaps)), _counted(_missing(left.gaps))
        print_text(f"Missing before: {before}; now: {after}.")
    raise typer.Exit(0 if all_well(done, stopped) and not offered else 1)


def _chosen(sites: Sequence[Site], names: Sequence[str] | None) -> tuple[Site, ...]:
    listed = {one.id for one in sites}
    for name in names or ():
        if name not in listed:
            meant = did_you_mean(name, listed)
            raise ConfigError(f"--site {name}: is not on the list{meant}; see meteo-score sites list")
    return tuple(one for one in sites if names is None or one.id in names)


def _pieces(service: Service, gaps: Iterable[Gap], now: datetime) -> Iterable[Piece]:
    """Yield what to collect: of a source, one plain collection, and the days that its archive serves.

    Days of an archive that follow each other are one piece, as long as one of a backfill.
    """
    sources = {(job, one.name): one for job in JOBS for one in service.sources.of(job)}
    sites: defaultdict[Any, dict[Any, set[str]]] = defaultdict(lambda: defaultdict(set))
    for gap in gaps:
        sites[gap.job, gap.source][gap.day].add(gap.site)
    for (job, name), by_day in sites.items():
        plain: set[str] = set()
        spans: list[tuple[datetime, datetime, set[str]]] = []
        for day, of_day in sorted(by_day.items()):
            selection = selection_of_day(sources[job, name], job, day, service.config, now)
            if selection is None:
                continue
            if selection.since is None or selection.until is None:
                plain |= of_day
            elif (
                spans
                and selection.since <= spans[-1][1] + timedelta(seconds=1)
                and selection.until - spans[-1][0] <= SPAN[job]
            ):
                spans[-1] = (spans[-1][0], selection.until, spans[-1][2] | of_day)
            else:
                spans.append((selection.since, selection.until, of_day))
        for since, until, of_span in spans:
            yield Piece(job, name, Selection(sources=(name,), sites=of_span, since=since, until=until))
        if plain:
            yield Piece(job, name, Selection(sources=(name,), sites=plain))


# --- What is printed ----------------------------------------------------------------------------------


def _print_gaps(found: Gaps, days: range, sites: Sequence[Site], now: datetime) -> None:
    """Print a row per day and source with the sites that have the same gap, and a summary."""
    period = f"{date_of(days[0])} to {date_of(days[-1])}"
    if not found.expected_hours + found.expected_runs:
        print_text(f"Nothing is expected from {period}: no site and source was configured then.")
        return
    expected = {"runs": found.expected_runs, "hours": found.expected_hours}
    if not found.gaps:
        print_text(f"No gaps from {period}. Received: {_counted(expected)}.")
        return
    table = Table(box=None, pad_edge=False, padding=(0, 1, 0, 0))
    for header in ("Day", "Source", "Site"):
        table.add_column(header, overflow="fold")
    table.add_column("Received", justify="right", no_wrap=True)
    table.add_column("Obtainable until (UTC)", no_wrap=True)
    shared = groupby(
        sorted(found.gaps, key=lambda gap: (gap.day, gap.job, gap.source, gap.model or "")),
        key=lambda gap: (gap.day, gap.source, gap.model),
    )
    for (day, source, model), of_source in shared:
        alike: dict[tuple[str, str], list[str]] = {}
        for gap in of_source:
            part = f", {gap.incomplete} in part" if gap.incomplete else ""
            row = f"{gap.received}/{gap.expected}{part}", _until(gap, now)
            alike.setdefault(row, []).append(gap.site)
        for (received, until), names in alike.items():
            where = ALL_SITES.format(len(names)) if len(names) == len(sites) > 1 else ", ".join(names)
            table.add_row(str(day), model or source, where, received, until)
    Console().print(table)
    offered = still_offered(found.gaps, now)
    print_text(f"Missing, {period}: {_counted(_missing(found.gaps), expected)}.")
    if offered:
        print_text(f"Still offered: {_counted(_missing(offered))}; see meteo-score gaps --fetch.")


def _until(gap: Gap, now: datetime) -> str:
    if gap.offer is None:
        return "never: no past"
    if gap.offer.until is None:
        return "no end known"
    return f"{gap.offer.until:%Y-%m-%d %H:%M}" if gap.offer.at(now) else "no longer"


def _missing(gaps: Iterable[Gap]) -> dict[str, int]:
    """Return how many runs and hours are missing, or not whole."""
    counts: Counter[str] = Counter(runs=0, hours=0)
    for gap in gaps:
        counts["hours" if gap.model is None else "runs"] += gap.missing
    return dict(counts)


def _counted(counts: dict[str, int], expected: dict[str, int] | None = None) -> str:
    parts = [
        f"{count} of {expected[unit]} {unit}" if expected else f"{count} {unit}"
        for unit, count in counts.items()
        if count
    ]
    return ", ".join(parts) or "nothing"


def _as_dict(found: Gaps, days: range) -> dict[str, Any]:
    return {
        "from": str(date_of(days[0])),
        "to": str(date_of(days[-1])),
        "expected": {"runs": found.expected_runs, "hours": found.expected_hours},
        "missing": _missing(found.gaps),
        "gaps": [
            {
                "day": str(gap.day),
                "site": gap.site,
                "source": gap.source,
                "model": gap.model,
                "unit": "hours" if gap.model is None else "runs",
                "received": gap.received,
                "expected": gap.expected,
                "incomplete": gap.incomplete,
                "offered": "never" if gap.offer is None else "until" if gap.offer.until else "no end known",
                "obtainableUntil": gap.offer.until if gap.offer else None,
            }
            for gap in found.gaps
        ],
    }
