"""Who does a run: host, boot, process and its start, so that a dead owner is known as dead at once."""

from __future__ import annotations

import os
import socket
from functools import cache
from pathlib import Path

import psutil


@cache
def this_process() -> str:
    """Name this process so that it can be recognised, and its death seen, on the same host."""
    return _owner(os.getpid(), psutil.Process().create_time())


def is_dead(owner: str) -> bool:
    """Say whether an owner is known to be gone; False wherever we cannot tell (another host)."""
    host, boot, pid, started = owner.split("/")
    if host != socket.gethostname():
        return False
    if boot != _boot_id():
        return True
    try:
        return _owner(int(pid), psutil.Process(int(pid)).create_time()) != f"{host}/{boot}/{pid}/{started}"
    except psutil.NoSuchProcess:
        return True


def _owner(pid: int, started: float) -> str:
    return f"{socket.gethostname()}/{_boot_id()}/{pid}/{started:.2f}"


@cache
def _boot_id() -> str:
    path = Path("/proc/sys/kernel/random/boot_id")
    return path.read_text().strip() if path.exists() else f"{psutil.boot_time():.0f}"
