"""Crash equivalence: days lived through with SIGKILL at random moments end as undisturbed days do.

    python -m proofs.crash --days 30 --seed 7 --database both

The demo lives through the same days twice, once killed again and again and resumed. Both stores must hold
the same keys and values, and every slot once and well.
"""

from __future__ import annotations

import argparse
import os
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psutil
import sqlalchemy as sa

from backend.storage import schema as t
from backend.storage.database import Database
from backend.tests.support.postgres import running_postgres

COMMAND = (sys.executable, "-m", "backend", "demo", "--no-serve")
END = "2026-11-23T06:30:00Z"
PATIENCE_SECONDS = 1800
MOST_KILLS = 400
_LOOK_EVERY_SECONDS = 0.02


@dataclass(frozen=True)
class Life:
    """A demo's days: how many, in which folder and on which database."""

    days: int
    folder: Path
    url: str

    @property
    def errors(self) -> Path:
        """The file with what the last process wrote to its standard error."""
        return self.folder.with_name(f"{self.folder.name}.errors")

    def begin(self) -> subprocess.Popen[bytes]:
        """Start, or resume, the days."""
        options = ("--folder", self.folder, "--days", str(self.days), "--until", END)
        with self.errors.open("wb") as errors:
            return subprocess.Popen(
                [*COMMAND, *options, "--database-url", self.url],
                env={**os.environ, "LOG_LEVEL": "ERROR"},
                stdout=subprocess.DEVNULL,
                stderr=errors,
            )

    def undisturbed(self) -> None:
        """Live through the days without a crash."""
        if code := self.begin().wait(PATIENCE_SECONDS):
            raise SystemExit(f"the undisturbed days ended with exit code {code}:\n{self.errors.read_text()}")

    def killed(self, chance: random.Random, between: tuple[float, float], apart: float = 1.1) -> int:
        """Live through the days, killed at random moments; return how often.

        The moments, at first `between` so many seconds of CPU time of its processes, move apart as crashes
        go on: so the days come to an end. CPU time measures progress on a busy machine too.
        """
        for kills in range(MOST_KILLS):
            process = self.begin()
            lasts = chance.uniform(*between) * apart**kills
            while process.poll() is None and cpu_seconds(process.pid) < lasts:
                with suppress(subprocess.TimeoutExpired):
                    process.wait(_LOOK_EVERY_SECONDS)
            if process.poll() is None:
                process.kill()
                process.wait()
                continue
            if code := process.returncode:
                raise SystemExit(
                    f"after {kills} crashes the demo ended with exit code {code}:\n{self.errors.read_text()}"
                )
            return kills
        raise SystemExit(f"not done after {MOST_KILLS} crashes: leave it more time between them")


def cpu_seconds(pid: int) -> float:
    """Return the CPU time that a process and those it started have used; 0 for one that has ended."""
    used = 0.0
    with suppress(psutil.NoSuchProcess):
        parent = psutil.Process(pid)
        for process in (parent, *parent.children(recursive=True)):
            with suppress(psutil.NoSuchProcess):
                spent = process.cpu_times()
                used += spent.user + spent.system
    return used


def contents(url: str) -> dict[str, list[tuple[Any, ...]]]:
    """Return the rows of a store by kind, without the ids, which depend on the order of writing."""
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
        "slots": sa.select(run.job, run.slot, run.status.in_(["success", "nothing_new"])),
    }
    database = Database(url)
    with database.read() as connection:
        rows = {
            name: sorted((tuple(row) for row in connection.execute(query)), key=repr)
            for name, query in queries.items()
        }
    database.close()
    return rows


def differences(one: dict[str, list[tuple[Any, ...]]], other: dict[str, list[tuple[Any, ...]]]) -> list[str]:
    """Return, per kind, how the contents of two stores differ."""
    return [
        f"{name}: {len(set(one[name]) - set(other[name]))} only undisturbed, "
        f"{len(set(other[name]) - set(one[name]))} only crashed; "
        f"for example {sorted(set(one[name]) ^ set(other[name]), key=repr)[:2]}"
        for name in one
        if one[name] != other[name]
    ]


@dataclass(frozen=True)
class Proof:
    """How often the days were interrupted, how many rows the undisturbed ones have, and what differs."""

    kills: int
    rows: int
    differing: list[str]


def prove(calm: Life, stormy: Life, seed: int, between: tuple[float, float]) -> Proof:
    """Live through the days in both ways, and compare the contents of the stores."""
    calm.undisturbed()
    kills = stormy.killed(random.Random(seed), between)
    one, other = contents(calm.url), contents(stormy.url)
    return Proof(kills, len(one["forecasts"]) + len(one["observations"]), differences(one, other))


@contextmanager
def lives(database: str, days: int, folder: Path) -> Iterator[tuple[Life, Life]]:
    """Give two lives on new databases of one kind."""
    folders = [folder / f"{database}-{name}" for name in ("calm", "stormy")]
    if database == "sqlite":
        first, second = (Life(days, path, f"sqlite:///{path / 'demo.sqlite3'}") for path in folders)
        yield first, second
    else:
        with running_postgres() as server:
            first, second = (Life(days, path, server.url(server.create())) for path in folders)
            yield first, second


def main() -> None:
    """Print the results, and exit with 1 if the stores differ."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--days", type=int, default=30)
    parser.add_argument("--database", choices=("sqlite", "postgresql", "both"), default="both")
    parser.add_argument("--seed", type=int, default=int(datetime.now(UTC).timestamp()))
    parser.add_argument(
        "--between", type=float, nargs=2, default=(2.0, 8.0), help="seconds of CPU time between crashes"
    )
    options = parser.parse_args()
    failed = 0
    databases = ("sqlite", "postgresql") if options.database == "both" else (options.database,)
    for database in databases:
        print(f"{database}: {options.days} days, seed {options.seed} …", flush=True)
        began = time.monotonic()
        with (
            tempfile.TemporaryDirectory() as folder,
            lives(database, options.days, Path(folder)) as (calm, stormy),
        ):
            proof = prove(calm, stormy, options.seed, tuple(options.between))
        seconds = time.monotonic() - began
        print(f"{database}: {proof.kills} crashes, {proof.rows} rows, {seconds:.0f} s")
        print("\n".join(proof.differing) or "the same keys and values, and every slot once", flush=True)
        failed += bool(proof.differing)
    print(f"{len(databases) - failed} passed, {failed} failed")
    sys.exit(failed > 0)


if __name__ == "__main__":
    main()
