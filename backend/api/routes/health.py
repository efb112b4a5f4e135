"""For whoever watches the service: is the process there, and can it do its work."""

from __future__ import annotations

from fastapi import APIRouter, Request, Response

from backend import __version__
from backend.answers.readiness import is_blocking, reasons, take_snapshot
from backend.api.dependencies import ServiceDep
from backend.api.problems import RETRY_AFTER_SECONDS, problem_response, problems
from backend.api.schemas import Health, Readiness

router = APIRouter(prefix="/api", tags=["health"])


@router.get("/health", response_model=Health, responses=problems(500))
async def health() -> Health:
    """Say that the process answers; whatever state the store is in, and whoever waits for a thread."""
    return Health(version=__version__)


@router.get("/ready", response_model=Readiness, responses=problems(500, 503))
def ready(service: ServiceDep, request: Request) -> Readiness | Response:
    """Say whether the service does its work, and why it does not, or only in part.

    503: the store does not answer or is damaged, or the scheduler is dead. Everything else that needs the
    operator is 200 with the status "degraded". `reasons` says what, since when, and what to do.
    """
    snapshot = take_snapshot(service)
    found = reasons(snapshot)
    blocking = [reason.sentence for reason in found if is_blocking(reason)]
    if blocking:
        detail = ", and ".join(sentence[0].lower() + sentence[1:].rstrip(".") for sentence in blocking)
        headers = {"Retry-After": str(RETRY_AFTER_SECONDS)}
        return problem_response(request, 503, f"Not ready: {detail}.", headers=headers, reasons=list(found))
    return Readiness(
        status="degraded" if found else "ready",
        scheduler="running" if service.config.scheduler_enabled else "off",
        reasons=list(found),
        freshness=list(snapshot.freshness),
    )
