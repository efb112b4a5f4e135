"""Which of two values of the same moment is kept, and which batch it counts as part of.

Pure, and the one place that decides it. A value keeps the batch that it came in: what a later batch adds to
the same row changes nothing about it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal, NamedTuple, TypeVar

from backend.core.parameters import Parameter

Values = tuple[int | None, ...]
"""One value per parameter, in thousandths of its unit; None is absent."""

Batches = tuple[int | None, ...]
"""The batch of each value of a row: its id, NEW, or −id; None where the value is absent.

NEW is the batch that came. −id is the batch that came with the availability of the batch `id`: the value was
known before, and a better route or a repaired parser does not change since when.
"""

NEW = 0

_SPEED = list(Parameter).index(Parameter.WIND_SPEED)
_DIRECTION = list(Parameter).index(Parameter.WIND_DIRECTION)

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

    `origin` is that of the batch that came, `origins` those of the batches in `kept`. Of forecasts each value
    is that of the best rank that gave one: a file without gusts leaves the gusts of a lesser route. A
    direction is never of a lesser rank than its speed, for a calm has none. Readings
    (`last_wins`) are those of the best rank, whole. Within a rank the first value stays, or with `last_wins`
    the last; a value that is not given takes nothing away. For a repair, first and last are by when the
    payload was collected, and what its payload brought is removed where it is not given any more. A
    correction wins.
    """
    changed: dict[K, Row] = {}
    ranks: dict[Batches, tuple[int, int]] = {}
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
        if old.batches not in ranks:  # there are few ways in which rows are made up of batches
            ranks[old.batches] = _ranks(old, origins)
        best, worst = ranks[old.batches]
        if last_wins and origin.rank > best:
            continue
        if mode == "collect" and origin.rank >= worst and old.values == values:
            continue  # most of what comes again
        merged = (
            _better(old, values, origin, origins)
            if last_wins and origin.rank < best
            else _by_value(old, values, origin, origins, last_wins=last_wins, mode=mode)
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


def _ranks(row: Row, origins: Mapping[int, Origin]) -> tuple[int, int]:
    """Return the best and the worst rank of the values of a row."""
    found = [origins[batch].rank for batch in row.batches if batch is not None] or [2**15]
    return min(found), max(found)


def _better(old: Row, values: Values, origin: Origin, origins: Mapping[int, Origin]) -> Row:
    """Return the readings of a better route, whole: a lesser one may have written 0 for a missing value."""
    batches = [
        None
        if value is None
        else NEW
        if batch is None
        else _batch_of_better(value, was, batch, origin, origins[batch])
        for value, was, batch in zip(values, old.values, old.batches, strict=True)
    ]
    return Row(values, tuple(batches))


def _batch_of_better(value: int, was: int | None, batch: int, origin: Origin, before: Origin) -> int:
    """Return the batch of a value that replaces `was` of a lesser route."""
    known = value == was and before.witnessed and before.available_at < origin.available_at
    return -batch if known else NEW


def _by_value(
    old: Row,
    values: Values,
    origin: Origin,
    origins: Mapping[int, Origin],
    *,
    last_wins: bool,
    mode: Mode,
) -> Row:
    """Return what is kept of two rows, each value by its own rank."""
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
        elif origin.rank > before.rank:
            kept.append(was)
            batches.append(batch)
        elif origin.rank < before.rank:
            kept.append(value)
            batches.append(_batch_of_better(value, was, batch, origin, before))
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
    speed, direction = batches[_SPEED], batches[_DIRECTION]
    if speed is not None and direction is not None:
        of_speed, of_direction = (
            origins[batch].rank if batch > 0 else origin.rank for batch in (speed, direction)
        )
        if of_direction > of_speed:
            kept[_DIRECTION] = batches[_DIRECTION] = None
    return Row(tuple(kept), tuple(batches))


def _wins(before: Origin, now: Origin, *, last_wins: bool, mode: Mode) -> bool:
    if mode == "collect":
        return last_wins
    if last_wins:
        return now.collected_at >= before.collected_at
    return now.collected_at <= before.collected_at
