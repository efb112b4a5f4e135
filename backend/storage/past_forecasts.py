"""The record read for the days that a forecast is compared with: few fields, and only what is new."""

from __future__ import annotations

import zlib
from collections.abc import Mapping
from dataclasses import dataclass

import sqlalchemy as sa

from backend.core.issued import LATE_AFTER, Audience, PastHours
from backend.core.local_time import local_moment
from backend.core.parameters import Parameter
from backend.storage import schema as t
from backend.storage.issued import NOT_WITHDRAWN, WITHDRAWAL
from backend.storage.rows import chunks, fetched

_PAST = (
    sa.select(*(t.issued_forecast.c[name] for name in ("parameter", "day", "content")))
    .where(
        t.issued_forecast.c.site == sa.bindparam("site"),
        t.issued_forecast.c.audience == sa.bindparam("audience"),
        t.issued_forecast.c.view == sa.bindparam("view"),
        t.issued_forecast.c.day.between(
            sa.bindparam("first", type_=sa.BigInteger), sa.bindparam("last", type_=sa.BigInteger)
        ),
        t.issued_forecast.c.issued_at - t.issued_forecast.c.decision_time
        <= sa.literal(int(LATE_AFTER.total_seconds()), sa.BigInteger),
        sa.or_(
            t.issued_forecast.c.number > sa.bindparam("number", type_=sa.BigInteger),
            t.issued_forecast.c.day > sa.bindparam("day", type_=sa.BigInteger),
        ),
        *NOT_WITHDRAWN,
    )
    .order_by(t.issued_forecast.c.number)
)
_ROW = t.issued_forecast.alias("row").c
_STATES = (
    sa.select(
        t.site.c.slug,
        t.site.c.valid_from,
        t.site.c.id,
        t.site.c.days_stamp,
        sa.select(sa.func.coalesce(sa.func.max(_ROW.number), 0))
        .where(_ROW.site == t.site.c.slug)
        .scalar_subquery(),
        sa.select(sa.func.count(WITHDRAWAL.withdraws))
        .where(WITHDRAWAL.site == t.site.c.slug, WITHDRAWAL.withdraws.is_not(None))
        .scalar_subquery(),
    )
    .where(t.site.c.slug.in_(sa.bindparam("sites", expanding=True)))
    .order_by(t.site.c.series)
)


@dataclass(frozen=True, slots=True)
class HistoryState:
    """What changes with the past days of a site: the record with each row, `stamp` with its score days."""

    series: int
    stamp: int
    rows: int
    withdrawals: int


@dataclass(frozen=True, slots=True)
class PastForecast:
    """A forecast of a past local day, in the few fields that it is compared by."""

    parameter: Parameter
    day: int
    hours: PastHours


def past_forecasts(
    connection: sa.Connection,
    site: str,
    audience: Audience,
    view: int,
    first: int,
    last: int,
    *,
    after: tuple[int, int] = (0, 0),
) -> list[PastForecast]:
    """Return the forecasts for the local days from `first` to `last` that are neither withdrawn nor late.

    They are in the order of their numbers. `after` is a number and a day: what has neither a later number nor
    a later day is left out.
    """
    given = {
        "site": site,
        "audience": audience,
        "view": view,
        "first": first,
        "last": last,
        "number": after[0],
        "day": after[1],
    }
    return [
        PastForecast(Parameter(parameter), day, PastHours.unpacked(zlib.decompress(content)))
        for parameter, day, content in fetched(connection, _PAST, given)
    ]


def history_states(connection: sa.Connection, sites: Mapping[str, int]) -> dict[str, HistoryState]:
    """Return the state of each site's history up to a local day, by site id; unknown sites are left out.

    The series is the newest one that started before the end of that day.
    """
    found = {}
    for some in chunks(sorted(sites)):
        for name, since, *state in fetched(connection, _STATES, {"sites": some}):
            if since is None or since < local_moment(sites[name] + 1):
                found[name] = HistoryState(*state)  # in the order of the series: the newest stays
    return found
