"""Batch of a value if it is not the batch of its row"""

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None

# Older values stay with the batch of their row: earlier versions did not store the batch of each value.


def upgrade() -> None:
    op.create_table(
        "forecast_origin",
        *_key(sa.Integer, "site_id"),
        *_key(sa.BigInteger, "valid_time"),
        *_key(sa.SmallInteger, "model_id"),
        *_key(sa.BigInteger, "reference_time"),
        *_key(sa.SmallInteger, "parameter"),
        sa.Column("batch_id", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint(
            "site_id",
            "valid_time",
            "model_id",
            "reference_time",
            "parameter",
            name=op.f("pk_forecast_origin"),
        ),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "observation_origin",
        *_key(sa.Integer, "station_id"),
        *_key(sa.BigInteger, "time"),
        *_key(sa.SmallInteger, "parameter"),
        sa.Column("batch_id", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("station_id", "time", "parameter", name=op.f("pk_observation_origin")),
        sqlite_with_rowid=False,
    )


def _key(kind: type[sa.Integer], name: str) -> list[sa.Column[int]]:
    return [sa.Column(name, kind(), autoincrement=False, nullable=False)]
