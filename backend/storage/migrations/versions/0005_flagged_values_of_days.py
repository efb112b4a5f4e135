"""Counts of flagged values per score day"""

from collections import Counter

import sqlalchemy as sa
from alembic import op

from backend.core.local_time import day_of_epoch

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

PARAMETERS, ROOM = 4, 8
REASONS = ("", "stuck", "calm_among_wind", "spike", "gust_below_mean", "far_from_models")


def upgrade() -> None:
    op.add_column("observed_day", sa.Column("doubts", sa.LargeBinary(), nullable=True))
    connection = op.get_bind()
    found = connection.execute(sa.text("SELECT site_id, station_id, time, parameter, reason FROM doubted"))
    days: dict[tuple[int, int, int], Counter[int]] = {}
    for site, station, time, parameter, reason in found:
        place = ROOM * parameter + REASONS.index(reason)
        days.setdefault((site, day_of_epoch(time), station), Counter())[place] += 1
    if days:
        connection.execute(
            sa.text(
                "UPDATE observed_day SET doubts = :doubts"
                " WHERE site_id = :site AND day = :day AND station_id = :station"
            ),
            [
                {"site": site, "day": day, "station": station, "doubts": _packed(counts)}
                for (site, day, station), counts in days.items()
            ],
        )


def _packed(counts: Counter[int]) -> bytes:
    return b"".join(counts[place].to_bytes(2, "little") for place in range(PARAMETERS * ROOM))
