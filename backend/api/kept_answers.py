"""Answers that were given lately, ready to be given again: many ask the same question of the same days."""

from __future__ import annotations

from collections import OrderedDict
from threading import Lock

MOST_BYTES = 32_000_000
"""How much is kept in a process: about a thousand answers."""


class KeptAnswers:
    """The bytes of answers by their ETag, which changes with whatever an answer depends on.

    Those asked for longest ago are dropped first. Used from several threads.
    """

    def __init__(self, most_bytes: int = MOST_BYTES) -> None:
        self._most = most_bytes
        self._bytes = 0
        self._answers: OrderedDict[str, bytes] = OrderedDict()
        self._lock = Lock()

    def get(self, etag: str) -> bytes | None:
        """Return an answer, or None where it is not kept."""
        with self._lock:
            found = self._answers.get(etag)
            if found is not None:
                self._answers.move_to_end(etag)
            return found

    def put(self, etag: str, answer: bytes) -> None:
        """Keep an answer, unless it alone is too large."""
        if len(answer) > self._most:
            return
        with self._lock:
            self._bytes += len(answer) - len(self._answers.pop(etag, b""))
            self._answers[etag] = answer
            while self._bytes > self._most:
                self._bytes -= len(self._answers.popitem(last=False)[1])
