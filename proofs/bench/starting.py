"""How long the service takes to its first response and its first claim, and the CPU time of commands."""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from datetime import timedelta
from http.client import HTTPConnection
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import Any

from proofs.bench.quiet import Quiet
from proofs.bench.report import Figure, over_rounds
from proofs.bench.scored import Scored, filled
from proofs.bench.world import NOW, upstreams

SERVE = (sys.executable, "-m", "backend", "serve")
BARE = """
import os
import uvicorn
from fastapi import FastAPI

app = FastAPI()

@app.get("/api/health")
def health() -> dict[str, str]:
    return {"status": "ok"}

uvicorn.run(app, port=int(os.environ["PORT"]), log_config=None)
"""
PATIENCE_SECONDS = 600.0
_LOOK_EVERY_SECONDS = 0.005


async def bench_starting(work: Path, quiet: Quiet, *, rounds: int, days: int) -> list[Figure]:
    """Measure the service and commands from their start; the commands on a store of one site and `days`."""
    return [
        *await _serving(work, quiet, rounds=rounds),
        *await _commands(work, quiet, rounds=rounds, days=days),
    ]


async def _commands(work: Path, quiet: Quiet, *, rounds: int, days: int) -> list[Figure]:
    """Return the CPU time of commands that only read, beside that of Python itself."""
    shape = Scored(sites=1, days=days)
    store = work / "commands.sqlite3"
    shutil.copy(filled(work, shape), store)
    environment = {
        **os.environ,
        "DATABASE_URL": f"sqlite:///{store}",
        "DATA_DIR": str(work),
        "SITES_FROM": "database",
        "LOG_LEVEL": "ERROR",
    }
    meteo_score = (sys.executable, "-m", "backend")
    _cpu_seconds((*meteo_score, "scores", "rebuild"), environment, work)
    site = shape.list_sites()[0].id
    last_day = f"{NOW - timedelta(days=1):%Y-%m-%d}"
    lines = {
        "python -c pass": (sys.executable, "-c", "pass"),
        "meteo-score --help": (*meteo_score, "--help"),
        f"meteo-score score SITE, {days} days": (*meteo_score, "score", site, "--to", last_day),
    }

    async def run_each() -> tuple[float, ...]:
        return tuple(_cpu_seconds(line, environment, work) for line in lines.values())

    measured = [await quiet.measure(run_each) for _ in range(rounds)]
    python, *seconds = zip(*measured, strict=True)
    beside: dict[str, Any] = {"beside": "python -c pass", "beside_value": median(python)}
    return [
        over_rounds("CPU time of a command", name, "s", values, at_most=at_most, **beside)
        for name, values, at_most in zip([*lines][1:], seconds, (0.4, 1.0), strict=True)
    ]


def _cpu_seconds(line: Sequence[str], environment: dict[str, str], folder: Path) -> float:
    """Return the CPU time, user and system, of a process from its start to its end."""
    process = subprocess.Popen(
        line, env=environment, cwd=folder, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise RuntimeError(f"{' '.join(line)} ended with exit code {process.returncode}")
    return usage.ru_utime + usage.ru_stime


async def _serving(work: Path, quiet: Quiet, *, rounds: int) -> list[Figure]:
    """Measure starts on a new store and on one that is there, beside a FastAPI application of three lines."""
    found: list[tuple[float, ...]] = []
    async with upstreams(work, full_grid=False) as standing_in:

        async def start() -> tuple[float, ...]:
            with TemporaryDirectory() as folder:
                environment = _environment(folder, standing_in.environment)
                return (
                    *_started(SERVE, environment, folder, _healthy, _claimed),
                    *_started(SERVE, environment, folder, _healthy),
                    *_started((sys.executable, "-c", BARE), environment, folder, _healthy),
                )

        for _ in range(rounds):
            found.append(await quiet.measure(start))  # noqa: PERF401 - one measure per round
    first, claimed, again, bare = zip(*found, strict=True)
    group = "meteo-score serve, from the command"
    beside: dict[str, Any] = {"beside": "bare FastAPI", "beside_value": median(bare)}
    return [
        over_rounds(group, "first answer, new store", "s", first, **beside),
        over_rounds(group, "first answer, store already there", "s", again, **beside),
        over_rounds(group, "the catch-up's claim, new store", "s", claimed, **beside),
    ]


def _started(
    command: Sequence[str],
    environment: dict[str, str],
    folder: str,
    *events: Callable[[HTTPConnection], bool],
) -> list[float]:
    """Return how many seconds after its start a process shows each event."""
    port = str(_free_port())
    began = time.monotonic()
    process = subprocess.Popen(
        command,
        env={**environment, "PORT": port},
        cwd=folder,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        return [_waited(process, int(port), event, began) for event in events]
    finally:
        process.kill()
        process.wait()


def _waited(
    process: subprocess.Popen[bytes], port: int, event: Callable[[HTTPConnection], bool], began: float
) -> float:
    while time.monotonic() < began + PATIENCE_SECONDS:
        if process.poll() is not None:
            raise RuntimeError(f"the process ended with exit code {process.returncode}")
        connection = HTTPConnection("127.0.0.1", port, timeout=PATIENCE_SECONDS)
        try:
            if event(connection):
                return time.monotonic() - began
        except ConnectionRefusedError:
            pass
        finally:
            connection.close()
        time.sleep(_LOOK_EVERY_SECONDS)
    raise RuntimeError(f"nothing within {PATIENCE_SECONDS:g} s")


def _healthy(connection: HTTPConnection) -> bool:
    return _asked(connection, "/api/health")[0] == 200


def _claimed(connection: HTTPConnection) -> bool:
    status, body = _asked(connection, "/api/scheduler/runs?limit=1")
    return status == 200 and bool(json.loads(body)["runs"])


def _asked(connection: HTTPConnection, path: str) -> tuple[int, bytes]:
    connection.request("GET", path)
    answered = connection.getresponse()
    return answered.status, answered.read()


def _environment(folder: str, settings: dict[str, Any]) -> dict[str, str]:
    given = {name.upper(): str(value) for name, value in settings.items()}
    return {
        **os.environ,
        **given,
        "DATABASE_URL": f"sqlite:///{folder}/store.sqlite3",
        "DATA_DIR": folder,
        "LOG_LEVEL": "ERROR",
    }


def _free_port() -> int:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port: int = taken.getsockname()[1]
        return port
