"""The record of a forecast that was issued: what was shown, from which inputs, and its hash.

Values are whole thousandths of their unit, as everywhere in the store; None is a missing value.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Literal, Self

import msgspec

from backend.core.parameters import Parameter

Audience = Literal["public", "operator"]
"""Whose sources a forecast uses: those that everyone may see, or all."""

LEVELS = (10, 25, 50, 75, 90)
"""The quantiles of an issued forecast, in percent."""

LATE_AFTER = timedelta(minutes=15)
"""How long after its decision time a forecast may be issued. A later one is shown, and never scored."""

FIRST_HASH = bytes(32)
"""Stands for the hash before the first row of a site."""


class Input(msgspec.Struct, frozen=True, array_like=True):
    """A model run that an issued forecast uses: the reference time in seconds since 1970."""

    model: str
    reference_time: int


class GateState(StrEnum):
    """Whether an issued forecast is shown: what `IssuedHours.state` contains.

    TRIAL has too few days for the gate to decide. CLOSED is refused by the gate, VETO at this site only.
    """

    SHOWN = "shown"
    TRIAL = "trial"
    CLOSED = "closed"
    VETO = "veto"


class GateReason(msgspec.Struct, frozen=True, array_like=True):
    """Why a gate is not open: a code of forecast/gate.py, its figure, and the limit that the figure misses.

    A figure that cannot be computed is None.
    """

    code: str
    figure: float | None
    limit: float | None


def reason_text(reasons: Iterable[GateReason]) -> str:
    """Return reasons as `IssuedHours.reason` contains them, "" for none."""
    found = list(reasons)
    return msgspec.json.encode(found).decode() if found else ""


class IssuedHours(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What an issued forecast contains, hour by hour of the local day.

    Empty fields are left out of the packed text, so that a new field does not change the hash of older rows.

    `times` are seconds since 1970. All other lists have one entry an hour; of `quantiles` those of LEVELS in
    their order. Of a direction, quantiles are signed differences from `values`. `weights` are of each expert,
    in thousandths. `state` is a GateState or "none", and `reason` the text of `reason_text`; of a withdrawal
    they are "withdrawn" and the words of who withdrew it.
    """

    times: tuple[int, ...]
    values: tuple[int | None, ...]
    quantiles: tuple[tuple[int | None, ...], ...] = ()
    weights: dict[str, tuple[int | None, ...]] = {}
    inputs: tuple[Input, ...] = ()
    station: str | None = None
    days: int = 0
    """Out-of-sample days that the interval is made from."""
    state: str = "none"
    reason: str = ""
    best: str = ""
    """The raw model with the smallest error so far, which is shown where the gate is closed."""
    best_values: tuple[int | None, ...] = ()
    best_quantiles: tuple[tuple[int | None, ...], ...] = ()
    """That model, and the quantiles of it with its own past errors: the references of the gate."""
    placebo: tuple[int | None, ...] = ()
    """The same models, corrected by what was learned at another station."""

    def packed(self) -> bytes:
        """Return the JSON text that is hashed and stored."""
        return msgspec.json.encode(self, order="deterministic")

    @property
    def reasons(self) -> tuple[GateReason, ...]:
        """Why the gate is not open. Raises msgspec.ValidationError, msgspec.DecodeError for other words."""
        return msgspec.json.decode(self.reason, type=tuple[GateReason, ...]) if self.reason else ()

    @classmethod
    def unpacked(cls, content: bytes) -> Self:
        """Return the contents of `packed`. Raises msgspec.ValidationError, msgspec.DecodeError."""
        return msgspec.json.decode(content, type=cls)


class PastHours(msgspec.Struct, frozen=True, kw_only=True):
    """The fields of IssuedHours that a past day is compared by: to decode all takes four times as long.

    Of `quantiles` each has the JSON text of its hours.
    """

    times: tuple[int, ...]
    values: tuple[int | None, ...]
    quantiles: tuple[msgspec.Raw, ...] = ()
    inputs: tuple[Input, ...] = ()
    station: str | None = None
    best: str = ""

    @property
    def ends(self) -> tuple[list[int | None], ...]:
        """The lowest and the highest quantile by hour; empty without quantiles.

        Raises msgspec.ValidationError, msgspec.DecodeError.
        """
        outer = (self.quantiles[0], self.quantiles[-1]) if self.quantiles else ()
        return tuple(_HOURS.decode(text) for text in outer)

    @classmethod
    def unpacked(cls, content: bytes) -> Self:
        """Return these fields of a packed text. Raises msgspec.ValidationError, msgspec.DecodeError."""
        return msgspec.json.decode(content, type=cls)


_HOURS = msgspec.json.Decoder(list[int | None])


@dataclass(frozen=True, slots=True, kw_only=True)
class IssuedForecast:
    """A forecast for one local day, parameter and audience, as it was issued.

    `view` and `day` are numbers, as in the score days. `number` counts the rows of a site from 1, and is 0
    before it is stored. A row with `withdraws` hides the row of that number.
    """

    site: str
    audience: Audience
    parameter: Parameter
    view: int
    day: int
    method: str
    decision_time: datetime
    issued_at: datetime
    hours: IssuedHours
    withdraws: int | None = None
    number: int = 0
    hash: bytes = b""

    @property
    def is_late(self) -> bool:
        """Return True if it was issued too late to count as a forecast of its view."""
        return self.issued_at - self.decision_time > LATE_AFTER

    def chained(self, number: int, before: bytes) -> IssuedForecast:
        """Return the forecast as row `number` of its site, after a row with the hash `before`."""
        return replace(self, number=number, hash=self.hash_after(number, before))

    def hash_after(self, number: int, before: bytes) -> bytes:
        """Return the SHA-256 of `before`, all columns as a JSON array in this order, and the content."""
        columns = (
            self.site,
            number,
            self.audience,
            self.parameter.value,
            self.view,
            self.day,
            self.method,
            int(self.decision_time.timestamp()),
            int(self.issued_at.timestamp()),
            self.withdraws,
        )
        return hashlib.sha256(before + msgspec.json.encode(columns) + self.hours.packed()).digest()
