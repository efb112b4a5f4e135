"""Inference: how often the intervals hold the truth, and how often chance is called a bias or a winner.

    python -m proofs.inference [--repetitions 1000] [--processes 2] [--markdown] [--only power]

Each repetition is a world whose truth is known: errors of an hour that last (AR(1) 0.9 from hour to hour) on
top of errors of a day that last (AR(1) from day to day), both of the same size. It is evaluated by the
functions that answer the API, `export scores` and the command line: the score of a model, its bias, its
events, its skill, and the ranking of two models. Seeded: the same figures on every run.
docs/lab/inference.md holds the table. `--only forecast` and `--only forecast-service` are other proofs, of
proofs/forecast.py and proofs/forecast_service.py; they run after the others if there is no `--only`.
"""

from __future__ import annotations

import argparse
import math
import multiprocessing
import sys
import zlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import cache
from itertools import product

import numpy as np
from scipy.signal import lfilter  # type: ignore[import-untyped]
from scipy.stats import multivariate_normal  # type: ignore[import-untyped]

from backend.core.local_time import HOURS_A_DAY
from backend.core.parameters import ABSENT, Parameter
from backend.core.records import Site, Station
from backend.scoring.grid import Floats, Hours, Span, Values
from backend.scoring.intervals import Interval
from backend.scoring.metrics.contingency import enough_events
from backend.scoring.questions.bias import model_bias
from backend.scoring.questions.flyability import event_tables
from backend.scoring.questions.scorecard import Finding, Scorecard
from backend.scoring.sample.quantities import Quantity
from backend.scoring.sample.sample import Sample, StationDays
from backend.scoring.sample.strata import Stratum
from backend.scoring.views import EVENING_BEFORE
from backend.scoring.words.sentences import tendency
from proofs import forecast, forecast_service

SEED = 20_261_010
REPETITIONS = 1000
CHUNK = 125
"""Repetitions that one process does before it takes others."""

LAGS = (0.0, 0.5, 0.7)
DAYS = (15, 20, 30, 60, 120)
RANKED_DAYS = (60, 120)

HOURLY = 0.9
SPEED, SPREAD = 20.0, 4.0
ERROR = 3.0
"""km/h: the mean of the observed wind, the size of each part of its changes, and of a model's errors."""

TURN, TURNS = 10.0, 15.0
"""Degrees: how far a model turns the wind in the mean, and the size of each part of its further errors."""

LIMIT = 25.0
FIRST = 20_500
"""The first day, as a local day number: in February, so that no clock changes within the shorter spans."""

POWER_BEFORE = {60: 0.778, 120: 0.797}
"""The share of winners in the cells of power by the two tests of method version 1, in the same worlds."""


def persistent(generator: np.random.Generator, correlation: float, length: int) -> Floats:
    """Return a stationary AR(1) series of mean 0 and variance 1."""
    shocks = generator.standard_normal(length)
    shocks[1:] *= math.sqrt(1 - correlation**2)
    return np.asarray(lfilter([1.0], [1.0, -correlation], shocks))


def lasting(generator: np.random.Generator, days: int, lag: float) -> Floats:
    """Return hours (days, 25) of a day's part and an hour's part, each of variance 1."""
    of_days = persistent(generator, lag, days)
    of_hours = persistent(generator, HOURLY, days * 24).reshape(days, 24)
    return _grid(of_days[:, None] + of_hours)


def independent(generator: np.random.Generator, days: int) -> Floats:
    """Return the same of days that have nothing to do with each other."""
    of_hours = np.stack([persistent(generator, HOURLY, 24) for _ in range(days)])
    return _grid(generator.standard_normal(days)[:, None] + of_hours)


def _grid(hours: Floats) -> Floats:
    return np.pad(hours, ((0, 0), (0, HOURS_A_DAY - 24)), constant_values=np.nan)


def world(observed: dict[Parameter, Floats], models: dict[str, dict[Parameter, Floats]]) -> Sample:
    """Return what was observed and forecast, in the parameters' units, as the store would give it."""
    days = len(next(iter(observed.values())))
    station = Station("proof:1", elevation=1000.0)
    values = _values(days, observed)
    return Sample(
        site=Site("proof", "Proof", 45.0, 6.0, 1000.0, stations=(station.id,)),
        view=EVENING_BEFORE,
        span=Span(FIRST, FIRST + days - 1),
        hours=Hours.ALL,
        all_forecasts={name: _values(days, forecast) for name, forecast in models.items()},
        leads={name: np.full((days, HOURS_A_DAY), 720) for name in models},
        older={name: dict.fromkeys(Parameter, np.zeros((days, HOURS_A_DAY), np.int64)) for name in models},
        estimated=dict.fromkeys(models, 0),
        grounds=dict.fromkeys(models),
        stations={
            station.id: StationDays(
                station, values, values, np.zeros((days, HOURS_A_DAY), np.int64), None, {}
            )
        },
        reference_days={station.id: np.ones(days, np.bool_)},
    )


def _values(days: int, hours: dict[Parameter, Floats]) -> dict[Parameter, Values]:
    found = {parameter: np.full((days, HOURS_A_DAY), ABSENT, np.int32) for parameter in Parameter}
    for parameter, values in hours.items():
        there = ~np.isnan(values)
        found[parameter][there] = np.rint(values[there] * 1000).astype(np.int32)
    return found


# --- The questions of a repetition ---------------------------------------------------------------------


def one_model(generator: np.random.Generator, days: int, lag: float) -> dict[str, bool | None]:
    """Return which intervals of an unbiased model contain the truth; None where there is no interval."""
    observed = np.maximum(SPEED + SPREAD * lasting(generator, days, lag), 0.0)
    forecast = np.maximum(observed + ERROR * lasting(generator, days, lag), 0.0)
    turned = (200.0 + TURN + TURNS * lasting(generator, days, lag)) % 360.0
    sample = world(
        {
            Parameter.WIND_SPEED: observed,
            Parameter.WIND_DIRECTION: np.where(np.isnan(observed), np.nan, 200.0),
        },
        {"model": {Parameter.WIND_SPEED: forecast, Parameter.WIND_DIRECTION: turned}},
    )
    card = Scorecard(sample)
    speed, direction = (
        card.scores(quantity, models=["model"])[0].score
        for quantity in (Quantity.WIND_SPEED, Quantity.WIND_DIRECTION)
    )
    by_hour = model_bias(sample, Quantity.WIND_SPEED, "model").groups[Stratum.HOUR]
    over = next(table for table in event_tables(sample, LIMIT, LIMIT) if table.event == "wind_over")
    rated = over.models[0] if enough_events(over.models[0].counts) else None
    skill = card.verdict(Quantity.WIND_SPEED).models[0].skill["yesterday"].interval
    word = tendency(Quantity.WIND_SPEED, speed.mean_error, speed.mean_error_interval)
    return {
        "mean_error": _holds(speed.mean_error_interval, 0.0),
        "word": word in {"overestimates", "underestimates"},
        "mae": _holds(speed.mae_interval, ERROR * math.sqrt(2) * math.sqrt(2 / math.pi)),
        "hour": _holds(by_hour[14].interval, 0.0),
        "direction": _holds(direction.mean_error_interval, TURN),
        "surprise_rate": _holds(
            None if rated is None else rated.intervals.get("surprise_rate"), surprise_rate()
        ),
        "skill": _holds(skill, skill_against_yesterday(lag)),
    }


def two_models(generator: np.random.Generator, days: int, lag: float) -> dict[str, bool | None]:
    """Return whether one of two equal models is called the winner."""
    return {"winner": _winner(lasting(generator, days, lag), 0.0) is not None}


def a_better_one(generator: np.random.Generator, days: int, lag: float) -> dict[str, bool | None]:
    """Return whether a difference that a t-test of independent days finds four times of five is found.

    The difference is 2.8 standard errors of the mean of the days that there are. `lag` is 0.
    """
    hours = independent(generator, days)
    of_a_day = math.sqrt(1.0 + _variance_of_a_day())
    return {"power": _winner(hours, 2.8 * of_a_day / math.sqrt(days)) == "better"}


def _winner(difference: Floats, apart: float) -> str | None:
    """Return the winner of two models, where "other" errs more by `difference` + `apart` (in SPREAD)."""
    observed = np.where(np.isnan(difference), np.nan, SPEED)
    larger = 100.0 + SPREAD * (difference + apart)  # far from 0: the errors keep their sign
    sample = world(
        {Parameter.WIND_SPEED: observed},
        {
            "other": {Parameter.WIND_SPEED: observed + larger},
            "better": {Parameter.WIND_SPEED: observed + 100.0},
        },
    )
    ranking = Scorecard(sample).ranking(Quantity.WIND_SPEED)
    return ranking.scores[0].model if ranking.finding is Finding.WINNER else None


def _holds(interval: Interval | None, truth: float) -> bool | None:
    return None if interval is None else interval.low <= truth <= interval.high


def _variance_of_a_day() -> float:
    """Return the variance of the mean of 24 hours of AR(1) HOURLY."""
    apart = np.arange(1, 24)
    return float((24 + 2 * ((24 - apart) * HOURLY**apart).sum()) / 24**2)


@cache
def surprise_rate() -> float:
    """Return the true share of hours over LIMIT among those forecast up to it."""
    of_wind, of_model = 2 * SPREAD**2, 2 * SPREAD**2 + 2 * ERROR**2
    both = multivariate_normal([SPEED, SPEED], [[of_wind, of_wind], [of_wind, of_model]])
    forecast_good = 0.5 * math.erfc((SPEED - LIMIT) / math.sqrt(2 * of_model))
    return float(1 - both.cdf([LIMIT, LIMIT]) / forecast_good)


def skill_against_yesterday(lag: float) -> float:
    """Return the true `1 - MAE / MAE of yesterday's observation`; both errors are normal."""
    of_yesterday = 2 * SPREAD**2 * (1 - lag) + 2 * SPREAD**2 * (1 - HOURLY**24)
    return 1 - ERROR * math.sqrt(2) / math.sqrt(of_yesterday)


# --- Cells ---------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Cell:
    """One kind of world with its number of days, evaluated many times."""

    kind: str
    lag: float
    days: int


Ask = Callable[[np.random.Generator, int, float], dict[str, bool | None]]
KINDS: dict[str, Ask] = {"model": one_model, "equal": two_models, "power": a_better_one}

CELLS = (
    *(Cell("model", lag, days) for lag, days in product(LAGS, DAYS)),
    *(Cell("equal", lag, days) for lag, days in product(LAGS, RANKED_DAYS)),
    *(Cell("power", 0.0, days) for days in RANKED_DAYS),
)

TEXTS = {
    "mean_error": "mean error: interval holds the truth",
    "word": 'no bias, called "over-" or "underestimates"',
    "mae": "MAE: interval holds the truth",
    "hour": "mean error of one hour of the day: holds",
    "direction": "turn of the direction: holds",
    "surprise_rate": "surprise rate: holds",
    "skill": "skill against yesterday: holds",
    "winner": "two equal models: one called the winner",
    "power": "a better model: found",
}


@dataclass(frozen=True, slots=True)
class Row:
    """One figure of a cell, a share of the repetitions in which there was one, beside its aim."""

    what: str
    cell: Cell
    figure: float
    repetitions: int
    aim: float
    at_least: bool

    @property
    def error(self) -> float:
        """Return the standard error of the figure."""
        return math.sqrt(self.figure * (1 - self.figure) / self.repetitions)

    @property
    def met(self) -> bool:
        """Whether the figure is not worse than the aim by more than two standard errors of such a share."""
        slack = 2 * math.sqrt(self.aim * (1 - self.aim) / self.repetitions)
        return self.figure >= self.aim - slack if self.at_least else self.figure <= self.aim + slack


def aim_of(what: str, cell: Cell) -> tuple[float, bool]:
    """Return the aim of a figure, and whether it is a least one (else a most)."""
    if what == "power":
        return 0.9 * POWER_BEFORE[cell.days], True
    wrong = 0.08 if cell.lag <= 0.5 else 0.12
    return (wrong, False) if what in {"word", "winner"} else (1 - wrong, True)


def is_limit(row: Row) -> bool:
    """Whether a figure is known to miss its aim: see "Limits" in docs/methodology.md."""
    return row.what == "surprise_rate" and row.cell.lag >= 0.5 and row.cell.days <= 60


def chunk(cell: Cell, first: int, count: int) -> list[dict[str, bool | None]]:
    """Return the answers of repetitions `first` to `first + count - 1`, each with a seed of its own."""
    key = zlib.crc32(repr((cell.kind, cell.lag, cell.days)).encode())
    return [
        KINDS[cell.kind](np.random.default_rng([SEED, key, number]), cell.days, cell.lag)
        for number in range(first, first + count)
    ]


def rows(cell: Cell, answers: Sequence[dict[str, bool | None]]) -> Iterator[Row]:
    """Yield the figures of a cell; answers without an interval are left out of its coverage."""
    for what in answers[0]:
        known = [answer[what] for answer in answers if answer[what] is not None]
        if known:
            yield Row(what, cell, sum(map(bool, known)) / len(known), len(known), *aim_of(what, cell))


def prove(cells: Iterable[Cell], repetitions: int, processes: int) -> Iterator[Row]:
    """Yield the figures of each cell as soon as it is done."""
    starts = range(0, repetitions, CHUNK)
    counts = [min(CHUNK, repetitions - start) for start in starts]
    fresh = multiprocessing.get_context("spawn")  # threads of linear algebra do not survive a fork
    with ProcessPoolExecutor(processes, mp_context=fresh) as pool:
        waiting = [
            (cell, [pool.submit(chunk, cell, *part) for part in zip(starts, counts, strict=True)])
            for cell in cells
        ]
        for cell, parts in waiting:
            yield from rows(cell, [answer for part in parts for answer in part.result()])


def line(row: Row, *, markdown: bool = False) -> str:
    """Return a figure as a line of the table."""
    aim = f"{'>=' if row.at_least else '<='} {100 * row.aim:.0f} %"
    cells = (
        TEXTS[row.what],
        f"{row.cell.lag:g}",
        f"{row.cell.days}",
        aim,
        f"{100 * row.figure:.1f} %",
        f"{100 * row.error:.1f}",
        "met" if row.met else "missed, see Limits" if is_limit(row) else "MISSED",
    )
    if markdown:
        return f"| {' | '.join(cells)} |"
    return f"{cells[0]:46}{cells[1]:>5}{cells[2]:>6}{cells[3]:>9}{cells[4]:>9}{cells[5]:>6}  {cells[6]}"


OTHERS: dict[str, Callable[[Sequence[str]], int]] = {
    "forecast": forecast.main,
    "forecast-service": forecast_service.main,
}
"""The proofs of the corrected forecast, each with its own options."""

HEAD = ("figure", "lag-1", "days", "aim", "found", "±", "")


def main(arguments: Sequence[str] | None = None) -> int:
    """Print the table; return 1 if a figure misses its aim and is no known limit."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--repetitions", type=int, default=REPETITIONS)
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument(
        "--only", default="", help="model, equal or power: only such cells; or forecast, forecast-service"
    )
    parser.add_argument("--markdown", action="store_true", help="as a table for the documentation")
    options, of_other = parser.parse_known_args(arguments)
    if options.only in OTHERS:
        return OTHERS[options.only](of_other)
    if of_other:
        parser.error(f"unknown: {' '.join(of_other)}")
    cells = [cell for cell in CELLS if options.only in cell.kind]
    print(f"seed {SEED}, {options.repetitions} repetitions a cell, {len(cells)} cells", flush=True)
    if options.markdown:
        print(f"| {' | '.join(HEAD)} |\n|{' --- |' * len(HEAD)}")
    missed = 0
    for row in prove(cells, options.repetitions, options.processes):
        print(line(row, markdown=options.markdown), flush=True)
        missed += not row.met and not is_limit(row)
    print(
        f"{missed} figures miss their aim by more than two standard errors" if missed else "every aim is met"
    )
    failed = [] if options.only else [prove_other([]) > 0 for prove_other in OTHERS.values()]
    return int(bool(missed) | any(failed))


if __name__ == "__main__":
    sys.exit(main())
