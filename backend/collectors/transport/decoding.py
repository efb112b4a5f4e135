"""Decode bytes as JSON, XML or HTML in bounded time; every problem is a ParseError.

Each library raises errors of its own on damaged or malicious bytes. This module converts them all, so that
a collector handles its own format only.
"""

from __future__ import annotations

import json
import re
from contextlib import suppress
from dataclasses import dataclass
from typing import TypeVar

import msgspec
from lxml import etree
from selectolax.lexbor import LexborHTMLParser

from backend.core.errors import ParseError

MAX_PAGE_CHARACTERS, MAX_PAGE_TAGS = 500_000, 20_000
"""Far more than a page of readings has. Lexbor's time grows with the square of the number of open tags, or of
attributes in one tag: 20 000 open tags take one second, 40 000 take four."""

MOST_ROWS = 0.5
"""An answer is refused if more than this share of its rows is odd: its format has changed."""

MOST_ODD_ROWS = 1_000
"""An answer with more odd rows than this is refused too. It bounds the memory and the table of rejected
values; the largest answer that is read has some 2,000 rows."""

MAX_ODD_TEXT = 500
"""Characters of an odd row that are stored: enough to recognise it."""

T = TypeVar("T")
Row = TypeVar("Row")

_RAW_ROWS = msgspec.json.Decoder(list[msgspec.Raw])

_NUL = rb"\u0000"
_REPLACEMENT = rb"\ufffd"

_STRING_OR_NAN = re.compile(rb'"(?:[^"\\]|\\.)*+"?|-?\b(?:nan|inf(?:inity)?)\b', re.IGNORECASE | re.DOTALL)

_BODY_OPENS = re.compile(r"<body\b", re.IGNORECASE)
_BODY_CLOSES = re.compile(r"</(body|html)\s*>", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class OddRow:
    """A row of an answer that is not in the documented shape.

    `content` is the row as plain Python values, None where it is not JSON; `raw` is cut to MAX_ODD_TEXT.
    """

    raw: str
    reason: str
    content: object = None


def decode_json(decoder: msgspec.json.Decoder[T], body: bytes) -> T:
    """Decode JSON of the decoder's type; raise ParseError for any other, and for too deep nesting.

    The character NUL, which PostgreSQL cannot store, becomes U+FFFD, as it does in HTML.
    """
    try:
        return decoder.decode(body.replace(_NUL, _REPLACEMENT))
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise ParseError(str(error)) from error


def decode_json_leniently(decoder: msgspec.json.Decoder[T], body: bytes) -> T:
    """Decode as `decode_json` does, and accept what Python's encoder and C's printf write beyond JSON.

    NaN and Infinity, nan and inf become texts, so that they invalidate their own row and not the whole
    answer. Half a surrogate pair becomes "?".
    """
    try:
        return decode_json(decoder, body)
    except ParseError as error:
        if isinstance(error.__cause__, msgspec.ValidationError):
            raise
        try:
            # Python's lenient decoder reads it, and writes it as strict JSON.
            quoted = _STRING_OR_NAN.sub(_as_string, body.replace(_NUL, _REPLACEMENT))
            content = json.loads(quoted.decode("utf-8", "replace"))
            strict = json.dumps(content, ensure_ascii=False).encode("utf-8", "replace")
        except (ValueError, RecursionError):
            raise error from error.__cause__
        return decode_json(decoder, strict)


def decode_rows(
    array: msgspec.json.Decoder[list[Row]], row: msgspec.json.Decoder[Row], body: bytes
) -> tuple[list[Row], list[OddRow]]:
    """Decode a JSON array; return the rows in the documented shape, and the odd ones.

    The whole array is decoded at once, which is fast, and row by row only if that fails. Raise ParseError for
    anything but an array, and where most rows are odd.
    """
    try:
        return decode_json(array, body), []
    except ParseError:
        raw_rows = decode_json_leniently(_RAW_ROWS, body)
    rows: list[Row] = []
    odd: list[OddRow] = []
    for raw in raw_rows:
        try:
            rows.append(decode_json(row, bytes(raw)))
        except ParseError as error:
            # Cut before decoding: a row may have megabytes, and a character of UTF-8 four bytes at most.
            text = bytes(raw)[: 4 * MAX_ODD_TEXT].decode("utf-8", "replace")[:MAX_ODD_TEXT]
            content: object = None
            with suppress(msgspec.DecodeError, UnicodeDecodeError, RecursionError):
                content = msgspec.json.decode(raw)
            odd.append(OddRow(text, error.reason, content))
            require_few_odd(odd, len(raw_rows))
    return rows, odd


def require_few_odd(odd: list[OddRow], total: int) -> None:
    """Raise ParseError where more than MOST_ROWS of `total` rows, or MOST_ODD_ROWS of them, are odd."""
    if len(odd) > min(MOST_ROWS * total, MOST_ODD_ROWS):
        raise ParseError(f"at least {len(odd)} of {total} rows are not as documented: {odd[0].reason}")


def decode_json_with_nan(decoder: msgspec.json.Decoder[T], body: bytes) -> T:
    """Decode JSON that may contain bare `nan` or `inf`, which JSON does not allow; they become text: "nan".

    Raise ParseError as `decode_json` does.
    """
    try:
        return decode_json(decoder, body)
    except ParseError:
        repaired = _STRING_OR_NAN.sub(_as_string, body)
        if repaired == body:
            raise
        return decode_json(decoder, repaired)


def _as_string(match: re.Match[bytes]) -> bytes:
    return match[0] if match[0].startswith(b'"') else b'"%b"' % match[0]


def parse_xml(body: bytes, encoding: str | None = None) -> etree._Element:
    """Parse XML in its declared encoding, or in `encoding`; entities are not resolved.

    Raise ParseError if it is not well-formed, or has a document type: no format that is read has one, and
    entities can expand a small document into a huge one.
    """
    parser = etree.XMLParser(encoding=encoding, resolve_entities=False, no_network=True, huge_tree=False)
    try:
        root = etree.fromstring(body, parser)
    except etree.XMLSyntaxError as error:
        # The error text may quote the document, and a refusal may repeat a key.
        raise ParseError(f"not well-formed XML at line {error.lineno}") from None
    if root.getroottree().docinfo.doctype:
        raise ParseError("a document type declaration is not accepted")
    return root


def decode_page(body: bytes) -> str:
    """Return the text of a page in UTF-8; in Latin-1 if the bytes are not UTF-8."""
    try:
        return body.decode("utf-8-sig")
    except UnicodeDecodeError:
        return body.decode("latin-1")


def parse_html(text: str) -> LexborHTMLParser:
    """Parse a page; raise ParseError for one that is too large to be a page of readings, or that is cut.

    The parser itself accepts a cut page: it closes all open elements, and the rest would be missing silently.
    """
    if len(text) > MAX_PAGE_CHARACTERS:
        raise ParseError(f"page has {len(text)} characters, the limit is {MAX_PAGE_CHARACTERS}")
    if (tags := text.count("<")) > MAX_PAGE_TAGS:
        raise ParseError(f"page has {tags} tags, the limit is {MAX_PAGE_TAGS}")
    if _BODY_OPENS.search(text) and not _BODY_CLOSES.search(text):
        raise ParseError("cut: the page has no end tag of its body")
    return LexborHTMLParser(text)
