"""ROMMA, Réseau d'Observation Météo du Massif Alpin (romma.fr): weather stations of the French Alps.

An association's network, not open data: a key opens one XML of all stations granted to it; without
one, a page per station. A reading every 10 minutes, in km/h, °C and naive Europe/Paris time.

Quirks: a key without rights gets an empty document with HTTP 200. Missing is "--", "---" or "--.-".
Hours may have one digit, dates three separators (seen over the years to 2026). The wind comes as one
of sixteen French compass points, where O is west. The XML's `rafale_maxi` is a maximum over a time
that nobody states (perhaps since midnight), so it is not kept as a gust; the page's 10-minute one is.
See docs/sources/romma.md.
"""

from __future__ import annotations

import asyncio
import re
import unicodedata
from collections.abc import AsyncIterator, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from lxml import etree
from pydantic import SecretStr
from selectolax.lexbor import LexborNode

from backend.collectors.base import Fetch, Payload, Request, Route, Source, as_failure
from backend.collectors.decoding import MAX_ODD_TEXT, OddRow, parse_html, parse_xml, require_few_odd
from backend.collectors.readings import ODD_ROW, longest_waiting, missing_as_zero, positions_of
from backend.core.clock import paris_to_utc
from backend.core.config import Settings
from backend.core.errors import CollectorError, ParseError
from backend.core.parameters import Parameter
from backend.core.records import Failure, Observation, ObservationBatch, Rejected, Station, Wanted
from backend.core.units import french_compass_to_degrees

NAME = "romma"

MAX_AGE = timedelta(minutes=35)
"""Three readings missed, at one every 10 minutes, and a little for the way."""

AVERAGING_MINUTES = 10
DIRECTION_RESOLUTION = 22.5

_FUTURE_TOLERANCE = timedelta(minutes=10)
"""How far ahead of ours a station's clock may run."""

_FIRST_YEAR = 2000

_MISSING = frozenset({"--", "---", "--.-"})
_NUMBER = re.compile(r"[+-]?[0-9]+([.,][0-9]+)?")
_STATION_NUMBER = re.compile(r"[0-9]{1,9}")

_XML_DATE = re.compile(r"([0-9]{1,2})[./-]([0-9]{1,2})[./-]([0-9]{4}) +([0-9]{1,2}):([0-9]{2})")
_XML_NAMES = {
    Parameter.WIND_SPEED: "vent_moyen_10",
    Parameter.WIND_DIRECTION: "direction",
    Parameter.TEMPERATURE: "temperature",
}

# A page is compared without accents, capitals and, for its labels, without spaces.
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


@dataclass(frozen=True, slots=True)
class Row:
    """A reading as it was written: `local` is Paris time, None where `stamp` is no date."""

    station: str
    stamp: str
    local: datetime | None
    texts: Mapping[Parameter, str]


@dataclass(slots=True)
class Parsed:
    """The values and stations of one document."""

    records: list[Observation] = field(default_factory=list)
    rejected: list[Rejected] = field(default_factory=list)
    stations: list[Station] = field(default_factory=list)

    def add(self, values: Iterable[Observation | Rejected]) -> None:
        """Keep each value on its own side."""
        for value in values:
            if isinstance(value, Observation):
                self.records.append(value)
            else:
                self.rejected.append(value)


def build(settings: Settings) -> Source[ObservationBatch]:
    """Return the source with the routes that the settings allow; disabled if they allow none."""
    routes: list[Route[ObservationBatch]] = []
    key = settings.romma_key
    if key and key.get_secret_value():
        routes.append(KeyedRoute(settings.romma_url, key))
    if settings.romma_html and settings.contact:
        routes.append(PageRoute(settings.romma_url))
    why_no_pages = "CONTACT is not set" if settings.romma_html else "ROMMA_HTML is false"
    return Source(
        name=NAME,
        batch=ObservationBatch,
        routes=tuple(routes),
        max_age=MAX_AGE,
        public=NAME in settings.public_raw_sources,
        attribution="ROMMA, Réseau d'Observation Météo du Massif Alpin, romma.fr",
        disabled=None
        if routes
        else f"ROMMA_KEY is not set, and the station pages are not read because {why_no_pages}",
        no_past="ROMMA has no history",
    )


@dataclass(frozen=True, slots=True)
class KeyedRoute:
    """One XML with the last reading of every station that the key opens."""

    base_url: str
    key: SecretStr
    name: str = "keyed"
    rank: int = 0

    async def collect(self, wanted: Wanted, fetch: Fetch) -> AsyncIterator[ObservationBatch]:
        """Yield one batch of all stations."""
        request = Request(
            url=f"{self.base_url}/releves_romma_xml.php",
            kind="xml",
            secret_params={"id": self.key.get_secret_value()},
        )
        payload = await fetch(request)
        parsed = await asyncio.to_thread(parse_feed, payload)
        yield _batch(self, payload.fetched_at, parsed)


@dataclass(frozen=True, slots=True)
class PageRoute:
    """The public page of each station that speaks for a site, one after the other."""

    base_url: str
    name: str = "page"
    rank: int = 1

    async def collect(self, wanted: Wanted, fetch: Fetch) -> AsyncIterator[ObservationBatch]:
        """Yield one batch per station; nothing when no site names a station of the network."""
        for station in longest_waiting(wanted, NAME):
            number = Station(station).number
            request = Request(url=f"{self.base_url}/station_24.php", kind="html", params={"id": number})
            try:
                payload = await fetch(request)
                parsed = await asyncio.to_thread(parse_page, payload, station)
            except CollectorError as error:
                yield _batch(self, wanted.now, Parsed(), (as_failure(self.name, error),))
            else:
                yield _batch(self, payload.fetched_at, parsed)


def _batch(
    route: Route[ObservationBatch], collected_at: datetime, parsed: Parsed, failures: Sequence[Failure] = ()
) -> ObservationBatch:
    return ObservationBatch(
        source=NAME,
        route=route.name,
        rank=route.rank,
        collected_at=collected_at,
        records=tuple(parsed.records),
        rejected=tuple(parsed.rejected),
        failures=failures,
        newest=max((record.time for record in parsed.records), default=None),
        averaging_minutes=AVERAGING_MINUTES,
        direction_resolution=DIRECTION_RESOLUTION,
        stations=tuple(parsed.stations),
        positions=positions_of(parsed.stations, collected_at),
    )


def parse_feed(payload: Payload) -> Parsed:
    """Read the keyed XML. Raise ParseError for any other document, one without a station or of odd rows."""
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
    for name in ("valide", "date", *_XML_NAMES.values()):
        if all(element.find(name) is None for element in elements):
            raise ParseError(f"no row has a <{name}>", source=NAME, url=payload.url)
    parsed = Parsed()
    odd: list[OddRow] = []
    for position, element in enumerate(elements, start=1):
        number = _text(element, "id")
        if not _STATION_NUMBER.fullmatch(number):
            reason = f"row {position}: the station id {number[:40]!r} is not a number"
            odd.append(OddRow(number[:MAX_ODD_TEXT], reason))
            continue
        station = f"{NAME}:{number}"
        parsed.stations.append(_station(station, element))
        parsed.add(_feed_values(station, element, payload.fetched_at))
    try:
        require_few_odd(odd, len(elements))
    except ParseError as error:
        raise ParseError(error.reason, source=NAME, url=payload.url) from error
    parsed.add(Rejected(f"{NAME}:?", None, None, row.raw, f"{ODD_ROW}: {row.reason}") for row in odd)
    return parsed


def _xml(body: bytes) -> etree._Element:
    """Parse in the declared encoding, else UTF-8; in Latin-1 where the bytes are plainly not that."""
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


def _station(station: str, element: etree._Element) -> Station:
    latitude, longitude, elevation = (
        _number(text) if _NUMBER.fullmatch(text := _text(element, name)) else None
        for name in ("latitude", "longitude", "altitude")
    )
    return Station(station, _text(element, "station"), latitude, longitude, elevation)


def _feed_values(
    station: str, element: etree._Element, fetched_at: datetime
) -> Iterable[Observation | Rejected]:
    valid = _text(element, "valide")
    if valid != "1":
        return [Rejected(station, None, None, valid, "not_valid")]
    stamp = _text(element, "date")
    local = None
    if match := _XML_DATE.fullmatch(stamp):
        day, month, year, hour, minute = (int(digits) for digits in match.groups())
        local = _local(year, month, day, hour, minute)
    texts = {parameter: _text(element, name) for parameter, name in _XML_NAMES.items()}
    return readings(Row(station, stamp, local, texts), fetched_at)


def parse_page(payload: Payload, station: str) -> Parsed:
    """Read a station's page. Raise ParseError for a page that shows no reading."""
    try:
        block = parse_html(_decoded(payload.body)).css_first("#affichage_simple")
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
    for parameter, label in _PAGE_LABELS.items():
        if label.endswith(":") and label in compact and parameter not in texts:
            reason = f"the page announces {parameter} and shows no value where we know to look"
            raise ParseError(reason, source=NAME, url=payload.url)
    if not texts:
        raise ParseError("not one reading that we know", source=NAME, url=payload.url)
    if not _PAGE_WIND.isdisjoint(texts) and Parameter.WIND_SPEED not in texts:
        reason = "the page shows a direction or a gust, and no mean wind where we know to look"
        raise ParseError(reason, source=NAME, url=payload.url)
    parsed = Parsed()
    row = Row(station, heading["stamp"], _page_time(heading), texts)
    parsed.add(readings(row, payload.fetched_at))
    return parsed


def _decoded(body: bytes) -> str:
    try:
        return body.decode("utf-8-sig")
    except UnicodeDecodeError:
        return body.decode("iso-8859-1")


def _folded(text: str) -> str:
    """Return the text without accents and capitals, every run of spaces as one."""
    letters = (letter for letter in unicodedata.normalize("NFKD", text) if not unicodedata.combining(letter))
    return " ".join("".join(letters).lower().split())


def _page_texts(block: LexborNode) -> dict[Parameter, str]:
    """Return the value that directly follows each label we know; the first, where one is repeated.

    Each value belongs to the text since the value before it, so that a missing one never lets its
    label take the next: the gust of ten minutes is not the one since midnight.
    """
    texts: dict[Parameter, str] = {}
    for label, value in _labelled(block):
        for parameter, known in _PAGE_LABELS.items():
            if label.endswith(known):
                texts.setdefault(parameter, value)
    return texts


def _labelled(block: LexborNode) -> Iterator[tuple[str, str]]:
    label = ""
    for node in block.traverse(include_text=True):
        if _is_value(node):
            yield _folded(label).replace(" ", ""), node.text(strip=True)
            label = ""
        elif node.is_text_node and not _is_value(node.parent):
            label += node.text()


def _is_value(node: LexborNode | None) -> bool:
    if node is None or node.tag != "span":
        return False
    return not _PAGE_VALUES.isdisjoint((node.attributes.get("class") or "").split())


def _page_time(heading: re.Match[str]) -> datetime | None:
    _, day, month, year, hour, minute = heading.groups()
    if month not in _MONTHS:
        return None
    return _local(int(year), _MONTHS.index(month) + 1, int(day), int(hour), int(minute))


def _local(year: int, month: int, day: int, hour: int, minute: int) -> datetime | None:
    if year < _FIRST_YEAR:
        return None  # a station's clock that lost its battery
    try:
        return datetime(year, month, day, hour, minute)  # noqa: DTZ001 - Paris time, made aware in _moment
    except ValueError:
        return None


def readings(row: Row, fetched_at: datetime) -> list[Observation | Rejected]:
    """Convert one reading; what cannot be kept becomes a Rejected with its text and reason.

    `fetched_at` (UTC) tells the future and chooses between the two readings of October's doubled hour.
    """
    moment = _moment(row, fetched_at)
    if isinstance(moment, Rejected):
        return [moment]
    zeros = missing_as_zero(
        {
            parameter: _number(text) if _NUMBER.fullmatch(text) else None
            for parameter, text in row.texts.items()
        }
    )
    values = [
        Rejected(row.station, parameter, moment, text, zeros[parameter])
        if parameter in zeros
        else _value(row.station, parameter, text, moment)
        for parameter, text in row.texts.items()
        if text
    ]
    calm = any(
        isinstance(value, Observation) and value.parameter is Parameter.WIND_SPEED and value.value == 0
        for value in values
    )
    return [value for value in values if not (calm and value.parameter is Parameter.WIND_DIRECTION)]


def _moment(row: Row, fetched_at: datetime) -> datetime | Rejected:
    if row.local is None:
        return Rejected(row.station, None, None, row.stamp, "invalid_time")
    moment = paris_to_utc(row.local, fetched_at)
    if moment is None:
        return Rejected(row.station, None, None, row.stamp, "missing_hour")
    if moment > fetched_at + _FUTURE_TOLERANCE:
        return Rejected(row.station, None, moment, row.stamp, "future")
    return moment


def _value(station: str, parameter: Parameter, text: str, moment: datetime) -> Observation | Rejected:
    if text in _MISSING:
        return Rejected(station, parameter, moment, text, "missing")
    if parameter is Parameter.WIND_DIRECTION:
        try:
            degrees = french_compass_to_degrees(text)
        except ParseError:
            return Rejected(station, parameter, moment, text, "not_a_compass_point")
        return Observation(station, parameter, moment, degrees)
    if not _NUMBER.fullmatch(text):
        return Rejected(station, parameter, moment, text, "not_a_number")
    return Observation(station, parameter, moment, _number(text))


def _number(text: str) -> float:
    """Convert digits with a point or a French comma; "-0" is 0."""
    return float(text.replace(",", ".")) + 0.0
