"""The facts of the operator's page over the API."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import httpx2
import pytest

from backend.core.parameters import Parameter
from backend.core.records import ObservationBatch, Rejected
from backend.main import Service
from backend.tests.support.operator import sign_in
from backend.tests.support.served import (
    ADMIN,
    NOW,
    SPEED,
    fill,
    in_use,
    lose_the_store,
    make_service,
    served,
)
from backend.tests.support.worlds import HandClock

NAMES = ("completeness", "set-aside", "stations", "store", "settings")


async def asked(service: Service, path: str) -> Any:
    async with served(service) as client:
        answer = await client.get(f"/api/scheduler/{path}", headers=ADMIN)
        assert answer.status_code == 200, answer.text
        return answer.json()


@pytest.mark.parametrize("name", NAMES)
async def test_the_state_of_the_operation_needs_the_admin_token(tmp_path: Path, name: str) -> None:
    service = make_service(tmp_path)
    fill(service)
    async with served(service) as client:
        await sign_in(client)
        path = f"/api/scheduler/{name}"
        without = await client.get(path)
        wrong = await client.get(path, headers={"Authorization": "Bearer guess"})
    assert (without.status_code, wrong.status_code) == (401, 401), "a cookie of the page is no token"
    (tmp_path / "off").mkdir()
    off = make_service(tmp_path / "off", admin_token=None)
    fill(off)
    async with served(off) as client:
        assert (await client.get(path)).status_code == 403


async def test_completeness_has_received_of_expected_by_source_site_and_day(tmp_path: Path) -> None:
    service = make_service(tmp_path)
    in_use(service)
    fill(service)
    page = await asked(service, "completeness")
    tables = {table["model"] or table["source"]: table for table in page["sources"]}
    beacons = tables["ffvl"]
    assert (beacons["job"], beacons["unit"], beacons["hasGaps"]) == ("collect_observations", "hours", True)
    (site,) = beacons["sites"]
    assert (site["site"], len(site["days"])) == ("grand-pre", 7)
    assert site["days"][-1] == {"day": "2026-07-15", "received": 2, "expected": 14, "incomplete": 0}
    arome = tables["arome_0025"]
    assert (arome["source"], arome["unit"]) == ("arome", "runs")
    assert arome["offered"] == ["2026-07-14", "2026-07-15"]
    assert arome["offeredUntil"] == ["2026-07-16T06:00:00Z", "2026-07-16T12:00:00Z"]
    assert page["next"] is None


async def test_completeness_is_of_one_site_or_of_a_page_of_sites(tmp_path: Path) -> None:
    service = make_service(tmp_path)
    fill(service)

    def sites_in(page: Any) -> set[str]:
        return {site["site"] for table in page["sources"] for site in table["sites"]}

    async with served(service) as client:

        async def page_of(query: str) -> httpx2.Response:
            return await client.get(f"/api/scheduler/completeness?{query}", headers=ADMIN)

        one = (await page_of("site=petit-col")).json()
        found, cursor = [], ""
        while True:
            page = (await page_of(f"limit=1{cursor}")).json()
            found.append(sites_in(page))
            if page["next"] is None:
                break
            cursor = f"&cursor={page['next']}"
        refused = [
            (await page_of(query)).status_code for query in ("site=nowhere", "cursor=nowhere", "limit=0")
        ]
    assert sites_in(one) == {"petit-col"}
    assert found == [{site.id} for site in service.sites()]
    assert refused == [404, 422, 422]


async def test_values_set_aside_are_grouped_with_their_reasons_and_without_secrets(tmp_path: Path) -> None:
    key = "a-key-of-some-length"
    service = make_service(tmp_path, romma_key=key)
    fill(service)
    service.store.add_observations(
        ObservationBatch(
            source="ffvl",
            route="winds_mobi",
            rank=1,
            collected_at=NOW,
            rejected=tuple(
                Rejected("ffvl:901", SPEED, NOW - timedelta(minutes=n), f"{400 + n} {key}", reason)
                for n, reason in enumerate(("out_of_range: 400", "out_of_range: 401"))
            ),
        )
    )
    aside = await asked(service, "set-aside")
    assert aside["since"] == "2026-07-08T12:10:00Z"
    assert aside["rejected"] == [
        {
            "source": "ffvl",
            "reason": "out_of_range",
            "count": 2,
            "subject": "ffvl:901",
            "parameter": "wind_speed",
            "raw": "401 ***",
            "last": "2026-07-15T12:10:00Z",
        }
    ]
    assert aside["flagged"] == []


async def test_stations_that_fell_silent_or_are_excluded_are_named(tmp_path: Path) -> None:
    service = make_service(tmp_path)
    fill(service)
    service.store.exclude_station(
        "ffvl:901",
        parameters=(Parameter.WIND_SPEED,),
        first=date(2026, 7, 10),
        last=None,
        note="behind a new tree",
        now=NOW,
    )
    stations = await asked(replace(service, clock=HandClock(NOW + timedelta(days=3))), "stations")
    silent = {entry["station"]: entry for entry in stations["silent"]}
    assert silent["ffvl:901"] == {
        "station": "ffvl:901",
        "sites": ["grand-pre"],
        "last": "2026-07-15T12:05:00Z",
    }
    (suspect,) = stations["suspect"]
    assert suspect["station"] == "ffvl:901"
    assert (suspect["flag"]["reason"], suspect["flag"]["excluded"]) == ("excluded_by_operator", True)
    assert (stations["moved"], stations["doubtful"]) == ([], [])


async def test_the_store_has_its_size_and_the_values_of_the_last_days(tmp_path: Path) -> None:
    service = replace(make_service(tmp_path), free_bytes=lambda path: 12_000_000_000)
    fill(service)
    store = await asked(service, "store")
    assert store["bytes"] > 0
    assert (store["freeBytes"], store["values"]) == (12_000_000_000, 4324)
    assert store["stored"][-1] == {"day": "2026-07-15", "values": 4324}
    assert store["bytesPerMonth"] is None, "unknown before a day of collections, and not 0"


async def test_the_growth_of_a_young_store_counts_from_the_day_of_its_first_run(tmp_path: Path) -> None:
    service = make_service(tmp_path)
    fill(service)  # all values are of one day, the next day has none, and the third is not over
    store = await asked(replace(service, clock=HandClock(NOW + timedelta(days=2))), "store")
    assert store["bytesPerMonth"] == pytest.approx(30 * store["bytes"] / 2)


async def test_the_settings_are_those_in_force_with_secrets_masked(tmp_path: Path) -> None:
    service = make_service(
        tmp_path, romma_key="a-key-of-some-length", arome_url="https://me:pass@mirror.example"
    )
    fill(service)
    settings = (await asked(service, "settings"))["settings"]
    assert (settings["ROMMA_KEY"], settings["ADMIN_TOKEN"]) == ("***", "***")
    assert settings["AROME_URL"] == "https://***@mirror.example"
    assert settings["SCHEDULER_FORECAST_HOURS"] == "0,6,12,18"


async def test_without_the_store_the_facts_are_503_and_the_settings_stay(tmp_path: Path) -> None:
    service = make_service(tmp_path)
    fill(service)
    async with served(service) as client:
        await client.get("/api/ready")
        lose_the_store(tmp_path)
        answers = {
            name: (await client.get(f"/api/scheduler/{name}", headers=ADMIN)).status_code for name in NAMES
        }
    assert answers == dict.fromkeys(NAMES, 503) | {"settings": 200}
