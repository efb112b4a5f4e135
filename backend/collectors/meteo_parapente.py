"""MeteoParapente: a weather model of its own, run for paraglider pilots. It is not AROME.

Published by meteo-parapente.com: WRF lineage, 2.5 km over France, runs of 00, 06, 12 and 18 UTC, each
up to 5 days ahead, 04:00 to 21:00 only. A run's first day is complete about 6 to 8 h after its start,
each further day about 1.5 h later. No key; the data are protected and not ours to show.
Metres per second, °C, metres above sea level, UTC.

Quirks: the list of runs is sorted by day, so its first entry is the furthest day, and some runs are
simply absent (seen 2025-09-15). A refusal comes with HTTP 200. Half-hourly in soundings, no gust.
See docs/sources/meteo_parapente.md.
"""

from __future__ import annotations

import asyncio
import math
import re
from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, time, timedelta
from itertools import pairwise
from typing import Annotated

import msgspec

from backend.collectors.base import Fetch, Payload, Request, Source, as_failure
from backend.collectors.decoding import decode_json
from backend.core.config import Settings
from backend.core.errors import CollectorError, ParseError
from backend.core.parameters import Parameter, why_implausible
from backend.core.records import Failure, Forecast, ForecastBatch, GridPoint, Rejected, Run, Site, Wanted
from backend.core.units import wind_from_components

NAME = MODEL = "meteo_parapente"

MAX_AGE = timedelta(hours=20)
"""A run may be 14 h old before the next one is complete (6 h apart, up to 8 h late); one may be left out."""

_ECHO_TOLERANCE = 0.000_051
"""Half of the fourth decimal, in degrees: the answer repeats the place it was asked for that exactly."""

_FUTURE_TOLERANCE = timedelta(minutes=10)
"""How far ahead of ours the publisher's clock may run."""

_LONGEST_DAYS = 7
"""How many days after its own a run may speak of, at most; five were seen."""

_CLOCK = re.compile(r"([01][0-9]|2[0-3]):([0-5][0-9])")

Level = float | str | bool | None
"""A value at one level. Text was seen where there is none ("NaN"); only a number is a value."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One line of the list of runs: how far a run has come with one UTC day.

    `private` days are reserved to subscribers. `update` is when the publisher had it complete.
    """

    reference_time: datetime
    day: date
    complete: bool
    private: bool
    update: datetime | None

    @property
    def part(self) -> str:
        """Return the day as the source writes it: the unit in which a run becomes complete."""
        return f"{self.day:%Y%m%d}"

    def available(self, now: datetime) -> Run:
        """Return the run with the time this day of it could be had; `now` where it is not stated."""
        return Run(MODEL, self.reference_time, self.update or now, published=self.update is not None)


@dataclass(frozen=True, slots=True)
class Answer:
    """What the model says at a site in one run for one day."""

    records: tuple[Forecast, ...]
    rejected: tuple[Rejected, ...]
    grid_point: GridPoint

    def at(self, site: Site) -> Answer:
        """Return the same answer for another site of the same grid cell."""
        return Answer(
            tuple(msgspec.structs.replace(record, site=site.id) for record in self.records),
            tuple(replace(value, subject=_subject(site)) for value in self.rejected),
            replace(self.grid_point, site=site.id),
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
    umet: list[Level]
    vmet: list[Level]
    tc: list[Level] | None = None
    ter: _Metres | None = None


class _Sounding(msgspec.Struct, rename="camel"):
    grid_coords: _GridCoords
    data: dict[str, _Hour]


_RUN_LIST = msgspec.json.Decoder(_RunList)
_LINE = msgspec.json.Decoder(_Line)
_VERDICT = msgspec.json.Decoder(_Verdict)
_SOUNDING = msgspec.json.Decoder(_Sounding)


def build(settings: Settings) -> Source[ForecastBatch]:
    """Return the source, disabled without an address that the publisher can write to."""
    return Source(
        name=NAME,
        batch=ForecastBatch,
        routes=(ApiRoute(settings.meteo_parapente_url),),
        max_age=MAX_AGE,
        public=NAME in settings.public_raw_sources,
        attribution="MeteoParapente, meteo-parapente.com",
        models=(MODEL,),
        disabled=None
        if settings.contact
        else "CONTACT is not set: MeteoParapente is asked only with an address it can write to",
        no_past="its runs are kept for about three days, and FORECAST_LOOKBACK_HOURS=84 collects them",
    )


@dataclass(frozen=True, slots=True)
class ApiRoute:
    """The interface behind the publisher's own web pages."""

    base_url: str
    name: str = "api"
    rank: int = 0

    async def collect(self, wanted: Wanted, fetch: Fetch) -> AsyncIterator[ForecastBatch]:
        """Yield every complete (run, day) that a site still misses, the newest run and next day first.

        Days gone by come last. A run is listed with them for three days, so that an evening without us, or
        without the publisher, loses nothing of what was said in time.
        """
        listing = await fetch(Request(url=f"{self.base_url}/status.php", kind="json"))
        entries, errors = parse_status(listing, wanted.now)
        newest = max((entry.reference_time for entry in entries if entry.complete), default=None)
        due = [entry for entry in entries if self._is_due(entry, wanted)]
        if errors or not due:
            yield ForecastBatch(
                source=NAME,
                route=self.name,
                rank=self.rank,
                collected_at=listing.fetched_at,
                failures=tuple(as_failure(self.name, error) for error in errors),
                newest=newest,
            )
        cells = {site: cell for (model, site), cell in wanted.cells.items() if model == MODEL}
        today = wanted.now.date()
        for entry in sorted(due, key=lambda e: (e.day < today, wanted.now - e.reference_time, e.day)):
            yield replace(await self._collect_day(entry, wanted, fetch, cells), newest=newest)

    def _is_due(self, entry: Entry, wanted: Wanted) -> bool:
        return (
            entry.complete
            and not entry.private
            and entry.reference_time >= wanted.since
            and bool(wanted.missing(MODEL, entry.reference_time, entry.part, self.rank))
        )

    async def _collect_day(
        self, entry: Entry, wanted: Wanted, fetch: Fetch, cells: dict[str, str]
    ) -> ForecastBatch:
        """Ask once for each grid cell; add what is learned to `cells` (site to cell)."""
        answers: list[Answer] = []
        failures: list[Failure] = []
        by_cell: dict[str, Answer | None] = {}  # None: the request for this cell failed
        collected_at = wanted.now
        for site in wanted.missing(MODEL, entry.reference_time, entry.part, self.rank):
            known = cells.get(site.id)
            if known is not None and known in by_cell:
                if shared := by_cell[known]:
                    answers.append(shared.at(site))
                continue
            try:
                payload = await fetch(self._request(site, entry))
                answer = await asyncio.to_thread(parse, payload, site, entry)
                _check_temperature(answer, payload)
            except CollectorError as error:
                failures.append(as_failure(self.name, error))
                if known is not None:
                    by_cell[known] = None
                continue
            collected_at = payload.fetched_at
            cells[site.id] = answer.grid_point.cell
            by_cell[answer.grid_point.cell] = answer
            answers.append(answer)
        return ForecastBatch(
            source=NAME,
            route=self.name,
            rank=self.rank,
            collected_at=collected_at,
            records=tuple(record for answer in answers for record in answer.records),
            rejected=tuple(value for answer in answers for value in answer.rejected),
            failures=tuple(failures),
            run=entry.available(wanted.now),
            parts=(entry.part,),
            sites=tuple(answer.grid_point.site for answer in answers),
            grid_points=tuple(answer.grid_point for answer in answers),
        )

    def _request(self, site: Site, entry: Entry) -> Request:
        return Request(
            url=f"{self.base_url}/data.php",
            kind="json",
            params={
                "run": f"{entry.reference_time:%Y%m%d%H}",
                "location": f"{site.latitude:.5f},{site.longitude:.5f}",
                "date": entry.part,
                "plot": "sounding",
            },
        )


def _check_temperature(answer: Answer, payload: Payload) -> None:
    """Refuse a sounding that says nothing of the temperature: only a windgram may, and we asked for none."""
    said = {record.parameter for record in answer.records} | {value.parameter for value in answer.rejected}
    if Parameter.TEMPERATURE not in said:
        raise ParseError("a sounding without one temperature", source=NAME, url=payload.url)


def parse_status(payload: Payload, now: datetime) -> tuple[list[Entry], list[ParseError]]:
    """Read the list of runs: its entries, and an error for each entry that cannot be understood.

    Raise ParseError when the list itself is missing, empty or of another shape.
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
    """Convert one entry; raise ParseError, ValueError or OverflowError for a wrong one."""
    entry = decode_json(_LINE, bytes(line))
    started = time(int(entry.run[8:]), tzinfo=UTC)
    reference_time = datetime.combine(date.fromisoformat(entry.run[:8]), started)
    day = date.fromisoformat(entry.day)
    update = entry.update.astimezone(UTC) if entry.update else None
    if reference_time > now:
        raise ValueError("the run starts in the future")
    if not 0 <= (day - reference_time.date()).days <= _LONGEST_DAYS:
        raise ValueError("a day that the run cannot speak of")
    if update and update < reference_time:
        raise ValueError("available before its run started")
    if update and update > now + _FUTURE_TOLERANCE:
        raise ValueError("available in the future")
    return Entry(
        reference_time=reference_time,
        day=day,
        complete=entry.status == "complete",
        private=entry.private,
        update=update,
    )


def parse(payload: Payload, site: Site, entry: Entry) -> Answer:
    """Read a sounding: the lowest level (about 8 m above the model's ground) at every hour given.

    Hours before the run started are left out. Raise ParseError for a refusal, for another place than
    `site`, for levels that do not fit together, and when nothing usable is left.
    """
    try:
        return _answer(_sounding(payload.body), site, entry)
    except ParseError as error:
        raise ParseError(error.reason, source=NAME, url=payload.url) from error


def _sounding(body: bytes) -> _Sounding:
    try:
        verdict = decode_json(_VERDICT, body)
        if verdict.status == "ok":
            return decode_json(_SOUNDING, body)
    except ParseError as error:
        raise ParseError(f"not a sounding: {error.reason}") from error
    raise ParseError(f"refused with status {verdict.status[:40]!r}: {verdict.message[:200]}")


def _answer(sounding: _Sounding, site: Site, entry: Entry) -> Answer:
    grid = sounding.grid_coords
    _check_place(grid, site)
    records: list[Forecast] = []
    rejected: list[Rejected] = []
    ground = height = None
    for clock, hour in sorted(sounding.data.items()):
        valid_time = datetime.combine(entry.day, _time_of_day(clock), UTC)
        _check_levels(clock, hour)
        if ground is None and hour.ter is not None:
            ground, height = hour.ter, round(hour.z[0] - hour.ter, 1)
        if valid_time < entry.reference_time:
            continue  # a run has nothing to say about its past
        values, unreadable = _lowest_level(hour)
        records += [
            Forecast(MODEL, site.id, parameter, entry.reference_time, valid_time, value)
            for parameter, value in values.items()
        ]
        rejected += [
            Rejected(_subject(site), parameter, valid_time, raw, "not_a_number")
            for parameter, raw in unreadable.items()
        ]
    if not records:
        raise ParseError(f"no usable value at or after the start of the run for {entry.day}")
    cell = f"{grid.domain:.0f}/{grid.sn:.0f}/{grid.we:.0f}"
    return Answer(tuple(records), tuple(rejected), GridPoint(MODEL, site.id, cell, ground, height))


def _lowest_level(hour: _Hour) -> tuple[dict[Parameter, float], dict[Parameter, str]]:
    """Return the values of one hour, and as text what stood where a number should. A null is absent."""
    values: dict[Parameter, float] = {}
    unreadable: dict[Parameter, str] = {}
    east, north = hour.umet[0], hour.vmet[0]
    if isinstance(east, float) and isinstance(north, float):
        speed, direction = wind_from_components(east, north)
        values[Parameter.WIND_SPEED] = speed
        # A wind that cannot be true is set aside by its speed; its direction is no truer.
        if direction is not None and why_implausible(Parameter.WIND_SPEED, speed) is None:
            values[Parameter.WIND_DIRECTION] = direction
    elif east is not None and north is not None:
        unreadable[Parameter.WIND_SPEED] = f"umet {east!r}, vmet {north!r}"
    temperature = hour.tc[0] if hour.tc else None
    if isinstance(temperature, float):
        values[Parameter.TEMPERATURE] = temperature + 0.0  # -0.0 becomes 0.0
    elif temperature is not None:
        unreadable[Parameter.TEMPERATURE] = repr(temperature)
    return values, unreadable


def _check_place(grid: _GridCoords, site: Site) -> None:
    asked = round(site.latitude, 5), round(site.longitude, 5)
    if not all(
        math.isclose(echo, degrees, rel_tol=0, abs_tol=_ECHO_TOLERANCE)
        for echo, degrees in zip((grid.lat, grid.lon), asked, strict=True)
    ):
        raise ParseError(f"the answer is for {grid.lat},{grid.lon}, not for {asked[0]},{asked[1]}")


def _check_levels(clock: str, hour: _Hour) -> None:
    lengths = {len(levels) for levels in (hour.z, hour.umet, hour.vmet, hour.tc) if levels is not None}
    if len(lengths) != 1 or 0 in lengths:
        raise ParseError(f"{clock}: z, umet, vmet and tc are empty or of unequal length")
    if any(upper <= lower for lower, upper in pairwise(hour.z)):
        raise ParseError(f"{clock}: level altitudes do not ascend")


def _time_of_day(clock: str) -> time:
    match = _CLOCK.fullmatch(clock)
    if match is None:
        raise ParseError(f"{clock!r} is not a time of day such as '12:30'")
    return time(int(match[1]), int(match[2]))


def _subject(site: Site) -> str:
    return f"{MODEL} {site.id}"
