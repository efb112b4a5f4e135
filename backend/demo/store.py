"""The folder of a demo: its store, its lock, and the settings to read it."""

from __future__ import annotations

import fcntl
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from backend.core.config import SOURCE_NAMES, ChosenModels
from backend.core.errors import ConfigError

SITES_FILE = Path(__file__).parent / "sites.toml"
"""The sites of the demo."""

FOLDER = Path(".demo")
"""The default folder of a demo, below the working directory."""

OPEN_METEO_MODELS = ("icon_ch1", "icon_ch2")
"""The models of Open-Meteo in a demo, unless the operator names others. See EQUALS in `weather.py`."""

ADMIN_TOKEN = "demo-admin-token"  # noqa: S105 - public: it gives access to synthetic data on loopback only

_LOCK = "demo.lock"


def store_file(folder: Path) -> Path:
    """Return the SQLite file of a demo."""
    return folder / "demo.sqlite3"


def store_settings(folder: Path, env_file: Path | None = None) -> dict[str, Any]:
    """Return the settings to write and read a demo's store; all its raw values are public.

    `env_file` is a settings file in place of `.env`. Raises ConfigError for a setting that breaks a rule.
    """
    return {
        "database_url": f"sqlite:///{store_file(folder)}",
        "data_dir": folder,
        "keep_payloads_days": 0,
        "sites_from": "file",
        "sites_file": SITES_FILE,
        "contact": "demo@example.org",
        "alert_urls": None,
        "ping_url_forecasts": None,
        "ping_url_observations": None,
        "public_raw_sources": SOURCE_NAMES,
        "open_meteo_models": ChosenModels.load(env_file).open_meteo_models or OPEN_METEO_MODELS,
    }


@contextmanager
def held(folder: Path) -> Iterator[None]:
    """Create the folder if it is missing, and lock it; the lock ends with the context or the process.

    Raises ConfigError for a folder that cannot be written to, or that another demo has locked.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        if not os.access(folder, os.W_OK | os.X_OK):
            raise PermissionError(13, "Permission denied")
        lock = os.open(folder / _LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise ConfigError(
            f"--folder {folder}: the demo cannot write there ({error.strerror}): name another folder"
        ) from error
    try:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            other = os.read(lock, 20).decode("ascii", "replace").strip() or "of unknown id"
            raise ConfigError(
                f"--folder {folder}: another demo (process {other}) uses it: end that one first, or name"
                " another folder"
            ) from None
        os.ftruncate(lock, 0)
        os.pwrite(lock, f"{os.getpid()}\n".encode(), 0)
        yield
    finally:
        os.close(lock)


def clear(folder: Path) -> None:
    """Delete all files in a locked folder. Raises ConfigError if one cannot be deleted."""
    try:
        for path in folder.iterdir():
            if path.is_dir() and not path.is_symlink():
                shutil.rmtree(path)
            elif path.name != _LOCK:
                path.unlink()
    except OSError as error:
        raise ConfigError(f"--fresh: {error.filename} cannot be deleted: {error.strerror}") from error
