"""The bench of the fault matrix: it compares an installation under a fault with an undisturbed one.

It collects from stand-in upstreams in a process of their own. A cell has three moments: a collection before
the fault, one under it, and one after it. The values that the store must hold are those of an installation
that collects at the same moments undisturbed.
"""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from functools import partial
from itertools import count
from pathlib import Path
from typing import Self

import sqlalchemy as sa

from backend.collectors.grib.worker import Worker
from backend.collectors.transport.hosts import HttpLimits
from backend.core.records import WELL
from backend.core.registry import NETWORKS
from backend.demo.process import Upstreams
from backend.scheduler.config import FORECASTS, OBSERVATIONS, JobId
from backend.scoring.days.update import update
from backend.storage import schema as t
from backend.storage.run_records import SourceRun
from backend.storage.store import Store
from proofs.fault_installation import Collected, Installation, Routes
from proofs.fault_truth import SEED, SITES, Values, untrue, values
from proofs.fault_verdict import (
    Reference,
    delayed,
    newest_routes,
    no_false_success,
    not_recovered,
    not_shown,
    other_disturbed,
    wrong_values,
)

BEST = {"meteo_parapente": "api", "arome": "object_storage", "ffvl": "keyed", "romma": "keyed"}
"""The route by which a source is collected while another one is under test."""

OF_JOB: dict[JobId, tuple[str, str]] = {
    FORECASTS: ("meteo_parapente", "arome"),
    OBSERVATIONS: ("ffvl", "romma"),
}
"""The two sources of a job that are checked beside each other. Other sources are checked beside the first."""

BRISK = HttpLimits(
    connect=60, read=60, payload=60, download=60, attempts=2, backoff=0.01, backoff_max=0.02, jitter=0.01,
    failures=4, recovery=0.1,
)  # fmt: skip
SHORT = replace(BRISK, read=2.5, payload=4, download=4)
"""For responses that never come. Any other response takes a few hundredths of a second."""


@dataclass(frozen=True, slots=True)
class Way:
    """A source by one of its routes, and its upstreams.

    `one` is a part of the address of one response of several. `own` is a part of all its addresses; it is
    set if another route uses the same upstream. `later` is added to the moment of a fault: a model with few
    runs has no new one at noon.
    """

    source: str
    route: str
    upstreams: tuple[str, ...]
    one: str = ""
    own: str = ""
    later: timedelta = timedelta()

    @property
    def name(self) -> str:
        """Return its name in the tables."""
        return f"{self.source}/{self.route}"

    @property
    def job(self) -> JobId:
        """Return the job that collects the source."""
        return OBSERVATIONS if self.source in NETWORKS else FORECASTS

    @property
    def other(self) -> str:
        """Return the other source of the job."""
        return next(source for source in OF_JOB[self.job] if source != self.source)


SUMMER = datetime(2026, 7, 15, 12, 0, 5, tzinfo=UTC)
MARCH = datetime(2026, 3, 29, 1, 40, tzinfo=UTC)  # 03:40 in Paris, where there was no 02:40
OCTOBER = datetime(2026, 10, 25, 1, 35, tzinfo=UTC)  # 02:35 in Paris, for the second time


def step(way: Way, under: datetime) -> timedelta:
    """Return how far apart the moments are; in October the first of them is the other 02:35 of Paris."""
    if under == OCTOBER:
        return timedelta(hours=1)
    return timedelta(hours=6) if way.job == FORECASTS else timedelta(hours=2)


@dataclass(frozen=True, slots=True, kw_only=True)
class Judged:
    """The outcome of a source, and the problems found."""

    outcome: SourceRun
    problems: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class _Lived:
    """The values of an undisturbed installation, and a copy of its store from before the fault."""

    before: Path
    reference: Reference


References = dict[tuple[Way, datetime], "asyncio.Task[_Lived]"]
"""The references that are complete or in progress. Several benches may share them."""


class Bench:
    """Stand-ins, a GRIB worker, and a folder for stores; use it with `async with`, for one cell at a time."""

    def __init__(self, folder: Path, references: References | None = None) -> None:
        self._folder = folder
        self._number = count(1)
        self._worker = Worker()
        self._references: References = {} if references is None else references
        self._warm: set[JobId] = set()

    async def __aenter__(self) -> Self:
        async with AsyncExitStack() as stack:
            self._upstreams = await stack.enter_async_context(Upstreams(seed=SEED, now=SUMMER))
            stack.callback(self._worker.close)
            self._stack = stack.pop_all()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._stack.aclose()

    async def judge(
        self, way: Way, strikes: Mapping[str, str], under: datetime, *, harmless: bool = False
    ) -> Judged:
        """Collect before, under and after a fault, and judge the source.

        `strikes` are the faults by upstream; `harmless` ones may leave no trace.
        """
        lived = await self._undisturbed(way, under)
        await self._warm_up(way.job)
        reference, both = lived.reference, _both(way)
        waits = any(fault.startswith(("hang", "drip")) for fault in strikes.values())
        async with self._install(lived.before, SHORT if waits else BRISK) as place:
            run, sources = await self._collect_under(strikes, place, way.job, under, both)
            outcome, database = sources[way.source], place.database
            problems = [
                *wrong_values(database, reference),
                *no_false_success(database, reference, outcome, run, harmless=harmless),
                *other_disturbed(database, sources[way.other], reference),
                # AROME delivers once its files are read, which may take as long as the HTTP limits allow.
                *(delayed(way.source, way.other, place.delivered) if waits and way.other != "arome" else ()),
                *not_shown(outcome, *await place.shown(run), place.settings.secrets()),
            ]
            await asyncio.sleep(BRISK.recovery)
            _, recovered = await self._collect(place, way.job, under + step(way, under), both)
            problems += not_recovered(database, reference, recovered[way.source])
        return Judged(outcome=outcome, problems=tuple(problems))

    async def judge_fallback(self, ways: Sequence[Way], *, replaced: bool) -> Judged:
        """Disable every route but the last, then enable all; `replaced` if values of the best one must win.

        The second collection is at the same moment: the best route then has the values that the last one had.
        """
        best, last = ways[0], ways[-1]
        lived = await self._undisturbed(best, SUMMER)
        lesser = (await self._undisturbed(last, SUMMER)).reference
        routes = {best.source: [way.route for way in ways], best.other: (BEST[best.other],)}
        strikes = {upstream: f"500@{way.own}" for way in ways[:-1] for upstream in way.upstreams}
        async with self._install(lived.before, BRISK) as place:
            database = place.database
            run, sources = await self._collect_under(strikes, place, best.job, SUMMER, routes)
            outcome, stored = sources[best.source], values(database)
            missing = [key for key in lesser.under if key not in lesser.before and key not in stored]
            problems = [
                *wrong_values(database, lived.reference, lesser),
                *([] if outcome.status == "partial" else ["not partial"]),
                *([f"{len(missing)} values are missing, such as {missing[0]}"] if missing else []),
                *([] if last.route in newest_routes(database, best.source) else [f"none by {last.route}"]),
                *not_shown(outcome, *await place.shown(run), place.settings.secrets()),
            ]
            await asyncio.sleep(BRISK.recovery)
            _, recovered = await self._collect(place, best.job, SUMMER, routes)
            stored, after = values(database), recovered[best.source]
            missing = [key for key in lived.reference.under if key not in stored]
            problems += [] if after.status in WELL else [f"afterwards {after.status}: {after.reason}"]
            problems += (
                [f"afterwards {len(missing)} values are missing, such as {missing[0]}"] if missing else []
            )
            if replaced and newest_routes(database, best.source) != {best.route}:
                problems.append(f"not replaced by {best.route}")
        return Judged(outcome=outcome, problems=tuple(problems))

    def new_folder(self) -> Path:
        """Return a new, empty folder."""
        folder = self._folder / str(next(self._number))
        folder.mkdir(parents=True)
        return folder

    async def judge_move(self, way: Way) -> Judged:
        """Let every beacon state another position for four days, and judge moves and scores.

        Every reading must be stored and true; each site must have its stations' move, dated to the first
        response that stated it, and none of the later readings in its scores.
        """
        lived = await self._undisturbed(way, SUMMER)
        strikes, routes = dict.fromkeys(way.upstreams, "moved"), {way.source: (way.route,)}
        async with self._install(lived.before, BRISK) as place:
            for day in range(5):
                moment = SUMMER + timedelta(days=day)
                _, sources = await self._collect_under(strikes, place, way.job, moment, routes)
            outcome = sources[way.source]
            moves = Store(place.database).moves(SITES)
            await asyncio.to_thread(update, place.database, moment)
            with place.database.read() as connection:
                doubted = set(connection.execute(sa.select(t.doubted.c.reason)).scalars())
            stored = values(place.database)
        mapped = {code for site in SITES for code in site.stations if code.startswith(f"{way.source}:")}
        reported = {str(key[0]) for key in stored if len(key) == 3 and str(key[0]) in mapped}
        problems = [
            *([] if outcome.status in WELL else [f"{outcome.status}: {outcome.reason}"]),
            *([f"untrue values: {wrong[0]}"] if (wrong := untrue(stored)) else []),
            *([] if moves else ["no move was found"]),
            *(f"{move.station}: counts as confirmed" for move in moves if move.confirmed),
            *(
                f"{move.station}: dated to {move.since}"
                for move in moves
                if not SUMMER - timedelta(hours=1) <= move.since <= SUMMER + timedelta(days=1)
            ),
            *(f"{code}: no move" for code in sorted(reported - {move.station for move in moves})),
            *([] if "moved" in doubted else ["no reading left the scores"]),
        ]
        return Judged(outcome=outcome, problems=tuple(problems))

    # --- Collections ---------------------------------------------------------------------------------

    def _install(self, copy: Path | None = None, limits: HttpLimits = BRISK) -> Installation:
        """Return an installation on an empty store, or on a copy of one."""
        folder = self.new_folder()
        store = folder / "store.sqlite3"
        if copy:
            shutil.copyfile(copy, store)
        return Installation(store, self._upstreams.environment, self._worker, limits)

    async def _warm_up(self, job: JobId) -> None:
        """Collect once before anything is timed: processes start, files are composed, modules imported."""
        if job not in self._warm:
            self._warm.add(job)
            async with self._install() as place:
                best = {source: (BEST[source],) for source in OF_JOB[job]}
                _all_well(await self._collect(place, job, SUMMER, best))

    async def _collect(self, place: Installation, job: JobId, now: datetime, routes: Routes) -> Collected:
        """Run a job at a moment that is the same for the upstreams."""
        await self._upstreams.set_clock(now)
        return await place.collect(job, now, routes)

    async def _collect_under(
        self, strikes: Mapping[str, str], place: Installation, job: JobId, now: datetime, routes: Routes
    ) -> Collected:
        await self._upstreams.set_faults(strikes)
        try:
            return await self._collect(place, job, now, routes)
        finally:
            await self._upstreams.set_faults(dict.fromkeys(strikes))

    # --- Expected values -----------------------------------------------------------------------------

    async def _undisturbed(self, way: Way, under: datetime) -> _Lived:
        """Return the values of an undisturbed installation, which is made once for all benches."""
        if (way, under) not in self._references:
            self._references[way, under] = asyncio.create_task(self._live(way, under))
        return await asyncio.shield(self._references[way, under])

    async def _live(self, way: Way, under: datetime) -> _Lived:
        distance = step(way, under)
        async with self._install() as place:
            collect = partial(self._collect, place, way.job, routes=_both(way))
            _all_well(await collect(now=under - distance))
            before = place.store.with_name("before.sqlite3")
            place.database.close()  # the file is complete once no connection is open
            shutil.copyfile(place.store, before)
            held_before = values(place.database)
            sources = _all_well(await collect(now=under))
            held_under = values(place.database)
            _all_well(await collect(now=under + distance))
            held_after = values(place.database)
        wrong = untrue(held_after)
        assert not wrong, f"{way.name}: undisturbed, but untrue: {wrong[0]}"
        offered = await self._hold_when_new(way, under + distance)
        assert offered.items() <= held_after.items(), "two undisturbed installations differ at one moment"
        reference = Reference(
            before=held_before, under=held_under, after=held_after, offered=offered, sources=sources
        )
        return _Lived(before, reference)

    async def _hold_when_new(self, way: Way, now: datetime) -> Values:
        """Return the values of an installation whose first collection is at `now`."""
        async with self._install() as place:
            _all_well(await self._collect(place, way.job, now, {way.source: (way.route,)}))
            return values(place.database)


def _both(way: Way) -> Routes:
    return {way.other: (BEST[way.other],), way.source: (way.route,)}


def _all_well(collected: Collected) -> dict[str, SourceRun]:
    run, sources = collected
    assert run.status == "success", f"undisturbed, but {run}"
    return sources
