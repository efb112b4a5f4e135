"""MeteoParapente: a weather model of its own, run for paraglider pilots. It is not AROME.

Published by meteo-parapente.com: WRF lineage, 2.5 km over France, runs of 00, 06, 12 and 18 UTC, each
up to 5 days ahead, 04:00 to 21:00 only. A run's first day is complete about 6 to 8 h after its start,
each further day about 1.5 h later. No key; the data are protected and not ours to show.
Metres per second, °C, metres above sea level, UTC.

Quirks: the list of runs is sorted by day, so its first entry is the furthest day, and some runs are
simply absent (seen 2025-09-15). A refusal comes with HTTP 200. Half-hourly in soundings, no gust.
See docs/sources/meteo_parapente.md.

What is odd in a sounding costs itself: an hour, or a value. A day that came without wind or temperature is
asked for again at one site only, until that one is complete: an answer has neither a size nor a stamp that is
known before. A day that a run leaves unfinished, while a newer run has
it or a day after the start of the run, is reported as incomplete; if it is finished late, it is taken. What
the server has of an unfinished day is not asked for, because nobody has recorded what that is.
"""

from __future__ import annotations

import asyncio
import math
import re
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, time, timedelta
from http import HTTPStatus
from itertools import pairwise
from typing import Annotated

import msgspec

from backend.collectors.areas import within
from backend.collectors.base import Fetch, Payload, Request, Source, as_failure
from backend.collectors.transport.decoding import decode_json, decode_json_with_nan
from backend.core import registry
from backend.core.clock import CLOCK_TOLERANCE
from backend.core.config import Settings
from backend.core.errors import CollectorError, FetchError, IncompleteError, ParseError
from backend.core.parameters import Parameter, why_implausible
from backend.core.records import (
    CollectionRequest,
    Failure,
    Forecast,
    ForecastBatch,
    GridPoint,
    IncompletePart,
    Outside,
    Rejected,
    Run,
    Site,
)
from backend.core.terms import terms_of
from backend.core.units import wind_from_components

NAME, (_MODEL,) = registry.METEO_PARAPENTE.name, registry.METEO_PARAPENTE.models
MODEL = _MODEL.name

MAX_AGE = timedelta(hours=20)
"""A run may be 14 h old before the next one is complete (6 h apart, up to 8 h late); one may be left out."""

_ECHO_TOLERANCE = 0.000_051
"""Half of the fourth decimal, in degrees: the answer repeats the place it was asked for that exactly."""

_LONGEST_DAYS = 7
"""How many days after its own a run may speak of, at most; five were seen."""

_OVERDUE_AFTER = timedelta(hours=24)
"""How long after its start a run may still finish a day: the last one takes up to 12.5 h."""

_MOST_ODD_HOURS = 0.5
"""A sounding fails when more than this share of its hours is odd: then its format has changed."""

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
    status: str = "complete"

    @property
    def version(self) -> str:
        """Return what tells one state of the day from another; empty where there is no stamp."""
        return self.update.isoformat() if self.update else ""

    @property
    def part(self) -> str:
        """Return the day as the source writes it: the unit in which a run becomes complete."""
        return f"{self.day:%Y%m%d}"

    def available(self, now: datetime) -> Run:
        """Return the run with the time this day of it could be had; `now` where it is not stated."""
        return Run(MODEL, self.reference_time, self.update or now, published=self.update is not None)


@dataclass(frozen=True, slots=True)
class Answer:
    """The values at a site in one run for one day; `absent` names the parameters that it is without."""

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
        """Return the height of the model's ground (m), where it can be one."""
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
    """The server refuses to answer for a place or a day."""


def build(settings: Settings) -> Source[ForecastBatch]:
    """Return the source, disabled without an address that the publisher can write to."""
    return Source.of(
        terms_of(registry.METEO_PARAPENTE, settings),
        batch=ForecastBatch,
        routes=(ApiRoute(settings.meteo_parapente_url),),
        max_age=MAX_AGE,
        disabled=None
        if settings.contact
        else "CONTACT is not set: MeteoParapente is asked only with an address it can write to",
        no_archive_reason=(
            "its runs are kept for about three days, and FORECAST_LOOKBACK_HOURS=84 collects them"
        ),
    )


@dataclass(frozen=True, slots=True)
class ApiRoute:
    """The interface behind the publisher's own web pages."""

    base_url: str
    name: str = "api"
    rank: int = 0

    async def collect(self, needs: CollectionRequest, fetch: Fetch) -> AsyncIterator[ForecastBatch]:
        """Yield every complete (run, day) that a site still misses, the newest run and next day first.

        Days gone by come last. A run is listed with them for three days, so that an evening without us, or
        without the publisher, loses nothing of what was said in time.
        """
        listing = await fetch(Request(url=f"{self.base_url}/status.php", kind="json"))
        entries, errors = parse_status(listing, needs.now)
        newest = max((entry.reference_time for entry in entries if entry.complete), default=None)
        needs, outside = within(MODEL, _MODEL.area, needs)
        due = [entry for entry in entries if self._is_due(entry, needs)]
        if errors or outside or not due:
            yield ForecastBatch(
                source=NAME,
                route=self.name,
                rank=self.rank,
                collected_at=listing.fetched_at,
                failures=tuple(as_failure(self.name, error) for error in errors),
                newest=newest,
                outside=outside,
            )
        async for batch in self._unfinished(entries, needs, listing.fetched_at):
            yield replace(batch, newest=newest)
        refused: set[str] = set()
        cells = {site: cell for (model, site), cell in needs.cells.items() if model == MODEL}
        today = needs.now.date()
        for entry in sorted(due, key=lambda e: (e.day < today, needs.now - e.reference_time, e.day)):
            yield replace(await self._collect_day(entry, needs, fetch, cells, refused), newest=newest)

    async def _unfinished(
        self, entries: Sequence[Entry], needs: CollectionRequest, seen_at: datetime
    ) -> AsyncIterator[ForecastBatch]:
        """Yield the days that runs left unfinished: as a failure where that is new, else in a note."""
        days: dict[datetime, list[Entry]] = {}
        for entry in entries:
            if _is_overdue(entry, entries, needs.now) and entry.reference_time >= needs.since:
                days.setdefault(entry.reference_time, []).append(entry)
        known: list[str] = []
        for start, left in sorted(days.items(), reverse=True):
            missing = [
                (entry, site) for entry in left for site in needs.missing(MODEL, start, entry.part, self.rank)
            ]
            new = [
                IncompletePart(entry.part, site.id, f"the day stayed at {entry.status!r}")
                for entry, site in missing
                if not needs.known_incomplete(MODEL, start, entry.part, site.id)
            ]
            if new:
                states = ", ".join(f"{entry.part} stayed at {entry.status!r}" for entry in left)
                reason = f"{MODEL} of {start:%Y-%m-%d %H:%M} UTC is incomplete: {states}"
                yield replace(
                    self._batch(seen_at),
                    failures=(as_failure(self.name, IncompleteError(reason, source=NAME)),),
                    run=Run(MODEL, start, needs.now, published=False),
                    incomplete=tuple(new),
                )
            elif missing:
                known.append(f"{start:%Y-%m-%d %H:%M}")
        if known:
            yield replace(self._batch(seen_at), notes=(f"{MODEL} is incomplete in {', '.join(known)} UTC",))

    def _batch(self, collected_at: datetime) -> ForecastBatch:
        return ForecastBatch(source=NAME, route=self.name, rank=self.rank, collected_at=collected_at)

    def _is_due(self, entry: Entry, needs: CollectionRequest) -> bool:
        return (
            entry.complete
            and not entry.private
            and entry.reference_time >= needs.since
            and bool(self._missing(entry, needs))
        )

    def _missing(self, entry: Entry, needs: CollectionRequest) -> tuple[Site, ...]:
        return needs.missing(MODEL, entry.reference_time, entry.part, self.rank)

    async def _collect_day(
        self, entry: Entry, needs: CollectionRequest, fetch: Fetch, cells: dict[str, str], refused: set[str]
    ) -> ForecastBatch:
        """Ask once for each grid cell; add what is learned to `cells` (site to cell) and `refused`.

        A place that is refused, has never answered, and is refused where others answer, lies outside the
        model. It is asked for once in a collection, in case that is no longer so. Of the sites for which the
        day is known as incomplete one is asked for, each hour another, and the others only if that one has
        become better.
        """
        answers: list[Answer] = []
        failures: list[Failure] = []
        by_cell: dict[str, Answer | None] = {}  # None: the request for this cell failed
        collected_at = needs.now
        away: list[tuple[Site, CollectorError]] = []
        missing = self._missing(entry, needs)
        known_as = {  # what each site was without when the day was read last
            site.id: needs.incomplete[MODEL, entry.reference_time, entry.part, site.id]
            for site in missing
            if needs.known_incomplete(MODEL, entry.reference_time, entry.part, site.id)
        }
        known_open = known_as.keys()
        still_open = False
        turn = sorted(known_open)
        first = turn[int(needs.now.timestamp() // 3600) % len(turn)] if turn else None
        for site in sorted(missing, key=lambda site: (site.id in known_open, site.id != first)):
            if site.id in refused or (site.id in known_open and still_open):
                continue
            known = cells.get(site.id)
            if known is not None and known in by_cell:
                if shared := by_cell[known]:
                    answers.append(shared.at(site))
                continue
            try:
                payload = await fetch(self._request(site, entry))
                answer = await asyncio.to_thread(parse, payload, site, entry)
            except CollectorError as error:
                if known is None and _is_refusal(error):
                    away.append((site, error))
                    continue
                failures.append(as_failure(self.name, error))
                if known is not None:
                    by_cell[known] = None
                continue
            collected_at = payload.fetched_at
            if answer.absent and known_as.get(site.id) == answer.absent:
                still_open = True
                continue
            cells[site.id] = answer.grid_point.cell
            by_cell[answer.grid_point.cell] = answer
            answers.append(answer)
        outside: list[Outside] = []
        for site, refusal in away:
            if cells:  # it answers for others
                refused.add(site.id)
                outside.append(Outside(MODEL, site.id, f"the server refuses the position: {refusal.reason}"))
            else:
                failures.append(as_failure(self.name, refusal))
        sites = {answer.grid_point.site: answer for answer in answers}
        incomplete = [
            # The list's stamp is no version of an answer: what is absent is compared instead.
            IncompletePart(entry.part, site, f"without {answer.absent}", answer.absent)
            for site, answer in sites.items()
            if answer.absent
        ]
        title = f"{MODEL} of {entry.reference_time:%Y-%m-%d %H:%M} UTC"
        new = [
            one
            for one in incomplete
            if not needs.known_incomplete(MODEL, entry.reference_time, one.part, one.site)
        ]
        if new:
            others = f" and {len(new) - 1} more" if len(new) > 1 else ""
            reason = f"{title} is incomplete in {entry.part} at {new[0].site}{others}: {new[0].reason}"
            failures.append(as_failure(self.name, IncompleteError(reason, source=NAME)))
        return replace(
            self._batch(collected_at),
            incomplete=tuple(incomplete),
            versions={entry.part: entry.version},
            notes=(f"{title} is incomplete in {entry.part}",) if still_open else (),
            outside=tuple(one for one in outside if (MODEL, one.site) not in needs.outside),
            records=tuple(record for answer in answers for record in answer.records),
            rejected=tuple(value for answer in answers for value in answer.rejected),
            failures=tuple(failures),
            run=entry.available(needs.now),
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


def _is_overdue(entry: Entry, entries: Sequence[Entry], now: datetime) -> bool:
    """Say whether a day of a run will hardly be finished: a newer run has it, or the run is a day old."""
    newer = any(
        other.complete and other.day == entry.day and other.reference_time > entry.reference_time
        for other in entries
    )
    old = now - entry.reference_time >= _OVERDUE_AFTER
    return not entry.complete and not entry.private and (newer or old)


def _is_refusal(error: CollectorError) -> bool:
    refused = {HTTPStatus.BAD_REQUEST, HTTPStatus.NOT_FOUND, HTTPStatus.UNPROCESSABLE_ENTITY}
    return isinstance(error, RefusedError) or (isinstance(error, FetchError) and error.status in refused)


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
    if update and update > now + CLOCK_TOLERANCE:
        raise ValueError("available in the future")
    return Entry(
        reference_time=reference_time,
        day=day,
        complete=entry.status == "complete",
        private=entry.private,
        update=update,
        status=entry.status[:40],
    )


def parse(payload: Payload, site: Site, entry: Entry) -> Answer:
    """Read a sounding: the lowest level (about 8 m above the model's ground) at every hour given.

    Hours before the run started are left out, and odd hours rejected. Raise ParseError for a refusal, for
    another place than `site`, when most hours are odd, and when nothing usable is left.
    """
    try:
        return _answer(_sounding(payload.body), site, entry)
    except ParseError as error:
        raise type(error)(error.reason, source=NAME, url=payload.url) from error


def _sounding(body: bytes) -> _Sounding:
    try:
        verdict = decode_json_with_nan(_VERDICT, body)
        if verdict.status == "ok":
            return decode_json_with_nan(_SOUNDING, body)
    except ParseError as error:
        raise ParseError(f"not a sounding: {error.reason}") from error
    raise RefusedError(f"refused with status {verdict.status[:40]!r}: {verdict.message[:200]}")


def _answer(sounding: _Sounding, site: Site, entry: Entry) -> Answer:
    grid = sounding.grid_coords
    _check_place(grid, site)
    records: list[Forecast] = []
    rejected: list[Rejected] = []
    ground = height = None
    odd: list[str] = []
    used, without = 0, {"wind": 0, "temperature": 0}
    for clock, raw in sorted(sounding.data.items()):
        try:
            valid_time = datetime.combine(entry.day, _time_of_day(clock), UTC)
            hour = _hour(clock, raw)
        except ParseError as error:
            odd.append(error.reason)
            text = bytes(raw).decode(errors="replace")[:200]
            rejected.append(Rejected(_subject(site), None, None, text, f"odd_hour: {error.reason}"))
            continue
        if ground is None and hour.ground is not None:
            ground, height = hour.ground, round(hour.z[0] - hour.ground, 1)
        if valid_time < entry.reference_time:
            continue  # a run has nothing to say about its past
        used += 1
        without["wind"] += hour.umet is None or hour.vmet is None
        without["temperature"] += bytes(hour.tc) == b"null"
        values, unreadable = _lowest_level(hour)
        records += [
            Forecast(MODEL, site.id, parameter, entry.reference_time, valid_time, value)
            for parameter, value in values.items()
        ]
        rejected += [
            Rejected(_subject(site), parameter, valid_time, raw, "not_a_number")
            for parameter, raw in unreadable.items()
        ]
    if len(odd) > _MOST_ODD_HOURS * len(sounding.data):
        raise ParseError(odd[0])
    if not records:
        raise ParseError(f"no usable value at or after the start of the run for {entry.day}")
    cell = f"{grid.domain:.0f}/{grid.sn:.0f}/{grid.we:.0f}"
    absent = [
        name if hours == used else f"{name} in {hours} of {used} hours"
        for name, hours in without.items()
        if hours
    ]
    if odd:
        absent.append(f"{len(odd)} of {len(sounding.data)} hours: {odd[0]}")
    point = GridPoint(MODEL, site.id, cell, ground, height)
    return Answer(tuple(records), tuple(rejected), point, " and ".join(absent))


def _hour(clock: str, raw: msgspec.Raw) -> _Hour:
    try:
        hour = decode_json(_HOUR, bytes(raw))
    except ParseError as error:
        raise ParseError(f"{clock}: {error.reason}") from error
    _check_levels(clock, hour)
    return hour


def _lowest_level(hour: _Hour) -> tuple[dict[Parameter, float], dict[Parameter, str]]:
    """Return the values of one hour, and as text what stood where a number should. A null is absent."""
    values: dict[Parameter, float] = {}
    unreadable: dict[Parameter, str] = {}
    east, north = (levels[0] if levels else None for levels in (hour.umet, hour.vmet))
    if isinstance(east, float) and isinstance(north, float):
        speed, direction = wind_from_components(east, north)
        values[Parameter.WIND_SPEED] = speed
        # A wind that cannot be true is set aside by its speed; its direction is no truer.
        if direction is not None and why_implausible(Parameter.WIND_SPEED, speed) is None:
            values[Parameter.WIND_DIRECTION] = direction
    elif east is not None and north is not None:
        unreadable[Parameter.WIND_SPEED] = f"umet {east!r}, vmet {north!r}"
    temperature = _lowest_temperature(hour)
    if isinstance(temperature, float):
        values[Parameter.TEMPERATURE] = temperature + 0.0  # -0.0 becomes 0.0
    elif temperature is not None:
        unreadable[Parameter.TEMPERATURE] = repr(temperature)
    return values, unreadable


def _lowest_temperature(hour: _Hour) -> Level:
    """Return the temperature (°C) of the lowest level; text where the levels cannot be read."""
    try:
        levels = decode_json(_LEVELS, bytes(hour.tc))
    except ParseError:
        return bytes(hour.tc).decode(errors="replace")[:200]
    if levels is None:
        return None
    return levels[0] if len(levels) == len(hour.z) else f"{len(levels)} values for {len(hour.z)} levels"


def _check_place(grid: _GridCoords, site: Site) -> None:
    asked = round(site.latitude, 5), round(site.longitude, 5)
    if not all(
        math.isclose(echo, degrees, rel_tol=0, abs_tol=_ECHO_TOLERANCE)
        for echo, degrees in zip((grid.lat, grid.lon), asked, strict=True)
    ):
        raise ParseError(f"the answer is for {grid.lat},{grid.lon}, not for {asked[0]},{asked[1]}")


def _check_levels(clock: str, hour: _Hour) -> None:
    lengths = {len(levels) for levels in (hour.z, hour.umet, hour.vmet) if levels is not None}
    if len(lengths) != 1 or 0 in lengths:
        raise ParseError(f"{clock}: z, umet and vmet are empty or of unequal length")
    if any(upper <= lower for lower, upper in pairwise(hour.z)):
        raise ParseError(f"{clock}: level altitudes do not ascend")


def _time_of_day(clock: str) -> time:
    match = _CLOCK.fullmatch(clock)
    if match is None:
        raise ParseError(f"{clock!r} is not a time of day such as '12:30'")
    return time(int(match[1]), int(match[2]))


def _subject(site: Site) -> str:
    return f"{MODEL} {site.id}"
