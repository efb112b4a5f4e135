"""Errors of pages as HTML in the reader's language. Errors of the API stay `application/problem+json`."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable
from typing import cast

from fastapi import FastAPI, Request, Response
from fastapi.responses import HTMLResponse

from backend.api.security_headers import HEADERS
from backend.pages.choices import Choices
from backend.pages.page import POLICY, make_page

Handler = Callable[[Request, Exception], Awaitable[Response]]

_OF_PROGRAMS = ("/api/", "/docs", "/redoc", "/openapi.json")


def install_error_pages(app: FastAPI) -> None:
    """Answer errors of pages as pages, with the status and the headers of the API's error."""
    for kind, handler in list(app.exception_handlers.items()):
        app.exception_handlers[kind] = _as_page(cast(Handler, handler))


def _as_page(handler: Handler) -> Handler:
    async def answer(request: Request, error: Exception) -> Response:
        response = await handler(request, error)
        root = request.scope.get("root_path", "")
        if request.url.path.removeprefix(root).startswith(_OF_PROGRAMS):
            return response
        if "text/html" not in request.headers.get("accept", ""):
            return response  # programs keep the machine-readable form
        problem = json.loads(bytes(response.body))
        lang = request.query_params.get("lang")
        choices = Choices(lang="en" if lang == "en" else "fr" if lang == "fr" else None)
        page = make_page(request, request.app.state.service, choices)
        return HTMLResponse(
            page.render("pages/error.html", status=response.status_code, detail=problem["detail"]),
            response.status_code,
            headers={
                **{
                    name: value
                    for name, value in response.headers.items()
                    if name not in {"content-type", "content-length"}
                },
                **HEADERS,
                "Content-Security-Policy": POLICY,
                "Vary": "Accept, Accept-Language",
                "Cache-Control": "no-store",
            },
        )

    return answer
