"""Cache of recent answers: many clients ask the same question."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor, wait
from contextvars import copy_context
from threading import Lock

from backend.core.errors import BusyError

MOST_BYTES = 32_000_000
"""Size of the cache of a process: about a thousand answers."""

AT_ONCE = 2
"""Number of answers computed at a time. More would compete for the interpreter, for memory, and for the
database connections that a collection needs too."""

MOST_SECONDS = 20.0
"""Time that a request waits for its answer. With all forty threads of the server waiting it is about two
seconds; it is longer only while the database does not answer."""


class AnswerCache:
    """The bytes of answers by their ETag, which changes with everything that an answer depends on.

    The least recently used answers are dropped first. Safe for several threads.
    """

    def __init__(
        self, most_bytes: int = MOST_BYTES, *, at_once: int = AT_ONCE, most_seconds: float = MOST_SECONDS
    ) -> None:
        self._most = most_bytes
        self._bytes = 0
        self._answers: OrderedDict[str, bytes] = OrderedDict()
        self._lock = Lock()
        self._at_once = at_once
        self._threads = self._new_threads()
        self._most_seconds = most_seconds

    def close(self) -> None:
        """Cancel all waiting computations. The cache stays usable."""
        # New threads first: a request can still arrive during the shutdown, and needs them.
        threads, self._threads = self._threads, self._new_threads()
        threads.shutdown(wait=False, cancel_futures=True)

    def get_or_compute(self, etag: str, compute: Callable[[], bytes]) -> bytes:
        """Return the cached answer, or compute and cache it.

        Blocks during the computation and the ones before it. Raises BusyError if that takes too long, and
        all errors of `compute`.
        """
        answer = self._cached(etag)
        if answer is not None:
            return answer
        computation = self._threads.submit(copy_context().run, self._computed, etag, compute)
        if not wait([computation], self._most_seconds).done:
            computation.cancel()  # if it runs already, it ends, and the next request finds it in the cache
            raise BusyError(f"no answer within {self._most_seconds:g} seconds")
        return computation.result()

    def _new_threads(self) -> ThreadPoolExecutor:
        return ThreadPoolExecutor(self._at_once, thread_name_prefix="answers")

    def _computed(self, etag: str, compute: Callable[[], bytes]) -> bytes:
        answer = self._cached(etag)  # another request for the same answer can have computed it since
        if answer is None:
            answer = compute()
            if len(answer) <= self._most:  # a larger one would drop all others, and then itself
                with self._lock:
                    self._bytes += len(answer) - len(self._answers.pop(etag, b""))
                    self._answers[etag] = answer
                    while self._bytes > self._most:
                        self._bytes -= len(self._answers.popitem(last=False)[1])
        return answer

    def _cached(self, etag: str) -> bytes | None:
        with self._lock:
            answer = self._answers.get(etag)
            if answer is not None:
                self._answers.move_to_end(etag)
            return answer
