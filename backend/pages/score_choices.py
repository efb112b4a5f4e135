"""What a page of scores asks, as its address states it: the quantity, the view and the sources."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Generic, Literal, Protocol, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError

from backend.answers.models import collected_models
from backend.answers.question import Question, make_question
from backend.answers.service import ServiceParts
from backend.answers.shapes import ScoreFields
from backend.answers.shown_station import shown_question
from backend.answers.withholding import Withholding
from backend.api.problems import bad_query
from backend.core.local_time import local_day
from backend.core.records import Site
from backend.pages.page import Page
from backend.scoring.grid import Hours
from backend.scoring.sample.load import Samples
from backend.scoring.sample.quantities import Quantity
from backend.scoring.views import DECISION_VIEWS, VIEW_OF

QUANTITIES = (Quantity.WIND_SPEED, Quantity.WIND_GUST, Quantity.WIND_DIRECTION, Quantity.TEMPERATURE)
"""The quantities of the pages, in the order of their choice."""

SPEEDS = frozenset({Quantity.WIND_SPEED, Quantity.WIND_GUST})
"""The quantities that are shown in the pilot's unit of speed."""


class ScoreChoices(BaseModel):
    """The choices of a page of scores."""

    model_config = ConfigDict(frozen=True)

    parameter: Literal["wind_speed", "wind_gust", "wind_direction", "temperature"] = "wind_speed"
    view: Literal["morning", "noon", "evening_before", "two_evenings_before"] = "evening_before"
    sources: Literal["all", "public"] = "all"

    @property
    def quantity(self) -> Quantity:
        """The quantity that is scored."""
        return Quantity(self.parameter)


def score_choices(page: Page) -> ScoreChoices:
    """Return the choices of a page's address. Raises RequestValidationError."""
    named = {name: page.request.query_params.get(name) for name in ScoreChoices.model_fields}
    try:
        return ScoreChoices.model_validate(
            {name: value for name, value in named.items() if value is not None}
        )
    except ValidationError as error:
        first = error.errors()[0]
        raise bad_query(str(first["loc"][0]), first["msg"]) from error


def score_question(
    page: Page,
    site: Site,
    choices: ScoreChoices,
    *,
    quantity: Quantity | None = None,
    only_public: bool = False,
    clock_hours: Hours = Hours.ALL,
) -> Question:
    """Return the question of a page about a site, in flying hours, as the public may ask it."""
    asked = make_question(
        page.service,
        site,
        choices.quantity if quantity is None else quantity,
        VIEW_OF[choices.view],
        hours=Hours.FLYING,
        clock_hours=clock_hours,
    )
    only_public = only_public or choices.sources == "public"
    return shown_question(page.service, asked, page.withheld(), only_public=only_public)


def apart_questions(
    page: Page, site: Site, choices: ScoreChoices, *, quantity: Quantity | None = None
) -> tuple[Question, Question | None]:
    """Return the question about public models, up to today, and one for the others in published months.

    The second is None where no model is withheld, where the first is about published months itself because
    the values of the beacon are withheld, and before the first month is complete.
    """
    public = score_question(page, site, choices, quantity=quantity, only_public=True)
    if public.public or choices.sources == "public":
        return public, None
    of_all = score_question(page, site, choices, quantity=quantity)
    return public, of_all if of_all.public else None


class _Model(Protocol):
    @property
    def model(self) -> str: ...


_A = TypeVar("_A", bound=ScoreFields)
_M = TypeVar("_M", bound=_Model)


@dataclass(frozen=True)
class Apart(Generic[_A]):
    """The answer to the question about public models, and that for the others in published months, if any."""

    question: Question
    public: _A
    others: _A | None
    withheld: Withholding

    @property
    def rounded(self) -> _A | None:
        """The first of the answers that has rounded figures."""
        return next((each for each in (self.public, self.others) if each is not None and each.rounded), None)

    def models(self, of: Callable[[_A], Iterable[_M]]) -> list[tuple[_A, _M]]:
        """Return the models of the first answer and the withheld ones of the second, each with its answer."""
        found = [(self.public, model) for model in of(self.public)]
        # Withheld models come from the second answer, in which they are rounded; the others are exact.
        if self.others is not None:
            hidden = [model for model in of(self.others) if model.model in self.withheld.models]
            found += [(self.others, model) for model in hidden]
        return found


def answered_apart(
    page: Page, site: Site, choices: ScoreChoices, ask: Callable[[ServiceParts, Question, Withholding], _A]
) -> Apart[_A]:
    """Return the answers to the questions of `apart_questions`."""
    withheld = page.withheld()
    public, of_all = apart_questions(page, site, choices)
    return Apart(
        public,
        ask(page.service, public, withheld),
        None if of_all is None else ask(page.service, of_all, withheld),
        withheld,
    )


def view_names() -> tuple[str, ...]:
    """Return the views of the choice, from the latest forecast to the earliest."""
    return tuple(
        view.name for view in sorted(DECISION_VIEWS, key=lambda view: (view.days_before, -view.hour))
    )


def score_parts(page: Page, site: Site) -> tuple[object, ...]:
    """Return what the scores of a site depend on besides the address: for `Page.respond`."""
    return (
        site,
        Samples(page.service.database).stamp(site, local_day(page.now)),
        collected_models(page.service),
        page.withheld().key,
        page.service.public_rules,
    )
