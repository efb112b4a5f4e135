"""The resources of the service, measured at rest after each simulated day, and their bounds."""

from __future__ import annotations

import asyncio
import gc
import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median

import psutil
import sqlalchemy as sa

from backend.main import Service
from backend.storage import schema as t
from backend.storage.database import Database, is_postgres
from proofs.fault_truth import NAMES

MB = 1e6

EXECUTOR_THREADS = min(32, (os.cpu_count() or 1) + 4)  # of asyncio.to_thread
POOL_THREADS = 2  # of the process pool: one manages it, one feeds it
IDLE_CONNECTIONS = 20  # to upstreams, open and idle: the most that the HTTP client keeps, for 5 s
POOL_SIZE = 5  # of connections to the store, kept open

MEMORY_GROWTH_MB = 15.0
"""By how much the last third's median may be above the second third's."""

LOG_BYTES = 16e6
BYTES_PER_VALUE = {"sqlite": 20.0, "postgresql": 100.0}
"""Of the whole store. PostgreSQL takes 36 in a large one whose rows are full (docs/decisions/postgresql.md);
here a row has 3.4 values of four, and the ledger counts. Set after a measurement of 49 over 30 days.
"""

SWELLING = 1.1
"""By which factor the bytes a value may grow from the second third to the last."""

VALUES_FOR_A_RATIO = 40_000
"""Below, the empty store and the ledger weigh more than the values."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """One measurement; `memory` is resident, in MB; `files` are open descriptors that are no connection.

    `upstreams` and `store` are open connections; `busy` those to the store that are in use.
    `left_over` are temporary files.
    """

    day: int
    memory: float
    worker_memory: float | None
    files: int
    worker_files: int | None
    upstreams: int
    store: int
    busy: int
    tasks: int
    threads: int
    rows: int
    values: int
    store_bytes: int
    log_bytes: int
    payload_files: int
    payload_days: int
    left_over: int


@dataclass(frozen=True, slots=True)
class Rest:
    """Tasks and threads of the process before its first run."""

    tasks: int
    threads: int


def at_rest() -> Rest:
    """Count them now, before the first run."""
    return Rest(len(asyncio.all_tasks()), psutil.Process().num_threads())


async def sample(service: Service, day: int, temporary: Path, empty_bytes: int) -> Sample:
    """Measure the service between two runs, when the remains of a killed worker are gone.

    `empty_bytes` is the size of the empty store.
    """
    gc.collect()
    mine = psutil.Process()
    worker = _process(service.worker.pid)
    opened = [Path(file.path) for file in mine.open_files()]
    path = service.database.path
    of_store = sum(path is not None and file.name.startswith(path.name) for file in opened)
    upstreams = len(mine.net_connections("inet"))
    pool = service.database.engine.pool
    assert isinstance(pool, sa.QueuePool)
    connections = pool.checkedin() + pool.checkedout()
    rows, values = counted(service.database)
    days = [folder for folder in (service.settings.data_dir / "payloads").glob("*") if folder.is_dir()]
    return Sample(
        day=day,
        memory=mine.memory_info().rss / MB,
        worker_memory=worker.memory_info().rss / MB if worker else None,
        files=mine.num_fds() - upstreams - (of_store if path is not None else connections),
        worker_files=worker.num_fds() if worker else None,
        upstreams=upstreams,
        store=connections,
        busy=pool.checkedout(),
        tasks=len(asyncio.all_tasks()),
        threads=mine.num_threads(),
        rows=rows,
        values=values,
        store_bytes=size(service.database) - empty_bytes,
        log_bytes=_log_bytes(path),
        payload_files=sum(1 for folder in days for file in folder.rglob("*.gz")),
        payload_days=len(days),
        left_over=sum(1 for _ in temporary.iterdir()),
    )


def _process(pid: int | None) -> psutil.Process | None:
    return psutil.Process(pid) if pid is not None and psutil.pid_exists(pid) else None


def counted(database: Database) -> tuple[int, int]:
    """Return how many rows of forecasts and observations a store holds, and how many values."""
    rows = values = 0
    with database.read() as connection:
        for table in (t.forecast, t.observation):
            columns = [sa.func.count(), *(sa.func.count(table.c[name]) for name in NAMES)]
            counts = connection.execute(sa.select(*columns).select_from(table)).one()
            rows, values = rows + counts[0], values + sum(counts[1:])
    return rows, values


def size(database: Database) -> int:
    """Return the size of a store in bytes, with its indexes and the pages that are only in SQLite's log."""
    with database.read() as connection:
        if is_postgres(connection):
            whole = sa.func.pg_database_size(sa.func.current_database())
            return int(connection.execute(sa.select(whole)).scalar_one())
        pages, of_bytes = (
            int(connection.exec_driver_sql(f"PRAGMA {name}").scalar_one())
            for name in ("page_count", "page_size")
        )
        return pages * of_bytes


def _log_bytes(path: Path | None) -> int:
    log = path.with_name(f"{path.name}-wal") if path else None
    return log.stat().st_size if log and log.exists() else 0


# --- Bounds ------------------------------------------------------------------------------------------


def unbounded(
    samples: Sequence[Sample], rest: Rest, keep_days: int, kind: str
) -> Iterator[tuple[str, list[str]]]:
    """Yield each resource that must stay bounded, and its problems."""
    # There may be no worker on a day: it starts with the first GRIB, and some are killed.
    first, last = [s for s in samples if s.worker_memory is not None][:2], samples[-1]
    most_threads = rest.threads + EXECUTOR_THREADS + POOL_THREADS

    def at_most(name: str, of: Callable[[Sample], float | None], bound: float) -> list[str]:
        beyond = [(s.day, value) for s in samples if (value := of(s)) is not None and value > bound]
        return [f"day {day}: {value:g} {name}, and {bound:g} is the most" for day, value in beyond]

    def as_at_first(name: str, of: Callable[[Sample], int | None]) -> list[str]:
        level = max((value for s in first if (value := of(s)) is not None), default=None)
        return [] if level is None else at_most(name, of, level)

    yield (
        "bounded: memory",
        [
            *_growth("the service", samples, lambda s: s.memory),
            *_growth("the worker", samples, lambda s: s.worker_memory),
        ],
    )
    yield (
        "bounded: open files",
        [
            *as_at_first("open files", lambda s: s.files),
            *as_at_first("open files of the worker", lambda s: s.worker_files),
            *at_most("connections to upstreams", lambda s: s.upstreams, IDLE_CONNECTIONS),
            *at_most("connections to the store", lambda s: s.store, POOL_SIZE),
            *at_most("connections to the store in use", lambda s: s.busy, 0),
        ],
    )
    yield "bounded: tasks", at_most("tasks", lambda s: s.tasks, rest.tasks)
    yield "bounded: threads", at_most("threads", lambda s: s.threads, most_threads)
    problems = [*at_most("bytes of log", lambda s: s.log_bytes, LOG_BYTES), *_swelling(samples)]
    if last.values >= VALUES_FOR_A_RATIO and last.store_bytes / last.values > BYTES_PER_VALUE[kind]:
        problems.append(
            f"{last.store_bytes / last.values:.1f} bytes a value; the aim is {BYTES_PER_VALUE[kind]:g}"
        )
    yield "bounded: store", problems
    yield "bounded: payload archive", at_most("days of payloads", lambda s: s.payload_days, keep_days + 1)
    yield "bounded: temporary files", at_most("temporary files", lambda s: s.left_over, 0)


def _growth(whose: str, samples: Sequence[Sample], of: Callable[[Sample], float | None]) -> list[str]:
    before, after = _last_thirds(samples, of)
    if after - before <= MEMORY_GROWTH_MB:
        return []
    return [f"memory of {whose} grew from {before:.0f} to {after:.0f} MB"]


def _swelling(samples: Sequence[Sample]) -> list[str]:
    before, after = _last_thirds(samples, lambda s: s.store_bytes / max(s.values, 1))
    return [f"it grew from {before:.1f} to {after:.1f} bytes a value"] if after > SWELLING * before else []


def _last_thirds(samples: Sequence[Sample], of: Callable[[Sample], float | None]) -> tuple[float, float]:
    """Return the medians of the second and of the last third; fewer than six days have none: 0."""
    third = len(samples) // 3
    parts = (samples[third:-third], samples[-third:]) if third >= 2 else ((), ())
    before, after = ([value for s in part if (value := of(s)) is not None] for part in parts)
    return (median(before), median(after)) if before and after else (0.0, 0.0)


COLUMNS: dict[str, Callable[[Sample], object]] = {
    "day": lambda s: s.day,
    "memory, MB": lambda s: f"{s.memory:.0f}",
    "of the worker": lambda s: "–" if s.worker_memory is None else f"{s.worker_memory:.0f}",
    "open files": lambda s: s.files,
    "connections to upstreams": lambda s: s.upstreams,
    "to the store": lambda s: s.store,
    "tasks": lambda s: s.tasks,
    "threads": lambda s: s.threads,
    "values": lambda s: s.values,
    "store, MB": lambda s: f"{s.store_bytes / MB:.1f}",
    "bytes a value": lambda s: f"{s.store_bytes / max(s.values, 1):.1f}",
    "log, MB": lambda s: f"{s.log_bytes / MB:.1f}",
    "payloads": lambda s: s.payload_files,
}


def table(samples: Sequence[Sample], every: int) -> Iterator[str]:
    """Yield the samples as lines of a table: the first two days, the last, and one of so many between."""
    yield f"| {' | '.join(COLUMNS)} |"
    yield f"|{' --- |' * len(COLUMNS)}"
    for s in samples:
        if s.day in {1, 2, samples[-1].day} or s.day % every == 0:
            yield f"| {' | '.join(str(show(s)) for show in COLUMNS.values())} |"
