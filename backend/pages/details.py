"""The details of a site: their stable addresses, their titles, and the frame around each answer."""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import StrEnum

from backend.core.records import Site
from backend.pages.page import Page
from backend.pages.score_choices import ScoreChoices, score_choices
from backend.pages.sentences_scores import ScoreWords
from backend.pages.verdict_card import Chip, parameter_chips, view_chips
from backend.scoring.sample.quantities import Quantity


class Topic(StrEnum):
    """A detail, as the last part of its address, in the order of the list."""

    LIMIT = "limit"
    BIAS = "bias"
    HOURS = "hours"
    BEACON = "beacon"
    COVERAGE = "coverage"
    LEAD = "lead"
    TIMING = "timing"
    DIRECTION = "direction"
    RUNS = "runs"


METHOD = {
    Topic.LIMIT: "surprises",
    Topic.BIAS: "error",
    Topic.HOURS: "error",
    Topic.BEACON: "reading",
    Topic.COVERAGE: "hours",
    Topic.LEAD: "mae",
    Topic.TIMING: "interval",
    Topic.DIRECTION: "direction",
    Topic.RUNS: "forecast",
}
"""The part of the page about the method that explains the figures of a detail."""


@dataclass(frozen=True, kw_only=True)
class TopicLink:
    """A detail in the list: its title, what it answers, and its address."""

    topic: Topic
    title: str
    text: str
    href: str


@dataclass(frozen=True, kw_only=True)
class Detail:
    """The frame of a detail. `parameters` and `views` are empty where the detail has no such choice."""

    page: Page
    site: Site
    link: TopicLink
    others: tuple[TopicLink, ...]
    choices: ScoreChoices
    words: ScoreWords
    parameters: tuple[Chip, ...] = ()
    views: tuple[Chip, ...] = ()

    @property
    def method(self) -> str:
        """Where the page about the method explains the figures of this detail."""
        return METHOD[self.link.topic]


def topic_links(page: Page, site: Site) -> tuple[TopicLink, ...]:
    """Return the details of a site, each with one line."""
    words = page.language
    texts = {
        Topic.LIMIT: (
            words.gettext("My limit"),
            words.gettext("How often a wind announced below my limit came above it."),
        ),
        Topic.BIAS: (
            words.gettext("Bias by part of the day"),
            words.gettext("By how much each model announces too much or too little, morning to evening."),
        ),
        Topic.HOURS: (
            words.gettext("Hour by hour"),
            words.gettext("What was announced and what came, counted, and the error by month and hour."),
        ),
        Topic.BEACON: (
            words.gettext("The beacon"),
            words.gettext("Where it stands, what it reads, and which of its readings do not count."),
        ),
        Topic.COVERAGE: (
            words.gettext("Coverage"),
            words.gettext("How many of the expected hours each model and the beacon have."),
        ),
        Topic.LEAD: (
            words.gettext("Error by lead time"),
            words.gettext("How much better a forecast gets as its hour comes nearer."),
        ),
        Topic.TIMING: (
            words.gettext("Timing"),
            words.gettext("Whether the wind picks up earlier or later than announced."),
        ),
        Topic.DIRECTION: (
            words.gettext("Wind direction"),
            words.gettext("How often the announced direction is right, and where the wind comes from."),
        ),
        Topic.RUNS: (
            words.gettext("From run to run"),
            words.gettext("How much later runs change the forecast for the same hour."),
        ),
    }
    return tuple(
        TopicLink(
            topic=topic, title=title, text=text, href=page.url(f"/sites/{site.id}/details/{topic.value}")
        )
        for topic, (title, text) in texts.items()
    )


def make_detail(
    page: Page,
    site: Site,
    topic: Topic,
    *,
    parameters: bool = False,
    views: bool = False,
    quantity: Quantity = Quantity.WIND_SPEED,
) -> Detail:
    """Return the frame of a detail; `quantity` is that of a detail without a choice of it.

    Raises RequestValidationError for a choice that does not exist.
    """
    choices = score_choices(page)
    if not parameters:
        choices = choices.model_copy(update={"parameter": quantity.value})
    links = topic_links(page, site)
    detail = Detail(
        page=page,
        site=site,
        link=next(link for link in links if link.topic is topic),
        others=tuple(link for link in links if link.topic is not topic),
        choices=choices,
        words=ScoreWords(page, choices.quantity),
    )
    return replace(
        detail,
        parameters=parameter_chips(page, choices) if parameters else (),
        views=view_chips(page, choices) if views else (),
    )
