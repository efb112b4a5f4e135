"""Reference stations of sites, and a stamp of their score days"""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("site", sa.Column("reference_stations", sa.String(), server_default="", nullable=False))
    op.add_column("site", sa.Column("days_stamp", sa.Integer(), server_default="0", nullable=False))
