"""Values replaced by an import"""

import sqlalchemy as sa
from alembic import op

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "replaced_value",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("replaced_at", sa.BigInteger(), nullable=False),
        sa.Column("file", sa.String(), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("site", sa.String(), nullable=True),
        sa.Column("parameter", sa.String(), nullable=False),
        sa.Column("reference_time", sa.BigInteger(), nullable=True),
        sa.Column("time", sa.BigInteger(), nullable=False),
        sa.Column("old_value", sa.Integer(), nullable=False),
        sa.Column("new_value", sa.Integer(), nullable=False),
        sa.Column("old_available_at", sa.BigInteger(), nullable=True),
        sa.Column("new_available_at", sa.BigInteger(), nullable=True),
        sa.Column("old_averaging_minutes", sa.SmallInteger(), nullable=True),
        sa.Column("new_averaging_minutes", sa.SmallInteger(), nullable=True),
        sa.Column("old_direction_resolution", sa.Float(), nullable=True),
        sa.Column("new_direction_resolution", sa.Float(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_replaced_value")),
    )
