"""Past days that forecasts are compared with, kept in the process: only what is new is read.

The record is append-only: of days that were read before, only rows that came since are read. Readings come
late, and score days are computed again: they are read again whenever the stamp of the site changes.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Hashable, Iterable, Sequence
from dataclasses import dataclass
from datetime import date
from threading import Lock
from weakref import WeakKeyDictionary

import numpy as np

from backend.answers.issued_history import (
    WINDS,
    DayChance,
    IssuedHistory,
    cells_of_days,
    columns_of,
    day_chance,
    is_public,
    newest_issued,
)
from backend.answers.learning_start import newest_moves
from backend.answers.service import ReadingParts
from backend.answers.withholding import Withholding, withheld_from_public
from backend.core.columns import Ints
from backend.core.issued import Audience, GateState, IssuedForecast
from backend.core.local_time import HOURS_A_DAY, date_of, local_day
from backend.core.parameters import ABSENT, Parameter
from backend.core.records import Site
from backend.forecast.cells import CLASSES, PLACES, Floats
from backend.forecast.interval import WINDOW
from backend.scoring.grid import clock_hours
from backend.scoring.views import DECISION_VIEWS, DecisionView
from backend.storage.database import Connection, Database
from backend.storage.days import measured_hours
from backend.storage.past_forecasts import HistoryState, PastForecast, history_states, past_forecasts

_MOST_KEPT = 350
"""Histories that a process keeps, the least recently used dropped first: 184 kB each."""

_AT_ONCE = 30
"""Sites whose histories are made in advance in one transaction: 0.5 s of the processor after a start."""


@dataclass(frozen=True, slots=True)
class PastDays:
    """Which past days a forecast is compared with: those of its station and view, up to local day `last`."""

    site: Site
    station: str
    view: DecisionView
    audience: Audience
    last: int

    @classmethod
    def of(cls, site: Site, row: IssuedForecast) -> PastDays | None:
        """Return the days before the decision of a forecast; None if it was issued for no station."""
        if row.hours.station is None:
            return None
        view = next(each for each in DECISION_VIEWS if each.number == row.view)
        return cls(site, row.hours.station, view, row.audience, local_day(row.decision_time) - 1)


@dataclass(frozen=True, slots=True)
class _State:
    """What a history follows from: another state, another history. Its days are `first` to `last`."""

    stored: HistoryState
    first: int
    last: int


class _Histories:
    """The histories of one store. Safe for several threads."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._kept: OrderedDict[Hashable, tuple[_State, IssuedHistory]] = OrderedDict()

    def get(self, key: Hashable) -> tuple[_State, IssuedHistory] | None:
        """Return a history with the state that it is from."""
        with self._lock:
            if key in self._kept:
                self._kept.move_to_end(key)
            return self._kept.get(key)

    def keep(self, key: Hashable, state: _State, history: IssuedHistory) -> None:
        """Keep a history in place of an older one."""
        with self._lock:
            self._kept[key] = state, history
            self._kept.move_to_end(key)
            while len(self._kept) > _MOST_KEPT:
                self._kept.popitem(last=False)


_lock = Lock()
_histories: WeakKeyDictionary[Database, _Histories] = WeakKeyDictionary()


def present_histories(
    database: Database, asked: Iterable[PastDays], withheld: Withholding
) -> dict[str, IssuedHistory]:
    """Return the history of each site that has one, by site id; of each site one is asked for.

    Forecasts that were issued for another station, or before it was moved, do not count, nor late ones.
    Raises StoreUnavailableError.
    """
    with _lock:
        kept = _histories.setdefault(database, _Histories())
    listed = [each for each in asked if each.station in each.site.stations]
    found = {}
    with database.read() as connection:  # one state of the store: a collection may run beside it
        for each, state in _states(connection, listed):
            key = (each.site, each.station, each.view, each.audience, withheld.key)
            known = kept.get(key)
            if known is None or known[0] != state:
                known = state, _renewed(connection, each, state, known, withheld)
                kept.keep(key, *known)
            found[each.site.id] = known[1]
    return found


def _states(connection: Connection, asked: Sequence[PastDays]) -> list[tuple[PastDays, _State]]:
    """Return the present state of each history; a site that is not in the store is left out."""
    stored = history_states(connection, {each.site.id: each.last for each in asked})
    moves = newest_moves(connection, {each.site.id: each.station for each in asked})
    found = []
    for each in asked:
        name, first = each.site.id, each.last - WINDOW + 1
        if name in moves:
            first = max(first, local_day(moves[name].since))
        if name in stored and first <= each.last:
            found.append((each, _State(stored[name], first, each.last)))
    return found


def _renewed(
    connection: Connection,
    asked: PastDays,
    state: _State,
    known: tuple[_State, IssuedHistory] | None,
    withheld: Withholding,
) -> IssuedHistory:
    """Return a history of the present state, from one of an older state where that is a part of it."""
    first, last = state.first, state.last
    issued = np.full((3, len(Parameter), last - first + 1, CLASSES, PLACES), ABSENT, np.int32)
    after = (0, 0)
    if known is not None:
        before, history = known
        # A withdrawn row may have hidden another one: then all rows are read.
        same_rows = before.stored.withdrawals == state.stored.withdrawals
        if same_rows and before.first <= first <= before.last <= last:
            issued[:, :, : before.last - first + 1] = history.issued[:, :, first - before.first :]
            after = (before.stored.rows, before.last)
    rows = past_forecasts(
        connection, asked.site.id, asked.audience, asked.view.number, first, last, after=after
    )
    newest = {  # of several methods the newest row stays
        (row.parameter, row.day): row
        for row in rows
        if row.hours.station == asked.station and is_public(row.hours, withheld)
    }
    if newest:
        _fill(issued, list(newest.values()), first)
    hours = measured_hours(connection, state.stored.series, asked.station, first, last)
    return IssuedHistory(issued, _cells(hours, first))


def _fill(issued: Ints, rows: Sequence[PastForecast], first: int) -> None:
    """Write forecasts into the cells of a history from local day `first` on."""
    begin, end = min(row.day for row in rows), max(row.day for row in rows)
    hours = np.full((3, len(Parameter), end - begin + 1, HOURS_A_DAY), np.nan)
    places = [(row.parameter.number, row.day - begin) for row in rows]
    for row, (parameter, day) in zip(rows, places, strict=True):
        columns = columns_of(row.hours.times, row.day)
        for part, values in enumerate((row.hours.values, *row.hours.ends)):
            hours[part, parameter, day, columns] = np.array(values, np.float64)
    cells = _cells(hours, begin)
    parameters, days = np.array(places).T
    issued[:, parameters, days + begin - first] = cells[:, parameters, days]


def _cells(hours: Ints | Floats, first: int) -> Ints:
    """Return whole numbers (..., days, 25) from local day `first` on as cells (..., days, 8, 4)."""
    cells = cells_of_days(hours, clock_hours(date_of(first), hours.shape[-2]))
    return np.where(np.isnan(cells), ABSENT, cells).astype(np.int32)


def day_chances(
    service: ReadingParts,
    sites: Sequence[Site],
    day: date,
    withheld: Withholding,
    *,
    wind_limit: float,
    gust_limit: float,
) -> dict[str, DayChance]:
    """Return the chance of a day by site id, where the corrected forecast is shown; limits in km/h.

    Raises StoreUnavailableError.
    """
    limits = {Parameter.WIND_SPEED: wind_limit, Parameter.WIND_GUST: gust_limit}
    rows_of, histories = _shown(service, sites, day, withheld)
    found = {}
    for name, history in histories.items():
        of_day = day_chance(rows_of[name], {each: history.errors(each) for each in WINDS}, limits)
        if of_day is not None:
            found[name] = of_day
    return found


def prepare_histories(service: ReadingParts, day: date) -> int:
    """Make the histories that lists of this day will ask for, in advance; return their number.

    Raises StoreUnavailableError.
    """
    sites, withheld = service.sites()[:_MOST_KEPT], withheld_from_public(service)
    parts = (sites[start : start + _AT_ONCE] for start in range(0, len(sites), _AT_ONCE))
    return sum(len(_shown(service, some, day, withheld)[1]) for some in parts)


def _shown(
    service: ReadingParts, sites: Sequence[Site], day: date, withheld: Withholding
) -> tuple[dict[str, dict[Parameter, IssuedForecast]], dict[str, IssuedHistory]]:
    """Return wind and gust of a day where both are shown, and the histories of these sites, by site id."""
    rows_of, asked = {}, []
    newest = newest_issued(service, sites, day, withheld)
    for site in sites:
        rows = {parameter: row for parameter, row in newest[site.id].items() if parameter in WINDS}
        if Parameter.WIND_SPEED not in rows or any(
            row.hours.state != GateState.SHOWN for row in rows.values()
        ):
            continue
        past = PastDays.of(site, rows[Parameter.WIND_SPEED])
        if past is not None:
            rows_of[site.id] = rows
            asked.append(past)
    return rows_of, present_histories(service.database, asked, withheld)
