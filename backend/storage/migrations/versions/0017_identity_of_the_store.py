"""Identity of the store, and the version of the program that upgraded it: for backups and replaced files"""

import time
import uuid

import sqlalchemy as sa
from alembic import op

revision = "0017"
down_revision = "0016"
branch_labels = None
depends_on = None


def upgrade() -> None:
    identity = op.create_table(
        "store_identity",
        sa.Column("store", sa.String(), nullable=False),
        sa.Column("made_at", sa.BigInteger(), nullable=False),
        sa.Column("program", sa.String(), nullable=False),
        sa.Column("backed_up_at", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("store", name=op.f("pk_store_identity")),
    )
    # `Database.migrate` writes the version of the program after every upgrade.
    op.bulk_insert(identity, [{"store": uuid.uuid4().hex, "made_at": int(time.time()), "program": ""}])
