"""`meteo-score scores`: what scores are made of, made again."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Annotated

import typer

from backend.cli.console import AsJson, print_json, say
from backend.cli.context import opened
from backend.cli.progress import progress
from backend.core.errors import MeteoScoreError
from backend.core.local_time import day_number, local_day
from backend.scoring.days.public_months import publish
from backend.scoring.days.rebuild import OnSite, rebuild
from backend.storage.score_queries import site_ids

app = typer.Typer(name="scores", add_completion=False, help="What scores are made of.")


@app.callback()
def _scores() -> None:
    """Keep `rebuild` a subcommand, though it is the only one."""


@app.command("rebuild")
def rebuild_scores(
    context: typer.Context,
    site: Annotated[str | None, typer.Option(help="Only this site.")] = None,
    first: Annotated[
        datetime | None,
        typer.Option("--from", formats=["%Y-%m-%d"], help="Only from this local day on; from the first one."),
    ] = None,
    workers: Annotated[int, typer.Option(min=1, max=64, help="How many processes work at a time.")] = 2,
    as_json: AsJson = False,
) -> None:
    """Make every day again from what was collected. The result is the same, to the bit.

    Days are kept up to date after each collection; this is for proof, and for a new version of the methods.
    The service may go on meanwhile.
    """
    service = opened(context).migrated()
    began, now = time.monotonic(), service.clock()
    sites = site_ids(service.database, site)
    day = None if first is None else day_number(first.replace(tzinfo=UTC).date())
    with _progress(len(sites)) as on_site:
        report = rebuild(
            service.settings.database_url,
            list(sites),
            local_day(now),
            first=day,
            workers=workers,
            on_site=on_site,
        )
    publish(service.database, now, report.months)
    made = {
        "sites": len(report.days),
        "days": sum(report.days.values()),
        "unsettled": [sites[site_id] for site_id in report.unsettled],
        "seconds": round(time.monotonic() - began, 1),
    }
    if as_json:
        print_json(made)
    else:
        say(f"{made['days']} days of {made['sites']} sites in {made['seconds']} s")
    if report.unsettled:
        names = ", ".join(sites[site_id] for site_id in report.unsettled)
        raise MeteoScoreError(
            f"not done: {names}: values came in all the time; the next collection makes them, or try again"
        )


@contextmanager
def _progress(total: int) -> Iterator[OnSite]:
    with progress(transient=True) as bar:
        task = bar.add_task("sites", total=total)
        yield lambda _site: bar.update(task, advance=1)
