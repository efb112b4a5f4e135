"""Read MeteoParapente's list of runs and its soundings. Pure.

See meteo_parapente.py for units and quirks.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, time
from itertools import pairwise
from typing import Annotated

import msgspec

from backend.collectors.base import Payload
from backend.collectors.transport.decoding import decode_json, decode_json_with_nan
from backend.core import registry
from backend.core.clock import CLOCK_TOLERANCE
from backend.core.errors import ParseError
from backend.core.parameters import Parameter, why_implausible
from backend.core.records import Forecast, GridPoint, Rejected, Run, Site
from backend.core.units import wind_from_components

NAME = registry.METEO_PARAPENTE.name
(_MODEL,) = registry.METEO_PARAPENTE.models
MODEL = _MODEL.name

_ECHO_TOLERANCE = 0.000_051
"""Half of the fourth decimal, in degrees: the answer repeats the requested position this exactly."""

_LONGEST_DAYS = 7
"""Highest accepted number of days after the day of the run; five were seen."""

_MOST_ODD_HOURS = 0.5
"""A sounding is refused if more than this share of its hours is odd: its format has changed."""

_CLOCK = re.compile(r"([01][0-9]|2[0-3]):([0-5][0-9])")

Level = float | str | bool | None
"""A value at one level. Only a number is valid; text ("NaN") was seen for a missing one."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One line of the list of runs: the state of one UTC day of a run.

    `private` days are reserved to subscribers. `update` is the publisher's time of completion.
    """

    reference_time: datetime
    day: date
    complete: bool
    private: bool
    update: datetime | None
    status: str = "complete"

    @property
    def version(self) -> str:
        """Return the version of the day; empty without a stamp."""
        return self.update.isoformat() if self.update else ""

    @property
    def part(self) -> str:
        """Return the day as the source writes it: the unit in which a run becomes complete."""
        return f"{self.day:%Y%m%d}"

    def available(self, now: datetime) -> Run:
        """Return the run with the time of availability of this day; `now` if it is not stated."""
        return Run(MODEL, self.reference_time, self.update or now, published=self.update is not None)


@dataclass(frozen=True, slots=True)
class Answer:
    """The values at a site in one run for one day; `absent` lists the missing parameters."""

    records: tuple[Forecast, ...]
    rejected: tuple[Rejected, ...]
    grid_point: GridPoint
    absent: str = ""

    def at(self, site: Site) -> Answer:
        """Return the same answer for another site of the same grid cell."""
        return Answer(
            tuple(msgspec.structs.replace(record, site=site.id) for record in self.records),
            tuple(replace(value, subject=_subject(site)) for value in self.rejected),
            replace(self.grid_point, site=site.id),
            self.absent,
        )


class _Line(msgspec.Struct):
    run: Annotated[str, msgspec.Meta(pattern="^[0-9]{10}$")]
    day: Annotated[str, msgspec.Meta(pattern="^[0-9]{8}$")]
    private: bool
    status: str
    update: Annotated[datetime, msgspec.Meta(tz=True)] | None = None


class _RunList(msgspec.Struct):
    france: list[msgspec.Raw]


class _Verdict(msgspec.Struct):
    status: str = "ok"
    message: str = ""


_Index = Annotated[float, msgspec.Meta(ge=0, le=1_000_000)]
_Metres = Annotated[float, msgspec.Meta(ge=-1000, le=100_000)]


class _GridCoords(msgspec.Struct):
    domain: _Index
    sn: _Index
    we: _Index
    lat: float
    lon: float


class _Hour(msgspec.Struct):
    z: list[_Metres]
    umet: list[Level] | None = None
    vmet: list[Level] | None = None
    tc: msgspec.Raw = msgspec.Raw(b"null")
    ter: Level = None

    @property
    def ground(self) -> float | None:
        """Return the model elevation (m), or None if the value is impossible."""
        return self.ter if isinstance(self.ter, float) and -1000 <= self.ter <= 9000 else None


class _Sounding(msgspec.Struct, rename="camel"):
    grid_coords: _GridCoords
    data: dict[str, msgspec.Raw]


_RUN_LIST = msgspec.json.Decoder(_RunList)
_LINE = msgspec.json.Decoder(_Line)
_VERDICT = msgspec.json.Decoder(_Verdict)
_SOUNDING = msgspec.json.Decoder(_Sounding)
_HOUR = msgspec.json.Decoder(_Hour)
_LEVELS = msgspec.json.Decoder(list[Level] | None)


class RefusedError(ParseError):
    """The server refuses a position or a day."""


def parse_status(payload: Payload, now: datetime) -> tuple[list[Entry], list[ParseError]]:
    """Read the list of runs: its entries, and an error for each invalid entry.

    Raise ParseError if the list itself is missing, empty or of another shape.
    """
    try:
        lines = decode_json(_RUN_LIST, payload.body).france
    except ParseError as error:
        raise ParseError(f"not a list of runs: {error.reason}", source=NAME, url=payload.url) from error
    if not lines:
        raise ParseError("no runs listed", source=NAME, url=payload.url)
    entries, errors = [], []
    for line in lines:
        try:
            entries.append(_entry(line, now))
        except (ParseError, ValueError, OverflowError) as error:
            reason = f"run list entry {bytes(line).decode(errors='replace')[:200]}: {error}"
            errors.append(ParseError(reason, source=NAME, url=payload.url))
    return entries, errors


def _entry(line: msgspec.Raw, now: datetime) -> Entry:
    """Convert one entry; raise ParseError, ValueError or OverflowError if it is invalid."""
    entry = decode_json(_LINE, bytes(line))
    started = time(int(entry.run[8:]), tzinfo=UTC)
    reference_time = datetime.combine(date.fromisoformat(entry.run[:8]), started)
    day = date.fromisoformat(entry.day)
    update = entry.update.astimezone(UTC) if entry.update else None
    if reference_time > now:
        raise ValueError("the run starts in the future")
    if not 0 <= (day - reference_time.date()).days <= _LONGEST_DAYS:
        raise ValueError("the day is outside the horizon of the run")
    if update and update < reference_time:
        raise ValueError("availability precedes run start")
    if update and update > now + CLOCK_TOLERANCE:
        raise ValueError("availability is in the future")
    return Entry(
        reference_time=reference_time,
        day=day,
        complete=entry.status == "complete",
        private=entry.private,
        update=update,
        status=entry.status[:40],
    )


def parse(payload: Payload, site: Site, entry: Entry) -> Answer:
    """Read a sounding: the lowest level (about 8 m above the model's ground) at each of its hours.

    Hours before the start of the run are skipped, and odd hours rejected. Raise ParseError for a refusal, for
    another position than `site`, if most hours are odd, and if no usable value remains.
    """
    try:
        sounding = _sounding(payload.body, site)
    except ParseError as error:
        raise type(error)(error.reason, source=NAME, url=payload.url) from error
    records: list[Forecast] = []
    rejected: list[Rejected] = []
    ground = height = None
    odd: list[str] = []
    used, without = 0, {"wind": 0, "temperature": 0}
    for clock, raw in sorted(sounding.data.items()):
        try:
            valid_time, hour = _hour(entry.day, clock, raw)
        except ParseError as error:
            odd.append(error.reason)
            text = bytes(raw).decode(errors="replace")[:200]
            rejected.append(Rejected(_subject(site), None, None, text, f"odd_hour: {error.reason}"))
            continue
        if ground is None and hour.ground is not None:
            ground, height = hour.ground, round(hour.z[0] - hour.ground, 1)
        if valid_time < entry.reference_time:
            continue  # not a forecast
        used += 1
        without["wind"] += hour.umet is None or hour.vmet is None
        without["temperature"] += bytes(hour.tc) == b"null"
        for parameter, value in _lowest_level(hour).items():
            if isinstance(value, float):
                records.append(Forecast(MODEL, site.id, parameter, entry.reference_time, valid_time, value))
            else:
                rejected.append(Rejected(_subject(site), parameter, valid_time, value, "not_a_number"))
    if len(odd) > _MOST_ODD_HOURS * len(sounding.data):
        raise ParseError(odd[0], source=NAME, url=payload.url)
    if not records:
        reason = f"no usable value at or after the start of the run for {entry.day}"
        raise ParseError(reason, source=NAME, url=payload.url)
    absent = [
        name if hours == used else f"{name} in {hours} of {used} hours"
        for name, hours in without.items()
        if hours
    ]
    if odd:
        absent.append(f"{len(odd)} of {len(sounding.data)} hours: {odd[0]}")
    grid = sounding.grid_coords
    point = GridPoint(MODEL, site.id, f"{grid.domain:.0f}/{grid.sn:.0f}/{grid.we:.0f}", ground, height)
    return Answer(tuple(records), tuple(rejected), point, " and ".join(absent))


def _sounding(body: bytes, site: Site) -> _Sounding:
    """Decode a sounding; raise ParseError for a refusal, and for another position than `site`."""
    try:
        verdict = decode_json_with_nan(_VERDICT, body)
        sounding = decode_json_with_nan(_SOUNDING, body) if verdict.status == "ok" else None
    except ParseError as error:
        raise ParseError(f"not a sounding: {error.reason}") from error
    if sounding is None:
        raise RefusedError(f"refused with status {verdict.status[:40]!r}: {verdict.message[:200]}")
    grid = sounding.grid_coords
    requested = round(site.latitude, 5), round(site.longitude, 5)
    if not all(
        math.isclose(echo, degrees, rel_tol=0, abs_tol=_ECHO_TOLERANCE)
        for echo, degrees in zip((grid.lat, grid.lon), requested, strict=True)
    ):
        raise ParseError(f"requested {requested[0]},{requested[1]}, response is for {grid.lat},{grid.lon}")
    return sounding


def _hour(day: date, clock: str, raw: msgspec.Raw) -> tuple[datetime, _Hour]:
    """Return time (UTC) and content of one hour; raise ParseError if one of them is odd."""
    match = _CLOCK.fullmatch(clock)
    if match is None:
        raise ParseError(f"{clock!r} is not a time of day such as '12:30'")
    try:
        hour = decode_json(_HOUR, bytes(raw))
    except ParseError as error:
        raise ParseError(f"{clock}: {error.reason}") from error
    lengths = {len(levels) for levels in (hour.z, hour.umet, hour.vmet) if levels is not None}
    if len(lengths) != 1 or 0 in lengths:
        raise ParseError(f"{clock}: z, umet and vmet are empty or of unequal length")
    if any(upper <= lower for lower, upper in pairwise(hour.z)):
        raise ParseError(f"{clock}: level altitudes do not ascend")
    return datetime.combine(day, time(int(match[1]), int(match[2])), UTC), hour


def _lowest_level(hour: _Hour) -> dict[Parameter, float | str]:
    """Return the values of one hour; one that is not a number as text. A null is absent."""
    values: dict[Parameter, float | str] = {}
    east, north = (levels[0] if levels else None for levels in (hour.umet, hour.vmet))
    if isinstance(east, float) and isinstance(north, float):
        speed, direction = wind_from_components(east, north)
        values[Parameter.WIND_SPEED] = speed
        # An impossible speed is rejected later; its direction must not stay.
        if direction is not None and why_implausible(Parameter.WIND_SPEED, speed) is None:
            values[Parameter.WIND_DIRECTION] = direction
    elif east is not None and north is not None:
        values[Parameter.WIND_SPEED] = f"umet {east!r}, vmet {north!r}"
    temperature: Level
    try:
        levels = decode_json(_LEVELS, bytes(hour.tc))
    except ParseError:
        temperature = bytes(hour.tc).decode(errors="replace")[:200]
    else:
        temperature = levels[0] if levels else None
        if levels is not None and len(levels) != len(hour.z):
            temperature = f"{len(levels)} values for {len(hour.z)} levels"
    if isinstance(temperature, float):
        values[Parameter.TEMPERATURE] = temperature + 0.0  # -0.0 becomes 0.0
    elif temperature is not None:
        values[Parameter.TEMPERATURE] = repr(temperature)
    return values


def _subject(site: Site) -> str:
    return f"{MODEL} {site.id}"
