"""Issued forecasts: appended, read, and checked by the chain of their hashes."""

from __future__ import annotations

import hashlib
import zlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from functools import lru_cache
from typing import Any, cast

import msgspec
import sqlalchemy as sa

from backend.core.errors import NotFoundError
from backend.core.issued import FIRST_HASH, Audience, IssuedForecast, IssuedHours
from backend.core.parameters import Parameter
from backend.core.registry import OWN_MODEL
from backend.storage import schema as t
from backend.storage.database import from_epoch, to_epoch
from backend.storage.due import note_due
from backend.storage.rows import chunks, fetched, ids_of

_COLUMNS = tuple(t.issued_forecast.c)
_DECISION = ["site", "view", "day", "parameter", "audience", "method"]
_STORED_DECISIONS = sa.select(*(t.issued_forecast.c[name] for name in _DECISION)).where(
    t.issued_forecast.c.site.in_(sa.bindparam("sites", expanding=True)),
    t.issued_forecast.c.day.between(
        sa.bindparam("first", type_=sa.BigInteger), sa.bindparam("last", type_=sa.BigInteger)
    ),
    t.issued_forecast.c.withdraws.is_(None),
)
WITHDRAWAL = t.issued_forecast.alias("withdrawal").c
NOT_WITHDRAWN = (
    t.issued_forecast.c.withdraws.is_(None),
    ~sa.exists().where(
        WITHDRAWAL.site == t.issued_forecast.c.site, WITHDRAWAL.withdraws == t.issued_forecast.c.number
    ),
)


@dataclass(frozen=True, slots=True)
class Chain:
    """The record of one site: how many rows, the last hash, and what is wrong with it, if anything."""

    site: str
    rows: int
    head: bytes
    fault: str | None = None


def append_issued(connection: sa.Connection, forecasts: Iterable[IssuedForecast]) -> int:
    """Append forecasts to the record; return how many are new.

    A decision that is in the record already stays as it is: a repeated run of the job issues nothing twice.
    The score days of public forecasts become due. Call it in a transaction of `Database.write`, which has one
    writer at a time.
    """
    given = list(forecasts)
    sites = sorted({forecast.site for forecast in given})
    days = [forecast.day for forecast in given]
    if not given:
        return 0
    span = {"first": min(days), "last": max(days)}
    known = {
        tuple(row)
        for some in chunks(sites)
        for row in fetched(connection, _STORED_DECISIONS, {"sites": some, **span})
    }
    ends = _ends(connection, sites)
    new: list[IssuedForecast] = []
    for forecast in given:
        decision = tuple(getattr(forecast, name) for name in _DECISION)
        if decision in known:
            continue
        known.add(decision)
        number, before = ends[forecast.site]
        row = forecast.chained(number + 1, before)
        ends[forecast.site] = row.number, row.hash
        new.append(row)
    if new:
        connection.execute(sa.insert(t.issued_forecast), [_values(row) for row in new])
    if any(row.audience == "public" for row in new):
        ids_of(connection, t.model.c.name, [OWN_MODEL.name])  # score days name it by its id
        note_due(connection, _scored_days(connection, new))
    return len(new)


def withdraw_issued(connection: sa.Connection, site: str, number: int, now: datetime, reason: str) -> None:
    """Append a row that hides row `number` of a site. Raises NotFoundError."""
    column = t.issued_forecast.c
    found = _read(connection, column.site == site, column.number == number, *NOT_WITHDRAWN)
    if not found:
        raise NotFoundError(f"{site} has no issued forecast of number {number}, or it is withdrawn")
    [old] = found
    hours = IssuedHours(times=(), values=(), station=old.hours.station, state="withdrawn", reason=reason)
    row = replace(old, hours=hours, issued_at=now, withdraws=number)
    end, before = _ends(connection, [site])[site]
    connection.execute(sa.insert(t.issued_forecast).values(_values(row.chained(end + 1, before))))
    note_due(connection, _scored_days(connection, [old]))


def issued_forecasts(
    connection: sa.Connection,
    sites: Sequence[str],
    *,
    audience: Audience,
    view: int | None,
    first: int,
    last: int,
    parameter: Parameter | None = None,
) -> list[IssuedForecast]:
    """Return the forecasts for the local days from `first` to `last` that are not withdrawn.

    They are in the order of their numbers within a site; None is every view, or every parameter.
    """
    column = t.issued_forecast.c
    return _read(
        connection,
        column.site.in_(sites),
        column.audience == audience,
        *(() if view is None else (column.view == view,)),
        *(() if parameter is None else (column.parameter == parameter.value,)),
        column.day.between(first, last),
        *NOT_WITHDRAWN,
    )


def scored_forecasts(connection: sa.Connection, site_id: int, first: int, last: int) -> list[IssuedForecast]:
    """Return the forecasts of one series of a site that are scored, for local days from `first` to `last`.

    They are public, not withdrawn and not late. Of several methods at one decision the last one counts.
    """
    column, series = t.issued_forecast.c, t.site.alias("later").c
    next_start = (
        sa.select(sa.func.min(series.valid_from))
        .where(series.slug == t.site.c.slug, series.series > t.site.c.series)
        .scalar_subquery()
    )
    of_series = sa.select(t.site.c.slug, t.site.c.valid_from, next_start).where(t.site.c.id == site_id)
    slug, since, until = connection.execute(of_series).one()
    found = _read(
        connection,
        column.site == slug,
        column.audience == "public",
        column.day.between(first, last),
        column.decision_time >= (since or 0),
        *([] if until is None else [column.decision_time < until]),
        *NOT_WITHDRAWN,
    )
    in_time = {(row.view, row.day, row.parameter): row for row in found if not row.is_late}
    return list(in_time.values())


def issued_day_numbers(connection: sa.Connection, site_id: int) -> set[int]:
    """Return the local days that public forecasts were issued for at a site, in any of its series."""
    column = t.issued_forecast.c
    slug = sa.select(t.site.c.slug).where(t.site.c.id == site_id).scalar_subquery()
    days = sa.select(column.day).where(column.site == slug, column.audience == "public").distinct()
    return set(connection.scalars(days))


def issued_span(connection: sa.Connection, site: str, audience: Audience) -> tuple[int, int] | None:
    """Return the first and the last local day that forecasts were issued for at a site, None before any."""
    column = t.issued_forecast.c
    ends = sa.select(sa.func.min(column.day), sa.func.max(column.day))
    first, last = connection.execute(ends.where(column.site == site, column.audience == audience)).one()
    return None if first is None else (first, last)


def _scored_days(connection: sa.Connection, forecasts: Iterable[IssuedForecast]) -> set[tuple[int, int]]:
    """Return the (site id, local day) pairs whose score days contain these forecasts."""
    public = {
        (row.site, to_epoch(row.decision_time), row.day) for row in forecasts if row.audience == "public"
    }
    site = t.site.c
    series: dict[str, list[tuple[int, int]]] = {}
    for some in chunks(sorted({slug for slug, _, _ in public})):
        query = sa.select(site.slug, sa.func.coalesce(site.valid_from, 0), site.id).where(site.slug.in_(some))
        for slug, since, site_id in connection.execute(query.order_by(site.series.desc())):
            series.setdefault(slug, []).append((since, site_id))
    found = set()
    for slug, decided, day in public:
        of_decision = next((number for since, number in series.get(slug, ()) if since <= decided), None)
        if of_decision is not None:
            found.add((of_decision, day))
    return found


def record_length(connection: sa.Connection, site: str) -> int:
    """Return how many rows the record of a site has: it changes with each of them."""
    return _ends(connection, [site])[site][0]


def head(connection: sa.Connection, until: datetime | None = None) -> bytes | None:
    """Return one hash over the ends of all sites' chains, or None while nothing was issued.

    With `until`, the rows that were issued at that time or later do not count. It is the SHA-256 of the site,
    the number and the hash of each end as JSON arrays, in the order of the sites.
    """
    rows = connection.execute(_ends_of(_sites(), until)).all()
    if not rows:
        return None
    lines = (msgspec.json.encode((site, number, bytes(value).hex())) for site, number, value in rows)
    return hashlib.sha256(b"\n".join(lines)).digest()


def chains(connection: sa.Connection) -> Iterator[Chain]:
    """Recompute the hashes of every site's record, from its first row to the first wrong one."""
    for site in connection.scalars(sa.select(_sites().c.site).order_by("site")).all():
        if site is not None:
            yield _checked(connection, site)


def _checked(connection: sa.Connection, site: str) -> Chain:
    column = t.issued_forecast.c
    query = sa.select(*_COLUMNS).where(column.site == site).order_by(column.number)
    count, before = 0, FIRST_HASH
    with connection.execution_options(yield_per=1000).execute(query) as rows:
        for row in rows:
            if row.number != count + 1:
                return Chain(site, count, before, f"number {count + 1} is missing")
            try:
                forecast = _forecast(row)
            except (zlib.error, msgspec.MsgspecError, ValueError) as error:
                return Chain(site, count, before, f"number {row.number} cannot be read: {error}")
            if forecast.hash_after(row.number, before) != forecast.hash:
                return Chain(site, count, before, f"number {row.number} differs from its hash")
            count, before = row.number, forecast.hash
    return Chain(site, count, before)


def _ends(connection: sa.Connection, sites: Sequence[str]) -> dict[str, tuple[int, bytes]]:
    """Return the number and the hash of the last row of each site."""
    found = dict.fromkeys(sites, (0, FIRST_HASH))
    for some in chunks(sites):
        names = {f"site{index}": site for index, site in enumerate(some)}
        for site, number, value in fetched(connection, _ends_of_sites(len(some)), names):
            found[site] = number, bytes(value)
    return found


@lru_cache
def _ends_of_sites(count: int) -> sa.Select[Any]:
    """Return the query for so many sites: to build it takes longer than to execute it."""
    data = [(sa.bindparam(f"site{index}", type_=sa.String),) for index in range(count)]
    return _ends_of(sa.values(sa.column("site", sa.String), name="given").data(data).cte("given"))


def _ends_of(sites: sa.FromClause, until: datetime | None = None) -> sa.Select[Any]:
    """Return the query of the last row of each of these sites, in their order: one search in the key each."""
    row, column = t.issued_forecast.alias("row").c, t.issued_forecast.c
    last = sa.select(row.number).where(row.site == sites.c.site).order_by(row.number.desc()).limit(1)
    if until is not None:
        last = last.where(row.issued_at < to_epoch(until))
    return (
        sa.select(column.site, column.number, column.hash)
        .join_from(sites, t.issued_forecast, column.site == sites.c.site)
        .where(column.number == last.scalar_subquery())
        .order_by(column.site)
    )


def _sites() -> sa.CTE:
    """Return the sites of the record, and a NULL, found by one search in the key each."""
    column, after = t.issued_forecast.c.site, t.issued_forecast.alias("after").c.site
    sites = sa.select(sa.func.min(column).label("site")).cte("sites", recursive=True)
    next_one = sa.select(sa.func.min(after)).where(after > sites.c.site).scalar_subquery()
    return sites.union_all(sa.select(next_one).where(sites.c.site.is_not(None)))


def _read(connection: sa.Connection, *where: sa.ColumnElement[bool]) -> list[IssuedForecast]:
    column = t.issued_forecast.c
    query = sa.select(*_COLUMNS).where(*where).order_by(column.site, column.number)
    return [_forecast(row) for row in connection.execute(query)]


_compressed = lru_cache(maxsize=128)(zlib.compress)  # audiences mostly have the same contents, in two batches


def _values(row: IssuedForecast) -> dict[str, Any]:
    return {
        "site": row.site,
        "number": row.number,
        "audience": row.audience,
        "parameter": row.parameter.value,
        "view": row.view,
        "day": row.day,
        "method": row.method,
        "decision_time": to_epoch(row.decision_time),
        "issued_at": to_epoch(row.issued_at),
        "withdraws": row.withdraws,
        "content": _compressed(row.hours.packed()),
        "hash": row.hash,
    }


def _forecast(row: Any) -> IssuedForecast:
    return IssuedForecast(
        site=row.site,
        audience=cast(Audience, row.audience),
        parameter=Parameter(row.parameter),
        view=row.view,
        day=row.day,
        method=row.method,
        decision_time=from_epoch(row.decision_time),
        issued_at=from_epoch(row.issued_at),
        hours=IssuedHours.unpacked(zlib.decompress(row.content)),
        withdraws=row.withdraws,
        number=row.number,
        hash=bytes(row.hash),
    )
