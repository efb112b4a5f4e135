"""The stand-in upstreams together: one world, faults that bite, a control port, a process that ends."""

from __future__ import annotations

import asyncio
import gzip
import json
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx2
import numpy as np
import psutil
import pytest

from backend.core.config import Settings
from backend.core.errors import MeteoScoreError
from backend.demo import control
from backend.demo.faults import Fault
from backend.demo.grib import MESHES, cut_around
from backend.demo.process import Upstreams
from backend.demo.server import serving, upstream_apps
from backend.demo.upstreams import geosphere, meteo_parapente, open_meteo
from backend.demo.weather import MODELS, Weather
from backend.demo.world import UPSTREAMS, World
from backend.tests.support.demo_client import APIKEY, ASK, NOON, Client, grib, listed, number, sounding, texts
from backend.tests.support.waiting import HANG_SECONDS, wait_for

# --- One world ---------------------------------------------------------------------------------------


async def test_the_same_seed_serves_the_same_bytes_and_another_seed_others() -> None:
    async def everything(seed: int) -> dict[str, bytes]:
        client = Client(World(seed, now=NOON))
        paths = {**ASK, "meteo_parapente": sounding("2026071500", "20260715")}
        return {name: (await client.get(name, path, headers=APIKEY)).content for name, path in paths.items()}

    first, again, other = await everything(1), await everything(1), await everything(2)
    assert first == again
    differing = {name for name in first if first[name] != other[name]}
    assert differing >= {"meteo_parapente", "arome", "ffvl", "winds_mobi", "balisemeteo", "romma"}


def follows_the_clock(world: World) -> bool:
    before = datetime.now(UTC).timestamp()
    return before <= world.now() <= datetime.now(UTC).timestamp()


async def test_time_goes_on_by_itself_until_it_is_stopped() -> None:
    world = World(1)
    assert follows_the_clock(world)
    world.set_clock(NOON)
    assert world.now() == NOON.timestamp()
    assert (await Client(world).get("romma", "/")).headers["Date"] == "Wed, 15 Jul 2026 12:30:00 GMT"
    world.set_clock(None)
    assert follows_the_clock(world)


async def test_any_place_has_a_forecast(client: Client) -> None:
    path = sounding("2026071500", "20260715").replace("45.857,6.224", "44.9,5.6")
    answer = await client.json("meteo_parapente", path)
    assert answer["gridCoords"]["lat"] == 44.9
    assert answer["status"] == "ok"


def test_every_upstream_is_a_setting() -> None:
    assert set(upstream_apps(World(1))) == set(UPSTREAMS)
    assert {f"{name}_url" for name in UPSTREAMS} == {
        name
        for name in Settings.model_fields
        if name.endswith("_url") and name not in {"database_url", "public_url", "map_tiles_url"}
    }


def test_a_model_with_errors_of_its_own_is_a_model_of_an_upstream() -> None:
    assert set(MODELS) <= {
        meteo_parapente.MODEL,
        geosphere.MODEL,
        *(mesh.model for mesh in MESHES.values()),
        *(model.weather for model in open_meteo.SERVED),
    }


# --- Faults, on real sockets -------------------------------------------------------------------------


@asynccontextmanager
async def real(world: World) -> AsyncIterator[tuple[dict[str, str], httpx2.AsyncClient]]:
    async with serving(world) as addresses, httpx2.AsyncClient(trust_env=False, timeout=HANG_SECONDS) as http:
        yield {name: addresses[f"{name.upper()}_URL"] + ASK[name] for name in UPSTREAMS}, http


async def test_each_upstream_answers_on_a_port_of_its_own(world: World) -> None:
    async with real(world) as (urls, http):
        for url in urls.values():
            assert (await http.get(url, headers=APIKEY)).status_code == 200
        assert len({httpx2.URL(url).port for url in urls.values()}) == len(UPSTREAMS)
    assert {counter.requests for counter in world.counters.values()} == {1}
    assert min(counter.bytes for counter in world.counters.values()) > 100


async def test_faults_of_the_connection(world: World) -> None:
    async with real(world) as (urls, http):
        await http.get(urls["ffvl"])  # a connection that stays open
        world.set_faults({"ffvl": "refuse", "romma": "hang", "arome": "truncated"})

        with pytest.raises(httpx2.TransportError):
            await http.get(urls["ffvl"])
        with pytest.raises(httpx2.ReadTimeout):
            await http.get(urls["romma"], timeout=httpx2.Timeout(HANG_SECONDS, read=0.2))
        async with http.stream("GET", urls["arome"]) as answer:
            announced, came = int(answer.headers["Content-Length"]), b""
            with pytest.raises(httpx2.RemoteProtocolError):
                async for piece in answer.aiter_raw():
                    came += piece
        assert len(came) == announced // 2

        world.set_faults({"ffvl": None, "romma": None, "arome": None})
        for name in ("ffvl", "romma", "arome"):
            assert (await http.get(urls[name])).status_code == 200


async def test_faults_of_the_status(client: Client) -> None:
    client.world.set_faults({"ffvl": "429", "romma": "500"})
    busy = await client.get("ffvl", ASK["ffvl"])
    assert busy.status_code == 429
    assert busy.headers["Retry-After"] == "1"
    assert (await client.get("romma", ASK["romma"])).status_code == 500


@pytest.mark.parametrize("name", UPSTREAMS)
async def test_an_error_in_a_200_holds_no_data(client: Client, name: str) -> None:
    good = await client.get(name, ASK[name], headers=APIKEY)
    client.world.set_faults({name: "error_in_200"})
    bad = await client.get(name, ASK[name], headers=APIKEY)
    assert (good.status_code, bad.status_code) == (200, 200)
    content = good.content
    content = gzip.decompress(content) if content.startswith(b"\x1f\x8b") else content
    assert b"2026" in content or name == "open_meteo" or name == "winds_mobi"
    assert b"2026" not in bad.content
    assert 0 < len(bad.content) < 100
    client.world.set_faults({name: "empty"})
    assert (await client.get(name, ASK[name], headers=APIKEY)).content == b""


async def test_stale_upstreams_end_two_days_ago(client: Client) -> None:
    client.world.set_faults(dict.fromkeys(UPSTREAMS, "stale"))
    pairs = (await client.json("meteo_parapente", "/status.php"))["france"]
    assert max(pair["run"] for pair in pairs) <= "2026071306"
    assert not texts(await listed(client, "2026-07-15T06:00:00Z"), "s3:Contents")
    assert len(texts(await listed(client, "2026-07-13T06:00:00Z"), "s3:Contents")) == 9
    rows = await client.json("ffvl", ASK["ffvl"])
    assert max(row["date"] for row in rows) < "2026-07-13 14:30:00"
    assert "13-07-2026 14:" in (await client.get("romma", ASK["romma"])).text


async def test_absurd_upstreams_serve_impossible_values(client: Client) -> None:
    client.world.set_faults(dict.fromkeys(UPSTREAMS, "absurd"))
    rows = {row["idbalise"]: row for row in await client.json("ffvl", ASK["ffvl"])}
    assert int(rows["9001"]["vitesseVentMoy"]) > 9000
    assert int(rows["9001"]["vitesseVentMax"]) > 900_000
    assert int(rows["9001"]["temperature"]) < -90
    hour = (await client.json("meteo_parapente", sounding("2026071500", "20260715")))["data"]["10:00"]
    assert np.hypot(hour["umet"][0], hour["vmet"][0]) > 2000
    found = {number(m): m for m in await grib(client, "001", "06H")}
    cell = cut_around("001", client.world.sites).cell(client.world.sites[0])
    assert np.hypot(*(found[0, 2, n]["values"][cell] for n in (23, 24))) > 200_000  # m/s


async def test_absurd_and_true_files_are_not_mistaken_for_each_other(client: Client) -> None:
    before = await grib(client, "001", "06H")
    client.world.set_faults({"arome": "absurd"})
    mad = await grib(client, "001", "06H")
    client.world.set_faults({"arome": None})
    after = await grib(client, "001", "06H")
    assert (before[0]["values"] == after[0]["values"]).all()
    assert not (before[0]["values"] == mad[0]["values"]).all()


# --- The control port --------------------------------------------------------------------------------


@pytest.fixture
def controls(world: World) -> httpx2.AsyncClient:
    transport = httpx2.ASGITransport(app=control.app(world))
    return httpx2.AsyncClient(transport=transport, base_url="http://control")


async def test_the_clock_is_set_and_released(controls: httpx2.AsyncClient, world: World) -> None:
    answer = await controls.put("/clock", json={"now": "2026-11-01T06:00:00Z"})
    assert answer.json() == {"now": "2026-11-01T06:00:00+00:00"}
    assert world.now() == datetime(2026, 11, 1, 6, tzinfo=UTC).timestamp()
    await controls.put("/clock", json={"now": None})
    assert follows_the_clock(world)


@pytest.mark.parametrize(
    ("path", "content"),
    [
        ("/clock", {"now": "2026-11-01T06:00:00"}),
        ("/clock", {"now": "yesterday"}),
        ("/clock", {}),
        ("/faults", {"arome": "tired"}),
        ("/faults", {"anyone": "hang"}),
        ("/faults", ["hang"]),
    ],
)
async def test_what_cannot_be_set_is_refused_and_changes_nothing(
    controls: httpx2.AsyncClient, world: World, path: str, content: object
) -> None:
    answer = await controls.put(path, json=content)
    assert answer.status_code == 400
    assert answer.json()["error"]
    assert world.now() == NOON.timestamp()
    assert world.faults() == {}


async def test_faults_stay_until_they_are_cleared(controls: httpx2.AsyncClient, world: World) -> None:
    await controls.put("/faults", json={"arome": "hang", "ffvl": 429})
    await controls.put("/faults", json={"arome": None, "romma": "stale"})
    assert world.faults() == {"ffvl": Fault.TOO_MANY, "romma": Fault.STALE}


async def test_the_truth_can_be_looked_up(controls: httpx2.AsyncClient) -> None:
    answer = (await controls.get("/truth?site=planfait&time=2026-07-15T12:00:00Z")).json()
    truth = Weather(1).truth(World(1).sites[0], np.array([datetime(2026, 7, 15, 12, tzinfo=UTC).timestamp()]))
    assert answer["wind_speed"] == pytest.approx(truth.speed[0])
    assert answer["temperature"] == pytest.approx(truth.temperature[0])
    assert (await controls.get("/truth?site=nowhere&time=2026-07-15T12:00:00Z")).status_code == 404
    assert (await controls.get("/truth?site=planfait&time=noon")).status_code == 400


async def test_the_control_port_counts_what_was_asked(controls: httpx2.AsyncClient, client: Client) -> None:
    answer = await client.get("ffvl", ASK["ffvl"])
    counts = (await controls.get("/counts")).json()
    assert counts["ffvl"] == {"requests": 1, "bytes": len(answer.content)}
    assert counts["arome"] == {"requests": 0, "bytes": 0}


# --- The process -------------------------------------------------------------------------------------


async def test_the_process_serves_what_the_settings_point_at_and_ends_with_its_context() -> None:
    async with Upstreams(seed=3, now=NOON) as upstreams, httpx2.AsyncClient(trust_env=False) as http:
        settings = Settings.load(**upstreams.environment)
        assert settings.contact
        assert set(settings.spacing().values()) == {timedelta(0)}
        assert settings.ffvl_api_key is not None

        answer = await http.get(settings.ffvl_url + ASK["ffvl"])
        expected = await Client(World(3, now=NOON)).get("ffvl", ASK["ffvl"])
        assert answer.content == expected.content
        assert (await upstreams.counts())["ffvl"] == {"requests": 1, "bytes": len(answer.content)}

        await upstreams.set_clock(NOON + timedelta(days=1))
        assert "2026-07-16 14:" in (await http.get(settings.ffvl_url + ASK["ffvl"])).text
        await upstreams.set_faults({"ffvl": "500"})
        assert (await http.get(settings.ffvl_url + ASK["ffvl"])).status_code == 500
        with pytest.raises(MeteoScoreError, match="tired"):
            await upstreams.set_faults({"ffvl": "tired"})
        pid = upstreams.pid
        assert psutil.pid_exists(pid)
    assert not psutil.pid_exists(pid)


async def test_the_process_takes_other_sites(tmp_path: Path) -> None:
    sites = tmp_path / "sites.toml"
    sites.write_text(
        '[[sites]]\nid = "elsewhere"\nname = "Elsewhere"\nlatitude = 44.5\nlongitude = 5.9\n'
        'elevation = 1200\norientation = ["S"]\nstations = ["ffvl:42", "romma:7"]\n'
    )
    async with Upstreams(sites=sites, now=NOON) as upstreams, httpx2.AsyncClient(trust_env=False) as http:
        assert upstreams.environment["sites_file"] == sites
        answer = await http.get(upstreams.environment["romma_url"] + ASK["romma"])
        assert "<id>7</id>" in answer.text


async def test_a_process_that_cannot_start_is_reported(tmp_path: Path) -> None:
    with pytest.raises(MeteoScoreError, match="exit code 1"):
        await Upstreams(sites=tmp_path / "none.toml").__aenter__()
    with pytest.raises(MeteoScoreError, match=r"did not start within 0\.01 s"):
        await Upstreams(deadline=0.01).__aenter__()


PARENT = """
import subprocess, sys
child = subprocess.Popen([sys.executable, "-m", "backend.demo"], stdin=subprocess.{stdin})
print(child.pid, flush=True)
child.wait()
"""


@pytest.mark.parametrize("stdin", ["PIPE", "DEVNULL"])
def test_the_process_ends_when_its_parent_is_killed(stdin: str) -> None:
    parent = subprocess.Popen(
        [sys.executable, "-c", PARENT.format(stdin=stdin)], stdout=subprocess.PIPE, text=True
    )
    assert parent.stdout is not None
    child = psutil.Process(int(parent.stdout.readline()))
    assert "control" in json.loads(parent.stdout.readline())
    parent.kill()
    parent.wait()
    wait_for(lambda: _is_gone(child), "the end of the child")
    parent.stdout.close()


def _is_gone(process: psutil.Process) -> bool:
    """Return whether a process has ended that is not our child, so that it may stay a zombie."""
    try:
        return bool(process.status() == psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return True


def test_the_process_ends_on_sigterm() -> None:
    process = subprocess.Popen(
        [sys.executable, "-m", "backend.demo.server", "--now", "2026-11-01T06:00Z"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    with process:
        assert process.stdout is not None
        addresses = json.loads(process.stdout.readline())
        assert set(addresses) == {*(f"{name.upper()}_URL" for name in UPSTREAMS), "control"}
        process.terminate()
        assert process.wait(HANG_SECONDS) == 0


async def test_the_end_does_not_wait_for_requests_that_hang(world: World) -> None:
    world.set_faults({"romma": "hang"})
    async with serving(world) as addresses, httpx2.AsyncClient(trust_env=False) as http:
        waiting = asyncio.create_task(http.get(addresses["ROMMA_URL"] + ASK["romma"]))
        while not world.counters["romma"].requests:  # noqa: ASYNC110 - the server runs in this loop
            await asyncio.sleep(0)
    with pytest.raises(httpx2.TransportError):
        await waiting
