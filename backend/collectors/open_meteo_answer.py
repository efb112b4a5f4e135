"""Convert one answer of Open-Meteo into forecasts. Pure.

An answer for several sites is a list in the order of the request. An error in it invalidates only the value,
column or site that has it. See open_meteo.py for units and quirks.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import product

import msgspec

from backend.collectors.runs import Part, without_wind
from backend.collectors.transport.decoding import decode_json, decode_json_with_nan
from backend.core.errors import ParseError
from backend.core.parameters import Parameter
from backend.core.records import Forecast, GridPoint, IncompletePart, Outside, Rejected, Site

UNITS = {
    "wind_speed_10m": "km/h",
    "wind_direction_10m": "°",
    "wind_gusts_10m": "km/h",
    "temperature_2m": "°C",
}
_PARAMETERS = {
    "wind_speed_10m": Parameter.WIND_SPEED,
    "wind_direction_10m": Parameter.WIND_DIRECTION,
    "wind_gusts_10m": Parameter.WIND_GUST,
    "temperature_2m": Parameter.TEMPERATURE,
}
_NO_DATA = "undefined"
_BROKE_OFF = b"Unexpected error while streaming data"
_HOUR = timedelta(hours=1)

Value = float | str | bool | None
"""A value of a column, or a coordinate. Only a float is valid; bare `nan` is read as text."""


class _Location(msgspec.Struct):
    utc_offset_seconds: int
    hourly: dict[str, msgspec.Raw]
    latitude: Value = None
    longitude: Value = None
    hourly_units: dict[str, Value] = {}
    elevation: Value = None


class _Refusal(msgspec.Struct):
    error: bool
    reason: str = ""


_LOCATION = msgspec.json.Decoder(_Location)
_ONE_LOCATION = msgspec.json.Decoder(msgspec.Raw)
_LOCATIONS = msgspec.json.Decoder(list[msgspec.Raw])
_REFUSAL = msgspec.json.Decoder(_Refusal)
_COLUMN = msgspec.json.Decoder(list[Value])


@dataclass(frozen=True, slots=True)
class AnswerValues:
    """The values of one answer, and its missing values.

    `parts` are complete except for the pairs of part and site in `incomplete`. `outside` are sites without
    a grid cell, or without any value while others have some. `empty` are the variables without a value at any
    site.
    """

    records: tuple[Forecast, ...]
    rejected: tuple[Rejected, ...]
    parts: tuple[Part, ...]
    grid_points: tuple[GridPoint, ...] = ()
    incomplete: tuple[IncompletePart, ...] = ()
    outside: tuple[Outside, ...] = ()
    empty: tuple[str, ...] = ()


@dataclass(slots=True)
class _Place:
    """The part of the answer for one site; `problems` are texts."""

    site: Site
    records: list[Forecast] = field(default_factory=list)
    rejected: list[Rejected] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    variables: set[str] = field(default_factory=set)  # variables with a value
    winds: set[int] = field(default_factory=set)  # the lead times with a wind
    point: GridPoint | None = None
    no_cell: bool = False

    @property
    def bare(self) -> bool:
        """True if there is neither a value nor a problem."""
        return not self.variables and not self.problems and not self.rejected


def parse(
    body: bytes,
    *,
    model: str,
    reference_time: datetime,
    parts: Sequence[Part],
    sites: Sequence[Site],
    source: str = "",
    url: str = "",
) -> AnswerValues:
    """Convert an answer, its locations in the order of `sites`, into forecasts for the hours of `parts`.

    Null is absent, and a calm has no direction. Raises ParseError for another shape or number of locations,
    for a wind from before the run (then runs were joined), or if every location has a problem.
    """
    try:
        places = [
            _place(location, model, reference_time, parts, site)
            for site, location in zip(sites, _locations(body, len(sites)), strict=True)
        ]
    except ParseError as error:
        raise ParseError(error.reason, source=source, url=url) from error
    odd = [place.problems[0] for place in places if place.problems and not place.records]
    if odd and len(odd) == len(places):
        raise ParseError(odd[0], source=source, url=url)
    return _together(model, parts, places)


def _together(model: str, parts: Sequence[Part], places: Sequence[_Place]) -> AnswerValues:
    covered = [place for place in places if not place.bare]
    outside = [
        Outside(model, place.site.id, "Open-Meteo has no grid cell of the model there")
        if place.no_cell
        else Outside(model, place.site.id, "Open-Meteo has no value of the model there")
        for place in places
        if place.bare and (place.no_cell or covered)
    ]
    names = {one.site for one in outside}
    incomplete: list[IncompletePart] = []
    for place, part in product(places, parts):
        without = [lead for lead in part.leads if lead not in place.winds]
        if place.site.id in names or not (place.problems or without):
            continue
        reason = "; ".join(place.problems) or without_wind(without)
        incomplete.append(IncompletePart(part.name, place.site.id, reason))
    open_ = {(one.part, one.site) for one in incomplete}
    return AnswerValues(
        records=tuple(record for place in places for record in place.records),
        rejected=tuple(value for place in places for value in place.rejected),
        parts=tuple(
            part for part in parts if any((part.name, place.site.id) not in open_ for place in places)
        ),
        grid_points=tuple(place.point for place in places if place.point and place.records),
        incomplete=tuple(incomplete),
        outside=tuple(outside),
        empty=tuple(
            name for name in UNITS if covered and not any(name in place.variables for place in covered)
        ),
    )


def _locations(body: bytes, expected: int) -> list[msgspec.Raw]:
    try:
        locations = (
            decode_json_with_nan(_LOCATIONS, body)
            if body.lstrip().startswith(b"[")
            else [decode_json_with_nan(_ONE_LOCATION, body)]
        )
    except ParseError as error:
        broke_off = body.find(_BROKE_OFF)
        reason = (
            body[broke_off : broke_off + 200].decode(errors="replace") if broke_off >= 0 else error.reason
        )
        raise ParseError(f"not an hourly forecast: {reason}") from error
    if len(locations) == 1:
        try:
            refusal = decode_json(_REFUSAL, bytes(locations[0]))
        except ParseError:
            pass  # it is a forecast
        else:
            raise ParseError(f"not an hourly forecast: refused: {refusal.reason[:200]}")
    if len(locations) != expected:
        raise ParseError(f"{len(locations)} locations for {expected} sites")
    return locations


def _place(
    raw: msgspec.Raw, model: str, reference_time: datetime, parts: Sequence[Part], site: Site
) -> _Place:
    place = _Place(site)
    try:
        location = decode_json(_LOCATION, bytes(raw))
    except ParseError as error:
        place.problems.append(f"not an hourly forecast: {error.reason}")
        return place
    if location.utc_offset_seconds:
        place.problems.append(f"not an hourly forecast: times {location.utc_offset_seconds} s off UTC")
        return place
    columns = _columns(location, place)
    leads: list[tuple[int, datetime] | None] = []  # lead time (h) and valid time of each row
    for text in (_listed(location.hourly.get("time")) or []) if columns else []:
        try:
            valid_time = datetime.strptime(str(text), "%Y-%m-%dT%H:%M").replace(tzinfo=UTC)
        except ValueError:
            valid_time = None
        lead, rest = divmod(valid_time - reference_time, _HOUR) if valid_time else (0, _HOUR)
        if valid_time is None or rest:
            reason = "odd_time: not a whole hour after the run"
            place.rejected.append(Rejected(f"{model} {site.id}", None, None, str(text), reason))
            leads.append(None)
        else:
            leads.append((lead, valid_time))
    if leads and not any(leads):
        first = place.rejected[0].raw
        place.problems.append(f"not an hourly forecast: no time is a whole hour: {first!r}")
        return place
    cell = (location.latitude, location.longitude)
    place.no_cell = not all(isinstance(degrees, float) for degrees in cell)
    if not place.no_cell:
        # 0 is also written for an unknown elevation; cells at sea lose theirs by this.
        elevation = location.elevation if isinstance(location.elevation, float) else None
        place.point = GridPoint(model, site.id, "{:g},{:g}".format(*cell), elevation or None)
    _read(place, columns, leads, model, reference_time, parts)
    return place


def _columns(location: _Location, place: _Place) -> dict[str, list[Value]]:
    """Return the usable columns; add the others to the problems of the site.

    A site that the model does not cover has no columns, or empty ones: these are not problems.
    """
    times = _listed(location.hourly.get("time"))
    columns: dict[str, list[Value]] = {}
    problems: list[str] = []
    for name, unit in UNITS.items():
        column = _listed(location.hourly.get(name))
        reported = location.hourly_units.get(name, "")
        empty = column is not None and all(value is None for value in column)
        if name not in location.hourly:
            problems.append(f"without {name}")
        elif column is None or times is None:
            problems.append(f"{name} is not a list")
        elif len(column) != len(times):
            problems.append(f"{len(column)} values of {name} for {len(times)} hours")
        elif reported != unit and not (empty and reported in {_NO_DATA, ""}):
            problems.append(f"{name} in {reported!r} instead of {unit!r}")
        else:
            columns[name] = column
    if not any(columns.values()) and not any(_listed(location.hourly.get(name)) for name in UNITS):
        return {}
    place.problems += problems
    return columns


def _listed(raw: msgspec.Raw | None) -> list[Value] | None:
    if raw is None:
        return None
    try:
        return decode_json(_COLUMN, bytes(raw))
    except ParseError:
        return None


def _read(
    place: _Place,
    columns: Mapping[str, Sequence[Value]],
    leads: Sequence[tuple[int, datetime] | None],
    model: str,
    reference_time: datetime,
    parts: Sequence[Part],
) -> None:
    requested = {lead for part in parts for lead in part.leads}
    subject = f"{model} {place.site.id}"
    speeds = columns.get("wind_speed_10m")
    for (index, at), (name, column) in product(enumerate(leads), columns.items()):
        if at is None:
            continue
        lead, valid_time = at
        # A calm has no direction.
        calm = name == "wind_direction_10m" and speeds is not None and not speeds[index]
        value = None if calm else column[index]
        if isinstance(value, float):
            place.variables.add(name)
            if name == "wind_speed_10m":
                if lead < 0:
                    raise ParseError("wind from before the run: other runs are mixed into the answer")
                place.winds.add(lead)
        if lead not in requested or value is None:
            continue
        parameter = _PARAMETERS[name]
        if isinstance(value, float):
            place.records.append(Forecast(model, place.site.id, parameter, reference_time, valid_time, value))
        else:
            place.rejected.append(Rejected(subject, parameter, valid_time, repr(value)[:200], "not_a_number"))
