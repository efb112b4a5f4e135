"""The processes of the service on one store: each records its start, its heartbeat and its end.

All times are the database's: the clocks of several machines differ.
"""

from __future__ import annotations

import os
import socket
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Literal

import sqlalchemy as sa

from backend import __version__
from backend.core.errors import ConfigError
from backend.core.text import printable
from backend.storage import schema as t
from backend.storage.database import Database, clock_of, from_epoch, maybe_time
from backend.storage.process_identity import is_dead, this_process

MISSED_HEARTBEATS = 3
"""From this number of missed heartbeats on, a process counts as dead."""

KEPT = timedelta(days=7)
"""How long a process that stopped or died stays in the list."""

InstanceState = Literal["alive", "stopped", "dead"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Instance:
    """A process of the service, and the time since its last heartbeat. A dead one did not stop by itself."""

    id: int
    role: str
    host: str
    pid: int
    version: str
    started: datetime
    heartbeat: datetime
    age: timedelta
    stopped: datetime | None
    state: InstanceState

    def as_dict(self) -> dict[str, Any]:
        """Return it under the API's names, with what only the operator may see: host and process number."""
        return {
            "id": self.id,
            "role": self.role,
            "state": self.state,
            "host": self.host,
            "pid": self.pid,
            "version": self.version,
            "startedAt": self.started,
            "heartbeatAt": self.heartbeat,
            "heartbeatAgeSeconds": round(self.age.total_seconds()),
            "stoppedAt": self.stopped,
        }


def heartbeat_interval(database: Database) -> timedelta:
    """Return the time between two heartbeats.

    Long on SQLite: each write makes the rendered pages of all processes old (changes.py). Its processes are
    on one machine, where the death of one is noticed without a heartbeat.
    """
    return timedelta(seconds=30 if database.path is None else 300)


def require_none_alive(database: Database) -> None:
    """Raise ConfigError while a process of the service uses a store that is to be upgraded.

    An old process would go on reading and writing tables of another version.
    """
    column = t.instance.c
    with database.read() as connection:
        if not sa.inspect(connection).has_table(t.instance.name):
            return  # there is no store, or one from before the list of processes
        longest = (MISSED_HEARTBEATS * heartbeat_interval(database)).total_seconds()
        query = sa.select(column.owner, column.role, column.host, column.pid).where(
            column.stopped_at.is_(None), column.heartbeat_at >= clock_of(connection) - longest
        )
        alive = [
            f"{printable(row.role)} (process {row.pid} on {printable(row.host)})"
            for row in connection.execute(query.order_by(column.id))
            if not is_dead(row.owner)
        ]
    if alive:
        raise ConfigError(
            f"the store is in use: stop {', '.join(alive)}, then upgrade it. A process that was killed on"
            f" another machine counts for {longest:g} s"
        )


class Instances:
    """The list of processes in a store. All methods block: call them from a thread."""

    def __init__(self, database: Database, *, owner: str | None = None) -> None:
        self._database = database
        self._owner = owner or this_process()

    def beat(self, role: str) -> None:
        """Record that this process is alive, and remove processes that have not been for long."""
        column = t.instance.c
        with self._database.write() as connection:
            now = int(clock_of(connection))
            seen = {"role": role, "heartbeat_at": now, "stopped_at": None}
            mine = sa.update(t.instance).where(column.owner == self._owner).values(seen)
            if connection.execute(mine).rowcount == 0:  # one writer at a time: no other adds it now
                connection.execute(
                    sa.insert(t.instance).values(
                        owner=self._owner,
                        host=socket.gethostname(),
                        pid=os.getpid(),
                        version=__version__,
                        started_at=now,
                        **seen,
                    )
                )
            old = column.heartbeat_at < now - int(KEPT.total_seconds())
            connection.execute(sa.delete(t.instance).where(old))

    def stop(self) -> None:
        """Record that this process has stopped."""
        mine = t.instance.c.owner == self._owner
        with self._database.write() as connection:
            now = int(clock_of(connection))
            connection.execute(sa.update(t.instance).where(mine).values(stopped_at=now, heartbeat_at=now))

    def all(self) -> list[Instance]:
        """Return the processes, those that are alive first, then the newest heartbeat first."""
        with self._database.read() as connection:
            now = from_epoch(int(clock_of(connection)))
            rows = connection.execute(sa.select(t.instance)).all()
        longest = MISSED_HEARTBEATS * heartbeat_interval(self._database)
        found = []
        for row in rows:
            age = max(timedelta(), now - from_epoch(row.heartbeat_at))
            state: InstanceState = "dead" if age > longest or is_dead(row.owner) else "alive"
            found.append(
                Instance(
                    id=row.id,
                    role=printable(row.role),
                    host=printable(row.host),
                    pid=row.pid,
                    version=printable(row.version),
                    started=from_epoch(row.started_at),
                    heartbeat=from_epoch(row.heartbeat_at),
                    age=age,
                    stopped=maybe_time(row.stopped_at),
                    state=state if row.stopped_at is None else "stopped",
                )
            )
        return sorted(found, key=lambda one: (one.state != "alive", one.age, one.id))
