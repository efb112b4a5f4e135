"""The world of the bench: sites, stand-ins with latency, and the service on a store of its own."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from hashlib import blake2b
from pathlib import Path
from typing import Any

import httpx2

from backend import demo
from backend.core.config import Settings
from backend.demo.process import Upstreams
from backend.main import Service
from backend.scheduler.config import SchedulerConfig
from backend.tests.support.worlds import HandClock
from proofs.bench.processes import PATIENCE_SECONDS

NOW = datetime.fromisoformat("2026-11-23T06:00:00Z")
RUN = NOW.replace(hour=0)  # the one complete AROME run within seven hours
LATENCY_SECONDS = 0.05
FFVL_STATIONS, ROMMA_STATIONS = 200, 100  # about as many as in reality; many sites share one
MOST_SITES = 1000

_SITE = """
[[sites]]
id = "site-{index}"
name = "Site {index}"
latitude = {latitude:.4f}
longitude = {longitude:.4f}
elevation = {elevation}
orientation = ["S"]
stations = ["ffvl:{ffvl}", "romma:{romma}"]
"""


def write_sites(folder: Path, count: int) -> Path:
    """Write a sites file with the first `count` of the bench's sites, some 4 km apart in the Alps."""
    path = folder / f"sites-{count}.toml"
    path.write_text(
        "".join(
            _SITE.format(
                index=index,
                latitude=44.0 + 0.071 * (index % 32),
                longitude=5.5 + 0.061 * (index // 32),
                elevation=600 + index,
                ffvl=10_001 + index % FFVL_STATIONS,
                romma=20_001 + index % ROMMA_STATIONS,
            )
            for index in range(count)
        )
    )
    return path


@asynccontextmanager
async def upstreams(work: Path, *, full_grid: bool) -> AsyncIterator[Upstreams]:
    """Give the stand-ins, for all sites, with the files of the AROME run composed beforehand."""
    sites = write_sites(work, MOST_SITES)
    files = work / f"arome-{_digest(sites)}-{'full' if full_grid else 'cut'}"
    files.mkdir(exist_ok=True)
    standing_in = Upstreams(
        now=NOW, sites=sites, full_grid=full_grid, files=files, latency=LATENCY_SECONDS, deadline=600
    )
    async with standing_in:
        async with httpx2.AsyncClient(trust_env=False, timeout=PATIENCE_SECONDS) as client:
            url = standing_in.environment["arome_url"]
            prefix = f"pnt/{RUN:%Y-%m-%dT%H:%M:%SZ}/arome/0025/"
            (await client.get(f"{url}/?list-type=2&prefix={prefix}")).raise_for_status()
        yield standing_in


def arome_files(work: Path, *, full_grid: bool) -> list[Path]:
    """Return the composed files of the run."""
    folder = work / f"arome-{_digest(write_sites(work, MOST_SITES))}-{'full' if full_grid else 'cut'}"
    return sorted(folder.glob(f"arome__0025__SP1__*__{RUN:%Y-%m-%d}*.grib2"))


def _digest(sites: Path) -> str:
    """Return a digest of the files that the composed GRIB files depend on."""
    folder = Path(demo.__file__).parent
    parts = [sites, *(folder / name for name in ("grib.py", "weather.py", "noise.py"))]
    return blake2b(b"".join(path.read_bytes() for path in parts), digest_size=4).hexdigest()


def make_service(
    folder: Path,
    environment: dict[str, Any],
    sites: Path,
    *,
    now: datetime = NOW,
    lookback: timedelta = timedelta(hours=7),
    **settings: Any,
) -> Service:
    """Return the service as it is installed, on a durable store in `folder`, with its clock at `now`."""
    given = {
        **environment,
        "sites_file": sites,
        "database_url": f"sqlite:///{folder / 'store.sqlite3'}",
        "data_dir": folder,
        "admin_token": "bench",
        "log_level": "WARNING",
        **settings,
    }
    hours = round(lookback.total_seconds() / 3600)
    config = SchedulerConfig.load(
        scheduler_enabled=False, forecast_lookback_hours=hours, observation_lookback_hours=hours
    )
    return Service.make(Settings.load(**given), config, HandClock(now))
