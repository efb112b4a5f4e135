"""Gaps of mapped stations, and the histories that fill them.

A bulk answer has only the newest reading of each station. Earlier ones need one request per station.
`complete_until` is the time up to which every reading that the source still has is stored; requests start
there. It advances only together with the readings that it covers: after a failed history, or a process that
died, the next collection requests the same readings. A station that no site names has no `complete_until`,
so that it gets its history as soon as a site names it.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Collection, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta

from backend.collectors.base import Fetch, Payload, Request, SourceRoute
from backend.collectors.beacons.readings import Network, Readings
from backend.core.errors import CollectorError, ParseError
from backend.core.records import CollectionRequest, ObservationBatch, Position

_DAY, _EVER = timedelta(days=1), timedelta.max

MARGIN = timedelta(hours=1)
"""How much further back than needed a history is requested. The source counts back from the time of its
answer or from its newest reading: in a long collection both are later than the bulk answer."""

SILENT = timedelta(hours=1)
"""After this time without a reading a station may have stopped, and an empty history is plausible."""


@dataclass(frozen=True, slots=True)
class Gap:
    """A mapped station whose source may have readings after `after` that are not stored.

    `until` is its newest reading in the bulk answer; None if that has no reading of it.
    """

    station: str
    after: datetime
    until: datetime | None


@dataclass(frozen=True, slots=True)
class Gaps:
    """Mapped stations after a bulk answer: the time up to which each is complete, and the open gaps."""

    complete_until: Mapping[str, datetime]
    open: tuple[Gap, ...]


def find_gaps(
    network: Network,
    needs: CollectionRequest,
    latest: Mapping[str, datetime],
    oldest: datetime,
    skip: Collection[str] = (),
) -> Gaps:
    """Compare each mapped station's newest reading, in `latest`, with its `complete_until`.

    `oldest` is the start of the source's histories: earlier readings cannot be requested and count as
    complete. A distance of more than the network's cadence between two readings is a gap. A station without
    a new reading has no gap. A station that is not in the bulk answer has a gap only if it has no
    `complete_until`; otherwise its gap is found when it reports again.
    """
    complete_until: dict[str, datetime] = {}
    gaps = []
    for station in needs.mapped_stations(network.name):
        if station in skip:
            continue
        stored, until = needs.complete_until.get(station), latest.get(station)
        after = max(stored or needs.since, needs.since, oldest)
        if until is None:
            if stored is None:
                gaps.append(Gap(station, after, None))
        elif until - after > network.cadence:
            gaps.append(Gap(station, after, until))
        elif stored is None or until > stored:
            complete_until[station] = until
    return Gaps(complete_until, tuple(gaps))


def complete_after(network: Network, gap: Gap, history: Readings, payload: Payload) -> dict[str, datetime]:
    """Return the `complete_until` of a station after the history of its gap; empty if it does not advance.

    It is the newest reading of bulk answer and history. If the history ends before the reading of the bulk
    answer it lags, and the next collection requests the rest. It does not advance if no row has a usable
    time, or if a row is in the future: such rows may be in place of others. Raises ParseError if a station
    that reports has an empty history.
    """
    newest = history.latest.get(gap.station)
    if any(value.reason_code == "future" for value in history.rejected):
        return {}
    if newest is None:
        if history.rejected:
            return {}
        if gap.until is None:
            return {gap.station: gap.after}
        if payload.fetched_at - gap.until <= SILENT:
            reason = f"an empty history, but {gap.station} has a reading of {gap.until:%H:%M} UTC"
            raise ParseError(reason, url=payload.url)
        return {gap.station: gap.until}
    reached = max(newest, gap.after)
    # The history may end one reading before the bulk answer, which is no gap.
    if gap.until is not None and gap.until - reached <= network.cadence:
        reached = max(reached, gap.until)
    return {gap.station: reached}


async def fill_gap(
    network: Network,
    route: SourceRoute[ObservationBatch],
    gap: Gap,
    needs: CollectionRequest,
    fetch: Fetch,
    request: Request,
    parse: Callable[[Payload, str, datetime], Readings],
    *,
    known: bool = True,
    positions: Callable[[Payload, str], tuple[Position, ...]] | None = None,
) -> ObservationBatch:
    """Return the batch of a history; `parse` reads what is later than the gap's start.

    `known` is False for a station without a reading in the source and in the store: an empty history is
    then an error. `positions` reads the station's positions from a history that states them.
    """
    try:
        payload = await fetch(request)
        readings = await asyncio.to_thread(parse, payload, gap.station, gap.after)
        if not known and not readings.stations:
            raise unknown_station(gap.station, payload.url)
        complete_until = complete_after(network, gap, readings, payload)
        places = await asyncio.to_thread(positions, payload, gap.station) if positions else ()
    except CollectorError as error:
        return network.failed(route, error, needs)
    return network.batch(route, payload, readings, complete_until, positions=places)


def missing_spans(needs: CollectionRequest, station: str, longest: timedelta) -> Iterator[tuple[date, date]]:
    """Yield the spans of days (UTC) from `since` to `until` without backfilled readings, oldest first.

    Both ends are included; no span is longer than `longest`.
    """
    since, until = needs.since.date(), (needs.until or needs.now).date()
    stored = set(needs.backfilled_days.get(station, ()))
    first: date | None = None
    for day in (since + index * _DAY for index in range((until - since).days + 1)):
        if first is not None and (day in stored or day - first >= longest):
            yield first, day - _DAY
            first = None
        if first is None and day not in stored:
            first = day
    if first is not None:
        yield first, until


def missing_span(
    needs: CollectionRequest, station: str, reach: timedelta
) -> tuple[datetime, datetime] | None:
    """Return the period of missing days that a history of length `reach` still covers, or None."""
    days = [*missing_spans(needs, station, _EVER)]
    oldest = needs.now - reach
    if not days or needs.until is None:
        return None
    first = max(datetime.combine(days[0][0], time(), UTC), needs.since, oldest)
    last = min(datetime.combine(days[-1][1], time(23, 59, 59), UTC), needs.until)
    return (first, last) if first <= last else None


async def missing_histories(
    network: Network,
    route: SourceRoute[ObservationBatch],
    needs: CollectionRequest,
    fetch: Fetch,
    *,
    reach: timedelta,
    request: Callable[[str, datetime], Request],
    parse: Callable[[Payload, str, datetime], Readings],
    skip: Collection[str] = (),
) -> AsyncIterator[ObservationBatch]:
    """Yield one batch per mapped station with missing days, limited to their period.

    For histories that reach back from now: `request` makes the request for a station since a time, and
    `parse` reads what is later than a time.
    """
    for station in needs.mapped_stations(network.name):
        span = missing_span(needs, station, reach)
        if span is None or station in skip:
            continue
        first, last = span
        try:
            payload = await fetch(request(station, first))
            # `parse` leaves out the time it is given: one second earlier keeps a reading at the start.
            readings = await asyncio.to_thread(parse, payload, station, first - timedelta(seconds=1))
        except CollectorError as error:
            yield network.failed(route, error, needs)
        else:
            yield network.batch(route, payload, readings.within(first, last), {})


def unknown_station(station: str, url: str) -> ParseError:
    """Return the error for a station that a site names, and that is in no feed, list or store."""
    return ParseError(
        f"{station} is not in the feed, not in a list of beacons, and not in the store:"
        " correct the stations of its site in sites.toml",
        url=url,
    )
