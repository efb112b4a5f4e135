"""The newest readings of a site against what was announced the evening before."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, timedelta
from pathlib import Path
from typing import cast

import pytest

from backend.answers.now import NowAnswer, now_answer
from backend.answers.service import ReadingParts
from backend.answers.withholding import withheld_from_public
from backend.core.parameters import Parameter
from backend.core.records import Observation, ObservationBatch
from backend.main import Service
from backend.tests.support.score_store import SPEED, Grid, constant, keep
from backend.tests.support.served import NOW, make_service, store_observations
from backend.tests.support.stores import make_tables
from backend.tests.support.worlds import HandClock

CLOCK = 14
"""The hour nearest to the reading of 14:05 local time; the beacon reads 21 km/h."""


def service_with(
    folder: Path, announced: Mapping[str, float], today: Grid | None = None, *, minutes_later: int = 0
) -> Service:
    """Return a service with a reading of 21 km/h; `today` is what the beacon read hour by hour."""
    service = make_service(folder, clock=HandClock(NOW + timedelta(minutes=minutes_later)))
    make_tables(service.database)
    service.store.save_sites(service.sites())
    store_observations(service)
    keep(
        service.database,
        service.sites()[0],
        NOW.date(),
        models={model: {SPEED: constant(1, value)} for model, value in announced.items()},
        stations={"ffvl:901": {SPEED: constant(1, 21.0) if today is None else today}},
    )
    return service


def now_at(service: Service, site: int = 0) -> NowAnswer:
    parts = cast(ReadingParts, service)
    return now_answer(parts, service.sites()[site], withheld_from_public(parts))


def test_the_reading_has_its_age_and_its_beacon_has_its_place(tmp_path: Path) -> None:
    answer = now_at(service_with(tmp_path, {"arome_0025": 10.0}))
    (station,) = answer.stations
    assert (station.wind_speed, station.wind_gust, station.wind_direction) == (21.0, None, 225.0)
    assert station.age_seconds == 300
    assert not station.stale
    assert station.place.station == "ffvl:901"
    assert station.place.is_reference
    assert answer.withheld_stations == 1  # romma:902


@pytest.mark.parametrize(
    ("announced", "side", "difference", "within"),
    [
        ({"arome_0025": 10.0, "icon_d2": 15.5}, "above", 5.5, []),
        ({"arome_0025": 10.0, "icon_d2": 16.0}, "among", 5.0, ["icon_d2"]),
        ({"arome_0025": 10.0, "icon_d2": 40.0}, "among", 11.0, []),
        ({"arome_0025": 30.0, "icon_d2": 27.5}, "below", -6.5, []),
    ],
)
def test_a_reading_is_above_or_below_only_if_it_is_so_of_every_model(
    tmp_path: Path, announced: dict[str, float], side: str, difference: float, within: list[str]
) -> None:
    against = now_at(service_with(tmp_path, announced)).against
    assert against is not None
    assert (against.side, against.difference, against.hour) == (side, difference, CLOCK)
    assert [model.model for model in against.models if model.within] == within


def test_it_is_so_since_the_first_hour_of_an_unbroken_row(tmp_path: Path) -> None:
    today = constant(1, 21.0)
    today[0, 10] = 12.0  # as announced
    against = now_at(service_with(tmp_path, {"arome_0025": 10.0}, today)).against
    assert against is not None
    assert against.since == 11


def test_the_hour_of_the_reading_alone_is_no_beginning(tmp_path: Path) -> None:
    today = constant(1, 21.0)
    today[0, :15] = 12.0  # as announced
    service = service_with(tmp_path, {"arome_0025": 10.0}, today, minutes_later=30)
    time = NOW + timedelta(minutes=25)
    service.store.add_observations(
        ObservationBatch(
            source="ffvl",
            route="winds_mobi",
            rank=1,
            collected_at=time,
            newest=time,
            records=(Observation("ffvl:901", SPEED, time, 21.0),),
        )
    )
    against = now_at(service).against
    assert against is not None
    assert (against.hour, against.side, against.since) == (15, "above", None), "15:00 is after 14:35"


def test_a_stale_reading_is_not_compared(tmp_path: Path) -> None:
    answer = now_at(service_with(tmp_path, {"arome_0025": 10.0}, minutes_later=60))
    assert answer.stations[0].stale
    assert answer.against is None


def test_a_withheld_model_is_not_in_the_comparison(tmp_path: Path) -> None:
    both = now_at(service_with(tmp_path, {"arome_0025": 10.0, "meteo_parapente": 77.0}))
    assert both.against is not None
    assert [model.model for model in both.against.models] == ["arome_0025"]
    assert (both.against.side, both.against.difference) == ("above", 11.0)


def test_a_site_with_withheld_stations_only_has_no_reading(tmp_path: Path) -> None:
    answer = now_at(service_with(tmp_path, {"arome_0025": 10.0}), site=1)
    assert answer.stations == []
    assert answer.station_withheld == "romma:903"
    assert "88" not in answer.model_dump_json()


def test_a_beacon_has_the_flags_of_its_sensors_that_last_until_now(tmp_path: Path) -> None:
    service = service_with(tmp_path, {})
    for code, first, last in (
        ("ffvl:901", date(2026, 7, 10), None),
        ("ffvl:901", date(2026, 5, 1), date(2026, 5, 9)),  # it is over
        ("romma:902", date(2026, 7, 10), None),  # its values are not public
    ):
        parameter = Parameter.WIND_SPEED if last is None else Parameter.WIND_GUST
        service.store.exclude_station(code, (parameter,), first, last, "a new tree", NOW)
    (station,) = now_at(service).stations
    (flag,) = station.flags
    assert (flag.parameter, flag.reason, flag.excluded) == (
        Parameter.WIND_SPEED,
        "excluded_by_operator",
        True,
    )
    assert flag.until is None
