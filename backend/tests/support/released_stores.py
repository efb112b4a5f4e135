"""Small stores of every released version, made by the code of that version; kept beside this file.

    python -m backend.tests.support.released_stores [VERSION ...]

The demo of that version lives through one day of its synthetic weather, and one site of it is kept. It needs
the repository with its history, and in this environment the dependencies of that version. Add each release.
"""

from __future__ import annotations

import gzip
import io
import os
import sqlite3
import subprocess
import sys
import tarfile
import tempfile
from contextlib import closing
from pathlib import Path

STORES = Path(__file__).with_name("released_stores")
"""Folder of the stores: VERSION.sqlite3.gz."""

RELEASES = {"0.1.0": "534cfe4", "0.2.0": "6a3df75"}
"""The last commit of each version; of 0.2.0, which is not released yet, the one before its tables 0017."""

_RUN = """
import sys
sys.path.insert(0, ".")
import backend
assert backend.__file__.startswith(sys.argv[1]), backend.__file__
from backend.__main__ import main
sys.argv[1:] = "demo --no-serve --days 1 --until 2026-07-15T16:10:00Z --folder store".split()
main()
"""


def make(version: str) -> Path:
    """Make the store of a released version; return its file."""
    root = Path(__file__).parents[3]
    archive = ["git", "-C", str(root), "archive", RELEASES[version], "backend", "sites.toml"]
    code = subprocess.run(archive, check=True, capture_output=True).stdout
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        with tarfile.open(fileobj=io.BytesIO(code)) as files:
            files.extractall(folder, filter="data")
        environment = {**os.environ, "PYTHONPATH": name}
        subprocess.run([sys.executable, "-P", "-c", _RUN, name], cwd=folder, env=environment, check=True)
        store = folder / "store" / "demo.sqlite3"
        with closing(sqlite3.connect(store, isolation_level=None)) as connection:
            _keep_one_site(connection)
        STORES.mkdir(exist_ok=True)
        made = STORES / f"{version}.sqlite3.gz"
        made.write_bytes(gzip.compress(store.read_bytes(), mtime=0))
    return made


def unpacked(version: str, folder: Path) -> Path:
    """Write the store of a released version into a folder; return its file."""
    path = folder / "scores.sqlite3"
    path.write_bytes(gzip.decompress((STORES / f"{version}.sqlite3.gz").read_bytes()))
    return path


def _keep_one_site(connection: sqlite3.Connection) -> None:
    """Delete the rows of all sites but the first, and the stations that no row names any more."""
    tables = [name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
    for table in tables:
        columns = {row[1] for row in connection.execute(f"PRAGMA table_info({table})")}
        if "site_id" in columns:
            connection.execute(f"DELETE FROM {table} WHERE site_id != 1")
    connection.execute("DELETE FROM site WHERE id != 1")
    connection.execute(
        "DELETE FROM observation WHERE station_id NOT IN (SELECT station_id FROM observed_day)"
    )
    connection.execute("PRAGMA journal_mode=DELETE")
    connection.execute("VACUUM")


if __name__ == "__main__":
    for release in sys.argv[1:] or RELEASES:
        print(make(release), (STORES / f"{release}.sqlite3.gz").stat().st_size)
