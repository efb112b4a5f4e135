"""Permissions of the service's own files: store, payloads and counts of calls are for its user only."""

from __future__ import annotations

from pathlib import Path

OTHERS = 0o077
"""The permission bits of all users except the owner."""


def make_private_folder(folder: Path) -> None:
    """Create a folder that only its owner can enter; an existing one keeps its permissions."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)


def open_to_others(path: Path) -> bool:
    """Return True if other users than the owner may read or enter a file or folder."""
    return bool(path.stat().st_mode & OTHERS)
