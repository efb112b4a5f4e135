"""A line about work that is going on, with its count of steps."""

from __future__ import annotations

from typing import Self


class Progress(str):
    """A sentence about work in progress: `done` of `steps` steps are over. Pages draw it as a bar."""

    done: int
    steps: int

    def __new__(cls, sentence: str, done: int, steps: int) -> Self:
        """Return the sentence with its figures."""
        notice = super().__new__(cls, sentence)
        notice.done, notice.steps = done, steps
        return notice
