"""The HTTP wrapper that injects faults between the server and an upstream.

The upstream itself does not know its fault. The faults that change data and times are in world.py.
"""

from __future__ import annotations

import asyncio
import socket
import struct
from collections.abc import Callable
from datetime import UTC, datetime
from email.utils import format_datetime
from typing import TYPE_CHECKING

from starlette.responses import HTMLResponse, PlainTextResponse, RedirectResponse, Response

from backend.demo.faults import ErrorPage, Fault, Spoil

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

    from backend.demo.world import World

RETRY_AFTER_SECONDS = 1
DRIP_SECONDS = 0.05  # between two bytes

_STATUSES = {
    Fault.UNAUTHORIZED: "Authentication required",
    Fault.FORBIDDEN: "Forbidden",
    Fault.NOT_FOUND: "Not found",
    Fault.TOO_MANY: "Too many requests",
    Fault.BROKEN: "Internal server error",
    Fault.UNAVAILABLE: "Service unavailable",
}
_MAINTENANCE = (
    "<!DOCTYPE html><html><body><h1>Site en maintenance</h1><p>De retour bientôt.</p></body></html>"
)
_LOGIN = "https://login.example.org/?service=meteo"
_ACCENT = "démo".encode("latin-1")


class Unreliable:
    """An upstream with its faults. Counts requests and bytes, and adds the simulated time to answers."""

    def __init__(
        self, name: str, app: ASGIApp, world: World, error_page: Callable[[], ErrorPage], spoil: Spoil
    ) -> None:
        self.name = name
        self.app = app
        self.world = world
        self.error_page = error_page
        self.spoil = spoil

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer like the upstream, or as its fault demands."""
        counter = self.world.counters[self.name]
        counter.requests += 1

        async def counted(message: Message) -> None:
            if message["type"] == "http.response.start":
                now = datetime.fromtimestamp(self.world.now(), UTC)
                date = format_datetime(now, usegmt=True).encode()
                message = {**message, "headers": [*message["headers"], (b"date", date)]}
            counter.bytes += len(message.get("body", b""))
            await send(message)

        with self.world.answering(f"{scope['path']}?{scope['query_string'].decode()}"):
            match fault := self.world.fault(self.name):
                case Fault.REFUSE:  # the port is closed; this request came before, or only some are refused
                    _reset(scope)
                    await _gone(receive)
                case Fault.HANG:
                    await _gone(receive)
                case Fault.TRUNCATED | Fault.RESET:
                    await self._break_off(scope, receive, counted, fault)
                case Fault.DRIP:
                    await self._drip(scope, receive, counted)
                case (
                    Fault.CUT
                    | Fault.LATIN_1
                    | Fault.NAN
                    | Fault.ODD_ROW
                    | Fault.MOVED
                    | Fault.MISSING_FIELDS
                    | Fault.NO_TEMPERATURE
                    | Fault.NO_GUSTS
                    | Fault.NO_PLACE
                ):
                    await self._garble(scope, receive, counted, fault)
                case _:
                    await (self._substitute(fault) or self.app)(scope, receive, counted)

    def _substitute(self, fault: Fault | None) -> Response | None:
        match fault:
            case Fault.EMPTY:
                return Response(b"", 200)
            case Fault.ERROR_IN_200:
                body, media_type = self.error_page()
                return Response(body, 200, media_type=media_type)
            case Fault.MAINTENANCE:
                return HTMLResponse(_MAINTENANCE)
            case Fault.LOGIN:
                return RedirectResponse(_LOGIN, 302)
        if fault in _STATUSES:
            wait = {"Retry-After": str(RETRY_AFTER_SECONDS)} if fault is Fault.TOO_MANY else {}
            return PlainTextResponse(_STATUSES[fault], int(fault), headers=wait)
        return None

    async def _break_off(self, scope: Scope, receive: Receive, send: Send, fault: Fault) -> None:
        start, body = await self._answer(scope, receive)
        await send(start)
        await send({"type": "http.response.body", "body": body[: len(body) // 2], "more_body": True})
        if fault is Fault.RESET:
            _reset(scope)
        else:
            scope["state"]["transport"].close()
        await _gone(receive)

    async def _drip(self, scope: Scope, receive: Receive, send: Send) -> None:
        start, body = await self._answer(scope, receive)
        gone = asyncio.create_task(_gone(receive))
        await send(start)
        for index in range(len(body)):
            await send({"type": "http.response.body", "body": body[index : index + 1], "more_body": True})
            await asyncio.wait([gone], timeout=DRIP_SECONDS)
            if gone.done():
                return
        gone.cancel()
        await send({"type": "http.response.body", "body": b""})

    async def _garble(self, scope: Scope, receive: Receive, send: Send, fault: Fault) -> None:
        """Answer with a spoiled document in a correct HTTP response."""
        start, body = await self._answer(scope, receive)
        match fault:
            case Fault.CUT:
                body = body[: len(body) // 2]
            case Fault.LATIN_1:
                body = in_latin_1(body)
            case _:
                body = self.spoil(fault, body)
        headers = [header for header in start["headers"] if header[0] != b"content-length"]
        await send({**start, "headers": [*headers, (b"content-length", str(len(body)).encode())]})
        await send({"type": "http.response.body", "body": body})

    async def _answer(self, scope: Scope, receive: Receive) -> tuple[Message, bytes]:
        """Return the upstream's own answer: its start message, and the whole body."""
        messages: list[Message] = []

        async def keep(message: Message) -> None:
            messages.append(message)

        await self.app(scope, receive, keep)
        return messages[0], b"".join(message.get("body", b"") for message in messages[1:])


def in_latin_1(body: bytes) -> bytes:
    """Return a document with its accents in Latin-1; without any, one is added where it does no harm.

    GRIB and gzip are not text and stay as they are.
    """
    if body.startswith((b"GRIB", b"\x1f\x8b")):
        return body
    body = body.decode("utf-8-sig").encode("latin-1", "xmlcharrefreplace")
    if not body.isascii():
        return body
    if body.startswith((b"{", b"[")):
        return body.replace(b"{", b'{"remark":"' + _ACCENT + b'",', 1)
    return body.replace(b">", b"><!-- " + _ACCENT + b" -->", 1)


async def _gone(receive: Receive) -> None:
    """Wait until the client disconnects."""
    while (await receive())["type"] != "http.disconnect":
        pass


def _reset(scope: Scope) -> None:
    """Abort the connection so that the client gets a reset instead of an orderly close."""
    transport: asyncio.Transport = scope["state"]["transport"]
    no_lingering = struct.pack("ii", 1, 0)
    transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, no_lingering)
    transport.abort()
