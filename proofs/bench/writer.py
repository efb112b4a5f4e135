"""In a process of its own: one batch stored as new, then the same batch again."""

from __future__ import annotations

import gc
from functools import partial

from backend.storage.database import Database
from backend.storage.store import Store
from proofs.bench import narrow, values
from proofs.bench.processes import answer, given, peak_megabytes, timed


def main() -> None:
    """Store the batch twice; print the times and how many values were new."""
    task = given()
    shape = values.Shape(**task["shape"])
    batch = values.batch(task["run"], shape)
    database = Database(task["url"], busy_timeout=60)
    store = Store(database)
    with database.read():
        pass  # connected, as a service that has been running is
    gc.freeze()  # as the command and the service do
    add = partial(narrow.add, database, batch, shape)
    if task["layout"] == "ours":
        add = partial(store.add_forecasts, batch)
    rounds = [timed(add) for _ in range(2)]
    database.close()
    answer(
        {
            "new": [new for new, _, _ in rounds],
            "spans": [span for _, span, _ in rounds],
            "cpu": [used for _, _, used in rounds],
            "megabytes": peak_megabytes(),
        }
    )
