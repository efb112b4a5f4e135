"""JSON, XML and HTML: damaged or made to harm, they are a ParseError, and soon."""

from __future__ import annotations

import msgspec
import pytest

from backend.collectors.transport.decoding import decode_json, parse_html, parse_xml
from backend.core.errors import ParseError

ANY_JSON = msgspec.json.Decoder(dict[str, str | list[int]])


@pytest.mark.parametrize(
    ("body", "text"),
    [
        (b"", "Input data was truncated"),
        (b"<html>", "malformed"),
        (b'{"a": 1}', "Expected `str | array`"),
        (b'{"a": "\xe9t\xe9"}', "can't decode byte 0xe9"),
        (b'{"a": "\\ud800"}', "Input data was truncated|unexpected|malformed|surrogate"),
        (b'{"a": [1' + b"0" * 5000 + b"]}", "out of range"),
    ],
)
def test_what_is_not_the_json_we_know_is_a_parse_error(body: bytes, text: str) -> None:
    with pytest.raises(ParseError, match=text):
        decode_json(ANY_JSON, body)


def test_json_without_an_end_of_nesting_is_a_parse_error() -> None:
    with pytest.raises(ParseError, match="recursion"):
        decode_json(msgspec.json.Decoder(), b"[" * 100_000)


def test_the_one_letter_that_postgresql_cannot_keep_becomes_the_mark_for_what_cannot_be_read() -> None:
    assert decode_json(ANY_JSON, rb'{"a": "Col\u0000"}') == {"a": "Col\N{REPLACEMENT CHARACTER}"}


def test_xml_is_read_in_the_encoding_that_it_declares_or_that_is_given() -> None:
    declared = '<?xml version="1.0" encoding="ISO-8859-1"?><a>été</a>'.encode("latin-1")
    assert parse_xml(declared).text == "été"
    assert parse_xml("<a>été</a>".encode("latin-1"), "iso-8859-1").text == "été"


@pytest.mark.parametrize(
    ("body", "text"),
    [
        (b"<a><b></a>", "not well-formed XML at line 1"),
        (b"<a>" * 300 + b"</a>" * 300, "not well-formed XML at line 1"),
        (b"<!DOCTYPE a><a/>", "a document type declaration is not accepted"),
        (b'<!DOCTYPE a [<!ENTITY b "c">]><a>&b;</a>', "a document type declaration is not accepted"),
    ],
)
def test_xml_that_is_broken_endless_or_has_a_document_type_is_a_parse_error(body: bytes, text: str) -> None:
    with pytest.raises(ParseError, match=text):
        parse_xml(body)


def test_an_error_does_not_quote_the_document() -> None:
    with pytest.raises(ParseError) as refusal:
        parse_xml(b"<s3cr3t></a>")
    assert "s3cr3t" not in str(refusal.value)


def test_a_page_as_large_as_allowed_is_read_and_a_larger_one_is_not() -> None:
    assert parse_html("<p>" * 20_000).css_first("p") is not None
    with pytest.raises(ParseError, match="page has 20001 tags, the limit is 20000"):
        parse_html("<p>" * 20_001)
    with pytest.raises(ParseError, match="page has 500001 characters, the limit is 500000"):
        parse_html("a" * 500_001)
