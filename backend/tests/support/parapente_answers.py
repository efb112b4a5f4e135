"""Answers of Meteo-Parapente: the list of runs, and soundings."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from backend.collectors.base import Request
from backend.core.config import Settings
from backend.core.records import Site
from backend.tests.support.fakes import PAYLOADS

FOLDER = PAYLOADS / "meteo_parapente"
HOST = "https://meteo.test"
NOW = datetime(2026, 7, 15, 12, 10, tzinfo=UTC)
SETTINGS = Settings.load(contact="pilot@example.org", meteo_parapente_url=HOST)

# All are flown from; the second stands in the same model cell as the first, the third does not.
HERE = Site("here", "Here", 45.86231, 6.22719, 1250)
NEAR = Site("near", "Near", 45.86001, 6.23004, 1300)
FAR = Site("far", "Far", 44.5, 6, 2000)
CELLS = {"here": (541, 537), "near": (541, 537), "far": (480, 530)}


def sounding(change: Callable[[dict[str, Any]], object] = lambda answer: None) -> bytes:
    answer = json.loads((FOLDER / "sounding.json").read_bytes())
    change(answer)
    return json.dumps(answer).encode()


def status(*lines: dict[str, Any]) -> bytes:
    return json.dumps({"france": lines}).encode()


def line(run: object = "2026071506", day: str = "20260715", **fields: Any) -> dict[str, Any]:
    known = {"run": run, "day": day, "private": False, "status": "complete", "update": "2026-07-15T12:08:31Z"}
    return {name: value for name, value in {**known, **fields}.items() if value is not ...}


def answer_for(request: Request) -> bytes:
    """Answer as the service does: the place repeated to 4 decimals, the cell that it lies in."""
    site = next(
        site
        for site in (HERE, NEAR, FAR)
        if request.params["location"] == f"{site.latitude:.5f},{site.longitude:.5f}"
    )
    sn, we = CELLS[site.id]
    place = {"lat": round(site.latitude, 4), "lon": round(site.longitude, 4), "sn": sn, "we": we}
    return sounding(lambda answer: answer["gridCoords"].update(place))


def without_temperatures(answer: dict[str, Any]) -> None:
    for hour in answer["data"].values():
        del hour["tc"]
