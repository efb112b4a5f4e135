"""The FFVL's keyed feed: the list of beacons, their last readings, and the history of one.

Every answer starts with a byte order mark, every value is text or null, times are Paris wall clock without a
stated zone, and a wrong key gets a page of HTML with HTTP 200.
"""

from __future__ import annotations

from codecs import BOM_UTF8

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route, Router

from backend.demo.beacons import Beacon, SimulatedReading, ffvl_beacons, latest, readings
from backend.demo.faults import ErrorPage, Fault, spoiled_by
from backend.demo.world import ACCEPTED_KEYS, View, World

LATENCY = 120  # seconds from a reading to its place in the feed
HISTORY_HOURS = 72
# Sixteen sectors, cut to the even numbers that the feed shows.
SECTORS = (0, 22, 44, 66, 90, 112, 134, 156, 180, 202, 224, 246, 270, 292, 314, 336)

EXAMPLE = f"/api/?base=balises&mode=json&key={ACCEPTED_KEYS['ffvl_api_key']}&r=releves_meteo"
"""A request (path and query) that is answered with data."""

spoil = spoiled_by(
    {
        Fault.MISSING_FIELDS: (rb'"vitesseVentMoy":("[^"]*"|null),|"idBalise":"[^"]*",', b""),
        Fault.NO_TEMPERATURE: (rb',"temperature":("[^"]*"|null)', b""),
        Fault.MOVED: (rb'("latitude":")4', rb"\g<1>3"),
        Fault.ODD_ROW: (rb"\A\xef\xbb\xbf\[(?={)", rb'\g<0>{"idBalise":false,"idbalise":false},'),
        Fault.NAN: (rb'("vitesseVentMoy":)("[^"]*"|null)', rb'\1"NaN"'),
    }
)


def whole(value: float | None) -> str | None:
    """Format a number as the feed does: a whole one, as text."""
    return None if value is None else str(round(value))


def listed(beacon: Beacon) -> dict[str, str | None]:
    """Compose a beacon's entry in the list."""
    page = f"https://www.balisemeteo.com/balise.php?idBalise={beacon.number}"
    return {
        "idBalise": beacon.number,
        "nom": beacon.name,
        "latitude": f"{beacon.site.latitude:.4f}",
        "longitude": f"{beacon.site.longitude:.4f}",
        "altitude": f"{beacon.site.elevation:.0f}",
        "departement": "74",
        "remarques": "Balise imaginaire, pour la démonstration.",
        "description": None,
        "decalageHoraire": "0",
        "struId": "0",
        "station_type": beacon.kind,
        "en_maintenance": "0",
        "url": page,
        "url_histo": page.replace("balise.php", "balise_histo.php"),
    }


def row(view: View, beacon: Beacon, reading: SimulatedReading) -> dict[str, str | None]:
    """Compose a reading; it has the direction twice, as a mean and as an instant value."""
    sector = None if reading.sector is None else str(SECTORS[reading.sector])
    return {
        "idbalise": beacon.number,
        "date": f"{view.paris(reading.time):%Y-%m-%d %H:%M:%S}",
        "vitesseVentMoy": whole(reading.mean),
        "vitesseVentMax": whole(reading.gust),
        "vitesseVentMin": whole(reading.lull),
        "directVentMoy": sector,
        "directVentInst": sector,
        "temperature": whole(reading.temperature),
        "hydrometrie": None,
        "pression": None,
        "luminosite": None,
        "LUM": None,
    }


_HISTORY_FIELDS = (
    "idbalise",
    "date",
    "vitesseVentMoy",
    "vitesseVentMax",
    "vitesseVentMin",
    "directVentMoy",
    "temperature",
)


class _Feed:
    def __init__(self, world: World) -> None:
        self._world = world
        self._beacons = {beacon.number: beacon for beacon in ffvl_beacons(world.sites)}

    async def answer(self, request: Request) -> Response:
        query = request.query_params
        if query.get("key") != ACCEPTED_KEYS["ffvl_api_key"] or query.get("base") != "balises":
            return Response(*_refusal(2))
        view = self._world.view("ffvl")
        match query.get("r"):
            case "list":
                rows = [listed(beacon) for beacon in self._beacons.values()]
            case "releves_meteo":
                newest = ((one, latest(view, one, view.now - LATENCY)) for one in self._beacons.values())
                rows = [row(view, beacon, reading) for beacon, reading in newest if reading]
            case "histo":
                beacon = self._beacons.get(query.get("idbalise", ""))
                hours = query.get("hours", "1")
                rows = []
                if beacon is not None and hours.isdecimal():
                    since = view.now - 3600 * min(int(hours), HISTORY_HOURS)
                    for reading in readings(view, beacon, since, view.now - LATENCY):
                        full = row(view, beacon, reading)
                        rows.append({name: full[name] for name in _HISTORY_FIELDS})
            case _:
                return Response(*_refusal(1))
        return Response(BOM_UTF8 + msgspec.json.encode(rows), media_type="application/json")


def _refusal(number: int) -> tuple[bytes, int, None, str]:
    return f"<html><head></head><body>error#{number}</body></html>".encode(), 200, None, "text/html"


def app(world: World) -> Router:
    """Return the upstream."""
    return Router([Route("/api/", _Feed(world).answer)])


def error_page() -> ErrorPage:
    """Return the feed's refusal, which comes with HTTP 200."""
    return _refusal(3)[0], "text/html"
