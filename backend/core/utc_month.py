"""Calendar months of UTC, the unit in which raw values are exported and removed."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import NamedTuple


class UtcMonth(NamedTuple):
    """A calendar month of UTC."""

    year: int
    month: int

    @classmethod
    def of(cls, seconds: int) -> UtcMonth:
        """Return the month of a moment, in seconds since 1970."""
        moment = datetime.fromtimestamp(seconds, UTC)
        return cls(moment.year, moment.month)

    @property
    def name(self) -> str:
        """Return its name in ISO 8601: "2026-07"."""
        return f"{self.year:04}-{self.month:02}"

    @property
    def next(self) -> UtcMonth:
        """Return the month after it."""
        return UtcMonth(self.year + self.month // 12, self.month % 12 + 1)

    @property
    def first(self) -> int:
        """Return its first moment, in seconds since 1970."""
        return int(datetime(self.year, self.month, 1, tzinfo=UTC).timestamp())

    @property
    def end(self) -> int:
        """Return the first moment after it, in seconds since 1970."""
        return self.next.first
