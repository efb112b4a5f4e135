"""Skill against a reference, and how skills of several groups are put together."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from backend.scoring.grid import Floats
from backend.scoring.inference.group_sums import over_days
from backend.scoring.inference.jackknife import jackknife, symmetric
from backend.scoring.intervals import Interval
from backend.scoring.metrics.formula import Formula, number, ratio


class PooledSkill(NamedTuple):
    """The mean of the groups' skills, and how many groups it rests on and leaves out."""

    skill: float | None
    used: int
    left_out: int
    interval: Interval | None = None


def skill_score(score: float | None, reference: float | None) -> float | None:
    """Return `1 - S / S_ref` for a score whose best is 0: 1 is perfect, 0 no better than the reference.

    Negative skill means worse than yesterday's observation. None when a score is undefined
    or the reference is perfect.
    """
    if score is None or reference is None:
        return None
    return number(_skills(score, reference))


def pooled_skills(formula: Formula[Any], models: Sequence[Any], reference: Any) -> list[PooledSkill]:
    """Return the mean of each model's skills in groups, weighted by pairs; those without skill are left out.

    All are sums of one kind, of the same pairs, columns (days, groups). For the interval each day is left out
    of all of them, and what remains forms its own skills. Pooling the pairs of groups with different climates
    first, and forming one skill of them, would credit a model for knowing the climates. Hamill & Juras 2006,
    QJRMS 132. Raises ValueError for other pairs.
    """
    n = reference.n
    if not all(np.array_equal(n, model.n) for model in models):
        raise ValueError("the models and their reference were not summed over the same pairs")
    columns = zip(*(table.columns() for table in (*models, reference)), strict=True)
    stacked = type(reference)(*(np.stack(tables, axis=1) for tables in columns))
    together = replace(stacked, n=n[:, None])  # the pairs are the same for all: (days, 1, groups)

    def skills_of(sums: Any) -> Floats:
        """Return the skill of each model and group against the last table, (..., models, groups)."""
        scores = formula.each(sums)
        return _skills(scores[..., :-1, :], scores[..., -1:, :])

    def mean_skill(sums: Any) -> Floats:
        """Return the mean over the groups, weighted by their pairs, of the skills that are defined."""
        skills = skills_of(sums)
        defined = np.isfinite(skills)
        total = np.where(defined, skills * sums.n, 0.0).sum(axis=-1)
        return ratio(total, np.where(defined, sums.n, 0).sum(axis=-1))

    of_groups = skills_of(over_days(together))
    present = np.broadcast_to((n > 0).any(axis=1)[:, None], (len(n), len(models)))
    jackknifed = jackknife(mean_skill, together, present)
    used = np.isfinite(of_groups).sum(axis=1).tolist()
    return [
        PooledSkill(mean, of_model, of_groups.shape[1] - of_model, interval)
        for mean, of_model, interval in zip(
            map(number, jackknifed.values), used, symmetric(jackknifed, highest=1.0), strict=True
        )
    ]


def _skills(score: ArrayLike, reference: ArrayLike) -> Floats:
    return np.asarray(1.0 - ratio(score, reference))
