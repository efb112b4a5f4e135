"""Per parameter the newest run that has it, and how much older that run is

All days are due: a newer run without a parameter hid the values of an older run.
"""

import sqlalchemy as sa
from alembic import op

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None


def upgrade() -> None:
    for table in ("forecast_day", "public_forecast_day"):
        op.add_column(table, sa.Column("older", sa.LargeBinary(), nullable=True))
    # Day -1 stands for all days of a site. Otherwise scores would mix days of two methods.
    op.execute("DELETE FROM due_day WHERE day = -1")
    op.execute("INSERT INTO due_day (site_id, day, stamp) SELECT id, -1, 1 FROM site")
