"""The views of a forecast: which run of a model speaks for an hour.

The decision views take what a pilot could know at a moment of the local day; the lead views take a range of
lead times, whenever the run came. Their numbers are stored, so that none is ever used again for another.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class DecisionView:
    """What was known at `hour` o'clock local time, `days_before` the day that the forecast speaks of.

    Hours before the decision are not in the view. `horizon` counts the daily observations that come between
    the decision and the hours it is about, as the Diebold-Mariano test wants it.
    """

    number: int
    name: str
    hour: int
    days_before: int

    @property
    def horizon(self) -> int:
        """Return h: same day 1, the day before 2, two days before 3."""
        return self.days_before + 1


@dataclass(frozen=True, slots=True)
class LeadView:
    """Forecasts from `first` to `last` whole hours ahead, the newest run of them."""

    number: int
    name: str
    first: int
    last: int

    @property
    def horizon(self) -> int:
        """Return h: how many daily observations come between issue and hour, at the most."""
        return self.first // 24 + 1


View = DecisionView | LeadView

MORNING = DecisionView(1, "morning", 7, 0)
NOON = DecisionView(2, "noon", 12, 0)
EVENING_BEFORE = DecisionView(3, "evening-before", 19, 1)
TWO_EVENINGS_BEFORE = DecisionView(4, "two-evenings-before", 19, 2)

DECISION_VIEWS = (MORNING, NOON, EVENING_BEFORE, TWO_EVENINGS_BEFORE)

FURTHEST_HOURS = 240
"""No forecast further ahead than this is scored."""

LEAD_VIEWS = (
    LeadView(11, "lead-0-5", 0, 5),
    LeadView(12, "lead-6-11", 6, 11),
    LeadView(13, "lead-12-23", 12, 23),
    LeadView(14, "lead-24-35", 24, 35),
    LeadView(15, "lead-36-47", 36, 47),
    LeadView(16, "lead-48", 48, FURTHEST_HOURS),
)

VIEWS: tuple[View, ...] = (*DECISION_VIEWS, *LEAD_VIEWS)
VIEW_NUMBERS = tuple(view.number for view in VIEWS)
VIEW_OF = {view.name: view for view in VIEWS}

NEAREST = LEAD_VIEWS[0]
"""The view that readings are checked against: the freshest word of each model."""
