"""What is asked of scores: which site, view, quantity and days; and whether the asker knows the answer."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from typing import Annotated, Literal

from fastapi import Request
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from backend.api.dependencies import ServiceParts
from backend.api.problems import bad_query
from backend.api.schemas import WithheldSource
from backend.api.score_schemas import ViewName
from backend.api.withholding import Withholding
from backend.core.local_time import day_number, local_day
from backend.core.records import Site
from backend.scoring.constants import MOST_DAYS, USUAL_DAYS
from backend.scoring.hours import Hours
from backend.scoring.public.windows import has_values, in_full_months, without
from backend.scoring.questions.scorecard import METHOD_VERSION
from backend.scoring.sample.quantities import Quantity
from backend.scoring.sample.sample import Sample, Samples
from backend.scoring.views import EVENING_BEFORE, VIEW_OF, View

FIRST_DAY, LAST_DAY = date(2000, 1, 1), date(2099, 12, 31)

KEPT_SECONDS = 300
"""How long an answer may be shown without asking again: half of the shortest usual collection interval."""

_DATE = re.compile(r"\d{4}-\d\d-\d\d", re.ASCII)


def _written_out(value: object) -> object:
    if isinstance(value, str) and not _DATE.fullmatch(value):  # pydantic would take a number for seconds
        raise ValueError("must be a date such as 2026-07-15")
    return value


Day = Annotated[date, BeforeValidator(_written_out)]


class InvalidDaysError(ValueError):
    """Days that cannot be asked for; the message names the rule."""


@dataclass(frozen=True, kw_only=True)
class Question:
    """One question of one site; days are local day numbers, both included.

    `hours` are those that count; of a bias, `clock_hours` are those of its groups by the clock.

    For the public, `public` takes the published months, with coarse figures (see public_questions).
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


class DaysQuery(BaseModel):
    """Which days, in which view. Another name is refused, for it may be a slip."""

    model_config = ConfigDict(extra="forbid")

    view: ViewName = "evening_before"
    first: Day | None = Field(
        None, alias="from", description="first local day; a year up to `to` unless told"
    )
    last: Day | None = Field(None, alias="to", description="last local day, included; today unless told")
    station: str | None = Field(None, description="another of the site's stations than its reference")

    def hours_asked(self) -> Hours:
        """Return the hours that count: all of them."""
        return Hours.ALL

    def clock_hours_asked(self) -> Hours:
        """Return the hours of groups by the clock: all of them."""
        return Hours.ALL

    def quantity(self) -> Quantity:
        """Return what is asked about; of winds as a whole, the mean wind stands for them."""
        return Quantity.WIND_SPEED

    def question(
        self, service: ServiceParts, site: Site, *, usual: int = USUAL_DAYS.value, most: int = MOST_DAYS.value
    ) -> Question:
        """Return the question, its days filled in; raise a problem where they cannot be asked for."""
        try:
            return make_question(
                service,
                site,
                self.quantity(),
                VIEW_OF[self.view],
                first=self.first,
                last=self.last,
                hours=self.hours_asked(),
                clock_hours=self.clock_hours_asked(),
                station=self.station,
                usual=usual,
                most=most,
            )
        except InvalidDaysError as error:
            raise bad_query("from", str(error)) from error


class HoursQuery(DaysQuery):
    """Which days, in which view, and which hours of the local clock count."""

    hours: Hours | None = Field(
        None,
        description="`flying`: 10 to 18 local, unless given; `day`: 08 to 19; `all`. Both ends are included."
        " Groups by the clock are of all hours unless given.",
    )
    sources: Literal["all", "public"] = Field(
        "all",
        description="public: without the models whose raw values are withheld, of any days. Where such a"
        " model, or the station's network, takes part, the public is answered of whole calendar months",
    )

    def hours_asked(self) -> Hours:
        """Return the hours that count: those in which pilots fly, unless given."""
        return Hours.FLYING if self.hours is None else self.hours

    def clock_hours_asked(self) -> Hours:
        """Return the hours of groups by the clock: all of them, unless given."""
        return Hours.ALL if self.hours is None else self.hours


class SeriesQuery(DaysQuery):
    """What hourly values are asked for by. They are of all hours."""

    parameter: Quantity = Quantity.WIND_SPEED

    def quantity(self) -> Quantity:
        """Return what is asked about."""
        return self.parameter


class ScoreQuery(HoursQuery):
    """What scores are asked for by."""

    parameter: Quantity = Quantity.WIND_SPEED

    def quantity(self) -> Quantity:
        """Return what is asked about."""
        return self.parameter


def make_question(
    service: ServiceParts,
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


def collected_models(service: ServiceParts) -> tuple[str, ...]:
    """Return the models that are collected: each appears in an answer, whether or not it has data."""
    return tuple(service.sources.of_models())


def load(service: ServiceParts, question: Question, *, model: str | None = None) -> Sample:
    """Return the sample of a question. Raises NotFoundError for a station that is none of the site's.

    The models that are collected are in it, and `model`, whether or not they have data.
    """
    (found,) = load_views(service, question, (question.view,), model=model)
    return found


def load_views(
    service: ServiceParts, question: Question, views: Sequence[View], *, model: str | None = None
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


def _wanted(service: ServiceParts, model: str | None) -> tuple[str, ...]:
    return (*collected_models(service), *(() if model is None else (model,)))


# --- Does the asker have it already? -----------------------------------------------------------------


def cache_headers(
    service: ServiceParts, request: Request, question: Question, withheld: Withholding
) -> dict[str, str]:
    """Return what an answer says about how long, by whom and as what it may be kept.

    The ETag is weak: the answer itself also says when it was made.
    """
    return {
        "ETag": _etag(
            request.url.path,
            request.url.query,
            Samples(service.database).stamp(question.site, question.last),
            question,
            collected_models(service),
            sorted(withheld.models),
            sorted(withheld.networks),
            service.public_rules,
        ),
        "Cache-Control": f"{'public' if withheld.public else 'private'}, max-age={KEPT_SECONDS}",
        "Vary": "Authorization",
    }


def static_headers(request: Request, *parts: object) -> dict[str, str]:
    """Return the same of an answer that depends on `parts` and on nothing of a site."""
    return {"ETag": _etag(request.url.path, parts), "Cache-Control": f"public, max-age={KEPT_SECONDS}"}


def known_already(request: Request, headers: dict[str, str]) -> bool:
    """Say whether the asker has this answer already (If-None-Match, compared weakly)."""
    told = {part.strip().removeprefix("W/") for part in request.headers.get("if-none-match", "").split(",")}
    return "*" in told or headers["ETag"].removeprefix("W/") in told


def _etag(*parts: object) -> str:
    text = repr((METHOD_VERSION, *parts))
    return f'W/"{hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:24]}"'
