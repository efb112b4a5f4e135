"""The units of a decision: one per site, with its station, its models and its state.

A state is read from the cache if that fits; else it is the replay of the stored learning days, which gives
the same bits.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from backend.core.columns import Ints
from backend.core.local_time import HOURS_A_DAY, date_of, day_of_epoch
from backend.core.parameters import ABSENT, Parameter
from backend.forecast.cells import Floats, to_cells
from backend.forecast.experts import DIRECTION, TEMPERATURE, WIND, Rules
from backend.forecast.learning import Day, State, learn, relearn
from backend.issuing.packing import UnitState
from backend.scoring.grid import Values, clock_hours, to_units
from backend.storage.learning_days import LearningDay

RULES: Mapping[Parameter, Rules] = {
    Parameter.WIND_SPEED: WIND,
    Parameter.WIND_GUST: WIND,
    Parameter.WIND_DIRECTION: DIRECTION,
    Parameter.TEMPERATURE: TEMPERATURE,
}
"""The parameters that are issued."""

_NEVER = 2**31


@dataclass(frozen=True, slots=True, eq=False)
class Unit:
    """A site at a decision: learned from local day `first` on, with `learned` days.

    `saved_as`: the bytes of the cache that the state was read from, None of a replay.
    """

    site: str
    station: str
    first: int
    learned: int
    known: UnitState
    announced: Mapping[str, Ints]
    saved_as: bytes | None = None

    def coming(self, day: int) -> Floats:
        """Return what the models announce for a day, (1, models, 8, 4), in the unit of the parameter."""
        return models_of(self.announced, self.known.models, day)


def replayed(
    days: Sequence[LearningDay], models: Sequence[str], rules: Rules, moved: int = 0
) -> tuple[UnitState, int]:
    """Return the state after the stored learning days of a station, and how many of them are learned."""
    inputs = [inputs_of(day, models) for day in days]
    start = state = State.fresh(1, len(models))
    issued, last = [], -1
    for day, (hours, now) in zip(inputs, relearn(inputs, start, rules), strict=True):
        state, last = now, day.decided
        issued.append(hours)
    waiting, learned = {}, 0
    for stored, day, hours in zip(days, inputs, issued, strict=True):
        if day.known <= last:
            learned += 1
        elif day.known < _NEVER:  # learned after the newest forecast
            state = learn(state, hours, day.observed, circular=rules.circular)
            learned += 1
        else:
            waiting[stored.models.day] = hours
    newest = days[-1].models.day if days else -1
    return UnitState(models, state, waiting, newest, moved), learned


def inputs_of(day: LearningDay, models: Sequence[str]) -> Day:
    """Return a stored day as an input of the learning; readings that are missing are never known."""
    number, readings = day.models.day, day.readings
    nothing = np.full(HOURS_A_DAY, ABSENT, np.int32)
    return Day(
        models=models_of(day.models.models, models, number),
        observed=in_cells(nothing if readings is None else readings.observed, number)[None],
        decided=day_of_epoch(day.models.decided_at),
        known=_NEVER if readings is None else day_of_epoch(readings.decided_at),
    )


def models_of(values: Mapping[str, Ints], models: Sequence[str], day: int) -> Floats:
    """Return values by model as cells (1, models, 8, 4), in the unit; NaN where a model is missing."""
    nothing = np.full(HOURS_A_DAY, ABSENT, np.int32)
    return in_cells(np.stack([values.get(name, nothing) for name in models]), day)[None]


def in_cells(hours: Values, day: int) -> Floats:
    """Return hours (..., 25) of a local day as cells (..., 8, 4), in the unit of the parameter."""
    clock = clock_hours(date_of(day), 1)[0]
    return to_cells(to_units(hours), clock)
