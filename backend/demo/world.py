"""The world that the stand-in upstreams share: its weather, its time, its sites and its faults.

What is served depends on the seed, the time and the request, and on nothing else.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from backend.core.clock import require_utc, utc_now
from backend.core.records import Site
from backend.core.sites import load_sites
from backend.demo.faults import Counter, Fault
from backend.demo.weather import DAY, AbsurdWeather, Weather

SITES_FILE = Path(__file__).parent / "sites.toml"

UPSTREAMS = (
    "meteo_parapente",
    "arome",
    "meteofrance_api",
    "open_meteo",
    "open_meteo_single_runs",
    "ffvl",
    "winds_mobi",
    "balisemeteo",
    "romma",
)
"""Every host we stand in for, named as its setting is: "arome" answers at `AROME_URL`."""

ACCEPTED_KEYS = {
    "meteofrance_api_key": "demo-meteofrance",
    "ffvl_api_key": "demo-ffvl",
    "romma_key": "demo-romma",
}
"""The keys the stand-ins accept, by setting. They open nothing anywhere else."""

_STALE_SECONDS = 2 * DAY


@dataclass(frozen=True, slots=True)
class View:
    """What an upstream knows when it is asked: the time (seconds since 1970, UTC) and the weather."""

    now: float
    weather: Weather
    sites: tuple[Site, ...]

    def nearest(self, latitude: float, longitude: float) -> Site:
        """Return the site at this place, or an unnamed one where there is none within about 500 m."""
        for site in self.sites:
            if abs(site.latitude - latitude) < 0.005 and abs(site.longitude - longitude) < 0.005:
                return site
        place = f"{latitude:.2f},{longitude:.2f}"
        return Site(place, place, latitude, longitude, elevation=800.0)


class World:
    """The state behind the stand-ins. Only the clock, the faults and the counters ever change."""

    def __init__(self, seed: int, *, sites: tuple[Site, ...] = (), now: datetime | None = None) -> None:
        self.seed = seed
        self.sites = sites or load_sites(SITES_FILE)
        self.counters = {name: Counter() for name in UPSTREAMS}
        self._weather = Weather(seed)
        self._absurd = AbsurdWeather(seed)
        self._faults: dict[str, Fault] = {}
        self._now: float | None = None
        self.set_clock(now)

    def set_clock(self, now: datetime | None) -> None:
        """Stop the time at `now` (aware, UTC), or let it run with the system's."""
        self._now = None if now is None else require_utc(now).timestamp()

    def now(self) -> float:
        """Return the simulated time as seconds since 1970, in UTC."""
        return utc_now().timestamp() if self._now is None else self._now

    def set_faults(self, faults: dict[str, str | None]) -> None:
        """Switch a fault on, or off with None; raise ValueError for an unknown upstream or fault."""
        wanted = {name: Fault(fault) if fault is not None else None for name, fault in faults.items()}
        unknown = wanted.keys() - set(UPSTREAMS)
        if unknown:
            raise ValueError(f"{min(unknown)!r} is no upstream: choose from {', '.join(UPSTREAMS)}")
        for name, fault in wanted.items():
            if fault is None:
                self._faults.pop(name, None)
            else:
                self._faults[name] = fault

    def faults(self) -> dict[str, Fault]:
        """Return what is switched on."""
        return dict(self._faults)

    def fault(self, upstream: str) -> Fault | None:
        """Return what this upstream suffers from."""
        return self._faults.get(upstream)

    def view(self, upstream: str) -> View:
        """Return the world as this upstream sees it now: late when it is stale, mad when it is absurd."""
        fault = self.fault(upstream)
        return View(
            now=self.now() - (_STALE_SECONDS if fault is Fault.STALE else 0.0),
            weather=self._absurd if fault is Fault.ABSURD else self._weather,
            sites=self.sites,
        )

    def site(self, site_id: str) -> Site | None:
        """Return the site of this id."""
        return next((site for site in self.sites if site.id == site_id), None)


def utc(seconds: float) -> datetime:
    """Return seconds since 1970 as an aware time in UTC."""
    return datetime.fromtimestamp(seconds, UTC)
