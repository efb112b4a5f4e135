"""In a process of its own: all days rebuilt, then updated after one collection, then asked for scores."""

from __future__ import annotations

import sqlite3
import threading
import time
from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd  # type: ignore[import-untyped]
import psutil
import sqlalchemy as sa

from backend.core.local_time import local_day
from backend.core.parameters import Parameter
from backend.core.records import Forecast, ForecastBatch, Observation, ObservationBatch, Run
from backend.scoring.days.rebuild import rebuild
from backend.scoring.days.update import update
from backend.scoring.grid import HOURS, SCALE
from backend.scoring.questions.scorecard import Scorecard
from backend.scoring.sample.load import Samples
from backend.scoring.sample.quantities import Quantity, QuantitySample
from backend.scoring.sample.sample import Sample
from backend.scoring.views import EVENING_BEFORE, VIEWS
from backend.storage import schema as t
from backend.storage.database import Database
from backend.storage.store import Store
from proofs.bench.processes import answer, given
from proofs.bench.scored import MODELS, Scored
from proofs.bench.world import NOW

LOOK_SECONDS = 0.2
TODAY = local_day(NOW)


def main() -> None:
    """Measure, and print the figures."""
    task = given()
    shape = Scored(task["sites"], task["days"])
    database = Database(task["url"], busy_timeout=60)
    database.migrate()  # the store may have been filled before the newest tables were made
    seconds, megabytes = _rebuilt(database, task["url"])
    samples = Samples(database)
    found = {
        "rebuild": seconds,
        "megabytes": megabytes,
        "disk_megabytes": _on_disk(task["url"]) * 365 / (shape.sites * shape.days),
        "update": _updated(database, shape),
        "verdict": _verdict(samples, shape),
        **_strata(samples, shape),
    }
    database.close()
    answer(found)


def _rebuilt(database: Database, url: str) -> tuple[float, float]:
    """Return the seconds to compute every day, and the peak memory of this process and its workers, in MB."""
    with database.read() as connection:
        sites = list(connection.execute(sa.select(t.site.c.id)).scalars())
    largest, done, us = [0.0], threading.Event(), psutil.Process()

    def watch() -> None:
        while not done.wait(LOOK_SECONDS):
            family = [us, *us.children(recursive=True)]
            largest[0] = max(largest[0], sum(_memory(process) for process in family))

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        began = time.monotonic()
        report = rebuild(url, sites, TODAY, workers=2)
        seconds = time.monotonic() - began
    finally:
        done.set()
        watcher.join()
    if len(report.days) != len(sites) or report.unsettled:
        raise RuntimeError(f"not every site was made: {report}")
    return seconds, largest[0]


def _memory(process: psutil.Process) -> float:
    try:
        return float(process.memory_info().rss) / 1e6
    except psutil.NoSuchProcess:
        return 0.0


def _updated(database: Database, shape: Scored) -> float:
    """Return how long the days take after one run of a model and two hours of readings for every site."""
    store = Store(database)
    run = NOW - timedelta(hours=6)
    hours = [run + timedelta(hours=hour) for hour in range(49)]
    stamps = [NOW - timedelta(minutes=10 * step + 5) for step in range(12)]
    sites = shape.list_sites()
    name = MODELS[0][1]
    store.add_forecasts(
        ForecastBatch(
            source=name,
            route="bench",
            rank=0,
            collected_at=NOW,
            run=Run(name, run, NOW, published=True),
            records=[
                Forecast(name, site.id, parameter, run, hour, 12.0)
                for site in sites
                for hour in hours
                for parameter in Parameter
            ],
        )
    )
    store.add_observations(
        ObservationBatch(
            source="ffvl",
            route="bench",
            rank=0,
            collected_at=NOW,
            averaging_minutes=10,
            records=[
                Observation(site.stations[0], parameter, stamp, 11.0 + step)
                for site in sites
                for step, stamp in enumerate(stamps)
                for parameter in Parameter
            ],
        )
    )
    began = time.monotonic()
    report = update(database, NOW)
    seconds = time.monotonic() - began
    if len(report.days) != shape.sites:
        raise RuntimeError(f"{len(report.days)} sites were made of {shape.sites}")
    return seconds


def _verdict(samples: Samples, shape: Scored) -> float:
    """Return the milliseconds of a verdict on all days, the median over sites."""
    spent = []
    for site in [*shape.list_sites()[:2], *shape.list_sites()[:20]]:
        began = time.monotonic()
        card = Scorecard(samples.load(site, EVENING_BEFORE, TODAY - shape.days, TODAY))
        if not card.verdict(Quantity.WIND_SPEED).n_pairs:
            raise RuntimeError("no pairs")
        spent.append(1000 * (time.monotonic() - began))
    return float(np.median(spent[2:]))


def _strata(samples: Samples, shape: Scored) -> dict[str, float]:
    """Return the seconds of all strata of ten sites, ours from the store and pandas' from pairs in memory."""
    sites = shape.list_sites()[:10]
    began = time.monotonic()
    ours = {
        (site.id, sample.view.name): _by_hour(sample)
        for site in sites
        for sample in samples.load_views(site, VIEWS, TODAY - shape.days, TODAY)
    }
    seconds = time.monotonic() - began
    frame = pd.concat(
        _frame(site.id, sample.view.name, sample)
        for site in sites
        for sample in samples.load_views(site, VIEWS, TODAY - shape.days, TODAY)
    )
    began = time.monotonic()
    grouped = frame.groupby(["site", "view", "model", "hour"], observed=True)["error"]
    theirs = pd.DataFrame(
        {
            "n": grouped.size(),
            "me": grouped.mean(),
            "mae": grouped.apply(lambda error: error.abs().mean()),
            "rmse": grouped.apply(lambda error: float(np.sqrt((error * error).mean()))),
        }
    )
    pandas_seconds = time.monotonic() - began
    _check(ours, theirs)
    return {"strata": seconds, "strata_pandas": pandas_seconds}


def _by_hour(sample: Sample) -> dict[tuple[str, int], tuple[int, float]]:
    """Return, by model and hour, the pairs and the mean size of the error (and work out the rest)."""
    of_quantity = QuantitySample(sample, Quantity.WIND_SPEED)
    found = {}
    for model in sample.forecasts:
        there, error = of_quantity.pairs(model), of_quantity.errors(model)
        n, total = there.sum(axis=0), error.sum(axis=0)
        size, square = np.abs(error).sum(axis=0), (error * error).sum(axis=0)
        for hour in np.flatnonzero(n).tolist():
            _ = total[hour] / n[hour], np.sqrt(square[hour] / n[hour])
            found[model, hour] = int(n[hour]), float(size[hour] / n[hour] / SCALE)
    return found


def _frame(site: str, view: str, sample: Sample) -> Any:
    of_quantity = QuantitySample(sample, Quantity.WIND_SPEED)
    parts = []
    for model in sample.forecasts:
        there = of_quantity.pairs(model)
        hour = np.broadcast_to(np.arange(HOURS), there.shape)[there]
        error = of_quantity.errors(model)[there] / SCALE
        parts.append(pd.DataFrame({"site": site, "view": view, "model": model, "hour": hour, "error": error}))
    return pd.concat(parts) if parts else pd.DataFrame()


def _check(ours: dict[tuple[str, str], dict[tuple[str, int], tuple[int, float]]], theirs: Any) -> None:
    for (site, view), groups in ours.items():
        for (model, hour), (count, size) in groups.items():
            row = theirs.loc[(site, view, model, hour)]
            if int(row["n"]) != count or abs(row["mae"] - size) > 1e-9:
                raise RuntimeError(f"{site} {view} {model} {hour}: {count}, {size}, pandas has {row}")


def _on_disk(url: str) -> float:
    """Return the size of the days in the store, in MB."""
    connection = sqlite3.connect(Path(url.removeprefix("sqlite:///")))
    names = ("forecast_day", "observed_day", "doubted", "quality_limit")
    marks = ", ".join("?" * len(names))
    (size,) = connection.execute(f"SELECT sum(pgsize) FROM dbstat WHERE name IN ({marks})", names).fetchone()
    connection.close()
    return float(size) / 1e6
