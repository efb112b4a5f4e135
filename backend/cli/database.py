"""`meteo-score db`: upgrade a store to this version, or copy it to another database."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import closing
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import BarColumn, TaskProgressColumn, TextColumn, TimeElapsedColumn
from rich.table import Table

from backend.cli.console import AsJson, print_json, print_text
from backend.cli.context import opened
from backend.cli.progress import progress
from backend.core.errors import ConfigError
from backend.storage.database import Database
from backend.storage.instances import require_none_alive
from backend.storage.store_copy import (
    CopyDiffersError,
    TableCopy,
    copy_store,
    count_rows,
    require_store,
)

app = typer.Typer(name="db", add_completion=False, help="The database of the service.")


@app.command()
def upgrade(
    context: typer.Context,
    yes: Annotated[
        bool, typer.Option("--yes", help="Upgrade a store on PostgreSQL: there is a backup of it.")
    ] = False,
) -> None:
    """Upgrade the store to this version of the program; create one if there is none.

    The commands that write (serve, collect, backfill, import) also do this for SQLite, after a copy of the
    file beside it. A store on PostgreSQL is upgraded by this command alone, with --yes, and only while no
    process of the service uses it.
    """
    database = opened(context).service.database
    if yes and database.path is None:
        try:
            database.require_current()
        except ConfigError:
            require_none_alive(database)
    service = opened(context).migrated(confirmed=yes)
    print_text(f"The store has this version: {service.database.name}")


@app.command()
def copy(
    source: Annotated[
        str, typer.Argument(help="Address of the database to read, in the form of DATABASE_URL.")
    ],
    target: Annotated[str, typer.Argument(help="Address of an empty database, of the same or another kind.")],
    as_json: AsJson = False,
) -> None:
    """Copy all tables from one database to another, and compare them.

    Stop the service first: rows that it writes during the copy are not copied. The tables of the source
    are upgraded to this version. Exit 1 if anything differs; the target is then empty.
    """
    with (
        closing(Database(source, setting="SOURCE", make=False)) as old,
        closing(Database(target, setting="TARGET")) as new,
    ):
        require_store(old)
        for database in (old, new):
            database.migrate()
        try:
            columns = (
                TextColumn("{task.description}"),
                BarColumn(),
                TaskProgressColumn(),
                TimeElapsedColumn(),
            )
            with progress(*columns, transient=True) as bar:
                # Each row is written, and then read back.
                task = bar.add_task("", total=2 * count_rows(old))
                tables = copy_store(
                    old, new, lambda table, rows: bar.update(task, advance=rows, description=table)
                )
        except CopyDiffersError as differs:
            _print(differs.tables, as_json)
            raise
        _print(tables, as_json)
        if not as_json:
            print_text("Copied. Now set DATABASE_URL to the address of the target, and start the service.")


def _print(tables: Sequence[TableCopy], as_json: bool) -> None:
    if as_json:
        print_json(
            [
                {
                    "table": table.name,
                    "rows": table.source.rows,
                    "checksum": table.source.checksum,
                    "rowsInTarget": table.target.rows,
                    "checksumInTarget": table.target.checksum,
                    "same": table.same,
                }
                for table in tables
            ]
        )
        return
    shown = Table("Table", "Rows", "Checksum", "In the target")
    for table in tables:
        arrived = f"[bold red]{table.target.rows} rows, {table.target.checksum}[/]"
        shown.add_row(
            table.name,
            str(table.source.rows),
            table.source.checksum,
            "the same" if table.same else arrived,
        )
    console = Console()
    console.print(shown, soft_wrap=not console.is_terminal)
