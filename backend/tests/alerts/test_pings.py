"""Pings in Healthchecks' form: a start, then a success or a failure with the same rid."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest
import structlog

from backend.alerts.pings import Pinger
from backend.core.config import Settings
from backend.core.errors import ConfigError
from backend.scheduler.config import FORECASTS, OBSERVATIONS
from backend.scheduler.orders import Selection
from backend.storage.run_records import JobRun
from backend.tests.support.commands import StandIns
from backend.tests.support.receiver import Receiver, receiving
from backend.tests.support.serving import runs_of, serving
from backend.tests.support.waiting import wait_for
from backend.tests.support.worlds import (
    NOON,
    World,
    brings_a_reading,
    fails,
    forecast_source,
    make_world,
    observation_source,
)

UUID = "/ping/6f1e7a38-3d3c-4c0c-9a35-1234567890ab"


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with receiving() as one:
        yield one


def rids(receiver: Receiver) -> list[str]:
    return [parse_qs(urlsplit(request.path).query)["rid"][0] for request in receiver.requests]


def world_of(folder: Path, pinger: Pinger) -> World:
    return make_world(
        folder,
        forecasts=[forecast_source(fails)],
        observations=[observation_source(brings_a_reading), observation_source(fails, "romma")],
        on_start=pinger.started,
        on_end=pinger.ended,
    )


async def test_a_run_is_a_start_and_a_success_or_a_failure_with_its_reasons(
    tmp_path: Path, receiver: Receiver
) -> None:
    base = f"http://{receiver.address}{UUID}"
    pinger = Pinger({OBSERVATIONS: base, FORECASTS: f"{base}/?create=1"})
    world = world_of(tmp_path, pinger)
    partial = await world.runner.run(OBSERVATIONS, "schedule")
    failed = await world.runner.run(FORECASTS, "schedule")
    await pinger.close()
    assert partial is not None and partial.status == "partial"
    assert failed is not None and failed.status == "failed"
    assert receiver.paths == [f"{UUID}/start", UUID, f"{UUID}/start", f"{UUID}/fail"]
    first, second, third, fourth = rids(receiver)
    assert first == second != third == fourth
    assert receiver.requests[3].path.startswith(f"{UUID}/fail?create=1&rid=")
    assert "romma: failed HTTP 503" in receiver.requests[1].body
    assert receiver.requests[3].body.startswith(f"run {failed.id}: failed\narome: failed")


async def test_a_slot_that_workers_do_has_one_rid_in_all_processes(
    tmp_path: Path, receiver: Receiver
) -> None:
    schedule, worker = (Pinger({OBSERVATIONS: f"http://{receiver.address}{UUID}"}) for _ in range(2))
    world = world_of(tmp_path, schedule)
    claim = world.ledger.claim(OBSERVATIONS, "schedule", NOON, NOON, lambda _connection, _claim: None)
    assert claim is not None
    schedule.started(OBSERVATIONS, claim.run_id)
    await schedule.close()
    world.ledger.finish(claim, "success", NOON, duration=1.0)
    worker.ended(world.ledger.run(claim.run_id))
    await worker.close()
    assert receiver.paths == [f"{UUID}/start", UUID]
    assert len(set(rids(receiver))) == 1


async def test_a_run_that_is_limited_to_a_source_or_a_past_day_sends_no_ping(
    tmp_path: Path, receiver: Receiver
) -> None:
    pinger = Pinger({OBSERVATIONS: f"http://{receiver.address}{UUID}"})
    world = world_of(tmp_path, pinger)
    await world.runner.run(OBSERVATIONS, "cli", selection=Selection(sources={"ffvl"}))
    await pinger.close()
    assert receiver.requests == []


async def test_an_address_that_fails_or_hangs_neither_fails_nor_delays_a_run(
    tmp_path: Path, receiver: Receiver
) -> None:
    receiver.held.clear()
    hanging = Pinger({OBSERVATIONS: f"http://{receiver.address}{UUID}"})
    run = await world_of(tmp_path, hanging).runner.run(OBSERVATIONS, "schedule")
    assert run is not None and run.stored
    await hanging.close(0.01)
    assert receiver.paths in ([f"{UUID}/start"], []), "the run ended before the address answered"


async def test_a_refusal_is_tried_three_times_and_logged_without_the_address(receiver: Receiver) -> None:
    receiver.status = 500
    pinger = Pinger({OBSERVATIONS: f"http://{receiver.address}{UUID}"})
    with structlog.testing.capture_logs() as logs:
        pinger.started(OBSERVATIONS, 1)
        await pinger._waiting.join()
    await pinger.close()
    assert receiver.paths == [f"{UUID}/start"] * 3
    (line,) = (line for line in logs if line["event"] == "ping not delivered")
    assert "500" in line["reason"]
    assert UUID not in str(line)


def test_an_address_of_another_form_is_refused_without_its_text() -> None:
    with pytest.raises(ConfigError) as refused:
        Settings.load(ping_url_forecasts="ftp://hc.example/my-secret")
    assert str(refused.value).startswith("PING_URL_FORECASTS=(secret): must be an http or https address")
    assert "my-secret" not in str(refused.value)


def test_a_service_that_is_killed_sends_no_success_and_the_next_one_ends_the_slot(
    upstreams: StandIns, tmp_path: Path, receiver: Receiver
) -> None:
    environment = upstreams.environment(
        tmp_path,
        sources="romma",
        romma_key="a-key",
        ping_url_observations=f"http://{receiver.address}{UUID}",
        log_format="json",
    )
    with upstreams.faults(romma="hang"), serving(environment, "killed") as service:
        wait_for(lambda: receiver.paths == [f"{UUID}/start"], "the ping of the start")
        service.process.send_signal(signal.SIGKILL)
        service.wait()
    assert receiver.paths == [f"{UUID}/start"], "the watch outside sees a run without its end"
    with serving(environment, "next") as service:
        wait_for(lambda: len(receiver.requests) == 3, "the pings of the next process")
    assert receiver.paths[1:] == [f"{UUID}/start", UUID]
    assert len(set(rids(receiver))) == 1  # the slot's: its second start is the one that ends
    assert UUID not in service.text()
    ended: list[JobRun] = [run for run in runs_of(environment, job=OBSERVATIONS) if run.status != "running"]
    assert len(ended) == 1
