"""More models by way of Open-Meteo: their runs one by one, for nothing, for non-commercial use only.

Publishers: Météo-France (AROME, ARPEGE), DWD (ICON-D2), MeteoSwiss (ICON-CH1 and CH2), ECMWF (IFS) and
NOAA (GFS), by way of Open-Meteo.com. Licence: CC BY 4.0 from Open-Meteo, whose free service is for
non-commercial use: hence none is collected unless `OPEN_METEO_MODELS` names it. Format, units, rounding and
quirks: open_meteo.py. Hours, horizons and delays: as described in 2026; the delays are rounded up.
Areas: the grids, those of DWD and MeteoSwiss a few tenths of a degree from their edges. The models of ECMWF
and NOAA are global.
"""

from __future__ import annotations

from datetime import timedelta

from backend.collectors.areas import Area
from backend.collectors.base import Archive, Source
from backend.collectors.grib.runs import GRIDS
from backend.collectors.open_meteo import ARCHIVE_SINCE, Model, OpenMeteo
from backend.collectors.runs import Part
from backend.core.config import Settings
from backend.core.records import ForecastBatch

NAME = "open_meteo"

_EVERY_3_HOURS = (0, 3, 6, 9, 12, 15, 18, 21)
_EVERY_6_HOURS = (0, 6, 12, 18)
_PART_HOURS = 24
_ALPS = Area(south=43.0, west=1.5, north=49.5, east=16.0)
"""Well within the grid of ICON-CH1 and CH2, which is turned: its corners lie elsewhere than its edges."""


def _model(
    name: str,
    id_: str,
    hours: tuple[int, ...],
    horizon: int,
    delay: timedelta,
    *,
    domain: str = "",
    step: int = 1,
    area: Area | None = None,
) -> Model:
    starts = range(0, horizon + 1, _PART_HOURS)
    parts = [Part(start, min(start + _PART_HOURS - step, horizon), step) for start in starts]
    return Model(
        name=name,
        id=id_,
        domain=domain or id_,
        hours=hours,
        horizon=horizon,
        parts=parts,
        usual_delay=delay,
        area=area,
    )


MODELS = {
    model.name: model
    for model in (
        # The same model as arome_001, from other hands: no archive of files reaches as far back.
        _model(
            "arome_hd",
            "meteofrance_arome_france_hd",
            _EVERY_3_HOURS,
            51,
            timedelta(hours=6),
            area=GRIDS["001"].area,
        ),
        _model(
            "icon_d2",
            "icon_d2",
            _EVERY_3_HOURS,
            48,
            timedelta(hours=2),
            domain="dwd_icon_d2",
            area=Area(south=43.3, west=-3.8, north=58.0, east=20.2),  # no Pyrenees, no Corsica
        ),
        _model("icon_ch1", "meteoswiss_icon_ch1", _EVERY_3_HOURS, 33, timedelta(hours=2.5), area=_ALPS),
        _model("icon_ch2", "meteoswiss_icon_ch2", _EVERY_6_HOURS, 120, timedelta(hours=4), area=_ALPS),
        _model(
            "arpege_europe",
            "meteofrance_arpege_europe",
            _EVERY_6_HOURS,
            102,
            timedelta(hours=6),
            area=Area(south=20.0, west=-32.0, north=72.0, east=42.0),
        ),
        # Every three hours, and 06 and 18 UTC reach no further than this.
        _model("ecmwf_ifs025", "ecmwf_ifs025", _EVERY_6_HOURS, 90, timedelta(hours=9), step=3),
        _model("gfs_global", "gfs_global", _EVERY_6_HOURS, 120, timedelta(hours=7), domain="ncep_gfs013"),
    )
}

ATTRIBUTION = (
    "Open-Meteo.com, CC BY 4.0, from data of Météo-France, Deutscher Wetterdienst, MeteoSwiss, ECMWF and NOAA"
)


def build(settings: Settings) -> Source[ForecastBatch]:
    """Return the source of the models that `OPEN_METEO_MODELS` names; if it names none, nobody asked."""
    models = tuple(MODELS[name] for name in settings.open_meteo_models)
    route = OpenMeteo(
        source=NAME,
        url=settings.open_meteo_url,
        single_runs_url=settings.open_meteo_single_runs_url,
        models=models,
        name="single_runs",
    )
    return Source(
        name=NAME,
        batch=ForecastBatch,
        routes=(route,) if models else (),
        max_age=max((model.max_age for model in models), default=timedelta()),
        public=True,
        attribution=ATTRIBUTION,
        models=tuple(model.name for model in models) or tuple(MODELS),
        areas={model.name: model.area for model in models if model.area},
        disabled=None if models else "turned off: OPEN_METEO_MODELS names no model",
        opted_in=bool(models),
        past=Archive(routes=(route,), since=ARCHIVE_SINCE) if models else None,
    )
