"""Open-Meteo's copies of many models: JSON, many sites in one answer, single runs.

Publisher: Open-Meteo.com, from the data of national services. Licence: CC BY 4.0, and the free service is
for non-commercial use only, so it is used only if the settings turn it on.
Cadence: follows the publishers; AROME about 4 h 30 after the run (August 2026). Units: as requested: km/h,
degrees, °C. Times: UTC ("GMT"). Rounding: 0.1 m/s, whole degrees, 0.05 K: a lesser copy.
Used twice: as a third route to AROME (arome.py), and for other models (open_meteo_models.py).

Quirks, with the date of their description:
- the ordinary forecast service joins runs without marking it; the single-runs service (since April 2026)
  returns the requested run;
- `meta.json` has the newest run and the time of its publication; the servers agree about ten minutes later;
- a run that is not archived (4 or 5 in a hundred) is a 400, or for several sites a 200 with plain text;
- values that the model does not have are null, their unit is then "undefined"; step 0 has no gust;
- temperature is moved to a finer terrain unless `elevation=nan`, and a cell on land is preferred unless
  `cell_selection=nearest`; several sites need as many `nan`;
- a place that the model does not cover has empty columns, or none, and bare `nan` for its coordinates,
  which is no JSON, beside places that it covers; alone it is a 400 (September 2026);
- the hours between the steps of a model are interpolated: only the model's own steps are used;
- an `elevation` of 0 may be an unknown model elevation (December 2024);
- the gusts of the fine grid of AROME were null for a while (June 2024).
Limits: 10 000 calls a day, 5 000 an hour, 600 a minute, 300 000 a month, where each site of a request
counts as one call (up to ten variables and two weeks). The HTTP client counts them (transport/quota.py).
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from http import HTTPStatus
from typing import Annotated

import msgspec

from backend.collectors.areas import within
from backend.collectors.base import Fetch, Payload, Request, as_failure
from backend.collectors.open_meteo_answer import UNITS, AnswerValues, parse
from backend.collectors.runs import Part, cycles, newly_incomplete, parts_by_missing_sites, title_of
from backend.collectors.transport.decoding import decode_json
from backend.core.areas import Area
from backend.core.errors import CollectorError, FetchError, IncompleteError, ParseError
from backend.core.records import CollectionRequest, ForecastBatch, IncompletePart, Outside, Run, Site

SITES_PER_REQUEST = 100
SETTLED_AFTER = timedelta(minutes=10)
"""Time after the publication of a run until all servers of Open-Meteo have it."""

ARCHIVE_SINCE = datetime(2026, 4, 2, tzinfo=UTC)
"""The first runs of most models in the single-runs service."""

MOST_SPLITS = 16
"""Requests after a refused one, in halves: enough to find one refused site among a hundred."""

_NOT_ARCHIVED = re.compile("modelRunUnavailable|model run is not available", re.IGNORECASE)
_REFUSED_PLACE = re.compile("noData|for this location|while streaming", re.IGNORECASE)

_ThisCentury = Annotated[int, msgspec.Meta(ge=946_684_800, lt=4_102_444_800)]  # Unix seconds, 2000 to 2099


class _Meta(msgspec.Struct):
    last_run_initialisation_time: _ThisCentury
    last_run_availability_time: _ThisCentury


_META = msgspec.json.Decoder(_Meta)


@dataclass(frozen=True, slots=True, kw_only=True)
class Model:
    """A model of Open-Meteo: `name` in our records, `id` in requests, `domain` of its metadata.

    It runs at `hours` (UTC), up to `horizon` hours ahead. `parts` divide a run and contain the model's own
    steps. `usual_delay` is the usual time from start to publication, rounded up: the estimated stamp of a
    backfilled run. `area` is None for a global model.
    """

    name: str
    id: str
    domain: str
    hours: Sequence[int]
    horizon: int
    parts: Sequence[Part]
    usual_delay: timedelta
    area: Area | None = None

    @property
    def days(self) -> int:
        """Return how many days to request, from midnight of the run's day."""
        return (23 + self.horizon) // 24 + 1

    @property
    def max_age(self) -> timedelta:
        """Return how old the newest run may be; one run may be missing."""
        return self.usual_delay + timedelta(hours=2 * 24 / len(self.hours))


@dataclass(frozen=True, slots=True)
class LatestRun:
    """The newest run at Open-Meteo, and the time of its publication (UTC)."""

    reference_time: datetime
    available_at: datetime


@dataclass(frozen=True, slots=True)
class _Question:
    """The requested parts of one run, the same for all sites; `newest` is the model's newest run."""

    model: Model
    run: Run
    parts: Sequence[Part]
    newest: datetime
    needs: CollectionRequest

    @property
    def title(self) -> str:
        return title_of(self.model.name, self.run.reference_time)

    def is_known(self, site: Site) -> bool:
        """True if all its parts were reported before as incomplete for a site."""
        start = self.run.reference_time
        return all(
            self.needs.known_incomplete(self.model.name, start, part.name, site.id) for part in self.parts
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenMeteo:
    """A route to runs of `models`; `url` serves the metadata, `single_runs_url` the forecasts."""

    source: str
    url: str
    single_runs_url: str
    models: Sequence[Model]
    name: str = "open_meteo"
    rank: int = 0

    async def collect(self, needs: CollectionRequest, fetch: Fetch) -> AsyncIterator[ForecastBatch]:
        """Yield the requested runs of each model, up to the newest that all servers have; see SourceRoute.

        A model that fails does not stop the others.
        """
        for model in self.models:
            inside, outside = within(model.name, model.area, needs)
            if needs.until is not None and not any(
                parts_by_missing_sites(inside, model.name, run, model.parts, self.rank)
                for run in cycles(needs, model.hours)
            ):
                continue
            try:
                meta = await fetch(
                    Request(url=f"{self.url}/data/{model.domain}/static/meta.json", kind="json")
                )
                latest = parse_meta(meta.body, url=meta.url)
            except CollectorError as error:
                yield self._failed(error, needs.now)
                continue
            if outside:
                yield replace(self._batch(needs.now), outside=outside)
            async for batch in self._collect_model(model, latest, meta.fetched_at, inside, fetch):
                yield batch

    async def _collect_model(
        self, model: Model, latest: LatestRun, seen_at: datetime, needs: CollectionRequest, fetch: Fetch
    ) -> AsyncIterator[ForecastBatch]:
        runs: list[Run] = []
        for start in cycles(needs, model.hours):
            if start < latest.reference_time:
                # Only the newest run has a published time. For an older one it is the time of the collection,
                # in a backfill the usual delay after the start of the run.
                seen = needs.now if needs.until is None else min(needs.now, start + model.usual_delay)
                runs.append(Run(model.name, start, seen, published=False))
            # Right after its publication some servers still answer with the run before.
            elif start == latest.reference_time and needs.now >= latest.available_at + SETTLED_AFTER:
                runs.append(Run(model.name, start, latest.available_at, published=True))
        # The age of a source is that of its newest model, so report each stale model by itself.
        several = len(self.models) > 1 and needs.until is None
        if several and needs.now - latest.reference_time > model.max_age:
            hours = model.max_age / timedelta(hours=1)
            reason = (
                f"the newest run of {model.name} is that of {latest.reference_time:%Y-%m-%d %H:%M} UTC,"
                f" older than the limit of {hours:g} h"
            )
            yield self._failed(CollectorError(reason, source=self.source), needs.now)
        idle = True
        incomplete: list[str] = []
        for run in runs:
            missing = parts_by_missing_sites(needs, model.name, run.reference_time, model.parts, self.rank)
            for sites, parts in missing.items():
                idle = False
                question = _Question(model, run, parts, runs[0].reference_time, needs)
                batches = await self._collect_run(question, sites, fetch)
                for batch in batches:
                    yield batch
                if any(question.is_known(site) for site in sites) and not any(map(_completes, batches)):
                    incomplete.append(f"{run.reference_time:%Y-%m-%d %H:%M}")
        if runs and (idle or incomplete):
            note = f"{model.name} is incomplete in {', '.join(dict.fromkeys(incomplete))} UTC"
            batch = self._batch(seen_at, runs[0].reference_time)
            yield replace(batch, notes=(note,)) if incomplete else batch

    async def _collect_run(
        self, question: _Question, sites: Sequence[Site], fetch: Fetch
    ) -> list[ForecastBatch]:
        """Return the batches of a run.

        If parts were reported as incomplete before, one site is requested first, and the others only if that
        one is complete now. Sites known to lie outside are requested separately, so that their refusal does
        not affect other sites.
        """
        known = [site for site in sites if question.is_known(site)]
        new = [site for site in sites if not question.is_known(site)]
        beyond = [site for site in new if (question.model.name, site.id) in question.needs.outside]
        inside = [site for site in new if site not in beyond]
        batches = await self._ask_all(question, inside, fetch)
        batches += await self._ask_all(question, beyond, fetch)
        if known:
            probe = await self._ask_all(question, known[:1], fetch)
            if any(map(_completes, probe)):
                batches += [*probe, *await self._ask_all(question, known[1:], fetch)]
            else:  # the values are stored already
                batches += [replace(batch, records=(), rejected=()) for batch in probe if batch.failures]
        return batches

    async def _ask_all(self, question: _Question, sites: Sequence[Site], fetch: Fetch) -> list[ForecastBatch]:
        """Return the batches of some sites.

        A request that is refused because of a position is repeated in halves, MOST_SPLITS requests at most.
        """
        batches: list[ForecastBatch] = []
        refused: list[tuple[Site, CollectorError]] = []
        for first in range(0, len(sites), SITES_PER_REQUEST):
            answered: list[ForecastBatch] = []
            waiting, splits = [sites[first : first + SITES_PER_REQUEST]], MOST_SPLITS
            while waiting:
                some = waiting.pop()
                try:
                    payload = await fetch(self._request(question, some))
                    reading = await asyncio.to_thread(
                        parse,
                        payload.body,
                        model=question.model.name,
                        reference_time=question.run.reference_time,
                        parts=question.parts,
                        sites=some,
                        source=self.source,
                        url=payload.url,
                    )
                except CollectorError as error:
                    if _NOT_ARCHIVED.search(error.reason):
                        # The run is missing for all sites alike: further requests would only cost calls.
                        return [*batches, self._not_archived(question, sites[first:], error)]
                    # One refused position refuses the whole request, and the error does not name it.
                    bad_request = isinstance(error, FetchError) and error.status == HTTPStatus.BAD_REQUEST
                    about_a_position = bad_request or _REFUSED_PLACE.search(error.reason)
                    if about_a_position and len(some) == 1:
                        refused.append((some[0], error))
                    elif about_a_position and splits >= 2:
                        splits -= 2
                        middle = len(some) // 2
                        waiting += [some[middle:], some[:middle]]  # a stack: the first half comes next
                    else:
                        answered.append(self._failed(error, question.needs.now, question.newest))
                else:
                    answered.append(self._as_batch(question, some, payload, reading))
            batches += answered
        others = any(batch.records for batch in batches)
        return batches + [self._refused(question, site, error, others) for site, error in refused]

    def _as_batch(
        self, question: _Question, sites: Sequence[Site], payload: Payload, reading: AnswerValues
    ) -> ForecastBatch:
        model, needs = question.model.name, question.needs
        start = question.run.reference_time
        covered = {site for name, site in needs.cells if name == model}
        # A site with values in earlier runs is not outside of the model: the gap is an error of this run.
        odd = [
            IncompletePart(part.name, one.site, one.reason)
            for one in reading.outside
            if one.site in covered
            for part in question.parts
        ]
        incomplete = (*reading.incomplete, *odd)
        new = [one for one in incomplete if not needs.known_incomplete(model, start, one.part, one.site)]
        failures = []
        if new:
            reason = newly_incomplete(question.title, new)
            error = IncompleteError(reason, source=self.source, url=payload.url)
            failures.append(as_failure(self.name, error))
        empty = ", ".join(reading.empty)
        return replace(
            self._batch(payload.fetched_at, question.newest),
            records=reading.records,
            rejected=reading.rejected,
            failures=tuple(failures),
            notes=(f"{question.title} has no {empty}",) if empty and reading.records else (),
            run=question.run,
            parts=tuple(part.name for part in reading.parts),
            sites=tuple(site.id for site in sites),
            grid_points=reading.grid_points,
            incomplete=incomplete,
            versions={part.name: _THE_RUN for part in question.parts},
            outside=tuple(
                one
                for one in reading.outside
                if one.site not in covered and (model, one.site) not in needs.outside
            ),
        )

    def _not_archived(
        self, question: _Question, sites: Sequence[Site], error: CollectorError
    ) -> ForecastBatch:
        """Return a batch for a run that is not in the archive; a failure unless it was reported before."""
        batch = self._batch(question.needs.now, question.newest)
        if all(question.is_known(site) for site in sites):
            return batch
        reason = f"{question.title} is not in the archive: {error.reason}"
        failure = as_failure(self.name, IncompleteError(reason, source=self.source, url=error.url))
        return replace(
            batch,
            run=question.run,
            failures=(failure,),
            incomplete=tuple(
                IncompletePart(part.name, site.id, "the run is not in the archive")
                for part in question.parts
                for site in sites
            ),
        )

    def _refused(
        self, question: _Question, site: Site, error: CollectorError, answered: bool
    ) -> ForecastBatch:
        """Return a batch for a site that is refused alone.

        The site lies outside the model if it never got values, and if other sites got some now or the refusal
        names the position as the reason. Otherwise it is a failure.
        """
        model, needs = question.model.name, question.needs
        if (model, site.id) in needs.cells or not (answered or _REFUSED_PLACE.search(error.reason)):
            named = CollectorError(f"{site.id}: {error.reason}", source=self.source, url=error.url)
            return self._failed(named, needs.now, question.newest)
        outside = Outside(model, site.id, f"Open-Meteo refuses the position: {error.reason}")
        return replace(
            self._batch(needs.now, question.newest),
            run=question.run,
            parts=tuple(part.name for part in question.parts),
            sites=(site.id,),
            outside=() if (model, site.id) in needs.outside else (outside,),
        )

    def _request(self, question: _Question, sites: Sequence[Site]) -> Request:
        model = question.model
        return Request(
            url=f"{self.single_runs_url}/v1/forecast",
            kind="json",
            params={
                "run": f"{question.run.reference_time:%Y-%m-%dT%H:%M}",
                "latitude": ",".join(f"{site.latitude:.5f}" for site in sites),
                "longitude": ",".join(f"{site.longitude:.5f}" for site in sites),
                "hourly": ",".join(UNITS),
                "models": model.id,
                "forecast_days": str(model.days),
                "wind_speed_unit": "kmh",
                "timezone": "GMT",
                "elevation": ",".join(["nan"] * len(sites)),
                "cell_selection": "nearest",
            },
            calls=len(sites),
        )

    def _batch(self, collected_at: datetime, newest: datetime | None = None) -> ForecastBatch:
        return ForecastBatch(
            source=self.source, route=self.name, rank=self.rank, collected_at=collected_at, newest=newest
        )

    def _failed(self, error: CollectorError, now: datetime, newest: datetime | None = None) -> ForecastBatch:
        return replace(self._batch(now, newest), failures=(as_failure(self.name, error),))


_THE_RUN = "single run"
"""The version of every part: the archive does not change its runs."""


def _completes(batch: ForecastBatch) -> bool:
    return bool(batch.records and batch.complete())


def parse_meta(body: bytes, *, url: str = "") -> LatestRun:
    """Read `meta.json`, whose times are Unix seconds."""
    try:
        meta = decode_json(_META, body)
    except ParseError as error:
        raise ParseError(f"not the metadata of a model: {error.reason}", url=url) from error
    latest = LatestRun(
        datetime.fromtimestamp(meta.last_run_initialisation_time, UTC),
        datetime.fromtimestamp(meta.last_run_availability_time, UTC),
    )
    if latest.available_at < latest.reference_time:
        raise ParseError("availability precedes run start", url=url)
    return latest
