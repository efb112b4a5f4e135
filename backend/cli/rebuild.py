"""`meteo-score scores rebuild`: recompute all score data."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from typing import Annotated

import typer

from backend.cli.console import AsJson, print_json, print_text
from backend.cli.context import opened
from backend.cli.progress import progress
from backend.core.errors import MeteoScoreError
from backend.core.local_time import date_of, day_number, local_day
from backend.scoring.days.public_months import publish
from backend.scoring.days.rebuild import rebuild
from backend.storage.retention import first_open_day
from backend.storage.score_queries import site_ids

app = typer.Typer(name="scores", add_completion=False, help="The score data.")


@app.callback()
def _scores() -> None:
    """Make `rebuild` a subcommand: Typer runs an only command without its name."""


@app.command("rebuild")
def rebuild_scores(
    context: typer.Context,
    site: Annotated[str | None, typer.Option(help="Only this site.")] = None,
    first: Annotated[
        datetime | None,
        typer.Option(
            "--from",
            formats=["%Y-%m-%d"],
            help="First local day to rebuild; default: the first day of the store.",
        ),
    ] = None,
    workers: Annotated[int, typer.Option(min=1, max=64, help="Number of processes.")] = 2,
    as_json: AsJson = False,
) -> None:
    """Rebuild all score days from stored values; the result is bit-identical.

    Each collection updates the days that it changes; this is a proof, and the step to a new version of the
    methods. The service may run at the same time.
    """
    service = opened(context).migrated()
    began, now = time.monotonic(), service.clock()
    sites = site_ids(service.database, site)
    day = None if first is None else day_number(first.replace(tzinfo=UTC).date())
    with progress(transient=True) as bar:
        task = bar.add_task("sites", total=len(sites))
        report = rebuild(
            service.settings.database_url,
            list(sites),
            local_day(now),
            first=day,
            workers=workers,
            on_site=lambda _site: bar.update(task, advance=1),
        )
    publish(service.database, now, report.months)
    with service.database.read() as connection:
        final = first_open_day(connection)
    if final:
        print_text(
            f"Days before {date_of(final)} stay as they are: their raw values were exported and removed",
            err=True,
        )
    summary = {
        "sites": len(report.days),
        "days": sum(report.days.values()),
        "unsettled": [sites[site_id] for site_id in report.unsettled],
        "seconds": round(time.monotonic() - began, 1),
    }
    if as_json:
        print_json(summary)
    else:
        print_text(f"{summary['days']} days of {summary['sites']} sites in {summary['seconds']} s")
    if report.unsettled:
        names = ", ".join(sites[site_id] for site_id in report.unsettled)
        raise MeteoScoreError(
            f"not rebuilt: {names}: new values arrived during the computation; the next collection updates"
            " them, or repeat the command"
        )
