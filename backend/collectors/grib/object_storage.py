"""Météo-France's object storage: access without a key; its listing shows whether a run is complete.

S3's ListObjectsV2 returns XML, a thousand names at a time. The files of a run appear one by one over 45 to
65 minutes (August 2026), so that a run with some files may still be growing. A missing object is not listed:
"not yet" and "never" look the same, and only the age of the run distinguishes them (arome.py).
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from lxml import etree

from backend.collectors.base import Fetch, Request
from backend.collectors.grib.runs import (
    MAX_FILE_BYTES,
    PACKAGE,
    PackageGrid,
    PublishedFile,
    PublishedPart,
    PublishedRun,
    absent_parts,
    timestamp,
)
from backend.collectors.runs import Part
from backend.collectors.transport.decoding import parse_xml
from backend.core.clock import CLOCK_TOLERANCE, require_utc
from backend.core.errors import ParseError

MAX_PAGES = 20
"""A run has 52 files at most. The limit stops a listing whose pages never end."""


@dataclass(frozen=True, slots=True)
class Listed:
    """One object of a listing; `size` in bytes, `last_modified` in UTC."""

    key: str
    size: int
    last_modified: datetime


@dataclass(frozen=True, slots=True)
class Page:
    """One page of a listing; `next_token` requests the next page, None on the last one."""

    objects: tuple[Listed, ...]
    next_token: str | None = None


@dataclass(frozen=True, slots=True)
class ObjectStorage:
    """The catalogue of one grid's files below `url`, up to `max_lead` hours of a run."""

    url: str
    grid: PackageGrid
    max_lead: int

    async def candidates(self, cycles: Sequence[datetime], fetch: Fetch) -> Sequence[datetime]:
        """Return all cycles: a listing costs a few kilobytes."""
        return cycles

    async def find(self, reference_time: datetime, fetch: Fetch) -> PublishedRun:
        """Return a run with its listed files and the newest of their stamps."""
        prefix = self._prefix(reference_time, PACKAGE)
        objects, seen_at = await self._list(prefix, fetch)
        # A prefix also matches other names: only those of this pattern are files of the run.
        before, after = self._around_part(reference_time, PACKAGE)
        name = re.compile(f"{re.escape(before)}(\\w+){re.escape(after)}")
        files = [
            (part, listed)
            for listed in objects
            if listed.size > 0
            and (match := name.fullmatch(listed.key))
            and (part := Part.parse(match[1]))
            and part.first <= self.max_lead
        ]
        available_at = max((listed.last_modified for _, listed in files), default=None)
        # The stamp is stored as the time of availability, on which the choice of runs depends.
        if available_at and not reference_time <= available_at <= seen_at + CLOCK_TOLERANCE:
            raise ParseError(
                f"the files of {timestamp(reference_time)} are stamped {timestamp(available_at)}, not"
                " between the start of the run and now",
                source=self.grid.source,
                url=f"{self.url}/{prefix}",
            )
        return PublishedRun(
            reference_time=reference_time,
            parts=tuple(
                PublishedPart(
                    part.until(self.max_lead),
                    (
                        PublishedFile(
                            Request(
                                url=f"{self.url}/{listed.key}",
                                kind="grib",
                                max_bytes=MAX_FILE_BYTES,
                                expected_bytes=listed.size,
                            ),
                            version=f"{listed.size} {listed.last_modified.isoformat()}",
                        ),
                    ),
                )
                for part, listed in sorted(files, key=lambda pair: pair[0])
            ),
            absent=absent_parts(self.grid, (part for part, _ in files), self.max_lead),
            seen_at=seen_at,
            available_at=available_at,
        )

    async def elevation_request(self, reference_time: datetime, fetch: Fetch) -> Request:
        """Return the request for the file with the model elevations, without checking that it is listed."""
        package, part = self.grid.elevation_file
        before, after = self._around_part(reference_time, package)
        return Request(url=f"{self.url}/{before}{part}{after}", kind="grib", max_bytes=MAX_FILE_BYTES)

    def _prefix(self, reference_time: datetime, package: str) -> str:
        return f"pnt/{timestamp(reference_time)}/{self.grid.product}/{self.grid.code}/{package}/"

    def _around_part(self, reference_time: datetime, package: str) -> tuple[str, str]:
        """Return prefix and suffix of the part in the keys of a run."""
        prefix = self._prefix(reference_time, package)
        before = f"{prefix}{self.grid.product}__{self.grid.code}__{package}__"
        return before, f"__{timestamp(reference_time)}.grib2"

    async def _list(self, prefix: str, fetch: Fetch) -> tuple[list[Listed], datetime]:
        params = {"list-type": "2", "prefix": prefix, "max-keys": "1000"}
        objects: list[Listed] = []
        for _ in range(MAX_PAGES):
            payload = await fetch(Request(url=f"{self.url}/", kind="xml", params=dict(params)))
            page = parse_listing(payload.body, url=payload.url)
            objects += page.objects
            if page.next_token is None:
                return objects, payload.fetched_at
            params["continuation-token"] = page.next_token
        raise ParseError(
            f"a listing of more than {MAX_PAGES} pages", source=self.grid.source, url=payload.url
        )


def parse_listing(body: bytes, *, url: str = "") -> Page:
    """Read one page of a ListObjectsV2 response; raise ParseError for any other XML."""
    try:
        return _page(parse_xml(body))
    except ParseError as error:
        raise ParseError(error.reason, url=url) from error
    except (ValueError, KeyError) as error:
        raise ParseError(f"not a ListObjectsV2 response: {error}", url=url) from error


def _page(root: etree._Element) -> Page:
    if (name := etree.QName(root).localname) != "ListBucketResult":
        raise ParseError(f"<{name}> instead of a listing: {_text(root, 'Code')}")
    objects = tuple(
        Listed(
            last_modified=require_utc(datetime.fromisoformat(_text(entry, "LastModified"))),
            key=_text(entry, "Key"),
            size=int(_text(entry, "Size")),
        )
        for entry in root.iterfind("{*}Contents")
    )
    # Any other text raises KeyError: a page that is wrongly taken as the last would hide files.
    more = {"true": True, "false": False}[_text(root, "IsTruncated")]
    return Page(objects, _text(root, "NextContinuationToken") if more else None)


def _text(parent: etree._Element, tag: str) -> str:
    text = parent.findtext(f"{{*}}{tag}")
    if not text:
        raise ValueError(f"<{etree.QName(parent).localname}> without <{tag}>")
    return text
