"""Retention: from when on raw values are kept, and how the daily look for old ones went"""

import sqlalchemy as sa
from alembic import op

revision = "0026"
down_revision = "0025"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "retention",
        sa.Column("key", sa.SmallInteger(), autoincrement=False, nullable=False),
        sa.Column("forecasts_from", sa.BigInteger(), nullable=True),
        sa.Column("observations_from", sa.BigInteger(), nullable=True),
        sa.Column("looked_at", sa.BigInteger(), nullable=True),
        sa.Column("problem", sa.Text(), nullable=True),
        sa.Column("problem_since", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("key", name=op.f("pk_retention")),
    )
