"""Errors of pages as HTML in the reader's language. Errors of the API stay `application/problem+json`."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable
from typing import cast

from fastapi import FastAPI, Request, Response
from fastapi.responses import HTMLResponse

from backend.api.prefix import path_of
from backend.api.security_headers import HEADERS
from backend.pages.choices import Choices
from backend.pages.operator import NotSignedInError, operator_response, see_other
from backend.pages.page import POLICY, Page, make_page

Handler = Callable[[Request, Exception], Awaitable[Response]]

_OF_PROGRAMS = ("/api/", "/docs", "/redoc", "/openapi.json")


def install_error_pages(app: FastAPI) -> None:
    """Answer errors of pages as pages, with the status and the headers of the API's error."""
    for kind, handler in list(app.exception_handlers.items()):
        app.exception_handlers[kind] = _as_page(cast(Handler, handler))
    app.exception_handler(NotSignedInError)(_not_signed_in)


def _as_page(handler: Handler) -> Handler:
    async def answer(request: Request, error: Exception) -> Response:
        return page_instead(request, await handler(request, error))

    return answer


def page_instead(request: Request, problem: Response) -> Response:
    """Return the page for a problem of the API if a browser asked for one, otherwise the problem."""
    if path_of(request.scope).startswith(_OF_PROGRAMS):
        return problem
    if "text/html" not in request.headers.get("accept", ""):
        return problem  # programs keep the machine-readable form
    page = _page(request)
    detail = json.loads(bytes(problem.body))["detail"]
    kept = {
        name: value
        for name, value in problem.headers.items()
        if name not in {"content-type", "content-length"}
    }
    return HTMLResponse(
        page.render("pages/error.html", status=problem.status_code, detail=detail),
        problem.status_code,
        headers={
            **kept,
            **HEADERS,
            "Content-Security-Policy": POLICY,
            "Vary": "Accept, Accept-Language",
            "Cache-Control": "no-store",
        },
    )


async def _not_signed_in(request: Request, _error: Exception) -> Response:
    """Lead to the sign-in form; without a usable admin token, name the setting."""
    page = _page(request)
    if page.service.settings.usable_admin_token is None:
        return operator_response(page, "pages/ops_off.html", status=403)
    return see_other(page, "/ops/sign-in")


def _page(request: Request) -> Page:
    """Return a page in the chosen language, without the other choices: they may be what is wrong."""
    lang = request.query_params.get("lang")
    choices = Choices(lang="en" if lang == "en" else "fr" if lang == "fr" else None)
    return make_page(request, request.app.state.service, choices)
