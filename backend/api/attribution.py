"""The credits to show beside values and scores."""

from __future__ import annotations

from collections.abc import Collection

from backend.api.dependencies import ServiceParts
from backend.scheduler.config import FORECASTS, OBSERVATIONS


def forecast_attribution(service: ServiceParts, models: Collection[str]) -> list[str]:
    """Return the credits of the sources of some models."""
    sources = service.sources.every(FORECASTS)
    return [source.attribution for source in sources if set(source.models) & set(models)]


def network_attribution(service: ServiceParts, networks: Collection[str]) -> list[str]:
    """Return the credits of some networks."""
    return [source.attribution for source in service.sources.every(OBSERVATIONS) if source.name in networks]
