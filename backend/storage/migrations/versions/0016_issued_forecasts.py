"""Issued forecasts: append-only, also for the database's own tools"""

import sqlalchemy as sa
from alembic import op

revision = "0016"
down_revision = "0015"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "issued_forecast",
        sa.Column("site", sa.String(), nullable=False),
        sa.Column("number", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("audience", sa.String(), nullable=False),
        sa.Column("parameter", sa.String(), nullable=False),
        sa.Column("view", sa.SmallInteger(), nullable=False),
        sa.Column("day", sa.Integer(), nullable=False),
        sa.Column("method", sa.String(), nullable=False),
        sa.Column("decision_time", sa.BigInteger(), nullable=False),
        sa.Column("issued_at", sa.BigInteger(), nullable=False),
        sa.Column("withdraws", sa.Integer(), nullable=True),
        sa.Column("content", sa.LargeBinary(), nullable=False),
        sa.Column("hash", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("site", "number", name=op.f("pk_issued_forecast")),
    )
    op.create_index(
        "uq_issued_forecast_decision",
        "issued_forecast",
        ["site", "view", "day", "parameter", "audience", "method"],
        unique=True,
        sqlite_where=sa.text("withdraws IS NULL"),
        postgresql_where=sa.text("withdraws IS NULL"),
    )
    if op.get_bind().dialect.name == "postgresql":
        op.execute(
            "CREATE OR REPLACE FUNCTION refuse_change() RETURNS trigger LANGUAGE plpgsql AS "
            "$$ BEGIN RAISE EXCEPTION '% is append-only', TG_TABLE_NAME; END $$"
        )
        op.execute(
            "CREATE TRIGGER issued_forecast_no_change BEFORE UPDATE OR DELETE OR TRUNCATE ON issued_forecast "
            "FOR EACH STATEMENT EXECUTE FUNCTION refuse_change()"
        )
    else:
        for change in ("UPDATE", "DELETE"):
            op.execute(
                f"CREATE TRIGGER issued_forecast_no_{change.lower()} BEFORE {change} ON issued_forecast "
                "BEGIN SELECT RAISE(ABORT, 'issued_forecast is append-only'); END"
            )
