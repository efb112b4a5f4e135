"""One odd row in an answer costs that row; the answer fails when most of its rows are odd.

The answers have the true shape of each network, of a hundred beacons.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import pytest

from backend.collectors import meteofrance, pioupiou
from backend.collectors.beacons import winds_mobi
from backend.collectors.beacons.readings import Readings
from backend.collectors.ffvl_routes import keyed
from backend.collectors.ffvl_routes.keyed import Keyed, parse_list
from backend.collectors.ffvl_routes.network import FFVL
from backend.collectors.set_aside import set_aside_implausible
from backend.collectors.transport.decoding import MAX_ODD_TEXT, MOST_ODD_ROWS
from backend.core.errors import ParseError
from backend.core.records import ObservationBatch, Station
from backend.tests.support.fakes import ScriptedFetch
from backend.tests.support.ffvl_samples import (
    KEYED,
    NOW,
    TODAY,
    at,
    collected,
    feed,
    feed_row,
    needs,
    payload,
)

MANY = 100
PARIS = "2026-05-09 15:00:00"
UTC_TIME = at(13, 0)
ISO = "2026-05-09T13:00:00Z"

Row = dict[str, Any]


def ffvl_row(number: int) -> Row:
    return feed_row(str(number), PARIS)


def listed_row(number: int, **fields: object) -> Row:
    place = {"latitude": "45.9", "longitude": "6.7", "altitude": "1200"}
    return {"idBalise": str(number), "nom": f"B{number}", **place, "station_type": "FFVL", **fields}


def mobi_reading(minutes: int = 0) -> Row:
    seconds = int((UTC_TIME - timedelta(minutes=minutes)).timestamp())
    return {"_id": seconds, "w-dir": 202, "w-avg": 14.0, "w-max": 21.0, "temp": 12.0}


def mobi_row(number: int) -> Row:
    place = {"type": "Point", "coordinates": [6.7, 45.9]}
    return {
        "_id": f"ffvl-{number}", "name": f"B{number}", "alt": 1200, "loc": place, "last": mobi_reading()
    }  # fmt: skip


def pioupiou_row(number: int) -> Row:
    wind = {"wind_heading": 202.5, "wind_speed_avg": 14.0, "wind_speed_max": 21.0, "wind_speed_min": 7.0}
    return {
        "id": number,
        "meta": {"name": f"B{number}"},
        "location": {"latitude": 45.9, "longitude": 6.7, "date": ISO, "success": True},
        "measurements": {"date": ISO, "pressure": None, **wind},
        "status": {"date": ISO, "snr": 20, "state": "on"},
    }


def meteofrance_row(number: int, minutes: int = 0) -> Row:
    time = f"{UTC_TIME - timedelta(minutes=minutes):%Y-%m-%dT%H:%M:%SZ}"
    values = {"ff": 4.0, "dd": 200, "raf10": 6.0, "t": 285.15}
    return {"lat": 45.9, "lon": 6.7, "geo_id_insee": f"{number:08d}", "validity_time": time, **values}


def archive_body(rows: list[object]) -> bytes:
    legend = ["time", "latitude", "longitude", "wind_speed_min", "wind_speed_avg", "wind_speed_max"]
    units = ["utc", "degrees", "degrees", "km/h", "km/h", "km/h", "degrees", "(deprecated)"]
    return json.dumps(
        {"legend": [*legend, "wind_heading", "pressure"], "units": units, "data": rows}
    ).encode()


def archive_row(number: int) -> list[object]:
    time = f"{UTC_TIME - timedelta(minutes=5 * number):%Y-%m-%dT%H:%M:%S.000Z}"
    return [time, 45.9, 6.7, 7.0, 14.0, 21.0, 202.5, None]


def changed(row: Any, path: str, value: object) -> object:
    """Return a row with another value at a path ("measurements.date"); without it where DROP is given."""
    copy = json.loads(json.dumps(row))
    *way, last = path.split(".")
    place = copy
    for step in way:
        place = place[step]
    if value is DROP:
        del place[last]
    else:
        place[int(last) if isinstance(place, list) else last] = value
    return copy


DROP = object()


@dataclass(frozen=True)
class Answer:
    """An answer of rows: how a row and a whole answer are written, and how one is read."""

    row: Callable[[int], Any]
    body: Callable[[list[object]], bytes]
    read: Callable[[bytes], Readings]
    subject: Callable[[int], str]


def plain(rows: list[object]) -> bytes:
    return json.dumps(rows).encode()


SINCE = NOW - timedelta(days=3)
ANSWERS: Mapping[str, Answer] = {
    "ffvl readings": Answer(
        ffvl_row,
        lambda rows: feed(*rows),
        lambda body: keyed.parse_readings(payload(body), {}),
        lambda number: f"ffvl:{number}",
    ),
    "ffvl history": Answer(
        lambda number: feed_row("5", f"2026-05-09 {14 - number // 60:02d}:{59 - number % 60:02d}:00"),
        lambda rows: feed(*rows),
        lambda body: keyed.parse_history(payload(body), "ffvl:5", SINCE),
        lambda _: "ffvl:5",
    ),
    "winds.mobi stations": Answer(
        mobi_row,
        plain,
        lambda body: winds_mobi.parse_stations(FFVL, payload(body), {})[0],
        lambda number: f"ffvl:{number}",
    ),
    "winds.mobi history": Answer(
        mobi_reading,
        plain,
        lambda body: winds_mobi.parse_history(payload(body), "ffvl:5", SINCE),
        lambda _: "ffvl:5",
    ),
    "pioupiou live": Answer(
        pioupiou_row,
        lambda rows: json.dumps({"data": rows}).encode(),
        lambda body: pioupiou.parse_live(payload(body), {})[0],
        lambda number: f"pioupiou:{number}",
    ),
    "pioupiou archive": Answer(
        archive_row,
        archive_body,
        lambda body: pioupiou.parse_archive(payload(body), "pioupiou:5", SINCE),
        lambda _: "pioupiou:5",
    ),
    "meteofrance slot": Answer(
        lambda number: meteofrance_row(74_000_000 + number),
        plain,
        lambda body: meteofrance.parse_slot(payload(body), {})[0],
        lambda number: f"meteofrance:{74_000_000 + number}",
    ),
    "meteofrance history": Answer(
        lambda number: meteofrance_row(74_000_005, 6 * number),
        plain,
        lambda body: meteofrance.parse_history(payload(body), "meteofrance:74000005", SINCE),
        lambda _: "meteofrance:74000005",
    ),
}
ODD = [
    ("ffvl readings", "temperature", False),
    ("ffvl readings", "vitesseVentMoy", {"value": 12}),
    ("ffvl readings", "vitesseVentMax", [30]),
    ("ffvl readings", "date", 1234),
    ("ffvl history", "directVentMoy", True),
    ("winds.mobi stations", "name", None),
    ("winds.mobi stations", "alt", "1200 m"),
    ("winds.mobi stations", "last._id", DROP),
    ("winds.mobi stations", "last.w-avg", {"value": 12}),
    ("winds.mobi stations", "loc.coordinates", [6.7]),
    ("winds.mobi stations", "loc", "45.9, 6.7"),
    ("winds.mobi history", "_id", DROP),
    ("winds.mobi history", "w-avg", False),
    ("pioupiou live", "measurements", DROP),
    ("pioupiou live", "measurements.wind_speed_avg", False),
    ("pioupiou live", "meta", "name"),
    ("pioupiou live", "location.latitude", "45.9"),
    ("pioupiou live", "status.state", 1),
    ("pioupiou archive", "4", {"value": 12}),
    ("pioupiou archive", "6", False),
    ("meteofrance slot", "lat", "45.9"),
    ("meteofrance slot", "ff", "4.0"),
    ("meteofrance slot", "dd", {}),
    ("meteofrance slot", "validity_time", None),
    ("meteofrance history", "t", "warm"),
]
each_answer = pytest.mark.parametrize("name", ANSWERS)


def read_with(name: str, odd: object, count: int = 1) -> Readings:
    """Read an answer of MANY rows with `count` odd ones: the row in the middle and those before it."""
    answer = ANSWERS[name]
    rows: list[object] = [answer.row(number) for number in range(1, MANY + 1)]
    last = MANY // 2 + 1
    rows[last - count : last] = [odd] * count
    return answer.read(answer.body(rows))


@pytest.mark.parametrize(("name", "path", "value"), ODD)
def test_a_row_with_one_odd_field_costs_that_row_and_names_its_station(
    name: str, path: str, value: object
) -> None:
    answer = ANSWERS[name]
    number = MANY // 2 + 1
    readings = read_with(name, changed(answer.row(number), path, value))

    assert len({(record.station, record.time) for record in readings.records}) == MANY - 1
    [rejected] = readings.rejected
    assert rejected.reason.startswith("odd_row: ")
    assert rejected.subject == answer.subject(number)
    assert rejected.raw


@each_answer
@pytest.mark.parametrize("odd", [None, 7, "row", [], True], ids=str)
def test_a_row_that_is_no_row_costs_itself(name: str, odd: object) -> None:
    readings = read_with(name, odd)
    assert len({(record.station, record.time) for record in readings.records}) == MANY - 1
    assert [rejected.reason.partition(":")[0] for rejected in readings.rejected] == ["odd_row"]


@pytest.mark.parametrize("written", [b"NaN", b"-Infinity", b"nan", b"-nan", b"inf"])
@each_answer
def test_a_bare_nan_costs_no_other_row(name: str, written: bytes) -> None:
    """Python's encoder writes the first two, C's printf the others, and strict JSON has none of them."""
    answer = ANSWERS[name]
    rows = [answer.row(number) for number in range(1, MANY + 1)]
    body = answer.body(rows)
    middle = body.index(json.dumps(rows[50]).encode()) + 1
    value = body.index(b"14.0" if b"14.0" in body else b'"10"' if b'"10"' in body else b"4.0", middle)
    end = value + len(b"14.0" if b"14.0" in body else b'"10"' if b'"10"' in body else b"4.0")
    readings = answer.read(body[:value] + written + body[end:])

    batch = set_aside_implausible(
        ObservationBatch(
            source="", route="", rank=0, collected_at=NOW, records=readings.records,
            rejected=readings.rejected,
        )
    )  # fmt: skip
    assert len({(record.station, record.time) for record in batch.records}) >= MANY - 1
    assert len(batch.rejected) == 1


@each_answer
def test_bytes_that_are_no_utf_8_cost_their_row(name: str) -> None:
    answer = ANSWERS[name]
    rows = [answer.row(number) for number in range(1, MANY + 1)]
    rows[50] = "caf\N{LATIN SMALL LETTER E WITH ACUTE}"
    body = answer.body(rows).replace(b"caf\\u00e9", b"caf\xe9")
    readings = answer.read(body)
    assert len({(record.station, record.time) for record in readings.records}) == MANY - 1


@each_answer
def test_half_of_the_rows_may_be_odd_and_more_of_them_are_another_format(name: str) -> None:
    assert len(read_with(name, None, MANY // 2).rejected) == MANY // 2
    with pytest.raises(ParseError, match="at least 51 of 100 rows are not as documented"):
        read_with(name, None, MANY // 2 + 1)


def test_no_answer_gives_more_than_a_thousand_odd_rows_and_each_is_cut() -> None:
    good = [ffvl_row(number) for number in range(MOST_ODD_ROWS + 2)]
    long = {"idbalise": "7", "date": ["x" * 10_000]}
    readings = keyed.parse_readings(payload(feed(*good, *[long] * MOST_ODD_ROWS)), {})
    assert len(readings.rejected) == MOST_ODD_ROWS
    assert max(len(rejected.raw) for rejected in readings.rejected) == MAX_ODD_TEXT
    with pytest.raises(ParseError, match="at least 1001 of"):
        keyed.parse_readings(payload(feed(*good, *[long] * (MOST_ODD_ROWS + 1))), {})


def test_a_row_of_another_network_or_station_costs_itself() -> None:
    [foreign] = read_with("winds.mobi stations", {**mobi_row(5), "_id": "pioupiou-5"}).rejected
    assert "requested stations of ffvl, row is of 'pioupiou-5'" in foreign.reason
    [other] = read_with("ffvl history", feed_row("6", PARIS)).rejected
    assert "requested ffvl:5, row is of ffvl:6" in other.reason
    [short] = read_with("pioupiou archive", ["2026-05-09T12:36:09.000Z", 45.8]).rejected
    assert "a row of 2 values, fewer than in its legend" in short.reason


def test_a_history_with_an_odd_row_does_not_count_as_complete() -> None:
    """The row may be right the next time; the history is asked for again as long as it may have it."""
    readings = read_with("ffvl history", None)
    batch = ObservationBatch(
        source="ffvl",
        route="keyed",
        rank=0,
        collected_at=NOW,
        records=readings.records,
        rejected=readings.rejected,
        complete_until={"ffvl:5": UTC_TIME, "ffvl:6": UTC_TIME},
    )
    assert set_aside_implausible(batch).complete_until == {"ffvl:6": UTC_TIME}


def test_a_backfill_reports_the_odd_rows_of_a_history() -> None:
    readings = read_with("ffvl history", None).within(SINCE, NOW)
    assert [rejected.reason.partition(":")[0] for rejected in readings.rejected] == ["odd_row"]


# The list of the FFVL and the networks that its feed re-publishes

ROUTE = Keyed("https://data.ffvl.fr", "s3cret")
REPUBLISHED = 3214


async def collect_with(
    odd: object, *mapped: str, listed: datetime | None = None, known: Mapping[str, Station] | None = None
) -> tuple[ObservationBatch, ObservationBatch, ScriptedFetch]:
    """Collect a feed that re-publishes a Pioupiou, whose row in the list is `odd`."""
    listing = [*(listed_row(number) for number in range(1, MANY)), odd]
    readings = [ffvl_row(number) for number in (*range(1, MANY), REPUBLISHED)]
    fetch = ScriptedFetch(
        {f"{KEYED}list": feed(*listing), f"{KEYED}releves_meteo": feed(*readings), f"{KEYED}histo": b"[]"},
        now=NOW,
    )
    first, second, *_ = await collected(ROUTE, needs(*mapped, listed=listed, known=known), fetch)
    return first, second, fetch


@pytest.mark.parametrize(
    "odd",
    [
        listed_row(REPUBLISHED, station_type="PIOUPIOU", nom=False),
        listed_row(REPUBLISHED, station_type="pioupiou ", altitude={"metres": 1200}),
        listed_row(REPUBLISHED, station_type=False),
        listed_row(REPUBLISHED, station_type=["PIOUPIOU"]),
        listed_row(REPUBLISHED, station_type="PIOUPIOU", idBalise=""),
        listed_row(REPUBLISHED, station_type="PIOUPIOU", idBalise=False),
        listed_row(REPUBLISHED, station_type=None, idBalise=None, nom=7),
        None,
    ],
    ids=str,
)
@pytest.mark.parametrize("mapped", [(), (f"ffvl:{REPUBLISHED}",)])
async def test_a_republished_beacon_with_an_odd_row_in_the_list_is_not_the_ffvls(
    odd: object, mapped: tuple[str, ...]
) -> None:
    listing, readings, fetch = await collect_with(odd, *mapped)
    assert len({record.station for record in readings.records} - {f"ffvl:{REPUBLISHED}"}) == MANY - 1
    assert f"ffvl:{REPUBLISHED}" not in {record.station for record in readings.records}
    assert [url for url in fetch.urls if "histo" in url] == []
    assert [rejected.reason.partition(":")[0] for rejected in listing.rejected] == ["odd_row"]


async def test_an_odd_row_of_a_beacon_of_the_ffvl_costs_the_others_nothing() -> None:
    listing, readings, _ = await collect_with(listed_row(777, idBalise=""))
    assert len(listing.stations) == MANY - 1
    assert f"ffvl:{REPUBLISHED}" in {record.station for record in readings.records}, "in no list: kept"
    assert listing.listed == "ffvl"


async def test_a_list_that_may_hide_a_republished_beacon_stays_due() -> None:
    listing, _, _ = await collect_with(listed_row(REPUBLISHED, station_type=False))
    assert listing.listed is None
    whole, _, _ = await collect_with(listed_row(REPUBLISHED, station_type="PIOUPIOU", nom=False))
    assert whole.listed == "ffvl"


async def test_a_kind_that_the_store_knows_outlives_an_odd_row() -> None:
    known = {f"ffvl:{REPUBLISHED}": Station(f"ffvl:{REPUBLISHED}", kind="FFVL")}
    yesterday = TODAY - timedelta(days=2)
    _, readings, _ = await collect_with(
        listed_row(REPUBLISHED, station_type=False), listed=yesterday, known=known
    )
    assert f"ffvl:{REPUBLISHED}" in {record.station for record in readings.records}


async def test_an_odd_row_does_not_change_the_kind_that_a_good_row_of_the_list_states() -> None:
    good = listed_row(REPUBLISHED, station_type="PIOUPIOU")
    odd = listed_row(REPUBLISHED, station_type="FFVL", nom=False)
    listing = parse_list(payload(feed(good, odd, *(listed_row(number) for number in range(1, 4)))))
    kinds = [station.kind for station in listing.stations if station.id == f"ffvl:{REPUBLISHED}"]
    assert kinds == ["PIOUPIOU"]
