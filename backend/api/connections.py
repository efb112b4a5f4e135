"""Limits of the time and size of a connection, which uvicorn itself does not have.

About a thousand idle sockets would use all file descriptors of the process, so that a collection could open
no file. Endless headers would use all memory.
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
"""Number of connected clients; a further one replaces the client that is idle longest."""

REQUEST_SECONDS = 10.0
"""Time for a request to arrive. A request has some hundred bytes: only the operator's forms have a body."""

READ_SECONDS = 30.0
"""Time that a client may leave an answer unread after the buffers are full."""

MOST_REQUEST_BYTES = 65_536
"""Size of the headers and the body of a request together."""

BACKLOG = 100
"""Number of connections that the operating system accepts before the service does."""

_FILES_FOR_COLLECTING = 200


class BoundedProtocol(HttpToolsProtocol):
    """uvicorn's protocol with limits of idle time, of transfer time and of size."""

    most_connections = MOST_CONNECTIONS
    request_seconds = REQUEST_SECONDS
    read_seconds = READ_SECONDS
    most_request_bytes = MOST_REQUEST_BYTES
    crowd_logged: ClassVar[float] = float(
        "-inf"
    )  # event loop time of the last log line about too many clients

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._patience: TimerHandle | None = None
        self._unread: TimerHandle | None = None
        self._received = 0
        self._answer, self.app = self.app, self._answer_once_read

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Wait for the request. With too many clients, close the connection that is idle longest."""
        super().connection_made(transport)
        self._wait_for_request()
        open_ones = [
            connection
            for connection in self.connections
            if isinstance(connection, BoundedProtocol) and not connection.transport.is_closing()
        ]
        if len(open_ones) > self.most_connections:
            idle = [connection for connection in open_ones if connection.is_idle]
            longest = min(idle, key=BoundedProtocol.ends_at, default=self)
            now = self.loop.time()
            if now - BoundedProtocol.crowd_logged >= 60:  # at most one line a minute
                BoundedProtocol.crowd_logged = now
                log.warning("connections closed: too many clients", most=self.most_connections)
            longest.transport.abort()

    @property
    def is_idle(self) -> bool:
        """Whether no request of this connection is in progress."""
        return self.cycle is None or self.cycle.response_complete

    def ends_at(self) -> float:
        """Return the event loop time at which an idle connection is closed."""
        handle = self._patience or self.timeout_keep_alive_task
        return handle.when() if handle is not None else 0.0

    def connection_lost(self, exc: Exception | None) -> None:
        """Cancel all timers."""
        for handle in (self._patience, self._unread):
            if handle is not None:
                handle.cancel()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Receive a piece of a request, up to a total size."""
        self._received += len(data)
        if self._received > self.most_request_bytes:
            if self.is_idle:  # otherwise these bytes would be in the middle of an answer
                self.transport.write(_TOO_LARGE)
            self._close_soon()
            return
        super().data_received(data)
        if self.is_idle and self.timeout_keep_alive_task is None and not self.transport.is_closing():
            self._wait_for_request()  # empty lines end uvicorn's own timer and start no request

    def on_message_begin(self) -> None:
        """Start the timer for the rest of a request."""
        super().on_message_begin()
        self._wait_for_request()

    def on_message_complete(self) -> None:
        """Stop the timer: the request is complete."""
        if self._patience is not None:
            self._patience.cancel()
            self._patience = None
        self._received = 0
        super().on_message_complete()

    def pause_writing(self) -> None:
        """Start the timer for a client that does not read."""
        super().pause_writing()
        if self._unread is None:
            self._unread = self.loop.call_later(self.read_seconds, self._give_up, "does not read")

    def resume_writing(self) -> None:
        """Stop the timer: the client reads again."""
        if self._unread is not None:
            self._unread.cancel()
            self._unread = None
        super().resume_writing()

    async def _answer_once_read(self, scope: Any, receive: Any, send: Any) -> None:
        """Answer a request after the client has read the previous answers.

        Otherwise a client that does not read would block a turn of admission.py.
        """
        await self.flow.drain()
        if not self.transport.is_closing():
            await self._answer(scope, receive, send)
            return
        # The client is gone. uvicorn logs an error if the application sends no response.
        await send({"type": "http.response.start", "status": 503, "headers": []})
        await send({"type": "http.response.body", "body": b""})

    def timeout_keep_alive_handler(self) -> None:
        """Close after the last request, even if the client leaves the last answer unread."""
        self._close_soon()

    def _close_soon(self) -> None:
        self.transport.close()  # after the written bytes are sent
        if self._unread is None:
            self._unread = self.loop.call_later(self.read_seconds, self._give_up, "does not read")

    def _wait_for_request(self) -> None:
        if self._patience is None:
            self._patience = self.loop.call_later(self.request_seconds, self._give_up, "sends no request")

    def _give_up(self, reason: str) -> None:
        log.debug("connection closed", reason=f"the client {reason}")
        self.transport.abort()


_TOO_LARGE = b"HTTP/1.1 431 Request Header Fields Too Large\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"


def allow_files() -> None:
    """Raise the limit of open files, so that connections leave enough of them to a collection.

    If the system allows too few files for both, lower the number of connected clients, and log it.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    needed = MOST_CONNECTIONS + BACKLOG + _FILES_FOR_COLLECTING
    target = 4096 if hard == resource.RLIM_INFINITY else min(hard, 4096)
    if soft != resource.RLIM_INFINITY and soft < target:
        resource.setrlimit(resource.RLIMIT_NOFILE, (target, hard))
        soft = target
    if soft != resource.RLIM_INFINITY and soft < needed:
        most = BoundedProtocol.most_connections = connections_within(soft)
        log.warning(
            "few files may be open: raise the limit (ulimit -n)", limit=soft, needed=needed, connections=most
        )


def connections_within(files: int) -> int:
    """Return the number of clients for a limit of open files."""
    return max(10, min(MOST_CONNECTIONS, files // 4))
