"""The command: `meteo-score`. Each subcommand is one thing that an operator does."""

from __future__ import annotations

import json
import sys
from typing import Annotated, Any

import typer
import uvicorn
from pydantic import SecretStr
from rich.console import Console
from rich.table import Table

from backend import collect_commands, demo_commands, doctor_commands, site_commands
from backend.console import AsJson, Opened, opened, print_json, run_as_dict, runs_table, sources_table
from backend.core.config import Settings
from backend.core.errors import ConfigError, NotFound, StoreUnavailable
from backend.core.logs import configure_logging
from backend.main import create_app
from backend.scheduler.config import SchedulerConfig
from backend.storage.address import shown, usable_url

app = typer.Typer(
    name="meteo-score",
    help="Which weather forecast deserves a paraglider pilot's trust, at this site, this far ahead?",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)
app.add_typer(site_commands.app)
app.command("collect")(collect_commands.collect)
app.command("replay")(collect_commands.replay)
app.command("doctor")(doctor_commands.doctor)
app.command("demo")(demo_commands.demo)


@app.callback()
def _open(context: typer.Context) -> None:
    context.obj = Opened()


@app.command()
def serve(
    context: typer.Context,
    host: Annotated[str | None, typer.Option(help="Address to listen on; HOST if not given.")] = None,
    port: Annotated[int | None, typer.Option(help="Port to listen on; PORT if not given.")] = None,
) -> None:
    """Collect on schedule, and serve the API and the status page."""
    service = opened(context).service()
    configure_logging(service.settings)
    uvicorn.run(
        create_app(service),
        host=host or service.settings.host,
        port=port or service.settings.port,
        log_config=None,
        timeout_graceful_shutdown=5,
    )


@app.command()
def runs(
    context: typer.Context,
    run_id: Annotated[int | None, typer.Argument(metavar="[ID]", help="Show this run in full.")] = None,
    job: Annotated[str | None, typer.Option(help="collect_forecasts or collect_observations.")] = None,
    status: Annotated[str | None, typer.Option(help="Only runs that ended so.")] = None,
    limit: Annotated[int, typer.Option(min=1, max=1000)] = 20,
    as_json: AsJson = False,
) -> None:
    """Show what was done and how it ended: the newest runs, or one of them in full."""
    ledger = opened(context).migrated().ledger
    found = ledger.runs(job=job, status=status, limit=limit) if run_id is None else (ledger.run(run_id),)
    if as_json:
        print_json([run_as_dict(run) for run in found] if run_id is None else run_as_dict(found[0]))
        return
    console = Console()
    console.print(runs_table(found))
    if run_id is not None:
        console.print(sources_table(found[0]))
        for source in found[0].sources:
            for failure in source.failures:
                console.print(f"{source.source}: {failure.url} {failure.reason}", markup=False)


@app.command()
def config(as_json: AsJson = False) -> None:
    """Show the settings in force, secrets masked."""
    effective = _shown(Settings.load()) | _shown(SchedulerConfig.load())
    if as_json:
        print_json(effective)
        return
    table = Table("Variable", "Value", title="Settings in force")
    for name, value in effective.items():
        table.add_row(name, json.dumps(value, ensure_ascii=False, default=str))
    Console().print(table)


def _shown(settings: Settings | SchedulerConfig) -> dict[str, Any]:
    return {name.upper(): _masked(name, value) for name, value in settings}


def _masked(name: str, value: object) -> object:
    if name == "database_url":
        return shown(usable_url(str(value)))
    if isinstance(value, SecretStr):
        return "***" if value.get_secret_value() else None
    return value


def main() -> None:
    """Run the command; what can never work ends with exit code 2 and one line, without a traceback."""
    try:
        app()
    except (ConfigError, NotFound) as error:
        print(f"meteo-score: {error}", file=sys.stderr)
        sys.exit(2)
    except StoreUnavailable as error:
        print(f"meteo-score: {error}", file=sys.stderr)
        sys.exit(1)
