"""`meteo-score runs`: the runs of the jobs."""

from __future__ import annotations

from typing import Annotated

import typer

from backend.cli.console import AsJson, print_failures, print_json, print_run, print_runs
from backend.cli.context import opened
from backend.core.records import RunStatus
from backend.scheduler.config import JobId
from backend.storage.ledger import Ledger
from backend.storage.run_records import run_as_dict

app = typer.Typer(add_completion=False)


@app.command()
def runs(
    context: typer.Context,
    run_id: Annotated[int | None, typer.Argument(metavar="[ID]", help="Show this run in full.")] = None,
    job: Annotated[JobId | None, typer.Option(help="Only runs of this job.")] = None,
    status: Annotated[RunStatus | None, typer.Option(help="Only runs with this status.")] = None,
    limit: Annotated[int, typer.Option(min=1, max=1000)] = 20,
    as_json: AsJson = False,
) -> None:
    """Show the newest runs and how they ended, or one run in full."""
    ledger = Ledger(opened(context).current().database)
    if run_id is None:
        runs_found = ledger.runs(job=job, status=status, limit=limit)
        if as_json:
            print_json([run_as_dict(run) for run in runs_found])
        else:
            print_runs(runs_found)
        return
    run = ledger.run(run_id)
    if as_json:
        print_json(run_as_dict(run))
    else:
        print_runs([run])
        print_run(run)
        print_failures(run)
