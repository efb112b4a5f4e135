"""ICON-2I, the 2.2 km model of Italy, read from the public GRIB files of MeteoHub.

Publisher: Agenzia ItaliaMeteo, with Arpae Emilia-Romagna and Cineca. Licence: CC BY 4.0, to be credited.
Runs: 00 and 12 UTC, hourly to +72 h. Complete 1 h 45 to 2 h 35 after the run (August 2026).
Grid: regular, 761 x 761, from 33.7 N 3 E to 48.9 N 22 E, 0.02 degrees of latitude, 0.025 of longitude.
Units: m/s (wind as components, east and north; gust as a speed), K, m above sea level (the model's ground).
Times: UTC. Files: one field with all 73 hours, about 85 MB, in a folder with the name of the field.

Quirks, with the date of their description:
- programs of 2026 know two hosts (meteohub.mistralportal.it, and the present one) and two names of the files
  (icon_2I_{run}_{level}.grib, ICON_2I_SURFACE_PRESSURE_LEVELS_{run}_{level}.grib): the name is read from the
  page of the folder;
- the folder of a run appears before its files are complete (August 2026): a run is read after all four files
  are listed, and a file again after its row in the page has changed;
- steps are written in minutes by its sister ICON-2I-RUC (October 2026): both units are read;
- the gusts are in the folder VMAX_10M (three programs of 2026 read it; no listing of it was seen). Without
  it the run is read, without gusts, and reported with the names of the folders that are there.

Not seen: centre and process in the files, the interval of the gusts. A message is taken by its numbers, its
run and its grid; a gust that does not cover one hour counts as missing. More in docs/sources/meteohub.md.
"""

from __future__ import annotations

from datetime import timedelta

from backend.collectors.base import LiveFacts, Source
from backend.collectors.grib.folders import Folders
from backend.collectors.grib.route import GribRoute
from backend.collectors.grib.runs import GUST_SPEED, ModelGrid
from backend.collectors.grib.worker import Worker
from backend.collectors.runs import Part
from backend.core import registry
from backend.core.config import Settings
from backend.core.records import ForecastBatch
from backend.core.terms import terms_of

ICON_2I = ModelGrid(
    code="icon_2i",
    degrees=0.02,
    source=registry.METEOHUB.name,
    product="ICON-2I",
    process=None,
    centres=(),
    gust=GUST_SPEED,
)
RUN = Part(0, 72)
FOLDERS = {
    "U_10M": ("wind_east",),
    "V_10M": ("wind_north",),
    "T_2M": ("temperature",),
    "VMAX_10M": GUST_SPEED,
}
GROUND = "HSURF"

DELAY = timedelta(hours=3)
"""The usual time from a run to its last file, rounded up: the pages state no time of publication."""

MAX_AGE = timedelta(hours=30)
"""One run may be missing, and the next takes up to six hours."""


def build(settings: Settings, worker: Worker) -> Source[ForecastBatch]:
    """Return the source; off unless `SOURCES` names it. `worker` decodes GRIB."""
    folders = Folders(
        url=settings.meteohub_url, grid=ICON_2I, part=RUN, folders=FOLDERS, ground=GROUND, delay=DELAY
    )
    hours = registry.MODELS[ICON_2I.model].run_hours
    return Source.of(
        terms_of(registry.METEOHUB, settings),
        batch=ForecastBatch,
        routes=(GribRoute("folders", folders, ICON_2I, hours, worker),),
        max_age=MAX_AGE,
        no_archive_reason=(
            "its publisher lists the runs of some days, and FORECAST_LOOKBACK_HOURS collects them"
        ),
        live=LiveFacts(
            licence_page="https://dati.agenziaitaliameteo.it/dataset/previsioni-meteorologiche-modello-icon-2i",
            licence_words="4.0",
            if_gone=(
                "its former host, meteohub.mistralportal.it, may still answer. The page of ICON-2I on"
                " dati.agenziaitaliameteo.it links to the present folder: set METEOHUB_URL to it"
            ),
        ),
    )
