"""The stations of the SLF by way of winds.mobi."""

from __future__ import annotations

from datetime import timedelta

import pytest

from backend.collectors import observation_sources
from backend.collectors.beacons.winds_mobi import WindsMobi, parse_stations
from backend.collectors.slf import SLF, build
from backend.core.config import Settings
from backend.core.errors import ParseError
from backend.core.records import Station
from backend.tests.support import fuzz_targets as fuzz
from backend.tests.support.fakes import ScriptedFetch
from backend.tests.support.ffvl_samples import (
    DIRECTION,
    GUST,
    MOBI,
    NOW,
    SPEED,
    TEMPERATURE,
    collected,
    needs,
    payload,
    values,
)
from backend.tests.support.winds_mobi import answer, bulk_url, row

STATION = "slf:ADE2"
ROUTE = WindsMobi("https://winds.mobi", SLF)
LAST = NOW - timedelta(minutes=10)


def fuzz_targets() -> tuple[fuzz.Target, ...]:
    """Return the parser, with payloads in its format."""
    return (
        fuzz.Target(
            "slf newest readings",
            "json",
            lambda body: parse_stations(SLF, fuzz.payload(body), {}),
            (answer(row("slf-ADE2", fuzz.NOW), row("slf-WFJ2", fuzz.NOW)),),
            r"slf:[A-Z0-9]{3,6}",
        ),
    )


async def test_a_reading_has_its_values_its_period_and_its_station() -> None:
    fetch = ScriptedFetch({bulk_url("slf"): answer(row("slf-ADE2", LAST))}, now=NOW)

    [batch] = await collected(
        ROUTE, needs(STATION, complete_until={STATION: LAST - timedelta(minutes=10)}), fetch
    )

    assert values(batch.records, STATION) == {
        LAST: {SPEED: 12.5, GUST: 24.0, DIRECTION: 250.0, TEMPERATURE: 3.0}
    }
    assert (batch.source, batch.route, batch.rank) == ("slf", "winds_mobi", 0)
    assert (batch.averaging_minutes, batch.direction_resolution) == (30, None)
    assert batch.complete_until == {STATION: LAST}
    assert batch.stations == (Station(STATION, "Sur la crête", 46.42, 6.09, 2106.0),)


async def test_a_gap_is_filled_from_the_history_of_the_station() -> None:
    bulk = answer(row("slf-ADE2", LAST))
    fetch = ScriptedFetch({bulk_url("slf"): bulk, f"{MOBI}slf-ADE2/historic/": b"[]"}, now=NOW)

    await collected(ROUTE, needs(STATION, complete_until={STATION: LAST - timedelta(hours=3)}), fetch)

    assert fetch.urls == [bulk_url("slf"), f"{MOBI}slf-ADE2/historic/?duration=14400"]


def test_a_station_of_another_network_is_refused() -> None:
    with pytest.raises(ParseError, match="requested stations of slf, row is of 'ffvl-64'"):
        parse_stations(SLF, payload(answer(row("ffvl-64", LAST))), {})


@pytest.mark.parametrize(
    ("settings", "reason"),
    [
        ({"contact": "a@b.example"}, "WINDS_MOBI_PROVIDERS does not name slf"),
        ({"winds_mobi_providers": "slf"}, "set CONTACT"),
        ({"winds_mobi_providers": "slf", "contact": "a@b.example", "sources": "ffvl"}, None),
    ],
)
def test_it_is_off_unless_the_setting_names_it_and_a_contact(
    settings: dict[str, str], reason: str | None
) -> None:
    [source] = [one for one in observation_sources(Settings.load(**settings)) if one.name == "slf"]
    if reason is None:
        assert source.disabled is None
        assert [route.name for route in source.routes] == ["winds_mobi"]
        assert source.past is not None
    else:
        assert reason in str(source.disabled)
        assert (source.routes, source.past) == ((), None)
    assert build(Settings.load(**settings)).public
