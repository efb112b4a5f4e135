"""Skill against a reference, and how skills of several groups are put together."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from backend.scoring.formula import Formula, number, ratio
from backend.scoring.grid import Floats, Integers
from backend.scoring.intervals import Interval, percentile


class PooledSkill(NamedTuple):
    """The mean of the groups' skills, and how many groups it rests on and leaves out."""

    skill: float | None
    used: int
    left_out: int
    interval: Interval | None = None


def skill_score(score: float | None, reference: float | None) -> float | None:
    """Return `1 - S / S_ref` for a score whose best is 0: 1 is perfect, 0 no better than the reference.

    Negative skill is said plainly: worse than yesterday's observation. None when a score is undefined
    or the reference is perfect.
    """
    if score is None or reference is None:
        return None
    return number(_skills(score, reference))


def pooled_skill(
    formula: Formula[Any], model: Any, reference: Any, drawn: tuple[Any, Any] | None = None
) -> PooledSkill:
    """Return the mean of the groups' skills, weighted by their pairs; groups without skill are left out.

    `model` and `reference` are sums of the same pairs, an entry for each group; `drawn` are replicates of
    both, a row for each. Sums are drawn again and not the skills: a replicate forms its own. Pooling the
    pairs of groups with different climates first, and forming one skill of them, would credit the model for
    knowing the climates. Hamill & Juras 2006, QJRMS 132. Raises ValueError for other pairs.
    """
    if not np.array_equal(model.n, reference.n):
        raise ValueError("the model and its reference were not summed over the same pairs")
    of_groups = _skills(formula.each(model), formula.each(reference))
    used = int(np.isfinite(of_groups).sum())
    mean = number(_averaged(of_groups, model.n))
    interval = None
    if drawn is not None and mean is not None:
        again, naive = drawn
        interval = percentile(_averaged(_skills(formula.each(again), formula.each(naive)), again.n))
    return PooledSkill(mean, used, len(of_groups) - used, interval)


def _skills(score: ArrayLike, reference: ArrayLike) -> Floats:
    return np.asarray(1.0 - ratio(score, reference))


def _averaged(skills: Floats, n: Integers) -> Floats:
    """Return the mean along the last axis, weighted by `n`, of what is defined."""
    defined = np.isfinite(skills)
    total = np.where(defined, skills * n, 0.0).sum(axis=-1)
    return ratio(total, np.where(defined, n, 0).sum(axis=-1))
