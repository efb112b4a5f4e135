"""Check of the database address before a connection is opened."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

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
