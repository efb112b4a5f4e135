"""C-LAEF 1 km of GeoSphere Austria: JSON, many sites in one answer, whole runs.

Publisher: GeoSphere Austria, data hub, dataset `nwp-v2-1h-1km` (the control member of C-LAEF AlpeAdria).
Licence: CC BY 4.0, no key. Runs of 00, 03 ... 21 UTC, hourly to 60 h, published about 3 to 5 h after their
start; the API keeps six of them, about 18 h. Units: stated in each answer (m/s, °C). Times: UTC. Limits: 5
requests a second and 240 an hour.

Quirks, with the date of their description:
- one point outside the grid fails the whole request with 400, which names the point (April 2026): only sites
  well inside are requested, and a site that is refused nevertheless is left out of the next attempt;
- an address of about 2 kB is refused with 400 (2026): commas stay as they are, SITES_PER_REQUEST at a time;
- the point of a feature is that of the cell, not the requested one, and the order is not promised;
- without `start` the answer begins at the present hour (September 2026): `start` and `end` are sent;
- a run has no name in the request, only its place in the list of runs: the answer must state the same run;
- the gust is a speed, the highest of the hour before; step 0 has none;
- the height of the model's ground is not in the API: its temperature is stored, and not ranked.
None of this has been seen live. docs/sources/geosphere.md lists what to verify.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from http import HTTPStatus

from backend.collectors.areas import within
from backend.collectors.base import Fetch, LiveFacts, Payload, Request, Source, as_failure
from backend.collectors.geosphere_answer import (
    HORIZON,
    MODEL,
    NAME,
    PARAMETERS,
    PART,
    Answer,
    parse,
    parse_metadata,
)
from backend.collectors.runs import newly_incomplete, title_of
from backend.core import registry
from backend.core.config import Settings
from backend.core.errors import CollectorError, FetchError, IncompleteError
from backend.core.records import CollectionRequest, ForecastBatch, IncompletePart, Outside, Run, Site
from backend.core.terms import terms_of

DATASET = "nwp-v2-1h-1km"

MAX_AGE = timedelta(hours=11)
"""A run may be 8 h old before the next is published (3 h apart, up to 5 h late), and one may be absent."""

USUAL_DELAY = timedelta(hours=5)
"""Usual time from the start of a run until it is listed, rounded up (15 UTC was there at 19:55)."""

SITES_PER_REQUEST = 60
"""With 24 characters for each site the address stays below 1.7 kB."""

MOST_REFUSALS = 10
"""Requests that are repeated without a refused site, for each run."""

_REFUSED_POINT = re.compile(r"point\s+(-?\d+(?:\.\d+)?)\s*,\s*(-?\d+(?:\.\d+)?)\b", re.IGNORECASE)
_SAME_POINT = 0.000_2
"""Degrees: the refusal may repeat the four decimals of the request with another rounding."""


def build(settings: Settings) -> Source[ForecastBatch]:
    """Return the source."""
    return Source.of(
        terms_of(registry.GEOSPHERE, settings),
        batch=ForecastBatch,
        routes=(DatasetRoute(settings.geosphere_url),),
        max_age=MAX_AGE,
        no_archive_reason="its publisher serves runs for about 18 hours, and every collection reads them",
        serves=timedelta(hours=18),
        live=LiveFacts(
            licence_page=f"https://data.hub.geosphere.at/dataset/{DATASET}",
            licence_words="CC BY 4.0",
            if_gone=(
                f"{DATASET} is the successor of nwp-v1-1h-2500m, which was to end on 4 November 2026."
                " GeoSphere announces the end of a data set in the change log of its API, and calls its"
                " forecasts a prerelease: names may change"
            ),
        ),
    )


@dataclass(frozen=True, slots=True)
class _RunToRead:
    """A run that is listed, at its place in the list (0 is the newest)."""

    start: datetime
    offset: int
    newest: datetime
    needs: CollectionRequest

    @property
    def title(self) -> str:
        return title_of(MODEL, self.start)

    def known_as(self, site: str) -> str | None:
        """Return what was missing at a site when the run was read before; None if nothing was."""
        return self.needs.incomplete.get((MODEL, self.start, PART.name, site))


@dataclass(frozen=True, slots=True)
class DatasetRoute:
    """The time series of the data hub."""

    base_url: str
    name: str = "timeseries"
    rank: int = 0

    async def collect(self, needs: CollectionRequest, fetch: Fetch) -> AsyncIterator[ForecastBatch]:
        """Yield the listed runs that are missing for a site, the newest first; see SourceRoute."""
        try:
            metadata = await fetch(Request(url=f"{self._dataset}/metadata", kind="json"))
        except FetchError as error:
            if error.status != HTTPStatus.NOT_FOUND:
                raise
            reason = (
                f"{error.reason}: the data hub has no dataset {DATASET}. GeoSphere announces the end of a"
                " dataset in the change log of its API; the one before was to end in November 2026"
            )
            raise FetchError(reason, source=NAME, url=error.url, status=error.status) from error
        runs = parse_metadata(metadata, needs.now)
        needs, outside = within(MODEL, registry.MODELS[MODEL].area, needs)
        idle = True
        for offset, start in enumerate(runs):
            missing = needs.missing(MODEL, start, PART.name, self.rank) if start > needs.since else ()
            run = _RunToRead(start, offset, runs[0], needs)
            # A site that was refused before would fail the request of all others. It has one of its own, for
            # the newest run only, in case the grid grows.
            beyond = [site for site in missing if (MODEL, site.id) in needs.outside]
            inside = [site for site in missing if site not in beyond]
            groups = [inside[n : n + SITES_PER_REQUEST] for n in range(0, len(inside), SITES_PER_REQUEST)]
            for sites in (*groups, *([beyond] if beyond and offset == 0 else [])):
                idle = False
                for batch in await self._ask(run, sites, fetch):
                    yield batch
        if idle or outside:
            yield replace(self._batch(metadata.fetched_at, runs[0]), outside=outside)

    async def _ask(self, run: _RunToRead, sites: Sequence[Site], fetch: Fetch) -> list[ForecastBatch]:
        """Return the batches of one run for some sites; a site that the refusal names is left out."""
        batches: list[ForecastBatch] = []
        asked = list(sites)
        while asked:
            try:
                payload = await fetch(self._request(run, asked))
                answer = await asyncio.to_thread(parse, payload, run.start, asked)
            except CollectorError as error:
                refused = _refused_site(error, asked)
                if refused is None or len(batches) >= MOST_REFUSALS:
                    batches.append(self._failed(run, error))
                    break
                batches.append(self._refused(run, refused, error))
                asked.remove(refused)
            else:
                batches.append(self._as_batch(run, asked, payload, answer))
                break
        return batches

    def _as_batch(
        self, run: _RunToRead, sites: Sequence[Site], payload: Payload, answer: Answer
    ) -> ForecastBatch:
        incomplete = [
            IncompletePart(PART.name, site, reason, version=reason) for site, reason in answer.absent.items()
        ]
        # What was missing before and still is was stored then: it is neither stored nor reported again.
        same = {one.site for one in incomplete if run.known_as(one.site) == one.version}
        new = [one for one in incomplete if run.known_as(one.site) is None]
        notes = []
        if same:
            sites_as_before = "1 site" if len(same) == 1 else f"{len(same)} sites"
            notes.append(f"{run.title} is incomplete for {sites_as_before} as before")
        records = tuple(record for record in answer.records if record.site not in same)
        # What concerns the whole answer has no site: it is new if the answer has a new site.
        subjects = {f"{MODEL} {site}" for site in same}
        rejected = tuple(
            one for one in answer.rejected if len(same) < len(sites) and one.subject not in subjects
        )
        failures = []
        if new:
            error = IncompleteError(newly_incomplete(run.title, new), source=NAME, url=payload.url)
            failures.append(as_failure(self.name, error))
        return replace(
            self._batch(payload.fetched_at, run.newest),
            records=records,
            rejected=rejected,
            failures=tuple(failures),
            notes=tuple(notes),
            run=self._run(run),
            parts=(PART.name,),
            sites=tuple(site.id for site in sites),
            grid_points=answer.grid_points,
            incomplete=tuple(incomplete),
        )

    def _refused(self, run: _RunToRead, site: Site, error: CollectorError) -> ForecastBatch:
        """Return a batch for a site that is refused: outside of the model, unless it had values before."""
        if (MODEL, site.id) in run.needs.cells:
            named = CollectorError(f"{site.id}: {error.reason}", source=NAME, url=error.url)
            return self._failed(run, named)
        outside = Outside(MODEL, site.id, f"GeoSphere refuses the position: {error.reason}")
        return replace(
            self._batch(run.needs.now, run.newest),
            run=self._run(run),
            parts=(PART.name,),
            sites=(site.id,),
            outside=() if (MODEL, site.id) in run.needs.outside else (outside,),
        )

    def _request(self, run: _RunToRead, sites: Sequence[Site]) -> Request:
        # The query is part of the address, because the parameters of a request have different names, and
        # their commas would be encoded.
        fields = (
            f"parameters={','.join(PARAMETERS)}",
            f"start={run.start:%Y-%m-%dT%H:%M}",
            f"end={run.start + HORIZON:%Y-%m-%dT%H:%M}",
            f"forecast_offset={run.offset}",
            *(f"lat_lon={site.latitude:.4f},{site.longitude:.4f}" for site in sites),
        )
        return Request(url=f"{self._dataset}?{'&'.join(fields)}", kind="json")

    @property
    def _dataset(self) -> str:
        return f"{self.base_url}/v1/timeseries/forecast/{DATASET}"

    def _run(self, run: _RunToRead) -> Run:
        # The list has no time of publication. Collections are hours apart: the time of the first sight would
        # make this model look later than those with a stamp, which then are judged by a newer run.
        seen = min(run.needs.now, run.start + USUAL_DELAY)
        return Run(MODEL, run.start, seen, published=False)

    def _failed(self, run: _RunToRead, error: CollectorError) -> ForecastBatch:
        return replace(self._batch(run.needs.now, run.newest), failures=(as_failure(self.name, error),))

    def _batch(self, collected_at: datetime, newest: datetime) -> ForecastBatch:
        return ForecastBatch(
            source=NAME, route=self.name, rank=self.rank, collected_at=collected_at, newest=newest
        )


def _refused_site(error: CollectorError, sites: Sequence[Site]) -> Site | None:
    """Return the site whose point a refusal names, or None for another error."""
    if not isinstance(error, FetchError) or error.status != HTTPStatus.BAD_REQUEST:
        return None
    if not (match := _REFUSED_POINT.search(error.reason)):
        return None
    latitude, longitude = float(match[1]), float(match[2])
    for site in sites:
        if max(abs(site.latitude - latitude), abs(site.longitude - longitude)) <= _SAME_POINT:
            return site
    return None
