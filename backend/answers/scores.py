"""Answers about scores, built once for the API and the command line."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any

from backend.answers.attribution import forecast_attribution, network_attribution
from backend.answers.base import WithheldSource
from backend.answers.question import Question, load
from backend.answers.service import ReadingParts
from backend.answers.shapes import (
    BetterMean,
    ComparisonAnswer,
    Contender,
    Coverage,
    Duel,
    Ends,
    Group,
    GroupEntry,
    HourlyMeans,
    Month,
    Rate,
    Robustness,
    ScoredModel,
    ScoresAnswer,
    ScoreValues,
    SecondOpinion,
    ShareEnds,
    Skill,
    StudentTest,
    VerdictAnswer,
)
from backend.answers.withholding import Withholding
from backend.core.local_time import date_of, month_days
from backend.core.parameters import Parameter
from backend.core.records import network_of
from backend.scoring.constants import CONFIDENCE, WITHIN
from backend.scoring.grid import Values, present
from backend.scoring.intervals import Interval
from backend.scoring.metrics import contingency
from backend.scoring.names import model_name
from backend.scoring.public.figures import (
    BY_FORECAST,
    public_duel,
    public_group,
    public_headline,
    public_means,
    public_robustness,
    public_score,
    public_verdict,
    rounded_count,
)
from backend.scoring.public.windows import without_reasons
from backend.scoring.questions.group_scores import group_scores
from backend.scoring.questions.headline import Headline, beacon, headline
from backend.scoring.questions.model_scores import ModelScore, ScoreSet, days_with
from backend.scoring.questions.robustness import robustness, with_hourly_means
from backend.scoring.questions.scorecard import METHOD_VERSION, PairOfModels, Scorecard, Verdict, common_words
from backend.scoring.sample import coverage as coverages
from backend.scoring.sample.coverage import Covered
from backend.scoring.sample.quantities import Quantity
from backend.scoring.sample.sample import Sample
from backend.scoring.sample.strata import TEXTS, Stratum
from backend.scoring.sample_size import SampleLabel, SampleSize, sample_of
from backend.scoring.words.caveats import may_headline, notes
from backend.scoring.words.sentences import (
    confidence_words,
    label_name,
    means_sentence,
    public_shortage_sentence,
    public_words,
    robustness_sentence,
    rounded_words,
    skill_words,
    tendency,
    verdict_sentences,
    view_name,
)
from backend.storage.database import to_epoch


def verdict_answer(service: ReadingParts, question: Question, withheld: Withholding) -> VerdictAnswer:
    """Return which forecast to trust, and what speaks for it."""
    sample = load(service, question)
    had = coverage_of(service, question, sample)
    exact = Scorecard(sample).verdict(question.quantity)
    found = public_verdict(exact) if question.public else exact
    beside = headline(sample, found)
    if question.public:
        beside = public_headline(beside)
    sentences = _sentences(question, exact, beside)
    duel = found.duel if found.finding.ranks else None
    second_opinions = hourly_means = None
    if duel is not None:
        averaged = with_hourly_means(sample, question.quantity, found)
        if averaged is not None and question.public:
            averaged = public_means(question.quantity, averaged)
        if averaged is not None:
            hourly_means = HourlyMeans(
                sentence=means_sentence(averaged, found),
                n_pairs=averaged.n_pairs,
                n_days=averaged.n_days,
                difference=averaged.difference,
                outcome=averaged.outcome,
                same_finding=averaged.same,
            )
        asked_elsewhere = robustness(sample, question.quantity, duel)
        if question.public:
            asked_elsewhere = public_robustness(question.quantity, asked_elsewhere)
        second_opinions = Robustness(
            sentence=robustness_sentence(asked_elsewhere, found.finding),
            agreeing=asked_elsewhere.agreeing,
            counted=asked_elsewhere.counted,
            stations=[SecondOpinion.model_validate(each) for each in asked_elsewhere.stations],
        )
    return VerdictAnswer(
        **common_fields(
            service,
            question,
            sample,
            found.size,
            found.n_pairs,
            found.common_sample,
            terms=withheld,
            had=had,
            hidden=taking_part(withheld, [sample], sample.stations),
        ),
        finding=found.finding,
        sentence=sentences[0],
        sentences=list(sentences),
        contenders=[_contender(beside, model, public=question.public) for model in found.compared],
        within_tolerance=WITHIN[question.quantity.parameter].value,
        surprise_limit=beside.limit,
        better_mean=None
        if beside.model_mean is None
        else BetterMean(
            average_error=beside.model_mean.score.mae or 0.0, within=beside.model_mean.score.within
        ),
        may_headline=may_headline(sample, question.quantity),
        best=found.best,
        second=found.second,
        duel=None if duel is None else duel_entry(duel, question.quantity, public=question.public),
        models=_entries(question, found.models, _on_common_sample(exact), had, references=False),
        references=_entries(question, found.models, _on_common_sample(exact), had, references=True),
        robustness=second_opinions,
        hourly_means=hourly_means,
    )


def _sentences(question: Question, exact: Verdict, found: Headline) -> tuple[str, ...]:
    if question.public and found.verdict.finding is not exact.finding:
        first, *more = (public_shortage_sentence(exact, question.view),)
    else:
        first, *more = verdict_sentences(found, question.view)
    return (first if question.remark is None else f"{first} {question.remark}", *more)


def _contender(found: Headline, model: str, *, public: bool) -> Contender:
    size = found.verdict.size
    score = next(each.score for each in found.verdict.models if each.model == model)
    surprises = found.surprises.get(model)
    return Contender(
        model=model,
        name=model_name(model),
        average_error=score.mae if size.shows_values else None,
        within=score.within if size.shows_values else None,
        surprises=None if surprises is None else rate_entry(surprises, public=public),
    )


def rate_entry(rate: contingency.Rate, *, public: bool = False) -> Rate:
    """Return a rate as it is shown; to the `public` without its counts."""
    found = rate.interval
    interval = None if found is None else ShareEnds(low=found.low, high=found.high)
    count, of = (None, None) if public else (rate.count, rate.of)
    return Rate(count=count, of=of, value=rate.value, interval=interval)


def comparison_answer(service: ReadingParts, question: Question, withheld: Withholding) -> ComparisonAnswer:
    """Return every two models on the hours that both have, and all of them where that is fair."""
    sample = load(service, question)
    had = coverage_of(service, question, sample)
    card = Scorecard(sample)
    exact = found = card.verdict(question.quantity)
    duels = card.duels(question.quantity)
    largest = max((duel.n_pairs for duel in duels), default=0)
    if question.public:
        found = public_verdict(exact)
        duels = tuple(public_duel(question.quantity, duel) for duel in duels)
    return ComparisonAnswer(
        **common_fields(
            service,
            question,
            sample,
            found.size,
            found.n_pairs,
            found.common_sample,
            terms=withheld,
            had=had,
            hidden=taking_part(withheld, [sample], sample.reference_days),
        ),
        common_sample_share=exact.n_pairs / largest
        if largest and len(exact.compared) > 1 and not question.public
        else None,
        compared=list(found.compared),
        duels=[duel_entry(duel, question.quantity, public=question.public) for duel in duels],
        models=_entries(question, found.models, _on_common_sample(exact), had, references=False),
        references=_entries(question, found.models, _on_common_sample(exact), had, references=True),
    )


def scores_answer(
    service: ReadingParts,
    question: Question,
    withheld: Withholding,
    *,
    model: str | None = None,
    stratum: Stratum | None = None,
) -> ScoresAnswer:
    """Return each model on its own pairs, in groups where a stratum is asked for."""
    sample = load(service, question, model=model)
    had = coverage_of(service, question, sample)
    card = Scorecard(sample)
    asked = card.models() if model is None else (model,)
    scored = card.scores(question.quantity, models=asked)
    size, n_pairs, words = common_of(card, question)
    if question.public:
        scored = tuple(public_score(question.quantity, each) for each in scored)
    found: list[Group] = []
    if stratum is not None:
        in_order = [each.model for each in scored if not each.reference]
        found = _groups(sample, question, withheld, stratum, in_order)
    return ScoresAnswer(
        **common_fields(
            service,
            question,
            sample,
            size,
            n_pairs,
            words,
            terms=withheld,
            had=had,
            hidden=taking_part(withheld, [sample], sample.reference_days),
        ),
        stratum=stratum,
        stratum_text=None if stratum is None else TEXTS[stratum],
        models=_entries(question, scored, (), had, references=False),
        references=_entries(question, scored, (), had, references=True),
        groups=found,
    )


def _groups(
    sample: Sample, question: Question, withheld: Withholding, stratum: Stratum, models: Sequence[str]
) -> list[Group]:
    of_model = {name: group_scores(sample, question.quantity, stratum, name) for name in models}
    if question.public:
        # How often a withheld model forecast a group is a histogram of its values.
        hidden = set(withheld.models) if stratum in BY_FORECAST else set()
        of_model = {
            name: {
                group: None if name in hidden else public_group(question.quantity, found)
                for group, found in groups.items()
            }
            for name, groups in of_model.items()
        }
    names = next(iter(of_model.values()), {})
    return [
        Group(
            group=group,
            models=[
                GroupEntry(model=name, name=model_name(name), shown=False, entry=None)
                if (found := of_model[name][group]) is None
                else GroupEntry(
                    model=name,
                    name=model_name(name),
                    shown=True,
                    entry=_entry(question, found, common=False, shown=True),
                )
                for name in models
            ],
        )
        for group in names
    ]


# --- Parts -------------------------------------------------------------------------------------------


def common_fields(
    service: ReadingParts,
    question: Question,
    sample: Sample,
    size: SampleSize,
    n_pairs: int,
    common_sample: str,
    *,
    terms: Withholding,
    had: Covered | None = None,
    hidden: Collection[str] = (),
    withheld: Sequence[WithheldSource] = (),
) -> dict[str, Any]:
    """Return what every answer says of the question, the sample and itself.

    `terms` say what is kept back from the caller: why a reading was set aside is as good as its value.
    `hidden` are the withheld sources that its figures rest on, `withheld` those whose values it leaves out.
    """
    sample = without_reasons(sample, terms.networks)
    networks = {network_of(code) for code in sample.reference_days}
    had = coverage_of(service, question, sample) if had is None else had
    return {
        "site": question.site.id,
        "site_name": question.site.name,
        "stations": [
            {
                "station": code,
                "name": sample.stations[code].station.name or None,
                "elevation": sample.stations[code].station.elevation,
                "distance_km": _rounded(place.distance, 3),
                "height_difference": _rounded(place.height, 1),
                "days": int(days.sum()),
                "coverage": Coverage.model_validate(had.stations[code]),
                "doubted": {
                    reason: count
                    for (parameter, reason), count in sample.stations[code].doubted.items()
                    if parameter is question.quantity.parameter
                },
            }
            for code, days in sample.reference_days.items()
            for place in [beacon(sample.site, sample.stations[code].station)]
        ],
        "months": [
            Month(
                month=f"{date_of(month_days(each.number)[0]):%Y-%m}",
                hours=each.coverage.hours,
                expected=each.coverage.expected,
                complete=each.complete,
            )
            for each in had.months
        ],
        "view": question.view.name,
        "view_text": view_name(question.view),
        "hours": question.hours,
        "hours_text": question.hours.text,
        "parameter": question.quantity,
        "unit": question.quantity.unit,
        "first_day": date_of(question.first),
        "last_day": date_of(question.last),
        "n_pairs": rounded_count(n_pairs) if question.public else n_pairs,
        "n_days": size.days,
        "label": size.label,
        "season": size.season,
        "label_text": label_name(size.label, size.season),
        "common_sample": common_sample,
        "confidence": CONFIDENCE.value,
        "interval_method": confidence_words(),
        "notes": [
            *([] if question.remark is None else [question.remark]),
            *([_rounded_words(question, hidden)] if hidden else []),
            *notes(sample, question.quantity),
        ],
        "rounded": bool(hidden) or question.public,
        "withheld": [*withheld, *question.named],
        "attribution": [
            *forecast_attribution(service, set(sample.forecasts)),
            *network_attribution(service, networks),
        ],
        "method_version": METHOD_VERSION,
        "generated_at": service.clock(),
    }


def _rounded_words(question: Question, hidden: Collection[str]) -> str:
    return (public_words if question.public else rounded_words)(sorted(hidden))


def coverage_of(service: ReadingParts, question: Question, sample: Sample) -> Covered:
    """Return how much of what could be had by now was had."""
    return coverages.covered(sample, question.quantity, to_epoch(service.clock()))


def taking_part(withheld: Withholding, samples: Iterable[Sample], stations: Iterable[str]) -> set[str]:
    """Return the withheld sources that have values in these samples, of models and of these stations.

    The samples are one question in several views, and so have the same stations.
    """
    found: set[str] = set()
    for sample in samples:
        networks = {code: network_of(code) for code in stations if _has_any(sample.stations[code].observed)}
        found |= withheld.networks.intersection(networks.values())
        found |= {
            source
            for model, source in withheld.models.items()
            if model in sample.all_forecasts and _has_any(sample.all_forecasts[model])
        }
    return found


def _has_any(values: Mapping[Parameter, Values]) -> bool:
    return any(bool(present(of_parameter).any()) for of_parameter in values.values())


def common_of(card: Scorecard, question: Question) -> tuple[SampleSize, int, str]:
    """Return the common sample of the models that can be compared: its days, its pairs and its words."""
    compared, shared = card.common(question.quantity)
    size = sample_of(days_with(shared), card.sample.months)
    return size, int(shared.sum()), common_words(compared, card.sample, question.quantity)


def _on_common_sample(found: Verdict) -> set[str]:
    """Return the models, and the references, whose scores are of all the hours that the models share."""
    return {
        each.model
        for each in found.models
        if each.model in found.compared or (each.reference and each.n_pairs == found.n_pairs)
    }


def duel_entry(duel: PairOfModels, quantity: Quantity, *, public: bool) -> Duel:
    """Return a duel as it is shown: with values, and then with an outcome, only where its days allow any."""
    shown = duel.size.shows_values
    comparison = duel.comparison
    test = comparison.test
    return Duel(
        a=duel.a,
        b=duel.b,
        name_a=model_name(duel.a),
        name_b=model_name(duel.b),
        n_pairs=duel.n_pairs,
        n_days=duel.n_days,
        label=duel.size.label,
        season=duel.size.season,
        score_a=duel.score_a if shown else None,
        score_b=duel.score_b if shown else None,
        difference=comparison.difference if shown else None,
        interval=ends(test.interval) if shown and test is not None else None,
        test=StudentTest.model_validate(test) if shown and not public and test is not None else None,
        outcome=comparison.outcome if duel.size.may_rank and quantity.is_ranked else None,
    )


def _entries(
    question: Question,
    models: Iterable[ModelScore],
    compared: Collection[str],
    had: Covered,
    *,
    references: bool,
) -> list[ScoredModel]:
    return [
        _entry(
            question,
            each,
            common=each.model in compared,
            shown=each.label is not SampleLabel.COLLECTING,
            had=had,
        )
        for each in models
        if each.reference is references
    ]


def _entry(
    question: Question, each: ModelScore, *, common: bool, shown: bool, had: Covered | None = None
) -> ScoredModel:
    score = each.score
    coverage = None if had is None else had.models.get(each.model)
    return ScoredModel(
        model=each.model,
        name=model_name(each.model),
        rank=each.rank,
        on_common_sample=common,
        n_pairs=each.n_pairs,
        n_days=each.n_days,
        own_pairs=_own_pairs(question, each.model, had),
        effective_pairs=each.effective_pairs,
        label=each.label,
        season=each.season,
        coverage=None if coverage is None else Coverage.model_validate(coverage),
        estimated_hours=each.estimated_hours,
        tendency=tendency(question.quantity, score.mean_error, score.mean_error_interval) if shown else None,
        score=ScoreValues.model_validate(score) if shown and score != ScoreSet() else None,
        skill={
            name: Skill(
                skill=found.skill,
                interval=None if found.interval is None else ShareEnds.model_validate(found.interval),
                text=skill_words(found, name),
                used=found.used,
                left_out=found.left_out,
            )
            for name, found in each.skill.items()
        }
        if shown
        else {},
    )


def _own_pairs(question: Question, model: str, had: Covered | None) -> int | None:
    pairs = None if had is None else had.pairs.get(model)
    return rounded_count(pairs) if question.public and pairs is not None else pairs


def ends(interval: Interval | None) -> Ends | None:
    """Return an interval as it is shown."""
    return None if interval is None else Ends(low=interval.low, high=interval.high)


def headline_of(service: ReadingParts, question: Question) -> Headline:
    """Return the verdict and what belongs beside it, for lists of many sites."""
    sample = load(service, question)
    return headline(sample, Scorecard(sample).verdict(question.quantity))


def _rounded(value: float | None, decimals: int) -> float | None:
    return None if value is None else round(value, decimals)
