"""Which other sites' scripts may read the API (`CORS_ORIGINS`). Without the setting: none."""

from __future__ import annotations

from collections.abc import Sequence

from starlette.middleware.cors import CORSMiddleware
from starlette.types import ASGIApp, Receive, Scope, Send

from backend.api.prefix import path_of


class CrossOrigin:
    """Middleware that lets scripts of the named origins read the API, and nothing else of the service.

    Neither a cookie nor the admin token can be part of such a request: browsers send both only if the answer
    to their preflight allows it.
    """

    def __init__(self, app: ASGIApp, origins: Sequence[str]) -> None:
        self._app = app
        self._readable = CORSMiddleware(
            app,
            allow_origins=origins,
            allow_methods=["GET", "HEAD"],
            allow_headers=["If-None-Match"],
            expose_headers=["ETag", "Link", "Retry-After", "X-Withheld"],
        )

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on; an answer of the API gets the headers for the origins."""
        of_api = scope["type"] == "http" and path_of(scope).startswith("/api/")
        await (self._readable if of_api else self._app)(scope, receive, send)
