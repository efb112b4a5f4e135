"""The style sheet and the script."""

from __future__ import annotations

from fastapi import APIRouter, Response

from backend.pages.assets import SCRIPT, STYLE

router = APIRouter(include_in_schema=False)

_A_WEEK = {"Cache-Control": "public, max-age=604800"}


@router.get("/style.css")
def style() -> Response:
    """Return the style sheet. Each version has its own address."""
    return Response(STYLE, media_type="text/css", headers=_A_WEEK)


@router.get("/pages.js")
def script() -> Response:
    """Return the script. Each version has its own address."""
    return Response(SCRIPT, media_type="text/javascript", headers=_A_WEEK)
