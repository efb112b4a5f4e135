"""Pages as they were last rendered. While nothing has changed they are answered at once, without a query."""

from __future__ import annotations

import gzip
import re
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import lru_cache
from html import escape
from threading import Lock

from fastapi import Request, Response
from fastapi.responses import HTMLResponse

from backend.answers.service import ServiceParts
from backend.api.admission import CachedAnswer
from backend.api.cache_headers import known_already
from backend.api.prefix import public_path
from backend.pages.language import language, preferred_language

MOST_BYTES = 32_000_000
"""Size of the pages that a process keeps: several thousand, compressed."""

OLDEST = timedelta(minutes=10)
"""Age up to which a page is shown while it is rendered again. The page names its time."""

_TAKES_GZIP = re.compile(r"\bgzip\b(?!\s*;\s*q=0(\.0*)?\s*(,|$))")

_PLACE = b'<p id="old"'
"""Before this element the notice of an old page stands. A page without it is never shown old."""

_Key = tuple[str, str, str]

_preferred = lru_cache(maxsize=256)(preferred_language)


@dataclass(frozen=True, slots=True, kw_only=True)
class Rendered:
    """A page: its compressed bytes, its headers, and what was known when it was rendered.

    It is current until `until`, as long as the state of the service is `state`; `at` is the time in its text.
    """

    body: bytes
    headers: Mapping[str, str]
    state: object | None
    at: datetime
    until: datetime


class PageCache:
    """The last rendered pages of a service by their address and language. Safe for several threads."""

    def __init__(self, service: ServiceParts, state_of_store: Callable[[], object | None]) -> None:
        """`state_of_store` returns a value that is equal only while nothing is written; None if unknown."""
        self._service = service
        self._state_of_store = state_of_store
        self._lock = Lock()
        self._bytes = 0
        self._pages: OrderedDict[_Key, Rendered] = OrderedDict()

    def state(self) -> object | None:
        """Return a value that is equal only while nothing that a page shows has changed; None if unknown."""
        store, sites = self._state_of_store(), self._service.site_list.version()
        if store is None or sites is None:
            return None
        return store, sites, tuple(self._service.notices)

    def keep(self, request: Request, page: Rendered) -> None:
        """Keep a page in place of the one of before."""
        key = _key(request)
        with self._lock:
            if (older := self._pages.pop(key, None)) is not None:
                self._bytes -= len(older.body)
            self._bytes += len(page.body)
            self._pages[key] = page
            while self._bytes > MOST_BYTES:
                self._bytes -= len(self._pages.popitem(last=False)[1].body)

    def answer(self, request: Request, *, busy: bool) -> CachedAnswer | None:
        """Return the page of a request if it is current; if the service is `busy` also one of before.

        The page of before has a notice with its time, and no cache may store it.
        """
        if request.method != "GET":
            return None
        key = _key(request)
        with self._lock:
            page = self._pages.get(key)
            if page is None:
                return None
            self._pages.move_to_end(key)
        now = self._service.clock()
        if page.at <= now < page.until and page.state is not None and page.state == self.state():
            if known_already(request, dict(page.headers)):
                return CachedAnswer(Response(status_code=304, headers=dict(page.headers)), outdated=False)
            return CachedAnswer(page_response(request, page.body, page.headers), outdated=False)
        if not busy or not timedelta(0) <= now - page.at <= OLDEST or self._service.notices:
            return None
        body = _with_notice(page)
        if body is None:
            return None
        headers = {name: value for name, value in page.headers.items() if name != "ETag"}
        headers["Cache-Control"] = "no-store"
        return CachedAnswer(page_response(request, body, headers), outdated=True)


def page_response(request: Request, body: bytes, headers: Mapping[str, str]) -> Response:
    """Return the response with a compressed page, in an encoding that the client takes."""
    if _TAKES_GZIP.search(request.headers.get("accept-encoding", "")):
        return HTMLResponse(body, headers={**headers, "Content-Encoding": "gzip"})
    return HTMLResponse(gzip.decompress(body), headers=dict(headers))


def _key(request: Request) -> _Key:
    accepted = _preferred(request.headers.get("accept-language", ""))
    return public_path(request.scope), request.url.query, accepted


@lru_cache(maxsize=64)  # one page is asked for many times until it is rendered again
def _noted(body: bytes, code: str, at: datetime) -> bytes | None:
    html = gzip.decompress(body)
    if _PLACE not in html:
        return None
    words = language(code)
    text = words.gettext("Page of %(day)s, %(time)s.") % {"day": words.day(at), "time": words.clock(at)}
    renewed = words.gettext("It is being renewed.")
    notice = f'<p class="notice" role="status">{escape(f"{text} {renewed}")}</p>'
    return gzip.compress(html.replace(_PLACE, notice.encode() + _PLACE, 1), 1, mtime=0)


def _with_notice(page: Rendered) -> bytes | None:
    """Return the page with a notice of its time; None if it has no place for one."""
    return _noted(page.body, page.headers["Content-Language"], page.at)
