"""The world that the stand-in upstreams share: weather, time, sites and faults.

The answers depend only on the seed, the time and the request.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, timezone

from backend.core.clock import PARIS, require_utc, utc_now
from backend.core.config import ADDRESS_SETTINGS, KEY_SETTINGS
from backend.core.records import Site
from backend.core.sites import load_sites
from backend.demo.faults import Counter, Fault
from backend.demo.store import SITES_FILE
from backend.demo.weather import DAY, AbsurdWeather, Weather

UPSTREAMS = tuple(setting.removesuffix("_url") for setting in ADDRESS_SETTINGS)
"""Every upstream with a stand-in, named after its setting: "arome" is served at `AROME_URL`."""

ACCEPTED_KEYS = {
    setting: f"demo-{setting.removesuffix('_key').removesuffix('_api')}" for setting in KEY_SETTINGS
}
"""The keys that the stand-ins accept, by setting. They are valid nowhere else."""

_STALE_SECONDS = 2 * DAY
_AHEAD_SECONDS = DAY
_LATE_CHANGE = timedelta(hours=1)

_address: ContextVar[str] = ContextVar("address", default="")


@dataclass(frozen=True, slots=True)
class View:
    """The world at a request: time (seconds since 1970, UTC), weather and sites.

    `fault` is the upstream's fault; `now` and `weather` include its effects.
    """

    now: float
    weather: Weather
    sites: tuple[Site, ...]
    fault: Fault | None = None

    @property
    def ahead(self) -> float:
        """Return by how many seconds the times of its data are ahead."""
        return _AHEAD_SECONDS if self.fault is Fault.FUTURE else 0.0

    def nearest(self, latitude: float, longitude: float) -> Site:
        """Return the site at this place, or an unnamed one if there is none within about 500 m."""
        for site in self.sites:
            if abs(site.latitude - latitude) < 0.005 and abs(site.longitude - longitude) < 0.005:
                return site
        place = f"{latitude:.2f},{longitude:.2f}"
        return Site(place, place, latitude, longitude, elevation=800.0)

    def paris(self, seconds: float) -> datetime:
        """Return a time on the clocks of beacons: Paris time, unless the fault delays their change."""
        moment = utc(seconds)
        if self.fault is not Fault.MISSING_HOUR:
            return moment.astimezone(PARIS)
        offset = (moment - _LATE_CHANGE).astimezone(PARIS).utcoffset()
        return moment.astimezone(timezone(offset or timedelta()))


@dataclass(frozen=True, slots=True)
class Strike:
    """A fault, and the text that an address (path and query) must contain for it to apply."""

    fault: Fault
    only: str = ""

    @classmethod
    def parse(cls, text: str) -> Strike:
        """Read "hang", or "hang@balise.php"; raise ValueError for an unknown fault."""
        fault, _, only = text.partition("@")
        return cls(Fault(fault), only)

    def __str__(self) -> str:
        return f"{self.fault}@{self.only}" if self.only else self.fault


class World:
    """The state of the stand-ins. Only the clock, the faults and the counters change."""

    def __init__(self, seed: int, *, sites: tuple[Site, ...] = (), now: datetime | None = None) -> None:
        self.seed = seed
        self.sites = sites or load_sites(SITES_FILE)
        self.counters = {name: Counter() for name in UPSTREAMS}
        self._weather = Weather(seed)
        self._absurd = AbsurdWeather(seed)
        self._strikes: dict[str, Strike] = {}
        self._now: float | None = None
        self.set_clock(now)

    def set_clock(self, now: datetime | None) -> None:
        """Stop the time at `now` (aware, UTC); None: follow the system's."""
        self._now = None if now is None else require_utc(now).timestamp()

    def now(self) -> float:
        """Return the simulated time as seconds since 1970, in UTC."""
        return utc_now().timestamp() if self._now is None else self._now

    def set_faults(self, faults: Mapping[str, str | None]) -> None:
        """Switch a fault on, or off with None; raise ValueError for an unknown upstream or fault.

        "hang@balise.php" applies only to requests whose path and query contain the text after the @.
        """
        strikes = {name: None if text is None else Strike.parse(text) for name, text in faults.items()}
        unknown = strikes.keys() - set(UPSTREAMS)
        if unknown:
            raise ValueError(f"{min(unknown)!r} is no upstream: choose from {', '.join(UPSTREAMS)}")
        for name, strike in strikes.items():
            if strike is None:
                self._strikes.pop(name, None)
            else:
                self._strikes[name] = strike

    def faults(self) -> dict[str, str]:
        """Return the faults that are switched on, by upstream."""
        return {name: str(strike) for name, strike in self._strikes.items()}

    def refuses(self, upstream: str) -> bool:
        """True if the port of this upstream is closed."""
        return self._strikes.get(upstream) == Strike(Fault.REFUSE)

    @contextmanager
    def answering(self, address: str) -> Iterator[None]:
        """Set the address (path and query) of the current request for as long as the context lasts."""
        token = _address.set(address)
        try:
            yield
        finally:
            _address.reset(token)

    def fault(self, upstream: str) -> Fault | None:
        """Return the fault of this upstream for the current request."""
        strike = self._strikes.get(upstream)
        return strike.fault if strike and strike.only in _address.get() else None

    def view(self, upstream: str) -> View:
        """Return the world of this upstream, with its time and weather changed by its fault."""
        fault = self.fault(upstream)
        shift = {Fault.STALE: -_STALE_SECONDS, Fault.FUTURE: _AHEAD_SECONDS}
        return View(
            now=self.now() + (shift.get(fault, 0.0) if fault else 0.0),
            weather=self._absurd if fault is Fault.ABSURD else self._weather,
            sites=self.sites,
            fault=fault,
        )

    def site(self, site_id: str) -> Site | None:
        """Return the site of this id."""
        return next((site for site in self.sites if site.id == site_id), None)


def utc(seconds: float) -> datetime:
    """Return seconds since 1970 as an aware time in UTC."""
    return datetime.fromtimestamp(seconds, UTC)
