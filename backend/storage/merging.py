"""Which of two values of the same moment is kept. Pure, and the one place that decides it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple, TypeVar

Values = tuple[int | None, ...]
"""One value per parameter, in thousandths of its unit; None is absent."""


class Row(NamedTuple):
    """The values of one site or station at one time, and the rank of the route they came by."""

    rank: int
    values: Values


K = TypeVar("K")


def merge(
    kept: Mapping[K, Row], came: Mapping[K, Values], rank: int, *, last_wins: bool, replace: bool = False
) -> tuple[dict[K, Values], int]:
    """Return the rows to write, and how many of their values are new or other than before.

    Within a rank the first value stays, or with `last_wins` the last; a value that is not given takes
    nothing away. `replace` makes the row that came win whole, as a better rank always does.
    """
    changed: dict[K, Values] = {}
    gained = 0
    for key, values in came.items():
        old = kept.get(key)
        if old is not None and old.rank == rank and old.values == values:
            continue  # most of what comes again
        merged = merge_row(old, Row(rank, values), last_wins=last_wins, replace=replace)
        if merged != old:
            changed[key] = merged.values
            gained += _gained(old, merged)
    return changed, gained


def merge_row(old: Row | None, new: Row, *, last_wins: bool, replace: bool = False) -> Row:
    """Return what is kept of a row that was there and one that came."""
    if old is None or new.rank < old.rank:
        return new  # whole: a lesser route may have written 0 for a value that the better one lacks
    if new.rank > old.rank:
        return old
    if replace:
        return new
    winner, other = (new, old) if last_wins else (old, new)
    pairs = zip(winner.values, other.values, strict=True)
    return Row(old.rank, tuple(value if value is not None else spare for value, spare in pairs))


def _gained(old: Row | None, new: Row) -> int:
    if old is None:
        return len(new.values) - new.values.count(None)
    return sum(value is not None and value != was for value, was in zip(new.values, old.values, strict=True))
