"""The FFVL beacons by way of the web pages of balisemeteo.com: one page per mapped beacon.

Format (two projects that read it): a title "Relevé du 15/07/2026 - 14:02" in Europe/Paris, then label and
value cells. After the words "Vent maxi" the labels Direction and Vitesse come a second time, for the
gust. NC marks a missing value. A request without the session cookie of index.php gets
"!!! WARNING !!!" in place of values. UTF-8, sometimes latin-1; accents may be entities.
"""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from datetime import datetime

from selectolax.lexbor import LexborHTMLParser, LexborNode

from backend.collectors.base import Fetch, Payload, Request
from backend.collectors.beacons.gaps import find_gaps
from backend.collectors.beacons.readings import Reading, Readings, Value, oldest_first, stored_until, validate
from backend.collectors.beacons.times import paris_time
from backend.collectors.ffvl_routes.network import FFVL
from backend.collectors.transport.decoding import decode_page, parse_html
from backend.core.errors import CollectorError, ParseError
from backend.core.parameters import Parameter
from backend.core.records import CollectionRequest, ObservationBatch, Rejected, number_of

MASK = "!!! WARNING !!!"

_DATE = "%d/%m/%Y - %H:%M"
_TITLE = re.compile(r"relevé du (.*)", re.IGNORECASE)
_UNITS = {
    Parameter.WIND_SPEED: "km/h",
    Parameter.WIND_GUST: "km/h",
    Parameter.WIND_DIRECTION: "°",
    Parameter.TEMPERATURE: "°",
}


@dataclass(frozen=True, slots=True)
class Pages:
    """The start page for its cookie, then the page of each mapped beacon, one at a time."""

    url: str

    name = "page"
    rank = 2

    async def collect(self, needs: CollectionRequest, fetch: Fetch) -> AsyncIterator[ObservationBatch]:
        """Yield one batch per beacon. The shared client keeps the cookie that the start page sets."""
        stations = oldest_first(needs, FFVL.name)
        if not stations:
            return
        start = Request(url=f"{self.url}/index.php", kind="html")
        await fetch(start)
        for station in stations:
            request = Request(
                url=f"{self.url}/balise.php", kind="html", params={"idBalise": number_of(station)}
            )
            try:
                payload = await fetch(request)
                if MASK in decode_page(payload.body):  # the session has ended: repeat once in a new one
                    await fetch(start)
                    payload = await fetch(request)
                readings = parse_page(payload, station, stored_until(needs.newest, payload.fetched_at))
            except CollectorError as error:
                yield FFVL.failed(self, error, needs)
                continue
            # A gap stays open for a route that can fill it: pages have no history.
            gaps = find_gaps(FFVL, needs, readings.latest, needs.since)
            yield FFVL.batch(self, payload, readings, gaps.complete_until)


def parse_page(payload: Payload, station: str, after: Mapping[str, datetime]) -> Readings:
    """Read the page of one beacon: its one reading, if it is later than `after` of the station.

    A masked cell is rejected; it must not take the next number on the page, which is another quantity. Raises
    ParseError if the page has no reading, or another structure.
    """
    try:
        reading = _reading(decode_page(payload.body), station, payload.fetched_at)
    except ParseError as error:
        raise ParseError(error.reason, url=payload.url) from error
    return validate((reading,), payload.fetched_at, after)


def _reading(text: str, station: str, fetched_at: datetime) -> Reading | Rejected:
    # This page has no cells: without the check the error would be about a missing title.
    if "ERROR2" in text:
        raise ParseError(f"balisemeteo.com has no data for {station}: is its number in sites.toml right?")
    page = parse_html(text)
    titles = (_TITLE.search(_text_of(title)) for title in page.css("div.Titre"))
    stamp = next((match[1] for match in titles if match), None)
    if stamp is None:
        raise ParseError("the page has no title 'Relevé du …'")
    time = paris_time(station, stamp, _DATE, fetched_at)
    mean, gust = _sections(page)
    cells = {
        Parameter.WIND_SPEED: _cell(mean, "vitesse"),
        Parameter.WIND_GUST: _cell(gust, "vitesse"),
        Parameter.WIND_DIRECTION: _cell(mean, "direction"),
        Parameter.TEMPERATURE: mean.get("température"),
    }
    if isinstance(time, Rejected):
        return time
    values: dict[Parameter, Value] = {
        # "SO : 224°" becomes "224". Another unit remains, so that the value is refused.
        parameter: cell
        if cell is None or MASK in cell
        else cell.rpartition(":")[2].removesuffix(_UNITS[parameter]).strip()
        for parameter, cell in cells.items()
    }
    return Reading(
        station=station,
        time=time,
        values=values,
        marked={parameter: "masked" for parameter, cell in cells.items() if cell and MASK in cell},
    )


def _sections(page: LexborHTMLParser) -> tuple[dict[str, str], dict[str, str]]:
    """Return the cells by label: those before the words "Vent maxi", and those after."""
    mean: dict[str, str] = {}
    gust: dict[str, str] = {}
    section, label = mean, ""
    for node in page.css("html")[0].traverse(include_text=True):
        classes = (node.attributes.get("class") or "").split()
        if node.tag == "-text" and "vent maxi" in _text_of(node).lower():
            section = gust
        elif "label" in classes:
            label = _text_of(node).rstrip(" :").lower()
        elif "valeur" in classes and label:
            # Without the words "Vent maxi" the gust would overwrite the mean.
            if label in section:
                raise ParseError(f"the page gives {label!r} twice in one section")
            section[label], label = _text_of(node), ""
    return mean, gust


def _cell(section: Mapping[str, str], label: str) -> str:
    try:
        return section[label]
    except KeyError:
        raise ParseError(f"the page has no cell {label!r}") from None


def _text_of(node: LexborNode) -> str:
    """Return the text of a node with each run of white space, hard spaces included, as one blank."""
    return " ".join(node.text().split())
