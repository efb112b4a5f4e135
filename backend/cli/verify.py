"""`meteo-score verify`: how good the forecasts were that this service issued."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, cast

import typer
from rich.console import Console
from rich.table import Table

from backend.answers.forecast_verification import (
    USUAL_DAYS,
    ChanceVerification,
    DayFigure,
    ParameterVerification,
    verification_answer,
)
from backend.answers.question import InvalidDaysError, chosen_days
from backend.answers.service import ReadingParts
from backend.answers.shapes import DecisionViewName
from backend.answers.sites import require_site
from backend.answers.withholding import NOTHING
from backend.cli.console import AsJson, print_json
from backend.cli.context import opened
from backend.core.errors import ConfigError
from backend.scoring.constants import USUAL_GUST_LIMIT, USUAL_WIND_LIMIT
from backend.scoring.grid import Hours
from backend.scoring.views import VIEW_OF, DecisionView

app = typer.Typer(add_completion=False)

REFERENCE_NAMES = {
    "best_model": "best model so far",
    "best_model_dressed": "the same, dressed",
    "yesterday": "yesterday",
    "placebo": "placebo",
}


@app.command()
def verify(
    context: typer.Context,
    site: Annotated[str | None, typer.Argument(help="Id of a site; default: all sites together.")] = None,
    view: Annotated[
        DecisionViewName, typer.Option(help="When the forecast was issued: evening_before is 19:00.")
    ] = "evening_before",
    first: Annotated[
        datetime | None,
        typer.Option(
            "--from",
            formats=["%Y-%m-%d"],
            help=f"First local day; default: {USUAL_DAYS} days up to the last.",
        ),
    ] = None,
    last: Annotated[
        datetime | None, typer.Option("--to", formats=["%Y-%m-%d"], help="Last local day; default: today.")
    ] = None,
    hours: Annotated[
        Hours, typer.Option(help="Hours of the local clock to include: flying is 10 to 18, day 08 to 19.")
    ] = Hours.ALL,
    limit: Annotated[float, typer.Option(help="Limit of the mean wind, km/h.")] = USUAL_WIND_LIMIT.value,
    gust_limit: Annotated[float, typer.Option(help="Limit of gusts, km/h.")] = USUAL_GUST_LIMIT.value,
    as_json: AsJson = False,
) -> None:
    """Show how good the issued forecasts were: error, interval and chances, beside named references.

    Only what was issued for everyone and in time counts, as it was issued. Intervals in brackets are 95 %
    intervals in which a day is one value.
    """
    service = cast(ReadingParts, opened(context).current())  # as in score.py
    sites = service.sites() if site is None else (require_site(service.sites(), site),)
    if not sites:
        raise ConfigError("there is no site yet: see meteo-score sites add")
    try:
        begin, end = chosen_days(
            service,
            *(None if day is None else day.replace(tzinfo=UTC).date() for day in (first, last)),
            usual=USUAL_DAYS,
        )
    except InvalidDaysError as error:
        raise ConfigError(f"--from, --to: {error}") from error
    answer = verification_answer(
        service,
        sites,
        cast(DecisionView, VIEW_OF[view]),
        begin,
        end,
        NOTHING,
        hours=hours,
        limit=limit,
        gust_limit=gust_limit,
    )
    if as_json:
        print_json(answer.model_dump(mode="json"))
        return
    console = Console(markup=False, highlight=False)
    console.soft_wrap = not console.is_terminal
    place = answer.site_name or f"{answer.n_sites} sites"
    console.print(
        f"{place}, issued {answer.view_text}, {answer.first_day} to {answer.last_day}, {hours.text}",
        style="bold",
    )
    if not answer.parameters:
        console.print("No forecast that was issued for everyone and in time has a reading yet.")
    for of_parameter in answer.parameters:
        _print_parameter(console, of_parameter)
    if answer.day_chance is not None:
        console.print(f"Chance of the day: {_chance_words(answer.day_chance, 'days')}")


def _print_parameter(console: Console, of: ParameterVerification) -> None:
    name, unit = of.parameter.value.replace("_", " "), of.unit.partition(" ")[0]
    console.print(f"\n{name}, {of.n_hours} hours, in {unit}", style="bold")
    table = Table(box=None, pad_edge=False, padding=(0, 1, 0, 0))
    table.add_column("", no_wrap=True)
    for title in ("MAE", "Ours minus it", "CRPS", "Ours minus it", "Interval\nscore", "Held"):
        table.add_column(title, justify="right", no_wrap=True)
    table.add_row(
        "MétéoScore (ours)",
        _mean(of.mae),
        "",
        _mean(of.crps),
        "",
        _mean(of.interval_score),
        _share(of.coverage),
    )
    for each in of.references:
        table.add_row(
            REFERENCE_NAMES[each.reference],
            _mean(each.mae),
            _with_ends(each.mae_difference),
            _mean(each.crps),
            _with_ends(each.crps_difference),
            _mean(each.interval_score),
            _share(each.coverage),
        )
    console.print(table, soft_wrap=False)
    if of.coverage is not None and of.width is not None:
        low, high = of.coverage.low, of.coverage.high
        ends = "" if low is None or high is None else f" ({100 * low:.0f}…{100 * high:.0f})"
        console.print(
            f"Intervals of {of.width.mean:.1f} {unit} held for {_share(of.coverage)} of hours on"
            f" {of.coverage.n_days} days{ends}; by randomised PIT"
            f" {_share(of.coverage_by_pit)}."
        )
        console.print(f"PIT by tenths: {' '.join(f'{100 * share:.0f}' for share in of.pit)} %.")
    if of.chance is not None and of.limit is not None:
        console.print(f"Chance of more than {of.limit:g} {unit}: {_chance_words(of.chance, 'hours')}")


def _chance_words(of: ChanceVerification, units: str) -> str:
    """Return the Brier score and the reliability of chances in words."""
    bins = "; ".join(
        f"{100 * each.chance:.0f} % announced, {_share(each.happened)} came ({each.n_cases})"
        for each in of.bins
        if each.chance is not None
    )
    return (
        f"Brier {of.brier.mean:.3f}, {of.same_chance:.3f} for always {100 * of.share:.0f} %, over"
        f" {of.n_cases} {units} on {of.brier.n_days} days. {bins}."
    )


def _mean(figure: DayFigure | None) -> str:
    return "–" if figure is None else f"{figure.mean:.2f}"


def _with_ends(figure: DayFigure | None) -> str:
    if figure is None:
        return "–"
    ends = "" if figure.low is None or figure.high is None else f" ({figure.low:+.1f}…{figure.high:+.1f})"
    return f"{figure.mean:+.2f}{ends}"


def _share(figure: DayFigure | None) -> str:
    return "–" if figure is None else f"{100 * figure.mean:.0f} %"
