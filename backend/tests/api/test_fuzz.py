"""The API against its own OpenAPI document: every response to any request is documented.

Schemathesis generates requests and checks the responses. Half of the generated names are replaced by names of
the store, because an invented name rarely leads to more than a 404.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx2
import pytest
import requests
import schemathesis
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from schemathesis import APIOperation, Case
from schemathesis.checks import CheckFunction, not_a_server_error
from schemathesis.generation import GenerationMode
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from backend.main import create_app
from backend.scheduler.config import JOBS
from backend.tests.support.served import ADMIN, TOKEN, fill, make_service, with_sources

HOST = "http://meteo.example"
CHECKS: list[CheckFunction] = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
]
KNOWN: dict[str, tuple[Any, ...]] = {
    "site": ("grand-pre", "petit-col"),
    "model": ("arome_0025", "meteo_parapente"),
    "station": ("ffvl:901", "romma:902"),
    "parameter": ("wind_speed", "wind_gust"),
    "from": ("2026-07-15T06:00:00Z", "2026-07-15T12:00:00+02:00", "0001-01-01T00:00:00Z", "2026-07-01"),
    "to": ("2026-07-15T12:00:00Z", "9999-12-31T23:59:59-14:00", "2026-07-20"),
    "siteId": ("grand-pre", "petit-col", "sans-balise"),
    "view": ("evening_before", "noon", "lead_6_11"),
    "stratum": ("hour", "sector", "month"),
    "limit": (1, 3, 25, 5000),
    "gustLimit": (30, 12.5),
    "cursor": ("1", "ffvl:901", "0", "٣"),
    "jobId": JOBS,
    "runId": (1, 2, 3, 2**31 - 1),
}
ACCEPTED = ("application/json", "text/csv", "*/*", "text/csv;q=0.5, application/json;q=0.1", "image/png", "")
WHO: dict[str, Mapping[bytes, bytes]] = {
    "public": {},
    "admin": ADMIN,
    "impostor": {b"Authorization": b"Bearer guess"},
    "muddle": {b"Authorization": b"Basic \xff"},
    "admin of nothing": ADMIN,  # where no token is configured
}

Operation = APIOperation[Any, Any, Any, Any]
Call = Case[Any]
Ask = Callable[[Call, Mapping[bytes, bytes]], httpx2.Response]


@contextmanager
def api(folder: Path, admin_token: str | None) -> Iterator[tuple[Any, Ask]]:
    """Yield the OpenAPI document of an application on a filled store, and a function that sends requests."""
    service = make_service(folder, admin_token=admin_token)
    fill(service)
    service = with_sources(service)
    app = create_app(service)
    transport = httpx2.ASGITransport(app, raise_app_exceptions=False)
    client = httpx2.AsyncClient(transport=transport, base_url=HOST)
    with asyncio.Runner() as runner:

        def ask(case: Call, headers: Mapping[bytes, bytes]) -> httpx2.Response:
            asked = requests.Request(**case.as_transport_kwargs(base_url=HOST)).prepare()
            replaced = {name.decode().lower() for name in headers}
            kept = [(name, value) for name, value in asked.headers.items() if name.lower() not in replaced]
            sent = [(_as_sent(name), _as_sent(value)) for name, value in kept]
            return runner.run(
                client.request(
                    str(asked.method),
                    str(asked.url),
                    headers=[*sent, *headers.items()],
                    content=_as_sent(asked.body),
                )
            )

        yield schemathesis.openapi.from_dict(app.openapi()), ask
        runner.run(service.runner.drain(0))
        runner.run(client.aclose())
        runner.run(service.close())


def _as_sent(value: Any) -> bytes:
    return value.encode("utf-8", "surrogatepass") if isinstance(value, str) else bytes(value or b"")


def with_known_names(case: Call, draw: Callable[[st.SearchStrategy[Any]], Any]) -> None:
    """Replace some invented values by values of the store, and add some optional ones.

    Some requests about a site have no condition: with many invented ones at least one is invalid.
    """
    operation = case.operation
    if "siteId" in case.path_parameters and draw(st.booleans()):
        case.path_parameters["siteId"] = draw(st.sampled_from(KNOWN["siteId"]))
        case.query.clear()
        return
    for values, parameters in (
        (case.query, operation.query),
        (case.path_parameters, operation.path_parameters),
    ):
        for name in (parameter.name for parameter in parameters):
            if name in KNOWN and draw(st.booleans()):
                values[name] = draw(st.sampled_from(KNOWN[name]))


def questions(operation: Operation) -> st.SearchStrategy[Call]:
    """Return calls that follow the document, and calls that break it if the operation has parameters."""
    right = operation.as_strategy(generation_mode=GenerationMode.POSITIVE)
    if not operation.query and not operation.path_parameters:
        return right
    return right | operation.as_strategy(generation_mode=GenerationMode.NEGATIVE)


def keeps_its_word(operation: Operation, ask: Ask, who: Mapping[bytes, bytes]) -> set[int]:
    """Ask an operation many things; return the statuses it answered with."""
    statuses = set()

    @settings(
        max_examples=12,
        derandomize=True,
        database=None,
        suppress_health_check=list(HealthCheck),
    )
    @given(case=questions(operation), data=st.data())
    def every_answer_is_documented(case: Call, data: st.DataObject) -> None:
        with_known_names(case, data.draw)
        accept = data.draw(st.sampled_from(ACCEPTED)).encode()
        answer = ask(case, {**who, b"Accept": accept})
        statuses.add(answer.status_code)
        case.validate_response(answer, checks=CHECKS)

    every_answer_is_documented()
    return statuses


@pytest.mark.parametrize("who", WHO)
def test_every_answer_is_documented(tmp_path: Path, who: str) -> None:
    with api(tmp_path, None if who == "admin of nothing" else TOKEN) as (document, ask):
        answered = {
            operation.label: keeps_its_word(operation, ask, WHO[who])
            for operation in (found.ok() for found in document.get_all_operations())
        }
    assert len(answered) >= 22
    if who == "admin":
        assert {label for label, statuses in answered.items() if not statuses & {200, 202}} == set()
