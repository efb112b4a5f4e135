"""Settings of connections to SQLite and PostgreSQL."""

from __future__ import annotations

import sqlite3
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import URL


def postgres_arguments(url: URL, *, durable: bool, busy_timeout: float) -> dict[str, Any]:
    """Return the connection arguments for driver and server that the address does not set itself."""
    options = [f"-c lock_timeout={max(1, round(busy_timeout * 1000))}"]  # milliseconds; 0 means no limit
    if not durable:
        options.append("-c synchronous_commit=off")
    waits = {
        "connect_timeout": max(2, round(busy_timeout)),  # seconds; psycopg's minimum is 2
        # A machine that disappears sends nothing. Without keepalives the wait lasts hours; with these
        # settings the connection is closed after about half a minute.
        "keepalives_idle": 20,
        "keepalives_interval": 5,
        "keepalives_count": 3,
        "tcp_user_timeout": 30_000,
    }
    ours: dict[str, Any] = {name: value for name, value in waits.items() if name not in url.query}
    return ours | {"options": " ".join([*options, str(url.query.get("options", ""))])}


def prepare_sqlite(engine: sa.Engine, path: Path, *, durable: bool, busy_timeout: float) -> None:
    """Set what every connection of an engine for SQLite does when it opens, is used and begins."""

    @sa.event.listens_for(engine, "connect")
    def _settle(connection: sqlite3.Connection, record: Any) -> None:
        record.info["file"] = file_identity(path)
        # The "begin" event below issues BEGIN; the driver must not open transactions by itself.
        connection.isolation_level = None
        for pragma in (
            f"busy_timeout={round(busy_timeout * 1000)}",
            "journal_mode=WAL",
            f"synchronous={'FULL' if durable else 'OFF'}",
            "foreign_keys=ON",
        ):
            connection.execute(f"PRAGMA {pragma}")

    @sa.event.listens_for(engine, "checkout")
    def _same_file(_connection: sqlite3.Connection, record: Any, _proxy: object) -> None:
        # SQLite keeps writing into a file that was deleted or replaced, and those data are lost. This
        # error makes the pool reconnect: to the file at that path, or with an error if there is none.
        if record.info["file"] != file_identity(path):
            raise sa.exc.DisconnectionError

    @sa.event.listens_for(engine, "begin")
    def _begin(connection: sa.Connection) -> None:
        # BEGIN IMMEDIATE: a transaction that reads and then writes fails if another process wrote in
        # between. Such a failure is immediate; the busy timeout does not apply.
        reader = connection.get_execution_options().get("reader")
        connection.exec_driver_sql("BEGIN" if reader else "BEGIN IMMEDIATE")


def file_identity(path: Path) -> tuple[int, int] | None:
    """Return device and inode of a file, which differ after a replacement; None if it cannot be reached."""
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_dev, status.st_ino
