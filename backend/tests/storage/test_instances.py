"""The list of processes: who is alive, who stopped, who died, and how long they are kept."""

from __future__ import annotations

from datetime import timedelta

import sqlalchemy as sa

from backend.storage import schema as t
from backend.storage.database import Database
from backend.storage.instances import KEPT, Instances, heartbeat_interval
from backend.storage.process_identity import this_process
from backend.tests.support.stores import open_database

ELSEWHERE = "another-host:1/a-boot/4711/815"
HERE = this_process()
DEAD_HERE = f"{HERE.rpartition('/')[0]}/1"  # this pid, with another start


def age(database: Database, by: timedelta) -> None:
    """Move every heartbeat into the past."""
    with database.write() as connection:
        earlier = t.instance.c.heartbeat_at - int(by.total_seconds())
        connection.execute(sa.update(t.instance).values(heartbeat_at=earlier))


def test_a_process_is_alive_until_it_stops_and_alive_again_after_a_restart_in_place(
    database_url: str,
) -> None:
    database = open_database(database_url)
    mine = Instances(database)
    mine.beat("worker")
    (one,) = mine.all()
    assert (one.role, one.state, one.stopped) == ("worker", "alive", None)
    assert one.started == one.heartbeat
    assert timedelta() <= one.age < timedelta(minutes=1)
    mine.stop()
    (stopped,) = mine.all()
    assert (stopped.state, stopped.stopped) == ("stopped", stopped.heartbeat)
    mine.beat("all")
    (again,) = mine.all()
    assert (again.id, again.role, again.state) == (one.id, "all", "alive")


def test_a_process_without_three_heartbeats_is_dead_and_one_of_this_machine_at_once(
    database_url: str,
) -> None:
    database = open_database(database_url)
    elsewhere = Instances(database, owner=ELSEWHERE)
    elsewhere.beat("worker")
    Instances(database, owner=DEAD_HERE).beat("api")
    assert {one.role: one.state for one in elsewhere.all()} == {"worker": "alive", "api": "dead"}
    interval = heartbeat_interval(database)
    age(database, 3 * interval - timedelta(seconds=10))
    assert {one.role: one.state for one in elsewhere.all()}["worker"] == "alive"
    age(database, timedelta(seconds=20))
    assert {one.role: one.state for one in elsewhere.all()}["worker"] == "dead"


def test_those_that_are_alive_come_first_and_old_ones_are_removed(database_url: str) -> None:
    database = open_database(database_url)
    Instances(database, owner=DEAD_HERE).beat("api")
    Instances(database, owner=ELSEWHERE).beat("worker")
    age(database, KEPT - timedelta(minutes=1))
    mine = Instances(database)
    mine.beat("scheduler")
    assert [one.role for one in mine.all()] == ["scheduler", "api", "worker"]
    age(database, timedelta(minutes=2))
    mine.beat("scheduler")
    assert [one.role for one in mine.all()] == ["scheduler"]
