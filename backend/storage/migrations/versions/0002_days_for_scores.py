"""Score days"""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "forecast_day",
        sa.Column("site_id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("view", sa.SmallInteger(), autoincrement=False, nullable=False),
        sa.Column("day", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("model_id", sa.SmallInteger(), autoincrement=False, nullable=False),
        sa.Column("hourly", sa.LargeBinary(), nullable=False),
        sa.Column("leads", sa.LargeBinary(), nullable=False),
        sa.Column("estimated", sa.SmallInteger(), nullable=False),
        sa.PrimaryKeyConstraint("site_id", "view", "day", "model_id", name=op.f("pk_forecast_day")),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "observed_day",
        sa.Column("site_id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("day", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("station_id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("hourly", sa.LargeBinary(), nullable=False),
        sa.Column("offsets", sa.LargeBinary(), nullable=False),
        sa.Column("readings", sa.SmallInteger(), nullable=False),
        sa.Column("resolution", sa.Float(), nullable=True),
        sa.PrimaryKeyConstraint("site_id", "day", "station_id", name=op.f("pk_observed_day")),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "doubted",
        sa.Column("site_id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("time", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("station_id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("parameter", sa.SmallInteger(), autoincrement=False, nullable=False),
        sa.Column("reason", sa.String(), nullable=False),
        sa.PrimaryKeyConstraint("site_id", "time", "station_id", "parameter", name=op.f("pk_doubted")),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "quality_limit",
        sa.Column("site_id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("month", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("limits", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("site_id", "month", name=op.f("pk_quality_limit")),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "due_day",
        sa.Column("site_id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("day", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("stamp", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("site_id", "day", name=op.f("pk_due_day")),
        sqlite_with_rowid=False,
    )
    # No score day exists yet for earlier data: day -1 stands for all days of a site.
    op.execute("INSERT INTO due_day (site_id, day, stamp) SELECT id, -1, 1 FROM site")
