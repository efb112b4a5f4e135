"""The tables (SQLAlchemy Core), the same on SQLite and PostgreSQL.

Times are whole seconds since 1970 in UTC. Values are whole thousandths of their unit, so that sums are exact
in any order of addition (docs/decisions/store-layout.md has the measurement). A reading or a forecast hour is
one row with a column per parameter; null means absent.
"""

from __future__ import annotations

import re

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Dialect,
    Float,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    SmallInteger,
    String,
    Table,
    Text,
    TypeDecorator,
    UniqueConstraint,
)

_NO_TEXT = re.compile("[\0\ud800-\udfff]")


def storable(text: str) -> str:
    """Replace characters that not every database can store, NUL and lone surrogates, by "�"."""
    return _NO_TEXT.sub("�", text)


class SafeString(TypeDecorator[str]):
    """Text that is made storable before it is written or compared: much of it comes from outside."""

    impl = String
    cache_ok = True

    def process_bind_param(self, value: str | None, dialect: Dialect) -> str | None:
        """Return what goes to the database."""
        return None if value is None else storable(value)


class SafeText(SafeString):
    """The same for long text."""

    impl = Text
    cache_ok = True


metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s",
        "pk": "pk_%(table_name)s",
    }
)


def _values() -> tuple[Column[int], ...]:
    """One column per parameter: km/h, km/h, degrees, °C, each in thousandths."""
    return (
        Column("wind_speed", Integer),
        Column("wind_gust", Integer),
        Column("wind_direction", Integer),
        Column("temperature", Integer),
    )


# --- The store itself ------------------------------------------------------------------------------

store_identity = Table(  # one row, made with the store
    "store_identity",
    metadata,
    Column("store", SafeString, primary_key=True),  # random; copies and backups of the store have it too
    Column("made_at", BigInteger, nullable=False),
    Column("program", SafeString, nullable=False),  # version of meteo-score that upgraded the tables last
    Column("backed_up_at", BigInteger),  # snapshot of the newest backup; null: none yet
)

# --- Sites, models and stations --------------------------------------------------------------------

site = Table(
    "site",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("slug", SafeString, nullable=False),
    Column("series", SmallInteger, nullable=False),  # 1, incremented each time the take-off moves
    Column("valid_from", BigInteger),  # null: no start date
    Column("name", SafeString, nullable=False),
    Column("latitude", Float, nullable=False),
    Column("longitude", Float, nullable=False),
    Column("elevation", Float, nullable=False),
    Column("orientation", SafeString, nullable=False),
    Column("stations", SafeString, nullable=False),
    Column("without", SafeString, nullable=False),
    Column("configured", Boolean, nullable=False),  # false: removed from the list; the data stay
    Column(
        "reference_stations", SafeString, nullable=False, server_default=""
    ),  # "ffvl:87,romma:241@2026-05-01"
    Column("days_stamp", Integer, nullable=False, server_default="0"),  # changes whenever its days change
    UniqueConstraint("slug", "series"),
)

model = Table(
    "model",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("name", SafeString, nullable=False, unique=True),
)

station = Table(
    "station",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("code", SafeString, nullable=False, unique=True),  # "ffvl:87"
    Column("name", SafeString, nullable=False, server_default=""),
    Column("latitude", Float),
    Column("longitude", Float),
    Column("elevation", Float),
    Column("kind", SafeString, nullable=False, server_default=""),
    Column("remarks", SafeText, nullable=False, server_default=""),
    Column("newest", BigInteger),  # time of the newest stored reading
    Column("caught_up", BigInteger),  # complete until: all readings that the source still has are stored
)

station_position = Table(  # where a station stood on a day, per route
    "station_position",
    metadata,
    Column("station_id", Integer, primary_key=True, autoincrement=False),
    Column("route", SafeString, primary_key=True),
    Column("day", Integer, primary_key=True, autoincrement=False),  # days of UTC since 1970
    Column("place", SafeString, primary_key=True),  # ten-thousandths of degrees; empty: no position stated
    Column("first_seen", BigInteger, nullable=False),
    Column("last_seen", BigInteger, nullable=False),
    Column("since", BigInteger, nullable=False),  # the earliest reading with it, else first_seen
    Column("latitude", Float),
    Column("longitude", Float),
    Column("elevation", Float),
    Column("name", SafeString, nullable=False),
    sqlite_with_rowid=False,
)

station_stay = Table(  # places at which a station stood, in order: derived from station_position
    "station_stay",
    metadata,
    Column("station_id", Integer, primary_key=True, autoincrement=False),
    Column("route", SafeString, primary_key=True),
    Column("number", SmallInteger, primary_key=True, autoincrement=False),  # 0: the first known place
    Column("since", BigInteger, nullable=False),
    Column("latitude", Float, nullable=False),
    Column("longitude", Float, nullable=False),
    Column("elevation", Float),
    Column("name", SafeString, nullable=False),
    sqlite_with_rowid=False,
)

confirmed_place = Table(  # places at which a station measures for a site, as confirmed by the operator
    "confirmed_place",
    metadata,
    Column("site", SafeString, primary_key=True),
    Column("station_id", Integer, primary_key=True, autoincrement=False),
    Column("route", SafeString, primary_key=True),
    Column("place", SafeString, primary_key=True),  # ten-thousandths of degrees
    Column("latitude", Float, nullable=False),
    Column("longitude", Float, nullable=False),
    Column("confirmed_at", BigInteger),  # null: its place when it was assigned to the site
    sqlite_with_rowid=False,
)

site_mapping = Table(  # the stations of a site from a moment on: a row at each change
    "site_mapping",
    metadata,
    Column("site_id", Integer, primary_key=True, autoincrement=False),
    Column("since", BigInteger, primary_key=True, autoincrement=False),
    Column("stations", SafeString, nullable=False),
    sqlite_with_rowid=False,
)

station_list = Table(
    "station_list",
    metadata,
    Column("network", SafeString, primary_key=True),
    Column("listed_at", BigInteger, nullable=False),
)

grid_point = Table(
    "grid_point",
    metadata,
    Column("model_id", ForeignKey(model.c.id), primary_key=True),
    Column("site_id", ForeignKey(site.c.id), primary_key=True),
    Column("cell", SafeString, nullable=False),
    Column("ground", Float),
    Column("height", Float),
)

# --- Forecasts -------------------------------------------------------------------------------------

forecast_batch = Table(
    "forecast_batch",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("job_run_id", Integer),
    Column("model_id", ForeignKey(model.c.id), nullable=False),
    Column("reference_time", BigInteger, nullable=False),
    Column("source", SafeString, nullable=False),
    Column("route", SafeString, nullable=False),
    Column("rank", SmallInteger, nullable=False),
    Column("available_at", BigInteger, nullable=False),
    Column("published", Boolean, nullable=False),  # false: available_at is an estimate
    Column("collected_at", BigInteger, nullable=False),
)
Index("ix_forecast_batch_model_run", forecast_batch.c.model_id, forecast_batch.c.reference_time)

# No foreign keys below: they cost a look-up per row, and the store writes both sides itself.
forecast = Table(
    "forecast",
    metadata,
    Column("site_id", Integer, primary_key=True, autoincrement=False),
    Column("valid_time", BigInteger, primary_key=True, autoincrement=False),
    Column("model_id", SmallInteger, primary_key=True, autoincrement=False),
    Column("reference_time", BigInteger, primary_key=True, autoincrement=False),
    Column("batch_id", Integer, nullable=False),
    *_values(),
    sqlite_with_rowid=False,
)

# The batch of a value if it is not the batch of its row: for most rows there is no entry.
forecast_origin = Table(
    "forecast_origin",
    metadata,
    Column("site_id", Integer, primary_key=True, autoincrement=False),
    Column("valid_time", BigInteger, primary_key=True, autoincrement=False),
    Column("model_id", SmallInteger, primary_key=True, autoincrement=False),
    Column("reference_time", BigInteger, primary_key=True, autoincrement=False),
    Column("parameter", SmallInteger, primary_key=True, autoincrement=False),  # Parameter.number
    Column("batch_id", Integer, nullable=False),
    sqlite_with_rowid=False,
)

collected_part = Table(
    "collected_part",
    metadata,
    Column("reference_time", BigInteger, primary_key=True, autoincrement=False),
    Column("model_id", SmallInteger, primary_key=True, autoincrement=False),
    Column("part", SafeString, primary_key=True),
    Column("site_id", Integer, primary_key=True, autoincrement=False),
    Column("rank", SmallInteger, nullable=False),
    sqlite_with_rowid=False,
)

incomplete_part = Table(  # incomplete parts of runs, until they are complete
    "incomplete_part",
    metadata,
    Column("reference_time", BigInteger, primary_key=True, autoincrement=False),
    Column("model_id", SmallInteger, primary_key=True, autoincrement=False),
    Column("part", SafeString, primary_key=True),
    Column("site_id", Integer, primary_key=True, autoincrement=False),
    Column("version", SafeString, nullable=False),  # of the file that was read; empty: there was no file
    Column("reason", SafeText, nullable=False),
    sqlite_with_rowid=False,
)

outside_model = Table(  # sites that a model does not cover
    "outside_model",
    metadata,
    Column("model_id", SmallInteger, primary_key=True, autoincrement=False),
    Column("site_id", Integer, primary_key=True, autoincrement=False),
    Column("reason", SafeText, nullable=False),
    Column("noted_at", BigInteger, nullable=False),
    sqlite_with_rowid=False,
)

# --- Observations ----------------------------------------------------------------------------------

observation_batch = Table(
    "observation_batch",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("job_run_id", Integer),
    Column("source", SafeString, nullable=False),
    Column("route", SafeString, nullable=False),
    Column("rank", SmallInteger, nullable=False),
    Column("averaging_minutes", SmallInteger),
    Column("direction_resolution", Float),
    Column("collected_at", BigInteger, nullable=False),
)

observation = Table(
    "observation",
    metadata,
    Column("station_id", Integer, primary_key=True, autoincrement=False),
    Column("time", BigInteger, primary_key=True, autoincrement=False),
    Column("batch_id", Integer, nullable=False),
    *_values(),
    sqlite_with_rowid=False,
)

observation_origin = Table(
    "observation_origin",
    metadata,
    Column("station_id", Integer, primary_key=True, autoincrement=False),
    Column("time", BigInteger, primary_key=True, autoincrement=False),
    Column("parameter", SmallInteger, primary_key=True, autoincrement=False),
    Column("batch_id", Integer, nullable=False),
    sqlite_with_rowid=False,
)

station_exclusion = Table(  # excluded from the scores by the operator; the values stay stored
    "station_exclusion",
    metadata,
    Column("station_id", Integer, primary_key=True, autoincrement=False),
    Column("parameter", SmallInteger, primary_key=True, autoincrement=False),
    Column("first_day", Integer, primary_key=True, autoincrement=False),  # local days, both included
    Column("last_day", Integer),  # null: until further notice
    Column("note", SafeString, nullable=False, server_default=""),
    Column("noted_at", BigInteger, nullable=False),
    sqlite_with_rowid=False,
)

replaced_value = Table(  # values replaced by `import --replace`; these rows are never deleted
    "replaced_value",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("replaced_at", BigInteger, nullable=False),
    Column("file", SafeString, nullable=False),
    Column("name", SafeString, nullable=False),  # of the model, or the code of the station
    Column("site", SafeString),  # null: a reading
    Column("parameter", SafeString, nullable=False),
    Column("reference_time", BigInteger),
    Column("time", BigInteger, nullable=False),
    Column("old_value", Integer, nullable=False),
    Column("new_value", Integer, nullable=False),
    Column("old_available_at", BigInteger),
    Column("new_available_at", BigInteger),
    Column("old_averaging_minutes", SmallInteger),
    Column("new_averaging_minutes", SmallInteger),
    Column("old_direction_resolution", Float),
    Column("new_direction_resolution", Float),
)

rejected = Table(
    "rejected",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("fingerprint", SafeString, nullable=False, unique=True),  # the same value is stored once
    Column("job_run_id", Integer),
    Column("source", SafeString, nullable=False),
    Column("route", SafeString, nullable=False),
    Column("subject", SafeString, nullable=False),
    Column("parameter", SafeString),
    Column("time", BigInteger),
    Column("raw", SafeText, nullable=False),
    Column("reason", SafeString, nullable=False),
    Column("collected_at", BigInteger, nullable=False),
)
Index("ix_rejected_collected_at", rejected.c.collected_at)
Index("ix_rejected_job_run_id", rejected.c.job_run_id)

# --- Imports, and values that the operator removed ---------------------------------------------------

imported_file = Table(  # one row for each import; one writer at a time, so that its batches follow each other
    "imported_file",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("kind", SafeString, nullable=False),  # "forecasts" or "observations"
    Column("file", SafeString, nullable=False),  # empty: imported before this table was there
    Column("hash", LargeBinary),  # SHA-256 of the file; null: as above
    Column("imported_at", BigInteger, nullable=False),
    Column("first_batch", Integer, nullable=False),
    Column("last_batch", Integer, nullable=False),  # both included
    sqlite_autoincrement=True,
)

removal = (
    Table(  # what was removed, by whom and why; its rows wait in removed_forecast or removed_observation
        "removal",
        metadata,
        Column("id", Integer, primary_key=True),
        Column("kind", SafeString, nullable=False),  # "model", "station" or "import"
        Column("name", SafeString, nullable=False),  # the model, the code of the station, or the file
        Column("imported_id", Integer),  # of an import
        Column("first", BigInteger),  # starts of runs, or times of readings; null for an import
        Column("last", BigInteger),  # both included
        Column("removed_at", BigInteger, nullable=False),
        Column("removed_by", SafeString, nullable=False),
        Column("reason", SafeText, nullable=False),
        Column("row_count", Integer, nullable=False),
        Column("value_count", Integer, nullable=False),
        Column("holds", Boolean, nullable=False),  # true: nothing of it is stored again
        Column("restored_at", BigInteger),
        Column("restored_by", SafeString),
        Column("vacuumed_at", BigInteger),
        sqlite_autoincrement=True,
    )
)


def _removed(name: str, values: Table) -> Table:
    """Return the table of removed rows: a row for each batch that a row of `values` had values of."""
    key = [column.name for column in values.primary_key]
    return Table(
        name,
        metadata,
        Column("removal_id", Integer, primary_key=True, autoincrement=False),
        *(Column(each, values.c[each].type, primary_key=True, autoincrement=False) for each in key),
        Column("batch_id", Integer, primary_key=True, autoincrement=False),
        *_values(),
        sqlite_with_rowid=False,
    )


removed_forecast = _removed("removed_forecast", forecast)
removed_observation = _removed("removed_observation", observation)

# --- What was exported and removed ---------------------------------------------------------------------

retention = Table(  # one row, once something was exported or removed
    "retention",
    metadata,
    Column("key", SmallInteger, primary_key=True, autoincrement=False),  # 1
    Column("forecasts_from", BigInteger),  # earlier forecasts were exported and removed; null: none
    Column("observations_from", BigInteger),
    Column("looked_at", BigInteger),  # when a service last looked for months to export or remove
    Column("problem", SafeText),  # why that look could not do its work; null: it could
    Column("problem_since", BigInteger),
)

# --- Score days: derived from the above, and computed again after each change -----------------------

# A day is 25 hours from local midnight. Its values are 32-bit integers, little-endian, one row of hours per
# parameter (docs/decisions/day-blocks.md).


def _forecast_days(name: str) -> Table:
    return Table(
        name,
        metadata,
        Column("site_id", Integer, primary_key=True, autoincrement=False),
        Column("view", SmallInteger, primary_key=True, autoincrement=False),
        Column("day", Integer, primary_key=True, autoincrement=False),
        Column("model_id", SmallInteger, primary_key=True, autoincrement=False),
        Column("hourly", LargeBinary, nullable=False),
        Column("leads", LargeBinary, nullable=False),  # minutes, 16 bits an hour
        Column("estimated", SmallInteger, nullable=False),  # hours of runs with an estimated availability
        # Minutes by which the run of a value is older than the newest run; format of `leads`, by parameter
        Column("older", LargeBinary),  # null: all values are from the newest run
        sqlite_with_rowid=False,
    )


def _observed_days(name: str) -> Table:
    return Table(
        name,
        metadata,
        Column("site_id", Integer, primary_key=True, autoincrement=False),
        Column("day", Integer, primary_key=True, autoincrement=False),
        Column("station_id", Integer, primary_key=True, autoincrement=False),
        Column("hourly", LargeBinary, nullable=False),
        Column("offsets", LargeBinary, nullable=False),  # minutes from the hour, 8 bits an hour
        Column("readings", SmallInteger, nullable=False),
        Column("resolution", Float),  # of directions, in degrees, if the source states it
        Column("means", LargeBinary),  # as hourly, the mean of all readings around each hour; null: none yet
        Column("doubts", LargeBinary),  # counts of flagged values, 16 bits each; null: there are none
        sqlite_with_rowid=False,
    )


forecast_day = _forecast_days("forecast_day")
observed_day = _observed_days("observed_day")

# Copies of closed calendar months, for public answers that include a withheld source. They change by at least
# 20 days or not at all (docs/decisions/withheld-values.md).
public_forecast_day = _forecast_days("public_forecast_day")
public_observed_day = _observed_days("public_observed_day")

public_month = Table(  # which models' and stations' days of a month are copied
    "public_month",
    metadata,
    Column("site_id", Integer, primary_key=True, autoincrement=False),
    Column("month", Integer, primary_key=True, autoincrement=False),
    Column("kind", SmallInteger, primary_key=True, autoincrement=False),  # 0: model, 1: station, 2: to redo
    Column("owner_id", Integer, primary_key=True, autoincrement=False),
    sqlite_with_rowid=False,
)

doubted = Table(  # readings with a quality control flag: stored, but not scored
    "doubted",
    metadata,
    Column("site_id", Integer, primary_key=True, autoincrement=False),
    Column("time", BigInteger, primary_key=True, autoincrement=False),
    Column("station_id", Integer, primary_key=True, autoincrement=False),
    Column("parameter", SmallInteger, primary_key=True, autoincrement=False),
    Column("reason", SafeString, nullable=False),
    sqlite_with_rowid=False,
)

quality_limit = Table(  # climate limits: how far from the models a reading of a month may be
    "quality_limit",
    metadata,
    Column("site_id", Integer, primary_key=True, autoincrement=False),
    Column("month", Integer, primary_key=True, autoincrement=False),
    Column("limits", LargeBinary, nullable=False),
    sqlite_with_rowid=False,
)

sensor_day = Table(  # digest of a station's readings of a day, from which flags are learned
    "sensor_day",
    metadata,
    Column("site_id", Integer, primary_key=True, autoincrement=False),
    Column("station_id", Integer, primary_key=True, autoincrement=False),
    Column("day", Integer, primary_key=True, autoincrement=False),
    Column("digest", LargeBinary, nullable=False),
    sqlite_with_rowid=False,
)

station_flag = Table(  # periods in which a sensor of a station is suspect
    "station_flag",
    metadata,
    Column("site_id", Integer, primary_key=True, autoincrement=False),
    Column("station_id", Integer, primary_key=True, autoincrement=False),
    Column("parameter", SmallInteger, primary_key=True, autoincrement=False),
    Column("reason", SafeString, primary_key=True),
    Column("first", BigInteger, primary_key=True, autoincrement=False),
    Column("until", BigInteger, nullable=False),  # the first moment after it
    Column("excludes", Boolean, nullable=False),  # false: a question for the operator, still scored
    sqlite_with_rowid=False,
)

due_day = Table(  # days whose values changed after they were computed
    "due_day",
    metadata,
    Column("site_id", Integer, primary_key=True, autoincrement=False),
    Column("day", Integer, primary_key=True, autoincrement=False),
    Column("stamp", Integer, nullable=False),  # random, new at each change; day -1 stands for all days
    sqlite_with_rowid=False,
)

# --- Issued forecasts: append-only, triggers refuse every change ------------------------------------

access_token = Table(
    "access_token",
    metadata,
    Column("name", SafeString, primary_key=True),
    Column("hash", LargeBinary, nullable=False, unique=True),  # SHA-256 of the token
    Column("rights", SafeString, nullable=False),  # names of `Right`, separated by commas
    Column("created_at", BigInteger, nullable=False),
    Column("revoked_at", BigInteger),
)

issued_forecast = Table(
    "issued_forecast",
    metadata,
    Column("site", SafeString, primary_key=True),
    Column("number", Integer, primary_key=True, autoincrement=False),  # 1, 2, 3 ... within the site
    Column("audience", SafeString, nullable=False),
    Column("parameter", SafeString, nullable=False),
    Column("view", SmallInteger, nullable=False),
    Column("day", Integer, nullable=False),  # the local day that it is for
    Column("method", SafeString, nullable=False),
    Column("decision_time", BigInteger, nullable=False),
    Column("issued_at", BigInteger, nullable=False),
    Column("withdraws", Integer),  # the number of the row that this one withdraws; null: a forecast
    Column("content", LargeBinary, nullable=False),  # JSON, compressed by zlib
    Column("hash", LargeBinary, nullable=False),  # SHA-256 of this row and of the hash before
)
Index(
    "uq_issued_forecast_decision",
    *(issued_forecast.c[name] for name in ("site", "view", "day", "parameter", "audience", "method")),
    unique=True,
    sqlite_where=issued_forecast.c.withdraws.is_(None),
    postgresql_where=issued_forecast.c.withdraws.is_(None),
)
Index(  # is a forecast withdrawn: for each row that is read, one look-up in the few withdrawals
    "ix_issued_forecast_withdrawn",
    issued_forecast.c.site,
    issued_forecast.c.withdraws,
    sqlite_where=issued_forecast.c.withdraws.is_not(None),
    postgresql_where=issued_forecast.c.withdraws.is_not(None),
)

# What each learning step of the corrected forecast used: a row per part of a day, append-only like the record
forecast_learning = Table(
    "forecast_learning",
    metadata,
    Column("site", SafeString, primary_key=True),
    Column("audience", SafeString, primary_key=True),
    Column("view", SmallInteger, primary_key=True, autoincrement=False),
    Column("parameter", SafeString, primary_key=True),
    Column("station", SafeString, primary_key=True),
    Column("day", Integer, primary_key=True, autoincrement=False),  # the local day that was forecast
    Column("part", SafeString, primary_key=True),  # "models": as known at the decision; "readings"
    Column("decided_at", BigInteger, nullable=False),  # the decision from which on the part was known
    Column("content", LargeBinary, nullable=False),
    sqlite_with_rowid=False,
)

gate_decision = Table(  # append-only: whether the corrected forecast of a parameter and a view is shown
    "gate_decision",
    metadata,
    Column("audience", SafeString, primary_key=True),
    Column("view", SmallInteger, primary_key=True, autoincrement=False),
    Column("parameter", SafeString, primary_key=True),
    Column("method", SafeString, primary_key=True),
    Column("decided_at", BigInteger, primary_key=True, autoincrement=False),
    Column("state", SafeString, nullable=False),  # "open" or "closed"
    Column("content", SafeText, nullable=False),  # JSON: days, failures, reasons, vetoes
    sqlite_with_rowid=False,
)

learning_state = Table(  # a cache: forecast_learning replayed, for each of its units
    "learning_state",
    metadata,
    Column("site", SafeString, primary_key=True),
    Column("audience", SafeString, primary_key=True),
    Column("view", SmallInteger, primary_key=True, autoincrement=False),
    Column("parameter", SafeString, primary_key=True),
    Column("station", SafeString, nullable=False),
    Column("method", SafeString, nullable=False),
    Column("first", Integer, nullable=False),  # the day that learning started at
    Column("days", Integer, nullable=False),  # how many days are learned
    Column("content", LargeBinary, nullable=False),
)

# --- The ledger ------------------------------------------------------------------------------------

job = Table(
    "job",
    metadata,
    Column("name", SafeString, primary_key=True),
    Column("schedule", SafeString, nullable=False),
    Column("valid_since", BigInteger, nullable=False),  # older slots are not caught up
)

job_pause = Table(
    "job_pause",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("job", SafeString, nullable=False),
    Column("paused_at", BigInteger, nullable=False),
    Column("paused_by", SafeString, nullable=False),
    Column("resumed_at", BigInteger),
    Column("resumed_by", SafeString),
)
Index(
    "uq_job_pause_open",
    job_pause.c.job,
    unique=True,
    sqlite_where=job_pause.c.resumed_at.is_(None),
    postgresql_where=job_pause.c.resumed_at.is_(None),
)

job_run = Table(
    "job_run",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("job", SafeString, nullable=False),
    Column("slot", BigInteger),  # the exact scheduled time; null for a run by hand
    Column("trigger", SafeString, nullable=False),
    Column("status", SafeString, nullable=False),
    Column("owner", SafeString, nullable=False),
    Column("epoch", Integer, nullable=False),  # 1, incremented at every takeover; final writes check it
    Column("lease_until", Float, nullable=False),  # real time, independent of the collection's clock
    Column("start_time", BigInteger),
    Column("end_time", BigInteger),
    Column("duration", Float),
    Column("collected", Integer, nullable=False, server_default="0"),
    Column("stored", Integer, nullable=False, server_default="0"),
    Column("rejected", Integer, nullable=False, server_default="0"),
    Column("note", SafeText, nullable=False, server_default=""),
    UniqueConstraint("job", "slot"),
    sqlite_autoincrement=True,
)
Index(
    "uq_job_run_running",  # one run of a job at a time, in however many processes
    job_run.c.job,
    unique=True,
    sqlite_where=job_run.c.status == "running",
    postgresql_where=job_run.c.status == "running",
)
# For a page of runs or of failed runs, and for the last run to end: one look-up each, at 144 runs a day.
Index("ix_job_run_job_id", job_run.c.job, job_run.c.id)
Index("ix_job_run_status_id", job_run.c.status, job_run.c.id)
Index("ix_job_run_job_end", job_run.c.job, job_run.c.end_time, job_run.c.id)

source_run = Table(
    "source_run",
    metadata,
    Column("run_id", ForeignKey(job_run.c.id), primary_key=True),
    Column("source", SafeString, primary_key=True),
    Column("status", SafeString, nullable=False),
    Column("reason", SafeText, nullable=False, server_default=""),
    Column("collected", Integer, nullable=False),
    Column("stored", Integer, nullable=False),
    Column("rejected", Integer, nullable=False),
    Column("rejected_reasons", SafeText, nullable=False),  # JSON: reason -> count
    Column("failures", SafeText, nullable=False),  # JSON: the first of them, in full
    Column("failed", Integer, nullable=False),
    Column("requests", Integer, nullable=False),
    Column("bytes", BigInteger, nullable=False),
    Column("duration", Float, nullable=False),
    Column("newest", BigInteger),  # the newest data of the source in this run
)

run_task = Table(  # the parts of runs that workers do, until their run ends (run_tasks.py)
    "run_task",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("run_id", ForeignKey(job_run.c.id), nullable=False),
    Column("source", SafeString, nullable=False),
    Column("part", Integer, nullable=False),
    Column("sites", SafeText),  # JSON: the ids of the sites of this part; null: all
    Column("since", BigInteger),  # of a backfill, with `until`
    Column("until", BigInteger),
    Column("turn", Integer, nullable=False, server_default="0"),  # how often it was started; writes check it
    Column("owner", SafeString, nullable=False, server_default=""),  # the process that began it last
    Column("outcome", SafeText),  # JSON: how it ended; null while it is not done
    UniqueConstraint("run_id", "source", "part"),
    sqlite_autoincrement=True,
)

source_newest = Table(
    "source_newest",
    metadata,
    Column("source", SafeString, primary_key=True),
    Column("newest", BigInteger, nullable=False),  # the newest data of the source in all runs
)

# --- Alerts ----------------------------------------------------------------------------------------

alert_open = Table(  # problems that were reported to the operator and are not over
    "alert_open",
    metadata,
    Column("subject", SafeString, primary_key=True),  # "source_failing:ffvl"
    Column("since", BigInteger, nullable=False),
    Column("sentence", SafeText, nullable=False),
)

alert_message = Table(  # one row for each message and address
    "alert_message",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("kind", SafeString, nullable=False),  # change, digest
    Column("created_at", BigInteger, nullable=False),
    Column("target", SafeString, nullable=False),  # SHA-256 of the address, which is secret
    Column("title", SafeText, nullable=False),
    Column("body", SafeText, nullable=False),
    Column("good", Boolean, nullable=False),
    Column("attempts", Integer, nullable=False),
    Column("retry_at", BigInteger, nullable=False),
    Column("sent_at", BigInteger),  # null: not delivered yet
)
Index("ix_alert_message_created_at", alert_message.c.created_at)

alert_turn = Table(  # the process that watches the state: one row
    "alert_turn",
    metadata,
    Column("owner", SafeString, primary_key=True),
    Column("until", Float, nullable=False),  # real time, as of the leases of runs
)

# --- Processes -------------------------------------------------------------------------------------

instance = Table(  # the processes of the service; times by the database's clock
    "instance",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("owner", SafeString, nullable=False, unique=True),  # as of runs (process_identity.py)
    Column("role", SafeString, nullable=False),
    Column("host", SafeString, nullable=False),
    Column("pid", Integer, nullable=False),
    Column("version", SafeString, nullable=False),
    Column("started_at", BigInteger, nullable=False),
    Column("heartbeat_at", BigInteger, nullable=False),
    Column("stopped_at", BigInteger),
)
