"""Check that a body is whole and of the requested kind: HTTP 200 and a content type prove neither. Pure."""

from __future__ import annotations

import re
from codecs import BOM_UTF8
from dataclasses import dataclass

from backend.collectors.base import Kind, Request
from backend.core.masking import Mask

HEAD_BYTES = 4096
SHOWN_CHARACTERS = 80

_GRIB_START, _GRIB_END = b"GRIB", b"7777"
_GZIP_START = b"\x1f\x8b"

# An HTML page, with or without its doctype, or the fragment that PHP prints when it fails ("<br />\n<b>…").
# Comments match atomically: with backtracking, thirty of them would take exponential time.
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
    "gzip": frozenset({"GZIP"}),
}


@dataclass(slots=True)
class BodySummary:
    """Size of a body in decoded bytes, and its first and last bytes, collected while it streams."""

    size: int = 0
    head: bytes = b""
    tail: bytes = b""

    def add(self, chunk: bytes) -> None:
        """Add the next chunk of the body."""
        self.size += len(chunk)
        if len(self.head) < HEAD_BYTES:
            self.head = (self.head + chunk)[:HEAD_BYTES]
        self.tail = (self.tail + chunk[-len(_GRIB_END) :])[-len(_GRIB_END) :]

    @property
    def blank(self) -> bool:
        """True if the body is only a byte order mark and white space: some hosts send that at random."""
        return self.size < HEAD_BYTES and not self.head.removeprefix(BOM_UTF8).strip()


@dataclass(frozen=True, slots=True)
class BodyProblem:
    """Why a body cannot be used; `retryable` if the next attempt may return a whole one."""

    reason: str
    retryable: bool = False


def find_problem(request: Request, body: BodySummary, declared: int | None, mask: Mask) -> BodyProblem | None:
    """Return the first problem of a body, or None.

    `declared` is the Content-Length, or None where it counts compressed bytes.
    """
    if declared is not None and body.size != declared:
        return BodyProblem(f"cut: received {body.size} of {declared} bytes", retryable=True)
    if body.blank:
        return BodyProblem("empty body", retryable=True)
    kind = name_kind(body.head)
    if kind not in _ACCEPTED[request.kind]:
        return BodyProblem(f"expected {request.kind.upper()}, got {kind}: {start_of_text(body.head, mask)!r}")
    if request.expected_bytes is not None and body.size != request.expected_bytes:
        return BodyProblem(
            f"received {body.size} bytes, the index announced {request.expected_bytes}",
            retryable=body.size < request.expected_bytes,
        )
    if request.kind == "grib" and body.tail != _GRIB_END:
        return BodyProblem("cut: a GRIB that does not end with 7777", retryable=True)
    return None


def name_kind(head: bytes) -> str:
    """Return the kind of a body by its first bytes: GRIB, GZIP, JSON, HTML, XML, text or binary."""
    if head.startswith(_GRIB_START):
        return "GRIB"
    if head.startswith(_GZIP_START):
        return "GZIP"
    text = head.removeprefix(BOM_UTF8).lstrip()
    if text.startswith((b"{", b"[")):
        return "JSON"
    if text.startswith(b"<"):
        return "HTML" if _HTML.match(text) else "XML"
    return "binary" if b"\x00" in text else "text"


def start_of_text(head: bytes, mask: Mask) -> str:
    """Return the first characters of a body on one line, secrets masked, to recognise an error page."""
    # Mask before cutting: the mask does not recognise half a key.
    text = mask(head.decode("utf-8-sig", "replace"))
    return " ".join(text.split())[:SHOWN_CHARACTERS]
