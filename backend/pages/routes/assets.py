"""Style sheet, scripts, icon and manifest, and what search engines read."""

from __future__ import annotations

from html import escape

from fastapi import APIRouter, HTTPException, Response
from fastapi.responses import JSONResponse

from backend.pages.assets import ICON, SCRIPT, STYLE, WORKER
from backend.pages.language import LANGUAGES
from backend.pages.page import PageDep

router = APIRouter(include_in_schema=False)

_A_WEEK = {"Cache-Control": "public, max-age=604800"}
_AN_HOUR = {"Cache-Control": "public, max-age=3600"}

PUBLIC_PAGES = ("/", "/methodology", "/about-data")
"""Pages in the sitemap besides those of the sites."""

MOST_SITES = 20_000
"""Number of sites in the sitemap; a sitemap may have 50,000 addresses, and each site has two."""


@router.get("/style.css")
def style() -> Response:
    """Return the style sheet. Each version has its own address."""
    return Response(STYLE, media_type="text/css", headers=_A_WEEK)


@router.get("/pages.js")
def script() -> Response:
    """Return the script. Each version has its own address."""
    return Response(SCRIPT, media_type="text/javascript", headers=_A_WEEK)


@router.get("/worker.js")
def worker() -> Response:
    """Return the service worker. Its address puts all pages of the service within its scope."""
    return Response(WORKER, media_type="text/javascript", headers={"Cache-Control": "no-cache"})


@router.get("/icon.svg")
def icon() -> Response:
    """Return the icon. Each version has its own address."""
    return Response(ICON, media_type="image/svg+xml", headers=_A_WEEK)


@router.get("/site.webmanifest")
def manifest(page: PageDep) -> Response:
    """Return the manifest, with which a phone puts the pages on its home screen."""
    content = {
        "name": "MétéoScore",
        "short_name": "MétéoScore",
        "description": page.language.gettext(
            "Which forecast to trust at your flying site, and by how much it is usually wrong."
        ),
        "lang": page.language.code,
        "start_url": page.bare_url("/"),
        "scope": page.bare_url("/"),
        "display": "minimal-ui",
        "background_color": "#f5f7f9",
        "theme_color": "#0a5ca8",
        "icons": [{"src": page.bare_url("/icon.svg"), "sizes": "any", "type": "image/svg+xml"}],
    }
    headers = _AN_HOUR | {"Vary": "Accept-Language"}
    return JSONResponse(content, media_type="application/manifest+json", headers=headers)


@router.get("/robots.txt")
def robots(page: PageDep) -> Response:
    """Allow the pages to search engines, and not the API and the operator's page."""
    lines = [
        "User-agent: *",
        f"Disallow: {page.bare_url('/api/')}",
        f"Disallow: {page.bare_url('/ops')}",
        f"Allow: {page.bare_url('/')}",
    ]
    if sitemap_url := page.absolute("/sitemap.xml"):
        lines += ["", f"Sitemap: {sitemap_url}"]
    return Response("\n".join(lines) + "\n", media_type="text/plain", headers=_AN_HOUR)


@router.get("/sitemap.xml")
def sitemap(page: PageDep) -> Response:
    """Return the addresses of the pages in each language. 404 without PUBLIC_URL."""
    if page.absolute() is None:
        raise HTTPException(404, "There is no sitemap without the setting PUBLIC_URL.")
    paths = [*PUBLIC_PAGES, *(f"/sites/{site.id}" for site in page.service.sites()[:MOST_SITES])]
    entries = []
    for path in paths:
        by_language = {code: escape(page.absolute(path, lang=code) or "") for code in LANGUAGES}
        links = "".join(
            f'<xhtml:link rel="alternate" hreflang="{code}" href="{url}"/>'
            for code, url in by_language.items()
        )
        entries += [f"<url><loc>{url}</loc>{links}</url>" for url in by_language.values()]
    text = (
        '<?xml version="1.0" encoding="UTF-8"?>\n'
        '<urlset xmlns="http://www.sitemaps.org/schemas/sitemap/0.9"'
        ' xmlns:xhtml="http://www.w3.org/1999/xhtml">\n' + "\n".join(entries) + "\n</urlset>\n"
    )
    return Response(text, media_type="application/xml", headers=_AN_HOUR)
