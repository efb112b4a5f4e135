"""How a model is wrong: its mean error, by the clock, by what it said and by how far ahead it said it.

Everything is given the forecast, never given the observation: noise alone makes a model look too low on days
that were observed to be windy (Lerch et al. 2017, Stat. Sci.).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from backend.scoring.bootstrap import score_interval
from backend.scoring.continuous import mean_error
from backend.scoring.direction import steady_bias
from backend.scoring.formula import Formula
from backend.scoring.grid import Bools
from backend.scoring.groups import Given, given_forecast
from backend.scoring.intervals import Interval
from backend.scoring.labels import Sample as SampleSize
from backend.scoring.labels import sample_of, stratum_may_be_shown
from backend.scoring.quantities import Quantity, forecast_side, observed_side, pairs, sums
from backend.scoring.sample import Sample
from backend.scoring.strata import Stratum, groups

BIASED = tuple(quantity for quantity in Quantity if quantity is not Quantity.WIND)
"""What has a bias: the length of a vector error has no sign."""

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
    given: tuple[Given, ...]


def bias_of(quantity: Quantity) -> Formula[Any]:
    """Return what the bias of a quantity is: of directions the steady turn, else the mean error."""
    return steady_bias if quantity is Quantity.WIND_DIRECTION else mean_error


def model_bias(sample: Sample, quantity: Quantity, model: str) -> ModelBias:
    """Return how a model is wrong, on its own pairs. Raises ValueError for a quantity without bias."""
    if quantity not in BIASED:
        raise ValueError(f"{quantity} has no bias")
    side, observed = forecast_side(sample, quantity, model), observed_side(sample, quantity)
    there = pairs(quantity, side, observed)
    whole = group_bias(sample, quantity, model, "all", always=True)
    size = sample_of(np.asarray(there.any(axis=1)), sample.months)
    wind = quantity in {Quantity.WIND_SPEED, Quantity.WIND_GUST}
    return ModelBias(
        model=model,
        n_pairs=whole.n_pairs,
        size=size,
        mean_error=whole.mean_error if size.shows_values else None,
        interval=whole.interval if size.shows_values else None,
        groups={
            stratum: tuple(
                group_bias(sample, quantity, model, name, mask)
                for name, mask in groups(sample, stratum, model).each()
            )
            for stratum in CLOCKS
        },
        given=given_forecast(side.main, observed.main) if wind else (),
    )


def lead_bias(samples: Sequence[Sample], quantity: Quantity, model: str) -> tuple[GroupBias, ...]:
    """Return a model's bias in each of several views, named by them."""
    return tuple(group_bias(sample, quantity, model, sample.view.name) for sample in samples)


def group_bias(
    sample: Sample,
    quantity: Quantity,
    model: str,
    name: str,
    mask: Bools | None = None,
    *,
    always: bool = False,
) -> GroupBias:
    """Return the bias within `mask`; None for too few days to be shown, unless it is `always`."""
    side, observed = forecast_side(sample, quantity, model), observed_side(sample, quantity)
    of_days = sums(quantity, side, observed, mask)
    counts: Any = of_days
    days = int((counts.n > 0).sum())
    shown = always or stratum_may_be_shown(days)
    formula = bias_of(quantity)
    value = formula(of_days.total()) if shown else None
    return GroupBias(
        group=name,
        n_pairs=int(counts.n.sum()),
        n_days=days,
        shown=shown,
        mean_error=value,
        interval=None if value is None else score_interval(formula, of_days),
    )
