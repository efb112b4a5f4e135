"""Pages of values: each row of a table holds several, and a cursor names the last one that was given."""

from __future__ import annotations

import struct
from base64 import b64decode, b64encode
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from typing import Any, NamedTuple

import sqlalchemy as sa

from backend.core.parameters import Parameter
from backend.storage.database import maybe_epoch
from backend.storage.rows import value_columns

_PARAMETERS = tuple(Parameter)


class Value(NamedTuple):
    """One value, in its unit, and the row it lies in; `position` is its row's key and its parameter."""

    row: Any
    parameter: Parameter
    value: float
    position: tuple[int, ...]


class Page(NamedTuple):
    """Some values in the order of their positions, and the cursor to go on from; None at the end."""

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

    The key begins with a site or a station, of which `groups` are the ids to look into, and a time: from
    `start` to before `end`. Each group is a look-up in the index, from where the last page ended. Raises
    ValueError for a cursor that is none of ours.
    """
    group, time, *rest = table.primary_key.columns
    columns = [table.c[parameter.value]] if parameter else value_columns(table)
    holds_one = sa.or_(*(column.is_not(None) for column in columns))
    begin = decode_cursor(after, len(rest) + 3) if after is not None else ()
    found: list[Value] = []
    for group_id in sorted(group_id for group_id in groups if begin[:1] <= (group_id,)):
        here = query.where(group == group_id, holds_one).order_by(time, *rest)
        first = maybe_epoch(start)
        if begin[:1] == (group_id,):
            first = begin[1] if first is None else max(first, begin[1])
            if rest:
                here = here.where(sa.or_(time > begin[1], sa.tuple_(*rest) >= sa.tuple_(*begin[2:-1])))
        # Each row holds at least one value, but the one the cursor stands on may hold none after it.
        rows = connection.execute(within(here, time, first, maybe_epoch(end)).limit(limit - len(found) + 2))
        found += (
            value for row in rows for value in values_of(row, table, parameter) if value.position > begin
        )
        if len(found) > limit:
            return Page(found[:limit], encode_cursor(found[limit - 1].position))
    return Page(found, None)


def within(query: sa.Select[Any], time: sa.Column[int], first: int | None, end: int | None) -> sa.Select[Any]:
    """Limit a query to times from `first` to before `end`, in seconds since 1970; None is no limit."""
    if first is not None:
        query = query.where(time >= first)
    return query if end is None else query.where(time < end)


def values_of(row: Any, table: sa.Table, parameter: Parameter | None = None) -> Iterator[Value]:
    """Yield the values of a row (of one parameter, or of all), absent ones left out."""
    told = row._mapping
    key = tuple(told[column] for column in table.primary_key)
    for index, each in enumerate(_PARAMETERS):
        if parameter in {None, each} and (stored := told[table.c[each.value]]) is not None:
            yield Value(row, each, stored / 1000, (*key, index))


def encode_cursor(position: Sequence[int]) -> str:
    """Write a position as opaque text that may stand in an address."""
    return b64encode(struct.pack(f">{len(position)}q", *position), b"-_").decode().rstrip("=")


def decode_cursor(text: str, length: int) -> tuple[int, ...]:
    """Read a position of `length` numbers; raise ValueError for any other text."""
    try:
        packed = b64decode(text + "=" * (-len(text) % 4), b"-_", validate=True)
        return struct.unpack(f">{length}q", packed)
    except (ValueError, struct.error) as error:
        raise ValueError(f"{text!r} is no cursor that an earlier page gave") from error
