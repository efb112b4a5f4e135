"""Alerts of a service: one message when a state becomes worse, one when it is over, and none twice."""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any, cast

import pytest
import sqlalchemy as sa
from pydantic import SecretStr

from backend.alerts.targets import Target
from backend.alerts.watch import AlertWatch
from backend.answers.service import ServiceParts
from backend.core.errors import ConfigError
from backend.core.records import Failure
from backend.main import Service
from backend.scheduler.config import ISSUING, OBSERVATIONS, JobId, SchedulerConfig
from backend.storage import schema as t
from backend.storage.alerts import GIVEN_UP_AFTER, IN_DELIVERY, AlertStore, Message
from backend.storage.instances import Instances
from backend.storage.run_records import SourceRun
from backend.storage.store_identity import note_backup
from backend.tests.support.receiver import Receiver, receiving
from backend.tests.support.served import NOW, SITES, fill, make_service, served
from backend.tests.support.stores import make_tables
from backend.tests.support.waiting import until
from backend.tests.support.worlds import HandClock

HOUR = timedelta(hours=1)
HOOK = "/hooks/a-secret-hook"


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with receiving() as one:
        yield one


NO_STATIONS = SITES.partition('[[sites]]\nid = "petit-col"')[0].replace(
    'stations = ["ffvl:901", "romma:902"]', 'without = ["ffvl", "romma"]'
)

Make = Callable[..., Service]


@pytest.fixture
def make(tmp_path: Path, receiver: Receiver) -> Iterator[Make]:
    """Make a service that sends its alerts to the receiver; another call is its next process."""
    clock = HandClock(NOW)
    services = []

    def make_one(**settings: Any) -> Service:
        settings = {
            "sites": NO_STATIONS,
            "sources": "ffvl,romma",
            "alert_urls": f"json://{receiver.address}{HOOK}",
        } | settings
        service = make_service(tmp_path, clock=clock, **settings)
        service = replace(service, free_bytes=lambda _: 10**12)
        make_tables(service.database)
        service.database.note_check()
        services.append(service)
        return service

    yield make_one
    for service in services:
        service.database.close()


def look(service: Service, owner: str = "this") -> list[str]:
    """Do one round, and return the subjects that are open after it."""
    alerts = AlertStore(service.database, owner=owner)
    service.alert_watch.round(cast(ServiceParts, service), alerts, in_service=True)
    return [alert.key for alert in alerts.open_alerts()]


def messages(receiver: Receiver) -> list[dict[str, Any]]:
    return [json.loads(request.body) for request in receiver.requests]


def titles(receiver: Receiver) -> list[str]:
    return [message["title"] for message in messages(receiver)]


def later(service: Service, by: timedelta) -> None:
    cast(HandClock, service.clock).now += by


def run(service: Service, status: Any = "success", source: str = "romma", **part: Any) -> None:
    """Add a run of one network that ends now."""
    claim = service.ledger.claim(OBSERVATIONS, "schedule", service.clock())
    assert claim is not None
    part = {"newest": service.clock() if status == "success" else None} | part
    one = SourceRun(source=source, status=status, **part)
    service.ledger.finish(claim, status, service.clock(), duration=1, sources=[one])


def test_a_problem_is_one_message_its_end_another_and_a_restart_sends_neither_again(
    make: Make, receiver: Receiver
) -> None:
    service = make()
    run(service)
    assert look(service) == []
    assert messages(receiver) == []

    run(service, "failed", reason="HTTP 503")
    assert look(service) == ["job_failing:collect_observations", "source_failing:romma"]
    assert look(service) == look(make()) == ["job_failing:collect_observations", "source_failing:romma"]
    (message,) = messages(receiver)
    assert receiver.paths == [HOOK]
    assert (message["title"], message["type"]) == ("MétéoScore: 2 problems", "warning")
    assert "Problem: romma failed in the last run: HTTP 503." in message["message"]
    assert "What to do: Check its key, its address and the network" in message["message"]

    later(service, HOUR)
    restarted = make()
    run(restarted)
    assert look(restarted) == look(make()) == []
    _, message = messages(receiver)
    assert (message["title"], message["type"]) == ("MétéoScore: 2 over", "success")
    assert (
        "Over: romma failed in the last run: HTTP 503. (reported 2026-07-15 12:10 UTC)" in message["message"]
    )


def test_a_problem_is_reported_after_so_many_failures_and_over_after_one_success(
    make: Make, receiver: Receiver
) -> None:
    service = make(alert_after_failures=3)
    for _ in range(2):
        run(service, "failed")
        assert look(service) == []
    run(service)
    run(service, "failed")
    assert look(service) == []
    for _ in range(2):
        run(service, "failed")
    assert "source_failing:romma" in look(service)
    run(service)
    assert look(service) == []
    assert titles(receiver) == ["MétéoScore: 2 problems", "MétéoScore: 2 over"]


def test_a_refused_key_names_whom_to_write_to(make: Make, receiver: Receiver) -> None:
    service = make(ffvl_api_key="a-key-of-the-ffvl")
    refused = Failure("api", "https://data.ffvl.fr/api", "HTTP 403 Forbidden: 'no'", "FetchError")
    run(service, "partial", "ffvl", failures=(refused,), failed=1, collected=3)
    assert look(service) == ["key_refused:ffvl"]
    (message,) = messages(receiver)
    assert "ffvl refuses the key or the requests of this service, by its route api" in message["message"]
    assert "write to informatique@ffvl.fr" in message["message"]


@pytest.mark.parametrize("job", [OBSERVATIONS, ISSUING])
def test_missed_slots_are_one_problem_for_a_day(make: Make, receiver: Receiver, job: JobId) -> None:
    service = make()
    run(service)
    slots = [NOW - timedelta(hours=hours) for hours in (3, 2)]
    service.ledger.note_missed(job, slots, "no process ran it in time")
    assert look(service) == [f"job_missed:{job}"]
    later(service, 21 * HOUR)
    run(service)
    assert look(service) == [f"job_missed:{job}"]
    later(service, 4 * HOUR)
    run(service)
    assert look(service) == []
    assert "no process ran the slots of 15 09:10, 15 10:10 UTC." in messages(receiver)[0]["message"]


def test_a_backup_that_is_overdue_is_a_problem_until_the_next(make: Make) -> None:
    service = make()
    run(service, newest=None)
    with service.database.write() as connection:
        note_backup(connection, NOW - 47 * HOUR)
    assert look(service) == []
    later(service, 2 * HOUR)
    assert look(service) == ["backup_overdue"]
    with service.database.write() as connection:
        note_backup(connection, service.clock())
    assert look(service) == []


def test_a_high_share_of_rejected_values_is_a_problem(make: Make) -> None:
    service = make()
    run(service, collected=300, rejected=49)
    assert look(service) == []
    run(service, collected=100, rejected=100)
    assert look(service) == ["rejected_share:romma"]
    later(service, 25 * HOUR)
    run(service, collected=300)
    assert look(service) == []


def test_old_data_a_full_disk_and_a_damaged_store_are_problems(make: Make, receiver: Receiver) -> None:
    service = make()
    run(service)
    later(service, timedelta(days=1))
    run(service, "nothing_new", newest=NOW)
    full = replace(service, free_bytes=lambda _: 12_000_000)
    assert look(full) == [
        "data_stale:romma",
        "disk_full:temporary files",
        "disk_full:the payload archive",
        "disk_full:the store",
    ]
    full.database.note_damage("database disk image is malformed")
    assert "store_damaged" in look(full)
    assert "disk_full:the store" in look(full), "with a damaged store nothing counts as over"
    restarted = make()
    restarted.database.checked_at = None
    assert "store_damaged" in look(restarted), "not checked yet, so it is not over"
    restarted.database.note_check()
    run(restarted, newest=restarted.clock())
    assert look(restarted) == []
    assert titles(receiver)[:2] == ["MétéoScore: 4 problems", "MétéoScore: 1 problem"]


def test_a_station_that_is_silent_for_a_day_is_a_problem_unless_its_network_is(
    make: Make, receiver: Receiver
) -> None:
    service = make(sites=SITES)
    fill(service)
    assert look(service) == []
    later(service, 25 * HOUR)
    run(service, newest=service.clock())
    run(service, "success", "ffvl", newest=service.clock())
    assert look(service) == [f"station_silent:{code}" for code in ("ffvl:901", "romma:902", "romma:903")]
    run(service, "failed", "romma")
    assert "station_silent:romma:902" in look(service), "it stays as it was reported"
    (first, second) = messages(receiver)
    assert "ffvl:901 is silent since 2026-07-15 12:05 UTC: station of grand-pre." in first["message"]
    assert "Over" not in second["message"]


def test_the_stations_of_a_new_installation_have_a_day_for_their_first_reading(make: Make) -> None:
    service = make(sites=SITES)
    run(service)
    assert look(service) == []
    later(service, 25 * HOUR)
    run(service, newest=service.clock())
    assert look(service) == [f"station_silent:{code}" for code in ("ffvl:901", "romma:902", "romma:903")]


def test_a_clock_is_judged_only_by_hosts_that_were_asked(make: Make) -> None:
    service = make()
    run(service)
    for host in ("a.example", "b.example"):
        service.clock_watch.note(host, NOW + HOUR)
    assert look(service) == ["clock_off"]
    restarted = make()
    assert look(restarted) == ["clock_off"], "no host was asked since the restart"
    for host in ("a.example", "b.example"):
        restarted.clock_watch.note(host, NOW)
    assert look(restarted) == []


def test_a_message_that_is_not_delivered_is_sent_again_at_intervals_for_a_day(
    make: Make, receiver: Receiver
) -> None:
    service = make()
    receiver.status = 500
    run(service, "failed")
    look(service)
    look(service)
    assert len(messages(receiver)) == 1, "not before a minute"
    later(service, timedelta(minutes=1))
    look(make())
    assert len(messages(receiver)) == 2, "also by the next process"
    receiver.status = 200
    later(service, timedelta(minutes=5))
    look(service)
    look(service)
    assert titles(receiver) == ["MétéoScore: 2 problems"] * 3

    receiver.status = 500
    run(service)
    look(service)
    later(service, GIVEN_UP_AFTER + HOUR)
    run(service)
    before = len(messages(receiver))
    look(service)
    assert "MétéoScore: 2 over" not in titles(receiver)[before:]


def test_each_address_has_its_own_deliveries(make: Make, receiver: Receiver) -> None:
    with receiving() as other:
        other.status = 500
        service = make(alert_urls=f"json://{receiver.address}/one, json://{other.address}/two?a=b,c")
        run(service, "failed")
        look(service)
        other.status = 200
        later(service, timedelta(minutes=2))
        look(service)
        assert (len(receiver.requests), len(other.requests)) == (1, 2)


def test_a_daily_message_has_the_open_problems_and_is_sent_once_a_day(make: Make, receiver: Receiver) -> None:
    service = make(alert_digest_hour=12)
    run(service, newest=None)
    look(service)
    assert titles(receiver) == [], "no problem, no message"
    run(service, "failed")
    look(service)
    look(service)
    later(service, timedelta(hours=23))
    look(service)
    assert titles(receiver) == ["MétéoScore: 2 problems", "MétéoScore: 2 open problems"]
    later(service, HOUR)
    look(service)
    look(make())
    assert titles(receiver)[2:] == ["MétéoScore: 2 open problems"]


def test_of_two_processes_on_a_store_one_watches(make: Make, receiver: Receiver) -> None:
    one, other = make(), make()
    other = replace(other, free_bytes=lambda _: 12_000_000)  # it is on another machine
    run(one, "failed")
    look(one, "first")
    look(other, "second")
    assert titles(receiver) == ["MétéoScore: 2 problems"]


def test_a_store_that_cannot_be_used_is_reported_once_and_its_return_too(
    make: Make, receiver: Receiver, tmp_path: Path
) -> None:
    service = make()
    service.database.close()
    file, away = tmp_path / "store.sqlite3", tmp_path / "away.sqlite3"
    file.rename(away)
    alerts = AlertStore(service.database)
    parts = cast(ServiceParts, service)
    for _ in range(4):
        service.alert_watch.round(parts, alerts, in_service=True)
    assert titles(receiver) == ["MétéoScore: the store cannot be used"]
    service.database.close()
    for leftover in tmp_path.glob("store.sqlite3*"):
        leftover.unlink()
    away.rename(file)
    for _ in range(2):
        service.alert_watch.round(parts, alerts, in_service=True)
    assert titles(receiver)[1:] == ["MétéoScore: the store answers again"]


def test_a_worker_leaves_the_watch_to_the_process_with_the_schedule(make: Make, receiver: Receiver) -> None:
    config = SchedulerConfig.load(meteo_score_role="worker")
    worker = replace(make(), config=config)
    run(worker, "failed")
    Instances(worker.database, owner="another-host/boot/1/1").beat("scheduler")
    look(worker, "worker")
    assert titles(receiver) == []
    with worker.database.write() as connection:
        connection.execute(sa.update(t.instance).values(heartbeat_at=0))  # the other one is dead
    look(worker, "worker")
    assert len(titles(receiver)) == 1


def test_of_several_processes_one_reports_the_store(make: Make, receiver: Receiver, tmp_path: Path) -> None:
    services = [make() for _ in range(3)]
    for number, service in enumerate(services):
        look(service, f"process-{number}")
    # Of a worker that starts during the outage it is unknown whether another process watches.
    services.append(replace(make(), config=SchedulerConfig.load(meteo_score_role="worker")))
    for service in services:
        service.database.close()
    file, away = tmp_path / "store.sqlite3", tmp_path / "away.sqlite3"
    file.rename(away)
    for _ in range(3):
        for service in services:
            service.alert_watch.round(
                cast(ServiceParts, service), AlertStore(service.database), in_service=True
            )
    assert titles(receiver) == ["MétéoScore: the store cannot be used"]


def test_behind_a_slow_address_no_message_is_sent_again(make: Make) -> None:
    service, sent = make(), Counter[str]()
    run(service, "failed")

    def watch(send: Callable[[Target, Message], str]) -> int:
        addresses = SecretStr("json://one.example json://two.example")
        alerts = AlertStore(service.database)
        return AlertWatch(addresses, after=1, digest_hour=None, send=send).round(
            cast(ServiceParts, service), alerts, in_service=True
        )

    def at_once(target: Target, _message: Message) -> str:
        sent[target.id] += 1
        return ""

    def slowly(target: Target, message: Message) -> str:
        if not sent:
            at_once(target, message)
            later(service, IN_DELIVERY)
            watch(at_once)  # the next round does not wait for one that takes longer than ROUND_SECONDS
            return ""
        return at_once(target, message)

    watch(slowly)
    assert sorted(sent.values()) == [1, 2], "the first looked lost; the other is sent once"


async def test_an_address_that_does_not_answer_delays_neither_a_run_nor_the_stop(
    make: Make, receiver: Receiver
) -> None:
    receiver.held.clear()
    service = make()
    run(service, "failed")
    async with served(service, live=True) as client:
        await until(lambda: receiver.requests)
        assert (await client.get("/api/ready")).status_code == 200
        claim = await asyncio.to_thread(service.ledger.claim, OBSERVATIONS, "cli", service.clock())
        assert claim is not None, "the store takes writes"
    assert not receiver.held.is_set()


def test_an_address_that_cannot_be_used_stops_the_start_without_its_text(make: Make) -> None:
    service = make(alert_urls="json://127.0.0.1/one nonsense://a-secret-token")
    with pytest.raises(ConfigError) as refused:
        service.check()
    assert "address 2 (nonsense://...)" in str(refused.value)
    assert "a-secret-token" not in str(refused.value)


def test_without_addresses_nothing_is_watched(make: Make) -> None:
    service = make(alert_urls="")
    assert service.alert_watch.targets == ()
    asyncio.run(service.alert_watch.forever(cast(ServiceParts, service)))
