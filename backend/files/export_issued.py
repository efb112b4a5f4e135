"""Issued forecasts as frames, one site and some weeks at a time: the record, hour by hour."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import polars as pl

from backend.core.issued import LEVELS, Audience, IssuedForecast
from backend.core.local_time import date_of
from backend.core.parameters import Parameter
from backend.files.columns import ISSUED, schema
from backend.files.export_filter import Choice, chosen_names
from backend.files.export_values import file_columns
from backend.scoring.views import DECISION_VIEWS, DecisionView
from backend.storage import schema as t
from backend.storage.database import Database
from backend.storage.issued import issued_forecasts, issued_span

WEEKS = 8 * 7
"""Days that are read at a time."""


def issued_frames(
    database: Database,
    choice: Choice,
    audience: Audience,
    parameters: Sequence[Parameter] = (),
    views: Sequence[DecisionView] = (),
    inputs: set[str] | None = None,
) -> Iterator[pl.DataFrame]:
    """Yield the forecasts that are not withdrawn by site, number and valid time; late ones are marked.

    The models that they are made from are added to `inputs`. Raises NotFoundError, StoreUnavailableError.
    """
    names = {view.number: view.name for view in views or DECISION_VIEWS}
    with database.read() as connection:
        sites = dict.fromkeys(chosen_names(connection, t.site.c.slug, choice.sites, "site").values())
        for site in sites:
            span = issued_span(connection, site, audience)
            if span is None:
                continue
            first = span[0] if choice.first is None else max(span[0], choice.first)
            last = span[1] if choice.last is None else min(span[1], choice.last)
            for begin in range(first, last + 1, WEEKS):
                rows = issued_forecasts(
                    connection,
                    [site],
                    audience=audience,
                    view=None,
                    first=begin,
                    last=min(begin + WEEKS - 1, last),
                )
                chosen = [
                    row
                    for row in rows
                    if row.view in names and (not parameters or row.parameter in parameters)
                ]
                if inputs is not None:
                    inputs.update(each.model for row in chosen for each in row.hours.inputs)
                hours = [hour for row in chosen for hour in _hours(row, names[row.view])]
                if hours:
                    yield file_columns(pl.DataFrame(hours, infer_schema_length=None), schema(ISSUED))


def _hours(row: IssuedForecast, view: str) -> Iterator[dict[str, Any]]:
    """Yield the hours of a row that have a value."""
    hours = row.hours
    of_row = {
        "site": row.site,
        "station": hours.station,
        "audience": row.audience,
        "parameter": row.parameter.value,
        "view": view,
        "day": date_of(row.day),
        "decision_time": int(row.decision_time.timestamp()),
        "issued_at": int(row.issued_at.timestamp()),
        "late": row.is_late,
        "state": hours.state,
        "best_model": hours.best or None,
        "past_days": hours.days,
        "method": row.method,
        "number": row.number,
        "hash": row.hash.hex(),
    }
    for index, time in enumerate(hours.times):
        value = hours.values[index]
        if value is None:
            continue
        quantiles = [None] * len(LEVELS) if not hours.quantiles else [each[index] for each in hours.quantiles]
        best = hours.best_values[index] if hours.best_values else None
        yield {
            **of_row,
            "valid_time": time,
            "value": value / 1000,
            **{
                f"p{level}": None if quantile is None else quantile / 1000
                for level, quantile in zip(LEVELS, quantiles, strict=True)
            },
            "best_value": None if best is None else best / 1000,
        }
