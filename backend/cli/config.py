"""`meteo-score config`: the settings in force."""

from __future__ import annotations

from pathlib import Path

import typer

from backend.answers.settings_in_force import as_written, settings_in_force
from backend.cli.console import AsJson, print_json
from backend.cli.context import opened

app = typer.Typer(add_completion=False)


@app.command()
def config(context: typer.Context, as_json: AsJson = False) -> None:
    """Show the settings in force in the form of the environment, secrets masked."""
    used = opened(context)
    effective = settings_in_force(used.settings, used.config)
    if as_json:
        print_json({"ENV_FILE": used.env_file} | effective)
        return
    typer.echo(f"# settings file: {used.env_file or f'none (no .env in {Path.cwd()})'}")
    for name, value in effective.items():
        typer.echo(f"{name}={as_written(value)}")
