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
    spelt: set[str] = set()
    for secret in secrets:
        bare = secret.strip()
        if bare:
            # As it appears in a query, in HTML, in a Python repr, and without stray spaces.
            spelt |= {secret, bare, quote(bare, safe=""), quote(bare), quote_plus(bare), html.escape(bare)}
            spelt |= {repr(text)[1:-1] for text in (secret, bare)}
    if not spelt:
        return str
    longest_first = sorted(spelt, key=len, reverse=True)
    pattern = re.compile("|".join(re.escape(text) for text in longest_first), re.IGNORECASE)
    return lambda text: pattern.sub(MASKED, text)
