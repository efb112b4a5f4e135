"""The masts of Météo-France, every hour: open files of whole departments, one day or more late.

Publisher: Météo-France, the set "données climatologiques de base horaires" of data.gouv.fr. Licence: Licence
Ouverte 2.0 (Etalab), to be credited. No key. A department with a mapped mast costs 3 to 15 MB, once a day;
without a mapped mast nothing is requested.
Units: m/s, degrees, °C. Times: the hour in UTC at which the interval ends. Wind at 10 m: the mean of ten
minutes at the hour (FF, DD; that they end at the stamp is not verified), and the gust of the hour before it
(FXI). FXY is the highest mean of ten minutes and no gust; FF2 and FXI2 are measured at 2 m: none is read.
A station's id is its eight digits, leading zero included: "meteofrance_hourly:01014002".

Quirks, with the date of their description:
- each value has a quality code: 0, 1 and 9 are good, 2 is doubtful and set aside (2026);
- a published value may be corrected later: the last ten days are read again in each new file (2026);
- the names of the files state years and change each January: the name of the year before is tried too (2026);
- most stations have no anemometer: their FF is empty in every row (2026);
- names are in UTF-8 or in Latin-1, by file (2026).
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, time, timedelta

from backend.collectors.base import Archive, Fetch, LiveFacts, Payload, Request, Source
from backend.collectors.beacons.gaps import missing_spans
from backend.collectors.beacons.readings import is_new_or_changed, positions_of
from backend.collectors.meteofrance_files import NETWORK, Content, read
from backend.core import registry
from backend.core.config import Settings
from backend.core.errors import CollectorError, FetchError, ParseError, UnchangedError
from backend.core.records import CollectionRequest, ObservationBatch, number_of
from backend.core.terms import terms_of

MAX_AGE = timedelta(days=6)
"""The newest row was seen to be some hours old (June 2026) and five days old (August 2026)."""

READ_AGAIN = timedelta(days=10)
"""How far back each new file is read again, for corrections and late rows."""

MAX_FILE_BYTES = 100_000_000
"""Of a compressed file; the largest that was seen has 17 MB."""

FIRST_YEAR = 1950
"""Older files than those of this decade are not requested."""

_NOT_FOUND = (403, 404)  # an object storage may answer 403 for an object that does not exist


def build(settings: Settings) -> Source[ObservationBatch]:
    """Return the source, which requests nothing until a site names a mast."""
    return Source.of(
        terms_of(registry.METEOFRANCE_HOURLY, settings),
        batch=ObservationBatch,
        routes=(Latest(settings.meteofrance_hourly_url),),
        max_age=MAX_AGE,
        past=Archive(
            routes=(Years(settings.meteofrance_hourly_url),), since=datetime(FIRST_YEAR, 1, 1, tzinfo=UTC)
        ),
        live=LiveFacts(
            licence_page="https://www.data.gouv.fr/api/1/datasets/donnees-climatologiques-de-base-horaires/",
            licence_words="lov2",
            licence_kind="json",
            if_gone=(
                "the former host object.files.data.gouv.fr/meteofrance is frozen since June 2026. The data"
                " set donnees-climatologiques-de-base-horaires on www.data.gouv.fr links to the present"
                " files: set METEOFRANCE_HOURLY_URL to their folder"
            ),
        ),
    )


@dataclass(frozen=True, slots=True)
class _Seen:
    """A file that was read: its version, the stations that were wanted, and each one's newest time in it."""

    url: str
    version: str
    stations: tuple[str, ...]
    latest: Mapping[str, datetime]
    newest: datetime | None
    absent: tuple[str, ...]

    def is_stored(self, needs: CollectionRequest, stations: tuple[str, ...]) -> bool:
        """True if the store has all that these stations have in the file: it need not be read again."""
        complete = needs.complete_until
        return self.stations == stations and all(
            station in complete and complete[station] >= time for station, time in self.latest.items()
        )


@dataclass(frozen=True, slots=True)
class Latest:
    """The file of this year and the last one, of each department with a mapped mast."""

    url: str
    _seen: dict[str, _Seen] = field(default_factory=dict, repr=False, compare=False)

    name = "files"
    rank = 0

    async def collect(self, needs: CollectionRequest, fetch: Fetch) -> AsyncIterator[ObservationBatch]:
        """Yield one batch per department; a file that has not changed is not downloaded again."""
        departments = by_department(needs.mapped_stations(NETWORK.name))
        if not departments:
            yield self._without_values(needs, notes=("no site names a mast: nothing is requested",))
        for department, stations in departments.items():
            seen = self._seen.get(department)
            known = seen.version if seen is not None and seen.is_stored(needs, stations) else ""
            try:
                seen, content, payload = await self._read(department, stations, needs, fetch, known)
            except UnchangedError:
                if seen is not None:
                    yield self._without_values(needs, newest=seen.newest)
            except CollectorError as error:
                yield NETWORK.failed(self, error, needs)
                continue
            else:
                yield self._batch(needs, payload, content, seen.latest)
                self._seen[department] = seen
            if seen is not None:
                for station in seen.absent:
                    yield NETWORK.failed(self, not_in_file(station, seen.url), needs)

    async def _read(
        self, department: str, stations: tuple[str, ...], needs: CollectionRequest, fetch: Fetch, known: str
    ) -> tuple[_Seen, Content, Payload]:
        """Read the file of this year; in the first days of a year it may still have its old name."""
        since = {station: self._since(needs, station) for station in stations}
        year = needs.now.year

        async def read_named(name: str) -> tuple[_Seen, Content, Payload]:
            async with fetch.download(file_request(self.url, department, name, known)) as file:
                payload = Payload(url=file.url, body=b"", fetched_at=file.fetched_at)
                content = await asyncio.to_thread(read, file.path, payload, since)
                latest = content.readings.latest
                seen = _Seen(
                    url=file.url,
                    version=file.version,
                    stations=stations,
                    latest={station: latest[station] for station in stations if station in latest},
                    newest=content.readings.newest,
                    absent=tuple(one for one in stations if number_of(one) not in content.numbers),
                )
                return seen, content, payload

        try:
            return await read_named(f"latest-{year - 1}-{year}")
        except FetchError as error:
            if error.status not in _NOT_FOUND:
                raise
        return await read_named(f"latest-{year - 2}-{year - 1}")

    def _since(self, needs: CollectionRequest, station: str) -> datetime:
        again = needs.now - READ_AGAIN
        return min(needs.complete_until.get(station, again), again)

    def _batch(
        self, needs: CollectionRequest, payload: Payload, content: Content, latest: Mapping[str, datetime]
    ) -> ObservationBatch:
        news = [one for one in content.stations if is_new_or_changed(one, needs.stations.get(one.id))]
        positions = positions_of(content.stations, payload.fetched_at)
        return NETWORK.batch(self, payload, content.readings, latest, news, positions)

    def _without_values(
        self, needs: CollectionRequest, *, newest: datetime | None = None, notes: tuple[str, ...] = ()
    ) -> ObservationBatch:
        return ObservationBatch(
            source=NETWORK.name,
            route=self.name,
            rank=self.rank,
            collected_at=needs.now,
            newest=newest,
            notes=notes,
        )


@dataclass(frozen=True, slots=True)
class Years:
    """The files of the past: each is downloaded once, for all mapped masts of its department."""

    url: str

    name = "files"
    rank = 0

    async def collect(self, needs: CollectionRequest, fetch: Fetch) -> AsyncIterator[ObservationBatch]:
        """Yield one batch per file; the days that earlier backfills read are left out."""
        until = needs.until or needs.now
        for department, stations in by_department(needs.mapped_stations(NETWORK.name)).items():
            missing = {station: [*missing_spans(needs, station, timedelta.max)] for station in stations}
            for name, first, last in file_names(needs.now.year):
                # Of each mast, from its first missing day in the years of this file on.
                starts = {
                    station: max(min(days), datetime(first, 1, 1, tzinfo=UTC), needs.since)
                    for station, spans in missing.items()
                    for days in [
                        [
                            datetime.combine(start, time(), UTC)
                            for start, end in spans
                            if end.year >= first and start.year <= last
                        ]
                    ]
                    if days
                }
                if not starts:
                    continue
                since = {station: start - timedelta(seconds=1) for station, start in starts.items()}
                try:
                    async with fetch.download(file_request(self.url, department, name)) as file:
                        payload = Payload(url=file.url, body=b"", fetched_at=file.fetched_at)
                        content = await asyncio.to_thread(read, file.path, payload, since, until)
                except CollectorError as error:
                    yield NETWORK.failed(self, error, needs)
                    continue
                readings = content.readings.within(min(starts.values()), until)
                yield NETWORK.batch(self, payload, readings, {}, content.stations)


def by_department(stations: Iterable[str]) -> dict[str, tuple[str, ...]]:
    """Return the stations of each department: "74", or "971" overseas. All of Corsica is "20"."""
    found: dict[str, list[str]] = {}
    for station in stations:
        number = number_of(station)
        found.setdefault(number[:3] if number.startswith(("97", "98")) else number[:2], []).append(station)
    return {department: tuple(members) for department, members in found.items()}


def file_names(year: int) -> Iterator[tuple[str, int, int]]:
    """Yield the middle of the names of a department's files, with their first and last year, newest first.

    Seen in 2026: "latest-2025-2026", "previous-2020-2024", "2010-2019". Those of other years follow from it.
    """
    yield f"latest-{year - 1}-{year}", year - 1, year
    decade = (year - 2) // 10 * 10
    yield f"previous-{decade}-{year - 2}", decade, year - 2
    for start in range(decade - 10, FIRST_YEAR - 1, -10):
        yield f"{start}-{start + 9}", start, start + 9


def file_request(url: str, department: str, name: str, known: str = "") -> Request:
    """Return the request for a file of a department."""
    return Request(
        url=f"{url}/H_{department}_{name}.csv.gz", kind="gzip", max_bytes=MAX_FILE_BYTES, known=known
    )


def not_in_file(station: str, url: str) -> ParseError:
    """Return the error for a station that a site names, and that its department's file does not have."""
    return ParseError(
        f"{station} is not in the file of its department: correct the stations of its site in sites.toml",
        url=url,
    )
