"""Everything that can go wrong at an upstream, to be switched on per source.

Two faults change what is said (`stale`, `absurd`) and live in world.py; the others change how, and live
in the wrapper here, between the server and an upstream that knows nothing of them.
"""

from __future__ import annotations

import asyncio
import socket
import struct
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import format_datetime
from enum import StrEnum
from typing import TYPE_CHECKING

from starlette.responses import PlainTextResponse, Response

if TYPE_CHECKING:
    from collections.abc import Callable

    from starlette.types import ASGIApp, Message, Receive, Scope, Send

    from backend.demo.world import World


class Fault(StrEnum):
    """What an upstream can be told to suffer from."""

    REFUSE = "refuse"  # the connection is reset before any answer
    HANG = "hang"  # no answer ever comes
    TOO_MANY = "429"  # with Retry-After
    BROKEN = "500"
    TRUNCATED = "truncated"  # half of the announced body, then the connection closes
    ERROR_IN_200 = "error_in_200"  # what this upstream says with HTTP 200 when it means no
    EMPTY = "empty"  # HTTP 200 with no body at all
    STALE = "stale"  # the newest data are two days old
    ABSURD = "absurd"  # values that cannot be true


RETRY_AFTER_SECONDS = 1

ErrorPage = tuple[bytes, str]
"""What an upstream answers with HTTP 200 when it failed, and the content type it gives it."""


@dataclass(slots=True)
class Counter:
    """What an upstream was asked: requests, and bytes of bodies it sent."""

    requests: int = 0
    bytes: int = 0


class Unreliable:
    """An upstream behind its faults. Counts requests and bytes, and stamps answers with simulated time."""

    def __init__(self, name: str, app: ASGIApp, world: World, error_page: Callable[[], ErrorPage]) -> None:
        self.name = name
        self.app = app
        self.world = world
        self.error_page = error_page

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer as the upstream would, or as its fault has it."""
        counter = self.world.counters[self.name]
        counter.requests += 1

        async def counted(message: Message) -> None:
            if message["type"] == "http.response.start":
                now = datetime.fromtimestamp(self.world.now(), UTC)
                date = format_datetime(now, usegmt=True).encode()
                message = {**message, "headers": [*message["headers"], (b"date", date)]}
            counter.bytes += len(message.get("body", b""))
            await send(message)

        match self.world.fault(self.name):
            case Fault.REFUSE:
                _reset(scope["state"]["transport"])
                await _gone(receive)
            case Fault.HANG:
                await _gone(receive)
            case Fault.TRUNCATED:
                await self._truncate(scope, receive, counted)
            case fault:
                await (self._substitute(fault) or self.app)(scope, receive, counted)

    def _substitute(self, fault: Fault | None) -> Response | None:
        match fault:
            case Fault.TOO_MANY:
                wait = {"Retry-After": str(RETRY_AFTER_SECONDS)}
                return PlainTextResponse("Too many requests", 429, headers=wait)
            case Fault.BROKEN:
                return PlainTextResponse("Internal server error", 500)
            case Fault.EMPTY:
                return Response(b"", 200)
            case Fault.ERROR_IN_200:
                body, media_type = self.error_page()
                return Response(body, 200, media_type=media_type)
        return None

    async def _truncate(self, scope: Scope, receive: Receive, send: Send) -> None:
        messages: list[Message] = []

        async def keep(message: Message) -> None:
            messages.append(message)

        await self.app(scope, receive, keep)
        body = b"".join(message.get("body", b"") for message in messages[1:])
        await send(messages[0])
        await send({"type": "http.response.body", "body": body[: len(body) // 2], "more_body": True})
        scope["state"]["transport"].close()
        await _gone(receive)


async def _gone(receive: Receive) -> None:
    """Wait until the client has gone."""
    while (await receive())["type"] != "http.disconnect":
        pass


def _reset(transport: asyncio.Transport) -> None:
    """Drop the connection so that the client sees it reset, and not closed in good order."""
    no_lingering = struct.pack("ii", 1, 0)
    transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, no_lingering)
    transport.abort()
