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
from backend.scoring.constants import MOST_DAYS, USUAL_DAYS
from backend.scoring.hours import Hours
from backend.scoring.sample.quantities import Quantity
from backend.scoring.views import VIEW_OF

_DATE = re.compile(r"\d{4}-\d\d-\d\d", re.ASCII)


def _written_out(value: object) -> object:
    if isinstance(value, str) and not _DATE.fullmatch(value):  # pydantic would take a number for seconds
        raise ValueError("must be a date such as 2026-07-15")
    return value


Day = Annotated[date, BeforeValidator(_written_out)]


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
        self, service: ReadingParts, site: Site, *, usual: int = USUAL_DAYS.value, most: int = MOST_DAYS.value
    ) -> Question:
        """Return the question, its days filled in. Raises InvalidDaysError."""
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

    def public_question(
        self, service: ReadingParts, site: Site, withheld: Withholding, *, model: str | None = None
    ) -> Question:
        """Return the question as it is answered for this caller. Raises InvalidDaysError."""
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
            hints = ["With `sources=public`, other models are answered for any days."]
            if error.of_station:
                hints = [
                    "With `sources=public`, a `station` whose values are public is answered for any days."
                ]
            if error.published:
                hints.insert(
                    0, "Use one of these pairs as `from` and `to`; without both, the newest is used."
                )
            raise InvalidDaysError(" ".join([str(error), *hints])) from error


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
