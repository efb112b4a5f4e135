"""The schedule and its runs over the API, and the actions with the admin token."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx2
import pytest

from backend.api.status import schedule_in_words
from backend.core.records import CollectionRequest, Failure, ObservationBatch
from backend.core.registry import DEFAULT_SOURCES
from backend.scheduler.config import FORECASTS, OBSERVATIONS, SchedulerConfig
from backend.storage.instances import Instances
from backend.storage.ledger import Ledger
from backend.storage.run_records import SourceRun
from backend.tests.support.operator import sign_in
from backend.tests.support.served import (
    ADMIN,
    NOW,
    TOKEN,
    fill,
    make_service,
    served,
    when_ready,
    with_sources,
)
from backend.tests.support.stores import make_tables
from backend.tests.support.waiting import HANG_SECONDS, until
from backend.tests.support.worlds import (
    HandClock,
    a_reading,
    brings_a_reading,
    brings_a_run,
    forecast_source,
    observation_source,
)

RUN_NOW = "/api/scheduler/jobs/collect_observations/run"
PAUSE = "/api/scheduler/jobs/collect_forecasts/pause"
RESUME = "/api/scheduler/jobs/collect_forecasts/resume"


async def get(client: httpx2.AsyncClient, path: str) -> Any:
    answer = await client.get(path)
    assert answer.status_code == 200, answer.text
    return answer.json()


async def when_ended(client: httpx2.AsyncClient, run_id: int) -> Any:
    async def has_ended() -> bool:
        return bool((await get(client, f"/api/scheduler/runs/{run_id}"))["status"] != "running")

    await until(has_ended)
    return await get(client, f"/api/scheduler/runs/{run_id}")


# --- What the public does not see --------------------------------------------------------------------

PRIVATE = ("host-7", "4026531836", "b0071d", "/var/lib/meteo", "db.internal", "10.0.0.7")


async def test_host_process_paths_and_database_messages_are_for_the_operator(tmp_path: Path) -> None:
    service = make_service(tmp_path)
    make_tables(service.database)
    dead = Ledger(service.database, owner="host-7:4026531836/b0071d/4711/99", lease=0)
    dead.claim(OBSERVATIONS, "schedule", NOW, NOW.replace(minute=0))
    service.ledger.reap(OBSERVATIONS, NOW)
    again = service.ledger.claim(OBSERVATIONS, "catch_up", NOW, NOW.replace(minute=0))
    assert again is not None
    words = "/var/lib/meteo/sites.toml: connection to db.internal (10.0.0.7) failed"
    fault = Failure("", "", "KeyError: '/var/lib/meteo/x'", "KeyError", f"/var/lib/meteo/x of {TOKEN}")
    service.ledger.finish(
        again,
        "failed",
        NOW,
        duration=1.0,
        note=words,
        sources=[
            SourceRun(source="ffvl", status="failed", reason=words),
            SourceRun(source="romma", status="failed", reason=fault.reason, failures=(fault,), failed=1),
        ],
    )
    paths = [
        "/ops/sign-in",
        "/api/scheduler/status",
        "/api/scheduler/runs",
        "/api/scheduler/runs/1",
        "/api/ready",
    ]
    async with served(service) as client:
        public = {path: (await client.get(path)).text for path in paths}
        run = json.loads(public["/api/scheduler/runs/1"])
        whole = (await client.get("/api/scheduler/runs/1", headers=ADMIN)).text

    assert {path: [word for word in PRIVATE if word in text] for path, text in public.items()} == {
        path: [] for path in paths
    }
    assert run["note"].startswith("the store or the sites file was not usable")
    assert [source["reason"] for source in run["sources"]] == [
        run["note"],
        "internal error with this source: the details are in the log",
    ]
    assert {error["reason"] for error in run["errors"]} <= {source["reason"] for source in run["sources"]}
    assert all(word in whole for word in PRIVATE)
    assert run["sources"][1]["failures"][0]["traceback"] is None
    (failure,) = json.loads(whole)["sources"][1]["failures"]
    assert failure["traceback"] == "/var/lib/meteo/x of ***"


# --- Status ------------------------------------------------------------------------------------------


async def test_the_status_has_the_last_runs_with_their_sources_and_errors(tmp_path: Path) -> None:
    service = make_service(tmp_path)
    fill(service)
    async with served(service) as client:
        status = await get(client, "/api/scheduler/status")
    assert (status["running"], status["enabled"], status["current"]) == (False, False, [])
    last = status["lastForecastCollection"]
    assert last["runId"] == 1
    assert last["trigger"] == "schedule"
    assert last["scheduledTime"] == last["startTime"] == "2026-07-15T12:00:00Z"
    assert last["endTime"] == "2026-07-15T12:02:00Z"
    assert last["durationSeconds"] == 121.5
    assert last["status"] == "partial"
    assert (last["recordsCollected"], last["recordsStored"], last["recordsRejected"]) == (4300, 4300, 2)
    assert last["errors"] == [
        {
            "source": "meteo_parapente",
            "reason": "HTTP 503",
            "error": "FetchError",
            "route": "data_php",
            "url": "https://models.example/data.php",
        }
    ]
    arome, meteo_parapente = last["sources"]
    assert (arome["source"], arome["status"], arome["reason"], arome["bytes"]) == (
        "arome",
        "success",
        None,
        88_000_000,
    )
    assert meteo_parapente["rejectedReasons"] == {"out_of_range": 2}
    assert meteo_parapente["failedRequests"] == len(meteo_parapente["failures"]) == 1
    observations = status["lastObservationCollection"]
    assert (observations["trigger"], observations["scheduledTime"]) == ("cli", None)
    assert [source["status"] for source in observations["sources"]] == ["success", "disabled"]


async def test_the_status_lists_this_process_without_its_host_and_number(tmp_path: Path) -> None:
    service = make_service(tmp_path)
    instances = Instances(service.database)
    async with served(service, live=True) as client:
        await when_ready(client)
        await until(instances.all)
        (one,) = (await get(client, "/api/scheduler/status"))["instances"]
        assert (one["role"], one["state"], one["stoppedAt"]) == ("all", "alive", None)
        assert 0 <= one["heartbeatAgeSeconds"] < HANG_SECONDS
        assert {"host", "pid", "owner"}.isdisjoint(one)
    (stopped,) = instances.all()
    assert (stopped.id, stopped.state) == (one["id"], "stopped")


async def test_before_the_first_run_there_is_null_and_not_zero(tmp_path: Path) -> None:
    async with served(make_service(tmp_path)) as client:
        status = await get(client, "/api/scheduler/status")
    assert status["lastForecastCollection"] is None
    assert status["lastObservationCollection"] is None
    for source in status["freshness"]:
        assert (source["newestData"], source["ageSeconds"], source["stale"]) == (None, None, None)


async def test_freshness_has_age_limit_and_why_a_source_is_disabled(tmp_path: Path) -> None:
    service = make_service(tmp_path, sources="arome,ffvl")
    fill(service)
    async with served(service) as client:
        freshness = (await get(client, "/api/scheduler/status"))["freshness"]
    by_source = {source["source"]: source for source in freshness}
    assert tuple(by_source) == DEFAULT_SOURCES
    assert by_source["ffvl"]["newestData"] == "2026-07-15T12:05:00Z"
    assert by_source["ffvl"]["ageSeconds"] == 300
    assert by_source["ffvl"]["maxAgeSeconds"] == 35 * 60
    assert by_source["arome"]["ageSeconds"] == 6 * 3600 + 600
    assert by_source["arome"]["disabled"] is None
    assert "SOURCES" in by_source["romma"]["disabled"]


async def test_data_that_age_between_two_collections_are_not_stale_yet(
    tmp_path: Path,
) -> None:
    clock = HandClock(NOW)
    service = make_service(tmp_path, clock=clock)
    fill(service)  # ffvl: a reading of 12:05
    async with served(service) as client:

        async def stale() -> Any:
            freshness = (await get(client, "/api/scheduler/status"))["freshness"]
            return next(source["stale"] for source in freshness if source["source"] == "ffvl")

        clock.now = NOW.replace(hour=14, minute=20)  # the collection of 14:00 may still be under way
        assert await stale() is False
        clock.now = NOW.replace(hour=14, minute=31)
        assert await stale() is True


async def test_counts_of_a_run_that_never_wrote_them_are_null(tmp_path: Path) -> None:
    service = make_service(tmp_path)
    fill(service)
    service.ledger.claim(FORECASTS, "api", NOW)
    service.ledger.note_missed(OBSERVATIONS, [NOW - timedelta(hours=3)], "no process ran it in time")
    async with served(service) as client:
        (running,) = (await get(client, "/api/scheduler/status"))["current"]
        (missed,) = (await get(client, "/api/scheduler/runs?status=missed"))["runs"]
    for run in (running, missed):
        assert run["recordsCollected"] is run["recordsStored"] is run["recordsRejected"] is None
        assert run["durationSeconds"] is run["endTime"] is None
    assert missed["startTime"] is None
    assert missed["errors"] == [
        {"source": None, "reason": "no process ran it in time", "error": None, "route": None, "url": None}
    ]


async def test_a_source_that_failed_without_a_failed_request_is_an_error_too(
    tmp_path: Path,
) -> None:
    service = make_service(tmp_path)
    make_tables(service.database)
    claim = service.ledger.claim(OBSERVATIONS, "schedule", NOW, NOW)
    assert claim is not None
    outcome = SourceRun(source="ffvl", status="stale", reason="its newest data are 9.0 h old")
    service.ledger.finish(claim, "partial", NOW, duration=1, sources=[outcome])
    async with served(service) as client:
        run = await get(client, f"/api/scheduler/runs/{claim.run_id}")
    assert [(error["source"], error["reason"]) for error in run["errors"]] == [
        ("ffvl", "its newest data are 9.0 h old")
    ]


# --- Jobs --------------------------------------------------------------------------------------------


async def test_a_job_has_its_schedule_and_its_next_five_times(tmp_path: Path) -> None:
    async with served(make_service(tmp_path)) as client:
        forecasts, observations, issuing = (await get(client, "/api/scheduler/jobs"))["jobs"]
    assert (issuing["id"], issuing["name"]) == ("issue_forecasts", "Issue forecasts")
    assert issuing["triggerText"] == "every day at 07:00, 12:00, 19:00 Europe/Paris"
    assert issuing["nextRunTimes"][:2] == ["2026-07-15T17:00:00Z", "2026-07-16T05:00:00Z"]
    assert (forecasts["id"], forecasts["name"]) == ("collect_forecasts", "Collect forecasts")
    assert forecasts["trigger"] == "0 0,6,12,18 * * *"
    assert forecasts["triggerText"] == "every day at 00:00, 06:00, 12:00, 18:00 UTC"
    assert observations["nextRunTimes"] == [
        "2026-07-15T14:00:00Z",
        "2026-07-15T16:00:00Z",
        "2026-07-15T18:00:00Z",
        "2026-07-16T08:00:00Z",
        "2026-07-16T10:00:00Z",
    ]
    assert forecasts["nextRunTime"] is None, "the scheduler is off"
    assert (forecasts["paused"], forecasts["pausedBy"], forecasts["pausedAt"]) == (False, None, None)


@pytest.mark.parametrize(
    ("crontab", "words"),
    [
        ("30 6,18 * * *", "every day at 06:30, 18:30 UTC"),
        ("*/10 * * * *", "crontab */10 * * * *, in UTC"),
        ("0 6 * * mon", "crontab 0 6 * * mon, in UTC"),
    ],
)
def test_a_crontab_line_is_in_words_only_if_the_words_are_exact(crontab: str, words: str) -> None:
    assert schedule_in_words(crontab) == words


async def test_a_schedule_that_never_comes_again_has_no_next_times(tmp_path: Path) -> None:
    never = SchedulerConfig.load(scheduler_enabled=False, scheduler_forecast_cron="0 0 30 2 *")
    service = replace(make_service(tmp_path), config=never)
    async with served(service) as client:
        forecasts, *_ = (await get(client, "/api/scheduler/jobs"))["jobs"]
        ages = (await get(client, "/api/scheduler/status"))["freshness"]
    assert (forecasts["nextRunTime"], forecasts["nextRunTimes"]) == (None, [])
    assert ages[0]["lastDue"] == "2026-07-15T11:40:00Z"


async def test_with_the_scheduler_running_a_job_has_a_next_time_until_it_is_paused(tmp_path: Path) -> None:
    service = with_sources(
        make_service(tmp_path, enabled=True),
        [forecast_source(brings_a_run)],
        [observation_source(brings_a_reading)],
    )
    async with served(service, live=True) as client:
        await when_ready(client)
        assert (await get(client, "/api/scheduler/status"))["running"] is True
        assert (await get(client, "/api/ready"))["scheduler"] == "running"
        forecasts, _ = (await get(client, "/api/scheduler/jobs"))["jobs"]
        assert forecasts["nextRunTime"] == forecasts["nextRunTimes"][0] == "2026-07-15T18:00:00Z"
        paused = (await client.post(PAUSE, headers=ADMIN)).json()
        assert (paused["paused"], paused["nextRunTime"]) == (True, None)
        resumed = (await client.post(RESUME, headers=ADMIN)).json()
        assert (resumed["paused"], resumed["nextRunTime"]) == (False, "2026-07-15T18:00:00Z")


# --- Runs --------------------------------------------------------------------------------------------


async def test_pages_of_runs_hold_every_run_exactly_once_newest_first(tmp_path: Path) -> None:
    service = make_service(tmp_path)
    make_tables(service.database)
    slots = [NOW - timedelta(hours=hours) for hours in range(7)]
    service.ledger.note_missed(OBSERVATIONS, slots, "while the machine was off")
    seen: list[int] = []
    async with served(service) as client:
        page = await get(client, "/api/scheduler/runs?limit=3")
        seen += [run["runId"] for run in page["runs"]]
        while page["next"] is not None:
            page = await get(client, f"/api/scheduler/runs?limit=3&cursor={page['next']}")
            seen += [run["runId"] for run in page["runs"]]
        whole = await get(client, "/api/scheduler/runs?limit=7")
    assert seen == [7, 6, 5, 4, 3, 2, 1]
    assert whole["next"] is None, "a full last page has no next page"


async def test_runs_are_filtered_by_job_and_status(tmp_path: Path) -> None:
    service = make_service(tmp_path)
    fill(service)
    async with served(service) as client:
        of_job = await get(client, "/api/scheduler/runs?job=collect_forecasts")
        of_status = await get(client, "/api/scheduler/runs?status=success")
        of_neither = await get(client, "/api/scheduler/runs?job=collect_forecasts&status=success")
    assert [run["runId"] for run in of_job["runs"]] == [1]
    assert [run["runId"] for run in of_status["runs"]] == [2]
    assert of_neither == {"runs": [], "next": None}


@pytest.mark.parametrize(
    ("path", "status", "word"),
    [
        ("/api/scheduler/runs/77", 404, "no run 77"),
        ("/api/scheduler/runs/last", 422, "path.runId"),
        ("/api/scheduler/runs/99999999999999999999", 422, "path.runId"),
        ("/api/scheduler/runs?job=collect_everything", 422, "query.job"),
        ("/api/scheduler/runs?status=fine", 422, "query.status"),
        ("/api/scheduler/runs?limit=0", 422, "query.limit"),
        ("/api/scheduler/runs?cursor=second", 422, "query.cursor"),
        ("/api/scheduler/runs?cursor=99999999999999999999", 422, "query.cursor"),
    ],
)
async def test_an_invalid_run_id_is_refused_with_the_reason(
    tmp_path: Path, path: str, status: int, word: str
) -> None:
    async with served(make_service(tmp_path)) as client:
        answer = await client.get(path)
    assert answer.status_code == status
    assert word in answer.json()["detail"]


# --- With the admin token ----------------------------------------------------------------------------


@pytest.mark.parametrize("path", [RUN_NOW, PAUSE, RESUME])
async def test_without_the_token_no_action_is_possible(tmp_path: Path, path: str) -> None:
    service = make_service(tmp_path)
    async with served(service) as client:
        without = await client.post(path)
        wrong = await client.post(path, headers={"Authorization": "Bearer guess"})
        other = await client.post(path, headers={"Authorization": "Basic YTpi"})
        assert (await get(client, "/api/scheduler/runs"))["runs"] == []
        assert not any(job["paused"] for job in (await get(client, "/api/scheduler/jobs"))["jobs"])
    for answer in (without, wrong, other):
        assert answer.status_code == 401
        assert answer.headers["www-authenticate"] == "Bearer"
        assert TOKEN not in answer.text


@pytest.mark.parametrize("token", [None, ""])
async def test_without_a_configured_token_the_error_explains_how_to_set_one(
    tmp_path: Path, token: str | None
) -> None:
    async with served(make_service(tmp_path, admin_token=token)) as client:
        for headers in ({}, {"Authorization": "Bearer "}, {"Authorization": "Bearer x"}):
            answer = await client.post(RUN_NOW, headers=headers)
            assert answer.status_code == 403
            assert "ADMIN_TOKEN" in answer.json()["detail"]


async def test_a_job_that_does_not_exist_is_not_found(tmp_path: Path) -> None:
    async with served(make_service(tmp_path)) as client:
        answer = await client.post("/api/scheduler/jobs/collect_clouds/pause", headers=ADMIN)
    assert answer.status_code == 404
    assert "collect_forecasts and collect_observations" in answer.json()["detail"]


async def test_a_run_by_hand_starts_at_once_and_stores_its_values(tmp_path: Path) -> None:
    async def reads(needs: CollectionRequest) -> AsyncIterator[ObservationBatch]:
        yield a_reading(needs, value=12.0, station="ffvl:901")

    service = with_sources(make_service(tmp_path), observations=[observation_source(reads)])
    async with served(service) as client:
        answer = await client.post(RUN_NOW, headers=ADMIN)
        assert answer.status_code == 202
        assert answer.json() == {"runId": 1, "job": "collect_observations", "status": "running"}
        assert answer.headers["location"] == "/api/scheduler/runs/1"
        run = await when_ended(client, 1)
        (value,) = (await get(client, "/api/observations"))["observations"]
    assert (run["trigger"], run["scheduledTime"], run["status"]) == ("api", None, "success")
    assert run["recordsStored"] == 1
    assert (value["station"], value["value"], value["unit"]) == ("ffvl:901", 12.0, "km/h")


async def test_while_a_collection_runs_the_api_answers_and_refuses_a_second_one(tmp_path: Path) -> None:
    go_on = asyncio.Event()

    async def waits(needs: CollectionRequest) -> AsyncIterator[ObservationBatch]:
        yield a_reading(needs, station="ffvl:901")
        await go_on.wait()

    service = with_sources(
        make_service(tmp_path), [forecast_source(brings_a_run)], [observation_source(waits)]
    )
    async with served(service) as client:
        run_id = (await client.post(RUN_NOW, headers=ADMIN)).json()["runId"]
        again = await client.post(RUN_NOW, headers=ADMIN)
        assert again.status_code == 409
        assert again.json()["runId"] == run_id
        await sign_in(client)
        for path in ("/ops", "/api/scheduler/status", "/api/observations", "/api/ready", "/api/sites"):
            assert (await client.get(path)).status_code == 200
        (current,) = (await get(client, "/api/scheduler/status"))["current"]
        assert (current["runId"], current["status"]) == (run_id, "running")
        other = await client.post("/api/scheduler/jobs/collect_forecasts/run", headers=ADMIN)
        assert other.status_code == 202, "the other job does not run"
        go_on.set()
        assert (await when_ended(client, run_id))["status"] == "success"
        await when_ended(client, other.json()["runId"])
        assert (await client.post(RUN_NOW, headers=ADMIN)).status_code == 202


async def test_a_pause_survives_a_restart_with_who_and_when(tmp_path: Path) -> None:
    async with served(make_service(tmp_path)) as client:
        answer = await client.post(PAUSE, headers=ADMIN)
        assert answer.status_code == 200
    later = HandClock(NOW + timedelta(hours=5))
    async with served(make_service(tmp_path, clock=later)) as client:
        forecasts, observations, _ = (await get(client, "/api/scheduler/jobs"))["jobs"]
        of_admin = (await client.get("/api/scheduler/jobs", headers=ADMIN)).json()["jobs"][0]
        assert forecasts["paused"] is True
        assert forecasts["pausedBy"] == "admin", "only the operator sees the address"
        assert of_admin["pausedBy"] == "admin (127.0.0.1)"
        assert forecasts["pausedAt"] == "2026-07-15T12:10:00Z"
        assert observations["paused"] is False
        resumed = (await client.post(RESUME, headers=ADMIN)).json()
    assert (resumed["paused"], resumed["pausedBy"]) == (False, None)


async def test_a_paused_job_can_still_be_run_by_hand(tmp_path: Path) -> None:
    service = with_sources(make_service(tmp_path), observations=[observation_source(brings_a_reading)])
    make_tables(service.database)
    service.ledger.pause(OBSERVATIONS, "test", NOW)
    async with served(service) as client:
        answer = await client.post(RUN_NOW, headers=ADMIN)
        assert answer.status_code == 202
        await when_ended(client, answer.json()["runId"])


async def test_a_run_of_another_process_is_busy_here_too(tmp_path: Path) -> None:
    service = make_service(tmp_path)
    make_tables(service.database)
    other = Ledger(service.database, owner="elsewhere/boot/1/1")
    claim = other.claim(OBSERVATIONS, "cli", NOW)
    assert claim is not None
    async with served(service) as client:
        answer = await client.post(RUN_NOW, headers=ADMIN)
    assert (answer.status_code, answer.json()["runId"]) == (409, claim.run_id)
