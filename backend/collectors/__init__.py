"""The sources: what models say, and what beacons measure. Adding one takes a line here."""

from __future__ import annotations

from dataclasses import replace

from backend.collectors import arome, ffvl, meteo_parapente, meteofrance, open_meteo_models, pioupiou, romma
from backend.collectors.base import B, Source
from backend.collectors.grib.worker import Worker
from backend.core.config import DEFAULT_SOURCES, Settings
from backend.core.records import ForecastBatch, ObservationBatch


def forecast_sources(settings: Settings, worker: Worker) -> tuple[Source[ForecastBatch], ...]:
    """Return what models say; a source that `SOURCES` leaves out is there as disabled."""
    sources = (
        meteo_parapente.build(settings),
        arome.build(settings, worker),
        arome.build_ifs(settings, worker),
    )
    chosen = tuple(_unless_left_out(source, settings) for source in sources)
    return (*chosen, open_meteo_models.build(settings))  # has a setting of its own


def observation_sources(settings: Settings) -> tuple[Source[ObservationBatch], ...]:
    """Return what beacons measured; a source that `SOURCES` leaves out is there as disabled."""
    sources = (
        ffvl.build(settings),
        romma.build(settings),
        pioupiou.build(settings),
        meteofrance.build(settings),
    )
    return tuple(_unless_left_out(source, settings) for source in sources)


def _unless_left_out(source: Source[B], settings: Settings) -> Source[B]:
    if source.name in settings.sources:
        return source
    return replace(
        source,
        routes=(),
        past=None,
        disabled="turned off: SOURCES does not name it",
        opted_in=source.name in DEFAULT_SOURCES,
    )
