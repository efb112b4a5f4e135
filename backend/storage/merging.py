"""Which of two values of the same moment is kept. Pure, and the one place that decides it."""

from __future__ import annotations

from typing import NamedTuple

Values = tuple[int | None, ...]
"""One value per parameter, in thousandths of its unit; None is absent."""


class Row(NamedTuple):
    """The values of one site or station at one time, and the rank of the route they came by."""

    rank: int
    values: Values


def merge_forecast(old: Row | None, new: Row, *, replace: bool = False) -> Row:
    """Return what is kept of a forecast hour: a run never changes, so the first value stays."""
    return _merge(old, new, replace=replace, last_wins=False)


def merge_observation(old: Row | None, new: Row, *, replace: bool = False) -> Row:
    """Return what is kept of a reading: networks correct themselves, so the last value wins."""
    return _merge(old, new, replace=replace, last_wins=True)


def _merge(old: Row | None, new: Row, *, replace: bool, last_wins: bool) -> Row:
    if old is None or new.rank < old.rank:
        return new  # whole: a lesser route may have written 0 for a value that the better one lacks
    if new.rank > old.rank:
        return old
    if replace:
        return new
    winner, other = (new, old) if last_wins else (old, new)
    pairs = zip(winner.values, other.values, strict=True)
    return Row(old.rank, tuple(value if value is not None else spare for value, spare in pairs))
