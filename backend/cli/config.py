"""`meteo-score config`: the settings in force."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import typer
from pydantic import SecretStr

from backend.cli.console import AsJson, print_json
from backend.cli.context import opened
from backend.core.config import EnvironmentSettings, without_credentials
from backend.core.masking import MASKED
from backend.storage.address import shown, usable_url

app = typer.Typer(add_completion=False)


@app.command()
def config(context: typer.Context, as_json: AsJson = False) -> None:
    """Show the settings in force in the form of the environment, secrets masked."""
    used = opened(context)
    effective = dict([*_shown(used.settings), *_shown(used.config)])
    if as_json:
        print_json({"ENV_FILE": used.env_file} | effective)
        return
    typer.echo(f"# settings file: {used.env_file or f'none (no .env in {Path.cwd()})'}")
    for name, value in effective.items():
        match value:
            case None:
                text = ""
            case bool():
                text = str(value).lower()
            case tuple():
                text = ",".join(map(str, value))
            case _:
                text = str(value)
        typer.echo(f"{name}={text}")


def _shown(settings: EnvironmentSettings) -> Iterator[tuple[str, object]]:
    for name, value in settings:
        if name == "database_url":
            value = shown(usable_url(value, make=None))
        elif name.endswith("_url"):
            value = without_credentials(value)
        elif isinstance(value, SecretStr):
            value = MASKED
        yield name.upper(), value
