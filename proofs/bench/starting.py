"""How long the service takes to its first answer, and to the claim of the run that it owes."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from http.client import HTTPConnection
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import Any

from proofs.bench.quiet import Quiet
from proofs.bench.report import Figure, over_rounds
from proofs.bench.world import upstreams

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


async def bench_starting(work: Path, quiet: Quiet, *, rounds: int) -> list[Figure]:
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
            found.append(await quiet.measure(start))  # noqa: PERF401 - told apart by rounds
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
