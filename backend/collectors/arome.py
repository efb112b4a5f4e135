"""AROME, the 1.3 km model of Météo-France, read from its public GRIB files.

Publisher: Météo-France. Licence: Licence Ouverte 2.0 (Etalab), to be credited.
Runs: 00, 03, 06, 09, 12, 15, 18, 21 UTC, hourly to +51 h. Complete (seen August 2026) 2 h 40 after 00 and
03 UTC, about 5 h 10 after 06 and 18 UTC, about 4 h after the others: the delay is not constant.
Grids: 0.025 degrees ("0025": nine files of about 50 MB a run) and 0.01 degrees ("001": 52 files of about
23 MB a run), from 55.4 N 12 W to 37.5 N 16 E, row by row from the north.
Units: m/s (wind as components, east and north), K, m above sea level (the model's ground). Times: UTC.

Quirks, with the date we saw them:
- longitudes start at 348 and cross Greenwich; 17 % of the cells lie under a bitmap (April 2026);
- the centre is 85 in the one captured message (April 2026) and 84 in the documents: both are Toulouse;
- step 0 has no gust; a gust is the maximum of the hour that ends at its step (since 2019);
- gusts come as components on both grids and as a speed on 0.025 only, the two being equal (2026).
  The components are used where present, so that both grids are treated alike, and the speed otherwise:
  parameters were dropped from a package without notice before (2019, 2024);
- the ground is in other packages, once in a run: SP2 of the coarse grid, SP3 of the fine one (2026);
- the storage moved to another host without a redirect (May 2026): the address is a setting.

AROME-IFS is the same model started from ECMWF's analysis: since June 2026 its files (0.025 degrees; 00, 06,
12 and 18 UTC; complete about 7 h 30 after the run) are in the same storage and have the same format.
So has ARPEGE on its European grid of 0.1 degrees: nine files of 70 MB on average, hourly to +102 h, complete
3 h 10 to 4 h 20 after the run. The names of its parts have three digits. More in docs/sources/arpege.md.

A run is collected after all of its files are published. A file may stay missing: after a newer run is
complete, or OVERDUE_AFTER the run's start, the present files are read and the run is stored as incomplete;
files that appear later are still read. Without a field, only its own values are missing. A file is read again
only after its size or its stamp has changed.

One file has the values of all sites. Routes, best first: object storage and portal serve the same files
(grib/object_storage.py, grib/portal.py); open_meteo.py is a lesser copy. More in docs/sources/arome.md.
"""

from __future__ import annotations

from collections.abc import Collection
from datetime import timedelta

from backend.collectors.base import Archive, LiveFacts, Source, SourceRoute
from backend.collectors.grib.object_storage import ObjectStorage
from backend.collectors.grib.portal import Portal
from backend.collectors.grib.route import GribRoute
from backend.collectors.grib.runs import (
    AROME_IFS,
    ARPEGE,
    GRIDS,
    LONGEST_LEAD,
    NAME,
    PackageGrid,
    parts_of,
)
from backend.collectors.grib.worker import Worker
from backend.collectors.open_meteo import ARCHIVE_SINCE, Model, OpenMeteo
from backend.collectors.transport.pacing import PacedRoute
from backend.core import registry
from backend.core.config import Settings
from backend.core.records import (
    ForecastBatch,
)
from backend.core.source_info import SourceInfo
from backend.core.terms import terms_of

NO_PAST = (
    "its publisher serves files for 15 days, and FORECAST_LOOKBACK_HOURS=360 collects them;"
    " OPEN_METEO_FALLBACK=true opens an archive of lesser copies"
)

_LIVE = LiveFacts(
    licence_page="https://www.data.gouv.fr/api/1/datasets/paquets-arome-resolution-0-025deg/",
    licence_words="lov2",
    licence_kind="json",
    if_gone=(
        "the object storage moved to another host without a redirect in May 2026. The data set"
        " paquets-arome-resolution-0-025deg on www.data.gouv.fr links to the present files: set AROME_URL to"
        " their host"
    ),
)

_IN_OPEN_METEO = {
    "0025": ("meteofrance_arome_france", "meteofrance_arome_france0025"),
    "001": ("meteofrance_arome_france_hd", "meteofrance_arome_france_hd"),
}
"""Open-Meteo's names of each grid: in requests, and of its metadata."""


def build(settings: Settings, worker: Worker) -> Source[ForecastBatch]:
    """Return the source for the grid of the settings; `worker` decodes GRIB."""
    grid, max_lead, hours = GRIDS[settings.arome_grid], settings.arome_max_lead, settings.arome_runs
    storage = ObjectStorage(settings.arome_url, grid, max_lead)
    routes: list[SourceRoute[ForecastBatch]] = [GribRoute("object_storage", storage, grid, hours, worker)]
    past: Archive[ForecastBatch] | None = None
    # The portal allows 50 requests a minute per application, so its route is paced.
    if settings.meteofrance_api_key:
        key = settings.meteofrance_api_key.get_secret_value()
        portal = Portal(settings.meteofrance_api_url, key, grid, max_lead)
        routes.append(PacedRoute(GribRoute("portal", portal, grid, hours, worker)))
    if settings.open_meteo_fallback:
        # Rank 2: rounded copies, whose values a better route replaces.
        model = Model(
            name=grid.model,
            id=_IN_OPEN_METEO[grid.code][0],
            domain=_IN_OPEN_METEO[grid.code][1],
            hours=hours,
            horizon=LONGEST_LEAD,
            parts=parts_of(grid, max_lead),
            usual_delay=timedelta(hours=6),
            area=grid.area,
        )
        copies = OpenMeteo(
            source=NAME,
            url=settings.open_meteo_url,
            single_runs_url=settings.open_meteo_single_runs_url,
            models=(model,),
            rank=2,
        )
        routes.append(copies)
        past = Archive(routes=(copies,), since=ARCHIVE_SINCE)
    return Source.of(
        terms_of(registry.AROME, settings),
        batch=ForecastBatch,
        routes=tuple(routes),
        max_age=max_age(hours),
        past=past,
        no_archive_reason=NO_PAST,
        live=_LIVE,
    )


def build_ifs(settings: Settings, worker: Worker) -> Source[ForecastBatch]:
    """Return the source of AROME-IFS, whose files lie beside AROME's; off unless `SOURCES` names it."""
    # A run takes up to 7 h 35.
    return _beside(
        settings, worker, registry.AROME_IFS, AROME_IFS, settings.arome_max_lead, timedelta(hours=2)
    )


def build_arpege(settings: Settings, worker: Worker) -> Source[ForecastBatch]:
    """Return the source of ARPEGE, whose files lie beside AROME's; off unless `SOURCES` names it."""
    return _beside(settings, worker, registry.ARPEGE, ARPEGE, settings.arpege_max_lead, timedelta(0))


def _beside(
    settings: Settings,
    worker: Worker,
    source: SourceInfo,
    grid: PackageGrid,
    max_lead: int,
    later: timedelta,
) -> Source[ForecastBatch]:
    """Return a source whose files are only in the object storage; `later` is added to the age of AROME."""
    storage = ObjectStorage(settings.arome_url, grid, max_lead)
    hours = registry.MODELS[grid.model].run_hours
    return Source.of(
        terms_of(source, settings),
        batch=ForecastBatch,
        routes=(GribRoute("object_storage", storage, grid, hours, worker),),
        max_age=max_age(hours) + later,
        no_archive_reason=(
            "its publisher serves files for 15 days, and FORECAST_LOOKBACK_HOURS=360 collects them"
        ),
        live=_LIVE,
    )


def max_age(hours: Collection[int]) -> timedelta:
    """Return how old the newest complete run may be: one run may be missing, the next takes up to 6 h."""
    ordered = sorted(hours)
    gaps = [later - earlier for earlier, later in zip(ordered, [*ordered[1:], ordered[0] + 24], strict=True)]
    return timedelta(hours=2 * max(gaps) + 6)
