"""Who may see the operator's page: sessions, the tokens of forms, and responses that no cache keeps."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, cast

from fastapi import Depends, Form, HTTPException, Request
from fastapi.responses import HTMLResponse, RedirectResponse

from backend.api.sessions import Session, Sessions
from backend.core.errors import MeteoScoreError
from backend.pages.page import POLICY, Page

HEADERS = {
    "Content-Security-Policy": POLICY,
    "Cache-Control": "no-store",
    "Vary": "Cookie, Accept-Language",
    "X-Robots-Tag": "noindex",
}


class NotSignedInError(MeteoScoreError):
    """A page of the operator needs a session, and the request has none that is valid."""


def sessions_of(request: Request) -> Sessions:
    """Return the sessions of the application."""
    return cast(Sessions, request.app.state.sessions)


async def operator_of(request: Request) -> Session:
    """Return the session of a request. Raises NotSignedInError."""
    session = sessions_of(request).of(request)
    if session is None:
        raise NotSignedInError("not signed in")
    return session


Operator = Annotated[Session, Depends(operator_of)]


async def refuse_other_sites(request: Request) -> None:
    """Raise 403 for a form that a page of another site sends, where the browser states it."""
    if request.headers.get("sec-fetch-site", "same-origin") not in {"same-origin", "none"}:
        raise HTTPException(403, "This form was sent by a page of another site.")


async def check_form(
    session: Operator,
    _own: Annotated[None, Depends(refuse_other_sites)],
    form: Annotated[str, Form(max_length=200)] = "",
) -> Session:
    """Return the session that a form belongs to. Raises NotSignedInError, or 403 for a foreign form."""
    if not session.allows(form):
        raise HTTPException(403, "This form does not belong to your session: load its page again.")
    return session


OwnForm = Annotated[Session, Depends(check_form)]


def operator_response(
    page: Page, template: str, values: Mapping[str, Any] | None = None, *, status: int = 200
) -> HTMLResponse:
    """Return a page for the operator, which no cache may keep."""
    return HTMLResponse(page.render(template, **(values or {})), status, headers=HEADERS)


def see_other(page: Page, path: str, fragment: str = "") -> RedirectResponse:
    """Return a redirect after a form, so that a reload of the next page sends nothing again."""
    return RedirectResponse(page.url(path) + fragment, 303, headers=HEADERS)
