"""What the operator's page shows besides the status: stations to look at, and the size of the store."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, datetime, timedelta

from pydantic import Field

from backend.answers.base import ApiModel
from backend.answers.service import ServiceParts
from backend.answers.station_flags import StationFlag, flag_entry
from backend.core.local_time import date_of
from backend.core.records import Site, network_of
from backend.scheduler.config import OBSERVATIONS
from backend.storage.instances import Instance, Instances
from backend.storage.operator_queries import FlaggedGroup, OperatorQueries, RejectedGroup

SILENT_AFTER = timedelta(days=1)
"""Time without a reading after which a station is silent. Some have none at night."""

SENSOR_SHOWN = timedelta(days=30)
"""Time after its end for which a flag of a sensor is still shown."""

SET_ASIDE_SHOWN = timedelta(days=7)
"""Age up to which rejected and flagged values are shown."""

DAYS_OF_GROWTH = 7


class StationMoved(ApiModel):
    """A station that moved, for one of its sites."""

    site: str
    station: str
    since: datetime
    metres: float = Field(description="between the two positions")


class StationSilent(ApiModel):
    """A station of a site without a reading for SILENT_AFTER; `last` is null if it never had one."""

    station: str
    sites: list[str]
    last: datetime | None


class StationSuspect(ApiModel):
    """A flag of a sensor of a station."""

    station: str
    flag: StationFlag


class StationDoubtful(ApiModel):
    """A contradiction in the positions of a station that is not a move."""

    station: str
    text: str


class StationsToCheck(ApiModel):
    """The stations of sites that need a look."""

    moved: list[StationMoved] = Field(description="until the move is confirmed")
    silent: list[StationSilent] = Field(description="a day or longer without a reading")
    suspect: list[StationSuspect] = Field(description="periods of a sensor that looks defective")
    doubtful: list[StationDoubtful]

    @property
    def none(self) -> bool:
        """Whether all stations are well."""
        return not (self.moved or self.silent or self.suspect or self.doubtful)


class StoredDay(ApiModel):
    """Number of values that runs stored on a day (UTC)."""

    day: date
    values: int


class StoreGrowth(ApiModel):
    """The size of the store in bytes (null if unknown), and what the last days (UTC) added."""

    bytes: int | None
    free_bytes: int | None = Field(description="free on the disk of the store; null for PostgreSQL")
    values: int = Field(description="values that runs stored since the beginning")
    stored: list[StoredDay] = Field(description="oldest first; the present day is not over")
    bytes_per_month: float | None = Field(
        description="estimated growth in 30 days; null before a day of collections"
    )


def stations_to_check(service: ServiceParts, sites: Sequence[Site]) -> StationsToCheck:
    """Return the stations that moved, fell silent or look defective. Raises StoreUnavailableError."""
    now = service.clock()
    collected = {source.name for source in service.sources.of(OBSERVATIONS) if source.disabled is None}
    sites_of: dict[str, list[str]] = {}
    for site in sites:
        for station in site.stations:
            sites_of.setdefault(station, []).append(site.id)
    listening = sorted(station for station in sites_of if network_of(station) in collected)
    silent = service.reading.silent_stations(listening, now, SILENT_AFTER)
    return StationsToCheck(
        moved=[
            StationMoved(site=move.site, station=move.station, since=move.since, metres=move.metres)
            for move in service.store.moves(sites)
            if not move.confirmed
        ],
        silent=[
            StationSilent(station=station, sites=sites_of[station], last=last)
            for station, last in silent.items()
        ],
        suspect=[
            StationSuspect(station=flag.station, flag=flag_entry(flag))
            for flag in service.store.station_flags()
            if flag.sites and (flag.until is None or flag.until > now - SENSOR_SHOWN)
        ],
        doubtful=[
            StationDoubtful(station=question.station, text=question.text)
            for question in service.store.place_questions(sites, now)
        ],
    )


def rejected_values(service: ServiceParts) -> list[RejectedGroup]:
    """Return the values of the last days that were rejected, by source and reason."""
    return OperatorQueries(service.database).rejected(service.clock() - SET_ASIDE_SHOWN)


def processes(service: ServiceParts) -> list[Instance]:
    """Return the processes of the service, those that are alive first. Raises StoreUnavailableError."""
    return Instances(service.database).all()


def flagged_values(service: ServiceParts) -> list[FlaggedGroup]:
    """Return the readings of the last days with a quality control flag, by station and reason."""
    now = service.clock()
    return OperatorQueries(service.database).flagged(now - SET_ASIDE_SHOWN, now)


def store_growth(service: ServiceParts) -> StoreGrowth:
    """Return the size of the store and its growth. Raises StoreUnavailableError.

    The growth in a month is an estimate: 30 times the stored values of a mean day of the last days that are
    over, from the day of the first run on, at the bytes that the store has now per value.
    """
    size = OperatorQueries(service.database).size(service.clock(), DAYS_OF_GROWTH + 1)
    today = max(size.days)
    over = [
        count
        for day, count in size.days.items()
        if size.first_day is not None and size.first_day <= day < today
    ]
    per_month = None
    if size.bytes is not None and size.values and any(over):
        per_month = 30 * sum(over) / len(over) * size.bytes / size.values
    path = service.database.path
    return StoreGrowth(
        bytes=size.bytes,
        free_bytes=None if path is None else service.free_bytes(path),
        values=size.values,
        stored=[StoredDay(day=date_of(day), values=count) for day, count in size.days.items()],
        bytes_per_month=per_month,
    )
