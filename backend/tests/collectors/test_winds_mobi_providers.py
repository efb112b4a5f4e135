"""The networks that are collected by winds.mobi alone: the same contract for each."""

from __future__ import annotations

from datetime import timedelta
from importlib import import_module

import pytest

from backend.collectors import observation_sources
from backend.collectors.beacons.readings import Network
from backend.collectors.beacons.winds_mobi import WindsMobi, parse_stations
from backend.collectors.meteoswiss import METEOSWISS
from backend.collectors.slf import SLF
from backend.core.config import Settings
from backend.core.errors import ParseError
from backend.core.records import Station
from backend.core.registry import WINDS_MOBI_PROVIDERS
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

LAST = NOW - timedelta(minutes=10)

PROVIDERS = [
    # network, number of a station and of another, minutes of the mean
    pytest.param(METEOSWISS.network, ("DOL", "DAV"), 10, id="meteoswiss"),
    pytest.param(SLF.network, ("ADE2", "WFJ2"), 30, id="slf"),
]
each_provider = pytest.mark.parametrize(("network", "numbers", "minutes"), PROVIDERS)
each_network = pytest.mark.parametrize(
    "network", [param.values[0] for param in PROVIDERS], ids=lambda n: n.name
)


def fuzz_targets() -> tuple[fuzz.Target, ...]:
    """Return the parser for each network, with payloads in its format."""

    def target(network: Network, numbers: tuple[str, str]) -> fuzz.Target:
        rows = (row(f"{network.name}-{number}", fuzz.NOW) for number in numbers)
        return fuzz.Target(
            f"{network.name} newest readings",
            "json",
            lambda body: parse_stations(network, fuzz.payload(body), {}),
            (answer(*rows),),
            rf"{network.name}:[A-Z0-9]{{3,6}}",
        )

    return tuple(target(*param.values[:2]) for param in PROVIDERS)  # type: ignore[arg-type]


def test_every_provider_of_the_registry_is_tested_here() -> None:
    assert tuple(param.id for param in PROVIDERS) == WINDS_MOBI_PROVIDERS


@each_provider
async def test_a_reading_has_its_values_its_period_and_its_station(
    network: Network, numbers: tuple[str, str], minutes: int
) -> None:
    name, station = network.name, f"{network.name}:{numbers[0]}"
    fetch = ScriptedFetch({bulk_url(name): answer(row(f"{name}-{numbers[0]}", LAST))}, now=NOW)
    wanted = needs(station, complete_until={station: LAST - timedelta(minutes=10)})

    [batch] = await collected(WindsMobi("https://winds.mobi", network), wanted, fetch)

    assert values(batch.records, station) == {
        LAST: {SPEED: 12.5, GUST: 24.0, DIRECTION: 250.0, TEMPERATURE: 3.0}
    }
    assert (batch.source, batch.route, batch.rank) == (name, "winds_mobi", 0)
    assert (batch.averaging_minutes, batch.direction_resolution) == (minutes, None)
    assert batch.complete_until == {station: LAST}
    assert batch.stations == (Station(station, "Sur la crête", 46.42, 6.09, 2106.0),)


@each_provider
async def test_a_gap_is_filled_from_the_history_of_the_station(
    network: Network, numbers: tuple[str, str], minutes: int
) -> None:
    name, station = f"{network.name}-{numbers[0]}", f"{network.name}:{numbers[0]}"
    script = {bulk_url(network.name): answer(row(name, LAST)), f"{MOBI}{name}/historic/": b"[]"}
    fetch = ScriptedFetch(script, now=NOW)
    wanted = needs(station, complete_until={station: LAST - timedelta(hours=3)})

    await collected(WindsMobi("https://winds.mobi", network), wanted, fetch)

    assert fetch.urls == [bulk_url(network.name), f"{MOBI}{name}/historic/?duration=14400"]


@each_network
def test_a_station_of_another_network_is_refused(network: Network) -> None:
    with pytest.raises(ParseError, match=f"requested stations of {network.name}, row is of 'ffvl-64'"):
        parse_stations(network, payload(answer(row("ffvl-64", LAST))), {})


@each_network
@pytest.mark.parametrize(
    ("settings", "reason"),
    [
        ({"contact": "a@b.example"}, "WINDS_MOBI_PROVIDERS does not name {name}"),
        ({"winds_mobi_providers": "{name}"}, "set CONTACT"),
        ({"winds_mobi_providers": "{name}", "contact": "a@b.example", "sources": "ffvl"}, None),
    ],
    ids=["not named", "without contact", "on"],
)
def test_it_is_off_unless_the_setting_names_it_and_a_contact(
    settings: dict[str, str], reason: str | None, network: Network
) -> None:
    name = network.name
    loaded = Settings.load(**{setting: value.format(name=name) for setting, value in settings.items()})
    [source] = [one for one in observation_sources(loaded) if one.name == name]
    if reason is None:
        assert source.disabled is None
        assert [route.name for route in source.routes] == ["winds_mobi"]
        assert source.past is not None
    else:
        assert reason.format(name=name) in str(source.disabled)
        assert (source.routes, source.past) == ((), None)
    assert import_module(f"backend.collectors.{name}").build(loaded).public
