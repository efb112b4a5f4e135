"""`meteo-score score`: which forecast to trust at a site, in one sentence, and what speaks for it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Annotated, cast

import typer
from rich.console import Console
from rich.table import Table

from backend.answers.question import InvalidDaysError, Question, make_question
from backend.answers.scores import headline_of, verdict_answer
from backend.answers.service import ReadingParts
from backend.answers.shapes import ScoredModel, VerdictAnswer, ViewName
from backend.answers.sites import require_site
from backend.answers.withholding import NOTHING
from backend.cli.console import AsJson, print_json
from backend.cli.context import opened
from backend.core.errors import ConfigError
from backend.core.records import Site
from backend.scoring.constants import FALSE_DISCOVERIES
from backend.scoring.hours import Hours
from backend.scoring.intervals import significant_winners
from backend.scoring.names import model_name
from backend.scoring.questions.headline import USUAL_LIMITS, Headline
from backend.scoring.questions.scorecard import Finding, Verdict
from backend.scoring.sample.quantities import Quantity
from backend.scoring.views import VIEW_OF
from backend.scoring.words.sentences import (
    amount,
    coverage_sentence,
    label_name,
    skill_ends_sentence,
    verdict_sentences,
)

app = typer.Typer(add_completion=False)


@app.command()
def score(
    context: typer.Context,
    site: Annotated[str | None, typer.Argument(help="A site's id; without it, every site is listed.")] = None,
    parameter: Annotated[Quantity, typer.Option(help="What to score.")] = Quantity.WIND_SPEED,
    view: Annotated[
        ViewName, typer.Option(help="When the forecast was looked at, or how far ahead it looks.")
    ] = "evening_before",
    first: Annotated[
        datetime | None,
        typer.Option("--from", formats=["%Y-%m-%d"], help="First local day; a year before the last."),
    ] = None,
    last: Annotated[
        datetime | None, typer.Option("--to", formats=["%Y-%m-%d"], help="Last local day; today.")
    ] = None,
    hours: Annotated[
        Hours, typer.Option(help="Hours of the local clock that count: flying is 10 to 18, day 08 to 19.")
    ] = Hours.FLYING,
    as_json: AsJson = False,
) -> None:
    """Say which forecast to trust at a site, and by how much each one is wrong there."""
    service = cast(ReadingParts, opened(context).current())  # a frozen class, and a protocol of variables
    asked = Asked(parameter, view, _day(first), _day(last), hours)
    if site is None:
        print_all(find_all(service, asked), asked, as_json=as_json)
        return
    question = asked.question(service, require_site(service.sites(), site))
    answer = verdict_answer(service, question, NOTHING)
    if as_json:
        print_json(answer.model_dump(mode="json"))
    else:
        _print_answer(answer)


@dataclass(frozen=True, slots=True)
class Asked:
    """What is asked of each site; days that are not given are the last year's."""

    quantity: Quantity = Quantity.WIND_SPEED
    view: str = "evening_before"
    first: date | None = None
    last: date | None = None
    hours: Hours = Hours.FLYING

    def question(self, service: ReadingParts, site: Site) -> Question:
        """Return the question for one site. Raises ConfigError for days that cannot be asked for."""
        try:
            return make_question(
                service,
                site,
                self.quantity,
                VIEW_OF[self.view],
                first=self.first,
                last=self.last,
                hours=self.hours,
            )
        except InvalidDaysError as error:
            raise ConfigError(f"--from, --to: {error}") from error


def _day(given: datetime | None) -> date | None:
    return None if given is None else given.replace(tzinfo=UTC).date()


# --- One site ----------------------------------------------------------------------------------------


def _print_answer(answer: VerdictAnswer) -> None:
    console = Console(markup=False, highlight=False)
    whole = not console.is_terminal  # a terminal would break lines within words
    first, *others = answer.sentences
    console.print(first, style="bold", soft_wrap=whole)
    for sentence in others:
        console.print(sentence, soft_wrap=whole)
    if answer.robustness is not None and answer.robustness.sentence is not None:
        console.print(answer.robustness.sentence, soft_wrap=whole)
    if answer.hourly_means is not None and answer.hourly_means.sentence is not None:
        console.print(answer.hourly_means.sentence, soft_wrap=whole)
    entries = [*answer.models, *answer.references]
    if any(entry.score is not None for entry in entries):
        console.print(_table(entries, answer))
        if answer.surprise_limit is not None:
            console.print(
                f"Surprise: of hours forecast at {answer.surprise_limit:g} km/h or less, those with more.",
                soft_wrap=whole,
            )
        if any(map(_on_its_own, entries)):
            console.print("* on its own hours, not to be compared with the others.", soft_wrap=whole)
        console.print(f"Skill: against {model_name('yesterday')}, above 0 is better.", soft_wrap=whole)
        within = skill_ends_sentence(
            {
                entry.name: (skill.interval.low, skill.interval.high)
                for entry in answer.models
                if (skill := entry.skill.get("yesterday")) is not None and skill.interval is not None
            },
            "yesterday",
        )
        if within is not None:
            console.print(within, soft_wrap=whole)
        for entry in answer.models:
            skill = entry.skill.get("yesterday")
            if skill is not None and skill.skill is not None and skill.skill < 0:
                console.print(f"{entry.name} is {skill.text}.", soft_wrap=whole)
    else:
        console.print(
            f"{answer.n_days} days so far ({answer.label_text}): no score is shown yet.",
            soft_wrap=whole,
        )
    console.print(
        f"{answer.site_name}, {answer.first_day} to {answer.last_day}: {answer.common_sample}.",
        soft_wrap=whole,
    )
    console.print(_coverage(answer), soft_wrap=whole)
    for note in answer.notes:
        console.print(note, style="dim", soft_wrap=whole)


def _coverage(answer: VerdictAnswer) -> str:
    stations = [station.coverage for station in answer.stations]
    expected = sum(each.expected for each in stations)
    return coverage_sentence(
        sum(each.hours for each in stations) / expected if expected else None,
        {
            entry.model: entry.coverage.share
            for entry in answer.models
            if entry.coverage is not None and entry.coverage.share is not None
        },
        sum(month.complete for month in answer.months),
        len(answer.months),
    )


_UNIT_NAMES = {"degrees": "°"}
"""Units that are too long for the head of a column."""


def _table(entries: Iterable[ScoredModel], answer: VerdictAnswer) -> Table:
    quantity = answer.parameter
    surprises = {
        each.model: f"{100 * each.surprises.value:.0f} %"
        for each in answer.contenders
        if each.surprises is not None and each.surprises.value is not None
    }
    unit, tolerance = _UNIT_NAMES.get(quantity.unit, quantity.unit), f"{answer.within_tolerance:g}"
    titles = ["Rank", f"MAE\n{unit}", "\n95 %", f"Bias\n{unit}", "\n95 %", f"Within\n{tolerance} {unit}"]
    if answer.surprise_limit is not None:
        titles.append(f"Surprise\n{answer.surprise_limit:g} km/h")
    table = Table(box=None, pad_edge=False, padding=(0, 1, 0, 0))
    table.add_column("Model", overflow="fold", min_width=14)
    for title in (*titles, "Skill", "Days"):
        table.add_column(title, justify="right", no_wrap=True)
    for entry in entries:
        score = entry.score
        skill = entry.skill.get("yesterday")
        table.add_row(
            entry.name + (" *" if _on_its_own(entry) else ""),
            "–" if entry.rank is None else str(entry.rank),
            _shown(None if score is None else score.mae, quantity),
            _interval(None if score is None else score.mae_interval, quantity),
            _shown(None if score is None else score.mean_error, quantity, sign=True),
            _interval(None if score is None else score.mean_error_interval, quantity),
            "–" if score is None or score.within is None else f"{100 * score.within:.0f} %",
            *([surprises.get(entry.model, "–")] if answer.surprise_limit is not None else []),
            "–" if skill is None or skill.skill is None else f"{skill.skill:+.2f}",
            str(entry.n_days),
        )
    return table


def _on_its_own(entry: ScoredModel) -> bool:
    return entry.score is not None and not entry.on_common_sample


def _shown(value: float | None, quantity: Quantity, *, sign: bool = False) -> str:
    if value is None:
        return "–"
    text = amount(value, quantity, unit=False)
    return f"+{text}" if sign and value > 0 else text


def _interval(interval: object, quantity: Quantity) -> str:
    low, high = getattr(interval, "low", None), getattr(interval, "high", None)
    if low is None or high is None:
        return "–"
    return f"{amount(low, quantity, unit=False)}…{amount(high, quantity, unit=False)}"


# --- All of them -------------------------------------------------------------------------------------


def find_all(service: ReadingParts, asked: Asked) -> list[tuple[Site, Headline]]:
    """Return the verdict of every site. Raises ConfigError while there is none."""
    sites = service.sites()
    if not sites:
        raise ConfigError("there is no site yet: see meteo-score sites add")
    return [(site, headline_of(service, asked.question(service, site))) for site in sites]


def print_all(found: Sequence[tuple[Site, Headline]], asked: Asked, *, as_json: bool = False) -> None:
    """Print the verdicts of many sites, and which winners stand in a list of so many."""
    stands = significant_winners(
        [each.verdict.p_value for _, each in found],
        [each.verdict.finding is Finding.WINNER for _, each in found],
    )
    if as_json:
        print_json(
            [_as_dict(site, each, asked, stand) for (site, each), stand in zip(found, stands, strict=True)]
        )
        return
    limit = USUAL_LIMITS.get(asked.quantity)
    error = f"Error\n{_UNIT_NAMES.get(asked.quantity.unit, asked.quantity.unit)}"
    titles = ["Site", "Verdict", error, "Against", *(["Sur-\nprise"] if limit else []), "Days", "Label"]
    table = Table(box=None, pad_edge=False, padding=(0, 1, 0, 0))
    for title in titles:
        left = title in {"Site", "Verdict", "Against", "Label"}
        table.add_column(
            title,
            justify="left" if left else "right",
            no_wrap=title not in {"Site", "Label"},
            overflow="fold",
            min_width=len("preliminary") if title == "Label" else None,
        )
    for (site, each), stand in zip(found, stands, strict=True):
        verdict, figure, against, *rest = _row(each.verdict, stand=stand)
        table.add_row(site.id, verdict, figure, against, *([_surprises(each)] if limit else []), *rest)
    console = Console(markup=False, highlight=False)
    whole = not console.is_terminal  # a terminal would break lines within words
    console.print(table)
    console.print(f"Average errors in {asked.hours.text}.", soft_wrap=whole)
    if limit:
        console.print(
            f"Surprise: of hours forecast at {limit:g} km/h or less, the share with more; of both models.",
            soft_wrap=whole,
        )
    console.print(
        f"Of the winners above, at most {100 * FALSE_DISCOVERIES.value:.0f} % are expected to be chance "
        "(Benjamini-Hochberg); (winner) in brackets does not stand in a list as long as this.",
        style="dim",
        soft_wrap=whole,
    )


_WITHOUT = {Finding.TOO_CLOSE: "too close to call", Finding.NOT_RANKED: "not ranked"}


def _row(verdict: Verdict, *, stand: bool) -> tuple[str, ...]:
    label = label_name(verdict.size.label, verdict.size.season)
    duel, days = verdict.duel, str(verdict.n_days)
    if verdict.finding is Finding.NOT_RANKED:
        return _WITHOUT[verdict.finding], "–", "–", days, label
    if duel is None or verdict.finding is Finding.NOT_ENOUGH or duel.score_a is None or duel.score_b is None:
        return "not enough data yet", "–", "–", days, label
    best = model_name(duel.a)
    words = best if stand else f"({best})" if verdict.finding is Finding.WINNER else _WITHOUT[verdict.finding]
    figures = amount(duel.score_b, verdict.quantity, unit=False)
    return (
        words,
        amount(duel.score_a, verdict.quantity, unit=False),
        f"{model_name(duel.b)} {figures}",
        days,
        label,
    )


def _as_dict(site: Site, found: Headline, asked: Asked, stands: bool) -> dict[str, object]:
    verdict = found.verdict
    sentences = verdict_sentences(found, VIEW_OF[asked.view])
    duel = None if verdict.best is None else verdict.duel
    return {
        "site": site.id,
        "hours": asked.hours,
        "finding": verdict.finding,
        "standsInTheList": stands,
        "sentence": sentences[0],
        "sentences": sentences,
        "best": verdict.best,
        "second": verdict.second,
        "maeOfBest": None if duel is None else duel.score_a,
        "maeOfSecond": None if duel is None else duel.score_b,
        "surpriseLimit": found.limit,
        "surprisesOfBest": None if duel is None else _rate(found, duel.a),
        "surprisesOfSecond": None if duel is None else _rate(found, duel.b),
        "nPairs": verdict.n_pairs,
        "nDays": verdict.n_days,
        "label": verdict.size.label,
    }


def _surprises(found: Headline) -> str:
    """Return how often each of the two models was a bad surprise: "18/4 %"."""
    duel = found.verdict.duel
    if duel is None or not found.verdict.finding.ranks:
        return "–"
    rates = [_rate(found, model) for model in (duel.a, duel.b)]
    if rates == [None, None]:
        return "–"
    return "/".join("–" if rate is None else f"{100 * rate:.0f}" for rate in rates) + " %"


def _rate(found: Headline, model: str) -> float | None:
    rate = found.surprises.get(model)
    return None if rate is None else rate.value
