"""Reuse of freed memory by this process."""

from __future__ import annotations

REUSED_BYTES = 16_000_000
"""More than one answer about a year of a site needs at a time."""


def keep_freed() -> None:
    """Make glibc reuse up to twice REUSED_BYTES of freed memory instead of returning it to the system.

    Each answer fills a few megabytes of arrays. Fetching their pages from the system each time takes a
    quarter of the time of an answer. When a block larger than all before (up to 32 MB) is freed, malloc
    raises its threshold to that size and keeps twice as much (mallopt(3), M_MMAP_THRESHOLD). This function
    frees such a block, without ever touching its pages. With other C libraries it has no effect.
    """
    bytes(REUSED_BYTES)
