"""Météo-France's portal: the same files with a free key, listed as links in JSON.

`…/packages/SP1` links to the runs it serves, `…/packages/SP1?referencetime=…` to the files of one run.
The key is sent in the header `apikey`; its application must be subscribed to "DPPaquetAROME" (403 with
code 900908 otherwise). 404 is a wrong path, or a run that is not served yet; a wrong path already fails at
the list of runs. The links have no time of publication. Seen in 2026.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from urllib.parse import parse_qs, urlsplit

import msgspec

from backend.collectors.base import Fetch, Request
from backend.collectors.grib.runs import (
    MAX_FILE_BYTES,
    NAME,
    PACKAGE,
    PackageGrid,
    PublishedFile,
    PublishedPart,
    PublishedRun,
    absent_parts,
    timestamp,
)
from backend.collectors.runs import Part
from backend.collectors.transport.decoding import decode_json
from backend.core.clock import require_utc
from backend.core.errors import FetchError, ParseError


class Link(msgspec.Struct):
    """A link of the portal; the query of its address names the run or the file."""

    href: str
    rel: str = ""

    def query(self, key: str) -> str | None:
        """Return the value of `key` in the query, or None; raise ValueError if it is not a valid URL."""
        return next(iter(parse_qs(urlsplit(self.href).query).get(key, [])), None)


class _Links(msgspec.Struct):
    links: list[Link]


_LINKS = msgspec.json.Decoder(_Links)


@dataclass(frozen=True, slots=True)
class Portal:
    """The catalogue of one grid's files on the portal at `url`, up to `max_lead` hours of a run."""

    url: str
    key: str = field(repr=False)
    grid: PackageGrid
    max_lead: int

    async def candidates(self, cycles: Sequence[datetime], fetch: Fetch) -> Sequence[datetime]:
        """Return the cycles between the oldest and the newest run that the portal links to."""
        payload = await fetch(self._request(self._package(PACKAGE)))
        runs = parse_runs(payload.body, url=payload.url)
        return [cycle for cycle in cycles if runs and min(runs) <= cycle <= max(runs)]

    async def find(self, reference_time: datetime, fetch: Fetch) -> PublishedRun:
        """Return a run with the files that the portal links to; 404 means none."""
        times: list[str] = []
        seen_at = reference_time
        try:
            request = self._request(self._package(PACKAGE), referencetime=timestamp(reference_time))
            payload = await fetch(request)
        except FetchError as error:
            # A run that is not served yet; a wrong path has failed in `candidates` already.
            if error.status != 404:
                raise
        else:
            times, seen_at = parse_times(payload.body, url=payload.url), payload.fetched_at
        files = [(part, time) for time in times if (part := Part.parse(time)) and part.first <= self.max_lead]
        return PublishedRun(
            reference_time=reference_time,
            parts=tuple(
                PublishedPart(
                    part.until(self.max_lead), (PublishedFile(self._product(PACKAGE, time, reference_time)),)
                )
                for part, time in sorted(files)
            ),
            absent=absent_parts(self.grid, (part for part, _ in files), self.max_lead),
            seen_at=seen_at,
        )

    async def elevation_request(self, reference_time: datetime, fetch: Fetch) -> Request:
        """Return the request for the file with the model elevations, without checking that it is linked."""
        package, time = self.grid.elevation_file
        return self._product(package, time, reference_time)

    def _package(self, name: str) -> str:
        return f"{self.url}/previnum/DPPaquetAROME/v1/models/AROME/grids/{self.grid.degrees}/packages/{name}"

    def _product(self, package: str, time: str, reference_time: datetime) -> Request:
        return Request(
            url=f"{self._package(package)}/productARO",
            kind="grib",
            params={"referencetime": timestamp(reference_time), "time": time, "format": "grib2"},
            secret_headers={"apikey": self.key},
            max_bytes=MAX_FILE_BYTES,
        )

    def _request(self, url: str, **params: str) -> Request:
        return Request(url=url, kind="json", params=params, secret_headers={"apikey": self.key})


def parse_runs(body: bytes, *, url: str = "") -> set[datetime]:
    """Return the reference times (UTC) that a package links to."""
    runs = set()
    for text in _queries(body, "referencetime", url):
        try:
            runs.add(require_utc(datetime.fromisoformat(text)))
        except ValueError as error:
            reason = f"a run at {text!r}, which is not a time in UTC"
            raise ParseError(reason, source=NAME, url=url) from error
    return runs


def parse_times(body: bytes, *, url: str = "") -> list[str]:
    """Return the files that a run links to, by their `time`: "00H06H" or "06H"."""
    return _queries(body, "time", url)


def _queries(body: bytes, key: str, url: str) -> list[str]:
    try:
        links = decode_json(_LINKS, body).links
    except ParseError as error:
        raise ParseError(f"not a list of links: {error.reason}", source=NAME, url=url) from error
    try:
        # The link "self" repeats our own request.
        values = [link.query(key) for link in links if link.rel != "self"]
    except ValueError as error:
        raise ParseError(f"a link is not a valid URL: {error}", source=NAME, url=url) from error
    if None in values:
        raise ParseError(f"a link without {key}", source=NAME, url=url)
    return [value for value in values if value]
