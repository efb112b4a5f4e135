"""Questions of the public about scores that use a withheld source.

With the admin token, and for questions without a withheld source, the answer is exact and for any days. All
other answers are for whole closed months, computed from their published copies, with rounded figures
(docs/decisions/withheld-values.md).
"""

from __future__ import annotations

from dataclasses import replace

from backend.answers.question import InvalidDaysError, Question
from backend.answers.service import ReadingParts
from backend.answers.withholding import Withholding, public_models
from backend.core.local_time import local_day
from backend.core.records import network_of
from backend.scoring.constants import PUBLIC_AFTER_DAYS, PUBLIC_PAIRS, STRATUM_DAYS
from backend.scoring.days.public_months import newest_closed_month
from backend.scoring.grid import Span
from backend.scoring.names import listed, model_name
from backend.scoring.public.figures import share_step
from backend.scoring.public.windows import Window, named, newest_window, windows
from backend.scoring.sample.load import Samples, reference_days

ROUNDED_TO_NONE = share_step(PUBLIC_PAIRS.value) / 2
"""A public share that was rounded to 0 is below this one: the steps are widest for the fewest hours."""


class UnpublishedDaysError(InvalidDaysError):
    """The figures of these days are not published; the message names the published periods.

    `of_station` is True if readings of a station are among the values that are not public.
    """

    def __init__(self, sources: list[str], published: list[Window]) -> None:
        self.published = published
        self.of_station = any(":" in source for source in sources)
        names = listed([_name(source) for source in sources])
        super().__init__(
            f"{names}: raw values are not public, so figures with them are published for whole calendar"
            f" months only: {named(published)}."
            if published
            else not_complete(sources)
        )


def public_question(
    service: ReadingParts,
    question: Question,
    withheld: Withholding,
    *,
    model: str | None = None,
    only_public: bool = False,
    days_chosen: bool = False,
) -> Question:
    """Return the question with the days and sources that this caller may see.

    `model` is the only model of the question, None for all. `only_public` leaves out the models whose values
    are withheld. `days_chosen` is False if the caller gave no days: then the days of the newest published
    period replace the default ones. Raises UnpublishedDaysError if chosen days are not published.
    """
    if not withheld.public or not service.public_rules.closed_months:
        return question
    site, samples = question.site, Samples(service.database)
    codes = (
        [question.station] if question.station else reference_days(site, Span(question.first, question.last))
    )
    stations = frozenset(code for code in codes if network_of(code) in withheld.networks)
    if only_public and not stations and model is None:
        return replace(  # every stored model that is not public is among the withheld ones
            question,
            left_out=frozenset(withheld.models),
            networks_left_out=withheld.networks,
            named=tuple(withheld.of_models(None)),
        )
    public = [name for name, source in service.sources.of_every_model().items() if source.public]
    stored_models, stored_stations = samples.stored_between(
        site, question.first, question.last, besides=public
    )
    of_models, of_stations = samples.public_months(site, question.last)
    candidates = stored_models | of_models.keys()
    is_public = public_models(service, candidates)
    # A model of unknown licence counts as not public.
    models = frozenset(withheld.models) | {name for name in candidates if not is_public.get(name, False)}
    apart = replace(
        question,
        left_out=models,
        networks_left_out=withheld.networks,
        named=tuple(withheld.of_models(None)) if model is None else (),
    )
    if not stations and (only_public or (model is not None and model not in models)):
        return apart
    # A question about a withheld station or about one withheld model has no answer without published months.
    alone = bool(stations) or model is not None
    if only_public:
        question = replace(question, left_out=models)
        models = frozenset()
    months = {
        month
        for months_of, names in ((of_models, models), (of_stations, stations))
        for name in names & months_of.keys()
        for month in months_of[name]
    }
    present = (models & stored_models) | (stations & stored_stations)
    if days_chosen:
        if not present:
            return replace(question, public=True) if alone else apart
        published = windows(months, newest_closed_month(local_day(service.clock())))
        if any((window.first, window.last) == (question.first, question.last) for window in published):
            return replace(question, public=True)
        raise UnpublishedDaysError(sorted(present), published)
    newest = newest_window(months)
    if newest is not None:
        # A public model without a published month, such as our own in its first weeks, must not be
        # missing without a word.
        named = frozenset(name for name in stored_models if is_public.get(name) and model is None)
        return replace(question, first=newest.first, last=newest.last, public=True, named_models=named)
    remark = not_complete(sorted(present)) if present else None
    if alone:
        return replace(question, public=True, remark=remark)
    return replace(apart, remark=remark)


def not_complete(sources: list[str]) -> str:
    """Return why no figures are published yet for these models and stations."""
    return (
        f"{listed([_name(source) for source in sources])}: the first calendar month is not complete. Raw"
        " values are not public, so figures are published for whole calendar months with at least"
        f" {STRATUM_DAYS.value} days, {PUBLIC_AFTER_DAYS.value} days after the end of the month."
    )


def _name(source: str) -> str:
    return source if ":" in source else model_name(source)
