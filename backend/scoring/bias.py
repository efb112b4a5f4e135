"""How a model is wrong: its mean error, by the clock, by what it said and by how far ahead it said it.

Everything is given the forecast, never given the observation: noise alone makes a model look too low on days
that were observed to be windy (Lerch et al. 2017, Stat. Sci.).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from backend.scoring.continuous import mean_error
from backend.scoring.direction import steady_bias
from backend.scoring.formula import Formula, number
from backend.scoring.grid import Integers
from backend.scoring.grouped import beside, days_of, drawn_from, extent, group_sums, intervals, over_days
from backend.scoring.groups import Given, given_forecast
from backend.scoring.intervals import Interval
from backend.scoring.labels import Sample as SampleSize
from backend.scoring.labels import sample_of, stratum_may_be_shown
from backend.scoring.quantities import Quantity, forecast_side, observed_side, pairs
from backend.scoring.sample import Sample
from backend.scoring.scores import days_with, sized
from backend.scoring.strata import CLOCK, Stratum, clock_groups, groups, whole_of
from backend.scoring.sums import Sums

BIASED = tuple(quantity for quantity in Quantity if quantity is not Quantity.WIND)
"""What has a bias: the length of a vector error has no sign."""

PARTS = tuple(
    tuple(np.flatnonzero(index == number) for number in range(len(names)))
    for names, index in (
        clock_groups(stratum, np.arange(CLOCK)) for stratum in (Stratum.PART_OF_DAY, Stratum.DAY_AND_NIGHT)
    )
)
"""Which hours of the clock are in which part of a day, in the order of CLOCKS."""

NEEDED = ("n", "sum_f", "sum_o", "sum_sin", "sum_cos")
"""The sums that a bias is formed of, of speeds and temperatures or of directions."""

CLOCKS = (Stratum.HOUR, Stratum.PART_OF_DAY, Stratum.DAY_AND_NIGHT, Stratum.SECTOR)


@dataclass(frozen=True, slots=True, kw_only=True)
class GroupBias:
    """The mean error of a group in the quantity's unit, None where it has too few days to be shown."""

    group: str
    n_pairs: int
    n_days: int
    shown: bool
    mean_error: float | None
    interval: Interval | None


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelBias:
    """A model's bias in all, in groups, and what was observed given what it said."""

    model: str
    n_pairs: int
    size: SampleSize
    mean_error: float | None
    interval: Interval | None
    groups: Mapping[Stratum, tuple[GroupBias, ...]]
    leads: tuple[GroupBias, ...]
    given: tuple[Given, ...]


def bias_of(quantity: Quantity) -> Formula[Any]:
    """Return what the bias of a quantity is: of directions the steady turn, else the mean error."""
    return steady_bias if quantity is Quantity.WIND_DIRECTION else mean_error


def model_bias(sample: Sample, quantity: Quantity, model: str, leads: Sequence[Sample] = ()) -> ModelBias:
    """Return how a model is wrong, on its own pairs; `leads` are the same question in other views.

    Raises ValueError for a quantity without bias.
    """
    if quantity not in BIASED:
        raise ValueError(f"{quantity} has no bias")
    side, observed = forecast_side(sample, quantity, model), observed_side(sample, quantity)
    kinds = [groups(sample, stratum, model) for stratum in CLOCKS]
    tables = [group_sums(quantity, side, observed, kinds[0]), group_sums(quantity, side, observed, kinds[-1])]
    tables += [
        group_sums(quantity, forecast_side(each, quantity, model), observed, whole_of(each)) for each in leads
    ]
    found = _group_biases(quantity, tables)
    whole = found[0][0]
    size = sample_of(days_with(pairs(quantity, side, observed)), sample.months)
    wind = quantity in {Quantity.WIND_SPEED, Quantity.WIND_GUST}
    return ModelBias(
        model=model,
        n_pairs=whole.n_pairs,
        size=size,
        mean_error=whole.mean_error if size.shows_values else None,
        interval=whole.interval if size.shows_values else None,
        groups={
            stratum: _named(kind.names, values)
            for stratum, kind, values in zip(CLOCKS, kinds, found[1:], strict=False)
        },
        leads=tuple(
            _shown(replace(values[0], group=each.view.name))
            for each, values in zip(leads, found[1 + len(CLOCKS) :], strict=True)
        ),
        given=given_forecast(side.main, observed.main) if wind else (),
    )


def _group_biases(quantity: Quantity, tables: Sequence[Sums]) -> list[list[GroupBias]]:
    """Return the bias of each group of each table, all from one draw of days."""
    by_hour = beside(tables)
    drawn = drawn_from(by_hour, NEEDED, extent(by_hour))
    drawn, together = None if drawn is None else _with_parts(drawn), _with_parts(by_hour)
    formula, totals = bias_of(quantity), over_days(together)
    counts, days = sized(totals).n, days_of(together)
    ends = intervals(formula, together, drawn)
    found = [
        GroupBias(
            group="",
            n_pairs=int(counts[index]),
            n_days=int(days[index]),
            shown=True,
            mean_error=number(value),
            interval=None if number(value) is None else ends[index],
        )
        for index, value in enumerate(formula.each(totals).tolist())
    ]
    rest = [sized(table).n.shape[1] for table in tables[1:]]
    widths = [1, CLOCK, *(len(part) for part in PARTS), *rest]
    starts = np.cumsum([0, *widths])
    return [found[start : start + width] for start, width in zip(starts, widths, strict=False)]


def _with_parts(by_hour: Sums) -> Sums:
    """Return the sums of all hours, of each, and of the parts of a day, before those of the other groups.

    Whatever adds up over hours need not be drawn again.
    """

    def widened(column: Integers) -> Integers:
        if not column.any():
            return np.zeros((len(column), column.shape[1] + 1 + sum(map(len, PARTS))), np.int64)
        hours = column[:, :CLOCK]
        parts = [hours[:, part].sum(axis=1) for of_day in PARTS for part in of_day]
        return np.concatenate(
            [hours.sum(axis=1)[:, None], hours, np.stack(parts, axis=1), column[:, CLOCK:]], axis=1
        )

    return by_hour.each(widened)


def _named(names: Sequence[str], values: Sequence[GroupBias]) -> tuple[GroupBias, ...]:
    return tuple(_shown(replace(value, group=name)) for name, value in zip(names, values, strict=True))


def _shown(found: GroupBias) -> GroupBias:
    """Return a group as it may be shown: without values where it has too few days."""
    if stratum_may_be_shown(found.n_days):
        return found
    return replace(found, shown=False, mean_error=None, interval=None)
