"""The records of collection, frozen: without database ids, with aware UTC times and stated units."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from itertools import product
from typing import Literal

import msgspec

from backend.core.clock import require_utc
from backend.core.parameters import Parameter


@dataclass(frozen=True, slots=True)
class Reference:
    """The reference station of a site from the local day `since` on (None: no start date)."""

    station: str
    since: date | None = None


@dataclass(frozen=True, slots=True)
class Site:
    """A flying site, with the position of its take-off.

    `latitude` and `longitude` in decimal degrees (WGS 84), `elevation` of the take-off in metres above
    sea level, `orientation` as the compass sectors in which it can be flown (English: "SW"), `stations` as
    ids ("ffvl:87") in order of preference, `networks_without_station` as the networks without a station here.
    `valid_from` starts a new series of the same site, after the take-off moved. `references` are in the
    order of their days; before the first one, the first of `stations` is the reference station.
    """

    id: str
    name: str
    latitude: float
    longitude: float
    elevation: float
    orientation: tuple[str, ...] = ()
    stations: tuple[str, ...] = ()
    networks_without_station: tuple[str, ...] = ()
    valid_from: datetime | None = None
    references: tuple[Reference, ...] = ()

    def reference_on(self, day: date) -> str | None:
        """Return the reference station of a local day; None if the site has no station."""
        started = [
            reference for reference in self.references if reference.since is None or reference.since <= day
        ]
        if started:
            return started[-1].station
        return self.stations[0] if self.stations else None

    def station_without(self, day: date, networks: Collection[str]) -> str | None:
        """Return the reference station of a local day, or the first station outside of these networks.

        None if the site has no such station.
        """
        reference = self.reference_on(day)
        if reference is None or network_of(reference) not in networks:
            return reference
        return next((code for code in self.stations if network_of(code) not in networks), None)


def network_of(station: str) -> str:
    """Return the network of a station id: "ffvl" for "ffvl:87"."""
    return station.partition(":")[0]


def number_of(station: str) -> str:
    """Return the network's own number of a station: "87" for "ffvl:87"."""
    return station.partition(":")[2]


@dataclass(frozen=True, slots=True)
class Station:
    """A station; `id` is network and number ("romma:241"), `elevation` in metres above sea level.

    `kind` is the network's own name for its type ("FFVL", "PIOUPIOU"), in capitals, if it states one.
    """

    id: str
    name: str = ""
    latitude: float | None = None
    longitude: float | None = None
    elevation: float | None = None
    kind: str = ""
    remarks: str = ""

    @property
    def network(self) -> str:
        """Return its network: "ffvl" or "romma"."""
        return network_of(self.id)


@dataclass(frozen=True, slots=True)
class Position:
    """The position of a station as stated by its network in a response at `time`.

    `since` is the time of the reading in the same response, if any: the station stood there then. Degrees
    (WGS 84) and metres above sea level, None if the network states none. `route` is set if it differs from
    the route of the batch.
    """

    station: str
    time: datetime
    latitude: float | None
    longitude: float | None
    elevation: float | None = None
    name: str = ""
    since: datetime | None = None
    route: str = ""


class Forecast(msgspec.Struct, frozen=True, gc=False):
    """Forecast of `model` for `parameter` at `site` and `valid_time`, from the run of `reference_time`.

    `value` is in the parameter's unit. A batch has hundreds of thousands of these. They are excluded from
    garbage collection, which would block every thread while it visits each of them.
    """

    model: str
    site: str
    parameter: Parameter
    reference_time: datetime
    valid_time: datetime
    value: float

    def __post_init__(self) -> None:
        require_utc(self.reference_time)
        require_utc(self.valid_time)


class Observation(msgspec.Struct, frozen=True, gc=False):
    """Measured value of `parameter` at `station` and `time`; `value` is in the parameter's unit."""

    station: str
    parameter: Parameter
    time: datetime
    value: float

    def __post_init__(self) -> None:
        require_utc(self.time)


@dataclass(frozen=True, slots=True)
class Rejected:
    """A value set aside as implausible, with the text it was received as.

    `subject` is the station, or the model and site ("arome_0025 planfait"). `reason` starts with a
    short word ("out_of_range", "zero_triplet", "future", "missing_hour"), by which rejections are counted.
    """

    subject: str
    parameter: Parameter | None
    time: datetime | None
    raw: str
    reason: str

    @property
    def reason_code(self) -> str:
        """Return the first word of `reason`."""
        return self.reason.partition(":")[0]


@dataclass(frozen=True, slots=True)
class Failure:
    """A request or payload without a result; `url` never contains a key.

    `traceback` is set for an unexpected error of our own code.
    """

    route: str
    url: str
    reason: str
    error: str
    traceback: str = ""


@dataclass(frozen=True, slots=True)
class GridPoint:
    """The grid cell of a model for a site.

    `cell` identifies the cell in the model's own terms; `model_elevation` is the height of the model's ground
    there (metres above sea level) and `height` that of the model level above it (metres), if stated.
    """

    model: str
    site: str
    cell: str
    model_elevation: float | None = None
    height: float | None = None


@dataclass(frozen=True, slots=True)
class IncompletePart:
    """A part of a run that is incomplete for a site, and what is missing.

    `version` identifies the file that was read, by its size and time stamp: the same file need not be read
    again. It is empty if there is no file yet.
    """

    part: str
    site: str
    reason: str
    version: str = ""


@dataclass(frozen=True, slots=True)
class Outside:
    """A site that a model does not cover, with the reason."""

    model: str
    site: str
    reason: str


@dataclass(frozen=True, slots=True)
class Run:
    """One run of a model. `available_at` is when it was available, as stated by its publisher.

    If the publisher states no time, `available_at` is when we first saw the run, and `published` is False. In
    a backfilled batch, and of C-LAEF always, it is then an estimate: the publisher's usual delay after the
    start of the run, if that is earlier.
    """

    model: str
    reference_time: datetime
    available_at: datetime
    published: bool

    def __post_init__(self) -> None:
        require_utc(self.reference_time)
        require_utc(self.available_at)


BACKFILLED = "+backfill"
"""Suffix of the route of a batch that a backfill fetched from an archive."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Batch:
    """The result of one request or one run, by one route of one source.

    `rank` orders the routes of a source: 0 is the best, and a value of a better rank replaces one of a worse
    rank. `newest` is the time of the newest data at the source, new to us or not: the newest complete run, or
    the newest reading. `collected_at` is the time of the response. `notes` are sentences for the outcome of
    the source that are not failures.
    """

    source: str
    route: str
    rank: int
    collected_at: datetime
    rejected: Sequence[Rejected] = ()
    failures: Sequence[Failure] = ()
    newest: datetime | None = None
    notes: Sequence[str] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class ForecastBatch(Batch):
    """Forecasts of one run, or of one run and day.

    `parts` are the pieces of the run that are now complete ("20261123", "00H06H"), and `sites` the
    sites for which they are complete, except for the pairs in `incomplete`: complete ones are not requested
    again. `versions` has, per part, the version of the file that was read (see IncompletePart). `outside` are
    sites that the model does not cover.
    """

    records: Sequence[Forecast] = ()
    run: Run | None = None
    parts: Sequence[str] = ()
    sites: Sequence[str] = ()
    grid_points: Sequence[GridPoint] = ()
    incomplete: Sequence[IncompletePart] = ()
    versions: Mapping[str, str] = field(default_factory=dict)
    outside: Sequence[Outside] = ()

    def complete(self) -> tuple[tuple[str, str], ...]:
        """Return the pairs of part and site that are now complete."""
        open_ = {(part.part, part.site) for part in self.incomplete}
        return tuple(pair for pair in product(self.parts, self.sites) if pair not in open_)


@dataclass(frozen=True, slots=True, kw_only=True)
class ObservationBatch(Batch):
    """Readings of one response. `averaging_minutes` and `direction_resolution` (degrees) if known.

    `stations` describes the stations in the response; `listed` is the network if this was its complete list
    of stations. `positions` are those of all stations in it, known or new. `complete_until` is, per station,
    the time up to which every reading that the source still has is collected: the next collection requests
    later ones only.
    """

    records: Sequence[Observation] = ()
    averaging_minutes: int | None = None
    direction_resolution: float | None = None
    stations: Sequence[Station] = ()
    listed: str | None = None
    positions: Sequence[Position] = ()
    complete_until: Mapping[str, datetime] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class CollectionRequest:
    """What one collection needs: the sites, what is stored already, and the present time.

    `since` is the oldest reference time (forecasts) or reading (observations) that is still requested.
    `collected` maps (model, reference time, part, site) to the best rank that it is stored with, and
    `incomplete` to the version of the file that was read without all values ("" if there was none).
    `outside` has the (model, site) pairs that are not covered. `newest` maps a station to its newest stored
    reading, `complete_until` to the time up to which its readings are complete (there may be a gap between
    the two), `stations` an id to the known properties of a station, `listed` a network to when its list of
    stations was last read, and `cells` (model, site) to the grid cell of the last response.
    `model_elevations` has the (model, site) pairs with a stored model elevation of that cell.
    `until` makes it a backfill: it is the newest reference time or reading that is requested.
    `backfilled_days` then maps a station to the days (UTC) with readings of earlier backfills.
    """

    now: datetime
    since: datetime
    sites: tuple[Site, ...] = ()
    collected: Mapping[tuple[str, datetime, str, str], int] = field(default_factory=dict)
    newest: Mapping[str, datetime] = field(default_factory=dict)
    complete_until: Mapping[str, datetime] = field(default_factory=dict)
    stations: Mapping[str, Station] = field(default_factory=dict)
    listed: Mapping[str, datetime] = field(default_factory=dict)
    cells: Mapping[tuple[str, str], str] = field(default_factory=dict)
    model_elevations: frozenset[tuple[str, str]] = frozenset()
    incomplete: Mapping[tuple[str, datetime, str, str], str] = field(default_factory=dict)
    outside: frozenset[tuple[str, str]] = frozenset()
    until: datetime | None = None
    backfilled_days: Mapping[str, Sequence[date]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        require_utc(self.now)
        require_utc(self.since)
        if self.until is not None:
            require_utc(self.until)

    def missing(
        self, model: str, reference_time: datetime, part: str, rank: int, version: str = ""
    ) -> tuple[Site, ...]:
        """Return the sites for which this part of a run is not stored with `rank` or a better one.

        Sites are left out if a file of this `version` was read before without all values: it has no more.
        """
        worst = rank + 1

        def is_missing(site: Site) -> bool:
            key = (model, reference_time, part, site.id)
            read_before = bool(version) and self.incomplete.get(key) == version
            return not read_before and self.collected.get(key, worst) > rank

        return tuple(site for site in self.sites if is_missing(site))

    def known_incomplete(self, model: str, reference_time: datetime, part: str, site: str) -> bool:
        """Return True if this part of a run was reported as incomplete before."""
        return (model, reference_time, part, site) in self.incomplete

    def without_model_elevation(self, model: str, answered: Mapping[str, str]) -> tuple[Site, ...]:
        """Return the sites with values of `model` for which its model elevation is not stored.

        `answered` maps a site to the cell of the present response: a new cell has its own elevation.
        """

        def is_missing(site: Site) -> bool:
            stored_cell = self.cells.get((model, site.id))
            cell = answered.get(site.id, stored_cell)
            return cell is not None and (cell != stored_cell or (model, site.id) not in self.model_elevations)

        return tuple(site for site in self.sites if is_missing(site))

    def mapped_stations(self, network: str) -> tuple[str, ...]:
        """Return the ids of the stations of `network` at any site, each once, in order."""
        prefix = f"{network}:"
        mapped = (station for site in self.sites for station in site.stations if station.startswith(prefix))
        return tuple(dict.fromkeys(mapped))


IMPORTED = "import"
"""Used as the source of values from files. Only for these the publisher's terms are unknown."""

SourceStatus = Literal["success", "partial", "nothing_new", "stale", "failed", "disabled"]
RunStatus = Literal[
    "running", "success", "partial", "nothing_new", "failed", "missed", "interrupted", "cancelled"
]

WELL = frozenset[str]({"success", "nothing_new"})
"""The statuses of a run or source without any failure."""
