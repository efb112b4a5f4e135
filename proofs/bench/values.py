"""Values to store: runs of one model for many sites, and a store that holds many of them already."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import product
from typing import Any

import numpy as np
import sqlalchemy as sa

from backend.core.parameters import Parameter
from backend.core.records import Forecast, ForecastBatch, Run, Site
from backend.storage import schema as t
from backend.storage.database import Database, inserted_id, to_epoch
from backend.storage.store import Store

MODEL = "bench"
FIRST_RUN = datetime(2026, 1, 1, tzinfo=UTC)
_LIMITS = ((0, 60_000), (0, 90_000), (0, 359_999), (-10_000, 30_000))  # thousandths, by parameter

ROWS = (
    "site_id",
    "valid_time",
    "model_id",
    "reference_time",
    "batch_id",
    *(each.value for each in Parameter),
)


@dataclass(frozen=True)
class Shape:
    """The size of a run. By default 1000 sites, 80 hours and four parameters: 320 000 values."""

    sites: int = 1000
    hours: int = 80

    @property
    def values(self) -> int:
        """Return the number of values in a run."""
        return self.sites * self.hours * len(Parameter)

    def list_sites(self) -> list[Site]:
        """Return the sites."""
        return [
            Site(f"site-{n:04}", f"Site {n}", 44 + n / 1000, 6 + n / 1000, 1000.0) for n in range(self.sites)
        ]


def reference_time(run: int) -> datetime:
    """Return when a run started: one every six hours."""
    return FIRST_RUN + timedelta(hours=6 * run)


def thousandths(run: int, shape: Shape) -> list[list[int]]:
    """Return the values of a run, one list per parameter, site by site and hour by hour."""
    random = np.random.default_rng(run)
    size = shape.sites * shape.hours
    return [random.integers(low, high, size, endpoint=True).tolist() for low, high in _LIMITS]


def batch(run: int, shape: Shape) -> ForecastBatch:
    """Return a run as a collector delivers it."""
    started = reference_time(run)
    hours = [started + timedelta(hours=hour) for hour in range(shape.hours)]
    sites = [site.id for site in shape.list_sites()]
    columns = zip(*thousandths(run, shape), strict=True)
    return ForecastBatch(
        source=MODEL,
        route="bench",
        rank=0,
        collected_at=started + timedelta(hours=4),
        run=Run(MODEL, started, started + timedelta(hours=3), published=True),
        parts=("whole",),
        sites=sites,
        records=[
            Forecast(MODEL, site, parameter, started, hour, value / 1000)
            for (site, hour), values in zip(product(sites, hours), columns, strict=True)
            for parameter, value in zip(Parameter, values, strict=True)
        ],
    )


def fill(database: Database, runs: int, shape: Shape) -> None:
    """Fill a new database with `runs` complete runs, written one after the other in order of time."""
    database.migrate()
    Store(database).save_sites(shape.list_sites())
    with database.write() as connection:
        model_id = inserted_id(connection, sa.insert(t.model).values(name=MODEL))
    for run in range(runs):
        with database.write() as connection:
            _fill_run(connection, run, model_id, shape)


def _fill_run(connection: sa.Connection, run: int, model_id: int, shape: Shape) -> None:
    started = to_epoch(reference_time(run))
    batch_id = inserted_id(
        connection,
        sa.insert(t.forecast_batch).values(
            model_id=model_id,
            reference_time=started,
            source=MODEL,
            route="bench",
            rank=0,
            available_at=started,
            published=True,
            collected_at=started,
        ),
    )
    bulk_insert(connection, t.forecast.name, ROWS, _rows(run, model_id, batch_id, shape))


def _rows(run: int, model_id: int, batch_id: int, shape: Shape) -> Iterator[tuple[int, ...]]:
    started = to_epoch(reference_time(run))
    keys = product(range(1, shape.sites + 1), range(shape.hours))
    for (site, hour), values in zip(keys, zip(*thousandths(run, shape), strict=True), strict=True):
        yield site, started + 3600 * hour, model_id, started, batch_id, *values


def bulk_insert(
    connection: sa.Connection, table: str, columns: tuple[str, ...], rows: Iterator[tuple[int, ...]]
) -> None:
    """Write rows by the driver's quickest way: for filling a store, not for measuring."""
    names = ", ".join(columns)
    driver: Any = connection.connection.driver_connection
    if connection.dialect.name == "sqlite":
        marks = ", ".join("?" * len(columns))
        driver.executemany(f"INSERT INTO {table} ({names}) VALUES ({marks})", rows)
        return
    with driver.cursor() as cursor, cursor.copy(f"COPY {table} ({names}) FROM STDIN") as copy:
        for row in rows:
            copy.write_row(row)
