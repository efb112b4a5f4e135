"""The tokens of requests: the admin token of the settings, and the named tokens of the store."""

from __future__ import annotations

import asyncio
import hmac
import time
from dataclasses import dataclass, field

from backend.core.access import Access, NamedToken, Right, token_hash
from backend.core.config import Settings
from backend.storage.database import Database
from backend.storage.tokens import tokens

ADMIN = Access("admin", frozenset(Right))
"""Access with the admin token of the settings."""

FRESH_SECONDS = 10.0
"""How long a process uses the list of named tokens before it reads it again."""


@dataclass(kw_only=True)
class Tokens:
    """Finds out what the token of a request allows."""

    settings: Settings
    database: Database
    _named: list[NamedToken] = field(default_factory=list)
    _read_at: float | None = None

    def is_admin(self, sent: bytes) -> bool:
        """Return whether these bytes (UTF-8) are the admin token; False without a usable one."""
        token = self.settings.usable_admin_token
        return token is not None and hmac.compare_digest(sent, token.encode())

    async def access(self, authorization: str) -> Access | None:
        """Return what the token of an Authorization header allows, or None if it is not a valid one.

        Raises StoreUnavailableError for a token that is not the admin token if the list cannot be read.
        """
        sent = authorization.partition(" ")[2].strip().encode("latin-1")  # header bytes were read as Latin-1
        if self.is_admin(sent):
            return ADMIN
        if self._read_at is None or time.monotonic() - self._read_at > FRESH_SECONDS:
            self._named = await asyncio.to_thread(self._read)
            self._read_at = time.monotonic()
        hashed = token_hash(sent)
        found = None
        for token in self._named:  # all of them, so that the time is the same for each
            if hmac.compare_digest(token.hash, hashed) and token.revoked_at is None:
                found = Access(token.name, token.rights)
        return found

    def _read(self) -> list[NamedToken]:
        with self.database.read() as connection:
            return tokens(connection)


def has_token(authorization: str | None) -> bool:
    """Return whether an Authorization header has a bearer token."""
    scheme, _, credentials = (authorization or "").partition(" ")
    return scheme.lower() == "bearer" and bool(credentials)
