"""Responses of pages that are not HTML: pictures and feeds, from the cache of answers."""

from __future__ import annotations

from collections.abc import Callable
from typing import cast

from fastapi import Response

from backend.api.answer_cache import AnswerCache
from backend.api.cache_headers import known_already, static_headers
from backend.pages.page import Page

MAX_AGE_SECONDS = 600
"""Time that a messenger or a reader of feeds may reuse an answer."""


def respond_media(page: Page, media_type: str, compute: Callable[[], bytes], *parts: object) -> Response:
    """Return a picture or a feed, from the cache if it has it; `parts` are as in `Page.respond`."""
    headers = static_headers(
        page.request, str(page.request.url.query), page.language.code, page.fresh_until, parts
    )
    headers |= {
        "Cache-Control": f"public, max-age={MAX_AGE_SECONDS}",
        "Vary": "Accept-Language",
        "Content-Language": page.language.code,
        "Content-Security-Policy": "default-src 'none'",
    }
    if known_already(page.request, headers):
        return Response(status_code=304, headers=headers)
    cache = cast(AnswerCache, page.request.app.state.answer_cache)
    body = cache.get_or_compute(f"media {headers['ETag']}", compute)
    return Response(body, media_type=media_type, headers=headers)
