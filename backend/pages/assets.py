"""The style sheet and the script of the pages. A new version has a new address, as browsers cache the old."""

from __future__ import annotations

from hashlib import blake2b
from pathlib import Path

WEB = Path(__file__).parents[1] / "web"

STYLE = b"".join(file.read_bytes() for file in sorted((WEB / "styles").glob("*.css")))
"""All style sheets in one, in the order of their names: `base.css` is the first."""

_BASE = (WEB / "styles" / "base.css").read_bytes()
EMBED_STYLE = _BASE[: _BASE.index(b"* { box-sizing")] + (WEB / "styles" / "alone" / "embed.css").read_bytes()
"""The style sheet of the card for other pages: the colours of all pages, and its own few rules."""

SCRIPT = (WEB / "scripts" / "pages.js").read_bytes()

WORKER = (WEB / "scripts" / "worker.js").read_bytes()
"""The service worker. Browsers ask for a new version of it by themselves, so its address stays."""

ICON = (WEB / "icon.svg").read_bytes()


def version(content: bytes) -> str:
    """Return a short hash of a file's content."""
    return blake2b(content, digest_size=4).hexdigest()
