"""The weekly decision of the gate, from what was issued and from the readings as they were learned."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import fields
from datetime import datetime

import numpy as np

from backend.core.columns import Ints
from backend.core.issued import LEVELS, GateReason, IssuedForecast
from backend.core.local_time import HOURS_A_DAY, local_day
from backend.core.parameters import Parameter
from backend.forecast import gate
from backend.forecast.cells import Floats
from backend.forecast.directions import turn
from backend.forecast.gate import Evidence, Finding, Gate
from backend.forecast.learning import METHOD
from backend.forecast.verification import at_all_levels, covered, crps, over_days, pit
from backend.issuing.units import RULES
from backend.scoring.grid import SCALE, to_units
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
    for index, site in enumerate(sites if now.open else ()):  # a closed gate is closed for every site
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
    columns = {name: np.full((EVIDENCE_DAYS, len(sites), HOURS_A_DAY), np.nan) for name in _MEASURES}
    found = False
    for index, site in enumerate(sites):  # one after the other: the rows of a site take some MB
        rows = [
            row
            for row in issued_forecasts(
                connection,
                [site],
                audience=question.audience,
                view=question.view,
                first=first,
                last=today - 1,
                parameter=question.parameter,
            )
            if row.method == METHOD and not row.is_late and row.hours.days >= gate.GATED_DAYS
        ]
        if not rows:
            continue
        # Of the station that the row was issued for: after a change, the new one's readings prove nothing of
        # it.
        readings = learned_readings(connection, question, [site], first)
        learned = [row for row in rows if (site, row.hours.station, row.day) in readings]
        if not learned:
            continue
        found = True
        observed = np.stack([readings[site, row.hours.station, row.day] for row in learned])
        days = [row.day - first for row in learned]
        for name, values in _measures(learned, observed, question.parameter, SEED + index).items():
            columns[name][days, index] = values
    return Evidence(**columns) if found else None


_MEASURES = tuple(field.name for field in fields(Evidence))


def _measures(
    rows: Sequence[IssuedForecast], observed: Ints, parameter: Parameter, seed: int
) -> dict[str, Floats]:
    """Return the measures of issued forecasts of one site, (rows, 25), as is `observed`, in thousandths."""
    truth = to_units(observed)
    nothing = (None,) * HOURS_A_DAY
    is_circular = RULES[parameter].circular

    def units(lists: Iterable[Sequence[int | None]]) -> Floats:
        """Return lists of one value an hour as rows of 25; an empty one has none."""
        return np.array([(*each, *nothing[len(each) :]) for each in lists], np.float64) / SCALE

    def quantiles(of_rows: Iterable[Sequence[Sequence[int | None]]]) -> Floats:
        levels = [each or (nothing,) * len(LEVELS) for each in of_rows]
        return at_all_levels(np.stack([units(of_level) for of_level in zip(*levels, strict=True)], axis=-1))

    def errors(lists: Iterable[Sequence[int | None]]) -> Floats:
        found = truth - units(lists)
        return turn(found) if is_circular else found

    value, best = errors(row.hours.values for row in rows), errors(row.hours.best_values for row in rows)
    own, dressed = (
        quantiles(row.hours.quantiles for row in rows),
        quantiles(row.hours.best_quantiles for row in rows),
    )
    # The quantiles of a direction are turns from the value.
    there, of_best = (value, best) if is_circular else (truth, truth)
    return {
        "error": np.abs(value),
        "best_error": np.abs(best),
        "placebo_error": np.abs(errors(row.hours.placebo for row in rows)),
        "crps": crps(own, there),
        "dressed_crps": crps(dressed, of_best),
        "covered": covered(pit(own, there, seed)),
    }


def _reason(finding: Finding) -> GateReason:
    figure, limit = (None if np.isnan(value) else float(value) for value in finding[1:])
    return GateReason(finding.reason.value, figure, limit)
