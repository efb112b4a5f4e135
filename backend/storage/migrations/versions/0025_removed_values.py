"""Removed values, and which batches each imported file made.

Imports of before this table are recognised by their time: all batches of an import have the same.
"""

import sqlalchemy as sa
from alembic import op

revision = "0025"
down_revision = "0024"
branch_labels = None
depends_on = None

KEYS = {
    "removed_forecast": {
        "site_id": sa.Integer(),
        "valid_time": sa.BigInteger(),
        "model_id": sa.SmallInteger(),
        "reference_time": sa.BigInteger(),
    },
    "removed_observation": {"station_id": sa.Integer(), "time": sa.BigInteger()},
}
BATCHES = {"forecasts": "forecast_batch", "observations": "observation_batch"}


def upgrade() -> None:
    op.create_table(
        "imported_file",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("file", sa.String(), nullable=False),
        sa.Column("hash", sa.LargeBinary(), nullable=True),
        sa.Column("imported_at", sa.BigInteger(), nullable=False),
        sa.Column("first_batch", sa.Integer(), nullable=False),
        sa.Column("last_batch", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_imported_file")),
        sqlite_autoincrement=True,
    )
    op.create_table(
        "removal",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("imported_id", sa.Integer(), nullable=True),
        sa.Column("first", sa.BigInteger(), nullable=True),
        sa.Column("last", sa.BigInteger(), nullable=True),
        sa.Column("removed_at", sa.BigInteger(), nullable=False),
        sa.Column("removed_by", sa.String(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("row_count", sa.Integer(), nullable=False),
        sa.Column("value_count", sa.Integer(), nullable=False),
        sa.Column("holds", sa.Boolean(), nullable=False),
        sa.Column("restored_at", sa.BigInteger(), nullable=True),
        sa.Column("restored_by", sa.String(), nullable=True),
        sa.Column("vacuumed_at", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_removal")),
        sqlite_autoincrement=True,
    )
    for table, key in KEYS.items():
        columns = {"removal_id": sa.Integer(), **key, "batch_id": sa.Integer()}
        op.create_table(
            table,
            *(sa.Column(name, kind, autoincrement=False, nullable=False) for name, kind in columns.items()),
            sa.Column("wind_speed", sa.Integer(), nullable=True),
            sa.Column("wind_gust", sa.Integer(), nullable=True),
            sa.Column("wind_direction", sa.Integer(), nullable=True),
            sa.Column("temperature", sa.Integer(), nullable=True),
            sa.PrimaryKeyConstraint(*columns, name=op.f(f"pk_{table}")),
            sqlite_with_rowid=False,
        )
    for kind, batches in BATCHES.items():
        op.execute(
            f"INSERT INTO imported_file (kind, file, imported_at, first_batch, last_batch)"  # noqa: S608
            f" SELECT '{kind}', '', collected_at, MIN(id), MAX(id) FROM {batches}"
            " WHERE source = 'import' GROUP BY collected_at ORDER BY MIN(id)"
        )
