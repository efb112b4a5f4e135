"""Damaged payloads: Hypothesis strategies that damage stored ones, byte by byte and value by value.

Each takes seeds, payloads in their true format, and draws one of them with a few changes: a payload that is
nearly right gets further into a parser than noise.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Sequence
from functools import cache, partial
from typing import Any

from hypothesis import strategies as st

Strategy = st.SearchStrategy[bytes]
Slot = tuple[Any, Any]
"""A list or object of JSON, and where in it."""

DEEP = "@deep@"
"""Stands for brackets in brackets, which Python's own encoder would not write."""

ODD_NUMBERS = (
    *(0, -1, 1, 9999, -99, 360, 361, 2**31, 2**32, 2**53 + 1, 2**63, 2**64, -(2**63), 10**30),
    *(-0.0, 0.1, 5e-324, 1e-7, 250.1, 1e15, 1e300, -1e308, 1.8e308),
    *(float("nan"), float("inf"), float("-inf")),
)
ODD_TEXTS = (
    *(
        "",
        " ",
        "--",
        "---",
        "NC",
        "null",
        "NaN",
        "Infinity",
        "-inf",
        "1e5",
        "1e999",
        "-0",
        "+5",
        "1_000",
        "1,5",
    ),
    *("0x10", "9" * 400, "٣", "²", "१२", "O", "ONO", "WNW", "!!! WARNING !!!", "ERROR2", "error#2"),
    *("\0", "a\0b", "\ud800", "\u202e", "\ufeff", "é", "𝕏", "a" * 3000, "\r\n", "%00", "%s{0}"),
    *("0001-01-01 00:00:00", "9999-12-31 23:59:59", "2026-03-29 02:30:00", "2026-10-25 02:30:00"),
    *(
        "2026-02-30 12:00:00",
        "2026-07-15T12:00:00Z",
        "2026-07-15T12:00:00+14:00",
        "0001-01-01T00:00:00+14:00",
    ),
    *(
        "9999-12-31T23:59:59Z",
        "0001-01-01T00:00:00Z",
        "9999-12-31T23:59:59-14:00",
        "29-03-2026 02:30",
        "99-99-9999 99:99",
        "24:00",
        "00:60",
        "04:30",
    ),
    *("0000000000", "2026071524", "20260715", "99991231", "00H06H", "06H00H", "999H"),
    *("http://[", "//[::1", "https://example.org/?time=00H06H", "?referencetime=", "&time=&time="),
    *("romma:1", "ffvl-", "ffvl-1e3", "-1", "true", "False", DEEP),
)
ODD_MARKUP = (
    *("&nbsp;", "&amp;", "&#0;", "&#x110000;", "&#xD800;", "&undefined;", "&b;", "&eacute", "<![CDATA[5]]>"),
    *("<!-- -->", "<?php ?>", "</x>", "<br>", "<p>", "<span class='bigTexte'>7</span>", "]]>", "<"),
    *("<releve/>", "<id>1</id>", "<script>", "<textarea>", "<frameset>", "<template>", "<svg>", "<table>"),
)
ODD_SHAPES: tuple[Any, ...] = (None, True, False, [], {}, [None], [[]], [{}], {"": None})
DOCTYPES = (
    b"<!DOCTYPE releves>",
    b'<!DOCTYPE r [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;">]>',
    b'<!DOCTYPE r [<!ENTITY b SYSTEM "file:///etc/hostname">]>',
    b'<!DOCTYPE r SYSTEM "http://127.0.0.1:9/r.dtd">',
    b"<!DOCTYPE r [<!ENTITY % p \"<!ENTITY b 'x'>\"> %p;]>",
)
ODD_BYTES = (
    b"\0",
    b"\xff",
    b"\xef\xbb\xbf",
    b"\xff\xfe",
    b"\xc3",
    b"\x1a",
    b"\xed\xa0\x80",
    b"<",
    b'"',
    b"{",
    b"]",
)

texts = st.sampled_from(ODD_TEXTS) | st.text(st.characters(), max_size=12)
scalars = st.none() | st.booleans() | st.sampled_from(ODD_NUMBERS) | st.floats() | st.integers() | texts
json_values = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=4,
)


# --- Bytes -------------------------------------------------------------------------------------------


def _position(draw: st.DrawFn, body: bytes | bytearray) -> int:
    return draw(st.integers(0, len(body)))


def _stretch(draw: st.DrawFn, body: bytes | bytearray) -> slice:
    start = _position(draw, body)
    return slice(start, start + draw(st.integers(1, 60)))


def _flip(draw: st.DrawFn, body: bytearray) -> None:
    if body:
        body[draw(st.integers(0, len(body) - 1))] ^= draw(st.integers(1, 255))


def _delete(draw: st.DrawFn, body: bytearray) -> None:
    del body[_stretch(draw, body)]


def _insert(draw: st.DrawFn, body: bytearray) -> None:
    position = _position(draw, body)
    body[position:position] = draw(st.sampled_from(ODD_BYTES) | st.binary(min_size=1, max_size=8))


def _repeat(draw: st.DrawFn, body: bytearray) -> None:
    again = body[_stretch(draw, body)] * draw(st.sampled_from((1, 2, 50)))
    position = _position(draw, body)
    body[position:position] = again


def _truncate(draw: st.DrawFn, body: bytearray) -> None:
    del body[_position(draw, body) :]


def _recode(draw: st.DrawFn, body: bytearray) -> None:
    text = body.decode("utf-8", "replace")
    body[:] = text.encode(draw(st.sampled_from(("latin-1", "utf-16", "utf-32", "utf-8-sig"))), "replace")


_BYTE_CHANGES: tuple[Callable[[st.DrawFn, bytearray], None], ...] = (
    *(_flip, _delete, _insert, _repeat, _truncate, _recode),
)


@st.composite
def damaged_bytes(draw: st.DrawFn, bodies: Strategy) -> bytes:
    """Flip, delete, insert, repeat, cut off or re-encode, one to four times, in any format."""
    body = bytearray(draw(bodies))
    for change in draw(st.lists(st.sampled_from(_BYTE_CHANGES), min_size=1, max_size=4)):
        change(draw, body)
    return bytes(body)


# --- JSON --------------------------------------------------------------------------------------------


def _slots(container: Any, longest: int | None = None) -> Iterator[Slot]:
    keys = list(container) if isinstance(container, dict) else range(len(container))[:longest]
    for key in keys:
        yield container, key
        if isinstance(container[key], dict | list):
            yield from _slots(container[key], longest)


def _replace(draw: st.DrawFn, container: Any, key: Any) -> None:
    container[key] = draw(json_values)


def _remove(_draw: st.DrawFn, container: Any, key: Any) -> None:
    if len(container) > 1:
        del container[key]


def _double(_draw: st.DrawFn, container: Any, key: Any) -> None:
    if isinstance(container, list):
        container.insert(key, container[key])
    else:
        container[f"{key} "] = container[key]


def _as_text(_draw: st.DrawFn, container: Any, key: Any) -> None:
    container[key] = json.dumps(container[key])


def _wrap(_draw: st.DrawFn, container: Any, key: Any) -> None:
    container[key] = [container[key]]


def _rename(draw: st.DrawFn, container: Any, key: Any) -> None:
    if isinstance(container, dict):
        container[draw(texts)] = container.pop(key)


_JSON_CHANGES: tuple[Callable[[st.DrawFn, Any, Any], None], ...] = (
    *(_replace, _replace, _replace, _remove, _double, _as_text, _wrap, _rename),
)


@st.composite
def damaged_json(draw: st.DrawFn, seeds: Sequence[bytes]) -> bytes:
    """Replace, remove, double, wrap or rename one to four values; numbers of any size, NaN, deep nests."""
    root = _parsed(draw(st.sampled_from(seeds)))
    for change in draw(st.lists(st.sampled_from(_JSON_CHANGES), min_size=1, max_size=4)):
        slots = list(_slots(root))
        change(draw, *slots[draw(st.integers(0, len(slots) - 1))])
    return _encoded(root, ascii=draw(st.booleans()), depth=draw(st.sampled_from((5, 900, 20_000))))


def each_json_value_replaced(seed: bytes) -> Iterator[bytes]:
    """Give the payload once for each of its values and each odd one; of a list, its first two items count."""
    root = _parsed(seed)
    for container, key in list(_slots(root, longest=2)):
        value = container[key]
        for odd in (*ODD_NUMBERS, *ODD_TEXTS, *ODD_SHAPES):
            container[key] = odd
            yield _encoded(root)
        container[key] = value


def _parsed(body: bytes) -> list[Any]:
    return [json.loads(body.decode("utf-8-sig"))]


def _encoded(root: list[Any], *, ascii: bool = False, depth: int = 20_000) -> bytes:
    text = json.dumps(root[0], ensure_ascii=ascii).encode("utf-8", "surrogatepass")
    if DEEP.encode() in text:
        text = text.replace(f'"{DEEP}"'.encode(), b"[" * depth + b"]" * depth)
    return text


# --- XML and HTML ------------------------------------------------------------------------------------

_TOKENS = re.compile(rb"\s*<[^>]*>|[^<]+?(?=\s*<|\Z)|<")
_ATTRIBUTE = re.compile(rb"=\s*(\"[^\"]*\"|'[^']*'|[^\s>]+)")

Tokens = list[bytes]


def _written(text: str) -> bytes:
    return text.encode("utf-8", "surrogatepass")


def _other_text(draw: st.DrawFn, tokens: Tokens, index: int) -> None:
    tokens[index] = _written(draw(texts | st.sampled_from(ODD_MARKUP)))


def _more_text(draw: st.DrawFn, tokens: Tokens, index: int) -> None:
    tokens.insert(index, _written(draw(texts | st.sampled_from(ODD_MARKUP))))


def _without(_draw: st.DrawFn, tokens: Tokens, index: int) -> None:
    tokens[index] = b""


def _again(_draw: st.DrawFn, tokens: Tokens, index: int) -> None:
    tokens.insert(index, tokens[index])


def _elsewhere(draw: st.DrawFn, tokens: Tokens, index: int) -> None:
    other = draw(st.integers(0, len(tokens) - 1))
    tokens[index], tokens[other] = tokens[other], tokens[index]


def _other_attribute(draw: st.DrawFn, tokens: Tokens, index: int) -> None:
    value = _written(draw(texts | st.sampled_from(ODD_MARKUP)))
    tokens[index] = _ATTRIBUTE.sub(partial(_quoted, value), tokens[index], count=1)


def _quoted(value: bytes, _found: re.Match[bytes]) -> bytes:
    return b'="' + value + b'"'


def _doctype(draw: st.DrawFn, tokens: Tokens, _index: int) -> None:
    tokens.insert(1 if tokens[0].startswith(b"<?xml") else 0, draw(st.sampled_from(DOCTYPES)))


def _nested(draw: st.DrawFn, tokens: Tokens, index: int) -> None:
    opening, closing = draw(st.sampled_from(((b"<a>", b"</a>"), (b"<div>", b"</div>"), (tokens[index], b""))))
    depth = draw(st.sampled_from((3, 300)))
    tokens[index] = opening * depth + tokens[index] + closing * depth


_MARKUP_CHANGES: tuple[Callable[[st.DrawFn, Tokens, int], None], ...] = (
    *(
        _other_text,
        _other_text,
        _more_text,
        _without,
        _again,
        _elsewhere,
        _other_attribute,
        _doctype,
        _nested,
    ),
)


@st.composite
def damaged_markup(draw: st.DrawFn, seeds: Sequence[bytes]) -> bytes:
    """Replace texts, tags and attributes one to four times; entities, document types, deep nests."""
    tokens: Tokens = _TOKENS.findall(draw(st.sampled_from(seeds)))
    for change in draw(st.lists(st.sampled_from(_MARKUP_CHANGES), min_size=1, max_size=4)):
        change(draw, tokens, draw(st.integers(0, len(tokens) - 1)))
    return b"".join(tokens)


def each_token_replaced(seed: bytes) -> Iterator[bytes]:
    """Give the payload once for each of its texts, tags and attributes and each odd text or markup.

    Of what stands in it several times the first counts.
    """
    tokens: Tokens = _TOKENS.findall(seed)
    for index, token in enumerate(tokens):
        if token in tokens[:index]:
            continue
        before, after = b"".join(tokens[:index]), b"".join(tokens[index + 1 :])
        yield before + after
        yield before + token + token + after
        for odd in (*map(_written, (*ODD_TEXTS, *ODD_MARKUP)), *DOCTYPES):
            yield before + odd + after
            if _ATTRIBUTE.search(token):
                yield before + _ATTRIBUTE.sub(partial(_quoted, odd), token) + after


# --- GRIB --------------------------------------------------------------------------------------------

_HEADERS = 220
"""In bytes: the sections before the values, and where these begin."""

ODD_WORDS = (0, 1, 2, 255, 256, 32767, 65535, 2**31 - 1, 2**31, 2**32 - 1)


def grib_messages(body: bytes) -> list[bytes]:
    """Return the messages of a whole GRIB 2 file."""
    found = []
    while body:
        length = int.from_bytes(body[8:16], "big")
        found.append(body[:length])
        body = body[length:]
    return found


def _other_byte(draw: st.DrawFn, message: bytearray) -> None:
    message[draw(st.integers(16, min(_HEADERS, len(message)) - 1))] = draw(st.integers(0, 255))


def _other_word(draw: st.DrawFn, message: bytearray) -> None:
    start, size = draw(st.integers(16, _HEADERS)), draw(st.sampled_from((1, 2, 4)))
    word = draw(st.sampled_from(ODD_WORDS) | st.integers(0, 2**32 - 1))
    message[start : start + size] = (word % 256**size).to_bytes(size, "big")


_MESSAGE_CHANGES = (_other_byte, _other_byte, _other_word, _other_word, _flip, _delete, _repeat, _insert)


@st.composite
def damaged_grib(draw: st.DrawFn, seeds: Sequence[bytes]) -> bytes:
    """Change a message one to six times, then correct its lengths and end; or drop or repeat a message."""
    messages = grib_messages(draw(st.sampled_from(seeds)))
    index = draw(st.integers(0, len(messages) - 1))
    message = bytearray(messages[index])
    for change in draw(st.lists(st.sampled_from(_MESSAGE_CHANGES), max_size=6)):
        change(draw, message)
    message[8:16] = len(message).to_bytes(8, "big")
    message[-4:] = b"7777"
    messages[index : index + 1] = [bytes(message)] * draw(st.sampled_from((1, 1, 1, 1, 0, 2)))
    return b"".join(messages)


KINDS: dict[str, Callable[[Sequence[bytes]], Strategy]] = {
    "json": damaged_json,
    "markup": damaged_markup,
    "grib": damaged_grib,
}
EACH_REPLACED = {"json": each_json_value_replaced, "markup": each_token_replaced}


@cache
def damaged(kind: str, seeds: tuple[bytes, ...]) -> Strategy:
    """Return payloads of a kind damaged in their structure, in their bytes, or in both."""
    structure = KINDS[kind](seeds)
    return st.one_of(structure, structure, damaged_bytes(st.sampled_from(seeds)), damaged_bytes(structure))
