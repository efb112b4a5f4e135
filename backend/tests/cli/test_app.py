"""The table of subcommands: what it promises, and what each command imports."""

from __future__ import annotations

import subprocess
import sys

import pytest

from backend.cli.app import SUBCOMMANDS, load
from backend.tests.support.waiting import HANG_SECONDS

HEAVY = (
    *("fastapi", "uvicorn", "numpy", "scipy", "polars", "sqlalchemy", "httpx2", "apscheduler", "lxml"),
    *("eccodes", "alembic", "geographiclib", "pydantic", "structlog", "tomlkit", "psutil", "requests"),
)
"""Packages that are slow to import."""


def imported(*line: str) -> set[str]:
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
    )
    return set(ended.stderr.splitlines()[-1].split())


def test_help_imports_nothing_heavy() -> None:
    assert imported("--help").isdisjoint(HEAVY)


@pytest.mark.parametrize("name", SUBCOMMANDS)
def test_the_table_has_the_first_paragraph_of_each_subcommands_help(name: str) -> None:
    paragraph = load(name).help.partition("\n\n")[0]
    assert SUBCOMMANDS[name].summary == paragraph.replace("\n", " ")
