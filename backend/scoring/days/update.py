"""Keeping the days up to date: after each collection those that changed, and all of them on demand.

A site is made in three steps: read what is kept of its due days in one state of the store, compute, and
write if the due marks are unchanged since reading. A value that came in between leaves its day due. A day
is a pure function of what is stored, so neither the order in which things came nor the number of processes
that work here makes a difference. A day whose raw values were exported and removed is final: nothing
that makes it due computes it again (storage/retention.py).
"""

from __future__ import annotations

from collections.abc import Callable, Container, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial

import numpy as np
from numpy.typing import NDArray

from backend.core.columns import MOST_REASONS, ForecastDays, ForecastRows, ObservedDays, ReadingRows
from backend.core.local_time import (
    HOUR,
    HOURS_A_DAY,
    day_of_epoch,
    local_day,
    local_moment,
    month_days,
    month_number,
)
from backend.core.parameters import ABSENT, Parameter
from backend.core.registry import OWN_MODEL
from backend.scoring.constants import CLIMATE_MONTHS
from backend.scoring.days.climate_limits import by_hour, limits
from backend.scoring.days.issued_days import issued_days, joined
from backend.scoring.days.pairing import pair
from backend.scoring.days.public_months import publish
from backend.scoring.days.quality_control import (
    CONTEXT,
    LIMITED,
    QUARTERS,
    Flag,
    ModelContext,
    flag,
    rows_at_site,
)
from backend.scoring.days.run_selection import select_runs
from backend.scoring.days.sensors import DIGEST, Digests, digests, learned
from backend.scoring.grid import Span
from backend.scoring.reasons import EXCLUDED
from backend.scoring.views import LEAD_VIEWS, NEAREST
from backend.storage import collected_rows, quality_state
from backend.storage import days as store
from backend.storage.database import Connection, Database
from backend.storage.due import EVERY_DAY, note_due
from backend.storage.issued import issued_day_numbers, scored_forecasts
from backend.storage.positions import whereabouts
from backend.storage.retention import first_open_day
from backend.storage.score_queries import model_ids

CHUNK_DAYS = 200
"""How many days are read at a time."""

MOST_TRIES = 5
"""How often a site is recomputed when new data arrive during the computation."""


@dataclass
class Report:
    """What was made: days by site id, the months that they lie in, and the sites that went on changing."""

    days: dict[int, int] = field(default_factory=dict)
    months: dict[int, set[int]] = field(default_factory=dict)
    unsettled: list[int] = field(default_factory=list)

    def add(self, site_id: int, spans: Iterable[Span]) -> None:
        """Count days that were made."""
        days = [day for span in spans for day in span.days]
        self.days[site_id] = self.days.get(site_id, 0) + len(days)
        self.months.setdefault(site_id, set()).update(map(month_number, days))


def update(
    database: Database,
    now: datetime,
    on_site: Callable[[int], None] | None = None,
    *,
    sites: Container[int] | None = None,
    stopped: Callable[[], bool] = lambda: False,
) -> Report:
    """Make every due day up to today's, and publish closed months; `on_site` is called with each site's id.

    `sites` limits it to these ids. Once `stopped` returns True, the rest is left to the next call. Blocks.
    Raises StoreUnavailableError.
    """
    today, report = local_day(now), Report()
    with database.read() as connection:
        due = {
            site_id: count
            for site_id, count in store.due_sites(connection, today).items()
            if sites is None or site_id in sites
        }
    for site_ids in _together(due):
        if stopped():
            break
        update_sites(database, site_ids, today, report)
        if on_site is not None:
            for site_id in site_ids:
                on_site(site_id)
    publish(database, now, report.months, sites=sites, stopped=stopped)
    return report


def _together(due: Mapping[int, int]) -> Iterator[list[int]]:
    """Yield sites that are made at the same time: those with few due days cost little but transactions."""
    sites: list[int] = []
    days = 0
    for site_id, count in due.items():
        if sites and days + count > CHUNK_DAYS:
            yield sites
            sites, days = [], 0
        sites.append(site_id)
        days += count
    if sites:
        yield sites


def update_sites(database: Database, site_ids: Iterable[int], today: int, report: Report) -> None:
    """Make the due days of these sites, and those that become due by it.

    A value that is stored after the read marks its day as due again, and its collection updates it.
    """
    left = list(site_ids)
    for _ in range(MOST_TRIES):
        with database.read() as connection:
            due = {site_id: store.due_days(connection, site_id, today) for site_id in left}
            made = {
                site_id: _make(connection, site_id, due[site_id], today) for site_id in left if due[site_id]
            }
        if not made:
            return
        left = []
        with database.write() as connection:
            for site_id, found in made.items():
                settled = store.settle(connection, site_id, due[site_id], found.stamp)
                if settled:
                    _write(connection, site_id, found, cleared=EVERY_DAY in due[site_id])
                    report.add(site_id, found.spans)
                if found.again or not settled:
                    left.append(site_id)
        if not left:
            return
    report.unsettled += left


def make_due(database: Database, site_ids: Iterable[int], first: int | None = None) -> None:
    """Note sites as due: all their days, or those from local day `first` on."""
    with database.write() as connection:
        for site_id in site_ids:
            if first is None:
                note_due(connection, [(site_id, EVERY_DAY)])
                continue
            stations = collected_rows.site_stations(connection, site_id)
            span = collected_rows.span_of(connection, site_id, stations)
            if span is not None:
                days = range(max(first, day_of_epoch(span[0])), day_of_epoch(span[1]) + 1)
                note_due(connection, ((site_id, day) for day in days))


# --- Making -----------------------------------------------------------------------------------------


@dataclass
class _Made:
    stamp: int  # of the site's days, as they were read
    first: int  # the first day that is not final
    spans: list[Span]
    forecasts: list[dict[int, ForecastDays]] = field(default_factory=list)  # by view, for each span
    observed: list[list[ObservedDays]] = field(default_factory=list)  # by station
    doubts: list[list[store.Doubt]] = field(default_factory=list)
    limits: dict[int, NDArray[np.int32]] = field(default_factory=dict)
    digests: list[dict[int, Digests]] = field(default_factory=list)  # by station, for each span
    flags: list[Flag] = field(default_factory=list)
    again: set[int] = field(default_factory=set)  # days that a changed limit or flag makes due


def _make(connection: Connection, site_id: int, due: Iterable[int], today: int) -> _Made:
    stations = collected_rows.site_stations(connection, site_id)
    cleared, first_open = EVERY_DAY in due, first_open_day(connection)
    spans = _spans(connection, site_id, stations, set(due), range(first_open, today + 1))
    made = _Made(store.days_stamp(connection, site_id), first_open, spans)
    runs: list[ForecastRows] = []
    for span in made.spans:
        first, last = int(span.starts[0]) - HOUR, int(span.starts[-1]) + HOUR
        runs.append(collected_rows.forecast_rows(connection, site_id, first, last))
        made.forecasts.append(select_runs(runs[-1], span))
        _add_issued(connection, site_id, span, made.forecasts[-1])
    known = {
        month: flat.reshape(QUARTERS, len(LIMITED))
        for month, flat in quality_state.read_limits(connection, site_id).items()
        if not cleared or month < month_number(first_open)
    }
    if made.spans:
        _renew_limits(connection, site_id, made, known, today)
    rows = []
    for span in made.spans:  # with the hours around it that its days depend on
        first, last = int(span.starts[0]) - HOUR - CONTEXT, int(span.starts[-1]) + HOUR + CONTEXT
        rows.append(
            {station: collected_rows.reading_rows(connection, station, first, last) for station in stations}
        )
    places = whereabouts(connection, collected_rows.site_slug(connection, site_id), stations)
    away = {station: place.away for station, place in places.items()}
    for span, of_span in zip(made.spans, rows, strict=True):
        made.digests.append(
            {
                station: digests(rows_at_site(readings, away.get(station, ())), span)
                for station, readings in of_span.items()
            }
        )
    _learn_flags(connection, site_id, made, stations, today, cleared=cleared)
    made.again = {day for day in made.again if day >= first_open}
    flags = [*made.flags, *exclusions(connection, stations)]
    for span, of_runs, of_readings in zip(made.spans, runs, rows, strict=True):
        observed, doubts = observed_days(of_readings, span, of_runs, known, flags, away)
        made.observed.append(observed)
        made.doubts.append(doubts)
    return made


def _add_issued(connection: Connection, site_id: int, span: Span, forecasts: dict[int, ForecastDays]) -> None:
    """Add the service's own forecasts of the span to those of the models, by view."""
    owner = model_ids(connection).get(OWN_MODEL.name)
    if owner is None:
        return  # nothing was ever issued
    issued = scored_forecasts(connection, site_id, span.first, span.last)
    for view, own in issued_days(issued, span, owner).items():
        forecasts[view] = joined(forecasts[view], own)


def _spans(
    connection: Connection, site_id: int, stations: tuple[int, ...], due: set[int], within: range
) -> list[Span]:
    """Return the due days within a range as spans of neighbours, none longer than CHUNK_DAYS."""
    if EVERY_DAY in due:
        kept = collected_rows.span_of(connection, site_id, stations)
        if kept is not None:
            due = due | set(range(day_of_epoch(kept[0]), day_of_epoch(kept[1]) + 1))
        due = due | set(issued_day_numbers(connection, site_id))
    spans: list[Span] = []
    for day in sorted(due.intersection(within)):
        if spans and day == spans[-1].last + 1 and len(spans[-1].days) < CHUNK_DAYS:
            spans[-1] = Span(spans[-1].first, day)
        else:
            spans.append(Span(day, day))
    return spans


def _renew_limits(
    connection: Connection,
    site_id: int,
    made: _Made,
    known: dict[int, NDArray[np.int32]],
    today: int,
) -> None:
    """Put the limits that the new forecasts change into `known` and `made`, with the days that they reach."""
    fresh = [found[NEAREST.number] for found in made.forecasts]
    days = np.concatenate([each.day for found in made.forecasts for each in found.values()])
    changed = {month_number(day) for day in np.unique(days).tolist()}
    later = {month + ahead for month in changed for ahead in range(1, CLIMATE_MONTHS.value + 1)}
    redone = {day for span in made.spans for day in span.days}
    # Only a month with forecasts has a limit: there is nothing else to compare readings with.
    for month in sorted(changed | (later & known.keys())):
        before = range(month - CLIMATE_MONTHS.value, month)
        if month in known and changed.isdisjoint(before):
            continue  # its limit rests on the months before, and these did not change
        first, last = month_days(before[0])[0], month_days(before[-1])[-1]
        forecasts = [(each.day, each.hourly) for each in fresh]
        if not redone.issuperset(range(first, last + 1)):  # the days that are not recomputed
            kept = store.forecast_columns(connection, site_id, NEAREST.number, first, last)
            stays = ~np.isin(kept.day, list(redone))
            forecasts.append((kept.day[stays], kept.hourly[stays]))
        day, hourly = (np.concatenate(columns) for columns in zip(*forecasts, strict=True))
        within = (day >= first) & (day <= last)
        new = limits(hourly[within], len(np.unique(day[within])))
        old = known.get(month)
        if old is None or not np.array_equal(old, new):
            made.limits[month] = known[month] = new
            if old is not None:
                made.again |= {day for day in month_days(month) if day <= today} - redone


def _learn_flags(
    connection: Connection,
    site_id: int,
    made: _Made,
    stations: tuple[int, ...],
    today: int,
    *,
    cleared: bool,
) -> None:
    """Put the flags into `made` as they will be once it is written, with the days that a change reaches."""
    redone = {day for span in made.spans for day in span.days}
    parts: dict[int, list[tuple[int, NDArray[np.void]]]] = {station: [] for station in stations}
    for station, day, packed in quality_state.read_digests(connection, site_id):
        if station in parts and day not in redone and (not cleared or day < made.first):
            parts[station].append((day, np.frombuffer(packed, DIGEST)[0]))
    for of_span in made.digests:
        for station, found in of_span.items():
            parts[station] += zip(found.day.tolist(), found.digest, strict=True)
    of_stations = {}
    for station, days in parts.items():
        days.sort(key=lambda each: each[0])
        of_stations[station] = Digests(
            np.array([day for day, _ in days], np.int64), np.array([found for _, found in days], DIGEST)
        )

    made.flags = learned(of_stations, partial(_freshest, connection, site_id, made, redone))
    if not cleared:
        stored = quality_state.read_flags(connection, site_id)
        before = {excluded for flag in stored for excluded in _of_days(Flag(*flag))}
        after = {excluded for flag in made.flags for excluded in _of_days(flag)}
        # A reading near midnight may be paired with an hour of the day beside it.
        near = {day + step for day, *_ in before ^ after for step in (-1, 0, 1)}
        made.again |= {day for day in near if day <= today} - redone


def exclusions(connection: Connection, stations: Sequence[int]) -> list[Flag]:
    """Return what the operator excludes of these stations, as flags."""
    found = []
    for station, parameter, first_day, last_day in quality_state.read_exclusions(connection, stations):
        until = int(np.iinfo(np.int64).max) if last_day is None else local_moment(last_day + 1)
        found.append(Flag(station, parameter, EXCLUDED, local_moment(first_day), until, excludes=True))
    return found


def _freshest(
    connection: Connection, site_id: int, made: _Made, redone: set[int], first: int, last: int
) -> tuple[NDArray[np.int64], NDArray[np.int32]]:
    """Return the forecasts of each model for these days, each hour with the shortest lead time available."""
    together: dict[tuple[int, int], NDArray[np.int32]] = {}
    for view in LEAD_VIEWS:
        fresh = [found[view.number] for found in made.forecasts]
        kept = store.forecast_columns(connection, site_id, view.number, first, last)
        for days in (kept, *fresh):
            for model, day, hourly in zip(days.owner.tolist(), days.day.tolist(), days.hourly, strict=True):
                if first <= day <= last and (days is not kept or day not in redone):
                    known = together.setdefault((day, model), hourly)
                    together[day, model] = np.where(known == ABSENT, hourly, known)
    keys = sorted(together)
    hourly = np.array([together[key] for key in keys], np.int32).reshape(-1, len(Parameter), HOURS_A_DAY)
    return np.array([day for day, _ in keys], np.int64), hourly


def _of_days(flag: Flag) -> Iterator[tuple[int, int, int, str, int, int]]:
    """Yield what a flag takes out of the scores, day by day."""
    if not flag.excludes:
        return
    for day in range(day_of_epoch(flag.first), day_of_epoch(flag.until - 1) + 1):
        first, until = max(flag.first, local_moment(day)), min(flag.until, local_moment(day + 1))
        yield day, flag.station, flag.parameter, flag.reason, first, until


def observed_days(
    rows: Mapping[int, ReadingRows],
    span: Span,
    runs: ForecastRows,
    known: Mapping[int, NDArray[np.int32]],
    flags: Sequence[Flag],
    away: Mapping[int, Sequence[tuple[int, int]]],
) -> tuple[list[ObservedDays], list[store.Doubt]]:
    """Return the days of the stations, and the doubted values, from readings with CONTEXT around the span.

    `known` are the limits by month, `flags` the flags and exclusions, `away` the spans in which a station was
    at an unconfirmed place, by station.
    """
    first, end = int(span.starts[0]), int(span.starts[-1])
    around = _surroundings(runs, span, known)
    days: list[ObservedDays] = []
    doubts: list[store.Doubt] = []
    for station, mine in rows.items():
        # A reading measured at another place is no evidence about a neighbour.
        others = [
            rows_at_site(readings, away.get(code, ())) for code, readings in rows.items() if code != station
        ]
        of_station = [flag for flag in flags if flag.station == station]
        doubted = flag(mine, others, around, of_station).with_moved(mine, away.get(station, ()))
        doubts += ((station, *doubt) for doubt in doubted.listed(mine, first, end))
        counts = doubted.counted(span.locate(mine.time)[0], len(span.days), MOST_REASONS)
        days.append(pair(station, mine, doubted.trusted(mine), counts, span))
    return days, doubts


def _surroundings(runs: ForecastRows, span: Span, known: Mapping[int, NDArray[np.int32]]) -> ModelContext:
    """Return the newest forecasts and the limits of each hour, from one before the span to one after it."""
    first = int(span.starts[0]) - HOUR
    hours = (int(span.starts[-1]) - first) // HOUR + 2
    models, model = np.unique(runs.model, return_inverse=True)
    last_forecasts = np.full((len(models), hours, len(Parameter)), ABSENT, np.int32)
    lead = (runs.valid_time - runs.reference_time) // 60
    rows = np.flatnonzero(
        (runs.valid_time % HOUR == 0) & (lead >= NEAREST.first * 60) & (lead < (NEAREST.last + 1) * 60)
    )
    hour = (runs.valid_time[rows] - first) // HOUR
    # As in select_runs(): a run without a parameter hides no older one.
    for parameter in range(len(Parameter)):
        has = runs.values[rows, parameter] != ABSENT
        last_forecasts[model[rows][has], hour[has], parameter] = runs.values[rows[has], parameter]
    none = np.full((QUARTERS, len(LIMITED)), ABSENT, np.int32)
    wide = Span(span.first - 1, span.last + 1)
    of_hours = by_hour([known.get(month_number(day), none) for day in wide.days])
    index, hour = wide.locate(first + HOUR * np.arange(hours))
    return ModelContext(first, last_forecasts, of_hours[index, np.minimum(hour, HOURS_A_DAY - 1)])


# --- Writing -----------------------------------------------------------------------------------------


def _write(connection: Connection, site_id: int, made: _Made, *, cleared: bool) -> None:
    if cleared:
        store.forget(connection, site_id, made.first)
    for span, forecasts in zip(made.spans, made.forecasts, strict=True):
        store.write_forecast_days(connection, site_id, span.days, forecasts)
    for span, observed, doubts in zip(made.spans, made.observed, made.doubts, strict=True):
        store.write_observed_days(connection, site_id, span.days, observed, doubts)
    for span, of_span in zip(made.spans, made.digests, strict=True):
        quality_state.write_digests(
            connection,
            site_id,
            span.days,
            (
                (station, day, digest.tobytes())
                for station, found in of_span.items()
                for day, digest in zip(found.day.tolist(), found.digest, strict=True)
            ),
        )
    quality_state.write_limits(connection, site_id, made.limits)
    quality_state.write_flags(connection, site_id, made.flags)
    note_due(connection, ((site_id, day) for day in made.again))
