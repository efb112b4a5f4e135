"""The forms of the operator's page: sign in and out, start, pause and resume jobs, collect a day again.

Each answers with a redirect, so that a reload sends nothing again.
"""

from __future__ import annotations

from datetime import date
from typing import Annotated, cast

import structlog
from fastapi import APIRouter, Depends, Form, HTTPException, Path, Request, Response

from backend.answers.sites import require_site
from backend.api.admission import RequestCounts, client_of
from backend.api.dependencies import operator_name
from backend.api.tokens import Tokens
from backend.core.errors import JobBusyError, NotFoundError
from backend.pages.operator import (
    NotSignedInError,
    OwnForm,
    operator_response,
    refuse_other_sites,
    see_other,
    sessions_of,
)
from backend.pages.page import Page, PageDep
from backend.scheduler.config import JOBS, JobId
from backend.scheduler.orders import EVERYTHING, Selection
from backend.scheduler.past_days import selection_of_day

log = structlog.get_logger()

router = APIRouter(include_in_schema=False)


@router.get("/ops/sign-in")
async def sign_in_form(page: PageDep, request: Request) -> Response:
    """Show the form for the admin token."""
    if page.service.settings.usable_admin_token is None:
        raise NotSignedInError("no usable admin token")
    if sessions_of(request).of(request) is not None:
        return see_other(page, "/ops")
    return operator_response(page, "pages/ops_sign_in.html", {"wrong": False})


@router.post("/ops/sign-in", dependencies=[Depends(refuse_other_sites)])
async def sign_in(
    page: PageDep, request: Request, token: Annotated[str, Form(max_length=1000)] = ""
) -> Response:
    """Begin a session. A wrong token counts against the limit of wrong tokens, as it does at the API."""
    settings = page.service.settings
    if settings.usable_admin_token is None:
        raise NotSignedInError("no usable admin token")
    tokens: Tokens = request.app.state.tokens
    if not tokens.is_admin(token.strip().encode("utf-8", "surrogatepass")):
        counts = cast(RequestCounts, request.app.state.request_counts)
        wait = await counts.count_wrong_token(client_of(request.scope), request.url.path)
        if wait is not None:
            detail = f"Too many wrong tokens: retry in {wait} seconds."
            raise HTTPException(429, detail, {"Retry-After": str(wait)})
        return operator_response(page, "pages/ops_sign_in.html", {"wrong": True}, status=403)
    response = see_other(page, "/ops")
    sessions_of(request).begin(request, response)
    log.info("operator signed in", client=client_of(request.scope))
    return response


@router.post("/ops/sign-out")
async def sign_out(page: PageDep, request: Request, session: OwnForm) -> Response:
    """End the session."""
    response = see_other(page, "/ops/sign-in")
    sessions_of(request).end(session, request, response)
    return response


@router.post("/ops/jobs/{job}/run")
async def run_now(page: PageDep, _session: OwnForm, job: Annotated[JobId, Path()]) -> Response:
    """Start a run now, also of a paused job, and show it; a run under way is shown instead."""
    return await _started(page, job, "api", EVERYTHING)


@router.post("/ops/jobs/{job}/pause")
def pause(page: PageDep, request: Request, _session: OwnForm, job: Annotated[JobId, Path()]) -> Response:
    """Pause a job until it is resumed."""
    page.service.ledger.pause(job, operator_name(request), page.service.clock())
    return see_other(page, "/ops", "#jobs")


@router.post("/ops/jobs/{job}/resume")
def resume(page: PageDep, request: Request, _session: OwnForm, job: Annotated[JobId, Path()]) -> Response:
    """Resume a job."""
    page.service.ledger.resume(job, operator_name(request), page.service.clock())
    return see_other(page, "/ops", "#jobs")


@router.post("/ops/collect")
async def collect_day(
    page: PageDep,
    _session: OwnForm,
    source: Annotated[str, Form(max_length=100)],
    day: Annotated[date, Form()],
    site: Annotated[str, Form(max_length=200)] = "",
) -> Response:
    """Collect what is missing of a day of a source, at one site or at all. 422 if it has the day no more."""
    service = page.service
    if site:
        require_site(service.sites(), site)
    for job in JOBS:
        for one in service.sources.of(job):
            if one.name == source:
                selection = selection_of_day(
                    one, job, day, service.config, service.clock(), (site,) if site else None
                )
                if selection is None:
                    raise HTTPException(422, f"{source} does not offer {day} any more.")
                return await _started(page, job, "backfill" if selection.until else "api", selection)
    raise NotFoundError(f"There is no source {source!r}.")


async def _started(page: Page, job: JobId, trigger: str, selection: Selection) -> Response:
    try:
        started = await page.service.runner.start(job, trigger, selection=selection)
    except JobBusyError as busy:
        return see_other(page, f"/ops/runs/{busy.run_id}")
    assert started is not None, "only a slot can be taken already"  # noqa: S101 - for the type checker
    return see_other(page, f"/ops/runs/{started[0]}")
