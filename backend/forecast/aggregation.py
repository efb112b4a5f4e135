"""Bernstein online aggregation (BOA): the weights of experts from their regrets, with experts that sleep.

Gradient form for the absolute loss. Wintenberger 2017, Machine Learning 106, 119-141. Rates, regrets and
weights are those of the R package `opera` (R/BOA.R, commit 01cb9fc): `1 / eta²` grows by 2.2 r², R by
`r - eta r²` with the new eta, and a weight is `eta exp(eta R)`. Older versions limited the rate by
`1 / (2 max |r|)` and `sqrt(log(N) / sum of r²)`. There `1 / eta²` starts from 0, here from 1.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from backend.forecast.cells import CLASSES, Floats

RATE = 2.2
"""How much of a squared regret is added to 1 / eta²."""


class Aggregation(NamedTuple):
    """What BOA knows, (units, experts, classes): 1 / eta², in squared units of the parameter, and regrets."""

    inverse_rate: Floats
    regret: Floats


def fresh(units: int, experts: int) -> Aggregation:
    """Return the start: learning rates of 1, because an infinite rate at the start ends in NaN."""
    shape = (units, experts, CLASSES)
    return Aggregation(np.ones(shape), np.zeros(shape))


def weights(known: Aggregation, experts: Floats) -> Floats:
    """Return the weights, (units, experts, 8, 4), that add up to 1 over the experts with a value.

    All 0 in a cell without any. The weight of a sleeping expert goes to the others in their proportions.
    """
    rate = 1.0 / np.sqrt(known.inverse_rate)
    logarithm = (np.log(rate) + rate * known.regret)[..., None]
    awake = ~np.isnan(experts)
    logarithm = np.where(awake, logarithm, -np.inf)
    highest = logarithm.max(axis=1, keepdims=True)
    relative = np.exp(logarithm - np.where(np.isfinite(highest), highest, 0.0))
    total = relative.sum(axis=1, keepdims=True)
    return np.asarray(relative / np.where(total > 0, total, 1.0))


def combine(weight: Floats, experts: Floats) -> Floats:
    """Return the weighted mean of the awake experts, (units, 8, 4); NaN where all sleep."""
    combined = (weight * np.where(np.isnan(experts), 0.0, experts)).sum(axis=1)
    return np.where(weight.sum(axis=1) > 0, combined, np.nan)


def regrets(experts: Floats, combined: Floats, observed: Floats) -> Floats:
    """Return `sign(p - o)(p - f)`, (units, experts, 8, 4): positive where the expert is better."""
    gradient = np.sign(combined - observed)[:, None]
    return np.asarray(gradient * (combined[:, None] - experts))


def update(known: Aggregation, regrets: Floats) -> Aggregation:
    """Return the state after a day: one step per class, its regret the mean over the class's hours.

    An expert that slept, and a class without an observation, book none.
    """
    there = ~np.isnan(regrets)
    count = there.sum(axis=-1)
    regret = np.where(there, regrets, 0.0).sum(axis=-1) / np.maximum(count, 1)
    inverse_rate = known.inverse_rate + RATE * regret**2
    return Aggregation(inverse_rate, known.regret + regret - regret**2 / np.sqrt(inverse_rate))
