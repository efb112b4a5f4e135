"""Whether the corrected forecast is shown: pooled over the installation, with a veto per site.

Reasons are codes with their figures; words for them are made elsewhere. One gate per parameter and view.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import NamedTuple

import numpy as np

from backend.forecast.cells import Floats
from backend.forecast.verification import NOMINAL, over_days

TRIAL_DAYS, GATED_DAYS = 15, 30
"""Issued days of a site from which its forecast is a trial, and from which the gate decides."""

EARLY_WIDTH, LATE_WIDTH, LATE_DAYS = 0.06, 0.03, 90
"""Largest half width of the interval of coverage at GATED_DAYS, and from LATE_DAYS on; linear between."""

DECIDED_EVERY = 7
FAILURES_TO_CLOSE = 2
SHRINKAGE_DAYS = 20
"""What the pooled gain is worth in the veto of a site, in days."""


class Stage(StrEnum):
    """How far a site is, by its issued days."""

    NOTHING = "nothing"
    TRIAL = "trial"
    GATED = "gated"


def stage(days: int) -> Stage:
    """Return the stage of a site that has so many issued days with readings."""
    if days < TRIAL_DAYS:
        return Stage.NOTHING
    return Stage.TRIAL if days < GATED_DAYS else Stage.GATED


class Reason(StrEnum):
    """Why a gate does not pass, or a site has a veto."""

    FEW_DAYS = "few_days"
    MAE_NOT_BETTER = "mae_not_better"
    CRPS_NOT_BETTER = "crps_not_better"
    COVERAGE_OFF = "coverage_off"
    COVERAGE_UNCERTAIN = "coverage_uncertain"
    PLACEBO_AS_GOOD = "placebo_as_good"
    SITE_NO_GAIN = "site_no_gain"
    SITE_UNDER_COVERS = "site_under_covers"


class Finding(NamedTuple):
    """A reason, the figure that it is about, and the limit that the figure misses."""

    reason: Reason
    figure: float
    limit: float


@dataclass(frozen=True, slots=True, eq=False)
class Evidence:
    """Issued days of all sites, (days, ...) with NaN where missing; only out of sample, never a hindcast.

    A site counts from its day GATED_DAYS on: errors of the weeks in which little was corrected make the
    intervals before wider than those to be decided about (docs/forecast.md).

    Absolute errors in the unit: of ours, the best raw model so far, and the correction of another station.
    CRPS in the unit: of ours, and the dressed best raw model. `covered`: of verification.covered.
    """

    error: Floats
    best_error: Floats
    placebo_error: Floats
    crps: Floats
    dressed_crps: Floats
    covered: Floats


def findings(evidence: Evidence, *, with_crps: bool = True) -> tuple[Finding, ...]:
    """Return what keeps the gate closed now; none if it passes.

    Without `with_crps`, of directions, the CRPS is no condition.
    The upper ends of the 95 % intervals of daily differences must be below 0, so NaN keeps it closed.
    """
    coverage = over_days(evidence.covered)
    if coverage.days < GATED_DAYS:
        return (Finding(Reason.FEW_DAYS, coverage.days, GATED_DAYS),)
    found = [
        Finding(reason, high, 0.0)
        for reason, difference in (
            (Reason.MAE_NOT_BETTER, evidence.error - evidence.best_error),
            *([(Reason.CRPS_NOT_BETTER, evidence.crps - evidence.dressed_crps)] if with_crps else []),
            (Reason.PLACEBO_AS_GOOD, evidence.error - evidence.placebo_error),
        )
        if not (high := over_days(difference).high) < 0
    ]
    if not coverage.low <= NOMINAL <= coverage.high:
        found.append(Finding(Reason.COVERAGE_OFF, coverage.mean, NOMINAL))
    width = (coverage.high - coverage.low) / 2
    allowed = float(np.interp(coverage.days, (GATED_DAYS, LATE_DAYS), (EARLY_WIDTH, LATE_WIDTH)))
    if not width <= allowed:
        found.append(Finding(Reason.COVERAGE_UNCERTAIN, width, allowed))
    return tuple(found)


@dataclass(frozen=True, slots=True)
class Gate:
    """The state of a gate after its newest decision, to be recorded. `decided`: its day number."""

    open: bool = False
    failures: int = 0
    decided: int | None = None
    findings: tuple[Finding, ...] = ()


def decide(gate: Gate, evidence: Evidence, day: int, *, with_crps: bool = True) -> Gate:
    """Return the gate on `day`: decided weekly, closed only after two failed decisions in a row."""
    if gate.decided is not None and day - gate.decided < DECIDED_EVERY:
        return gate
    found = findings(evidence, with_crps=with_crps)
    failures = gate.failures + 1 if found else 0
    is_open = not found or (gate.open and failures < FAILURES_TO_CLOSE)
    return Gate(is_open, failures, day, found)


def veto(evidence: Evidence, pooled_gain: float) -> Finding | None:
    """Return why a site is not served although the gate is open, from the site's own days; None if it is.

    Its gain in MAE over the best raw model, shrunk by SHRINKAGE_DAYS of `pooled_gain` (the unit), must be
    positive, and the interval of its coverage must not lie below 80 %.
    """
    own = over_days(evidence.best_error - evidence.error)
    gain = 0.0 if own.days == 0 else own.mean
    shrunk = (own.days * gain + SHRINKAGE_DAYS * pooled_gain) / (own.days + SHRINKAGE_DAYS)
    if not shrunk > 0:
        return Finding(Reason.SITE_NO_GAIN, shrunk, 0.0)
    coverage = over_days(evidence.covered)
    if coverage.high < NOMINAL:
        return Finding(Reason.SITE_UNDER_COVERS, coverage.mean, NOMINAL)
    return None
