"""Masking of secrets: every logged, stored or displayed text passes through here."""

from __future__ import annotations

import html
import re
from collections.abc import Callable, Iterable
from urllib.parse import quote, quote_plus

Mask = Callable[[str], str]
"""A function that masks the secrets in a text."""

MASKED = "***"


def mask_of(secrets: Iterable[str]) -> Mask:
    """Return a function that masks every secret in a text, in any encoding that a host or library uses."""
    spelt = {spelling for secret in secrets for spelling in _spellings(secret)}
    if not spelt:
        return str
    longest_first = sorted(spelt, key=len, reverse=True)
    pattern = re.compile("|".join(re.escape(text) for text in longest_first), re.IGNORECASE)
    return lambda text: pattern.sub(MASKED, text)


def _spellings(secret: str) -> set[str]:
    """Return a secret as it appears in a query, in HTML, in a Python repr, and without stray spaces."""
    bare = secret.strip()
    if not bare:
        return set()
    encoded = {quote(bare, safe=""), quote(bare), quote_plus(bare), html.escape(bare)}
    return {secret, bare, *encoded, *(repr(text)[1:-1] for text in (secret, bare))}
