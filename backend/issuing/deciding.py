"""The weekly decision of the gate, from what was issued and from the readings as they were learned."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import fields
from datetime import datetime

import numpy as np

from backend.core.columns import Ints
from backend.core.issued import GateReason, IssuedForecast
from backend.core.local_time import HOURS_A_DAY, local_day
from backend.forecast import gate
from backend.forecast.cells import Floats
from backend.forecast.directions import turn
from backend.forecast.gate import Evidence, Finding, Gate
from backend.forecast.learning import METHOD
from backend.forecast.verification import at_all_levels, covered, crps, over_days, pit
from backend.issuing.units import RULES
from backend.scoring.grid import SCALE, present
from backend.storage.database import Connection
from backend.storage.gate_decisions import GateDecision, Grounds
from backend.storage.issued import issued_forecasts
from backend.storage.learning_days import Question, learned_readings

EVIDENCE_DAYS = 180
"""Newest days that a decision rests on. Of 90 days the coverage is known to 3.0 to 3.6 points, and 3 are
asked for: the gate would open and close again and again (docs/decisions/forecast-method.md)."""

SEED = 1
"""Of the randomised PIT."""


def decided(
    connection: Connection,
    question: Question,
    sites: Sequence[str],
    time: datetime,
    newest: GateDecision | None,
) -> GateDecision | None:
    """Return the decision of the gate at a decision time; None if none is due, or nothing was issued."""
    today = local_day(time)
    before = Gate()
    if newest is not None:
        day = local_day(newest.decided_at)
        before = Gate(newest.open, newest.grounds.failures, day)
        if today - day < gate.DECIDED_EVERY:
            return None
    evidence = _evidence(connection, question, sites, today)
    if evidence is None:
        return None
    now = gate.decide(before, evidence, today, with_crps=not RULES[question.parameter].circular)
    # Of all sites together: what a site with few days is expected to gain before its own days show it.
    gain = over_days(evidence.best_error - evidence.error)
    vetoes = {}
    for index, site in enumerate(sites):
        own = Evidence(*(getattr(evidence, each.name)[:, index : index + 1] for each in fields(Evidence)))
        if over_days(own.error).days and (found := gate.veto(own, gain.mean)) is not None:
            vetoes[site] = _reason(found)
    return GateDecision(
        audience=question.audience,
        view=question.view,
        parameter=question.parameter,
        method=METHOD,
        decided_at=time,
        open=now.open,
        grounds=Grounds(
            days=over_days(evidence.covered).days,
            failures=now.failures,
            reasons=tuple(_reason(finding) for finding in now.findings),
            pooled_gain=None if np.isnan(gain.mean) else gain.mean,
            vetoes=vetoes,
        ),
    )


def _evidence(
    connection: Connection, question: Question, sites: Sequence[str], today: int
) -> Evidence | None:
    """Return what was issued for the days before today, (days, sites, 25); None without a row that counts.

    A late row does not count, nor one that was learned from fewer days than the gate asks for.
    """
    first = today - EVIDENCE_DAYS
    rows = [
        row
        for row in issued_forecasts(
            connection,
            sites,
            audience=question.audience,
            view=question.view,
            first=first,
            last=today - 1,
            parameter=question.parameter,
        )
        if row.method == METHOD and not row.is_late and row.hours.days >= gate.GATED_DAYS
    ]
    if not rows:
        return None
    readings = learned_readings(connection, question, sites, first)
    shape = EVIDENCE_DAYS, len(sites), HOURS_A_DAY
    names = ("error", "best_error", "placebo_error", "crps", "dressed_crps", "covered")
    columns = {name: np.full(shape, np.nan) for name in names}
    number = {site: index for index, site in enumerate(sites)}
    found = False
    for row in rows:
        # Of the station that the row was issued for: after a change, the new one's readings prove nothing of
        # it.
        observed = readings.get((row.site, row.hours.station, row.day))
        if observed is None:
            continue
        found = True
        place = row.day - first, number[row.site]
        for name, values in _measures(row, observed).items():
            columns[name][place][: len(values)] = values
    return Evidence(**columns) if found else None


def _measures(row: IssuedForecast, observed: Ints) -> dict[str, Floats]:
    """Return the measures of the hours of an issued forecast."""
    issued, count = row.hours, len(row.hours.times)
    truth = np.where(present(observed), observed / SCALE, np.nan)[:count]
    nothing = np.full(count, np.nan)
    is_circular = RULES[row.parameter].circular

    def units(values: Sequence[int | None]) -> Floats:
        return np.array([np.nan if value is None else value / SCALE for value in values])

    def quantiles(rows: Sequence[Sequence[int | None]]) -> Floats:
        return at_all_levels(np.stack([units(each) for each in rows], axis=-1))

    def errors(values: Sequence[int | None]) -> Floats:
        found = truth - units(values) if values else nothing
        return turn(found) if is_circular else found

    value, best = errors(issued.values), errors(issued.best_values)
    measures = {
        "error": np.abs(value),
        "best_error": np.abs(best),
        "placebo_error": np.abs(errors(issued.placebo)),
    }
    # The quantiles of a direction are turns from the value.
    if issued.quantiles:
        own, there = quantiles(issued.quantiles), value if is_circular else truth
        measures["crps"] = crps(own, there)
        measures["covered"] = covered(pit(own, there, SEED + row.day))
    if issued.best_quantiles:
        measures["dressed_crps"] = crps(quantiles(issued.best_quantiles), best if is_circular else truth)
    return measures


def _reason(finding: Finding) -> GateReason:
    figure, limit = (None if np.isnan(value) else float(value) for value in finding[1:])
    return GateReason(finding.reason.value, figure, limit)
