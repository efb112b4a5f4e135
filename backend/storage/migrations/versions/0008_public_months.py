"""Public months: copies of closed months, for public answers with withheld sources"""

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "public_forecast_day",
        sa.Column("site_id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("view", sa.SmallInteger(), autoincrement=False, nullable=False),
        sa.Column("day", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("model_id", sa.SmallInteger(), autoincrement=False, nullable=False),
        sa.Column("hourly", sa.LargeBinary(), nullable=False),
        sa.Column("leads", sa.LargeBinary(), nullable=False),
        sa.Column("estimated", sa.SmallInteger(), nullable=False),
        sa.PrimaryKeyConstraint("site_id", "view", "day", "model_id", name=op.f("pk_public_forecast_day")),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "public_observed_day",
        sa.Column("site_id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("day", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("station_id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("hourly", sa.LargeBinary(), nullable=False),
        sa.Column("offsets", sa.LargeBinary(), nullable=False),
        sa.Column("readings", sa.SmallInteger(), nullable=False),
        sa.Column("resolution", sa.Float(), nullable=True),
        sa.Column("means", sa.LargeBinary(), nullable=True),
        sa.Column("doubts", sa.LargeBinary(), nullable=True),
        sa.PrimaryKeyConstraint("site_id", "day", "station_id", name=op.f("pk_public_observed_day")),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "public_month",
        sa.Column("site_id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("month", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("kind", sa.SmallInteger(), autoincrement=False, nullable=False),
        sa.Column("owner_id", sa.Integer(), autoincrement=False, nullable=False),
        sa.PrimaryKeyConstraint("site_id", "month", "kind", "owner_id", name=op.f("pk_public_month")),
        sqlite_with_rowid=False,
    )
