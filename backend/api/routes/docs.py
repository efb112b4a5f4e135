"""The API's description at `/docs` (Swagger UI) and `/redoc`, without a request to any other host.

Scripts and style sheets come from the package `fastapi-offline`, so the pages work without internet and the
browser loads no code of a third party.
"""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path
from typing import Annotated

from fastapi import APIRouter, Request
from fastapi import Path as PathParameter
from fastapi.responses import FileResponse, HTMLResponse, Response

from backend import __version__
from backend.api.prefix import root_of
from backend.core.errors import NotFoundError

router = APIRouter(include_in_schema=False)

_STATIC = Path(str(files("fastapi_offline"))) / "static"
_ASSETS = {
    "swagger-ui.css": "text/css",
    "swagger-ui-bundle.js": "text/javascript",
    "redoc.standalone.js": "text/javascript",
    "favicon.png": "image/png",
}

# Both viewers set styles at run time, and Redoc searches in a worker that it makes from a blob.
_HEADERS = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline';"
    " img-src 'self' data:; connect-src 'self'; worker-src blob:; base-uri 'none'; form-action 'none';"
    " frame-ancestors 'none'",
}

_START = """SwaggerUIBundle({
  url: document.currentScript.dataset.description,
  dom_id: "#swagger-ui",
  deepLinking: true,
  presets: [SwaggerUIBundle.presets.apis],
  layout: "BaseLayout",
});
"""
"""A file of its own: the policy above allows no script inside a page."""

_PAGE = """<!doctype html>
<html lang="en">
<head>
  <meta charset="utf-8">
  <meta name="viewport" content="width=device-width, initial-scale=1">
  <title>MétéoScore API</title>
  <link rel="icon" href="{root}/docs/favicon.png">
  <link rel="stylesheet" href="{root}/docs/swagger-ui.css?v={version}">
</head>
<body>
{body}
</body>
</html>
"""

_SWAGGER = """<div id="swagger-ui"></div>
<script src="{root}/docs/swagger-ui-bundle.js?v={version}"></script>
<script src="{root}/docs/start.js?v={version}" data-description="{description}"></script>"""

_REDOC = """<redoc spec-url="{description}"></redoc>
<script src="{root}/docs/redoc.standalone.js?v={version}"></script>"""


def _page(request: Request, body: str) -> HTMLResponse:
    root = root_of(request.scope)
    body = body.format(version=__version__, root=root, description=root + request.app.openapi_url)
    return HTMLResponse(_PAGE.format(version=__version__, root=root, body=body), headers=_HEADERS)


@router.get("/docs", response_class=HTMLResponse)
async def swagger(request: Request) -> HTMLResponse:
    """Show the API with Swagger UI."""
    return _page(request, _SWAGGER)


@router.get("/redoc", response_class=HTMLResponse)
async def redoc(request: Request) -> HTMLResponse:
    """Show the API with Redoc."""
    return _page(request, _REDOC)


@router.get("/docs/{asset}")
async def asset(asset: Annotated[str, PathParameter()]) -> Response:
    """Return a script, a style sheet or the icon of both pages. Raises NotFoundError."""
    headers = {"Cache-Control": "public, max-age=604800"}
    if asset == "start.js":
        return Response(_START, media_type="text/javascript", headers=headers)
    if asset not in _ASSETS:
        raise NotFoundError(f"There is nothing at /docs/{asset}: /docs lists all addresses.")
    return FileResponse(_STATIC / asset, media_type=_ASSETS[asset], headers=headers)
