"""Fuzzing: every parser in turn against damaged payloads, for a chosen time.

    python -m proofs.fuzz --seconds 600 --only romma

Each round damages payloads of one parser in new ways, in a process of its own: a crash or a hang is
detected like an error that gets through. The payload that broke the parser is stored as a file.
"""

from __future__ import annotations

import argparse
import asyncio
import logging
import os
import random
import sys
import time
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path

import structlog
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import seed as seeded
from hypothesis import strategies as st

from backend.collectors.grib.worker import Worker, WorkerLostError
from backend.tests.support.fuzz_targets import GRIB, Target, check_soon, grib_service, grib_target, targets
from backend.tests.support.mutations import damaged

FOLDER = Path(".hypothesis/fuzz")
EXAMPLES = 200
SECONDS_PER_PAYLOAD, SECONDS_PER_ROUND = 5, 300.0  # of CPU time; of the clock, for what hangs


@dataclass(frozen=True)
class Fault:
    """The failure of a parser on a payload, which is in `file`."""

    what: str
    file: Path


def play(name: str, seed: int, folder: Path) -> Fault | None:
    """Damage a parser's payloads in ways that follow from `seed`; return the first fault, made small."""
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stderr.fileno())  # ecCodes reports each bad byte
    with target_of(name, folder) as target:

        @seeded(seed)
        @settings(
            max_examples=EXAMPLES,
            deadline=None,
            database=None,
            suppress_health_check=list(HealthCheck),
            phases=(Phase.generate, Phase.shrink),
        )
        @given(data=st.data())
        def the_parser_keeps_its_promise(data: st.DataObject) -> None:
            body = data.draw(damaged(target.kind, target.seeds))
            trace(name, folder).write_bytes(body)  # beforehand: the parser may crash this process
            check_soon(target, body, SECONDS_PER_PAYLOAD)

        try:
            the_parser_keeps_its_promise()
        except Exception as error:  # noqa: BLE001 - any error that gets through is a fault
            return Fault(f"{type(error).__name__}: {error}", keep(name, folder))
    return None


@contextmanager
def target_of(name: str, folder: Path) -> Iterator[Target]:
    """Give the target of this name; that of GRIB has a service of its own, with a worker."""
    if name != GRIB:
        yield next(target for target in targets() if target.name == name)
        return
    with asyncio.Runner() as runner:
        service = grib_service(folder, seconds_per_call=SECONDS_PER_PAYLOAD)
        collect = runner.run(service.__aenter__())
        try:
            yield grib_target(lambda body: runner.run(collect(body)))
        finally:
            runner.run(service.__aexit__(None, None, None))


def trace(name: str, folder: Path) -> Path:
    """Return the file of the payload that a parser was given last."""
    return folder / f"{name.replace(' ', '-')}.last"


def keep(name: str, folder: Path) -> Path:
    """Store the last payload under a name made of its bytes."""
    last = trace(name, folder)
    digest = blake2b(last.read_bytes(), digest_size=6).hexdigest()
    return last.rename(last.with_name(f"{last.stem}-{digest}.bin"))


async def fuzz(names: Sequence[str], seconds: float, seed: int, folder: Path) -> dict[str, int]:
    """Play rounds in turn until the time is up, each parser at least once; return the failed ones."""
    chance, worker = random.Random(seed), Worker(seconds_per_call=SECONDS_PER_ROUND)
    waiting, played, end = deque(names), dict.fromkeys(names, 0), time.monotonic() + seconds
    failed: dict[str, Fault] = {}
    while waiting and (time.monotonic() < end or not played[waiting[0]]):
        name = waiting.popleft()
        try:
            fault = await worker.run(play, name, chance.getrandbits(32), folder)
        except WorkerLostError as lost:
            fault = Fault(str(lost), keep(name, folder))
        played[name] += 1
        if fault:
            failed[name] = fault
            print(f"{name}: {fault.what}\n  stored as {fault.file}", flush=True)
        else:
            waiting.append(name)
    worker.close()
    for name in names:
        print(f"{name:24} {played[name] * EXAMPLES:8} payloads  {'FAILED' if name in failed else 'passed'}")
    return {"passed": len(names) - len(failed), "failed": len(failed)}


def main() -> None:
    """Print the results, and exit with 1 if a parser failed."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seconds", type=float, default=60.0, help="how long, at least one round each")
    parser.add_argument("--only", default="", help="part of the name of a parser")
    parser.add_argument("--seed", type=int, default=random.SystemRandom().getrandbits(32))
    options = parser.parse_args()
    known = (*(target.name for target in targets()), GRIB)
    names = [name for name in known if options.only in name]
    if not names:
        parser.error(f"--only {options.only!r} is no part of {', '.join(known)}")
    FOLDER.mkdir(parents=True, exist_ok=True)
    print(f"seed {options.seed}, {len(names)} parsers, {options.seconds:g} s", flush=True)
    count = asyncio.run(fuzz(names, options.seconds, options.seed, FOLDER.resolve()))
    print(f"{count['passed']} passed, {count['failed']} failed")
    sys.exit(bool(count["failed"]))


if __name__ == "__main__":
    main()
