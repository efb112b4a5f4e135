"""How many values of each day are doubted, beside the days"""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("observed_day", sa.Column("doubts", sa.LargeBinary(), nullable=True))
    # Until a day is made again it tells of none: day -1 stands for all days of a site.
    op.execute("DELETE FROM due_day WHERE day = -1")
    op.execute("INSERT INTO due_day (site_id, day, stamp) SELECT id, -1, 1 FROM site")
