"""The terms of each source under the settings: models, visibility, credit, and whether the operator opted in.

Reading commands need these and no collector. `collectors/` builds its sources from the same terms.
"""

from __future__ import annotations

from dataclasses import dataclass

from backend.core.config import Settings
from backend.core.registry import AROME, OPEN_METEO, OPEN_METEO_CREDIT, WINDS_MOBI_PROVIDERS
from backend.core.source_info import SourceInfo


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceTerms:
    """A source under the settings; `models` are the names of the models that it collects, or could collect.

    `public` and `attribution` apply to stored values too, also if the source is no longer collected.
    `opted_in` is False for a source that is off by default and not enabled: it is not listed.
    """

    name: str
    models: tuple[str, ...]
    public: bool
    attribution: str
    opted_in: bool


def terms_of(source: SourceInfo, settings: Settings) -> SourceTerms:
    """Return the terms of one source of the registry."""
    models = tuple(model.name for model in source.models)
    attribution = source.attribution
    opted_in = source.default or source.name in settings.sources
    if source is AROME:
        models = (f"{AROME.name}_{settings.arome_grid}",)
        if settings.open_meteo_fallback:  # values of that route are copies by Open-Meteo
            attribution = f"{attribution}; {OPEN_METEO_CREDIT}"
    elif source is OPEN_METEO:
        models = settings.open_meteo_models or models
        opted_in = bool(settings.open_meteo_models)
    elif source.name in WINDS_MOBI_PROVIDERS:
        opted_in = source.name in settings.winds_mobi_providers
    return SourceTerms(
        name=source.name,
        models=models,
        public=source.public or source.name in settings.public_raw_sources,
        attribution=attribution,
        opted_in=opted_in,
    )
