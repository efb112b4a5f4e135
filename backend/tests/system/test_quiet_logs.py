"""At INFO an outage is a few lines: one per run and one per source that failed, without tracebacks."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import structlog

from backend.core.config import Settings
from backend.core.logs import configure_logging
from backend.scheduler.catchup import CatchUp
from backend.scheduler.config import FORECASTS, OBSERVATIONS
from backend.tests.support.commands import logging_put_back
from backend.tests.support.waiting import HANG_SECONDS
from backend.tests.support.worlds import World, fails, forecast_source, make_world, observation_source

NETWORKS = ("ffvl", "romma", "pioupiou", "meteofrance")
MODELS = ("arome", "meteo_parapente", "geosphere")
MINUTE = timedelta(minutes=1)


@pytest.fixture
def log() -> Iterator[io.StringIO]:
    stream = io.StringIO()
    with logging_put_back():
        configure_logging(Settings.load(log_format="json"), stream)
        yield stream
    structlog.contextvars.clear_contextvars()


def world_of(folder: Path, **options: Any) -> World:
    return make_world(
        folder,
        forecasts=[forecast_source(fails, name) for name in MODELS],
        observations=[observation_source(fails, name) for name in NETWORKS],
        scheduler_observation_cron="*/3 * * * *",
        **options,
    )


async def thirty_minutes(world: World) -> None:
    """Let the schedule tick every three minutes, and the catch-up look every minute."""
    catch_up = CatchUp(world.runner)
    for minute in range(30):
        if minute % 3 == 0:
            await world.runner.tick(OBSERVATIONS)
        if minute == 0:
            await world.runner.tick(FORECASTS)
        await catch_up.look()
        await world.runner.drain(HANG_SECONDS)
        world.clock.now += MINUTE


async def test_an_outage_of_all_sources_for_30_minutes_is_under_100_lines(
    tmp_path: Path, log: io.StringIO
) -> None:
    world = world_of(tmp_path)
    await thirty_minutes(world)
    lines = [json.loads(line) for line in log.getvalue().splitlines()]
    lines = [line for line in lines if line["event"] != "waiting for runs to end"]  # that is of this test
    runs = [line for line in lines if line["event"] == "run ended"]
    failed = [line for line in lines if line["event"] == "source done"]
    assert len(runs) == 11
    assert len(failed) == 10 * len(NETWORKS) + len(MODELS)
    assert all("HTTP 503" in line["reason"] for line in failed)
    assert len(lines) == len(runs) + len(failed) < 100
    assert "Traceback" not in log.getvalue()


async def test_an_outage_of_the_store_for_30_minutes_is_under_100_lines(
    tmp_path: Path, log: io.StringIO
) -> None:
    world = world_of(tmp_path, busy_timeout=0.01)
    other = make_world(tmp_path, busy_timeout=0.01)
    with other.database.write():  # no other writer gets through
        await thirty_minutes(world)
    lines = log.getvalue().splitlines()
    assert 1 <= len(lines) < 10, log.getvalue()
    assert "Traceback" not in log.getvalue()
