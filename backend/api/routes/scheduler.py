"""The schedule, its runs and the state of the operation: show them, start a run, pause a job."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends, Path, Query, Request, Response

from backend.answers.completeness import completeness
from backend.answers.operation import (
    SET_ASIDE_SHOWN,
    StationsToCheck,
    StoreGrowth,
    flagged_values,
    rejected_values,
    stations_to_check,
    store_growth,
)
from backend.answers.settings_in_force import as_written, settings_in_force
from backend.answers.sites import require_site
from backend.api.dependencies import TOKEN_OPTIONAL, Operates, ServiceDep, operator_name, require_operator
from backend.api.prefix import root_of
from backend.api.problems import bad_query, problems
from backend.api.schemas import (
    CollectionRun,
    CompletenessPage,
    FlaggedReadings,
    JobList,
    RejectedValues,
    RunPage,
    ScheduledJob,
    SchedulerStatus,
    SettingsInForce,
    StartedRun,
    ValuesSetAside,
)
from backend.api.status import operator_run, public_run, scheduled_job, scheduled_jobs
from backend.api.status_cache import StatusCache
from backend.core.errors import NotFoundError
from backend.core.masking import mask_of
from backend.core.records import RunStatus
from backend.scheduler.config import ALL_JOBS, JobId

MAX_ID = 2**31 - 1  # the largest id of the narrower of the two databases

router = APIRouter(prefix="/api/scheduler", tags=["scheduler"], responses=problems(429, 500, 503))


@router.get("/status", response_model=SchedulerStatus)
async def read_status(service: ServiceDep, request: Request) -> Response:
    """Return the last runs with their errors, the current runs, and the age of each source's data.

    Changes by another process on the same store appear within two seconds.
    """
    status: StatusCache = request.app.state.status_cache
    return Response(await status.body(service), media_type="application/json")


@router.get("/jobs", response_model=JobList, responses=problems(401, 403), openapi_extra=TOKEN_OPTIONAL)
def read_jobs(service: ServiceDep, admin: Operates) -> JobList:
    """Return the jobs with their next times and who paused them. With the admin token also the address."""
    return scheduled_jobs(service, admin=admin)


@router.get("/runs", response_model=RunPage, responses=problems(401, 403, 422), openapi_extra=TOKEN_OPTIONAL)
def read_runs(
    service: ServiceDep,
    admin: Operates,
    job: JobId | None = None,
    status: RunStatus | None = None,
    limit: Annotated[int, Query(ge=1, le=500)] = 50,
    cursor: str | None = None,
) -> RunPage:
    """Return runs, newest first, a page at a time; their notes in full with the admin token."""
    if cursor is not None and not (cursor.isdecimal() and len(cursor) < 10):
        raise bad_query("cursor", "is not a cursor of this list: use `next` of the previous page")
    before = None if cursor is None else int(cursor)
    runs = service.ledger.runs(job=job, status=status, before=before, limit=limit + 1)
    shown = runs[:limit]
    masked = mask_of(service.settings.secrets())
    return RunPage(
        runs=[operator_run(run, masked) if admin else public_run(run) for run in shown],
        next=str(shown[-1].id) if len(runs) > limit else None,
    )


@router.get(
    "/runs/{runId}",
    response_model=CollectionRun,
    responses=problems(401, 403, 404, 422),
    openapi_extra=TOKEN_OPTIONAL,
)
def read_run(
    service: ServiceDep, admin: Operates, run_id: Annotated[int, Path(alias="runId", ge=1, le=MAX_ID)]
) -> CollectionRun:
    """Return one run; its notes in full with the admin token."""
    run = service.ledger.run(run_id)
    return operator_run(run, mask_of(service.settings.secrets())) if admin else public_run(run)


# --- With the admin token ----------------------------------------------------------------------------

state_router = APIRouter(dependencies=[Depends(require_operator)], responses=problems(401, 403))


@state_router.get("/completeness", response_model=CompletenessPage, responses=problems(404, 422))
def read_completeness(
    service: ServiceDep,
    site: str | None = None,
    limit: Annotated[int, Query(ge=1, le=200, description="sites in a page")] = 25,
    cursor: str | None = None,
) -> CompletenessPage:
    """Return received and expected runs and hours of the last seven local days, a page of sites at a time."""
    sites = service.sites()
    if site is not None:
        return CompletenessPage(sources=completeness(service, [require_site(sites, site)]), next=None)
    start = 0
    if cursor is not None:
        ids = [one.id for one in sites]
        if cursor not in ids:
            raise bad_query("cursor", "is not a cursor of this list: use `next` of the previous page")
        start = ids.index(cursor) + 1
    shown = sites[start : start + limit]
    more = start + limit < len(sites)
    return CompletenessPage(sources=completeness(service, shown), next=shown[-1].id if more else None)


@state_router.get("/set-aside", response_model=ValuesSetAside)
def read_set_aside(service: ServiceDep) -> ValuesSetAside:
    """Return the rejected and flagged values of the last seven days, by source or station, with reasons."""
    masked = mask_of(service.settings.secrets())
    return ValuesSetAside(
        since=service.clock() - SET_ASIDE_SHOWN,
        rejected=[
            RejectedValues.model_validate(group).model_copy(update={"raw": masked(group.raw)})
            for group in rejected_values(service)
        ],
        flagged=[FlaggedReadings.model_validate(group) for group in flagged_values(service)],
    )


@state_router.get("/stations", response_model=StationsToCheck)
def read_stations_to_check(service: ServiceDep) -> StationsToCheck:
    """Return the stations of sites that moved, fell silent or look defective."""
    return stations_to_check(service, service.sites())


@state_router.get("/store", response_model=StoreGrowth)
def read_store(service: ServiceDep) -> StoreGrowth:
    """Return the size of the store in bytes, and what the last days added."""
    return store_growth(service)


@state_router.get("/settings", response_model=SettingsInForce)
def read_settings(service: ServiceDep) -> SettingsInForce:
    """Return the settings in force, secrets masked."""
    in_force = settings_in_force(service.settings, service.config)
    return SettingsInForce(settings={name: as_written(value) for name, value in in_force.items()})


admin_router = APIRouter(
    prefix="/jobs/{jobId}", dependencies=[Depends(require_operator)], responses=problems(401, 403, 404, 422)
)


def known_job(job_id: Annotated[str, Path(alias="jobId")]) -> JobId:
    """Return the job of a path. Raises NotFoundError."""
    for job in ALL_JOBS:
        if job == job_id:
            return job
    raise NotFoundError(f"There is no job {job_id!r}: the jobs are {' and '.join(ALL_JOBS)}.")


Job = Annotated[JobId, Depends(known_job)]


@admin_router.post("/run", status_code=202, response_model=StartedRun, responses=problems(409))
async def start_run(service: ServiceDep, job: Job, request: Request, response: Response) -> StartedRun:
    """Start a run now, also of a paused job. 409 if a run of this job is active; it names the run."""
    started = await service.runner.start(job, "api")
    assert started is not None, "only a slot can be taken already"  # noqa: S101 - for the type checker
    run_id, _task = started
    response.headers["Location"] = f"{root_of(request.scope)}/api/scheduler/runs/{run_id}"
    return StartedRun(run_id=run_id, job=job)


@admin_router.post("/pause", response_model=ScheduledJob)
def pause_job(service: ServiceDep, job: Job, request: Request) -> ScheduledJob:
    """Pause a job until it is resumed, also across restarts. Runs can still be started by hand."""
    service.ledger.pause(job, operator_name(request), service.clock())
    return scheduled_job(service, job, admin=True)


@admin_router.post("/resume", response_model=ScheduledJob)
def resume_job(service: ServiceDep, job: Job, request: Request) -> ScheduledJob:
    """Resume a job. Slots that were due during the pause stay missed."""
    service.ledger.resume(job, operator_name(request), service.clock())
    return scheduled_job(service, job, admin=True)


router.include_router(state_router)
router.include_router(admin_router)
