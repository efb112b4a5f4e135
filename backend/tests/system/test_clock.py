"""The service in processes of its own, on a clock that is set: slots raced for, missed, paused, repeated."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from backend.scheduler.config import FORECASTS, JOBS, OBSERVATIONS
from backend.storage.run_records import JobRun
from backend.tests.support.clocked import VARIABLE, FileClock
from backend.tests.support.commands import Environment, Running, StandIns, running, stand_ins, typed
from backend.tests.support.serving import ENDED, TOKEN, UVICORN, client_of, runs_of
from backend.tests.support.waiting import wait_for

NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)
LATE = timedelta(seconds=5)  # after its slot, so that the schedule has its turn before the catch-up

Slot = tuple[int, int, str, str]


@pytest.fixture(scope="module")
def upstreams() -> Iterator[StandIns]:
    with stand_ins(NOON) as serving:
        yield serving


@dataclass
class Installation:
    """A store, its environment, and the one clock of all its processes."""

    environment: Environment
    upstreams: StandIns
    clock: FileClock

    def set_clock(self, now: datetime) -> None:
        self.upstreams.set_clock(now)
        self.clock.set(now)

    @contextmanager
    def serving(
        self, name: str, variables: Mapping[str, str] | None = None, workers: int = 1
    ) -> Iterator[Running]:
        """Run the application until the context ends, and then end it as a service manager does."""
        # uvicorn replaces a worker that is silent for five seconds, as one on a busy machine may be.
        patient = ("--timeout-worker-healthcheck", "60")
        command = (*UVICORN, "backend.tests.support.clocked:create_app", "--workers", str(workers), *patient)
        with running(*command, environment={**self.environment, **(variables or {})}, name=name) as service:
            wait_for(lambda: service.count(event="scheduler started") == workers, "the schedule")
            yield service
            assert service.terminate() in ENDED

    def runs(self) -> tuple[JobRun, ...]:
        return runs_of(self.environment)

    def slots(self, job: str) -> list[Slot]:
        """Return day, hour, status and trigger of each slot of a job that has a row, in the order of time."""
        runs = [run for run in self.runs() if run.job == job]
        rows = [(run.slot, run.status, run.trigger) for run in runs if run.slot is not None]
        return [(slot.day, slot.hour, status, trigger) for slot, status, trigger in sorted(rows)]

    def looked(self, service: Running) -> None:
        """Wait until the catch-up has looked at both jobs twice more, at the time that it is now."""
        at = self.clock().isoformat().replace("+00:00", "Z")

        def looks() -> list[int]:
            return [service.count(event="looked", looked_for=job, at=at) for job in JOBS]

        seen = looks()
        wait_for(lambda: all(now >= then + 2 for now, then in zip(looks(), seen, strict=True)), "two looks")

    def ticked(self, service: Running, job: str, slot: datetime, workers: int = 1) -> None:
        """Wait until the schedule of every worker has fired a slot of a job."""
        at = slot.isoformat().replace("+00:00", "Z")
        wait_for(
            lambda: service.count(event="ticked", ticked_for=job, slot=at) == workers, f"the tick of {at}"
        )

    def ended(self, count: int) -> None:
        """Wait until so many runs have come to their end."""
        wait_for(lambda: sum(run.end_time is not None for run in self.runs()) == count, f"{count} runs")


@pytest.fixture
def installation(upstreams: StandIns, database_url: str, tmp_path: Path) -> Installation:
    clock = FileClock(tmp_path / "clock")
    environment = upstreams.environment(
        tmp_path,
        database_url=database_url,
        admin_token=TOKEN,
        log_format="json",
        sources="meteo_parapente,romma",
        observation_lookback_hours=1,
        shutdown_grace_seconds=0.1,
    )
    made = Installation(environment | {VARIABLE: str(clock.path)}, upstreams, clock)
    made.set_clock(NOON + LATE)
    return made


def test_four_workers_run_each_of_five_slots_once_and_the_command_line_waits_its_turn(
    installation: Installation, upstreams: StandIns
) -> None:
    hours = {"SCHEDULER_FORECAST_HOURS": "12,13,14,15,16", "SCHEDULER_OBSERVATION_HOURS": "12,13,14,15,16"}
    with installation.serving("workers", hours, workers=4) as workers:
        for hour in range(1, 5):
            installation.ended(2 * hour)
            if hour == 4:
                upstreams.set_faults(romma="hang")
            slot = NOON + timedelta(hours=hour)
            installation.set_clock(slot + LATE)
            for job in JOBS:
                installation.ticked(workers, job, slot, workers=4)
        (under_way,) = (
            run for run in installation.runs() if run.status == "running" and run.job == OBSERVATIONS
        )
        refused = typed("collect observations --json", installation.environment)
        assert (refused.exit_code, json.loads(refused.stdout)) == (
            1,
            {"status": "already_running", "runId": under_way.id},
        )
        installation.ended(9)
        upstreams.set_faults(romma=None)
    assert Counter((run.job, run.slot) for run in installation.runs()) == Counter(
        (job, NOON + timedelta(hours=hour)) for job in JOBS for hour in range(5)
    )
    assert {(run.attempt, run.note) for run in installation.runs() if run.id != under_way.id} == {(1, "")}
    assert workers.count(event="run started") == workers.count(event="run ended") == 10


def test_after_three_missed_slots_one_is_caught_up_and_a_clock_set_back_an_hour_repeats_none(
    installation: Installation,
) -> None:
    with installation.serving("first"):
        installation.ended(2)
    in_the_morning = datetime(2026, 11, 21, 6, 40, tzinfo=UTC)
    made_up_for = [
        (20, 12, "success", "catch_up"),
        (20, 18, "missed", "catch_up"),
        (21, 0, "missed", "catch_up"),
        (21, 6, "success", "catch_up"),
    ]
    installation.set_clock(in_the_morning)
    with installation.serving("second") as service:
        wait_for(lambda: installation.slots(FORECASTS) == made_up_for, "the catch-up")
        reasons = {run.note for run in installation.runs() if run.status == "missed"}
        assert reasons == {"no process ran it in time; a later run covers its period"}
        installation.looked(service)
        rows = installation.runs()

        installation.set_clock(in_the_morning - timedelta(hours=1))
        installation.ticked(service, FORECASTS, datetime(2026, 11, 21, 0, tzinfo=UTC))
        installation.looked(service)
        installation.set_clock(in_the_morning)
        installation.ticked(service, FORECASTS, datetime(2026, 11, 21, 6, tzinfo=UTC))
        installation.looked(service)
        assert installation.runs() == rows

        noon = datetime(2026, 11, 21, 12, tzinfo=UTC)
        installation.set_clock(noon + LATE)
        installation.ticked(service, FORECASTS, noon)
        in_time = [*made_up_for, (21, 12, "success", "schedule")]
        wait_for(lambda: installation.slots(FORECASTS) == in_time, "the next slot")


def test_neither_a_changed_schedule_nor_a_pause_over_a_restart_is_caught_up(
    installation: Installation,
) -> None:
    with installation.serving("first") as service, client_of(service) as client:
        installation.ended(2)
        assert client.post(f"/api/scheduler/jobs/{OBSERVATIONS}/pause").status_code == 200
    before = installation.runs()
    installation.set_clock(NOON.replace(hour=18, minute=30))  # the beacons' 14, 16 and 18 went by
    changed = {"SCHEDULER_FORECAST_HOURS": "13,14,15,21"}
    with installation.serving("second", changed) as service, client_of(service) as client:
        installation.looked(service)
        assert installation.runs() == before
        assert client.post(f"/api/scheduler/jobs/{OBSERVATIONS}/resume").status_code == 200
        installation.looked(service)
        assert installation.runs() == before

        installation.set_clock(NOON.replace(hour=21) + LATE)
        installation.ticked(service, FORECASTS, NOON.replace(hour=21))
        installation.ended(3)
        installation.set_clock(datetime(2026, 11, 21, 8, tzinfo=UTC) + LATE)
        installation.ticked(service, OBSERVATIONS, datetime(2026, 11, 21, 8, tzinfo=UTC))
        installation.ended(4)
    assert installation.slots(FORECASTS) == [(20, 12, "success", "catch_up"), (20, 21, "success", "schedule")]
    assert [(day, hour) for day, hour, _, _ in installation.slots(OBSERVATIONS)] == [(20, 12), (21, 8)]


def test_one_start_under_a_clock_in_2031_neither_stops_the_catch_up_nor_freezes_the_status(
    installation: Installation,
) -> None:
    with installation.serving("first"):
        installation.ended(2)
    installation.set_clock(datetime(2031, 3, 1, 12, tzinfo=UTC) + LATE)
    with installation.serving("in_2031"):
        wait_for(lambda: (2031, FORECASTS) in years(installation), "a run in 2031")
        wait_for(lambda: (2031, OBSERVATIONS) in years(installation), "a run in 2031")
    in_the_evening = NOON.replace(hour=18, minute=40)
    installation.set_clock(in_the_evening)
    with installation.serving("afterwards") as service, client_of(service) as client:
        wait_for(
            lambda: client.get(STATUS).json()["lastForecastCollection"]["scheduledTime"] == EVENING, "18 h"
        )
        wait_for(
            lambda: client.get(STATUS).json()["lastObservationCollection"]["scheduledTime"] == EVENING, "18 h"
        )
    done = {(run.job, run.slot) for run in installation.runs() if run.slot and run.slot.year == 2026}
    assert {(job, NOON) for job in JOBS} | {(job, NOON.replace(hour=18)) for job in JOBS} <= done


STATUS, EVENING = "/api/scheduler/status", "2026-11-20T18:00:00Z"


def years(installation: Installation) -> set[tuple[int, str]]:
    """Return in which years a job has come to its end."""
    return {(run.end_time.year, run.job) for run in installation.runs() if run.end_time is not None}
