"""What happened in the world, as frozen records: no database ids, aware UTC times, stated units."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from itertools import product
from typing import Literal

import msgspec

from backend.core.clock import require_utc
from backend.core.parameters import Parameter


@dataclass(frozen=True, slots=True)
class Reference:
    """The station that a site's scores are about, from the local day `since` on (None: since ever)."""

    station: str
    since: date | None = None


@dataclass(frozen=True, slots=True)
class Site:
    """A flying site: the take-off that pilots ask about.

    `latitude` and `longitude` in decimal degrees (WGS 84), `elevation` of the take-off in metres above
    sea level, `orientation` as the compass sectors it can be flown in (English: "SW"), `stations` as
    ids ("ffvl:87") in order of preference, `networks_without_station` as those known to have none here.
    `valid_from` opens a new series of the same site, after the take-off moved. `references` are in the
    order of their days; where they say nothing, the first of `stations` is the reference.
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
        """Return the station that scores of a local day are about; None where the site has no station."""
        begun = [each for each in self.references if each.since is None or each.since <= day]
        if begun:
            return begun[-1].station
        return self.stations[0] if self.stations else None


def network_of(station: str) -> str:
    """Return the network of a station id: "ffvl" for "ffvl:87"."""
    return station.partition(":")[0]


def number_of(station: str) -> str:
    """Return the number that the network itself gives a station: "87" for "ffvl:87"."""
    return station.partition(":")[2]


@dataclass(frozen=True, slots=True)
class Station:
    """A beacon that measures; `id` is network and number ("romma:241"), `elevation` in metres.

    `kind` is what its network calls it ("FFVL", "PIOUPIOU"), in capitals, where it says so.
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
        """Return the network that runs it: "ffvl" or "romma"."""
        return network_of(self.id)


@dataclass(frozen=True, slots=True)
class Position:
    """Where a station stood by what its network stated in an answer that came at `time`.

    `since` is the time of the reading that came with it, where there is one: the station stood there then.
    Degrees (WGS 84) and metres above sea level, None where the network states none. `route` is the way it
    came by, where that is not the route of its batch.
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
    """What `model` said in the run of `reference_time` about `parameter` at `site` and `valid_time`.

    `value` in the parameter's unit. A batch has hundreds of thousands of these: they are unknown to the
    garbage collector, which would hold up every thread while it looks at each.
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
    """What `station` measured of `parameter` at `time`; `value` in the parameter's unit."""

    station: str
    parameter: Parameter
    time: datetime
    value: float

    def __post_init__(self) -> None:
        require_utc(self.time)


@dataclass(frozen=True, slots=True)
class Rejected:
    """A value set aside because it cannot be true, with the text it came as.

    `subject` is the station, or the model and site ("arome_0025 planfait"). `reason` starts with a
    short word ("out_of_range", "zero_triplet", "future", "missing_hour") that is counted by.
    """

    subject: str
    parameter: Parameter | None
    time: datetime | None
    raw: str
    reason: str

    @property
    def reason_code(self) -> str:
        """Return the short word that `reason` starts with."""
        return self.reason.partition(":")[0]


@dataclass(frozen=True, slots=True)
class Failure:
    """A request or payload that brought nothing; `url` never holds a key."""

    route: str
    url: str
    reason: str
    error: str


@dataclass(frozen=True, slots=True)
class GridPoint:
    """Where a model answers for a site.

    `cell` names the grid cell in the model's own terms; `model_elevation` is the model's terrain height there
    (metres above sea level) and `height` the level's height above that ground (metres), where stated.
    """

    model: str
    site: str
    cell: str
    model_elevation: float | None = None
    height: float | None = None


@dataclass(frozen=True, slots=True)
class IncompletePart:
    """A part of a run that is not complete for a site, and what is not there.

    `version` names the file that was read, by its size and its stamp: the same file need not be read again.
    It is empty where there is no file yet.
    """

    part: str
    site: str
    reason: str
    version: str = ""


@dataclass(frozen=True, slots=True)
class Outside:
    """A site that a model does not cover, and how that is known."""

    model: str
    site: str
    reason: str


@dataclass(frozen=True, slots=True)
class Run:
    """One run of a model. `available_at` is when its publisher says it could be had.

    Where the publisher does not say, `available_at` is when we first saw it, and `published` is False. In a
    batch that was backfilled it is an estimate then: the publisher's usual delay after the start of the run.
    """

    model: str
    reference_time: datetime
    available_at: datetime
    published: bool

    def __post_init__(self) -> None:
        require_utc(self.reference_time)
        require_utc(self.available_at)


BACKFILLED = "+backfill"
"""What is added to the name of the route of a batch that was fetched from an archive long afterwards."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Batch:
    """What one request or one run brought back, through one route of one source.

    `rank` orders the routes of a source: 0 is the best, and a value that came by a lower rank number
    replaces one that came by a higher. `newest` is the time of the newest data that the source showed,
    new to us or not: the newest complete run, or the newest reading. `collected_at` is when it came.
    `notes` are sentences for the outcome of the source that are no failures.
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
    sites they are complete for, but for those pairs that `incomplete` names: what is complete is not asked
    for again. `versions` names, by part, the file that was read (see IncompletePart). `outside` are sites
    that the model turned out not to cover.
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
        open_ = {(one.part, one.site) for one in self.incomplete}
        return tuple(pair for pair in product(self.parts, self.sites) if pair not in open_)


@dataclass(frozen=True, slots=True, kw_only=True)
class ObservationBatch(Batch):
    """Readings of one answer. `averaging_minutes` and `direction_resolution` (degrees) where known.

    `stations` describes beacons that the answer introduced; `listed` names the network whose whole
    list of stations this was. `positions` are those of all stations in it, known or new.
    `complete_until` says, per station, up to which time every reading that the
    source still has is now in our hands: the next collection asks for what came after.
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
    """What a collection is asked for: the sites, what is already kept, and the time it is.

    `since` is the oldest reference time (forecasts) or reading (observations) still worth fetching.
    `collected` maps (model, reference time, part, site) to the best rank it was kept by, and `incomplete`
    to the version of the file that was read without all values ("" where there was none). `outside` holds
    the (model, site) that were reported as not covered.
    `newest` maps a station to its newest kept reading, `complete_until` to the time up to which nothing is
    lacking (a hole may lie between the two), `stations` an id to what is known of it,
    `listed` a network to when its list of stations was last read, and `cells` (model, site) to the
    grid cell that answered. `model_elevations` holds the (model, site) whose model elevation in that cell
    is stored.
    `until` makes it a backfill: the newest reference time or reading that is wanted of the past.
    `backfilled_days` then maps a station to the days (UTC) that an earlier backfill has brought readings of.
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
        """Return the sites for which this part of a run is not kept by a route of `rank` or better.

        A file of this `version` that was read before without all values has nothing more to give.
        """
        worst = rank + 1

        def lacks(site: Site) -> bool:
            key = (model, reference_time, part, site.id)
            read_before = bool(version) and self.incomplete.get(key) == version
            return not read_before and self.collected.get(key, worst) > rank

        return tuple(site for site in self.sites if lacks(site))

    def known_incomplete(self, model: str, reference_time: datetime, part: str, site: str) -> bool:
        """Say whether this part of a run was reported as incomplete before."""
        return (model, reference_time, part, site) in self.incomplete

    def without_model_elevation(self, model: str, answered: Mapping[str, str]) -> tuple[Site, ...]:
        """Return the sites that `model` answers for and of which the height of its ground is not kept.

        `answered` maps a site to the cell that answered just now: a new cell has a ground of its own.
        """

        def lacks(site: Site) -> bool:
            kept = self.cells.get((model, site.id))
            cell = answered.get(site.id, kept)
            return cell is not None and (cell != kept or (model, site.id) not in self.model_elevations)

        return tuple(site for site in self.sites if lacks(site))

    def mapped_stations(self, network: str) -> tuple[str, ...]:
        """Return the ids of the stations of `network` that speak for a site, each once, in order."""
        prefix = f"{network}:"
        mapped = (station for site in self.sites for station in site.stations if station.startswith(prefix))
        return tuple(dict.fromkeys(mapped))


IMPORTED = "import"
"""In place of a source: what came from a file. Of nothing else are the publisher's terms unknown."""

SourceStatus = Literal["success", "partial", "nothing_new", "stale", "failed", "disabled"]
RunStatus = Literal[
    "running", "success", "partial", "nothing_new", "failed", "missed", "interrupted", "cancelled"
]

WELL = frozenset[str]({"success", "nothing_new"})
"""The statuses of a run or a source without any failure."""
