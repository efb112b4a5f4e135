"""The moments at which a pilot decides; each model is scored with the newest run available by then."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from backend.scoring.grid import Integers


@dataclass(frozen=True, slots=True)
class DecisionView:
    """A decision at `hour` o'clock local time, `days_before` the day the forecast speaks of."""

    name: str
    hour: int
    days_before: int

    @property
    def steps_ahead(self) -> int:
        """The h of Diebold-Mariano: the daily observations between issue and verification.

        The same day 1, issued the evening before 2, two evenings before 3.
        """
        return self.days_before + 1

    def newest_known_day(self) -> Integers:
        """Return, for each hour 0 to 23, how many days back its newest observation known by then lies.

        An hour observed on the day of the decision is known if it is earlier than the decision; the day
        that is verified is never used.
        """
        known_that_day = (np.arange(24) < self.hour) & (self.days_before > 0)
        return np.where(known_that_day, self.days_before, self.days_before + 1)


DECISION_VIEWS = (
    DecisionView("morning", 7, 0),
    DecisionView("noon", 12, 0),
    DecisionView("evening_before", 19, 1),
    DecisionView("two_evenings_before", 19, 2),
)
"""Our choice: when pilots look, on the day, the evening before, and when planning a weekend."""
