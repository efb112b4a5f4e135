"""ROMMA: the keyed feed, the station pages, Paris time, and every way they can go wrong."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from backend.collectors.base import Payload, collect
from backend.collectors.romma import Parsed, build, parse_feed, parse_page
from backend.core.config import Settings
from backend.core.errors import FetchError, ParseError
from backend.core.parameters import Parameter
from backend.core.records import CollectionRequest, ObservationBatch, Site, Station
from backend.tests.support.fakes import PAYLOADS, Answer, ScriptedFetch

FOLDER = PAYLOADS / "romma"
HOST = "https://romma.test"
FEED = f"{HOST}/releves_romma_xml.php"
PAGE = f"{HOST}/station_24.php"
KEY = "s3cr3t-k3y"
NOW = datetime(2026, 7, 15, 12, 10, tzinfo=UTC)  # 14:10 in Paris
TWO = datetime(2026, 7, 15, 12, tzinfo=UTC)

SPEED, GUST = Parameter.WIND_SPEED, Parameter.WIND_GUST
DIRECTION, TEMPERATURE = Parameter.WIND_DIRECTION, Parameter.TEMPERATURE

SITES = (
    Site("a", "A", 45.8, 6.2, 1200, stations=("ffvl:9", "romma:301", "romma:302")),
    Site("b", "B", 45.9, 6.3, 1500, stations=("romma:302", "romma:303")),
)


def settings(**more: Any) -> Settings:
    return Settings.load(**{"romma_url": HOST, "romma_key": KEY, "contact": "pilot@example.org", **more})


def payload(body: bytes, fetched_at: datetime = NOW) -> Payload:
    return Payload(url=FEED, body=body, fetched_at=fetched_at)


def row(**fields: str | None) -> str:
    """Return one row of the feed; a field given as None is left out."""
    written: dict[str, str | None] = {
        "id": "310",
        "station": "Essai",
        "valide": "1",
        "latitude": "45.5",
        "longitude": "6.5",
        "altitude": "1000",
        "date": "15-07-2026 14:00",
        "temperature": "15.5",
        "vent_moyen_10": "12",
        "direction": "ONO",
        "rafale_maxi": "30",
    }
    written.update(fields)
    inside = "".join(f"<{name}>{text}</{name}>" for name, text in written.items() if text is not None)
    return f"<releve>{inside}</releve>"


def feed(*rows: str) -> bytes:
    return f"<releves>{''.join(rows)}</releves>".encode()


def read(body: bytes, fetched_at: datetime = NOW) -> Parsed:
    return parse_feed(payload(body, fetched_at))


def read_page(body: bytes, fetched_at: datetime = NOW) -> Parsed:
    return parse_page(payload(body, fetched_at), "romma:301")


def shown(parsed: Parsed | ObservationBatch, station: str = "romma:310") -> dict[Parameter, float]:
    return {record.parameter: record.value for record in parsed.records if record.station == station}


def reasons(parsed: Parsed | ObservationBatch) -> list[tuple[Parameter | None, str, str]]:
    return [(value.parameter, value.raw, value.reason) for value in parsed.rejected]


def times(parsed: Parsed) -> set[datetime]:
    return {record.time for record in parsed.records}


def needs(*sites: Site, now: datetime = NOW) -> CollectionRequest:
    return CollectionRequest(now=now, since=now - timedelta(hours=36), sites=sites)


async def batches(
    script: dict[str, Answer], sites: tuple[Site, ...] = SITES, **more: Any
) -> tuple[list[ObservationBatch], ScriptedFetch]:
    fetch = ScriptedFetch(script, now=NOW)
    got = [batch async for batch in collect(build(settings(**more)), needs(*sites), fetch)]
    return got, fetch


def stored(name: str) -> bytes:
    return (FOLDER / name).read_bytes()


# --- the source


@pytest.mark.parametrize(
    ("more", "routes"),
    [
        ({}, [("keyed", 0), ("page", 1)]),
        ({"romma_html": False}, [("keyed", 0)]),
        ({"contact": ""}, [("keyed", 0)]),
        ({"romma_key": None}, [("page", 1)]),
        ({"romma_key": ""}, [("page", 1)]),
    ],
)
def test_the_routes_are_those_that_the_settings_allow(
    more: dict[str, Any], routes: list[tuple[str, int]]
) -> None:
    source = build(settings(**more))
    assert [(route.name, route.rank) for route in source.routes] == routes
    assert source.disabled is None


@pytest.mark.parametrize(
    ("more", "why"),
    [({"contact": ""}, "CONTACT is not set"), ({"romma_html": False}, "ROMMA_HTML is false")],
)
def test_without_a_key_and_a_page_it_is_disabled_and_names_the_settings(
    more: dict[str, Any], why: str
) -> None:
    source = build(settings(romma_key=None, **more))
    assert source.disabled is not None
    assert "ROMMA_KEY is not set" in source.disabled
    assert why in source.disabled
    assert source.routes == ()


def test_raw_values_are_shown_only_where_the_operator_says_so() -> None:
    assert not build(settings()).public
    assert build(settings(public_raw_sources=("romma",))).public


# --- the keyed feed


def test_the_feed_is_read_with_units_and_utc() -> None:
    parsed = read(stored("releves.xml"))
    # 14:00 in Paris in July is 12:00 UTC; OSO is 247.5 degrees; the temperature may have a comma
    assert shown(parsed, "romma:301") == {SPEED: 13, DIRECTION: 247.5, TEMPERATURE: 19.7}
    assert shown(parsed, "romma:302") == {SPEED: 0, TEMPERATURE: 24.1}
    assert {record.time for record in parsed.records if record.station == "romma:301"} == {TWO}
    assert {record.time for record in parsed.records if record.station == "romma:302"} == {
        datetime(2026, 7, 15, 11, 50, tzinfo=UTC)
    }


def test_a_gust_over_an_unknown_time_is_not_stored() -> None:
    assert all(record.parameter is not GUST for record in read(stored("releves.xml")).records)


def test_marks_for_missing_give_no_value_and_are_counted() -> None:
    parsed = read(stored("releves.xml"))
    assert shown(parsed, "romma:303") == {}
    assert [value for value in reasons(parsed) if value[2] == "missing"] == [
        (SPEED, "--", "missing"),
        (DIRECTION, "---", "missing"),
        (TEMPERATURE, "--.-", "missing"),
    ]


def test_a_row_that_is_not_valid_is_rejected() -> None:
    parsed = read(stored("releves.xml"))
    [value] = [value for value in parsed.rejected if value.subject == "romma:304"]
    assert (value.parameter, value.raw, value.reason) == (None, "0", "not_valid")
    assert shown(parsed, "romma:304") == {}


def test_a_stale_reading_is_stored_under_its_own_time() -> None:
    parsed = read(stored("releves.xml"))
    assert shown(parsed, "romma:305") == {SPEED: 4, DIRECTION: 22.5, TEMPERATURE: -3.5}
    # 7:20 in Paris in March, before the change to summer time
    assert datetime(2026, 3, 2, 6, 20, tzinfo=UTC) in times(parsed)


def test_stations_come_with_their_position_where_it_is_stated() -> None:
    stations = {station.id: station for station in read(stored("releves.xml")).stations}
    assert stations["romma:301"] == Station("romma:301", "Col d'Essai", 45.8125, 6.247, 1150)
    assert stations["romma:305"] == Station("romma:305", "Muette")
    assert len(stations) == 5


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        ("15-07-2026 14:00", TWO),
        ("15.07.2026 14:00", TWO),
        ("15/07/2026 14:00", TWO),
        ("15-7-2026 9:05", datetime(2026, 7, 15, 7, 5, tzinfo=UTC)),
        ("5-07-2026  9:05", datetime(2026, 7, 5, 7, 5, tzinfo=UTC)),
        ("15-07-2026 0:00", datetime(2026, 7, 14, 22, 0, tzinfo=UTC)),
        ("15-07-2026 01:59", datetime(2026, 7, 14, 23, 59, tzinfo=UTC)),
        ("15-07-2026 2:00", datetime(2026, 7, 15, 0, 0, tzinfo=UTC)),
        ("15-01-2026 0:30", datetime(2026, 1, 14, 23, 30, tzinfo=UTC)),
        ("15-01-2026 1:00", datetime(2026, 1, 15, 0, 0, tzinfo=UTC)),
        ("1-01-2026 0:10", datetime(2025, 12, 31, 23, 10, tzinfo=UTC)),
    ],
)
def test_a_paris_stamp_becomes_utc(written: str, expected: datetime) -> None:
    assert times(read(feed(row(date=written)))) == {expected}


@pytest.mark.parametrize(
    ("written", "fetched_at", "expected"),
    [
        # 29 March 2026: 02:00 to 03:00 does not exist
        ("29-03-2026 1:59", (2026, 3, 29, 1, 5), (2026, 3, 29, 0, 59)),
        ("29-03-2026 3:00", (2026, 3, 29, 1, 5), (2026, 3, 29, 1, 0)),
        # 25 October 2026: 02:00 to 03:00 comes twice
        ("25-10-2026 1:59", (2026, 10, 25, 0, 5), (2026, 10, 24, 23, 59)),
        ("25-10-2026 2:20", (2026, 10, 25, 0, 25), (2026, 10, 25, 0, 20)),
        ("25-10-2026 2:20", (2026, 10, 25, 1, 15), (2026, 10, 25, 0, 20)),
        ("25-10-2026 2:20", (2026, 10, 25, 1, 25), (2026, 10, 25, 1, 20)),
        ("25-10-2026 3:00", (2026, 10, 25, 2, 5), (2026, 10, 25, 2, 0)),
    ],
)
def test_both_clock_changes_are_understood(
    written: str, fetched_at: tuple[int, ...], expected: tuple[int, ...]
) -> None:
    fetched = datetime(*fetched_at, tzinfo=UTC)  # type: ignore[misc, arg-type]
    moment = datetime(*expected, tzinfo=UTC)  # type: ignore[misc, arg-type]
    assert times(read(feed(row(date=written)), fetched)) == {moment}


def test_a_reading_in_the_hour_that_march_skips_is_rejected() -> None:
    parsed = read(feed(row(date="29-03-2026 2:30")), datetime(2026, 3, 29, 1, 5, tzinfo=UTC))
    assert parsed.records == []
    assert reasons(parsed) == [(None, "29-03-2026 2:30", "missing_hour")]


def test_a_reading_from_the_future_is_rejected_beyond_ten_minutes() -> None:
    assert times(read(feed(row(date="15-07-2026 14:20")))) == {NOW + timedelta(minutes=10)}
    parsed = read(feed(row(date="15-07-2026 14:21"), row(id="311")))
    assert reasons(parsed) == [(None, "15-07-2026 14:21", "future")]
    assert parsed.rejected[0].time == NOW + timedelta(minutes=11)
    assert shown(parsed, "romma:311") != {}


@pytest.mark.parametrize(
    "written",
    [
        "",
        "--",
        "hier",
        "31-02-2026 10:00",
        "15-13-2026 10:00",
        "15-07-2026",
        "15-07-2026 24:00",
        "15-07-26 9:00",
        "01-01-0001 0:00",
        "1-01-1970 1:00",
    ],
)
def test_a_time_that_cannot_be_read_is_rejected_with_its_text(written: str) -> None:
    parsed = read(feed(row(date=written), row(id="311")))
    assert [(value.subject, value.raw, value.reason) for value in parsed.rejected] == [
        ("romma:310", written, "invalid_time")
    ]
    assert shown(parsed, "romma:311") != {}


@pytest.mark.parametrize("written", ["NaN", "inf", "1e2", "12 km/h", "douze", "1.2.3", "-"])
def test_what_is_no_number_is_rejected_with_its_text(written: str) -> None:
    parsed = read(feed(row(vent_moyen_10=written)))
    assert reasons(parsed) == [(SPEED, written, "not_a_number")]
    assert shown(parsed) == {DIRECTION: 292.5, TEMPERATURE: 15.5}


@pytest.mark.parametrize(
    ("written", "degrees"), [("N", 0), ("o", 270), (" ONO ", 292.5), ("SO", 225), ("NNO", 337.5), ("E", 90)]
)
def test_french_compass_points_become_degrees(written: str, degrees: float) -> None:
    assert shown(read(feed(row(direction=written))))[DIRECTION] == degrees


@pytest.mark.parametrize("written", ["W", "NW", "360", "360°", "Nord"])
def test_any_other_direction_is_rejected(written: str) -> None:
    parsed = read(feed(row(direction=written)))
    assert reasons(parsed) == [(DIRECTION, written, "not_a_compass_point")]
    assert shown(parsed) == {SPEED: 12, TEMPERATURE: 15.5}


@pytest.mark.parametrize("zero", ["0", "0.0", "-0", "0,0"])
@pytest.mark.parametrize("direction", ["N", "---", "nulle"])
def test_a_calm_has_no_direction(zero: str, direction: str) -> None:
    parsed = read(feed(row(vent_moyen_10=zero, direction=direction)))
    assert {what: str(value) for what, value in shown(parsed).items()} == {SPEED: "0.0", TEMPERATURE: "15.5"}
    assert parsed.rejected == []


def test_minus_zero_degrees_is_zero() -> None:
    assert str(shown(read(feed(row(temperature="-0.0"))))[TEMPERATURE]) == "0.0"


@pytest.mark.parametrize("absent", ["", None])
def test_an_empty_or_absent_field_is_absent(absent: str | None) -> None:
    parsed = read(feed(row(vent_moyen_10=absent, direction=absent), row(id="311")))
    assert shown(parsed) == {TEMPERATURE: 15.5}
    assert parsed.rejected == []


def test_a_row_without_valide_is_not_valid() -> None:
    parsed = read(feed(row(valide=None), row(id="311")))
    assert reasons(parsed) == [(None, "", "not_valid")]


@pytest.mark.parametrize("name", ["valide", "date", "vent_moyen_10", "direction", "temperature"])
def test_a_feed_that_lost_one_of_its_fields_is_refused(name: str) -> None:
    with pytest.raises(ParseError, match=f"no row has a <{name}>"):
        read(feed(row(**{name: None}), row(**{"id": "311", name: None})))


@pytest.mark.parametrize("number", [None, "", "--", "3x", "٣٠١", "1234567890"])
def test_a_row_without_a_station_is_rejected_and_the_others_are_read(number: str | None) -> None:
    parsed = read(feed(row(id=number), row(id="311")))
    assert [(value.subject, value.reason) for value in parsed.rejected] == [
        ("romma:?", f"odd_row: row 1: the station id {number or ''!r} is not a number")
    ]
    assert [station.id for station in parsed.stations] == ["romma:311"]


@pytest.mark.parametrize(
    "declaration", ["", '<?xml version="1.0"?>', '<?xml version="1.0" encoding="UTF-8"?>']
)
def test_latin_1_under_no_or_a_wrong_declaration_is_read(declaration: str) -> None:
    body = f"{declaration}{feed(row(station='Crêt')).decode()}".encode("iso-8859-1")
    assert read(body).stations[0].name == "Crêt"


def test_a_declared_encoding_is_followed() -> None:
    declared = f'<?xml version="1.0" encoding="ISO-8859-1"?>{feed(row(station="Crêt")).decode()}'
    assert read(declared.encode("iso-8859-1")).stations[0].name == "Crêt"
    assert read(feed(row(station="Crêt"))).stations[0].name == "Crêt"


def test_an_empty_document_means_a_key_without_rights() -> None:
    with pytest.raises(ParseError, match="ROMMA_KEY is unknown or has no rights"):
        read(stored("releves-empty.xml"))


@pytest.mark.parametrize(
    ("body", "text"),
    [
        (b"", "not well-formed XML"),
        (b"<releves><releve>", "not well-formed XML"),
        (b"\xff\xfe\x00", "not well-formed XML"),
        (b"<html><body>Maintenance<br></body></html>", "not well-formed XML"),
        (b"<html><body>Maintenance</body></html>", "not <releves>"),
        (b"<stations><releve><id>1</id></releve></stations>", "not <releves>"),
        (b"<!DOCTYPE releves><releves/>", "document type declaration"),
        (
            b'<!DOCTYPE releves [<!ENTITY own "x">]><releves><releve><id>1</id></releve></releves>',
            "document type declaration",
        ),
    ],
)
def test_a_document_of_another_shape_is_refused(body: bytes, text: str) -> None:
    with pytest.raises(ParseError, match=text) as refusal:
        read(body)
    assert refusal.value.url == FEED


async def test_one_request_returns_every_station_of_the_key() -> None:
    [batch], fetch = await batches({FEED: stored("releves.xml")})
    assert fetch.urls == [FEED]
    assert dict(fetch.requests[0].secret_params) == {"id": KEY}
    assert (batch.source, batch.route, batch.rank) == ("romma", "keyed", 0)
    assert (batch.averaging_minutes, batch.direction_resolution) == (10, 22.5)
    assert batch.newest == TWO
    assert batch.collected_at == NOW
    assert len(batch.stations) == 5
    assert batch.failures == ()


async def test_an_absurd_value_is_set_aside_and_the_others_are_read() -> None:
    [batch], _ = await batches({FEED: feed(row(vent_moyen_10="9999", temperature="-99"))})
    assert shown(batch) == {DIRECTION: 292.5}
    assert {value.parameter for value in batch.rejected} == {SPEED, TEMPERATURE}
    assert all(value.reason.startswith("out_of_range") for value in batch.rejected)


async def test_a_bad_row_costs_that_row_only_and_most_rows_cost_the_feed() -> None:
    [batch], _ = await batches({FEED: feed(row(id=""), row())})
    assert shown(batch) == {SPEED: 12, DIRECTION: 292.5, TEMPERATURE: 15.5}
    assert (len(batch.rejected), batch.failures) == (1, ())
    with pytest.raises(ParseError, match="at least 2 of 3 rows are not as documented"):
        read(feed(row(id=""), row(), row(id="x")))


@pytest.mark.parametrize(
    "answer",
    [
        FetchError("HTTP 503", url=FEED, status=503, retryable=True),
        stored("releves-empty.xml"),
        b"<html><body>cle inconnue : s3cr3t-k3y</body></html>",
        b"<s3cr3t-k3y/>",
        b"<s3cr3t-k3y>",
        feed(row(id="s3cr3t")),
    ],
)
async def test_a_feed_that_fails_as_a_whole_gives_way_to_the_pages_and_never_shows_the_key(
    answer: Answer,
) -> None:
    got, fetch = await batches({FEED: answer, PAGE: stored("station.html")})
    assert got[0].failures[0].route == "keyed"
    assert [batch.route for batch in got[1:]] == ["page", "page", "page"]
    assert fetch.urls[1:] == [f"{PAGE}?id=301", f"{PAGE}?id=302", f"{PAGE}?id=303"]
    assert KEY not in repr(got)
    assert KEY not in repr(fetch.requests)


# --- the pages


def test_a_page_is_read_label_by_label() -> None:
    parsed = read_page(stored("station.html"))
    # 14:01 in Paris in July is 12:01 UTC; the gust is that of ten minutes (28), not since midnight (46)
    assert shown(parsed, "romma:301") == {SPEED: 17, DIRECTION: 202.5, GUST: 28, TEMPERATURE: 18.6}
    assert times(parsed) == {datetime(2026, 7, 15, 12, 1, tzinfo=UTC)}
    assert parsed.rejected == []


def test_an_older_page_with_marks_for_missing_is_read() -> None:
    parsed = read_page(stored("station-no-thermometer.html"))
    assert shown(parsed, "romma:301") == {DIRECTION: 22.5}
    assert times(parsed) == {datetime(2026, 2, 1, 7, 7, tzinfo=UTC)}
    assert reasons(parsed) == [(SPEED, "---", "missing"), (GUST, "--", "missing")]


def page(old: str = "", new: str = "", name: str = "station.html") -> bytes:
    text = stored(name).decode()
    assert old in text
    return text.replace(old, new).encode() if old else text.encode()


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        ("5 Janvier 2026 9:05", (2026, 1, 5, 8, 5)),
        ("5 f&eacute;vrier 2026 0:30", (2026, 2, 4, 23, 30)),
        ("5 Février 2026 1:00", (2026, 2, 5, 0, 0)),
        ("5 MARS 2026 &agrave; 12:00", (2026, 3, 5, 11, 0)),
        ("05 avril 2026 à 12:00", (2026, 4, 5, 10, 0)),
        ("1er mai 2026 12:00", (2026, 5, 1, 10, 0)),
        ("5 juin 2026&nbsp;&nbsp;12:00", (2026, 6, 5, 10, 0)),
        ("5 ao&ucirc;t 2025 12:00", (2025, 8, 5, 10, 0)),
        ("5 Aout 2025 1:30", (2025, 8, 4, 23, 30)),
        ("5 septembre 2025 2:00", (2025, 9, 5, 0, 0)),
        ("5 octobre 2025 12:00", (2025, 10, 5, 10, 0)),
        ("5 novembre 2025 12:00", (2025, 11, 5, 11, 0)),
        ("31 d&eacute;cembre 2025 0:00", (2025, 12, 30, 23, 0)),
    ],
)
def test_a_heading_in_french_becomes_utc(written: str, expected: tuple[int, ...]) -> None:
    moment = datetime(*expected, tzinfo=UTC)  # type: ignore[misc, arg-type]
    assert times(read_page(page("15 Juillet 2026    14:01", written))) == {moment}


@pytest.mark.parametrize(
    ("written", "fetched_at", "reason"),
    [
        ("29 Mars 2026 2:30", datetime(2026, 3, 29, 1, 5, tzinfo=UTC), "missing_hour"),
        ("15 Juillet 2026 14:21", NOW, "future"),
        ("31 Juin 2026 12:00", NOW, "invalid_time"),
        ("15 Quintidi 2026 12:00", NOW, "invalid_time"),
    ],
)
def test_a_heading_whose_time_cannot_be_is_rejected(written: str, fetched_at: datetime, reason: str) -> None:
    parsed = read_page(page("15 Juillet 2026    14:01", written), fetched_at)
    assert parsed.records == []
    assert reasons(parsed) == [(None, written.lower(), reason)]


def test_the_doubled_october_hour_is_the_one_nearest_before_the_fetch() -> None:
    body = page("15 Juillet 2026    14:01", "25 Octobre 2026 2:40")
    assert times(read_page(body, datetime(2026, 10, 25, 0, 45, tzinfo=UTC))) == {
        datetime(2026, 10, 25, 0, 40, tzinfo=UTC)
    }
    assert times(read_page(body, datetime(2026, 10, 25, 1, 45, tzinfo=UTC))) == {
        datetime(2026, 10, 25, 1, 40, tzinfo=UTC)
    }


def test_a_page_in_latin_1_is_read() -> None:
    body = stored("station-no-thermometer.html").decode().encode("iso-8859-1")
    assert times(read_page(body)) == {datetime(2026, 2, 1, 7, 7, tzinfo=UTC)}


def test_a_calm_page_has_no_direction() -> None:
    body = page('<span class="bigTexte">17</span>', '<span class="bigTexte">0</span>')
    parsed = read_page(body.replace(b">28<", b">9<"))
    assert shown(parsed, "romma:301") == {SPEED: 0, GUST: 9, TEMPERATURE: 18.6}


def test_a_mean_of_zero_beside_a_gust_of_ten_is_a_missing_mean_and_the_direction_stays() -> None:
    parsed = read_page(page('<span class="bigTexte">17</span>', '<span class="bigTexte">0</span>'))
    assert shown(parsed, "romma:301") == {DIRECTION: 202.5, GUST: 28, TEMPERATURE: 18.6}
    assert reasons(parsed) == [
        (SPEED, "0", "zero_mean: 0 beside a gust of 28 km/h is a missing value"),
    ]


def test_a_value_span_may_carry_a_second_class_and_markup() -> None:
    body = page('<span class="bigTexte">17</span>', '<span class="bigTexte fort"><b>17</b></span>')
    assert shown(read_page(body), "romma:301")[SPEED] == 17


def test_of_a_repeated_label_the_first_value_counts() -> None:
    again = '<br>Direction : <span class="smallTexte">E</span><span class="smallTexte">S</span></td></tr>'
    parsed = read_page(page("&agrave; 02:15</td></tr>", f"&agrave; 02:15{again}"))
    assert shown(parsed, "romma:301")[DIRECTION] == 202.5


def test_an_empty_value_is_absent() -> None:
    parsed = read_page(page('<span class="bigTexte">17</span>', '<span class="bigTexte"> </span>'))
    assert shown(parsed, "romma:301") == {DIRECTION: 202.5, GUST: 28, TEMPERATURE: 18.6}
    assert parsed.rejected == []


@pytest.mark.parametrize(
    ("old", "new", "text"),
    [
        ("affichage_simple", "autre", "no block of readings"),
        ("Dernier relev&eacute;", "Relev&eacute;", "no time of the last reading"),
        ("le 15 Juillet 2026    14:01", "-- --", "no time of the last reading"),
        ('<span class="bigTexte">17</span>', "17", "a label for wind_speed, but no value after it"),
        ('<span class="smallTexte">SSO</span>', "SSO", "a label for wind_direction, but no value after it"),
        ('<span class="smallTexte">28</span>', "28", "a label for wind_gust, but no value after it"),
    ],
)
def test_a_page_of_another_shape_is_refused_and_never_takes_the_next_value(
    old: str, new: str, text: str
) -> None:
    with pytest.raises(ParseError, match=text):
        read_page(page(old, new))


@pytest.mark.parametrize("end", ["<br>", "Direction", "</h3>", "</table>"])
def test_a_page_that_breaks_off_is_refused(end: str) -> None:
    body = page()
    with pytest.raises(ParseError, match="no end tag of its body"):
        read_page(body[: body.rindex(end.encode())])


def test_a_page_with_a_direction_and_no_mean_wind_is_refused() -> None:
    with pytest.raises(ParseError, match="but no mean wind"):
        read_page(page('Moyen sur 10min : <span class="bigTexte">17</span> km/h<br>'))


def test_a_station_without_an_anemometer_is_read() -> None:
    text = page().decode()
    start, end = text.index('<tr><td class="grandeur"><b>&nbsp;Vent'), text.index("</table>")
    parsed = read_page((text[:start] + text[end:]).encode())
    assert shown(parsed, "romma:301") == {TEMPERATURE: 18.6}


def test_a_page_without_one_reading_is_refused() -> None:
    body = b'<div id="affichage_simple">Dernier releve en direct : le 15 Juillet 2026 14:01</div>'
    with pytest.raises(ParseError, match="the page has no known reading"):
        read_page(body)


def test_a_maintenance_page_is_refused() -> None:
    with pytest.raises(ParseError, match="a login or a maintenance page"):
        read_page(stored("maintenance.html"))


async def test_each_mapped_station_is_asked_for_once_and_one_after_the_other() -> None:
    got, fetch = await batches({PAGE: stored("station.html")}, romma_key=None)
    assert fetch.urls == [f"{PAGE}?id=301", f"{PAGE}?id=302", f"{PAGE}?id=303"]
    assert [(batch.route, batch.rank) for batch in got] == [("page", 1)] * 3
    assert [{record.station for record in batch.records} for batch in got] == [
        {"romma:301"},
        {"romma:302"},
        {"romma:303"},
    ]
    assert {batch.newest for batch in got} == {datetime(2026, 7, 15, 12, 1, tzinfo=UTC)}
    assert {(batch.averaging_minutes, batch.direction_resolution) for batch in got} == {(10, 22.5)}


async def test_a_station_that_fails_costs_itself_only() -> None:
    got, _ = await batches(
        {
            f"{PAGE}?id=301": FetchError("HTTP 500", url=f"{PAGE}?id=301", status=500, retryable=True),
            f"{PAGE}?id=302": stored("maintenance.html"),
            f"{PAGE}?id=303": stored("station.html"),
        },
        romma_key=None,
    )
    assert [(failure.error, failure.url) for batch in got for failure in batch.failures] == [
        ("FetchError", f"{PAGE}?id=301"),
        ("ParseError", f"{PAGE}?id=302"),
    ]
    assert [len(batch.records) for batch in got] == [0, 0, 4]


async def test_with_no_station_mapped_the_pages_have_nothing_to_do() -> None:
    site = Site("c", "C", 45.0, 6.0, 900, stations=("ffvl:1",))
    got, fetch = await batches({}, (site,), romma_key=None)
    assert (got, fetch.requests) == ([], [])
