"""A batch of 320 000 values into a store of 10 million, new and repeated, beside a reader."""

from __future__ import annotations

import shutil
import sqlite3
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from hashlib import blake2b
from pathlib import Path
from statistics import median
from typing import Any

import psycopg
import sqlalchemy as sa

from backend.storage.database import MIGRATIONS, Database
from backend.tests.support.postgres import running_postgres
from proofs.bench import narrow, values
from proofs.bench.processes import measured, running
from proofs.bench.quiet import Quiet
from proofs.bench.report import Figure, over_rounds, percentile
from proofs.bench.values import Shape

READS_PER_SECOND = 100
_FILLERS: dict[str, Callable[[Database, int, Shape], None]] = {"ours": values.fill, "narrow": narrow.fill}
_AIMS = {"SQLite": (2.0, 16), "PostgreSQL": (3.0, 30)}  # seconds, bytes per value


async def bench_storing(work: Path, quiet: Quiet, *, rounds: int, shape: Shape, held: int) -> list[Figure]:
    """Measure on both databases; `held` values are there beforehand."""
    runs = -(-held // shape.values)
    with _sqlite_stores(work, runs, shape) as urls:
        figures = await _measure("SQLite", quiet, urls, rounds, shape, runs)
    with _postgres_stores(runs, shape) as urls:
        return figures + await _measure("PostgreSQL", quiet, urls, rounds, shape, runs)


async def _measure(
    name: str, quiet: Quiet, urls: dict[str, str], rounds: int, shape: Shape, runs: int
) -> list[Figure]:
    found: dict[str, list[dict[str, Any]]] = {layout: [] for layout in urls}
    late: list[tuple[float, float]] = []
    sizes = {"sites": shape.sites, "hours": shape.hours}
    written = Counter(dict.fromkeys(urls, runs))

    async def write(layout: str) -> tuple[dict[str, Any], list[tuple[float, float]]]:
        run = written[layout]  # a batch is new once only
        written[layout] += 1
        reading = {"shape": sizes, "url": urls["ours"], "runs": runs, "seed": run, "rate": READS_PER_SECOND}
        with running("reader", **reading) as reader:
            reader.line()
            result = await measured("writer", shape=sizes, url=urls[layout], layout=layout, run=run)
            return result, reader.ended()["late"]

    for _ in range(rounds):
        for layout in urls:
            result, read = await quiet.measure(partial(write, layout))
            found[layout].append(result)
            if layout == "ours":
                late += read
        new = [results[-1]["new"] for results in found.values()]
        if any(counts != [shape.values, 0] for counts in new):
            raise RuntimeError(f"a batch was not stored once: {new}")
    on_disk = {layout: _bytes(url) / (shape.values * written[layout]) for layout, url in urls.items()}
    return _figures(name, shape, found, late, on_disk)


def _figures(
    name: str,
    shape: Shape,
    found: dict[str, list[dict[str, Any]]],
    late: Sequence[tuple[float, float]],
    on_disk: dict[str, float],
) -> list[Figure]:
    seconds, most_bytes = _AIMS[name]
    group = f"{shape.values:,} values into {name}".replace(",", " ")
    figures = []
    for index, what in enumerate(("new", "repeated")):
        ours, others = ([_length(run["spans"][index]) for run in found[layout]] for layout in _FILLERS)
        figures.append(
            over_rounds(
                group, what, "s", ours, beside="row per value", beside_value=median(others), at_most=seconds
            )
        )
        used, others = ([run["cpu"][index] for run in found[layout]] for layout in _FILLERS)
        figures.append(
            over_rounds(
                group,
                f"{what}: of the processor",
                "s",
                used,
                beside="row per value",
                beside_value=median(others),
            )
        )
    spans = [span for run in found["ours"] for span in run["spans"]]
    during_writes: list[float] = []
    idle: list[float] = []
    for due, delay in late:
        disturbed = any(due < end and due + delay > start for start, end in spans)
        (during_writes if disturbed else idle).append(1000 * delay)
    for share in (0.5, 0.99):
        value, beside = percentile(during_writes, share), percentile(idle, share)
        aim: dict[str, Any] = {"aim": "≤ 10 ms", "met": value <= 10} if share == 0.99 else {}
        figures.append(
            Figure(
                group=group,
                name=f"a reader during the writes, p{100 * share:.0f} ({len(during_writes)} readings)",
                value=value,
                unit="ms",
                beside="no writes",
                beside_value=beside,
                **aim,
            )
        )
    return [
        *figures,
        Figure(
            group=group,
            name="on disk, all indexes, per value",
            value=on_disk["ours"],
            unit="bytes",
            beside="row per value",
            beside_value=on_disk["narrow"],
            aim=f"≤ {most_bytes} bytes",
            met=on_disk["ours"] <= most_bytes,
        ),
        over_rounds(group, "the process that stores", "MB", [run["megabytes"] for run in found["ours"]]),
    ]


@contextmanager
def _sqlite_stores(work: Path, runs: int, shape: Shape) -> Iterator[dict[str, str]]:
    """Give copies of stores that were filled once."""
    urls = {}
    for layout, fill in _FILLERS.items():
        filled = work / f"{layout}-{_digest()}-{runs}x{shape.values}.sqlite3"
        if not filled.exists():
            half = filled.with_suffix(".half")
            half.unlink(missing_ok=True)
            database = Database(f"sqlite:///{half}", durable=False)
            fill(database, runs, shape)
            database.close()  # the last connection to close takes the log into the file
            half.replace(filled)
        copy = work / f"{layout}.sqlite3"
        for leftover in work.glob(f"{copy.name}*"):
            leftover.unlink()
        shutil.copy(filled, copy)
        urls[layout] = f"sqlite:///{copy}"
    yield urls


@contextmanager
def _postgres_stores(runs: int, shape: Shape) -> Iterator[dict[str, str]]:
    """Give databases of a server with durable writes, which are switched on after the filling."""
    with running_postgres() as server:
        urls = {layout: server.url(server.create()) for layout in _FILLERS}
        for layout, fill in _FILLERS.items():
            database = Database(urls[layout])
            fill(database, runs, shape)
            with database.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
                connection.exec_driver_sql("VACUUM ANALYZE")
            database.close()
        address = urls["ours"].replace("+psycopg", "")
        with psycopg.connect(address, autocommit=True) as connection_:
            connection_.execute("ALTER SYSTEM RESET ALL")
            connection_.execute("SELECT pg_reload_conf()")
            connection_.execute("CHECKPOINT")
        yield urls


def _bytes(url: str) -> int:
    """Return the size of a store on disk, in bytes."""
    database = Database(url)
    if database.path is not None:
        connection = sqlite3.connect(database.path)
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        connection.close()
        return database.path.stat().st_size
    size = sa.text("SELECT pg_database_size(current_database()) - pg_database_size('template0')")
    with database.read() as reading:
        found = int(reading.execute(size).scalar_one())
    database.close()
    return found


def _digest() -> str:
    """Return a digest of the files that the filled stores depend on."""
    here = Path(__file__).parent
    paths = [*sorted(MIGRATIONS.glob("versions/*.py")), here / "values.py", here / "narrow.py"]
    return blake2b(b"".join(path.read_bytes() for path in paths), digest_size=4).hexdigest()


def _length(span: Sequence[float]) -> float:
    return span[1] - span[0]
