"""Collected values as frames, one site or station and month at a time.

A frame has tens of thousands of rows for an export of any size, so that memory does not grow with the store.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import polars as pl

from backend.core.parameters import Parameter
from backend.files.columns import FORECASTS, OBSERVATIONS, schema
from backend.files.export_filter import Choice, chosen_names, stations_of_sites
from backend.storage import schema as t
from backend.storage.database import Database
from backend.storage.export_queries import Row, forecast_extracts, reading_extracts

_NAMES = tuple(parameter.value for parameter in Parameter)
_ORDERED = pl.Enum(_NAMES)
_THOUSANDTHS = dict.fromkeys(_NAMES, pl.Int64)


def forecast_frames(
    database: Database, choice: Choice, parameters: Sequence[Parameter] = ()
) -> Iterator[pl.DataFrame]:
    """Yield forecasts by site, valid time, model, run and parameter.

    Raises NotFoundError, StoreUnavailableError.
    """
    keys = {"valid_time": pl.Int64, "model_id": pl.Int64, "reference_time": pl.Int64}
    rest = {"available_at": pl.Int64, "available_at_published": pl.Boolean, "collected_at": pl.Int64}
    shape = {**keys, **_THOUSANDTHS, **rest, "source": pl.String}
    with database.read() as connection:
        models = chosen_names(connection, t.model.c.name, choice.models, "model")
        names = pl.DataFrame(
            {"model_id": list(models), "model": list(models.values())},
            schema_overrides={"model_id": pl.Int64},
        )
        for site_id, site in chosen_names(connection, t.site.c.slug, choice.sites, "site").items():
            for rows in forecast_extracts(connection, site_id, choice.begins, choice.ends, list(models)):
                wide = _frame(rows, shape).join(names, on="model_id").with_columns(site=pl.lit(site))
                long = _long(wide, parameters).sort("valid_time", "model", "reference_time", "parameter")
                yield file_columns(long, schema(FORECASTS))


def observation_frames(
    database: Database, choice: Choice, parameters: Sequence[Parameter] = ()
) -> Iterator[pl.DataFrame]:
    """Yield readings by station, time and parameter; a site selects its stations. Raises as above."""
    rest = {"averaging_minutes": pl.Int64, "direction_resolution": pl.Float64, "collected_at": pl.Int64}
    shape = {"time": pl.Int64, **_THOUSANDTHS, **rest, "source": pl.String}
    with database.read() as connection:
        stations = chosen_names(connection, t.station.c.code, choice.stations, "station")
        if choice.sites:
            of_sites = set(stations_of_sites(connection, choice.sites))
            stations = {number: code for number, code in stations.items() if code in of_sites}
        for station_id, station in stations.items():
            for rows in reading_extracts(connection, station_id, choice.begins, choice.ends):
                wide = _frame(rows, shape).with_columns(station=pl.lit(station))
                long = _long(wide, parameters).sort("time", "parameter")
                yield file_columns(long, schema(OBSERVATIONS))


def _frame(rows: Sequence[Row], shape: dict[str, type[pl.DataType]]) -> pl.DataFrame:
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
