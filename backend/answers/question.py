"""What is asked of scores: which site, view, quantity and days; and whether the asker knows the answer."""

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
from backend.scoring.hours import Hours
from backend.scoring.public.windows import has_values, in_full_months, without
from backend.scoring.sample.load import Samples
from backend.scoring.sample.quantities import Quantity
from backend.scoring.sample.sample import Sample
from backend.scoring.views import EVENING_BEFORE, View

FIRST_DAY, LAST_DAY = date(2000, 1, 1), date(2099, 12, 31)


class InvalidDaysError(MeteoScoreError, ValueError):
    """Days that cannot be asked for; the message names the rule."""


@dataclass(frozen=True, kw_only=True)
class Question:
    """One question of one site; days are local day numbers, both included.

    `hours` are those that count; of a bias, `clock_hours` are those of its groups by the clock.

    For the public, `public` takes the published months, with coarse figures (see public_question).
    `left_out` are models, and `networks_left_out` networks, whose values must not be mixed with those of the
    others; `named` are their sources, of an answer about all models. `remark` says why they are left out,
    where that is not a choice of the caller.
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
    named: tuple[WithheldSource, ...] = ()
    remark: str | None = None


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

    More than `most` are InvalidDaysError.
    """
    end = local_day(service.clock()) if last is None else day_number(last)
    begin = end - usual + 1 if first is None else day_number(first)
    if begin > end:
        raise InvalidDaysError("must not be later than the last day, which is today unless given")
    if end - begin + 1 > most:
        raise InvalidDaysError(f"asks for {end - begin + 1} days: at most {most} at a time")
    if not day_number(FIRST_DAY) <= begin <= end <= day_number(LAST_DAY):
        raise InvalidDaysError(f"days are from {FIRST_DAY} to {LAST_DAY}")
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
    """Return the sample of a question. Raises NotFoundError for a station that is none of the site's.

    The models that are collected are in it, and `model`, whether or not they have data.
    """
    (found,) = load_views(service, question, (question.view,), model=model)
    return found


def load_views(
    service: ReadingParts, question: Question, views: Sequence[View], *, model: str | None = None
) -> tuple[Sample, ...]:
    """Return the sample of the same question in several views."""
    samples = Samples(service.database).load_views(
        question.site,
        views,
        question.first,
        question.last,
        station=question.station,
        models=_wanted(service, model),
        hours=question.hours,
        public=question.public,
    )
    if question.left_out or question.networks_left_out:
        # A model without any value is named as such, whether or not its values would be withheld.
        hidden = {model for model in question.left_out if any(has_values(each, model) for each in samples)}
        samples = tuple(without(each, hidden, question.networks_left_out) for each in samples)
    if question.public:
        samples = tuple(in_full_months(each, question.quantity) for each in samples)
    return samples


def _wanted(service: ReadingParts, model: str | None) -> tuple[str, ...]:
    return (*collected_models(service), *(() if model is None else (model,)))
