"""Index of rejected values by run, because their number is limited per run and source"""

from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_index("ix_rejected_job_run_id", "rejected", ["job_run_id"])
