"""Files and listings of AROME as its hosts have them, and sources that read them."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import Any

from backend.collectors import arome
from backend.collectors.base import Source
from backend.collectors.grib.worker import Worker
from backend.core.config import Settings
from backend.core.records import (
    ForecastBatch,
    Site,
)
from backend.tests.support import grib_factory
from backend.tests.support.grib_factory import RUN, Message, messages

NOW = datetime(2026, 7, 15, 11, 50, tzinfo=UTC)
EARLIER = datetime(2026, 7, 15, 0, tzinfo=UTC)
STORAGE = "http://storage.test"
PORTAL = "http://portal.test"

SAINT_HILAIRE = Site("saint-hilaire", "Saint-Hilaire du Touvet", 46.0, 6.6, 1000)
PLANPRAZ = Site("planpraz", "Planpraz", 46.1, 6.9, 2000)
SITES = (SAINT_HILAIRE, PLANPRAZ)
ELSEWHERE = Site("ager", "Àger", 42.0, 0.7, 1500)

GROUPS = ("00H06H", "07H12H", "13H18H", "19H24H", "25H30H", "31H36H", "37H42H", "43H48H", "49H51H")
HOUR_OF_STAMP = datetime(2026, 7, 15, 11, 5, tzinfo=UTC)


def source(worker: Worker, **settings: Any) -> Source[ForecastBatch]:
    defaults = {"arome_url": STORAGE, "meteofrance_api_url": PORTAL, "arome_max_lead": 6}
    return arome.build(Settings.load(**{**defaults, **settings}), worker)


def run_name(run: datetime) -> str:
    return f"{run:%Y-%m-%dT%H:%M:%SZ}"


def prefix(run: datetime = RUN, grid: str = "0025") -> str:
    return f"pnt/{run_name(run)}/arome/{grid}/SP1/"


def file_url(group: str, run: datetime = RUN, grid: str = "0025") -> str:
    return f"{STORAGE}/{prefix(run, grid)}arome__{grid}__SP1__{group}__{run_name(run)}.grib2"


def listing_url(run: datetime = RUN, grid: str = "0025") -> str:
    encoded = prefix(run, grid).replace("/", "%2F").replace(":", "%3A")
    return f"{STORAGE}/?list-type=2&prefix={encoded}&max-keys=1000"


def listing(
    groups: Iterable[str] = GROUPS, run: datetime = RUN, grid: str = "0025", *, empty: str = ""
) -> bytes:
    """Return what the storage answers; `empty` names a file of no bytes."""
    contents = "".join(
        f"<Contents><Key>{prefix(run, grid)}arome__{grid}__SP1__{group}__{run_name(run)}.grib2</Key>"
        f"<LastModified>{HOUR_OF_STAMP + timedelta(minutes=minute):%Y-%m-%dT%H:%M:%S}.000Z</LastModified>"
        f"<Size>{0 if group == empty else 5_000_000}</Size></Contents>"
        for minute, group in enumerate(groups)
    )
    return (
        '<?xml version="1.0" encoding="UTF-8"?>'
        '<ListBucketResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/">'
        f"<IsTruncated>false</IsTruncated>{contents}</ListBucketResult>"
    ).encode()


def grib(first: int = 0, last: int = 6, **how: Any) -> bytes:
    return grib_factory.encode(messages(range(first, last + 1), **how))


def ifs_source(worker: Worker) -> Source[ForecastBatch]:
    return arome.build_ifs(Settings.load(arome_url=STORAGE, arome_max_lead=6), worker)


def beside(text: str) -> str:
    """Return an address or a listing of AROME as AROME-IFS has it."""
    return (
        text.replace("/arome/", "/aromeifs/")
        .replace("%2Farome%2F", "%2Faromeifs%2F")
        .replace("arome__", "aromeifs__")
    )


def rising(latitudes: Any, longitudes: Any, _step: int) -> Any:
    return 1000.0 * (longitudes - 6.0) + 0.0 * latitudes


def ground(**how: Any) -> bytes:
    return grib_factory.encode(grib_factory.ground(rising, like=Message("ground", 0, **how)))


def ground_url(run: datetime = RUN, grid: str = "0025", package: str = "SP2", part: str = "00H06H") -> str:
    name = f"arome__{grid}__{package}__{part}__{run_name(run)}.grib2"
    return f"{STORAGE}/pnt/{run_name(run)}/arome/{grid}/{package}/{name}"
