"""The FFVL beacons as balisemeteo.com shows them."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

import pytest

from backend.collectors.base import Request
from backend.collectors.ffvl_routes.pages import Pages, parse_page
from backend.core.errors import FetchError, ParseError
from backend.tests.support.fakes import Answer, ScriptedFetch
from backend.tests.support.ffvl_samples import (
    DIRECTION,
    GUST,
    NOW,
    PAGES,
    SPEED,
    TEMPERATURE,
    at,
    collected,
    needs,
    payload,
    read,
    values,
)

ROUTE = Pages("https://www.balisemeteo.com")
START = f"{PAGES}index.php"
INDEX = b"<html><body>bonjour</body></html>"


def beacon(number: int) -> str:
    return f"{PAGES}balise.php?idBalise={number}"


def test_mean_and_gust_are_distinguished_by_their_sections() -> None:
    readings = parse_page(payload(read("page.html")), "ffvl:511", {})

    assert values(readings.records, "ffvl:511") == {
        at(13, 4): {SPEED: 14.0, GUST: 23.0, DIRECTION: 292.0, TEMPERATURE: 11.0}
    }
    assert readings.newest == at(13, 4)


def test_a_page_that_breaks_off_after_its_last_cell_is_refused() -> None:
    body = read("page.html")
    with pytest.raises(ParseError, match="no end tag of its body"):
        parse_page(payload(body[: body.index(b"</body>")]), "ffvl:511", {})


def test_masked_cells_are_rejected_and_the_next_number_of_the_page_is_not_taken_for_them() -> None:
    readings = parse_page(payload(read("page-masked.html")), "ffvl:511", {})

    assert values(readings.records, "ffvl:511") == {at(13, 4): {GUST: 23.0, TEMPERATURE: 11.0}}
    assert {(value.parameter, value.raw, value.reason) for value in readings.rejected} == {
        (SPEED, "!!! WARNING !!!", "masked"),
        (DIRECTION, "!!! WARNING !!!", "masked"),
    }


def test_a_page_in_latin_1_is_read_and_nc_is_set_aside_as_missing() -> None:
    readings = parse_page(payload(read("page-missing-latin1.html")), "ffvl:511", {})

    assert values(readings.records, "ffvl:511") == {at(13, 4): {SPEED: 12.0, DIRECTION: 360.0}}
    assert {(value.parameter, value.time, value.raw, value.reason) for value in readings.rejected} == {
        (GUST, at(13, 4), "NC", "missing"),
        (TEMPERATURE, at(13, 4), "NC", "missing"),
    }


@pytest.mark.parametrize(("cell", "raw"), [("--.- km/h", "--.-"), ("---", "---"), ("nc", "nc")])
def test_a_cell_with_a_missing_mark_is_set_aside_with_or_without_its_unit(cell: str, raw: str) -> None:
    page = read("page.html").replace(b"14 km/h", cell.encode())

    readings = parse_page(payload(page), "ffvl:511", {})

    assert [(value.parameter, value.raw, value.reason) for value in readings.rejected] == [
        (SPEED, raw, "missing")
    ]
    assert SPEED not in values(readings.records, "ffvl:511")[at(13, 4)]


@pytest.mark.parametrize(
    ("stamp", "reason"),
    [
        ("29/03/2026 - 02:15", "missing_hour"),
        ("09/05/2026 - 15:21", "future"),
        ("-- / -- / ----", "invalid_time"),
    ],
)
def test_a_time_that_cannot_be_used_is_rejected(stamp: str, reason: str) -> None:
    page = read("page.html").replace(b"09/05/2026 - 15:04", stamp.encode())

    readings = parse_page(payload(page), "ffvl:511", {})

    assert readings.records == ()
    [rejected] = readings.rejected
    assert (rejected.subject, rejected.raw) == ("ffvl:511", stamp)
    assert rejected.reason.startswith(reason)


def test_a_mean_of_zero_beside_a_gust_of_ten_is_a_missing_mean() -> None:
    readings = parse_page(payload(read("page.html").replace(b"14 km/h", b"0 km/h")), "ffvl:511", {})

    assert values(readings.records, "ffvl:511") == {
        at(13, 4): {GUST: 23.0, DIRECTION: 292.0, TEMPERATURE: 11.0}
    }
    assert [(each.parameter, each.raw) for each in readings.rejected] == [(SPEED, "0")]


def test_a_speed_in_another_unit_is_no_number() -> None:
    page = read("page.html").replace(b"14 km/h", b"4 m/s")

    readings = parse_page(payload(page), "ffvl:511", {})

    assert [(value.parameter, value.raw, value.reason) for value in readings.rejected] == [
        (SPEED, "4 m/s", "not_a_number")
    ]


def test_a_beacon_without_a_thermometer_has_no_temperature_and_icons_beside_a_value_do_not_matter() -> None:
    page = read("page.html").decode()
    start = page.index('<tr><td class="label">Temp')
    page = page[:start] + '<tr><td class="valeur">3</td></tr>' + page[page.index("</table>", start) :]

    readings = parse_page(payload(page.encode()), "ffvl:511", {})

    assert values(readings.records, "ffvl:511")[at(13, 4)].keys() == {SPEED, GUST, DIRECTION}


def test_a_reading_stored_long_ago_is_not_delivered_again() -> None:
    assert parse_page(payload(read("page.html")), "ffvl:511", {"ffvl:511": at(13, 4)}).records == ()


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (read("page-unknown-beacon.html"), "no data for ffvl:511"),
        (b"<html><body>En maintenance</body></html>", "no title"),
        (b"", "no title"),
        (read("page.html").replace(b"Vent&nbsp;maxi", b"Rafale"), "'direction' twice"),
        (read("page.html").replace(b"Vitesse :", b"Force :"), "no cell 'vitesse'"),
        (read("page.html").replace(b">Direction", b">Secteur"), "no cell 'direction'"),
    ],
)
def test_a_page_that_is_built_otherwise_is_refused(body: bytes, reason: str) -> None:
    with pytest.raises(ParseError) as caught:
        parse_page(payload(body), "ffvl:511", {})
    assert reason in caught.value.reason
    assert caught.value.url == "https://somewhere.example/feed"


async def test_the_start_page_is_read_first_and_then_mapped_beacons_only_one_at_a_time() -> None:
    script: dict[str, Answer] = {
        START: INDEX,
        beacon(511): read("page.html"),
        beacon(512): read("page-unknown-beacon.html"),
        beacon(516): FetchError("HTTP 503", status=503),
        beacon(517): read("page-missing-latin1.html"),
    }
    fetch = ScriptedFetch(script, now=NOW)
    mapped = ("ffvl:511", "ffvl:512", "romma:9", "ffvl:516", "ffvl:517")

    batches = await collected(ROUTE, needs(*mapped), fetch)

    assert fetch.urls == [START, *(beacon(number) for number in (511, 512, 516, 517))]
    assert [len(batch.failures) for batch in batches] == [0, 1, 1, 0]
    assert {record.station for batch in batches for record in batch.records} == {"ffvl:511", "ffvl:517"}
    assert {(batch.source, batch.route, batch.rank) for batch in batches} == {("ffvl", "page", 2)}
    assert (batches[0].averaging_minutes, batches[0].direction_resolution) == (None, 22.5)


@pytest.mark.parametrize(
    ("complete_until", "complete"),
    [
        ({"ffvl:511": at(12, 54)}, {"ffvl:511": at(13, 4)}),
        ({"ffvl:511": at(12, 48)}, {}),  # 16 minutes: a route with histories may still fill them
        ({"ffvl:511": at(13, 4)}, {}),  # nothing new
        ({}, {}),
    ],
)
async def test_a_page_advances_complete_until_only_if_it_leaves_no_gap(
    complete_until: dict[str, datetime], complete: dict[str, datetime]
) -> None:
    fetch = ScriptedFetch({START: INDEX, beacon(511): read("page.html")}, now=NOW)

    [batch] = await collected(ROUTE, needs("ffvl:511", complete_until=complete_until), fetch)

    assert batch.complete_until == complete


async def test_a_masked_page_is_read_once_more_in_a_new_session() -> None:
    answers = iter((read("page-masked.html"), read("page.html")))
    fetch = ScriptedFetch({START: INDEX, beacon(511): from_iterator(answers)}, now=NOW)

    [batch] = await collected(ROUTE, needs("ffvl:511"), fetch)

    assert fetch.urls == [START, beacon(511), START, beacon(511)]
    assert values(batch.records, "ffvl:511")[at(13, 4)][SPEED] == 14.0
    assert batch.rejected == ()


async def test_a_page_that_stays_masked_is_read_without_its_masked_values() -> None:
    fetch = ScriptedFetch({START: INDEX, beacon(511): read("page-masked.html")}, now=NOW)

    [batch] = await collected(ROUTE, needs("ffvl:511"), fetch)

    assert len(fetch.requests) == 4
    assert {value.reason for value in batch.rejected} == {"masked"}
    assert len(batch.records) == 2


async def test_a_start_page_that_fails_fails_the_route() -> None:
    fetch = ScriptedFetch({START: FetchError("HTTP 503", status=503)}, now=NOW)

    with pytest.raises(FetchError):
        await collected(ROUTE, needs("ffvl:511"), fetch)


async def test_nothing_is_asked_for_where_no_site_names_a_beacon() -> None:
    fetch = ScriptedFetch({}, now=NOW)

    assert await collected(ROUTE, needs("romma:9"), fetch) == []
    assert fetch.requests == []


def from_iterator(answers: Iterator[bytes]) -> Answer:
    def answer(request: Request) -> bytes:
        return next(answers)

    return answer
