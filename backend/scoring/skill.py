"""Skill against a reference, and how skills of several groups are put together."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple


class Stratum(NamedTuple):
    """One group's score and that of the reference on the same pairs (None where undefined), and its pairs."""

    score: float | None
    reference: float | None
    n: int


class PooledSkill(NamedTuple):
    """The mean of the groups' skills, and how many groups it rests on and leaves out."""

    skill: float | None
    used: int
    left_out: int


def skill_score(score: float | None, reference: float | None) -> float | None:
    """Return `1 - S / S_ref` for a score whose best is 0: 1 is perfect, 0 no better than the reference.

    Negative skill is said plainly: worse than yesterday's observation. None when a score is undefined
    or the reference is perfect.
    """
    if score is None or reference is None or reference == 0:
        return None
    return 1.0 - score / reference


def pooled_skill(strata: Iterable[Stratum]) -> PooledSkill:
    """Return the mean of the groups' skills, weighted by their pairs; groups without skill are left out.

    Pooling the pairs of groups with different climates first, and forming one skill of them, would
    credit the model for knowing the climates. Hamill & Juras 2006, QJRMS 132.
    """
    skills = [(skill_score(stratum.score, stratum.reference), stratum.n) for stratum in strata]
    defined = [(skill, n) for skill, n in skills if skill is not None and n > 0]
    pairs = sum(n for _, n in defined)
    mean = sum(skill * n for skill, n in defined) / pairs if pairs else None
    return PooledSkill(mean, len(defined), len(skills) - len(defined))
