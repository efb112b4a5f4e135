"""Ctrl-C at chosen moments of every command: no traceback, and no half-written file under a final name."""

from __future__ import annotations

import shutil
import signal
import subprocess
from pathlib import Path
from typing import NamedTuple

import pytest

from backend.cli.app import SUBCOMMANDS
from backend.core.config import Settings
from backend.storage.database import Database
from backend.tests.support.commands import METEO_SCORE, SITE, outside
from backend.tests.support.stores import make_tables
from backend.tests.support.waiting import HANG_SECONDS

INTERRUPTING = """
import atexit, os, signal, sys

event, _, word = os.environ.pop("INTERRUPT_AT").partition(" ")
sent = False


def send():
    global sent
    sent = True
    os.write(2, b"INTERRUPTED\\n")
    os.kill(os.getpid(), signal.SIGINT)


def look(name, arguments):
    # A module that was imported before is read from its cache.
    if not sent and name == event and (not word or word in str(arguments[0]).replace("__pycache__/", "")):
        send()


if event == "exit":
    atexit.register(send)
else:
    sys.addaudithook(look)
"""
"""A sitecustomize.py that sends SIGINT to its own process at an audit event of Python: no clock decides."""

CONNECTED = "sqlite3.connect/handle"

FINISHES = {1, 130}
"""Exit codes of a command that ends a collection in order, and records its end."""


class Line(NamedTuple):
    """A moment of the work of a command line, and its exit codes after Ctrl-C at that moment."""

    moment: str = CONNECTED
    codes: set[int] = {130}  # noqa: RUF012 - never changed


LINES = {
    "collect observations": Line(codes=FINISHES),
    "backfill --from 2026-07-01 --to 2026-07-02": Line(codes=FINISHES),
    "gaps": Line(),
    "replay": Line(codes=FINISHES),
    "score planfait": Line(),
    "forecast planfait": Line(),
    "verify": Line(),
    "doctor": Line(codes=FINISHES),
    "demo --no-serve --days 1 --folder demo": Line("subprocess.Popen", FINISHES),
    "serve --port 0": Line("socket.bind", {0, 130}),
    "status": Line(),
    "alert --test": Line("socket.connect"),
    "verify-record": Line(),
    "runs": Line(),
    "config": Line("import backend.core.config"),
    "token list": Line(),
    "sites list": Line("open sites.toml"),
    "sites add Here --latitude 45.9 --longitude 6.3 --elevation 900 --without ffvl --without romma": Line(
        "os.rename"
    ),
    "data remove --model arome_0025 --from 2026-07-01 --to 2026-07-02 --reason wrong": Line(),
    "db upgrade": Line(),
    "backup made.tar.gz": Line("os.rename"),
    "restore kept.tar.gz": Line("open kept.tar.gz"),
    "scores rebuild": Line(),
    "import forecasts values.csv": Line(),
    "export pairs --output made.csv": Line("os.rename"),
    "export scores --output made.parquet": Line("open made.parquet"),
}

KEPT = {"sites.toml", "store.sqlite3", "store.sqlite3-wal", "store.sqlite3-shm", "kept.tar.gz", "values.csv"}
STORES = {"copy.sqlite3", "copy.sqlite3-wal", "copy.sqlite3-shm", "demo"}
"""Databases, which have their transactions."""


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("store") / "store.sqlite3"
    database = Database(f"sqlite:///{path}", durable=False)
    make_tables(database)
    database.close()
    return path


@pytest.fixture
def folder(store: Path, tmp_path: Path) -> Path:
    shutil.copy(store, tmp_path)
    (tmp_path / "sites.toml").write_text(SITE)
    (tmp_path / "kept.tar.gz").write_bytes(b"no backup")
    (tmp_path / "values.csv").write_text("site\n")
    return tmp_path


def interrupted(line: str, moment: str, folder: Path, site: Path) -> subprocess.CompletedProcess[str]:
    """Run a command that interrupts itself at a moment, and expect that it got there."""
    (site / "sitecustomize.py").write_text(INTERRUPTING)
    closed = {name.upper(): "http://127.0.0.1:9" for name in Settings.model_fields if name.endswith("_url")}
    environment = {
        **outside(),
        **{name: url for name, url in closed.items() if not name.startswith(("PUBLIC", "MAP", "PING"))},
        "PYTHONPATH": str(site),
        "INTERRUPT_AT": moment,
        "DATABASE_URL": f"sqlite:///{folder / 'store.sqlite3'}",
        "DATA_DIR": str(folder),
        "SITES_FILE": str(folder / "sites.toml"),
        "ALERT_URLS": "json://127.0.0.1:9/alerts",
        "CONTACT": "operator@meteo.example",
        "LOG_LEVEL": "ERROR",
    }
    done = subprocess.run(
        [METEO_SCORE, *line.split()],
        env=environment,
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=HANG_SECONDS,
        check=False,
    )
    assert "INTERRUPTED\n" in done.stderr, f"{moment} did not happen: {done.stdout}{done.stderr}"
    assert "Traceback" not in done.stdout + done.stderr
    assert "Exception ignored" not in done.stderr
    return done


def test_each_command_has_its_line() -> None:
    assert {line.split()[0] for line in LINES} == set(SUBCOMMANDS)


@pytest.mark.parametrize("line", LINES)
def test_ctrl_c_during_the_work_of_a_command(
    line: str, folder: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    moment, codes = LINES[line]
    done = interrupted(line, moment, folder, tmp_path_factory.mktemp("site"))

    assert done.returncode in codes
    assert done.stderr.count("meteo-score: stopped\n") == (done.returncode != 0)
    assert {path.name for path in folder.iterdir()} <= KEPT | STORES
    assert (folder / "sites.toml").read_text() == SITE


@pytest.mark.parametrize("name", SUBCOMMANDS)
def test_ctrl_c_while_a_command_is_imported(
    name: str, folder: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    moment = f"open cli/{SUBCOMMANDS[name].module.rpartition('.')[2]}."
    done = interrupted(f"{name} --help", moment, folder, tmp_path_factory.mktemp("site"))

    assert (done.returncode, done.stdout) == (130, "")


@pytest.mark.parametrize("moment", ["import backend.cli.app", "import typer", "import rich.table"])
def test_ctrl_c_while_the_program_is_imported(
    moment: str, folder: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    assert interrupted("--help", moment, folder, tmp_path_factory.mktemp("site")).returncode == 130


@pytest.mark.parametrize("line", ["--version", "runs"])
def test_ctrl_c_at_the_very_end_is_the_end(
    line: str, folder: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    done = interrupted(line, "exit", folder, tmp_path_factory.mktemp("site"))

    assert done.returncode == -signal.SIGINT  # a shell shows 130


def test_an_interrupt_that_is_not_expected_is_seen(
    folder: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    with pytest.raises(AssertionError, match="did not happen"):
        interrupted("--version", "socket.bind", folder, tmp_path_factory.mktemp("site"))
