"""A store to score: sites with a beacon each, and two models, over days that lie before NOW.

A year of 100 sites has 21 million forecast hours. The driver writes them: filling is not measured.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np
import sqlalchemy as sa
from numpy.typing import NDArray

from backend.core.records import Site
from backend.storage import schema as t
from backend.storage.database import Database, to_epoch
from backend.storage.rows import execute_many
from backend.storage.store import Store
from proofs.bench.world import NOW

MODELS = ((1, "arome_0025", 3, 49), (2, "meteo_parapente", 6, 48))
"""Number, name, hours between runs, hours in a run."""

READINGS_A_DAY = 144
HOUR = 3600


@dataclass(frozen=True)
class Scored:
    """How many sites, and how many days of each."""

    sites: int = 100
    days: int = 365

    @property
    def first(self) -> int:
        """Return when the first run started, in seconds since 1970."""
        return to_epoch(NOW - timedelta(days=self.days))

    @property
    def forecast_hours(self) -> int:
        """Return how many forecast hours there are."""
        return self.sites * self.days * sum(24 // step * leads for _, _, step, leads in MODELS)

    def list_sites(self) -> list[Site]:
        """Return the sites."""
        return sites_with_beacons(self.sites)


def filled(work: Path, shape: Scored) -> Path:
    """Return a store of this shape without score days; it is filled once and used again."""
    path = work / f"scored-{shape.sites}x{shape.days}.sqlite3"
    return filled_once(path, lambda database: _fill(database, shape))


def sites_with_beacons(count: int) -> list[Site]:
    """Return sites with a beacon each."""
    return [
        Site(f"site-{n:03}", f"Site {n}", 44 + n / 100, 6 + n / 100, 1000.0, ("S",), (f"ffvl:{n + 1}",))
        for n in range(count)
    ]


def filled_once(path: Path, fill: Callable[[Database], None]) -> Path:
    """Return the path of a store that is filled at the first call, and used again after it."""
    if not path.exists():
        half = path.with_suffix(".half")
        half.unlink(missing_ok=True)
        database = Database(f"sqlite:///{half}", durable=False)
        database.migrate()
        fill(database)
        database.close()
        half.replace(path)
    return path


def _fill(database: Database, shape: Scored) -> None:
    sites = shape.list_sites()
    Store(database).save_sites(sites)
    with database.write() as connection:
        connection.execute(sa.insert(t.model), [{"name": name} for _, name, _, _ in MODELS])
        stations = [
            {
                "code": site.stations[0],
                "latitude": site.latitude,
                "longitude": site.longitude,
                "elevation": site.elevation,
            }
            for site in sites
        ]
        connection.execute(sa.insert(t.station), stations)
        batches = list(_batches(shape))
        connection.execute(sa.insert(t.forecast_batch), batches)
        connection.execute(
            sa.insert(t.observation_batch),
            {"source": "ffvl", "route": "bench", "rank": 0, "averaging_minutes": 10, "collected_at": 0},
        )
    numbers = {(batch["model_id"], batch["reference_time"]): batch["id"] for batch in batches}
    for site in range(1, shape.sites + 1):
        truth = _truth(site, shape)
        with database.write() as connection:
            rows = _forecasts(site, shape, truth, numbers)
            execute_many(connection, sa.insert(t.forecast), t.forecast, rows)
            execute_many(connection, sa.insert(t.observation), t.observation, _readings(site, shape, truth))


def _batches(shape: Scored) -> Iterator[dict[str, Any]]:
    number = 0
    for model, name, step, _ in MODELS:
        for hour in range(0, 24 * shape.days, step):
            number += 1
            started = shape.first + HOUR * hour
            yield {
                "id": number,
                "model_id": model,
                "reference_time": started,
                "source": name,
                "route": "bench",
                "rank": 0,
                "available_at": started + 5 * HOUR,
                "published": True,
                "collected_at": started + 6 * HOUR,
            }


def _truth(site: int, shape: Scored) -> NDArray[np.int64]:
    """Return the mean wind of each hour, in thousandths of a km/h."""
    random = np.random.default_rng(site)
    hours = np.arange(24 * (shape.days + 3))
    weather = np.convolve(random.normal(0, 9000, len(hours)), np.ones(24) / 5, mode="same")
    return np.asarray((15_000 + 6000 * np.sin(hours / 24 * 2 * np.pi) + weather).clip(0).astype(np.int64))


def _forecasts(
    site: int, shape: Scored, truth: NDArray[np.int64], numbers: dict[tuple[int, int], int]
) -> list[tuple[int, ...]]:
    random = np.random.default_rng(1000 + site)
    parts = []
    for model, _, step, leads in MODELS:
        runs = np.arange(0, 24 * shape.days, step)
        run, lead = np.repeat(runs, leads), np.tile(np.arange(leads), len(runs))
        started = shape.first + HOUR * runs
        batch = np.array([numbers[model, moment] for moment in started.tolist()])
        speed = (truth[run + lead] + random.normal(500 * model, 2500, len(run))).clip(0).astype(np.int64)
        parts.append(
            np.stack(
                (
                    np.full(len(run), site),
                    shape.first + HOUR * (run + lead),
                    np.full(len(run), model),
                    shape.first + HOUR * run,
                    np.repeat(batch, leads),
                    speed,
                    speed * 14 // 10,
                    random.integers(0, 359_999, len(run)),
                    random.integers(-5000, 25_000, len(run)),
                ),
                axis=1,
            )
        )
    rows = np.concatenate(parts)
    return [tuple(row) for row in rows[np.lexsort((rows[:, 3], rows[:, 2], rows[:, 1]))].tolist()]


def _readings(site: int, shape: Scored, truth: NDArray[np.int64]) -> list[tuple[int, ...]]:
    random = np.random.default_rng(2000 + site)
    count = shape.days * READINGS_A_DAY
    step = np.arange(count)
    speed = (truth[step // 6] + random.normal(0, 500, count)).clip(0).astype(np.int64)
    rows = np.stack(
        (
            np.full(count, site),
            shape.first + 600 * step + 300,
            np.ones(count, np.int64),
            speed,
            speed * 14 // 10,
            random.integers(0, 359_999, count),
            random.integers(-5000, 25_000, count),
        ),
        axis=1,
    )
    return [tuple(row) for row in rows.tolist()]
