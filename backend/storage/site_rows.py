"""Conversion of sites and stations to rows: one row per series of a site, one per station."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from datetime import date, datetime
from typing import Any

import sqlalchemy as sa

from backend.core.errors import ConfigError
from backend.core.records import Reference, Site, Station
from backend.core.sites import same_position
from backend.core.text import printable
from backend.storage import schema as t
from backend.storage.confirmed_places import give_to_site
from backend.storage.database import inserted_id, maybe_epoch, maybe_time, to_epoch
from backend.storage.due import EVERY_DAY, note_due
from backend.storage.gaps import note_mapping


def present_ids(connection: sa.Connection, now: datetime) -> dict[str, int]:
    """Return the row id of each site's present series: the newest with a start before `now`.

    A configured series is preferred. Sites without one are included: values that were being collected when
    the site was removed are still stored.
    """
    return _of_present_series(connection, now, t.site.c.id)


def present_stamps(connection: sa.Connection, now: datetime) -> dict[str, int]:
    """Return the stamp of each site's present series, which changes whenever its score days change."""
    return _of_present_series(connection, now, t.site.c.days_stamp)


def _of_present_series(connection: sa.Connection, now: datetime, column: sa.Column[int]) -> dict[str, int]:
    site = t.site.c
    started = sa.or_(site.valid_from.is_(None), site.valid_from <= to_epoch(now))
    # Of the rows of one site, the last one stays in the dictionary.
    best_last = sa.select(site.slug, column).where(started).order_by(site.configured, site.series)
    return {row[0]: row[1] for row in connection.execute(best_last)}


def configured_stations(connection: sa.Connection) -> list[tuple[str, tuple[str, ...]]]:
    """Return site id and station ids of every configured series, oldest series of a site first."""
    query = sa.select(t.site.c.slug, t.site.c.stations).where(t.site.c.configured)
    rows = connection.execute(query.order_by(t.site.c.slug, t.site.c.series))
    return [(row.slug, _words(row.stations)) for row in rows]


def are_saved(connection: sa.Connection, sites: Sequence[Site]) -> bool:
    """Return True if these are the configured series, with all that they list; one query.

    Raises ConfigError as save_site.
    """
    known: dict[str, list[Any]] = defaultdict(list)
    for row in connection.execute(sa.select(t.site).order_by(t.site.c.series.desc())):
        known[row.slug].append(row)
    saved = set()
    for site in sites:
        series = _series_of(site, known[site.id])
        if series is None or any(series._mapping[name] != value for name, value in _details(site).items()):
            return False
        saved.add(series.id)
    return saved == {row.id for rows in known.values() for row in rows if row.configured}


def save_site(connection: sa.Connection, site: Site, now: datetime) -> None:
    """Write one configured series; raise ConfigError if the site moved without a new `valid_from`.

    What it lists now is expected from `now` on (UTC); see gaps.py.
    """
    series = sa.select(t.site).where(t.site.c.slug == site.id).order_by(t.site.c.series.desc())
    known = connection.execute(series).all()
    details = _details(site)
    row = _series_of(site, known)
    if row is not None:
        connection.execute(sa.update(t.site).where(t.site.c.id == row.id).values(details))
        if row.stations != details["stations"]:
            note_mapping(connection, row.id, now, site.stations)
            give_to_site(connection, site.id, set(site.stations) - set(_words(row.stations)))
            # Other stations, other readings: every day of the site changes.
            note_due(connection, [(row.id, EVERY_DAY)])
        return
    give_to_site(connection, site.id, site.stations)
    new = {
        "slug": site.id,
        "series": len(known) + 1,
        "valid_from": maybe_epoch(site.valid_from),
        "latitude": site.latitude,
        "longitude": site.longitude,
        "elevation": site.elevation,
    }
    site_id = inserted_id(connection, sa.insert(t.site).values(new | details))
    note_mapping(connection, site_id, now, site.stations)


def _details(site: Site) -> dict[str, Any]:
    """Return what may change in a series without making it another one."""
    return {
        "name": site.name,
        "orientation": ",".join(site.orientation),
        "stations": ",".join(site.stations),
        "without": ",".join(site.networks_without_station),
        "configured": True,
        "reference_stations": ",".join(
            reference.station if reference.since is None else f"{reference.station}@{reference.since}"
            for reference in site.references
        ),
    }


def _series_of(site: Site, known: Sequence[Any]) -> Any | None:
    """Return the row of this series among the rows of its site, newest first; None for a new series."""
    opened = maybe_epoch(site.valid_from)
    candidates = [row for row in known if row.valid_from == opened]
    if opened is None:  # then the position identifies the series: the newest one at that position
        candidates += known
    series = next((row for row in candidates if same_position(site_record(row), site)), None)
    opens_new = not known or (opened is not None and opened > (known[0].valid_from or 0))
    if series is None and not opens_new:
        place = f"{known[0].latitude:g}, {known[0].longitude:g}, {known[0].elevation:g} m"
        raise ConfigError(
            f"site {site.id!r}: its position changed: the stored data were collected for {place}:"
            " give the new position a new id, or a valid_from later than that of its present series"
        )
    return series


def site_record(row: Any) -> Site:
    """Convert a row of the site table."""
    return Site(
        id=row.slug,
        name=row.name,
        latitude=row.latitude,
        longitude=row.longitude,
        elevation=row.elevation,
        orientation=_words(row.orientation),
        stations=_words(row.stations),
        networks_without_station=_words(row.without),
        valid_from=maybe_time(row.valid_from),
        references=tuple(
            Reference(station, date.fromisoformat(since) if since else None)
            for text in _words(row.reference_stations)
            for station, _, since in [text.partition("@")]
        ),
    )


def _words(text: str) -> tuple[str, ...]:
    return tuple(text.split(",")) if text else ()


def station_record(row: Any) -> Station:
    """Convert a row of the station table; old versions may have stored texts with control characters."""
    return Station(
        id=row.code,
        name=printable(row.name),
        latitude=row.latitude,
        longitude=row.longitude,
        elevation=row.elevation,
        kind=printable(row.kind),
        remarks=printable(row.remarks),
    )
