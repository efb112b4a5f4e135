"""ROMMA, Réseau d'Observation Météo du Massif Alpin (romma.fr): weather stations of the French Alps.

An association's network, not open data: a key opens one XML of all stations granted to it; without
one, a page per station. A reading every 10 minutes, in km/h, °C and naive Europe/Paris time.

Quirks: a key without rights gets an empty document with HTTP 200. Missing is "--", "---" or "--.-".
Hours may have one digit, dates one of three separators (seen over the years to 2026). The wind direction is
one of sixteen French compass points, where O is west. The XML's `rafale_maxi` is a maximum over an
undocumented period (perhaps since midnight), so it is not stored as a gust; the page's 10-minute gust is.
See docs/sources/romma.md.
"""

from __future__ import annotations

import asyncio
import re
import unicodedata
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from lxml import etree
from pydantic import SecretStr
from selectolax.lexbor import LexborNode

from backend.collectors.base import Fetch, LiveFacts, Payload, Request, Source, SourceRoute
from backend.collectors.beacons.readings import (
    DASHES,
    ODD_ROW,
    Network,
    Reading,
    Readings,
    Value,
    check_values,
    french_number,
    oldest_first,
    positions_of,
)
from backend.collectors.beacons.times import from_paris
from backend.collectors.transport.decoding import (
    MAX_ODD_TEXT,
    OddRow,
    decode_page,
    parse_html,
    parse_xml,
    require_few_odd,
)
from backend.core import registry
from backend.core.config import Settings
from backend.core.errors import CollectorError, ParseError
from backend.core.parameters import Parameter
from backend.core.records import (
    CollectionRequest,
    Observation,
    ObservationBatch,
    Rejected,
    Station,
    number_of,
)
from backend.core.terms import terms_of
from backend.core.units import french_compass_to_degrees

NAME = registry.ROMMA.name

MAX_AGE = timedelta(minutes=35)
"""Three missed readings, at one every 10 minutes, and a margin."""

ROMMA = Network(name=NAME, cadence=timedelta(minutes=10), averaging_minutes=10, direction_resolution=22.5)

_XML_DATE = re.compile(r"([0-9]{1,2})[./-]([0-9]{1,2})[./-]([0-9]{4}) +([0-9]{1,2}):([0-9]{2})")
_XML_NAMES = {
    Parameter.WIND_SPEED: "vent_moyen_10",
    Parameter.WIND_DIRECTION: "direction",
    Parameter.TEMPERATURE: "temperature",
}

# The text of a page is compared without accents and capitals, and its labels also without spaces.
_PAGE_DATE = re.compile(
    r"dernier releve en direct ?:? ?le "
    r"(?P<stamp>([0-9]{1,2})(?:er)? ([a-z]+) ([0-9]{4})(?: a)? ([0-9]{1,2}):([0-9]{2}))"
)
_PAGE_LABELS = {
    Parameter.WIND_SPEED: "moyensur10min:",
    Parameter.WIND_DIRECTION: "direction:",
    Parameter.WIND_GUST: "rafalemaxisur10min:",
    Parameter.TEMPERATURE: "temperature",
}
_PAGE_WIND = frozenset({Parameter.WIND_DIRECTION, Parameter.WIND_GUST})
_PAGE_VALUES = frozenset({"bigTexte", "smallTexte"})
_MONTHS = (
    *("janvier", "fevrier", "mars", "avril", "mai", "juin"),
    *("juillet", "aout", "septembre", "octobre", "novembre", "decembre"),
)


@dataclass(slots=True)
class Parsed:
    """The values and stations of one document."""

    records: list[Observation] = field(default_factory=list)
    rejected: list[Rejected] = field(default_factory=list)
    stations: list[Station] = field(default_factory=list)

    def add(
        self,
        station: str,
        stamp: str,
        local: datetime | None,
        texts: Mapping[Parameter, str],
        fetched_at: datetime,
    ) -> None:
        """Add one reading. `local` is naive Paris time, None where `stamp` is not a date."""
        time = from_paris(station, stamp, local, fetched_at)
        if isinstance(time, Rejected):
            # The store has these rejections of ROMMA under their bare reason code.
            self.rejected.append(replace(time, reason=time.reason_code))
            return
        good, bad = check_values(Reading(station=station, time=time, values=texts), _interpret)
        self.records += good
        self.rejected += bad

    def batch(self, route: SourceRoute[ObservationBatch], payload: Payload) -> ObservationBatch:
        """Return the batch of this document, read by `route`."""
        newest = max((record.time for record in self.records), default=None)
        readings = Readings(tuple(self.records), tuple(self.rejected), {}, newest)
        positions = positions_of(self.stations, payload.fetched_at)
        return ROMMA.batch(route, payload, readings, {}, tuple(self.stations), positions)


def build(settings: Settings) -> Source[ObservationBatch]:
    """Return the source with the routes that the settings allow; disabled without any."""
    routes: list[SourceRoute[ObservationBatch]] = []
    key = settings.romma_key
    if key and key.get_secret_value():
        routes.append(KeyedRoute(settings.romma_url, key))
    if settings.romma_html and settings.contact:
        routes.append(PageRoute(settings.romma_url))
    why_no_pages = "CONTACT is not set" if settings.romma_html else "ROMMA_HTML is false"
    return Source.of(
        terms_of(registry.ROMMA, settings),
        batch=ObservationBatch,
        routes=tuple(routes),
        max_age=MAX_AGE,
        by_site=True,
        disabled=None
        if routes
        else f"ROMMA_KEY is not set, and the station pages are not read because {why_no_pages}",
        no_archive_reason="ROMMA has no history",
        live=LiveFacts(
            if_gone=(
                "winds.mobi stopped reading ROMMA on 30 June 2024, for a reason that is not known. A key that"
                " ended gives an empty answer and no error: ask the association"
            )
        ),
    )


@dataclass(frozen=True, slots=True)
class KeyedRoute:
    """One XML with the last reading of every station that the key gives access to."""

    base_url: str
    key: SecretStr
    name: str = "keyed"
    rank: int = 0

    async def collect(self, needs: CollectionRequest, fetch: Fetch) -> AsyncIterator[ObservationBatch]:
        """Yield one batch of all stations."""
        request = Request(
            url=f"{self.base_url}/releves_romma_xml.php",
            kind="xml",
            secret_params={"id": self.key.get_secret_value()},
        )
        payload = await fetch(request)
        parsed = await asyncio.to_thread(parse_feed, payload)
        yield parsed.batch(self, payload)


@dataclass(frozen=True, slots=True)
class PageRoute:
    """The public page of each mapped station, one after the other."""

    base_url: str
    name: str = "page"
    rank: int = 1

    async def collect(self, needs: CollectionRequest, fetch: Fetch) -> AsyncIterator[ObservationBatch]:
        """Yield one batch per station; nothing when no site names a station of the network."""
        for station in oldest_first(needs, NAME):
            request = Request(
                url=f"{self.base_url}/station_24.php", kind="html", params={"id": number_of(station)}
            )
            try:
                payload = await fetch(request)
                parsed = await asyncio.to_thread(parse_page, payload, station)
            except CollectorError as error:
                yield ROMMA.failed(self, error, needs)
            else:
                yield parsed.batch(self, payload)


def parse_feed(payload: Payload) -> Parsed:
    """Read the keyed XML. Raise ParseError for any other document, without a station, or with odd rows."""
    try:
        root = _xml(payload.body)
    except ParseError as error:
        raise ParseError(error.reason, source=NAME, url=payload.url) from error
    if root.tag != "releves":
        raise ParseError("the document is not <releves>", source=NAME, url=payload.url)
    elements = root.findall("releve")
    if not elements:
        reason = "an empty document: ROMMA_KEY is unknown or has no rights to any station; ask romma.fr"
        raise ParseError(reason, source=NAME, url=payload.url)
    # A renamed field would look like missing values at all stations, and as a success.
    for name in ("valide", "date", *_XML_NAMES.values()):
        if all(element.find(name) is None for element in elements):
            raise ParseError(f"no row has a <{name}>", source=NAME, url=payload.url)
    parsed = Parsed()
    odd: list[OddRow] = []
    for position, element in enumerate(elements, start=1):
        number = _text(element, "id")
        station = ROMMA.station_id(number)
        if station is None:
            reason = f"row {position}: the station id {number[:40]!r} is not a number"
            odd.append(OddRow(number[:MAX_ODD_TEXT], reason))
            continue
        latitude, longitude, elevation = (
            french_number(_text(element, name)) for name in ("latitude", "longitude", "altitude")
        )
        parsed.stations.append(Station(station, _text(element, "station"), latitude, longitude, elevation))
        valid = _text(element, "valide")
        if valid != "1":
            parsed.rejected.append(Rejected(station, None, None, valid, "not_valid"))
            continue
        stamp = _text(element, "date")
        local = None
        if match := _XML_DATE.fullmatch(stamp):
            day, month, year, hour, minute = (int(digits) for digits in match.groups())
            local = _local(year, month, day, hour, minute)
        texts = {parameter: _text(element, name) for parameter, name in _XML_NAMES.items()}
        parsed.add(station, stamp, local, texts, payload.fetched_at)
    try:
        require_few_odd(odd, len(elements))
    except ParseError as error:
        raise ParseError(error.reason, source=NAME, url=payload.url) from error
    parsed.rejected += (Rejected(f"{NAME}:?", None, None, row.raw, f"{ODD_ROW}: {row.reason}") for row in odd)
    return parsed


def _xml(body: bytes) -> etree._Element:
    """Parse in the declared encoding, else UTF-8; in Latin-1 if the bytes are not UTF-8."""
    try:
        return parse_xml(body)
    except ParseError:
        try:
            body.decode("utf-8")
        except UnicodeDecodeError:
            return parse_xml(body, "iso-8859-1")
        raise


def _text(element: etree._Element, name: str) -> str:
    return (element.findtext(name) or "").strip()


def parse_page(payload: Payload, station: str) -> Parsed:
    """Read a station's page. Raise ParseError for a page that shows no reading."""
    try:
        block = parse_html(decode_page(payload.body)).css_first("#affichage_simple")
    except ParseError as error:
        raise ParseError(error.reason, source=NAME, url=payload.url) from error
    if block is None:
        reason = "no block of readings: an unknown station, a login or a maintenance page"
        raise ParseError(reason, source=NAME, url=payload.url)
    shown = _folded(block.text(separator=" "))
    heading = _PAGE_DATE.search(shown)
    if heading is None:
        raise ParseError("no time of the last reading in its heading", source=NAME, url=payload.url)
    texts = _page_texts(block)
    compact = shown.replace(" ", "")
    # The word "temperature" may stand in other texts of a page, so it proves no missing value.
    for parameter, label in _PAGE_LABELS.items():
        if label.endswith(":") and label in compact and parameter not in texts:
            reason = f"the page has a label for {parameter}, but no value after it"
            raise ParseError(reason, source=NAME, url=payload.url)
    if not texts:
        raise ParseError("the page has no known reading", source=NAME, url=payload.url)
    if not _PAGE_WIND.isdisjoint(texts) and Parameter.WIND_SPEED not in texts:
        reason = "the page has a direction or a gust, but no mean wind"
        raise ParseError(reason, source=NAME, url=payload.url)
    parsed = Parsed()
    stamp, day, month, year, hour, minute = heading.groups()
    local = None
    if month in _MONTHS:
        local = _local(int(year), _MONTHS.index(month) + 1, int(day), int(hour), int(minute))
    parsed.add(station, stamp, local, texts, payload.fetched_at)
    return parsed


def _folded(text: str) -> str:
    """Return the text without accents and capitals, every run of spaces as one."""
    letters = (letter for letter in unicodedata.normalize("NFKD", text) if not unicodedata.combining(letter))
    return " ".join("".join(letters).lower().split())


def _page_texts(block: LexborNode) -> dict[Parameter, str]:
    """Return the value that directly follows each known label; the first, if a label is repeated.

    Each value belongs to the text since the previous value. So a label without a value does not take the
    next one: the gust of ten minutes is not the one since midnight.
    """
    texts: dict[Parameter, str] = {}
    label = ""
    for node in block.traverse(include_text=True):
        if _is_value(node):
            label = _folded(label).replace(" ", "")
            for parameter, known in _PAGE_LABELS.items():
                if label.endswith(known):
                    texts.setdefault(parameter, node.text(strip=True))
            label = ""
        elif node.is_text_node and not _is_value(node.parent):
            label += node.text()
    return texts


def _is_value(node: LexborNode | None) -> bool:
    if node is None or node.tag != "span":
        return False
    return not _PAGE_VALUES.isdisjoint((node.attributes.get("class") or "").split())


def _local(year: int, month: int, day: int, hour: int, minute: int) -> datetime | None:
    try:
        return datetime(year, month, day, hour, minute)  # noqa: DTZ001 - Paris time, in UTC from from_paris on
    except ValueError:
        return None


def _interpret(parameter: Parameter, text: Value) -> float | str:
    """Read a value: a decimal with a point or a comma, or one of sixteen French compass points."""
    text = str(text)
    if text in DASHES:
        return "missing"
    if parameter is Parameter.WIND_DIRECTION:
        try:
            return french_compass_to_degrees(text)
        except ParseError:
            return "not_a_compass_point"
    value = french_number(text)
    return "not_a_number" if value is None else value
