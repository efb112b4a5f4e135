"""The route to the GRIB files of AROME and ARPEGE: the runs and files that are read, and their batches."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack, suppress
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from itertools import chain
from pathlib import Path

from backend.collectors.areas import within
from backend.collectors.base import Fetch, as_failure
from backend.collectors.grib.decode import Field, GribError, Selector, prepare, read_fields
from backend.collectors.grib.fields import FIELDS, MODEL_ELEVATION, FileValues, parse, parse_model_elevations
from backend.collectors.grib.runs import (
    Catalogue,
    PackageFile,
    PackageGrid,
    PublishedRun,
)
from backend.collectors.grib.worker import Worker, WorkerLostError
from backend.collectors.runs import Part, cycles, parts_by_missing_sites, title_of
from backend.collectors.set_aside import LONGEST_TEXT
from backend.core.errors import CollectorError, IncompleteError, ParseError, UnchangedError
from backend.core.records import (
    CollectionRequest,
    Failure,
    ForecastBatch,
    IncompletePart,
    Rejected,
    Run,
    Site,
)

FILES_AT_A_TIME = 2
"""One is decoded while the next is downloaded."""

OVERDUE_AFTER = timedelta(hours=12)
"""Age from which an incomplete run is read as it is. The slowest, AROME-IFS, takes 7 h 35."""

STORED_FOR = timedelta(days=14)
"""How long the storage has files, rounded down. An older run without files may have been complete."""


@dataclass(frozen=True, slots=True)
class _FileRead:
    part: Part
    url: str
    version: str
    reading: FileValues
    fetched_at: datetime


@dataclass(frozen=True, slots=True)
class GribRoute:
    """A route to the GRIB files of a catalogue, which lists runs and their files."""

    name: str
    catalogue: Catalogue
    grid: PackageGrid
    hours: Sequence[int]
    worker: Worker
    rank: int = 0

    async def collect(self, needs: CollectionRequest, fetch: Fetch) -> AsyncIterator[ForecastBatch]:
        """Yield every run that is complete or overdue and has missing values, newest first; see SourceRoute.

        An incomplete run is reported once as a failure, and then in a note. If the model elevation of a site
        is not stored, the file with the elevations is read too, at most once in a collection.
        """
        newest: datetime | None = None
        cells: dict[str, str] = {}
        elevation_tried: set[Site] = set()
        incomplete: list[str] = []
        needs, outside = within(self.grid.model, self.grid.area, needs)
        if outside:
            yield replace(self._batch(needs.now, None), outside=outside)
        for reference_time in await self.catalogue.candidates(cycles(needs, self.hours), fetch):
            try:
                run = await self.catalogue.find(reference_time, fetch)
            except CollectorError as error:
                yield self._batch(needs.now, newest, [as_failure(self.name, error)])
                continue
            age = needs.now - reference_time
            overdue = (newest is not None or age >= OVERDUE_AFTER) and (run.files or age < STORED_FOR)
            if run.absent and not overdue:
                continue
            files = {file.part: file for file in run.files}
            versions = {part: file.version for part, file in files.items()}
            missing = parts_by_missing_sites(
                needs, self.grid.model, reference_time, files, self.rank, versions
            )
            # The newest run gives the age of the source, so it is reported even if nothing of it is missing.
            if newest is None and files:
                newest = reference_time
                if not missing:
                    yield self._batch(run.seen_at, newest)
            complete: set[tuple[str, str]] = set()
            for sites, parts in missing.items():
                some = [files[part] for part in parts]
                batch = await self._collect_files(run, some, sites, needs, fetch, newest)
                cells |= {point.site: point.cell for point in batch.grid_points}
                complete.update(batch.complete())
                yield batch
            if any(  # reported before as incomplete, and still not complete
                needs.known_incomplete(self.grid.model, reference_time, part.name, site.id)
                for part in (*files, *run.absent)
                for site in needs.missing(self.grid.model, reference_time, part.name, self.rank)
                if (part.name, site.id) not in complete
            ):
                incomplete.append(f"{reference_time:%Y-%m-%d %H:%M}")
            if absent := self._without_files(run, needs, newest):
                yield absent
            if not files:
                continue
            # After the files: only these state the grid cell of a site, to which the elevation belongs.
            without = needs.without_model_elevation(self.grid.model, cells)
            if sites := tuple(site for site in without if site not in elevation_tried):
                elevation_tried.update(sites)
                yield await self._collect_model_elevations(run, sites, fetch, newest)
        if incomplete:
            note = f"{self.grid.model} is incomplete in {', '.join(incomplete)} UTC"
            yield replace(self._batch(needs.now, newest), notes=(note,))

    def _without_files(
        self, run: PublishedRun, needs: CollectionRequest, newest: datetime | None
    ) -> ForecastBatch | None:
        """Return a batch that reports the parts without a file, or None if all are reported already."""
        model, start = self.grid.model, run.reference_time
        new = [
            IncompletePart(part.name, site.id, "there is no file")
            for part in run.absent
            for site in needs.missing(model, start, part.name, self.rank)
            if not needs.known_incomplete(model, start, part.name, site.id)
        ]
        if not new:
            return None
        names = ", ".join(dict.fromkeys(one.part for one in new)) if run.files else "the whole run"
        reason = f"{title_of(model, start)} is incomplete: there is no file of {names}"
        error = IncompleteError(reason[:LONGEST_TEXT], source=self.grid.source)
        batch = self._batch(run.seen_at, newest, [as_failure(self.name, error)])
        return replace(batch, run=self._run(run), incomplete=tuple(new))

    async def _collect_files(
        self,
        run: PublishedRun,
        files: Sequence[PackageFile],
        sites: tuple[Site, ...],
        needs: CollectionRequest,
        fetch: Fetch,
        newest: datetime | None,
    ) -> ForecastBatch:
        """Download and read files; a file that fails does not stop the others."""
        on_disk, line = asyncio.Semaphore(FILES_AT_A_TIME), asyncio.Lock()

        async def start_worker() -> None:
            """Start the worker early. Errors are ignored here; reading the first file reports them."""
            if self.worker.pid is None:
                with suppress(WorkerLostError):
                    await self.worker.run(prepare)

        async def read(file: PackageFile) -> _FileRead | CollectorError | None:
            """Return the values of a file, its error, or None if it was read before in this version."""
            request, part = file.request, file.part
            (known, *others) = {
                needs.incomplete.get((self.grid.model, run.reference_time, part.name, site.id), "")
                for site in sites
            }
            # For a listing without stamps; with stamps, a file of a known version is not missing at all.
            if not others and not file.version:
                request = replace(request, known=known)
            try:
                async with on_disk, AsyncExitStack() as stack:
                    async with line:  # downloads run one at a time, in order
                        download = await stack.enter_async_context(fetch.download(request))
                    fields = await self._decode(download.path, download.url, sites, FIELDS)
                    reading = await asyncio.to_thread(
                        parse,
                        fields,
                        grid=self.grid,
                        reference_time=run.reference_time,
                        part=part,
                        sites=sites,
                        url=download.url,
                    )
                    version = file.version or download.version
                    return _FileRead(part, download.url, version, reading, download.fetched_at)
            except UnchangedError:
                return None
            except CollectorError as error:
                return error

        async with asyncio.TaskGroup() as group:
            group.create_task(start_worker())
            tasks = [group.create_task(read(file)) for file in files]
        # In a thread: there may be 200 000 records.
        return await asyncio.to_thread(
            self._as_batch, run, [task.result() for task in tasks], sites, needs, newest
        )

    def _as_batch(
        self,
        run: PublishedRun,
        outcomes: Sequence[_FileRead | CollectorError | None],
        sites: tuple[Site, ...],
        needs: CollectionRequest,
        newest: datetime | None,
    ) -> ForecastBatch:
        """Return the values of the files as one batch.

        A site without a value is either outside of the model or, with values in earlier runs, rejected: then
        the mask is an error of this run.
        """
        model = self.grid.model
        read = [outcome for outcome in outcomes if isinstance(outcome, _FileRead)]
        open_ = [file for file in read if file.reading.absent]
        failures = [as_failure(self.name, error) for error in outcomes if isinstance(error, CollectorError)]
        for file in open_:
            title = title_of(model, run.reference_time)
            reason = f"{title} is incomplete: {file.part.name} is without {file.reading.absent}"
            error = IncompleteError(reason[:LONGEST_TEXT], source=self.grid.source, url=file.url)
            failures.append(as_failure(self.name, error))
        covered = {site for name, site in needs.cells if name == model}
        # Every file has the same sites under the mask: report each once.
        valueless = dict.fromkeys(one for file in read for one in file.reading.outside)
        outside = [one for one in valueless if one.site not in covered]
        names = {f"{model} {one.site}" for one in outside}
        rejected = dict.fromkeys(item for file in read for item in file.reading.rejected)
        subjects = {value.subject for value in rejected}
        odd = [
            Rejected(f"{model} {one.site}", None, None, "", f"outside_grid: {one.reason}")
            for one in valueless
            if one.site in covered and f"{model} {one.site}" not in subjects
        ]
        collected_at = max((file.fetched_at for file in read), default=run.seen_at)
        return replace(
            self._batch(collected_at, newest, failures),
            records=tuple(chain.from_iterable(file.reading.records for file in read)),
            rejected=(*(value for value in rejected if value.subject not in names), *odd),
            grid_points=tuple(dict.fromkeys(point for file in read for point in file.reading.grid_points)),
            run=self._run(run),
            parts=tuple(file.part.name for file in read),
            sites=tuple(site.id for site in sites),
            versions={file.part.name: file.version for file in read},
            incomplete=tuple(
                IncompletePart(file.part.name, site.id, f"without {file.reading.absent}", file.version)
                for file in open_
                for site in sites
            ),
            outside=tuple(one for one in outside if (model, one.site) not in needs.outside),
        )

    async def _collect_model_elevations(
        self, run: PublishedRun, sites: tuple[Site, ...], fetch: Fetch, newest: datetime | None
    ) -> ForecastBatch:
        """Return the grid points of `sites` with their model elevations, or the failure."""
        try:
            async with fetch.download(self.catalogue.elevation_request(run.reference_time)) as download:
                fields = await self._decode(download.path, download.url, sites, MODEL_ELEVATION)
                reading = parse_model_elevations(
                    fields,
                    grid=self.grid,
                    reference_time=run.reference_time,
                    sites=sites,
                    url=download.url,
                )
        except CollectorError as error:
            reason = f"the height of the model's ground: {error.reason}"[:LONGEST_TEXT]
            incomplete = IncompleteError(reason, source=error.source, url=error.url)
            return self._batch(run.seen_at, newest, [as_failure(self.name, incomplete)])
        return replace(
            self._batch(download.fetched_at, newest),
            rejected=reading.rejected,
            grid_points=reading.grid_points,
            run=self._run(run),
        )

    async def _decode(
        self, path: Path, url: str, sites: Sequence[Site], selectors: Mapping[str, Selector]
    ) -> list[Field]:
        points = [(site.latitude, site.longitude) for site in sites]
        try:
            return await self.worker.run(read_fields, path, points, selectors)
        except GribError as error:
            raise ParseError(str(error), source=self.grid.source, url=url) from error
        except WorkerLostError as error:
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
