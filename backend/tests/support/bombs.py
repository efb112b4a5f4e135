"""Payloads that are expensive to read: as large as a request may be, or small and growing."""

from __future__ import annotations

import resource
import sqlite3  # noqa: F401 - with psycopg, before eccodes
import time
from functools import cache
from itertools import pairwise

import psycopg  # noqa: F401 - with sqlite3, before eccodes

from backend.collectors.base import Request
from backend.collectors.transport.decoding import MAX_PAGE_CHARACTERS, MAX_PAGE_TAGS
from backend.tests.support.fuzz_targets import Target, check, targets

SIZE = Request(url="", kind="json").max_bytes
ROMMA, BALISEMETEO = "Dernier relevé en direct : le 15 juillet 2026 14:00", "Relevé du 15/07/2026 - 14:00"


def filled(piece: bytes, size: int = SIZE) -> bytes:
    return piece * (size // len(piece))


def doctype(*entities: bytes) -> bytes:
    return b"<!DOCTYPE releves [" + b"".join(b"<!ENTITY %s>" % entity for entity in entities) + b"]>"


def laughs() -> bytes:
    """Return entities of ten entities each, twelve deep: `&m;` stands for a million million letters."""
    names = b"abcdefghijklm"
    tens = (b'%c "%s"' % (name, b"&%c;" % before * 10) for before, name in pairwise(names))
    return doctype(b'a "ha"', *tens)


def json_bombs(seed: bytes) -> dict[str, bytes]:
    """Return bombs alone and inside an object of the payload."""
    end = seed.rindex(b"}")
    alone = {
        "nested lists": b"[" * (SIZE // 2) + b"]" * (SIZE // 2),
        "nested objects": filled(b'{"a":'),
        "empty objects": b"[" + filled(b"{},") + b"{}]",
        "one long number": b"[" + b"9" * SIZE + b"]",
        "one long text": b'["' + b"a" * SIZE + b'"]',
    }
    inside = {f"{name} inside": seed[:end] + b',"x":' + bomb + seed[end:] for name, bomb in alone.items()}
    return alone | inside


@cache
def markup_bombs() -> dict[str, bytes]:
    page = f'<div id="affichage_simple">{ROMMA}<div class="Titre">{BALISEMETEO}</div>'.encode()
    row = b"<releve><id>1</id><valide>1</valide><date>x</date>%s</releve>" % b"".join(
        b"<%s/>" % name for name in (b"vent_moyen_10", b"direction", b"temperature")
    )
    entry = (
        b"<Contents><Key>a</Key><Size>1</Size><LastModified>2026-07-15T12:00:00Z</LastModified></Contents>"
    )
    return {
        "billion laughs": laughs() + b"<releves>&m;</releves>",
        "laughs in an attribute": laughs() + b'<releves x="&m;"/>',
        "one entity many times": doctype(b'a "%s"' % (b"a" * 100_000)) + b"<releves>" + filled(b"&a;"),
        "nested elements": filled(b"<releves>"),
        "many rows": b"<releves>" + filled(row) + b"</releves>",
        "many entries": b"<ListBucketResult>" + filled(entry) + b"</ListBucketResult>",
        "one long text": b"<releves>" + b"x" * SIZE + b"</releves>",
        "many comments": b"<!---->" * 500,
        "open comments": filled(b"<!--"),
        "open tags": page + b"<div>" * (MAX_PAGE_TAGS - 10),
        "open values": page + b'<span class="bigTexte">' * (MAX_PAGE_TAGS // 2),
        "open labels": page + b'<i class="label">' * (MAX_PAGE_TAGS // 2),
        "more open tags than a page has": filled(b"<div>", MAX_PAGE_CHARACTERS),
    }


def bombs(target: Target) -> dict[str, bytes]:
    return json_bombs(target.seeds[0]) if target.kind == "json" else markup_bombs()


def set_off(name: str) -> tuple[dict[str, float], float]:
    """Feed the bombs to a parser; return the CPU seconds of each, and how many MB they added at most.

    It is called in a process of its own, which may break, so that the memory is that of the parser alone.
    """
    target = next(target for target in targets() if target.name == name)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    took = {}
    for label, bomb in bombs(target).items():
        start = time.process_time()
        check(target, bomb)
        took[label] = time.process_time() - start
    return took, (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024
