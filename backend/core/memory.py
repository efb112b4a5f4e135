"""What the process does with memory that is freed."""

from __future__ import annotations

KEPT_BYTES = 16_000_000
"""More than an answer about a year of a site needs at a time."""


def keep_freed() -> None:
    """Have glibc keep up to twice KEPT_BYTES of freed memory for what comes next, instead of giving it back.

    An answer fills a few megabytes of arrays, again and again. To get each of their pages from the system
    anew takes a quarter of its time. Whenever a larger block than ever before is freed, up to 32 MB, malloc
    takes blocks of that size for usual, and keeps twice as much (mallopt(3), M_MMAP_THRESHOLD): so one is
    freed, whose pages were never touched. Of other C libraries this asks nothing.
    """
    bytes(KEPT_BYTES)
