"""From bytes to JSON, XML and HTML, in bounded time: whatever is wrong with them is a ParseError.

Every library fails in ways of its own on bytes that were damaged on the way, or made to harm. They are
told apart here once, so that a collector need only know its own format.
"""

from __future__ import annotations

import re
from typing import TypeVar

import msgspec
from lxml import etree
from selectolax.lexbor import LexborHTMLParser

from backend.core.errors import ParseError

MAX_PAGE_CHARACTERS, MAX_PAGE_TAGS = 500_000, 20_000
"""Far more than a page of readings has. Lexbor's time grows with the square of what stands open or in one
tag: 20 000 open tags take it one second, 40 000 four."""

T = TypeVar("T")

_NUL = rb"\u0000"
_REPLACEMENT = rb"\ufffd"

_BODY_OPENS = re.compile(r"<body\b", re.IGNORECASE)
_BODY_CLOSES = re.compile(r"</(body|html)\s*>", re.IGNORECASE)


def decode_json(decoder: msgspec.json.Decoder[T], body: bytes) -> T:
    """Decode JSON of the decoder's type; raise ParseError for any other, and for endless nesting.

    The character NUL, which PostgreSQL cannot keep, becomes U+FFFD, as it does in HTML.
    """
    try:
        return decoder.decode(body.replace(_NUL, _REPLACEMENT))
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise ParseError(str(error)) from error


def parse_xml(body: bytes, encoding: str | None = None) -> etree._Element:
    """Parse XML in its declared encoding, or the one given; entities stay as they are.

    Raise ParseError where it is not well-formed, without quoting it, or has a document type: the
    formats we know have none, and entities are how a small document becomes a large one.
    """
    parser = etree.XMLParser(encoding=encoding, resolve_entities=False, no_network=True, huge_tree=False)
    try:
        root = etree.fromstring(body, parser)
    except etree.XMLSyntaxError as error:
        # Its text may quote the document, and a refusal may repeat a key.
        raise ParseError(f"not well-formed XML at line {error.lineno}") from None
    if root.getroottree().docinfo.doctype:
        raise ParseError("a document type declaration is not accepted")
    return root


def parse_html(text: str) -> LexborHTMLParser:
    """Parse a page; raise ParseError for one that is too large to be a page of readings, or that is cut.

    A parser closes what a cut page leaves open, and what came is read as if it were all there is.
    """
    if len(text) > MAX_PAGE_CHARACTERS:
        raise ParseError(f"a page of {len(text)} characters: {MAX_PAGE_CHARACTERS} is the most we read")
    if (tags := text.count("<")) > MAX_PAGE_TAGS:
        raise ParseError(f"a page of {tags} tags: {MAX_PAGE_TAGS} is the most we read")
    if _BODY_OPENS.search(text) and not _BODY_CLOSES.search(text):
        raise ParseError("cut: a page that is never closed")
    return LexborHTMLParser(text)
