"""Closed calendar months as they are published: copies that change by at least 20 days, or not at all.

A public answer in which a withheld source takes part is made from these copies, never from the days that
each collection changes. A value that arrives late is then in no figure, until at least STRATUM_DAYS days of
its month differ from the copy: no reader can compare a figure before and after one value
(docs/decisions/withheld-values.md).
"""

from __future__ import annotations

from collections.abc import Callable, Container, Iterable, Mapping
from datetime import datetime

import numpy as np
from numpy.typing import NDArray

from backend.core.columns import MOST_REASONS, DayColumns, ForecastDays, ObservedDays
from backend.core.local_time import HOURS_A_DAY, local_day, month_days, month_number
from backend.core.parameters import ABSENT, Parameter
from backend.scoring.constants import PUBLIC_AFTER_DAYS, STRATUM_DAYS
from backend.scoring.grid import Bools, Integers
from backend.scoring.views import VIEWS
from backend.storage import days as store
from backend.storage import published_months
from backend.storage.database import Connection, Database
from backend.storage.due import any_due
from backend.storage.score_queries import series_ids

Grid = NDArray[np.int32]
"""Values of one owner and month in thousandths: (kinds, days, parameters, 25); a kind is a view, or the
readings and their means."""


def newest_closed_month(today: int) -> int:
    """Return the newest month that is complete on a local day: no more of its readings are awaited."""
    return month_number(today - PUBLIC_AFTER_DAYS.value) - 1


def publish(
    database: Database,
    now: datetime,
    touched: Mapping[int, Iterable[int]] | None = None,
    *,
    sites: Container[int] | None = None,
    stopped: Callable[[], bool] = lambda: False,
) -> int:
    """Publish closed months that are not published, and those `touched` by site id; return how many changed.

    `sites` limits it to these ids. Once `stopped` returns True, only what was touched is published: no later
    call would find it. Blocks. Raises StoreUnavailableError.
    """
    newest = newest_closed_month(local_day(now))
    with database.read() as connection:
        awaited = {
            site_id: set((touched or {}).get(site_id, ()))
            for site_id in series_ids(connection)
            if sites is None or site_id in sites
        }
        for site_id, months in awaited.items():
            held = published_months.months_with_days(connection, site_id)
            if held is not None:
                published = published_months.public_months(connection, site_id)
                months |= published.pop(published_months.WITHDRAWN, set())
                months |= set(range(held[0], min(held[1], newest) + 1)).difference(*published.values())
    changed = 0
    for site_id, months in awaited.items():
        for month in sorted(month for month in months if month <= newest):
            if stopped() and month not in (touched or {}).get(site_id, ()):
                continue
            # A transaction for each month: no other writer waits longer than one month takes.
            with database.write() as connection:
                published_months.lock_site(connection, site_id)
                if _publish_month(connection, site_id, month):
                    store.stamp_days(connection, site_id)
                    changed += 1
    return changed


def _publish_month(connection: Connection, site_id: int, month: int) -> bool:
    """Publish the days of one month that changed enough; return whether any did.

    A month with days that still have to be computed waits: they may have a value that was removed. The
    process that computes them publishes it.
    """
    span = month_days(month)
    if any_due(connection, site_id, span):
        return False
    ends = (span[0], span[-1])
    any_changed = False
    live = [store.forecast_columns(connection, site_id, view.number, *ends) for view in VIEWS]
    kept = [store.forecast_columns(connection, site_id, view.number, *ends, public=True) for view in VIEWS]
    for model in _owners([*live, *kept]):
        values, taken = merged(_grid(kept, model, span), _grid(live, model, span))
        if not taken.any():
            continue
        made = {
            view.number: _forecast_days(model, span, of_view, [new, old])
            for view, of_view, new, old in zip(VIEWS, values, live, kept, strict=True)
        }
        published_months.publish_forecast_month(connection, site_id, month, model, made)
        any_changed = True
    new, old = (store.observed_columns(connection, site_id, *ends, public=public) for public in (False, True))
    for station in _owners([new, old]):
        values, taken = merged(
            *(
                np.stack([_laid_out(each, of_kind, station, span) for of_kind in (each.hourly, each.means)])
                for each in (old, new)
            )
        )
        if taken.any():
            made_days = _observed_days(station, span, values, [new, old])
            published_months.publish_observed_month(connection, site_id, month, station, made_days)
            any_changed = True
    again = published_months.withdraw_month(connection, site_id, month, *published_months.WITHDRAWN)
    return any_changed or again


def merged(kept: Grid, live: Grid) -> tuple[Grid, Bools]:
    """Return what is published from now on, and which kinds and parameters were taken from `live`.

    A parameter with fewer than STRATUM_DAYS days in the month is not published. One that is, is replaced as a
    whole, and only where at least STRATUM_DAYS of its days differ.
    """
    enough = _days_where(live != ABSENT) >= STRATUM_DAYS.value
    fresh = np.where(enough[:, None, :, None], live, ABSENT).astype(np.int32)
    taken = np.asarray(_days_where(fresh != kept) >= STRATUM_DAYS.value)
    return np.where(taken[:, None, :, None], fresh, kept).astype(np.int32), taken


def _days_where(hours: Bools) -> Integers:
    """Return on how many days any hour is true, by kind and parameter."""
    return np.asarray(hours.any(axis=-1).sum(axis=1), np.int64)


def _owners(columns: Iterable[DayColumns]) -> list[int]:
    return sorted({owner for each in columns for owner in each.owner.tolist()})


def _grid(columns: Iterable[DayColumns], owner: int, span: range) -> Grid:
    return np.stack([_laid_out(each, each.hourly, owner, span) for each in columns])


def _laid_out(columns: DayColumns, values: Grid, owner: int, span: range) -> Grid:
    found = np.full((len(span), len(Parameter), HOURS_A_DAY), ABSENT, np.int32)
    rows = np.flatnonzero(columns.owner == owner)
    found[columns.day[rows] - span[0]] = values[rows]
    return found


def _rows(owner: int, day: int, columns: Iterable[DayColumns]) -> tuple[int, int] | None:
    """Return which of the columns, and which of their rows, describes a day: the first that has it."""
    for number, each in enumerate(columns):
        rows = np.flatnonzero((each.owner == owner) & (each.day == day))
        if len(rows):
            return number, int(rows[0])
    return None


def _forecast_days(model: int, span: range, values: Grid, sources: list[ForecastDays]) -> ForecastDays:
    """Return one view's days; lead times are those of the day they were taken from."""
    days = np.flatnonzero((values != ABSENT).any(axis=(1, 2)))
    rows = [_rows(model, span[index], sources) for index in days.tolist()]
    found = [(sources[which], row) for which, row in (each for each in rows if each is not None)]
    return ForecastDays(
        owner=np.full(len(found), model, np.int64),
        day=span[0] + days,
        hourly=values[days],
        minutes=np.array([days_of.minutes[row] for days_of, row in found]).reshape(-1, HOURS_A_DAY),
        estimated=np.array([days_of.estimated[row] for days_of, row in found], np.int64),
        older=np.array([days_of.older[row] for days_of, row in found]).reshape(
            -1, len(Parameter), HOURS_A_DAY
        ),
    )


def _observed_days(station: int, span: range, values: Grid, sources: list[ObservedDays]) -> ObservedDays:
    hourly, means = values
    days = np.flatnonzero((values != ABSENT).any(axis=(0, 2, 3)))
    rows = [_rows(station, span[index], sources) for index in days.tolist()]
    found = [(sources[which], row) for which, row in (each for each in rows if each is not None)]
    return ObservedDays(
        owner=np.full(len(found), station, np.int64),
        day=span[0] + days,
        hourly=hourly[days],
        minutes=np.array([days_of.minutes[row] for days_of, row in found]).reshape(-1, HOURS_A_DAY),
        readings=np.array([days_of.readings[row] for days_of, row in found], np.int64),
        resolution=tuple(days_of.resolution[row] for days_of, row in found),
        means=means[days],
        doubts=np.array([days_of.doubts[row] for days_of, row in found]).reshape(
            -1, len(Parameter), MOST_REASONS
        ),
    )
