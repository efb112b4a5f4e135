"""`meteo-score score`: which forecast to trust at a site, in one sentence, and the figures behind it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Annotated, cast

import typer
from rich.console import Console
from rich.table import Table

from backend.answers.question import InvalidDaysError, Question, make_question
from backend.answers.scores import headline_of, verdict_answer
from backend.answers.service import ReadingParts
from backend.answers.shapes import Ends, ScoredModel, VerdictAnswer, ViewName
from backend.answers.sites import require_site
from backend.answers.withholding import NOTHING
from backend.cli.console import AsJson, print_json
from backend.cli.context import opened
from backend.core.errors import ConfigError
from backend.core.records import Site
from backend.scoring.constants import FALSE_DISCOVERIES
from backend.scoring.grid import Hours
from backend.scoring.inference.comparison import significant_winners
from backend.scoring.names import model_name
from backend.scoring.questions.headline import USUAL_LIMITS, Headline
from backend.scoring.questions.scorecard import Finding
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
    site: Annotated[str | None, typer.Argument(help="Id of a site; default: a list of all sites.")] = None,
    parameter: Annotated[Quantity, typer.Option(help="What to score.")] = Quantity.WIND_SPEED,
    view: Annotated[
        ViewName,
        typer.Option(
            help="When the pilot looks at the forecast (evening_before: 19:00 local time), or its lead time."
        ),
    ] = "evening_before",
    first: Annotated[
        datetime | None,
        typer.Option(
            "--from", formats=["%Y-%m-%d"], help="First local day; default: a year before the last."
        ),
    ] = None,
    last: Annotated[
        datetime | None, typer.Option("--to", formats=["%Y-%m-%d"], help="Last local day; default: today.")
    ] = None,
    hours: Annotated[
        Hours, typer.Option(help="Hours of the local clock to include: flying is 10 to 18, day 08 to 19.")
    ] = Hours.FLYING,
    as_json: AsJson = False,
) -> None:
    """Show which forecast to trust at a site, and how large the errors of each model are."""
    service = cast(
        ReadingParts, opened(context).current()
    )  # a frozen class does not match a protocol of variables
    options = ScoreOptions(
        parameter,
        view,
        None if first is None else first.date(),
        None if last is None else last.date(),
        hours,
    )
    if site is None:
        print_all(find_all(service, options), options, as_json=as_json)
        return
    question = options.question(service, require_site(service.sites(), site))
    answer = verdict_answer(service, question, NOTHING)
    if as_json:
        print_json(answer.model_dump(mode="json"))
    else:
        _print_answer(answer)


@dataclass(frozen=True, slots=True)
class ScoreOptions:
    """The options of a question to each site; the default days are those of the last year."""

    quantity: Quantity = Quantity.WIND_SPEED
    view: str = "evening_before"
    first: date | None = None
    last: date | None = None
    hours: Hours = Hours.FLYING

    def question(self, service: ReadingParts, site: Site) -> Question:
        """Return the question for one site. Raises ConfigError for unusable days."""
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


# --- One site ----------------------------------------------------------------------------------------


def _console() -> Console:
    """Return a console for plain text, which leaves lines of a file whole: rich wraps within words."""
    console = Console(markup=False, highlight=False)
    console.soft_wrap = not console.is_terminal
    return console


def _print_answer(answer: VerdictAnswer) -> None:
    console = _console()
    first, *others = answer.sentences
    checks = (answer.robustness, answer.hourly_means)
    others += [check.sentence for check in checks if check is not None and check.sentence is not None]
    console.print(first, style="bold")
    for sentence in others:
        console.print(sentence)
    entries = [*answer.models, *answer.references]
    if any(entry.score is not None for entry in entries):
        _print_scores(console, entries, answer)
    else:
        console.print(f"{answer.n_days} days so far ({answer.label_text}): no score is shown yet.")
    console.print(f"{answer.site_name}, {answer.first_day} to {answer.last_day}: {answer.common_sample}.")
    stations = [station.coverage for station in answer.stations]
    expected = sum(station.expected for station in stations)
    console.print(
        coverage_sentence(
            sum(station.hours for station in stations) / expected if expected else None,
            {
                entry.model: entry.coverage.share
                for entry in answer.models
                if entry.coverage is not None and entry.coverage.share is not None
            },
            sum(month.complete for month in answer.months),
            len(answer.months),
        )
    )
    for note in answer.notes:
        console.print(note, style="dim")


def _print_scores(console: Console, entries: Iterable[ScoredModel], answer: VerdictAnswer) -> None:
    """Print the table of scores, and what its columns mean."""
    console.print(_table(entries, answer), soft_wrap=False)
    if answer.surprise_limit is not None:
        console.print(
            f"Surprise: share of the hours forecast at {answer.surprise_limit:g} km/h or less that had more."
        )
    if any(map(_on_its_own, entries)):
        console.print("* on its own hours, not comparable with the others.")
    console.print(f"Skill: against {model_name('yesterday')}, above 0 is better.")
    skills = [(entry.name, skill) for entry in answer.models if (skill := entry.skill.get("yesterday"))]
    intervals = [(name, skill.interval) for name, skill in skills if skill.interval is not None]
    within = skill_ends_sentence({name: (ends.low, ends.high) for name, ends in intervals}, "yesterday")
    if within is not None:
        console.print(within)
    for name, skill in skills:
        if skill.skill is not None and skill.skill < 0:
            console.print(f"{name} is {skill.text}.")


_UNIT_NAMES = {"degrees": "°"}
"""Short forms of units that are too long for the head of a column."""


def _table(entries: Iterable[ScoredModel], answer: VerdictAnswer) -> Table:
    quantity = answer.parameter
    surprises = {
        model.model: f"{100 * model.surprises.value:.0f} %"
        for model in answer.contenders
        if model.surprises is not None and model.surprises.value is not None
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
        figures = ["–"] * 5
        if score is not None:
            figures = [
                _shown(score.mae, quantity),
                _interval(score.mae_interval, quantity),
                _shown(score.mean_error, quantity, sign=True),
                _interval(score.mean_error_interval, quantity),
                "–" if score.within is None else f"{100 * score.within:.0f} %",
            ]
        table.add_row(
            entry.name + (" (ours)" if entry.ours else "") + (" *" if _on_its_own(entry) else ""),
            "–" if entry.rank is None else str(entry.rank),
            *figures,
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


def _interval(interval: Ends | None, quantity: Quantity) -> str:
    if interval is None:
        return "–"
    return f"{amount(interval.low, quantity, unit=False)}…{amount(interval.high, quantity, unit=False)}"


# --- All of them -------------------------------------------------------------------------------------


def find_all(service: ReadingParts, options: ScoreOptions) -> list[tuple[Site, Headline]]:
    """Return the headline of every site. Raises ConfigError if there is no site."""
    sites = service.sites()
    if not sites:
        raise ConfigError("there is no site yet: see meteo-score sites add")
    return [(site, headline_of(service, options.question(service, site))) for site in sites]


def print_all(
    headlines: Sequence[tuple[Site, Headline]], options: ScoreOptions, *, as_json: bool = False
) -> None:
    """Print the verdicts of many sites, and which winners are significant among so many."""
    # Of many sites, some have a winner by chance alone.
    significant = significant_winners(
        [headline.verdict.p_value for _, headline in headlines],
        [headline.verdict.finding is Finding.WINNER for _, headline in headlines],
    )
    if as_json:
        print_json(
            [
                _as_dict(site, headline, options, is_significant)
                for (site, headline), is_significant in zip(headlines, significant, strict=True)
            ]
        )
        return
    limit = USUAL_LIMITS.get(options.quantity)
    error = f"Error\n{_UNIT_NAMES.get(options.quantity.unit, options.quantity.unit)}"
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
    for (site, headline), is_significant in zip(headlines, significant, strict=True):
        *figures, surprises, days, label = _row(headline, significant=is_significant)
        table.add_row(site.id, *figures, *([surprises] if limit else []), days, label)
    console = _console()
    console.print(table, soft_wrap=False)
    console.print(f"Average errors in {options.hours.text}.")
    if limit:
        console.print(
            f"Surprise: share of the hours forecast at {limit:g} km/h or less that had more, of both models."
        )
    console.print(
        f"Of the winners above, at most {100 * FALSE_DISCOVERIES.value:.0f} % are expected to be chance"
        " (Benjamini-Hochberg); a (winner) in brackets is not significant after correction for the number of"
        " sites.",
        style="dim",
    )


def _row(headline: Headline, *, significant: bool) -> tuple[str, ...]:
    """Return the finding, both models' errors, their surprise rates ("18/4 %"), the days and the label."""
    verdict, duel = headline.verdict, headline.verdict.duel
    finding, error, against, surprises = "not enough data yet", "–", "–", "–"
    if verdict.finding is Finding.NOT_RANKED:
        finding = "not ranked"
    elif verdict.finding.ranks and duel is not None and duel.score_a is not None and duel.score_b is not None:
        best = model_name(duel.a) if significant else f"({model_name(duel.a)})"
        finding = best if verdict.finding is Finding.WINNER else "too close to call"
        error = amount(duel.score_a, verdict.quantity, unit=False)
        against = f"{model_name(duel.b)} {amount(duel.score_b, verdict.quantity, unit=False)}"
        rates = [_rate(headline, model) for model in (duel.a, duel.b)]
        if rates != [None, None]:
            shares = ("–" if rate is None else f"{100 * rate:.0f}" for rate in rates)
            surprises = f"{'/'.join(shares)} %"
    label = label_name(verdict.size.label, verdict.size.season)
    return finding, error, against, surprises, str(verdict.n_days), label


def _as_dict(site: Site, headline: Headline, options: ScoreOptions, significant: bool) -> dict[str, object]:
    verdict = headline.verdict
    sentences = verdict_sentences(headline, VIEW_OF[options.view])
    duel = None if verdict.best is None else verdict.duel
    return {
        "site": site.id,
        "hours": options.hours,
        "finding": verdict.finding,
        "significantInList": significant,
        "sentence": sentences[0],
        "sentences": sentences,
        "best": verdict.best,
        "second": verdict.second,
        "maeOfBest": None if duel is None else duel.score_a,
        "maeOfSecond": None if duel is None else duel.score_b,
        "surpriseLimit": headline.limit,
        "surprisesOfBest": None if duel is None else _rate(headline, duel.a),
        "surprisesOfSecond": None if duel is None else _rate(headline, duel.b),
        "nPairs": verdict.n_pairs,
        "nDays": verdict.n_days,
        "label": verdict.size.label,
    }


def _rate(headline: Headline, model: str) -> float | None:
    rate = headline.surprises.get(model)
    return None if rate is None else rate.value
