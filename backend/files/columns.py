"""The columns of every exported or imported file, once for the writer, the reader and the data dictionary."""

from __future__ import annotations

from typing import NamedTuple

import polars as pl

from backend.core.issued import LEVELS as ISSUED_LEVELS

MOMENT = pl.Datetime("us", "UTC")


class Column(NamedTuple):
    """A column of a file. `unit` is "" if it has none; times are UTC."""

    name: str
    dtype: pl.DataType | type[pl.DataType]
    unit: str
    meaning: str

    @property
    def kind(self) -> str:
        """Return its type in a few words."""
        kinds: dict[object, str] = {
            pl.String: "text",
            pl.Float64: "number",
            pl.Int64: "whole number",
            pl.Boolean: "true or false",
            pl.Date: "date",
        }
        return "time" if self.dtype == MOMENT else kinds[self.dtype]


Columns = tuple[Column, ...]

_PARAMETER = Column("parameter", pl.String, "", "the parameter; its unit is in the table below")
_VALUE = Column("value", pl.Float64, "of the parameter", "the value, with at most three decimals")
_COLLECTED = Column("collected_at", MOMENT, "UTC", "when it was collected or imported")
_SOURCE = Column("source", pl.String, "", 'its source; "import": a file')

FORECASTS: Columns = (
    Column("model", pl.String, "", "the model"),
    Column("site", pl.String, "", "id of the flying site"),
    _PARAMETER,
    Column("reference_time", MOMENT, "UTC", "start of the run"),
    Column("valid_time", MOMENT, "UTC", "the moment that the forecast is for"),
    _VALUE,
    Column("available_at", MOMENT, "UTC", "when the value was available; no score uses it before"),
    Column(
        "available_at_published", pl.Boolean, "", "true: stated by the publisher; false: when we first saw it"
    ),
    _COLLECTED,
    _SOURCE,
)

OBSERVATIONS: Columns = (
    Column("station", pl.String, "", "network and number of the station"),
    _PARAMETER,
    Column("time", MOMENT, "UTC", "the time stamp of the reading"),
    _VALUE,
    Column("averaging_minutes", pl.Int64, "minutes", "averaging period of the wind; empty: unknown"),
    Column("direction_resolution", pl.Float64, "degrees", "step of the directions; empty: unknown"),
    _COLLECTED,
    _SOURCE,
)

_ROUTE = Column("route", pl.String, "", "the way by which its source delivered it")
_RANK = Column("rank", pl.Int64, "", "rank of that route: of two values for one hour the lower rank stays")
_PART = Column("part", pl.Int64, "", "number of the file: of rows with one key the highest number counts")

MONTH_FORECASTS: Columns = (
    *FORECASTS,
    Column("site_series", pl.Int64, "", "1, and one more each time the take-off was moved"),
    *(_ROUTE, _RANK, _PART),
)

MONTH_OBSERVATIONS: Columns = (*OBSERVATIONS, _ROUTE, _RANK, _PART)

_SAMPLE: Columns = (
    Column("site", pl.String, "", "id of the flying site"),
    Column("station", pl.String, "", "the station whose readings the forecasts are compared with"),
    Column("model", pl.String, "", "the model"),
    Column("view", pl.String, "", "the rule that chooses the run for an hour: see the list of views below"),
    Column("quantity", pl.String, "", "what is compared; its unit is in the table below"),
)

PAIRS: Columns = (
    *_SAMPLE,
    Column("valid_time", MOMENT, "UTC", "the whole hour of forecast and observation"),
    Column("forecast", pl.Float64, "of the quantity", "forecast of the model"),
    Column("observation", pl.Float64, "of the quantity", "observation of the station"),
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
        "from the hour to the middle of the averaging period of the reading; for wind_speed only",
    ),
)

_LOW, _HIGH = "lower end of its 95 % interval", "upper end of its 95 % interval"
_UNIT = "of the quantity"

SCORES: Columns = (
    *_SAMPLE[:3],
    Column("reference", pl.Boolean, "", "true: a baseline, which is a forecast without a model"),
    *_SAMPLE[3:],
    Column("unit", pl.String, "", "unit of the scores"),
    Column("hours", pl.String, "", "local hours that count: flying (10 to 18), day (08 to 19) or all"),
    Column("first_day", pl.Date, "", "first local day (Europe/Paris) of the period"),
    Column("last_day", pl.Date, "", "last local day of the period"),
    Column("rounded", pl.Boolean, "", "true: whole months and rounded, because a source is withheld"),
    Column("n_pairs", pl.Int64, "", "pairs of this model that the scores are computed from"),
    Column("n_days", pl.Int64, "", "distinct local days of these pairs; below 15 there are no scores"),
    Column("label", pl.String, "", "sample size label, by the number of days"),
    Column(
        "estimated_hours",
        pl.Int64,
        "",
        "of whole days: hours of runs without a published time of availability",
    ),
    Column(
        "mean_error",
        pl.Float64,
        _UNIT,
        "mean of forecast − observation; of directions the circular bias, if it is steady",
    ),
    Column("mean_error_low", pl.Float64, _UNIT, _LOW),
    Column("mean_error_high", pl.Float64, _UNIT, _HIGH),
    Column("tendency", pl.String, "", "the mean error in words: overestimates, clockwise, no steady bias"),
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
    Column("light_wind_pairs", pl.Int64, "", "pairs with too little wind for a direction, left out"),
    Column("undefined_pairs", pl.Int64, "", "pairs without one of the two directions, left out"),
    Column("rank", pl.Int64, "", "rank of the model on the common sample; empty: not ranked"),
    Column(
        "finding", pl.String, "", "result of the comparison of the best two: winner, too_close_to_call, …"
    ),
    Column("p_value", pl.Float64, "share", "of the weakest comparison of the best with the others"),
    Column("stands", pl.Boolean, "", "true: a winner also after correction for all rankings of this file"),
    Column("common_pairs", pl.Int64, "", "pairs that rank and finding are computed from"),
    Column("common_days", pl.Int64, "", "distinct local days of these"),
    Column("method_version", pl.String, "", "version of the methods"),
)

ISSUED: Columns = (
    Column("site", pl.String, "", "id of the flying site"),
    Column("station", pl.String, "", "the station whose readings it was learned from"),
    Column("audience", pl.String, "", "public: of public models and stations only; operator: of all"),
    _PARAMETER,
    Column("view", pl.String, "", "the decision that it was issued for: see the list of views below"),
    Column("day", pl.Date, "", "the local day (Europe/Paris) that it is for"),
    Column("valid_time", MOMENT, "UTC", "the whole hour that it is for"),
    Column("value", pl.Float64, "of the parameter", "the forecast; it is p50 where there are quantiles"),
    *(
        Column(
            f"p{level}",
            pl.Float64,
            "of the parameter",
            f"a share of {level} % is at or below it; of directions the signed difference from the value",
        )
        for level in ISSUED_LEVELS
    ),
    Column("best_model", pl.String, "", "the raw model with the smallest error until then"),
    Column("best_value", pl.Float64, "of the parameter", "forecast of that model"),
    Column("past_days", pl.Int64, "days", "days whose errors the quantiles are made from"),
    Column("decision_time", MOMENT, "UTC", "nothing that arrived later was used"),
    Column("issued_at", MOMENT, "UTC", "when it was recorded"),
    Column("late", pl.Boolean, "", "true: over 15 minutes after the decision; it enters no score"),
    Column("state", pl.String, "", "of the gate: shown, trial, closed or veto; none: not decided"),
    Column("method", pl.String, "", "version of the method"),
    Column("number", pl.Int64, "", "row of the record, counted within the site"),
    Column("hash", pl.String, "", "SHA-256 of that row and of the row before, hexadecimal"),
)

VERIF: Columns = (
    Column("unixtime", pl.Int64, "seconds since 1970, UTC", "start of the run"),
    Column("leadtime", pl.Float64, "hours", "valid time − start of the run"),
    Column("location", pl.Int64, "", "number of site and station: see the comment in the file"),
    Column("lat", pl.Float64, "degrees north", "of the site"),
    Column("lon", pl.Float64, "degrees east", "of the site"),
    Column("altitude", pl.Float64, "metres above sea level", "of the site"),
    Column("obs", pl.Float64, "see the comment in the file", "observation of the station"),
    Column("fcst", pl.Float64, "see the comment in the file", "forecast of the model"),
)


def schema(columns: Columns) -> dict[str, pl.DataType | type[pl.DataType]]:
    """Return names and types in the form that Polars needs."""
    return {column.name: column.dtype for column in columns}
