"""The filter of an export: which sites, stations, models and days, and their stored names."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import sqlalchemy as sa

from backend.core.errors import UnknownNameError
from backend.core.local_time import local_moment
from backend.storage.site_rows import configured_stations


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """Filter of an export; an empty field selects all. `first` and `last` are local days, both included."""

    sites: Sequence[str] = ()
    stations: Sequence[str] = ()
    models: Sequence[str] = ()
    first: int | None = None
    last: int | None = None

    @property
    def begins(self) -> int | None:
        """Return the start of the first day, in seconds since 1970."""
        return None if self.first is None else local_moment(self.first)

    @property
    def ends(self) -> int | None:
        """Return the end of the last day, in seconds since 1970."""
        return None if self.last is None else local_moment(self.last + 1)


def chosen_names(
    connection: sa.Connection,
    column: sa.Column[str],
    names: Sequence[str],
    what: Literal["site", "station", "model"],
    only: sa.ColumnElement[bool] | None = None,
) -> dict[int, str]:
    """Return the chosen names, or all, by id and in the order of names.

    Raises NotFoundError for an unknown name.
    """
    table = column.table
    query = sa.select(table.c.id, column).order_by(column, table.c.id)
    names_by_id = {row[0]: row[1] for row in connection.execute(query if only is None else query.where(only))}
    for name in names:
        if name not in names_by_id.values():
            raise UnknownNameError(what, name, names_by_id.values())
    return {number: name for number, name in names_by_id.items() if not names or name in names}


def stations_of_sites(connection: sa.Connection, sites: Sequence[str]) -> list[str]:
    """Return the station codes of these sites, in the order of the sites. Raises UnknownNameError."""
    stations = dict(configured_stations(connection))
    for site in sites:
        if site not in stations:
            raise UnknownNameError("site", site, stations)
    return [code for site in sites for code in stations[site]]
