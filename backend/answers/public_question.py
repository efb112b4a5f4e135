"""What the public may ask of scores in which a withheld source takes part, and what it is answered from.

With the admin token every question is answered as it is. Without it, a question in which no withheld source
takes part is answered as it is, too: of any days, exactly. All others are answered of whole closed months,
from their published copies, with coarse figures (docs/decisions/withheld-values.md).
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace

from backend.answers.question import InvalidDaysError, Question
from backend.answers.service import ReadingParts
from backend.answers.withholding import Withholding, public_models
from backend.core.local_time import local_day
from backend.core.records import network_of
from backend.scoring.constants import PUBLIC_AFTER_DAYS
from backend.scoring.days.public_months import newest_closed_month
from backend.scoring.local_span import Span
from backend.scoring.names import listed, model_name
from backend.scoring.public.windows import Window, named, newest_window, windows
from backend.scoring.sample.load import Samples, reference_days


class UnpublishedDaysError(InvalidDaysError):
    """Figures of these days are not published; the message names the days whose figures are.

    `of_station` is True where the readings of a station are among the values that are not public.
    """

    def __init__(self, sources: list[str], published: list[Window]) -> None:
        self.published = published
        self.of_station = any(":" in source for source in sources)
        names = listed([_name(source) for source in sources])
        super().__init__(
            f"{names}: raw values are not public, so figures with them are published of whole calendar months"
            f" only: {named(published)}."
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
    """Return the question as it is answered for this caller; `model` is the only one that is asked about.

    `only_public` leaves out the models whose values are withheld. `days_chosen` is False where the caller
    gave no days: then the question may get those of the newest published months.
    Raises UnpublishedDaysError for days of the caller's choice that are not published.
    """
    if not withheld.public or not service.public_rules.closed_months:
        return question
    site, samples = question.site, Samples(service.database)
    kept_models, kept_stations = samples.kept_between(site, question.first, question.last)
    of_models, of_stations = samples.public_months(site, question.last)
    codes = (
        [question.station] if question.station else reference_days(site, Span(question.first, question.last))
    )
    stations = frozenset(code for code in codes if network_of(code) in withheld.networks)
    models = _not_public(service, withheld, kept_models | of_models.keys())
    apart = replace(
        question,
        left_out=models,
        networks_left_out=withheld.networks,
        named=tuple(withheld.of_models(None)) if model is None else (),
    )
    if not stations and (only_public or (model is not None and model not in models)):
        return apart
    # About a withheld station, or one withheld model: without a published month there is nothing to answer.
    alone = bool(stations) or model is not None
    if only_public:
        question = replace(question, left_out=models)
        models = frozenset()
    months = {
        month
        for found, owners in ((of_models, models), (of_stations, stations))
        for owner in owners & found.keys()
        for month in found[owner]
    }
    present = (models & kept_models) | (stations & kept_stations)
    if days_chosen:
        if not present:
            return replace(question, public=True) if alone else apart
        return _of_days(service, question, present, months)
    newest = newest_window(months)
    if newest is not None:
        return replace(question, first=newest.first, last=newest.last, public=True)
    remark = not_complete(sorted(present)) if present else None
    if alone:
        return replace(question, public=True, remark=remark)
    return replace(apart, remark=remark)


def _not_public(service: ReadingParts, withheld: Withholding, models: Collection[str]) -> frozenset[str]:
    """Return the models whose values are withheld, and those of `models` that are not known to be public."""
    known = public_models(service, models)
    return frozenset(withheld.models) | {model for model in models if not known.get(model, False)}


def _of_days(
    service: ReadingParts, question: Question, present: frozenset[str], months: set[int]
) -> Question:
    """Return a question of days that the caller chose, if they may be asked for."""
    allowed = windows(months, newest_closed_month(local_day(service.clock())))
    if any((window.first, window.last) == (question.first, question.last) for window in allowed):
        return replace(question, public=True)
    raise UnpublishedDaysError(sorted(present), allowed)


def not_complete(sources: list[str]) -> str:
    """Return why nothing is published yet of these models and stations."""
    return (
        f"{listed([_name(source) for source in sources])}: the first calendar month is not complete; raw"
        " values are not public, so figures are published of whole calendar months with at least 20 days,"
        f" {PUBLIC_AFTER_DAYS.value} days after they end."
    )


def _name(source: str) -> str:
    return source if ":" in source else model_name(source)
