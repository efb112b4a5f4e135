"""Values replaced by imports: the old and new value, the file and the time."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import datetime

import sqlalchemy as sa

from backend.storage import schema as t
from backend.storage.database import Database, from_epoch, maybe_time, to_epoch


@dataclass(frozen=True, slots=True, kw_only=True)
class Measure:
    """A stored value in thousandths of its unit, with the properties stated for it.

    `available_at` in seconds since 1970 (forecasts), `averaging_minutes` and `direction_resolution` in
    degrees (readings); None if unknown.
    """

    value: int
    available_at: int | None = None
    averaging_minutes: int | None = None
    direction_resolution: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Replaced:
    """A value of a forecast or a reading before and after an import. Times are UTC.

    `name` is the name of the model or the code of the station. A reading has no `site` or `reference_time`.
    """

    replaced_at: datetime
    file: str
    name: str
    parameter: str
    time: datetime
    old: Measure
    new: Measure
    site: str | None = None
    reference_time: datetime | None = None


def note_replaced(connection: sa.Connection, values: Sequence[Replaced]) -> None:
    """Store what an import replaces, in the same transaction."""
    rows = [
        {
            "replaced_at": to_epoch(value.replaced_at),
            "file": value.file,
            "name": value.name,
            "site": value.site,
            "parameter": value.parameter,
            "reference_time": None if value.reference_time is None else to_epoch(value.reference_time),
            "time": to_epoch(value.time),
            **{f"old_{name}": field for name, field in asdict(value.old).items()},
            **{f"new_{name}": field for name, field in asdict(value.new).items()},
        }
        for value in values
    ]
    if rows:
        connection.execute(sa.insert(t.replaced_value), rows)


def replaced_values(database: Database, limit: int) -> tuple[list[Replaced], int]:
    """Return the last replaced values, newest first, and the count of all.

    Blocks. Raises StoreUnavailableError.
    """
    table = t.replaced_value
    with database.read() as connection:
        count = connection.execute(sa.select(sa.func.count()).select_from(table)).scalar_one()
        rows = connection.execute(sa.select(table).order_by(table.c.id.desc()).limit(limit)).all()
    return [
        Replaced(
            replaced_at=from_epoch(row.replaced_at),
            file=row.file,
            name=row.name,
            parameter=row.parameter,
            time=from_epoch(row.time),
            old=_measure(row._mapping, "old"),
            new=_measure(row._mapping, "new"),
            site=row.site,
            reference_time=maybe_time(row.reference_time),
        )
        for row in rows
    ], count


def _measure(row: sa.RowMapping, side: str) -> Measure:
    return Measure(
        value=row[f"{side}_value"],
        available_at=row[f"{side}_available_at"],
        averaging_minutes=row[f"{side}_averaging_minutes"],
        direction_resolution=row[f"{side}_direction_resolution"],
    )
