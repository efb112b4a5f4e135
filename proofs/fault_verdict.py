"""What is wrong with what became of a source under a fault: the five things that the matrix asserts."""

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
    """What an installation holds that lived through the same moments undisturbed: before, under, after.

    `sources` is how its sources did under the fault, had there been one; `offered` is what a new
    installation still gets afterwards.
    """

    before: Values
    under: Values
    after: Values
    offered: Values
    sources: Mapping[str, SourceRun]


def wrong_values(database: Database, *references: Reference) -> list[str]:
    """No value is stored but those of an undisturbed installation, and others that the weather confirms.

    None could be had only after it was collected.
    """
    kept = values(database)
    unsaid = {
        key: value
        for key, value in kept.items()
        if value not in {reference.after.get(key) for reference in references}
    }
    wrong = untrue(unsaid)
    batch = t.forecast_batch.c
    early = sa.select(sa.func.count()).where(batch.available_at > batch.collected_at)
    with database.read() as connection:
        ahead_of_time = connection.execute(early).scalar_one()
    problems = [f"{len(wrong)} wrong values, such as {wrong[0]}: {kept[wrong[0]]}"] if wrong else []
    return problems + (["a run was available only after it was collected"] if ahead_of_time else [])


def no_false_success(
    database: Database, reference: Reference, outcome: SourceRun, run: JobRun, *, harmless: bool
) -> list[str]:
    """What is not there is owned up to: by the status, or by a rejected value with its reason.

    A fault that leaves no trace at all was none, unless it is `harmless`.
    """
    kept, rejected = values(database), _rejected(database, run)
    lacking = [
        key
        for key in reference.under
        if key not in kept and str(key[0]).startswith(outcome.source) and not _explained(key, rejected)
    ]
    problems = []
    if lacking and outcome.status in WELL:
        problems.append(f"{outcome.status}, although {len(lacking)} values lack, such as {lacking[0]}")
    if _trace(outcome) == _trace(reference.sources[outcome.source]) and not harmless:
        problems.append("the fault left no trace")
    return problems


def _trace(outcome: SourceRun) -> tuple[object, ...]:
    return outcome.status, outcome.failed, outcome.rejected_reasons


def _rejected(database: Database, run: JobRun) -> set[tuple[str, int | None]]:
    """Return whose values of which time were set aside in a run; None is a time that was set aside itself."""
    column = t.rejected.c
    query = sa.select(column.subject, column.parameter, column.time).where(column.job_run_id == run.id)
    with database.read() as connection:
        return {(row.subject, row.time if row.parameter else None) for row in connection.execute(query)}


def _explained(key: Key, rejected: Collection[tuple[str, int | None]]) -> bool:
    subject = f"{key[0]} {key[1]}" if len(key) == 5 else str(key[0])
    return (subject, None) in rejected or (subject, int(key[-2])) in rejected


def other_disturbed(database: Database, other: SourceRun, reference: Reference) -> list[str]:
    """The other source of the job is well, on time, and lacks nothing."""
    kept = values(database)
    lacking = [key for key in reference.under if key not in kept and str(key[0]).startswith(other.source)]
    late = other.duration - reference.sources[other.source].duration
    problems = [] if other.status == "success" else [f"{other.source} is {other.status}: {other.reason}"]
    problems += [f"{other.source} lacks {len(lacking)} values"] if lacking else []
    return problems + ([f"{other.source} was {late:.1f} s late"] if late > DELAY_ALLOWED else [])


def kept_waiting(struck: str, other: str, heard: Sequence[str]) -> list[str]:
    """While a host keeps its source waiting, the other one is heard of; `heard` are batches, as they came."""
    last = len(heard) - 1 - heard[::-1].index(struck)
    return [] if other in heard[:last] else [f"{other} was kept waiting by {struck}"]


def not_shown(outcome: SourceRun, answer: dict[str, Any], said: str, secrets: Sequence[str]) -> list[str]:
    """The API (`answer`) and the command line (`said`) tell the outcome and why, and no key."""
    shown = next(source for source in answer["sources"] if source["source"] == outcome.source)
    problems = []
    if outcome.status not in WELL and not outcome.reason:
        problems.append(f"{outcome.status} without a reason")
    if (shown["status"], shown["reason"] or "") != (outcome.status, outcome.reason):
        problems.append("the API does not show the reason")
    if outcome.status not in said or outcome.reason not in said:
        problems.append("the command line does not show the reason")
    problems += [
        f"rejected values are not shown: {word}"
        for word in outcome.rejected_reasons
        if word not in shown["rejectedReasons"] or word not in said
    ]
    return problems + (["a key is shown"] if any(key in f"{answer}{said}" for key in secrets) else [])


def not_recovered(database: Database, reference: Reference, outcome: SourceRun) -> list[str]:
    """After the fault the source is well, and all that it still offers is there."""
    kept = values(database)
    lacking = [key for key in reference.offered if key not in kept]
    problems = wrong_values(database, reference)
    problems += [] if outcome.status in WELL else [f"{outcome.status}: {outcome.reason}"]
    problems += [f"{len(lacking)} values lack, such as {lacking[0]}"] if lacking else []
    return [f"after the fault: {problem}" for problem in problems]


def newest_routes(database: Database, source: str) -> set[str]:
    """Return the routes by which the newest run came, or the newest reading of each station."""
    forecast, batch = t.forecast.c, t.forecast_batch.c
    newest_run = sa.select(sa.func.max(forecast.reference_time)).scalar_subquery()
    told = (
        sa.select(batch.route)
        .join_from(t.forecast, t.forecast_batch, batch.id == forecast.batch_id)
        .where(batch.source == source, forecast.reference_time == newest_run)
    )
    reading, answer = t.observation.c, t.observation_batch.c
    other = t.observation.alias().c
    newest_reading = sa.select(sa.func.max(other.time)).where(other.station_id == reading.station_id)
    measured = (
        sa.select(answer.route)
        .join_from(t.observation, t.observation_batch, answer.id == reading.batch_id)
        .where(answer.source == source, reading.time == newest_reading.scalar_subquery())
    )
    with database.read() as connection:
        return {route for query in (told, measured) for route in connection.execute(query).scalars()}
