"""A store in which forecasts are issued: sites with a beacon each, four models, and a year of learned days.

What was learned is written as the rows of the learning, with the states that follow; runs and readings are
there for the newest days only. The first site also has a record and readings of its last 100 days, from which
an answer is made. The weather is that of `proofs/forecast_world.py`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields, replace
from datetime import UTC, date, datetime
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import sqlalchemy as sa

from backend.core.columns import Ints
from backend.core.issued import GateState, Input, IssuedForecast, IssuedHours
from backend.core.local_time import HOUR, HOURS_A_DAY, day_number, local_moment
from backend.core.parameters import ABSENT, Parameter
from backend.core.records import Site
from backend.forecast.cells import CLASS_HOURS, Floats
from backend.forecast.directions import in_wind
from backend.forecast.experts import expert_names
from backend.forecast.learning import METHOD, Advice, Day, State, relearn
from backend.issuing.issue import AUDIENCES
from backend.issuing.packing import UnitState
from backend.issuing.units import RULES, in_cells
from backend.scoring.days.update import update
from backend.storage import schema as t
from backend.storage.database import Database
from backend.storage.due import note_due
from backend.storage.gate_decisions import GateDecision, Grounds, append_decision
from backend.storage.issued import append_issued
from backend.storage.learning_days import (
    ModelsOfDay,
    Question,
    ReadingsOfDay,
    SavedState,
    append_learning,
    save_states,
)
from backend.storage.rows import execute_many
from backend.storage.store import Store
from proofs.bench.scored import filled_once, sites_with_beacons
from proofs.forecast_world import years

MODELS = ("arome_0025", "ecmwf_ifs", "gfs_global", "icon_eu")
VIEWS = (3, 4)
"""Numbers of the views that the evening decision serves: for tomorrow, and for the day after."""

EVENING = 19
LAST = day_number(date(2026, 11, 20))
"""The last day with a decision in the history."""

BEFORE, AFTER = 3, 2
"""Days around the last one with runs and readings; on those after it the bench issues."""

RECORDED = 100
"""Days before the last one in the record of the first site, with its readings."""


@dataclass(frozen=True)
class Shape:
    """How many sites, and how many learned days of each."""

    sites: int = 100
    days: int = 365

    def list_sites(self) -> tuple[Site, ...]:
        """Return the sites."""
        return tuple(sites_with_beacons(self.sites))


def filled(work: Path, shape: Shape) -> Path:
    """Return a store of this shape; it is filled once and used again."""
    path = work / f"issued-{shape.sites}x{shape.days}.sqlite3"
    return filled_once(path, lambda database: _fill(database, shape))


def decision(day: int) -> datetime:
    """Return the evening decision of a local day."""
    return datetime.fromtimestamp(local_moment(day, EVENING), UTC)


def _fill(database: Database, shape: Shape) -> None:
    sites = shape.list_sites()
    Store(database).save_sites(sites)
    models, observed = _weather(shape)
    first = LAST + AFTER + 2 - len(observed[Parameter.WIND_SPEED])
    with database.write() as connection:
        connection.execute(sa.insert(t.model), [{"name": name} for name in MODELS])
        connection.execute(
            sa.insert(t.station),
            [
                {
                    "code": site.stations[0],
                    "latitude": site.latitude,
                    "longitude": site.longitude,
                    "elevation": site.elevation,
                }
                for site in sites
            ],
        )
        _collected(connection, models, observed, first)
    for view in VIEWS:
        for parameter in RULES:
            question = Question("public", view, parameter)
            parts = list(_learned(sites, models[parameter], observed[parameter], first, view))
            states = list(_states(sites, models[parameter], observed[parameter], first, view, parameter))
            with database.write() as connection:
                append_learning(connection, question, parts)
                save_states(connection, question, states)
                shared = [replace(state, is_public=True) for state in states]
                save_states(connection, question._replace(audience="operator"), shared)
    learning = t.forecast_learning
    names = [column.name for column in learning.columns]
    columns = [sa.literal("operator") if name == "audience" else learning.c[name] for name in names]
    with database.write() as connection:  # nothing is withheld: the operator's inputs are the public's
        connection.execute(sa.insert(learning).from_select(names, sa.select(*columns)))
        append_issued(connection, _record(sites[0], models, observed, first))
        note_due(connection, [(1, day) for day in range(LAST - RECORDED, LAST + 1)])
        for audience, view, parameter in product(AUDIENCES, VIEWS, RULES):
            append_decision(
                connection,
                GateDecision(
                    audience=audience,
                    view=view,
                    parameter=parameter,
                    method=METHOD,
                    decided_at=decision(LAST - 1),  # the next one is due in a week
                    open=True,
                    grounds=Grounds(days=90, failures=0),
                ),
            )
    update(database, decision(LAST))


def _states(
    sites: Sequence[Site], models: Ints, observed: Ints, first: int, view: int, parameter: Parameter
) -> Iterator[SavedState]:
    """Yield the states after the decision of LAST, of all sites from one replay."""
    ahead, rules = view - 2, RULES[parameter]
    pad = (0, HOURS_A_DAY - models.shape[-1])
    numbers = range(first, LAST + ahead + 1)
    days = [
        Day(
            in_cells(np.pad(models[day - first], [(0, 0), (0, 0), pad], constant_values=ABSENT), day),
            in_cells(np.pad(observed[day - first], [(0, 0), pad], constant_values=ABSENT), day),
            day - ahead,
            day + 1,
        )
        for day in numbers
    ]
    advice, states = zip(*relearn(days, State.fresh(len(sites), len(MODELS)), rules), strict=True)
    waits = {
        day: of for day, of in zip(numbers, advice, strict=True) if day >= LAST
    }  # they are learned from the next evening on
    for index, site in enumerate(sites):
        waiting = {
            day: Advice(*(getattr(of, part.name)[index : index + 1] for part in fields(Advice)))
            for day, of in waits.items()
        }
        known = UnitState(MODELS, states[-1].taken([index]), waiting, LAST + ahead)
        yield SavedState(site.id, site.stations[0], METHOD, 0, LAST - first, known.packed())


def _record(
    site: Site, models: dict[Parameter, Ints], observed: dict[Parameter, Ints], first: int
) -> Iterator[IssuedForecast]:
    """Yield forecasts of the evenings before LAST: the first model with a wide interval."""
    for day in range(LAST - RECORDED, LAST + 1):
        times = tuple(local_moment(day) + HOUR * hour for hour in range(24))
        for parameter in RULES:
            row = models[parameter][day - first, 0, 0]
            values = tuple(None if value == ABSENT else value for value in row.tolist())
            quantiles = tuple(
                tuple(None if value is None else max(value + offset, 0) for value in values)
                for offset in (-8000, -4000, 0, 4000, 8000)
            )
            experts = expert_names(MODELS)
            hours = IssuedHours(
                times=times,
                values=values,
                quantiles=quantiles,
                weights={name: (1000 // len(experts),) * len(times) for name in experts},
                inputs=(Input(MODELS[0], local_moment(day - 1)),),
                station=site.stations[0],
                days=90,
                state=GateState.SHOWN,
                best=MODELS[0],
                best_values=values,
                best_quantiles=quantiles,
                placebo=values,
            )
            time = decision(day - 1)
            yield IssuedForecast(
                site=site.id,
                audience="public",
                parameter=parameter,
                view=VIEWS[0],
                day=day,
                method=METHOD,
                decision_time=time,
                issued_at=time,
                hours=hours,
            )


def _weather(shape: Shape) -> tuple[dict[Parameter, Ints], dict[Parameter, Ints]]:
    """Return the models (days, sites, models, 24) and the readings (days, sites, 24), in thousandths."""
    world = years(shape.days + AFTER + 3, shape.sites, seed=1)
    observed = dict(world.observed)
    direction, speed = (Parameter.WIND_DIRECTION.value, Parameter.WIND_SPEED.value)
    observed[direction] = in_wind(observed[direction], observed[speed])
    return (
        {parameter: _hours(world.models[parameter.value]) for parameter in Parameter},
        {parameter: _hours(observed[parameter.value]) for parameter in Parameter},
    )


def _hours(cells: Floats) -> Ints:
    flat = cells[..., :CLASS_HOURS].reshape(*cells.shape[:-2], -1)
    return np.where(np.isnan(flat), ABSENT, np.rint(10 * np.nan_to_num(flat)) * 100).astype(np.int32)


def _learned(
    sites: Sequence[Site], models: Ints, observed: Ints, first: int, view: int
) -> Iterator[ModelsOfDay | ReadingsOfDay]:
    """Yield what the decisions up to that of LAST stored; a day is learned on the second evening after it."""
    ahead = view - 2
    pad = [(0, 0), (0, HOURS_A_DAY - models.shape[-1])]
    for day in range(first, LAST + ahead + 1):
        of_day = models[day - first], observed[day - first]
        decided, learned = local_moment(day - ahead, EVENING), local_moment(day + 1, EVENING)
        for site, values, readings in zip(sites, *of_day, strict=True):
            hours = np.pad(values, pad, constant_values=ABSENT)
            there = {name: row for name, row in zip(MODELS, hours, strict=True) if (row != ABSENT).any()}
            yield ModelsOfDay(site.id, site.stations[0], day, decided, there)
            if day < LAST:
                row = np.pad(readings[None], pad, constant_values=ABSENT)[0]
                yield ReadingsOfDay(site.id, site.stations[0], day, learned, row)


def _collected(
    connection: sa.Connection, models: dict[Parameter, Ints], observed: dict[Parameter, Ints], first: int
) -> None:
    """Write the runs and the readings of the days around LAST: a run a day, a reading each ten minutes."""
    days = range(LAST - RECORDED, LAST + AFTER + 1)
    batches: list[dict[str, Any]] = []
    arrivals: list[dict[str, Any]] = []
    forecasts, readings = [], []
    for day in days:
        run = local_moment(day, 1)
        for model, name in enumerate(MODELS if day >= LAST - BEFORE else (), start=1):
            number = len(batches) + 1
            batches.append(
                {
                    "id": number, "model_id": model, "reference_time": run, "source": name, "route": "bench",
                    "rank": 0, "available_at": run + 5 * HOUR, "published": True,
                    "collected_at": run + 6 * HOUR,
                }
            )  # fmt: skip
            for ahead in range(3):
                place = min(day + ahead - first, len(observed[Parameter.WIND_SPEED]) - 1)
                values = np.stack([models[parameter][place, :, model - 1] for parameter in Parameter])
                for site in range(values.shape[1]):
                    for hour in range(24):
                        cells = values[:, site, hour].tolist()
                        if ABSENT not in cells:
                            time = local_moment(day + ahead) + HOUR * hour
                            forecasts.append((site + 1, time, model, run, number, *cells))
        for from_hour, until_hour, came in ((0, 18, 18.75), (18, 24, 32.0)):
            arrivals.append(
                {
                    "id": len(arrivals) + 1, "source": "ffvl", "route": "bench", "rank": 0,
                    "averaging_minutes": 10, "collected_at": local_moment(day) + int(HOUR * came),
                }
            )  # fmt: skip
            values = np.stack([observed[parameter][day - first] for parameter in Parameter])
            for site in range(values.shape[1] if day >= LAST - BEFORE else 1):
                for hour in range(from_hour, until_hour):
                    cells = [None if each == ABSENT else each for each in values[:, site, hour].tolist()]
                    if cells != [None] * len(cells):
                        times = local_moment(day) + HOUR * hour + 600 * np.arange(6) - 1500
                        readings += [(site + 1, time, len(arrivals), *cells) for time in times.tolist()]
    connection.execute(sa.insert(t.forecast_batch), batches)
    connection.execute(sa.insert(t.observation_batch), arrivals)
    execute_many(connection, sa.insert(t.forecast), t.forecast, sorted(set(forecasts)))
    execute_many(connection, sa.insert(t.observation), t.observation, sorted(set(readings)))
