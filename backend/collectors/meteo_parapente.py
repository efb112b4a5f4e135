"""MeteoParapente: a weather model of its own, run for paraglider pilots. It is not AROME.

Published by meteo-parapente.com: WRF lineage, 2.5 km over France, runs of 00, 06, 12 and 18 UTC, each
up to 5 days ahead, 04:00 to 21:00 only. A run's first day is complete about 6 to 8 h after its start,
each further day about 1.5 h later. No key; the raw data are protected and must not be shown to the public.
Metres per second, °C, metres above sea level, UTC.

Quirks: the list of runs is sorted by day, so its first entry is the furthest day, and some runs are
absent (seen 2025-09-15). A refusal comes with HTTP 200. Half-hourly in soundings, no gust.
See docs/sources/meteo_parapente.md.

An error in a sounding invalidates only its own hour or value. A day without wind or temperature is requested
again at one site only, until that one is complete, because an answer has neither a size nor a stamp that is
known before. A day that a run leaves unfinished is reported as incomplete when a newer run has it, or a day
after the start of the run; if it is finished late, it is read. Unfinished days are not requested, because
their content is undocumented.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from http import HTTPStatus

from backend.collectors.areas import within
from backend.collectors.base import Fetch, LiveFacts, Request, Source, as_failure
from backend.collectors.meteo_parapente_answer import (
    MODEL,
    NAME,
    Answer,
    Entry,
    RefusedError,
    parse,
    parse_status,
)
from backend.collectors.runs import newly_incomplete, title_of
from backend.core import registry
from backend.core.config import Settings
from backend.core.errors import CollectorError, FetchError, IncompleteError
from backend.core.records import (
    CollectionRequest,
    Failure,
    ForecastBatch,
    IncompletePart,
    Outside,
    Run,
    Site,
)
from backend.core.terms import terms_of

MAX_AGE = timedelta(hours=20)
"""A run may be 14 h old before the next is complete (6 h apart, up to 8 h late), and one may be absent."""

_OVERDUE_AFTER = timedelta(hours=24)
"""Age from which an unfinished day of a run counts as incomplete; the last day takes up to 12.5 h."""

_REFUSING_STATUS = {HTTPStatus.BAD_REQUEST, HTTPStatus.NOT_FOUND, HTTPStatus.UNPROCESSABLE_ENTITY}


def build(settings: Settings) -> Source[ForecastBatch]:
    """Return the source; disabled without a contact address for the publisher."""
    return Source.of(
        terms_of(registry.METEO_PARAPENTE, settings),
        batch=ForecastBatch,
        routes=(ApiRoute(settings.meteo_parapente_url),),
        max_age=MAX_AGE,
        by_site=True,
        disabled=None
        if settings.contact
        else "CONTACT is not set: requests to MeteoParapente must have a contact address",
        no_archive_reason=(
            "its publisher serves runs for about three days, and FORECAST_LOOKBACK_HOURS=84 collects them"
        ),
        live=LiveFacts(
            if_gone=(
                "the addresses are those of the publisher's own web page and not a promised interface: the"
                " requests of that page show the present host. If it is another one, ask the publisher, and"
                " set METEO_PARAPENTE_URL"
            )
        ),
    )


@dataclass(slots=True)
class _Day:
    """One day of a run, and the outcome of its requests.

    `still_open` is True if a day that is known as incomplete was read again without more values.
    """

    entry: Entry
    collected_at: datetime
    answers: list[Answer] = field(default_factory=list)
    failures: list[Failure] = field(default_factory=list)
    refusals: list[tuple[Site, CollectorError]] = field(default_factory=list)
    still_open: bool = False


@dataclass(frozen=True, slots=True)
class ApiRoute:
    """The API of the publisher's own web pages."""

    base_url: str
    name: str = "api"
    rank: int = 0

    async def collect(self, needs: CollectionRequest, fetch: Fetch) -> AsyncIterator[ForecastBatch]:
        """Yield every complete (run, day) that is missing for a site, the newest run and next day first.

        Past days come last. A run stays in the list for three days, so that after an outage of an evening
        its forecasts can still be read.
        """
        listing = await fetch(Request(url=f"{self.base_url}/status.php", kind="json"))
        entries, errors = parse_status(listing, needs.now)
        # The list is sorted by day, furthest first, so the newest run may stand anywhere in it.
        newest = max((entry.reference_time for entry in entries if entry.complete), default=None)
        needs, outside = within(MODEL, registry.MODELS[MODEL].area, needs)
        due = [
            entry
            for entry in entries
            if entry.complete and not entry.private and entry.reference_time >= needs.since
            if self._missing(entry, needs)
        ]
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
            old = needs.now - entry.reference_time >= _OVERDUE_AFTER
            newer = any(
                other.complete and other.day == entry.day and other.reference_time > entry.reference_time
                for other in entries
            )
            unfinished = not entry.complete and not entry.private
            if unfinished and (newer or old) and entry.reference_time >= needs.since:
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
                reason = f"{title_of(MODEL, start)} is incomplete: {states}"
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

    def _missing(self, entry: Entry, needs: CollectionRequest) -> tuple[Site, ...]:
        return needs.missing(MODEL, entry.reference_time, entry.part, self.rank)

    async def _collect_day(
        self, entry: Entry, needs: CollectionRequest, fetch: Fetch, cells: dict[str, str], refused: set[str]
    ) -> ForecastBatch:
        """Return the batch of one day; add new grid cells to `cells` (by site) and refusals to `refused`.

        There is one request per grid cell. Of the sites whose day is known as incomplete, one is requested,
        each hour another; the others only if the answer is more complete than before.
        """
        day = _Day(entry, needs.now)
        by_cell: dict[str, Answer | None] = {}  # None: the request for this cell failed
        missing = self._missing(entry, needs)
        known_as = {  # the missing values of each site at the last reading of the day
            site.id: needs.incomplete[MODEL, entry.reference_time, entry.part, site.id]
            for site in missing
            if needs.known_incomplete(MODEL, entry.reference_time, entry.part, site.id)
        }
        # Another site each hour: a gap that one site keeps must not hide that the others are complete.
        turn = sorted(known_as)
        first = turn[int(needs.now.timestamp() // 3600) % len(turn)] if turn else None
        for site in sorted(missing, key=lambda site: (site.id in known_as, site.id != first)):
            if site.id in refused or (site.id in known_as and day.still_open):
                continue
            known = cells.get(site.id)
            if known is not None and known in by_cell:
                if shared := by_cell[known]:
                    day.answers.append(shared.at(site))
                continue
            try:
                payload = await fetch(self._request(site, entry))
                answer = await asyncio.to_thread(parse, payload, site, entry)
            except CollectorError as error:
                is_refusal = isinstance(error, RefusedError) or (
                    isinstance(error, FetchError) and error.status in _REFUSING_STATUS
                )
                if known is not None:
                    by_cell[known] = None
                # A site with a known cell got values before and lies in the model: its refusal is an error.
                if known is None and is_refusal:
                    day.refusals.append((site, error))
                else:
                    day.failures.append(as_failure(self.name, error))
                continue
            day.collected_at = payload.fetched_at
            if answer.absent and known_as.get(site.id) == answer.absent:
                day.still_open = True
                continue
            cells[site.id] = answer.grid_point.cell
            by_cell[answer.grid_point.cell] = answer
            day.answers.append(answer)
        return self._as_batch(day, needs, cells, refused)

    def _as_batch(
        self, day: _Day, needs: CollectionRequest, cells: Mapping[str, str], refused: set[str]
    ) -> ForecastBatch:
        """Return the batch of a day.

        A site that is refused while others get values, and that never got values itself, lies outside the
        model. It is requested once in a collection, in case that changes.
        """
        entry, answers, failures = day.entry, day.answers, day.failures
        outside: list[Outside] = []
        for site, refusal in day.refusals:
            if cells:  # other sites get values
                refused.add(site.id)
                outside.append(Outside(MODEL, site.id, f"the server refuses the position: {refusal.reason}"))
            else:
                failures.append(as_failure(self.name, refusal))
        incomplete = [
            # The list's stamp is not the version of an answer, so compare the missing values.
            IncompletePart(entry.part, site, f"without {answer.absent}", answer.absent)
            for site, answer in {answer.grid_point.site: answer for answer in answers}.items()
            if answer.absent
        ]
        title = title_of(MODEL, entry.reference_time)
        if new := [
            one
            for one in incomplete
            if not needs.known_incomplete(MODEL, entry.reference_time, one.part, one.site)
        ]:
            error = IncompleteError(newly_incomplete(title, new), source=NAME)
            failures.append(as_failure(self.name, error))
        return replace(
            self._batch(day.collected_at),
            incomplete=tuple(incomplete),
            versions={entry.part: entry.version},
            notes=(f"{title} is incomplete in {entry.part}",) if day.still_open else (),
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
