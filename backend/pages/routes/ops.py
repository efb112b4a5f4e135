"""The operator's page: the state of jobs, sources, stations and the store."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any

from fastapi import APIRouter, Path, Query, Response

from backend.answers.completeness import completeness
from backend.answers.operation import (
    flagged_values,
    processes,
    rejected_values,
    stations_to_check,
    store_growth,
)
from backend.answers.readiness import reasons, take_snapshot
from backend.answers.record_head import record_head
from backend.answers.settings_in_force import as_written, settings_in_force
from backend.api.problems import RETRY_AFTER_SECONDS
from backend.api.status import collection_run, scheduled_jobs
from backend.core.errors import ConfigError, StoreUnavailableError
from backend.core.masking import mask_of
from backend.pages import sentences_ops
from backend.pages.operator import Operator, operator_response
from backend.pages.page import Page, PageDep
from backend.scheduler.config import zone_of

router = APIRouter(include_in_schema=False)

RUNS = 20
"""Number of runs in the list."""

SITES = 25
"""Number of sites in a page of the completeness tables."""


@router.get("/ops")
def ops(page: PageDep, session: Operator, p: Annotated[int, Query(ge=1, le=100_000)] = 1) -> Response:
    """Show the whole state. 503 with the reasons if the store or the sites file cannot be read."""
    snapshot = take_snapshot(page.service)
    values: dict[str, Any] = {
        **shared_values(page, session.form_token),
        "reasons": reasons(snapshot),
        "scheduler": "dead" if snapshot.scheduler == "absent" else snapshot.scheduler,
        "settings": {
            name: as_written(value)
            for name, value in settings_in_force(page.service.settings, page.service.config).items()
        },
        "sources": snapshot.freshness,
        "stored": None,
    }
    status = 200
    try:
        values["stored"] = stored_state(page, p)
        values["refresh"] = bool(values["stored"]["running"])
    except (StoreUnavailableError, ConfigError):
        status = 503
    response = operator_response(page, "pages/ops.html", values, status=status)
    if status == 503:
        response.headers["Retry-After"] = str(RETRY_AFTER_SECONDS)
    return response


@router.get("/ops/runs/{run_id}")
def ops_run(page: PageDep, session: Operator, run_id: Annotated[int, Path(ge=1)]) -> Response:
    """Show one run with its failures. Raises NotFoundError, StoreUnavailableError."""
    run = page.service.ledger.run(run_id)
    values = {
        **shared_values(page, session.form_token),
        "run": collection_run(run),
        "tracebacks": [
            (source.source, failure.reason, failure.traceback)
            for source in run.sources
            for failure in source.failures
            if failure.traceback
        ],
        "refresh": run.status == "running",
    }
    return operator_response(page, "pages/ops_run.html", values)


def shared_values(page: Page, form_token: str) -> dict[str, Any]:
    """Return what the templates of the operator's pages use."""
    words = page.language

    def in_words(function: Callable[..., Any]) -> Callable[..., Any]:
        return lambda *arguments: function(words, *arguments)

    return {
        "form_token": form_token,
        "refresh": False,
        "colon": words.colon,
        "moment": in_words(sentences_ops.moment),
        "size": in_words(sentences_ops.size),
        "job_name": in_words(sentences_ops.job_name),
        "state_of_process": in_words(sentences_ops.state_of_process),
        "outcome": in_words(sentences_ops.outcome),
        "trigger": in_words(sentences_ops.trigger),
        "zone_of": zone_of,
        "problem": in_words(sentences_ops.problem),
        "parameter_name": in_words(sentences_ops.parameter_name),
        "why_set_aside": in_words(sentences_ops.why_set_aside),
        "masked": mask_of(page.service.settings.secrets()),
    }


def stored_state(page: Page, number: int) -> dict[str, Any]:
    """Return what the store has for the page. Raises StoreUnavailableError, ConfigError."""
    service = page.service
    sites = service.sites()
    pages = max(1, -(-len(sites) // SITES))
    number = min(number, pages)
    shown = sites[(number - 1) * SITES : number * SITES]
    runs = [collection_run(run) for run in service.ledger.runs(limit=RUNS)]
    return {
        "jobs": scheduled_jobs(service, admin=True).jobs,
        "running": {run.job: run for run in runs if run.status == "running"},
        "runs": runs,
        "site_count": len(sites),
        "instances": processes(service),
        "completeness": completeness(service, shown),
        "page": number,
        "pages": pages,
        "rejected": rejected_values(service),
        "flagged": flagged_values(service),
        "stations": stations_to_check(service, sites),
        "growth": store_growth(service),
        "record": record_head(service.database, service.clock()),
    }
