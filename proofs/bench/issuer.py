"""In a process of its own: an evening's forecasts issued, a site-year replayed, and an answer made.

Milliseconds depend on the machine; the ratio to each site issued alone, to the replay with its intervals, and
to reading the same rows bare does not.
"""

from __future__ import annotations

import asyncio
import sqlite3
import time
import zlib
from collections.abc import Sequence
from contextlib import closing
from datetime import date, timedelta
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from types import SimpleNamespace
from typing import cast

from backend.answers.forecast import forecast_answer
from backend.answers.service import ReadingParts
from backend.answers.withholding import Withholding
from backend.core.config import Settings
from backend.core.local_time import date_of
from backend.core.records import Site
from backend.forecast.learning import State, replay
from backend.issuing.issue import Issuer
from backend.issuing.units import RULES, inputs_of, replayed
from backend.main import Service
from backend.scheduler.config import SchedulerConfig
from backend.storage.database import Database
from backend.storage.issued_batches import store_issued_batch
from backend.storage.learning_days import Question, learning_days
from backend.tests.support.worlds import HandClock
from proofs.bench.issued import LAST, MODELS, VIEWS, Shape, decision
from proofs.bench.processes import answer, given, peak_megabytes

ALONE = 5
"""Sites that are issued one by one."""

ASKED = 9
WIND_LIMITS, GUST_LIMIT = (25.0, 30.0), 35.0
EVERYTHING_IS_PUBLIC = Withholding({}, frozenset())


async def main() -> None:
    """Answer with CPU seconds and milliseconds, the peak memory in MB, and the bytes of a state."""
    task = given()
    database, sites = Database(task["url"]), Shape(task["sites"], task["days"]).list_sites()
    used, count = _issued(database, sites, LAST + 1)
    megabytes = peak_megabytes()
    alone, _ = zip(*(_issued(database, [site], LAST + 2) for site in sites[:ALONE]), strict=True)
    quick, full = _replayed(database, sites[0])
    with closing(sqlite3.connect(task["url"].removeprefix("sqlite:///"))) as connection:
        [state_bytes] = connection.execute("SELECT avg(length(content)) FROM learning_state").fetchone()
    first, again, renewed, bare = await _asked(task["url"], sites[0])
    database.close()
    answer(
        {
            "issued": used,
            "forecasts": count,
            "megabytes": megabytes,
            "alone": sum(alone) / len(alone) * len(sites),
            "replay": quick,
            "replay_with_intervals": full,
            "state_kilobytes": state_bytes / 1000,
            "asked_first": first,
            "asked": again,
            "asked_after_new_data": renewed,
            "bare": bare,
        }
    )


def _issued(database: Database, sites: Sequence[Site], day: int) -> tuple[float, int]:
    """Return the CPU seconds of the evening decision of a day, and the number of forecasts."""
    time_of = decision(day)
    issuer = Issuer(
        database=database,
        sites=lambda: tuple(sites),
        withheld=lambda: SimpleNamespace(models={}, networks=frozenset()),
        clock=lambda: time_of + timedelta(seconds=5),
    )
    began = time.process_time()
    count = sum(store_issued_batch(database, batch) for batch in issuer.batches(time_of))
    return time.process_time() - began, count


def _replayed(database: Database, site: Site) -> tuple[float, float]:
    """Return the CPU seconds of replaying all parameters of a site, read from the store, for one view.

    The second figure is with the interval of each day.
    """
    seconds = [0.0, 0.0]
    for parameter, rules in RULES.items():
        with database.read() as connection:
            began = time.process_time()
            question = Question("public", VIEWS[0], parameter)
            [days] = learning_days(connection, question, [site.id]).values()
            replayed(days, MODELS, rules)
            seconds[0] += time.process_time() - began
        inputs = [inputs_of(day, MODELS) for day in days]
        began = time.process_time()
        for _ in replay(inputs, State.fresh(1, len(MODELS)), rules):
            pass
        seconds[1] += time.process_time() - began
    return seconds[0], seconds[1]


async def _asked(url: str, site: Site) -> tuple[float, float, float, float]:
    """Return the CPU milliseconds of three answers in turn, and of the rows of the first one read bare.

    The first is the first one of a service, for the day after LAST + 1. The second is of the same days with
    other limits. The third is for the next day, after its evening: four rows and the readings of one more
    day have come.
    """
    day = LAST + 2
    times: list[tuple[float, float, float, float]] = []
    with TemporaryDirectory() as folder:
        for _ in range(ASKED):
            clock = HandClock(decision(LAST + 1) + timedelta(minutes=1))
            service = Service.make(
                Settings.load(database_url=url, data_dir=Path(folder), sites_from="database"),
                SchedulerConfig.load(scheduler_enabled=False),
                clock,
            )
            first, again = (_answered(service, site, date_of(day), limit) for limit in WIND_LIMITS)
            clock.now = decision(LAST + 2) + timedelta(minutes=1)
            renewed = _answered(service, site, date_of(day + 1), WIND_LIMITS[0])
            times.append((first, again, renewed, _bare(Path(url.removeprefix("sqlite:///")), site, day)))
            await service.close()
    first, again, renewed, bare = (median(column) for column in zip(*times[1:], strict=True))
    return first, again, renewed, bare


def _answered(service: Service, site: Site, day: date, limit: float) -> float:
    """Return the CPU milliseconds of the answer for a day."""
    began = time.process_time()
    found = forecast_answer(
        cast(ReadingParts, service), site, day, EVERYTHING_IS_PUBLIC, limit=limit, gust_limit=GUST_LIMIT
    )
    if found.wind_speed.record is None or found.day_chance is None:
        raise RuntimeError(f"{found.wind_speed.reason} {found.wind_speed.n_days} days")
    return 1000 * (time.process_time() - began)


def _bare(store: Path, site: Site, last: int) -> float:
    """Return the CPU milliseconds of reading the rows and the days of an answer, and of unpacking them."""
    began = time.process_time()
    with closing(sqlite3.connect(store)) as connection:
        rows = connection.execute(
            "SELECT content FROM issued_forecast WHERE site = ? AND view = ? AND day BETWEEN ? AND ?"
            " AND audience = 'public'",
            (site.id, VIEWS[0], last - 91, last),
        ).fetchall()
        contents = [zlib.decompress(row[0]) for row in rows]
        days = connection.execute(
            "SELECT hourly FROM observed_day WHERE site_id = 1 AND day BETWEEN ? AND ?", (last - 91, last)
        ).fetchall()
    if not contents or not days:
        raise RuntimeError(f"nothing is stored for {site.id} and {date_of(last)}")
    return 1000 * (time.process_time() - began)


if __name__ == "__main__":
    asyncio.run(main())
