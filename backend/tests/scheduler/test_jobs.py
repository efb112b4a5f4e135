"""The two jobs, called bare or by a caller: they collect and return, and store nothing."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from backend.collectors.base import LiveFacts, MeteredFetch
from backend.core.clock import utc_now
from backend.core.config import Settings
from backend.core.errors import ConfigError
from backend.core.parameters import Parameter
from backend.core.records import CollectionRequest, Failure, ForecastBatch, ObservationBatch
from backend.core.registry import SOURCES
from backend.core.sites import load_sites
from backend.scheduler.jobs import Tally, collect_all_forecasts, collect_all_observations, run_status
from backend.storage.run_records import SourceRun
from backend.tests.support.commands import VARIABLES, StandIns
from backend.tests.support.fakes import ScriptedFetch
from backend.tests.support.waiting import skip, until
from backend.tests.support.worlds import (
    NOON,
    PLANFAIT,
    HandClock,
    NoTraffic,
    a_reading,
    a_run,
    brings_a_reading,
    brings_a_run,
    fails,
    forecast_source,
    observation_source,
)

WANTED = CollectionRequest(now=NOON, since=NOON - timedelta(days=1), sites=(PLANFAIT,))


def no_network(_source: str) -> MeteredFetch:
    return MeteredFetch(ScriptedFetch({}), NoTraffic())


# --- Called bare, on stand-in upstreams -------------------------------------------------------------


@pytest.fixture
def folder(upstreams: StandIns, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of a service whose settings are in the environment, and that was never started."""
    for name, value in upstreams.environment(tmp_path).items():
        if name in VARIABLES:
            monkeypatch.setenv(name, value)
    return tmp_path


def test_called_bare_the_forecasts_of_all_sources_are_returned_and_nothing_is_stored(folder: Path) -> None:
    collection = asyncio.run(collect_all_forecasts())
    assert collection.status == "success"
    assert {outcome.source: outcome.status for outcome in collection.outcomes} == {
        "meteo_parapente": "success",
        "arome": "success",
        "geosphere": "success",
    }
    assert {record.model for record in collection.records} == {"meteo_parapente", "arome_0025", "claef_1km"}
    assert {record.site for record in collection.records} == {"planfait"}
    assert {record.parameter for record in collection.records} == set(Parameter)
    oldest = utc_now() - timedelta(hours=25)  # FORECAST_LOOKBACK_HOURS is 24
    assert all(record.reference_time > oldest for record in collection.records)
    for outcome in collection.outcomes:
        (source,) = (source for source in SOURCES if source.name == outcome.source)
        models = {model.name for model in source.models}
        records = [record for record in collection.records if record.model in models]
        assert (outcome.collected, outcome.stored, outcome.failed) == (len(records), 0, 0)
        assert outcome.requests > 0
        assert outcome.bytes > 1000
        assert outcome.duration > 0
    assert [path.name for path in folder.iterdir()] == ["sites.toml"]


def test_called_bare_the_readings_of_all_networks_are_returned_with_what_was_rejected(folder: Path) -> None:
    collection = asyncio.run(collect_all_observations())
    assert collection.status == "success"
    assert {record.station.partition(":")[0] for record in collection.records} == {"ffvl", "romma"}
    assert sum(outcome.collected for outcome in collection.outcomes) == len(collection.records) > 50
    romma = {outcome.source: outcome for outcome in collection.outcomes}["romma"]
    assert romma.rejected == sum(romma.rejected_reasons.values()) > 0
    assert [path.name for path in folder.iterdir()] == ["sites.toml"]


def test_called_for_one_site_only_that_site_is_requested(folder: Path) -> None:
    (planfait,) = load_sites(folder / "sites.toml")
    elsewhere = replace(planfait, id="montmin", latitude=45.814, longitude=6.247)
    settings = Settings.load(sources="meteo_parapente")
    collection = asyncio.run(collect_all_forecasts([elsewhere], settings=settings))
    assert {record.site for record in collection.records} == {"montmin"}
    assert [outcome.status for outcome in collection.outcomes] == ["success", "disabled", "disabled"]


def test_called_bare_with_a_sites_file_that_cannot_be_used_it_is_refused(folder: Path) -> None:
    (folder / "sites.toml").write_text("sites = 1\n")
    with pytest.raises(ConfigError, match="write each site under a"):
        asyncio.run(collect_all_forecasts())


# --- Called with `deliver` --------------------------------------------------------------------------


async def test_a_caller_gets_each_batch_at_once_and_the_records_are_not_returned() -> None:
    handed: list[float] = []
    seen_by_the_source: list[int] = []

    async def two_runs(needs: CollectionRequest) -> AsyncIterator[ForecastBatch]:
        for value in (20.0, 30.0):
            seen_by_the_source.append(len(handed))
            yield a_run(needs, value)

    async def deliver(batch: ForecastBatch) -> None:
        handed.extend(record.value for record in batch.records)

    collection = await collect_all_forecasts(
        needs=WANTED, deliver=deliver, sources=[forecast_source(two_runs)], channel_for=no_network
    )
    assert handed == [20.0, 30.0]
    assert seen_by_the_source == [0, 1]  # the first was safe before the second came
    assert collection.records == ()
    assert collection.outcomes[0].collected == 2


async def test_the_sources_run_side_by_side() -> None:
    met = asyncio.Barrier(2)

    async def waits_for_the_other(needs: CollectionRequest) -> AsyncIterator[ObservationBatch]:
        await met.wait()
        yield a_reading(needs)

    collection = await collect_all_observations(
        needs=WANTED,
        sources=[observation_source(waits_for_the_other, name) for name in ("ffvl", "romma")],
        channel_for=no_network,
    )
    assert collection.status == "success"


async def test_what_cannot_be_delivered_is_a_failure_of_that_source_and_of_no_other() -> None:
    async def deliver(batch: ForecastBatch) -> None:
        if batch.source == "arome":
            raise ValueError("no room")

    collection = await collect_all_forecasts(
        needs=WANTED,
        deliver=deliver,
        sources=[forecast_source(brings_a_run, "arome"), forecast_source(brings_a_run, "meteo_parapente")],
        channel_for=no_network,
        clock=HandClock(),
    )
    arome, parapente = collection.outcomes
    assert (arome.status, arome.reason) == ("partial", "ValueError: no room")
    assert parapente.status == "success"


@pytest.mark.parametrize(
    ("reasons", "is_gone"),
    [
        (["HTTP 404 Not Found", "no connection: [Errno -2] Name or service not known"], True),
        (["HTTP 410 Gone"], True),
        (["HTTP 404 Not Found", "HTTP 503 Service Unavailable"], False),
        (["no connection: [Errno -3] Temporary failure in name resolution"], False),
    ],
)
async def test_a_source_that_moved_or_ended_states_what_is_known_of_it(
    reasons: list[str], is_gone: bool
) -> None:
    async def refuses(needs: CollectionRequest) -> AsyncIterator[ForecastBatch]:
        failures = tuple(Failure("all", "https://example.org", each, "FetchError") for each in reasons)
        yield replace(a_run(needs), records=(), failures=failures, newest=None)

    source = replace(
        forecast_source(refuses), live=LiveFacts(if_gone="its files moved to another host in May")
    )
    collection = await collect_all_forecasts(needs=WANTED, sources=[source], channel_for=no_network)
    (outcome,) = collection.outcomes
    known = "; its files moved to another host in May" if is_gone else ""
    assert (outcome.status, outcome.reason) == ("failed", f"{reasons[0]}{known}")


async def test_of_a_group_of_errors_the_first_is_reported_and_not_the_group() -> None:
    async def several(needs: CollectionRequest) -> AsyncIterator[ForecastBatch]:
        raise ExceptionGroup("several", [ExceptionGroup("inner", [KeyError("hourly")]), ValueError("b")])
        yield a_run(needs)

    collection = await collect_all_forecasts(
        needs=WANTED, sources=[forecast_source(several)], channel_for=no_network
    )
    (outcome,) = collection.outcomes
    assert outcome.reason == "KeyError: 'hourly'"
    assert outcome.failures[0].error == "KeyError"


async def test_a_collection_that_is_cut_short_can_be_summed_up_at_any_moment() -> None:
    tallies: dict[str, Tally] = {}

    async def endless(needs: CollectionRequest) -> AsyncIterator[ForecastBatch]:
        yield a_run(needs)
        await asyncio.Event().wait()

    collecting = asyncio.create_task(
        collect_all_forecasts(
            needs=WANTED,
            sources=[forecast_source(endless, "arome"), forecast_source(fails, "meteo_parapente")],
            channel_for=no_network,
            tallies=tallies,
        )
    )
    # Both: the batch of one source is counted in a thread, in any order with the end of the other.
    await until(lambda: len(tallies) == 2 and tallies["meteo_parapente"].ended and tallies["arome"].collected)
    collecting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await collecting
    assert tallies["arome"].ended is None
    assert tallies["arome"].outcome("partial", "cut short").collected == 1
    assert tallies["meteo_parapente"].ended is not None


# --- One vocabulary ---------------------------------------------------------------------------------


def outcomes(*statuses: str) -> list[SourceRun]:
    """Return outcomes by their status; "partial" and "stale" collected something, as "success" did."""
    with_records = {"success", "partial", "stale"}
    return [
        SourceRun(source=str(index), status=status, collected=int(status in with_records))  # type: ignore[arg-type]
        for index, status in enumerate(statuses)
    ]


@pytest.mark.parametrize(
    ("sources", "status"),
    [
        (("success",), "success"),
        (("success", "nothing_new"), "success"),
        (("success", "disabled"), "success"),
        (("nothing_new", "nothing_new"), "nothing_new"),
        (("nothing_new", "disabled"), "nothing_new"),
        (("success", "failed"), "partial"),
        (("success", "stale"), "partial"),
        (("success", "partial"), "partial"),
        (("stale",), "partial"),
        (("nothing_new", "stale"), "partial"),
        (("failed",), "failed"),
        (("failed", "nothing_new"), "failed"),
        (("failed", "disabled"), "failed"),
        (("disabled",), "nothing_new"),
        ((), "nothing_new"),
    ],
)
def test_the_status_of_a_run_is_computed_from_its_sources(sources: tuple[str, ...], status: str) -> None:
    assert run_status(outcomes(*sources)) == status


# --- A network that takes too long ------------------------------------------------------------------


async def _one_reading_and_then_nothing(needs: CollectionRequest) -> AsyncIterator[ObservationBatch]:
    yield a_reading(needs, station="romma:241")
    await asyncio.Event().wait()


async def test_a_source_that_does_not_end_is_cut_short_and_its_records_are_used() -> None:
    stored: list[ObservationBatch] = []

    async def deliver(batch: ObservationBatch) -> None:
        stored.append(batch)

    collecting = asyncio.create_task(
        collect_all_observations(
            needs=WANTED,
            deliver=deliver,
            sources=[
                observation_source(_one_reading_and_then_nothing, "romma"),
                observation_source(brings_a_reading, "ffvl"),
            ],
            channel_for=no_network,
            seconds=600,
        )
    )
    await until(lambda: len(stored) == 2)
    skip(600)
    collection = await collecting
    outcomes = {outcome.source: outcome for outcome in collection.outcomes}
    assert (outcomes["romma"].status, outcomes["romma"].collected) == ("partial", 1)
    assert outcomes["romma"].reason.startswith("cut short after 600 s, when the next collection was due")
    assert outcomes["ffvl"].status == "success"
    assert {record.station for batch in stored for record in batch.records} == {"romma:241", "ffvl:2496"}


async def test_storing_is_not_cut_short() -> None:
    stored: list[ObservationBatch] = []
    seconds = 0.05

    async def deliver(batch: ObservationBatch) -> None:
        over = (
            asyncio.Event()
        )  # set by the loop once the time of the collection, which started before, is over
        asyncio.get_running_loop().call_later(seconds, over.set)
        await over.wait()
        stored.append(batch)

    collection = await collect_all_observations(
        needs=WANTED,
        deliver=deliver,
        sources=[observation_source(_one_reading_and_then_nothing, "romma")],
        channel_for=no_network,
        seconds=seconds,
    )
    assert [outcome.status for outcome in collection.outcomes] == ["partial"]
    assert len(stored) == 1
