"""What a decision gives for sites with the same models: computed together, with the bits of each alone."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
from numpy.typing import NDArray

from backend.core.columns import Ints
from backend.core.issued import LEVELS, Input, IssuedHours
from backend.core.local_time import HOUR, date_of, local_moment
from backend.forecast import experts, interval
from backend.forecast.cells import Floats, from_cells
from backend.forecast.gate import Stage, stage
from backend.forecast.learning import Advice, ForecastHours, State, advise_with_others, issue, learn
from backend.issuing.packing import UnitState
from backend.issuing.units import Unit, in_cells
from backend.scoring.grid import SCALE, clock_hours

_LEVELS = [int(np.flatnonzero(np.isclose(interval.LEVELS, level / 100))[0]) for level in LEVELS]
_WEIGHT_SCALE = 1000


@dataclass(frozen=True, slots=True, eq=False)
class Made:
    """The result of a decision for a unit: the state for the cache, and the row, without the gate's state.

    `hours` is None with too few learned days, and without a model for the day.
    """

    content: bytes
    hours: IssuedHours | None


def made(
    units: Sequence[Unit],
    readings: Sequence[Mapping[int, Ints]],
    inputs: Sequence[Mapping[str, tuple[Input, ...]]],
    day: int,
    rules: experts.Rules,
) -> list[Made]:
    """Return what follows for units of the same models that learn the same days.

    `readings`: of each unit, by local day. `inputs`: the runs of each model, for the row.
    """
    state = State.joined([unit.known.state for unit in units])
    for learned in sorted(readings[0]):
        issued = [unit.known.waiting[learned] for unit in units]
        advice = Advice(
            *(np.concatenate([getattr(one, part.name) for one in issued]) for part in fields(Advice))
        )
        observed = in_cells(np.stack([of_unit[learned] for of_unit in readings]), learned)
        state = learn(state, advice, observed, circular=rules.circular)
    models = np.concatenate([unit.coming(day) for unit in units])
    hours = issue(state, models, rules)
    rows = _Rows.of(hours, _placebo(state, models, rules), day)
    found = []
    for index, unit in enumerate(units):
        waiting = {of: one for of, one in unit.known.waiting.items() if of not in readings[0]}
        newest = unit.known.newest
        if unit.announced:
            waiting[day] = Advice(*(getattr(hours, part.name)[index : index + 1] for part in fields(Advice)))
            newest = day
        known = UnitState(unit.known.models, state.taken([index]), waiting, newest, unit.known.moved)
        days = int(state.days[index])
        is_issued = bool(unit.announced) and stage(days) is not Stage.NOTHING
        found.append(Made(known.packed(), rows.row(index, unit, days, inputs[index]) if is_issued else None))
    return found


def _placebo(state: State, models: Floats, rules: experts.Rules) -> Floats:
    """Return the models of each unit, combined by what another unit learned; NaN for a single unit."""
    count = len(models)
    if count < 2:
        return np.full((count, *models.shape[2:]), np.nan)
    others = [(unit + 1) % count for unit in range(count)]
    return advise_with_others(state, others, models, rules).combined


@dataclass(frozen=True, slots=True, eq=False)
class _Rows:
    """The hours of a day that exist, and the values of all units in thousandths, None where missing."""

    times: tuple[int, ...]
    hours: ForecastHours
    values: NDArray[Any]
    quantiles: NDArray[Any]
    weights: NDArray[Any]
    best_values: NDArray[Any]
    best_quantiles: NDArray[Any]
    placebo: NDArray[Any]

    @classmethod
    def of(cls, hours: ForecastHours, placebo: Floats, day: int) -> _Rows:
        clock = clock_hours(date_of(day), 1)[0]
        exists = np.flatnonzero(clock >= 0)

        def listed(cells: Floats, scale: int = SCALE) -> NDArray[Any]:
            values = from_cells(cells, clock)[..., exists]
            missing = np.isnan(values)
            scaled = np.rint(np.where(missing, 0.0, values) * scale)
            whole: NDArray[Any] = scaled.astype(np.int64).astype(object)
            whole[missing] = None
            return whole

        levels = (np.moveaxis(each[..., _LEVELS], -1, 1) for each in (hours.quantiles, hours.best_quantiles))
        quantiles, best_quantiles = (listed(each) for each in levels)
        return cls(
            times=tuple(local_moment(day) + HOUR * column for column in exists.tolist()),
            hours=hours,
            values=listed(hours.value),
            quantiles=quantiles,
            weights=listed(hours.weights, _WEIGHT_SCALE),
            best_values=listed(hours.best_value),
            best_quantiles=best_quantiles,
            placebo=listed(placebo),
        )

    def row(self, index: int, unit: Unit, days: int, inputs: Mapping[str, tuple[Input, ...]]) -> IssuedHours:
        """Return what is recorded of a unit."""
        names, best = experts.expert_names(unit.known.models), int(self.hours.best[index])
        has_weight = (self.hours.weights[index] > 0).any(axis=(1, 2))
        placebo = self.placebo[index].tolist()
        return IssuedHours(
            times=self.times,
            values=tuple(self.values[index].tolist()),
            quantiles=tuple(map(tuple, self.quantiles[index].tolist())),
            weights={
                name: tuple(weight)
                for name, weight, there in zip(names, self.weights[index].tolist(), has_weight, strict=True)
                if there
            },
            inputs=tuple(run for name in unit.announced for run in inputs[name]),
            station=unit.station,
            days=days,
            best=unit.known.models[best] if best >= 0 else "",
            best_values=tuple(self.best_values[index].tolist()) if best >= 0 else (),
            best_quantiles=tuple(map(tuple, self.best_quantiles[index].tolist())) if best >= 0 else (),
            placebo=() if placebo == [None] * len(placebo) else tuple(placebo),
        )
