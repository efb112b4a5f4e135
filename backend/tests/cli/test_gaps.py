"""`meteo-score gaps`, on stand-ins: what is missing is listed and fetched, what stays missing is named."""

from __future__ import annotations

import json
from datetime import timedelta
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from backend.core.clock import utc_now
from backend.storage import schema as t
from backend.storage.database import to_epoch
from backend.tests.support.commands import Environment, StandIns, store_of, typed


def gaps(environment: Environment, options: str = "") -> dict[str, Any]:
    result = typed(f"gaps --json {options}", environment)
    assert result.exit_code == 0, result.output
    listed: dict[str, Any] = json.loads(result.stdout)
    return listed


def test_a_gap_is_listed_with_its_end_and_fetched(upstreams: StandIns, tmp_path: Path) -> None:
    environment = upstreams.environment(tmp_path, sources="ffvl,romma", observation_lookback_hours=72)
    assert typed("collect observations", environment).exit_code == 0
    assert gaps(environment)["gaps"] == [], "nothing was expected before the first collection"

    database = store_of(environment)
    now = utc_now()
    with database.write() as connection:  # in use for two days, and without the readings of one of them
        connection.execute(sa.update(t.site_mapping).values(since=to_epoch(now - timedelta(days=2))))
        connection.execute(sa.update(t.job_run).values(start_time=to_epoch(now - timedelta(days=2))))
        time = t.observation.c.time
        lost = time.between(to_epoch(now - timedelta(hours=30)), to_epoch(now - timedelta(hours=6)))
        connection.execute(sa.delete(t.observation).where(lost))
        connection.execute(sa.update(t.station).values(newest=None, caught_up=None))
    database.close()

    listed = gaps(environment, "--source ffvl")
    assert listed["missing"]["hours"] >= 23
    assert {(gap["source"], gap["site"], gap["unit"]) for gap in listed["gaps"]} == {
        ("ffvl", "planfait", "hours")
    }
    assert all(gap["offered"] == "until" and gap["obtainableUntil"] for gap in listed["gaps"])
    table = typed("gaps --source ffvl", environment)
    assert max(map(len, table.stdout.splitlines())) <= 80
    assert "see meteo-score gaps --fetch." in table.stdout

    fetched = typed("gaps --source ffvl --fetch", environment)
    assert fetched.exit_code == 0, fetched.output
    assert "No gaps from" in fetched.stdout
    assert "now: nothing." in fetched.stdout
    never = typed("gaps --source romma --fetch", environment)
    assert never.exit_code == 0, "what no source offers is no failure of the command"
    assert "No source offers anything of what is missing" in never.stdout
    assert "never: no past" in never.stdout


def test_what_cannot_be_fetched_is_an_exit_code_of_1(upstreams: StandIns, tmp_path: Path) -> None:
    environment = upstreams.environment(tmp_path, sources="ffvl")
    assert typed("collect observations", environment).exit_code == 0
    database = store_of(environment)
    with database.write() as connection:
        connection.execute(sa.update(t.site_mapping).values(since=to_epoch(utc_now() - timedelta(hours=9))))
        connection.execute(sa.update(t.job_run).values(start_time=to_epoch(utc_now() - timedelta(hours=9))))
        connection.execute(sa.delete(t.observation))
        connection.execute(sa.update(t.station).values(newest=None, caught_up=None))
    database.close()
    with upstreams.faults(ffvl="503", winds_mobi="503"):
        result = typed("gaps --fetch", environment)
    assert result.exit_code == 1
    assert "ffvl: " in result.stdout and "see meteo-score gaps --fetch." in result.stdout


def test_wrong_options_name_the_option(tmp_path: Path) -> None:
    sites = tmp_path / "sites.toml"
    place = 'latitude = 45.8\nlongitude = 6.2\nelevation = 900\nwithout = ["ffvl", "romma"]'
    sites.write_text(f'[[sites]]\nid = "a"\nname = "A"\n{place}\n')
    environment = {"DATABASE_URL": f"sqlite:///{tmp_path / 'store.sqlite3'}", "SITES_FILE": str(sites)}
    assert typed("gaps", environment).exit_code == 2, "there is no store"
    assert typed("db upgrade", environment).exit_code == 0
    for options, named in (
        ("--site b", "--site b"),
        ("--source b", "--source b"),
        ("--to 2999-01-01", "--to 2999-01-01"),
        ("--from 2026-07-02 --to 2026-07-01", "--from 2026-07-02"),
    ):
        result = typed(f"gaps {options}", environment)
        assert (result.exit_code, named in result.stderr) == (2, True), result.stderr
    empty = typed("gaps", environment)
    assert (empty.exit_code, "Nothing is expected" in empty.stdout) == (0, True)
