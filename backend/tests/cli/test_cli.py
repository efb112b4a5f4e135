"""The command as an operator types it: its output, what it stores, and its exit code."""

from __future__ import annotations

import json
import os
import pty
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec
import pytest
import sqlalchemy as sa
from typer.testing import Result

from backend import __version__
from backend.core.clock import utc_now
from backend.core.records import Failure, ForecastBatch, IncompletePart, Outside, Run, Site
from backend.scheduler.config import FORECASTS, OBSERVATIONS
from backend.storage import schema as t
from backend.storage.database import Database, revisions
from backend.storage.ledger import Ledger
from backend.storage.run_records import Claim, JobRun, SourceRun
from backend.storage.store import Store
from backend.tests.support.commands import (
    METEO_SCORE,
    VARIABLES,
    Environment,
    StandIns,
    contents,
    ended,
    outside,
    running,
    store_of,
    typed,
)
from backend.tests.support.stores import make_tables, observations, reading
from backend.tests.support.waiting import wait_for

KEYS = {
    "METEOFRANCE_API_KEY": "demo-meteofrance",
    "FFVL_API_KEY": "demo-ffvl",
    "ROMMA_KEY": "demo-romma",
    "ADMIN_TOKEN": "the-admin-token-of-tests",
}
CLOSED = "http://127.0.0.1:1"
NO_SERVER = "postgresql+psycopg://collector:s3cret@127.0.0.1:1/scores"


@pytest.fixture
def environment(upstreams: StandIns, tmp_path: Path) -> Environment:
    return upstreams.environment(tmp_path, admin_token=KEYS["ADMIN_TOKEN"])


@pytest.fixture
def alone(tmp_path: Path) -> Environment:
    """An environment without upstreams, without sites and with an empty store."""
    (tmp_path / "sites.toml").write_text("")
    return outside() | {
        **{name: CLOSED for name in VARIABLES if name.endswith("_URL")},
        "MAP_TILES_URL": "",
        **{name: "0" for name in VARIABLES if name.endswith("_SPACING_SECONDS")},
        "DATABASE_URL": f"sqlite:///{tmp_path / 'store.sqlite3'}",
        "DATA_DIR": str(tmp_path),
        "SITES_FILE": str(tmp_path / "sites.toml"),
    }


@pytest.fixture
def database(alone: Environment) -> Iterator[Database]:
    """The store of `alone`, with its tables."""
    database = store_of(alone)
    make_tables(database)
    yield database
    database.close()


def words(result: Result) -> str:
    """Return what was printed, without the frames of tables and the space in them."""
    return unframed(result.stdout)


def unframed(text: str) -> str:
    return " ".join(re.sub(r"[│┃]", " ", text).split())


def refusal(result: Result) -> str:
    """Return the one line of an error with exit code 2."""
    assert result.exit_code == 2, result.output
    assert result.stdout == ""
    (line,) = result.stderr.splitlines()
    assert line.startswith("meteo-score: ")
    return line.removeprefix("meteo-score: ")


def runs_of(environment: Environment) -> tuple[JobRun, ...]:
    database = store_of(environment)
    try:
        return Ledger(database).runs(limit=100)
    finally:
        database.close()


# --- collect ----------------------------------------------------------------------------------------


def test_a_collection_ends_well_and_the_next_one_finds_nothing_new(environment: Environment) -> None:
    first = typed("collect observations", environment)
    assert first.exit_code == 0, first.stderr
    assert "Run 1: success" in words(first)
    assert re.search(r"ffvl success [1-9]\d+ [1-9]\d+ 0 \d+ 0 ", words(first))
    stored = contents(environment)
    assert stored["observation"] > 20

    second = typed("collect observations", environment)
    assert second.exit_code == 0, second.stderr
    assert "Run 2: nothing_new" in words(second)
    assert contents(environment)["observation"] == stored["observation"]
    assert [(run.trigger, run.slot, run.status) for run in runs_of(environment)] == [
        ("cli", None, "nothing_new"),
        ("cli", None, "success"),
    ]


def test_forecasts_of_all_models_are_collected_by_the_real_command(environment: Environment) -> None:
    done = ended("collect", "forecasts", "--json", environment=environment)
    run = json.loads(done.stdout)
    assert (done.returncode, run["status"], run["trigger"]) == (0, "success", "cli"), done.stderr
    sources = {source["source"]: source for source in run["sources"]}
    assert {name: source["status"] for name, source in sources.items()} == {
        "arome": "success",
        "geosphere": "success",
        "meteo_parapente": "success",
    }
    assert all(source["recordsStored"] > 20 for source in sources.values())
    assert run["recordsStored"] == sum(source["recordsStored"] for source in sources.values())
    assert datetime.fromisoformat(run["startTime"]).tzinfo == UTC
    assert "run ended" in done.stderr  # the log, where it does not get in the way


def test_a_failed_source_makes_the_run_partial_and_is_listed_with_its_reason(
    environment: Environment, upstreams: StandIns
) -> None:
    with upstreams.faults(romma="error_in_200"):
        result = typed("collect observations", environment)
    assert result.exit_code == 1
    assert "Run 1: partial" in words(result)
    assert re.search(r"romma failed 0 0 0 2 2 ", words(result))
    (run,) = runs_of(environment)
    reason = {source.source: source.reason for source in run.sources}["romma"]
    assert f"romma: {reason}" in result.stdout.splitlines()
    assert contents(environment)["observation"] > 20


def test_nothing_but_failures_is_a_failed_run(environment: Environment, upstreams: StandIns) -> None:
    with upstreams.faults(romma="error_in_200"):
        result = typed("collect observations --source romma --json", environment)
    run = json.loads(result.stdout)
    assert (result.exit_code, run["status"], run["recordsCollected"]) == (1, "failed", 0)
    (romma,) = run["sources"]
    assert romma["failedRequests"] == len(romma["failures"]) == 2
    assert romma["reason"] == romma["failures"][0]["reason"] != ""
    assert "demo-romma" not in result.output


def test_while_a_job_runs_a_second_run_is_refused_with_the_id_of_the_first(
    environment: Environment,
) -> None:
    typed("sites list", environment)
    database = store_of(environment)
    make_tables(database)
    claim = Ledger(database).claim(OBSERVATIONS, "schedule", utc_now())
    assert claim is not None
    for line in ("collect observations", "collect observations --json"):
        result = typed(line, environment)
        assert result.exit_code == 1
        if "--json" in line:
            assert json.loads(result.stdout) == {"status": "already_running", "runId": claim.run_id}
        else:
            assert f"already running as run {claim.run_id}" in result.stderr
    assert len(runs_of(environment)) == 1
    database.close()


def test_sources_and_sites_can_be_chosen(environment: Environment) -> None:
    result = typed("collect forecasts --source meteo_parapente --site planfait --json", environment)
    assert result.exit_code == 0, result.stderr
    assert [source["source"] for source in json.loads(result.stdout)["sources"]] == ["meteo_parapente"]


@pytest.mark.parametrize("line", ["collect observations", "collect forecasts --source meteo_parapente"])
@pytest.mark.parametrize("form", ["", "--json"])
def test_a_dry_run_collects_and_stores_nothing(environment: Environment, line: str, form: str) -> None:
    result = typed(f"{line} --dry-run {form}", environment)
    assert result.exit_code == 0, result.stderr
    if form:
        answer = json.loads(result.stdout)
        assert (answer["status"], answer["dryRun"]) == ("success", True)
        collected = {source["source"]: source["recordsCollected"] for source in answer["sources"]}
        assert collected.pop("meteofrance_hourly", 0) == 0  # the site names no mast
        assert all(count > 20 for count in collected.values())
        assert all(source["recordsStored"] == 0 for source in answer["sources"])
    else:
        assert "Dry run: success; nothing was stored" in words(result)
    assert set(contents(environment).values()) == {0}
    assert not (Path(environment["DATA_DIR"]) / "payloads").exists()


def test_a_dry_run_after_a_run_changes_no_table(environment: Environment, database_url: str) -> None:
    environment |= {"DATABASE_URL": database_url}
    typed("collect observations", environment)
    before = contents(environment)
    result = typed("collect observations --dry-run", environment)
    assert "Dry run: nothing_new" in words(result)
    assert contents(environment) == before


def test_triggers_by_hand_work_while_the_schedule_is_switched_off(environment: Environment) -> None:
    environment["SCHEDULER_ENABLED"] = "false"
    assert typed("collect observations --source romma", environment).exit_code == 0


def test_a_wrong_site_suggests_the_nearest_one(environment: Environment) -> None:
    message = refusal(typed("collect observations --site planfit", environment))
    assert message == (
        "--site planfit: is not on the list (did you mean 'planfait'?); see meteo-score sites list"
    )


def test_what_a_site_that_moved_would_mix_is_refused(environment: Environment) -> None:
    assert typed("collect observations --source romma", environment).exit_code == 0
    sites = Path(environment["SITES_FILE"])
    sites.write_text(sites.read_text().replace("45.857", "45.9"))
    assert "site 'planfait': its position changed" in refusal(typed("collect observations", environment))
    assert len(runs_of(environment)) == 1


def test_sigterm_ends_a_collection_which_is_recorded_as_cancelled(
    environment: Environment, upstreams: StandIns
) -> None:
    command = (METEO_SCORE, "collect", "forecasts", "--source", "meteo_parapente")
    requests = upstreams.requests("meteo_parapente")
    with (
        upstreams.faults(meteo_parapente="hang"),
        running(*command, environment=environment) as process,
    ):
        wait_for(lambda: upstreams.requests("meteo_parapente") > requests, "the request")
        assert process.terminate() == 1
    (run,) = runs_of(environment)
    assert (run.status, run.sources[0].status) == ("cancelled", "failed")
    assert "shut down" in run.note


def test_ctrl_c_ends_a_rehearsal_without_a_traceback(environment: Environment, upstreams: StandIns) -> None:
    command = (METEO_SCORE, "collect", "forecasts", "--dry-run", "--source", "meteo_parapente")
    requests = upstreams.requests("meteo_parapente")
    with (
        upstreams.faults(meteo_parapente="hang"),
        running(*command, environment=environment) as process,
    ):
        wait_for(lambda: upstreams.requests("meteo_parapente") > requests, "the request")
        process.process.send_signal(signal.SIGINT)
        assert process.wait() == 1
        assert process.text().splitlines()[-1] == "meteo-score: stopped"
        assert "Traceback" not in process.text()


def test_a_person_who_watches_sees_the_sources_grow_and_no_log(environment: Environment) -> None:
    terminal, end = pty.openpty()
    process = subprocess.Popen([METEO_SCORE, "collect", "observations"], env=environment, stderr=end)
    os.close(end)
    seen = bytearray()
    with suppress(OSError):  # a terminal raises it once its other end is closed
        while piece := os.read(terminal, 4096):
            seen += piece
    os.close(terminal)
    assert process.wait() == 0
    assert re.search(r"ffvl.*\d+ values", seen.decode())
    assert re.search(r"romma.*\d+ values", seen.decode())
    assert "run started" not in seen.decode()


# --- runs -------------------------------------------------------------------------------------------


def keep_runs(database: Database) -> tuple[int, int]:
    """Store a partly failed forecast run and an observation run; return their ids."""
    ledger = Ledger(database)
    slot = datetime(2026, 7, 15, 12, 0, tzinfo=UTC)
    failed = Failure("api", "https://models.example/data.php", "HTTP 503", "FetchError")
    parapente = SourceRun(
        source="meteo_parapente",
        status="partial",
        reason="HTTP 503",
        collected=300,
        stored=290,
        rejected=2,
        rejected_reasons={"out_of_range": 2},
        failures=(failed, replace(failed, url="https://models.example/[other]", reason="HTTP 404")),
        failed=2,
        requests=12,
        bytes=3_450_000,
        duration=18.0,
    )
    first = ledger.claim(FORECASTS, "schedule", slot, slot)
    assert first is not None
    end = slot + timedelta(minutes=2)
    ledger.finish(first, "partial", end, duration=121.5, sources=[parapente], note="a note")
    second = ledger.claim(OBSERVATIONS, "api", end)
    assert second is not None
    ledger.finish(second, "nothing_new", end, duration=1.0)
    return first.run_id, second.run_id


def test_runs_are_listed_newest_first_with_what_was_noted(alone: Environment, database: Database) -> None:
    keep_runs(database)
    result = typed("runs", alone)
    assert result.exit_code == 0
    header, newest, oldest, note = result.stdout.splitlines()
    assert header.split() == [
        *("Run", "Job", "Slot", "(UTC)"),
        *("Trigger", "Status", "Secs", "Values", "Stored"),
    ]
    assert newest.split() == ["2", "observations", "–", "api", "nothing_new", "1.0", "0", "0"]
    assert oldest.split() == [
        *("1", "forecasts", "2026-07-15", "12:00", "schedule", "partial", "121.5", "300", "290"),
    ]
    assert note == "run 1: a note"


@pytest.mark.parametrize(
    ("options", "ids"),
    [
        ("", [2, 1]),
        ("--job collect_forecasts", [1]),
        ("--status nothing_new", [2]),
        ("--status failed", []),
        ("--limit 1", [2]),
    ],
)
def test_runs_can_be_chosen_and_printed_as_json(
    alone: Environment, database: Database, options: str, ids: list[int]
) -> None:
    keep_runs(database)
    answer = json.loads(typed(f"runs --json {options}", alone).stdout)
    assert [run["runId"] for run in answer] == ids


def test_one_run_is_printed_in_full(alone: Environment, database: Database) -> None:
    first, _ = keep_runs(database)
    shown = words(typed(f"runs {first}", alone))
    assert "meteo_parapente partial 300 290 2 12 2 3.5 18.0" in shown
    assert "meteo_parapente: rejected 2 out_of_range" in shown
    assert "meteo_parapente: api https://models.example/data.php: HTTP 503" in shown
    assert "meteo_parapente: api https://models.example/[other]: HTTP 404" in shown

    answer = json.loads(typed(f"runs {first} --json", alone).stdout)
    assert (answer["runId"], answer["scheduledTime"], answer["status"]) == (
        first,
        "2026-07-15T12:00:00Z",
        "partial",
    )
    (source,) = answer["sources"]
    assert source["failures"][0] == {
        "route": "api",
        "url": "https://models.example/data.php",
        "reason": "HTTP 503",
        "error": "FetchError",
        "traceback": None,
    }


def test_a_run_that_does_not_exist_is_an_error(alone: Environment, database: Database) -> None:
    assert refusal(typed("runs 77", alone)) == "there is no run 77"


@pytest.mark.parametrize("option", ["--job forecasts", "--status ok", "--limit 0"])
def test_a_choice_that_does_not_exist_is_refused(alone: Environment, database: Database, option: str) -> None:
    result = typed(f"runs {option}", alone)
    assert (result.exit_code, result.stdout) == (2, "")
    assert option.split()[0] in result.stderr


# --- config -----------------------------------------------------------------------------------------


def test_config_shows_every_setting_in_force_under_its_name(alone: Environment) -> None:
    alone |= {"SCHEDULER_FORECAST_HOURS": "18,6", "FFVL_HTML": "yes", "CONTACT": "pilot@example.org"}
    answer = json.loads(typed("config --json", alone).stdout)
    assert set(answer) == VARIABLES | {"ENV_FILE"}
    assert answer.pop("ENV_FILE") is None
    assert answer["SCHEDULER_FORECAST_HOURS"] == [6, 18]
    assert (answer["FFVL_HTML"], answer["CONTACT"], answer["ADMIN_TOKEN"]) == (
        True,
        "pilot@example.org",
        None,
    )
    first, *lines = typed("config", alone).stdout.splitlines()
    assert first == f"# settings file: none (no .env in {Path.cwd()})"
    assert [line.partition("=")[0] for line in lines] == list(answer)
    for line in (
        "SCHEDULER_FORECAST_HOURS=6,18",
        "FFVL_HTML=true",
        "CONTACT=pilot@example.org",
        "ROMMA_KEY=",
    ):
        assert line in lines


# --- Which settings, and which store -----------------------------------------------------------------


def test_the_version_is_printed(alone: Environment) -> None:
    version = typed("--version", alone).stdout
    assert re.fullmatch(
        rf"meteo-score {__version__} \((commit [0-9a-f]{{12}}, )?store {revisions()[-1]}\)\n", version
    )


def test_a_settings_file_is_named_and_shown(alone: Environment, tmp_path: Path) -> None:
    file = tmp_path / "meteo.env"
    file.write_text("CONTACT=file@example.org\n")
    alone.pop("CONTACT", None)
    for line, more in ((f"--env-file {file} config", {}), ("config", {"METEO_SCORE_ENV_FILE": str(file)})):
        lines = typed(line, alone | more).stdout.splitlines()
        assert lines[0] == f"# settings file: {file}"
        assert "CONTACT=file@example.org" in lines
    assert findings(f"--env-file {file} doctor", alone)[1]["settings file"] == (True, str(file))
    missing = typed("--env-file nowhere.env config", alone)
    assert refusal(missing) == "--env-file=nowhere.env: there is no such file"


@pytest.mark.parametrize("line", ["config", "serve", "collect observations", "doctor", "score"])
def test_a_slip_in_the_settings_file_stops_every_command(
    alone: Environment, tmp_path: Path, line: str
) -> None:
    file = tmp_path / "meteo.env"
    file.write_text("FFVL_KEY=abc\n")
    result = typed(f"--env-file {file} {line}", alone)
    assert refusal(result) == f"{file}: FFVL_KEY: is not a setting: did you mean FFVL_API_KEY?"


def test_a_map_without_its_library_is_named(alone: Environment, monkeypatch: pytest.MonkeyPatch) -> None:
    alone |= {"MAP_TILES_URL": "https://tiles.example/{z}/{x}/{y}.png"}

    def of_map() -> list[dict[str, object]]:
        return [each for each in json.loads(typed("doctor --json", alone).stdout) if each["what"] == "map"]

    assert of_map() == []
    monkeypatch.setitem(sys.modules, "js_lib_leaflet", None)  # as if it were not installed
    (finding,) = of_map()
    assert finding["ok"] is False
    assert "pip install 'meteo-score[map]'" in str(finding["says"])


def test_a_slip_in_the_environment_is_a_warning(alone: Environment) -> None:
    alone |= {"FFVL_KEY": "abc", "SOME_PROGRAMS_NAME": "x"}
    result = typed("config", alone)
    assert result.exit_code == 0
    assert result.stderr == "Warning: FFVL_KEY is not a setting: did you mean FFVL_API_KEY?\n"
    checks = json.loads(typed("doctor --json", alone).stdout)
    (line,) = [each for each in checks if each["what"] == "environment"]
    assert (line["ok"], "did you mean FFVL_API_KEY?" in line["says"]) == (None, True)


READING = [
    *("runs", "score", "score planfait", "forecast planfait", "sites near 45.9 6.2", "doctor"),
    *("export observations -o o.csv", "export scores -o s.csv"),
]


@pytest.mark.parametrize("line", READING)
def test_a_command_that_reads_makes_no_store(alone: Environment, tmp_path: Path, line: str) -> None:
    store = tmp_path / "mistyped" / "store.sqlite3"
    alone |= {"DATABASE_URL": f"sqlite:///{store}"}
    result = typed(line, alone)
    message = result.stdout if line == "doctor" else result.stderr
    assert result.exit_code == (1 if line == "doctor" else 2)
    assert "there is no store: check the address, or create one with meteo-score db upgrade" in unframed(
        message
    )
    assert not store.parent.exists()


@pytest.mark.parametrize("line", READING)
def test_a_command_that_reads_leaves_an_older_store_as_it_is(
    alone: Environment, tmp_path: Path, line: str
) -> None:
    typed("db upgrade", alone)
    database = Database(alone["DATABASE_URL"])
    with database.write() as connection:
        connection.exec_driver_sql("UPDATE alembic_version SET version_num = '0003'")
    result = typed(line, alone)
    message = unframed(result.stdout if line == "doctor" else result.stderr)
    assert result.exit_code == (1 if line == "doctor" else 2)
    assert "is of version 0003, and this program needs 00" in message
    assert "run meteo-score db upgrade" in message
    with database.read() as connection:
        assert connection.exec_driver_sql("SELECT version_num FROM alembic_version").scalar_one() == "0003"
    database.close()


@pytest.mark.parametrize("line", ["db upgrade", "collect observations --source ffvl"])
def test_a_new_store_is_announced_once(alone: Environment, line: str) -> None:
    assert f"New, empty store: {alone['DATABASE_URL']}" in typed(line, alone).stderr
    assert "New, empty store" not in typed(line, alone).stderr


@pytest.mark.parametrize("form", ["", "--json"])
def test_config_masks_every_secret_and_the_passwords_in_addresses(alone: Environment, form: str) -> None:
    secrets = {name: f"value-of-{name}" for name in KEYS}
    alone |= secrets | {"DATABASE_URL": NO_SERVER, "ROMMA_URL": "http://me:s3cret@proxy.example/romma"}
    result = typed(f"config {form}", alone)
    assert result.exit_code == 0
    assert "value-of" not in result.output
    assert "s3cret" not in result.output
    assert result.stdout.count("***") == len(KEYS) + 2
    assert "postgresql+psycopg://collector:***@127.0.0.1:1/scores" in result.stdout
    assert "http://***@proxy.example/romma" in result.stdout


# --- doctor -----------------------------------------------------------------------------------------


def findings(line: str, environment: Environment) -> tuple[int, dict[str, tuple[bool | None, str]]]:
    result = typed(f"{line} --json", environment)
    assert result.stderr == ""
    answer: list[dict[str, Any]] = json.loads(result.stdout)
    return result.exit_code, {one["what"]: (one["ok"], one["says"]) for one in answer}


def test_all_is_well_if_every_source_answers_and_no_station_is_silent(environment: Environment) -> None:
    typed("collect observations", environment)
    before = contents(environment)
    code, checks = findings("doctor", environment)
    assert checks.pop("meteofrance_hourly") == (None, "nothing to request")  # the site names no mast
    assert (code, {what for what, (ok, _) in checks.items() if ok is not True}) == (0, set())
    assert set(checks) == {
        *("settings file", "settings", "store", "store check", "clock", "sites", "stations"),
        *("meteo_parapente", "arome", "geosphere", "ffvl", "romma"),
    }
    assert "'0 0,6,12,18 * * *'" in checks["settings"][1]
    assert checks["store"][1] == environment["DATABASE_URL"]
    for name, route in (("meteo_parapente", "api"), ("arome", "object_storage"), ("ffvl", "keyed")):
        assert checks[name][1].startswith(f"answers by {route}, newest data of 20")
    assert contents(environment) == before

    shown = words(typed("doctor", environment))
    assert "ok romma answers by keyed, newest data of" in shown


def test_a_store_that_others_can_read_is_named_with_the_command_that_closes_it(
    environment: Environment,
) -> None:
    typed("collect observations", environment)
    store = Path(environment["DATABASE_URL"].removeprefix("sqlite:///"))
    store.chmod(0o644)
    code, checks = findings("doctor", environment)
    assert code == 1
    assert checks["permissions"] == (False, f"others can read {store}: chmod go= {store}")
    store.chmod(0o600)
    assert "permissions" not in findings("doctor", environment)[1]


def test_a_disabled_source_has_its_reason_and_needs_no_action(environment: Environment) -> None:
    environment |= {"SOURCES": "ffvl,romma,meteo_parapente", "CONTACT": "", "ROMMA_KEY": ""}
    typed("db upgrade", environment)
    code, checks = findings("doctor", environment)
    assert code == 0
    assert checks["arome"] == (None, "disabled: turned off: SOURCES does not name it")
    assert checks["meteo_parapente"][0] is None
    assert "CONTACT" in checks["meteo_parapente"][1]
    assert checks["romma"] == (
        None,
        "disabled: ROMMA_KEY is not set, and the station pages are not read because CONTACT is not set",
    )
    assert checks["ffvl"][0] is True


def test_an_upstream_out_of_reach_is_named_with_its_address(environment: Environment) -> None:
    environment |= {"ROMMA_URL": CLOSED}
    code, checks = findings("doctor", environment)
    assert code == 1
    assert checks["romma"][0] is False
    assert CLOSED in checks["romma"][1]
    assert "no connection" in checks["romma"][1]
    assert checks["ffvl"][0] is True


def test_a_route_that_fails_is_listed_although_another_answers(
    environment: Environment, upstreams: StandIns
) -> None:
    with upstreams.faults(ffvl="error_in_200"):
        code, checks = findings("doctor", environment)
    assert (code, checks["ffvl"][0]) == (1, False)
    assert "answers by winds_mobi" in checks["ffvl"][1]
    assert "keyed: " in checks["ffvl"][1]


def test_an_unavailable_store_is_a_finding_beside_the_other_checks(
    environment: Environment,
) -> None:
    environment["DATABASE_URL"] = NO_SERVER
    code, checks = findings("doctor", environment)
    assert (code, checks["store"][0]) == (1, False)
    assert (
        "postgresql+psycopg://collector:***@127.0.0.1:1/scores: the store does not answer"
        in checks["store"][1]
    )
    assert checks["ffvl"][0] is True
    assert checks["sites"] == (True, "1 configured")
    environment["SITES_FROM"] = "database"
    assert findings("doctor", environment)[1]["sites"] == (False, "0 configured")


def test_models_that_do_not_cover_a_site_and_incomplete_runs_are_named(
    alone: Environment, database: Database
) -> None:
    store = Store(database)
    near = Site("near", "Near", 45.0, 6.0, 900.0, networks_without_station=("ffvl", "romma"))
    far = replace(near, id="far", latitude=28.1, longitude=-16.7)
    store.save_sites([near, far])
    run = utc_now().replace(minute=0, second=0, microsecond=0) - timedelta(hours=3)
    store.add_forecasts(
        ForecastBatch(
            source="arome",
            route="object_storage",
            rank=0,
            collected_at=run,
            run=Run("arome_0025", run, run, published=False),
            incomplete=(
                IncompletePart("00H06H", "near", "without gust_east at 1 h", "5 x"),
                IncompletePart("07H12H", "near", "there is no file"),
            ),
            outside=(Outside("arome_0025", "near", "its grid cell 4,20 is masked"),),
        )
    )
    alone |= {"SITES_FROM": "database", "SOURCES": "arome", "SCHEDULER_ENABLED": "false"}

    _, checks = findings("doctor", alone)

    assert checks["sites outside arome_0025"] == (None, "no forecasts for far, near")
    assert checks["incomplete run"] == (
        None,
        f"arome_0025 of {run:%Y-%m-%d %H:%M} UTC: 00H06H: without gust_east at 1 h; 07H12H: there is no file",
    )


def test_sites_without_a_station_and_silent_stations_are_named(
    alone: Environment, database: Database
) -> None:
    store = Store(database)
    lonely = Site("lonely", "Lonely", 45.0, 6.0, 900.0, networks_without_station=("ffvl", "romma"))
    mapped = replace(
        lonely, id="mapped", stations=("ffvl:1", "ffvl:2", "romma:3"), networks_without_station=()
    )
    store.save_sites([lonely, mapped])
    alone |= {"SITES_FROM": "database", "SOURCES": "arome", "SCHEDULER_ENABLED": "false"}
    assert findings("doctor", alone)[1]["stations"] == (
        None,
        "no station is stored yet: run meteo-score collect observations",
    )
    store.add_observations(observations(reading(12.0, station="ffvl:1")))  # on 15 July 2026 at 12:00 UTC
    now = utc_now().replace(microsecond=0)
    store.add_observations(observations(msgspec.structs.replace(reading(12.0, station="romma:3"), time=now)))
    code, checks = findings("doctor", alone)
    assert code == 1
    assert checks["sites without a station"] == (None, "lonely")
    ok, silent = checks["stations silent for a day"]
    assert (ok, silent) == (False, "ffvl:1 (since 2026-07-15), ffvl:2 (no reading yet)")
    assert "switched off by SCHEDULER_ENABLED" in checks["settings"][1]


def test_data_from_the_future_reveal_a_slow_clock(alone: Environment, database: Database) -> None:
    tomorrow = utc_now() + timedelta(days=1)
    ledger = Ledger(database)
    claim = ledger.claim(OBSERVATIONS, "cli", tomorrow)
    assert claim is not None
    romma = SourceRun(source="romma", status="success", newest=tomorrow)
    ledger.finish(claim, "success", tomorrow, duration=1.0, sources=[romma])
    alone["SOURCES"] = "arome"
    code, checks = findings("doctor", alone)
    assert (code, checks["clock"][0]) == (1, False)
    assert f"but romma has data of {tomorrow:%Y-%m-%d %H:%M} UTC" in checks["clock"][1]


# --- What can never work ----------------------------------------------------------------------------

BAD_SETTINGS = {
    "SCHEDULER_FORECAST_HOURS": ("25", "must be different hours from 0 to 23"),
    "SCHEDULER_OBSERVATION_HOURS": ("6,x", "must be whole numbers separated by commas"),
    "SCHEDULER_FORECAST_CRON": ("0 6 * *", "must be a crontab line of five fields"),
    "SCHEDULER_ENABLED": ("maybe", "must be one of true, false, 1, 0, yes, no, on, off"),
    "SOURCES": ("romma,foo", "unknown source 'foo'"),
    "ROMMA_URL": ("www.romma.fr", "must be an http or https address"),
    "DATABASE_URL": ("mysql://localhost/scores", "must start with sqlite:/// or postgresql+psycopg://"),
}


@pytest.mark.parametrize(("variable", "value", "rule"), [(k, *v) for k, v in BAD_SETTINGS.items()])
@pytest.mark.parametrize("line", ["serve", "collect forecasts", "doctor"])
def test_a_bad_setting_ends_a_command_in_one_line(
    alone: Environment, line: str, variable: str, value: str, rule: str
) -> None:
    message = refusal(typed(line, alone | {variable: value}))
    assert message.startswith(f"{variable}={value!r}: ")
    assert rule in message


@pytest.mark.parametrize(
    ("line", "message"),
    [
        (
            "collect forecasts --source foo",
            "--source foo: must be one of meteo_parapente, arome",
        ),
        ("collect forecasts --source ffvl", "--source ffvl: must be one of"),
        (
            "collect observations --site nowhere",
            "--site nowhere: is not on the list; see meteo-score sites list",
        ),
        ("replay --run 9", "no archived payloads of run 9"),
    ],
)
def test_an_option_that_names_nothing_is_an_error(alone: Environment, line: str, message: str) -> None:
    assert refusal(typed(line, alone)).startswith(message)
    typed("db upgrade", alone)
    assert runs_of(alone) == ()


@pytest.mark.parametrize("line", ["serve", "collect forecasts", "collect forecasts --dry-run", "doctor"])
def test_a_sites_file_that_cannot_be_used_is_refused_with_its_line(alone: Environment, line: str) -> None:
    Path(alone["SITES_FILE"]).write_text('[[sites]]\nid = "One"\n')
    assert re.search(r"sites\.toml, line 1 \(One\): id = 'One': must be a slug", refusal(typed(line, alone)))


@pytest.mark.parametrize("line", ["collect nothing", "collect", "serve --port 70000", "unknown"])
def test_a_line_that_is_no_command_is_refused_with_how_to_learn_more(alone: Environment, line: str) -> None:
    result = typed(line, alone)
    assert (result.exit_code, result.stdout) == (2, "")
    assert "--help" in result.stderr


@pytest.mark.parametrize("line", ["collect forecasts", "runs", "collect forecasts --dry-run", "replay"])
def test_a_store_that_does_not_answer_is_one_line_and_worth_another_try(
    alone: Environment, line: str
) -> None:
    result = typed(line, alone | {"DATABASE_URL": NO_SERVER})
    assert (result.exit_code, result.stdout) == (1, "")
    assert result.stderr.startswith("meteo-score: the store does not answer: ")
    assert result.stderr.count("\n") == 1
    assert "s3cret" not in result.stderr


# --- replay (what it repairs is in test_replay.py) --------------------------------------------------


def test_archived_payloads_are_parsed_again_and_differences_are_printed(environment: Environment) -> None:
    assert "There are no archived payloads" in typed("replay", environment).stdout
    typed("collect observations --source romma", environment)
    database = store_of(environment)
    with database.write() as connection:
        spoilt = connection.execute(sa.update(t.observation).values(temperature=1)).rowcount
    database.close()
    result = typed("replay --run 1", environment)
    assert result.exit_code == 0, result.stderr
    assert "Run 2: success" in words(result)
    assert "replay of run 1" in words(result)
    answer = json.loads(typed("replay --json", environment).stdout)
    assert [(run["status"], run["recordsStored"], run["note"]) for run in answer] == [
        ("nothing_new", 0, "replay of run 1")
    ]
    assert spoilt > 0


def test_a_damaged_payload_makes_a_replay_fail(environment: Environment) -> None:
    typed("collect observations --source romma", environment)
    (payload,) = Path(environment["DATA_DIR"]).glob("payloads/*/run-1/romma/*.gz")
    payload.write_bytes(b"no gzip")
    result = typed("replay", environment)
    assert result.exit_code == 1
    assert "Run 2: failed" in words(result)
    assert f"romma: archived payload {payload} cannot be read" in result.stdout


def test_while_a_job_runs_its_payloads_are_left_alone(environment: Environment) -> None:
    typed("collect observations --source romma", environment)
    database = store_of(environment)
    assert isinstance(Ledger(database).claim(OBSERVATIONS, "schedule", utc_now()), Claim)
    result = typed("replay", environment)
    database.close()
    assert (result.exit_code, result.stdout) == (1, "")
    assert "already running as run 2: repeat the command when it has ended" in result.stderr


# --- The whole --------------------------------------------------------------------------------------


def test_help_lists_every_subcommand() -> None:
    shown = words(typed("--help", {}))
    for name in ("serve", "collect", "runs", "sites", "replay", "config", "doctor", "demo"):
        assert f" {name} " in shown


def test_the_real_command_refuses_without_a_traceback(alone: Environment) -> None:
    done = ended("serve", environment=alone | {"SCHEDULER_FORECAST_HOURS": "6,6"})
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == (
        "meteo-score: SCHEDULER_FORECAST_HOURS='6,6':"
        " must be different hours from 0 to 23, separated by commas\n"
    )
