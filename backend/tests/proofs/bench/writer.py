"""In a process of its own: one batch stored as new, then the same batch again."""

from __future__ import annotations

import time

from backend.storage.database import Database
from backend.storage.store import Store
from backend.tests.proofs.bench import narrow, values
from backend.tests.proofs.bench.processes import answer, given, peak_megabytes


def main() -> None:
    """Store, and tell when that was and how many values were new."""
    task = given()
    shape = values.Shape(**task["shape"])
    batch = values.batch(task["run"], shape)
    database = Database(task["url"], busy_timeout=60)
    store = Store(database)
    with database.read():
        pass  # connected, as a service that has been running is
    spans, new = [], []
    for _ in range(2):
        began = time.monotonic()
        if task["layout"] == "narrow":
            new.append(narrow.add(database, batch, shape))
        else:
            new.append(store.add_forecasts(batch))
        spans.append((began, time.monotonic()))
    database.close()
    answer({"spans": spans, "new": new, "megabytes": peak_megabytes()})
