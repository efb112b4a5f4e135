"""Folders of a web server that lists them as HTML pages: a folder of a run has one folder for each field.

Each file has one field with all hours of the run. The names of the files and the stamps are read from the
pages, and never composed: MeteoHub renamed its files. A page states sizes as "85M" and times without a zone,
so that a row identifies the version of its file, and gives no time of publication.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from urllib.parse import unquote

from backend.collectors.base import Fetch, Request
from backend.collectors.grib.runs import MAX_FILE_BYTES, ModelGrid, PublishedFile, PublishedPart, PublishedRun
from backend.collectors.runs import Part
from backend.collectors.transport.decoding import decode_page, parse_html
from backend.core.errors import FetchError, ParseError

_RUN = "%Y%m%d%H"
_RUN_FOLDER = re.compile(r"(\d{10})/")


@dataclass(frozen=True, slots=True, kw_only=True)
class Folders:
    """The catalogue of a model below `url`: `{run}/{field}/{file}`, a run as 2026112800.

    `folders` are the names of the fields in a folder's file, `ground` the folder with the height of the
    model's ground. A run is one part, because each file has all of its hours. `delay` is the usual time from
    the start of a run to its last file, rounded up.
    """

    url: str
    grid: ModelGrid
    part: Part
    folders: Mapping[str, Sequence[str]]
    ground: str
    delay: timedelta

    async def candidates(self, cycles: Sequence[datetime], fetch: Fetch) -> Sequence[datetime]:
        """Return the cycles between the oldest and the newest run of the listing."""
        payload = await fetch(Request(url=f"{self.url}/", kind="html"))
        names = parse_folder(payload.body, url=payload.url)
        texts = [match[1] for name in names if (match := _RUN_FOLDER.fullmatch(name))]
        try:
            runs = [datetime.strptime(text, _RUN).replace(tzinfo=UTC) for text in texts]
        except ValueError as error:
            reason = f"a run that is no time: {error}"
            raise ParseError(reason, source=self.grid.source, url=payload.url) from error
        if not runs:
            raise ParseError("the page lists no run", source=self.grid.source, url=payload.url)
        return [cycle for cycle in cycles if min(runs) <= cycle <= max(runs)]

    async def find(self, reference_time: datetime, fetch: Fetch) -> PublishedRun:
        """Return a run with those of its files that are listed. A folder that is not there is no failure.

        The run counts as available after the usual delay: collections are hours apart, and the time of the
        first sight would judge the model by older runs than models whose publisher states a time.
        """
        payload_url = f"{self.url}/{reference_time:{_RUN}}/"
        files: list[PublishedFile] = []
        seen_at, listed = reference_time, {}
        try:
            payload = await fetch(Request(url=payload_url, kind="html"))
            listed, seen_at = parse_folder(payload.body, url=payload.url), payload.fetched_at
        except FetchError as error:
            if error.status != 404:
                raise
        for folder, fields in self.folders.items():
            if f"{folder}/" in listed and (found := await self._file(reference_time, folder, fetch)):
                request, version = found
                files.append(PublishedFile(request, version, fields))
        whole = len(files) == len(self.folders)
        return PublishedRun(
            reference_time=reference_time,
            parts=(PublishedPart(self.part, tuple(files)),) if files else (),
            absent=() if whole else (self.part,),
            seen_at=seen_at,
            available_at=min(seen_at, reference_time + self.delay),
            stated=False,
            listed=tuple(name.rstrip("/") for name in listed),
        )

    async def elevation_request(self, reference_time: datetime, fetch: Fetch) -> Request:
        """Return the request for the file with the model elevations; raise ParseError if none is listed."""
        found = await self._file(reference_time, self.ground, fetch)
        if found is None:
            url = f"{self.url}/{reference_time:{_RUN}}/{self.ground}/"
            raise ParseError("no file of the run is listed", source=self.grid.source, url=url)
        return found[0]

    async def _file(self, reference_time: datetime, folder: str, fetch: Fetch) -> tuple[Request, str] | None:
        """Return the request and the version of the one file of a folder, or None if there is none yet."""
        run = f"{reference_time:{_RUN}}"
        payload = await fetch(Request(url=f"{self.url}/{run}/{folder}/", kind="html"))
        names = parse_folder(payload.body, url=payload.url)
        found = [name for name in names if run in name and name.endswith((".grib", ".grib2"))]
        if len(found) > 1:
            reason = f"several files of one field: {', '.join(found)}"
            raise ParseError(reason, source=self.grid.source, url=payload.url)
        if not found:
            return None
        url = f"{self.url}/{run}/{folder}/{found[0]}"
        request = Request(url=url, kind="grib", max_bytes=MAX_FILE_BYTES)
        return request, " ".join(filter(None, (found[0], names[found[0]])))


def parse_folder(body: bytes, *, url: str = "") -> dict[str, str]:
    """Return the names in a folder, a folder's with "/" at its end, and the rest of the row of each.

    Reads the pages of Apache, as a table or as text, and of nginx. Raises ParseError for another page.
    """
    page = parse_html(decode_page(body))
    title = page.css_first("title")
    if title is None or not title.text().strip().casefold().startswith("index of"):
        raise ParseError("the page is no listing of a folder", url=url)
    names: dict[str, str] = {}
    links = page.css("a[href]")
    if not links:  # an empty folder has one to the folder above
        raise ParseError("the page of a folder has no links", url=url)
    for link in links:
        name = unquote(link.attributes["href"] or "")
        # Links that sort the page have a query, the link to the folder above starts with "/" or "..".
        if not re.fullmatch(r"[\w.+:-]+/?", name) or name.startswith(".."):
            continue
        parent = link.parent
        cells = parent.parent if parent is not None and parent.tag == "td" else None
        after = link.next
        row = cells.text(separator=" ") if cells is not None else after.text() if after is not None else ""
        names[name] = " ".join(word for word in row.split() if word != name)
    return names
