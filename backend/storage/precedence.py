"""Which of two values of the same time stays, and which batch it belongs to.

Pure functions, and the only place with this decision. A value keeps the batch in which it arrived; a later
batch that adds other values to the same row does not change that.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal, NamedTuple, TypeVar

from backend.core.parameters import Parameter

Values = tuple[int | None, ...]
"""One value per parameter, in thousandths of its unit; None is absent."""

Batches = tuple[int | None, ...]
"""The batch of each value of a row: its id, NEW, or −id; None if the value is absent.

NEW is the incoming batch. −id is the incoming batch with the availability of the batch `id`: the value was
known before, and a better route or a corrected parser does not change since when it was available.
"""

NEW = 0

_SPEED = Parameter.WIND_SPEED.number
_DIRECTION = Parameter.WIND_DIRECTION.number

Mode = Literal["collect", "repair", "correct"]
"""`collect`: a collection or an import. `repair`: an archived payload parsed again. `correct`: a file that
replaces the values of an earlier file."""


class Origin(NamedTuple):
    """The properties of a batch that decide which value stays. Times are seconds since 1970 in UTC.

    `route` names source and route. `available_at` is 0 for observations. `witnessed` is False if
    `available_at` is an estimate or stated by an imported file, True if the publisher stated it or we
    collected the run at that time.
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
    stored: Mapping[K, Row],
    incoming: Mapping[K, Values],
    origin: Origin,
    origins: Mapping[int, Origin],
    *,
    last_wins: bool,
    mode: Mode = "collect",
) -> tuple[dict[K, Row], int]:
    """Return the rows to write, and how many of their values are new or different.

    `origin` is that of the incoming batch, `origins` those of the batches in `stored`. For forecasts, each
    value is taken from the best rank that has it: a file without gusts leaves the gusts of a lesser route. A
    direction never has a lesser rank than its speed, because a calm has no direction. For readings
    (`last_wins`), all values are taken from the best rank. Within a rank the first value stays, or with
    `last_wins` the last; an absent value removes nothing. In a repair, first and last refer to when the
    payload was collected, and a value of the same payload that is absent now is removed. A correction always
    wins.
    """
    changed: dict[K, Row] = {}
    ranks: dict[Batches, tuple[int, int]] = {}
    gained = 0
    if not stored:
        changed = {key: _whole(values) for key, values in incoming.items()}
        return changed, sum(len(values) - values.count(None) for values in incoming.values())
    for key, values in incoming.items():
        old = stored.get(key)
        if old is None:
            changed[key] = _whole(values)
            gained += len(values) - values.count(None)
            continue
        if old.batches not in ranks:  # the rows have few different combinations of batches
            of_values = [origins[batch].rank for batch in old.batches if batch is not None] or [2**15]
            ranks[old.batches] = min(of_values), max(of_values)
        best, worst = ranks[old.batches]
        if last_wins and origin.rank > best:
            continue
        if mode == "collect" and origin.rank >= worst and old.values == values:
            continue  # fast path: most incoming rows repeat the stored ones
        merged = (
            _better(old, values, origin, origins)
            if last_wins and origin.rank < best
            else _by_value(old, values, origin, origins, last_wins=last_wins, mode=mode)
        )
        if merged != old:
            changed[key] = merged
            gained += sum(
                value is not None and value != old_value
                for value, old_value in zip(merged.values, old.values, strict=True)
            )
    return changed, gained


_ALL_NEW: Batches = (NEW,) * 4


def _whole(values: Values) -> Row:
    if None not in values:
        return Row(values, _ALL_NEW)
    return Row(values, tuple([None if value is None else NEW for value in values]))


def _better(old: Row, values: Values, origin: Origin, origins: Mapping[int, Origin]) -> Row:
    """Replace readings as a whole by those of a better route: a lesser one may have stored 0 as missing."""
    batches = [
        None
        if value is None
        else NEW
        if batch is None
        else _batch_of_better(value, old_value, batch, origin, origins[batch])
        for value, old_value, batch in zip(values, old.values, old.batches, strict=True)
    ]
    return Row(values, tuple(batches))


def _batch_of_better(value: int, old_value: int | None, batch: int, origin: Origin, before: Origin) -> int:
    """Return the batch of a value that replaces `old_value` of a lesser route."""
    known = value == old_value and before.witnessed and before.available_at < origin.available_at
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
    """Merge two rows, each value by its own rank."""
    values_out: list[int | None] = []
    batches: list[int | None] = []
    for value, old_value, batch in zip(values, old.values, old.batches, strict=True):
        if batch is None:
            # No stored value: the incoming one, if any, is new.
            values_out.append(value)
            batches.append(None if value is None else NEW)
            continue
        before = origins[batch]
        same_payload = (before.collected_at, before.route) == (origin.collected_at, origin.route)
        if value is None:
            removed = mode == "repair" and same_payload
            values_out.append(None if removed else old_value)
            batches.append(None if removed else batch)
        elif origin.rank > before.rank:
            values_out.append(old_value)
            batches.append(batch)
        elif origin.rank < before.rank:
            values_out.append(value)
            batches.append(_batch_of_better(value, old_value, batch, origin, before))
        elif mode == "correct":
            values_out.append(value)
            batches.append(NEW)
        elif value != old_value and _wins(before, origin, last_wins=last_wins, mode=mode):
            values_out.append(value)
            later = same_payload and before.available_at != origin.available_at
            batches.append(-batch if mode == "repair" and later else NEW)
        else:
            values_out.append(old_value)
            batches.append(batch)
    speed, direction = batches[_SPEED], batches[_DIRECTION]
    if speed is not None and direction is not None:
        of_speed, of_direction = (
            origins[batch].rank if batch > 0 else origin.rank for batch in (speed, direction)
        )
        if of_direction > of_speed:
            values_out[_DIRECTION] = batches[_DIRECTION] = None
    return Row(tuple(values_out), tuple(batches))


def _wins(before: Origin, now: Origin, *, last_wins: bool, mode: Mode) -> bool:
    """Return True if the incoming value replaces one of the same rank."""
    if mode == "collect":
        return last_wins
    if last_wins:
        return now.collected_at >= before.collected_at
    return now.collected_at <= before.collected_at
