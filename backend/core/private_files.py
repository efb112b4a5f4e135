"""Files of the service itself: the store, kept payloads and counts of calls are for its user alone."""

from __future__ import annotations

from pathlib import Path

OTHERS = 0o077
"""The permission bits of everybody but the owner."""


def make_private_folder(folder: Path) -> None:
    """Make a folder that only its owner can enter; one that is there keeps its permissions."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)


def open_to_others(path: Path) -> bool:
    """Return whether somebody else than the owner may read or enter a file or folder."""
    return bool(path.stat().st_mode & OTHERS)
