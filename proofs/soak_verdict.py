"""The verdicts of the soak: problems of the store, of the ledger, and of the outcomes in it."""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from backend.core.config import SOURCE_NAMES
from backend.core.records import WELL, network_of
from backend.core.registry import GEOSPHERE, SOURCES
from backend.demo.upstreams.geosphere import LISTED
from backend.scheduler.config import FORECASTS, JobId, SchedulerConfig
from backend.storage import schema as t
from backend.storage.database import Database, from_epoch
from proofs.fault_truth import NAMES, Values
from proofs.faults import WAYS
from proofs.soak_plan import Mishap, Step

Row = tuple[str | int, ...]
"""(model, site, run, time), or (station, time)."""

CLOCKS_DIFFER_SECONDS = 600

_SOURCE_OF_MODEL = {model.name: source.name for source in SOURCES for model in source.models}

ENDS = frozenset({"success", "partial", "nothing_new", "failed", "missed", "cancelled"})


@dataclass(frozen=True, slots=True)
class StoredRow:
    """The parameters of a stored row, as bits, and when the last was collected (seconds since 1970)."""

    at: int
    parameters: int


def stored_rows(database: Database) -> dict[Row, StoredRow]:
    """Return the rows of a store, each with the time when its last value was collected."""
    rows: dict[Row, StoredRow] = {}
    with database.read() as connection:
        for query in (_forecasts(t.forecast, *NAMES), _readings(t.observation, *NAMES)):
            for row in connection.execute(query):
                *key, at = row[: -len(NAMES)]
                bits = (1 << i for i, value in enumerate(row[-len(NAMES) :]) if value is not None)
                rows[tuple(key)] = StoredRow(at, sum(bits))
        for query in (_forecasts(t.forecast_origin), _readings(t.observation_origin)):
            for *key, at in connection.execute(query):
                whole = rows[tuple(key)]
                rows[tuple(key)] = StoredRow(max(at, whole.at), whole.parameters)
    return rows


def _forecasts(table: sa.Table, *names: str) -> sa.Select[Any]:
    """Return a query for rows of forecasts, or of their origins, with the start of the storing run."""
    batch, run = t.forecast_batch.c, t.job_run.c
    return (
        sa.select(
            *(t.model.c.name, t.site.c.slug, table.c.reference_time, table.c.valid_time, run.start_time),
            *(table.c[name] for name in names),
        )
        .join_from(table, t.model, t.model.c.id == table.c.model_id)
        .join(t.site, t.site.c.id == table.c.site_id)
        .join(t.forecast_batch, batch.id == table.c.batch_id)
        .join(t.job_run, run.id == batch.job_run_id)
    )


def _readings(table: sa.Table, *names: str) -> sa.Select[Any]:
    """Return a query for rows of readings, or of their origins, in the same way."""
    batch, run = t.observation_batch.c, t.job_run.c
    return (
        sa.select(t.station.c.code, table.c.time, run.start_time, *(table.c[name] for name in names))
        .join_from(table, t.station, t.station.c.id == table.c.station_id)
        .join(t.observation_batch, batch.id == table.c.batch_id)
        .join(t.job_run, run.id == batch.job_run_id)
    )


def source_of(row: Row) -> str:
    """Return the source of a row: that of its model, or the network of its station."""
    name = str(row[0])
    return _SOURCE_OF_MODEL.get(name) or network_of(name)


def stored_share(
    mine: Mapping[Row, StoredRow], undisturbed: Mapping[Row, StoredRow]
) -> dict[str, tuple[int, int]]:
    """Return how many undisturbed values are stored, and how many there are, per source that has any."""
    stored: Counter[str] = Counter()
    whole: Counter[str] = Counter()
    for row, expected in undisturbed.items():
        source = source_of(row)
        whole[source] += expected.parameters.bit_count()
        if row in mine:
            stored[source] += (expected.parameters & mine[row].parameters).bit_count()
    return {source: (stored[source], whole[source]) for source in SOURCE_NAMES if whole[source]}


# --- The store ---------------------------------------------------------------------------------------


def incomplete(stored: Values, offered: Values) -> list[str]:
    """Return which values that the upstreams still offer are missing or different in the store."""
    missing = [key for key in offered if key not in stored]
    other = [key for key, value in offered.items() if stored.get(key, value) != value]
    problems = (
        [f"{len(missing)} of {len(offered)} values are missing, such as {missing[0]}"] if missing else []
    )
    return problems + ([f"{len(other)} values differ, such as {other[0]}"] if other else [])


def ahead_of_time(database: Database) -> list[str]:
    """Return how many readings are later than their collection, by more than clocks may differ."""
    reading, batch = t.observation.c, t.observation_batch.c
    query = (
        sa.select(sa.func.count())
        .select_from(t.observation)
        .join(t.observation_batch, batch.id == reading.batch_id)
        .where(reading.time > batch.collected_at + CLOCKS_DIFFER_SECONDS)
    )
    with database.read() as connection:
        count = connection.execute(query).scalar_one()
    return [f"{count} readings are later than their collection"] if count else []


# --- The ledger --------------------------------------------------------------------------------------


def ledger_problems(database: Database, slots: Sequence[tuple[datetime, JobId]]) -> list[str]:
    """Return slots that are missing, doubled or unfinished, and unsuccessful outcomes without a reason."""
    run, part = t.job_run.c, t.source_run.c
    with database.read() as connection:
        runs = connection.execute(sa.select(run.job, run.slot, run.status, run.note)).all()
        parts = connection.execute(sa.select(part.run_id, part.source, part.status, part.reason)).all()
    counts = Counter((from_epoch(row.slot), row.job) for row in runs if row.slot is not None)
    problems = [
        f"{job} of {slot} is there {counts[slot, job]} times" for slot, job in slots if counts[slot, job] != 1
    ]
    problems += [f"{job} of {slot} was never due" for slot, job in counts.keys() - set(slots)]
    problems += [f"{row.job} of {row.slot} is {row.status}" for row in runs if row.status not in ENDS]
    problems += [
        f"run {row.run_id}: {row.source} is {row.status} without a reason"
        for row in parts
        if row.status not in {*WELL, "disabled"} and not row.reason
    ]
    return problems


def keys_shown(database: Database, secrets: Iterable[str]) -> list[str]:
    """Return a problem for each key in the texts of the ledger."""
    with database.read() as connection:
        texts = [
            *connection.execute(sa.select(t.job_run.c.note)).scalars(),
            *connection.execute(sa.select(t.source_run.c.reason)).scalars(),
            *connection.execute(sa.select(t.source_run.c.failures)).scalars(),
        ]
    return ["a key is shown" for secret in secrets if any(secret in text for text in texts)]


# --- Outcomes ----------------------------------------------------------------------------------------


def _outcomes(database: Database) -> list[Any]:
    run, part = t.job_run.c, t.source_run.c
    query = (
        sa.select(run.start_time, part.run_id, part.source, part.status, part.reason, part.rejected)
        .join_from(t.source_run, t.job_run, run.id == part.run_id)
        .order_by(run.start_time, run.id)
    )
    with database.read() as connection:
        return list(connection.execute(query))


def spoilt_without_cause(database: Database, steps: Mapping[int, Step]) -> list[str]:
    """Return the unsuccessful outcomes of sources whose upstreams have no fault."""
    hosts: defaultdict[str, set[str]] = defaultdict(set)
    for way in WAYS:
        hosts[way.source].update(way.upstreams)
    problems = []
    for row in _outcomes(database):
        step = steps.get(row.run_id)
        if step is None or step.mishap is Mishap.CANCELLED or row.status in WELL:
            continue
        if step.mishap is Mishap.WORKER_KILLED and row.source == "arome":
            continue
        if hosts[row.source].isdisjoint(step.strikes):
            problems.append(f"{step.slot:%d %B %H:%M}: {row.source} is {row.status}: {row.reason[:100]}")
    return problems


def false_successes(
    database: Database,
    mine: Mapping[Row, StoredRow],
    undisturbed: Mapping[Row, StoredRow],
    config: SchedulerConfig,
) -> list[str]:
    """Return the successful outcomes that miss values which the undisturbed days have at that moment.

    Values that are no longer offered are excepted: those older than the lookback, of ROMMA all but the
    last reading, and of C-LAEF the runs that the data hub no longer lists. So are values that
    were set aside with a reason.
    """
    well: defaultdict[str, list[int]] = defaultdict(list)
    rejecting: defaultdict[str, set[int]] = defaultdict(set)
    for outcome in _outcomes(database):
        if outcome.status in WELL:
            well[outcome.source].append(outcome.start_time)
            if outcome.rejected:
                rejecting[outcome.source].add(outcome.start_time)
    rejected = _rejected(database)
    problems: Counter[tuple[str, int]] = Counter()
    for row, expected in undisturbed.items():
        stored = mine.get(row)
        if stored is not None and stored.at <= expected.at and not expected.parameters & ~stored.parameters:
            continue
        source = source_of(row)
        whole = stored is not None and not expected.parameters & ~stored.parameters
        until = _offered_until(row, expected, source, config)
        if stored is not None and whole:
            until = min(until, stored.at)
        moments = well[source]
        for moment in moments[bisect_left(moments, expected.at) : bisect_left(moments, until)]:
            if not (moment in rejecting[source] and _explained(row, rejected)):
                problems[source, moment] += 1
    return [
        f"{source} is successful on {from_epoch(moment):%d %B at %H:%M}, although {count} rows are missing"
        for (source, moment), count in sorted(problems.items())
    ]


def _offered_until(row: Row, expected: StoredRow, source: str, config: SchedulerConfig) -> int:
    if source == "romma":
        return expected.at + 1
    if len(row) == 4:  # a forecast
        until = int(row[2]) + int(config.lookback(FORECASTS).total_seconds()) + 1
        listed_until = int(row[2]) + int(LISTED.total_seconds())
        return min(until, listed_until) if source == GEOSPHERE.name else until
    return int(row[1]) + 3600 * config.observation_lookback_hours + 1


def _rejected(database: Database) -> set[tuple[str, int | None]]:
    """Return subject and time of the values that were set aside; None stands for a rejected time.

    A value that several runs reject is in the table once.
    """
    column = t.rejected.c
    query = sa.select(column.subject, column.parameter, column.time).distinct()
    with database.read() as connection:
        return {(row.subject, row.time if row.parameter else None) for row in connection.execute(query)}


def _explained(row: Row, rejected: Collection[tuple[str, int | None]]) -> bool:
    subject = f"{row[0]} {row[1]}" if len(row) == 4 else str(row[0])
    return (subject, None) in rejected or (subject, int(row[-1])) in rejected
