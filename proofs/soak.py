"""Soak: 30 days at high speed under random faults; what the service takes up stays bounded, nothing is lost.

    python -m proofs.soak [--days 30] [--seed N] [--database sqlite|postgresql]

One process lives through all slots of the days: faults come and go at its upstreams, its GRIB worker is
killed, runs are cancelled, slots are slept through. docs/lab/reliability.md says what is asserted.
"""

from __future__ import annotations

import argparse
import sys
from datetime import UTC, datetime


def main() -> None:
    """Print what was found, and exit with 1 if anything was wrong."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--days", type=int, default=30)
    parser.add_argument("--seed", type=int, default=int(datetime.now(UTC).timestamp()))
    parser.add_argument("--database", choices=("sqlite", "postgresql"), default="sqlite")
    given = parser.parse_args()
    # The GRIB worker loads this very file, and must not load all that the proof needs.
    from proofs.soak_report import soak

    print(f"{given.days} days on {given.database}, seed {given.seed}", flush=True)
    sys.exit(soak(given.days, given.seed, given.database))


if __name__ == "__main__":
    main()
