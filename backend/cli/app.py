"""The command `meteo-score`: the table of its subcommands, its options, and its errors.

A subcommand is a module of this folder with a Typer application `app`. Its module is imported when a command
line names it, so that `meteo-score --help` and each command load only what they use.
"""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from typing import Annotated, Any, NamedTuple

import typer
from typer.core import TyperGroup
from typer.main import get_command

from backend.core.errors import ConfigError, MeteoScoreError


class Subcommand(NamedTuple):
    """The module of a subcommand, and the first paragraph of its help, shown by `--help`."""

    module: str
    summary: str


SUBCOMMANDS = {
    "collect": Subcommand(
        "backend.cli.collect",
        "Collect missing values now. Exit 0: success or nothing new; 1: partial, failed or already running.",
    ),
    "backfill": Subcommand(
        "backend.cli.backfill",
        "Fetch the values of past days from the archives of sources, and label them as backfilled.",
    ),
    "gaps": Subcommand(
        "backend.cli.gaps",
        "Show what is missing by day, source and site, and until when it can still be collected.",
    ),
    "replay": Subcommand(
        "backend.cli.replay",
        "Parse the archived payloads again and store what differs, after a correction of a parser.",
    ),
    "score": Subcommand(
        "backend.cli.score",
        "Show which forecast to trust at a site, and how large the errors of each model are.",
    ),
    "forecast": Subcommand(
        "backend.cli.forecast",
        "Show the forecast of a coming day from all models, corrected by their past errors.",
    ),
    "verify": Subcommand(
        "backend.cli.verify",
        "Show how good the issued forecasts were: error, interval and chances, beside named references.",
    ),
    "doctor": Subcommand(
        "backend.cli.doctor",
        "Check settings, store, clock, sources, sites and stations. Exit 1 if action is needed.",
    ),
    "demo": Subcommand(
        "backend.cli.demo",
        "Start stand-in upstreams, collect from them day by day, and serve the page from the start.",
    ),
    "serve": Subcommand("backend.cli.serve", "Collect on schedule, and serve the API and the pages."),
    "status": Subcommand(
        "backend.cli.status",
        "Show whether the service is well. Exit 0: well; 1: degraded; 2: down, or it cannot be examined.",
    ),
    "alert": Subcommand(
        "backend.cli.alert",
        "Report new problems to ALERT_URLS, and show the open ones. Exit 1 if a message was not delivered.",
    ),
    "verify-record": Subcommand(
        "backend.cli.verify_record",
        "Check the chains of the record of issued forecasts. Exit 1 if a row was changed or is missing.",
    ),
    "runs": Subcommand(
        "backend.cli.runs",
        "Show the newest runs and how they ended, or one run in full.",
    ),
    "config": Subcommand(
        "backend.cli.config",
        "Show the settings in force in the form of the environment, secrets masked.",
    ),
    "token": Subcommand("backend.cli.token", "Named tokens for the API, each with its own rights."),
    "sites": Subcommand("backend.cli.sites", "The flying sites, and the stations that represent them."),
    "db": Subcommand("backend.cli.database", "The database of the service."),
    "backup": Subcommand(
        "backend.cli.backup",
        "Back up the store, the sites and the settings without secrets, while the service collects.",
    ),
    "restore": Subcommand(
        "backend.cli.restore", "Restore a backup to DATABASE_URL, which has to be empty, and check it."
    ),
    "scores": Subcommand("backend.cli.rebuild", "The score data."),
    "import": Subcommand(
        "backend.cli.import_",
        "Import forecasts and observations from a file: all rows, or none.",
    ),
    "data": Subcommand(
        "backend.cli.data",
        "Remove wrong values and imports, put them back, and remove old values that are in files.",
    ),
    "export": Subcommand(
        "backend.cli.export", "Export values, pairs and scores to a file, with a data dictionary."
    ),
}


READING_COMMANDS = frozenset(
    {
        *(
            "score",
            "forecast",
            "verify-record",
            "verify",
            "runs",
            "config",
            "sites list",
            "sites near",
            "sites flags",
            "import replaced",
            "data removed",
            "data imports",
        ),
        *(
            f"export {what}"
            for what in ("pairs", "scores", "forecasts", "observations", "issued", "verif", "months")
        ),
    }
)
"""The commands that only read the store; with `--demo` they read the store of the demo."""


def load(name: str) -> Any:
    """Import a subcommand, and return it as Typer's command or group."""
    return get_command(import_module(SUBCOMMANDS[name].module).app)


class MainCommand(TyperGroup):
    """Loads a subcommand when a line names it; an error of ours is one line without a traceback."""

    def resolve_command(self, context: Any, args: list[str]) -> Any:
        """Find and load the subcommand of a line. Raises ConfigError if `--demo` cannot read for it."""
        name, command, rest = super().resolve_command(context, args)
        if name in SUBCOMMANDS:
            command = load(name)
            # Modules live as long as the process. To examine them in each collection, as while a large batch
            # is stored, takes longer than the storing.
            gc.freeze()
            gc.enable()
        if context.params.get("demo") and name != "demo" and "--help" not in rest:
            from backend.demo.store import FOLDER, store_file

            path = f"{name} {rest[0]}" if isinstance(command, TyperGroup) and rest else name
            if path not in READING_COMMANDS:
                raise ConfigError(f"--demo is for commands that only read the store, not for {path}")
            if not store_file(FOLDER).is_file():
                raise ConfigError(f"--demo: there is no store in {FOLDER}: run make demo first")
        return name, command, rest

    def invoke(self, context: Any) -> Any:
        """Run a subcommand. Exit code 2: it cannot work as it is; 1: it failed this time."""
        try:
            with _interrupts_reported():
                return super().invoke(context)
        except MeteoScoreError as error:
            from backend.cli.console import refused

            raise refused(error) from error

    def make_context(self, *args: Any, **options: Any) -> Any:
        """Parse the options of the main command. Typer imports Pydantic here, which takes a while."""
        with _interrupts_reported():
            return super().make_context(*args, **options)


@contextmanager
def _interrupts_reported() -> Iterator[None]:
    """Report a Ctrl-C while Typer or a subcommand loads: Typer itself ends without a word."""
    try:
        yield
    except KeyboardInterrupt:
        typer.echo("meteo-score: stopped", err=True)
        raise typer.Exit(130) from None


app = typer.Typer(
    name="meteo-score",
    cls=MainCommand,
    help="Which weather forecast deserves a paraglider pilot's trust, at this site, this far ahead?",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)


for _name, _subcommand in SUBCOMMANDS.items():
    # Only for the list in `--help`: `MainCommand` loads the subcommand itself when a line names it.
    app.command(_name, help=_subcommand.summary)(lambda: None)


def _print_version(requested: bool) -> None:
    if requested:
        from backend import __version__
        from backend.core.build import commit
        from backend.storage.database import revisions

        facts = [f"commit {known}" if (known := commit()) else "", f"store {revisions()[-1]}"]
        typer.echo(f"meteo-score {__version__} ({', '.join(filter(None, facts))})")
        raise typer.Exit


@app.callback()
def _open(
    context: typer.Context,
    env_file: Annotated[
        Path | None,
        typer.Option(
            envvar="METEO_SCORE_ENV_FILE",
            help="File with settings; default: .env in the working directory.",
        ),
    ] = None,
    demo: Annotated[
        bool, typer.Option("--demo", help="Read the store of the demo in place of the live one.")
    ] = False,
    _version: Annotated[
        bool,
        typer.Option(
            "--version",
            callback=_print_version,
            is_eager=True,
            help="Print version, commit, store.",
        ),
    ] = False,
) -> None:
    from backend.cli.context import CliContext

    context.obj = CliContext(env_file, demo=demo)
    context.call_on_close(context.obj.close)
