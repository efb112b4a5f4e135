"""How records lie in tables: an hour or a reading is one row, with a column of thousandths per parameter."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from typing import Any, TypeVar

import sqlalchemy as sa

from backend.core.parameters import Parameter
from backend.storage.bulk import incoming
from backend.storage.database import insert_into, is_postgres
from backend.storage.merging import Values
from backend.storage.schema import storable

COLUMNS = tuple(parameter.value for parameter in Parameter)
CHUNK = 400  # keys in one IN list: well below the limit on variables of either database

Key = tuple[int, int]
"""Site or station, and time: what tells the rows of one batch apart."""

_COLUMN_OF = {parameter: index for index, parameter in enumerate(Parameter)}
_ABSENT: Values = (None,) * len(COLUMNS)


def rows_by_key(values: Iterable[tuple[Key, Parameter, float]]) -> dict[Key, Values]:
    """Lay values (in their unit) of one batch side by side; what is not given stays absent."""
    rows: dict[Key, list[int | None]] = {}
    for key, parameter, value in values:
        rows.setdefault(key, list(_ABSENT))[_COLUMN_OF[parameter]] = round(value * 1000)
    return {key: tuple(row) for key, row in rows.items()}


def row_of(key: dict[str, int], values: Values) -> dict[str, int | None]:
    """Return a table's row: its key, and its values under the names of their columns."""
    return {**key, **dict(zip(COLUMNS, values, strict=True))}


def value_columns(table: sa.Table) -> list[sa.Column[Any]]:
    """Return the columns of a table that hold values, in the order of the parameters."""
    return [table.c[name] for name in COLUMNS]


def write_rows(connection: sa.Connection, table: sa.Table, rows: Sequence[dict[str, int | None]]) -> None:
    """Write rows of values, each over the one with its key where there is one."""
    insert = insert_into(connection, table)
    new = {name: insert.excluded[name] for name in ("batch_id", *COLUMNS)}
    over: dict[str, Any] = {"index_elements": table.primary_key, "set_": new}
    if is_postgres(connection):
        with incoming(connection, table, rows) as came:
            insert = insert.from_select(came.c.keys(), sa.select(came))
            connection.execute(insert.on_conflict_do_update(**over))
    else:
        connection.execute(insert.on_conflict_do_update(**over), rows)


def ids_of(connection: sa.Connection, column: sa.Column[Any], names: Sequence[str]) -> dict[str, int]:
    """Return the id of each name in a table of names, making rows for the new ones."""
    stored = {name: storable(name) for name in names}
    found = _known_ids(connection, column, stored.values())
    new = sorted(set(stored.values()) - found.keys())
    if new:
        connection.execute(sa.insert(column.table), [{column.name: name} for name in new])
        found |= _known_ids(connection, column, new)
    return {name: found[text] for name, text in stored.items()}


def _known_ids(connection: sa.Connection, column: sa.Column[Any], names: Iterable[str]) -> dict[str, int]:
    query = sa.select(column, column.table.c.id)
    return {
        row[0]: row[1]
        for chunk in chunks(names)
        for row in connection.execute(query.where(column.in_(chunk)))
    }


T = TypeVar("T")


def chunks(items: Iterable[T]) -> Iterator[tuple[T, ...]]:
    """Split into tuples that fit an IN list (itertools.batched, which Python 3.11 lacks)."""
    iterator = iter(items)
    while chunk := tuple(islice(iterator, CHUNK)):
        yield chunk
