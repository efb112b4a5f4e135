"""Raw values go only when they are in a verified file, and no score day goes with them."""

from __future__ import annotations

import json
import shutil
from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import polars as pl
import pytest
import sqlalchemy as sa

from backend.core.clock import utc_now
from backend.core.config import LEAST_RETENTION_DAYS, Settings
from backend.core.errors import ConfigError, NotFoundError
from backend.core.local_time import local_moment
from backend.core.parameters import Parameter
from backend.core.utc_month import UtcMonth
from backend.files.faults import FileRefusedError
from backend.files.formats import forecast_table, observation_table
from backend.files.importing import import_forecasts, import_observations
from backend.files.month_export import CLOSED_AFTER, Terms, export_months
from backend.files.month_files import KINDS, Kind, MonthFileError
from backend.files.month_removal import Rules, due_rows, look, remove_old, work_of_a_day
from backend.scheduler.config import OBSERVATIONS
from backend.scoring.days.update import make_due, update
from backend.storage import schema as t
from backend.storage.database import Database
from backend.storage.due import EVERY_DAY, note_due
from backend.storage.gaps import configured
from backend.storage.ledger import Ledger
from backend.storage.removals import Target, remove, restore
from backend.storage.retention import first_open_day, retention, unsettled_before
from backend.storage.run_records import SourceRun
from backend.storage.score_queries import site_ids
from backend.storage.store import Store
from backend.tests.files.test_months import stored
from backend.tests.support.commands import typed
from backend.tests.support.lived_world import END, SITES, lived
from backend.tests.support.stores import (
    NOW,
    forecast,
    forecasts,
    observations,
    open_store,
    reading,
    rows,
    sqlite_url,
)

LATER = END + timedelta(days=40)
DERIVED = (t.forecast_day, t.observed_day, t.doubted, t.quality_limit, t.sensor_day, t.station_flag)
RAW = {
    t.forecast,
    t.forecast_origin,
    t.forecast_batch,
    t.observation,
    t.observation_origin,
    t.observation_batch,
    t.retention,
}
JUNE = UtcMonth(2026, 6)


@pytest.fixture(scope="module")
def lived_store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The file of a store with one site over June, July and ten days of August, its days made."""
    store = lived(tmp_path_factory.mktemp("lived"), 1, SITES["planfait"])
    update(store.database, LATER)
    path = store.database.path
    assert path is not None
    store.database.close()
    return path


def copied(path: Path, folder: Path) -> Store:
    folder.mkdir()
    shutil.copy(path, folder / path.name)
    return Store(Database(f"sqlite:///{folder / path.name}", durable=False))


def rules(folder: Path, days: int = 11, kinds: Sequence[Kind] = KINDS) -> Rules:
    """Return rules that keep as many days before the newest value of the store, so that June goes."""
    return Rules(folder, Terms([]), CLOSED_AFTER, dict.fromkeys(kinds, timedelta(days=days)))


def contents(database: Database, *tables: sa.Table) -> dict[str, list[tuple[Any, ...]]]:
    return {table.name: rows(database, table, *table.c.keys()) for table in tables}


def test_a_removed_month_is_in_its_file_and_nothing_else_changes(lived_store: Path, tmp_path: Path) -> None:
    store = copied(lived_store, tmp_path / "store")
    others = [table for table in t.metadata.sorted_tables if table not in RAW]
    before = contents(store.database, *others)
    july = [stored(store.database, table, UtcMonth(2026, 7)) for table in (t.forecast, t.observation)]
    june = stored(store.database, t.observation, JUNE)
    asked = rules(tmp_path / "months")
    told = [(each.kind, each.month) for each in due_rows(store.database, asked, LATER)]
    assert not (tmp_path / "months").exists()
    done = list(remove_old(store.database, asked, LATER))
    assert (
        [(each.kind, each.month) for each in done]
        == told
        == [
            ("forecast", "2026-06"),
            ("observation", "2026-06"),
        ]
    )
    for table in (t.forecast, t.observation):
        assert not stored(store.database, table, JUNE)
    assert july == [stored(store.database, table, UtcMonth(2026, 7)) for table in (t.forecast, t.observation)]
    assert contents(store.database, *others) == before
    assert len(june) == 30 * 144 * 3
    assert not list(remove_old(store.database, asked, LATER))


@pytest.mark.parametrize("kind", ["forecast", "observation"])
def test_every_way_of_computing_again_keeps_the_days_of_removed_values(
    lived_store: Path, tmp_path: Path, kind: Any
) -> None:
    whole, store = copied(lived_store, tmp_path / "whole"), copied(lived_store, tmp_path / "store")
    asked = rules(tmp_path / "months", kinds=[kind])
    (done,) = remove_old(store.database, asked, LATER)
    assert (done.kind, done.month) == (kind, "2026-06")
    before = contents(store.database, *DERIVED)
    assert before == contents(whole.database, *DERIVED)
    # A new version of the methods, or `scores rebuild`: every day is due.
    for each in (whole, store):
        make_due(each.database, site_ids(each.database))
        update(each.database, LATER)
    assert contents(store.database, *DERIVED) == contents(whole.database, *DERIVED) == before
    # Days of removed and of kept values, changed by the operator: only the kept ones follow.
    with store.database.read() as connection:
        first = first_open_day(connection)
    station = SITES["planfait"].stations[0]
    for each in (whole, store):
        each.exclude_station(
            station, [Parameter.WIND_SPEED], date(2026, 6, 20), date(2026, 7, 10), "moved", LATER
        )
        update(each.database, LATER)
    days = t.observed_day.c.keys().index("day")
    of_whole, of_store = (contents(each.database, t.observed_day)["observed_day"] for each in (whole, store))
    assert [row for row in of_store if row[days] < first] == [
        row for row in before["observed_day"] if row[days] < first
    ]
    assert [row for row in of_store if row[days] >= first] == [row for row in of_whole if row[days] >= first]
    assert of_store != before["observed_day"]
    assert not rows(store.database, t.due_day, "day")


def test_the_first_open_day_needs_no_removed_value(lived_store: Path, tmp_path: Path) -> None:
    store = copied(lived_store, tmp_path / "store")
    list(remove_old(store.database, rules(tmp_path / "months"), LATER))
    with store.database.read() as connection:
        kept, first = retention(connection), first_open_day(connection)
    assert kept.forecasts_from == kept.observations_from == JUNE.end
    assert local_moment(first) - 7 * 3600 >= JUNE.end > local_moment(first - 1) - 7 * 3600


def test_a_damaged_file_stops_the_removal_and_the_reason_is_kept(lived_store: Path, tmp_path: Path) -> None:
    store, asked = copied(lived_store, tmp_path / "store"), rules(tmp_path / "months")
    list(export_months(store.database, asked.folder, asked.terms, LATER, asked.closed))
    path = asked.folder / "kind=observation/month=2026-06/part-0001.parquet"
    path.write_bytes(path.read_bytes()[:-1])
    june = stored(store.database, t.observation, JUNE)
    look(store.database, asked, LATER)
    assert stored(store.database, t.observation, JUNE) == june
    with store.database.read() as connection:
        found = retention(connection)
    assert found.problem is not None and "differs from the checksum" in found.problem
    assert found.since == LATER
    # One look a day, by one process; the next one after the repair clears the reason.
    path.unlink()
    path.with_name("_part-0001.json").unlink()
    look(store.database, asked, LATER + timedelta(hours=22))
    assert stored(store.database, t.observation, JUNE) == june
    look(store.database, asked, LATER + timedelta(hours=24))
    assert not stored(store.database, t.observation, JUNE)
    with store.database.read() as connection:
        assert retention(connection).problem is None


@pytest.fixture
def small(database_url: str) -> Store:
    """A store of one forecast and two readings in June and July."""
    store = open_store(database_url)
    for back in (40, 0):
        run = NOW.replace(hour=6, minute=0) - timedelta(days=back)
        store.add_forecasts(forecasts(forecast(12, run=run), run=run, collected_at=run + timedelta(hours=5)))
        collected_at = NOW - timedelta(days=back)
        store.add_observations(observations(reading(9, minutes=back * 1440), collected_at=collected_at))
    return store


AUGUST = datetime(2026, 8, 20, tzinfo=UTC)


def test_values_that_came_after_the_export_are_exported_before_they_go(small: Store, tmp_path: Path) -> None:
    asked = rules(tmp_path / "months")
    list(export_months(small.database, asked.folder, asked.terms, AUGUST, asked.closed))
    small.add_observations(observations(reading(10, minutes=40 * 1440 - 10), collected_at=AUGUST))
    list(remove_old(small.database, asked, AUGUST))
    assert len(rows(small.database, t.observation, "time")) == 1
    files = sorted(path.name for path in (asked.folder / "kind=observation/month=2026-06").glob("part-*"))
    assert files == ["part-0001.parquet", "part-0002.parquet"]


def test_values_from_before_are_not_stored_again(small: Store, tmp_path: Path) -> None:
    list(remove_old(small.database, rules(tmp_path / "months"), AUGUST))
    kept = contents(small.database, t.forecast, t.observation, t.due_day)
    # A network repeats the last reading of a silent beacon; an old payload is replayed.
    again = observations(reading(9, minutes=40 * 1440), collected_at=AUGUST)
    assert small.add_observations(again) == 0
    run = NOW.replace(hour=6, minute=0) - timedelta(days=40)
    assert small.add_forecasts(forecasts(forecast(13, run=run), run=run), repair=True) == 0
    assert contents(small.database, t.forecast, t.observation, t.due_day) == kept
    assert len(rows(small.database, t.observation_batch, "id")) == 1
    assert len(rows(small.database, t.forecast_batch, "id")) == 1


@pytest.mark.parametrize(("day", "waits"), [(EVERY_DAY, True), (19_999, True), (20_000, False)])
def test_values_wait_for_the_days_that_are_computed_from_them(small: Store, day: int, waits: bool) -> None:
    with small.database.write() as connection:
        connection.execute(sa.delete(t.due_day))
        note_due(connection, [(1, day)])
        assert unsettled_before(connection, 20_000) is waits


def test_a_setting_that_scoring_could_not_bear_is_refused(tmp_path: Path) -> None:
    name = "RETENTION_OBSERVATION_DAYS"
    with pytest.raises(
        ConfigError, match=f"{name}='119': must be at least 120, or empty to keep all: a sensor"
    ):
        Settings.load(months_dir=str(tmp_path), retention_observation_days="119")
    with pytest.raises(ConfigError, match=f"{name}='400': needs MONTHS_DIR"):
        Settings.load(retention_observation_days="400")
    kept = Settings.load(
        months_dir=str(tmp_path), retention_observation_days="", retention_forecast_days="400"
    )
    assert (kept.retention_observation_days, kept.retention_forecast_days) == (None, 400)
    # A month, its closing at the longest lookback, and the days by which a sensor is judged.
    assert LEAST_RETENTION_DAYS >= 31 + 17 + 60


def test_an_import_and_a_backfill_from_before_are_refused(small: Store, tmp_path: Path) -> None:
    list(remove_old(small.database, rules(tmp_path / "months"), AUGUST))
    line = "ffvl:2496,wind_speed,2026-06-30T23:59:59Z,9"
    (tmp_path / "old.csv").write_text(f"station,parameter,time,value\n{line}\n")
    table = observation_table(tmp_path / "old.csv")
    with pytest.raises(FileRefusedError, match="is before 2026-07-01: values of that time were exported"):
        import_observations(small.database, table, ["ffvl:2496"], AUGUST)
    line = "my_wrf,planfait,wind_speed,2026-06-30T18:00:00Z,2026-06-30T23:00:00Z,9"
    (tmp_path / "old.csv").write_text(f"model,site,parameter,reference_time,valid_time,value\n{line}\n")
    with pytest.raises(FileRefusedError, match="is before 2026-07-01"):
        import_forecasts(
            small.database, forecast_table(tmp_path / "old.csv"), small.sites(), AUGUST, dry_run=True
        )


def test_the_command_shows_asks_and_removes(lived_store: Path, tmp_path: Path) -> None:
    store = copied(lived_store, tmp_path / "store")
    now = utc_now()  # the clock of the command
    run = now.replace(minute=0, second=0, microsecond=0) - timedelta(hours=6)
    store.add_forecasts(forecasts(forecast(12, run=run), run=run, collected_at=now))
    update(store.database, now)
    environment = {
        "DATABASE_URL": f"sqlite:///{store.database.path}",
        "MONTHS_DIR": str(tmp_path / "months"),
        "RETENTION_FORECAST_DAYS": "120",
    }
    days = rows(store.database, t.forecast_day, "day")
    shown = typed("data retain --dry-run --json", environment)
    months = json.loads(shown.stdout)["months"]
    assert {each["kind"] for each in months} == {"forecast"}
    assert typed("data retain", environment).exit_code == 2
    assert (tmp_path / "months").exists() is False
    done = typed("data retain --yes --json", environment)
    assert json.loads(done.stdout)["months"] == months
    assert json.loads(typed("data retain --dry-run --json", environment).stdout)["months"] == []
    assert rows(store.database, t.forecast_day, "day") == days
    rebuilt = typed("scores rebuild --workers 1", environment)
    assert rebuilt.exit_code == 0 and rows(store.database, t.forecast_day, "day") == days
    assert "stay as they are: their raw values were exported" in rebuilt.output
    missing = typed("data retain --yes", {"DATABASE_URL": environment["DATABASE_URL"]})
    assert (missing.exit_code, "MONTHS_DIR: is not set" in missing.output) == (2, True)


def test_the_command_does_the_work_of_the_day_and_records_how_it_went(tmp_path: Path) -> None:
    store = open_store(sqlite_url(tmp_path))
    month_later = NOW + timedelta(days=31)
    for moment in (NOW, month_later):
        value = reading(9, minutes=(NOW - moment) // timedelta(minutes=1))
        store.add_observations(observations(value, collected_at=moment))
    environment = {"DATABASE_URL": sqlite_url(tmp_path), "MONTHS_DIR": str(tmp_path / "months")}

    def problem() -> str | None:
        with store.database.read() as connection:
            return retention(connection).problem

    (tmp_path / "months").touch()  # stands for a folder that cannot be written
    assert typed("data retain --yes", environment).exit_code != 0
    assert problem() is not None
    (tmp_path / "months").unlink()
    assert json.loads(typed("data retain --yes --json", environment).stdout)["problem"] is None
    assert problem() is None
    assert list((tmp_path / "months").glob("kind=observation/month=2026-07/part-0001.parquet"))


def test_a_gap_is_not_reported_where_values_were_removed(small: Store, tmp_path: Path) -> None:
    ledger = Ledger(small.database)
    claim = ledger.claim(OBSERVATIONS, "schedule", NOW - timedelta(days=40))
    assert claim is not None
    source = SourceRun(source="ffvl", status="success")
    ledger.finish(claim, "success", NOW - timedelta(days=40), duration=1.0, sources=(source,))
    before = configured(small.database, {"planfait": None}, ["ffvl"]).sources["ffvl"]
    list(remove_old(small.database, rules(tmp_path / "months"), AUGUST))
    assert before < configured(small.database, {"planfait": None}, ["ffvl"]).sources["ffvl"] == JUNE.end


def latest(folder: Path, *key: str) -> list[float]:
    """Return, of each key, the value in the file with the highest part, as docs/import-export.md states."""
    rows_of_files = pl.read_parquet(folder / "*/*.parquet", hive_partitioning=False).sort("part", *key)
    return rows_of_files.unique([*key], keep="last", maintain_order=True)["value"].to_list()


def test_a_value_that_is_put_back_is_the_newest_in_the_files_too(small: Store, tmp_path: Path) -> None:
    asked = rules(tmp_path / "months")
    beacon = Target(kind="station", name="ffvl:2496", first=NOW - timedelta(days=41), last=NOW)
    list(export_months(small.database, asked.folder, asked.terms, AUGUST, asked.closed))
    with small.database.write() as connection:
        first = remove(connection, beacon, now=NOW, by="anna", reason="", again=True)
    small.add_observations(observations(reading(99, minutes=40 * 1440), collected_at=AUGUST))
    list(export_months(small.database, asked.folder, asked.terms, AUGUST, asked.closed))
    with small.database.write() as connection:
        remove(connection, beacon, now=NOW, by="anna", reason="")
        restore(connection, first.id, now=NOW, by="anna")
    list(export_months(small.database, asked.folder, asked.terms, AUGUST, asked.closed))
    files = asked.folder / "kind=observation"
    assert latest(files, "station", "time", "parameter") == [9, 9]
    list(remove_old(small.database, asked, AUGUST))
    assert latest(files, "station", "time", "parameter") == [9, 9]


def test_values_of_a_further_site_are_not_lost_between_the_list_and_the_removal(
    small: Store, tmp_path: Path
) -> None:
    run = datetime(2026, 8, 12, 6, tzinfo=UTC)
    small.add_forecasts(forecasts(forecast(12, run=run), run=run, collected_at=run))
    asked = rules(tmp_path / "months", 11, kinds=["forecast"])
    removal = remove_old(small.database, asked, AUGUST)
    assert next(removal).month == "2026-06"
    # A backfill for a site that had nothing of July. The service computes its day at once.
    early = datetime(2026, 7, 1, 6, tzinfo=UTC)
    small.add_forecasts(forecasts(forecast(33, site="passy", run=early), run=early, collected_at=AUGUST))
    update(small.database, AUGUST)
    with pytest.raises(MonthFileError, match="values of passy came after the export"):
        list(removal)
    list(remove_old(small.database, asked, AUGUST))
    assert 33 in latest(asked.folder / "kind=forecast", "site", "valid_time")


def test_the_number_of_a_removed_batch_is_not_given_again(small: Store, tmp_path: Path) -> None:
    """A removal of an import takes the values of its batches: no later batch may be among them."""
    line = "my_wrf,planfait,wind_speed,2026-06-01T06:00:00Z,2026-06-01T12:00:00Z,9"
    (tmp_path / "old.csv").write_text(f"model,site,parameter,reference_time,valid_time,value\n{line}\n")
    import_forecasts(small.database, forecast_table(tmp_path / "old.csv"), small.sites(), NOW)
    list(remove_old(small.database, rules(tmp_path / "months"), AUGUST))
    assert rows(small.database, t.forecast, "site_id")
    run = NOW.replace(hour=9, minute=0)
    small.add_forecasts(forecasts(forecast(12, run=run), run=run))
    with small.database.write() as connection, pytest.raises(NotFoundError, match="nothing of import 1"):
        remove(connection, Target(kind="import", name="", imported=1), now=NOW, by="anna", reason="")


def test_nothing_is_written_or_removed_where_the_disk_of_the_files_is_not_mounted(
    small: Store, tmp_path: Path
) -> None:
    asked = rules(tmp_path / "months")
    assert {each.month for each in work_of_a_day(small.database, asked, AUGUST)} == {"2026-06"}
    run = datetime(2026, 8, 13, 6, tzinfo=UTC)
    small.add_forecasts(forecasts(forecast(12, run=run), run=run, collected_at=run))
    before = contents(small.database, t.forecast, t.observation, t.retention)
    asked.folder.rename(tmp_path / "disk")
    asked.folder.mkdir()
    with pytest.raises(MonthFileError, match="see that the disk of MONTHS_DIR is mounted"):
        work_of_a_day(small.database, asked, AUGUST)
    assert list(asked.folder.iterdir()) == []
    after = contents(small.database, t.forecast, t.observation)
    assert after == {name: before[name] for name in after}
    asked.folder.rmdir()
    (tmp_path / "disk").rename(asked.folder)
    assert {each.month for each in work_of_a_day(small.database, asked, AUGUST)} == {"2026-07"}


def test_a_clock_that_is_ahead_removes_nothing(small: Store, tmp_path: Path) -> None:
    """The floor would be ahead of the next readings, which are never fetched again."""
    before = contents(small.database, t.forecast, t.observation)
    ahead = datetime(2031, 1, 1, tzinfo=UTC)
    look(small.database, rules(tmp_path / "months", 120), ahead)
    exported = {path.parent.name for path in (tmp_path / "months").glob("*/*/part-*")}
    assert exported == {"month=2026-06"}, "July is not complete"
    assert contents(small.database, t.forecast, t.observation) == before
    assert small.add_observations(observations(reading(10, minutes=-10), collected_at=NOW)) == 1
