"""Rows and bytes of many sites over years, extrapolated from a store that has lived for some days.

    meteo-score demo --no-serve --days 10 --folder FOLDER
    meteo-score export months MONTHS
    python -m proofs.growth sqlite:///FOLDER/demo.sqlite3 --months MONTHS --sites 100 1000 5000 --years 5

A table's bytes include its indexes. Each kind of table grows with one unit (a day of a model at a site, a day
of a station, a day), whose number in the store is counted. Small stores have more bytes a row than large
ones: their pages and indexes are not full. With --months, a second table has the same with the raw values of
--raw-days in the store and those of all closed months as Parquet.
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from pathlib import Path

import sqlalchemy as sa

from backend.storage import schema as t
from backend.storage.database import Connection, Database, is_postgres

DAY_SECONDS = 86_400
RAW = {"forecasts": "forecast", "readings": "observation"}
"""The kinds that leave the store for Parquet, with the name of their table, as of their folder of months."""

KINDS = {
    "forecasts": ("model", ("forecast", "forecast_origin", "collected_part", "incomplete_part")),
    "readings": ("station", ("observation", "observation_origin", "sensor_day")),
    "score days": ("model", ("forecast_day", "public_forecast_day")),
    "score days of stations": ("station", ("observed_day", "public_observed_day", "doubted")),
    "issued forecasts": ("site", ("issued_forecast", "forecast_learning", "gate_decision")),
    "runs": ("day", ("job_run", "source_run", "rejected", "forecast_batch", "observation_batch")),
}
"""Per kind: the unit that it grows with, and its tables. All other tables do not grow with time."""


@dataclass(frozen=True)
class Measured:
    """What a store has: rows and bytes by table, and the number of each unit."""

    tables: dict[str, tuple[int, int]]
    units: dict[str, int]
    sites: int
    stations: int

    def of(self, kind: str) -> tuple[float, float]:
        """Return rows and bytes of a kind for one unit."""
        unit, names = KINDS[kind]
        rows, size = (sum(self.tables[name][part] for name in names) for part in (0, 1))
        return rows / self.units[unit], size / self.units[unit]

    def share_of(self, table: str, kind: str) -> float:
        """Return the share of a table in the rows of its kind."""
        return self.tables[table][0] / sum(self.tables[name][0] for name in KINDS[kind][1])


def bytes_by_table(connection: Connection) -> dict[str, int]:
    """Return the bytes of each table with its indexes."""
    query = (
        "SELECT relname, pg_total_relation_size(oid) FROM pg_class"
        " WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace"
        if is_postgres(connection)
        else "SELECT m.tbl_name, sum(s.pgsize) FROM dbstat s JOIN sqlite_master m USING (name) GROUP BY 1"
    )
    return {name: int(size) for name, size in connection.execute(sa.text(query))}


def measure(database: Database) -> Measured:
    """Read a whole store."""
    forecast, observation = t.forecast.c, t.observation.c
    distinct = {
        "model": sa.select(forecast.site_id, forecast.model_id, forecast.reference_time // DAY_SECONDS),
        "station": sa.select(observation.station_id, observation.time // DAY_SECONDS),
        "site": sa.select(forecast.site_id, forecast.reference_time // DAY_SECONDS),
        "day": sa.select(forecast.reference_time // DAY_SECONDS),
    }

    def count(query: sa.Select[tuple[int]]) -> int:
        return int(connection.execute(sa.select(sa.func.count()).select_from(query.subquery())).scalar_one())

    with database.read() as connection:
        sizes = bytes_by_table(connection)
        return Measured(
            tables={
                table.name: (count(sa.select(table)), sizes.get(table.name, 0))
                for table in t.metadata.sorted_tables
            },
            units={name: count(query.distinct()) for name, query in distinct.items()},
            sites=count(sa.select(forecast.site_id).distinct()),
            stations=count(sa.select(observation.station_id).distinct()),
        )


def grown(found: Measured, sites: int, models: int, years: float) -> dict[str, tuple[float, float]]:
    """Return rows and bytes by kind for so many sites, each with the store's share of stations."""
    days = years * 365.25
    stations = found.stations / found.sites
    number = {
        "model": sites * models * days,
        "station": sites * stations * days,
        "site": sites * days,
        "day": days,
    }
    return {
        kind: (rows * number[unit], size * number[unit])
        for kind, (unit, _) in KINDS.items()
        for rows, size in [found.of(kind)]
    }


def shown(rows: float, size: float) -> str:
    """Return a cell of a table."""
    return f"{rows / 1e6:,.0f} M rows, {size / 1e9:,.1f} GB"


def main() -> None:
    """Print tables in Markdown."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("store", help="address of the store, as DATABASE_URL")
    parser.add_argument("--sites", type=int, nargs="+", default=[100, 1000, 5000])
    parser.add_argument("--models", type=int, default=8)
    parser.add_argument("--years", type=float, default=5.0)
    parser.add_argument("--months", type=Path, help="folder of `export months` of the same store")
    parser.add_argument(
        "--raw-days", type=float, default=150.0, help="days whose raw values stay in the store"
    )
    options = parser.parse_args()
    database = Database(options.store, make=False)
    found = measure(database)
    database.close()
    print(f"{found.sites} sites, {found.stations} stations; {found.units}\n")
    print("| kind | grows with | rows a unit | bytes a row | bytes a unit |\n| --- | --- | --- | --- | --- |")
    for kind, (unit, _) in KINDS.items():
        rows, size = found.of(kind)
        print(f"| {kind} | {unit} and day | {rows:.1f} | {size / rows if rows else 0:.0f} | {size:.0f} |")
    print("\n| sites | " + " | ".join(KINDS) + " | together |\n|" + " --- |" * (len(KINDS) + 2))
    for sites in options.sites:
        cells = grown(found, sites, options.models, options.years)
        rows, size = (sum(cell[part] for cell in cells.values()) for part in (0, 1))
        print(f"| {sites} | " + " | ".join(shown(*cell) for cell in (*cells.values(), (rows, size))) + " |")
    if options.months is None:
        return
    print("\n| sites | raw in the store | the rest of the store | together | as Parquet |\n|" + " --- |" * 5)
    share = options.raw_days / (options.years * 365.25)
    for sites in options.sites:
        cells = grown(found, sites, options.models, options.years)
        raw = share * sum(cells[kind][1] for kind in RAW)
        rest = sum(size for kind, (_, size) in cells.items() if kind not in RAW)
        parquet = 0.0
        for kind, name in RAW.items():
            files = sum(file.stat().st_size for file in options.months.glob(f"kind={name}/*/*.parquet"))
            parquet += files / found.tables[name][0] * cells[kind][0] * found.share_of(name, kind)
        sizes = " | ".join(f"{size / 1e9:,.1f} GB" for size in (raw, rest, raw + rest, parquet))
        print(f"| {sites} | {sizes} |")


if __name__ == "__main__":
    main()
