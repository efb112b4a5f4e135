"""`HEAD` for every route that answers `GET`, as HTTP requires (RFC 9110, section 9.3.2)."""

from __future__ import annotations

from starlette.types import ASGIApp, Message, Receive, Scope, Send


class HeadAsGet:
    """Middleware that answers a `HEAD` with the headers of the `GET`, and without its body.

    FastAPI registers `GET` alone. A `HEAD` at each route would double the OpenAPI document, and authors of
    new routes could forget it. The answer is computed as for `GET`, so that status and headers, including
    `Content-Length` and `ETag`, are those of the `GET`.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http" or scope["method"] != "HEAD":
            await self._app(scope, receive, send)
            return

        async def send_without_body(message: Message) -> None:
            # The server must not send a body, but the headers must keep the length of that of `GET`.
            if message["type"] == "http.response.body":
                message = {**message, "body": b""}
            await send(message)

        await self._app({**scope, "method": "GET"}, receive, send_without_body)
