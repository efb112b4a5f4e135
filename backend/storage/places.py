"""Sites and stations as rows: one row per series of a site, one per station."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import sqlalchemy as sa

from backend.core.errors import ConfigError
from backend.core.records import Site, Station
from backend.storage import schema as t
from backend.storage.database import maybe_epoch, maybe_time, to_epoch


def active_ids(now: datetime) -> sa.Select[tuple[int]]:
    """Select, per configured site, the id of the newest series that has begun."""
    begun = sa.or_(t.site.c.valid_from.is_(None), t.site.c.valid_from <= to_epoch(now))
    newest = (
        sa.select(t.site.c.slug, sa.func.max(t.site.c.series).label("series"))
        .where(t.site.c.configured, begun)
        .group_by(t.site.c.slug)
        .subquery()
    )
    return sa.select(t.site.c.id).join(
        newest, sa.and_(newest.c.slug == t.site.c.slug, newest.c.series == t.site.c.series)
    )


def active_sites(connection: sa.Connection, now: datetime) -> dict[str, int]:
    """Return the row id of each configured site's present series."""
    query = sa.select(t.site.c.slug, t.site.c.id).where(t.site.c.id.in_(active_ids(now)))
    return {row.slug: row.id for row in connection.execute(query)}


def save_site(connection: sa.Connection, site: Site) -> None:
    """Write one configured site; raise ConfigError where it moved without saying since when."""
    series = sa.select(t.site).where(t.site.c.slug == site.id).order_by(t.site.c.series.desc())
    known = connection.execute(series).all()
    wording = {
        "name": site.name,
        "orientation": ",".join(site.orientation),
        "stations": ",".join(site.stations),
        "without": ",".join(site.without),
        "configured": True,
    }
    same = next((row for row in known if _same_place(row, site)), None)
    if same is not None:
        connection.execute(sa.update(t.site).where(t.site.c.id == same.id).values(wording))
        return
    latest = known[0] if known else None
    if latest is not None and (
        site.valid_from is None or to_epoch(site.valid_from) <= (latest.valid_from or 0)
    ):
        raise ConfigError(
            f"site {site.id!r} has moved from {latest.latitude:g}, {latest.longitude:g}, "
            f"{latest.elevation:g} m: give it a new id, or a valid_from later than its present series"
        )
    connection.execute(
        sa.insert(t.site).values(
            wording
            | {
                "slug": site.id,
                "series": latest.series + 1 if latest else 1,
                "valid_from": maybe_epoch(site.valid_from),
                "latitude": site.latitude,
                "longitude": site.longitude,
                "elevation": site.elevation,
            }
        )
    )


def _same_place(row: Any, site: Site) -> bool:
    return (
        abs(row.latitude - site.latitude) < 1e-5
        and abs(row.longitude - site.longitude) < 1e-5
        and abs(row.elevation - site.elevation) < 1.0
        and (site.valid_from is None or row.valid_from == to_epoch(site.valid_from))
    )


def site_record(row: Any) -> Site:
    """Read a row of the site table."""
    return Site(
        id=row.slug,
        name=row.name,
        latitude=row.latitude,
        longitude=row.longitude,
        elevation=row.elevation,
        orientation=_words(row.orientation),
        stations=_words(row.stations),
        without=_words(row.without),
        valid_from=maybe_time(row.valid_from),
    )


def _words(text: str) -> tuple[str, ...]:
    return tuple(text.split(",")) if text else ()


def station_record(row: Any) -> Station:
    """Read a row of the station table."""
    return Station(
        id=row.code,
        name=row.name,
        latitude=row.latitude,
        longitude=row.longitude,
        elevation=row.elevation,
        kind=row.kind,
        remarks=row.remarks,
    )
