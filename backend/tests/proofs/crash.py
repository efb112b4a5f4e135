"""Crash equivalence: days lived through with SIGKILL at random moments end as undisturbed days do.

    python -m backend.tests.proofs.crash --days 30 --seed 7

The demo lives through the same days twice, once killed again and again and resumed. Both stores must hold
the same keys and values, and every slot once.
"""

from __future__ import annotations

import argparse
import os
import random
import subprocess
import sys
import tempfile
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from backend.storage import schema as t
from backend.storage.database import Database

COMMAND = (sys.executable, "-c", "from backend.cli import main; main()", "demo", "--no-serve")
END = "2026-11-23T06:30:00Z"
PATIENCE_SECONDS = 900
MOST_KILLS = 400


def live(folder: Path, days: int) -> subprocess.Popen[bytes]:
    """Start, or resume, the demo's days."""
    options = ("--folder", str(folder), "--days", str(days), "--until", END)
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    return subprocess.Popen([*COMMAND, *options], env={**os.environ, "LOG_LEVEL": "ERROR"}, **quiet)  # type: ignore[call-overload,no-any-return]


def live_undisturbed(folder: Path, days: int) -> None:
    """Live through the days without a crash."""
    if code := live(folder, days).wait(PATIENCE_SECONDS):
        raise SystemExit(f"the undisturbed days ended with exit code {code}")


def live_killed(folder: Path, days: int, chance: random.Random, between: tuple[float, float]) -> int:
    """Live through the days, killed at random moments; return how often.

    The moments move apart as crashes go on, so that a slow machine, too, comes to the end.
    """
    for kills in range(MOST_KILLS):
        process = live(folder, days)
        try:
            code = process.wait(chance.uniform(*between) * 1.1**kills)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
            continue
        if code:
            raise SystemExit(f"after {kills} crashes the demo ended with exit code {code}")
        return kills
    raise SystemExit(f"not done after {MOST_KILLS} crashes: leave it more time between them")


def contents(url: str) -> dict[str, list[tuple[Any, ...]]]:
    """Return what a store holds, without the numbers that depend on the order of things."""
    values = ("wind_speed", "wind_gust", "wind_direction", "temperature")
    forecast, observation, part = t.forecast.c, t.observation.c, t.collected_part.c
    model, site, station, run = t.model.c, t.site.c, t.station.c, t.job_run.c
    queries = {
        "forecasts": sa.select(
            *(site.slug, model.name, forecast.reference_time, forecast.valid_time),
            *(forecast[name] for name in values),
        )
        .join_from(t.forecast, t.site, site.id == forecast.site_id)
        .join(t.model, model.id == forecast.model_id),
        "observations": sa.select(
            station.code, observation.time, *(observation[name] for name in values)
        ).join_from(t.observation, t.station, station.id == observation.station_id),
        "parts": sa.select(site.slug, model.name, part.reference_time, part.part, part.rank)
        .join_from(t.collected_part, t.site, site.id == part.site_id)
        .join(t.model, model.id == part.model_id),
        "slots": sa.select(run.job, run.slot),
    }
    database = Database(url)
    with database.read() as connection:
        found = {
            name: sorted((tuple(row) for row in connection.execute(query)), key=repr)
            for name, query in queries.items()
        }
    database.close()
    return found


def differences(one: dict[str, list[tuple[Any, ...]]], other: dict[str, list[tuple[Any, ...]]]) -> list[str]:
    """Return, per kind, how the contents of two stores differ."""
    return [
        f"{name}: {len(set(one[name]) - set(other[name]))} only undisturbed, "
        f"{len(set(other[name]) - set(one[name]))} only crashed; "
        f"for example {sorted(set(one[name]) ^ set(other[name]), key=repr)[:2]}"
        for name in one
        if one[name] != other[name]
    ]


def prove(folder: Path, days: int, seed: int, between: tuple[float, float]) -> tuple[int, list[str], int]:
    """Return how often the days were cut, how the two stores differ, and how many values they hold."""
    calm, stormy = folder / "calm", folder / "stormy"
    live_undisturbed(calm, days)
    kills = live_killed(stormy, days, random.Random(seed), between)
    one, other = (contents(f"sqlite:///{path / 'demo.sqlite3'}") for path in (calm, stormy))
    return kills, differences(one, other), len(one["forecasts"]) + len(one["observations"])


def main() -> None:
    """Print what was found, and exit with 1 if the stores differ."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--days", type=int, default=30)
    parser.add_argument("--seed", type=int, default=int(datetime.now(UTC).timestamp()))
    parser.add_argument("--between", type=float, nargs=2, default=(2.0, 8.0), help="seconds between crashes")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        kills, differing, rows = prove(Path(folder), given.days, given.seed, tuple(given.between))
    print(f"{given.days} days, seed {given.seed}: {kills} crashes, {rows} rows")
    print("\n".join(differing) or "both stores hold the same keys and values, and every slot once")
    print(f"{1 - bool(differing)} passed, {int(bool(differing))} failed")
    sys.exit(bool(differing))


if __name__ == "__main__":
    main()
