"""Answers of winds.mobi for one of its networks."""

from __future__ import annotations

import json
from datetime import datetime

from backend.tests.support.ffvl_samples import MOBI


def bulk_url(network: str) -> str:
    """Return the address of the newest readings of a network."""
    return f"{MOBI}?provider={network}&limit=0"


def row(name: str, time: datetime, **wind: float) -> dict[str, object]:
    """Return a station with a reading of 12.5 km/h, gusts of 24, from 250 degrees at 3 °C."""
    last = {"w-dir": 250, "w-avg": 12.5, "w-max": 24, "temp": 3.0, **wind}
    return {
        "_id": name,
        "pv-code": name.partition("-")[0],
        "name": "Sur la crête",
        "alt": 2106,
        "loc": {"type": "Point", "coordinates": [6.09, 46.42]},
        "last": {"_id": int(time.timestamp()), **last},
    }


def answer(*rows: dict[str, object]) -> bytes:
    """Return a bulk answer."""
    return json.dumps(rows).encode()
