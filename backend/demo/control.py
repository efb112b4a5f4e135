"""The control port: set the time and the faults, read the counts and the truth."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import asdict
from datetime import datetime

import msgspec
import numpy as np
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route, Router

from backend.demo.weather import Weather
from backend.demo.world import World, utc


class _Clock(msgspec.Struct, forbid_unknown_fields=True):
    now: datetime | None


class _Control:
    def __init__(self, world: World, heed_faults: Callable[[], Awaitable[None]] | None) -> None:
        self._world = world
        self._heed_faults = heed_faults

    async def set_clock(self, request: Request) -> Response:
        """Set the simulated time; null: follow the system's."""
        try:
            self._world.set_clock(msgspec.json.decode(await request.body(), type=_Clock).now)
        except ValueError as error:  # msgspec's errors are ValueErrors too
            return _refused(error)
        return JSONResponse({"now": utc(self._world.now()).isoformat()})

    async def set_faults(self, request: Request) -> Response:
        """Switch faults on or off (null); other upstreams keep theirs."""
        try:
            faults = msgspec.json.decode(await request.body(), type=dict[str, str | int | None])
            self._world.set_faults(
                {name: None if fault is None else str(fault) for name, fault in faults.items()}
            )
        except ValueError as error:
            return _refused(error)
        if self._heed_faults is not None:
            await self._heed_faults()
        return JSONResponse(self._world.faults())

    async def counts(self, _: Request) -> Response:
        return JSONResponse({name: asdict(counter) for name, counter in self._world.counters.items()})

    async def truth(self, request: Request) -> Response:
        """Return the true weather of a site at a time."""
        site = self._world.site(request.query_params.get("site", ""))
        if site is None:
            return JSONResponse({"error": "no such site"}, 404)
        try:
            moment = datetime.fromisoformat(request.query_params.get("time", ""))
        except ValueError as error:
            return _refused(error)
        values = Weather(self._world.seed).truth(site, np.array([moment.timestamp()]))
        return JSONResponse(
            {
                "site": site.id,
                "time": moment.isoformat(),
                "wind_speed": float(values.speed[0]),
                "wind_gust": float(values.gust[0]),
                "wind_direction": float(values.direction[0]),
                "temperature": float(values.temperature[0]),
            }
        )


def _refused(error: ValueError) -> Response:
    return JSONResponse({"error": str(error)}, 400)


def app(world: World, heed_faults: Callable[[], Awaitable[None]] | None = None) -> Router:
    """Return the control port; it awaits `heed_faults`, if given, after each change of faults."""
    control = _Control(world, heed_faults)
    return Router(
        [
            Route("/clock", control.set_clock, methods=["PUT"]),
            Route("/faults", control.set_faults, methods=["PUT"]),
            Route("/counts", control.counts),
            Route("/truth", control.truth),
        ]
    )
