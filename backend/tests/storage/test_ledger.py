"""The ledger: claims of runs, the outcome of each slot, and queries."""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import sqlalchemy as sa

from backend.core.errors import JobBusyError, NotFoundError, StoreReplacedError, StoreUnavailableError
from backend.core.records import Failure
from backend.storage import schema as t
from backend.storage.database import to_epoch
from backend.storage.ledger import MAX_ATTEMPTS, LeaseLostError, Ledger
from backend.storage.process_identity import is_dead, this_process
from backend.storage.run_records import Claim, FailureStreak, JobRun, Pause, SourceRun
from backend.tests.support.stores import (
    NOW,
    forecast,
    forecasts,
    observations,
    open_database,
    open_store,
    query_plans,
    reading,
    rows,
    start_process,
    walks,
)
from backend.tests.support.waiting import HANG_SECONDS

JOB, OTHER_JOB = "collect_forecasts", "collect_observations"
SLOT = datetime(2026, 7, 15, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)
ELSEWHERE = "another-host:1/a-boot/4711/815"
LATER = NOW + timedelta(minutes=1)


def open_ledger(url: str, **options: Any) -> Ledger:
    return Ledger(open_database(url), **options)


def open_lost_ledger(url: str) -> Ledger:
    """Return the ledger of a process elsewhere whose leases all expire at once."""
    return open_ledger(url, owner=ELSEWHERE, lease=0)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ("DELETE FROM job_run", "run 1 of this process is not in it"),
        ("UPDATE job_run SET owner = 'another service', epoch = 1", "run 1 of this process is not in it"),
        ("UPDATE store_identity SET store = 'another'", "it has another identity"),
    ],
)
def test_an_older_state_or_another_store_in_the_place_of_this_one_is_neither_read_nor_written(
    database_url: str, change: str, reason: str
) -> None:
    ledger = open_ledger(database_url)
    ledger.finish(claimed(ledger), "success", NOW, duration=1, sources=())
    ledger.require_same_store()
    with open_database(database_url).write() as connection:
        connection.exec_driver_sql(change)
    with pytest.raises(StoreReplacedError, match=reason):
        claimed(ledger, SLOT + HOUR)
    with pytest.raises(StoreReplacedError, match=reason):
        ledger.runs()
    restarted = open_ledger(database_url)
    restarted.finish(claimed(restarted, SLOT + HOUR), "success", NOW, duration=1, sources=())
    with pytest.raises(StoreReplacedError, match=reason):
        ledger.require_same_store()


def claimed(ledger: Ledger, slot: datetime | None = SLOT, job: str = JOB, now: datetime = NOW) -> Claim:
    claim = ledger.claim(job, "schedule", now, slot)
    assert claim is not None
    return claim


def latest_run(ledger: Ledger, job: str, now: datetime) -> JobRun | None:
    return ledger.status_snapshot([job], now).latest.get(job)


def ended(ledger: Ledger, slot: datetime | None = SLOT, job: str = JOB, status: Any = "success") -> int:
    claim = claimed(ledger, slot, job)
    ledger.finish(claim, status, LATER, duration=60.0)
    return claim.run_id


@contextmanager
def running(work: Callable[..., None], *arguments: object) -> Iterator[Any]:
    """Run `work` in another process until it has sent its identity; yield that, then kill it."""
    receiver, sender = multiprocessing.get_context("spawn").Pipe(duplex=False)
    process = start_process(work, *arguments, sender)
    sender.close()
    try:
        yield receiver.recv()
    finally:
        process.kill()
        process.join()


def _claim_and_wait(url: str, lease: float, pipe: Any) -> None:
    pipe.send(claimed(open_ledger(url, lease=lease)))
    threading.Event().wait()


# --- One run of a job, one row of a slot ------------------------------------------------------------


def test_a_run_is_in_the_ledger_from_its_claim_to_its_end(database_url: str) -> None:
    ledger = open_ledger(database_url)
    claim = claimed(ledger)
    started = ledger.run(claim.run_id)
    assert started == JobRun(
        id=claim.run_id,
        job=JOB,
        slot=SLOT,
        trigger="schedule",
        status="running",
        owner=this_process(),
        attempt=1,
        start_time=NOW,
        end_time=None,
        duration=None,
        collected=0,
        stored=0,
        rejected=0,
        note="",
    )
    assert latest_run(ledger, JOB, LATER + 9 * HOUR) is None
    sources = (
        SourceRun(source="arome", status="success", collected=80, stored=72, newest=SLOT),
        SourceRun(
            source="meteo_parapente",
            status="partial",
            reason="1 of 3 requests failed",
            collected=20,
            stored=20,
            rejected=3,
            rejected_reasons={"out_of_range": 3},
            failures=(Failure("data", "https://models.example/data?day=1", "HTTP 500", "FetchError"),),
            failed=1,
            requests=3,
            bytes=5_000_000_000,
            duration=1.5,
        ),
    )
    ledger.finish(claim, "partial", LATER, duration=60.5, sources=sources, note="one day is missing")
    assert ledger.run(claim.run_id) == replace(
        started,
        status="partial",
        end_time=LATER,
        duration=60.5,
        collected=100,
        stored=92,
        rejected=3,
        note="one day is missing",
        sources=sources,
    )
    assert latest_run(ledger, JOB, LATER + 9 * HOUR) == ledger.run(claim.run_id)


def test_a_slot_that_was_dealt_with_is_not_done_again(database_url: str) -> None:
    ledger = open_ledger(database_url)
    for hours, status in enumerate(("success", "partial", "nothing_new", "failed", "cancelled")):
        ended(ledger, SLOT + hours * HOUR, status=status)
        assert ledger.claim(JOB, "catch_up", NOW, SLOT + hours * HOUR) is None
    assert ended(ledger, SLOT, OTHER_JOB), "the same time is another slot of another job"


def test_while_a_job_runs_no_process_can_start_a_second_run_of_it(database_url: str) -> None:
    ledger, other = open_ledger(database_url), open_ledger(database_url, owner=ELSEWHERE)
    claim = claimed(ledger)
    for contender in (ledger, other):
        for slot in (None, SLOT, SLOT + HOUR):
            with pytest.raises(JobBusyError, match=f"already running as run {claim.run_id}") as busy:
                contender.claim(JOB, "api", NOW, slot)
            assert busy.value.run_id == claim.run_id
    assert claimed(other, job=OTHER_JOB)


def test_runs_by_hand_have_no_slot_and_are_never_done_again(database_url: str) -> None:
    ledger = open_ledger(database_url)
    first, second = claimed(open_lost_ledger(database_url), None), claimed(ledger, None)
    assert first.run_id != second.run_id
    assert ledger.run(first.run_id).status == "interrupted"
    assert ledger.open_slots(JOB, SLOT, NOW) == (set(), set())


def test_of_two_threads_exactly_one_gets_a_slot(database_url: str) -> None:
    ledger = open_ledger(database_url)
    gate, outcomes = threading.Barrier(2), Counter[str]()

    def contend() -> None:
        for hours in range(20):
            gate.wait()
            outcomes[_attempt(ledger, SLOT + hours * HOUR)] += 1

    threads = [threading.Thread(target=contend) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert outcomes["won"] == 20


def _attempt(ledger: Ledger, slot: datetime) -> str:
    try:
        claim = ledger.claim(JOB, "schedule", NOW, slot)
    except JobBusyError:
        return "busy"
    if claim is None:
        return "dealt with"
    ledger.finish(claim, "success", NOW, duration=0)
    return "won"


def _contend(url: str, gate: Any, outcomes: Any) -> None:
    ledger = open_ledger(url)
    for hours in range(20):
        gate.wait()
        outcomes.put((hours, _attempt(ledger, SLOT + hours * HOUR)))


def test_of_two_processes_exactly_one_gets_a_slot(database_url: str) -> None:
    spawn = multiprocessing.get_context("spawn")
    gate, outcomes = spawn.Barrier(2), spawn.Queue()
    processes = [start_process(_contend, database_url, gate, outcomes) for _ in range(2)]
    found = [outcomes.get(timeout=HANG_SECONDS) for _ in range(40)]
    for process in processes:
        process.join()
    assert sorted(hours for hours, outcome in found if outcome == "won") == list(range(20))
    assert len(open_ledger(database_url).runs(limit=100)) == 20


# --- Taking over ------------------------------------------------------------------------------------


def test_the_slot_of_a_process_that_died_is_done_again_at_once(database_url: str) -> None:
    with running(_claim_and_wait, database_url, 3600.0) as claim:
        ledger = open_ledger(database_url)
        with pytest.raises(JobBusyError):
            ledger.claim(JOB, "schedule", NOW, SLOT)
    again = ledger.claim(JOB, "catch_up", LATER, SLOT)
    assert again == Claim(claim.run_id, JOB, this_process(), 2)
    run = ledger.run(claim.run_id)
    assert (run.status, run.attempt, run.trigger, run.start_time, run.end_time) == (
        *("running", 2, "catch_up", LATER),
        None,
    )
    assert run.note == f"attempt 1 was interrupted: its process died ({claim.owner})"


def test_a_living_owner_is_left_alone_until_its_lease_ends(database_url: str) -> None:
    with running(_claim_and_wait, database_url, 0.0) as claim:
        assert not is_dead(claim.owner)
        again = open_ledger(database_url).claim(JOB, "catch_up", LATER, SLOT)
    assert again is not None and (again.run_id, again.epoch) == (claim.run_id, 2)
    assert "its lease ran out" in open_ledger(database_url).run(claim.run_id).note


def test_the_owner_on_another_host_is_trusted_for_as_long_as_its_lease(database_url: str) -> None:
    ledger = open_ledger(database_url)
    claimed(Ledger(ledger.database, owner=ELSEWHERE, lease=60))
    with pytest.raises(JobBusyError):
        ledger.claim(JOB, "schedule", NOW, SLOT)
    claimed(Ledger(ledger.database, owner=ELSEWHERE, lease=0), job=OTHER_JOB)
    assert claimed(ledger, job=OTHER_JOB).epoch == 2


def test_a_run_under_way_in_this_process_is_left_alone_also_when_its_lease_ran_out(database_url: str) -> None:
    """The store may be locked for longer than a lease; this process knows that its run continues."""
    ledger = open_ledger(database_url, lease=0)
    claim = claimed(ledger)
    ledger.reap(JOB, LATER)
    with pytest.raises(JobBusyError):
        ledger.claim(JOB, "schedule", LATER, SLOT)
    ledger.renew(claim)
    ledger.finish(claim, "success", LATER, duration=60.0)
    assert (ledger.run(claim.run_id).status, ledger.run(claim.run_id).attempt) == ("success", 1)


def test_a_claim_whose_answer_was_lost_is_taken_up_once_its_lease_ends(database_url: str) -> None:
    """The connection broke after the claim was committed: this process does not know that it has it."""
    unheard = claimed(open_ledger(database_url, lease=0))
    ledger = open_ledger(database_url)
    again = ledger.claim(JOB, "catch_up", LATER, SLOT)
    assert again == Claim(unheard.run_id, JOB, this_process(), 2)
    assert "its lease ran out" in ledger.run(unheard.run_id).note


def test_a_claim_that_the_store_did_not_answer_is_not_taken_for_a_run_under_way(database_url: str) -> None:
    ledger = open_ledger(database_url, lease=0)

    def kept_but_not_answered(connection: sa.Connection) -> None:
        connection.connection.commit()
        raise sa.exc.OperationalError("COMMIT", None, Exception("server closed the connection"))

    sa.event.listen(ledger.database.engine, "commit", kept_but_not_answered)
    with pytest.raises(StoreUnavailableError):
        ledger.claim(JOB, "schedule", NOW, SLOT)
    sa.event.remove(ledger.database.engine, "commit", kept_but_not_answered)
    assert [run.status for run in ledger.runs()] == ["running"]
    assert claimed(ledger).epoch == 2


def test_a_renewed_lease_holds(database_url: str) -> None:
    database = open_database(database_url)
    short, long = Ledger(database, owner=ELSEWHERE, lease=0), Ledger(database, owner=ELSEWHERE, lease=60)
    claim = claimed(short)
    long.renew(claim)
    with pytest.raises(JobBusyError):
        Ledger(database).claim(JOB, "schedule", NOW, SLOT)


def test_a_slot_has_a_maximum_of_attempts(database_url: str) -> None:
    ledger = open_ledger(database_url)
    for attempt in range(1, MAX_ATTEMPTS + 1):
        assert claimed(Ledger(ledger.database, owner=f"host-{attempt}", lease=0)).epoch == attempt
    ledger.reap(JOB, LATER)
    assert ledger.open_slots(JOB, SLOT, NOW) == ({SLOT}, set())
    assert ledger.claim(JOB, "catch_up", NOW, SLOT) is None
    [run] = ledger.runs()
    assert (run.status, run.end_time, run.note.count("interrupted")) == ("interrupted", LATER, MAX_ATTEMPTS)


def test_a_stale_owner_can_write_nothing_more(database_url: str) -> None:
    store = open_store(database_url)
    stale = claimed(Ledger(store.database, owner=ELSEWHERE, lease=0))
    assert store.add_forecasts(forecasts(forecast(20)), stale) == 1
    fresh_ledger = Ledger(store.database)
    fresh = claimed(fresh_ledger)

    with pytest.raises(LeaseLostError, match=f"run {stale.run_id} was taken over"):
        store.add_forecasts(forecasts(forecast(18, hours=7)), stale)
    with pytest.raises(LeaseLostError):
        store.add_observations(observations(reading(12)), stale)
    with pytest.raises(LeaseLostError):
        fresh_ledger.renew(stale)
    with pytest.raises(LeaseLostError):
        fresh_ledger.finish(stale, "failed", NOW, duration=1)
    assert rows(store.database, t.forecast, "wind_speed") == [(20000,)]
    assert rows(store.database, t.observation, "wind_speed") == []

    assert store.add_forecasts(forecasts(forecast(18, hours=7)), fresh) == 1
    assert rows(store.database, t.forecast_batch, "job_run_id") == [(fresh.run_id,), (fresh.run_id,)]
    fresh_ledger.finish(fresh, "success", NOW, duration=1)
    with pytest.raises(LeaseLostError):
        fresh_ledger.finish(fresh, "failed", NOW, duration=1)
    assert fresh_ledger.run(fresh.run_id).status == "success"


def test_an_interrupted_run_can_write_nothing_even_before_it_is_taken_over(database_url: str) -> None:
    store = open_store(database_url)
    ledger = Ledger(store.database)
    claim = claimed(Ledger(store.database, owner=ELSEWHERE, lease=0))
    ledger.reap(OTHER_JOB, NOW)
    assert ledger.run(claim.run_id).status == "running"
    ledger.reap(JOB, NOW)
    with pytest.raises(LeaseLostError):
        store.add_forecasts(forecasts(forecast(20)), claim)


# --- Who is dead ------------------------------------------------------------------------------------


def test_this_process_is_alive_and_named_by_host_boot_pid_and_start() -> None:
    assert not is_dead(this_process())
    host, boot, pid, start = this_process().split("/")
    assert int(pid) == os.getpid() and int(start) > 0 and host and boot


def test_another_process_under_the_same_number_is_not_the_owner() -> None:
    host, boot, pid, start = this_process().split("/")
    assert is_dead(f"{host}/{boot}/{pid}/{int(start) - 1}")


def test_processes_from_before_the_last_boot_are_dead() -> None:
    host, _, pid, start = this_process().split("/")
    assert is_dead(f"{host}/another-boot/{pid}/{start}")


def test_a_process_on_another_host_is_never_known_to_be_dead() -> None:
    host, boot, _, _ = this_process().split("/")
    name, namespace = host.rsplit(":", 1)
    assert not is_dead(ELSEWHERE)
    assert not is_dead(f"{name}:{int(namespace) + 1}/{boot}/4711/815"), "another container of this host"
    assert not is_dead("the demo")


def _name_and_wait(pipe: Any) -> None:
    pipe.send(this_process())
    threading.Event().wait()


def test_a_process_that_only_its_parent_remembers_is_dead() -> None:
    receiver, sender = multiprocessing.get_context("spawn").Pipe(duplex=False)
    process = start_process(_name_and_wait, sender)
    owner = receiver.recv()
    assert not is_dead(owner)
    assert process.pid is not None
    os.kill(process.pid, signal.SIGKILL)
    os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)  # ended, and left as a zombie
    assert is_dead(owner)
    process.join()
    assert is_dead(owner)


# --- Slots that were missed, schedules and pauses ---------------------------------------------------


def test_a_missed_slot_has_a_row_with_the_reason_and_is_not_done_again(database_url: str) -> None:
    ledger = open_ledger(database_url)
    ended(ledger, SLOT)
    ledger.note_missed(JOB, (), "nothing was missed")
    ledger.note_missed(JOB, (SLOT, SLOT - HOUR), "the service was off")
    ledger.note_missed(JOB, (SLOT - HOUR,), "noted twice")
    missed, done = ledger.runs()
    assert (done.slot, done.status) == (SLOT, "success")
    assert (missed.slot, missed.status, missed.trigger, missed.note) == (
        *(SLOT - HOUR, "missed", "catch_up", "the service was off"),
    )
    assert (missed.start_time, missed.end_time, missed.duration) == (None, None, None)
    assert ledger.claim(JOB, "catch_up", NOW, SLOT - HOUR) is None
    assert latest_run(ledger, JOB, LATER + 9 * HOUR) == done


def test_slots_are_divided_into_done_ones_and_those_to_repeat(database_url: str) -> None:
    ledger = open_ledger(database_url)
    ended(ledger, SLOT - 5 * HOUR)
    ended(ledger, SLOT - 2 * HOUR)
    ended(ledger, SLOT, OTHER_JOB)
    ended(ledger, None)
    ledger.note_missed(JOB, (SLOT - 3 * HOUR,), "the service was off")
    claimed(open_lost_ledger(database_url), SLOT - HOUR)
    claimed(ledger, SLOT)
    done, again = ledger.open_slots(JOB, SLOT - 4 * HOUR, NOW)
    assert done == {SLOT - 3 * HOUR, SLOT - 2 * HOUR, SLOT}
    assert again == {SLOT - HOUR}


def test_a_schedule_is_valid_since_it_was_first_seen_or_last_changed(database_url: str) -> None:
    ledger = open_ledger(database_url)
    first = datetime(2026, 7, 1, tzinfo=UTC)
    assert ledger.note_schedule(JOB, "0 0,6,12,18 * * *", first) == first
    assert ledger.note_schedule(JOB, "0 0,6,12,18 * * *", NOW) == first
    assert ledger.note_schedule(OTHER_JOB, "0 8 * * *", NOW) == NOW
    assert ledger.note_schedule(JOB, "0 6 * * *", NOW) == NOW
    assert open_ledger(database_url).note_schedule(JOB, "0 6 * * *", LATER) == NOW


def test_a_pause_lasts_until_it_is_resumed_also_across_a_restart(database_url: str) -> None:
    ledger = open_ledger(database_url)
    ledger.pause(JOB, "api 192.0.2.7", NOW)
    ledger.pause(JOB, "cli marie", LATER)
    ledger.database.close()

    ledger = open_ledger(database_url)
    assert ledger.pauses(JOB, NOW + 30 * HOUR) == (Pause(NOW, "api 192.0.2.7", None),)
    assert ledger.pauses(OTHER_JOB, NOW) == ()
    ledger.resume(JOB, "cli marie", NOW + HOUR)
    ledger.resume(JOB, "cli marie", NOW + 2 * HOUR)
    ended_pause = Pause(NOW, "api 192.0.2.7", NOW + HOUR)
    assert ledger.pauses(JOB, NOW + HOUR) == (ended_pause,)
    assert ledger.pauses(JOB, NOW + 2 * HOUR) == ()
    ledger.pause(JOB, "cli marie", NOW + 3 * HOUR)
    assert ledger.pauses(JOB, NOW) == (ended_pause, Pause(NOW + 3 * HOUR, "cli marie", None))
    assert rows(ledger.database, t.job_pause, "resumed_by") == [("cli marie",), (None,)]


# --- Reading back -----------------------------------------------------------------------------------


def test_runs_come_newest_first_in_pages_by_job_and_status(database_url: str) -> None:
    ledger = open_ledger(database_url)
    ids = [
        ended(ledger, SLOT + hours * HOUR, status="failed" if hours % 2 else "success") for hours in range(6)
    ]
    other = ended(ledger, SLOT, OTHER_JOB, "failed")

    def found(**asked: Any) -> list[int]:
        return [run.id for run in ledger.runs(**asked)]

    assert found() == [other, *reversed(ids)]
    assert found(limit=3) == [other, ids[5], ids[4]]
    assert found(limit=3, before=ids[4]) == [ids[3], ids[2], ids[1]]
    assert found(job=JOB, status="failed") == [ids[5], ids[3], ids[1]]
    assert found(status="failed", before=ids[5]) == [ids[3], ids[1]]
    assert found(job=OTHER_JOB) == [other]
    assert found(status="cancelled") == []
    for number in (999, 2**31, 2**80):
        with pytest.raises(NotFoundError, match=f"there is no run {number}"):
            ledger.run(number)


def test_the_latest_run_is_the_one_that_ended_last_not_the_one_started_last(database_url: str) -> None:
    ledger = open_ledger(database_url)
    first = claimed(open_lost_ledger(database_url), SLOT)
    second = claimed(ledger, SLOT + HOUR)  # the first is interrupted
    ledger.finish(second, "success", LATER, duration=1)
    latest = latest_run(ledger, JOB, LATER + 9 * HOUR)
    assert latest is not None and latest.id == second.run_id
    again = claimed(ledger, SLOT)
    assert again.run_id == first.run_id
    ledger.finish(again, "success", LATER + HOUR, duration=1)
    ledger.note_missed(JOB, (SLOT + 9 * HOUR,), "the service was off")
    latest = latest_run(ledger, JOB, LATER + 9 * HOUR)
    assert latest is not None and latest.id == first.run_id


def test_many_failures_of_a_source_are_all_counted_and_the_first_stored(database_url: str) -> None:
    ledger = open_ledger(database_url)
    failures = tuple(
        Failure("page", f"https://beacons.example/{n}", "HTTP 500", "FetchError") for n in range(70)
    )
    source = SourceRun(source="romma", status="failed", failures=failures, failed=70)
    claim = claimed(ledger)
    ledger.finish(claim, "failed", LATER, duration=1, sources=(source,))
    assert ledger.run(claim.run_id).sources == (replace(source, failures=failures[:50]),)


def test_the_newest_data_of_a_source_is_known_and_never_goes_back(database_url: str) -> None:
    ledger = open_ledger(database_url)
    assert ledger.newest_data() == {}
    for newest in (SLOT, SLOT - HOUR, None):
        claim = claimed(ledger, None)
        sources = (
            SourceRun(source="ffvl", status="success", newest=newest),
            SourceRun(source="romma", status="disabled"),
        )
        ledger.finish(claim, "success", LATER, duration=1, sources=sources)
    assert ledger.newest_data() == {"ffvl": SLOT}


def test_failed_runs_in_a_row_and_silent_sources_are_counted_since_the_last_that_did_not_fail(
    database_url: str,
) -> None:
    ledger = open_ledger(database_url)

    def run(
        minutes: int, status: Any, trigger: str = "schedule", source: str = "ffvl", note: str = ""
    ) -> None:
        now = NOW + timedelta(minutes=minutes)
        claim = ledger.claim(JOB, trigger, now)
        assert claim is not None
        sources = [SourceRun(source=source, status=status)]
        ledger.finish(claim, status, now, duration=1, sources=sources, note=note)

    assert (ledger.failure_streak(JOB), ledger.silent_sources({"ffvl"})) == (None, {})
    run(0, "failed")
    run(1, "failed", source="romma")
    run(2, "failed", trigger="backfill")
    run(2, "nothing_new", trigger="cli", note="replay of run 1")  # it asks no source
    assert ledger.failure_streak(JOB) == FailureStreak(JOB, 2, NOW)
    assert ledger.silent_sources({"ffvl", "romma", "arome"}) == {"ffvl": NOW, "romma": LATER}
    assert ledger.silent_sources({"romma"}) == {"romma": LATER}
    run(3, "partial")
    assert ledger.failure_streak(JOB) is None
    assert ledger.silent_sources({"ffvl", "romma"}) == {"romma": LATER}
    run(4, "failed")
    assert ledger.failure_streak(JOB) == FailureStreak(JOB, 1, NOW + timedelta(minutes=4))

    restarted = Ledger(ledger.database)
    restarted.note_start()
    assert restarted.silent_sources({"ffvl", "romma"}) == {}


def test_after_a_year_of_144_runs_a_day_every_question_is_still_a_look_up(database_url: str) -> None:
    ledger = open_ledger(database_url)
    first = to_epoch(SLOT - timedelta(days=365))
    runs = [
        {
            "job": JOB if index % 36 == 0 else OTHER_JOB,
            "slot": first + 600 * index,
            "trigger": "schedule",
            "status": "failed" if index % 500 == 0 else "missed" if index % 50 == 0 else "success",
            "owner": ELSEWHERE,
            "epoch": 1,
            "lease_until": 0.0,
            "end_time": None if index % 50 == 0 and index % 500 else first + 600 * index + 30,
        }
        for index in range(52_560)
    ]
    with ledger.database.write() as connection:
        connection.execute(sa.insert(t.job_run), runs)

    def ask_everything() -> None:
        assert len(ledger.runs()) == 20
        assert len(ledger.runs(job=JOB, before=40_000)) == 20
        assert {run.status for run in ledger.runs(status="failed", limit=50)} == {"failed"}
        assert {run.job for run in ledger.runs(status="failed", job=JOB)} == {JOB}
        assert len(ledger.runs(job=OTHER_JOB, status="success", before=9_000)) == 20
        assert ledger.run(52_560).id == 52_560
        latest = latest_run(ledger, OTHER_JOB, LATER)
        assert latest is not None and latest.id == 52_560
        done, _ = ledger.open_slots(OTHER_JOB, SLOT - timedelta(hours=48), NOW)
        assert len(done) == 280
        assert ledger.newest_data() == {}
        assert ledger.failure_streak(JOB) is None
        assert ledger.silent_sources({"ffvl"}) == {}

    plans = query_plans(ledger.database, ask_everything)
    # SQLite prints SCAN for the first page of all runs: it reads backwards and stops after 20 rows.
    assert [plan for plan in plans if walks(plan, t.job_run)] in ([], ["SCAN job_run"])
    assert not [plan for plan in plans if "TEMP B-TREE" in plan]
    assert claimed(ledger).epoch == 1
