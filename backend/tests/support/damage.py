"""Damage to a SQLite store as by a disk: pages of the file overwritten."""

from __future__ import annotations

import random
import sqlite3
from contextlib import closing
from pathlib import Path


def overwrite_pages(path: Path, count: int, *, tables: tuple[str, ...] = (), seed: int = 7) -> None:
    """Overwrite `count` pages of a SQLite file with noise: any but the first, or those of some tables.

    The first page holds the description of the tables: without it the file is no database at all.
    """
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        size = connection.execute("PRAGMA page_size").fetchone()[0]
        pages = connection.execute("PRAGMA page_count").fetchone()[0]
        tables_and_roots = "SELECT name, rootpage FROM sqlite_master WHERE rootpage > 1"
        roots = dict(connection.execute(tables_and_roots).fetchall())
    chosen = [roots[name] for name in tables]
    if not tables:
        chosen = random.Random(seed).sample(range(2, pages + 1), min(count, pages - 1))
    noise = random.Random(seed)
    with path.open("r+b") as file:
        for page in chosen:
            file.seek((page - 1) * size)
            file.write(noise.randbytes(size))
