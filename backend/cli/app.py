"""The command: `meteo-score`. Each subcommand is one thing that an operator does."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

import typer
import uvicorn
from pydantic import SecretStr

from backend import __version__
from backend.api.connections import BACKLOG, BoundedProtocol, allow_files
from backend.cli import backfill, collect, database, demo, doctor, export, import_, rebuild, score, sites
from backend.cli.console import (
    AsJson,
    CliContext,
    Command,
    opened,
    print_failures,
    print_json,
    print_run,
    print_runs,
)
from backend.core.config import EnvironmentSettings, without_credentials
from backend.core.logs import configure_logging
from backend.core.masking import MASKED
from backend.core.records import RunStatus
from backend.main import create_app
from backend.scheduler.config import JobId
from backend.storage.address import shown, usable_url
from backend.storage.run_records import run_as_dict

app = typer.Typer(
    name="meteo-score",
    cls=Command,
    help="Which weather forecast deserves a paraglider pilot's trust, at this site, this far ahead?",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)
app.add_typer(sites.app)
app.add_typer(database.app)
app.add_typer(rebuild.app)
app.add_typer(import_.app)
app.add_typer(export.app)
app.command("collect")(collect.collect)
app.command("backfill")(backfill.backfill)
app.command("replay")(collect.replay)
app.command("score")(score.score)
app.command("doctor")(doctor.doctor)
app.command("demo")(demo.demo)


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"meteo-score {__version__}")
        raise typer.Exit


@app.callback()
def _open(
    context: typer.Context,
    env_file: Annotated[
        Path | None,
        typer.Option(
            envvar="METEO_SCORE_ENV_FILE",
            help="File with settings; .env in the working directory if not given.",
        ),
    ] = None,
    demo: Annotated[
        bool, typer.Option("--demo", help="Read the store of the demo in place of the live one.")
    ] = False,
    _version: Annotated[
        bool,
        typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version and exit."),
    ] = False,
) -> None:
    context.obj = CliContext(env_file, demo=demo)
    context.call_on_close(context.obj.close)


@app.command()
def serve(
    context: typer.Context,
    host: Annotated[str | None, typer.Option(help="Address to listen on; HOST if not given.")] = None,
    port: Annotated[
        int | None, typer.Option(min=0, max=65535, help="Port to listen on; PORT if not given.")
    ] = None,
) -> None:
    """Collect on schedule, and serve the API and the status page."""
    service = opened(context).service
    configure_logging(service.settings)
    allow_files()
    uvicorn.run(
        create_app(service),
        host=service.settings.host if host is None else host,
        port=service.settings.port if port is None else port,
        log_config=None,
        timeout_graceful_shutdown=5,
        http=BoundedProtocol,
        backlog=BACKLOG,
        proxy_headers=False,  # the application trusts those of TRUSTED_PROXIES, and no address by itself
    )


@app.command()
def runs(
    context: typer.Context,
    run_id: Annotated[int | None, typer.Argument(metavar="[ID]", help="Show this run in full.")] = None,
    job: Annotated[JobId | None, typer.Option(help="Only runs of this job.")] = None,
    status: Annotated[RunStatus | None, typer.Option(help="Only runs that ended so.")] = None,
    limit: Annotated[int, typer.Option(min=1, max=1000)] = 20,
    as_json: AsJson = False,
) -> None:
    """Show what was done and how it ended: the newest runs, or one of them in full."""
    ledger = opened(context).current().ledger
    if run_id is None:
        found = ledger.runs(job=job, status=status, limit=limit)
        if as_json:
            print_json([run_as_dict(run) for run in found])
        else:
            print_runs(found)
        return
    run = ledger.run(run_id)
    if as_json:
        print_json(run_as_dict(run))
    else:
        print_runs([run])
        print_run(run)
        print_failures(run)


@app.command()
def config(context: typer.Context, as_json: AsJson = False) -> None:
    """Show the settings in force as the environment would hold them, secrets masked."""
    used = opened(context)
    effective = dict([*_shown(used.settings), *_shown(used.config)])
    if as_json:
        print_json({"ENV_FILE": used.env_file} | effective)
        return
    typer.echo(f"# settings file: {used.env_file or f'none (no .env in {Path.cwd()})'}")
    for name, value in effective.items():
        typer.echo(f"{name}={_as_written(value)}")


def _shown(settings: EnvironmentSettings) -> Iterator[tuple[str, object]]:
    for name, value in settings:
        if name == "database_url":
            value = shown(usable_url(value, make=None))
        elif name.endswith("_url"):
            value = without_credentials(value)
        elif isinstance(value, SecretStr):
            value = MASKED
        yield name.upper(), value


def _as_written(value: object) -> str:
    """Return a value as the environment would hold it."""
    match value:
        case None:
            return ""
        case bool():
            return str(value).lower()
        case tuple():
            return ",".join(map(str, value))
        case _:
            return str(value)


def main() -> None:
    """Run the command."""
    app()
