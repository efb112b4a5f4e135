"""In a process of its own: the alternative to a collection, a plain ecCodes loop over messages in memory.

It fetches nothing, stores nothing and checks nothing: it opens each wanted message, unpacks its values
and takes those at the sites. This is the least work possible with ecCodes.
"""

from __future__ import annotations

import sqlite3  # noqa: F401 - before eccodes, whose wheels load a SQLite of their own
import time
from collections.abc import Sequence
from pathlib import Path

import eccodes
import numpy as np
from numpy.typing import NDArray

from backend.core.records import Site
from backend.core.sites import load_sites
from backend.core.units import ZERO_CELSIUS_K
from proofs.bench.processes import answer, given

WANTED = {(0, 2, 2), (0, 2, 3), (0, 2, 22), (0, 2, 23), (0, 2, 24), (0, 0, 0)}  # the collector's six fields
TEMPERATURE = (0, 0, 0)
_KEYS = ("discipline", "parameterCategory", "parameterNumber")


def wanted_messages(paths: list[Path]) -> list[tuple[tuple[int, ...], bytes]]:
    """Return the messages that the collector wants, with their numbers."""
    found: list[tuple[tuple[int, ...], bytes]] = []
    for path in paths:
        body, offset = path.read_bytes(), 0
        while offset < len(body):
            end = offset + int.from_bytes(body[offset + 8 : offset + 16], "big")
            handle = eccodes.codes_new_from_message(body[offset:end])
            product = tuple(eccodes.codes_get(handle, key, int) for key in _KEYS)
            eccodes.codes_release(handle)
            if product in WANTED:
                found.append((product, body[offset:end]))
            offset = end
    return found


def cells_of(sites: Sequence[Site], body: bytes) -> NDArray[np.int64]:
    """Return where in the values of a message the sites lie."""
    handle = eccodes.codes_new_from_message(body)
    north, west, step = (
        eccodes.codes_get(handle, f"{key}InDegrees", float)
        for key in ("latitudeOfFirstGridPoint", "longitudeOfFirstGridPoint", "iDirectionIncrement")
    )
    columns = eccodes.codes_get(handle, "Ni", int)
    eccodes.codes_release(handle)
    rows = np.array([round((north - site.latitude) / step) for site in sites])
    cells: NDArray[np.int64] = rows * columns + np.array(
        [round((site.longitude - west) % 360 / step) for site in sites]
    )
    return cells


def main() -> None:
    """Decode everything once and print how long it took."""
    task = given()
    messages = wanted_messages([Path(path) for path in task["files"]])
    cells = cells_of(load_sites(Path(task["sites"])), messages[0][1])
    warmth = []
    began, used = time.monotonic(), time.process_time()
    for product, body in messages:
        handle = eccodes.codes_new_from_message(body)
        values = eccodes.codes_get_values(handle)[cells]
        eccodes.codes_release(handle)
        if product == TEMPERATURE:
            warmth.append(values)
    seconds = time.monotonic() - began
    answer(
        {
            "seconds": seconds,
            "cpu": time.process_time() - used,
            "messages": len(messages),
            "mean_temperature": float(np.mean(warmth)) - ZERO_CELSIUS_K,
        }
    )
