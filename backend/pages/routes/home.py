"""The home page: tomorrow at the pilot's sites."""

from __future__ import annotations

from fastapi import APIRouter, Response

from backend.pages.page import PageDep

router = APIRouter(include_in_schema=False)


@router.get("/")
def home(page: PageDep) -> Response:
    """Return the list of sites."""
    sites = page.service.sites()
    return page.respond("pages/home.html", lambda: {"sites": sites}, sites)
