"""Identify rejected values by the code of their reason: its wording may change between versions"""

from hashlib import blake2b

import sqlalchemy as sa
from alembic import op

revision = "0015"
down_revision = "0014"
branch_labels = None
depends_on = None


def upgrade() -> None:
    names = ("id", "fingerprint", "subject", "parameter", "time", "raw", "reason")
    rejected = sa.table("rejected", *(sa.column(name) for name in names))
    connection = op.get_bind()
    fingerprints: dict[str, int] = {}
    repeated = []
    for row in connection.execute(sa.select(rejected).order_by(rejected.c.id)).all():
        code = row.reason.partition(":")[0]
        parts = (row.subject, row.parameter, None if code == "missing" else row.time, row.raw, code)
        fingerprint = blake2b("\x1f".join(map(str, parts)).encode(), digest_size=16).hexdigest()
        if fingerprints.setdefault(fingerprint, row.id) != row.id:
            repeated.append({"number": row.id})
    # The same value under an earlier wording. Deleted first, because a fingerprint is unique.
    if repeated:
        connection.execute(sa.delete(rejected).where(rejected.c.id == sa.bindparam("number")), repeated)
    if fingerprints:
        connection.execute(
            sa.update(rejected)
            .where(rejected.c.id == sa.bindparam("number"))
            .values(fingerprint=sa.bindparam("new")),
            [{"number": number, "new": fingerprint} for fingerprint, number in fingerprints.items()],
        )
