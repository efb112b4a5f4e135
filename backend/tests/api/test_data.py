"""Sites, stations, models, forecasts and observations over the API, and the values that it withholds."""

from __future__ import annotations

import csv
import io
from pathlib import Path
from typing import Any

import httpx2
import pytest

from backend.api.tables import prefers_csv
from backend.core.parameters import Parameter
from backend.core.records import IMPORTED, Observation, ObservationBatch, Station
from backend.tests.support.operator import sign_in
from backend.tests.support.served import ADMIN, NOW, TOKEN, fill, make_service, served, store_forecasts
from backend.tests.support.stores import make_tables

CSV = {"Accept": "text/csv"}
WITHHELD_VALUES = (77.0, 88.0)  # what meteo_parapente and ROMMA start from in the filled store


async def get(client: httpx2.AsyncClient, path: str, **options: Any) -> Any:
    answer = await client.get(path, **options)
    assert answer.status_code == 200, answer.text
    return answer.json()


def filled(folder: Path, **options: Any) -> Any:
    service = make_service(folder, **options)
    fill(service)
    return service


# --- Sites, stations, models -------------------------------------------------------------------------


async def test_a_site_has_its_position_and_its_stations_best_first(tmp_path: Path) -> None:
    async with served(filled(tmp_path)) as client:
        first, second, _ = (await get(client, "/api/sites"))["sites"]
    assert first == {
        "id": "grand-pre",
        "name": "Grand Pré",
        "latitude": 45.9,
        "longitude": 6.7,
        "elevation": 1400.0,
        "orientation": ["S", "SW"],
        "stations": ["ffvl:901", "romma:902"],
        "without": [],
        "validFrom": None,
        "collected": True,
        "movedStations": [],
    }
    assert second["without"] == ["ffvl"]


async def test_a_site_is_listed_before_anything_was_collected_for_it(tmp_path: Path) -> None:
    async with served(make_service(tmp_path)) as client:
        sites = (await get(client, "/api/sites"))["sites"]
    assert [(site["id"], site["collected"]) for site in sites] == [
        ("grand-pre", False),
        ("petit-col", False),
        ("sans-balise", False),
    ]


async def test_sites_in_the_database_are_listed_from_there(tmp_path: Path) -> None:
    service = make_service(tmp_path, sites_from="database")
    make_tables(service.database)
    service.store.save_sites(make_service(tmp_path).sites()[:1])
    async with served(service) as client:
        assert [site["id"] for site in (await get(client, "/api/sites"))["sites"]] == ["grand-pre"]


async def test_properties_that_a_network_does_not_publish_are_null(tmp_path: Path) -> None:
    async with served(filled(tmp_path)) as client:
        page = await get(client, "/api/stations")
    described, mapped, _ = page["stations"]
    assert (described["id"], described["name"], described["elevation"]) == (
        "ffvl:901",
        "Grand Pré (balise)",
        1402.0,
    )
    assert described["sites"] == ["grand-pre"]
    assert mapped == {
        "id": "romma:902",
        "network": "romma",
        "name": None,
        "latitude": None,
        "longitude": None,
        "elevation": None,
        "kind": None,
        "remarks": None,
        "sites": ["grand-pre"],
        "flags": [],
        "movedAt": None,
        "notCountedFor": [],
    }


async def test_stations_come_in_pages_and_for_one_site(tmp_path: Path) -> None:
    async with served(filled(tmp_path)) as client:
        first = await get(client, "/api/stations?limit=2")
        rest = await get(client, f"/api/stations?limit=2&cursor={first['next']}")
        of_site = await get(client, "/api/stations?site=petit-col")
    assert [station["id"] for station in first["stations"]] == ["ffvl:901", "romma:902"]
    assert [station["id"] for station in rest["stations"]] == ["romma:903"]
    assert rest["next"] is None
    assert [station["id"] for station in of_site["stations"]] == ["romma:903"]


async def test_a_model_is_listed_before_its_first_run_and_after_its_last(tmp_path: Path) -> None:
    service = filled(tmp_path)
    async with served(service) as client:
        kept = (await get(client, "/api/models"))["models"]
    assert kept[0] == {
        "name": "arome_0025",
        "source": "arome",
        "newestRun": "2026-07-15T06:00:00Z",
        "runs": 1,
    }
    finer = make_service(tmp_path, arome_grid="001")
    async with served(finer) as client:
        models = {model["name"]: model for model in (await get(client, "/api/models"))["models"]}
        old = await get(client, "/api/forecasts?model=arome_0025&limit=1")
    assert models["arome_0025"]["source"] is None
    assert (models["arome_001"]["newestRun"], models["arome_001"]["runs"]) == (None, 0)
    assert old["forecasts"][0]["model"] == "arome_0025"


# --- Values ------------------------------------------------------------------------------------------


async def test_a_forecast_has_times_unit_route_and_the_origin_of_its_availability(tmp_path: Path) -> None:
    at_noon = "from=2026-07-15T12:00:00Z&to=2026-07-15T13:00:00Z"
    asked = f"/api/forecasts?site=grand-pre&model=arome_0025&parameter=wind_gust&{at_noon}"
    async with served(filled(tmp_path)) as client:
        page = await get(client, asked)
    assert page["forecasts"] == [
        {
            "site": "grand-pre",
            "model": "arome_0025",
            "parameter": "wind_gust",
            "value": 56.0,
            "unit": "km/h",
            "referenceTime": "2026-07-15T06:00:00Z",
            "validTime": "2026-07-15T12:00:00Z",
            "leadMinutes": 360,
            "route": "object_storage",
            "availableAt": "2026-07-15T09:00:00Z",
            "availableAtPublished": True,
            "collectedAt": "2026-07-15T10:00:00Z",
        }
    ]
    assert page["next"] is None
    assert page["withheld"] == []
    assert page["attribution"] == ["Météo-France, AROME, Licence Ouverte 2.0 (Etalab)"]


async def test_an_observation_has_null_where_the_network_publishes_nothing(tmp_path: Path) -> None:
    query = "station=ffvl:901&parameter=wind_speed&from=2026-07-15T12:05:00Z"
    async with served(filled(tmp_path)) as client:
        page = await get(client, f"/api/observations?{query}")
    (reading,) = page["observations"]
    assert reading == {
        "station": "ffvl:901",
        "parameter": "wind_speed",
        "value": 21.0,
        "unit": "km/h",
        "time": "2026-07-15T12:05:00Z",
        "route": "winds_mobi",
        "averagingMinutes": None,
        "directionResolution": None,
        "collectedAt": "2026-07-15T12:10:00Z",
    }
    assert page["attribution"] == ["Source : FFVL - balisemeteo.com"]


async def test_a_missing_value_is_absent_and_a_zero_is_a_zero(tmp_path: Path) -> None:
    async with served(filled(tmp_path)) as client:
        no_thermometer = await get(client, "/api/observations?station=ffvl:901&parameter=temperature")
        at_noon = "from=2026-07-15T12:00:00Z&to=2026-07-15T12:01:00Z"
        freezing = await get(client, f"/api/forecasts?site=grand-pre&parameter=temperature&{at_noon}")
    assert no_thermometer["observations"] == []
    assert [value["value"] for value in freezing["forecasts"]] == [0.0]


async def test_a_time_in_another_zone_is_the_same_moment(tmp_path: Path) -> None:
    async with served(filled(tmp_path)) as client:
        utc = await get(client, "/api/observations", params={"from": "2026-07-15T12:00:00Z"})
        paris = await get(client, "/api/observations", params={"from": "2026-07-15T14:00:00+02:00"})
    assert utc["observations"]
    assert paris == utc


@pytest.mark.parametrize("path", ["/api/forecasts", "/api/observations"])
async def test_pages_of_values_hold_every_value_exactly_once(tmp_path: Path, path: str) -> None:
    service = filled(tmp_path)
    async with served(service) as client:
        whole = await get(client, f"{path}?limit=5000", headers=ADMIN)
        name = path.rpartition("/")[2]
        seen: list[dict[str, Any]] = []
        cursor: str | None = None
        while True:
            query: dict[str, Any] = {"limit": 7} | ({"cursor": cursor} if cursor else {})
            page = await get(client, path, params=query, headers=ADMIN)
            seen += page[name]
            cursor = page["next"]
            if cursor is None:
                break
            assert len(page[name]) == 7
    assert seen == whole[name]
    assert len(seen) > 50
    assert len({tuple(sorted(row.items())) for row in seen}) == len(seen)


@pytest.mark.parametrize(
    ("query", "status", "word"),
    [
        ("forecasts?site=nowhere", 404, "no site 'nowhere': /api/sites lists them."),
        ("forecasts?site=Grand-Pr", 404, "no site 'Grand-Pr' (did you mean 'grand-pre'?): /api/sites"),
        ("forecasts?model=gfs", 404, "no model 'gfs'"),
        ("observations?site=nowhere", 404, "no site"),
        ("observations?station=ffvl:1", 404, "no station 'ffvl:1'"),
        ("stations?site=nowhere", 404, "no site"),
        ("forecasts?parameter=rain", 422, "query.parameter"),
        ("forecasts?from=2026-07-15T12:00:00", 422, "query.from"),
        ("forecasts?from=2026-07-15", 422, "such as 2026-07-15T06:00:00Z"),
        ("observations?to=1784116800", 422, "query.to"),
        ("observations?to=yesterday", 422, "query.to"),
        ("observations?to=0001-01-01T00:00:00%2B14:00", 422, "calendar"),
        ("observations?from=2026-07-16T00:00:00Z&to=2026-07-15T00:00:00Z", 422, "query.from"),
        ("forecasts?limit=5001", 422, "query.limit"),
        ("forecasts?cursor=AAAA", 422, "query.cursor"),
        ("observations?cursor=%C3%A9", 422, "query.cursor"),
        ("forecasts?modle=arome_0025", 422, "query.modle"),
    ],
)
async def test_invalid_queries_are_refused_with_the_reason(
    tmp_path: Path, query: str, status: int, word: str
) -> None:
    async with served(filled(tmp_path)) as client:
        answer = await client.get(f"/api/{query}")
    assert answer.status_code == status, answer.text
    assert word in answer.json()["detail"]


# --- Withheld values ---------------------------------------------------------------------------------


def values_in(page: Any) -> set[float]:
    rows = page.get("forecasts") or page.get("observations") or []
    return {row["value"] for row in rows}


@pytest.mark.parametrize(
    ("path", "source", "value"),
    [
        ("/api/forecasts", "meteo_parapente", 77.0),
        ("/api/forecasts?model=meteo_parapente", "meteo_parapente", 77.0),
        ("/api/observations", "romma", 88.0),
        ("/api/observations?station=romma:903", "romma", 88.0),
        ("/api/observations?site=petit-col", "romma", 88.0),
    ],
)
async def test_values_that_are_not_public_are_left_out_and_named_without_the_token(
    tmp_path: Path, path: str, source: str, value: float
) -> None:
    async with served(filled(tmp_path)) as client:
        public = await get(client, path)
        whole = await get(client, path, headers=ADMIN)
    assert [withheld["source"] for withheld in public["withheld"]] == [source]
    assert "admin token" in public["withheld"][0]["reason"]
    assert not values_in(public) & set(WITHHELD_VALUES)
    assert whole["withheld"] == []
    assert value in values_in(whole)


@pytest.mark.parametrize("path", ["/api/forecasts?model=arome_0025", "/api/observations?station=ffvl:901"])
async def test_an_answer_without_withheld_values_names_no_source(tmp_path: Path, path: str) -> None:
    async with served(filled(tmp_path)) as client:
        page = await get(client, path)
    assert page["withheld"] == []
    assert values_in(page)


async def test_sources_that_the_operator_declares_public_are_shown(tmp_path: Path) -> None:
    async with served(filled(tmp_path, public_raw_sources="romma")) as client:
        observations = await get(client, "/api/observations")
        forecasts = await get(client, "/api/forecasts")
    assert observations["withheld"] == []
    assert 88.0 in values_in(observations)
    assert [withheld["source"] for withheld in forecasts["withheld"]] == ["meteo_parapente"]


async def test_values_of_a_source_stay_withheld_after_it_is_turned_off(tmp_path: Path) -> None:
    service = filled(tmp_path)
    reading = Observation("pioupiou:611", Parameter.WIND_SPEED, NOW, 55.0)
    service.store.add_observations(
        ObservationBatch(source="pioupiou", route="live", rank=0, collected_at=NOW, records=(reading,))
    )
    async with served(service) as client:
        everything = await get(client, "/api/observations")
        opted_in = await get(client, "/api/observations?station=pioupiou:611")
        whole = await get(client, "/api/observations?station=pioupiou:611", headers=ADMIN)
    assert 55.0 not in values_in(everything) | values_in(opted_in)
    assert [withheld["source"] for withheld in everything["withheld"]] == ["romma"]
    assert [withheld["source"] for withheld in opted_in["withheld"]] == ["pioupiou"]
    assert values_in(whole) == {55.0}
    assert "OpenWindMap" in whole["attribution"][0]


async def test_a_model_from_a_file_is_withheld_until_the_operator_declares_it_public(tmp_path: Path) -> None:
    service = filled(tmp_path)
    store_forecasts(service, "my_wrf", IMPORTED, base=155.0, gust=False)
    store_forecasts(service, "arome_0025", IMPORTED, base=10.0, gust=True)
    async with served(service) as client:
        everything = await get(client, "/api/forecasts")
        opted_in = await get(client, "/api/forecasts?model=my_wrf")
        known = await get(client, "/api/forecasts?model=arome_0025")
        whole = await get(client, "/api/forecasts?model=my_wrf", headers=ADMIN)
        models = (await get(client, "/api/v1/models"))["models"]
    assert opted_in["forecasts"] == []
    assert [withheld["source"] for withheld in opted_in["withheld"]] == ["my_wrf"]
    assert "imported from a file" in opted_in["withheld"][0]["reason"]
    assert [withheld["source"] for withheld in everything["withheld"]] == ["meteo_parapente", "my_wrf"]
    assert 155.0 not in values_in(everything)
    assert known["forecasts"], "imported hours of a collected model have the licence of its source"
    assert 155.0 in values_in(whole)
    assert {model["model"]: model["public"] for model in models}["my_wrf"] is False
    async with served(make_service(tmp_path, public_imports="other, my_wrf")) as client:
        declared = await get(client, "/api/forecasts?model=my_wrf")
        models = (await get(client, "/api/v1/models"))["models"]
    assert 155.0 in values_in(declared)
    assert declared["withheld"] == []
    assert {model["model"]: model["public"] for model in models}["my_wrf"] is True


async def test_a_model_of_a_source_that_this_version_does_not_have_is_withheld(tmp_path: Path) -> None:
    service = filled(tmp_path)
    store_forecasts(service, "old_model", "removed_source", base=155.0, gust=False)
    store_forecasts(service, "arome_001", "arome", base=255.0, gust=False)
    store_forecasts(service, "mp_old", "meteo_parapente", base=355.0, gust=False)
    async with served(service) as client:
        public = [
            await get(client, f"/api/forecasts?model={model}")
            for model in ("old_model", "arome_001", "mp_old")
        ]
        await sign_in(client)
        page = (await client.get("/ops")).text
        whole = await get(client, "/api/forecasts?model=old_model", headers=ADMIN)
        models = (await get(client, "/api/v1/models"))["models"]
    assert [bool(answer["forecasts"]) for answer in public] == [False, True, False]
    assert "a source that this version does not have" in public[0]["withheld"][0]["reason"]
    assert [each["source"] for each in public[2]["withheld"]] == ["meteo_parapente"]
    assert 155.0 in values_in(whole)
    assert "155" not in page
    shown = {model["model"]: model["public"] for model in models}
    assert (shown["old_model"], shown["arome_001"], shown["mp_old"]) == (False, True, False)


async def test_a_station_of_a_network_from_a_file_is_withheld_too(tmp_path: Path) -> None:
    service = filled(tmp_path)
    reading = Observation("mine:1", Parameter.WIND_SPEED, NOW, 55.0)
    service.store.add_observations(
        ObservationBatch(source=IMPORTED, route="file", rank=1000, collected_at=NOW, records=(reading,))
    )
    async with served(service) as client:
        public = await get(client, "/api/observations?station=mine:1")
        everything = await get(client, "/api/observations")
        whole = await get(client, "/api/observations?station=mine:1", headers=ADMIN)
    assert (public["observations"], [each["source"] for each in public["withheld"]]) == ([], ["mine"])
    assert [each["source"] for each in everything["withheld"]] == ["mine", "romma"]
    assert values_in(whole) == {55.0}
    async with served(make_service(tmp_path, public_imports="mine")) as client:
        assert values_in(await get(client, "/api/observations?station=mine:1")) == {55.0}


async def test_a_wrong_token_is_refused_and_not_treated_as_none(tmp_path: Path) -> None:
    async with served(filled(tmp_path)) as client:
        wrong = await client.get(
            "/api/forecasts", headers={b"Authorization": f"Bearer {TOKEN[:-1]}".encode()}
        )
        other = await client.get("/api/forecasts", headers={"Authorization": "Basic YTpi"})
    assert wrong.status_code == 401
    assert other.status_code == 200, "another scheme, perhaps of a proxy, is ignored"
    assert other.json()["withheld"]


async def test_csv_withholds_as_json_does(tmp_path: Path) -> None:
    async with served(filled(tmp_path)) as client:
        public = await client.get("/api/observations", headers=CSV)
        whole = await client.get("/api/observations", headers={**{b"Accept": b"text/csv"}, **ADMIN})
    assert public.headers["x-withheld"] == "romma"
    assert "romma" not in public.text
    assert "88.0" not in public.text
    assert "x-withheld" not in whole.headers
    assert "romma:903,wind_speed,88.0" in whole.text


# --- CSV ---------------------------------------------------------------------------------------------


def as_cell(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    return " ".join(value) if isinstance(value, list) else str(value)


@pytest.mark.parametrize("name", ["sites", "stations", "models", "forecasts", "observations"])
async def test_csv_has_the_same_values_as_json(tmp_path: Path, name: str) -> None:
    async with served(filled(tmp_path)) as client:
        rows = (await get(client, f"/api/{name}"))[name]
        answer = await client.get(f"/api/{name}", headers=CSV)
    assert answer.headers["content-type"] == "text/csv; charset=utf-8"
    table = list(csv.DictReader(io.StringIO(answer.text)))
    assert rows
    assert table == [{key: as_cell(value) for key, value in row.items()} for row in rows]


async def test_a_name_is_no_formula_in_a_spreadsheet(tmp_path: Path) -> None:
    service = filled(tmp_path)
    names = ["=1+1", "+33 4", "-2", "@SUM(A1)", "Pic = Midi"]
    stations = tuple(Station(f"ffvl:{n}", name, latitude=-1.5) for n, name in enumerate(names))
    service.store.add_observations(
        ObservationBatch(source="ffvl", route="keyed", rank=0, collected_at=NOW, stations=stations)
    )
    async with served(service) as client:
        answer = await client.get("/api/stations", headers=CSV)
    rows = {row["id"]: row for row in csv.DictReader(io.StringIO(answer.text))}
    shown = [rows[station.id]["name"] for station in stations]
    assert shown == ["'=1+1", "'+33 4", "'-2", "'@SUM(A1)", "Pic = Midi"]
    assert rows["ffvl:0"]["latitude"] == "-1.5", "a number below 0 is no formula"


async def test_an_empty_csv_still_names_its_columns(tmp_path: Path) -> None:
    async with served(make_service(tmp_path)) as client:
        answer = await client.get("/api/observations", headers=CSV)
    assert answer.text.splitlines() == [
        "station,parameter,value,time,route,averagingMinutes,directionResolution,collectedAt,unit"
    ]


async def test_the_link_of_a_page_leads_to_the_next_in_csv_and_in_json(tmp_path: Path) -> None:
    async with served(filled(tmp_path)) as client:
        json_page = await client.get("/api/forecasts?site=grand-pre&limit=20&parameter=wind_speed")
        assert "link" not in json_page.headers, "twelve hours, one parameter, one public model"
        rows: list[str] = []
        path = "/api/forecasts?site=grand-pre&limit=5&parameter=wind_speed"
        while True:
            page = await client.get(path, headers=CSV)
            rows += page.text.splitlines()[1:]
            if "next" not in page.links:
                break
            path = page.links["next"]["url"]
            assert path.startswith("/api/forecasts?site=grand-pre&limit=5&parameter=wind_speed&cursor=")
        whole = await client.get("/api/forecasts?site=grand-pre&parameter=wind_speed", headers=CSV)
        first = await client.get("/api/forecasts?site=grand-pre&limit=5")
    assert rows == whole.text.splitlines()[1:]
    assert len(rows) == 12
    assert f"cursor={first.json()['next']}" in first.headers["link"]
    assert first.headers["vary"] == "Accept, Authorization"


@pytest.mark.parametrize(
    ("accept", "csv_wanted"),
    [
        ("text/csv", True),
        ("Text/CSV; charset=utf-8", True),
        ("text/csv, */*;q=0.1", True),
        ("application/json;q=0.5, text/csv", True),
        ("text/csv;q=0.5, application/json", False),
        ("application/json, text/csv", False),
        ("text/csv;q=0", False),
        ("text/csv;q=often", False),
        ("*/*", False),
        ("", False),
    ],
)
def test_csv_is_given_where_it_is_preferred(accept: str, csv_wanted: bool) -> None:
    assert prefers_csv(accept) is csv_wanted


# --- The sites file, while the service runs ----------------------------------------------------------


async def test_a_site_added_to_the_file_is_there_without_a_restart(tmp_path: Path) -> None:
    service = filled(tmp_path)
    async with served(service) as client:
        text = service.settings.sites_file.read_text()
        service.settings.sites_file.write_text(text.replace("sans-balise", "autre-nom"))
        sites = (await get(client, "/api/sites"))["sites"]
    assert [(site["id"], site["collected"]) for site in sites][-1] == ("autre-nom", False)


async def test_a_sites_file_that_becomes_invalid_leaves_the_list_unchanged(tmp_path: Path) -> None:
    service = filled(tmp_path)
    async with served(service) as client:
        service.settings.sites_file.write_text("[[sites]]\nid = 5\n")
        answer = await client.get("/api/sites")
        await sign_in(client)
        page = await client.get("/ops?lang=en")
    assert answer.status_code == page.status_code == 200
    assert [site["id"] for site in answer.json()["sites"]] == ["grand-pre", "petit-col", "sans-balise"]
    assert "The sites file is not usable; the service uses the last valid list." in page.text
    assert str(tmp_path) not in page.text.partition("Settings in force")[0]


async def test_a_time_outside_of_the_store_is_an_empty_answer(tmp_path: Path) -> None:
    async with served(filled(tmp_path)) as client:
        page = await get(client, "/api/forecasts?from=9999-12-31T00:00:00Z")
    assert (page["forecasts"], page["next"], page["attribution"]) == ([], None, [])
