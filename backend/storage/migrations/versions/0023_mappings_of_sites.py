"""Since when a site lists its stations: no gap is reported from before.

Stores of before have no such time. The first run that was collected for the site stands for it, or the time
when the store was made.
"""

import sqlalchemy as sa
from alembic import op

revision = "0023"
down_revision = "0022"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "site_mapping",
        sa.Column("site_id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("since", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("stations", sa.String(), nullable=False),
        sa.PrimaryKeyConstraint("site_id", "since", name=op.f("pk_site_mapping")),
        sqlite_with_rowid=False,
    )
    op.execute(
        "INSERT INTO site_mapping (site_id, since, stations)"
        " SELECT site.id, COALESCE(part.since, (SELECT MIN(made_at) FROM store_identity)), site.stations"
        " FROM site LEFT JOIN"
        " (SELECT site_id, MIN(reference_time) AS since FROM collected_part GROUP BY site_id) AS part"
        " ON part.site_id = site.id"
    )
