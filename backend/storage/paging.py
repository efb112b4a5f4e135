"""Pages of values. Each row of a table holds several values, so a cursor names the last value of a page."""

from __future__ import annotations

import struct
from base64 import b64decode, b64encode
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from typing import Any, NamedTuple

import sqlalchemy as sa

from backend.core.parameters import PARAMETERS, Parameter
from backend.storage.database import maybe_epoch
from backend.storage.rows import value_columns


class Value(NamedTuple):
    """One value in its unit, with its row; `position` is the row's key and the parameter's number."""

    row: Any
    parameter: Parameter
    value: float
    position: tuple[int, ...]


class Page(NamedTuple):
    """Values in the order of their positions, and the cursor of the next page; None at the end."""

    values: list[Value]
    cursor: str | None


def read_page(
    connection: sa.Connection,
    query: sa.Select[Any],
    table: sa.Table,
    groups: Iterable[int],
    *,
    parameter: Parameter | None,
    start: datetime | None,
    end: datetime | None,
    after: str | None,
    limit: int,
) -> Page:
    """Return up to `limit` values that `query` selects from `table`, in the order of its primary key.

    `groups` are the ids of sites or stations, the first part of the key; the second part is a time, from
    `start` to before `end`. Each group is one look-up in the index. Raises ValueError for a malformed cursor.
    """
    group, time, *rest = table.primary_key.columns
    columns = [table.c[parameter.value]] if parameter else value_columns(table)
    holds_one = sa.or_(*(column.is_not(None) for column in columns))
    begin = decode_cursor(after, len(rest) + 3) if after is not None else ()
    values: list[Value] = []
    for group_id in sorted(group_id for group_id in groups if begin[:1] <= (group_id,)):
        here = query.where(group == group_id, holds_one).order_by(time, *rest)
        first = maybe_epoch(start)
        if begin[:1] == (group_id,):
            first = begin[1] if first is None else max(first, begin[1])
            if rest:
                here = here.where(sa.or_(time > begin[1], sa.tuple_(*rest) >= sa.tuple_(*begin[2:-1])))
        # Each row holds a value, but the row of the cursor may hold none after the cursor: two more rows.
        rows = connection.execute(within(here, time, first, maybe_epoch(end)).limit(limit - len(values) + 2))
        values += (
            value for row in rows for value in values_of(row, table, parameter) if value.position > begin
        )
        if len(values) > limit:
            return Page(values[:limit], encode_cursor(values[limit - 1].position))
    return Page(values, None)


def within(query: sa.Select[Any], time: sa.Column[int], first: int | None, end: int | None) -> sa.Select[Any]:
    """Limit a query to times from `first` to before `end` (seconds since 1970); None means no limit."""
    if first is not None:
        query = query.where(time >= first)
    return query if end is None else query.where(time < end)


def values_of(row: Any, table: sa.Table, parameter: Parameter | None = None) -> Iterator[Value]:
    """Yield the present values of a row, of one parameter or of all."""
    columns = row._mapping
    key = tuple(columns[column] for column in table.primary_key)
    for candidate in PARAMETERS:
        if parameter in {None, candidate} and (stored := columns[table.c[candidate.value]]) is not None:
            yield Value(row, candidate, stored / 1000, (*key, candidate.number))


def encode_cursor(position: Sequence[int]) -> str:
    """Encode a position as opaque text that is safe in a URL."""
    return b64encode(struct.pack(f">{len(position)}q", *position), b"-_").decode().rstrip("=")


def decode_cursor(text: str, length: int) -> tuple[int, ...]:
    """Read a position of `length` numbers; raise ValueError for any other text."""
    try:
        packed = b64decode(text + "=" * (-len(text) % 4), b"-_", validate=True)
        return struct.unpack(f">{length}q", packed)
    except (ValueError, struct.error) as error:
        raise ValueError(f"{text!r} is not a cursor of an earlier page") from error
