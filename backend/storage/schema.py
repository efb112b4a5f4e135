"""The tables (SQLAlchemy Core), the same on SQLite and PostgreSQL.

Times are whole seconds since 1970 in UTC; values are whole thousandths of their unit, so that sums are
exact whatever the order of adding (docs/decisions/store-layout.md has the measurement). A reading or a
forecast hour is one row with a column per parameter; null means absent.
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
    """Return text as it is stored: what not every database can hold, a NUL or half a character, is "�"."""
    return _NO_TEXT.sub("�", text)


class Words(TypeDecorator[str]):
    """Text, made storable wherever it is written or asked for: much of it comes from outside."""

    impl = String
    cache_ok = True

    def process_bind_param(self, value: str | None, dialect: Dialect) -> str | None:
        """Return what goes to the database."""
        return None if value is None else storable(value)


class LongWords(Words):
    """Words that may be many."""

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


# --- What the world is made of ---------------------------------------------------------------------

site = Table(
    "site",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("slug", Words, nullable=False),
    Column("series", SmallInteger, nullable=False),  # 1, and one more each time the take-off moves
    Column("valid_from", BigInteger),  # null: since ever
    Column("name", Words, nullable=False),
    Column("latitude", Float, nullable=False),
    Column("longitude", Float, nullable=False),
    Column("elevation", Float, nullable=False),
    Column("orientation", Words, nullable=False),
    Column("stations", Words, nullable=False),
    Column("without", Words, nullable=False),
    Column("configured", Boolean, nullable=False),  # false: removed from the list, its data stay
    Column("reference_stations", Words, nullable=False, server_default=""),  # "ffvl:87,romma:241@2026-05-01"
    Column("days_stamp", Integer, nullable=False, server_default="0"),  # another number when its days change
    UniqueConstraint("slug", "series"),
)

model = Table(
    "model",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("name", Words, nullable=False, unique=True),
)

station = Table(
    "station",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("code", Words, nullable=False, unique=True),  # "ffvl:87"
    Column("name", Words, nullable=False, server_default=""),
    Column("latitude", Float),
    Column("longitude", Float),
    Column("elevation", Float),
    Column("kind", Words, nullable=False, server_default=""),
    Column("remarks", LongWords, nullable=False, server_default=""),
    Column("newest", BigInteger),  # the time of its newest reading kept
    Column("caught_up", BigInteger),  # up to here, every reading that its source still has is kept
)

station_position = Table(  # where a station stood on a day, by one route
    "station_position",
    metadata,
    Column("station_id", Integer, primary_key=True, autoincrement=False),
    Column("route", Words, primary_key=True),
    Column("day", Integer, primary_key=True, autoincrement=False),  # days of UTC since 1970
    Column("place", Words, primary_key=True),  # ten-thousandths of degrees; empty: no position was stated
    Column("first_seen", BigInteger, nullable=False),
    Column("last_seen", BigInteger, nullable=False),
    Column("since", BigInteger, nullable=False),  # the earliest reading that came with it, else first_seen
    Column("latitude", Float),
    Column("longitude", Float),
    Column("elevation", Float),
    Column("name", Words, nullable=False),
    sqlite_with_rowid=False,
)

station_stay = Table(  # the places between which a station moved: derived from station_position
    "station_stay",
    metadata,
    Column("station_id", Integer, primary_key=True, autoincrement=False),
    Column("route", Words, primary_key=True),
    Column("number", SmallInteger, primary_key=True, autoincrement=False),  # 0 is where it was first seen
    Column("since", BigInteger, nullable=False),
    Column("latitude", Float, nullable=False),
    Column("longitude", Float, nullable=False),
    Column("elevation", Float),
    Column("name", Words, nullable=False),
    sqlite_with_rowid=False,
)

confirmed_place = Table(  # places at which a station measures for a site, by the operator's word
    "confirmed_place",
    metadata,
    Column("site", Words, primary_key=True),
    Column("station_id", Integer, primary_key=True, autoincrement=False),
    Column("route", Words, primary_key=True),
    Column("place", Words, primary_key=True),  # ten-thousandths of degrees
    Column("latitude", Float, nullable=False),
    Column("longitude", Float, nullable=False),
    Column("confirmed_at", BigInteger),  # null: it stood there when it was given to the site
    sqlite_with_rowid=False,
)

station_list = Table(
    "station_list",
    metadata,
    Column("network", Words, primary_key=True),
    Column("listed_at", BigInteger, nullable=False),
)

grid_point = Table(
    "grid_point",
    metadata,
    Column("model_id", ForeignKey(model.c.id), primary_key=True),
    Column("site_id", ForeignKey(site.c.id), primary_key=True),
    Column("cell", Words, nullable=False),
    Column("ground", Float),
    Column("height", Float),
)

# --- What the models said --------------------------------------------------------------------------

forecast_batch = Table(
    "forecast_batch",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("job_run_id", Integer),
    Column("model_id", ForeignKey(model.c.id), nullable=False),
    Column("reference_time", BigInteger, nullable=False),
    Column("source", Words, nullable=False),
    Column("route", Words, nullable=False),
    Column("rank", SmallInteger, nullable=False),
    Column("available_at", BigInteger, nullable=False),
    Column("published", Boolean, nullable=False),  # false: available_at is when we first saw the run
    Column("collected_at", BigInteger, nullable=False),
)
Index("ix_forecast_batch_model_run", forecast_batch.c.model_id, forecast_batch.c.reference_time)

# No foreign keys below: they would cost a look-up per row, and the store writes both sides itself.
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

# Which batch a value came in, where it is another than that of its row: for most rows there is nothing here.
forecast_origin = Table(
    "forecast_origin",
    metadata,
    Column("site_id", Integer, primary_key=True, autoincrement=False),
    Column("valid_time", BigInteger, primary_key=True, autoincrement=False),
    Column("model_id", SmallInteger, primary_key=True, autoincrement=False),
    Column("reference_time", BigInteger, primary_key=True, autoincrement=False),
    Column("parameter", SmallInteger, primary_key=True, autoincrement=False),  # its place among Parameter
    Column("batch_id", Integer, nullable=False),
    sqlite_with_rowid=False,
)

collected_part = Table(
    "collected_part",
    metadata,
    Column("reference_time", BigInteger, primary_key=True, autoincrement=False),
    Column("model_id", SmallInteger, primary_key=True, autoincrement=False),
    Column("part", Words, primary_key=True),
    Column("site_id", Integer, primary_key=True, autoincrement=False),
    Column("rank", SmallInteger, nullable=False),
    sqlite_with_rowid=False,
)

incomplete_part = Table(  # parts of runs that were reported as incomplete, until they are complete
    "incomplete_part",
    metadata,
    Column("reference_time", BigInteger, primary_key=True, autoincrement=False),
    Column("model_id", SmallInteger, primary_key=True, autoincrement=False),
    Column("part", Words, primary_key=True),
    Column("site_id", Integer, primary_key=True, autoincrement=False),
    Column("version", Words, nullable=False),  # of the file that was read; empty: there was none
    Column("reason", LongWords, nullable=False),
    sqlite_with_rowid=False,
)

outside_model = Table(  # sites that a model does not cover, as it turned out
    "outside_model",
    metadata,
    Column("model_id", SmallInteger, primary_key=True, autoincrement=False),
    Column("site_id", Integer, primary_key=True, autoincrement=False),
    Column("reason", LongWords, nullable=False),
    Column("noted_at", BigInteger, nullable=False),
    sqlite_with_rowid=False,
)

# --- What the beacons measured ---------------------------------------------------------------------

observation_batch = Table(
    "observation_batch",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("job_run_id", Integer),
    Column("source", Words, nullable=False),
    Column("route", Words, nullable=False),
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

station_exclusion = Table(  # what the operator takes out of the scores; the values stay stored
    "station_exclusion",
    metadata,
    Column("station_id", Integer, primary_key=True, autoincrement=False),
    Column("parameter", SmallInteger, primary_key=True, autoincrement=False),
    Column("first_day", Integer, primary_key=True, autoincrement=False),  # local days, both included
    Column("last_day", Integer),  # null: until further notice
    Column("note", Words, nullable=False, server_default=""),
    Column("noted_at", BigInteger, nullable=False),
    sqlite_with_rowid=False,
)

replaced_value = Table(  # what `import --replace` took away; kept whatever is removed
    "replaced_value",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("replaced_at", BigInteger, nullable=False),
    Column("file", Words, nullable=False),
    Column("name", Words, nullable=False),  # of the model, or the code of the station
    Column("site", Words),  # null: a reading
    Column("parameter", Words, nullable=False),
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
    Column("fingerprint", Words, nullable=False, unique=True),  # the same value is set aside once
    Column("job_run_id", Integer),
    Column("source", Words, nullable=False),
    Column("route", Words, nullable=False),
    Column("subject", Words, nullable=False),
    Column("parameter", Words),
    Column("time", BigInteger),
    Column("raw", LongWords, nullable=False),
    Column("reason", Words, nullable=False),
    Column("collected_at", BigInteger, nullable=False),
)
Index("ix_rejected_collected_at", rejected.c.collected_at)
Index("ix_rejected_job_run_id", rejected.c.job_run_id)

# --- What scores are made of: days, derived from the above and made again whenever it changes -------

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
        Column("estimated", SmallInteger, nullable=False),  # hours of runs whose publisher told no time
        # By how many minutes the run of a value is older than the newest one, as `leads`, by parameter
        Column("older", LargeBinary),  # null: all values are of the newest run
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
        Column("resolution", Float),  # of directions, in degrees, where the source says so
        Column("means", LargeBinary),  # as hourly, of all reports around each hour; null: not made yet
        Column("doubts", LargeBinary),  # counts of doubted values, 16 bits each; null: there are none
        sqlite_with_rowid=False,
    )


forecast_day = _forecast_days("forecast_day")
observed_day = _observed_days("observed_day")

# Copies of closed calendar months, for public answers in which a withheld source takes part. They change by
# at least 20 days or not at all (docs/decisions/withheld-values.md).
public_forecast_day = _forecast_days("public_forecast_day")
public_observed_day = _observed_days("public_observed_day")

public_month = Table(  # whose days of a month are copied
    "public_month",
    metadata,
    Column("site_id", Integer, primary_key=True, autoincrement=False),
    Column("month", Integer, primary_key=True, autoincrement=False),
    Column("kind", SmallInteger, primary_key=True, autoincrement=False),  # 0: a model, 1: a station
    Column("owner_id", Integer, primary_key=True, autoincrement=False),
    sqlite_with_rowid=False,
)

doubted = Table(  # readings that are kept, and enter no score
    "doubted",
    metadata,
    Column("site_id", Integer, primary_key=True, autoincrement=False),
    Column("time", BigInteger, primary_key=True, autoincrement=False),
    Column("station_id", Integer, primary_key=True, autoincrement=False),
    Column("parameter", SmallInteger, primary_key=True, autoincrement=False),
    Column("reason", Words, nullable=False),
    sqlite_with_rowid=False,
)

quality_limit = Table(  # how far from the models a reading of a month may be
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
    Column("reason", Words, primary_key=True),
    Column("first", BigInteger, primary_key=True, autoincrement=False),
    Column("until", BigInteger, nullable=False),  # the first moment after it
    Column("excludes", Boolean, nullable=False),  # false: a question for the operator, scored all the same
    sqlite_with_rowid=False,
)

due_day = Table(  # days whose raw values changed since they were made
    "due_day",
    metadata,
    Column("site_id", Integer, primary_key=True, autoincrement=False),
    Column("day", Integer, primary_key=True, autoincrement=False),
    Column("stamp", Integer, nullable=False),  # another number at each change; day -1 stands for all of them
    sqlite_with_rowid=False,
)

# --- What was done about it: the ledger ------------------------------------------------------------

job = Table(
    "job",
    metadata,
    Column("name", Words, primary_key=True),
    Column("schedule", Words, nullable=False),
    Column("valid_since", BigInteger, nullable=False),  # no slot before it is ever made up for
)

job_pause = Table(
    "job_pause",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("job", Words, nullable=False),
    Column("paused_at", BigInteger, nullable=False),
    Column("paused_by", Words, nullable=False),
    Column("resumed_at", BigInteger),
    Column("resumed_by", Words),
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
    Column("job", Words, nullable=False),
    Column("slot", BigInteger),  # the exact scheduled time; null for a run asked for by hand
    Column("trigger", Words, nullable=False),
    Column("status", Words, nullable=False),
    Column("owner", Words, nullable=False),
    Column("epoch", Integer, nullable=False),  # 1, raised at every takeover; final writes name it
    Column("lease_until", Float, nullable=False),  # real time, whatever the clock of the collection says
    Column("start_time", BigInteger),
    Column("end_time", BigInteger),
    Column("duration", Float),
    Column("collected", Integer, nullable=False, server_default="0"),
    Column("stored", Integer, nullable=False, server_default="0"),
    Column("rejected", Integer, nullable=False, server_default="0"),
    Column("note", LongWords, nullable=False, server_default=""),
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
# A page of runs, of failed ones, or the last to end: each is a look-up, also after a year of 144 a day.
Index("ix_job_run_job_id", job_run.c.job, job_run.c.id)
Index("ix_job_run_status_id", job_run.c.status, job_run.c.id)
Index("ix_job_run_job_end", job_run.c.job, job_run.c.end_time, job_run.c.id)

source_run = Table(
    "source_run",
    metadata,
    Column("run_id", ForeignKey(job_run.c.id), primary_key=True),
    Column("source", Words, primary_key=True),
    Column("status", Words, nullable=False),
    Column("reason", LongWords, nullable=False, server_default=""),
    Column("collected", Integer, nullable=False),
    Column("stored", Integer, nullable=False),
    Column("rejected", Integer, nullable=False),
    Column("rejected_reasons", LongWords, nullable=False),  # JSON: word -> count
    Column("failures", LongWords, nullable=False),  # JSON: the first of them, whole
    Column("failed", Integer, nullable=False),
    Column("requests", Integer, nullable=False),
    Column("bytes", BigInteger, nullable=False),
    Column("duration", Float, nullable=False),
    Column("newest", BigInteger),  # the newest data that the source showed in this run
)

source_newest = Table(
    "source_newest",
    metadata,
    Column("source", Words, primary_key=True),
    Column("newest", BigInteger, nullable=False),  # the newest data that it has ever shown
)
