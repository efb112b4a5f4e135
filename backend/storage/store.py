"""The store of sites, stations, forecasts and observations. Every batch is one transaction."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from hashlib import blake2b

import sqlalchemy as sa

from backend.core.clock import CLOCK_TOLERANCE, DAY_SECONDS
from backend.core.errors import UnknownNameError
from backend.core.parameters import Parameter
from backend.core.records import (
    BACKFILLED,
    Batch,
    CollectionRequest,
    ForecastBatch,
    ObservationBatch,
    Outside,
    Site,
    Station,
)
from backend.core.sites import active
from backend.storage import schema as t
from backend.storage.confirmed_places import confirm, withdraw
from backend.storage.database import Database, from_epoch, insert_into, maybe_epoch, to_epoch
from backend.storage.forecasts import note_outside, store_forecasts
from backend.storage.ledger import require_lease
from backend.storage.observations import store_observations
from backend.storage.place_questions import PlaceQuestion, place_questions
from backend.storage.positions import Move, forget_positions, moves
from backend.storage.rows import chunks
from backend.storage.run_records import Claim
from backend.storage.schema import storable
from backend.storage.site_rows import are_saved, present_ids, save_site, site_record, station_record
from backend.storage.station_flags import StationFlag, exclude, include, station_flags
from backend.storage.stays import Stay


@dataclass(frozen=True, eq=False)
class Store:
    """All collected data. All methods block: call them from a thread.

    Every method raises StoreUnavailableError if the database does not answer; nothing is written then.
    """

    database: Database

    # --- Sites and stations ------------------------------------------------------------------------

    def sites(self) -> tuple[Site, ...]:
        """Return every configured series of every site, oldest series first."""
        query = sa.select(t.site).where(t.site.c.configured).order_by(t.site.c.slug, t.site.c.series)
        with self.database.read() as connection:
            return tuple(site_record(row) for row in connection.execute(query))

    def save_sites(self, sites: Sequence[Site]) -> None:
        """Make `sites` the configured ones; removed sites keep their data.

        Raises ConfigError if a known site moved without a new id or a later valid_from. Each task of a worker
        calls it: a list that is saved already must not wait for the writer, nor be written again.
        """
        with self.database.read() as connection:
            if are_saved(connection, sites):
                return
        with self.database.write() as connection:
            connection.execute(sa.update(t.site).values(configured=False))
            for site in sites:
                save_site(connection, site, self.database.clock())

    def add_sites(self, sites: Sequence[Site]) -> None:
        """Add these sites or update them; all others stay as they are. Raises as save_sites."""
        with self.database.write() as connection:
            for site in sites:
                save_site(connection, site, self.database.clock())

    def remove_site(self, site_id: str) -> None:
        """Take a site off the list; its data stay. Raises UnknownNameError."""
        statement = sa.update(t.site).where(t.site.c.slug == site_id, t.site.c.configured)
        with self.database.write() as connection:
            if not connection.execute(statement.values(configured=False)).rowcount:
                raise UnknownNameError("site", site_id)

    def stations(self) -> tuple[Station, ...]:
        """Return every station that a network described or that sent a reading."""
        with self.database.read() as connection:
            rows = connection.execute(sa.select(t.station).order_by(t.station.c.code))
            return tuple(station_record(row) for row in rows)

    # --- Suspect sensors, moves and exclusions -------------------------------------------------------

    def station_flags(self) -> tuple[StationFlag, ...]:
        """Return the learned flags and the operator's exclusions of the stations of all sites."""
        with self.database.read() as connection:
            return station_flags(connection)

    def exclude_station(
        self,
        station: str,
        parameters: Sequence[Parameter],
        first: date,
        last: date | None,
        note: str,
        now: datetime,
    ) -> None:
        """Exclude parameters of a station from all scores for some local days; see station_flags.exclude."""
        with self.database.write() as connection:
            exclude(connection, station, parameters, first, last, note, now)

    def include_station(self, station: str, parameters: Collection[Parameter]) -> list[date]:
        """Remove the exclusions of these parameters of a station; return the first day of each.

        Raises NotFoundError.
        """
        with self.database.write() as connection:
            return include(connection, station, parameters)

    def moves(self, sites: Sequence[Site]) -> tuple[Move, ...]:
        """Return the moves of the stations of these sites, oldest first."""
        with self.database.read() as connection:
            return tuple(moves(connection, {site.id: site.stations for site in sites}))

    def place_questions(self, sites: Sequence[Site], now: datetime) -> tuple[PlaceQuestion, ...]:
        """Return the contradictions in the positions of these sites' stations that are not moves."""
        with self.database.read() as connection:
            stations = sorted({code for site in sites for code in site.stations})
            return tuple(place_questions(connection, stations, now))

    def confirm_station(self, site: str, station: str, now: datetime) -> list[Stay]:
        """Let a site count a station's readings at its present place; return that place by each route.

        Raises NotFoundError if no position of the station is known.
        """
        with self.database.write() as connection:
            return confirm(connection, site, station, now)

    def withdraw_confirmation(self, site: str, station: str) -> int:
        """Undo `confirm_station`; return how many places were confirmed.

        Raises NotFoundError.
        """
        with self.database.write() as connection:
            return withdraw(connection, site, station)

    # --- Requests for collections ------------------------------------------------------------------

    def forecast_request(self, sites: Sequence[Site], now: datetime, since: datetime) -> CollectionRequest:
        """Return the request for a forecast collection: the sites, and which parts of runs are stored.

        For a site with several series, only the present one is requested.
        """
        part, point = t.collected_part.c, t.grid_point.c
        collected = (
            sa.select(t.model.c.name, part.reference_time, part.part, part.site_id, part.rank)
            .join_from(t.collected_part, t.model, t.model.c.id == part.model_id)
            .where(part.reference_time >= to_epoch(since))
        )
        points = sa.select(t.model.c.name, point.site_id, point.cell, point.ground).join_from(
            t.grid_point, t.model
        )
        open_, outside = t.incomplete_part.c, t.outside_model.c
        incomplete = (
            sa.select(t.model.c.name, open_.reference_time, open_.part, open_.site_id, open_.version)
            .join_from(t.incomplete_part, t.model, t.model.c.id == open_.model_id)
            .where(open_.reference_time >= to_epoch(since))
        )
        not_covered = sa.select(t.model.c.name, outside.site_id).join_from(
            t.outside_model, t.model, t.model.c.id == outside.model_id
        )
        with self.database.read() as connection:
            slugs = {site_id: slug for slug, site_id in present_ids(connection, now).items()}
            cells = [
                ((model, slugs[site_id]), cell, ground)
                for model, site_id, cell, ground in connection.execute(points)
                if site_id in slugs
            ]
            return CollectionRequest(
                now=now,
                since=since,
                sites=active(sites, now),
                collected={
                    (model, from_epoch(run), name, slugs[site_id]): rank
                    for model, run, name, site_id, rank in connection.execute(collected)
                    if site_id in slugs
                },
                cells={key: cell for key, cell, _ in cells},
                model_elevations=frozenset(key for key, _, ground in cells if ground is not None),
                incomplete={
                    (model, from_epoch(run), name, slugs[site_id]): version
                    for model, run, name, site_id, version in connection.execute(incomplete)
                    if site_id in slugs
                },
                outside=frozenset(
                    (model, slugs[site_id])
                    for model, site_id in connection.execute(not_covered)
                    if site_id in slugs
                ),
            )

    def incomplete_parts(self, since: datetime) -> tuple[tuple[str, datetime, str, str], ...]:
        """Return (model, reference time, part, reason) of every incomplete part, newest run first.

        Only runs that started at `since` or later. A part that is incomplete for several sites appears once
        per reason.
        """
        part = t.incomplete_part.c
        query = (
            sa.select(t.model.c.name, part.reference_time, part.part, part.reason)
            .join_from(t.incomplete_part, t.model, t.model.c.id == part.model_id)
            .where(part.reference_time >= to_epoch(since))
            .distinct()
            .order_by(part.reference_time.desc(), t.model.c.name, part.part, part.reason)
        )
        with self.database.read() as connection:
            return tuple(
                (model, from_epoch(run), name, reason)
                for model, run, name, reason in connection.execute(query)
            )

    def outside(self, now: datetime) -> tuple[Outside, ...]:
        """Return the present sites that a model does not cover."""
        outside = t.outside_model.c
        query = (
            sa.select(t.model.c.name, outside.site_id, outside.reason)
            .join_from(t.outside_model, t.model, t.model.c.id == outside.model_id)
            .order_by(t.model.c.name, outside.site_id)
        )
        with self.database.read() as connection:
            slugs = {site_id: slug for slug, site_id in present_ids(connection, now).items()}
            return tuple(
                Outside(model, slugs[site_id], reason)
                for model, site_id, reason in connection.execute(query)
                if site_id in slugs
            )

    def observation_request(self, sites: Sequence[Site], now: datetime, since: datetime) -> CollectionRequest:
        """Return the request for an observation collection: the stations, with their newest readings.

        Times later than `now` were written under a clock that was ahead. They are left out, otherwise nothing
        would be collected until they are reached.
        """
        ahead = now + CLOCK_TOLERANCE

        def times(rows: Iterable[tuple[str, int | None]]) -> dict[str, datetime]:
            stamps = {name: from_epoch(seconds) for name, seconds in rows if seconds is not None}
            return {name: stamp for name, stamp in stamps.items() if stamp <= ahead}

        with self.database.read() as connection:
            rows = connection.execute(sa.select(t.station)).all()
            listed = connection.execute(sa.select(t.station_list)).all()
        return CollectionRequest(
            now=now,
            since=since,
            sites=active(sites, now),
            newest=times((row.code, row.newest) for row in rows),
            complete_until=times((row.code, row.caught_up) for row in rows),
            stations={row.code: station_record(row) for row in rows},
            listed=times((row.network, row.listed_at) for row in listed),
        )

    def forget_times_ahead(self, now: datetime) -> None:
        """Delete the times of newest readings and lists that are more than a day later than `now`.

        A run under a clock that was ahead writes such times, and correct times never replace them. The data
        are then requested again. The margin of a day avoids a loss of history when the clock is slow for an
        hour.
        """
        ahead = to_epoch(now + timedelta(days=1))
        with self.database.write() as connection:
            for column in (t.station.c.newest, t.station.c.caught_up):
                connection.execute(sa.update(t.station).where(column > ahead).values({column: None}))
            connection.execute(sa.delete(t.station_list).where(t.station_list.c.listed_at > ahead))
            forget_positions(connection, ahead)

    def backfilled_days(
        self, stations: Collection[str], since: datetime, until: datetime
    ) -> dict[str, tuple[date, ...]]:
        """Return, per station, the days (UTC) from `since` to `until` with readings of a backfill."""
        batch = t.observation_batch.c
        days_by_station: dict[str, set[date]] = {}
        with self.database.read() as connection:
            for table in (t.observation, t.observation_origin):
                day = (table.c.time - table.c.time % DAY_SECONDS).label("day")
                query = (
                    sa.select(t.station.c.code, day)
                    .join_from(t.station, table, table.c.station_id == t.station.c.id)
                    .join(t.observation_batch, batch.id == table.c.batch_id)
                    .where(
                        table.c.time.between(to_epoch(since), to_epoch(until)),
                        batch.route.endswith(BACKFILLED, autoescape=True),
                    )
                    .distinct()
                )
                for chunk in chunks(sorted(stations)):
                    for code, start in connection.execute(query.where(t.station.c.code.in_(chunk))):
                        days_by_station.setdefault(code, set()).add(from_epoch(start).date())
        return {code: tuple(sorted(days)) for code, days in sorted(days_by_station.items())}

    # --- Storing batches ---------------------------------------------------------------------------

    def add_forecasts(self, batch: ForecastBatch, claim: Claim | None = None, *, repair: bool = False) -> int:
        """Store a batch in one transaction; return how many values are new or better.

        Storing it again changes nothing. A run never changes: within a rank the first value stays. `repair`
        is for an archived payload that is parsed again: the payload that was collected first wins. Raises
        LeaseLostError, with nothing written, if `claim` is no longer valid.
        """
        with self.database.write() as connection:
            require_lease(connection, claim)
            _set_aside(connection, batch, claim)
            note_outside(connection, batch)
            if batch.run is None:
                if batch.records:
                    raise ValueError(f"the forecasts of {batch.source} have no run")
                return 0
            return store_forecasts(
                connection, batch, batch.run, claim, mode="repair" if repair else "collect"
            )

    def add_observations(
        self, batch: ObservationBatch, claim: Claim | None = None, *, repair: bool = False
    ) -> int:
        """Store a batch in one transaction; return how many values are new or changed.

        Networks correct their own values: within a rank the last value wins. A value that is absent in a
        response stays stored. `repair` is for an archived payload that is parsed again: the payload that was
        collected last wins. Raises LeaseLostError, with nothing written, if `claim` is no longer valid.
        """
        with self.database.write() as connection:
            require_lease(connection, claim)
            _set_aside(connection, batch, claim)
            return store_observations(connection, batch, claim, mode="repair" if repair else "collect")

    def prune_rejected(self, now: datetime) -> None:
        """Delete the rejected values that were set aside more than REJECTED_DAYS ago.

        The counts of the runs stay. Raises StoreUnavailableError.
        """
        old = t.rejected.c.collected_at < to_epoch(now - timedelta(days=REJECTED_DAYS))
        with self.database.read() as connection:
            if connection.execute(sa.select(t.rejected.c.id).where(old).limit(1)).first() is None:
                return
        with self.database.write() as connection:
            connection.execute(sa.delete(t.rejected).where(old))


MOST_REJECTED = 1000
"""How many rejected values of one source are stored in full per run: enough to see what is wrong.

The run counts all of them, by reason.
"""

REJECTED_DAYS = 90
"""How long rejected values are stored."""


def _set_aside(connection: sa.Connection, batch: Batch, claim: Claim | None) -> None:
    rows = []
    for value in batch.rejected:
        code, time = value.reason_code, maybe_epoch(value.time)
        # The code identifies the reason: its wording may change between versions. A missing sensor is the
        # same value at each reading, so it has no time.
        parts = (value.subject, value.parameter, None if code == "missing" else time, value.raw, code)
        text = storable("\x1f".join(map(str, parts)))
        rows.append(
            {
                "fingerprint": blake2b(text.encode(), digest_size=16).hexdigest(),
                "job_run_id": claim.run_id if claim else None,
                "source": batch.source,
                "route": batch.route,
                "subject": value.subject,
                "parameter": value.parameter,
                "time": time,
                "raw": value.raw,
                "reason": value.reason,
                "collected_at": to_epoch(batch.collected_at),
            }
        )
    if rows and claim is not None:
        of_run = sa.select(sa.func.count()).where(
            t.rejected.c.job_run_id == claim.run_id, t.rejected.c.source == batch.source
        )
        rows = rows[: max(0, MOST_REJECTED - connection.execute(of_run).scalar_one())]
    if rows:
        insert = insert_into(connection, t.rejected)
        new = insert.on_conflict_do_nothing(index_elements=["fingerprint"])
        connection.execute(new, rows[:MOST_REJECTED])
