"""The home page: tomorrow at the pilot's sites, until noon today."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from fastapi import APIRouter, Query, Response
from pydantic import BaseModel, ConfigDict, Field

from backend.answers.announced import data_version
from backend.answers.home import HomeQuestion, home_answer, is_about_today, list_version
from backend.pages.choices import MOST_CHOSEN
from backend.pages.page import Page, PageDep
from backend.pages.sentences_forecast import chance_item
from backend.pages.sentences_home import beacon_words, record_words, run_words, standing_words
from backend.scoring.constants import LEAST_LIMIT, MOST_LIMIT, PRELIMINARY_DAYS

router = APIRouter(include_in_schema=False)


class HomeChoices(BaseModel):
    """What an address of the home page has besides the choices of every page.

    `list` shows all sites, also to a pilot with own ones. `lat` and `lon` are where the pilot is.
    """

    model_config = ConfigDict(frozen=True)

    q: Annotated[str, Field(max_length=60)] = ""
    list: Literal["all"] | None = None
    within: bool = False
    lat: Annotated[float, Field(ge=-90, le=90)] | None = None
    lon: Annotated[float, Field(ge=-180, le=180)] | None = None
    day: Literal["today", "tomorrow"] | None = None
    page: Annotated[int, Field(ge=1, le=100_000)] = 1


@router.get("/")
def home(page: PageDep, choices: Annotated[HomeChoices, Query()]) -> Response:
    """Return the list of sites, each with what one public model announces for the next flying day."""
    question = home_question(page, choices)
    return page.respond(
        "pages/home.html",
        lambda: home_values(page, choices, question),
        *home_parts(page, question),
        page.has_map,
    )


def home_parts(page: Page, question: HomeQuestion) -> tuple[object, ...]:
    """Return what the list depends on, for `Page.respond`."""
    return (
        list_version(page.service.sites()),
        data_version(page.service),
        page.withheld().key,
        question,
    )


def home_values(page: Page, choices: HomeChoices, question: HomeQuestion) -> dict[str, Any]:
    """Return what the templates of the list need."""
    return {
        "answer": home_answer(page.service, question, page.withheld()),
        "asked": choices,
        "asked_further": choices.model_dump(exclude_defaults=True),
        "map_hour": 0,
        "question": question,
        "standing_words": standing_words,
        "record_words": record_words,
        "beacon_words": beacon_words,
        "run_words": run_words,
        "chance_item": chance_item,
        "own": page.choices.sites,
        "least_days": PRELIMINARY_DAYS.value,
        "most_chosen": MOST_CHOSEN,
        "least_limit": LEAST_LIMIT.value,
        "most_limit": MOST_LIMIT.value,
    }


def home_question(page: Page, choices: HomeChoices) -> HomeQuestion:
    """Return the question of an address about the list."""
    today = is_about_today(page.now) if choices.day is None else choices.day == "today"
    return HomeQuestion(
        chosen=() if choices.list == "all" else page.choices.sites,
        search=choices.q.strip(),
        position=None if choices.lat is None or choices.lon is None else (choices.lat, choices.lon),
        within=choices.within,
        page=choices.page,
        wind_limit=page.choices.lim,
        gust_limit=page.choices.glim,
        is_today=today,
    )
