"""The queue of tasks for workers: Procrastinate's tables in the database of the store (PostgreSQL).

The queue is no part of the store: `run_task` (run_tasks.py) lists what is left to do, and the queue is
rebuilt from it. Its tables are neither backed up nor copied. Procrastinate is the extra `scale`; it is
imported where it is used.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from backend.core.errors import ConfigError, StoreUnavailableError
from backend.storage.database import Database

QUEUE = "meteo-score"
TASK = "do_run_task"
"""Name of a job of the queue; its number is the id of a `run_task`."""

SCORES = "make_score_days"
"""Name of a job of the queue; its number is that of a group of sites (score_jobs.py)."""

_EXISTS = sa.text("SELECT to_regclass('procrastinate_jobs') IS NOT NULL")
_APPLIED = re.compile(r"\S+\.sql$")


def require_queue(database: Database, role: str) -> None:
    """Raise ConfigError if this installation cannot have a queue, with what to do."""
    if database.path is not None:
        raise ConfigError(
            f"METEO_SCORE_ROLE={role}: several processes share their work through PostgreSQL, and the store"
            " is a SQLite file: copy it with meteo-score db copy, or use the role all"
        )
    if find_spec("procrastinate") is None:
        raise ConfigError(
            f"METEO_SCORE_ROLE={role}: needs the extra scale: pip install 'meteo-score[scale]', or use the"
            " role all"
        )


def has_queue(database: Database) -> bool:
    """Return True if the database has the tables of the queue, and this installation can use them."""
    if database.path is not None or find_spec("procrastinate") is None:
        return False
    with database.read() as connection:
        return bool(connection.scalar(_EXISTS))


def upgrade_queue(database: Database, *, confirmed: bool = False) -> None:
    """Create the tables of the queue, or apply the migrations that this version of Procrastinate added.

    Existing tables are upgraded only if that is `confirmed`, as those of the store. Raises ConfigError.

    Procrastinate leaves it to its users to keep track of applied migrations: the comment of its table of jobs
    names the newest one. (https://procrastinate.readthedocs.io/en/stable/howto/production/migrations.html)
    """
    from procrastinate.schema import SchemaManager

    files = sorted(Path(SchemaManager.get_migrations_path()).glob("*.sql"), key=lambda file: file.name)
    newest = files[-1].name
    with database.write() as connection:
        comment = connection.scalar(
            sa.text("SELECT obj_description(to_regclass('procrastinate_jobs'), 'pg_class')")
        )
        if not connection.scalar(_EXISTS):
            scripts = [SchemaManager.get_schema()]
        else:
            applied = _APPLIED.search(comment or "")
            if applied is None:
                raise ConfigError(
                    "the database has tables of Procrastinate that meteo-score did not make: use a database"
                    " of its own"
                )
            scripts = [file.read_text("utf-8") for file in files if file.name > applied[0]]
            if scripts and not confirmed:
                raise ConfigError(
                    f"the tables of the queue are of {applied[0]}, and this program needs {newest}: stop all"
                    " services on the database, then run meteo-score db upgrade --yes"
                )
        for script in scripts:
            # Without parameters, so that the driver sends the statements as they are.
            connection.connection.cursor().execute(script)
        if scripts:
            connection.execute(
                sa.text(f"COMMENT ON TABLE procrastinate_jobs IS 'meteo-score; migrations up to {newest}'")
            )


@dataclass(frozen=True, slots=True)
class QueueJob:
    """A call of a task of the queue: its name, its argument, and its lock: of two with one lock, one runs."""

    name: str
    number: int
    lock: str


def defer(connection: sa.Connection, jobs: Iterable[QueueJob]) -> None:
    """Add jobs to the queue, in the transaction of `connection`. Raises StoreUnavailableError."""
    from procrastinate.exceptions import ConnectorException
    from procrastinate.jobs import Job
    from procrastinate.manager import JobManager
    from procrastinate.sync_psycopg_connector import SyncPsycopgConnector

    added = [
        Job(
            id=None,
            queue=QUEUE,
            lock=job.lock,
            queueing_lock=None,
            task_name=job.name,
            task_kwargs={"number": job.number},
        )
        for job in jobs
    ]
    if added:
        try:
            JobManager(SyncPsycopgConnector()).batch_defer_jobs(
                added, connection=connection.connection.driver_connection
            )
        except ConnectorException as error:
            raise StoreUnavailableError(f"the store does not answer: {error.__cause__ or error}") from error


def queued(connection: sa.Connection, name: str = TASK) -> dict[int, bool]:
    """Return the numbers of the jobs of a name in the queue, and whether a worker has started each.

    One that waits as well counts as not started.
    """
    query = sa.text(
        "SELECT (args->>'number')::int AS number, bool_and(status = 'doing') AS started"
        " FROM procrastinate_jobs WHERE task_name = :name AND status IN ('todo', 'doing') GROUP BY 1"
    )
    return {row.number: row.started for row in connection.execute(query, {"name": name})}


def remove_stalled(connection: sa.Connection, dead: Iterable[int], silent_seconds: float) -> list[int]:
    """Remove the jobs that a dead or silent worker has started; return the run_task ids among them.

    `dead` are the ids of run_tasks whose process is dead. A removed job's late worker cannot end the job that
    is added in its place.
    """
    from procrastinate.sql import queries

    stalled: Any = connection.exec_driver_sql(
        queries["select_stalled_jobs_by_heartbeat"],
        {"queue": QUEUE, "task_name": None, "seconds_since_heartbeat": silent_seconds},
    )
    removed = connection.execute(
        sa.text(
            "DELETE FROM procrastinate_jobs WHERE status = 'doing' AND (id = ANY(:stalled)"
            " OR task_name = :name AND (args->>'number')::int = ANY(:dead)) RETURNING task_name, args"
        ),
        {"name": TASK, "stalled": [row.id for row in stalled], "dead": list(dead)},
    )
    return sorted(row.args["number"] for row in removed if row.task_name == TASK)
