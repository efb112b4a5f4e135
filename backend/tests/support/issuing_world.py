"""A small world in which forecasts are issued day by day: two models, one or two beacons, known errors."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import numpy as np

from backend.core.issued import Audience, IssuedForecast
from backend.core.local_time import date_of, day_number, local_moment
from backend.core.parameters import Parameter
from backend.core.records import (
    Forecast,
    ForecastBatch,
    Observation,
    ObservationBatch,
    Position,
    Reference,
    Run,
    Site,
    network_of,
)
from backend.forecast.directions import LEAST_SPEED
from backend.issuing.issue import Issuer
from backend.storage.database import Database
from backend.storage.issued import issued_forecasts
from backend.storage.issued_batches import store_issued_batch
from backend.storage.store import Store
from backend.tests.support.stores import open_database

FIRST = day_number(date(2026, 6, 1))
EVENING, TOMORROW = 19, 3
"""The hour of the decision that the world makes each day, and the view that it serves."""

NORTH = 355.0
"""Where the wind comes from, in degrees."""

TURNS = {"arome": 30.0, "icon": 10.0}
"""How far the models are turned from it, in degrees clockwise."""

SITES = (
    Site("planfait", "Planfait", 45.85, 6.22, 950.0, ("W",), ("ffvl:1", "romma:9")),
    Site("passy", "Passy", 45.93, 6.71, 1350.0, ("S",), ("ffvl:2",)),
)


@dataclass(frozen=True)
class Hidden:
    models: dict[str, str] = field(default_factory=dict)
    networks: frozenset[str] = frozenset()


def at(day: int, hour: int, minute: int = 0) -> datetime:
    """Return a local time of a day as UTC."""
    return datetime.fromtimestamp(local_moment(day, hour) + 60 * minute, UTC)


@dataclass
class IssuingWorld:
    """The store of the world; `now` is its clock. `step` plays a day up to and with its evening decision."""

    database: Database
    sites: tuple[Site, ...] = SITES
    hidden: Hidden = field(default_factory=Hidden)
    now: datetime = datetime(2026, 6, 1, 17, tzinfo=UTC)
    models: tuple[str, ...] = ("arome", "icon")

    def __post_init__(self) -> None:
        self.store = Store(self.database)
        self.store.save_sites(self.sites)
        self.issuer = Issuer(
            database=self.database,
            sites=lambda: self.sites,
            withheld=lambda: self.hidden,
            clock=lambda: self.now,
        )

    def copied(self, path: Path) -> IssuingWorld:
        """Return a new world whose SQLite store, at `path`, is a copy of the store of this one."""
        with closing(self.database.engine.raw_connection()) as connection:
            connection.cursor().execute("VACUUM INTO ?", (str(path),))
        return IssuingWorld(open_database(f"sqlite:///{path}"))

    def weather(self, site: str, day: int) -> list[float]:
        """Return the true wind of each hour o'clock of a day in km/h, whole tenths."""
        rng = np.random.default_rng([day, len(site)])
        return [float(value) for value in np.round(14 + 6 * rng.random(24) + rng.normal(0, 2), 1)]

    def announce(
        self,
        run: datetime,
        day: int,
        available: datetime | None = None,
        shift: float = 0.0,
        models: Sequence[str] | None = None,
    ) -> None:
        """Store runs of the models for a local day: 4 km/h above and 3 below the weather, turned by TURNS."""
        for name in models or self.models:
            bias = {"arome": 4.0, "icon": -3.0}.get(name, 0.0) + shift
            turned = (NORTH + TURNS.get(name, 0.0)) % 360
            records = []
            for site in self.sites:
                rng = np.random.default_rng([day, len(site.id), len(name)])
                for hour, wind in enumerate(self.weather(site.id, day)):
                    value = max(wind + bias + float(np.round(rng.normal(0, 1), 1)), 0.0)
                    for parameter, factor in ((Parameter.WIND_SPEED, 1.0), (Parameter.WIND_GUST, 1.5)):
                        records.append(
                            Forecast(name, site.id, parameter, run, at(day, hour), round(value * factor, 3))
                        )
                    records.append(
                        Forecast(name, site.id, Parameter.WIND_DIRECTION, run, at(day, hour), turned)
                    )
            self.store.add_forecasts(
                ForecastBatch(
                    source=name,
                    route="test",
                    rank=0,
                    collected_at=available or run + timedelta(hours=3),
                    run=Run(name, run, available or run + timedelta(hours=3), published=True),
                    parts=(f"{day}",),
                    sites=tuple(site.id for site in self.sites),
                    records=tuple(records),
                )
            )

    def measure(self, day: int, hours: Sequence[int], came: datetime, value: float | None = None) -> None:
        """Store the readings of some hours o'clock, that came at a moment; `value` replaces the weather."""
        records = []
        for site in self.sites:
            weather = self.weather(site.id, day)
            for station in site.stations:
                for hour in hours:
                    wind = weather[hour] if value is None else value
                    for minute in (0, 30):
                        time = at(day, hour, minute) + timedelta(minutes=5)
                        records.append(Observation(station, Parameter.WIND_SPEED, time, wind))
                        records.append(Observation(station, Parameter.WIND_GUST, time, round(wind * 1.5, 3)))
                        vane = NORTH if wind >= LEAST_SPEED else 180.0  # in light wind it turns at random
                        records.append(Observation(station, Parameter.WIND_DIRECTION, time, vane))
        for network in {record.station.partition(":")[0] for record in records}:
            self.store.add_observations(
                ObservationBatch(
                    source=network,
                    route="test",
                    rank=0,
                    collected_at=came,
                    records=tuple(record for record in records if record.station.startswith(network)),
                )
            )

    def place(self, station: str, moment: datetime, latitude: float, route: str = "test") -> None:
        """Store an answer that states where a station stands."""
        self.store.add_observations(
            ObservationBatch(
                source=network_of(station),
                route=route,
                rank=0,
                collected_at=moment,
                positions=(Position(station, moment, latitude, 6.22),),
            )
        )

    def collect(self, day: int) -> None:
        """Store what comes on a day up to 18:45: the run for tomorrow, the readings since yesterday 19:00."""
        self.announce(at(day, 14), day + 1)
        if day > FIRST:
            self.measure(day - 1, range(19, 24), at(day, 8))
        self.measure(day, range(18), at(day, 18, 45))

    def issue(self, day: int, late: timedelta = timedelta(seconds=5)) -> int:
        """Issue for the evening of a day; return how many forecasts are new."""
        decision = at(day, EVENING)
        self.now = decision + late
        return sum(store_issued_batch(self.database, batch) for batch in list(self.issuer.batches(decision)))

    def days(self, first: int, count: int, between: Callable[[int], None] | None = None) -> None:
        """Play some days, each with its evening decision."""
        for day in range(first, first + count):
            self.collect(day)
            if between is not None:
                between(day)
            self.issue(day)

    def issued(self, day: int, audience: Audience = "public", site: str = "planfait") -> list[IssuedForecast]:
        """Return what was issued for a local day."""
        with self.database.read() as connection:
            return issued_forecasts(connection, [site], audience=audience, view=TOMORROW, first=day, last=day)

    def change_reference(self, site: str, station: str, since: int) -> None:
        """Make another station the reference of a site from a local day on."""
        self.sites = tuple(
            replace(one, references=(Reference(station, date_of(since)),)) if one.id == site else one
            for one in self.sites
        )
        self.store.save_sites(self.sites)
