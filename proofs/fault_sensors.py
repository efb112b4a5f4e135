"""Sensors that fail while everything else works: how the scores treat weeks of their readings.

A site with one station has 75 days of values; on the last 30 of them a sensor is dead. For each kind of
failure, its values must stay stored, none of them may be scored, the flag must name the sensor, recomputed
days must be the same, and a repaired sensor must be scored at once.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from pathlib import Path

import numpy as np
import sqlalchemy as sa

from backend.core.local_time import local_day
from backend.core.parameters import ABSENT, Parameter
from backend.core.records import Forecast, ForecastBatch, Observation, ObservationBatch, Run, Site
from backend.scoring.days.update import make_due, update
from backend.storage import days
from backend.storage import schema as t
from backend.storage.database import Database
from backend.storage.run_records import SourceRun
from backend.storage.store import Store
from proofs.fault_bench import Bench, Judged

DAYS, DEAD_FROM, REPAIRED = 75, 45, 3
BEGINS = datetime(2026, 7, 1, tzinfo=UTC)
STATION = "ffvl:1"
SITE = Site("alone", "Alone", 45.9, 6.7, 1200.0, ("S",), (STATION,), ("romma",))

SPEED, GUST, DIRECTION, WARMTH = Parameter


class Death(StrEnum):
    """How a sensor fails, named by the reason for which its values are excluded."""

    STOPPED = "stopped"  # the anemometer: mean and gust at 0
    ZERO_DIRECTION = "zero_direction"  # the vane is missing, and written as 0
    STUCK_VANE = "stuck_vane"  # the vane shows one direction
    FROZEN = "frozen_temperature"  # the thermometer shows one temperature


PARAMETERS = {
    Death.STOPPED: SPEED,
    Death.ZERO_DIRECTION: DIRECTION,
    Death.STUCK_VANE: DIRECTION,
    Death.FROZEN: WARMTH,
}


@dataclass(frozen=True, slots=True)
class DeadSensor:
    """A sensor of the only station of a site dies."""

    death: Death

    @property
    def name(self) -> str:
        """Return its name in the tables."""
        return f"{'any network':<24} {self.death:<18} for 30 days"

    async def judge(self, bench: Bench) -> Judged:
        """Judge the failure in a store of its own."""
        return await asyncio.to_thread(judge, bench.new_folder(), self.death)


def judge(folder: Path, death: Death) -> Judged:
    """Store the days, and judge what is scored before, during and after the failure."""
    database = Database(f"sqlite:///{folder / 'sensors.sqlite3'}", durable=False)
    database.migrate()
    store = Store(database)
    store.save_sites([SITE])
    for day in range(DAYS + REPAIRED):
        for model, share in (("arome_0025", 1.0), ("icon_d2", 0.45)):
            store.add_forecasts(_forecasts(day, model, share))
    _add(store, [_measured(day, None if day < DEAD_FROM else death) for day in range(DAYS)])
    update(database, BEGINS + timedelta(days=DAYS))
    dead, parameter = range(DEAD_FROM + 1, DAYS - 1), PARAMETERS[death]
    problems = [
        f"{_scored(database, day, parameter)} hours of day {day} are scored"
        for day in dead
        if _scored(database, day, parameter)
    ]
    others = [each for each in (SPEED, WARMTH) if each is not parameter]
    problems += [
        f"the {each} of day {day} is not scored"
        for day in dead
        for each in others
        if not _scored(database, day, each)
    ]
    problems += [
        f"day {day} is not scored" for day in range(1, DEAD_FROM - 1) if not _scored(database, day, parameter)
    ]
    if _stored(database, parameter) < DAYS * 20:
        problems.append("values are not stored any more")
    named = [(flag.station, flag.parameter, flag.reason, flag.excludes) for flag in store.station_flags()]
    if named != [(STATION, parameter, death.value, True)]:
        problems.append(f"the flags are {named}")
    before = _made(database)
    make_due(database, [1])
    update(database, BEGINS + timedelta(days=DAYS))
    if _made(database) != before:
        problems.append("recomputed days differ")
    _add(store, [_measured(day, None) for day in range(DAYS, DAYS + REPAIRED)])
    update(database, BEGINS + timedelta(days=DAYS + REPAIRED))
    if not _scored(database, DAYS + 1, parameter):
        problems.append("the repaired sensor is not scored")
    if _scored(database, DEAD_FROM + 2, parameter):
        problems.append("after the repair, values of the dead sensor are scored")
    database.close()
    reason = f"left out: {death.value}; everything stays stored"
    return Judged(outcome=SourceRun(source="ffvl", status="success", reason=reason), problems=tuple(problems))


def _wind(day: int, hour: int) -> float:
    """Return the true wind in km/h: 14 at night, up to 24 by day, a little more every third day."""
    return 14.0 + (10 - abs(hour - 12)) * (4 <= hour <= 20) + 2 * (day % 3)


def _measured(day: int, death: Death | None) -> list[Observation]:
    found = []
    for hour in range(24):
        moment = BEGINS + timedelta(days=day, hours=hour, minutes=5)
        speed = 0.0 if death is Death.STOPPED else _wind(day, hour)
        bearing = 180.0 + 22.5 * ((day + hour) % 3)
        if death in {Death.ZERO_DIRECTION, Death.STUCK_VANE}:
            bearing = 0.0 if death is Death.ZERO_DIRECTION else 22.5
        warmth = 9.0 if death is Death.FROZEN else 10.0 + 6 * np.sin((hour - 9) * np.pi / 12) + day % 5
        values = {SPEED: speed, GUST: 1.5 * speed, WARMTH: round(float(warmth), 1)}
        if speed:
            values[DIRECTION] = bearing
        found += [Observation(STATION, parameter, moment, value) for parameter, value in values.items()]
    return found


def _forecasts(day: int, model: str, share: float) -> ForecastBatch:
    start = BEGINS + timedelta(days=day)
    run = start - timedelta(hours=12)
    records = []
    for hour in range(24):
        values = {SPEED: share * _wind(day, hour), DIRECTION: 200.0, WARMTH: 12.0 + 5 * (6 <= hour < 18)}
        valid = start + timedelta(hours=hour)
        records += [
            Forecast(model, SITE.id, parameter, run, valid, value) for parameter, value in values.items()
        ]
    made = Run(model, run, run + timedelta(hours=4), published=True)
    return ForecastBatch(source=model, route="proof", rank=0, collected_at=run, run=made, records=records)


def _add(store: Store, of_days: list[list[Observation]]) -> None:
    records = [record for day in of_days for record in day]
    store.add_observations(
        ObservationBatch(
            source="ffvl",
            route="proof",
            rank=0,
            collected_at=records[-1].time,
            averaging_minutes=10,
            records=records,
        )
    )


def _scored(database: Database, day: int, parameter: Parameter) -> int:
    """Return how many hours of a day enter the scores."""
    number = local_day(BEGINS + timedelta(days=day, hours=12))
    with database.read() as connection:
        found = days.observed_columns(connection, 1, number, number)
    return int((found.hourly[:, parameter.number] != ABSENT).sum())


def _stored(database: Database, parameter: Parameter) -> int:
    with database.read() as connection:
        column = t.observation.c[parameter.value]
        return connection.execute(sa.select(sa.func.count(column))).scalar_one()


def _made(database: Database) -> list[list[sa.Row[tuple[object, ...]]]]:
    with database.read() as connection:
        return [
            list(connection.execute(sa.select(table).order_by(*table.primary_key)))
            for table in (t.observed_day, t.doubted, t.sensor_day, t.station_flag)
        ]
