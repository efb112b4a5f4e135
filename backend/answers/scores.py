"""Answers about scores, built once for the API and the command line."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
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
from backend.core.records import network_of
from backend.scoring.constants import CONFIDENCE, WITHIN
from backend.scoring.grid import present
from backend.scoring.intervals import Interval
from backend.scoring.metrics import contingency
from backend.scoring.names import is_ours, model_name
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
from backend.scoring.questions.headline import Headline, beacon, headline, robustness, with_hourly_means
from backend.scoring.questions.model_scores import ModelScore, ScoreSet
from backend.scoring.questions.scorecard import METHOD_VERSION, PairOfModels, Scorecard, Verdict, common_words
from backend.scoring.sample import coverage as coverages
from backend.scoring.sample.coverage import Covered
from backend.scoring.sample.quantities import Quantity, QuantitySample
from backend.scoring.sample.sample import Sample
from backend.scoring.sample.strata import TEXTS, Stratum
from backend.scoring.sample_size import SampleSize, sample_of
from backend.scoring.words.caveats import far_models, notes
from backend.scoring.words.sentences import (
    CONFIDENCE_WORDS,
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
    """Return which forecast to trust, with the evidence."""
    sample = load(service, question)
    covered = coverage_of(service, question, sample)
    exact = Scorecard(sample).verdict(question.quantity)
    verdict = public_verdict(exact) if question.public else exact
    details = headline(sample, verdict)
    if question.public:
        details = public_headline(details)
    if question.public and verdict.finding is not exact.finding:
        # The sentence needs the exact verdict to explain why the rounded one has no winner.
        sentences = [public_shortage_sentence(exact, question.view)]
    else:
        sentences = [*verdict_sentences(details, question.view)]
    if question.remark is not None:
        sentences[0] += f" {question.remark}"
    # From the exact verdict: rounded numbers of pairs may be equal where the exact ones differ.
    on_common = _on_common_sample(exact)
    # Without a ranking, the difference of the first two models would be read as one.
    duel = verdict.duel if verdict.finding.ranks else None
    second_opinions = hourly_means = None
    if duel is not None:
        of_means = with_hourly_means(sample, question.quantity, verdict)
        if of_means is not None and question.public:
            of_means = public_means(question.quantity, of_means)
        if of_means is not None:
            hourly_means = HourlyMeans(
                sentence=means_sentence(of_means, verdict),
                n_pairs=of_means.n_pairs,
                n_days=of_means.n_days,
                difference=of_means.difference,
                outcome=of_means.outcome,
                same_finding=of_means.same,
            )
        elsewhere = robustness(sample, question.quantity, duel)
        if question.public:
            elsewhere = public_robustness(question.quantity, elsewhere)
        votes = [opinion.agrees for opinion in elsewhere if opinion.agrees is not None]
        second_opinions = Robustness(
            sentence=robustness_sentence(elsewhere, verdict.finding),
            agreeing=sum(votes),
            counted=len(votes),
            stations=[SecondOpinion.model_validate(opinion) for opinion in elsewhere],
        )
    return VerdictAnswer(
        **common_fields(
            service,
            question,
            sample,
            verdict.size,
            verdict.n_pairs,
            verdict.common_sample,
            terms=withheld,
            covered=covered,
            hidden=taking_part(withheld, [sample], sample.stations),
        ),
        finding=verdict.finding,
        sentence=sentences[0],
        sentences=sentences,
        contenders=[
            _contender(details, entry, public=question.public)
            for entry in verdict.models
            if entry.model in verdict.compared
        ],
        within_tolerance=WITHIN[question.quantity.parameter].value,
        surprise_limit=details.limit,
        better_mean=None
        if details.model_mean is None
        else BetterMean(
            average_error=details.model_mean.score.mae or 0.0, within=details.model_mean.score.within
        ),
        # Not a temperature that the difference in height decides.
        may_headline=question.quantity.is_ranked
        and not (question.quantity is Quantity.TEMPERATURE and far_models(sample)),
        best=verdict.best,
        second=verdict.second,
        duel=None if duel is None else duel_entry(duel, question.quantity, public=question.public),
        models=_entries(question, verdict.models, on_common, covered, references=False),
        references=_entries(question, verdict.models, on_common, covered, references=True),
        robustness=second_opinions,
        hourly_means=hourly_means,
    )


def _contender(details: Headline, entry: ModelScore, *, public: bool) -> Contender:
    shows_values = details.verdict.size.label.shows_values
    surprises = details.surprises.get(entry.model)
    return Contender(
        model=entry.model,
        name=model_name(entry.model),
        ours=is_ours(entry.model),
        average_error=entry.score.mae if shows_values else None,
        within=entry.score.within if shows_values else None,
        surprises=None if surprises is None else rate_entry(surprises, public=public),
    )


def rate_entry(rate: contingency.Rate, *, public: bool = False) -> Rate:
    """Return a rate as part of an answer; for the `public` without its counts."""
    interval = None if rate.interval is None else ShareEnds(low=rate.interval.low, high=rate.interval.high)
    count, of = (None, None) if public else (rate.count, rate.of)
    return Rate(count=count, of=of, value=rate.value, interval=interval)


def comparison_answer(service: ReadingParts, question: Question, withheld: Withholding) -> ComparisonAnswer:
    """Return each two models on their common hours, and all models on the common sample."""
    sample = load(service, question)
    covered = coverage_of(service, question, sample)
    card = Scorecard(sample)
    exact = verdict = card.verdict(question.quantity)
    duels = card.duels(question.quantity)
    on_common = _on_common_sample(exact)
    # Before the numbers of pairs are rounded for the public.
    largest = max((duel.n_pairs for duel in duels), default=0)
    if question.public:
        verdict = public_verdict(exact)
        duels = tuple(public_duel(question.quantity, duel) for duel in duels)
    return ComparisonAnswer(
        **common_fields(
            service,
            question,
            sample,
            verdict.size,
            verdict.n_pairs,
            verdict.common_sample,
            terms=withheld,
            covered=covered,
            hidden=taking_part(withheld, [sample], sample.reference_days),
        ),
        # The exact share would reveal the number of pairs, which public answers round.
        common_sample_share=exact.n_pairs / largest
        if largest and len(exact.compared) > 1 and not question.public
        else None,
        compared=list(verdict.compared),
        duels=[duel_entry(duel, question.quantity, public=question.public) for duel in duels],
        models=_entries(question, verdict.models, on_common, covered, references=False),
        references=_entries(question, verdict.models, on_common, covered, references=True),
    )


def scores_answer(
    service: ReadingParts,
    question: Question,
    withheld: Withholding,
    *,
    model: str | None = None,
    stratum: Stratum | None = None,
) -> ScoresAnswer:
    """Return each model on its own pairs, in groups if the question has a stratum."""
    sample = load(service, question, model=model)
    covered = coverage_of(service, question, sample)
    card = Scorecard(sample)
    names = tuple(sample.forecasts) if model is None else (model,)
    scored = card.scores(question.quantity, models=names)
    size, n_pairs, words = common_of(card, question)
    if question.public:
        scored = tuple(public_score(question.quantity, entry) for entry in scored)
    groups: list[Group] = []
    if stratum is not None:
        in_order = [entry.model for entry in scored if not entry.reference]
        groups = _groups(sample, question, withheld, stratum, in_order)
    return ScoresAnswer(
        **common_fields(
            service,
            question,
            sample,
            size,
            n_pairs,
            words,
            terms=withheld,
            covered=covered,
            hidden=taking_part(withheld, [sample], sample.reference_days),
        ),
        stratum=stratum,
        stratum_text=None if stratum is None else TEXTS[stratum],
        models=_entries(question, scored, (), covered, references=False),
        references=_entries(question, scored, (), covered, references=True),
        groups=groups,
    )


def _groups(
    sample: Sample, question: Question, withheld: Withholding, stratum: Stratum, models: Sequence[str]
) -> list[Group]:
    of_model = {name: group_scores(sample, question.quantity, stratum, name) for name in models}
    if question.public:
        # The number of hours that a withheld model forecast in each group is a histogram of its values.
        hidden = set(withheld.models) if stratum in BY_FORECAST else set()
        of_model = {
            name: {
                group: None if name in hidden else public_group(question.quantity, score)
                for group, score in groups.items()
            }
            for name, groups in of_model.items()
        }
    # All models have the same groups, empty ones too, so those of the first serve for all.
    names = next(iter(of_model.values()), {})
    return [
        Group(
            group=group,
            models=[
                GroupEntry(model=name, name=model_name(name), shown=False, entry=None)
                if (score := of_model[name][group]) is None
                else GroupEntry(
                    model=name,
                    name=model_name(name),
                    shown=True,
                    entry=_entry(question, score, common=False, shown=True),
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
    covered: Covered | None = None,
    hidden: Collection[str] = (),
    withheld: Sequence[WithheldSource] = (),
) -> dict[str, Any]:
    """Return the fields of every answer: the question, the sample, and how the answer was made.

    `terms` also withhold the reasons why readings were flagged, because a reason reveals the value. `hidden`
    are the withheld sources that the figures use, `withheld` those whose values the answer leaves out.
    """
    if terms.networks:
        sample = without_reasons(sample, terms.networks)
    # Stations that were the reference on some of the days: a site can change its station.
    networks = {network_of(code) for code in sample.reference_days}
    covered = coverage_of(service, question, sample) if covered is None else covered
    return {
        "site": question.site.id,
        "site_name": question.site.name,
        "stations": [
            {
                "station": code,
                "name": sample.stations[code].station.name or None,
                "elevation": sample.stations[code].station.elevation,
                "distance_km": None if place.distance is None else round(place.distance, 3),
                "height_difference": None if place.height is None else round(place.height, 1),
                "days": int(days.sum()),
                "coverage": Coverage.model_validate(covered.stations[code]),
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
                month=f"{date_of(month_days(month.number)[0]):%Y-%m}",
                hours=month.coverage.hours,
                expected=month.coverage.expected,
                complete=month.complete,
            )
            for month in covered.months
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
        "interval_method": CONFIDENCE_WORDS,
        "notes": [
            *([] if question.remark is None else [question.remark]),
            *([(public_words if question.public else rounded_words)(sorted(hidden))] if hidden else []),
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


def coverage_of(service: ReadingParts, question: Question, sample: Sample) -> Covered:
    """Return data completeness up to now."""
    return coverages.covered(sample, question.quantity, to_epoch(service.clock()))


def taking_part(withheld: Withholding, samples: Iterable[Sample], stations: Iterable[str]) -> set[str]:
    """Return the withheld sources with values in these samples: of their models and of these stations.

    The samples are one question in several views, so their stations are the same.
    """
    sources: set[str] = set()
    for sample in samples:
        of_sources = [
            (network, sample.stations[code].observed)
            for code in stations
            if (network := network_of(code)) in withheld.networks
        ]
        of_sources += [
            (source, sample.all_forecasts[model])
            for model, source in withheld.models.items()
            if model in sample.all_forecasts
        ]
        sources |= {
            source
            for source, values in of_sources
            if any(bool(present(of_parameter).any()) for of_parameter in values.values())
        }
    return sources


def common_of(card: Scorecard, question: Question) -> tuple[SampleSize, int, str]:
    """Return the size, number of pairs and description of the common sample of the compared models."""
    compared, shared = QuantitySample(card.sample, question.quantity).common
    size = sample_of(shared, card.sample.span.months)
    return size, int(shared.sum()), common_words(compared, card.sample, question.quantity)


def _on_common_sample(verdict: Verdict) -> set[str]:
    """Return the models and baselines whose scores are of the whole common sample."""
    return {
        entry.model
        for entry in verdict.models
        if entry.model in verdict.compared or (entry.reference and entry.n_pairs == verdict.n_pairs)
    }


def duel_entry(duel: PairOfModels, quantity: Quantity, *, public: bool) -> Duel:
    """Return a comparison of two models as part of an answer; values and outcome need enough days."""
    shown = duel.size.label.shows_values
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
        # A test statistic has more digits than the rounded difference, and would undo its rounding.
        test=StudentTest.model_validate(test) if shown and not public and test is not None else None,
        outcome=comparison.outcome if duel.size.label.may_rank and quantity.is_ranked else None,
    )


def _entries(
    question: Question,
    models: Iterable[ModelScore],
    compared: Collection[str],
    covered: Covered,
    *,
    references: bool,
) -> list[ScoredModel]:
    return [
        _entry(
            question,
            entry,
            common=entry.model in compared,
            shown=entry.label.shows_values,
            covered=covered,
        )
        for entry in models
        if entry.reference is references
    ]


def _entry(
    question: Question, entry: ModelScore, *, common: bool, shown: bool, covered: Covered | None = None
) -> ScoredModel:
    score = entry.score
    coverage = None if covered is None else covered.models.get(entry.model)
    own_pairs = None if covered is None else covered.pairs.get(entry.model)
    if question.public and own_pairs is not None:
        own_pairs = rounded_count(own_pairs)
    return ScoredModel(
        model=entry.model,
        name=model_name(entry.model),
        ours=is_ours(entry.model),
        rank=entry.rank,
        on_common_sample=common,
        n_pairs=entry.n_pairs,
        n_days=entry.n_days,
        own_pairs=own_pairs,
        effective_pairs=entry.effective_pairs,
        label=entry.label,
        season=entry.season,
        coverage=None if coverage is None else Coverage.model_validate(coverage),
        estimated_hours=entry.estimated_hours,
        tendency=tendency(question.quantity, score.mean_error, score.mean_error_interval) if shown else None,
        score=ScoreValues.model_validate(score) if shown and score != ScoreSet() else None,
        skill={
            name: Skill(
                skill=skill.skill,
                interval=None if skill.interval is None else ShareEnds.model_validate(skill.interval),
                text=skill_words(skill, name),
                used=skill.used,
                left_out=skill.left_out,
            )
            for name, skill in entry.skill.items()
        }
        if shown
        else {},
    )


def ends(interval: Interval | None) -> Ends | None:
    """Return an interval as part of an answer."""
    return None if interval is None else Ends(low=interval.low, high=interval.high)


def headline_of(service: ReadingParts, question: Question) -> Headline:
    """Return the verdict of a site with its details, for lists of many sites."""
    sample = load(service, question)
    return headline(sample, Scorecard(sample).verdict(question.quantity))
