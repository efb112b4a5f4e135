"""Replay of archived payloads: it repairs values of a broken parser and changes nothing else."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from backend.collectors import romma
from backend.collectors.base import Fetch, MeteredFetch, Request, Source, as_failure
from backend.collectors.transport.payload_archive import ArchivedRun, PayloadArchive
from backend.core.config import Settings
from backend.core.errors import CollectorError, FetchError, JobBusyError, NotFoundError
from backend.core.parameters import Parameter
from backend.core.records import (
    CollectionRequest,
    Forecast,
    ForecastBatch,
    Observation,
    ObservationBatch,
    Run,
)
from backend.scheduler.config import FORECASTS, OBSERVATIONS, JobId
from backend.scheduler.replay import replay
from backend.scheduler.runner import Runner
from backend.storage import schema as t
from backend.storage.database import Database
from backend.storage.run_records import JobRun, SourceRun
from backend.tests.support.fakes import Answer, ScriptedFetch
from backend.tests.support.waiting import until
from backend.tests.support.worlds import (
    NOON,
    PLANFAIT,
    HandClock,
    NoTraffic,
    World,
    a_reading,
    a_run,
    forecast_source,
    make_world,
)

MODEL = "https://models.example"
BEACONS = "https://romma.example/releves_romma_xml.php"
FEED = b"""<releves><releve><id>301</id><station>Essai</station><valide>1</valide>
<latitude>45.8</latitude><longitude>6.2</longitude><altitude>1150</altitude><date>15-07-2026 13:55</date>
<temperature>19.7</temperature><vent_moyen_10>13</vent_moyen_10><direction>OSO</direction>
<rafale_maxi>39</rafale_maxi></releve></releves>"""  # 13:55 in Paris: 11:55 UTC


@dataclass(frozen=True)
class JsonRoute:
    """A route that reads one wind speed; `per_unit` is what its parser takes one unit of it for."""

    name: str = "json"
    rank: int = 0
    per_unit: float = 1.0
    grib: bool = False

    async def collect(self, needs: CollectionRequest, fetch: Fetch) -> AsyncIterator[ForecastBatch]:
        payload = await fetch(Request(url=f"{MODEL}/{self.name}", kind="json"))
        failures = []
        if self.grib:
            try:
                async with fetch.download(Request(url=f"{MODEL}/file.grib2", kind="grib")):
                    pass
            except CollectorError as error:
                failures.append(as_failure(self.name, error))
        speed = json.loads(payload.body)["speed"]
        records = [] if speed is None else [self._forecast(needs, speed)]
        yield ForecastBatch(
            source="arome",
            route=self.name,
            rank=self.rank,
            collected_at=payload.fetched_at,
            newest=NOON,
            run=Run("arome", NOON, NOON, published=True) if records else None,
            parts=("whole",),
            sites=("planfait",),
            records=records,
            failures=tuple(failures),
        )

    def _forecast(self, needs: CollectionRequest, speed: float) -> Forecast:
        value = speed * self.per_unit
        return Forecast("arome", needs.sites[0].id, Parameter.WIND_SPEED, NOON, NOON, value)


@dataclass(frozen=True)
class VouchingRoute:
    """A route of stations that returns `complete_until`."""

    name: str = "history"
    rank: int = 0

    async def collect(self, needs: CollectionRequest, fetch: Fetch) -> AsyncIterator[ObservationBatch]:
        await fetch(Request(url=BEACONS, kind="xml"))
        yield replace(a_reading(needs), source="romma", complete_until={"ffvl:2496": needs.now})


@dataclass(frozen=True)
class FeedAndHistory:
    """A route that asks twice in one second: for the wind of a reading, and for its temperature."""

    name: str = "history"
    rank: int = 0

    async def collect(self, needs: CollectionRequest, fetch: Fetch) -> AsyncIterator[ObservationBatch]:
        for parameter, value in ((Parameter.WIND_SPEED, 12.0), (Parameter.TEMPERATURE, 9.0)):
            payload = await fetch(Request(url=BEACONS, kind="xml"))
            yield ObservationBatch(
                source="romma",
                route=self.name,
                rank=self.rank,
                collected_at=payload.fetched_at,
                newest=NOON,
                records=(Observation("romma:301", parameter, NOON, value),),
            )


def model(*routes: JsonRoute, **options: Any) -> Source[ForecastBatch]:
    return replace(forecast_source(_nothing), routes=routes or (JsonRoute(),), **options)


async def _nothing(needs: CollectionRequest) -> AsyncIterator[ForecastBatch]:
    return
    yield


def beacons() -> Source[Any]:
    return romma.build(Settings.load(romma_url="https://romma.example", romma_key="a-long-key"))


@dataclass
class Collected:
    """A world with a payload archive, and the responses of its upstreams."""

    world: World
    archive: PayloadArchive
    script: dict[str, Answer]
    folder: Path

    async def run(self, job: JobId = FORECASTS) -> JobRun:
        run = await self.world.runner.run(job, "cli")
        assert run is not None
        return run

    async def replayed(self, run: JobRun, *forecasts: Source[ForecastBatch]) -> JobRun:
        """Replay a run, with other sources if any are given: what has been repaired since."""
        runner = self.world.runner
        if forecasts:
            runner = Runner(
                store=runner.store,
                ledger=runner.ledger,
                sources=replace(runner.sources, forecasts=forecasts),
                config=runner.config,
                sites=runner.sites,
                clock=runner.clock,
            )
        (archived,) = [archived for archived in self.archive.runs() if archived.run_id == run.id]
        return await replay(runner, self.archive, archived)

    def files(self, pattern: str) -> list[Path]:
        return sorted(self.folder.glob(f"payloads/*/{pattern}"))


MakeCollected = Callable[..., Collected]


@pytest.fixture
def collected(tmp_path: Path) -> MakeCollected:
    def make(
        *forecasts: Source[ForecastBatch], observations: Source[Any] | None = None, **script: Answer
    ) -> Collected:
        archive = PayloadArchive(tmp_path / "payloads", 14)
        clock = HandClock()
        answers = {f"{MODEL}/{name}": answer for name, answer in script.items()} | {BEACONS: FEED}

        def channel_for(run: int, source: str) -> MeteredFetch:
            fetch = ScriptedFetch(answers, now=clock(), folder=tmp_path)
            return MeteredFetch(archive.archiving(fetch, run, source), NoTraffic())

        world = make_world(
            tmp_path,
            clock=clock,
            forecasts=forecasts or [model()],
            observations=[observations or beacons()],
            channel_for=channel_for,
            on_request=archive.store_request,
        )
        return Collected(world, archive, answers, tmp_path)

    return make


def speeds(database: Database, table: sa.Table = t.forecast) -> list[float]:
    """Return the wind speeds that are stored, in km/h."""
    with database.read() as connection:
        return [speed / 1000 for (speed,) in connection.execute(sa.select(table.c.wind_speed))]


def outcome(run: JobRun) -> SourceRun:
    (source,) = run.sources
    return source


# --- What it repairs --------------------------------------------------------------------------------


async def test_a_value_that_was_spoilt_comes_back_and_the_replay_leaves_a_row_of_its_own(
    collected: MakeCollected,
) -> None:
    there = collected()
    run = await there.run(OBSERVATIONS)
    assert (run.status, run.stored) == ("success", 3)
    with there.world.database.write() as connection:
        connection.execute(sa.update(t.observation).values(wind_speed=99_000))

    again = await there.replayed(run)

    assert speeds(there.world.database, t.observation) == [13.0]
    assert (again.id, again.status, again.trigger, again.slot) == (run.id + 1, "success", "cli", None)
    assert (again.collected, again.stored, again.note) == (3, 1, f"replay of run {run.id}")
    assert (outcome(again).requests, outcome(again).bytes) == (0, 0)
    assert again.end_time is not None


async def test_values_of_a_repaired_parser_win_although_a_run_never_changes(
    collected: MakeCollected,
) -> None:
    there = collected(model(JsonRoute(per_unit=1.0)), json=b'{"speed": 10}')
    run = await there.run()
    assert speeds(there.world.database) == [10.0]
    again = await there.replayed(run, model(JsonRoute(per_unit=3.6)))
    assert speeds(there.world.database) == [36.0]
    assert (again.status, again.stored) == ("success", 1)


async def test_a_replay_without_changes_has_nothing_new(collected: MakeCollected) -> None:
    there = collected(json=b'{"speed": 10}')
    again = await there.replayed(await there.run())
    assert (again.status, again.collected, again.stored) == ("nothing_new", 1, 0)


async def test_later_values_of_a_better_route_are_not_replaced_by_an_old_payload(
    collected: MakeCollected,
) -> None:
    best, lesser = JsonRoute("best"), JsonRoute("lesser", rank=1)
    down = FetchError("HTTP 503", url=f"{MODEL}/best")
    there = collected(model(best, lesser), best=down, lesser=b'{"speed": 7}')
    run = await there.run()
    there.script[f"{MODEL}/best"] = b'{"speed": 8}'
    await there.run()
    assert speeds(there.world.database) == [8.0]
    assert (await there.replayed(run)).status == "nothing_new"
    assert speeds(there.world.database) == [8.0]


async def test_a_networks_later_correction_stays_when_the_run_before_it_is_replayed(
    collected: MakeCollected,
) -> None:
    there = collected()
    first = await there.run(OBSERVATIONS)
    there.world.clock.now = NOON + timedelta(hours=1)
    there.script[BEACONS] = FEED.replace(b"<vent_moyen_10>13<", b"<vent_moyen_10>22<")
    second = await there.run(OBSERVATIONS)
    assert speeds(there.world.database, t.observation) == [22.0]
    assert (await there.replayed(first)).status == "nothing_new"
    assert (await there.replayed(second)).status == "nothing_new"
    assert speeds(there.world.database, t.observation) == [22.0]


async def test_two_answers_of_one_second_do_not_remove_each_others_values_of_a_reading(
    collected: MakeCollected,
) -> None:
    there = collected(observations=replace(beacons(), routes=(FeedAndHistory(),)))
    run = await there.run(OBSERVATIONS)
    assert run.stored == 2
    again = await there.replayed(run)
    assert (again.status, again.stored) == ("nothing_new", 0)
    with there.world.database.read() as connection:
        stored = connection.execute(sa.select(t.observation.c.wind_speed, t.observation.c.temperature)).all()
    assert stored == [(12_000, 9_000)]


async def test_old_payloads_neither_complete_a_period_nor_show_new_data(collected: MakeCollected) -> None:
    there = collected(observations=replace(beacons(), routes=(VouchingRoute(),)))
    run = await there.run(OBSERVATIONS)

    def complete_until() -> Mapping[str, datetime]:
        since = NOON - timedelta(days=3)
        return there.world.store.observation_request((PLANFAIT,), NOON, since).complete_until

    assert complete_until() == {"ffvl:2496": NOON}
    with there.world.database.write() as connection:
        connection.execute(sa.delete(t.source_newest))
        connection.execute(sa.update(t.station).values(caught_up=None))
    again = await there.replayed(run)
    assert outcome(again).newest is None
    assert there.world.ledger.newest_data() == {}
    assert complete_until() == {}


async def test_a_source_that_was_stale_then_is_judged_by_what_the_replay_changes(
    collected: MakeCollected,
) -> None:
    there = collected(model(max_age=timedelta(hours=-1)), json=b'{"speed": 10}')
    run = await there.run()
    assert outcome(run).status == "stale"
    assert outcome(await there.replayed(run)).status == "nothing_new"


async def test_every_value_rejected_is_a_failure_in_a_replay_too(collected: MakeCollected) -> None:
    there = collected(json=b'{"speed": 9999}')
    again = await there.replayed(await there.run())
    assert (again.status, again.rejected) == ("failed", 1)


# --- Missing payloads -------------------------------------------------------------------------------


async def test_grib_that_is_not_archived_is_no_failure(collected: MakeCollected) -> None:
    there = collected(model(JsonRoute(grib=True)), json=b'{"speed": null}', file=b"GRIB7777")
    run = await there.run()
    assert (run.status, outcome(run).failed) == ("nothing_new", 0)
    again = await there.replayed(run)
    assert (again.status, outcome(again).failed, outcome(again).failures) == ("nothing_new", 0, ())


async def test_a_route_that_failed_then_is_passed_over_now(collected: MakeCollected) -> None:
    down = FetchError("HTTP 503", url=f"{MODEL}/best")
    routes = (JsonRoute("best"), JsonRoute("lesser", rank=1))
    there = collected(model(*routes), best=down, lesser=b'{"speed": 7}')
    run = await there.run()
    assert (run.status, outcome(run).failed) == ("partial", 1)
    with there.world.database.write() as connection:
        connection.execute(sa.update(t.forecast).values(wind_speed=1))
    again = await there.replayed(run)
    assert (again.status, outcome(again).failed) == ("success", 0)
    assert speeds(there.world.database) == [7.0]


async def test_a_run_without_archived_payloads_of_a_known_source_cannot_be_replayed(
    collected: MakeCollected,
) -> None:
    there = collected()
    with pytest.raises(NotFoundError, match="no payload of a known source is archived for run 5"):
        await replay(there.world.runner, there.archive, ArchivedRun(5, NOON.date(), ("windy",)))
    assert there.world.ledger.runs() == ()


async def test_without_the_request_of_a_run_its_replay_fails_with_that_reason(
    collected: MakeCollected,
) -> None:
    there = collected(json=b'{"speed": 10}')
    run = await there.run()
    for path in there.files(f"run-{run.id}/wanted.gz"):
        path.unlink()
    again = await there.replayed(run)
    assert again.status == "failed"
    assert outcome(again).reason == f"the archive has no collection request of run {run.id}"


async def test_a_source_that_was_disabled_since_is_reported_as_disabled(collected: MakeCollected) -> None:
    there = collected(json=b'{"speed": 10}')
    run = await there.run()
    again = await there.replayed(run, model(disabled="SOURCES does not name it"))
    assert (again.status, outcome(again).status) == ("nothing_new", "disabled")
    assert outcome(again).reason == "SOURCES does not name it"


# --- What is damaged --------------------------------------------------------------------------------


def spoil_header(path: Path) -> None:
    path.write_bytes(b"no gzip")


def spoil_end(path: Path) -> None:
    """Leave the first line readable: the damage shows when the body is read."""
    content = path.read_bytes()
    path.write_bytes(content[:-8] + bytes(8))


@pytest.mark.parametrize("spoil", [spoil_header, spoil_end])
async def test_a_damaged_payload_is_a_failure_of_its_source_and_of_no_other(
    collected: MakeCollected, spoil: Callable[[Path], None]
) -> None:
    other = replace(model(), name="meteo_parapente")
    there = collected(model(), other, json=b'{"speed": 10}')
    run = await there.run()
    (damaged,) = there.files(f"run-{run.id}/arome/*.gz")
    spoil(damaged)
    again = await there.replayed(run)
    arome, parapente = again.sources
    assert again.status == "partial"
    assert (arome.status, arome.failed) == ("failed", 1)
    assert f"archived payload {damaged} cannot be read" in arome.reason
    assert arome.failures[0].error == "ParseError"
    assert parapente.status == "nothing_new"


async def test_a_damaged_request_of_a_run_fails_the_replay(collected: MakeCollected) -> None:
    there = collected(json=b'{"speed": 10}')
    run = await there.run()
    (damaged,) = there.files(f"run-{run.id}/wanted.gz")
    spoil_header(damaged)
    again = await there.replayed(run)
    assert again.status == "failed"
    assert str(damaged) in outcome(again).reason


# --- Its place in the ledger ------------------------------------------------------------------------


async def test_while_a_run_of_the_job_is_under_way_its_payloads_are_left_alone(
    collected: MakeCollected,
) -> None:
    there = collected(json=b'{"speed": 10}')
    run = await there.run()
    busy = there.world.ledger.claim(FORECASTS, "schedule", NOON)
    assert busy is not None
    with pytest.raises(JobBusyError) as refused:
        await there.replayed(run)
    assert refused.value.run_id == busy.run_id


async def test_a_replay_that_is_stopped_is_recorded_as_cancelled(collected: MakeCollected) -> None:
    there = collected(json=b'{"speed": 10}')
    run = await there.run()
    reached = asyncio.Event()

    async def endless(needs: CollectionRequest) -> AsyncIterator[ForecastBatch]:
        reached.set()
        await asyncio.Event().wait()
        yield a_run(needs)

    task = asyncio.create_task(there.replayed(run, forecast_source(endless)))
    await until(reached.is_set)
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task
    newest = there.world.ledger.runs()[0]
    assert (newest.id, newest.status, newest.note) == (run.id + 1, "cancelled", f"replay of run {run.id}")
