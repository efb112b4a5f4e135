"""What a mapped beacon measured that we were not shown, and what may be vouched for once it is here.

A collection is first told the newest reading of each beacon; what was measured before it has to be
asked for, beacon by beacon. How far back is told by `complete_until`, the time up to which nothing is
lacking. It moves on only with the readings it speaks for: a history that failed, or a process that
died before it came, is made up for by the next collection. A station that no site names is not
vouched for, so that it gets its history from the day on which a site does.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Collection, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta

from backend.collectors.base import Fetch, Payload, Request, Route
from backend.collectors.beacons.readings import Network, Readings
from backend.core.errors import CollectorError, ParseError
from backend.core.records import CollectionRequest, ObservationBatch, Position

_DAY, _EVER = timedelta(days=1), timedelta.max

MARGIN = timedelta(hours=1)
"""How much further back a history is asked for. It is counted from when the source answers, and from the
newest reading it then has: in a long collection both are later than the bulk answer we count from."""

SILENT = timedelta(hours=1)
"""Without a reading for this long a beacon may be dead, and an empty history of it may be true."""


@dataclass(frozen=True, slots=True)
class Gap:
    """A mapped station that may have measured more after `after`, up to which nothing is lacking.

    `until` is its newest reading, which we were shown; None where the bulk answer has none of it.
    """

    station: str
    after: datetime
    until: datetime | None


@dataclass(frozen=True, slots=True)
class Gaps:
    """The mapped stations after a bulk answer: those now complete, up to when, and those with a gap."""

    complete_until: Mapping[str, datetime]
    gaps: tuple[Gap, ...]


def find_gaps(
    network: Network,
    needs: CollectionRequest,
    latest: Mapping[str, datetime],
    oldest: datetime,
    skip: Collection[str] = (),
) -> Gaps:
    """Compare each mapped station's newest reading, in `latest`, with the time we are caught up to.

    `oldest` is how far back the source's histories reach: what lies before cannot be asked for, and
    counts as complete. A station without a new reading has no gap, and neither has one that the bulk
    answer leaves out, unless it was never vouched for: when it comes back, it is asked for from there.
    More than the network's cadence between two readings means that some are to be had.
    """
    complete_until: dict[str, datetime] = {}
    gaps = []
    for station in needs.mapped_stations(network.name):
        if station in skip:
            continue
        vouched, until = needs.complete_until.get(station), latest.get(station)
        after = max(vouched or needs.since, needs.since, oldest)
        if until is None:
            if vouched is None:
                gaps.append(Gap(station, after, None))
        elif until - after > network.cadence:
            gaps.append(Gap(station, after, until))
        elif vouched is None or until > vouched:
            complete_until[station] = until
    return Gaps(complete_until, tuple(gaps))


def closed(network: Network, gap: Gap, history: Readings, payload: Payload) -> dict[str, datetime]:
    """Return up to when nothing is lacking, now that the history of `gap` has answered.

    That is our newest reading, be it of the bulk answer or of the history, unless the history stops
    short of the bulk's: then it lags, and what lies between is left to the next collection. Rows
    without one usable time vouch for nothing, and neither do those of a clock that runs ahead: they may
    stand where others should. Raises ParseError where a beacon that is speaking has
    an empty history.
    """
    newest = history.latest.get(gap.station)
    if any(value.reason_code == "future" for value in history.rejected):
        return {}
    if newest is None:
        return {} if history.rejected else {gap.station: _nothing_more(gap, payload)}
    reached = max(newest, gap.after)
    if gap.until is not None and gap.until - reached <= network.cadence:
        reached = max(reached, gap.until)
    return {gap.station: reached}


def _nothing_more(gap: Gap, payload: Payload) -> datetime:
    if gap.until is None:
        return gap.after
    if payload.fetched_at - gap.until <= SILENT:
        reason = f"an empty history, though {gap.station} spoke at {gap.until:%H:%M} UTC"
        raise ParseError(reason, url=payload.url)
    return gap.until


async def fill_gap(
    network: Network,
    route: Route[ObservationBatch],
    gap: Gap,
    needs: CollectionRequest,
    fetch: Fetch,
    request: Request,
    parse: Callable[[Payload, str, datetime], Readings],
    *,
    known: bool = True,
    positions: Callable[[Payload, str], tuple[Position, ...]] | None = None,
) -> ObservationBatch:
    """Return the batch of a history, of which `parse` reads what is later than the gap's start.

    `known` is False for a station of which neither the source nor the store has a reading: an empty history
    then fails. `positions` reads where the station stood, from a history that states it.
    """
    try:
        payload = await fetch(request)
        readings = await asyncio.to_thread(parse, payload, gap.station, gap.after)
        if not known and not readings.stations:
            raise unknown_station(gap.station, payload.url)
        complete_until = closed(network, gap, readings, payload)
        places = await asyncio.to_thread(positions, payload, gap.station) if positions else ()
    except CollectorError as error:
        return network.failed(route, error, needs)
    return network.batch(route, payload, readings, complete_until, positions=places)


def missing_spans(needs: CollectionRequest, station: str, longest: timedelta) -> Iterator[tuple[date, date]]:
    """Yield the spans of days from `since` to `until` of which no backfill brought a reading, oldest first.

    Both ends are included; no span is longer than `longest`.
    """
    since, until = needs.since.date(), (needs.until or needs.now).date()
    held = set(needs.backfilled_days.get(station, ()))
    first: date | None = None
    for day in (since + index * _DAY for index in range((until - since).days + 1)):
        if first is not None and (day in held or day - first >= longest):
            yield first, day - _DAY
            first = None
        if first is None and day not in held:
            first = day
    if first is not None:
        yield first, until


def missing_span(
    needs: CollectionRequest, station: str, reach: timedelta
) -> tuple[datetime, datetime] | None:
    """Return from when to when a history that reaches back from now can bring what is lacking, or None."""
    days = [*missing_spans(needs, station, _EVER)]
    oldest = needs.now - reach
    if not days or needs.until is None:
        return None
    first = max(datetime.combine(days[0][0], time(), UTC), needs.since, oldest)
    last = min(datetime.combine(days[-1][1], time(23, 59, 59), UTC), needs.until)
    return (first, last) if first <= last else None


async def missing_histories(
    network: Network,
    route: Route[ObservationBatch],
    needs: CollectionRequest,
    fetch: Fetch,
    *,
    reach: timedelta,
    request: Callable[[str, datetime], Request],
    parse: Callable[[Payload, str, datetime], Readings],
    skip: Collection[str] = (),
) -> AsyncIterator[ObservationBatch]:
    """Yield one batch per mapped beacon of which days are lacking, with nothing that is not of them.

    For histories that reach back from now: `request` asks for that of a station since a time, and `parse`
    reads what is later than one.
    """
    for station in needs.mapped_stations(network.name):
        span = missing_span(needs, station, reach)
        if span is None or station in skip:
            continue
        first, last = span
        try:
            payload = await fetch(request(station, first))
            readings = await asyncio.to_thread(parse, payload, station, first - timedelta(seconds=1))
        except CollectorError as error:
            yield network.failed(route, error, needs)
        else:
            yield network.batch(route, payload, readings.within(first, last), {})


def unknown_station(station: str, url: str) -> ParseError:
    """Return the error of a station that a site names and nobody knows."""
    return ParseError(
        f"neither the feed, nor a list of beacons, nor the store knows {station}:"
        " correct the stations of its site in sites.toml",
        url=url,
    )
