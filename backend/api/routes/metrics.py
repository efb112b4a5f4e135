"""Metrics for Prometheus."""

from __future__ import annotations

from fastapi import APIRouter, Depends, Request, Response

from backend.api.dependencies import require_metrics
from backend.api.metrics import ServiceMetrics

router = APIRouter(include_in_schema=False)

TEXT_FORMAT = "text/plain; version=0.0.4; charset=utf-8"


@router.get("/metrics", dependencies=[Depends(require_metrics)])
def read_metrics(request: Request) -> Response:
    """Return the state of the service in the text format of Prometheus."""
    metrics: ServiceMetrics = request.app.state.metrics
    return Response(metrics.text(), media_type=TEXT_FORMAT, headers={"Cache-Control": "no-store"})
