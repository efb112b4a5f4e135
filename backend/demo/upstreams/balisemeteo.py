"""balisemeteo.com: one page per beacon; its values are masked without the cookie of the start page."""

from __future__ import annotations

from html import escape

from starlette.requests import Request
from starlette.responses import HTMLResponse, Response
from starlette.routing import Route, Router

from backend.core.units import FRENCH_COMPASS
from backend.demo.beacons import Beacon, SimulatedReading, ffvl_beacons, latest
from backend.demo.faults import ErrorPage, Fault, spoiled_by
from backend.demo.noise import stream
from backend.demo.upstreams.ffvl import LATENCY, SECTORS
from backend.demo.world import View, World

FRENCH = tuple(FRENCH_COMPASS)
_COOKIE = "PHPSESSID"
_MASK = "!!! WARNING !!!"

EXAMPLE = "/balise.php?idBalise=9001"
"""A request (path and query) that is answered with data."""

spoil = spoiled_by(
    {
        Fault.MISSING_FIELDS: (rb'<tr><td class="label">Vitesse :</td>.*?</tr>', b""),
        Fault.NO_TEMPERATURE: ('<tr><td class="label">Température :</td>.*?</tr>'.encode(), b""),
        Fault.NAN: (rb'(Vitesse :</td><td class="valeur">(<b><big><font>)?)[^<]*', rb"\1NaN km/h"),
    }
)


def page(view: View, beacon: Beacon, reading: SimulatedReading, *, masked: bool) -> str:
    """Compose a beacon's page: label and value cells, used once for the mean and again for the gust."""
    direction = "NC" if reading.sector is None else f"{FRENCH[reading.sector]} : {SECTORS[reading.sector]}°"
    rows = [
        _row("Direction :", _MASK if masked else direction, bold=True),
        _row("Vitesse :", _MASK if masked else _number(reading.mean, " km/h"), bold=True),
        _row("Vitesse minimum :", _number(reading.lull, " km/h")),
        _row("Température :", _number(reading.temperature, "°")),
        _row("Luminosité :", "NC"),
    ]
    gust = [
        _row("Direction :", _MASK if masked else direction),
        _row("Vitesse :", _number(reading.gust, " km/h")),
    ]
    place = f"{beacon.site.latitude},{beacon.site.longitude}"
    return (
        '<!DOCTYPE html><html lang="fr"><head><meta charset="utf-8"><title>Balise (démo)</title></head><body>'
        f"<h2>{escape(beacon.name)}</h2><p>Altitude : {beacon.site.elevation:.0f} m - "
        f'<a href="https://maps.example.org/?q={place}">plan</a></p>'
        f'<div class="Titre">Relev&eacute; du {view.paris(reading.time):%d/%m/%Y - %H:%M}</div>'
        f"<table>{''.join(rows)}</table><p>Vent maxi</p><table>{''.join(gust)}</table></body></html>"
    )


def _number(value: float | None, unit: str) -> str:
    return "NC" if value is None else f"{round(value)}{unit}"


def _row(label: str, value: str, *, bold: bool = False) -> str:
    shown = f"<b><big><font>{value}</font></big></b>" if bold else value
    return f'<tr><td class="label">{label}</td><td class="valeur">{shown}</td></tr>'


class _Pages:
    def __init__(self, world: World) -> None:
        self._world = world
        self._session = f"{stream(world.seed, 'session'):016x}"
        self._beacons = {beacon.number: beacon for beacon in ffvl_beacons(world.sites)}

    async def index(self, _: Request) -> Response:
        answer = HTMLResponse("<html><body>Balises FFVL (démo)</body></html>")
        answer.set_cookie(_COOKIE, self._session, path="/")
        return answer

    async def beacon(self, request: Request) -> Response:
        number = request.query_params.get("idBalise", "")
        view = self._world.view("balisemeteo")
        beacon = self._beacons.get(number)
        reading = latest(view, beacon, view.now - LATENCY) if beacon else None
        if beacon is None or reading is None:
            return HTMLResponse(f"<html><body>ERROR2 : no data for idBalise:{escape(number)}</body></html>")
        masked = request.cookies.get(_COOKIE) != self._session
        return HTMLResponse(page(view, beacon, reading, masked=masked))


def app(world: World) -> Router:
    """Return the upstream."""
    pages = _Pages(world)
    return Router([Route("/index.php", pages.index), Route("/balise.php", pages.beacon)])


def error_page() -> ErrorPage:
    """Return the page of a beacon without data."""
    return b"<html><body>ERROR2 : no data for idBalise:0</body></html>", "text/html"
