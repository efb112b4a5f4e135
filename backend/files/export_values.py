"""Collected values as frames, one site or station and month at a time.

A frame has tens of thousands of rows for an export of any size, so that memory does not grow with the store.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import polars as pl

from backend.core.parameters import Parameter
from backend.files.columns import FORECASTS, OBSERVATIONS, Columns, schema
from backend.files.export_filter import Choice, chosen_names, stations_of_sites
from backend.storage import schema as t
from backend.storage.database import Connection, Database
from backend.storage.export_queries import Row, forecast_extracts, reading_extracts

_NAMES = tuple(parameter.value for parameter in Parameter)
_ORDERED = pl.Enum(_NAMES)
_THOUSANDTHS = dict.fromkeys(_NAMES, pl.Int64)

_Shape = dict[str, type[pl.DataType]]

Span = tuple[int | None, int | None]
"""From a moment to before another, in seconds since 1970; None: without a limit."""


def forecast_frames(
    database: Database, choice: Choice, parameters: Sequence[Parameter] = ()
) -> Iterator[pl.DataFrame]:
    """Yield forecasts by site, valid time, model, run and parameter.

    Raises NotFoundError, StoreUnavailableError.
    """
    with database.read() as connection:
        models = chosen_names(connection, t.model.c.name, choice.models, "model")
        for site_id, site in chosen_names(connection, t.site.c.slug, choice.sites, "site").items():
            span = choice.begins, choice.ends
            yield from site_frames(connection, site_id, span, models, FORECASTS, {"site": site}, parameters)


def observation_frames(
    database: Database, choice: Choice, parameters: Sequence[Parameter] = ()
) -> Iterator[pl.DataFrame]:
    """Yield readings by station, time and parameter; a site selects its stations. Raises as above."""
    with database.read() as connection:
        stations = chosen_names(connection, t.station.c.code, choice.stations, "station")
        if choice.sites:
            of_sites = set(stations_of_sites(connection, choice.sites))
            stations = {number: code for number, code in stations.items() if code in of_sites}
        for station_id, station in stations.items():
            span = choice.begins, choice.ends
            yield from station_frames(
                connection, station_id, span, OBSERVATIONS, {"station": station}, parameters
            )


def site_frames(
    connection: Connection,
    site_id: int,
    span: Span,
    models: Mapping[int, str],
    columns: Columns,
    same: Mapping[str, str | int],
    parameters: Sequence[Parameter] = (),
) -> Iterator[pl.DataFrame]:
    """Yield the forecasts of a site; `models` are names by id, `same` the columns with one value."""
    keys = {"valid_time": pl.Int64, "model_id": pl.Int64, "reference_time": pl.Int64}
    rest = {"available_at": pl.Int64, "available_at_published": pl.Boolean, "collected_at": pl.Int64}
    more = _more(columns)
    shape: _Shape = {**keys, **_THOUSANDTHS, **rest, "source": pl.String, **more}
    names = pl.DataFrame(
        {"model_id": list(models), "model": list(models.values())}, schema_overrides={"model_id": pl.Int64}
    )
    for rows in forecast_extracts(connection, site_id, *span, list(models), tuple(more)):
        wide = _frame(rows, shape).join(names, on="model_id").with_columns(**_constants(same))
        long = _long(wide, parameters).sort("valid_time", "model", "reference_time", "parameter")
        yield file_columns(long, schema(columns))


def station_frames(
    connection: Connection,
    station_id: int,
    span: Span,
    columns: Columns,
    same: Mapping[str, str | int],
    parameters: Sequence[Parameter] = (),
) -> Iterator[pl.DataFrame]:
    """Yield the readings of a station in the same way."""
    rest = {"averaging_minutes": pl.Int64, "direction_resolution": pl.Float64, "collected_at": pl.Int64}
    more = _more(columns)
    shape: _Shape = {"time": pl.Int64, **_THOUSANDTHS, **rest, "source": pl.String, **more}
    for rows in reading_extracts(connection, station_id, *span, tuple(more)):
        wide = _frame(rows, shape).with_columns(**_constants(same))
        long = _long(wide, parameters).sort("time", "parameter")
        yield file_columns(long, schema(columns))


def _more(columns: Columns) -> _Shape:
    """Return the columns of a batch that only some files have."""
    kinds: _Shape = {"route": pl.String, "rank": pl.Int64}
    return {name: kind for name, kind in kinds.items() if name in schema(columns)}


def _constants(same: Mapping[str, str | int]) -> dict[str, pl.Expr]:
    return {name: pl.lit(value) for name, value in same.items()}


def _frame(rows: Sequence[Row], shape: _Shape) -> pl.DataFrame:
    # SQLite's driver returns booleans as 0 and 1.
    loose = {name: pl.Int64 if kind is pl.Boolean else kind for name, kind in shape.items()}
    return pl.DataFrame(rows, schema=loose, orient="row", strict=False)


def _long(wide: pl.DataFrame, parameters: Sequence[Parameter]) -> pl.DataFrame:
    """Return one row per value, in its unit, absent ones left out."""
    chosen = [parameter.value for parameter in parameters or Parameter]
    others = [name for name in wide.columns if name not in _NAMES]
    return (
        wide.unpivot(chosen, index=others, variable_name="parameter")
        .drop_nulls("value")
        .with_columns(pl.col("parameter").cast(_ORDERED), pl.col("value") / 1000)
    )


def file_columns(frame: pl.DataFrame, columns: dict[str, pl.DataType | type[pl.DataType]]) -> pl.DataFrame:
    """Return the columns of a file, with seconds since 1970 converted to times."""
    return frame.select(
        pl.from_epoch(name, "s").dt.cast_time_unit("us").dt.replace_time_zone("UTC")
        if isinstance(kind, pl.Datetime) and frame.schema[name] == pl.Int64
        else pl.col(name).cast(kind)
        for name, kind in columns.items()
    )
