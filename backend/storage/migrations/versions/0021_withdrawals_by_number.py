"""Withdrawn forecasts by their number: each look-up read the whole record of a site"""

import sqlalchemy as sa
from alembic import op

revision = "0021"
down_revision = "0020"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_index(
        "ix_issued_forecast_withdrawn",
        "issued_forecast",
        ["site", "withdraws"],
        sqlite_where=sa.text("withdraws IS NOT NULL"),
        postgresql_where=sa.text("withdraws IS NOT NULL"),
    )
