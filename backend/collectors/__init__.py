"""The sources that are collected: forecasts of models, and observations of networks of stations.

What a source is stands in `core/registry.py`. A network needs no line here: its module has its name.
"""

from __future__ import annotations

from dataclasses import replace
from importlib import import_module

from backend.collectors import arome, geosphere, meteo_parapente, meteohub, open_meteo_models
from backend.collectors.base import B, Source
from backend.collectors.grib.worker import Worker
from backend.core.config import Settings
from backend.core.records import ForecastBatch, ObservationBatch
from backend.core.registry import NETWORKS, WINDS_MOBI_PROVIDERS


def forecast_sources(settings: Settings, worker: Worker) -> tuple[Source[ForecastBatch], ...]:
    """Return the sources of forecasts; one that `SOURCES` leaves out is disabled."""
    sources = (
        meteo_parapente.build(settings),
        arome.build(settings, worker),
        geosphere.build(settings),
        arome.build_ifs(settings, worker),
        arome.build_arpege(settings, worker),
        meteohub.build(settings, worker),
    )
    chosen = tuple(_unless_left_out(source, settings) for source in sources)
    return (*chosen, open_meteo_models.build(settings))  # has a setting of its own


def observation_sources(settings: Settings) -> tuple[Source[ObservationBatch], ...]:
    """Return the sources of observations; one that `SOURCES` leaves out is disabled."""
    sources = []
    for name in NETWORKS:
        source: Source[ObservationBatch] = import_module(f"backend.collectors.{name}").build(settings)
        # Those of winds.mobi have a setting of their own.
        sources.append(source if name in WINDS_MOBI_PROVIDERS else _unless_left_out(source, settings))
    return tuple(sources)


def _unless_left_out(source: Source[B], settings: Settings) -> Source[B]:
    if source.name in settings.sources:
        return source
    return replace(source, routes=(), past=None, disabled="turned off: SOURCES does not name it")
