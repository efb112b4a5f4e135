"""`meteo-score backup`: a backup of the store, the sites and the settings while the service collects."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from backend.answers.settings_in_force import settings_without_secrets
from backend.cli.console import AsJson, print_json, print_text
from backend.cli.context import CliContext, opened
from backend.core.clock import utc_now
from backend.core.errors import ConfigError
from backend.storage.backup import Backup, backup_name, make_backup, prune_backups
from backend.storage.backup_file import SETTINGS, SITES

app = typer.Typer(add_completion=False)


@app.command()
def backup(
    context: typer.Context,
    target: Annotated[
        Path, typer.Argument(metavar="FILE|FOLDER", help="A new file, or the folder of the backups.")
    ],
    keep: Annotated[
        int | None,
        typer.Option(
            min=1, help="How many backups of this store stay in the folder; older ones are removed."
        ),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Back up the store, the sites and the settings without secrets, while the service collects.

    In a FOLDER the file gets a name with the time. With --keep a FOLDER that is missing is created.
    `meteo-score restore` restores the file. Exit 1 if the backup failed.
    """
    used = opened(context)
    # Whole seconds, as in the name of the file, so that name and manifest agree.
    now = utc_now().replace(microsecond=0)
    folder = keep is not None or target.is_dir()
    if keep is not None and target.exists() and not target.is_dir():
        raise ConfigError(f"{target}: is a file, and --keep needs a folder")
    place = target / backup_name(now) if folder else target
    database = used.reading_service.database
    if database.path is not None and not database.path.exists():
        raise ConfigError(f"DATABASE_URL={database.name!r}: there is no store to back up: check the address")
    made = make_backup(database, place.absolute(), now, _texts(used))
    removed = prune_backups(made, keep) if keep is not None else []
    if as_json:
        print_json(as_dict(made) | {"removed": removed})
        return
    print_text(
        f"Backup: {made.path} ({made.path.stat().st_size / 1e6:.1f} MB,"
        f" {sum(made.manifest.rows.values())} rows, tables of version {made.manifest.revision})"
    )
    for path in removed:
        print_text(f"Removed: {path}")


def as_dict(made: Backup) -> dict[str, Any]:
    """Return a backup as the JSON of the command."""
    manifest = made.manifest
    return {
        "file": made.path,
        "bytes": made.path.stat().st_size,
        "madeAt": manifest.made_at,
        "program": manifest.program,
        "revision": manifest.revision,
        "store": manifest.store,
        "recordHead": manifest.record_head,
        "rows": manifest.rows,
        "sha256": {name: entry.sha256 for name, entry in manifest.files.items()},
    }


def _texts(used: CliContext) -> dict[str, bytes]:
    """Return the files of a backup besides the store: the sites file in use, and the settings."""
    texts = {SETTINGS: settings_without_secrets(used.settings, used.config).encode()}
    if used.settings.sites_from == "file":
        try:
            texts[SITES] = used.settings.sites_file.read_bytes()
        except OSError as error:
            raise ConfigError(
                f"SITES_FILE={used.settings.sites_file}: cannot be read: {error.strerror}"
            ) from error
    return texts
