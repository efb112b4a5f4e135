"""Named tokens: added, listed and revoked. A revoked one stays in the list."""

from __future__ import annotations

from datetime import datetime

import sqlalchemy as sa

from backend.core.access import NamedToken, Right
from backend.core.errors import ConfigError, NotFoundError
from backend.storage import schema as t
from backend.storage.database import from_epoch, insert_into, to_epoch


def add_token(connection: sa.Connection, token: NamedToken) -> None:
    """Add a token. Raises ConfigError if its name has been used, also by a revoked one."""
    row = {
        "name": token.name,
        "hash": token.hash,
        "rights": ",".join(sorted(token.rights)),
        "created_at": to_epoch(token.created_at),
    }
    once = insert_into(connection, t.access_token).values(row).on_conflict_do_nothing()
    if connection.execute(once.returning(t.access_token.c.name)).first() is None:
        raise ConfigError(
            f"the name {token.name!r} has been used: choose another one, so that logs stay clear"
        )


def revoke_token(connection: sa.Connection, name: str, now: datetime) -> None:
    """Revoke a token from `now` on. Raises NotFoundError if no token of this name is valid."""
    column = t.access_token.c
    revoked = sa.update(t.access_token).where(column.name == name, column.revoked_at.is_(None))
    if connection.execute(revoked.values(revoked_at=to_epoch(now))).rowcount == 0:
        raise NotFoundError(f"no valid token has the name {name!r}: `meteo-score token list` shows them")


def tokens(connection: sa.Connection) -> list[NamedToken]:
    """Return all tokens in the order of their names."""
    return [
        NamedToken(
            name=row.name,
            hash=bytes(row.hash),
            rights=frozenset(map(Right, row.rights.split(","))),
            created_at=from_epoch(row.created_at),
            revoked_at=None if row.revoked_at is None else from_epoch(row.revoked_at),
        )
        for row in connection.execute(sa.select(t.access_token).order_by(t.access_token.c.name))
    ]
