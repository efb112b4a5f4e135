"""Questions about scores: site, view, quantity and days; and the sample that answers them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date

from backend.answers.base import WithheldSource
from backend.answers.models import collected_models
from backend.answers.service import ReadingParts
from backend.core.errors import MeteoScoreError
from backend.core.local_time import day_number, local_day
from backend.core.records import Site
from backend.scoring.constants import MOST_DAYS, USUAL_DAYS
from backend.scoring.grid import Hours
from backend.scoring.public.windows import has_values, in_full_months, without
from backend.scoring.sample.load import Samples
from backend.scoring.sample.quantities import Quantity
from backend.scoring.sample.sample import Sample
from backend.scoring.views import EVENING_BEFORE, View

FIRST_DAY, LAST_DAY = date(2000, 1, 1), date(2099, 12, 31)


class InvalidDaysError(MeteoScoreError, ValueError):
    """The days of a question break a rule; the message names it."""


@dataclass(frozen=True, kw_only=True)
class Question:
    """A question about one site. Days are local day numbers, both included.

    `hours` are the hours that count. `clock_hours` are the hours of a bias's groups by hour of the day.

    With `public` the answer is computed from the published months, with rounded figures (see
    public_question). Values of the models in `left_out` and of the networks in `networks_left_out` stay out
    of the sample. The models in `named_models` are in the answer with or without data, as the collected ones
    are. `named` lists their sources, if the question is about all models. `remark` is the reason,
    if the caller did not choose to leave them out.
    """

    site: Site
    view: View
    quantity: Quantity
    first: int
    last: int
    hours: Hours = Hours.ALL
    clock_hours: Hours = Hours.ALL
    station: str | None = None
    public: bool = False
    left_out: frozenset[str] = frozenset()
    networks_left_out: frozenset[str] = frozenset()
    named_models: frozenset[str] = frozenset()
    named: tuple[WithheldSource, ...] = ()
    remark: str | None = None


def chosen_days(
    service: ReadingParts,
    first: date | None,
    last: date | None,
    *,
    usual: int = USUAL_DAYS.value,
    most: int = MOST_DAYS.value,
) -> tuple[int, int]:
    """Return the numbers of the first and the last day, by default of the `usual` days up to today.

    Raises InvalidDaysError, for example for more than `most` days.
    """
    # Today is included: its hours so far are scored.
    end = local_day(service.clock()) if last is None else day_number(last)
    begin = end - usual + 1 if first is None else day_number(first)
    if begin > end:
        raise InvalidDaysError("must not be later than the last day, which is today unless given")
    if end - begin + 1 > most:
        raise InvalidDaysError(f"{end - begin + 1} days: at most {most} at a time")
    if not day_number(FIRST_DAY) <= begin <= end <= day_number(LAST_DAY):
        raise InvalidDaysError(f"days are from {FIRST_DAY} to {LAST_DAY}")
    return begin, end


def make_question(
    service: ReadingParts,
    site: Site,
    quantity: Quantity = Quantity.WIND_SPEED,
    view: View = EVENING_BEFORE,
    *,
    first: date | None = None,
    last: date | None = None,
    hours: Hours = Hours.FLYING,
    clock_hours: Hours = Hours.ALL,
    station: str | None = None,
    usual: int = USUAL_DAYS.value,
    most: int = MOST_DAYS.value,
) -> Question:
    """Return a question, by default about the `usual` days up to today.

    Raises InvalidDaysError, for example for more than `most` days.
    """
    begin, end = chosen_days(service, first, last, usual=usual, most=most)
    return Question(
        site=site,
        view=view,
        quantity=quantity,
        first=begin,
        last=end,
        hours=hours,
        clock_hours=clock_hours,
        station=station,
    )


def load(service: ReadingParts, question: Question, *, model: str | None = None) -> Sample:
    """Return the sample of a question. Raises NotFoundError for a station that the site does not list.

    It contains the collected models and `model`, with or without data.
    """
    (sample,) = load_views(service, question, (question.view,), model=model)
    return sample


def load_views(
    service: ReadingParts, question: Question, views: Sequence[View], *, model: str | None = None
) -> tuple[Sample, ...]:
    """Return the samples of one question in several views."""
    samples = Samples(service.database).load_views(
        question.site,
        views,
        question.first,
        question.last,
        station=question.station,
        models=(*collected_models(service), *question.named_models, *(() if model is None else (model,))),
        hours=question.hours,
        public=question.public,
    )
    if question.left_out or question.networks_left_out:
        # A model without data stays in the sample, so that the answer names it as a model without data.
        hidden = {
            model for model in question.left_out if any(has_values(sample, model) for sample in samples)
        }
        samples = tuple(without(sample, hidden, question.networks_left_out) for sample in samples)
    if question.public:
        # A month with few common days would be a sum of few values, from which they could be computed.
        samples = tuple(in_full_months(sample, question.quantity) for sample in samples)
    return samples
