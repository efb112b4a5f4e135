"""`meteo-score data retain`: removal of raw values that are old enough, once they are in files."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from backend.cli.console import AsJson, print_json, print_text
from backend.cli.context import opened
from backend.core.errors import ConfigError
from backend.scheduler.config import JOBS
from backend.storage.retention import retention


def retain(
    context: typer.Context,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only show what would be removed.")] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    as_json: AsJson = False,
) -> None:
    """Remove raw values that are older than RETENTION_* allows; the service does so daily.

    Closed months are exported first. Only whole months that are in verified files of MONTHS_DIR are removed.
    Score days and issued forecasts stay.
    """
    from backend.files.dictionary import source_origins
    from backend.files.month_removal import Rules, due_rows, work_of_a_day

    used = opened(context)
    service = used.migrated()
    folder = service.settings.months_dir
    if folder is None:
        raise ConfigError("MONTHS_DIR: is not set: values are removed only once they are in a file there")
    rules = Rules.of(
        service.settings,
        folder,
        source_origins(service.sources.every()),
        *(used.config.lookback(job) for job in JOBS),
    )
    now = service.clock()
    with service.database.read() as connection:
        problem = retention(connection).problem
    if problem is not None and not as_json:
        print_text(f"The daily look of the service failed: {problem}", err=True)
    months = list(due_rows(service.database, rules, now))
    if not dry_run and months and not yes:
        question = (
            f"Remove {sum(month.rows for month in months)} rows of {len(months)} months from the store?"
        )
        if not sys.stdin.isatty():
            raise ConfigError(f"{question} Add --yes: nothing was removed")
        if not typer.confirm(question):
            raise typer.Exit(1)
    if not dry_run:
        months, problem = work_of_a_day(service.database, rules, now), None
    if as_json:
        listed = [{"kind": month.kind, "month": month.month, "rows": month.rows} for month in months]
        print_json({"folder": str(folder), "dryRun": dry_run, "problem": problem, "months": listed})
        return
    for month in months:
        print_text(f"{month.kind} {month.month}: {month.rows} rows {'would be ' if dry_run else ''}removed")
    if not months:
        kept = [f"{kind} values after {keep.days} days" for kind, keep in rules.keep.items()]
        print_text(f"Nothing to remove ({', '.join(kept) or 'RETENTION_* is not set: all values are kept'})")
