"""The credits that licences require beside values and scores."""

from __future__ import annotations

from collections.abc import Collection

from backend.answers.service import ReadingParts
from backend.scheduler.config import FORECASTS, OBSERVATIONS


def forecast_attribution(service: ReadingParts, models: Collection[str]) -> list[str]:
    """Return the credits of the sources of these models."""
    sources = service.sources.every(FORECASTS)
    return [source.attribution for source in sources if set(source.models) & set(models)]


def network_attribution(service: ReadingParts, networks: Collection[str]) -> list[str]:
    """Return the credits of these networks."""
    return [source.attribution for source in service.sources.every(OBSERVATIONS) if source.name in networks]
