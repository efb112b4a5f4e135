"""`meteo-score restore`: a backup into an empty place, verified."""

from __future__ import annotations

import os
from contextlib import closing
from pathlib import Path
from typing import Annotated

import typer

from backend.cli.console import AsJson, print_json, print_text
from backend.cli.context import opened
from backend.core.errors import ConfigError
from backend.storage.backup_file import SETTINGS, SITES
from backend.storage.database import Database
from backend.storage.restore import restore_backup

app = typer.Typer(add_completion=False)


@app.command()
def restore(
    context: typer.Context,
    file: Annotated[Path, typer.Argument(help="A backup of `meteo-score backup`.")],
    as_json: AsJson = False,
) -> None:
    """Restore a backup to DATABASE_URL, which has to be empty, and check it.

    Stop the service first. The sites file is written to SITES_FILE if there is none; otherwise it and the
    settings are written beside the store, for comparison. Exit 1 if the backup is damaged.
    """
    settings = opened(context).settings
    if not file.is_file():
        raise ConfigError(f"{file}: there is no such file")
    with closing(Database(settings.database_url, make=None)) as target:
        restored = restore_backup(file, target, settings.data_dir)
        folder = target.path.parent if target.path is not None else settings.data_dir
    written: dict[str, Path] = {}
    not_in_place = None
    for name, content in restored.texts.items():
        place = folder / f"restored-{name}"
        if name == SITES and settings.sites_from == "file":
            try:
                if not settings.sites_file.exists():
                    _write(settings.sites_file, content)
                    written[name] = settings.sites_file
                    continue
                if settings.sites_file.read_bytes() == content:
                    continue
            except OSError as error:
                not_in_place = f"{settings.sites_file}: {error.strerror}"
        _write(place, content)
        written[name] = place
    manifest = restored.manifest
    if as_json:
        print_json(
            {
                "store": manifest.store,
                "madeAt": manifest.made_at,
                "database": target.name,
                "rows": manifest.rows,
                "recordHead": manifest.record_head,
                "recordFaults": restored.record_faults,
                "files": written,
            }
        )
    else:
        print_text(
            f"Restored: {target.name}, {sum(manifest.rows.values())} rows as of"
            f" {manifest.made_at:%Y-%m-%d %H:%M} UTC"
        )
        if not_in_place is not None:
            print_text(f"Copy the sites of the backup into place ({not_in_place}): {written[SITES]}")
        elif SITES in written and written[SITES] != settings.sites_file:
            print_text(f"The sites of the backup differ from {settings.sites_file}: {written[SITES]}")
        if SETTINGS in written:
            print_text(f"The settings of the backup, without secrets: {written[SETTINGS]}")
        print_text("Now start the service: its next collections fetch what the sources still have.")
    for fault in restored.record_faults:
        print_text(f"The record of issued forecasts is not whole, as in the backup: {fault}", err=True)
    if restored.record_faults:
        raise typer.Exit(1)


def _write(place: Path, content: bytes) -> None:
    """Write a file that only its owner can read."""
    with open(os.open(place, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as text:  # noqa: PTH123
        text.write(content)
