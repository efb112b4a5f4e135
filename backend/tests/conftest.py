"""What every test stands on.

`sqlite3` and `psycopg` are imported before anything can import eccodes: its wheels load a SQLite of
their own, and the other order swaps it in or crashes at exit (see test_imports.py).
"""

import sqlite3  # noqa: F401

import psycopg  # noqa: F401
import pytest
import structlog

# Tracebacks as plain text: structlog's own default draws every local variable, and takes its time.
structlog.configure(processors=[structlog.processors.format_exc_info, structlog.dev.ConsoleRenderer()])


@pytest.fixture(autouse=True)
def _no_settings_from_outside(
    monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """Each test starts in an empty folder, so that no .env and no sites.toml of the developer is read."""
    monkeypatch.chdir(tmp_path_factory.mktemp("cwd"))
