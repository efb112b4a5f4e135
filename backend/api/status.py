"""The state of the scheduler and its runs, for the API and the operator."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from backend.answers.freshness import freshness
from backend.answers.operation import processes
from backend.answers.readiness import schedule_state
from backend.answers.record_head import record_head
from backend.answers.service import ServiceParts
from backend.api.schemas import (
    BlockedRun,
    CollectionRun,
    JobList,
    MovedStation,
    RunError,
    ScheduledJob,
    SchedulerStatus,
    ServiceInstance,
)
from backend.scheduler.config import ALL_JOBS, JOB_NAMES, JobId, zone_of
from backend.scheduler.scheduler import next_run_times
from backend.storage.run_records import JobRun, run_as_dict


def scheduler_status(service: ServiceParts) -> SchedulerStatus:
    """Return the last runs, the current runs, and the age of each source's data."""
    snapshot = service.ledger.status_snapshot(service.runner.jobs, service.clock())
    forecasts, observations, issuing = (snapshot.latest.get(job) for job in ALL_JOBS)
    return SchedulerStatus(
        running=schedule_state(service) == "running",
        enabled=service.config.scheduler_enabled,
        last_forecast_collection=None if forecasts is None else public_run(forecasts),
        last_observation_collection=None if observations is None else public_run(observations),
        last_issuing=None if issuing is None else public_run(issuing),
        record=record_head(service.database, service.clock()),
        current=[public_run(run) for run in snapshot.current],
        instances=[ServiceInstance.model_validate(one.as_dict()) for one in processes(service)],
        blocked=[
            BlockedRun(job=blocked.job, scheduled_time=blocked.slot, since=blocked.since)
            for blocked in service.runner.blocked.values()
        ],
        freshness=freshness(service, snapshot.newest_data),
        moved_stations=[
            MovedStation(
                site=move.site,
                station=move.station,
                since=move.since,
                metres=round(move.metres),
                name_before=move.before.name or None,
                name_after=move.after.name or None,
                route=move.route,
            )
            for move in service.store.moves(service.store.sites())
            if not move.confirmed
        ],
    )


def scheduled_jobs(service: ServiceParts, *, admin: bool = False) -> JobList:
    """Return the jobs with their next times."""
    return JobList(jobs=[scheduled_job(service, job, admin=admin) for job in service.runner.jobs])


def scheduled_job(service: ServiceParts, job: JobId, *, admin: bool = False) -> ScheduledJob:
    """Return one job with its next times. The pause is from the ledger, so it holds for all processes.

    With `admin` the answer has the address of the client that paused it.
    """
    now, crontab = service.clock(), service.config.crontab(job)
    pause = next((pause for pause in service.ledger.pauses(job, now) if pause.end is None), None)
    times = next_run_times(service.config, job, now)
    # Where no process has the schedule, a next time would be a false promise.
    will_run = pause is None and schedule_state(service) == "running"
    return ScheduledJob(
        id=job,
        name=JOB_NAMES[job],
        trigger=crontab,
        trigger_text=schedule_in_words(crontab, str(zone_of(job))),
        next_run_time=times[0] if times and will_run else None,
        next_run_times=times,
        paused=pause is not None,
        paused_by=None if pause is None else pause.by if admin else pause.by.partition(" ")[0],
        paused_at=None if pause is None else pause.start,
    )


def schedule_in_words(crontab: str, zone: str = "UTC") -> str:
    """Return a crontab line of a zone in words if it has only times of the day, otherwise the line itself."""
    minute, hours, *days = crontab.split()
    words = hours.split(",")
    if days == ["*"] * 3 and all(word.isdecimal() for word in (minute, *words)):
        times = [f"{int(hour):02}:{int(minute):02}" for hour in words]
        return f"every day at {', '.join(times)} {zone}"
    return f"crontab {crontab}, in {zone}"


_PUBLIC_NOTES = {
    "running": "an earlier attempt was interrupted",
    "success": "an earlier attempt was interrupted",
    "nothing_new": "an earlier attempt was interrupted",
    "interrupted": "the process ended before the run",
    "cancelled": "stopped by the shutdown of the service",
    "partial": "ended before all of its sources",
    "failed": "the store or the sites file was not usable, or an internal error occurred",
}
_BROKEN_SOURCE = "internal error with this source: the details are in the log"


def public_run(run: JobRun) -> CollectionRun:
    """Return a run as the public may see it.

    Notes of the ledger and texts of unexpected errors contain host, process, paths and messages of the
    database. They are for the operator: the command line and the admin token show them.
    """
    note = run.note
    if note and run.status != "missed":  # its note is a fixed sentence
        note = f"{_PUBLIC_NOTES[run.status]} (the admin token shows the details)"

    def public_reason(reason: str, broken: bool) -> str:
        if broken:
            return _BROKEN_SOURCE
        return note if reason and reason in run.note else reason

    sources = tuple(
        replace(
            source,
            reason=public_reason(source.reason, any(not failure.route for failure in source.failures)),
            failures=tuple(
                replace(failure, traceback="", reason=failure.reason if failure.route else _BROKEN_SOURCE)
                for failure in source.failures
            ),
        )
        for source in run.sources
    )
    return collection_run(replace(run, note=note, sources=sources))


def operator_run(run: JobRun, masked: Callable[[str], str]) -> CollectionRun:
    """Return a run with everything that the operator may see; a traceback can contain a secret."""
    sources = tuple(
        replace(
            source,
            failures=tuple(
                replace(failure, traceback=masked(failure.traceback)) for failure in source.failures
            ),
        )
        for source in run.sources
    )
    return collection_run(replace(run, sources=sources))


def collection_run(run: JobRun) -> CollectionRun:
    """Return a run of the ledger as an answer, with everything that the operator may see.

    Its errors are its note, its failed requests, and its failed sources without such a request.
    """
    errors = [RunError(source=None, reason=run.note)] if run.note else []
    for source in run.sources:
        if source.failures:
            errors += [
                RunError(
                    source=source.source,
                    reason=failure.reason,
                    error=failure.error,
                    route=failure.route or None,
                    url=failure.url or None,
                )
                for failure in source.failures
            ]
        elif source.status in {"failed", "partial", "stale"}:
            errors.append(RunError(source=source.source, reason=source.reason))
    return CollectionRun.model_validate(run_as_dict(run, unknown_as_null=True) | {"errors": errors})
