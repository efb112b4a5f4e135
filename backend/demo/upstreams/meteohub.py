"""MeteoHub: ICON-2I in folders that Apache lists, one file for each field with all hours of a run.

The folder of a run appears with its first file; the other files follow over 45 minutes.
"""

from __future__ import annotations

import math
from collections import OrderedDict
from collections.abc import Iterable
from datetime import datetime, timedelta
from email.utils import format_datetime
from hashlib import md5
from html import escape

from starlette.requests import Request
from starlette.responses import HTMLResponse, Response
from starlette.routing import Route, Router

from backend.demo.faults import ErrorPage, Fault, spoiled_by
from backend.demo.grib import (
    FIELDS,
    GUSTS,
    TEMPERATURE,
    WIND_EAST,
    Field,
    Writer,
    parts,
    renumbered,
    replace_values,
)
from backend.demo.weather import HOUR
from backend.demo.world import View, World, utc

GRID = "icon_2i"
DAYS = 4
CYCLE = 12 * HOUR

_GROUND = "HSURF"
_EAST, _NORTH, _WARMTH, _GUST = FIELDS[GRID]
_FILES = {"T_2M": _WARMTH, "U_10M": _EAST, "VMAX_10M": _GUST, "V_10M": _NORTH}
_OTHERS = ("CLCT", "FR_LAND", "PMSL", "TOT_PREC")
_LEVELS = {"T_2M": "heightAboveGround-2", "PMSL": "meanSea-0"}
_MINUTES = {_GROUND: 105, "T_2M": 115, "U_10M": 125, "VMAX_10M": 135, "V_10M": 145}

# Under these faults a file has another field than its folder: a mean, a dew point, a mean again.
_OTHER_NUMBER = {
    Fault.MISSING_FIELDS: (WIND_EAST, 201),
    Fault.NO_TEMPERATURE: (TEMPERATURE, 6),
    Fault.NO_GUSTS: (GUSTS[-1], 1),
}
_IN_FILES = {*_OTHER_NUMBER, Fault.ABSURD, Fault.FUTURE, Fault.NAN}
_CACHED = 64  # files

EXAMPLE = "/"
"""A request (path and query) that is answered with data."""

spoil = spoiled_by({Fault.MISSING_FIELDS: (rb'href="', b'data="')})


class _Folders:
    def __init__(self, world: World) -> None:
        self._world = world
        self._writer: Writer | None = None
        self._bodies: OrderedDict[tuple[datetime, str, Fault | None], bytes] = OrderedDict()

    async def root(self, _: Request) -> Response:
        view = self._world.view("meteohub")
        return _page("", ((f"{run:%Y%m%d%H}/", run, "-") for run in _runs(view)))

    async def run(self, request: Request) -> Response:
        view = self._world.view("meteohub")
        run = _run(view, request)
        if run is None:
            return _not_found()
        names = sorted((*(name for name in _MINUTES if _published(run, name) <= utc(view.now)), *_OTHERS))
        return _page(f"/{run:%Y%m%d%H}", ((f"{name}/", run, "-") for name in names))

    async def folder(self, request: Request) -> Response:
        view, folder = self._world.view("meteohub"), request.path_params["folder"]
        run = _run(view, request)
        if run is None or folder not in _MINUTES or _published(run, folder) > utc(view.now):
            return _not_found()
        size = f"{len(self._body(view, run, folder)) / 1e6:.1f}M"
        # A file that is replaced later has another stamp: the sizes here are too coarse to differ.
        early = timedelta(minutes=view.fault in _IN_FILES)
        rows = [(_name(run, folder), _published(run, folder) - early, size)]
        return _page(f"/{run:%Y%m%d%H}/{folder}", rows)

    async def file(self, request: Request) -> Response:
        view, folder = self._world.view("meteohub"), request.path_params["folder"]
        run = _run(view, request)
        if run is None or folder not in _MINUTES or request.path_params["name"] != _name(run, folder):
            return _not_found()
        if _published(run, folder) > utc(view.now):
            return _not_found()
        body = self._body(view, run, folder)
        headers = {
            "Last-Modified": format_datetime(_published(run, folder), usegmt=True),
            "ETag": f'"{md5(body, usedforsecurity=False).hexdigest()}"',
        }
        return Response(body, media_type="application/octet-stream", headers=headers)

    def _body(self, view: View, run: datetime, folder: str) -> bytes:
        fault = view.fault if view.fault in _IN_FILES else None
        key = (run, folder, fault)
        if key not in self._bodies:
            self._bodies[key] = self._compose(view, run, folder)
            if len(self._bodies) > _CACHED:
                self._bodies.popitem(last=False)
        return self._bodies[key]

    def _compose(self, view: View, run: datetime, folder: str) -> bytes:
        if self._writer is None:
            self._writer = Writer(GRID, self._world.sites)
        start = run + timedelta(seconds=view.ahead)
        if folder == _GROUND:
            return self._writer.compose_ground(start, (0,))
        steps = next(iter(parts(GRID).values()))
        field: Field = _FILES[folder]
        body = self._writer.compose(view.weather, start, steps, field)
        if view.fault is Fault.NAN:
            return replace_values(body, WIND_EAST, math.nan)
        if view.fault in _OTHER_NUMBER:
            return renumbered(body, *_OTHER_NUMBER[view.fault])
        return body


def _runs(view: View) -> list[datetime]:
    newest = int(view.now // CYCLE * CYCLE)
    starts = range(newest, int(view.now - DAYS * 24 * HOUR), -int(CYCLE))
    runs = (utc(start) for start in starts)
    return [run for run in runs if _published(run, _GROUND) <= utc(view.now)][::-1]


def _run(view: View, request: Request) -> datetime | None:
    """Return the run of a request, if it is listed."""
    return next((run for run in _runs(view) if f"{run:%Y%m%d%H}" == request.path_params["run"]), None)


def _published(run: datetime, folder: str) -> datetime:
    return run + timedelta(minutes=_MINUTES[folder])


def _name(run: datetime, folder: str) -> str:
    wind = "heightAboveGround-10" if folder.endswith("_10M") else "surface-0"
    return f"ICON_2I_SURFACE_PRESSURE_LEVELS_{run:%Y%m%d%H}_{_LEVELS.get(folder, wind)}.grib"


def _page(path: str, rows: Iterable[tuple[str, datetime, str]]) -> Response:
    """Return a page as Apache lists a folder; its times have no zone."""
    title = f"Index of /nwp/ICON-2I_SURFACE_PRESSURE_LEVELS{path}"
    lines = "".join(
        f'<tr><td valign="top"><img src="/icons/unknown.gif" alt="[   ]"></td>'
        f'<td><a href="{escape(name)}">{escape(name)}</a></td>'
        f'<td align="right">{stamp:%Y-%m-%d %H:%M}  </td><td align="right">{size}</td><td>&nbsp;</td></tr>\n'
        for name, stamp, size in rows
    )
    return HTMLResponse(
        '<!DOCTYPE HTML PUBLIC "-//W3C//DTD HTML 3.2 Final//EN">\n'
        f"<html>\n <head>\n  <title>{title}</title>\n </head>\n <body>\n<h1>{title}</h1>\n  <table>\n"
        '   <tr><th valign="top"><img src="/icons/blank.gif" alt="[ICO]"></th>'
        '<th><a href="?C=N;O=D">Name</a></th><th><a href="?C=M;O=A">Last modified</a></th>'
        '<th><a href="?C=S;O=A">Size</a></th><th><a href="?C=D;O=A">Description</a></th></tr>\n'
        '<tr><td valign="top"><img src="/icons/back.gif" alt="[PARENTDIR]"></td>'
        '<td><a href="/nwp/">Parent Directory</a></td><td>&nbsp;</td><td align="right">  - </td></tr>\n'
        f"{lines}</table>\n</body></html>\n"
    )


def _not_found() -> Response:
    page = "<html><head><title>404 Not Found</title></head><body><h1>Not Found</h1></body></html>"
    return HTMLResponse(page, 404)


def app(world: World) -> Router:
    """Return the upstream."""
    folders = _Folders(world)
    return Router(
        [
            Route("/", folders.root),
            Route("/{run}/", folders.run),
            Route("/{run}/{folder}/", folders.folder),
            Route("/{run}/{folder}/{name}", folders.file),
        ]
    )


def error_page() -> ErrorPage:
    """Return an error page with status 200."""
    page = b"<html><head><title>503 Service Unavailable</title></head><body>Proxy Error</body></html>"
    return page, "text/html"
