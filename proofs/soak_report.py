"""The soak from its beginning to its verdicts."""

from __future__ import annotations

import asyncio
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import chdir, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

from backend.core.config import Settings
from backend.core.logs import configure_logging
from backend.demo.backfill import SteppedClock, slots
from backend.demo.process import Upstreams
from backend.main import Service
from backend.scheduler.config import JOBS, JobId, SchedulerConfig
from backend.storage.database import Database
from backend.tests.support.postgres import running_postgres
from proofs.fault_truth import SEED, Values, values
from proofs.fault_verdict import wrong_values
from proofs.soak_life import (
    COLLECTIONS_TO_THE_END,
    KEEP_PAYLOADS_DAYS,
    Life,
    live_undisturbed,
    make_service,
    offered,
    settings_for,
    temporary_files_in,
)
from proofs.soak_plan import began, plan
from proofs.soak_samples import Sample, table, unbounded
from proofs.soak_verdict import (
    ahead_of_time,
    false_successes,
    incomplete,
    keys_shown,
    ledger_problems,
    spoilt_without_cause,
    stored_rows,
    stored_share,
)

END = datetime(2026, 11, 23, 6, 30, tzinfo=UTC)
"""The thirty days before it include the end of summer time in Paris."""

PROBLEMS_SHOWN = 5


@dataclass
class Report:
    """What happened, and the problems found by each verdict."""

    samples: list[Sample] = field(default_factory=list)
    verdicts: dict[str, list[str]] = field(default_factory=dict)
    faults: Counter[str] = field(default_factory=Counter)
    mishaps: Counter[str] = field(default_factory=Counter)
    statuses: Counter[str] = field(default_factory=Counter)
    shares: dict[str, tuple[int, int]] = field(default_factory=dict)

    @property
    def failed(self) -> int:
        """Return how many verdicts failed."""
        return sum(bool(problems) for problems in self.verdicts.values())

    def lines(self) -> Iterator[str]:
        """Yield the lines of the report."""
        yield from ("", *table(self.samples, every=3), "")
        yield "faults: " + ", ".join(f"{name} {count}" for name, count in sorted(self.faults.items()))
        yield "mishaps: " + ", ".join(f"{name} {count}" for name, count in sorted(self.mishaps.items()))
        yield "runs: " + ", ".join(f"{name} {count}" for name, count in sorted(self.statuses.items()))
        texts = (f"{source} {100 * stored / whole:.2f} %" for source, (stored, whole) in self.shares.items())
        yield "stored share of the undisturbed days' values: " + ", ".join(texts)
        yield ""
        for name, problems in self.verdicts.items():
            yield f"{'FAILED' if problems else 'passed'}  {name}"
            yield from (f"    WRONG: {problem}" for problem in problems[:PROBLEMS_SHOWN])
            if len(problems) > PROBLEMS_SHOWN:
                yield f"    and {len(problems) - PROBLEMS_SHOWN} more"


async def prove(
    folder: Path, url: str, days: int, seed: int, *, max_lead: int = 51, undisturbed: str | None = None
) -> Report:
    """Live through the days and judge them; `url` is the address of an empty store.

    AROME is collected up to `max_lead` hours. `undisturbed` is the address of a store that has the same
    days without faults; without it, such a store is made first.
    """
    start, clock = END - timedelta(days=days), SteppedClock()
    due = slots(SchedulerConfig.load(), start, END, JOBS)
    steps = plan(due, seed)
    if undisturbed is None:
        undisturbed = await asyncio.to_thread(live_undisturbed, folder / "undisturbed", days, END, max_lead)
    async with Upstreams(seed=SEED) as upstreams:
        service = make_service(settings_for(upstreams, url, folder / "data", max_lead), clock)
        life = Life(service, upstreams, clock, folder / "temporary")
        try:
            with temporary_files_in(life.temporary):
                service.database.migrate()
                rest = await life.live(steps, start)
                rounds = await life.collect_the_rest(END)
                still_offered = await offered(service.settings, clock, folder / "new")
            report = Report(samples=life.samples, faults=began(steps), mishaps=life.mishaps)
            report.statuses.update(run.status for run in service.ledger.runs(limit=10_000))
            kind = "sqlite" if service.database.path else "postgresql"
            report.verdicts |= dict(unbounded(life.samples, rest, KEEP_PAYLOADS_DAYS, kind))
            report.verdicts |= dict(_store_verdicts(service, still_offered, rounds))
            report.verdicts |= dict(_ledger_verdicts(service, life, due, undisturbed, report))
            return report
        finally:
            await service.close()


def _store_verdicts(service: Service, still_offered: Values, rounds: int) -> Iterator[tuple[str, list[str]]]:
    """Judge the values of the store against those still offered and against the weather."""
    shares = values(service.database)
    unfinished = [f"{rounds} collections of the same moment stored new values"]
    yield (
        f"complete: all {len(still_offered)} values that are still offered",
        [*(unfinished if rounds == COLLECTIONS_TO_THE_END else []), *incomplete(shares, still_offered)],
    )
    yield (
        f"true: each of {len(shares)} values, by the weather",
        [*wrong_values(service.database), *ahead_of_time(service.database)],
    )


def _ledger_verdicts(
    service: Service, life: Life, due: Sequence[tuple[datetime, JobId]], undisturbed: str, report: Report
) -> Iterator[tuple[str, list[str]]]:
    """Judge the ledger against the values that an undisturbed installation has."""
    database, config = service.database, service.config
    yield f"ledger: each of {len(due)} slots once, and ended", ledger_problems(database, due)
    yield "no key in the ledger", keys_shown(database, service.settings.secrets())
    other = Database(undisturbed, make=False)
    mine, expected = stored_rows(database), stored_rows(other)
    other.close()
    report.shares = stored_share(mine, expected)
    yield (
        "honest: a successful source misses nothing",
        false_successes(database, mine, expected, config),
    )
    yield "apart: a source without a fault is successful", spoilt_without_cause(database, life.steps)


def soak(days: int, seed: int, kind: str) -> int:
    """Print a soak's report; return the exit code."""
    began_at = time.monotonic()
    with tempfile.TemporaryDirectory() as name, chdir(name), _store(kind, Path(name)) as url:
        configure_logging(Settings.load(), level="CRITICAL")
        report = asyncio.run(prove(Path(name), url, days, seed))
    for line in report.lines():
        print(line)
    version = ".".join(map(str, sys.version_info[:3]))
    print(f"Python {version}, {time.monotonic() - began_at:.0f} s")
    print(f"{len(report.verdicts) - report.failed} passed, {report.failed} failed")
    return int(bool(report.failed))


@contextmanager
def _store(kind: str, folder: Path) -> Iterator[str]:
    if kind == "sqlite":
        yield f"sqlite:///{folder / 'soak.sqlite3'}"
        return
    with running_postgres() as server, server.database() as url:
        # Autovacuum as on a real server. A simulated day takes seconds, so the pause is as short as possible.
        server.settle(autovacuum="on", autovacuum_naptime="1s")
        yield url
