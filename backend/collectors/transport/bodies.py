"""Is a body whole, and of the kind that was asked for? HTTP 200 and a content type prove neither. Pure."""

from __future__ import annotations

import re
from codecs import BOM_UTF8
from dataclasses import dataclass

from backend.collectors.base import Kind, Request
from backend.core.masking import Mask

HEAD_BYTES = 4096
SHOWN_CHARACTERS = 80

_GRIB_START, _GRIB_END = b"GRIB", b"7777"

# An HTML page, with or without its doctype, or the fragment that PHP prints when it fails ("<br />\n<b>…").
# The comments are atomic: tried again in every other way, thirty of them would take for ever.
_HTML = re.compile(
    rb"(<\?xml[^>]*\?>\s*)?(?><!--.*?-->\s*)*+"
    rb"<(!doctype\s+html|html|head|body|title|meta|script|div|table|center|h[1-6]|p|b|br|pre)\b",
    re.IGNORECASE | re.DOTALL,
)

_ACCEPTED: dict[Kind, frozenset[str]] = {
    "json": frozenset({"JSON"}),
    "xml": frozenset({"XML"}),
    "html": frozenset({"HTML", "XML"}),  # a page may start with any element, even with <?xml
    "grib": frozenset({"GRIB"}),
}


@dataclass(slots=True)
class BodySummary:
    """What is remembered of a body while it passes: its size in decoded bytes, and both its ends."""

    size: int = 0
    head: bytes = b""
    tail: bytes = b""

    def add(self, chunk: bytes) -> None:
        """Take the next piece of the body into account."""
        self.size += len(chunk)
        if len(self.head) < HEAD_BYTES:
            self.head = (self.head + chunk)[:HEAD_BYTES]
        self.tail = (self.tail + chunk[-len(_GRIB_END) :])[-len(_GRIB_END) :]

    @property
    def blank(self) -> bool:
        """Say whether nothing came but a byte order mark and white space: some hosts do that at random."""
        return self.size < HEAD_BYTES and not self.head.removeprefix(BOM_UTF8).strip()


@dataclass(frozen=True, slots=True)
class BodyProblem:
    """Why a body cannot be used; `retryable` if the next one may be whole."""

    reason: str
    retryable: bool = False


def find_problem(request: Request, body: BodySummary, declared: int | None, mask: Mask) -> BodyProblem | None:
    """Return what is wrong with a body, or None.

    `declared` is the Content-Length where it counts the bytes that `body` counted (not compressed).
    """
    if declared is not None and body.size != declared:
        return BodyProblem(f"cut: {body.size} of {declared} bytes came", retryable=True)
    if body.blank:
        return BodyProblem("empty body", retryable=True)
    found = name_kind(body.head)
    if found not in _ACCEPTED[request.kind]:
        return BodyProblem(
            f"expected {request.kind.upper()}, got {found}: {start_of_text(body.head, mask)!r}"
        )
    if request.expected_bytes is not None and body.size != request.expected_bytes:
        return BodyProblem(
            f"{body.size} bytes came where the index announced {request.expected_bytes}",
            retryable=body.size < request.expected_bytes,
        )
    if request.kind == "grib" and body.tail != _GRIB_END:
        return BodyProblem("cut: a GRIB that does not end with 7777", retryable=True)
    return None


def name_kind(head: bytes) -> str:
    """Say what a body is by how it starts: GRIB, JSON, HTML, XML, text or binary."""
    if head.startswith(_GRIB_START):
        return "GRIB"
    text = head.removeprefix(BOM_UTF8).lstrip()
    if text.startswith((b"{", b"[")):
        return "JSON"
    if text.startswith(b"<"):
        return "HTML" if _HTML.match(text) else "XML"
    return "binary" if b"\x00" in text else "text"


def start_of_text(head: bytes, mask: Mask) -> str:
    """Return how a body starts, on one line and without secrets: enough to recognise an error page."""
    # Masked before it is cut, for half a key is no longer recognised.
    text = mask(head.decode("utf-8-sig", "replace"))
    return " ".join(text.split())[:SHOWN_CHARACTERS]
