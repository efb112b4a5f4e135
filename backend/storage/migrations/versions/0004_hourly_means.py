"""Hourly means of readings, beside the nearest readings"""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("observed_day", sa.Column("means", sa.LargeBinary(), nullable=True))
    # Days have none until they are recomputed: day -1 stands for all days of a site.
    op.execute("DELETE FROM due_day WHERE day = -1")
    op.execute("INSERT INTO due_day (site_id, day, stamp) SELECT id, -1, 1 FROM site")
