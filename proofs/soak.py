"""Soak: 30 days at high speed under random faults. Resources stay bounded, and no value is lost.

    python -m proofs.soak [--days 30] [--seed N] [--database sqlite|postgresql]

One process lives through all collections of the days: faults come and go at its upstreams, its GRIB worker is
killed, runs are cancelled, the service sleeps through slots. docs/lab/reliability.md lists the assertions.
"""

from __future__ import annotations

import argparse
import sys
from datetime import UTC, datetime


def main() -> None:
    """Print the report, and exit with 1 if a verdict failed."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--days", type=int, default=30)
    parser.add_argument("--seed", type=int, default=int(datetime.now(UTC).timestamp()))
    parser.add_argument("--database", choices=("sqlite", "postgresql"), default="sqlite")
    options = parser.parse_args()
    # The GRIB worker loads this very file, and must not load all that the proof needs.
    from proofs.soak_report import soak

    print(f"{options.days} days on {options.database}, seed {options.seed}", flush=True)
    sys.exit(soak(options.days, options.seed, options.database))


if __name__ == "__main__":
    main()
