"""Screenshots of every page, as people see it: phone and desktop, light and dark, both languages.

    make screenshots                              # all pages and variants into .screenshots
    make screenshots SCREENSHOTS="--readme"       # only the pictures of the README, into docs/images

The store is the one of the browser's tests, so that two runs of the same code give the same pictures.
"""

from __future__ import annotations

import argparse
import re
import sys
from itertools import product
from pathlib import Path
from tempfile import TemporaryDirectory

from playwright.sync_api import Browser

from backend.main import create_app
from backend.tests.support.browser import CHROMIUM, chromium, listening, new_context
from backend.tests.support.page_paths import give_session, html_paths
from backend.tests.support.page_store import page_service
from backend.tests.support.tiles import map_settings, tiles

VARIANTS = [*product((360, 1280), ("light", "dark"), ("fr", "en"))]

README = {
    "home.png": ("/?lim=20", 360, 740),
    "site.png": ("/sites/planfait?lim=20", 360, 740),
    "verdict.png": ("/sites/planfait?lim=20#verdict", 360, 740),
}
"""The pictures of the README: file, address, width and height in CSS pixels."""

IMAGES = Path(__file__).parents[1] / "docs" / "images"


def all_pages(browser: Browser, address: str, folder: Path) -> None:
    """Take a picture of each page in each variant."""
    for path, (width, scheme, language) in product(html_paths(address), VARIANTS):
        context = new_context(
            browser,
            viewport={"width": width, "height": 800},
            color_scheme="dark" if scheme == "dark" else "light",
            locale=language,
        )
        give_session(context, address, path)
        tab = context.new_page()
        tab.goto(address + path)
        name = re.sub(r"[^a-z0-9]+", "-", path.lower()).strip("-") or "home"
        tab.screenshot(path=folder / f"{name}-{width}-{scheme}-{language}.png", full_page=True)
        context.close()


def of_readme(browser: Browser, address: str) -> None:
    """Take the pictures of the README."""
    IMAGES.mkdir(exist_ok=True)
    for name, (path, width, height) in README.items():
        context = new_context(
            browser, viewport={"width": width, "height": height}, device_scale_factor=2, locale="en"
        )
        tab = context.new_page()
        tab.goto(address + path)
        tab.screenshot(path=IMAGES / name)
        context.close()


def main() -> None:
    """Serve the store, and take the pictures."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--readme", action="store_true", help="only the pictures of the README")
    parser.add_argument("--folder", type=Path, default=Path(".screenshots"))
    options = parser.parse_args()
    if CHROMIUM is None:
        sys.exit("no Chromium installed: apt install chromium")
    with TemporaryDirectory() as store, tiles() as (tile_host, _), chromium() as browser:
        # Without tiles for the README: most services have no map.
        service = page_service(Path(store), **({} if options.readme else map_settings(tile_host)))
        with listening(create_app(service)) as address:
            if options.readme:
                of_readme(browser, address)
            else:
                options.folder.mkdir(parents=True, exist_ok=True)
                all_pages(browser, address, options.folder)


if __name__ == "__main__":
    main()
