"""Drawing in a process beside the service: vl-convert holds the interpreter's lock for 30 ms a chart.

The first chart of a process takes 1 s. No request would be answered in that time. The process runs
`drawing_process.py`, takes one request a line, and ends when its standard input is closed: with its parent.
"""

from __future__ import annotations

import atexit
import base64
import json
import subprocess
import sys
from contextlib import suppress
from functools import lru_cache
from threading import Lock, Timer
from typing import Literal

from backend.core.errors import BusyError

Decimals = Literal["en-GB", "fr-FR"]
"""The locale of numbers at the axes."""

MOST_SECONDS = 20.0
"""Time that a page waits for a chart; then the process is ended."""


@lru_cache(maxsize=200)  # 5 MB: a page is rendered again every few minutes, often with the same charts
def drawn_svg(spec: str, decimals: Decimals) -> str:
    """Return a chart, given as JSON, as an SVG document. Raises ValueError or BusyError."""
    return _process.draw("svg", spec, decimals)


def drawn_png(spec: str, scale: float) -> bytes:
    """Return a chart, given as JSON, as a PNG. Raises ValueError or BusyError."""
    return base64.b64decode(_process.draw("png", spec, scale))


def warm_up() -> None:
    """Start the process, so that the first page does not wait for it. Raises BusyError."""
    _process.draw("svg", '{"data": {"values": []}, "mark": "line", "encoding": {}}', "en-GB")


class _Process:
    """The process, which is started by the first chart and again after its end. Safe for several threads."""

    def __init__(self) -> None:
        self._turn = Lock()
        self._process: subprocess.Popen[bytes] | None = None

    def draw(self, kind: Literal["svg", "png"], spec: str, option: object) -> str:
        """Return what the process answers. Raises its ValueError, or BusyError if it ends or is too slow."""
        request = json.dumps([kind, spec, option]).encode() + b"\n"
        with self._turn:
            # The system may have ended a process that had nothing to do: then a new one draws.
            answer = self._asked(request) or self._asked(request)
        if not answer:
            raise BusyError(f"no chart: the process that draws ended, or took over {MOST_SECONDS:g} s")
        drawn, error = json.loads(answer)
        if error is not None:
            raise ValueError(error)
        return str(drawn)

    def _asked(self, request: bytes) -> bytes:
        """Return the line that answers a request; an empty one if the process ended."""
        process = self._process
        if process is None:
            process = self._process = subprocess.Popen(
                (sys.executable, "-m", "backend.pages.charts.drawing_process"),
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                start_new_session=True,  # Ctrl-C in a terminal is for the service, which finishes its pages
            )
        pipe_in, pipe_out = process.stdin, process.stdout
        if pipe_in is None or pipe_out is None:
            raise AssertionError("both are pipes")
        watch = Timer(MOST_SECONDS, process.kill)
        watch.start()
        answer = b""
        with suppress(BrokenPipeError):
            pipe_in.write(request)
            pipe_in.flush()
            answer = pipe_out.readline()
        watch.cancel()
        if not answer:
            self.end()
        return answer

    def end(self) -> None:
        """End the process."""
        process, self._process = self._process, None
        if process is not None:
            process.kill()
            with suppress(BrokenPipeError):
                process.communicate()  # closes its pipes, and waits for its end


_process = _Process()
atexit.register(_process.end)
