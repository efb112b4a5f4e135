"""The verdict card of a site: which forecast to trust there, and by how much it is wrong."""

from __future__ import annotations

from dataclasses import dataclass

from backend.answers.question import Question
from backend.answers.scores import verdict_answer
from backend.answers.shapes import ComparisonAnswer, Contender, ScoredModel, VerdictAnswer
from backend.answers.withholding import Withholding
from backend.core.records import Site, network_of
from backend.pages.page import Page
from backend.pages.score_choices import QUANTITIES, ScoreChoices, score_choices, score_question, view_names
from backend.pages.sentences_scores import ScoreWords
from backend.scoring.names import model_name


@dataclass(frozen=True, kw_only=True)
class Chip:
    """A choice as a link; `chosen` is that of the page."""

    text: str
    href: str
    chosen: bool


@dataclass(frozen=True, kw_only=True)
class VerdictCard:
    """What the card shows. `hidden` are names of models and stations whose raw values are not public."""

    site: Site
    answer: VerdictAnswer
    words: ScoreWords
    parameters: tuple[Chip, ...]
    views: tuple[Chip, ...]
    hidden: tuple[str, ...]
    waits: bool
    only_public: bool

    @property
    def contenders(self) -> list[Contender]:
        """The compared models whose average error is known."""
        return [each for each in self.answer.contenders if each.average_error is not None]

    @property
    def left_out(self) -> list[ScoredModel]:
        """The models that are not compared, where others are."""
        if len(self.answer.contenders) < 2:
            return []
        return [model for model in self.answer.models if not model.on_common_sample]


def parameter_chips(page: Page, choices: ScoreChoices, anchor: str = "") -> tuple[Chip, ...]:
    """Return the choice of a quantity as links to the same page."""
    words = ScoreWords(page, choices.quantity)
    return tuple(
        Chip(
            text=words.quantity_name(quantity),
            href=page.same(parameter=quantity.value if quantity != "wind_speed" else None) + anchor,
            chosen=quantity is choices.quantity,
        )
        for quantity in QUANTITIES
    )


def view_chips(page: Page, choices: ScoreChoices, anchor: str = "") -> tuple[Chip, ...]:
    """Return the choice of a view as links to the same page."""
    words = ScoreWords(page, choices.quantity)
    return tuple(
        Chip(
            text=words.view_name(view),
            href=page.same(view=view if view != "evening_before" else None) + anchor,
            chosen=view == choices.view,
        )
        for view in view_names()
    )


def hidden_names(
    answer: VerdictAnswer | ComparisonAnswer, question: Question, withheld: Withholding
) -> tuple[str, ...]:
    """Return the models and stations of a rounded answer whose raw values are not public."""
    if not answer.rounded:
        return ()
    models = [each.name for each in answer.models if each.model in withheld.models]
    stations = [
        each.name or each.station
        for each in answer.stations
        if network_of(each.station) in withheld.networks and each.days
    ]
    return (*models, *stations) or tuple(model_name(name) for name in sorted(question.left_out))


def verdict_card(page: Page, site: Site) -> VerdictCard:
    """Return the verdict card of a site for the choices in the address. Raises RequestValidationError.

    Where the months of withheld values are too few for a verdict, it is that of the public models up to
    today, unless the address asks for all models.
    """
    choices, withheld = score_choices(page), page.withheld()
    question = score_question(page, site, choices)
    answer = verdict_answer(page.service, question, withheld)
    only_public = choices.sources == "public"
    if question.public and not answer.finding.ranks and "sources" not in page.request.query_params:
        of_public = score_question(page, site, choices, only_public=True)
        instead = verdict_answer(page.service, of_public, withheld)
        if instead.finding.ranks:
            question, answer, only_public = of_public, instead, True
    return VerdictCard(
        site=site,
        answer=answer,
        words=ScoreWords(page, choices.quantity),
        parameters=parameter_chips(page, choices, "#verdict"),
        views=view_chips(page, choices, "#verdict"),
        hidden=hidden_names(answer, question, withheld),
        waits=question.remark is not None,
        only_public=only_public,
    )
