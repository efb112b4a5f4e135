"""For monitoring: is the process up, and is the service ready."""

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
    """Return that the process is up, independent of the database and of waiting requests."""
    # `async` and without the store: it answers even if all threads and connections are in use.
    return Health(version=__version__)


@router.get("/ready", response_model=Readiness, responses=problems(500, 503))
def ready(service: ServiceDep, request: Request) -> Readiness | Response:
    """Return whether the service is ready, and why it is not or only degraded.

    503: the database is unreachable or damaged, or the scheduler is dead. All other problems for the operator
    are 200 with the status "degraded". `reasons` has what is wrong, since when, and what to do.
    """
    snapshot = take_snapshot(service)
    state_reasons = reasons(snapshot)
    blocking = [reason.sentence for reason in state_reasons if is_blocking(reason)]
    if blocking:
        detail = ", and ".join(sentence[0].lower() + sentence[1:].rstrip(".") for sentence in blocking)
        headers = {"Retry-After": str(RETRY_AFTER_SECONDS)}
        return problem_response(
            request, 503, f"Not ready: {detail}.", headers=headers, reasons=list(state_reasons)
        )
    return Readiness(
        status="degraded" if state_reasons else "ready",
        scheduler="running" if snapshot.scheduler == "running" else "off",
        reasons=list(state_reasons),
        freshness=list(snapshot.freshness),
    )
