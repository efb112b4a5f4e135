"""The table of subcommands: what it promises, and what each command imports."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

from backend.cli.app import SUBCOMMANDS, load
from backend.tests.support.commands import SITE, Environment, ended, outside, typed
from backend.tests.support.waiting import HANG_SECONDS

HEAVY = (
    *("fastapi", "uvicorn", "numpy", "scipy", "polars", "sqlalchemy", "httpx2", "apscheduler", "lxml"),
    *("eccodes", "alembic", "geographiclib", "pydantic", "structlog", "tomlkit", "psutil", "requests"),
)
"""Packages that are slow to import."""


NOT_TO_READ = {
    *("fastapi", "uvicorn", "httpx2", "apscheduler", "lxml", "eccodes", "polars", "alembic", "requests"),
    *("selectolax", "psutil", "psycopg", "stamina", "jinja2"),
}
"""Packages of the service that no command needs which only reads a SQLite store."""


def imported(*line: str, environment: Environment | None = None) -> set[str]:
    """The top-level packages that a process has imported at the end of a command line."""
    code = (
        "import sys\n"
        "from backend.__main__ import main\n"
        "try:\n"
        "    main()\n"
        "except SystemExit as ended:\n"
        "    assert not ended.code, ended.code\n"
        "print(*{name.partition('.')[0] for name in sys.modules}, file=sys.stderr)\n"
    )
    ended = subprocess.run(
        [sys.executable, "-c", code, *line],
        capture_output=True,
        text=True,
        timeout=HANG_SECONDS,
        check=True,
        env=environment,
    )
    return set(ended.stderr.splitlines()[-1].split())


def test_help_imports_nothing_heavy() -> None:
    assert imported("--help").isdisjoint(HEAVY)


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Environment:
    """The environment of an empty store with one site."""
    folder = tmp_path_factory.mktemp("store")
    (folder / "sites.toml").write_text(SITE)
    environment = outside() | {
        "DATABASE_URL": f"sqlite:///{folder / 'store.sqlite3'}",
        "SITES_FILE": str(folder / "sites.toml"),
        "DATA_DIR": str(folder),
    }
    assert typed("db upgrade", environment).exit_code == 0
    return environment


@pytest.mark.parametrize(
    "line",
    [
        *(
            "score planfait",
            "score",
            "forecast planfait",
            "verify planfait",
            "runs",
            "config",
            "sites list",
            "sites near 45.9 6.2",
            "sites flags",
        ),
        "import replaced",
    ],
)
def test_a_command_that_only_reads_imports_no_service(line: str, store: Environment) -> None:
    assert imported(*line.split(), environment=store).isdisjoint(NOT_TO_READ)


@pytest.mark.parametrize("name", SUBCOMMANDS)
def test_the_table_has_the_first_paragraph_of_each_subcommands_help(name: str) -> None:
    paragraph = load(name).help.partition("\n\n")[0]
    assert SUBCOMMANDS[name].summary == paragraph.replace("\n", " ")


def test_a_damaged_store_is_an_error_on_stderr_alone(tmp_path: Path, store: Environment) -> None:
    file = Path(store["DATABASE_URL"].removeprefix("sqlite:///"))
    damaged = tmp_path / "damaged.sqlite3"
    with sqlite3.connect(file) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        connection.execute(f"VACUUM INTO '{damaged}'")
    connection.close()
    content = damaged.read_bytes()
    damaged.write_bytes(content[:4096] + b"\xff" * (len(content) - 4096))  # all pages but the first one
    shown = ended("score", "planfait", environment=store | {"DATABASE_URL": f"sqlite:///{damaged}"})
    assert shown.stdout == ""
    first, *others = shown.stderr.splitlines()
    assert "the store is damaged" in first
    assert "critical" in first
    assert [line for line in others if line.startswith("meteo-score: the store is damaged")]
    assert shown.returncode == 1
