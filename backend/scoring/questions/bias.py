"""The bias of a model: its mean error by the clock, by its own forecast and by lead time.

Groups are formed by the forecast, never by the observation: noise alone makes a model look too low on days
that were observed to be windy (Lerch et al. 2017, Stat. Sci.).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from backend.scoring.constants import STRATUM_DAYS
from backend.scoring.grid import CLOCK, Hours, Integers
from backend.scoring.inference.group_intervals import (
    beside,
    bias_intervals,
    days_of,
    group_sums,
)
from backend.scoring.intervals import Interval
from backend.scoring.metrics.sums import ErrorKind, ErrorSums, number
from backend.scoring.sample.quantities import SINGLE_VALUED, Quantity, QuantitySample
from backend.scoring.sample.sample import Sample
from backend.scoring.sample.strata import Stratum, clock_groups, groups
from backend.scoring.sample.wind_groups import ConditionalQuantiles, given_forecast
from backend.scoring.sample_size import SampleSize, sample_of

PARTS = tuple(
    (index[:, None] == np.arange(len(names))).astype(np.int64)
    for names, index in (
        clock_groups(stratum, np.arange(CLOCK)) for stratum in (Stratum.PART_OF_DAY, Stratum.DAY_AND_NIGHT)
    )
)
"""Which hours of the clock are in which part of a day, (24, parts), in the order of CLOCKS."""

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
    """A model's bias in all hours and in groups, and the distribution of observations given its forecast."""

    model: str
    n_pairs: int
    size: SampleSize
    mean_error: float | None
    interval: Interval | None
    groups: Mapping[Stratum, tuple[GroupBias, ...]]
    leads: tuple[GroupBias, ...]
    given: tuple[ConditionalQuantiles, ...]


def model_bias(
    sample: Sample,
    quantity: Quantity,
    model: str,
    leads: Sequence[Sample] = (),
    *,
    clock_hours: Hours = Hours.ALL,
) -> ModelBias:
    """Return how a model is wrong, on its own pairs; `leads` are the same question in other views.

    The groups by the clock are of `clock_hours`, among which the sample's are. Raises ValueError for a
    quantity without bias.
    """
    if quantity not in SINGLE_VALUED:
        raise ValueError(f"{quantity} has no bias")
    of_quantity, kind = QuantitySample(sample, quantity), quantity.kind
    groupings = [groups(sample, stratum, model) for stratum in CLOCKS]
    hourly = QuantitySample(sample.within(clock_hours), quantity).hourly(model)
    tables = [
        group_sums(hourly, groupings[0]),
        group_sums(hourly, groupings[-1]),
    ]  # hours not counted have no sector
    if leads:
        observed = of_quantity.observed
        series = [QuantitySample(lead, quantity).series(model) for lead in leads]
        tables.append(beside([kind.hourly(forecast, observed).of_days() for forecast in series]))
    whole, *of_groups = _biases(kind, tables, sample.hours)
    size = sample_of(of_quantity.pairs(model), sample.span.months)
    wind = quantity in {Quantity.WIND_SPEED, Quantity.WIND_GUST}
    return ModelBias(
        model=model,
        n_pairs=whole[0].n_pairs,
        size=size,
        mean_error=whole[0].mean_error if size.label.shows_values else None,
        interval=whole[0].interval if size.label.shows_values else None,
        groups={
            stratum: tuple(map(_shown, kind.names, values))
            for stratum, kind, values in zip(CLOCKS, groupings, of_groups, strict=False)
        },
        leads=tuple(map(_shown, (lead.view.name for lead in leads), of_groups[-1])) if leads else (),
        given=given_forecast(of_quantity.series(model).main, of_quantity.observed.main) if wind else (),
    )


def given_winds(sample: Sample, model: str, limit: float) -> tuple[ConditionalQuantiles, ...]:
    """Return what was observed for each class of a model's mean wind, and how often above a limit (km/h)."""
    of_quantity = QuantitySample(sample, Quantity.WIND_SPEED)
    return given_forecast(of_quantity.series(model).main, of_quantity.observed.main, limit=limit)


class _Bias(NamedTuple):
    n_pairs: int
    n_days: int
    mean_error: float | None
    interval: Interval | None


def _biases(kind: ErrorKind, tables: Sequence[ErrorSums], hours: Hours) -> list[list[_Bias]]:
    """Return the bias of the hours that count, of each hour and part of a day, and of the other groups."""
    whole = hours.counted(np.arange(CLOCK))

    def with_parts(column: Integers) -> Integers:
        """Return the sums of the hours that count, of each hour, of the parts of a day, and of the others."""
        of_hours = column[:, :CLOCK]
        parts = [of_hours @ part for part in PARTS]
        counted = of_hours[:, whole].sum(axis=1)[:, None]
        return np.concatenate([counted, of_hours, *parts, column[:, CLOCK:]], axis=1)

    together = beside(tables).each(with_parts)
    totals, formula = together.total(), kind.bias
    assert formula is not None  # noqa: S101  # model_bias refuses what has none
    values = map(number, formula.each(totals).tolist())
    columns = (
        totals.n.tolist(),
        days_of(together).tolist(),
        values,
        bias_intervals(kind, together),
    )
    biases = [_Bias(*row) for row in zip(*columns, strict=True)]
    # In the order of with_parts(): the rest are the groups of the other tables.
    rest = [table.n.shape[1] for table in tables[1:]]
    widths = [1, CLOCK, *(part.shape[1] for part in PARTS), *rest]
    starts = np.cumsum([0, *widths])
    return [biases[start : start + width] for start, width in zip(starts, widths, strict=False)]


def _shown(group: str, bias: _Bias) -> GroupBias:
    """Return a group as it may be shown: without values where it has too few days."""
    shown = bias.n_days >= STRATUM_DAYS.value
    return GroupBias(
        group=group,
        n_pairs=bias.n_pairs,
        n_days=bias.n_days,
        shown=shown,
        mean_error=bias.mean_error if shown else None,
        interval=bias.interval if shown else None,
    )
