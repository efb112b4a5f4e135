"""Scale: several processes on one PostgreSQL, killed at random, end with the rows of one undisturbed process.

    python -m proofs.scale --sites 1000 --workers 3 --apis 2 --kills 6 --seed 7

One process with the role `all` collects four sources for all sites. Then a scheduler, workers and replicas of
the API do the same on another database: workers are killed with SIGKILL at random moments of the progress and
replaced, and the server of the database is stopped once. With --throughput, workers collect undisturbed, one
to as many as given. The stand-ins' time stands still; the processes have the system's clock.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx2
import sqlalchemy as sa

from backend.core.clock import utc_now
from backend.core.errors import StoreUnavailableError
from backend.demo.process import Upstreams
from backend.scheduler.config import JOBS
from backend.storage import schema as t
from backend.storage.database import Database
from backend.storage.ledger import Ledger
from backend.storage.run_records import JobRun
from backend.tests.support.commands import METEO_SCORE, outside
from backend.tests.support.postgres import PostgresServer, running_postgres
from backend.tests.support.waiting import HANG_SECONDS
from proofs.bench.world import write_sites
from proofs.crash import contents, differences

SOURCES = "arome,meteo_parapente,ffvl,romma"
PATIENCE_SECONDS = 3600.0
_LOOK_EVERY_SECONDS = 0.3
# At any hour the lookback has a published run of MeteoParapente: there is one each six hours, published up to
# eight hours later.
_FORECAST_LOOKBACK, _OBSERVATION_LOOKBACK = timedelta(hours=15), timedelta(hours=6)


@dataclass
class Process:
    """A process of the service with a role, and the file of its output."""

    role: str
    popen: subprocess.Popen[bytes]
    output: Path

    @property
    def address(self) -> str | None:
        """Return the address that it serves, once it does."""
        _, found, rest = self.output.read_text(errors="replace").partition("running on ")
        return rest.split()[0].rstrip('",') if found else None


@dataclass
class Service:
    """The processes on one database, and the environment that they share."""

    url: str
    folder: Path
    environment: dict[str, str]
    processes: list[Process] = field(default_factory=list)
    started: int = 0

    def start(self, role: str) -> None:
        """Start a process."""
        self.started += 1
        folder = self.folder / f"{self.started}-{role}"
        folder.mkdir(parents=True)
        ours = {"DATABASE_URL": self.url, "DATA_DIR": str(folder), "METEO_SCORE_ROLE": role}
        with (folder / "output").open("wb") as output:
            process = subprocess.Popen(
                [METEO_SCORE, "serve", "--port", "0"],
                env=self.environment | ours,
                cwd=folder,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        self.processes.append(Process(role, process, folder / "output"))

    def of(self, role: str) -> list[Process]:
        """Return the processes of a role that are not killed."""
        return [process for process in self.processes if process.role == role]

    def kill(self, process: Process) -> None:
        """Kill a process as the kernel does when memory is short; what it started ends by itself."""
        process.popen.kill()
        process.popen.wait()
        self.processes.remove(process)

    def answers(self) -> list[tuple[int, dict[str, Any]]]:
        """Return the status that each replica of the API answers, with the HTTP status."""
        found = []
        for process in self.of("api"):
            if (address := process.address) is not None:
                answer = httpx2.get(f"{address}/api/scheduler/status", trust_env=False, timeout=HANG_SECONDS)
                found.append((answer.status_code, answer.json()))
        return found

    def require_alive(self) -> None:
        """Raise SystemExit with its output for a process that ended by itself."""
        for process in self.processes:
            if (code := process.popen.poll()) is not None:
                raise SystemExit(f"a {process.role} ended with {code}:\n{process.output.read_text()[-3000:]}")

    def stop(self) -> None:
        """Ask every process to end."""
        for process in self.processes:
            process.popen.send_signal(signal.SIGTERM)
        for process in self.processes:
            process.popen.wait(HANG_SECONDS)

    def end(self) -> None:
        """Kill what is left."""
        for process in self.processes:
            with suppress(ProcessLookupError):
                os.killpg(process.popen.pid, signal.SIGKILL)
            process.popen.wait()


@dataclass(frozen=True)
class Size:
    """How much is collected, and by how many processes."""

    sites: int
    workers: int
    apis: int
    kills: int
    restarts: int = 1


@dataclass
class Storm:
    """What happened while runs were under way, and the answers of the replicas by their HTTP status."""

    kills: int = 0
    restarts: int = 0
    answers: Counter[str] = field(default_factory=Counter)
    instances: Counter[str] = field(default_factory=Counter)
    """The processes by state, as the first replica lists them at the end of the storm."""


class World:
    """The stand-ins, the server of the databases, and the folder of everything."""

    def __init__(self, folder: Path, server: PostgresServer, environment: dict[str, str]) -> None:
        self._folder = folder
        self._server = server
        self._environment = environment

    @contextmanager
    def service(self, name: str, **roles: int) -> Iterator[Service]:
        """Give a service of so many processes of each role on a new database."""
        url = self._server.url(self._server.create())
        service = Service(url, self._folder / name, self._environment)
        try:
            for role, count in roles.items():
                for _ in range(count):
                    service.start(role)
            yield service
        finally:
            service.end()

    def restart_database(self) -> None:
        """Stop the server of the databases, and start it again."""
        with self._server.stopped():
            pass


def environment_of(upstreams: Upstreams, now: datetime, spacing: float) -> dict[str, str]:
    """Return the settings that all processes share: one slot of each job is due, and no other for a day."""
    settings = {
        **upstreams.environment,
        "sources": SOURCES,
        "arome_max_lead": 6,
        "forecast_lookback_hours": round(_FORECAST_LOOKBACK / timedelta(hours=1)),
        "observation_lookback_hours": round(_OBSERVATION_LOOKBACK / timedelta(hours=1)),
        "scheduler_forecast_hours": now.hour,
        "scheduler_observation_hours": now.hour,
        "lease_seconds": 6,
        "meteo_parapente_spacing_seconds": spacing,
        "rate_limit_per_minute": 0,
        "log_level": "INFO",
    }
    return outside() | {name.upper(): str(value) for name, value in settings.items()}


def runs_of(database: Database) -> tuple[JobRun, ...]:
    """Return the runs; none while the store is not there."""
    try:
        return Ledger(database).runs(limit=100)
    except StoreUnavailableError:
        return ()


def is_done(runs: tuple[JobRun, ...]) -> bool:
    """Return True if each job has a run with an end, and none runs."""
    ended = {run.job for run in runs if run.status in {"success", "nothing_new", "partial", "failed"}}
    return ended >= set(JOBS) and not any(run.status == "running" for run in runs)


def rows_in(database: Database) -> int:
    """Return the number of forecasts and readings; 0 while the store is not there."""
    count = sa.select(
        sa.select(sa.func.count()).select_from(t.forecast).scalar_subquery()
        + sa.select(sa.func.count()).select_from(t.observation).scalar_subquery()
    )
    try:
        with database.read() as connection:
            return int(connection.execute(count).scalar_one())
    except StoreUnavailableError:
        return 0


def looks(service: Service, what: str) -> Iterator[None]:
    """Yield at intervals, for the caller to look whether something has come.

    Raises SystemExit if it does not come, or a process has ended by itself.
    """
    deadline = time.monotonic() + PATIENCE_SECONDS
    while time.monotonic() < deadline:
        service.require_alive()
        yield
        time.sleep(_LOOK_EVERY_SECONDS)
    raise SystemExit(f"{what}: not within {PATIENCE_SECONDS:g} s")


def wait_until_done(service: Service, database: Database) -> None:
    """Wait for the end of both collections."""
    for _ in looks(service, "the end of the collections"):
        if is_done(runs_of(database)):
            break


def disturb(world: World, service: Service, database: Database, size: Size, rows: int, seed: int) -> Storm:
    """Kill workers and restart the database at random moments of the progress, until all is collected.

    A moment is a share of the `rows` that an undisturbed process stores: it comes on a busy machine too.
    """
    chance = random.Random(seed)
    moments = sorted(
        [(chance.uniform(0.0, 0.8), "kill") for _ in range(size.kills)]
        + [(chance.uniform(0.0, 0.6), "restart") for _ in range(size.restarts)]
    )
    storm = Storm()
    for _ in looks(service, "the end of the collections"):
        if is_done(runs := runs_of(database)):
            break
        begun = any(run.status == "running" for run in runs)
        if moments and begun and rows_in(database) >= moments[0][0] * rows:
            _, what = moments.pop(0)
            if what == "kill":
                service.kill(chance.choice(service.of("worker")))
                service.start("worker")
                storm.kills += 1
            else:
                world.restart_database()
                storm.restarts += 1
        for status, _ in service.answers():
            storm.answers[str(status)] += 1
    for _ in looks(service, "a heartbeat of each process"):  # the last one may still be starting
        for _, body in service.answers()[:1]:
            storm.instances = Counter(one["state"] for one in body.get("instances", ()))
        if storm.instances["alive"] == len(service.processes):
            break
    return storm


def since_all_asked(*databases: Database) -> tuple[datetime, datetime]:
    """Return from when on all runs have requested forecasts and readings: each looks back from its start."""
    starts = [
        run.start_time for database in databases for run in runs_of(database) if run.start_time is not None
    ]
    newest = max(starts) + timedelta(minutes=5)
    return newest - _FORECAST_LOOKBACK, newest - _OBSERVATION_LOOKBACK


def comparable(url: str, forecasts: datetime, observations: datetime) -> dict[str, list[tuple[Any, ...]]]:
    """Return the contents of a store from these times on; of the slots the jobs, their sources, and whether
    they are well.

    The counts of a source are not compared: of a task that was killed, they are those of its last turn. Its
    values are compared one by one.
    """
    found = contents(url)
    earliest = {"forecasts": (2, forecasts), "parts": (2, forecasts), "observations": (1, observations)}
    for kind, (column, since) in earliest.items():
        found[kind] = [row for row in found[kind] if row[column] >= since.timestamp()]
    well = {"success", "nothing_new"}
    database = Database(url)
    runs = [run for run in runs_of(database) if run.job in JOBS]
    database.close()
    found["slots"] = sorted((run.job, run.status in well) for run in runs)
    found["sources"] = sorted(
        (run.job, part.source, part.status in well) for run in runs for part in run.sources
    )
    return found


@dataclass(frozen=True)
class Proof:
    """The storm, the number of compared rows, the sources of the jobs and whether each is well, and what
    differs.
    """

    storm: Storm
    rows: int
    sources: list[tuple[Any, ...]]
    differing: list[str]


def prove(world: World, size: Size, seed: int) -> Proof:
    """Collect undisturbed and in the storm, and compare the contents of the stores."""
    with world.service("calm", all=1) as calm:
        one = Database(calm.url)
        wait_until_done(calm, one)
        calm.stop()
    print(f"one process: {seconds_of(one):.0f} s, {rows_in(one)} rows", flush=True)
    with world.service("storm", scheduler=1, worker=size.workers, api=size.apis) as service:
        other = Database(service.url)
        storm = disturb(world, service, other, size, rows_in(one), seed)
        service.stop()
    print(f"in the storm: {seconds_of(other):.0f} s, {rows_in(other)} rows", flush=True)
    since = since_all_asked(one, other)
    undisturbed, disturbed = comparable(calm.url, *since), comparable(service.url, *since)
    one.close()
    other.close()
    return Proof(
        storm,
        sum(len(undisturbed[kind]) for kind in ("forecasts", "observations")),
        disturbed["sources"],
        differences(undisturbed, disturbed),
    )


def seconds_of(database: Database) -> float:
    """Return the seconds from the first start of a run to the last end."""
    runs = runs_of(database)
    first = min(run.start_time for run in runs if run.start_time is not None)
    return (max(run.end_time for run in runs if run.end_time is not None) - first).total_seconds()


def throughput(world: World, workers: int) -> None:
    """Print how long one worker to so many take, undisturbed."""
    for count in range(1, workers + 1):
        with world.service(f"workers-{count}", scheduler=1, worker=count) as service:
            database = Database(service.url)
            wait_until_done(service, database)
            service.stop()
        seconds, rows = seconds_of(database), rows_in(database)
        print(
            f"{count} workers: {seconds:.0f} s, {rows} rows, {rows / max(1.0, seconds):.0f} rows/s",
            flush=True,
        )
        database.close()


@contextmanager
def world_of(folder: Path, sites: int, *, latency: float = 0.05, spacing: float = 0.0) -> Iterator[World]:
    """Give the stand-ins for so many sites, and a server for the databases.

    Each answer of a publisher takes `latency` seconds; `spacing` is that of MeteoParapente, in seconds.
    """
    now = utc_now()
    file = write_sites(folder, sites)
    with asyncio.Runner() as runner, running_postgres() as server:
        upstreams = Upstreams(now=now, sites=file, latency=latency, deadline=600)
        runner.run(upstreams.__aenter__())
        try:
            yield World(folder, server, environment_of(upstreams, now, spacing))
        finally:
            runner.run(upstreams.__aexit__(None, None, None))


def main() -> None:
    """Print the results, and exit with 1 if the stores differ."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--sites", type=int, default=1000)
    parser.add_argument("--workers", type=int, default=3)
    parser.add_argument("--apis", type=int, default=2, help="replicas of the API")
    parser.add_argument("--kills", type=int, default=6)
    parser.add_argument("--latency", type=float, default=0.05, help="seconds of each answer of a publisher")
    parser.add_argument("--spacing", type=float, default=0.0, help="seconds, of MeteoParapente")
    parser.add_argument("--seed", type=int, default=int(datetime.now(UTC).timestamp()))
    parser.add_argument("--throughput", action="store_true", help="also measure one worker to all of them")
    options = parser.parse_args()
    size = Size(options.sites, options.workers, options.apis, options.kills)
    print(f"{size}, seed {options.seed} …", flush=True)
    with (
        tempfile.TemporaryDirectory() as folder,
        world_of(Path(folder), options.sites, latency=options.latency, spacing=options.spacing) as world,
    ):
        proof = prove(world, size, options.seed)
        print(f"{proof.storm.kills} kills, {proof.storm.restarts} restarts of the database")
        print(
            f"answers of the replicas: {dict(proof.storm.answers)}; processes: {dict(proof.storm.instances)}"
        )
        print(
            "\n".join(proof.differing) or f"the same {proof.rows} rows, every slot and source once",
            flush=True,
        )
        if options.throughput:
            throughput(world, options.workers)
    sys.exit(bool(proof.differing))


if __name__ == "__main__":
    main()
