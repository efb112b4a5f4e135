"""Error responses of the API, and its OpenAPI document, which lists all responses."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs

from backend import __version__
from backend.main import create_app
from backend.tests.support.served import ADMIN, fill, lose_the_store, make_service, served

GETS = (
    "/api/scheduler/status",
    "/api/scheduler/jobs",
    "/api/scheduler/runs",
    "/api/scheduler/runs/1",
    "/api/sites",
    "/api/stations",
    "/api/models",
    "/api/forecasts",
    "/api/observations",
    "/api/ready",
)
POSTS = tuple(f"/api/scheduler/jobs/collect_forecasts/{action}" for action in ("run", "pause", "resume"))


def as_problem(answer: Any, status: int) -> Any:
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    problem = answer.json()
    assert problem["type"] == "about:blank"
    assert problem["status"] == status
    assert problem["title"]
    assert problem["detail"]
    assert problem["instance"] == answer.request.url.path
    return problem


# --- The store is down -------------------------------------------------------------------------------


async def test_without_the_database_all_routes_but_health_are_503_with_the_reason(tmp_path: Path) -> None:
    service = make_service(tmp_path)
    fill(service)
    async with served(service) as client:
        lose_the_store(tmp_path)
        for path in GETS:
            answer = await client.get(path, headers=ADMIN)
            assert "database is unreachable" in as_problem(answer, 503)["detail"], path
            assert int(answer.headers["retry-after"]) > 0
            assert str(tmp_path) not in answer.text
        for path in POSTS:
            answer = await client.post(path, headers=ADMIN)
            assert "database is unreachable" in as_problem(answer, 503)["detail"], path
        health = await client.get("/api/health")
    assert (health.status_code, health.json()) == (200, {"status": "ok", "version": __version__})


async def test_the_api_recovers_when_the_database_is_back(tmp_path: Path) -> None:
    service = make_service(tmp_path)
    fill(service)
    async with served(service) as client:
        away = tmp_path / "away"
        away.mkdir()
        kept = list(tmp_path.glob("store.sqlite3*"))
        for file in kept:
            file.rename(away / file.name)
        as_problem(await client.get("/api/models"), 503)
        for file in kept:
            (away / file.name).rename(file)
        assert (await client.get("/api/models")).status_code == 200


async def test_a_service_with_an_enabled_scheduler_that_does_not_run_is_not_ready(tmp_path: Path) -> None:
    async with served(make_service(tmp_path, enabled=True)) as client:
        answer = await client.get("/api/ready")
        assert as_problem(answer, 503)["detail"] == "Not ready: the scheduler is not running."
    async with served(make_service(tmp_path, enabled=True)) as client:
        lose_the_store(tmp_path)
        detail = as_problem(await client.get("/api/ready"), 503)["detail"]
    assert detail == "Not ready: the database is unreachable, and the scheduler is not running."


async def test_old_data_never_make_the_service_unready(tmp_path: Path) -> None:
    service = make_service(tmp_path)
    fill(service)
    later = replace(service, clock=lambda: datetime.fromisoformat("2026-09-01T12:00:00Z"))
    async with served(later) as client:
        answer = await client.get("/api/ready")
    assert answer.status_code == 200
    ready = answer.json()
    assert (ready["status"], ready["store"], ready["scheduler"]) == ("degraded", "reachable", "off")
    assert [reason["code"] for reason in ready["reasons"]] == ["data_stale"] * 3
    stale = {source["source"]: source["stale"] for source in ready["freshness"]}
    assert {name for name, old in stale.items() if old} == {"arome", "meteo_parapente", "ffvl"}
    assert set(stale.values()) == {True, None}, "unknown for a source without data"


# --- Other errors ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/nothing/here", 404),
        ("GET", "/api/scheduler/runs/12", 404),
        ("GET", "/api/forecasts?site=nowhere", 404),
        ("POST", "/api/scheduler/jobs/collect_clouds/run", 404),
        ("POST", "/api/sites", 405),
        ("GET", "/api/scheduler/jobs/collect_forecasts/run", 405),
        ("DELETE", "/", 405),
        ("GET", "/api/observations?parameter=rain", 422),
    ],
)
async def test_every_error_is_a_problem(tmp_path: Path, method: str, path: str, status: int) -> None:
    async with served(make_service(tmp_path)) as client:
        answer = await client.request(method, path, headers=ADMIN)
    as_problem(answer, status)
    if status == 405:
        assert answer.headers["allow"]


async def test_an_invalid_request_names_each_field_and_rule(tmp_path: Path) -> None:
    async with served(make_service(tmp_path)) as client:
        answer = await client.get("/api/forecasts?limit=0&from=noon")
    errors = {error["field"]: error["message"] for error in as_problem(answer, 422)["errors"]}
    assert set(errors) == {"query.limit", "query.from"}
    assert "2026-07-15T06:00:00Z" in errors["query.from"]


async def test_an_internal_error_is_logged_in_full_and_hidden_from_the_client(tmp_path: Path) -> None:
    def broken_clock() -> datetime:
        raise RuntimeError("the inner workings")

    service = replace(make_service(tmp_path), clock=broken_clock)
    with capture_logs() as logs:
        async with served(service) as client:
            answer = await client.get("/api/scheduler/jobs")
    as_problem(answer, 500)
    assert "inner workings" not in answer.text
    (line,) = [entry for entry in logs if entry["event"] == "request failed"]
    assert line["path"] == "/api/scheduler/jobs"
    assert "inner workings" in str(line["exc_info"])


# --- What the document promises ----------------------------------------------------------------------


@pytest.fixture
def document(tmp_path: Path) -> Iterator[dict[str, Any]]:
    service = make_service(tmp_path)
    yield create_app(service).openapi()
    service.worker.close()
    service.database.close()


def operations(document: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            yield f"{method.upper()} {path}", operation


def test_every_name_on_the_wire_is_camel_case(document: dict[str, Any]) -> None:
    camel = re.compile(r"[a-z]+[0-9]*([A-Z][a-z]*)*")
    names = {
        name for shape in document["components"]["schemas"].values() for name in shape.get("properties", ())
    }
    names |= {
        part["name"] for _, operation in operations(document) for part in operation.get("parameters", ())
    }
    assert {"lastForecastCollection", "nextRunTimes", "runId", "pausedBy", "from"} <= names
    assert [name for name in sorted(names) if not camel.fullmatch(name)] == []


def test_every_answer_has_a_shape_and_every_error_is_a_problem(document: dict[str, Any]) -> None:
    for name, operation in operations(document):
        answers = operation["responses"]
        good = {status for status in answers if status.startswith("2")}
        assert len(good) == 1, name
        assert "$ref" in answers[good.pop()]["content"]["application/json"]["schema"], name
        assert "500" in answers, name
        if operation.get("parameters"):
            assert {"404", "422"} & set(answers), name
        for status, answer in answers.items():
            if status == "304":
                assert "content" not in answer, name
            elif not status.startswith("2"):
                problem = {"schema": {"$ref": "#/components/schemas/Problem"}}
                assert answer["content"] == {"application/problem+json": problem}, f"{name} {status}"
    assert {"Problem", "FieldProblem"} <= set(document["components"]["schemas"])
    assert "HTTPValidationError" not in document["components"]["schemas"]


def test_states_are_enumerated(document: dict[str, Any]) -> None:
    shapes = document["components"]["schemas"]
    assert set(shapes["CollectionRun"]["properties"]["status"]["enum"]) == {
        *("running", "success", "partial", "nothing_new"),
        *("failed", "missed", "interrupted", "cancelled"),
    }
    assert set(shapes["SourceOutcome"]["properties"]["status"]["enum"]) == {
        *("success", "partial", "nothing_new", "stale", "failed", "disabled"),
    }


SHOWS_MORE = (
    *("/api/forecasts", "/api/observations", "/api/stations", "/api/v1/sites/"),
    "/api/v1/forecast/verification",
    *("/api/scheduler/jobs", "/api/scheduler/runs"),
)

FOR_THE_OPERATOR = tuple(
    f"/api/scheduler/{name}" for name in ("completeness", "set-aside", "stations", "store", "settings")
)


def test_the_document_states_where_the_token_is_required_or_optional(document: dict[str, Any]) -> None:
    security = {name: operation.get("security") for name, operation in operations(document)}
    for name, wanted in security.items():
        if name.startswith("POST") or name.removeprefix("GET ") in FOR_THE_OPERATOR:
            assert wanted == [{"adminToken": []}], name
        elif name.removeprefix("GET ").startswith(SHOWS_MORE):
            assert wanted == [{"adminToken": []}, {}], name
        else:
            assert wanted is None, name
    assert document["components"]["securitySchemes"]["adminToken"]["scheme"] == "bearer"


def test_tables_are_documented_as_csv_too(document: dict[str, Any]) -> None:
    for name in ("sites", "stations", "models", "forecasts", "observations"):
        content = document["paths"][f"/api/{name}"]["get"]["responses"]["200"]["content"]
        assert set(content) == {"application/json", "text/csv"}


async def test_the_document_can_be_read_at_docs(tmp_path: Path) -> None:
    async with served(make_service(tmp_path)) as client:
        page = await client.get("/docs")
        served_document = (await client.get("/openapi.json")).json()
    assert page.status_code == 200
    assert served_document["info"]["version"] == __version__
    assert "/" not in served_document["paths"], "pages are not in the document"
