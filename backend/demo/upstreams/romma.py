"""ROMMA: the keyed XML with every station's last reading, and a public page per station.

There is no history. `rafale_maxi` of the XML is served as its older name suggests: the highest gust since
midnight in Paris. The page has both that and the gust of the last ten minutes.
"""

from __future__ import annotations

from html import escape

from starlette.requests import Request
from starlette.responses import HTMLResponse, Response
from starlette.routing import Route, Router

from backend.demo.beacons import Beacon, SimulatedReading, latest, readings, romma_beacons
from backend.demo.faults import ErrorPage, Fault, spoiled_by
from backend.demo.upstreams.balisemeteo import FRENCH
from backend.demo.world import ACCEPTED_KEYS, View, World

LATENCY = 180  # seconds from a reading to its place here
_MONTHS = (
    *("Janvier", "F&eacute;vrier", "Mars", "Avril", "Mai", "Juin"),
    *("Juillet", "Ao&ucirc;t", "Septembre", "Octobre", "Novembre", "D&eacute;cembre"),
)

_DOCUMENT = '<?xml version="1.0" encoding="UTF-8"?>\n<releves>\n{}</releves>\n'

EXAMPLE = f"/releves_romma_xml.php?id={ACCEPTED_KEYS['romma_key']}"
"""A request (path and query) that is answered with data."""

spoil = spoiled_by(
    {
        Fault.MISSING_FIELDS: (
            rb"<vent_moyen_10>[^<]*</vent_moyen_10>|Moyen sur 10min : <span[^>]*>[^<]*</span> km/h<br>",
            b"",
        ),
        Fault.NO_TEMPERATURE: (
            rb'<temperature>[^<]*</temperature>|<tr><td class="grandeur"><b>&nbsp;Temp.*?C</td></tr>',
            b"",
        ),
        Fault.MOVED: (rb"(<latitude>)4", rb"\g<1>3"),
        Fault.ODD_ROW: (rb"<releves>\s*(?=<releve>)", rb"\g<0><releve><id>--</id></releve>"),
        Fault.NAN: (rb"(<vent_moyen_10>|Moyen sur 10min : <span[^>]*>)[^<]*", rb"\1NaN"),
    }
)


def _text(value: float | None, missing: str = "--", digits: int = 0) -> str:
    return missing if value is None else f"{value:.{digits}f}"


def _point(reading: SimulatedReading) -> str:
    return "---" if reading.sector is None else FRENCH[reading.sector]


def _highest_today(view: View, beacon: Beacon, reading: SimulatedReading) -> SimulatedReading | None:
    """Return the reading with the strongest gust since midnight in Paris."""
    midnight = view.paris(reading.time).replace(hour=0, minute=0, second=0, microsecond=0).timestamp()
    gusts = [other for other in readings(view, beacon, midnight, reading.time) if other.gust is not None]
    return max(gusts, key=lambda other: other.gust or 0.0, default=None)


def element(view: View, beacon: Beacon, reading: SimulatedReading) -> str:
    """Compose a station's element. A station that stopped is marked as not valid."""
    moment = view.paris(reading.time)
    highest = _highest_today(view, beacon, reading)
    values = {
        "id": beacon.number,
        "station": escape(beacon.name),
        "valide": "0" if beacon.last_heard else "1",
        "latitude": f"{beacon.site.latitude:.4f}",
        "longitude": f"{beacon.site.longitude:.4f}",
        "altitude": f"{beacon.site.elevation:.0f}",
        "date": f"{moment.day}-{moment:%m-%Y} {moment.hour}:{moment:%M}",
        "temperature": _text(reading.temperature, "--.-", 1),
        "humidite": "--",
        "pression": "---",
        "vent_moyen_10": _text(reading.mean),
        "direction": _point(reading),
        "rafale_maxi": _text(highest.gust if highest else None),
    }
    return f"<releve>{''.join(f'<{name}>{value}</{name}>' for name, value in values.items())}</releve>\n"


def page(view: View, beacon: Beacon, reading: SimulatedReading) -> str:
    """Compose a station's page."""
    moment = view.paris(reading.time)
    highest = _highest_today(view, beacon, reading)
    since_midnight = "---"
    if highest:
        since_midnight = f"{_text(highest.gust)}</span> km/h &agrave; <span>{view.paris(highest.time):%H:%M}"
    return (
        '<!DOCTYPE html><html lang="fr"><head><meta charset="utf-8"><title>Station (d&eacute;mo)</title>'
        '</head><body><div id="affichage_simple">'
        f"<h3>Dernier relev&eacute; en direct : le {moment.day} {_MONTHS[moment.month - 1]} {moment.year}"
        f"   {moment.hour}:{moment:%M}</h3><table>"
        '<tr><td class="grandeur"><b>&nbsp;Temp&eacute;rature</b></td></tr>'
        f'<tr><td><span class="bigTexte">{_text(reading.temperature, "---", 1)}</span> &deg;C</td></tr>'
        '<tr><td class="grandeur"><b>&nbsp;Vent</b></td></tr>'
        f'<tr><td>Moyen sur 10min : <span class="bigTexte">{_text(reading.mean, "---")}</span> km/h<br>'
        f'Direction : <span class="smallTexte">{_point(reading)}</span><br>'
        f'Rafale maxi sur 10 min : <span class="smallTexte">{_text(reading.gust, "---")}</span> km/h<br>'
        f'Rafale maxi depuis 0h : <span class="smallTexte">{since_midnight}</span></td></tr>'
        "</table></div></body></html>"
    )


class _Romma:
    def __init__(self, world: World) -> None:
        self._world = world
        self._beacons = {beacon.number: beacon for beacon in romma_beacons(world.sites)}

    async def xml(self, request: Request) -> Response:
        """Answer with every station, or with an empty document for a key without rights."""
        elements = ""
        if request.query_params.get("id") == ACCEPTED_KEYS["romma_key"]:
            view = self._world.view("romma")
            newest = ((beacon, latest(view, beacon, view.now - LATENCY)) for beacon in self._beacons.values())
            elements = "".join(element(view, beacon, reading) for beacon, reading in newest if reading)
        return Response(_DOCUMENT.format(elements), media_type="text/xml")

    async def station(self, request: Request) -> Response:
        view = self._world.view("romma")
        beacon = self._beacons.get(request.query_params.get("id", ""))
        reading = latest(view, beacon, view.now - LATENCY) if beacon else None
        if beacon is None or reading is None:
            return HTMLResponse("<html><body><p>Station inconnue</p></body></html>")
        return HTMLResponse(page(view, beacon, reading))


def app(world: World) -> Router:
    """Return the upstream."""
    service = _Romma(world)
    return Router([Route("/releves_romma_xml.php", service.xml), Route("/station_24.php", service.station)])


def error_page() -> ErrorPage:
    """Return the answer to a key without rights: a document without a station."""
    return _DOCUMENT.format("").encode(), "text/xml"
