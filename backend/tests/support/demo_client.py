"""Asks the stand-in upstreams, and reads what they answer, without any code of the collectors."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from importlib import import_module
from typing import Any

import eccodes
import httpx2
from lxml import etree

from backend.demo.server import upstream_apps
from backend.demo.world import ACCEPTED_KEYS, UPSTREAMS, World

NOON = datetime(2026, 7, 15, 12, 30, tzinfo=UTC)
FFVL = "/api/?base=balises&mode=json&key=demo-ffvl"
PORTAL = "/previnum/DPPaquetAROME/v1/models/AROME/grids"
APIKEY = {"apikey": ACCEPTED_KEYS["meteofrance_api_key"]}
SINGLE_RUN = (
    "/v1/forecast?latitude=45.857&longitude=6.224&models=meteofrance_arome_france_hd"
    "&hourly=wind_speed_10m,wind_direction_10m,wind_gusts_10m,temperature_2m&forecast_days=3"
)
# A request to each upstream that is answered with data. A stand-in with a module of its own states it there.
ASK = {
    "arome": "/?list-type=2&prefix=pnt/2026-07-15T06:00:00Z/arome/0025/SP1/",
    "meteofrance_api": f"{PORTAL}/0.025/packages/SP1",
    "open_meteo": "/data/meteofrance_arome_france_hd/static/meta.json",
    "open_meteo_single_runs": f"{SINGLE_RUN}&run=2026-07-15T06:00",
}
ASK |= {
    name: import_module(f"backend.demo.upstreams.{name}").EXAMPLE for name in UPSTREAMS if name not in ASK
}


class Client:
    """Asks the upstreams of a world without a socket."""

    def __init__(self, world: World) -> None:
        self.world = world
        self._clients = {
            name: httpx2.AsyncClient(transport=httpx2.ASGITransport(app=app), base_url="http://upstream")
            for name, app in upstream_apps(world).items()
        }

    async def get(self, upstream: str, path: str, **options: Any) -> httpx2.Response:
        return await self._clients[upstream].get(path, **options)

    async def head(self, upstream: str, path: str, **options: Any) -> httpx2.Response:
        return await self._clients[upstream].head(path, **options)

    async def json(self, upstream: str, path: str, **options: Any) -> Any:
        answer = await self.get(upstream, path, **options)
        assert answer.status_code == 200, answer.text
        return json.loads(answer.content.removeprefix(b"\xef\xbb\xbf"))


def at(world: World, moment: str) -> None:
    world.set_clock(datetime.fromisoformat(moment).replace(tzinfo=UTC))


def sounding(run: str, date: str) -> str:
    return f"/data.php?run={run}&date={date}&plot=sounding&location=45.857,6.224"


S3 = {"s3": "http://s3.amazonaws.com/doc/2006-03-01/"}


async def listed(client: Client, run: str, grid: str = "0025") -> etree._Element:
    path = f"/?list-type=2&prefix=pnt/{run}/arome/{grid}/SP1/&max-keys=1000"
    return etree.fromstring((await client.get("arome", path)).content)


def texts(bucket: etree._Element, path: str) -> list[str]:
    return [str(element.text) for element in bucket.findall(path, S3)]


def messages(body: bytes) -> list[dict[str, Any]]:
    found, offset = [], 0
    while offset < len(body):
        handle = eccodes.codes_new_from_message(body[offset:])
        length = eccodes.codes_get(handle, "totalLength")
        keys = {
            key: eccodes.codes_get(handle, key, ktype=kind)
            for key, kind in (
                *((key, str) for key in ("centre", "packingType", "stepRange", "gridType")),
                *((key, int) for key in INTEGER_KEYS),
            )
        }
        edges = ("latitudeOfFirstGridPointInDegrees", "longitudeOfFirstGridPointInDegrees")
        keys |= {key: eccodes.codes_get(handle, key, ktype=float) for key in edges}
        keys["longitudeOfLast"] = eccodes.codes_get(handle, "longitudeOfLastGridPointInDegrees", ktype=float)
        values = eccodes.codes_get_values(handle).reshape(keys["Nj"], keys["Ni"])
        eccodes.codes_release(handle)
        found.append({**keys, "values": values})
        offset += length
    return found


INTEGER_KEYS = (
    *("edition", "tablesVersion", "generatingProcessIdentifier", "typeOfGeneratingProcess", "dataDate"),
    *("dataTime", "discipline", "parameterCategory", "parameterNumber", "level", "bitmapPresent", "Ni", "Nj"),
    *("typeOfFirstFixedSurface", "productDefinitionTemplateNumber", "numberOfMissing", "iScansNegatively"),
    *("jScansPositively", "validityDate", "validityTime", "bitsPerValue", "startStep", "endStep"),
)


async def grib(client: Client, grid: str, part: str, package: str = "SP1") -> list[dict[str, Any]]:
    run = "2026-07-15T06:00:00Z"
    path = f"/pnt/{run}/arome/{grid}/{package}/arome__{grid}__{package}__{part}__{run}.grib2"
    return messages((await client.get("arome", path)).content)


def number(message: dict[str, Any]) -> tuple[int, int, int]:
    return message["discipline"], message["parameterCategory"], message["parameterNumber"]
