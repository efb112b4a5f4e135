"""The parts of docs/methodology.md that the code itself writes: worked examples, and every constant.

`python -m backend.scoring.words.methodology docs/methodology.md` rewrites them; a test compares.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import numpy as np

from backend.scoring.constants import CONSTANTS
from backend.scoring.grid import SCALE, Values
from backend.scoring.inference.comparison import MICRO, DailySeries, mean_test, skill_score
from backend.scoring.intervals import Interval, persistence, student_quantile, wilson
from backend.scoring.metrics import contingency
from backend.scoring.metrics.contingency import Contingency
from backend.scoring.metrics.direction import (
    DirectionError,
    circular_bias,
    direction_errors,
    mean_absolute_direction_error,
    resultant,
    wrap,
)
from backend.scoring.metrics.scalar import ScalarError, error_sd, mae, mean_error, rmse, within_share
from backend.scoring.metrics.sums import Series
from backend.scoring.metrics.vector import VectorError, mean_vector_error
from backend.scoring.sample.height_correction import to_station_height

_BLOCK = re.compile(r"(<!-- begin: (\w+) -->\n).*?(<!-- end -->)", re.DOTALL)


def renewed(document: str, parts: Mapping[str, Callable[[], str]] | None = None) -> str:
    """Return a document with those of its generated parts that are in `parts` as the code has them now."""
    known = PARTS if parts is None else parts
    return _BLOCK.sub(
        lambda found: f"{found[1]}{known[found[2]]()}{found[3]}" if found[2] in known else found[0], document
    )


# --- Examples ----------------------------------------------------------------------------------------


def examples() -> str:
    """Return a worked example of each score, computed by the code that computes the scores."""
    return "".join(
        f"- {line}\n" for part in (_winds, _directions, _events, _others, _inference) for line in part()
    )


def _winds() -> Iterator[str]:
    f, o = _row(25, 18, 30), _row(20, 20, 24)
    sums = ScalarError().hourly(Series(f), Series(o)).of_days().total()
    errors = (f - o)[0].astype(np.int64)
    yield "Forecast 25, 18 and 30 km/h, observed 20, 20 and 24: the errors are +5, -2 and +6."
    yield f"**Mean error (bias)**: (5 - 2 + 6) / 3 = {mean_error(sums):+.1f} km/h. Forecasts are too high."
    yield f"**MAE**, the mean size of the error: (5 + 2 + 6) / 3 = {mae(sums):.2f} km/h. It ranks the models."
    yield f"**RMSE**: the root of (25 + 4 + 36) / 3 = {rmse(sums):.2f} km/h. A large error weighs more in it."
    yield f"**Standard deviation of the error**: {error_sd(sums):.2f} km/h. What remains without the bias."
    yield f"**Within 5 km/h**: {100 * (within_share(errors, 5.0) or 0):.0f} % of the errors."


def _directions() -> Iterator[str]:
    f, o, speed = _row(350, 20, 90), _row(10, 10, 80), _row(20, 20, 20)
    sums = DirectionError().hourly(Series(f, speed), Series(o, speed)).of_days().total()
    each = ", ".join(f"{value / SCALE:+.0f}°" for value in direction_errors(f, o)[0])
    yield (
        f"Forecast 350°, 20° and 90°, observed 10°, 10° and 80°: the errors are {each}. From 350° to 10° is"
        f" {abs(int(wrap(np.asarray(340_000)))) / SCALE:.0f}°, not 340°."
    )
    yield f"**Direction MAE**: (20 + 10 + 10) / 3 = {mean_absolute_direction_error(sums):.1f}°."
    yield (
        f"**Circular bias**: the three errors as unit vectors point to {circular_bias(sums):+.1f}°, with a"
        f" resultant of {resultant(sums):.2f}: steady enough to be reported."
    )
    north, east = Series(_row(0), _row(30)), Series(_row(90), _row(40))
    vectors = VectorError().hourly(north, east).of_days().total()
    yield (
        "**Vector error**: 30 km/h from the north forecast, 40 km/h from the east observed: the arrows' ends"
        f" are {mean_vector_error(vectors):.0f} km/h apart."
    )


def _events() -> Iterator[str]:
    counts = Contingency(*(np.asarray(cell) for cell in (12, 9, 6, 51)))
    rate, independent, by_days = 6 / 57, wilson(6 / 57, 57), wilson(6 / 57, 20)
    yield (
        "Limit 25 km/h. Forecast too strong and was: 12. Forecast too strong and was not: 9. Forecast good"
        " and was too strong: 6. Forecast good and was: 51."
    )
    yield (
        f"**Surprise rate**: 6 of 57 go hours, {100 * rate:.0f} %. Wilson's interval of 57 independent hours"
        f" is {_percent(independent)}; if their days are worth 20 cases, it is {_percent(by_days)}."
    )
    for name, words in (
        ("pod", "POD, too strong and forecast: 12 / 18"),
        ("far", "FAR, forecast too strong and was not: 9 / 21"),
        ("pofd", "POFD, good and forecast too strong: 9 / 60"),
        ("csi", "CSI: 12 / 27"),
        ("frequency_bias", "Frequency bias: 21 / 18"),
        ("ets", "ETS, the CSI without what chance hits"),
        ("hss", "HSS, right calls beyond chance"),
        ("peirce", "Peirce, POD minus POFD"),
        ("sedi", "SEDI, for rare events"),
    ):
        yield f"**{words}** = {getattr(contingency, name)(counts):.2f}."


def _others() -> Iterator[str]:
    corrected = to_station_height(_row(10), 1500.0, 1300.0)
    if corrected is not None:  # None is for unknown elevations only
        yield (
            "**Temperature**: 10 °C at the model's ground of 1500 m, a station at 1300 m:"
            f" 10 + 0.0065 × 200 = {corrected[0, 0] / SCALE:.1f} °C is compared."
        )
    yield f"**Skill**: MAE 4 against 5 for yesterday's observation: 1 - 4 / 5 = {skill_score(4, 5):+.2f}."
    yield f"**Skill** of MAE 6 against 5: {skill_score(6, 5):+.2f}, worse than yesterday's observation."


def _inference() -> Iterator[str]:
    values = (2, 3, 1, 1, 0, -1, 1, -1, 2, 1, 3, 4, 1, 2, 0, 1)
    series = DailySeries(np.array(values) * MICRO, np.ones(len(values), np.bool_))
    departures = series.departures()
    lag_1 = float(departures[:-1] @ departures[1:] / (departures @ departures))
    r = persistence(np.asarray(lag_1), np.asarray(len(values)))
    found = mean_test(series)
    assert found is not None  # noqa: S101  # these days differ from each other
    low, high = found.interval
    days = series.days
    error = float(np.sqrt(departures @ departures / days / (days - 1)))  # of independent days
    reach = float(student_quantile(np.asarray(days - 1))) * error
    yield (
        f"**Interval**: the daily differences {', '.join(map(str, values))} km/h have the mean"
        f" {found.mean:+.2f} and the lag-1 autocorrelation {lag_1:.2f}. Corrected for the few days, and with"
        f" the caution added, that is r = {float(r):.2f}: {days} days are worth"
        f" {found.effective_days:.1f} independent ones, and the interval is {low:+.1f} to {high:+.1f}. Of"
        f" independent days it would be {found.mean - reach:+.1f} to {found.mean + reach:+.1f}."
    )


def _percent(interval: Interval) -> str:
    return f"{100 * interval.low:.0f} to {100 * interval.high:.0f} %"


def _row(*values: float) -> Values:
    return (np.array([values]) * SCALE).astype(np.int32)


# --- Constants ---------------------------------------------------------------------------------------


def constants() -> str:
    """Return every constant as a row of a table: value, unit, reason, and whose choice it is."""
    head = "| Constant | Value | Unit | Why | Source |\n| --- | --- | --- | --- | --- |\n"
    rows = []
    for constant in CONSTANTS:
        value = constant.value
        shown = ", ".join(f"{each:g}" for each in value) if isinstance(value, tuple) else str(value)
        cells = (f"`{constant.name}`", shown, constant.unit, constant.reason, constant.reference or "ours")
        rows.append(f"| {' | '.join(cell.replace('|', '&#124;') for cell in cells)} |\n")
    return head + "".join(rows)


PARTS: dict[str, Callable[[], str]] = {"examples": examples, "constants": constants}


if __name__ == "__main__":
    for name in sys.argv[1:]:
        Path(name).write_text(renewed(Path(name).read_text()))
