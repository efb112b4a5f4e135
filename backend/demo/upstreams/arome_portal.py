"""Météo-France's portal: the same files as packages, with links to them, for holders of a key."""

from __future__ import annotations

import re

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route, Router

from backend.demo.arome import GROUNDS, PACKAGE, PORTAL_DAYS, Archive, File, stamp
from backend.demo.faults import ErrorPage, Fault, spoiled_by
from backend.demo.upstreams import meteofrance
from backend.demo.world import ACCEPTED_KEYS, World

_PORTAL = "meteofrance_api"
_BASE = "/previnum/DPPaquetAROME/v1/models/AROME/grids"
_GRID_OF = {"0.01": "001", "0.025": "0025"}
_TIME = re.compile(r"\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}Z")

spoil = spoiled_by(
    {
        Fault.MISSING_FIELDS: (rb'"href":"[^"]*",|"ff":[^,}]*,', b""),
        Fault.NO_TEMPERATURE: (rb'"t":[^,}]*,', b""),
        Fault.MOVED: (rb'("lat":)4', rb"\g<1>3"),
        Fault.ODD_ROW: (rb"\A\[(?={)", rb"\g<0>null,"),
        Fault.NAN: (rb'("ff":)[^,}]*', rb"\1NaN"),
    }
)


class _Portal:
    def __init__(self, world: World, archive: Archive) -> None:
        self._world = world
        self._archive = archive

    async def grids(self, request: Request) -> Response:
        return self._refusal(request) or _links(request, {f"{_BASE}/{grid}": grid for grid in _GRID_OF})

    async def packages(self, request: Request) -> Response:
        if refusal := self._refusal(request):
            return refusal
        names = _packages(_GRID_OF[request.path_params["grid"]])
        return _links(request, {f"{request.url.path}/{name}": name for name in names})

    async def package(self, request: Request) -> Response:
        """Answer with the runs, or with the steps of the requested run."""
        if refusal := self._refusal(request):
            return refusal
        run = request.query_params.get("referencetime")
        base = request.url.path
        files = self._served(request)
        if run is None:
            stamps = sorted({stamp(file.run) for file in files})
            return _links(request, {f"{base}?referencetime={each}": each for each in stamps})
        return _links(
            request,
            {
                f"{base}/productARO?referencetime={run}&time={file.part}&format=grib2": file.part
                for file in files
                if stamp(file.run) == run
            },
        )

    async def product(self, request: Request) -> Response:
        if refusal := self._refusal(request):
            return refusal
        query = request.query_params
        if not _TIME.fullmatch(query.get("referencetime", "")) or query.get("format") != "grib2":
            return _problem(400, "paramètre invalide")
        for file in self._served(request):
            if (stamp(file.run), file.part) == (query["referencetime"], query.get("time")):
                body = self._archive.body(self._world.view(_PORTAL), file)
                return Response(body, media_type="application/octet-stream")
        return _problem(404, "donnée indisponible")

    def _served(self, request: Request) -> list[File]:
        requested = _GRID_OF[request.path_params["grid"]], request.path_params["package"]
        now = self._world.view(_PORTAL).now
        published = self._archive.published(now, PORTAL_DAYS)
        return [file for file in published if (file.grid, file.package) == requested]

    def _refusal(self, request: Request) -> Response | None:
        if request.method == "HEAD":
            return _problem(405, "Method not allowed")
        if request.headers.get("apikey") != ACCEPTED_KEYS["meteofrance_api_key"]:
            return _problem(401, "Invalid Credentials")
        grid = _GRID_OF.get(request.path_params.get("grid", "0.01"))
        if grid is None or request.path_params.get("package", PACKAGE) not in _packages(grid):
            return _problem(404, "No matching resource found for given API Request")
        return None


def _packages(grid: str) -> tuple[str, str]:
    return PACKAGE, GROUNDS[grid][0]


def _problem(status: int, message: str) -> Response:
    return JSONResponse({"code": str(status), "message": message}, status)


def _links(request: Request, links: dict[str, str]) -> Response:
    base = str(request.base_url).rstrip("/")
    others = [{"href": base + path, "title": title} for path, title in links.items()]
    for link in others:
        if "&time=" in link["href"]:
            link["time"] = link["title"]
    return JSONResponse({"links": [{"rel": "self", "href": str(request.url)}, *others]})


def app(world: World, archive: Archive) -> Router:
    """Return the portal."""
    portal = _Portal(world, archive)
    return Router(
        [
            Route(_BASE, portal.grids),
            Route(_BASE + "/{grid}/packages", portal.packages),
            Route(_BASE + "/{grid}/packages/{package}", portal.package),
            Route(_BASE + "/{grid}/packages/{package}/productARO", portal.product),
            *meteofrance.routes(world),
        ]
    )


def error_page() -> ErrorPage:
    """Return a 200 without a GRIB."""
    return b'{"code": "900800", "message": "Service unavailable"}', "application/json"
