"""Identity of a process: host, boot, pid and start, so that a dead owner of a run is recognised at once.

All of it is read from Linux's /proc. The start counts clock ticks since the boot: psutil's start times shift
with every correction of the system clock, so that a live process would look dead. Without /proc no owner is
known to be dead, and a run is taken over when its lease expires.
"""

from __future__ import annotations

import os
import socket
from pathlib import Path

_PROC = Path("/proc")


def this_process() -> str:
    """Return the identity of this process, by which other processes on this host can detect its death."""
    pid = os.getpid()
    return f"{_host()}/{_boot()}/{pid}/{_start_of(pid)}"


def is_dead(owner: str) -> bool:
    """Return True if an owner is known to be dead; False if that is unknown (another host)."""
    host, _, process = owner.partition("/")
    if host != _host() or not _boot():
        return False
    boot, pid, start = process.split("/")
    return boot != _boot() or start != _start_of(int(pid))


def is_observable(owner: str) -> bool:
    """Return True if `is_dead` can decide about this owner: it runs, or ran, on this host."""
    return owner.partition("/")[0] == _host() and bool(_boot())


def _host() -> str:
    """Return host name and PID namespace: containers can share a host name but not see each other."""
    namespace = _PROC / "self/ns/pid"
    return f"{socket.gethostname()}:{namespace.stat().st_ino if namespace.exists() else ''}"


def _boot() -> str:
    path = _PROC / "sys/kernel/random/boot_id"
    return path.read_text().strip() if path.exists() else ""


def _start_of(pid: int) -> str:
    """Return when a process started, in clock ticks since boot; empty if it is gone or a zombie."""
    try:
        stat = (_PROC / str(pid) / "stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return ""
    state, *fields = stat.rpartition(")")[2].split()  # the command name may contain spaces and brackets
    return "" if state in "ZX" else fields[18]  # field 22, "starttime", of proc(5)
