"""The five assertions of the fault matrix. Each function returns the problems of a source under a fault."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from backend.core.records import WELL
from backend.storage import schema as t
from backend.storage.database import Database
from backend.storage.run_records import JobRun, SourceRun
from proofs.fault_truth import Key, Values, untrue, values

DELAY_ALLOWED = 10.0
"""Seconds by which the other source of a job may be later than undisturbed, on a machine with other work."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reference:
    """The values of an undisturbed installation at the same moments: before, under and after the fault.

    `sources` are the outcomes of its sources at the moment of the fault. `offered` are the values that a
    new installation still collects afterwards.
    """

    before: Values
    under: Values
    after: Values
    offered: Values
    sources: Mapping[str, SourceRun]


def wrong_values(database: Database, *references: Reference) -> list[str]:
    """Return the stored values that neither an undisturbed installation has nor the weather confirms.

    A run that is stored as available after its collection is a problem too.
    """
    stored = values(database)
    unconfirmed = {
        key: value
        for key, value in stored.items()
        if value not in {reference.after.get(key) for reference in references}
    }
    wrong = untrue(unconfirmed)
    batch = t.forecast_batch.c
    early = sa.select(sa.func.count()).where(batch.available_at > batch.collected_at)
    with database.read() as connection:
        ahead_of_time = connection.execute(early).scalar_one()
    problems = [f"{len(wrong)} wrong values, such as {wrong[0]}: {stored[wrong[0]]}"] if wrong else []
    return problems + (["the availability of a run is later than its collection"] if ahead_of_time else [])


def no_false_success(
    database: Database, reference: Reference, outcome: SourceRun, run: JobRun, *, harmless: bool
) -> list[str]:
    """Return a problem if a successful source misses values that no rejection explains.

    A fault that leaves no trace is a problem as well, unless it is `harmless`.
    """
    stored, rejected = values(database), _rejected(database, run)
    missing = [
        key
        for key in reference.under
        if key not in stored and str(key[0]).startswith(outcome.source) and not _explained(key, rejected)
    ]
    problems = []
    if missing and outcome.status in WELL:
        problems.append(f"{outcome.status}, although {len(missing)} values are missing, such as {missing[0]}")
    if _trace(outcome) == _trace(reference.sources[outcome.source]) and not harmless:
        problems.append("the fault left no trace")
    return problems


def _trace(outcome: SourceRun) -> tuple[object, ...]:
    return outcome.status, outcome.failed, outcome.rejected_reasons


def _rejected(database: Database, run: JobRun) -> set[tuple[str, int | None]]:
    """Return subject and time of the values that a run set aside; None stands for a rejected time."""
    column = t.rejected.c
    query = sa.select(column.subject, column.parameter, column.time).where(column.job_run_id == run.id)
    with database.read() as connection:
        return {(row.subject, row.time if row.parameter else None) for row in connection.execute(query)}


def _explained(key: Key, rejected: Collection[tuple[str, int | None]]) -> bool:
    subject = f"{key[0]} {key[1]}" if len(key) == 5 else str(key[0])
    return (subject, None) in rejected or (subject, int(key[-2])) in rejected


def other_disturbed(database: Database, other: SourceRun, reference: Reference) -> list[str]:
    """Return the problems of the other source of the job: it must be successful, complete and on time."""
    stored = values(database)
    missing = [key for key in reference.under if key not in stored and str(key[0]).startswith(other.source)]
    late = other.duration - reference.sources[other.source].duration
    problems = [] if other.status == "success" else [f"{other.source} is {other.status}: {other.reason}"]
    problems += [f"{other.source} misses {len(missing)} values"] if missing else []
    return problems + ([f"{other.source} was {late:.1f} s late"] if late > DELAY_ALLOWED else [])


def delayed(struck: str, other: str, delivered: Sequence[str]) -> list[str]:
    """Return a problem if a slow host delayed the other source; `delivered` are sources of batches."""
    last = len(delivered) - 1 - delivered[::-1].index(struck)
    return [] if other in delivered[:last] else [f"{other} was delayed by {struck}"]


def not_shown(outcome: SourceRun, answer: dict[str, Any], output: str, secrets: Sequence[str]) -> list[str]:
    """Return what the API (`answer`) or command line (`output`) hides of the outcome, and shown keys."""
    shown = next(source for source in answer["sources"] if source["source"] == outcome.source)
    problems = []
    if outcome.status not in WELL and not outcome.reason:
        problems.append(f"{outcome.status} without a reason")
    if (shown["status"], shown["reason"] or "") != (outcome.status, outcome.reason):
        problems.append("the API does not show the reason")
    if outcome.status not in output or outcome.reason not in output:
        problems.append("the command line does not show the reason")
    problems += [
        f"rejected values are not shown: {word}"
        for word in outcome.rejected_reasons
        if word not in shown["rejectedReasons"] or word not in output
    ]
    return problems + (["a key is shown"] if any(key in f"{answer}{output}" for key in secrets) else [])


def not_recovered(database: Database, reference: Reference, outcome: SourceRun) -> list[str]:
    """Return a problem if the source fails after the fault, or a value that it still offers is not stored."""
    stored = values(database)
    missing = [key for key in reference.offered if key not in stored]
    problems = wrong_values(database, reference)
    problems += [] if outcome.status in WELL else [f"{outcome.status}: {outcome.reason}"]
    problems += [f"{len(missing)} values are missing, such as {missing[0]}"] if missing else []
    return [f"after the fault: {problem}" for problem in problems]


def newest_routes(database: Database, source: str) -> set[str]:
    """Return the routes of the newest run, or of the newest reading of each station."""
    forecast, batch = t.forecast.c, t.forecast_batch.c
    newest_run = sa.select(sa.func.max(forecast.reference_time)).scalar_subquery()
    of_forecasts = (
        sa.select(batch.route)
        .join_from(t.forecast, t.forecast_batch, batch.id == forecast.batch_id)
        .where(batch.source == source, forecast.reference_time == newest_run)
    )
    reading, answer = t.observation.c, t.observation_batch.c
    other = t.observation.alias().c
    newest_reading = sa.select(sa.func.max(other.time)).where(other.station_id == reading.station_id)
    of_readings = (
        sa.select(answer.route)
        .join_from(t.observation, t.observation_batch, answer.id == reading.batch_id)
        .where(answer.source == source, reading.time == newest_reading.scalar_subquery())
    )
    with database.read() as connection:
        return {
            route for query in (of_forecasts, of_readings) for route in connection.execute(query).scalars()
        }
