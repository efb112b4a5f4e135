"""The service's own files: only its user may read them, and what is written appears whole."""

from __future__ import annotations

import fcntl
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from backend.core.errors import ConfigError

OTHERS = 0o077
"""The permission bits of all users except the owner."""


def make_private_folder(folder: Path) -> None:
    """Create a folder that only its owner can enter; an existing one keeps its permissions."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)


def open_to_others(path: Path) -> bool:
    """Return True if other users than the owner may read or enter a file or folder."""
    return bool(path.stat().st_mode & OTHERS)


@contextmanager
def drafts_folder(parent: Path, name: str, busy: str) -> Iterator[Path]:
    """Create a folder for drafts, for one process at a time, and remove it at the end.

    What a killed process left in it goes first. Raises ConfigError with `busy` if another process has it, and
    if `parent` cannot be written.
    """
    work = parent / name
    try:
        make_private_folder(parent)
        # The lock is on the parent: the folder itself goes at the end, and a lock on it would go with it.
        lock = os.open(parent, os.O_RDONLY | os.O_CLOEXEC)
    except OSError as error:
        raise ConfigError(f"{parent}: cannot be written: {error.strerror}") from error
    try:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise ConfigError(f"{parent}: {busy}") from None
        try:
            shutil.rmtree(work, ignore_errors=True)
            make_private_folder(work)
        except OSError as error:
            raise ConfigError(f"{parent}: cannot be written: {error.strerror}") from error
        try:
            yield work
        finally:
            shutil.rmtree(work, ignore_errors=True)
    finally:
        os.close(lock)


def sync(path: Path) -> None:
    """Make a file, or the names in a folder, survive a power loss."""
    number = os.open(path, os.O_RDONLY)
    try:
        os.fsync(number)
    finally:
        os.close(number)
