"""For whoever watches the service: is the process there, and can it do its work."""

from __future__ import annotations

from fastapi import APIRouter, HTTPException

from backend import __version__
from backend.api.dependencies import ServiceDep
from backend.api.problems import RETRY_AFTER_SECONDS, problems
from backend.api.scheduling import freshness
from backend.api.schemas import Health, Readiness
from backend.core.errors import StoreUnavailable
from backend.scheduler.scheduler import is_alive

router = APIRouter(prefix="/api", tags=["health"])


@router.get("/health", response_model=Health, responses=problems(500))
async def health() -> Health:
    """Say that the process answers; whatever state the store is in, and whoever waits for a thread."""
    return Health(version=__version__)


@router.get("/ready", response_model=Readiness, responses=problems(500, 503))
def ready(service: ServiceDep) -> Readiness:
    """Say whether the store answers and the schedule ticks, or is off by setting.

    Freshness is information: old data are the sources' matter, and never make the service unready.
    """
    enabled, reasons = service.config.scheduler_enabled, []
    try:
        ages = freshness(service, service.ledger.newest_data())
    except StoreUnavailable:
        reasons.append("the store does not answer")
    if enabled and not is_alive():
        reasons.append("the scheduler is not running")
    if reasons:
        detail = f"Not ready: {', and '.join(reasons)}."
        raise HTTPException(503, detail, {"Retry-After": str(RETRY_AFTER_SECONDS)})
    return Readiness(scheduler="running" if enabled else "off", freshness=ages)
