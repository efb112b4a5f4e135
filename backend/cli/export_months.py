"""`meteo-score export months`: closed months as Parquet, each written once."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from backend.cli.console import AsJson, print_json, print_text
from backend.cli.context import opened
from backend.cli.progress import row_progress
from backend.core.errors import ConfigError
from backend.scheduler.config import JOBS


def export_months(
    context: typer.Context,
    folder: Annotated[
        Path | None, typer.Argument(metavar="FOLDER", help="The folder of the files; default: MONTHS_DIR.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Write forecasts and observations of closed months (UTC) as Parquet, each month once.

    Files that exist are compared with their checksums and stay. Values that arrived since go to a further
    file of their month.
    """
    from backend.files import month_export
    from backend.files.dictionary import source_origins

    used = opened(context)
    service = used.current()
    folder = folder or service.settings.months_dir
    if folder is None:
        raise ConfigError("FOLDER: name the folder of the files, or set MONTHS_DIR")
    terms = month_export.Terms(source_origins(service.sources.every()), service.settings.public_imports)
    closed = month_export.closed_after(*(used.config.lookback(job) for job in JOBS))
    with row_progress() as on_rows:
        made = list(
            month_export.export_months(
                service.database, folder, terms, service.clock(), closed, on_rows=on_rows
            )
        )
    if as_json:
        print_json(
            {
                "folder": str(folder.absolute()),
                "files": [
                    {
                        "kind": each.kind,
                        "month": each.month,
                        "part": each.part,
                        "rows": each.rows,
                        "bytes": each.bytes,
                        "sha256": each.sha256,
                        "public": each.public,
                    }
                    for each in made
                ],
            }
        )
        return
    for each in made:
        print_text(
            f"{each.kind} {each.month}, part {each.part}: {each.rows} values, {each.bytes / 1e6:.1f} MB"
        )
    if not made:
        print_text(f"{folder}: has every closed month ({closed.days} days after its end)")
    withheld = sorted({source.name for each in made for source in each.sources if not source.public})
    if withheld:
        print_text(
            f"Warning: do not pass these files on: they hold raw values of {', '.join(withheld)}."
            " The manifest beside each file names its sources and their terms",
            err=True,
        )
