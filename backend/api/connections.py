"""How long and how large a connection may be: uvicorn bounds neither by itself.

About a thousand silent sockets would use up the process's file descriptors, those of a collection included,
and headers without end its memory.
"""

from __future__ import annotations

import asyncio
import resource
from asyncio import TimerHandle
from typing import Any, ClassVar

import structlog
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

log = structlog.get_logger()

MOST_CONNECTIONS = 400
"""How many clients may be connected; the one that is silent longest makes room for a new one."""

REQUEST_SECONDS = 10.0
"""How long a request may take to arrive. No route takes a body, so it is a few hundred bytes."""

READ_SECONDS = 30.0
"""How long a client may leave an answer unread once it fills the buffers."""

MOST_REQUEST_BYTES = 65_536
"""How large the head and the body of a request may be together."""

BACKLOG = 100
"""How many connections the system accepts ahead of us."""

_FILES_FOR_COLLECTING = 200


class BoundedProtocol(HttpToolsProtocol):
    """uvicorn's protocol, with an end to silence, to slowness and to size."""

    most_connections = MOST_CONNECTIONS
    request_seconds = REQUEST_SECONDS
    read_seconds = READ_SECONDS
    most_request_bytes = MOST_REQUEST_BYTES
    crowd_noted: ClassVar[float] = float("-inf")  # the event loop's time of the last line about it

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._patience: TimerHandle | None = None
        self._unread: TimerHandle | None = None
        self._received = 0
        self._answer, self.app = self.app, self._answer_once_read

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Start to wait for the request; a client too many takes the place of the longest silent one."""
        super().connection_made(transport)
        self._wait_for_request()
        open_ones = [
            each
            for each in self.connections
            if isinstance(each, BoundedProtocol) and not each.transport.is_closing()
        ]
        if len(open_ones) > self.most_connections:
            silent = [each for each in open_ones if each.is_silent]
            longest = min(silent, key=BoundedProtocol.ends_at, default=self)
            self._note_crowd()
            longest.transport.abort()

    def _note_crowd(self) -> None:
        """Log that clients are turned away, once a minute: a flood of them is no flood of lines."""
        now = self.loop.time()
        if now - BoundedProtocol.crowd_noted >= 60:
            BoundedProtocol.crowd_noted = now
            log.warning("connections closed: too many clients", most=self.most_connections)

    @property
    def is_silent(self) -> bool:
        """Whether no request of this connection is being answered."""
        return self.cycle is None or self.cycle.response_complete

    def ends_at(self) -> float:
        """Return the time (the event loop's) at which a silent connection is closed."""
        handle = self._patience or self.timeout_keep_alive_task
        return handle.when() if handle is not None else 0.0

    def connection_lost(self, exc: Exception | None) -> None:
        """Stop all waiting."""
        self._cancel()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Take a piece of a request, up to a size."""
        self._received += len(data)
        if self._received > self.most_request_bytes:
            if self.is_silent:  # else an answer is being written, and this would stand in its middle
                self.transport.write(_TOO_LARGE)
            self._close_soon()
            return
        super().data_received(data)
        if self.is_silent and self.timeout_keep_alive_task is None and not self.transport.is_closing():
            self._wait_for_request()  # empty lines begin no request, and have ended the wait for the next one

    def on_message_begin(self) -> None:
        """A request begins: it must be whole soon."""
        super().on_message_begin()
        self._wait_for_request()

    def on_message_complete(self) -> None:
        """A request is whole."""
        if self._patience is not None:
            self._patience.cancel()
            self._patience = None
        self._received = 0
        super().on_message_complete()

    def pause_writing(self) -> None:
        """The client does not read: it must do so soon."""
        super().pause_writing()
        if self._unread is None:
            self._unread = self.loop.call_later(self.read_seconds, self._give_up, "does not read")

    def resume_writing(self) -> None:
        """The client reads again."""
        if self._unread is not None:
            self._unread.cancel()
            self._unread = None
        super().resume_writing()

    async def _answer_once_read(self, scope: Any, receive: Any, send: Any) -> None:
        """Answer a request, but not before the client has read the answers to those before it.

        Else it would hold the turn of a request for values (admission.py) until it reads them.
        """
        await self.flow.drain()
        if not self.transport.is_closing():
            await self._answer(scope, receive, send)
            return
        # The client is gone. uvicorn logs a fault unless there is an answer.
        await send({"type": "http.response.start", "status": 503, "headers": []})
        await send({"type": "http.response.body", "body": b""})

    def timeout_keep_alive_handler(self) -> None:
        """The client asks nothing more: close, even if it leaves the last answer unread."""
        self._close_soon()

    def _close_soon(self) -> None:
        self.transport.close()  # once what was written is sent
        if self._unread is None:
            self._unread = self.loop.call_later(self.read_seconds, self._give_up, "does not read")

    def _wait_for_request(self) -> None:
        if self._patience is None:
            self._patience = self.loop.call_later(self.request_seconds, self._give_up, "sends no request")

    def _give_up(self, reason: str) -> None:
        log.debug("connection closed", reason=f"the client {reason}")
        self.transport.abort()

    def _cancel(self) -> None:
        for handle in (self._patience, self._unread):
            if handle is not None:
                handle.cancel()


_TOO_LARGE = b"HTTP/1.1 431 Request Header Fields Too Large\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"


def allow_files() -> None:
    """Let this process open as many files as the system allows: connections must leave some to collecting.

    Raises nothing: where the system allows fewer than both need, fewer clients may be connected, and the log
    shows how many.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    needed = MOST_CONNECTIONS + BACKLOG + _FILES_FOR_COLLECTING
    wanted = 4096 if hard == resource.RLIM_INFINITY else min(hard, 4096)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
        soft = wanted
    if soft != resource.RLIM_INFINITY and soft < needed:
        most = BoundedProtocol.most_connections = connections_within(soft)
        log.warning(
            "few files may be open: raise the limit (ulimit -n)", limit=soft, needed=needed, connections=most
        )


def connections_within(files: int) -> int:
    """Return how many clients may be connected where a process may open so many files."""
    return max(10, min(MOST_CONNECTIONS, files // 4))
