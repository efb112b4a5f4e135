"""In a process of its own: a client that reads a hundred times a second, also during writes."""

from __future__ import annotations

import random
import selectors
import sys
import time
from datetime import timedelta

from backend.core.parameters import Parameter
from backend.storage.database import Database
from backend.storage.queries import StoreQueries
from proofs.bench import values
from proofs.bench.processes import answer, given


def main() -> None:
    """Read until standard input ends; print when each reading was due and how late its answer was."""
    task = given()
    sites = values.Shape(**task["shape"]).list_sites()
    chance = random.Random(task["seed"])
    database = Database(task["url"])
    reading = StoreQueries(database)

    def read() -> None:
        """Read a page of 24 values of the wind at a site, as the API does."""
        start = values.reference_time(chance.randrange(task["runs"]))
        rows, _ = reading.forecasts(
            site=chance.choice(sites).id,
            parameter=Parameter.WIND_SPEED,
            start=start,
            end=start + timedelta(days=1),
            limit=24,
        )
        if not rows:
            raise RuntimeError(f"no values from {start} on")

    read()
    answer({})
    end_of_input = selectors.DefaultSelector()
    end_of_input.register(sys.stdin, selectors.EVENT_READ)
    late: list[tuple[float, float]] = []
    due = time.monotonic()
    while not end_of_input.select(max(0.0, due - time.monotonic())):
        if time.monotonic() < due:
            continue
        read()
        late.append((due, time.monotonic() - due))
        due += 1 / task["rate"]
    database.close()
    answer({"late": late})
