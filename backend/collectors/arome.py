"""AROME, the 1.3 km model of Météo-France, read from the GRIB files that everyone is served.

Publisher: Météo-France. Licence: Licence Ouverte 2.0 (Etalab), to be credited.
Runs: 00, 03, 06, 09, 12, 15, 18, 21 UTC, hourly to +51 h. Complete (seen August 2026) 2 h 40 after 00 and
03 UTC, about 5 h 10 after 06 and 18 UTC, about 4 h after the others: there is no one delay to rely on.
Grids: 0.025 degrees ("0025": nine files of about 50 MB a run) and 0.01 degrees ("001": 52 files of about
23 MB a run), from 55.4 N 12 W to 37.5 N 16 E, row by row from the north.
Units: m/s (wind as components, east and north), K, m above sea level (the model's ground). Times: UTC.

Quirks, with the date we saw them:
- longitudes start at 348 and cross Greenwich; 17 % of the cells lie under a bitmap (April 2026);
- the centre is 85 in the one captured message (April 2026) and 84 in the documents: both are Toulouse;
- step 0 has no gust; a gust is the maximum of the hour that ends at its step (since 2019);
- gusts come as components on both grids and as a speed on 0.025 only, the two being equal (2026).
  We take the components where they are, so that both grids are treated alike, and the speed elsewhere:
  a parameter has been dropped from a package without notice before (2019, 2024);
- the ground is in other packages, once in a run: SP2 of the coarse grid, SP3 of the fine one (2026);
- the storage moved to another host without a redirect (May 2026): the address is a setting.

AROME-IFS is the same model started from ECMWF's analysis: since June 2026 its files (0.025 degrees; 00, 06,
12 and 18 UTC; complete about 7 h 30 after the run) lie beside AROME's, and are read by the same reader.

Each file answers for all sites at once. Routes, best first: object storage and portal serve the same
files (arome_storage.py, arome_portal.py); open_meteo.py is a lesser copy. docs/sources/arome.md tells more.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Collection, Mapping, Sequence
from contextlib import AsyncExitStack, suppress
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from itertools import chain
from pathlib import Path

from backend.collectors.arome_fields import FIELDS, GROUND, Reading, parse, parse_ground
from backend.collectors.arome_portal import PacedRoute, Portal
from backend.collectors.arome_runs import (
    AROME_IFS,
    GRIDS,
    LONGEST_LEAD,
    NAME,
    AromeGrid,
    Catalogue,
    PackageFile,
    Part,
    PublishedRun,
    cycles,
    parts_by_missing_sites,
    parts_of,
)
from backend.collectors.arome_storage import ObjectStorage
from backend.collectors.base import LONGEST_TEXT, Fetch, Past, Route, Source, as_failure
from backend.collectors.grib import BadGrib, Field, Selector, prepare, read_fields
from backend.collectors.open_meteo import ARCHIVE_SINCE, Model, OpenMeteo
from backend.collectors.worker import Worker, WorkerLost
from backend.core.config import Settings
from backend.core.errors import CollectorError, IncompleteError, ParseError
from backend.core.records import Failure, ForecastBatch, Run, Site, Wanted

ATTRIBUTION = "Météo-France, AROME, Licence Ouverte 2.0 (Etalab)"
ATTRIBUTION_IFS = "Météo-France, AROME-IFS, Licence Ouverte 2.0 (Etalab)"
ATTRIBUTION_OPEN_METEO = "Open-Meteo.com, CC BY 4.0"

IFS_RUNS = (0, 6, 12, 18)

NO_PAST = (
    "its files are kept for 15 days, and FORECAST_LOOKBACK_HOURS=360 collects them; OPEN_METEO_FALLBACK=true"
    " opens an archive of lesser copies"
)

_IN_OPEN_METEO = {
    "0025": ("meteofrance_arome_france", "meteofrance_arome_france0025"),
    "001": ("meteofrance_arome_france_hd", "meteofrance_arome_france_hd"),
}
"""What Open-Meteo calls each grid, in questions and in its metadata."""

FILES_AT_A_TIME = 2
"""One is decoded while the next is downloaded."""


def build(settings: Settings, worker: Worker) -> Source[ForecastBatch]:
    """Return the source for the grid of the settings; GRIB is decoded in `worker`."""
    grid, max_lead, hours = GRIDS[settings.arome_grid], settings.arome_max_lead, settings.arome_runs
    storage = ObjectStorage(settings.arome_url, grid, max_lead)
    routes: list[Route[ForecastBatch]] = [PackageRoute("object_storage", storage, grid, hours, worker)]
    attribution = ATTRIBUTION
    past: Past[ForecastBatch] | None = None
    if settings.meteofrance_api_key:
        key = settings.meteofrance_api_key.get_secret_value()
        portal = Portal(settings.meteofrance_api_url, key, grid, max_lead)
        routes.append(PacedRoute(PackageRoute("portal", portal, grid, hours, worker)))
    if settings.open_meteo_fallback:
        routes.append(copies := _open_meteo(settings, grid))
        past = Past(routes=(copies,), since=ARCHIVE_SINCE)
        attribution = f"{ATTRIBUTION}; {ATTRIBUTION_OPEN_METEO}"
    return Source(
        name=NAME,
        batch=ForecastBatch,
        routes=tuple(routes),
        max_age=max_age(hours),
        public=True,
        attribution=attribution,
        models=(grid.model,),
        past=past,
        no_past=NO_PAST,
    )


def build_ifs(settings: Settings, worker: Worker) -> Source[ForecastBatch]:
    """Return the source of AROME-IFS, whose files lie beside AROME's; off unless `SOURCES` names it."""
    storage = ObjectStorage(settings.arome_url, AROME_IFS, settings.arome_max_lead)
    return Source(
        name=AROME_IFS.source,
        batch=ForecastBatch,
        routes=(PackageRoute("object_storage", storage, AROME_IFS, IFS_RUNS, worker),),
        max_age=max_age(IFS_RUNS) + timedelta(hours=2),  # a run takes up to 7 h 35
        public=True,
        attribution=ATTRIBUTION_IFS,
        models=(AROME_IFS.model,),
        no_past="its files are kept for 15 days, and FORECAST_LOOKBACK_HOURS=360 collects them",
    )


def _open_meteo(settings: Settings, grid: AromeGrid) -> OpenMeteo:
    model = Model(
        name=grid.model,
        id=_IN_OPEN_METEO[grid.code][0],
        domain=_IN_OPEN_METEO[grid.code][1],
        hours=settings.arome_runs,
        horizon=LONGEST_LEAD,
        parts=parts_of(grid, settings.arome_max_lead),
        usual_delay=timedelta(hours=6),
    )
    return OpenMeteo(
        source=NAME,
        url=settings.open_meteo_url,
        single_runs_url=settings.open_meteo_single_runs_url,
        models=(model,),
        rank=2,
    )


def max_age(hours: Collection[int]) -> timedelta:
    """Return how old the newest complete run may be: one run may be missing, the next takes up to 6 h."""
    ordered = sorted(hours)
    gaps = [later - earlier for earlier, later in zip(ordered, [*ordered[1:], ordered[0] + 24], strict=True)]
    return timedelta(hours=2 * max(gaps) + 6)


@dataclass(frozen=True, slots=True)
class _FileRead:
    part: Part
    reading: Reading
    fetched_at: datetime


@dataclass(frozen=True, slots=True)
class PackageRoute:
    """A way to the GRIB files: a catalogue says which runs are whole, and where their files are."""

    name: str
    catalogue: Catalogue
    grid: AromeGrid
    hours: Sequence[int]
    worker: Worker
    rank: int = 0

    async def collect(self, wanted: Wanted, fetch: Fetch) -> AsyncIterator[ForecastBatch]:
        """Yield every complete run of which something is missing, newest first; see Route.

        Where the model answers for a site and the height of its ground is not kept, that file of the run
        is read too: once in a collection, and never again once it is kept.
        """
        newest: datetime | None = None
        answered: dict[str, str] = {}
        tried: set[Site] = set()
        for reference_time in await self.catalogue.candidates(cycles(wanted, self.hours), fetch):
            try:
                run = await self.catalogue.find(reference_time, fetch)
            except CollectorError as error:
                yield self._batch(wanted.now, newest, [as_failure(self.name, error)])
                continue
            if run is None:
                continue
            files = {file.part: file for file in run.files}
            missing = parts_by_missing_sites(wanted, self.grid.model, reference_time, files, self.rank)
            if newest is None:
                newest = reference_time
                if not missing:
                    yield self._batch(run.seen_at, newest)
            for sites, parts in missing.items():
                batch = await self._collect_files(run, [files[part] for part in parts], sites, fetch, newest)
                answered |= {point.site: point.cell for point in batch.grid_points}
                yield batch
            lacking = wanted.without_ground(self.grid.model, answered)
            if sites := tuple(site for site in lacking if site not in tried):
                tried.update(sites)
                yield await self._collect_ground(run, sites, fetch, newest)

    async def _collect_files(
        self,
        run: PublishedRun,
        files: Sequence[PackageFile],
        sites: tuple[Site, ...],
        fetch: Fetch,
        newest: datetime,
    ) -> ForecastBatch:
        """Download and read files; one that fails costs itself only."""
        on_disk, line = asyncio.Semaphore(FILES_AT_A_TIME), asyncio.Lock()
        async with asyncio.TaskGroup() as group:
            group.create_task(self._start_worker())
            tasks = [
                group.create_task(self._read_file(run, file, sites, fetch, on_disk, line)) for file in files
            ]
        outcomes = [task.result() for task in tasks]
        return await asyncio.to_thread(self._together, run, outcomes, sites, newest)

    def _together(
        self,
        run: PublishedRun,
        outcomes: Sequence[_FileRead | CollectorError],
        sites: tuple[Site, ...],
        newest: datetime,
    ) -> ForecastBatch:
        """Return what the files say as one batch. For a thread: there may be 200 000 records."""
        read = [outcome for outcome in outcomes if isinstance(outcome, _FileRead)]
        failures = [as_failure(self.name, error) for error in outcomes if isinstance(error, CollectorError)]
        came_at = max((file.fetched_at for file in read), default=run.seen_at)
        return replace(
            self._batch(came_at, newest, failures),
            records=tuple(chain.from_iterable(file.reading.records for file in read)),
            # Every file says again of the same sites that they lie outside: once is enough.
            rejected=tuple(dict.fromkeys(item for file in read for item in file.reading.rejected)),
            grid_points=tuple(dict.fromkeys(point for file in read for point in file.reading.grid_points)),
            run=self._run(run),
            parts=tuple(file.part.name for file in read),
            sites=tuple(site.id for site in sites),
        )

    async def _collect_ground(
        self, run: PublishedRun, sites: tuple[Site, ...], fetch: Fetch, newest: datetime
    ) -> ForecastBatch:
        """Return the grid points of `sites` with their ground, or the failure to read it."""
        try:
            async with fetch.download(self.catalogue.ground(run.reference_time)) as download:
                fields = await self._decode(download.path, download.url, sites, GROUND)
                reading = parse_ground(
                    fields,
                    grid=self.grid,
                    reference_time=run.reference_time,
                    sites=sites,
                    url=download.url,
                )
        except CollectorError as error:
            reason = f"the height of the model's ground: {error.reason}"[:LONGEST_TEXT]
            without = IncompleteError(reason, source=error.source, url=error.url)
            return self._batch(run.seen_at, newest, [as_failure(self.name, without)])
        return replace(
            self._batch(download.fetched_at, newest),
            rejected=reading.rejected,
            grid_points=reading.grid_points,
            run=self._run(run),
        )

    async def _start_worker(self) -> None:
        """Have the worker ready when the first file is; what fails here fails again, and is told, there."""
        if self.worker.pid is None:
            with suppress(WorkerLost):
                await self.worker.run(prepare)

    async def _read_file(
        self,
        run: PublishedRun,
        file: PackageFile,
        sites: tuple[Site, ...],
        fetch: Fetch,
        on_disk: asyncio.Semaphore,
        line: asyncio.Lock,
    ) -> _FileRead | CollectorError:
        """Return what a file says, or why it says nothing; downloads go one at a time, in order."""
        try:
            async with on_disk, AsyncExitStack() as stack:
                async with line:
                    download = await stack.enter_async_context(fetch.download(file.request))
                fields = await self._decode(download.path, download.url, sites, FIELDS)
                reading = await asyncio.to_thread(
                    parse,
                    fields,
                    grid=self.grid,
                    reference_time=run.reference_time,
                    part=file.part,
                    sites=sites,
                    url=download.url,
                )
                return _FileRead(file.part, reading, download.fetched_at)
        except CollectorError as error:
            return error

    async def _decode(
        self, path: Path, url: str, sites: Sequence[Site], wanted: Mapping[str, Selector]
    ) -> list[Field]:
        points = [(site.latitude, site.longitude) for site in sites]
        try:
            return await self.worker.run(read_fields, path, points, wanted)
        except BadGrib as error:
            raise ParseError(str(error), source=self.grid.source, url=url) from error
        except WorkerLost as error:
            raise CollectorError(str(error), source=self.grid.source, url=url) from error

    def _run(self, run: PublishedRun) -> Run:
        return Run(
            model=self.grid.model,
            reference_time=run.reference_time,
            available_at=run.available_at or run.seen_at,
            published=run.available_at is not None,
        )

    def _batch(
        self, collected_at: datetime, newest: datetime | None, failures: Sequence[Failure] = ()
    ) -> ForecastBatch:
        return ForecastBatch(
            source=self.grid.source,
            route=self.name,
            rank=self.rank,
            collected_at=collected_at,
            newest=newest,
            failures=tuple(failures),
        )
