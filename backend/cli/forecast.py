"""`meteo-score forecast`: a coming day at a site, corrected by the past errors of all models."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from enum import StrEnum
from typing import Annotated, cast

import typer
from rich.console import Console
from rich.table import Table

from backend.answers.forecast import forecast_answer
from backend.answers.forecast_shapes import ForecastAnswer, ForecastHour, ForecastState, ParameterForecast
from backend.answers.forecast_words import day_words, parameter_words, record_words, share_words
from backend.answers.service import ReadingParts
from backend.answers.sites import require_site
from backend.answers.withholding import NOTHING
from backend.cli.console import AsJson, print_json
from backend.cli.context import opened
from backend.core.clock import PARIS
from backend.scoring.constants import LEAST_LIMIT, MOST_LIMIT, USUAL_GUST_LIMIT, USUAL_WIND_LIMIT

app = typer.Typer(add_completion=False)


class ComingDay(StrEnum):
    """A day that forecasts are made for."""

    TODAY = "today"
    TOMORROW = "tomorrow"
    DAY_AFTER = "day_after"


@app.command()
def forecast(
    context: typer.Context,
    site: Annotated[str, typer.Argument(help="Id of a site.")],
    day: Annotated[ComingDay, typer.Option(help="The local day to forecast.")] = ComingDay.TOMORROW,
    limit: Annotated[
        float,
        typer.Option(min=LEAST_LIMIT.value, max=MOST_LIMIT.value, help="Your limit of mean wind, km/h."),
    ] = USUAL_WIND_LIMIT.value,
    gust_limit: Annotated[
        float, typer.Option(min=LEAST_LIMIT.value, max=MOST_LIMIT.value, help="Your limit of gusts, km/h.")
    ] = USUAL_GUST_LIMIT.value,
    as_json: AsJson = False,
) -> None:
    """Show the forecast of a coming day from all models, corrected by their past errors.

    Where it is not yet proven better than the best model, the best model is shown with the reason. Without an
    issued forecast it is computed from the stored days, and marked as a trial.
    """
    service = cast(ReadingParts, opened(context).current())  # as in score.py
    place = require_site(service.sites(), site)

    def of_day(ahead: int, *, on_demand: bool) -> ForecastAnswer:
        today = service.clock().astimezone(PARIS).date()
        return forecast_answer(
            service,
            place,
            today + timedelta(days=ahead),
            NOTHING,
            limit=limit,
            gust_limit=gust_limit,
            on_demand=on_demand,
        )

    chosen = list(ComingDay).index(day)
    answer = of_day(chosen, on_demand=True)
    if as_json:
        print_json(answer.model_dump(mode="json"))
        return
    console = Console(markup=False, highlight=False)
    console.soft_wrap = not console.is_terminal
    marked = ": on trial" if answer.wind_speed.state is ForecastState.TRIAL else ""
    console.print(f"{answer.site_name}, {answer.day}, in km/h (view {answer.view}){marked}", style="bold")
    if any(each.hours for each in answer.winds):
        console.print(_table(answer), soft_wrap=False)
    for name, each in zip(("Mean wind", "Gust"), answer.winds, strict=True):
        console.print(f"{name}: {parameter_words(each)}")
    if answer.wind_direction is not None:
        console.print(f"Direction: {parameter_words(answer.wind_direction)}")
    if answer.learning_restarted is not None:
        console.print(answer.learning_restarted.text)
    if answer.wind_speed.record is not None:
        console.print(record_words(answer.wind_speed.record))
    for ahead in range(len(ComingDay)):
        console.print(day_words(answer if ahead == chosen else of_day(ahead, on_demand=False)))


def _table(answer: ForecastAnswer) -> Table:
    """Return the hours of the day with any value, within 80 columns."""
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    table.add_column("Hour", no_wrap=True)
    limits = (answer.limit, answer.gust_limit)
    rows: dict[int, list[str]] = {}
    for name, each, limit in zip(("Wind", "Gust"), answer.winds, limits, strict=True):
        corrected = each.state.has_values
        titles = (name, "8 of 10", f">{limit:g}") if corrected else (f"{name}, {each.best_name}",)
        if not each.hours:
            continue
        for title in titles:
            table.add_column(title, justify="right", no_wrap=True)
        for hour in each.hours:
            cells = rows.setdefault(int(hour.valid_time.timestamp()), [f"{hour.hour:02d}:00"])
            if corrected:
                ends = "–" if hour.p10 is None or hour.p90 is None else f"{hour.p10:.0f} to {hour.p90:.0f}"
                cells += [_whole(hour.value), ends, _chance(hour)]
            else:
                cells.append(_whole(hour.best_model))
    if answer.wind_direction is not None:
        _add_directions(table, rows, answer.wind_direction)
    for cells in rows.values():
        if any(cell != "–" for cell in cells[1:]):
            table.add_row(*cells)
    return table


def _add_directions(table: Table, rows: Mapping[int, list[str]], directions: ParameterForecast) -> None:
    """Add where the wind comes from, in degrees, and the arc of 8 times in 10, clockwise."""
    corrected = directions.state.has_values
    titles = ("From", "8 of 10") if corrected else (f"From, {directions.best_name}",)
    for title in titles:
        table.add_column(title, justify="right", no_wrap=True)
    of_hours = {int(hour.valid_time.timestamp()): hour for hour in directions.hours}
    for time, cells in rows.items():
        hour = of_hours.get(time)
        cells.append("–" if hour is None or hour.shown is None else _degrees(hour.shown))
        if corrected:
            cells.append(_arc(hour))


def _arc(hour: ForecastHour | None) -> str:
    if hour is None or hour.value is None or hour.p10 is None or hour.p90 is None:
        return "–"
    return f"{_degrees(hour.value + hour.p10)} to {_degrees(hour.value + hour.p90)}"


def _degrees(value: float) -> str:
    return f"{round(value) % 360}°"


def _whole(value: float | None) -> str:
    return "–" if value is None else f"{value:.0f}"


def _chance(hour: ForecastHour) -> str:
    """Return the chance of more than the limit, or below 30 days its counts."""
    if hour.chance is not None:
        return share_words(hour.chance)
    return "–" if hour.chance_days is None else f"{hour.days_above} of {hour.chance_days}"
