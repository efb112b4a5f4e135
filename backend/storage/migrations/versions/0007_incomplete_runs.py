"""Incomplete parts of runs, and sites that a model does not cover"""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "incomplete_part",
        sa.Column("reference_time", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("model_id", sa.SmallInteger(), autoincrement=False, nullable=False),
        sa.Column("part", sa.String(), nullable=False),
        sa.Column("site_id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("version", sa.String(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint(
            "reference_time", "model_id", "part", "site_id", name=op.f("pk_incomplete_part")
        ),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "outside_model",
        sa.Column("model_id", sa.SmallInteger(), autoincrement=False, nullable=False),
        sa.Column("site_id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("noted_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("model_id", "site_id", name=op.f("pk_outside_model")),
        sqlite_with_rowid=False,
    )
