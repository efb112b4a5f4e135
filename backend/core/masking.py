"""Keys never appear in a text: whatever is written down passes through here first."""

from __future__ import annotations

import html
import re
from collections.abc import Callable, Iterable
from urllib.parse import quote, quote_plus

Mask = Callable[[str], str]
"""Something that takes the secrets out of a text."""

MASKED = "***"


def mask_of(secrets: Iterable[str]) -> Mask:
    """Return a function that replaces every secret in a text, however a host or library spelt it."""
    spelt = {spelling for secret in secrets for spelling in _spellings(secret)}
    if not spelt:
        return str
    longest_first = sorted(spelt, key=len, reverse=True)
    pattern = re.compile("|".join(re.escape(text) for text in longest_first), re.IGNORECASE)
    return lambda text: pattern.sub(MASKED, text)


def _spellings(secret: str) -> set[str]:
    """Return a secret as it stands in a query, in HTML, in a Python repr, and without stray spaces."""
    bare = secret.strip()
    if not bare:
        return set()
    encoded = {quote(bare, safe=""), quote(bare), quote_plus(bare), html.escape(bare)}
    return {secret, bare, *encoded, *(repr(text)[1:-1] for text in (secret, bare))}
