"""The queue of tasks for workers: Procrastinate's tables in the database of the store (PostgreSQL).

The queue is no part of the store: `run_task` (run_tasks.py) lists what is left to do, and the queue is
rebuilt from it. Its tables are neither backed up nor copied. Procrastinate is the extra `scale`; it is
imported where it is used.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from backend.core.errors import ConfigError, StoreUnavailableError
from backend.storage.database import Database

QUEUE = "meteo-score"
TASK = "do_run_task"
"""Name of the queue's task; its argument `task` is the id of a `run_task`."""

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
    """Return True if the database has the tables of the queue."""
    if database.path is not None:
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


def defer(connection: sa.Connection, tasks: Iterable[tuple[int, str]]) -> None:
    """Add tasks (id, lock) to the queue, in the transaction of `connection`.

    Of two tasks with one lock, one runs at a time. Raises StoreUnavailableError.
    """
    from procrastinate.exceptions import ConnectorException
    from procrastinate.jobs import Job
    from procrastinate.manager import JobManager
    from procrastinate.sync_psycopg_connector import SyncPsycopgConnector

    jobs = [
        Job(
            id=None,
            queue=QUEUE,
            lock=lock,
            queueing_lock=None,
            task_name=TASK,
            task_kwargs={"task": task},
        )
        for task, lock in tasks
    ]
    if jobs:
        try:
            JobManager(SyncPsycopgConnector()).batch_defer_jobs(
                jobs, connection=connection.connection.driver_connection
            )
        except ConnectorException as error:
            raise StoreUnavailableError(f"the store does not answer: {error.__cause__ or error}") from error


def queued(connection: sa.Connection) -> dict[int, bool]:
    """Return the ids of the tasks in the queue, and whether each was started by a worker."""
    query = sa.text(
        "SELECT (args->>'task')::int AS task, status = 'doing' AS started FROM procrastinate_jobs"
        " WHERE task_name = :name AND status IN ('todo', 'doing')"
    )
    return {row.task: row.started for row in connection.execute(query, {"name": TASK})}


def remove_stalled(connection: sa.Connection, dead: Iterable[int], silent_seconds: float) -> list[int]:
    """Remove the tasks that were started by a worker that is `dead` or silent, and return their ids.

    `dead` are ids of tasks. A removed job's late worker cannot end the job that is added in its place.
    """
    from procrastinate.sql import queries

    stalled: Any = connection.exec_driver_sql(
        queries["select_stalled_jobs_by_heartbeat"],
        {"queue": QUEUE, "task_name": TASK, "seconds_since_heartbeat": silent_seconds},
    )
    tasks = {row.args["task"] for row in stalled} | set(dead)
    if tasks:
        connection.execute(
            sa.text(
                "DELETE FROM procrastinate_jobs WHERE task_name = :name AND status = 'doing'"
                " AND (args->>'task')::int IN :tasks"
            ).bindparams(sa.bindparam("tasks", expanding=True)),
            {"name": TASK, "tasks": sorted(tasks)},
        )
    return sorted(tasks)
