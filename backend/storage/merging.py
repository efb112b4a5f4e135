"""Which of two values of the same moment is kept, and which batch it counts as part of.

Pure, and the one place that decides it. A value keeps the batch that it came in: what a later batch adds to
the same row changes nothing about it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal, NamedTuple, TypeVar

Values = tuple[int | None, ...]
"""One value per parameter, in thousandths of its unit; None is absent."""

Batches = tuple[int | None, ...]
"""The batch of each value of a row: its id, NEW, or −id; None where the value is absent.

NEW is the batch that came. −id is the batch that came with the availability of the batch `id`: the value was
known before, and a better route or a repaired parser does not change since when.
"""

NEW = 0

Mode = Literal["collect", "repair", "correct"]
"""`collect`: a collection or an import. `repair`: a kept payload parsed again. `correct`: a file replaces
what an earlier file stored."""


class Origin(NamedTuple):
    """What matters of a batch for the question which value is kept. Times are seconds since 1970 in UTC.

    `route` names source and route. `available_at` is 0 for observations. `witnessed` is false where it is an
    estimate or the word of a file, true where the publisher stated it or we collected the run then.
    """

    rank: int
    route: str
    collected_at: int
    available_at: int = 0
    witnessed: bool = True


class Row(NamedTuple):
    """The values of one site or station at one time, and the batch of each."""

    values: Values
    batches: Batches


K = TypeVar("K")


def merge(
    kept: Mapping[K, Row],
    came: Mapping[K, Values],
    origin: Origin,
    origins: Mapping[int, Origin],
    *,
    last_wins: bool,
    mode: Mode = "collect",
) -> tuple[dict[K, Row], int]:
    """Return the rows to write, and how many of their values are new or other than before.

    `origin` is that of the batch that came, `origins` those of the batches in `kept`. All values of a row
    have the same rank. A better rank wins whole. Within a rank the first value stays, or with `last_wins` the
    last; a value that is not given takes nothing away. For a repair, first and last are by when the payload
    was collected, and what its payload brought is removed where it is not given any more. A correction wins.
    """
    changed: dict[K, Row] = {}
    gained = 0
    if not kept:
        changed = {key: _whole(values) for key, values in came.items()}
        return changed, sum(len(values) - values.count(None) for values in came.values())
    for key, values in came.items():
        old = kept.get(key)
        if old is None:
            changed[key] = _whole(values)
            gained += len(values) - values.count(None)
            continue
        rank = _rank(old, origins)
        if origin.rank > rank or (origin.rank == rank and mode == "collect" and old.values == values):
            continue  # the latter is most of what comes again
        merged = (
            _better(old, values, origin, origins)
            if origin.rank < rank
            else _equal(old, values, origin, origins, last_wins=last_wins, mode=mode)
        )
        if merged != old:
            changed[key] = merged
            gained += sum(
                value is not None and value != was
                for value, was in zip(merged.values, old.values, strict=True)
            )
    return changed, gained


_ALL_NEW: Batches = (NEW,) * 4


def _whole(values: Values) -> Row:
    if None not in values:
        return Row(values, _ALL_NEW)
    return Row(values, tuple([None if value is None else NEW for value in values]))


def _rank(row: Row, origins: Mapping[int, Origin]) -> int:
    return next((origins[batch].rank for batch in row.batches if batch is not None), 2**15)


def _better(old: Row, values: Values, origin: Origin, origins: Mapping[int, Origin]) -> Row:
    """Return the row of a better route, whole: a lesser one may have written 0 for a value that it lacks."""
    batches: list[int | None] = []
    for value, was, batch in zip(values, old.values, old.batches, strict=True):
        known = batch is not None and value == was and origins[batch].witnessed
        if value is None:
            batches.append(None)
        elif known and batch and origins[batch].available_at < origin.available_at:
            batches.append(-batch)
        else:
            batches.append(NEW)
    return Row(values, tuple(batches))


def _equal(
    old: Row,
    values: Values,
    origin: Origin,
    origins: Mapping[int, Origin],
    *,
    last_wins: bool,
    mode: Mode,
) -> Row:
    """Return what is kept of two rows of the same rank."""
    kept: list[int | None] = []
    batches: list[int | None] = []
    for value, was, batch in zip(values, old.values, old.batches, strict=True):
        if batch is None:
            kept.append(value)
            batches.append(None if value is None else NEW)
            continue
        before = origins[batch]
        same_payload = (before.collected_at, before.route) == (origin.collected_at, origin.route)
        if value is None:
            removed = mode == "repair" and same_payload
            kept.append(None if removed else was)
            batches.append(None if removed else batch)
        elif mode == "correct":
            kept.append(value)
            batches.append(NEW)
        elif value != was and _wins(before, origin, last_wins=last_wins, mode=mode):
            kept.append(value)
            later = same_payload and before.available_at != origin.available_at
            batches.append(-batch if mode == "repair" and later else NEW)
        else:
            kept.append(was)
            batches.append(batch)
    return Row(tuple(kept), tuple(batches))


def _wins(before: Origin, now: Origin, *, last_wins: bool, mode: Mode) -> bool:
    if mode == "collect":
        return last_wins
    if last_wins:
        return now.collected_at >= before.collected_at
    return now.collected_at <= before.collected_at
