"""The columns of every file that we write or read: one list each, for writer, reader and data dictionary."""

from __future__ import annotations

from typing import NamedTuple

import polars as pl

MOMENT = pl.Datetime("us", "UTC")


class Column(NamedTuple):
    """A column of a file. `unit` is "" where it has none; times are UTC."""

    name: str
    dtype: pl.DataType | type[pl.DataType]
    unit: str
    meaning: str

    @property
    def kind(self) -> str:
        """Return its type in a word."""
        kinds: dict[object, str] = {
            pl.String: "text",
            pl.Float64: "number",
            pl.Int64: "whole number",
            pl.Boolean: "true or false",
            pl.Date: "date",
        }
        return "time" if self.dtype == MOMENT else kinds[self.dtype]


Columns = tuple[Column, ...]

_PARAMETER = Column("parameter", pl.String, "", "what the value is of; its unit is in the table below")
_VALUE = Column("value", pl.Float64, "of the parameter", "the value, in thousandths at the finest")
_COLLECTED = Column("collected_at", MOMENT, "UTC", "when it came to us, or was imported")
_SOURCE = Column("source", pl.String, "", 'the source it came from; "import": a file')

FORECASTS: Columns = (
    Column("model", pl.String, "", "the model"),
    Column("site", pl.String, "", "id of the flying site"),
    _PARAMETER,
    Column("reference_time", MOMENT, "UTC", "start of the run"),
    Column("valid_time", MOMENT, "UTC", "the moment that the forecast speaks of"),
    _VALUE,
    Column("available_at", MOMENT, "UTC", "when the value was available; no score uses it before"),
    Column(
        "available_at_published", pl.Boolean, "", "whether its publisher said so; false: when we first saw it"
    ),
    _COLLECTED,
    _SOURCE,
)

OBSERVATIONS: Columns = (
    Column("station", pl.String, "", "network and number of the station"),
    _PARAMETER,
    Column("time", MOMENT, "UTC", "the stamp of the reading"),
    _VALUE,
    Column("averaging_minutes", pl.Int64, "minutes", "over how long the wind was averaged; empty: not known"),
    Column("direction_resolution", pl.Float64, "degrees", "how fine directions are; empty: not known"),
    _COLLECTED,
    _SOURCE,
)

_SAMPLE: Columns = (
    Column("site", pl.String, "", "id of the flying site"),
    Column("station", pl.String, "", "the station that was compared with"),
    Column("model", pl.String, "", "the model"),
    Column("view", pl.String, "", "which run speaks for an hour: see the list of views below"),
    Column("quantity", pl.String, "", "what is compared; its unit is in the table below"),
)

PAIRS: Columns = (
    *_SAMPLE,
    Column("valid_time", MOMENT, "UTC", "the whole hour that both speak of"),
    Column("forecast", pl.Float64, "of the quantity", "what the model said"),
    Column("observation", pl.Float64, "of the quantity", "what the station measured"),
    Column(
        "error",
        pl.Float64,
        "of the quantity",
        "forecast − observation; of directions from −180 to 180, positive clockwise",
    ),
    Column("reference_time", MOMENT, "UTC", "start of the run"),
    Column("lead_minutes", pl.Int64, "minutes", "valid_time − reference_time"),
    Column(
        "report_offset_minutes",
        pl.Int64,
        "minutes",
        "from the hour to the middle of what the reading is the mean of; for wind_speed only",
    ),
)

_LOW, _HIGH = "lower end of its 95 % interval", "upper end of its 95 % interval"
_UNIT = "of the quantity"

SCORES: Columns = (
    *_SAMPLE[:3],
    Column("reference", pl.Boolean, "", "true: no model, but a forecast that anyone could make"),
    *_SAMPLE[3:],
    Column("unit", pl.String, "", "unit of the scores"),
    Column("hours", pl.String, "", "local hours that count: flying (10 to 18), day (08 to 19) or all"),
    Column("first_day", pl.Date, "", "first local day (Europe/Paris) that was looked at"),
    Column("last_day", pl.Date, "", "last local day that was looked at"),
    Column("rounded", pl.Boolean, "", "true: of whole months and coarse, for a withheld source takes part"),
    Column("n_pairs", pl.Int64, "", "pairs that the scores rest on: all that this model has"),
    Column("n_days", pl.Int64, "", "distinct local days of these pairs; below 15 there are no scores"),
    Column("label", pl.String, "", "how far a sample of so many days carries"),
    Column("estimated_hours", pl.Int64, "", "of whole days: hours of runs without a time of publication"),
    Column("mean_error", pl.Float64, _UNIT, "mean of forecast − observation; of directions the steady turn"),
    Column("mean_error_low", pl.Float64, _UNIT, _LOW),
    Column("mean_error_high", pl.Float64, _UNIT, _HIGH),
    Column("tendency", pl.String, "", "the mean error in a word: overestimates, clockwise, no steady bias"),
    Column("mae", pl.Float64, _UNIT, "mean size of the error; for wind, of the vector difference"),
    Column("mae_low", pl.Float64, _UNIT, _LOW),
    Column("mae_high", pl.Float64, _UNIT, _HIGH),
    Column("rmse", pl.Float64, _UNIT, "root of the mean squared error"),
    Column("error_sd", pl.Float64, _UNIT, "standard deviation of the error"),
    Column("correlation", pl.Float64, "", "of forecast and observation"),
    Column("within", pl.Float64, "share", "share of pairs whose error is at most within_tolerance"),
    Column("within_tolerance", pl.Float64, _UNIT, "the error that `within` allows"),
    Column("p10", pl.Float64, _UNIT, "a tenth of the errors is below"),
    Column("p25", pl.Float64, _UNIT, "a quarter of the errors is below"),
    Column("median", pl.Float64, _UNIT, "half of the errors is below"),
    Column("p75", pl.Float64, _UNIT, "three quarters of the errors are below"),
    Column("p90", pl.Float64, _UNIT, "nine tenths of the errors are below"),
    Column("p90_abs", pl.Float64, _UNIT, "nine tenths of the sizes of the errors are below"),
    Column("circular_bias", pl.Float64, "degrees", "mean turn of the forecast, positive clockwise"),
    Column("circular_sd", pl.Float64, "degrees", "circular standard deviation of the turn"),
    Column("resultant", pl.Float64, "", "0 to 1: how steady the turn is"),
    Column("mean_direction_error", pl.Float64, "degrees", "arithmetic mean of the wrapped errors"),
    Column("light_wind_pairs", pl.Int64, "", "pairs too light to tell of direction, left out"),
    Column("undefined_pairs", pl.Int64, "", "pairs without one of the two directions, left out"),
    Column("rank", pl.Int64, "", "place among the models on the hours that all have; empty: not ranked"),
    Column("finding", pl.String, "", "what may be said of the best two: winner, too_close_to_call, …"),
    Column("p_value", pl.Float64, "share", "of the weakest comparison of the best with the others"),
    Column("stands", pl.Boolean, "", "true: a winner that stands in a list as long as this file's"),
    Column("common_pairs", pl.Int64, "", "pairs that rank and finding rest on"),
    Column("common_days", pl.Int64, "", "distinct local days of these"),
    Column("method_version", pl.String, "", "version of the methods"),
)


VERIF: Columns = (
    Column("unixtime", pl.Int64, "seconds since 1970, UTC", "start of the run"),
    Column("leadtime", pl.Float64, "hours", "valid time − start of the run"),
    Column("location", pl.Int64, "", "number of site and station: see the comment in the file"),
    Column("lat", pl.Float64, "degrees north", "of the site"),
    Column("lon", pl.Float64, "degrees east", "of the site"),
    Column("altitude", pl.Float64, "metres above sea level", "of the site"),
    Column("obs", pl.Float64, "see the comment in the file", "what the station measured"),
    Column("fcst", pl.Float64, "see the comment in the file", "what the model said"),
)


def schema(columns: Columns) -> dict[str, pl.DataType | type[pl.DataType]]:
    """Return names and types as Polars takes them."""
    return {column.name: column.dtype for column in columns}
