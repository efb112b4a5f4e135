"""The alternative to our layout: a narrow row per value, written through executemany."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product
from typing import Any

from backend.core.records import ForecastBatch
from backend.storage.database import Database, to_epoch
from proofs.bench.values import Shape, bulk_insert, reference_time, thousandths

COLUMNS = ("site_id", "parameter", "valid_time", "model_id", "reference_time", "value")


def fill(database: Database, runs: int, shape: Shape) -> None:
    """Make the table and fill it with `runs` complete runs."""
    with database.write() as connection:
        sqlite = connection.dialect.name == "sqlite"
        columns = ", ".join(f"{name} {'INTEGER' if sqlite else _kind(name)} NOT NULL" for name in COLUMNS)
        connection.exec_driver_sql(
            f"CREATE TABLE narrow ({columns}, PRIMARY KEY ({', '.join(COLUMNS[:-1])}))"
            + (" WITHOUT ROWID" if sqlite else "")
        )
    for run in range(runs):
        with database.write() as connection:
            bulk_insert(connection, "narrow", COLUMNS, _rows(run, shape))


def add(database: Database, batch: ForecastBatch, shape: Shape) -> int:
    """Write a batch, the first value of each key staying; return how many were new."""
    numbers = {site.id: index for index, site in enumerate(shape.list_sites(), start=1)}
    rows = [
        (
            numbers[record.site],
            record.parameter.number,
            to_epoch(record.valid_time),
            1,
            to_epoch(record.reference_time),
            round(record.value * 1000),
        )
        for record in batch.records
    ]
    with database.write() as connection:
        mark = "?" if connection.dialect.name == "sqlite" else "%s"
        driver: Any = connection.connection.driver_connection
        cursor = driver.cursor()
        cursor.executemany(
            f"INSERT INTO narrow ({', '.join(COLUMNS)}) VALUES ({', '.join([mark] * len(COLUMNS))})"
            " ON CONFLICT DO NOTHING",
            rows,
        )
        return int(cursor.rowcount)


def _rows(run: int, shape: Shape) -> Iterator[tuple[int, ...]]:
    started = to_epoch(reference_time(run))
    keys = product(range(1, shape.sites + 1), range(shape.hours))
    for (site, hour), values in zip(keys, zip(*thousandths(run, shape), strict=True), strict=True):
        for parameter, value in enumerate(values):
            yield site, parameter, started + 3600 * hour, 1, started, value


def _kind(column: str) -> str:
    return {"valid_time": "bigint", "reference_time": "bigint", "parameter": "smallint"}.get(
        column, "integer"
    )
