"""Recompute all days: detection of stuck winds and direction resolution changed"""

from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    # Day -1 stands for all days of a site. Otherwise scores would mix days of two methods.
    op.execute("DELETE FROM due_day WHERE day = -1")
    op.execute("INSERT INTO due_day (site_id, day, stamp) SELECT id, -1, 1 FROM site")
