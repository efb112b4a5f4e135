"""Who does a run: host, boot, process and its start, so that a dead owner is known as dead at once.

All of it is read from Linux's /proc. A start counts clock ticks since the boot: psutil's start times are
moved by every correction of the system's clock, which would make the living look dead. Where there is
no /proc nobody is known to be dead, and a run is taken over when its lease ends.
"""

from __future__ import annotations

import os
import socket
from pathlib import Path

_PROC = Path("/proc")


def this_process() -> str:
    """Name this process so that it can be recognised, and its death seen, on the same host."""
    pid = os.getpid()
    return f"{_host()}/{_boot()}/{pid}/{_start_of(pid)}"


def is_dead(owner: str) -> bool:
    """Say whether an owner is known to be gone; False wherever we cannot tell (another host)."""
    host, _, process = owner.partition("/")
    if host != _host() or not _boot():
        return False
    boot, pid, start = process.split("/")
    return boot != _boot() or start != _start_of(int(pid))


def is_observable(owner: str) -> bool:
    """Say whether `is_dead` can tell for this owner: it runs, or ran, where this process can see it."""
    return owner.partition("/")[0] == _host() and bool(_boot())


def _host() -> str:
    """Containers can share a host's name, yet none can see another's processes: name their space too."""
    namespace = _PROC / "self/ns/pid"
    return f"{socket.gethostname()}:{namespace.stat().st_ino if namespace.exists() else ''}"


def _boot() -> str:
    path = _PROC / "sys/kernel/random/boot_id"
    return path.read_text().strip() if path.exists() else ""


def _start_of(pid: int) -> str:
    """Return when a process started, in clock ticks since boot; empty if it is gone or only a zombie."""
    try:
        stat = (_PROC / str(pid) / "stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return ""
    state, *fields = stat.rpartition(")")[2].split()  # the name before it may hold spaces and brackets
    return "" if state in "ZX" else fields[18]  # field 22, "starttime", of proc(5)
