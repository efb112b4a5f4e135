"""What the corrected forecast learned from, and the decisions of its gate: append-only, like the record"""

import sqlalchemy as sa
from alembic import op

revision = "0018"
down_revision = "0017"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "forecast_learning",
        sa.Column("site", sa.String(), nullable=False),
        sa.Column("audience", sa.String(), nullable=False),
        sa.Column("view", sa.SmallInteger(), autoincrement=False, nullable=False),
        sa.Column("parameter", sa.String(), nullable=False),
        sa.Column("station", sa.String(), nullable=False),
        sa.Column("day", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("part", sa.String(), nullable=False),
        sa.Column("decided_at", sa.BigInteger(), nullable=False),
        sa.Column("content", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint(
            *("site", "audience", "view", "parameter", "station", "day", "part"),
            name=op.f("pk_forecast_learning"),
        ),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "gate_decision",
        sa.Column("audience", sa.String(), nullable=False),
        sa.Column("view", sa.SmallInteger(), autoincrement=False, nullable=False),
        sa.Column("parameter", sa.String(), nullable=False),
        sa.Column("method", sa.String(), nullable=False),
        sa.Column("decided_at", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("state", sa.String(), nullable=False),
        sa.Column("content", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint(
            *("audience", "view", "parameter", "method", "decided_at"), name=op.f("pk_gate_decision")
        ),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "learning_state",
        sa.Column("site", sa.String(), nullable=False),
        sa.Column("audience", sa.String(), nullable=False),
        sa.Column("view", sa.SmallInteger(), autoincrement=False, nullable=False),
        sa.Column("parameter", sa.String(), nullable=False),
        sa.Column("station", sa.String(), nullable=False),
        sa.Column("method", sa.String(), nullable=False),
        sa.Column("first", sa.Integer(), nullable=False),
        sa.Column("days", sa.Integer(), nullable=False),
        sa.Column("content", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("site", "audience", "view", "parameter", name=op.f("pk_learning_state")),
    )
    for table in ("forecast_learning", "gate_decision"):
        if op.get_bind().dialect.name == "postgresql":  # refuse_change() is of migration 0016
            op.execute(
                f"CREATE TRIGGER {table}_no_change BEFORE UPDATE OR DELETE OR TRUNCATE ON {table} "
                "FOR EACH STATEMENT EXECUTE FUNCTION refuse_change()"
            )
            continue
        for change in ("UPDATE", "DELETE"):
            op.execute(
                f"CREATE TRIGGER {table}_no_{change.lower()} BEFORE {change} ON {table} "
                f"BEGIN SELECT RAISE(ABORT, '{table} is append-only'); END"
            )
