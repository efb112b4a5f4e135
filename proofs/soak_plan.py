"""The plan of the soak: which faults strike when, and which mishaps happen to the runs.

It is drawn from a seed beforehand, so that the same seed gives the same 30 days.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from itertools import groupby

from backend.core.registry import DEFAULT_SOURCES
from backend.demo.faults import Fault
from backend.scheduler.config import FORECASTS, JobId
from proofs.fault_bench import Way
from proofs.faults import DOUBLED_HOUR, FALLBACKS, ROMMA_PAGE, WAYS, all_cells, why_not


class Mishap(StrEnum):
    """What happens to a run, or to the service, besides faults of upstreams."""

    WORKER_KILLED = "worker killed"  # the process that decodes GRIB gets a SIGKILL at work
    CANCELLED = "run cancelled"  # as by a shutdown, after some batches
    ASLEEP = "slot slept through"  # the service is off at the slot, and catches up later


NEW_TROUBLE = 0.35
"""The probability that a trouble starts at a slot: about two slots in three have one, many have two."""

LENGTHS = (1, 1, 1, 2, 2, 3, 5, 8)  # in slots; eight of them are most of a day
AT_A_TIME = 3
DATED = frozenset({Fault.MISSING_HOUR, DOUBLED_HOUR})
SLOW = frozenset({Fault.HANG, Fault.DRIP})
"""They cost real seconds, so they last one slot."""

MISHAPS = {Mishap.WORKER_KILLED: 0.06, Mishap.CANCELLED: 0.05, Mishap.ASLEEP: 0.03}
LONGEST_SLEEP = 3  # slots
LATEST_BATCH = 12


@dataclass(frozen=True, slots=True)
class Trouble:
    """Faults by upstream that come and go together; the report counts them by `name`."""

    name: str
    strikes: tuple[tuple[str, str], ...]

    @property
    def slow(self) -> bool:
        """Whether its requests end by a timeout only, which costs real seconds."""
        return self.name in SLOW

    @property
    def upstreams(self) -> set[str]:
        """Return which upstreams it strikes."""
        return set(dict(self.strikes))


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """A slot with its troubles; a mishap of a run happens after its batch number `batch`, from 1."""

    slot: datetime
    job: JobId
    troubles: tuple[Trouble, ...] = ()
    mishap: Mishap | None = None
    batch: int = 0

    @property
    def strikes(self) -> dict[str, str]:
        """Return the faults by upstream."""
        return dict(pair for trouble in self.troubles for pair in trouble.strikes)


def troubles() -> dict[str, list[Trouble]]:
    """Return all troubles by fault: the cells of the fault matrix that need no special date.

    A lesser route is used only while the better ones are down, so its troubles include that. ROMMA's page
    shares its upstream with the feed, and an upstream has one fault at a time: so the page has no troubles
    of its own, and is used while the feed is down.
    """
    by_name: dict[str, list[Trouble]] = {}

    def add(name: str, strikes: Mapping[str, str]) -> None:
        by_name.setdefault(name, []).append(Trouble(name, tuple(strikes.items())))

    # A source that is off by default is not collected here, so its troubles would have no effect.
    cells = [cell for cell in all_cells() if cell.way.source in DEFAULT_SOURCES]
    for cell in cells:
        if cell.fault not in DATED and cell.way != ROMMA_PAGE and not why_not(cell):
            add(cell.fault, _better_down(cell.way) | cell.strikes)
    for fallback in FALLBACKS:
        better = fallback.ways[:-1]
        add("better route down", {name: f"500@{way.own}" for way in better for name in way.upstreams})
    return by_name


def _better_down(way: Way) -> dict[str, str]:
    better = WAYS[: WAYS.index(way)]
    return {name: Fault.BROKEN for other in better if other.source == way.source for name in other.upstreams}


def plan(slots: Sequence[tuple[datetime, JobId]], seed: int) -> list[Step]:
    """Return the step of each slot."""
    chance = random.Random(seed)
    hand = _deck(chance)
    lasting: dict[Trouble, int] = {}  # for how many more slots
    asleep = 0
    steps: list[Step] = []
    for slot, job in slots:
        lasting = {trouble: left - 1 for trouble, left in lasting.items() if left > 1}
        if chance.random() < NEW_TROUBLE and len(lasting) < AT_A_TIME:
            trouble = next(hand)
            if all(trouble.upstreams.isdisjoint(other.upstreams) for other in lasting):
                lasting[trouble] = 1 if trouble.slow else chance.choice(LENGTHS)
        mishap = _mishap(chance, job) if not asleep else Mishap.ASLEEP
        if mishap is Mishap.ASLEEP:
            asleep = asleep - 1 if asleep else chance.randrange(LONGEST_SLEEP)
        steps.append(
            Step(
                slot=slot,
                job=job,
                troubles=tuple(lasting),
                mishap=mishap,
                batch=chance.randint(1, LATEST_BATCH),
            )
        )
    return steps


def _deck(chance: random.Random) -> Iterator[Trouble]:
    """Yield troubles without end, each fault as often as every other."""
    by_fault = troubles()
    while True:
        for fault in chance.sample(sorted(by_fault), len(by_fault)):
            yield chance.choice(by_fault[fault])


def _mishap(chance: random.Random, job: JobId) -> Mishap | None:
    drawn = chance.random()
    for mishap, likely in MISHAPS.items():
        if drawn < likely:
            return None if mishap is Mishap.WORKER_KILLED and job != FORECASTS else mishap
        drawn -= likely
    return None


def began(steps: Sequence[Step]) -> Counter[str]:
    """Return how often each fault began."""
    counted: Counter[str] = Counter()
    before: frozenset[Trouble] = frozenset()
    for step in steps:
        now = frozenset(step.troubles)
        counted.update(trouble.name for trouble in now - before)
        before = now
    return counted


def by_day(steps: Sequence[Step]) -> Iterator[list[Step]]:
    """Yield the steps of each day (UTC)."""
    return (list(day) for _, day in groupby(steps, key=lambda step: step.slot.date()))
