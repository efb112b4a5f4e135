"""The FFVL's own feed."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from backend.collectors.ffvl_routes.keyed import (
    Keyed,
    history_hours,
    parse_history,
    parse_list,
    parse_readings,
)
from backend.core.errors import FetchError, ParseError
from backend.core.records import Station
from backend.tests.support.fakes import ScriptedFetch
from backend.tests.support.ffvl_samples import (
    DIRECTION,
    GUST,
    KEYED,
    NOW,
    SINCE,
    SPEED,
    TEMPERATURE,
    TODAY,
    at,
    collected,
    feed,
    feed_row,
    needs,
    payload,
    read,
    reasons,
    values,
)

ROUTE = Keyed("https://data.ffvl.fr", "s3cret")
LIST, READINGS, HISTORY = f"{KEYED}list", f"{KEYED}releves_meteo", f"{KEYED}histo"


def script(**answers: bytes | Exception) -> dict[str, bytes | Exception]:
    good = {"list": read("list.json"), "releves_meteo": read("releves_meteo.json")}
    return {f"{KEYED}{name}": answer for name, answer in {**good, **answers}.items()}


# Readings


def test_a_reading_has_speed_gust_direction_and_temperature_at_its_paris_time_in_utc() -> None:
    readings = parse_readings(payload(read("releves_meteo.json")), {})

    assert values(readings.records, "ffvl:511") == {
        at(13, 4): {SPEED: 14.0, GUST: 23.0, DIRECTION: 292.0, TEMPERATURE: 11.0}
    }


def test_a_value_that_is_not_there_is_absent_and_never_zero() -> None:
    readings = parse_readings(payload(read("releves_meteo.json")), {})

    assert values(readings.records, "ffvl:512") == {at(12, 58): {TEMPERATURE: 9.0}}  # wind null
    assert values(readings.records, "ffvl:517")[at(13, 2)].keys() == {SPEED, GUST, DIRECTION}  # "NC"
    assert values(readings.records, "ffvl:517")[at(12, 52)].keys() == {SPEED, GUST, DIRECTION}  # ""
    assert values(readings.records, "ffvl:522") == {at(13, 0): {GUST: 31.0, TEMPERATURE: 14.0}}  # "--"


def test_a_calm_has_no_direction() -> None:
    readings = parse_readings(payload(read("releves_meteo.json")), {})

    assert values(readings.records, "ffvl:516") == {at(13, 1): {SPEED: 0.0, GUST: 3.0, TEMPERATURE: -2.0}}


def test_a_mean_of_zero_beside_a_gust_of_ten_is_a_missing_mean() -> None:
    row = feed_row("5", "2026-05-09 15:00:00", vitesseVentMoy="0", vitesseVentMax="25")

    readings = parse_readings(payload(feed(row)), {})

    assert values(readings.records, "ffvl:5") == {at(13, 0): {GUST: 25.0, DIRECTION: 270.0, TEMPERATURE: 7.0}}
    assert reasons(readings.rejected) == {("ffvl:5", "0"): "zero_mean"}


def test_the_first_of_two_rows_with_one_station_and_time_is_read_and_all_other_times() -> None:
    readings = parse_readings(payload(read("releves_meteo.json")), {})

    speeds = {time: row[SPEED] for time, row in values(readings.records, "ffvl:517").items()}
    assert speeds == {at(13, 2): 18.0, at(12, 52): 17.0}


def test_unusable_rows_are_rejected_with_their_text_and_the_others_are_read() -> None:
    readings = parse_readings(payload(read("releves_meteo.json")), {})

    assert reasons(readings.rejected) == {
        ("ffvl:519", ""): "invalid_time",
        ("ffvl:520", "2026-05-09 17:04:00"): "future",
        ("ffvl:521", "2026-03-29 02:31:10"): "missing_hour",
        ("ffvl:522", "douze"): "not_a_number",
        ("ffvl:517", "NC"): "missing",
        ("ffvl:522", "--"): "missing",
    }
    [future] = [value for value in readings.rejected if value.subject == "ffvl:520"]
    assert future.time == at(15, 4)


@pytest.mark.parametrize(
    "date",
    [None, "", "NC", "0000-00-00 00:00:00", "2026-05-09", "1970-01-01 01:00:00", "0001-01-01 00:00:00"],
)
def test_a_date_that_is_none_is_rejected(date: str | None) -> None:
    body = feed(feed_row("531", date), feed_row("532", "2026-05-09 15:00:00"))

    readings = parse_readings(payload(body), {})

    assert [(value.subject, value.reason) for value in readings.rejected] == [("ffvl:531", "invalid_time")]
    assert {record.station for record in readings.records} == {"ffvl:532"}


@pytest.mark.parametrize("mark", ["NC", "nc", "--", "---", "--.-", " -- "])
def test_a_value_marked_as_missing_is_set_aside_with_its_mark_and_time(mark: str) -> None:
    body = feed(feed_row("531", "2026-05-09 15:00:00", vitesseVentMoy=mark))

    readings = parse_readings(payload(body), {})

    [rejected] = readings.rejected
    assert (rejected.subject, rejected.parameter, rejected.time) == ("ffvl:531", SPEED, at(13, 0))
    assert (rejected.raw, rejected.reason) == (mark, "missing")
    assert SPEED not in values(readings.records, "ffvl:531")[at(13, 0)]


@pytest.mark.parametrize("nothing", [None, "", " "])
def test_a_value_that_is_null_or_empty_is_no_mark_and_is_not_counted(nothing: str | None) -> None:
    body = feed(feed_row("531", "2026-05-09 15:00:00", temperature=nothing))

    readings = parse_readings(payload(body), {})

    assert readings.rejected == ()
    assert TEMPERATURE not in values(readings.records, "ffvl:531")[at(13, 0)]


@pytest.mark.parametrize("text", ["nan", "inf", "1_000", "12 km/h", "1e2", "0x1F"])
def test_only_plain_decimals_are_numbers(text: str) -> None:
    readings = parse_readings(payload(feed(feed_row("531", "2026-05-09 15:00:00", temperature=text))), {})

    assert reasons(readings.rejected) == {("ffvl:531", text): "not_a_number"}
    assert TEMPERATURE not in values(readings.records, "ffvl:531")[at(13, 0)]


def test_numbers_that_are_no_texts_are_read_alike() -> None:
    row = feed_row("531", "2026-05-09 15:00:00", vitesseVentMoy=12, temperature=-1.5)
    readings = parse_readings(payload(feed({**row, "idbalise": 531})), {})

    assert values(readings.records, "ffvl:531")[at(13, 0)] == {
        SPEED: 12.0,
        GUST: 16.0,
        DIRECTION: 270.0,
        TEMPERATURE: -1.5,
    }


def test_a_clock_up_to_ten_minutes_fast_is_believed_but_is_not_the_newest() -> None:
    body = feed(
        feed_row("531", "2026-05-09 15:20:00"),
        feed_row("532", "2026-05-09 15:21:00"),
        feed_row("533", "2026-05-09 15:09:59"),
    )
    readings = parse_readings(payload(body), {})

    assert {record.station for record in readings.records} == {"ffvl:531", "ffvl:533"}
    assert readings.newest == at(13, 9)


def test_a_row_that_names_no_beacon_is_rejected() -> None:
    nameless = {**feed_row("", "2026-05-09 15:00:00"), "idbalise": None}
    readings = parse_readings(payload(feed(nameless, feed_row("531", "2026-05-09 15:00:00"))), {})

    [rejected] = readings.rejected
    assert (rejected.subject, rejected.reason) == ("ffvl:?", "no_station")


@pytest.mark.parametrize("number", ["", " ", "-1", "5e2", "٥٣١", "9" * 400, -1])
def test_a_beacon_whose_number_is_none_is_rejected_in_readings_and_list(number: str | int) -> None:
    nameless = {**feed_row("", "2026-05-09 15:00:00"), "idbalise": number}
    readings = parse_readings(payload(feed(nameless, feed_row("531", "2026-05-09 15:00:00"))), {})
    assert [rejected.reason for rejected in readings.rejected] == ["no_station"]
    assert readings.stations == {"ffvl:531", "ffvl:?"}
    listing = parse_list(payload(feed({"idBalise": "531"}, {"idBalise": number})))
    assert [station.id for station in listing.stations] == ["ffvl:531"]
    assert reasons(listing.rejected)["ffvl:?", listing.rejected[0].raw] == "odd_row"
    with pytest.raises(ParseError, match="is not the number of a beacon"):
        parse_list(payload(feed({"idBalise": number})))


def test_endless_nesting_is_refused_and_a_letter_that_no_store_keeps_is_replaced() -> None:
    with pytest.raises(ParseError, match="not the documented JSON array"):
        parse_readings(payload(b'[{"more":' + b"[" * 5000), {})
    [station] = parse_list(payload(feed({"idBalise": "531", "nom": "Loup\0"}))).stations
    assert station.name == "Loup\ufffd"


@pytest.mark.parametrize(
    ("local", "fetched_at", "expected"),
    [
        ("2026-07-15 02:00:00", at(0, 5, 15, 7), at(0, 0, 15, 7)),  # two in Paris is midnight in UTC
        ("2026-07-15 00:30:00", at(22, 35, 14, 7), at(22, 30, 14, 7)),  # the day before in UTC
        ("2026-01-15 00:59:59", at(0, 5, 15, 1), at(23, 59, 14, 1)),
        ("2026-01-15 02:58:00", at(2, 5, 15, 1), at(1, 58, 15, 1)),
        ("2026-03-29 01:59:00", at(1, 5, 29, 3), at(0, 59, 29, 3)),  # last minute of winter time
        ("2026-03-29 03:01:00", at(1, 5, 29, 3), at(1, 1, 29, 3)),  # first of summer time
        ("2026-10-25 02:32:00", at(0, 40, 25, 10), at(0, 32, 25, 10)),  # first pass of the doubled hour
        ("2026-10-25 02:32:00", at(1, 40, 25, 10), at(1, 32, 25, 10)),  # second pass
        ("2026-10-25 02:52:00", at(1, 10, 25, 10), at(0, 52, 25, 10)),  # the second pass is yet to come
    ],
)
def test_paris_time_becomes_utc_at_midnight_and_at_both_clock_changes(
    local: str, fetched_at: object, expected: object
) -> None:
    readings = parse_readings(payload(feed(feed_row("531", local)), fetched_at), {})  # type: ignore[arg-type]

    assert readings.latest == {"ffvl:531": expected}


def test_a_history_over_the_doubled_hour_puts_both_passes_in_their_place() -> None:
    clock = ["03:12", "03:02", "02:52", "02:22", "02:02", "02:51", "02:21", "02:01", "01:51"]
    body = feed(*(feed_row("531", f"2026-10-25 {time}:30") for time in clock))

    readings = parse_history(payload(body, at(6, 0, 25, 10)), "ffvl:531", at(0, 0, 24, 10))

    times = [record.time for record in readings.records if record.parameter is SPEED]
    day = {"day": 25, "month": 10}
    assert times[:5] == [
        at(2, 12, **day),
        at(2, 2, **day),
        at(1, 52, **day),
        at(1, 22, **day),
        at(1, 2, **day),
    ]
    assert times[5:] == [at(0, 51, **day), at(0, 21, **day), at(0, 1, **day), at(23, 51, 24, 10)]


def october_night(first_minute: int = 1) -> tuple[list[dict[str, object]], list[datetime]]:
    """Return a history of every ten minutes over the doubled hour, newest first, and its times."""
    times = [at(6, first_minute, 25, 10) - step * timedelta(minutes=10) for step in range(6 * 54)]
    stamps = [time.astimezone(ZoneInfo("Europe/Paris")).strftime("%Y-%m-%d %H:%M:%S") for time in times]
    rows = [
        feed_row("531", stamp, vitesseVentMoy=str(index % 40 + 20), vitesseVentMax="90")
        for index, stamp in enumerate(stamps)
    ]
    return rows, times


MORNING_AFTER = at(6, 10, 25, 10)
LONG_BEFORE = at(0, 0, 20, 10)


@pytest.mark.parametrize("oldest_first", [False, True])
def test_a_history_is_read_in_whichever_order_it_comes(oldest_first: bool) -> None:
    rows, times = october_night()
    body = feed(*(rows[::-1] if oldest_first else rows))

    readings = parse_history(payload(body, MORNING_AFTER), "ffvl:531", LONG_BEFORE)

    found = {time: row[SPEED] for time, row in values(readings.records, "ffvl:531").items()}
    assert found == {time: float(index % 40 + 20) for index, time in enumerate(times)}
    assert readings.rejected == ()


def test_a_history_in_no_order_loses_the_doubled_hour_only() -> None:
    rows, times = october_night()
    rows[10:14], rows[100:104] = rows[100:104], rows[10:14]

    readings = parse_history(payload(feed(*rows), MORNING_AFTER), "ffvl:531", LONG_BEFORE)

    found = {time: row[SPEED] for time, row in values(readings.records, "ffvl:531").items()}
    doubled = [time for time in times if at(0, 0, 25, 10) <= time < at(2, 0, 25, 10)]
    assert {time.replace(second=0) for time in times} - found.keys() == set(doubled)
    assert [rejected.reason.partition(":")[0] for rejected in readings.rejected] == ["ambiguous_hour"] * 12
    assert found.items() <= {time: float(index % 40 + 20) for index, time in enumerate(times)}.items()


@pytest.mark.parametrize("oldest_first", [False, True])
def test_one_pass_of_two_is_ambiguous_and_rejected(oldest_first: bool) -> None:
    rows, times = october_night()
    kept = [
        row for row, time in zip(rows, times, strict=True) if not at(1, 0, 25, 10) <= time < at(2, 0, 25, 10)
    ]
    body = feed(*(kept[::-1] if oldest_first else kept))

    readings = parse_history(payload(body, MORNING_AFTER), "ffvl:531", LONG_BEFORE)

    assert [rejected.reason.partition(":")[0] for rejected in readings.rejected] == ["ambiguous_hour"] * 6
    assert len(values(readings.records, "ffvl:531")) == len(kept) - 6


@pytest.mark.parametrize("minutes", [(10, 50), (50, 10), (30,)])
def test_a_history_that_ends_in_the_doubled_hour_long_ago_is_ambiguous(minutes: tuple[int, ...]) -> None:
    rows = [feed_row("531", f"2026-10-25 02:{minute}:00") for minute in minutes]
    later = parse_history(payload(feed(*rows), MORNING_AFTER), "ffvl:531", LONG_BEFORE)
    assert (len(later.rejected), later.records) == (len(rows), ())
    at_once = parse_history(payload(feed(*rows[:1]), at(0, 55, 25, 10)), "ffvl:531", LONG_BEFORE)
    assert at_once.latest == {"ffvl:531": at(0, minutes[0], 25, 10)}


# What is delivered again, and what is not


def test_the_old_last_word_of_a_silent_beacon_is_delivered_once() -> None:
    silent = {"ffvl:518": at(7, 12, 20, 11).replace(year=2025)}
    body = payload(read("releves_meteo.json"))

    assert "ffvl:518" in {record.station for record in parse_readings(body, {}).records}
    assert "ffvl:518" not in {record.station for record in parse_readings(body, silent).records}


async def test_a_reading_of_the_last_three_days_is_delivered_again_since_networks_correct_themselves() -> (
    None
):
    body = feed(
        feed_row("531", "2026-05-08 08:00:00", vitesseVentMoy="11"), feed_row("532", "2026-05-05 08:00:00")
    )
    fetch = ScriptedFetch(script(releves_meteo=body), now=NOW)
    newest = {"ffvl:531": at(6, 0, 8), "ffvl:532": at(6, 0, 5)}

    [batch] = await collected(ROUTE, needs(newest=newest, listed=TODAY), fetch)

    assert values(batch.records, "ffvl:531")[at(6, 0, 8)][SPEED] == 11.0
    assert values(batch.records, "ffvl:532") == {}


# Answers that are none


@pytest.mark.parametrize("parse", [lambda body: parse_readings(body, {}), parse_list])
@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (read("refused-key.html"), "the key was refused: check FFVL_API_KEY"),
        (read("closed-notice.txt"), "asks for an API key"),
        (b"", "empty"),
        (b"\xef\xbb\xbf", "empty"),
        (b"[]", "an empty array"),
        (b"\xef\xbb\xbf[]", "an empty array"),
        (b"{}", "Expected `array`, got `object`"),
        (b"[1]", "Expected `object`, got `int`"),
        (b'[{"idbalise": true, "idBalise": true}]', "got `bool`"),
        (b'[{"idbalise": "5', "JSON"),
        (b'[{"idbalise": "\xe9", "idBalise": "\xe9"}]', "utf-8"),
    ],
)
def test_an_answer_that_is_no_array_of_rows_is_refused(parse: object, body: bytes, reason: str) -> None:
    with pytest.raises(ParseError) as caught:
        parse(payload(body))  # type: ignore[operator]
    assert reason in caught.value.reason
    assert caught.value.url == "https://somewhere.example/feed"


@pytest.mark.parametrize(
    ("rows", "reason"),
    [
        ([{"idbalise": "531", "date": "2026-05-09 15:00:00", "wind": "12"}], "vitesseVentMoy"),
        ([feed_row("531", "09.05.2026 15:00"), feed_row("532", "")], "invalid_time"),
        ([{**feed_row("531", "2026-05-09 15:00:00"), "idbalise": None}], "no_station"),
    ],
)
def test_a_feed_of_which_no_row_can_be_used_is_refused(rows: list[object], reason: str) -> None:
    with pytest.raises(ParseError, match=reason):
        parse_readings(payload(feed(*rows)), {})


@pytest.mark.parametrize("field", ["vitesseVentMoy", "vitesseVentMax", "directVentMoy", "temperature"])
def test_a_field_missing_in_one_row_is_absent_and_one_missing_in_all_is_a_new_format(field: str) -> None:
    whole = feed_row("531", "2026-05-09 15:00:00")
    part = {name: value for name, value in feed_row("532", "2026-05-09 15:00:00").items() if name != field}
    assert {record.station for record in parse_readings(payload(feed(whole, part)), {}).records} == {
        "ffvl:531",
        "ffvl:532",
    }
    with pytest.raises(ParseError, match=f"no row has the documented field {field}"):
        parse_readings(payload(feed(part)), {})


def test_a_feed_of_which_every_row_is_another_networks_is_refused() -> None:
    with pytest.raises(ParseError, match="all skipped"):
        parse_readings(payload(feed(feed_row("513", "2026-05-09 15:00:00"))), {}, {"ffvl:513"})


# The list


def test_the_list_describes_each_beacon() -> None:
    stations = parse_list(payload(read("list.json"))).stations

    assert stations[0] == Station(
        id="ffvl:511",
        name="Crête du Loup",
        latitude=45.8031,
        longitude=6.2207,
        elevation=1745.0,
        kind="FFVL",
        remarks="Abritée par vent d'est.\nPoteau au décollage sud",
    )
    assert [station.kind for station in stations] == ["FFVL", "FFVL", "PIOUPIOU", "HOLFUY", ""]
    assert stations[4] == Station(id="ffvl:515", name="Vieux mât")


@pytest.mark.parametrize(
    ("altitude", "elevation"), [("0", None), ("", None), (0, None), (None, None), ("-3", -3.0), ("4", 4.0)]
)
def test_an_elevation_of_0_or_none_is_not_known(altitude: object, elevation: float | None) -> None:
    [station] = parse_list(payload(feed({"idBalise": "515", "altitude": altitude}))).stations

    assert station.elevation == elevation


async def test_the_list_is_its_own_batch_and_comes_before_the_readings() -> None:
    fetch = ScriptedFetch(script(), now=NOW)

    listing, readings = await collected(ROUTE, needs(), fetch)

    assert fetch.urls == [f"{LIST}&mode=json", f"{READINGS}&mode=json"]
    assert (listing.listed, len(listing.stations), len(listing.records)) == ("ffvl", 5, 0)
    assert (readings.listed, readings.stations, readings.newest) == (None, (), at(13, 4))
    assert (readings.source, readings.route, readings.rank) == ("ffvl", "keyed", 0)
    assert (readings.averaging_minutes, readings.direction_resolution) == (None, 22.5)
    assert readings.collected_at == NOW


@pytest.mark.parametrize(
    ("age", "asked"), [(timedelta(hours=23, minutes=59), False), (timedelta(hours=24), True)]
)
async def test_the_list_is_read_once_a_day(age: timedelta, asked: bool) -> None:
    fetch = ScriptedFetch(script(), now=NOW)

    await collected(ROUTE, needs(listed=NOW - age), fetch)

    assert (f"{LIST}&mode=json" in fetch.urls) is asked


@pytest.mark.parametrize("kind", ["PIOUPIOU", "OpenWindMap", "holfuy", "IWEATHAR"])
async def test_stations_of_other_networks_are_skipped_by_their_known_kind(kind: str) -> None:
    fetch = ScriptedFetch(script(), now=NOW)
    known = {"ffvl:511": Station("ffvl:511", kind=kind), "ffvl:512": Station("ffvl:512", kind="FFVL")}

    [batch] = await collected(ROUTE, needs("ffvl:511", known=known, listed=TODAY), fetch)

    stations = {record.station for record in batch.records}
    assert "ffvl:511" not in stations
    assert {"ffvl:512", "ffvl:516"} <= stations  # 516 is in no list, and kept
    assert len(fetch.requests) == 1, "no history is asked for either"


async def test_stations_of_other_networks_are_skipped_by_the_list_just_read() -> None:
    _, batch = await collected(ROUTE, needs(), ScriptedFetch(script(), now=NOW))

    assert {record.station for record in batch.records} == {
        f"ffvl:{number}" for number in (511, 512, 516, 517, 518, 522)
    }


async def test_a_list_that_fails_is_a_failure_and_costs_beacons_of_unknown_kind_only() -> None:
    fetch = ScriptedFetch(script(list=FetchError("HTTP 500", url=LIST, status=500)), now=NOW)
    known = {"ffvl:512": Station("ffvl:512", kind="FFVL")}

    listing, readings, *_ = await collected(ROUTE, needs("ffvl:511", known=known), fetch)

    assert [failure.reason for failure in listing.failures] == ["HTTP 500"]
    assert listing.listed is None
    assert {record.station for record in readings.records} == {"ffvl:511", "ffvl:512"}
    unknown = {value.subject for value in readings.rejected if value.reason.startswith("unknown_kind")}
    assert {"ffvl:513", "ffvl:516"} <= unknown, "513 is a Pioupiou, which only the list shows"


# History


def test_a_history_gives_every_reading_later_than_the_last_stored_one() -> None:
    readings = parse_history(payload(read("histo-511.json")), "ffvl:511", at(12, 14))

    speeds = {time: row[SPEED] for time, row in values(readings.records, "ffvl:511").items()}
    assert speeds == {at(13, 4): 14.0, at(12, 54): 13.0, at(12, 44): 12.0, at(12, 34): 10.0}


def test_a_history_of_another_beacon_is_refused() -> None:
    with pytest.raises(ParseError, match="requested ffvl:512, row is of ffvl:511"):
        parse_history(payload(read("histo-511.json")), "ffvl:512", SINCE)


def test_a_history_that_does_not_repeat_the_number_is_of_the_beacon_asked_for() -> None:
    row = feed_row("", "2026-05-09 15:00:00")

    readings = parse_history(payload(feed(row)), "ffvl:531", SINCE)

    assert readings.latest == {"ffvl:531": at(13, 0)}


@pytest.mark.parametrize(
    ("after", "hours"),
    [
        (at(12, 50), 2),
        (at(12, 10), 2),
        (at(12, 9), 3),
        (at(13, 10, 7), 49),
        (at(13, 10, 6), 72),
        (at(13, 10, 1), 72),
        (at(13, 20), 1),
    ],
)
def test_a_history_is_asked_for_in_whole_hours_with_an_hours_margin_and_three_days_at_most(
    after: datetime, hours: int
) -> None:
    assert history_hours(after, NOW) == hours


async def test_each_mapped_station_with_a_gap_is_asked_for_its_history_one_after_the_other() -> None:
    histories = {
        f"{HISTORY}&idbalise=511": read("histo-511.json"),
        f"{HISTORY}&idbalise=516": feed(feed_row("516", "2026-05-09 15:01:20")),
        f"{HISTORY}&idbalise=599": feed(feed_row("599", "2026-05-07 09:00:00")),
    }
    fetch = ScriptedFetch({**script(), **histories}, now=NOW)
    newest = dict.fromkeys(("ffvl:511", "ffvl:516", "ffvl:599"), at(13, 4))  # decides nothing here
    complete_until = {
        "ffvl:511": at(10, 54),  # a reading of 13:04 is in the bulk answer
        "ffvl:512": at(12, 43),  # 15 minutes before the bulk answer's: no gap
        "ffvl:516": at(12, 45),  # 16 minutes
        "ffvl:517": at(13, 2),
    }
    mapped = ("ffvl:511", "ffvl:512", "romma:7", "ffvl:516", "ffvl:517", "ffvl:599")

    batches = await collected(
        ROUTE, needs(*mapped, newest=newest, complete_until=complete_until, listed=TODAY), fetch
    )

    assert fetch.urls == [
        f"{READINGS}&mode=json",
        f"{HISTORY}&idbalise=511&hours=4&mode=json",
        f"{HISTORY}&idbalise=516&hours=2&mode=json",
        f"{HISTORY}&idbalise=599&hours=72&mode=json",  # never seen, and absent from the bulk answer
    ]
    assert set(values(batches[1].records, "ffvl:511")) == {
        at(11, 54), at(12, 14), at(12, 34), at(12, 44), at(12, 54), at(13, 4),
    }  # fmt: skip
    assert set(values(batches[3].records, "ffvl:599")) == {at(7, 0, 7)}
    assert [batch.complete_until for batch in batches] == [
        {"ffvl:512": at(12, 58)},  # and 517 has nothing new
        {"ffvl:511": at(13, 4)},
        {"ffvl:516": at(13, 1)},
        {"ffvl:599": at(7, 0, 7)},
    ]


async def test_a_site_added_later_gets_the_history_of_its_station_back_to_what_is_wanted() -> None:
    fetch = ScriptedFetch({**script(), HISTORY: read("histo-511.json")}, now=NOW)

    known_from_the_bulk = {"ffvl:511": at(13, 4)}

    bulk, history = await collected(
        ROUTE, needs("ffvl:511", since=at(12, 30), newest=known_from_the_bulk, listed=TODAY), fetch
    )

    assert bulk.complete_until == {}
    assert fetch.urls[1] == f"{HISTORY}&idbalise=511&hours=2&mode=json"
    assert min(values(history.records, "ffvl:511")) == at(12, 34)


async def test_a_mapped_beacon_that_fell_silent_long_ago_is_not_asked_for_a_history() -> None:
    fetch = ScriptedFetch(script(), now=NOW)

    [batch] = await collected(ROUTE, needs("ffvl:518", listed=TODAY), fetch)

    assert len(fetch.requests) == 1
    assert batch.complete_until == {"ffvl:518": at(7, 12, 20, 11).replace(year=2025)}


async def test_readings_older_than_three_days_cannot_be_requested_and_count_as_complete() -> None:
    body = feed(feed_row("531", "2026-05-06 14:00:00"), feed_row("532", "2026-05-09 15:00:00"))
    histories = {f"{HISTORY}&idbalise=532": feed(feed_row("532", "2026-05-06 15:30:00"))}
    fetch = ScriptedFetch({**script(releves_meteo=body), **histories}, now=NOW)
    week = NOW - timedelta(days=7)

    bulk, history = await collected(ROUTE, needs("ffvl:531", "ffvl:532", since=week, listed=TODAY), fetch)

    assert fetch.urls[1:] == [f"{HISTORY}&idbalise=532&hours=72&mode=json"]
    assert bulk.complete_until == {"ffvl:531": at(12, 0, 6)}
    assert set(values(history.records, "ffvl:532")) == {at(13, 30, 6)}
    assert history.complete_until == {"ffvl:532": at(13, 30, 6)}, "it stops short of 13:00 today"


async def test_a_known_beacon_missing_in_the_feed_is_requested_until_it_is_complete() -> None:
    fetch = ScriptedFetch(script(histo=b"[]"), now=NOW)
    want = needs("ffvl:599", known={"ffvl:599": Station("ffvl:599", kind="FFVL")}, listed=TODAY)

    bulk, history = await collected(ROUTE, want, fetch)
    [again] = await collected(ROUTE, replace(want, complete_until=history.complete_until), fetch)

    assert (bulk.complete_until, history.complete_until, again.complete_until) == (
        {},
        {"ffvl:599": SINCE},
        {},
    )
    assert history.failures == ()
    assert len(fetch.requests) == 3


async def test_a_beacon_of_the_list_just_read_is_known() -> None:
    fetch = ScriptedFetch(script(histo=b"[]"), now=NOW)

    *_, history = await collected(ROUTE, needs("ffvl:515"), fetch)

    assert (history.failures, history.complete_until) == ((), {"ffvl:515": SINCE})


async def test_a_beacon_that_the_feed_gives_a_useless_time_for_is_known() -> None:
    fetch = ScriptedFetch(script(histo=b"[]"), now=NOW)

    *_, history = await collected(ROUTE, needs("ffvl:519", listed=TODAY), fetch)

    assert history.failures == ()


async def test_an_unknown_number_is_a_failure_that_names_sites_toml() -> None:
    fetch = ScriptedFetch(script(histo=b"[]"), now=NOW)

    *_, history = await collected(ROUTE, needs("ffvl:599"), fetch)

    [failure] = history.failures
    assert "ffvl:599" in failure.reason
    assert "sites.toml" in failure.reason
    assert history.complete_until == {}


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (FetchError("HTTP 503", url=HISTORY, status=503), "HTTP 503"),
        (b"[]", "an empty history, but ffvl:511 has a reading of 13:04 UTC"),
        (feed(feed_row("600", "2026-05-09 15:00:00")), "requested ffvl:511, row is of ffvl:600"),
    ],
)
async def test_a_history_that_fails_costs_that_station_only(answer: bytes | Exception, reason: str) -> None:
    histories = {
        f"{HISTORY}&idbalise=511": answer,
        f"{HISTORY}&idbalise=516": feed(feed_row("516", "2026-05-09 14:51:00")),
    }
    fetch = ScriptedFetch({**script(), **histories}, now=NOW)

    bulk, broken, good = await collected(ROUTE, needs("ffvl:511", "ffvl:516", listed=TODAY), fetch)

    assert bulk.records
    [failure] = broken.failures
    assert failure.reason.endswith(reason)
    assert (broken.complete_until, good.complete_until) == ({}, {"ffvl:516": at(13, 1)})
    assert set(values(good.records, "ffvl:516")) == {at(12, 51)}


# The key


async def test_the_key_is_sent_as_a_secret_and_shown_nowhere() -> None:
    fetch = ScriptedFetch({**script(), HISTORY: b"[]"}, now=NOW)

    batches = await collected(ROUTE, needs("ffvl:511"), fetch)

    assert all(request.secret_params == {"key": "s3cret"} for request in fetch.requests)
    assert "s3cret" not in repr((ROUTE, fetch.requests, batches))


async def test_a_refusal_that_repeats_the_key_does_not_bring_it_into_the_error() -> None:
    echo = json.dumps({"error": "bad key s3cret"}).encode()

    with pytest.raises(ParseError) as caught:
        await collected(ROUTE, needs(listed=TODAY), ScriptedFetch(script(releves_meteo=echo), now=NOW))

    assert "s3cret" not in str(caught.value)
