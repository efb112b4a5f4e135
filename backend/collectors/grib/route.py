"""The route to the GRIB files of a model: the runs and files that are read, and their batches."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack, suppress
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from itertools import chain
from os.path import commonprefix
from pathlib import Path

from backend.collectors.areas import within
from backend.collectors.base import Fetch, as_failure
from backend.collectors.grib.decode import Field, GribError, Selector, prepare, read_fields
from backend.collectors.grib.fields import FIELDS, MODEL_ELEVATION, FileValues, parse, parse_model_elevations
from backend.collectors.grib.runs import (
    Catalogue,
    ModelGrid,
    PublishedFile,
    PublishedPart,
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
    url: str
    version: str
    fields: Sequence[Field]
    fetched_at: datetime


@dataclass(frozen=True, slots=True)
class _PartRead:
    """The values of a part, and the errors of those of its files that could not be read."""

    part: Part
    url: str
    version: str
    reading: FileValues
    fetched_at: datetime
    errors: Sequence[CollectorError] = ()


@dataclass(frozen=True, slots=True)
class GribRoute:
    """A route to the GRIB files of a catalogue, which lists runs and their files."""

    name: str
    catalogue: Catalogue
    grid: ModelGrid
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
            overdue = (newest is not None or age >= OVERDUE_AFTER) and (run.parts or age < STORED_FOR)
            if run.absent and not overdue:
                continue
            published = {one.part: one for one in run.parts}
            versions = {part: one.version for part, one in published.items()}
            missing = parts_by_missing_sites(
                needs, self.grid.model, reference_time, published, self.rank, versions
            )
            # The newest run gives the age of the source, so it is reported even if nothing of it is missing.
            if newest is None and published:
                newest = reference_time
                if not missing:
                    yield self._batch(run.seen_at, newest)
            complete: set[tuple[str, str]] = set()
            for sites, parts in missing.items():
                some = [published[part] for part in parts]
                batch = await self._collect_parts(run, some, sites, needs, fetch, newest)
                cells |= {point.site: point.cell for point in batch.grid_points}
                complete.update(batch.complete())
                yield batch
            if any(  # reported before as incomplete, and still not complete
                needs.known_incomplete(self.grid.model, reference_time, part.name, site.id)
                for part in (*published, *run.absent)
                for site in needs.missing(self.grid.model, reference_time, part.name, self.rank)
                if (part.name, site.id) not in complete
            ):
                incomplete.append(f"{reference_time:%Y-%m-%d %H:%M}")
            if absent := self._without_files(run, needs, newest):
                yield absent
            if not published:
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
        """Return a batch that reports the parts without a file, or None if all are reported already.

        A part with some of its files is reported by the fields that it is without.
        """
        model, start = self.grid.model, run.reference_time
        some = {one.part for one in run.parts}
        new = [
            IncompletePart(part.name, site.id, "there is no file")
            for part in run.absent
            if part not in some
            for site in needs.missing(model, start, part.name, self.rank)
            if not needs.known_incomplete(model, start, part.name, site.id)
        ]
        if not new:
            return None
        names = ", ".join(dict.fromkeys(one.part for one in new)) if run.parts else "the whole run"
        reason = f"{title_of(model, start)} is incomplete: there is no file of {names}"
        error = IncompleteError(reason[:LONGEST_TEXT], source=self.grid.source)
        batch = self._batch(run.seen_at, newest, [as_failure(self.name, error)])
        return replace(batch, run=self._run(run), incomplete=tuple(new))

    async def _collect_parts(
        self,
        run: PublishedRun,
        parts: Sequence[PublishedPart],
        sites: tuple[Site, ...],
        needs: CollectionRequest,
        fetch: Fetch,
        newest: datetime | None,
    ) -> ForecastBatch:
        """Download and read the files of parts; a file that fails does not stop the others."""
        on_disk, line = asyncio.Semaphore(FILES_AT_A_TIME), asyncio.Lock()

        async def start_worker() -> None:
            """Start the worker early. Errors are ignored here; reading the first file reports them."""
            if self.worker.pid is None:
                with suppress(WorkerLostError):
                    await self.worker.run(prepare)

        async def read_file(file: PublishedFile, known: str) -> _FileRead | CollectorError:
            selectors = {name: FIELDS[name] for name in file.fields or FIELDS}
            try:
                async with on_disk, AsyncExitStack() as stack:
                    async with line:  # downloads run one at a time, in order
                        request = replace(file.request, known=known)
                        download = await stack.enter_async_context(fetch.download(request))
                    fields = await self._decode(download.path, download.url, sites, selectors)
                    version = file.version or download.version
                    return _FileRead(download.url, version, fields, download.fetched_at)
            except CollectorError as error:
                return error

        async def read(one: PublishedPart) -> _PartRead | Sequence[CollectorError]:
            """Return the values of a part, or the errors of its files: none if it was read as it is."""
            known = {
                needs.incomplete.get((self.grid.model, run.reference_time, one.part.name, site.id), "")
                for site in sites
            }
            # For a listing without stamps; with stamps, a part of a known version is not missing at all.
            same = known.pop() if len(known) == len(one.files) == 1 and not one.version else ""
            outcomes = await asyncio.gather(*(read_file(file, same) for file in one.files))
            errors = [error for error in outcomes if isinstance(error, CollectorError)]
            files = [file for file in outcomes if isinstance(file, _FileRead)]
            if not files:
                return [error for error in errors if not isinstance(error, UnchangedError)]
            url = files[0].url
            if len(one.files) > 1:  # the folder they share: a missing field is in none of them
                together = commonprefix([file.request.url for file in one.files])  # noqa: RUF071 - of addresses
                url = together.rpartition("/")[0]
            try:
                reading = await asyncio.to_thread(
                    parse,
                    [field for file in files for field in file.fields],
                    grid=self.grid,
                    reference_time=run.reference_time,
                    part=one.part,
                    sites=sites,
                    url=url,
                )
            except CollectorError as error:
                return [*errors, error]
            versions = [file.version for file in files]
            version = one.version or ("; ".join(versions) if all(versions) else "")
            # A damaged file stays so until its version changes; one that was not received is requested again.
            lasting = all(isinstance(error, ParseError) for error in errors)
            fetched_at = max(file.fetched_at for file in files)
            return _PartRead(one.part, url, version if lasting else "", reading, fetched_at, errors)

        async with asyncio.TaskGroup() as group:
            group.create_task(start_worker())
            tasks = [group.create_task(read(one)) for one in parts]
        # In a thread: there may be 200 000 records.
        return await asyncio.to_thread(
            self._as_batch, run, [task.result() for task in tasks], sites, needs, newest
        )

    def _as_batch(
        self,
        run: PublishedRun,
        outcomes: Sequence[_PartRead | Sequence[CollectorError]],
        sites: tuple[Site, ...],
        needs: CollectionRequest,
        newest: datetime | None,
    ) -> ForecastBatch:
        """Return the values of the parts as one batch.

        A site without a value is either outside of the model or, with values in earlier runs, rejected: then
        the mask is an error of this run.
        """
        model = self.grid.model
        read = [outcome for outcome in outcomes if isinstance(outcome, _PartRead)]
        open_ = [one for one in read if one.reading.absent]
        errors: list[CollectorError] = []
        for outcome in outcomes:
            errors += outcome.errors if isinstance(outcome, _PartRead) else outcome
        for one in open_:
            title = title_of(model, run.reference_time)
            reason = f"{title} is incomplete: {one.part.name} is without {one.reading.absent}"
            if one.part in run.absent and run.listed:
                reason = f"{reason}; the listing has {', '.join(run.listed)}"
            errors.append(IncompleteError(reason[:LONGEST_TEXT], source=self.grid.source, url=one.url))
        failures = [as_failure(self.name, error) for error in errors]
        covered = {site for name, site in needs.cells if name == model}
        # Every file has the same sites under the mask: report each once.
        valueless = dict.fromkeys(place for one in read for place in one.reading.outside)
        outside = [one for one in valueless if one.site not in covered]
        names = {f"{model} {one.site}" for one in outside}
        rejected = dict.fromkeys(item for one in read for item in one.reading.rejected)
        subjects = {value.subject for value in rejected}
        odd = [
            Rejected(f"{model} {one.site}", None, None, "", f"outside_grid: {one.reason}")
            for one in valueless
            if one.site in covered and f"{model} {one.site}" not in subjects
        ]
        collected_at = max((one.fetched_at for one in read), default=run.seen_at)
        return replace(
            self._batch(collected_at, newest, failures),
            records=tuple(chain.from_iterable(one.reading.records for one in read)),
            rejected=(*(value for value in rejected if value.subject not in names), *odd),
            grid_points=tuple(dict.fromkeys(point for one in read for point in one.reading.grid_points)),
            run=self._run(run),
            parts=tuple(one.part.name for one in read),
            sites=tuple(site.id for site in sites),
            versions={one.part.name: one.version for one in read},
            incomplete=tuple(
                IncompletePart(one.part.name, site.id, f"without {one.reading.absent}", one.version)
                for one in open_
                for site in sites
            ),
            outside=tuple(one for one in outside if (model, one.site) not in needs.outside),
        )

    async def _collect_model_elevations(
        self, run: PublishedRun, sites: tuple[Site, ...], fetch: Fetch, newest: datetime | None
    ) -> ForecastBatch:
        """Return the grid points of `sites` with their model elevations, or the failure."""
        try:
            request = await self.catalogue.elevation_request(run.reference_time, fetch)
            async with fetch.download(request) as download:
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
            published=run.available_at is not None and run.stated,
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
