"""Positions of stations with dates and per route, and places confirmed by operators"""

import sqlalchemy as sa
from alembic import op

revision = "0014"
down_revision = "0013"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "station_position",
        sa.Column("station_id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("route", sa.String(), nullable=False),
        sa.Column("day", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("place", sa.String(), nullable=False),
        sa.Column("first_seen", sa.BigInteger(), nullable=False),
        sa.Column("last_seen", sa.BigInteger(), nullable=False),
        sa.Column("since", sa.BigInteger(), nullable=False),
        sa.Column("latitude", sa.Float(), nullable=True),
        sa.Column("longitude", sa.Float(), nullable=True),
        sa.Column("elevation", sa.Float(), nullable=True),
        sa.Column("name", sa.String(), nullable=False),
        sa.PrimaryKeyConstraint("station_id", "route", "day", "place", name=op.f("pk_station_position")),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "station_stay",
        sa.Column("station_id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("route", sa.String(), nullable=False),
        sa.Column("number", sa.SmallInteger(), autoincrement=False, nullable=False),
        sa.Column("since", sa.BigInteger(), nullable=False),
        sa.Column("latitude", sa.Float(), nullable=False),
        sa.Column("longitude", sa.Float(), nullable=False),
        sa.Column("elevation", sa.Float(), nullable=True),
        sa.Column("name", sa.String(), nullable=False),
        sa.PrimaryKeyConstraint("station_id", "route", "number", name=op.f("pk_station_stay")),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "confirmed_place",
        sa.Column("site", sa.String(), nullable=False),
        sa.Column("station_id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("route", sa.String(), nullable=False),
        sa.Column("place", sa.String(), nullable=False),
        sa.Column("latitude", sa.Float(), nullable=False),
        sa.Column("longitude", sa.Float(), nullable=False),
        sa.Column("confirmed_at", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("site", "station_id", "route", "place", name=op.f("pk_confirmed_place")),
        sqlite_with_rowid=False,
    )
