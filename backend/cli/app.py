"""The command `meteo-score`: a table of subcommands, and what they share.

A subcommand is a module of this folder with a Typer application `app`. Its module is imported when a command
line names it, so that `meteo-score --help` and each command load only what they use.
"""

from __future__ import annotations

import gc
from importlib import import_module
from pathlib import Path
from typing import Annotated, Any, NamedTuple

import typer
from typer.core import TyperGroup
from typer.main import get_command

from backend.core.errors import ConfigError, MeteoScoreError


class Subcommand(NamedTuple):
    """Where a subcommand is, and the line that `meteo-score --help` shows for it (the first of its own)."""

    module: str
    summary: str


SUBCOMMANDS = {
    "collect": Subcommand(
        "backend.cli.collect",
        "Collect now what is missing. Exit 0: success or nothing new; 1: partial, failed or already running.",
    ),
    "backfill": Subcommand(
        "backend.cli.backfill", "Fetch what archives still have of these days, and label it as backfilled."
    ),
    "replay": Subcommand(
        "backend.cli.replay",
        "Parse the kept payloads again and store what differs: a parser's mistake, repaired.",
    ),
    "score": Subcommand(
        "backend.cli.score",
        "Say which forecast to trust at a site, and by how much each one is wrong there.",
    ),
    "doctor": Subcommand(
        "backend.cli.doctor",
        "Look at settings, store, clock, sources, sites and stations. Exit 1 if something needs mending.",
    ),
    "demo": Subcommand(
        "backend.cli.demo",
        "Start stand-in upstreams, collect from them day by day, and serve what comes from the start.",
    ),
    "serve": Subcommand("backend.cli.serve", "Collect on schedule, and serve the API and the status page."),
    "runs": Subcommand(
        "backend.cli.runs",
        "Show what was done and how it ended: the newest runs, or one of them in full.",
    ),
    "config": Subcommand(
        "backend.cli.config",
        "Show the settings in force as the environment would hold them, secrets masked.",
    ),
    "sites": Subcommand("backend.cli.sites", "The flying sites, and the stations that speak for them."),
    "db": Subcommand("backend.cli.database", "The database that everything is kept in."),
    "scores": Subcommand("backend.cli.rebuild", "What scores are made of."),
    "import": Subcommand(
        "backend.cli.import_", "Forecasts and observations from a file: all of it, or nothing."
    ),
    "export": Subcommand(
        "backend.cli.export", "Values, pairs and scores into a file, with a data dictionary."
    ),
}


READING_COMMANDS = frozenset(
    {
        *("score", "runs", "config", "sites list", "sites near", "sites flags", "import replaced"),
        *(f"export {what}" for what in ("pairs", "scores", "forecasts", "observations", "verif")),
    }
)
"""The commands that only read the store, which `--demo` points at the demo's."""


def load(name: str) -> Any:
    """Import a subcommand, and return it as Typer's command or group."""
    return get_command(import_module(SUBCOMMANDS[name].module).app)


class MainCommand(TyperGroup):
    """Loads a subcommand when it is named, and ends every refusal with one line and without a traceback."""

    def resolve_command(self, context: Any, args: list[str]) -> Any:
        """Find and load the subcommand of a line. Raises ConfigError where --demo does not go with it."""
        name, command, rest = super().resolve_command(context, args)
        if name in SUBCOMMANDS:
            command = load(name)
            # Modules live as long as the process. To examine them in each collection, as while a large batch
            # is stored, takes longer than the storing.
            gc.freeze()
            gc.enable()
        if context.params.get("demo") and name != "demo" and "--help" not in rest:
            path = f"{name} {rest[0]}" if isinstance(command, TyperGroup) and rest else name
            _require_demo(path)
        return name, command, rest

    def invoke(self, context: Any) -> Any:
        """Run a subcommand. Exit code 2: this can never work; 1: it did not work just now."""
        try:
            return super().invoke(context)
        except MeteoScoreError as error:
            from backend.cli.console import refused

            raise refused(error) from error


def _require_demo(command: str | None) -> None:
    """Raise ConfigError where a command does not go with --demo, or there is no demo."""
    from backend.demo.store import FOLDER, store_file

    if command not in READING_COMMANDS:
        raise ConfigError(f"--demo is for commands that only read, and {command} does more than that")
    if not store_file(FOLDER).is_file():
        raise ConfigError(f"--demo: there is no store in {FOLDER}: run make demo first")


app = typer.Typer(
    name="meteo-score",
    cls=MainCommand,
    help="Which weather forecast deserves a paraglider pilot's trust, at this site, this far ahead?",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)


def _placeholder() -> None:
    """Stand for a subcommand in the help of the main command; `MainCommand` runs the command itself."""


for _name, _subcommand in SUBCOMMANDS.items():
    app.command(_name, help=_subcommand.summary)(_placeholder)


def _print_version(asked: bool) -> None:
    if asked:
        from backend import __version__

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
    from backend.cli.context import CliContext

    context.obj = CliContext(env_file, demo=demo)
    context.call_on_close(context.obj.close)
