"""Living through the soak: the real service in this process, its upstreams in theirs, and a clock stepped on.

Nothing is restarted on the way, except what the soak kills.
"""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

from backend.collectors.transport.hosts import HttpLimits
from backend.core.config import Settings
from backend.core.records import Batch
from backend.demo.backfill import AFTER_THE_SLOT, SteppedClock
from backend.demo.process import Upstreams
from backend.demo.world import UPSTREAMS
from backend.main import Service
from backend.scheduler.catchup import CatchUp
from backend.scheduler.config import JOBS, SchedulerConfig
from backend.scheduler.orders import OnBatch
from proofs.fault_truth import SEED, Values, values
from proofs.soak_plan import Mishap, Step, by_day
from proofs.soak_samples import Rest, Sample, at_rest, sample, size

KEEP_PAYLOADS_DAYS = 2

BRISK = HttpLimits(
    connect=1, read=1.5, payload=3, download=4, attempts=2, backoff=0.01, backoff_max=0.02, jitter=0.01,
    failures=4, recovery=0.1,
)  # fmt: skip
"""For responses that never come. Any other response takes a few hundredths of a second."""

END_OF_RUNS_SECONDS = 300.0
COLLECTIONS_TO_THE_END = 6


def settings_for(upstreams: Upstreams, url: str, folder: Path, max_lead: int) -> Settings:
    """Return the settings of a service with every route open; AROME is collected up to `max_lead` hours."""
    return Settings.load(
        **upstreams.environment,
        database_url=url,
        data_dir=folder,
        keep_payloads_days=KEEP_PAYLOADS_DAYS,
        open_meteo_fallback=True,
        ffvl_html=True,
        arome_max_lead=max_lead,
    )


def make_service(settings: Settings, clock: SteppedClock) -> Service:
    """Return a service that is real except for its clock and its HTTP limits."""
    return Service.make(settings, SchedulerConfig.load(), clock, durable=False, limits=BRISK)


@dataclass
class Life:
    """A service on its way through the days."""

    service: Service
    upstreams: Upstreams
    clock: SteppedClock
    temporary: Path
    steps: dict[int, Step] = field(default_factory=dict)  # by run; without the catch-up runs
    samples: list[Sample] = field(default_factory=list)
    mishaps: Counter[str] = field(default_factory=Counter)
    _stops: set[asyncio.Task[None]] = field(default_factory=set)  # shutdowns under way
    _slept_through: datetime | None = None  # the last missed slot
    _strikes: Mapping[str, str] = field(default_factory=dict)

    async def live(self, steps: list[Step], start: datetime) -> Rest:
        """Go through all slots, with a sample after each day; return the state before the first run."""
        for job in JOBS:
            self.service.ledger.note_schedule(job, self.service.config.crontab(job), start)
        rest, empty = at_rest(), size(self.service.database)
        for day, of_day in enumerate(by_day(steps), 1):
            for step in of_day:
                await self._pass(step)
            self.samples.append(await sample(self.service, day, self.temporary, empty))
        return rest

    async def collect_the_rest(self, now: datetime) -> int:
        """Without faults, collect until nothing new comes; return how many collections stored values."""
        await self._move(now, {})
        await self._wake_up()
        for number in range(COLLECTIONS_TO_THE_END):
            runs = [await self.service.runner.run(job, "cli") for job in JOBS]
            if not any(run and run.stored for run in runs):
                return number
        return COLLECTIONS_TO_THE_END

    async def _pass(self, step: Step) -> None:
        if step.mishap is Mishap.ASLEEP:
            self.mishaps[Mishap.ASLEEP] += 1
            self._slept_through = step.slot
            return
        await self._move(step.slot + AFTER_THE_SLOT, step.strikes)
        if self._slept_through and step.slot > self._slept_through:
            await self._wake_up()
        run = await self.service.runner.run(step.job, "schedule", step.slot, on_batch=self._mishap(step))
        await asyncio.gather(*self._stops)
        self._stops.clear()
        # None if the catch-up has run this slot: it starts a job without runs with the newest slot.
        if run is not None:
            self.steps[run.id] = step

    async def _move(self, now: datetime, strikes: Mapping[str, str]) -> None:
        """Set the time and the faults, after a pause in which open circuits close."""
        if self._strikes:
            await asyncio.sleep(BRISK.recovery)
        self.clock.moment = now
        await self.upstreams.set_clock(now)
        await self.upstreams.set_faults({name: strikes.get(name) for name in UPSTREAMS})
        self._strikes = strikes

    async def _wake_up(self) -> None:
        """Catch up on missed slots, as the loop beside the schedule does."""
        self._slept_through = None
        catch_up = CatchUp(self.service.runner)
        for job in JOBS:
            await catch_up.once(job)
            await self.service.runner.drain(END_OF_RUNS_SECONDS)

    def _mishap(self, step: Step) -> OnBatch:
        """Return a callback that causes the mishap of a step, once, after its batch."""
        batches = 0
        done = False

        def on_batch(_: Batch) -> None:
            nonlocal batches, done
            batches += 1
            if done or batches < step.batch:
                return
            if step.mishap is Mishap.CANCELLED:
                self._stops.add(asyncio.create_task(self.service.runner.drain(0)))
            elif step.mishap is Mishap.WORKER_KILLED and self.service.worker.pid is not None:
                with suppress(ProcessLookupError):
                    os.kill(self.service.worker.pid, signal.SIGKILL)
            else:
                return
            done = True
            self.mishaps[step.mishap] += 1

        return on_batch


# --- Undisturbed installations -----------------------------------------------------------------------


def live_undisturbed(folder: Path, days: int, end: datetime, max_lead: int) -> str:
    """Live through the same days without faults, in a process of its own; return the store's address."""
    options = ("--folder", str(folder), "--days", str(days), "--until", f"{end:%Y-%m-%dT%H:%M:%SZ}")
    command = (sys.executable, "-m", "backend", "demo", "--no-serve", "--seed", str(SEED), *options)
    environment = os.environ | {"LOG_LEVEL": "ERROR", "AROME_MAX_LEAD": str(max_lead)}
    if code := subprocess.run(command, env=environment, stdout=subprocess.DEVNULL, check=False).returncode:
        raise SystemExit(f"the undisturbed days ended with exit code {code}")
    return f"sqlite:///{folder / 'demo.sqlite3'}"


async def offered(settings: Settings, clock: SteppedClock, folder: Path) -> Values:
    """Return the values that a new installation collects now: all that the upstreams still offer."""
    folder.mkdir()
    new = {"database_url": f"sqlite:///{folder / 'new.sqlite3'}", "data_dir": folder}
    service = make_service(settings.model_copy(update=new), clock)
    service.database.migrate()
    try:
        for job in JOBS:
            run = await service.runner.run(job, "cli")
            assert run is not None and run.status == "success", f"undisturbed, but {run}"
        return values(service.database)
    finally:
        await service.close()


@contextmanager
def temporary_files_in(folder: Path) -> Iterator[None]:
    """Put the temporary files of this process into a new folder that nothing else uses."""
    folder.mkdir()
    before, tempfile.tempdir = tempfile.tempdir, str(folder)
    try:
        yield
    finally:
        tempfile.tempdir = before
