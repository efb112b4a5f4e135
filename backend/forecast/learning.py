"""One step of learning per day, and the forecast that follows from what is known.

`issue(state, models)` at the time of a decision gives the hours of the coming day. When the readings of that
day are known, `learn(state, issued, observed)` learns from the hours as they were issued. Both are pure, and
the same inputs give the same bits. A state has one or several units: stations of one parameter and one view.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import NamedTuple, Self, TypeVar

import numpy as np
from numpy.typing import NDArray

from backend.forecast import aggregation, directions, experts, interval
from backend.forecast.cells import CLASSES, PLACES, Floats, Integers
from backend.forecast.experts import Rules

METHOD = "boa-4"
"""Version of the method: another one for each change that changes a figure."""

STEPS = 1000
"""Steps of a unit in which combinations are kept."""

_UNITS_AXIS = {"moments": 1, "climate": 1, "losses": 1}
"""The axis of the units in the arrays that have another one first."""


@dataclass(frozen=True, slots=True, eq=False)
class State:
    """What is known about units after some days; nothing is changed in place.

    `past_values`: (units, 90 days, 1 + models, 8, 4), oldest first: the combination and each raw model as
    issued. `past_readings`: (units, 90 days, 8, 4). `losses`: (2, units, models) the sum of daily MAE of raw
    models; days. `days`: (units,) how many days with a pair were learned.
    """

    memory: experts.Memory
    known: aggregation.Aggregation
    past_values: Floats
    past_readings: Floats
    losses: Floats
    days: Integers

    @classmethod
    def fresh(cls, units: int, models: int) -> Self:
        """Return the state before the first day: for a new station, or one that was moved."""
        past = np.full((units, interval.WINDOW, 1 + models, CLASSES, PLACES), np.nan)
        return cls(
            experts.fresh(units, models),
            aggregation.fresh(units, experts.expert_count(models)),
            past,
            past[:, :, 0],
            np.zeros((2, units, models)),
            np.zeros(units, dtype=np.int64),
        )

    def arrays(self) -> dict[str, NDArray[np.float64]]:
        """Return the state as named arrays, to be stored."""
        return {
            **self.memory._asdict(),
            **self.known._asdict(),
            "past_values": self.past_values,
            "past_readings": self.past_readings,
            "losses": self.losses,
            "days": self.days.astype(float),
        }

    def restarted(self, unit: int) -> Self:
        """Return the state with a unit at its start again: its station changed, or its mast was moved."""
        parts, new = self.arrays(), self.fresh(1, self.losses.shape[2]).arrays()
        for name in parts:
            parts[name] = parts[name].copy()
            np.moveaxis(parts[name], _UNITS_AXIS.get(name, 0), 0)[unit] = np.moveaxis(
                new[name], _UNITS_AXIS.get(name, 0), 0
            )[0]
        return self.from_arrays(parts)

    def taken(self, units: Sequence[int]) -> Self:
        """Return the state of `units`, in their order."""
        parts = self.arrays().items()
        return self.from_arrays({name: part.take(units, _UNITS_AXIS.get(name, 0)) for name, part in parts})

    @classmethod
    def joined(cls, states: Sequence[Self]) -> Self:
        """Return one state of the units of several, in their order; all have the same models."""
        parts = [state.arrays() for state in states]
        return cls.from_arrays(
            {
                name: np.concatenate([each[name] for each in parts], axis=_UNITS_AXIS.get(name, 0))
                for name in parts[0]
            }
        )

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, NDArray[np.float64]]) -> Self:
        """Return the state of `arrays`."""
        return cls(
            experts.Memory(*(arrays[name] for name in experts.Memory._fields)),
            aggregation.Aggregation(*(arrays[name] for name in aggregation.Aggregation._fields)),
            arrays["past_values"],
            arrays["past_readings"],
            arrays["losses"],
            arrays["days"].astype(np.int64),
        )


@dataclass(frozen=True, slots=True, eq=False)
class Advice:
    """What the experts give for a day, in the unit of the parameter; NaN where there is none.

    `experts`: (units, experts, 8, 4). `combined`: (units, 8, 4), in whole thousandths as in the record. A day
    is learned from it.
    """

    experts: Floats
    combined: Floats


@dataclass(frozen=True, slots=True, eq=False)
class ForecastHours(Advice):
    """The forecast of a day, in the unit of the parameter; NaN where there is none.

    `weights`: of the experts. `value`: what is published, the median, or the combination while there is no
    interval. `quantiles`: (units, 8, 4, 19) at interval.LEVELS. `best`: (units,) the index of the best raw
    model so far, -1 for none; `best_value`, `best_quantiles`: that model, also dressed with its past errors.
    Quantiles of a direction are turns from the value, which is the combination, and from `best_value`.
    """

    weights: Floats
    value: Floats
    quantiles: Floats
    best: Integers
    best_value: Floats
    best_quantiles: Floats


def advise(state: State, models: Floats, rules: Rules) -> Advice:
    """Return the experts and their combination from the models' values, NaN where one is missing."""
    return _advised(state, models, rules)[0]


def advise_with_others(state: State, others: Sequence[int], models: Floats, rules: Rules) -> Advice:
    """Return the advice of what other units learned: of `others`, one for each unit."""
    memory = [part.take(others, _UNITS_AXIS.get(name, 0)) for name, part in state.memory._asdict().items()]
    known = [part.take(others, 0) for part in state.known]
    learned = replace(state, memory=experts.Memory(*memory), known=aggregation.Aggregation(*known))
    return _advised(learned, models, rules)[0]  # the past is of the interval only


def _advised(state: State, models: Floats, rules: Rules) -> tuple[Advice, Floats]:
    """Return the advice with the weights of the experts."""
    if rules.circular:
        advice = directions.advise(state.memory, models)
    else:
        advice = experts.advise(state.memory, models, rules)
    weights = aggregation.weights(state.known, advice)
    combined = (directions if rules.circular else aggregation).combine(weights, advice)
    steps = np.rint(combined * STEPS)
    return Advice(advice, (steps % (360 * STEPS) if rules.circular else steps) / STEPS), weights


def issue(state: State, models: Floats, rules: Rules) -> ForecastHours:
    """Return the forecast from the models' values, (units, models, 8, 4), NaN where one is missing."""
    advice, weights = _advised(state, models, rules)
    units = np.arange(len(models))
    loss, days = state.losses
    # A model of a few days must not win against one of many: it needs half of the days of the longest.
    there = ~np.isnan(models).all(axis=(2, 3)) & (days > 0) & (2 * days >= days.max(axis=1, keepdims=True))
    score = np.where(there, loss / np.maximum(days, 1), np.inf)
    best = np.where(there.any(axis=1), score.argmin(axis=1), -1)
    best_value = np.where((best >= 0)[:, None, None], models[units, best], np.nan)
    both = np.stack([advice.combined, best_value], axis=1)
    columns = np.stack([np.zeros_like(best), np.maximum(best, 0) + 1], axis=1)
    past = state.past_values[units[:, None], :, columns]
    errors = interval.newest(state.past_readings, state.days)[:, None] - past
    if rules.circular:  # turns from the value, of all directions alike
        both, past, errors = both * 0.0, past * 0.0, directions.turn(errors)
    dressed = interval.dressed(both, past, errors, rules.least)
    median = dressed[:, 0, ..., interval.MEDIAN]
    value = advice.combined if rules.circular else np.where(np.isnan(median), advice.combined, median)
    return ForecastHours(
        advice.experts,
        advice.combined,
        weights,
        value,
        dressed[:, 0],
        best.astype(np.int64),
        best_value,
        dressed[:, 1],
    )


def learn(state: State, issued: Advice, observed: Floats, *, circular: bool = False) -> State:
    """Return the state after the day of `issued`, with its observations, (units, 8, 4); NaN where missing.

    `circular` as in the rules that it was issued by; directions are those of `directions.in_wind`.
    """
    models = issued.experts[:, : state.losses.shape[2]]
    values = np.concatenate([issued.combined[:, None], models], axis=1)
    errors = observed[:, None] - values
    if circular:
        errors = directions.turn(errors)
    there = ~np.isnan(errors)
    count = there.sum(axis=(2, 3))
    loss = np.where(there, np.abs(errors), 0.0).sum(axis=(2, 3)) / np.maximum(count, 1)
    return State(
        (directions if circular else experts).remember(state.memory, models, observed),
        aggregation.update(
            state.known,
            (directions if circular else aggregation).regrets(issued.experts, issued.combined, observed),
        ),
        np.concatenate([state.past_values[:, 1:], values[:, None]], axis=1),
        np.concatenate([state.past_readings[:, 1:], observed[:, None]], axis=1),
        state.losses + np.stack([loss, count > 0])[:, :, 1:],
        state.days + (count[:, 0] > 0),
    )


class Day(NamedTuple):
    """The stored inputs of a day: models as known at the decision, and the readings.

    `decided`: day number of the decision. `known`: day from which on the readings count, by arrival.
    """

    models: Floats
    observed: Floats
    decided: int
    known: int


def replay(days: Sequence[Day], state: State, rules: Rules) -> Iterator[tuple[ForecastHours, State]]:
    """Yield what was issued for each day, and the state that it was issued from, in the order of `days`.

    Before a decision it learns the days whose readings were known by then, in the order of the days.
    Raises ValueError if `days` are not in the order of their decisions.
    """
    return _in_order(days, state, rules, issue)


def relearn(days: Sequence[Day], state: State, rules: Rules) -> Iterator[tuple[Advice, State]]:
    """Yield the advice for each day, and the state that it was given from, as `replay` without intervals."""
    return _in_order(days, state, rules, advise)


Hours = TypeVar("Hours", bound=Advice)


def _in_order(
    days: Sequence[Day], state: State, rules: Rules, step: Callable[[State, Floats, Rules], Hours]
) -> Iterator[tuple[Hours, State]]:
    if any(a.decided > b.decided for a, b in pairwise(days)):
        raise ValueError("the days are not in the order of their decisions")
    waiting: list[tuple[Day, Hours]] = []
    for day in days:
        for earlier, of_earlier in waiting:
            if earlier.known <= day.decided:
                state = learn(state, of_earlier, earlier.observed, circular=rules.circular)
        waiting = [pair for pair in waiting if pair[0].known > day.decided]
        issued = step(state, day.models, rules)
        waiting.append((day, issued))
        yield issued, state
