"""Station flags learned from readings, exclusions by the operator, and space for more reasons

All days are due: zeros that stand for missing values, stopped anemometers, stuck vanes and frozen
temperatures leave the scores.
"""

from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None

PARAMETERS, ROOM_BEFORE, ROOM = 4, 8, 16
WIDTH = 2  # bytes of a count


def upgrade() -> None:
    op.create_table(
        "sensor_day",
        sa.Column("site_id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("station_id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("day", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("digest", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("site_id", "station_id", "day", name=op.f("pk_sensor_day")),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "station_flag",
        sa.Column("site_id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("station_id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("parameter", sa.SmallInteger(), autoincrement=False, nullable=False),
        sa.Column("reason", sa.String(), nullable=False),
        sa.Column("first", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("until", sa.BigInteger(), nullable=False),
        sa.Column("excludes", sa.Boolean(), nullable=False),
        sa.PrimaryKeyConstraint(
            "site_id", "station_id", "parameter", "reason", "first", name=op.f("pk_station_flag")
        ),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "station_exclusion",
        sa.Column("station_id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("parameter", sa.SmallInteger(), autoincrement=False, nullable=False),
        sa.Column("first_day", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("last_day", sa.Integer(), nullable=True),
        sa.Column("note", sa.String(), server_default="", nullable=False),
        sa.Column("noted_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("station_id", "parameter", "first_day", name=op.f("pk_station_exclusion")),
        sqlite_with_rowid=False,
    )
    for table in ("observed_day", "public_observed_day"):
        _widen_the_counts(table)
    # Day -1 stands for all days of a site. Otherwise scores would mix days of two methods.
    op.execute("DELETE FROM due_day WHERE day = -1")
    op.execute("INSERT INTO due_day (site_id, day, stamp) SELECT id, -1, 1 FROM site")


def _widen_the_counts(name: str) -> None:
    columns: list[sa.ColumnClause[Any]] = [
        sa.column(each) for each in ("site_id", "station_id", "day", "doubts")
    ]
    table = sa.table(name, *columns)
    keys = [column == sa.bindparam(f"of_{column.name}") for column in columns[:3]]
    connection = op.get_bind()
    found = connection.execute(sa.select(*columns).where(table.c.doubts.is_not(None))).all()
    if found:
        connection.execute(
            sa.update(table).where(*keys).values(doubts=sa.bindparam("wide", type_=sa.LargeBinary())),
            [
                {"of_site_id": site, "of_station_id": station, "of_day": day, "wide": _widened(bytes(doubts))}
                for site, station, day, doubts in found
            ],
        )


def _widened(doubts: bytes) -> bytes:
    length, more = WIDTH * ROOM_BEFORE, bytes(WIDTH * (ROOM - ROOM_BEFORE))
    parts = (doubts[length * place : length * (place + 1)] for place in range(PARAMETERS))
    return b"".join(part + more for part in parts)
