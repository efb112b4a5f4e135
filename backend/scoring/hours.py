"""Which hours of the local clock a question counts: those in which pilots fly, those of the day, or all."""

from __future__ import annotations

from enum import StrEnum

import numpy as np

from backend.scoring.constants import DAY_FROM, DAY_UNTIL, FLYING_FROM, FLYING_UNTIL
from backend.scoring.grid import NO_HOUR, Bools, Integers


class Hours(StrEnum):
    """The hours of a question. Both ends are included."""

    FLYING = "flying"
    DAY = "day"
    ALL = "all"

    @property
    def ends(self) -> tuple[int, int]:
        """Return the first and the last hour of the local clock that count."""
        return _ENDS[self]

    @property
    def text(self) -> str:
        """Return the hours in words: "flying hours, 10 to 18"."""
        return _TEXTS[self]

    @property
    def noun(self) -> str:
        """Return the hours as the object of a sentence: "hours from 10 to 18"."""
        return "hours" if self is Hours.ALL else "hours from {:02d} to {:02d}".format(*self.ends)

    def counted(self, clock: Integers) -> Bools:
        """Return which columns count, given what the clock shows at each (`grid.clock_hours`)."""
        first, last = self.ends
        return np.asarray((clock != NO_HOUR) & (clock >= first) & (clock <= last))


_ENDS = {
    Hours.FLYING: (int(FLYING_FROM.value), int(FLYING_UNTIL.value)),
    Hours.DAY: (int(DAY_FROM.value), int(DAY_UNTIL.value)),
    Hours.ALL: (0, 23),
}
_TEXTS = {
    Hours.FLYING: "flying hours, {:02d} to {:02d}".format(*_ENDS[Hours.FLYING]),
    Hours.DAY: "daytime hours, {:02d} to {:02d}".format(*_ENDS[Hours.DAY]),
    Hours.ALL: "all hours",
}
