"""The corrected forecast over synthetic years: its errors beside every reference, its interval and its gate.

    make prove PROVE="--only forecast [--days 730] [--sites 10] [--seed 1]"

Ten sites, two years and four models (proofs/forecast_world.py) are replayed day by day with a moving clock:
each day is issued from the readings that had arrived by the evening before. Each aim gives a line "passed" or
"FAILED". It runs on backend/forecast, without the store and the job. Seeded: the same figures on every run,
except CPU times. docs/forecast.md holds them.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator, Sequence
from dataclasses import fields
from typing import NamedTuple

import numpy as np

from backend.forecast import verification
from backend.forecast.cells import CLASS_HOURS, CLASSES, Floats
from backend.forecast.experts import DIRECTION, TEMPERATURE, WIND
from backend.forecast.gate import GATED_DAYS, LATE_DAYS, Evidence, Gate, decide
from backend.forecast.interval import MEDIAN
from backend.forecast.verification import DayMean, over_days
from proofs.forecast_replay import SEED, Issued, replay
from proofs.forecast_world import YEAR, World, years

BLOCK = 90
SEASONS = ("winter", "spring", "summer", "autumn")


class Aim(NamedTuple):
    """An aim of the corrected forecast, with what was found."""

    text: str
    found: str
    met: bool


def percent(share: float) -> str:
    """Return a relative change as signed percent."""
    return f"{100 * share:+.1f} %"


def table(issued: Issued, days: slice) -> dict[str, tuple[float, float]]:
    """Return MAE and CRPS of the forecast and its references, on the hours that all of them have."""
    observed = issued.observed[days]
    values = {"corrected": issued.value, "best raw model so far": issued.best, "yesterday": issued.yesterday}
    values["placebo"] = issued.placebo
    quantiles = {"corrected": issued.quantiles, "best raw model so far": issued.dressed}
    if issued.emos is not None:
        values["EMOS of 45 days"] = issued.emos[..., MEDIAN]
        quantiles["EMOS of 45 days"] = issued.emos
    errors = {name: np.abs(of[days] - observed) for name, of in values.items()}
    scores = {name: verification.crps(of[days], observed) for name, of in quantiles.items()}
    counted = ~np.isnan(sum(errors.values()) + sum(scores.values()))
    return {
        name: (
            float(error[counted].mean()),
            float(scores[name][counted].mean()) if name in scores else float("nan"),
        )
        for name, error in errors.items()
    }


def print_table(name: str, unit: str, issued: Issued) -> None:
    """Print MAE and CRPS of two periods."""
    for first, last in ((GATED_DAYS, LATE_DAYS), (LATE_DAYS, len(issued.observed))):
        print(f"\n{name}, days {first} to {last - 1}: MAE and CRPS in {unit}")
        rows = table(issued, slice(first, last))
        best = rows["best raw model so far"]
        for row, (mae, crps) in rows.items():
            dressed = "" if np.isnan(crps) else f"{crps:8.3f}{percent(crps / best[1] - 1):>10}"
            print(f"  {row:24}{mae:8.3f}{percent(mae / best[0] - 1):>10}{dressed}")


def print_coverage(issued: Issued) -> None:
    """Print the coverage of the 80 % interval by class of the day and by season, from day 90 on."""
    covered = verification.covered(issued.pit)
    plain = verification.plainly_covered(issued.quantiles, issued.observed)
    days = np.arange(len(covered))
    print("\nCoverage of the 80 % interval, randomised PIT (plain), from day 90 on")
    for of_class in range(CLASSES):
        chosen = covered[LATE_DAYS:, :, of_class], plain[LATE_DAYS:, :, of_class]
        first = of_class * CLASS_HOURS
        print(f"  {first:02}-{first + CLASS_HOURS - 1:02} h {_shares(*chosen)}")
    for number, season in enumerate(SEASONS):
        of_season = (days >= LATE_DAYS) & ((days + 31) % YEAR // 92 == number)
        if of_season.any():
            print(f"  {season:8} {_shares(covered[of_season], plain[of_season])}")


def _shares(covered: Floats, plain: Floats) -> str:
    return f"{100 * np.nanmean(covered):5.1f} % ({100 * np.nanmean(plain):.1f} %)"


def decisions(issued: Issued, world: World) -> Iterator[tuple[int, Gate]]:
    """Yield the weekly decisions of the gate, each on the days whose readings were known by then."""
    evidence = issued.evidence(slice(None))
    gate = Gate()
    for day in range(GATED_DAYS, len(issued.observed), 7):
        known = GATED_DAYS + np.flatnonzero(world.known[GATED_DAYS:] <= day - 1)
        gate = decide(
            gate, Evidence(*(getattr(evidence, part.name)[known] for part in fields(Evidence))), day
        )
        yield day, gate


def print_gate(issued: Issued, world: World) -> None:
    """Print each decision that differs from the one before."""
    print("\nGate, decided weekly; the days at which the decision changes")
    before: tuple[object, ...] | None = None
    for day, gate in decisions(issued, world):
        state = (gate.open, *(finding.reason for finding in gate.findings))
        if state != before:
            why = ", ".join(f"{f.reason} {f.figure:.3f} (limit {f.limit:.3f})" for f in gate.findings)
            print(f"  day {day:3}: {'open' if gate.open else 'closed'} {why}")
        before = state


def blocks(issued: Issued) -> tuple[int, int, int]:
    """Return the site-blocks of 90 days: how many, those worse by more than 2 %, the significant of them."""
    count = worse = significant = 0
    for first in range(LATE_DAYS, len(issued.observed) - BLOCK + 1, BLOCK):
        for site in range(issued.observed.shape[1]):
            evidence = issued.evidence(slice(first, first + BLOCK), slice(site, site + 1))
            difference = over_days(evidence.error - evidence.best_error)
            if difference.days:
                count += 1
                worse += difference.mean > 0.02 * float(np.nanmean(evidence.best_error))
                significant += difference.low > 0
    return count, worse, significant


def site_coverage(issued: Issued) -> list[DayMean]:
    """Return the coverage of each site from day 90 on, with its day interval."""
    covered = verification.covered(issued.pit)[LATE_DAYS:]
    return [over_days(covered[:, site]) for site in range(covered.shape[1])]


def aims(issued: Issued) -> Iterator[Aim]:
    """Yield the aims for wind with what was found."""
    days, sites = issued.observed.shape[:2]
    early, late = table(issued, slice(GATED_DAYS, LATE_DAYS)), table(issued, slice(LATE_DAYS, None))
    for text, rows, limit in (("30 to 89", early, -0.10), ("90 on", late, -0.20)):
        gain = rows["corrected"][0] / rows["best raw model so far"][0] - 1
        yield Aim(f"MAE, days {text}: {percent(limit)} and better", percent(gain), gain <= limit)
    gain = late["corrected"][1] / late["best raw model so far"][1] - 1
    yield Aim("CRPS against the dressed best: -5 % and better", percent(gain), gain <= -0.05)
    gain = late["corrected"][1] / late["EMOS of 45 days"][1] - 1
    yield Aim("CRPS against EMOS of 45 days: not worse", percent(gain), gain <= 0)
    covered = over_days(verification.covered(issued.pit)[LATE_DAYS:])
    text = f"{100 * covered.mean:.1f} % ({100 * covered.low:.1f} to {100 * covered.high:.1f})"
    yield Aim("coverage 77 to 83 % from day 90 on", text, 0.77 <= covered.mean <= 0.83)
    by_site = site_coverage(issued)
    held = sum(site.low <= 0.8 <= site.high for site in by_site)
    yield Aim(
        "90 % of the sites' intervals of coverage contain 80", f"{held} of {sites}", held >= 0.9 * sites
    )
    count, worse, significant = blocks(issued)
    yield Aim(
        "5 % of blocks of 90 days and a site worse by 2 %", f"{worse} of {count}", worse <= 0.05 * count
    )
    yield Aim("no block significantly worse", f"{significant} of {count}", significant == 0)
    evidence = issued.evidence(slice(GATED_DAYS, None))
    placebo = over_days(evidence.placebo_error - evidence.error)
    text = f"{placebo.mean:.2f} km/h ({placebo.low:.2f} to {placebo.high:.2f})"
    yield Aim("gain over the placebo, its interval above 0", text, placebo.low > 0)
    seconds = issued.seconds / (sites * days / YEAR)
    yield Aim("a site-year of one parameter in 1 s of CPU", f"{seconds:.2f} s", seconds < 1)


def same_bits(world: World) -> Aim:
    """Return whether two replays of the first 60 days give the same bits."""
    short = World(
        {name: values[:60] for name, values in world.models.items()},
        {name: values[:60] for name, values in world.observed.items()},
        *world[2:],
    )
    first, second = (replay(short, "wind_speed", WIND, emos=False).quantiles.tobytes() for _ in range(2))
    return Aim("a replay gives the same bits", "equal" if first == second else "different", first == second)


def main(arguments: Sequence[str] | None = None) -> int:
    """Print the tables and the aims; return 1 if one of them fails."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--days", type=int, default=2 * YEAR)
    parser.add_argument("--sites", type=int, default=10)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args(arguments)
    print(
        f"seed {options.seed}: {options.sites} sites, {options.days} days, 4 models; PIT seed {SEED}",
        flush=True,
    )
    world = years(options.days, options.sites, options.seed)
    wind = replay(world, "wind_speed", WIND, emos=True)
    print_table("Wind", "km/h", wind)
    print_coverage(wind)
    print_gate(wind, world)
    print_table("Gusts", "km/h", replay(world, "wind_gust", WIND, emos=True))
    print_table("Temperature", "degC", replay(world, "temperature", TEMPERATURE, emos=False))
    direction = replay(world, "wind_direction", DIRECTION, emos=False)
    print_table("Direction", "degrees", direction)
    covered = over_days(verification.covered(direction.pit)[LATE_DAYS:])
    print(f"  coverage {100 * covered.mean:.1f} % ({100 * covered.low:.1f} to {100 * covered.high:.1f})")
    print("\nAims, for wind")
    found = [*aims(wind), same_bits(world)]
    for aim in found:
        print(f"  {'passed' if aim.met else 'FAILED'}  {aim.text}: {aim.found}")
    failed = sum(not aim.met for aim in found)
    print(f"{len(found) - failed} passed, {failed} failed")
    return int(failed > 0)


if __name__ == "__main__":
    sys.exit(main())
