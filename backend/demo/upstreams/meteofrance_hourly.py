"""Météo-France's hourly files: one compressed CSV per department, new each morning.

A file has the masts that sites name, one further mast, and a rain gauge without an anemometer. Of the two
years in a file only the last weeks are composed.
"""

from __future__ import annotations

import gzip
import hashlib
import re
from collections.abc import Iterator

import numpy as np
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route, Router

from backend.demo.beacons import Beacon, SimulatedReading, measured_at, meteofrance_masts
from backend.demo.faults import ErrorPage, Fault
from backend.demo.upstreams.meteofrance import ms
from backend.demo.weather import DAY
from backend.demo.world import View, World, utc

HOUR = 3600
DAYS = 40
NEW_AT, LAST_ROW = 6 * HOUR, 4 * HOUR  # seconds of the day: when a file appears, and its newest row
NO_WIND = "74999002"
DEPARTMENT = "74"

# The columns that matter, in their order, and some of the others.
_COLUMNS = ("RR1", "DRR1", "FF", "DD", "FXY", "DXY", "HXY", "FXI", "DXI", "HXI", "FF2", "FXI2", "T")
_HEADER = ("NUM_POSTE", "NOM_USUEL", "LAT", "LON", "ALTI", "AAAAMMJJHH")

EXAMPLE = f"/H_{DEPARTMENT}_latest-2025-2026.csv.gz"
"""A request (path and query) that is answered with data."""

_SPOILS = {
    Fault.MISSING_FIELDS: (rb";FF;QFF;", b";FF_;QFF_;"),
    Fault.NO_TEMPERATURE: (rb";T;QT\b", b";TX;QTX"),
    Fault.ODD_ROW: (rb"\n(74[0-9]{6});", rb"\n\1;odd\n\1;"),
    Fault.MOVED: (rb"(\n[0-9]{8};[^;]*;)4", rb"\g<1>3"),
}


def spoil(fault: Fault, body: bytes) -> bytes:
    """Apply a fault to the CSV in a compressed file."""
    if not body.startswith(b"\x1f\x8b"):
        return body
    text = gzip.decompress(body)
    if fault is Fault.NAN:
        place = text.split(b"\n", 1)[0].split(b";").index(b"FF")
        text = re.sub(rb"(?m)^([0-9]{8}(?:;[^;\n]*){%d};)[^;\n]+" % (place - 1), rb"\1NaN", text)
    elif fault in _SPOILS:
        pattern, replacement = _SPOILS[fault]
        text = re.sub(pattern, replacement, text, count=1 if fault is Fault.ODD_ROW else 0)
    return gzip.compress(text, mtime=0)


def app(world: World) -> Router:
    """Return the upstream."""

    async def file(request: Request) -> Response:
        view = world.view("meteofrance_hourly")
        department, name = request.path_params["department"], request.path_params["name"]
        year = utc(view.now).year
        beacons = [one for one in meteofrance_masts(world.sites) if one.number.startswith(department)]
        if name != f"latest-{year - 1}-{year}" or not beacons:
            return Response(
                b"<?xml version='1.0'?><Error><Code>NoSuchKey</Code></Error>", 404, media_type="text/xml"
            )
        text = "\n".join(_lines(view, beacons)) + "\n"
        tag = f'"{hashlib.md5(text.encode(), usedforsecurity=False).hexdigest()}"'
        if request.headers.get("If-None-Match") == tag:
            return Response(status_code=304, headers={"ETag": tag})
        body = gzip.compress(text.encode(), mtime=0)
        return Response(body, media_type="application/gzip", headers={"ETag": tag})

    return Router([Route("/H_{department}_{name}.csv.gz", file)])


def hours(view: View) -> list[int]:
    """Return the times of the rows (seconds, UTC): up to 04 UTC of the last day with a new file."""
    newest = (view.now - NEW_AT) // DAY * DAY + LAST_ROW
    first = newest - DAYS * DAY
    return [int(time + view.ahead) for time in np.arange(first, newest + 1, HOUR)]


def _lines(view: View, beacons: list[Beacon]) -> Iterator[str]:
    yield ";".join((*_HEADER, *(part for name in _COLUMNS for part in (name, f"Q{name}"))))
    for beacon in beacons:
        site = beacon.site
        place = f"{beacon.number};{site.name.upper()};{site.latitude};{site.longitude};{site.elevation:g}"
        for reading in measured_at(view, beacon, np.array(hours(view))):
            values = _values(reading, windless=beacon.number == NO_WIND)
            cells = (f"{values[name]};9" if name in values else ";" for name in _COLUMNS)
            yield f"{place};{utc(reading.time):%Y%m%d%H};{';'.join(cells)}"


def _values(reading: SimulatedReading, *, windless: bool) -> dict[str, str]:
    found: dict[str, object] = {"RR1": 0.0}
    if reading.temperature is not None:
        found["T"] = round(reading.temperature, 1)
    if reading.mean is not None and not windless:
        direction = None if reading.sector is None else round(22.5 * reading.sector)
        found |= {"FF": ms(reading.mean), "FXI": ms(reading.gust), "FXY": ms(1.1 * reading.mean)}
        found |= {"FF2": ms(0.7 * reading.mean), "DD": direction, "DXI": direction, "HXI": "0841"}
    return {name: str(value) for name, value in found.items() if value is not None}


def error_page() -> ErrorPage:
    """Return an answer with status 200 that is an error."""
    return b"<?xml version='1.0'?><Error><Code>SlowDown</Code></Error>", "application/xml"
