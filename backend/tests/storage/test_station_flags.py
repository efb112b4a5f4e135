"""What is known of a station's sensors: in the score, at the station, on the page and on the command line."""

from __future__ import annotations

import csv
import io
import json
import re
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from backend.core.errors import ConfigError, NotFoundError
from backend.core.local_time import day_number
from backend.core.parameters import Parameter
from backend.core.records import Forecast, ForecastBatch, Observation, ObservationBatch, Run
from backend.main import Service
from backend.scoring.days.update import update
from backend.storage import days, due, quality_state
from backend.storage import schema as t
from backend.storage.store import Store
from backend.tests.support.commands import typed
from backend.tests.support.served import ADMIN, NOW, TOKEN, make_service, served
from backend.tests.support.stores import make_tables, observations, open_store, reading

SPEED, GUST, DIRECTION = Parameter.WIND_SPEED, Parameter.WIND_GUST, Parameter.WIND_DIRECTION
FFVL, SITE_ID, DAYS = "ffvl:901", "grand-pre", 75
GOOD, TOO_LOW = "arome_0025", "icon_d2"
STOPS = DAYS - 30
BEGINS = datetime.combine(NOW.date() - timedelta(days=DAYS), datetime.min.time(), UTC)


def wind(day: int, hour: int) -> float:
    """Return the true wind: 14 km/h at night, up to 24 by day, a little more every third day."""
    return 14.0 + (10 - abs(hour - 12)) * (4 <= hour <= 20) + 2 * (day % 3)


def lived(folder: Path, *, until: int = DAYS, dead_vane: bool = False) -> Service:
    """Return a service with a beacon that stopped (or that lost its vane) 30 days ago.

    One model forecasts the true wind, the other less than half of it. The beacon is the site's only one that
    reports.
    """
    service = make_service(folder)
    make_tables(service.database)
    service.store.save_sites(service.sites())
    readings = []
    for day in range(until):
        start = BEGINS + timedelta(days=day)
        for hour in range(24):
            stopped = day >= STOPS and not dead_vane
            speed = 0.0 if stopped else wind(day, hour)
            moment = start + timedelta(hours=hour, minutes=5)
            readings += [
                Observation(FFVL, SPEED, moment, speed),
                Observation(FFVL, GUST, moment, 1.5 * speed),
            ]
            if not stopped:
                lost = dead_vane and day >= STOPS
                bearing = 0.0 if lost else 180.0 + 22.5 * ((day + hour) % 3)
                readings.append(Observation(FFVL, DIRECTION, moment, bearing))
        run = start - timedelta(hours=12)
        for model, share in ((GOOD, 1.0), (TOO_LOW, 0.45)):
            service.store.add_forecasts(
                ForecastBatch(
                    source=model,
                    route="test",
                    rank=0,
                    collected_at=run,
                    run=Run(model, run, run + timedelta(hours=4), published=True),
                    records=[
                        record
                        for hour in range(24)
                        for record in (
                            Forecast(
                                model,
                                SITE_ID,
                                SPEED,
                                run,
                                start + timedelta(hours=hour),
                                share * wind(day, hour),
                            ),
                            Forecast(
                                model,
                                SITE_ID,
                                DIRECTION,
                                run,
                                start + timedelta(hours=hour),
                                200.0 if model == GOOD else 10.0,
                            ),
                        )
                    ],
                )
            )
    service.store.add_observations(
        ObservationBatch(
            source="ffvl", route="test", rank=0, collected_at=NOW, averaging_minutes=10, records=readings
        )
    )
    update(service.database, NOW)
    return service


async def get(client: Any, path: str) -> Any:
    answer = await client.get(path, headers=ADMIN)
    assert answer.status_code == 200, answer.text
    return answer.json()


def of_days(first: int, last: int) -> str:
    begins, ends = (BEGINS.date() + timedelta(days=day) for day in (first, last))
    return f"/api/v1/sites/{SITE_ID}/verdict?from={begins}&to={ends}&hours=all"


async def test_a_stopped_anemometer_does_not_change_the_verdict_and_is_shown_everywhere(
    tmp_path: Path,
) -> None:
    service = lived(tmp_path)
    async with served(service) as client:
        before = await get(client, of_days(0, STOPS - 1))
        after = await get(client, of_days(STOPS, DAYS - 1))
        both = await get(client, of_days(0, DAYS - 1))
        page = await get(client, "/api/stations")
        text = (await client.get("/api/stations", headers={**ADMIN, b"Accept": b"text/csv"})).text
        await client.post("/ops/sign-in", data={"token": TOKEN})
        shown = (await client.get("/ops?lang=en")).text
    assert (before["best"], both["best"]) == (GOOD, GOOD)
    assert (after["best"], after["nPairs"]) == (None, 2)  # from local midnight on, before that of UTC
    [station] = after["stations"]
    assert station["doubted"] == {"stopped": pytest.approx(30 * 24, abs=2)}
    assert any("left out: at 0 day and night" in note for note in after["notes"])
    assert not any("left out" in note for note in before["notes"])
    [flag] = next(each for each in page["stations"] if each["id"] == FFVL)["flags"]
    stops = BEGINS.date() + timedelta(days=STOPS)
    assert (flag["parameter"], flag["reason"], flag["excluded"]) == ("wind_speed", "stopped", True)
    assert flag["sites"] == [SITE_ID]
    assert f"mean wind, {stops} to " in flag["text"]
    assert all(each["flags"] == [] for each in page["stations"] if each["id"] != FFVL)
    [row] = [each for each in csv.DictReader(io.StringIO(text)) if each["id"] == FFVL]
    assert row["flags"] == flag["text"]
    assert re.search(
        rf"{FFVL} \({SITE_ID}\), mean wind speed: at 0 for longer than ever before, since", shown
    )
    assert "Its values are left out of the scores." in shown


async def test_flags_of_a_withheld_network_are_for_the_operator_only(tmp_path: Path) -> None:
    service = make_service(tmp_path)
    make_tables(service.database)
    service.store.save_sites(service.sites())
    now = NOW.replace(microsecond=0)
    service.store.add_observations(observations(reading(12.0, station="romma:902")))
    service.store.exclude_station("romma:902", [SPEED], now.date(), None, "", now)
    async with served(service) as client:
        public = (await client.get("/api/stations")).json()["stations"]
        operator = await get(client, "/api/stations")
    assert [each["flags"] for each in public if each["id"] == "romma:902"] == [[]]
    assert [len(each["flags"]) for each in operator["stations"] if each["id"] == "romma:902"] == [1]


async def test_a_missing_vane_does_not_turn_the_verdict_of_directions(tmp_path: Path) -> None:
    """A model with a constant 10 degrees would match every 0 of a missing vane."""
    async with served(lived(tmp_path, dead_vane=True)) as client:
        after = await get(client, f"{of_days(STOPS, DAYS - 1)}&parameter=wind_direction")
        both = await get(client, f"{of_days(0, DAYS - 1)}&parameter=wind_direction")
        speed = await get(client, of_days(STOPS, DAYS - 1))
    assert (after["best"], after["nPairs"]) == (None, 2)
    assert after["stations"][0]["doubted"] == {"zero_direction": pytest.approx(30 * 24, abs=2)}
    assert both["best"] == GOOD
    assert (speed["best"], speed["stations"][0]["doubted"]) == (GOOD, {})


async def test_the_values_stay_stored(tmp_path: Path) -> None:
    service = lived(tmp_path)
    with service.database.read() as connection:
        calm = sa.select(sa.func.count()).select_from(t.observation).where(t.observation.c.wind_speed == 0)
        assert connection.execute(calm).scalar_one() == 30 * 24
    await service.close()


# --- By the operator ---------------------------------------------------------------------------------


def speeds(store: Store, day: date) -> int:
    with store.database.read() as connection:
        found = days.observed_columns(connection, 1, day_number(day), day_number(day))
    return int((found.hourly[:, 0] >= 0).sum())


def doubted(store: Store) -> set[str]:
    with store.database.read() as connection:
        return set(connection.execute(sa.select(t.doubted.c.reason)).scalars())


@pytest.fixture
def store(database_url: str) -> Store:
    store = open_store(database_url)
    start = datetime(2026, 7, 10, tzinfo=UTC)
    values = [
        Observation("ffvl:2496", SPEED, start + timedelta(hours=hour, minutes=5), 10.0 + hour % 7)
        for hour in range(24 * 6)
    ]
    store.add_observations(observations(*values, averaging_minutes=10))
    update(store.database, start + timedelta(days=8))
    return store


NOON = datetime(2026, 7, 20, 12, tzinfo=UTC)
TWELFTH, THIRTEENTH = date(2026, 7, 12), date(2026, 7, 13)


def test_what_the_operator_excludes_leaves_the_scores_from_that_day_on_and_returns(store: Store) -> None:
    everything = {day: speeds(store, date(2026, 7, day)) for day in range(10, 16)}
    assert min(everything.values()) > 20
    store.exclude_station("ffvl:2496", [SPEED], TWELFTH, None, "bent", NOON)
    with store.database.read() as connection:
        assert set(days.due_days(connection, 1, day_number(date(2026, 8, 1)))) >= set(
            range(day_number(TWELFTH), day_number(date(2026, 7, 15)) + 1)
        )
    update(store.database, NOON)
    assert [speeds(store, date(2026, 7, day)) > 2 for day in range(10, 16)] == [True] * 2 + [False] * 4
    assert doubted(store) == {"excluded_by_operator"}
    [flag] = store.station_flags()
    assert (flag.parameter, flag.until, flag.note, flag.sites) == (SPEED, None, "bent", ("planfait",))
    assert store.include_station("ffvl:2496", [SPEED]) == [TWELFTH]
    update(store.database, NOON)
    assert {day: speeds(store, date(2026, 7, day)) for day in range(10, 16)} == everything
    assert doubted(store) == set()


def test_an_exclusion_with_an_end_is_about_those_days_only(store: Store) -> None:
    store.exclude_station("ffvl:2496", [SPEED], TWELFTH, THIRTEENTH, "", NOON)
    update(store.database, NOON)
    left = [speeds(store, date(2026, 7, day)) > 2 for day in range(10, 16)]
    assert left == [True, True, False, False, True, True]


def test_an_exclusion_is_part_of_what_a_rebuild_makes(store: Store) -> None:
    store.exclude_station("ffvl:2496", [SPEED, GUST], TWELFTH, None, "", NOON)
    update(store.database, NOON)
    with store.database.write() as connection:
        due.note_due(connection, [(1, due.EVERY_DAY)])
    update(store.database, NOON)
    assert [speeds(store, date(2026, 7, day)) > 2 for day in range(10, 16)] == [True] * 2 + [False] * 4


def test_an_exclusion_of_an_unknown_station_or_of_days_in_the_wrong_order_is_refused(store: Store) -> None:
    with pytest.raises(NotFoundError, match="ffvl:9"):
        store.exclude_station("ffvl:9", [SPEED], TWELFTH, None, "", NOON)
    with pytest.raises(NotFoundError, match="ffvl:9"):
        store.include_station("ffvl:9", [SPEED])
    with pytest.raises(ConfigError, match="before the first"):
        store.exclude_station("ffvl:2496", [SPEED], THIRTEENTH, TWELFTH, "", NOON)


def test_doctor_names_what_is_known_of_sensors(tmp_path: Path) -> None:
    environment = {"DATA_DIR": str(tmp_path), "SITES_FROM": "database", "SOURCES": "arome"}
    environment |= {"SCHEDULER_ENABLED": "false", "AROME_STORAGE_URL": "http://127.0.0.1:9"}
    store = open_store(f"sqlite:///{tmp_path / 'meteo-score.db'}")
    environment["DATABASE_URL"] = f"sqlite:///{tmp_path / 'meteo-score.db'}"
    now = datetime.now(UTC).replace(microsecond=0)
    store.add_observations(observations(reading(12.0)))
    store.exclude_station("ffvl:2496", [SPEED], now.date(), None, "bent", now)
    midnight = int(now.timestamp()) // 86400 * 86400
    with store.database.write() as connection:
        quality_state.write_flags(
            connection,
            1,
            [
                (1, 2, "zero_direction", midnight - 20 * 86400, midnight, True),
                (1, 3, "frozen_temperature", midnight - 9 * 86400, midnight, False),
                (1, 0, "stopped", midnight - 20 * 86400, midnight - 10 * 86400, True),
                (1, 0, "stopped", midnight - 90 * 86400, midnight - 60 * 86400, True),
            ],
        )
    result = typed("doctor --json", environment)
    assert result.exit_code == 1
    found = [each for each in json.loads(result.stdout) if each["what"] == "sensor of ffvl:2496"]
    assert sorted((each["ok"], each["says"].split(", ")[1]) for each in found if each["ok"] is False) == [
        (False, "wind direction")
    ]
    assert sorted(each["says"].split(", ")[1] for each in found if each["ok"] is None) == [
        "mean wind",  # excluded by the operator, and the stop that ended ten days ago
        "mean wind",
        "temperature",
    ]
    [question] = [each["says"] for each in found if "is its sensor in order?" in each["says"]]
    assert "meteo-score sites exclude-station ffvl:2496 temperature --from DAY" in question
