"""The query parameters of questions about scores."""

from __future__ import annotations

import re
from datetime import date
from typing import Annotated, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from backend.answers.public_question import UnpublishedDaysError, public_question
from backend.answers.question import InvalidDaysError, Question, make_question
from backend.answers.service import ReadingParts
from backend.answers.shapes import ViewName
from backend.answers.withholding import Withholding
from backend.core.records import Site
from backend.scoring.constants import LEAST_LIMIT, MOST_DAYS, MOST_LIMIT, USUAL_DAYS
from backend.scoring.grid import Hours
from backend.scoring.sample.quantities import Quantity
from backend.scoring.views import VIEW_OF

_DATE = re.compile(r"\d{4}-\d\d-\d\d", re.ASCII)


def _iso_date(value: object) -> object:
    if isinstance(value, str) and not _DATE.fullmatch(value):  # pydantic would read a number as seconds
        raise ValueError("must be a date such as 2026-07-15")
    return value


Day = Annotated[date, BeforeValidator(_iso_date)]

Limit = Annotated[float, Field(ge=LEAST_LIMIT.value, le=MOST_LIMIT.value)]
"""A pilot's own limit, in km/h."""


class DaysQuery(BaseModel):
    """The days and the view. Unknown names are refused, because they are probably typing errors."""

    model_config = ConfigDict(extra="forbid")

    view: ViewName = "evening_before"
    first: Day | None = Field(
        None, alias="from", description="first local day; by default a year before `to`"
    )
    last: Day | None = Field(None, alias="to", description="last local day, included; by default today")
    station: str | None = Field(
        None, description="a further station of the site, in place of its reference station"
    )

    def counted_hours(self) -> Hours:
        """Return the hours that count: all."""
        return Hours.ALL

    def group_hours(self) -> Hours:
        """Return the hours of groups by hour of the day: all."""
        return Hours.ALL

    def quantity(self) -> Quantity:
        """Return the quantity: the mean wind for queries about winds as a whole."""
        return Quantity.WIND_SPEED

    def question(
        self, service: ReadingParts, site: Site, *, usual: int = USUAL_DAYS.value, most: int = MOST_DAYS.value
    ) -> Question:
        """Return the question, with default days if none are given. Raises InvalidDaysError."""
        return make_question(
            service,
            site,
            self.quantity(),
            VIEW_OF[self.view],
            first=self.first,
            last=self.last,
            hours=self.counted_hours(),
            clock_hours=self.group_hours(),
            station=self.station,
            usual=usual,
            most=most,
        )


class HoursQuery(DaysQuery):
    """The days, the view, and the local hours that count."""

    hours: Hours | None = Field(
        None,
        description="`flying` (default): 10 to 18 local; `day`: 08 to 19; `all`. Both ends are included."
        " Groups by hour of the day use all hours by default.",
    )
    sources: Literal["all", "public"] = Field(
        "all",
        description="public: without the models whose raw values are withheld, for any days. Answers that use"
        " such a model, or a station of such a network, are for whole calendar months",
    )

    def counted_hours(self) -> Hours:
        """Return the hours that count: by default those in which pilots fly."""
        return Hours.FLYING if self.hours is None else self.hours

    def group_hours(self) -> Hours:
        """Return the hours of groups by hour of the day: by default all."""
        return Hours.ALL if self.hours is None else self.hours

    def public_question(
        self, service: ReadingParts, site: Site, withheld: Withholding, *, model: str | None = None
    ) -> Question:
        """Return the question with the days and sources that this caller may see. Raises InvalidDaysError."""
        try:
            return public_question(
                service,
                self.question(service, site),
                withheld,
                model=model,
                only_public=self.sources == "public",
                days_chosen=self.first is not None or self.last is not None,
            )
        except UnpublishedDaysError as error:
            # The domain names the rule; how to write a valid query is known only here.
            others = "a `station` whose values are public is" if error.of_station else "other models are"
            hint = f"With `sources=public`, {others} answered for any days."
            if error.published:
                hint = f"Use one of these as `from` and `to`; without both, the newest is used. {hint}"
            raise InvalidDaysError(f"{error} {hint}") from error


class SeriesQuery(DaysQuery):
    """The query of hourly values, which are of all hours."""

    parameter: Quantity = Quantity.WIND_SPEED

    def quantity(self) -> Quantity:
        """Return the quantity."""
        return self.parameter


class ScoreQuery(HoursQuery):
    """The query of scores."""

    parameter: Quantity = Quantity.WIND_SPEED

    def quantity(self) -> Quantity:
        """Return the quantity."""
        return self.parameter
