"""`meteo-score forecast`: tomorrow at a site, corrected by the past errors of all models, on trial."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, cast

import typer
from rich.console import Console
from rich.table import Table

from backend.answers.service import ReadingParts
from backend.answers.sites import require_site
from backend.answers.trial_forecast import TrialDay, TrialForecast, TrialState, trial_day
from backend.answers.withholding import NOTHING
from backend.cli.console import AsJson, print_json
from backend.cli.context import opened
from backend.scoring.names import model_name

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
    as_json: AsJson = False,
) -> None:
    """Show a forecast from all models, corrected by their past errors at a site. It is on trial.

    It is computed from the stored days at each call, with 8 of 10 past errors as its interval. It is not
    issued, and not yet proven better than the best model.
    """
    service = cast(ReadingParts, opened(context).current())  # as in score.py
    answer = trial_day(service, require_site(service.sites(), site), list(ComingDay).index(day), NOTHING)
    if as_json:
        print_json(answer.model_dump(mode="json"))
        return
    console = Console(markup=False, highlight=False)
    console.soft_wrap = not console.is_terminal
    console.print(f"{answer.site_name}, {answer.day}, in km/h (view {answer.view}): on trial", style="bold")
    of_names = (("mean wind", answer.wind_speed), ("gust", answer.wind_gust))
    if any(each.hours for _, each in of_names):
        console.print(_table(answer), soft_wrap=False)
    for name, each in of_names:
        console.print(_sentence(name, each))


def _table(answer: TrialDay) -> Table:
    """Return the hours of the day with any value."""
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    table.add_column("Hour", no_wrap=True)
    parts = [each for each in (answer.wind_speed, answer.wind_gust) if each.hours]
    for each in parts:
        name = "Wind" if each is answer.wind_speed else "Gust"
        for title in (name, "8 of 10", model_name(each.best) if each.best else "best model"):
            table.add_column(title, justify="right", no_wrap=True)
    for hours in zip(*(each.hours for each in parts), strict=True):
        if all(hour.value is None for hour in hours):
            continue
        cells = []
        for hour in hours:
            interval = "–" if hour.p10 is None or hour.p90 is None else f"{hour.p10:.0f} to {hour.p90:.0f}"
            cells += [_whole(hour.value), interval, _whole(hour.best_model)]
        table.add_row(f"{hours[0].hour:02d}:00", *cells)
    return table


def _whole(value: float | None) -> str:
    return "–" if value is None else f"{value:.0f}"


def _sentence(name: str, of: TrialForecast) -> str:
    """Return what the trial of a parameter rests on, or why there is none."""
    if of.state is TrialState.NO_STATION:
        return f"{name}: the site has no reference station, so nothing can be learned."
    if of.state is TrialState.NO_MODEL:
        return f"{name}: no model has values for this day."
    if of.state is TrialState.TOO_FEW_DAYS:
        return f"{name}: {of.n_days} days with readings so far, {of.least_days} are needed."
    text = f"{name}: learned from {of.n_days} days."
    if of.mean_error_size is None or of.best_error_size is None or of.within is None:
        return f"{text} No day before had an interval yet."
    return (
        f"{text} Replayed, it was off by {of.mean_error_size:.1f} on average and the best model so far by"
        f" {of.best_error_size:.1f}; {100 * of.within:.0f} % of the hours of {of.within_days} days were"
        " within the interval."
    )
