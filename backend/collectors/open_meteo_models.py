"""Further models by way of Open-Meteo: single runs, free of charge, for non-commercial use only.

Publishers: Météo-France (AROME, ARPEGE), DWD (ICON-D2), MeteoSwiss (ICON-CH1 and CH2), ItaliaMeteo-ARPAE
(ICON-2I), DMI and KNMI (HARMONIE), ECMWF (IFS) and NOAA (GFS), by way of Open-Meteo.com. Licence: CC BY 4.0
from Open-Meteo, whose free service is for non-commercial use, so a model is collected only if
`OPEN_METEO_MODELS` names it. Format, units, rounding and quirks: open_meteo.py. The models,
with their run hours, horizons, delays and areas: core/registry.py.
"""

from __future__ import annotations

from datetime import timedelta

from backend.collectors.base import Archive, LiveFacts, Source
from backend.collectors.open_meteo import ARCHIVE_SINCE, Model, OpenMeteo
from backend.collectors.runs import Part
from backend.core.config import Settings
from backend.core.records import ForecastBatch
from backend.core.registry import OPEN_METEO
from backend.core.terms import terms_of

_PART_HOURS = 24


MODELS = {
    info.name: Model(
        name=info.name,
        id=copy.id,
        domain=copy.domain,
        hours=info.run_hours,
        horizon=copy.horizon,
        parts=[
            Part(start, min(start + _PART_HOURS - copy.step, copy.horizon), copy.step)
            for start in range(0, copy.horizon + 1, _PART_HOURS)
        ],
        usual_delay=copy.delay,
        area=info.area,
    )
    for info in OPEN_METEO.models
    if (copy := info.open_meteo) is not None
}


def build(settings: Settings) -> Source[ForecastBatch]:
    """Return the source of the models that `OPEN_METEO_MODELS` names; disabled if it names none."""
    models = tuple(MODELS[name] for name in settings.open_meteo_models)
    route = OpenMeteo(
        source=OPEN_METEO.name,
        url=settings.open_meteo_url,
        single_runs_url=settings.open_meteo_single_runs_url,
        models=models,
        name="single_runs",
    )
    return Source.of(
        terms_of(OPEN_METEO, settings),
        batch=ForecastBatch,
        routes=(route,) if models else (),
        max_age=max((model.max_age for model in models), default=timedelta()),
        disabled=None if models else "turned off: OPEN_METEO_MODELS names no model",
        past=Archive(routes=(route,), since=ARCHIVE_SINCE) if models else None,
        live=LiveFacts(
            licence_page="https://open-meteo.com/en/licence",
            licence_words="4.0",
            if_gone=(
                "Open-Meteo renames and ends models with their publishers: compare id and domain of the model"
                " in the registry with the list of models on open-meteo.com"
            ),
        ),
    )
