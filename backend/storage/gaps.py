"""Since when the store knows the sites, their stations and the sources: before, nothing was expected."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

import sqlalchemy as sa

from backend.storage import schema as t
from backend.storage.database import Database, insert_into, to_epoch
from backend.storage.retention import retention
from backend.storage.rows import chunks
from backend.storage.run_records import REPLAYED


@dataclass(frozen=True, slots=True)
class SiteMapping:
    """The stations of a site from `since` (epoch seconds) until its next mapping."""

    since: int
    stations: frozenset[str]


@dataclass(frozen=True, slots=True)
class Configured:
    """The mappings of sites, oldest first, and the start of the first run of each source (epoch seconds).

    A site or a source that the store does not know yet is absent.
    """

    mappings: Mapping[str, Sequence[SiteMapping]]
    sources: Mapping[str, int]

    def since(self, source: str, site: str) -> int | None:
        """Return from when on a site expects data of a source; None: not yet."""
        mappings = self.mappings.get(site)
        if source not in self.sources or not mappings:
            return None
        return max(self.sources[source], mappings[0].since)

    def stations(self, site: str, time: int) -> frozenset[str]:
        """Return the stations that a site listed at a time; before its first mapping those of the first."""
        mappings = self.mappings.get(site, ())
        of_time = [mapping for mapping in mappings if mapping.since <= time] or mappings[:1]
        return of_time[-1].stations if of_time else frozenset()


def note_mapping(connection: sa.Connection, site_id: int, now: datetime, stations: Iterable[str]) -> None:
    """Store which stations a site lists from `now` on; a second change in one second replaces the first."""
    insert = insert_into(connection, t.site_mapping)
    connection.execute(
        insert.on_conflict_do_update(
            index_elements=t.site_mapping.primary_key, set_={"stations": insert.excluded.stations}
        ),
        {"site_id": site_id, "since": to_epoch(now), "stations": ",".join(stations)},
    )


def configured(
    database: Database, sites: Mapping[str, datetime | None], sources: Collection[str]
) -> Configured:
    """Return since when the series of these sites (id -> its `valid_from`) and these sources are known.

    Blocks. Raises StoreUnavailableError.
    """
    site, mapping = t.site.c, t.site_mapping.c
    query = (
        sa.select(site.slug, site.valid_from, mapping.since, mapping.stations)
        .join_from(t.site_mapping, t.site, site.id == mapping.site_id)
        .order_by(site.series, mapping.since)
    )
    mappings: defaultdict[str, list[SiteMapping]] = defaultdict(list)
    with database.read() as connection:
        for chunk in chunks(sorted(sites)):
            for slug, valid_from, since, stations in connection.execute(query.where(site.slug.in_(chunk))):
                start = sites[slug]
                if valid_from != (None if start is None else to_epoch(start)):
                    continue  # another series: nothing is collected for its place any more
                mappings[slug].append(
                    SiteMapping(max(since, valid_from or since), frozenset(stations.split(",")) - {""})
                )
        starts, kept_from = {}, retention(connection).scored_from or 0  # nothing is missing that was removed
        for source in sources:
            start = connection.execute(_FIRST_RUN, {"source": source}).scalar()
            if start is not None:
                starts[source] = max(start, kept_from)
    return Configured(dict(mappings), starts)


# In the order of the primary key, so that the look-up ends at the first row of most sources.
_FIRST_RUN = (
    sa.select(t.job_run.c.start_time)
    .join_from(t.source_run, t.job_run, t.job_run.c.id == t.source_run.c.run_id)
    .where(
        t.source_run.c.source == sa.bindparam("source"),
        t.source_run.c.status != "disabled",
        t.job_run.c.trigger != "backfill",
        ~t.job_run.c.note.startswith(REPLAYED),
    )
    .order_by(t.source_run.c.run_id)
    .limit(1)
)
