"""Suspect sensors of stations: flags learned from the readings, and exclusions by the operator."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import date, datetime

import sqlalchemy as sa

from backend.core.errors import ConfigError, NotFoundError
from backend.core.local_time import date_of, day_number, day_of_epoch, local_moment
from backend.core.parameters import PARAMETERS, Parameter
from backend.storage import schema as t
from backend.storage.database import from_epoch, to_epoch
from backend.storage.due import note_due, sites_of_stations
from backend.storage.site_rows import configured_stations

BY_OPERATOR = "excluded_by_operator"


@dataclass(frozen=True, slots=True)
class StationFlag:
    """Values of a parameter of a station from `since` to before `until` (UTC) are suspect.

    `reason` is one word. "excluded_by_operator" has a `note` and may have no end. If `excludes` is False, the
    values are still scored and the flag is a question for the operator. `sites` are those whose scores are
    affected.
    """

    station: str
    parameter: Parameter
    reason: str
    since: datetime
    until: datetime | None
    excludes: bool
    sites: tuple[str, ...]
    note: str = ""


def station_flags(connection: sa.Connection) -> tuple[StationFlag, ...]:
    """Return the flags of all stations of configured sites, by station and time."""
    flag, station, site = t.station_flag.c, t.station.c, t.site.c
    learned = (
        sa.select(
            *(station.code, site.slug, flag.parameter, flag.reason),
            *(flag.first, flag.until, flag.excludes),
        )
        .join_from(t.station_flag, t.station, station.id == flag.station_id)
        .join(t.site, site.id == flag.site_id)
        .where(site.configured)
        .order_by(station.code, flag.first, flag.parameter, flag.reason, flag.until, site.slug)
    )
    sites_by_flag: dict[tuple[str, int, str, int, int, bool], list[str]] = {}
    for code, slug, *rest in connection.execute(learned):
        sites = sites_by_flag.setdefault((code, *rest), [])
        if slug not in sites:
            sites.append(slug)
    flags = [
        StationFlag(
            code,
            PARAMETERS[parameter],
            reason,
            from_epoch(first),
            from_epoch(until),
            bool(excludes),
            tuple(sites),
        )
        for (code, parameter, reason, first, until, excludes), sites in sites_by_flag.items()
    ]
    return (*flags, *_exclusions(connection))


def _exclusions(connection: sa.Connection) -> list[StationFlag]:
    exclusion = t.station_exclusion.c
    query = (
        sa.select(
            *(t.station.c.code, exclusion.parameter),
            *(exclusion.first_day, exclusion.last_day, exclusion.note),
        )
        .join_from(t.station_exclusion, t.station, t.station.c.id == exclusion.station_id)
        .order_by(t.station.c.code, exclusion.first_day, exclusion.parameter)
    )
    sites: dict[str, list[str]] = {}
    for slug, codes in configured_stations(connection):
        for code in codes:
            if slug not in sites.setdefault(code, []):
                sites[code].append(slug)
    return [
        StationFlag(
            code,
            PARAMETERS[parameter],
            BY_OPERATOR,
            from_epoch(local_moment(first)),
            None if last is None else from_epoch(local_moment(last + 1)),
            excludes=True,
            sites=tuple(sites.get(code, ())),
            note=note,
        )
        for code, parameter, first, last, note in connection.execute(query)
    ]


def exclude(
    connection: sa.Connection,
    station: str,
    parameters: Sequence[Parameter],
    first: date,
    last: date | None,
    note: str,
    now: datetime,
) -> None:
    """Exclude parameters of a station from all scores, from local day `first` to `last`; None: without end.

    Raises NotFoundError for an unknown station, ConfigError if `last` is before `first`.
    """
    if last is not None and last < first:
        raise ConfigError(f"the last day, {last}, is before the first, {first}")
    station_id = _id_of(connection, station)
    numbers = [parameter.number for parameter in parameters]
    replaced = sa.delete(t.station_exclusion).where(
        t.station_exclusion.c.station_id == station_id,
        t.station_exclusion.c.parameter.in_(numbers),
        t.station_exclusion.c.first_day == day_number(first),
    )
    connection.execute(replaced)
    row = {
        "station_id": station_id,
        "first_day": day_number(first),
        "last_day": None if last is None else day_number(last),
        "note": note,
        "noted_at": to_epoch(now),
    }
    connection.execute(sa.insert(t.station_exclusion), [row | {"parameter": number} for number in numbers])
    _note_days(connection, station_id, [day_number(first)])


def include(connection: sa.Connection, station: str, parameters: Collection[Parameter]) -> list[date]:
    """Remove the exclusions of these parameters of a station; return the first day of each.

    Raises NotFoundError for an unknown station.
    """
    station_id = _id_of(connection, station)
    mine = sa.and_(
        t.station_exclusion.c.station_id == station_id,
        t.station_exclusion.c.parameter.in_([parameter.number for parameter in parameters]),
    )
    days = connection.execute(sa.select(t.station_exclusion.c.first_day).where(mine)).scalars().all()
    connection.execute(sa.delete(t.station_exclusion).where(mine))
    _note_days(connection, station_id, days)
    return sorted({date_of(day) for day in days})


def _id_of(connection: sa.Connection, station: str) -> int:
    station_id = connection.execute(sa.select(t.station.c.id).where(t.station.c.code == station)).scalar()
    if station_id is None:
        raise NotFoundError(f"no reading of station {station!r} is stored: see meteo-score sites near")
    return int(station_id)


def _note_days(connection: sa.Connection, station_id: int, first_days: Iterable[int]) -> None:
    """Mark the days from the first of these on as due, at every site of the station."""
    newest = connection.execute(sa.select(t.station.c.newest).where(t.station.c.id == station_id)).scalar()
    begins = min(first_days, default=None)
    if newest is None or begins is None:
        return
    days = range(begins - 1, day_of_epoch(newest) + 2)  # a reading near midnight affects the next day too
    for site_id in sites_of_stations(connection, [station_id]).get(station_id, ()):
        note_due(connection, ((site_id, day) for day in days))
