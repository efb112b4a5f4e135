"""The style sheet and the scripts of the pages. Each version has an address: browsers cache it."""

from __future__ import annotations

from base64 import b64encode
from functools import cache
from hashlib import blake2b, sha256
from pathlib import Path
from typing import NamedTuple

from backend.core.map_library import leaflet_folder

WEB = Path(__file__).parents[1] / "web"

STYLE = b"".join(file.read_bytes() for file in sorted((WEB / "styles").glob("*.css")))
"""All style sheets in one, in the order of their names: `base.css` is the first."""

STYLE_HASH = f"'sha256-{b64encode(sha256(STYLE).digest()).decode()}'"
"""The sheet as a source of a Content-Security-Policy: pages have it inline, and no other style."""

_BASE = (WEB / "styles" / "base.css").read_bytes()
EMBED_STYLE = _BASE[: _BASE.index(b"* { box-sizing")] + (WEB / "styles" / "alone" / "embed.css").read_bytes()
"""The style sheet of the card for other pages: the colours of all pages, and its own few rules."""

SCRIPT = (WEB / "scripts" / "pages.js").read_bytes()

MAP_SCRIPT = (WEB / "scripts" / "alone" / "map.js").read_bytes()
"""The script of the map page alone."""

WORKER = (WEB / "scripts" / "worker.js").read_bytes()
"""The service worker. Browsers ask for a new version of it by themselves, so its address stays."""

ICON = (WEB / "icon.svg").read_bytes()


def version(content: bytes) -> str:
    """Return a short hash of a file's content."""
    return blake2b(content, digest_size=4).hexdigest()


class Leaflet(NamedTuple):
    """The files of the map library."""

    script: bytes
    style: bytes


@cache
def leaflet() -> Leaflet | None:
    """Return the files of Leaflet; None if it is not installed."""
    folder = leaflet_folder()
    if folder is None:
        return None
    return Leaflet((folder / "leaflet.js").read_bytes(), (folder / "leaflet.css").read_bytes())
