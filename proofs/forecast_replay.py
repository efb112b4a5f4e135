"""The synthetic years replayed day by day: what was issued each day, and what its references gave."""

from __future__ import annotations

import time
from dataclasses import dataclass, field

import numpy as np

from backend.forecast import directions, verification
from backend.forecast.cells import Floats
from backend.forecast.experts import Rules
from backend.forecast.gate import Evidence
from backend.forecast.learning import ForecastHours, State, issue, learn
from proofs.forecast_emos import RollingEmos
from proofs.forecast_world import World

SEED = 7
"""Of the randomised PIT."""


@dataclass(slots=True, eq=False)
class Issued:
    """What was issued for each day, (days, sites, 8, 4), with its references; quantiles: one axis more."""

    observed: Floats
    value: Floats
    quantiles: Floats
    best: Floats
    dressed: Floats
    placebo: Floats
    yesterday: Floats
    emos: Floats | None = None
    seconds: float = 0.0
    """CPU time of the method alone, without its references."""

    pit: Floats = field(init=False)

    def __post_init__(self) -> None:
        """Draw the randomised PIT."""
        self.pit = verification.pit(self.quantiles, self.observed, SEED)

    def evidence(self, days: slice, sites: slice = slice(None)) -> Evidence:
        """Return the evidence of some days and sites, as the gate takes it."""
        observed = self.observed[days, sites]
        return Evidence(
            error=np.abs(self.value[days, sites] - observed),
            best_error=np.abs(self.best[days, sites] - observed),
            placebo_error=np.abs(self.placebo[days, sites] - observed),
            crps=verification.crps(self.quantiles[days, sites], observed),
            dressed_crps=verification.crps(self.dressed[days, sites], observed),
            covered=verification.covered(self.pit[days, sites]),
        )


def replay(world: World, name: str, rules: Rules, *, emos: bool) -> Issued:
    """Return the years of a parameter, each day issued from what had arrived by the evening before."""
    models, observed = world.models[name], world.observed[name]
    if rules.circular:
        observed = directions.in_wind(observed, world.observed["wind_speed"])
    days, sites, count = models.shape[:3]
    others = [(site + 1) % sites for site in range(sites)]
    state, reference = State.fresh(sites, count), RollingEmos(sites, count)
    waiting: list[tuple[int, ForecastHours]] = []
    kept: dict[str, list[Floats]] = {key: [] for key in ("value", "quantiles", "best", "dressed", "placebo")}
    kept |= {"yesterday": [], **({"emos": []} if emos else {})}
    seconds = 0.0
    for day in range(days):
        before = time.process_time()
        if day == world.moved[1]:
            state = state.restarted(world.moved[0])
            reference.forget(world.moved[0])
        for earlier, of_earlier in [pair for pair in waiting if world.known[pair[0]] <= day - 1]:
            readings = _of_this_beacon(world, observed, earlier, day)
            state = learn(state, of_earlier, readings, circular=rules.circular)
            seconds += time.process_time() - before
            if emos:
                reference.learn(models[earlier], readings)
            before = time.process_time()
        waiting = [pair for pair in waiting if world.known[pair[0]] > day - 1]
        issued = issue(state, models[day], rules)
        seconds += time.process_time() - before
        waiting.append((day, issued))
        kept["value"].append(issued.value)
        kept["quantiles"].append(issued.quantiles)
        kept["best"].append(issued.best_value)
        kept["dressed"].append(issued.best_quantiles)
        kept["placebo"].append(issue(state.taken(others), models[day], rules).value)
        kept["yesterday"].append(state.memory.newest)
        if emos:
            kept["emos"].append(reference.quantiles(models[day]))
    found = {key: np.stack(values) for key, values in kept.items()}
    if rules.circular:  # as turns from what was observed, which is 0 then
        for quantiles, centre in (("quantiles", "value"), ("dressed", "best")):
            found[quantiles] += directions.turn(found[centre] - observed)[..., None]
        for value in ("value", "best", "placebo", "yesterday"):
            found[value] = directions.turn(found[value] - observed)
        observed = observed * 0.0
    return Issued(observed, **found, seconds=seconds)


def _of_this_beacon(world: World, observed: Floats, earlier: int, day: int) -> Floats:
    """Return the readings of an earlier day, without those of a beacon that was moved since."""
    site, moved = world.moved
    readings: Floats = observed[earlier].copy()
    if earlier < moved <= day:
        readings[site] = np.nan
    return readings
