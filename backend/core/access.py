"""Named tokens: what a token allows, how one is made, and the form in which the store has it."""

from __future__ import annotations

import hashlib
import secrets
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum


class Right(StrEnum):
    """What a token allows."""

    READ_WITHHELD = "read-withheld"
    OPERATE = "operate"
    READ_METRICS = "read-metrics"


@dataclass(frozen=True, slots=True)
class Access:
    """Who sent a request, and what the token of the request allows."""

    name: str
    rights: frozenset[Right]


@dataclass(frozen=True, slots=True, kw_only=True)
class NamedToken:
    """A token as the store has it: the SHA-256 of its bytes, never the token itself."""

    name: str
    hash: bytes
    rights: frozenset[Right]
    created_at: datetime
    revoked_at: datetime | None = None


def new_token() -> str:
    """Return a token of 32 random bytes. Its first letters show what it is to who finds it in a file."""
    return f"meteo-score_{secrets.token_urlsafe(32)}"


def token_hash(token: bytes) -> bytes:
    """Return the SHA-256 of a token. It needs no salt: 32 random bytes cannot be guessed from it."""
    return hashlib.sha256(token).digest()
