"""Closed months as Parquet: written once, the same as the store, and readable by other programs."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import duckdb
import polars as pl
import pytest
import sqlalchemy as sa

from backend.core.errors import ConfigError
from backend.core.parameters import Parameter
from backend.core.private_files import open_to_others
from backend.core.utc_month import UtcMonth
from backend.files.columns import MOMENT, MONTH_FORECASTS, MONTH_OBSERVATIONS
from backend.files.dictionary import Origin
from backend.files.formats import forecast_table, observation_table
from backend.files.month_export import CLOSED_AFTER, Terms, closed_after, export_months
from backend.files.month_files import Manifest, MonthFileError, drafts
from backend.storage import schema as t
from backend.storage.database import Database, from_epoch
from backend.storage.store import Store
from backend.tests.support.commands import Environment, outside, typed
from backend.tests.support.stores import (
    DIRECTION,
    GUST,
    NOW,
    PLANFAIT,
    RUN,
    TEMPERATURE,
    WIND,
    forecast,
    forecasts,
    observations,
    open_store,
    reading,
    sqlite_url,
)

DAY = timedelta(days=1)
CLOSED = datetime(2026, 8, 11, tzinfo=UTC)  # July, the month of NOW, is closed from here on
TERMS = Terms(
    [
        Origin("arome", "Météo-France, Licence Ouverte 2.0", public=True, models=("arome_0025",)),
        Origin("ffvl", "FFVL, balises", public=True),
        Origin("romma", "ROMMA", public=False),
    ]
)


def fill(store: Store) -> None:
    """Put in values of June, July and August, of a site that moved in July, and of several batches."""
    for day in (-20, 0, 20):
        run = RUN + day * DAY
        values = [
            forecast(value, parameter, hours, site, run)
            for site in ("passy", "planfait")
            for hours in (0, 6, 6.5)
            for parameter, value in ((WIND, 12.345), (DIRECTION, 0.0), (TEMPERATURE, -3.001))
        ]
        store.add_forecasts(forecasts(*values, run=run, collected_at=run + DAY))
        store.add_observations(
            observations(
                reading(0.1, minutes=-day * 1440),
                reading(5, TEMPERATURE, minutes=-day * 1440, station="romma:77"),
                averaging_minutes=10 if day else None,
                direction_resolution=22.5 if day else None,
            )
        )
    late = forecast(44, GUST, 6)
    store.add_forecasts(forecasts(late, rank=1, collected_at=NOW + DAY))
    moved = replace(PLANFAIT, latitude=45.9, valid_from=NOW)
    store.add_sites([moved])
    later = RUN + 2 * DAY
    store.add_forecasts(forecasts(forecast(7, run=later), run=later, collected_at=later + DAY))


@pytest.fixture
def store(database_url: str) -> Store:
    store = open_store(database_url)
    fill(store)
    return store


def export(store: Store, folder: Path, now: datetime = CLOSED, **options: Any) -> list[Manifest]:
    return list(export_months(store.database, folder, TERMS, now, CLOSED_AFTER, **options))


def stored(database: Database, table: sa.Table, month: UtcMonth) -> list[tuple[Any, ...]]:
    """Return the values of a month with key, value, and what the store knows of the batch of each."""
    origin, batches = {
        t.forecast: (t.forecast_origin, t.forecast_batch),
        t.observation: (t.observation_origin, t.observation_batch),
    }[table]
    with database.read() as connection:
        found = [row._asdict() for row in connection.execute(sa.select(table))]
        origins = [row._asdict() for row in connection.execute(sa.select(origin))]
        batch_of = {row.id: row._asdict() for row in connection.execute(sa.select(batches))}
        names = {row.id: row.name for row in connection.execute(sa.select(t.model))}
        codes = {row.id: row.code for row in connection.execute(sa.select(t.station))}
        sites = {row.id: (row.slug, row.series) for row in connection.execute(sa.select(t.site))}
    keys = list(table.primary_key.columns.keys())
    others = {(*(row[key] for key in keys), row["parameter"]): row["batch_id"] for row in origins}
    values: list[tuple[Any, ...]] = []
    for row in found:
        key = tuple(row[name] for name in keys)
        moment = row["valid_time" if table is t.forecast else "time"]
        if not month.first <= moment < month.end:
            continue
        for parameter in Parameter:
            if row[parameter.value] is None:
                continue
            batch = batch_of[others.get((*key, parameter.number), row["batch_id"])]
            of_batch = (from_epoch(batch["collected_at"]), batch["source"], batch["route"], batch["rank"])
            of_value = (parameter.value, from_epoch(moment), row[parameter.value] / 1000)
            if table is t.forecast:
                known = (from_epoch(batch["available_at"]), bool(batch["published"]))
                run = from_epoch(row["reference_time"])
                values.append(
                    (*sites[row["site_id"]], names[row["model_id"]], run, *of_value, *known, *of_batch)
                )
            else:
                how = (batch["averaging_minutes"], batch["direction_resolution"])
                values.append((codes[row["station_id"]], *of_value, *how, *of_batch))
    return sorted(values, key=repr)


FORECAST_FIELDS = (
    *("site", "site_series", "model", "reference_time", "parameter", "valid_time", "value"),
    *("available_at", "available_at_published", "collected_at", "source", "route", "rank"),
)
OBSERVATION_FIELDS = (
    *("station", "parameter", "time", "value", "averaging_minutes", "direction_resolution"),
    *("collected_at", "source", "route", "rank"),
)
JULY = UtcMonth(2026, 7)


def by_duckdb(folder: Path, kind: str, fields: Sequence[str]) -> list[tuple[Any, ...]]:
    files = f"{folder}/kind={kind}/*/*.parquet"
    query = f"""
        SELECT {", ".join(fields)} FROM read_parquet('{files}', hive_partitioning = true)
        WHERE month = '2026-07'
    """
    with duckdb.connect() as connection:
        # Moments as numbers: DuckDB needs pytz to give aware times to Python.
        times = [each for each in fields if each.endswith(("time", "_at"))]
        epochs = ", ".join(f"epoch_us({name}) AS {name}" for name in times)
        found = connection.execute(f"SELECT * REPLACE ({epochs}) FROM ({query})").fetchall()
    places = [fields.index(name) for name in times]
    return sorted(
        (
            tuple(from_epoch(cell // 10**6) if place in places else cell for place, cell in enumerate(row))
            for row in found
        ),
        key=repr,
    )


def by_polars(folder: Path, kind: str, fields: Sequence[str]) -> list[tuple[Any, ...]]:
    month = pl.scan_parquet(f"{folder}/kind={kind}/*/*.parquet", hive_partitioning=True)
    found = month.filter(pl.col("month").cast(pl.String).str.starts_with("2026-07")).select(fields).collect()
    return sorted(
        (
            tuple(cell.replace(tzinfo=UTC) if isinstance(cell, datetime) else cell for cell in row)
            for row in found.iter_rows()
        ),
        key=repr,
    )


@pytest.mark.parametrize("read", [by_duckdb, by_polars])
def test_other_programs_read_what_the_store_has(store: Store, tmp_path: Path, read: Any) -> None:
    export(store, tmp_path)
    assert read(tmp_path, "forecast", FORECAST_FIELDS) == stored(store.database, t.forecast, JULY)
    assert read(tmp_path, "observation", OBSERVATION_FIELDS) == stored(store.database, t.observation, JULY)
    assert len(stored(store.database, t.forecast, JULY)) == 20


def test_only_months_that_are_closed_are_exported(store: Store, tmp_path: Path) -> None:
    second = timedelta(seconds=1)
    made = export(store, tmp_path, CLOSED - second)
    assert {(each.kind, each.month) for each in made} == {("forecast", "2026-06"), ("observation", "2026-06")}
    made = export(store, tmp_path)
    assert {(each.kind, each.month) for each in made} == {("forecast", "2026-07"), ("observation", "2026-07")}
    assert closed_after(timedelta(hours=72)) == CLOSED_AFTER
    assert closed_after(timedelta(hours=360)) == timedelta(days=17)  # the longest that a setting allows


def contents(folder: Path) -> dict[Path, bytes]:
    return {path: path.read_bytes() for path in folder.rglob("*part-*")}


def test_a_file_is_written_once_and_later_values_go_to_a_further_one(store: Store, tmp_path: Path) -> None:
    assert [each.part for each in export(store, tmp_path)] == [1, 1, 1, 1]
    before = contents(tmp_path)
    assert export(store, tmp_path) == []
    assert contents(tmp_path) == before
    corrected = reading(9, minutes=0)
    store.add_observations(observations(corrected, reading(8, GUST), collected_at=CLOSED))
    assert export(store, tmp_path, later_values=False) == []
    (made,) = export(store, tmp_path)
    assert (made.kind, made.month, made.part, made.rows) == ("observation", "2026-07", 2, 2)
    after = contents(tmp_path)
    assert {path: after[path] for path in before} == before
    # Of the rows with one key, the one in the highest part is what the store has.
    found = pl.read_parquet(f"{tmp_path}/kind=observation/month=2026-07/*.parquet", hive_partitioning=False)
    newest = found.sort("part").unique(("station", "parameter", "time"), keep="last")
    rows = sorted((tuple(row) for row in newest.select(OBSERVATION_FIELDS).iter_rows()), key=repr)
    assert len(found) == len(newest) + 1
    assert len(rows) == len(stored(store.database, t.observation, JULY))


def test_the_files_are_out_of_reach_of_other_users(store: Store, tmp_path: Path) -> None:
    (tmp_path / "months").mkdir(mode=0o755)
    export(store, tmp_path / "months")
    assert [place for place in (tmp_path / "months").glob("*/*") if open_to_others(place)] == []


def test_a_manifest_states_contents_and_terms(store: Store, tmp_path: Path) -> None:
    made = {(each.kind, each.month): each for each in export(store, tmp_path)}
    forecasts_of_july, readings_of_july = made["forecast", "2026-07"], made["observation", "2026-07"]
    assert forecasts_of_july.public and not readings_of_july.public
    assert [(each.name, each.credit, each.public) for each in readings_of_july.sources] == [
        ("ffvl", "FFVL, balises", True),
        ("romma", "ROMMA", False),
    ]
    path = tmp_path / "kind=forecast/month=2026-07/_part-0001.json"
    written = json.loads(path.read_bytes())
    assert written["rows"] == 20 and written["schemaVersion"] == 1
    assert written["bytes"] == (path.parent / written["file"]).stat().st_size
    assert written["firstTime"] == "2026-07-15T06:00:00Z" and written["lastTime"] == "2026-07-17T12:00:00Z"
    assert [each["name"] for each in written["columns"]] == [each.name for each in MONTH_FORECASTS]


# What Spark's reader of Parquet takes without an option: no unsigned, nested or nanosecond types, and a codec
# that Spark, DuckDB and Polars all have.
SPARK_TYPES = {
    pl.String: ("BYTE_ARRAY", "StringType()"),
    pl.Int64: ("INT64", ""),
    pl.Float64: ("DOUBLE", ""),
    pl.Boolean: ("BOOLEAN", ""),
    MOMENT: (
        "INT64",
        "TimestampType(isAdjustedToUTC=1, unit=TimeUnit(MILLIS=<null>, MICROS=MicroSeconds(), ",
    ),
}


@pytest.mark.parametrize(
    ("kind", "columns"), [("forecast", MONTH_FORECASTS), ("observation", MONTH_OBSERVATIONS)]
)
def test_files_have_plain_types(store: Store, tmp_path: Path, kind: str, columns: Any) -> None:
    export(store, tmp_path)
    path = tmp_path / f"kind={kind}/month=2026-07/part-0001.parquet"
    with duckdb.connect() as connection:
        found = connection.execute(
            "SELECT name, type, coalesce(logical_type, ''), repetition_type, num_children"
            f" FROM parquet_schema('{path}')"
        ).fetchall()
        codecs = connection.execute(f"SELECT DISTINCT compression FROM parquet_metadata('{path}')").fetchall()
    root, *leaves = found
    assert root[4] == len(columns) == len(leaves)
    assert [name for name, *_ in leaves] == [column.name for column in columns]
    for (name, physical, logical, repetition, children), column in zip(leaves, columns, strict=True):
        expected, of_type = SPARK_TYPES[column.dtype]
        assert (physical, logical[: len(of_type)]) == (expected, of_type), name
        assert logical.startswith("Timestamp") or logical == of_type, name
        assert repetition in ("OPTIONAL", "REQUIRED") and not children
    assert codecs == [("ZSTD",)]
    # Names of partitions must not be columns too, and names must differ in more than their case.
    names = {column.name.lower() for column in columns}
    assert len(names) == len(columns) and not names & {"kind", "month"}
    beside = [other.name for other in path.parent.iterdir() if other != path]
    assert all(name.startswith("_") for name in beside)  # Spark reads every other file as Parquet


def test_a_file_that_differs_from_its_manifest_is_an_error(store: Store, tmp_path: Path) -> None:
    export(store, tmp_path)
    path = tmp_path / "kind=forecast/month=2026-06/part-0001.parquet"
    whole = path.read_bytes()
    path.write_bytes(whole[:-9] + b"x" + whole[-8:])
    with pytest.raises(MonthFileError, match=r"part-0001\.parquet: differs from the checksum"):
        export(store, tmp_path)
    path.unlink()
    with pytest.raises(MonthFileError, match="put the file back"):
        export(store, tmp_path)
    path.write_bytes(whole)
    assert export(store, tmp_path) == []


def test_a_file_of_an_export_that_was_killed_is_written_again(store: Store, tmp_path: Path) -> None:
    export(store, tmp_path)
    place = tmp_path / "kind=forecast/month=2026-07"
    (place / "_part-0001.json").unlink()
    (place / "part-0001.parquet").write_bytes(b"half")
    (tmp_path / ".work").mkdir()
    (tmp_path / ".work/part-0001.parquet").write_bytes(b"half")
    (made,) = export(store, tmp_path)
    assert (made.month, made.part, made.rows) == ("2026-07", 1, 20)
    assert by_polars(tmp_path, "forecast", FORECAST_FIELDS) == stored(store.database, t.forecast, JULY)
    assert not (tmp_path / ".work").exists()


def test_a_folder_is_of_one_store_and_of_one_process_at_a_time(store: Store, tmp_path: Path) -> None:
    export(store, tmp_path / "months")
    (tmp_path / "other").mkdir()
    other = open_store(sqlite_url(tmp_path / "other"))
    fill(other)
    with pytest.raises(MonthFileError, match="is of another store"):
        export(other, tmp_path / "months")
    with drafts(tmp_path / "months"), pytest.raises(ConfigError, match="another process exports"):
        export(store, tmp_path / "months")


def test_a_month_can_be_imported_elsewhere(store: Store, tmp_path: Path) -> None:
    export(store, tmp_path)
    assert forecast_table(tmp_path / "kind=forecast/month=2026-07/part-0001.parquet")
    assert observation_table(tmp_path / "kind=observation/month=2026-07/part-0001.parquet")


def test_the_command_prints_its_files_and_warns_of_withheld_values(tmp_path: Path) -> None:
    environment: Environment = outside() | {"DATABASE_URL": sqlite_url(tmp_path)}
    store = open_store(environment["DATABASE_URL"])
    fill(store)
    done = typed(f"export months {tmp_path}/months --json", environment)
    made = json.loads(done.stdout)["files"]
    assert {(each["kind"], each["month"], each["part"]) for each in made} >= {("forecast", "2026-07", 1)}
    again = typed(f"export months {tmp_path}/months", environment)
    assert again.stdout.endswith("has every closed month (10 days after its end)\n")
