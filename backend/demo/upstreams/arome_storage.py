"""Météo-France's object storage: listings in the format of S3 (ListObjectsV2), and the files."""

from __future__ import annotations

from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Iterable
from datetime import datetime, timedelta
from email.utils import format_datetime
from functools import lru_cache
from hashlib import md5
from html import escape

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route, Router

from backend.demo.arome import STORAGE_DAYS, Archive, File
from backend.demo.faults import ErrorPage, Fault, spoiled_by
from backend.demo.world import View, World

_XML = "application/xml"

spoil = spoiled_by({Fault.MISSING_FIELDS: (rb"<Size>\d*</Size>", b"")})


class _Storage:
    def __init__(self, world: World, archive: Archive) -> None:
        self._world = world
        self._archive = archive

    async def list(self, request: Request) -> Response:
        query = request.query_params
        view = self._world.view("arome")
        if query.get("list-type") != "2":
            return _xml_error(403, "AccessDenied", "Access Denied")
        prefix = query.get("prefix", "")
        published = self._archive.published(view.now, STORAGE_DAYS, prefix)
        if "delimiter" in query:
            delimiter = query["delimiter"]
            below = {prefix + file.key[len(prefix) :].split(delimiter)[0] + delimiter for file in published}
            names = (
                f"<CommonPrefixes><Prefix>{escape(name)}</Prefix></CommonPrefixes>" for name in sorted(below)
            )
            head = f"<Prefix>{escape(prefix)}</Prefix><KeyCount>{len(below)}</KeyCount>"
            body = f"{head}<IsTruncated>false</IsTruncated>{''.join(names)}"
            return Response(_bucket(body), media_type=_XML)
        after = urlsafe_b64decode(query.get("continuation-token", "")).decode()
        rest = [file for file in published if file.key > after]
        most = min(int(query.get("max-keys", "1000")), 1000)
        page = [(file, self._archive.body(view, file)) for file in rest[:most]]
        return Response(_listing(view, prefix, most, page, truncated=len(rest) > most), media_type=_XML)

    async def object(self, request: Request) -> Response:
        view = self._world.view("arome")
        key = request.path_params["key"]
        for file in self._archive.published(view.now, STORAGE_DAYS, key):
            if file.key == key:
                body = self._archive.body(view, file)
                headers = {
                    "Last-Modified": format_datetime(_stamp(view, file), usegmt=True),
                    "ETag": _etag(body),
                    "Accept-Ranges": "bytes",
                }
                return Response(body, media_type="application/octet-stream", headers=headers)
        return _xml_error(404, "NoSuchKey", "The specified key does not exist.", key)


def _listing(
    view: View, prefix: str, most: int, page: Iterable[tuple[File, bytes]], *, truncated: bool
) -> str:
    contents = [
        f"<Contents><Key>{file.key}</Key>"
        f"<LastModified>{_stamp(view, file):%Y-%m-%dT%H:%M:%S}.000Z</LastModified>"
        f"<ETag>{escape(_etag(body))}</ETag><Size>{len(body)}</Size>"
        "<StorageClass>STANDARD</StorageClass></Contents>"
        for file, body in page
    ]
    token = ""
    if truncated:
        last = max(file.key for file, _ in page)
        token = f"<NextContinuationToken>{urlsafe_b64encode(last.encode()).decode()}</NextContinuationToken>"
    return _bucket(
        f"<Prefix>{escape(prefix)}</Prefix><KeyCount>{len(contents)}</KeyCount><MaxKeys>{most}</MaxKeys>"
        f"<IsTruncated>{str(truncated).lower()}</IsTruncated>{token}{''.join(contents)}"
    )


def _bucket(inside: str) -> str:
    return (
        '<?xml version="1.0" encoding="UTF-8"?>'
        '<ListBucketResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/">'
        f"<Name>meteofrance-pnt</Name>{inside}</ListBucketResult>"
    )


def _xml_error(status: int, code: str, message: str, key: str = "") -> Response:
    body = (
        '<?xml version="1.0" encoding="UTF-8"?>'
        f"<Error><Code>{code}</Code><Message>{message}</Message><Key>{escape(key)}</Key></Error>"
    )
    return Response(body, status, media_type=_XML)


def _stamp(view: View, file: File) -> datetime:
    return file.published_at + timedelta(seconds=view.ahead)


@lru_cache(maxsize=9)  # a run of the full grid: 340 MB, which each listing would add up again
def _etag(body: bytes) -> str:
    return f'"{md5(body, usedforsecurity=False).hexdigest()}"'


def app(world: World, archive: Archive) -> Router:
    """Return the object storage."""
    storage = _Storage(world, archive)
    return Router([Route("/", storage.list), Route("/{key:path}", storage.object)])


def error_page() -> ErrorPage:
    """Return an error of S3, which may come with a 200 if it occurs late."""
    return b'<?xml version="1.0" encoding="UTF-8"?><Error><Code>InternalError</Code></Error>', _XML
