"""Answers that were given lately, ready to be given again: many ask the same question of the same days."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor, wait
from contextvars import copy_context
from threading import Lock

from backend.core.errors import BusyError

MOST_BYTES = 32_000_000
"""How much is kept in a process: about a thousand answers."""

AT_ONCE = 2
"""How many answers are made at a time. More would wait for each other, for the memory of each other's years,
and for the connections to the store that collection needs too."""

MOST_SECONDS = 20.0
"""How long a question waits for its answer, once a thread took it on: there are threads for forty, which
takes two seconds, and longer only while the store does not answer."""


class AnswerCache:
    """The bytes of answers by their ETag, which changes with whatever an answer depends on.

    Those asked for longest ago are dropped first. Used from several threads.
    """

    def __init__(
        self, most_bytes: int = MOST_BYTES, *, at_once: int = AT_ONCE, most_seconds: float = MOST_SECONDS
    ) -> None:
        self._most = most_bytes
        self._bytes = 0
        self._answers: OrderedDict[str, bytes] = OrderedDict()
        self._lock = Lock()
        self._at_once = at_once
        self._makers = self._new_makers()
        self._most_seconds = most_seconds

    def close(self) -> None:
        """Make nothing more of what was asked: whoever asked is gone. What is asked later is made again."""
        makers, self._makers = self._makers, self._new_makers()
        makers.shutdown(wait=False, cancel_futures=True)

    def get(self, etag: str, make: Callable[[], bytes]) -> bytes:
        """Return the answer that is kept, or else make it and keep it.

        Blocks while it, and what was asked before, is made; raises Busy when that takes too long, and
        whatever `make` raises.
        """
        found = self._kept(etag)
        if found is not None:
            return found
        making = self._makers.submit(copy_context().run, self._made, etag, make)
        if not wait([making], self._most_seconds).done:
            making.cancel()
            raise BusyError(f"no answer within {self._most_seconds:g} seconds")
        return making.result()

    def _new_makers(self) -> ThreadPoolExecutor:
        return ThreadPoolExecutor(self._at_once, thread_name_prefix="answers")

    def _made(self, etag: str, make: Callable[[], bytes]) -> bytes:
        found = self._kept(etag)  # another who asked the same may have had it made meanwhile
        if found is None:
            found = make()
            self._keep(etag, found)
        return found

    def _kept(self, etag: str) -> bytes | None:
        with self._lock:
            found = self._answers.get(etag)
            if found is not None:
                self._answers.move_to_end(etag)
            return found

    def _keep(self, etag: str, answer: bytes) -> None:
        if len(answer) > self._most:
            return
        with self._lock:
            self._bytes += len(answer) - len(self._answers.pop(etag, b""))
            self._answers[etag] = answer
            while self._bytes > self._most:
                self._bytes -= len(self._answers.popitem(last=False)[1])
