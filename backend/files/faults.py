"""Faults of a file: the first lines with the rules they break, and the number of all faults."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from backend.core.errors import ConfigError

MOST_NAMED = 20
"""How many faults of a file are listed; all are counted."""

Fault = tuple[int, str]
"""A row of a file (from 0), and the rule it breaks."""


class FileRefusedError(ConfigError):
    """A file cannot be imported; nothing of it is stored. The message contains file, line and rule."""


class Faults:
    """The faults of one file, added in any order; only the first MOST_NAMED stay in memory."""

    def __init__(self) -> None:
        self._first: list[Fault] = []
        self.count = 0

    def add(self, faults: Sequence[Fault], count: int) -> None:
        """Add `count` faults; `faults` are the first of them in the order of the file."""
        self._first = sorted([*self._first, *faults])[:MOST_NAMED]
        self.count += count

    def raise_any(
        self, path: Path, lines: Callable[[Sequence[int]], Sequence[str]], advice: str = ""
    ) -> None:
        """Raise FileRefusedError if there are faults; `lines` returns names for rows: "line 3"."""
        if not self.count:
            return
        named = lines([row for row, _ in self._first])
        messages = [f"{path}, {line}: {wrong}" for line, (_, wrong) in zip(named, self._first, strict=True)]
        if self.count > len(messages):
            messages.append(f"{path}: and {self.count - len(messages)} more")
        raise FileRefusedError("\n".join([*messages, f"nothing was stored{advice}"]))
