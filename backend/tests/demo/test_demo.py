"""The demo as a newcomer runs it: the whole walk, from stand-in upstreams to values in the store."""

from __future__ import annotations

import json
import os
import pty
import re
import subprocess
import sys
import termios
from collections.abc import Iterator
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx2
import pytest
import sqlalchemy as sa
from typer.core import TyperGroup

from backend.cli.app import READING_COMMANDS, SUBCOMMANDS, load
from backend.demo.backfill import SteppedClock, slots
from backend.demo.store import store_settings
from backend.demo.weather import EQUALS
from backend.scheduler.config import ALL_JOBS, FORECASTS, ISSUING, OBSERVATIONS, SchedulerConfig
from backend.storage import schema as t
from backend.storage.database import Database
from backend.storage.ledger import Ledger
from backend.tests.support.commands import METEO_SCORE, outside, typed
from backend.tests.support.loopback import unused_port
from backend.tests.support.waiting import HANG_SECONDS

COMMAND = (sys.executable, "-m", "backend", "demo", "--no-serve")


def demo(folder: Path, *options: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*COMMAND, "--folder", str(folder), *options],
        capture_output=True,
        text=True,
        timeout=HANG_SECONDS,
        check=False,
        env={**os.environ, "COLUMNS": "100"},
    )


def count(database: Database, table: sa.Table) -> int:
    with database.read() as connection:
        return int(connection.execute(sa.select(sa.func.count()).select_from(table)).scalar_one())


@pytest.fixture(scope="module")
def lived(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store in which the demo has lived through one day."""
    folder = tmp_path_factory.mktemp("demo")
    done = demo(folder, "--days", "1")
    assert done.returncode == 0, done.stderr
    assert "success" in done.stdout
    return folder


@pytest.fixture
def store(lived: Path) -> Database:
    return Database(f"sqlite:///{lived / 'demo.sqlite3'}")


def test_every_slot_of_the_day_was_a_success_of_every_source(store: Database) -> None:
    runs = Ledger(store).runs(limit=100)
    statuses = {job: [run.status for run in runs if run.job == job] for job in ALL_JOBS}
    # Nothing is issued from the readings of one day.
    assert statuses == {
        FORECASTS: ["success"] * 4,
        OBSERVATIONS: ["success"] * 6,
        ISSUING: ["nothing_new"] * 3,
    }
    brought = {(run.job, source.source) for run in runs for source in run.sources if source.stored}
    assert brought == {
        (FORECASTS, "arome"),
        (FORECASTS, "geosphere"),
        (FORECASTS, "meteo_parapente"),
        (FORECASTS, "open_meteo"),
        (OBSERVATIONS, "ffvl"),
        (OBSERVATIONS, "meteofrance_hourly"),
        (OBSERVATIONS, "romma"),
    }


def test_every_parameter_came_and_gusts_from_those_that_have_them(store: Database) -> None:
    with store.read() as connection:
        rows = connection.execute(
            sa.select(
                t.model.c.name,
                sa.func.count(t.forecast.c.wind_speed),
                sa.func.count(t.forecast.c.wind_gust),
                sa.func.count(t.forecast.c.temperature),
            )
            .join_from(t.forecast, t.model, t.model.c.id == t.forecast.c.model_id)
            .group_by(t.model.c.name)
        ).all()
    values = {name: (speed, gust, temperature) for name, speed, gust, temperature in rows}
    assert set(values) == {"arome_0025", "claef_1km", "icon_ch1", "icon_ch2", "meteo_parapente"}
    assert all(all(values[name]) for name in values.keys() - {"meteo_parapente"})
    assert values["meteo_parapente"][1] == 0  # it states no gust
    assert values["meteo_parapente"][0] > 0


def test_the_ground_is_known_of_each_model_whose_temperature_is_ranked(
    store: Database,
) -> None:
    point = t.grid_point.c
    with store.read() as connection:
        known = connection.execute(
            sa.select(t.model.c.name, t.site.c.elevation, point.ground)
            .join_from(t.grid_point, t.model)
            .join(t.site, t.site.c.id == point.site_id)
        ).all()
    assert {name for name, _, ground in known if ground is None} == {"claef_1km"}
    arome = [(elevation, ground) for name, elevation, ground in known if name == "arome_0025"]
    assert len(arome) == 9
    assert [ground for _, ground in arome] == pytest.approx([elevation for elevation, _ in arome], abs=0.1)


def test_no_forecast_is_stored_before_its_publication(store: Database) -> None:
    batch = t.forecast_batch.c
    late = (
        sa.select(sa.func.count())
        .select_from(t.forecast_batch)
        .where(batch.available_at > batch.collected_at)
    )
    with store.read() as connection:
        assert connection.execute(late).scalar_one() == 0
        estimated = sa.select(t.model.c.name).join_from(t.forecast_batch, t.model).where(~batch.published)
        # The list of C-LAEF has no stamps; Open-Meteo states that of a model's newest run only.
        assert set(connection.execute(estimated).scalars()) == {"claef_1km", "icon_ch1", "icon_ch2"}


def test_a_demo_that_is_run_again_resumes_and_stores_nothing_twice(lived: Path, store: Database) -> None:
    before = count(store, t.forecast), count(store, t.observation), count(store, t.job_run)
    again = demo(lived, "--days", "1")
    assert again.returncode == 0, again.stderr
    assert "done before" in again.stdout
    new_slots = count(store, t.job_run) - before[2]  # a slot that fell due between the two
    assert new_slots <= 2
    if new_slots == 0:
        assert (count(store, t.forecast), count(store, t.observation)) == before[:2]


@pytest.mark.parametrize("options", [(), ("--withheld",)])
def test_the_demo_shows_invented_values_unless_a_setting_withholds_them(
    lived: Path, options: tuple[str, ...]
) -> None:
    """The values of MeteoParapente and ROMMA are withheld by default, for they are real elsewhere."""
    port = unused_port()
    command = [word for word in COMMAND if word != "--no-serve"]
    process = subprocess.Popen(
        [*command, "--folder", str(lived), "--days", "1", "--port", str(port), *options],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env={**os.environ, "COLUMNS": "100"},
    )
    try:
        assert process.stdout is not None
        # The last line that it prints once it serves; without it, the output ends with the process.
        assert any("the API is described at /docs" in line for line in process.stdout)
        with httpx2.Client(
            base_url=f"http://127.0.0.1:{port}", trust_env=False, timeout=HANG_SECONDS
        ) as client:
            assert client.get("/api/health").status_code == 200
            found = client.get("/api/forecasts", params={"model": "meteo_parapente", "limit": 5}).json()
            verdict = client.get("/api/v1/sites/plaine-joux/verdict").json()
    finally:
        process.terminate()
        process.communicate(timeout=HANG_SECONDS)
    assert [each["source"] for each in found["withheld"]] == (["meteo_parapente"] if options else [])
    assert bool(found["forecasts"]) is not bool(options)
    assert verdict["rounded"] is False
    assert ("first calendar month is not complete" in verdict["sentence"]) is bool(options)


def test_a_fresh_demo_throws_the_earlier_one_away(tmp_path: Path) -> None:
    (tmp_path / "demo").mkdir()
    (tmp_path / "demo" / "left-over").touch()
    done = demo(tmp_path / "demo", "--fresh", "--days", "1")
    assert done.returncode == 0, done.stderr
    assert not (tmp_path / "demo" / "left-over").exists()


def test_a_fresh_demo_throws_no_database_away(tmp_path: Path) -> None:
    (tmp_path / "kept").touch()
    refused = demo(tmp_path, "--fresh", "--database-url", f"sqlite:///{tmp_path / 'own.sqlite3'}")
    assert refused.returncode == 2
    assert "--fresh" in refused.stderr
    assert (tmp_path / "kept").exists()


def test_slots_of_all_jobs_come_in_the_order_of_time() -> None:
    start = datetime(2026, 7, 15, 5, tzinfo=UTC)
    due = slots(SchedulerConfig.load(), start, start + timedelta(hours=6))
    assert [(slot.hour, job) for slot, job in due] == [
        (6, FORECASTS),
        (8, OBSERVATIONS),
        (10, OBSERVATIONS),
        (10, ISSUING),  # 12:00 in Paris
    ]
    assert {job for _, job in slots(SchedulerConfig.load(), start, start + timedelta(days=1))} == set(
        ALL_JOBS
    )


def test_a_stepped_clock_returns_its_setting_or_the_time() -> None:
    clock = SteppedClock()
    before = datetime.now(UTC)
    assert before <= clock() <= datetime.now(UTC)
    clock.moment = datetime(2026, 7, 15, tzinfo=UTC)
    assert clock() == datetime(2026, 7, 15, tzinfo=UTC)


# --- Its store, read by the other commands -----------------------------------------------------------


READING = [
    "score planfait",
    "score",
    "runs",
    "runs 1",
    "config",
    "sites list",
    "sites near 45.857 6.224",
    "sites flags",
    "export observations -o out.csv",
    "export forecasts -o out.csv",
    "import replaced",
]


@pytest.fixture
def beside(lived: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The working directory of a newcomer after `make demo`; the live store is another one."""
    (tmp_path / ".demo").symlink_to(lived)
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize("line", READING)
def test_every_reading_command_reads_the_demos_store(line: str, beside: Path) -> None:
    live = {"DATABASE_URL": f"sqlite:///{beside / 'live.sqlite3'}", "SITES_FILE": str(beside / "none.toml")}
    read = typed(f"--demo {line}", live)
    assert read.exit_code == 0, read.stderr
    assert read.stdout
    assert not (beside / "live.sqlite3").exists()


def test_a_verdict_of_the_demo_is_about_its_values(beside: Path) -> None:
    told = typed("--demo score planfait --view evening_before", {})
    assert told.stdout.startswith("Not enough data yet")  # after one day
    assert "Planfait" in told.stdout
    assert [run["job"] for run in json.loads(typed("--demo runs --json", {}).stdout)]


def commands() -> Iterator[str]:
    for name in SUBCOMMANDS:
        command = load(name)
        if isinstance(command, TyperGroup):
            yield from (f"{name} {inner}" for inner in command.commands)
        else:
            yield name


ALL = sorted(commands())


@pytest.mark.parametrize("line", sorted(set(ALL) - READING_COMMANDS - {"demo"}))
def test_a_command_that_writes_is_refused_beside_the_demo(line: str, beside: Path) -> None:
    refused = typed(f"--demo {line}", {})
    assert refused.exit_code == 2
    assert refused.stdout == ""
    assert refused.stderr == f"meteo-score: --demo is for commands that only read the store, not for {line}\n"


def test_every_command_that_reads_exists() -> None:
    assert set(ALL) >= READING_COMMANDS


def test_without_a_demo_its_store_is_not_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    refused = typed("--demo score planfait", {})
    assert refused.exit_code == 2
    assert refused.stderr == "meteo-score: --demo: there is no store in .demo: run make demo first\n"
    assert not (tmp_path / ".demo").exists()
    assert typed("--demo score --help", {}).exit_code == 0


# --- On a terminal of 80 columns ---------------------------------------------------------------------


def on_a_terminal(line: str, folder: Path) -> str:
    """Return what a command writes on a terminal of 80 columns, without colours."""
    ours, theirs = pty.openpty()
    termios.tcsetwinsize(theirs, (50, 80))
    hidden = {name: value for name, value in outside().items() if name not in {"COLUMNS", "LINES"}}
    command: list[str | Path] = [METEO_SCORE, *line.split()]
    environment = hidden | {"TERM": "xterm"}
    process = subprocess.Popen(command, cwd=folder, stdout=theirs, stderr=theirs, env=environment)
    os.close(theirs)
    written = b""
    with suppress(OSError):  # the other end is closed
        while part := os.read(ours, 4096):
            written += part
    os.close(ours)
    process.wait()
    return re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", written.decode()).replace("\r", "\n")


@pytest.mark.parametrize(
    "line",
    [
        "--demo score planfait",
        "--demo score",
        "--demo runs",
        "--demo runs 1",
        "--demo sites list",
        "--demo sites near 45.857 6.224 --elevation 930",
        "--demo sites flags",
        "--demo export observations -o out.csv",
        "--demo score planfit",
        "--demo sites remove planfait",
        "--demo score planfait --from 2020-01-01 --to 2026-01-01",
        "demo --fresh --database-url sqlite:///other.sqlite3",
    ],
)
def test_lines_are_broken_between_words_at_80_columns(line: str, beside: Path) -> None:
    shown = on_a_terminal(line, beside)
    for written in beside.glob("out.*"):
        written.unlink()
    piped = subprocess.run(
        [METEO_SCORE, *line.split()],
        cwd=beside,
        env=outside() | {"COLUMNS": "1000"},
        capture_output=True,
        text=True,
        check=False,
    )
    whole = set((piped.stdout + piped.stderr).split())
    lines = [each for each in shown.splitlines() if "━ " not in each]  # a progress bar
    assert lines
    assert [each for each in lines if len(each.rstrip()) > 80 and len(each.split()) > 1] == []
    assert "…" not in shown.replace("…", "", sum(word.count("…") for word in whole))
    assert [
        word for each in lines for word in each.split() if word not in whole and word.strip("─━┃│┏┓┡┩└┘┳╇┴┬")
    ] == []


def test_a_demo_has_five_models_of_which_two_err_alike(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("OPEN_METEO_MODELS", raising=False)
    chosen = store_settings(tmp_path)["open_meteo_models"]
    assert set(chosen) in [set(equal) for equal in EQUALS.values()]
    monkeypatch.setenv("OPEN_METEO_MODELS", "icon_d2,gfs_global")
    assert store_settings(tmp_path)["open_meteo_models"] == ("icon_d2", "gfs_global")
