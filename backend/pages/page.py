"""A page: the request's choices and language, its addresses, and its response with cache headers."""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Annotated, Any, cast
from urllib.parse import quote, urlencode

from fastapi import Depends, Query, Request, Response

from backend.answers.service import ServiceParts
from backend.answers.withholding import Withholding, withheld_from_public
from backend.api.answer_cache import AnswerCache
from backend.api.cache_headers import known_already, static_headers
from backend.api.dependencies import ServiceDep
from backend.api.prefix import path_of, public_path, root_of
from backend.pages.assets import STYLE_HASH, leaflet
from backend.pages.choices import Choices, Unit
from backend.pages.language import LANGUAGES, Language, language, preferred_language
from backend.pages.page_cache import PageCache, Rendered, page_response
from backend.pages.rendering import render

POLICY = (
    f"default-src 'none'; style-src 'self' {STYLE_HASH}; script-src 'self';"
    " img-src 'self' data:; connect-src 'self';"
    " manifest-src 'self'; worker-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
)
"""The Content-Security-Policy of a page: nothing inline but the style sheet, and nothing of another host."""


def policy_with_images(origin: str) -> str:
    """Return the policy of a page that also shows images of another host."""
    return POLICY.replace("img-src 'self'", f"img-src 'self' {origin}")


FRESH_SECONDS = 300
"""Time after which a page is rendered again without new data: ages and "now" are in its text."""


@dataclass(frozen=True, kw_only=True)
class Page:
    """What every page needs to be rendered. Pages show public values only, also to the operator."""

    request: Request
    service: ServiceParts
    choices: Choices
    language: Language
    now: datetime
    state: object | None = None
    """What the page depends on, as it was before the page asked for anything (`PageCache.state`)."""

    @property
    def fresh_until(self) -> datetime:
        """When the page is rendered again without new data: ages and "now" are in its text.

        Each address has a time of its own, so that not all pages are rendered at once. A new hour ends them
        all: what is called today or tomorrow may change.
        """
        now = int(self.now.timestamp())
        shift = zlib.crc32(self.request.url.path.encode("utf-8", "surrogatepass")) % FRESH_SECONDS
        of_page = now + FRESH_SECONDS - (now + shift) % FRESH_SECONDS
        return datetime.fromtimestamp(min(of_page, now - now % 3600 + 3600), UTC)

    @property
    def unit(self) -> Unit:
        """The unit of wind speed."""
        return self.choices.u

    def speed(self, kmh: float, decimals: int = 0) -> str:
        """Return a wind speed in the pilot's unit, without the unit."""
        return self.language.number(self.choices.u.of(kmh), decimals)

    @property
    def has_map(self) -> bool:
        """Whether the service has a map page: tiles are set, and Leaflet is installed."""
        return self.service.settings.map_tiles_url is not None and leaflet() is not None

    def withheld(self) -> Withholding:
        """Return what the public may not see. Raises StoreUnavailableError."""
        return withheld_from_public(self.service)

    def url(self, path: str, /, **changes: object) -> str:
        """Return the address of a path of this service, with the pilot's choices and these changes.

        A change to None leaves the parameter out.
        """
        query: dict[str, object] = {**self.choices.query(), **changes}
        written = urlencode({name: value for name, value in query.items() if value is not None}, safe=",")
        return self.bare_url(path) + (f"?{written}" if written else "")

    def bare_url(self, path: str) -> str:
        """Return the address of a path of this service, below the path prefix, without a query."""
        return root_of(self.request.scope) + quote(path)

    def absolute(self, path: str | None = None, **query: str) -> str | None:
        """Return the public address of a path, by default of this page; None without `PUBLIC_URL`."""
        public = self.service.settings.public_url
        if public is None:
            return None
        written = urlencode(query, safe=",")
        return public + quote(path or path_of(self.request.scope)) + (f"?{written}" if written else "")

    def same(self, **changes: object) -> str:
        """Return the address of this page with changes of its query."""
        query = {**self.request.query_params, **changes}
        written = urlencode({name: value for name, value in query.items() if value is not None}, safe=",")
        return quote(public_path(self.request.scope)) + (f"?{written}" if written else "")

    def respond(
        self,
        template: str,
        values: Callable[[], Mapping[str, Any]],
        *parts: object,
        headers: Mapping[str, str] | None = None,
    ) -> Response:
        """Return the page, from the cache if it has it.

        `parts` are what the page depends on besides the address, the language, the notices and the time. All
        errors of `values` are raised.
        """
        notices = tuple(self.service.notices)
        until = self.fresh_until
        headers = static_headers(
            self.request, str(self.request.url.query), self.language.code, notices, until, parts
        ) | {
            "Cache-Control": "public, max-age=60" if not notices else "no-cache",
            "Vary": "Accept-Language, Accept-Encoding",
            "Content-Security-Policy": POLICY,
            "Content-Language": self.language.code,
            **(headers or {}),
        }
        if known_already(self.request, headers):
            return Response(status_code=304, headers=headers)
        cache = cast(AnswerCache, self.request.app.state.answer_cache)

        def compressed() -> bytes:
            # mtime=0: the same page must have the same bytes at any time.
            return gzip.compress(self.render(template, **values()).encode(), 6, mtime=0)

        body = cache.get_or_compute(f"page {headers['ETag']}", compressed)
        pages = cast(PageCache, self.request.app.state.page_cache)
        pages.keep(
            self.request,
            Rendered(body=body, headers=headers, state=self.state, at=self.now, until=until),
        )
        return page_response(self.request, body, headers)

    def render(self, template: str, **values: Any) -> str:
        """Return the HTML of a template of `web/templates`."""
        return render(self.language, template, page=self, notices=tuple(self.service.notices), **values)


def page_of(request: Request, service: ServiceDep, choices: Annotated[Choices, Query()]) -> Page:
    """Return the page of a request. Its language is the chosen one, else the browser's."""
    return make_page(request, service, choices)


def make_page(request: Request, service: ServiceParts, choices: Choices) -> Page:
    """Return a page with these choices."""
    code = choices.lang or preferred_language(request.headers.get("accept-language", ""))
    return Page(
        request=request,
        service=service,
        choices=choices,
        language=language(code if code in LANGUAGES else LANGUAGES[0]),
        now=service.clock().astimezone(UTC),
        state=cast(PageCache, request.app.state.page_cache).state(),
    )


PageDep = Annotated[Page, Depends(page_of)]
