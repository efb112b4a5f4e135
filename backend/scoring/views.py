"""The views of a forecast: which run of a model counts for an hour.

The decision views take what a pilot could know at a moment of the local day; the lead views take a range of
lead times, whenever the run came. Their numbers are stored, so that none is ever used again for another.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from backend.scoring.grid import Integers


@dataclass(frozen=True, slots=True)
class DecisionView:
    """What was known at `hour` o'clock local time, `days_before` the day that the forecast is for.

    Hours before the decision are not in the view.
    """

    number: int
    name: str
    hour: int
    days_before: int

    @property
    def first_hour(self) -> int:
        """The first o'clock of a day that it has forecasts of: none before its own decision."""
        return 0 if self.days_before else self.hour

    def newest_known_day(self) -> Integers:
        """Return, for each hour 0 to 23, how many days back its newest observation known by then lies.

        An hour observed on the day of the decision is known if it is earlier than the decision; the day
        that is verified is never used.
        """
        known_that_day = (np.arange(24) < self.hour) & (self.days_before > 0)
        return np.where(known_that_day, self.days_before, self.days_before + 1)


@dataclass(frozen=True, slots=True)
class LeadView:
    """Forecasts from `first` to `last` whole hours ahead, the newest run of them."""

    number: int
    name: str
    first: int
    last: int

    @property
    def first_hour(self) -> int:
        """The first o'clock of a day that it has forecasts of."""
        return 0

    def newest_known_day(self) -> Integers:
        """Return, for each hour 0 to 23, how many days back its newest observation known by then lies."""
        return np.full(24, self.first // 24 + 1)


View = DecisionView | LeadView

MORNING = DecisionView(1, "morning", 7, 0)
NOON = DecisionView(2, "noon", 12, 0)
EVENING_BEFORE = DecisionView(3, "evening_before", 19, 1)
TWO_EVENINGS_BEFORE = DecisionView(4, "two_evenings_before", 19, 2)

DECISION_VIEWS = (MORNING, NOON, EVENING_BEFORE, TWO_EVENINGS_BEFORE)

FURTHEST_HOURS = 240
"""No forecast further ahead than this is scored."""

LEAD_VIEWS = (
    LeadView(11, "lead_0_5", 0, 5),
    LeadView(12, "lead_6_11", 6, 11),
    LeadView(13, "lead_12_23", 12, 23),
    LeadView(14, "lead_24_35", 24, 35),
    LeadView(15, "lead_36_47", 36, 47),
    LeadView(16, "lead_48", 48, FURTHEST_HOURS),
)

VIEWS: tuple[View, ...] = (*DECISION_VIEWS, *LEAD_VIEWS)
VIEW_OF = {view.name: view for view in VIEWS}

NEAREST = LEAD_VIEWS[0]
"""The view that readings are checked against: the freshest word of each model."""
