"""The FFVL source as a whole: which routes the settings open, and how they stand in for each other."""

from __future__ import annotations

from datetime import timedelta

import pytest

from backend.collectors.base import collect
from backend.collectors.ffvl import build
from backend.core.config import Settings
from backend.core.errors import FetchError
from backend.core.records import CollectionRequest, Failure, ObservationBatch
from backend.tests.support.fakes import Answer, ScriptedFetch
from backend.tests.support.ffvl_samples import (
    DIRECTION,
    KEYED,
    MOBI,
    NOW,
    PAGES,
    SPEED,
    TODAY,
    at,
    feed,
    feed_row,
    needs,
    read,
    values,
)

ALL = {"ffvl_api_key": "s3cret", "contact": "pilot@example.org", "ffvl_html": True}
EVERYTHING: dict[str, Answer] = {
    f"{KEYED}list": read("list.json"),
    f"{KEYED}releves_meteo": read("releves_meteo.json"),
    f"{KEYED}histo": read("histo-511.json"),
    MOBI: read("winds_mobi-stations.json"),
    f"{MOBI}ffvl-511/historic/": read("winds_mobi-historic-511.json"),
    f"{PAGES}index.php": b"<html></html>",
    f"{PAGES}balise.php": read("page.html"),
}


async def walk(want: CollectionRequest, **answers: Answer) -> tuple[list[ObservationBatch], ScriptedFetch]:
    """Collect with every route open; `answers` replaces what a route answers to all its requests."""
    starts = {"keyed": KEYED, "winds_mobi": MOBI, "pages": PAGES}
    replaced = {key: answers[name] for name, start in starts.items() if name in answers
                for key in EVERYTHING if key.startswith(start)}  # fmt: skip
    fetch = ScriptedFetch({**EVERYTHING, **replaced}, now=NOW)
    source = build(Settings.load(**ALL))
    return [batch async for batch in collect(source, want, fetch)], fetch


def failures(batches: list[ObservationBatch]) -> list[Failure]:
    return [failure for batch in batches for failure in batch.failures]


@pytest.mark.parametrize(
    ("settings", "routes"),
    [
        (ALL, [("keyed", 0), ("winds_mobi", 1), ("page", 2)]),
        ({"ffvl_api_key": "s3cret"}, [("keyed", 0)]),
        ({"ffvl_api_key": "s3cret", "ffvl_html": True}, [("keyed", 0)]),
        ({"contact": "pilot@example.org"}, [("winds_mobi", 1)]),
        ({"contact": "pilot@example.org", "ffvl_html": True}, [("winds_mobi", 1), ("page", 2)]),
    ],
)
def test_the_settings_open_the_routes(settings: dict[str, object], routes: list[tuple[str, int]]) -> None:
    source = build(Settings.load(**settings))

    assert [(route.name, route.rank) for route in source.routes] == routes
    assert source.disabled is None


@pytest.mark.parametrize("settings", [{}, {"ffvl_api_key": ""}, {"ffvl_html": True}])
def test_without_a_key_or_a_contact_the_source_is_disabled_with_the_settings_to_set(
    settings: dict[str, object],
) -> None:
    source = build(Settings.load(**settings))

    assert source.routes == ()
    assert source.disabled is not None
    assert "FFVL_API_KEY" in source.disabled
    assert "CONTACT" in source.disabled
    assert ("FFVL_HTML" in source.disabled) is not settings.get("ffvl_html", False)


def test_its_values_may_be_shown_with_the_credit() -> None:
    source = build(Settings.load(**ALL))

    assert (source.name, source.public, source.batch) == ("ffvl", True, ObservationBatch)
    assert source.attribution == "Source : FFVL - balisemeteo.com"
    assert source.max_age == timedelta(minutes=35)


async def test_a_feed_that_answers_is_all_that_is_asked() -> None:
    batches, fetch = await walk(needs("ffvl:511", complete_until={"ffvl:511": at(12, 54)}))

    assert fetch.urls == [f"{KEYED}list&mode=json", f"{KEYED}releves_meteo&mode=json"]
    assert {batch.route for batch in batches} == {"keyed"}
    assert failures(batches) == []


@pytest.mark.parametrize(
    "answer",
    [
        FetchError("HTTP 503", status=503),
        FetchError("expected JSON, got HTML: 'error#2'"),
        read("refused-key.html"),
        read("closed-notice.txt"),
        b"{}",
        b"[]",
        b"",
    ],
)
async def test_a_feed_that_fails_as_a_whole_is_stood_in_for_by_winds_mobi(answer: Answer) -> None:
    batches, fetch = await walk(needs(listed=TODAY), keyed=answer)

    assert [failure.route for failure in failures(batches)] == ["keyed"]
    assert batches[-1].route == "winds_mobi"
    assert values(batches[-1].records, "ffvl:511")[at(13, 4)][SPEED] == 14.0
    assert not any(url.startswith(PAGES) for url in fetch.urls)


async def test_winds_mobi_failing_too_is_stood_in_for_by_the_pages_of_mapped_beacons() -> None:
    batches, _ = await walk(needs("ffvl:511"), keyed=b"[]", winds_mobi=FetchError("HTTP 500", status=500))

    assert [failure.route for failure in failures(batches)] == ["keyed", "keyed", "winds_mobi"]  # list, bulk
    assert batches[-1].route == "page"
    assert values(batches[-1].records, "ffvl:511")[at(13, 4)][SPEED] == 14.0


async def test_a_feed_with_one_failed_history_is_not_replaced() -> None:
    # 516 is mapped as well, and gets the history of 511.
    batches, fetch = await walk(needs("ffvl:511", "ffvl:516", listed=TODAY))

    assert [failure.route for failure in failures(batches)] == ["keyed"]
    assert {batch.route for batch in batches} == {"keyed"}
    assert not any(url.startswith((MOBI, PAGES)) for url in fetch.urls)


async def test_one_reading_is_the_same_observation_whichever_way_it_came() -> None:
    mapped = needs("ffvl:511", complete_until={"ffvl:511": at(12, 54)}, listed=TODAY)
    error = FetchError("HTTP 500", status=500)

    by_key, _ = await walk(mapped)
    by_winds_mobi, _ = await walk(mapped, keyed=error)
    by_page, _ = await walk(mapped, keyed=error, winds_mobi=error)

    tables = [values(batches[-1].records, "ffvl:511") for batches in (by_key, by_winds_mobi, by_page)]
    assert tables[0] == tables[1] == tables[2]
    assert set(tables[0]) == {at(13, 4)}
    assert by_key[-1].complete_until == by_winds_mobi[-1].complete_until == by_page[-1].complete_until


async def test_a_due_north_wind_of_360_is_0_and_a_value_out_of_range_is_set_aside() -> None:
    fetch = ScriptedFetch(
        {
            f"{KEYED}releves_meteo": feed(
                feed_row("531", "2026-05-09 15:00:00", directVentMoy="360", vitesseVentMax="999")
            )
        },
        now=NOW,
    )
    source = build(Settings.load(ffvl_api_key="s3cret"))

    [batch] = [batch async for batch in collect(source, needs(listed=TODAY), fetch)]

    assert values(batch.records, "ffvl:531")[at(13, 0)][DIRECTION] == 0.0
    [rejected] = batch.rejected
    assert (rejected.subject, rejected.raw) == ("ffvl:531", "999.0")
    assert rejected.reason.startswith("out_of_range")


async def test_the_key_is_in_no_batch_and_no_error() -> None:
    batches, fetch = await walk(needs("ffvl:511"), keyed=b'{"error": "unknown key s3cret"}')

    assert failures(batches)
    assert "s3cret" not in repr((batches, fetch.requests, build(Settings.load(**ALL))))
