"""Answers of Open-Meteo to questions about single runs."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

from backend.collectors.base import Request, Source
from backend.collectors.open_meteo_models import build
from backend.core.config import Settings
from backend.core.records import ForecastBatch, Site

NOW = datetime(2026, 7, 15, 11, 50, tzinfo=UTC)
SIX, NINE = NOW.replace(hour=6, minute=0), NOW.replace(hour=9, minute=0)
META = "http://meta.test/data/"
RUNS = "http://runs.test/v1/forecast?run="

ANNECY = Site("annecy", "Planfait", 45.8123, 6.2, 950)


def meta(run: datetime, available_at: datetime) -> bytes:
    fields = {
        "last_run_initialisation_time": int(run.timestamp()),
        "last_run_availability_time": int(available_at.timestamp()),
    }
    return json.dumps(fields).encode()


def place(run: datetime, hours: int, elevation: float | None = 1043.0) -> dict[str, Any]:
    """Return a place with a wind of 10 km/h and 0.5 more each hour, from midnight of the run's day on."""
    midnight = run.replace(hour=0)
    times = [midnight + timedelta(hours=hour) for hour in range(24 * 7)]
    leads = [(time - run) // timedelta(hours=1) for time in times]
    there = [0 <= lead <= hours for lead in leads]
    return {
        "latitude": 45.82,
        "longitude": 6.18,
        "elevation": elevation,
        "utc_offset_seconds": 0,
        "hourly_units": {
            "time": "iso8601",
            "wind_speed_10m": "km/h",
            "wind_direction_10m": "°",
            "wind_gusts_10m": "km/h",
            "temperature_2m": "°C",
        },
        "hourly": {
            "time": [f"{time:%Y-%m-%dT%H:%M}" for time in times],
            "wind_speed_10m": [
                10 + lead / 2 if is_ else None for lead, is_ in zip(leads, there, strict=True)
            ],
            "wind_direction_10m": [270 if is_ else None for is_ in there],
            "wind_gusts_10m": [30 if is_ and lead else None for lead, is_ in zip(leads, there, strict=True)],
            "temperature_2m": [12.5 if is_ else None for is_ in there],
        },
    }


def answer(hours: int) -> Callable[[Request], bytes]:
    """Answer for every place that is asked for, with the run that is asked for."""

    def body(request: Request) -> bytes:
        run = datetime.strptime(request.params["run"], "%Y-%m-%dT%H:%M").replace(tzinfo=UTC)
        places = [place(run, hours) for _ in request.params["latitude"].split(",")]
        return json.dumps(places if len(places) > 1 else places[0]).encode()

    return body


def source(models: str) -> Source[ForecastBatch]:
    return build(
        Settings.load(
            open_meteo_models=models,
            open_meteo_url="http://meta.test",
            open_meteo_single_runs_url="http://runs.test",
        )
    )
