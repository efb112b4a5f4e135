"""In a process of its own: a model's error at ten sites, by us from the stored days and by verif from a file.

verif (https://github.com/WFRT/verif) depends on libraries for windows and maps, so it is no dependency.
The comparison needs a separate installation: see docs/lab/performance.md.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import time
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from backend.core.local_time import local_day
from backend.core.records import Site
from backend.scoring.grid import SCALE
from backend.scoring.sample.load import Samples
from backend.scoring.sample.quantities import Quantity, QuantitySample
from backend.scoring.views import EVENING_BEFORE
from backend.storage.database import Database
from proofs.bench.processes import answer, given
from proofs.bench.scored import MODELS, Scored
from proofs.bench.world import NOW

MODEL = MODELS[0][1]
MOST_SITES = 10
_LINE = re.compile(r"^(?P<number>\d+)\s*\|.*\|\s*(?P<error>[\d.]+)\s*\|\s*$", re.MULTILINE)


def main() -> None:
    """Measure both, and print the seconds; raise RuntimeError if the errors differ."""
    task = given()
    shape = Scored(task["sites"], task["days"])
    sites = shape.list_sites()[:MOST_SITES]
    theirs, their_seconds = _by_verif(task["verif"], task["url"], sites)
    database = Database(task["url"])
    began = time.monotonic()
    samples = Samples(database)
    ours = [_mean_size(samples, site, shape.days) for site in sites]
    seconds = time.monotonic() - began
    database.close()
    # verif writes four digits.
    if len(theirs) != len(ours) or not np.allclose(ours, theirs, rtol=1e-3):
        raise RuntimeError(f"our errors are {ours}, those of verif {theirs}")
    answer({"ours": seconds, "verif": their_seconds})


def _mean_size(samples: Samples, site: Site, days: int) -> float:
    """Return the mean absolute error of the wind speed, in km/h, over the model's own pairs."""
    today = local_day(NOW)
    sample = samples.load(site, EVENING_BEFORE, today - days, today)
    of_quantity = QuantitySample(sample, Quantity.WIND_SPEED)
    there = of_quantity.pairs(MODEL)
    size = np.abs(of_quantity.errors(MODEL)).sum()
    return float(size / there.sum() / SCALE)


def _by_verif(verif: str, url: str, sites: list[Site]) -> tuple[list[float], float]:
    """Return the errors that verif computes from our file, and how many seconds it took."""
    with TemporaryDirectory() as folder:
        text = Path(folder) / "pairs.txt"
        environment = os.environ | {
            "DATABASE_URL": url,
            "DATA_DIR": folder,
            "SITES_FROM": "database",
            "MPLBACKEND": "Agg",
        }
        of = [option for site in sites for option in ("--site", site.id)]
        what = ["--model", MODEL, "--parameter", "wind_speed", "--view", EVENING_BEFORE.name]
        subprocess.run(
            [sys.executable, "-m", "backend", "export", "verif", *what, *of, "--output", str(text)],
            env=environment,
            capture_output=True,
            check=True,
        )
        began = time.monotonic()
        done = subprocess.run(
            [verif, str(text), "-m", "mae", "-x", "location", "-type", "text"],
            env=environment,
            capture_output=True,
            text=True,
            check=True,
        )
        return [float(line["error"]) for line in _LINE.finditer(done.stdout)], time.monotonic() - began


if __name__ == "__main__":
    main()
