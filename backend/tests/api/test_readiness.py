"""Whether the service is ready, and if not: why, since when, and what to do."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx2
from structlog.testing import capture_logs

from backend.core.disk import free_bytes
from backend.core.errors import StoreUnavailableError
from backend.core.records import CollectionRequest, ObservationBatch
from backend.main import Service, create_app
from backend.scheduler.catchup import STALLED_AFTER_SECONDS, CatchUp
from backend.scheduler.config import FORECASTS, OBSERVATIONS, SchedulerConfig
from backend.storage.run_records import SourceRun
from backend.storage.store_check import check_store
from backend.tests.support.commands import Running, StandIns, store_of, typed
from backend.tests.support.damage import overwrite_pages
from backend.tests.support.operator import sign_in
from backend.tests.support.served import (
    ADMIN,
    NOW,
    SITES,
    fill,
    make_service,
    owe_nothing,
    served,
    store_forecasts,
    when_ready,
    with_sources,
)
from backend.tests.support.serving import ENDED, TOKEN, client_of, ended_runs, serving
from backend.tests.support.stores import make_tables
from backend.tests.support.waiting import HANG_SECONDS, until, wait_for
from backend.tests.support.worlds import (
    HandClock,
    a_reading,
    brings_a_run,
    forecast_source,
    observation_source,
)

HOUR = timedelta(hours=1)


def test_free_bytes_are_those_of_the_nearest_folder_there_is(tmp_path: Path) -> None:
    assert free_bytes(tmp_path / "not" / "there" / "yet") is not None


# --- Asked of the service ---------------------------------------------------------------------------


async def ready(client: httpx2.AsyncClient) -> Any:
    answer = await client.get("/api/ready")
    assert answer.status_code == 200, answer.text
    return answer.json()


async def why(client: httpx2.AsyncClient) -> list[tuple[str, str | None]]:
    found = await ready(client)
    assert found["status"] == ("degraded" if found["reasons"] else "ready")
    return [(reason["code"], reason["since"]) for reason in found["reasons"]]


def run_of(
    service: Service, status: Any, newest: Any = None, source: str = "ffvl", job: Any = OBSERVATIONS
) -> int:
    """Add a run of one source that ends now to the ledger."""
    claim = service.ledger.claim(OBSERVATIONS, "cli", service.clock())
    assert claim is not None
    part = SourceRun(source=source, status=status, newest=newest)
    service.ledger.finish(claim, status, service.clock(), duration=1, sources=[part])
    return claim.run_id


async def test_a_well_service_is_ready(tmp_path: Path) -> None:
    service = make_service(tmp_path)
    fill(service)
    async with served(service) as client:
        assert await why(client) == []


async def test_eleven_failed_runs_in_33_minutes_are_seen_from_the_third_on(tmp_path: Path) -> None:
    clock = HandClock(NOW)
    every_three_minutes = SchedulerConfig.load(
        scheduler_enabled=False, scheduler_observation_cron="*/3 * * * *"
    )
    service = replace(make_service(tmp_path, clock=clock, sources="ffvl"), config=every_three_minutes)
    make_tables(service.database)
    run_of(service, "success", newest=NOW)
    seen = []
    async with served(service) as client:
        for _ in range(11):
            clock.now += timedelta(minutes=3)
            run_of(service, "failed")
            seen.append([code for code, _ in await why(client)])
        assert seen[:2] == [[], []]
        assert seen[2:] == [["job_failing"]] * 9
        clock.now += timedelta(minutes=9)
        assert await why(client) == [
            ("job_failing", "2026-07-15T12:13:00Z"),
            ("data_stale", "2026-07-15T12:10:00Z"),
        ]
        run_of(service, "success", newest=clock.now)
        assert await why(client) == []


async def test_runs_without_a_result_do_not_end_a_series_of_failures(tmp_path: Path) -> None:
    service = make_service(tmp_path, sources="ffvl")
    make_tables(service.database)
    run_of(service, "success", newest=NOW)
    for status in ("failed", "cancelled", "failed"):
        run_of(service, status)
    service.ledger.note_missed(OBSERVATIONS, [NOW], "no process ran it in time")
    async with served(service) as client:
        assert await why(client) == []
        run_of(service, "failed")
        assert [code for code, _ in await why(client)] == ["job_failing"]
    assert service.ledger.failure_streak(FORECASTS) is None


async def test_a_source_that_never_answered_since_the_start_is_named_and_a_restart_resets_it(
    tmp_path: Path,
) -> None:
    service = make_service(tmp_path, sources="ffvl,romma,arome")
    make_tables(service.database)
    run_of(service, "success", source="romma", newest=NOW)
    run_of(service, "failed", source="ffvl")
    async with served(service) as client:
        assert await why(client) == [("source_silent", "2026-07-15T12:10:00Z")]
        run_of(service, "partial", source="ffvl", newest=NOW)
        assert await why(client) == []
        run_of(service, "failed", source="ffvl")
        assert await why(client) == [], "it has answered"

    restarted = make_service(tmp_path, sources="ffvl,romma,arome")
    await restarted.open_store()
    async with served(restarted) as client:
        assert await why(client) == []
        run_of(restarted, "failed", source="ffvl")
        sentences = [reason["sentence"] for reason in (await ready(client))["reasons"]]
        assert sentences == ["ffvl has not answered since the start of the service."]


async def test_a_disk_that_is_nearly_full_is_a_reason(tmp_path: Path) -> None:
    service = replace(make_service(tmp_path), free_bytes=lambda path: 12_000_000)
    fill(service)
    async with served(service) as client:
        found = (await ready(client))["reasons"]
    assert {reason["code"] for reason in found} == {"disk_full"}
    assert found[0]["sentence"] == "12 MB are free on the disk of the store."


async def test_a_clock_that_several_hosts_contradict_is_a_reason_on_the_page_too(tmp_path: Path) -> None:
    service = make_service(tmp_path)
    fill(service)
    for host in ("a.example", "b.example", "c.example"):
        service.clock_watch.note(host, NOW + timedelta(minutes=61))
    async with served(service) as client:
        assert [code for code, _ in await why(client)] == ["clock_off"]
        await sign_in(client)
        page = (await client.get("/ops?lang=en")).text
    assert "The clock of this machine is 61 min slow, by the answers of 3 of 3 hosts." in page
    assert "timedatectl" in page


# --- A sites file that breaks under a running service -----------------------------------------------


async def test_a_sites_file_that_becomes_invalid_leaves_the_last_valid_list_and_is_a_reason(
    tmp_path: Path,
) -> None:
    clock = HandClock(NOW)
    service = make_service(tmp_path, clock=clock)
    fill(service)
    file = tmp_path / "sites.toml"
    async with served(service) as client:
        before = (await client.get("/api/sites")).json()
        file.write_text(SITES + "[[sites]]\nid = 'One'\n")
        with capture_logs() as logs:
            assert (await client.get("/api/sites")).json() == before
        assert "sites.toml, line 29 (One)" in logs[-1]["reason"]
        assert await why(client) == [("sites_file_broken", "2026-07-15T12:10:00Z")]
        clock.now += HOUR
        await sign_in(client)
        assert (await client.get("/ops")).status_code == 200
        assert await why(client) == [("sites_file_broken", "2026-07-15T12:10:00Z")], (
            "the time of the first detection stays"
        )
        assert [site.id for site in service.runner.sites()] == ["grand-pre", "petit-col", "sans-balise"]

        file.unlink()
        assert (await client.get("/api/sites")).json() == before
        file.write_text(SITES)
        assert await why(client) == [], "each request checks the file"


async def test_a_run_collects_the_last_valid_list_if_the_file_becomes_invalid_before_the_first_run(
    tmp_path: Path,
) -> None:
    service = make_service(tmp_path)
    service.check()
    (tmp_path / "sites.toml").write_text("[[sites")
    assert [site.id for site in service.runner.sites()] == ["grand-pre", "petit-col", "sans-balise"]
    assert len(service.store.sites()) == 3


async def test_an_emptied_file_is_no_list_of_no_sites(tmp_path: Path) -> None:
    service = make_service(tmp_path)
    service.check()
    (tmp_path / "sites.toml").write_text("")
    async with served(service) as client:
        assert [code for code, _ in await why(client)] == ["sites_file_broken"]
        assert len((await client.get("/api/sites")).json()["sites"]) == 3
        assert len(service.runner.sites()) == 3


async def test_a_take_off_moved_in_the_file_is_refused_and_the_list_of_the_store_stays_in_use(
    tmp_path: Path,
) -> None:
    service = make_service(tmp_path)
    fill(service)
    service.check()
    (tmp_path / "sites.toml").write_text(SITES.replace("latitude = 45.9", "latitude = 44.9"))
    async with served(service) as client:
        assert service.runner.sites()[0].latitude == 45.9
        assert [code for code, _ in await why(client)] == ["sites_file_broken"]
        assert (await client.get("/api/sites")).json()["sites"][0]["latitude"] == 45.9
        assert service.runner.sites()[0].latitude == 45.9


# --- A store that does not take a run ---------------------------------------------------------------


async def test_a_run_that_cannot_start_is_a_reason_until_it_starts(tmp_path: Path) -> None:
    clock = HandClock(NOW)
    service = with_sources(make_service(tmp_path, clock=clock), [forecast_source(brings_a_run)])
    owe_nothing(service)
    service.store.save_sites(service.sites())
    error = StoreUnavailableError("the store does not answer: attempt to write a readonly database")
    async with served(service) as client:
        service.runner.note_blocked(FORECASTS, NOW, error)
        clock.now += HOUR
        service.runner.note_blocked(FORECASTS, None, error)
        assert await why(client) == [("run_cannot_begin", "2026-07-15T12:10:00Z")]
        status = (await client.get("/api/scheduler/status")).json()
        assert status["blocked"] == [
            {"job": FORECASTS, "scheduledTime": "2026-07-15T12:10:00Z", "since": "2026-07-15T12:10:00Z"}
        ]
        await service.runner.run(FORECASTS, "api")
        assert await why(client) == []


async def test_a_damaged_store_is_503_wherever_it_is_detected(tmp_path: Path) -> None:
    service = make_service(tmp_path)
    fill(service)
    for day in range(40):
        store_forecasts(service, f"model_{day}", "arome", base=10.0, gust=True)
    service.database.close()
    overwrite_pages(tmp_path / "store.sqlite3", 60)
    async with served(service) as client:
        await asyncio.to_thread(check_store, service.database, whole=False)
        answer = await client.get("/api/ready")
        assert answer.status_code == 503
        problem = answer.json()
        assert "the store is damaged" in problem["detail"]
        assert problem["reasons"][0]["code"] == "store_damaged"
        assert problem["reasons"][0]["since"] == "2026-07-15T12:10:00Z"
        await sign_in(client)
        for path in ("/ops", "/api/forecasts", "/api/observations", "/api/models", "/api/scheduler/runs"):
            text = (await client.get(path, headers=ADMIN)).text
            assert "not lost" not in text and "nothing is lost" not in text, path


async def test_a_collection_into_a_damaged_store_fails_at_once_with_the_reason(tmp_path: Path) -> None:
    async def reads(needs: CollectionRequest) -> AsyncIterator[ObservationBatch]:
        yield a_reading(needs, station="ffvl:901")

    service = with_sources(make_service(tmp_path), (), [observation_source(reads)])
    fill(service)
    service.database.close()
    overwrite_pages(tmp_path / "store.sqlite3", 1, tables=("observation_batch",))
    run = await asyncio.wait_for(service.runner.run(OBSERVATIONS, "cli"), HANG_SECONDS)
    assert run is not None
    assert run.status == "failed"
    assert "the store is damaged" in run.sources[0].reason
    await service.close()


# --- The scheduler ----------------------------------------------------------------------------------


async def test_a_catch_up_whose_rounds_never_end_is_a_dead_scheduler(tmp_path: Path) -> None:
    service = make_service(tmp_path, enabled=True)
    owe_nothing(service)
    seconds = [0.0]
    answers: list[httpx2.Response] = []
    catch_up = CatchUp(service.runner, interval=3600, monotonic=lambda: seconds[0])
    app = create_app(service, catch_up=catch_up)
    transport = httpx2.ASGITransport(app)
    async with (
        httpx2.AsyncClient(transport=transport, base_url="http://meteo.example") as client,
        app.router.lifespan_context(app),
    ):
        await when_ready(client)

        async def is_dead() -> bool:
            seconds[0] += 3 * 3600 + STALLED_AFTER_SECONDS  # the first round may end only now
            answers.append(await client.get("/api/ready"))
            return answers[-1].status_code == 503

        await until(is_dead)
    answer = answers[-1]
    assert (answer.status_code, answer.json()["detail"]) == (503, "Not ready: the scheduler is not running.")
    assert [reason["code"] for reason in answer.json()["reasons"]] == ["scheduler_dead"]


# --- A damaged store under a real service -----------------------------------------------------------


def test_sixty_damaged_blocks_are_503_no_run_succeeds_and_doctor_has_the_steps(
    upstreams: StandIns, tmp_path: Path
) -> None:
    environment = upstreams.environment(
        tmp_path, sources="meteo_parapente,romma", admin_token=TOKEN, log_format="json"
    )
    for what in ("forecasts", "observations"):
        assert typed(f"collect {what} --json", environment).exit_code == 0
    database = store_of(environment)
    path = database.path
    assert path is not None
    database.close()
    overwrite_pages(path, 60)

    with serving(environment) as service, client_of(service) as client:
        wait_for(lambda: client.get("/api/ready").status_code == 503, "the damage to be noticed")
        wait_for(lambda: service.has_logged(event="the store is damaged"), "the check")
        problem = client.get("/api/ready").json()
        assert problem["reasons"][0]["code"] == "store_damaged"
        assert "docs/operations.md" in problem["reasons"][0]["whatToDo"]
        assert str(tmp_path) not in json.dumps(problem)
        answer = client.post("/api/scheduler/jobs/collect_observations/run")
        assert answer.status_code == 503 or not run_is_a_success(service)
        client.post("/ops/sign-in", data={"token": TOKEN})
        assert "not lost" not in client.get("/ops").text
        assert client.get("/api/health").status_code == 200
        assert service.terminate() in ENDED

    result = typed("doctor --json", environment)
    assert result.exit_code == 1
    unwell = {one["what"]: one["says"] for one in json.loads(result.stdout) if one["ok"] is False}
    says = unwell.get("store check") or unwell["store"]
    assert "the store is damaged: " in says
    assert "docs/operations.md, store_damaged" in says


def run_is_a_success(service: Running) -> bool:
    wait_for(lambda: ended_runs(service) >= 1, "the run")
    return service.has_logged(event="run ended", status="success")
