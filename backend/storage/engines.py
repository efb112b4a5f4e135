"""From the address of a database to its connections: the check of the address, and their settings."""

from __future__ import annotations

import os
import sqlite3
from pathlib import Path
from typing import Any
from urllib.parse import quote

import sqlalchemy as sa
from sqlalchemy.engine import URL, make_url

from backend.core.errors import ConfigError
from backend.core.private_files import make_private_folder

_ESCAPE = "an @ in a user name or password must be written %40 (and : as %3A, / as %2F)"
_SQLITE_HEADER = b"SQLite format 3\0"


def usable_url(url: str, setting: str = "DATABASE_URL", *, make: bool | None = True) -> URL:
    """Parse the address in a setting; raise ConfigError, without the password, if it can never work.

    With `make=True` a missing SQLite file is created, because only that shows whether the path is writable.
    With `make=False` a missing file raises ConfigError. With None a missing file is no error.
    """
    try:
        parsed = make_url(url)
    except (sa.exc.ArgumentError, ValueError) as error:  # ValueError: the port is not a number
        hint = f"; {_ESCAPE}" if url.count("@") > 1 else ""
        raise ConfigError(
            f"{setting}={_masked(url)!r}: is not a database address such as sqlite:///scores.sqlite3{hint}"
        ) from error
    if parsed.drivername not in {"sqlite", "postgresql+psycopg"}:
        raise _refusal(setting, parsed, "must start with sqlite:/// or postgresql+psycopg://")
    if parsed.drivername == "sqlite":
        _require_sqlite_file(setting, parsed, make)
    else:
        if "@" in f"{parsed.host}{parsed.database}":  # an unescaped @ moved a part of the password there
            raise ConfigError(f"{setting}={_masked(url)!r}: {_ESCAPE}")
        import psycopg  # imported here: installations with SQLite do not need it

        for name, value in parsed.query.items():
            if not isinstance(value, str):
                raise _refusal(setting, parsed, f"gives the option {name!r} more than once")
            try:
                psycopg.conninfo.make_conninfo(**{name: value})
            except psycopg.ProgrammingError as error:
                rule = f"{name!r} is not a connection option of PostgreSQL"
                raise _refusal(setting, parsed, rule) from error
        try:
            dialect: Any = parsed.get_dialect()
            _, options = dialect().create_connect_args(parsed)
            psycopg.conninfo.timeout_from_conninfo(options)
        except (sa.exc.ArgumentError, psycopg.ProgrammingError) as error:
            rule = f"has a connection option that cannot be used: {error}"
            raise _refusal(setting, parsed, rule) from error
    return parsed


def _masked(url: str) -> str:
    """Return an unparsable address without everything that may be a user or a password."""
    return f"***@{url.rpartition('@')[2]}" if "@" in url else url


def shown(url: URL) -> str:
    """Return the address for display: without passwords, also not in its options."""
    return url.set(query={}).render_as_string(hide_password=True)


def _require_sqlite_file(setting: str, url: URL, make: bool | None) -> None:
    if not url.database or url.database == ":memory:":
        raise _refusal(setting, url, "must name a file, because several processes share the store")
    if url.query or url.database.startswith("file:"):
        raise _refusal(setting, url, "must be sqlite:/// and the path of a file, without options")
    path = Path(url.database)
    try:
        if not path.exists():
            if make is None:
                return
            if not make:
                raise _refusal(setting, url, "there is no such file")
            make_private_folder(path.parent)
        # SQLite creates its -wal and -shm files with the permissions of this one.
        with open(os.open(path, os.O_RDWR | os.O_CREAT, 0o600), "rb") as file:  # noqa: PTH123 - with a mode
            header = file.read(len(_SQLITE_HEADER))
    except OSError as error:
        raise _refusal(setting, url, f"cannot be written: {error.strerror}") from error
    if header not in {b"", _SQLITE_HEADER}:
        raise _refusal(setting, url, "is a file, but not a SQLite database")


def _refusal(setting: str, url: URL, rule: str) -> ConfigError:
    return ConfigError(f"{setting}={shown(url)!r}: {rule}")


# --- Connections ---------------------------------------------------------------------------------------


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


def sqlite_engine(path: Path, *, durable: bool, busy_timeout: float) -> sa.Engine:
    """Return an engine for a file, with what every connection does when it opens, is used and begins."""
    # mode=rw never creates the file: an empty one would hide that the store is lost.
    url = URL.create("sqlite", database=f"file:{quote(str(path))}", query={"mode": "rw", "uri": "true"})
    engine = sa.create_engine(url, pool_timeout=busy_timeout)

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

    return engine


def file_identity(path: Path) -> tuple[int, int] | None:
    """Return device and inode of a file, which differ after a replacement; None if it cannot be reached."""
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_dev, status.st_ino
