"""The map page: the list of the home page on map tiles, for services that set them."""

from __future__ import annotations

from typing import Annotated, Literal

from fastapi import APIRouter, HTTPException, Query, Response

from backend.answers.home import HOURS
from backend.pages.assets import MAP_SCRIPT, Leaflet, leaflet, version
from backend.pages.page import Page, PageDep, policy_with_images
from backend.pages.routes.home import HomeChoices, home_parts, home_question, home_values
from backend.pages.verdict_card import Chip

router = APIRouter(include_in_schema=False)

_A_WEEK = {"Cache-Control": "public, max-age=604800"}


class MapChoices(HomeChoices):
    """The choices of the list, and the hour that the map shows."""

    hour: Literal["10", "12", "14", "16", "18"] = "14"


def _library(page: Page) -> Leaflet:
    """Return the map library. Raises 404, as for any unknown address, where the service has no map."""
    library = leaflet() if page.has_map else None
    if library is None:
        raise HTTPException(404)
    return library


@router.get("/map")
def sites_on_a_map(page: PageDep, choices: Annotated[MapChoices, Query()]) -> Response:
    """Return the list of the home page with a map above it."""
    library, settings = _library(page), page.service.settings
    question = home_question(page, choices)
    origin = settings.map_tiles_origin or ""
    values = {
        "map_hour": int(choices.hour),
        "hours": [
            Chip(
                text=page.language.hour(hour),
                href=page.same(hour=hour),
                chosen=str(hour) == choices.hour,
            )
            for hour in HOURS
        ],
        "tiles": settings.map_tiles_url,
        "source": settings.map_tiles_attribution or origin.partition("//")[2],
        "library_version": version(library.script + library.style),
        "map_script_version": version(MAP_SCRIPT),
    }
    return page.respond(
        "pages/map.html",
        lambda: home_values(page, choices, question) | values,
        *home_parts(page, question),
        *(values[name] for name in ("tiles", "source", "library_version", "map_script_version")),
        headers={"Content-Security-Policy": policy_with_images(origin)},
    )


@router.get("/map/leaflet.js")
def library_script(page: PageDep) -> Response:
    """Return the script of Leaflet. Each version has its own address."""
    return Response(_library(page).script, media_type="text/javascript", headers=_A_WEEK)


@router.get("/map/leaflet.css")
def library_style(page: PageDep) -> Response:
    """Return the style sheet of Leaflet. Each version has its own address."""
    return Response(_library(page).style, media_type="text/css", headers=_A_WEEK)


@router.get("/map/map.js")
def map_script(page: PageDep) -> Response:
    """Return the script that puts the list on the map. Each version has its own address."""
    _library(page)
    return Response(MAP_SCRIPT, media_type="text/javascript", headers=_A_WEEK)
