"""The credits that licences require beside values and scores."""

from __future__ import annotations

from collections.abc import Collection

from backend.answers.service import ReadingParts
from backend.core.registry import OWN_MODEL
from backend.scheduler.source_list import ListedSource


def forecast_attribution(service: ReadingParts, models: Collection[str]) -> list[str]:
    """Return the credits of the sources of these models; of ours those of all that it may be made from."""
    named = set(models)
    if OWN_MODEL.name in named:
        named.update(model for source in _inputs_of_ours(service) for model in source.models)
    return [source.attribution for source in service.sources.forecasts if set(source.models) & named]


def own_attribution(service: ReadingParts) -> str:
    """Return the credit of the corrected forecast of this service, with the credits of its sources."""
    credits = "; ".join(source.attribution for source in _inputs_of_ours(service))
    return f"{OWN_MODEL.display_name}, made by this service from public models: {credits}"


def _inputs_of_ours(service: ReadingParts) -> list[ListedSource]:
    return [source for source in service.sources.forecasts if source.public and source.opted_in]


def network_attribution(service: ReadingParts, networks: Collection[str]) -> list[str]:
    """Return the credits of these networks."""
    return [source.attribution for source in service.sources.observations if source.name in networks]
