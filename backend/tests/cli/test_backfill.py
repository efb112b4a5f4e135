"""The past from archives: labelled, with its true times, never known too early, resumed, within bounds."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from datetime import UTC, date, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from backend.collectors import ffvl, romma
from backend.collectors.base import Archive, Source, collect
from backend.collectors.beacons.gaps import missing_spans
from backend.collectors.beacons.winds_mobi import WindsMobiHistory
from backend.collectors.ffvl_routes.keyed import KeyedHistory
from backend.collectors.ffvl_routes.network import FFVL
from backend.collectors.pioupiou import LONGEST_ARCHIVE, ArchiveRoute
from backend.core.clock import PARIS, utc_now
from backend.core.config import Settings
from backend.core.errors import FetchError
from backend.core.parameters import Parameter
from backend.core.records import CollectionRequest, Observation, ObservationBatch, Site, Station
from backend.scheduler.orders import Selection
from backend.storage import schema as t
from backend.storage.database import Database
from backend.storage.store import Store
from backend.tests.support.commands import Environment, StandIns, contents, store_of, typed
from backend.tests.support.fakes import PAYLOADS, ScriptedFetch
from backend.tests.support.stores import make_tables
from backend.tests.support.worlds import ActingRoute, World, make_world, observation_source

NOW = datetime(2026, 7, 15, 12, 0, tzinfo=UTC)
FIRST, LAST = datetime(2026, 5, 8, tzinfo=UTC), datetime(2026, 5, 10, 23, 59, 59, tzinfo=UTC)
ARCHIVE = "https://pioupiou.test/v1/archive/"
LOUP = Site("loup", "Crête du Loup", 45.8, 6.22, 1745.0, stations=("pioupiou:611",))


def needs(**fields: Any) -> CollectionRequest:
    usual = {"now": NOW, "since": FIRST, "until": LAST, "sites": (LOUP,)}
    return CollectionRequest(**{**usual, **fields})


def readings_of(needs: CollectionRequest, *times: datetime, **fields: Any) -> ObservationBatch:
    return ObservationBatch(
        source="ffvl",
        route="acting",
        rank=0,
        collected_at=needs.now,
        newest=times[-1],
        records=tuple(Observation("ffvl:2496", Parameter.WIND_SPEED, time, 12.0) for time in times),
        complete_until={"ffvl:2496": times[-1]},
        **fields,
    )


# What a source serves of the past


async def test_every_archive_is_asked_and_its_batches_are_labelled_and_vouch_for_nothing() -> None:
    async def serves(needs: CollectionRequest) -> AsyncIterator[ObservationBatch]:
        yield readings_of(needs, FIRST)

    async def breaks(needs: CollectionRequest) -> AsyncIterator[ObservationBatch]:
        raise FetchError("HTTP 503")
        yield

    routes = (ActingRoute("ffvl", serves), ActingRoute("ffvl", breaks, name="other"))
    source: Source[ObservationBatch] = observation_source(breaks, past=Archive(routes=routes))

    good, bad = [batch async for batch in collect(source, needs(), ScriptedFetch({}))]

    assert (good.route, bad.route) == ("acting+backfill", "other+backfill")
    assert (good.complete_until, good.newest) == ({}, None)
    assert [failure.reason for failure in bad.failures] == ["HTTP 503"]


@pytest.mark.parametrize(
    ("past", "start"),
    [
        (Archive(routes=()), None),
        (Archive(routes=(), reach=timedelta(days=7)), NOW - timedelta(days=7)),
        (Archive(routes=(), since=FIRST), FIRST),
        (Archive(routes=(), since=FIRST, reach=timedelta(days=7)), NOW - timedelta(days=7)),
    ],
)
def test_an_archive_starts_where_the_later_of_its_limits_lies(
    past: Archive[ObservationBatch], start: datetime | None
) -> None:
    assert past.start(NOW) == start


def test_pages_are_no_archive_and_romma_has_none() -> None:
    def routes(**settings: Any) -> list[str]:
        past = ffvl.build(Settings.load(**settings)).past
        return [route.name for route in past.routes] if past else []

    assert routes(contact="a@b.example", ffvl_api_key="k", ffvl_html=True) == ["keyed", "winds_mobi"]
    assert routes(contact="a@b.example", ffvl_html=True) == ["winds_mobi"]
    assert routes() == []
    assert romma.build(Settings.load(romma_key="k")).past is None


# Pioupiou's archive


@pytest.mark.parametrize(
    ("filled", "spans"),
    [
        ((), [(8, 10)]),
        ((9,), [(8, 8), (10, 10)]),
        ((8, 9), [(10, 10)]),
        ((10,), [(8, 9)]),
        ((8, 9, 10), []),
    ],
)
def test_only_days_that_no_backfill_brought_are_asked_for(
    filled: tuple[int, ...], spans: list[tuple[int, int]]
) -> None:
    want = needs(backfilled_days={"pioupiou:611": tuple(date(2026, 5, day) for day in filled)})
    assert list(missing_spans(want, "pioupiou:611", LONGEST_ARCHIVE)) == [
        (date(2026, 5, first), date(2026, 5, last)) for first, last in spans
    ]


def test_a_span_is_31_days_at_most_and_nothing_lies_between_two() -> None:
    spans = list(missing_spans(needs(since=FIRST - timedelta(days=70)), "pioupiou:611", LONGEST_ARCHIVE))

    assert (spans[0][0], spans[-1][1]) == ((FIRST - timedelta(days=70)).date(), LAST.date())
    assert all(last - first < LONGEST_ARCHIVE for first, last in spans)
    assert all(later[0] - earlier[1] == timedelta(days=1) for earlier, later in pairwise(spans))


async def test_the_archive_is_asked_for_whole_days_and_its_readings_keep_their_times() -> None:
    body = (PAYLOADS / "pioupiou" / "archive-611.json").read_bytes()
    fetch = ScriptedFetch({f"{ARCHIVE}611": body}, now=NOW)

    (batch,) = [batch async for batch in ArchiveRoute("https://pioupiou.test").collect(needs(), fetch)]

    assert fetch.requests[0].params == {"start": "2026-05-08T00:00:00Z", "stop": "2026-05-10T23:59:59Z"}
    assert (batch.route, batch.averaging_minutes) == ("archive", 4)
    assert min(record.time for record in batch.records) == datetime(2026, 5, 9, 12, 36, 9, tzinfo=UTC)


# The histories of the FFVL's beacons, which are counted back from now

HISTORIES: dict[str, tuple[KeyedHistory | WindsMobiHistory, str]] = {
    "keyed": (
        KeyedHistory("https://data.ffvl.fr", "s3cret"),
        "https://data.ffvl.fr/api/?base=balises&r=histo",
    ),
    "winds_mobi": (
        WindsMobiHistory("https://winds.mobi", FFVL, rank=1),
        "https://winds.mobi/api/2.3/stations/ffvl-87/historic/",
    ),
}
FORCLAZ = Site("forclaz", "Col de la Forclaz", 45.8, 6.25, 1157.0, stations=("ffvl:87",))


def six_days(route: str) -> bytes:
    """Return a reading at the end of each hour of the six days before NOW, as each of the two writes it."""
    times = [NOW - timedelta(hours=hours) for hours in range(6 * 24)]
    if route == "winds_mobi":
        rows = [{"_id": int(time.timestamp()), "w-dir": 90, "w-avg": 5, "w-max": 9} for time in times]
        return json.dumps(rows).encode()
    return json.dumps(
        [
            {
                "idbalise": "87",
                "date": f"{time.astimezone(PARIS):%Y-%m-%d %H:%M:%S}",
                "vitesseVentMoy": "5",
                "vitesseVentMax": "9",
                "directVentMoy": "90",
                "temperature": "11",
            }
            for time in times
        ]
    ).encode()


@pytest.mark.parametrize("route", HISTORIES)
async def test_the_past_of_a_beacon_holds_only_the_missing_days(route: str) -> None:
    archive, url = HISTORIES[route]
    fetch = ScriptedFetch({url: six_days(route)}, now=NOW)
    since, until = datetime(2026, 7, 13, tzinfo=UTC), datetime(2026, 7, 14, 23, 59, 59, tzinfo=UTC)
    want = needs(
        since=since, until=until, sites=(FORCLAZ,), backfilled_days={"ffvl:87": (date(2026, 7, 14),)}
    )

    (batch,) = [batch async for batch in archive.collect(want, fetch)]

    speeds = [record.time for record in batch.records if record.parameter is Parameter.WIND_SPEED]
    assert (min(speeds), max(speeds), len(speeds)) == (since, since + timedelta(hours=23), 24)
    assert (batch.route, batch.complete_until, len(fetch.requests)) == (route, {}, 1)


@pytest.mark.parametrize("route", HISTORIES)
async def test_days_that_are_here_or_out_of_reach_are_not_asked_for(route: str) -> None:
    archive, url = HISTORIES[route]
    fetch = ScriptedFetch({url: six_days(route)}, now=NOW)
    for back, filled in ((2, True), (20, False)):
        day = NOW.date() - timedelta(days=back)
        since = datetime(day.year, day.month, day.day, tzinfo=UTC)
        until = since + timedelta(days=1, seconds=-1)
        want = needs(since=since, until=until, sites=(FORCLAZ,), backfilled_days={"ffvl:87": (day,) * filled})
        assert [batch async for batch in archive.collect(want, fetch)] == []
    assert fetch.requests == []


async def test_the_past_of_a_beacon_of_another_network_is_not_asked_for() -> None:
    archive, url = HISTORIES["keyed"]
    fetch = ScriptedFetch({url: six_days("keyed")}, now=NOW)
    since, until = datetime(2026, 7, 13, tzinfo=UTC), datetime(2026, 7, 14, 23, 59, 59, tzinfo=UTC)
    known = {"ffvl:87": Station("ffvl:87", kind="PIOUPIOU")}
    want = needs(since=since, until=until, sites=(FORCLAZ,), stations=known)
    assert [batch async for batch in archive.collect(want, fetch)] == []
    assert fetch.requests == []


# The store and the runner


def test_the_store_returns_the_backfilled_days_only(database_url: str) -> None:
    database = Database(database_url, durable=False)
    store = Store(database)

    def keep(route: str, station: str, *times: datetime) -> None:
        records = tuple(Observation(station, Parameter.WIND_SPEED, time, 9.0) for time in times)
        store.add_observations(
            ObservationBatch(source="pioupiou", route=route, rank=0, collected_at=NOW, records=records)
        )

    make_tables(database)
    noon = FIRST + timedelta(hours=12)
    keep("live", "pioupiou:611", noon + timedelta(days=1))
    keep("archive+backfill", "pioupiou:611", noon, noon + timedelta(hours=1), noon + timedelta(days=2))
    keep("archive+backfill", "pioupiou:612", noon)
    keep("archive+backfill", "pioupiou:611", noon + timedelta(days=9))

    stored = store.backfilled_days({"pioupiou:611", "pioupiou:700"}, FIRST, LAST)
    database.close()

    assert stored == {"pioupiou:611": (date(2026, 5, 8), date(2026, 5, 10))}


async def test_a_backfill_moves_no_station_forward_and_is_new_however_old_it_is(tmp_path: Path) -> None:
    requests: list[CollectionRequest] = []

    async def serves(needs: CollectionRequest) -> AsyncIterator[ObservationBatch]:
        requests.append(needs)
        yield readings_of(needs, needs.since + timedelta(hours=1))

    past = Archive(routes=(ActingRoute("ffvl", serves),))
    world = make_world(tmp_path, observations=(observation_source(serves, past=past),))
    world.clock.now = NOW
    await world.runner.run("collect_observations", "cli")
    before = _stations(world)

    run = await world.runner.run("collect_observations", "backfill", selection=_period())

    assert run is not None
    assert (run.status, run.trigger, run.stored) == ("success", "backfill", 1)
    assert (requests[-1].since, requests[-1].until, requests[-1].complete_until) == (FIRST, LAST, {})
    assert _stations(world) == before
    assert run.sources[0].newest is None


async def test_a_source_without_a_past_takes_no_part_in_a_backfill(tmp_path: Path) -> None:
    world = make_world(tmp_path)
    run = await world.runner.run("collect_observations", "backfill", selection=_period())
    assert run is not None
    assert run.sources == ()


def _period() -> Selection:
    return Selection(since=FIRST, until=LAST)


def _stations(world: World) -> list[Any]:
    with world.database.read() as connection:
        query = sa.select(t.station.c.code, t.station.c.newest, t.station.c.caught_up)
        return list(connection.execute(query))


# The command, on stand-ins


@pytest.fixture
def environment(upstreams: StandIns, tmp_path: Path) -> Environment:
    environment = upstreams.environment(
        tmp_path,
        sources="meteo_parapente,arome,ffvl,romma,pioupiou",
        open_meteo_models="icon_d2",
    )
    sites = tmp_path / "sites.toml"
    sites.write_text(sites.read_text().replace('"romma:901"', '"romma:901", "pioupiou:8001"'))
    return environment


def days_ago(days: int) -> str:
    return f"{utc_now() - timedelta(days=days):%Y-%m-%d}"


def rows(environment: Environment, query: sa.Select[Any]) -> list[Any]:
    database = store_of(environment)
    try:
        with database.read() as connection:
            return list(connection.execute(query))
    finally:
        database.close()


def test_runs_of_the_past_are_stored_with_their_times_an_estimated_stamp_and_a_label(
    environment: Environment,
) -> None:
    result = typed(f"backfill --from {days_ago(20)} --to {days_ago(19)} --source open_meteo", environment)

    assert result.exit_code == 0, result.output
    batch = t.forecast_batch.c
    stored = rows(
        environment,
        sa.select(
            batch.route, batch.published, batch.reference_time, batch.available_at, t.job_run.c.trigger
        ).join_from(t.forecast_batch, t.job_run, t.job_run.c.id == batch.job_run_id),
    )
    midnight = datetime.fromisoformat(f"{days_ago(20)}T00:00:00Z").timestamp()
    assert sorted(row.reference_time for row in stored) == [midnight + 10_800 * n for n in range(16)]
    assert {row.available_at - row.reference_time for row in stored} == {7200}  # 2 h as a rule
    assert {(row.route, bool(row.published)) for row in stored} == {("single_runs+backfill", False)}
    assert {row.trigger for row in stored} == {"backfill"}


def test_a_backfill_asks_again_for_nothing_that_is_here(
    environment: Environment, upstreams: StandIns
) -> None:
    shorter = f"backfill --from {days_ago(8)} --to {days_ago(6)} --source open_meteo --source pioupiou"
    assert typed(shorter, environment).exit_code == 0
    before = {name: upstreams.requests(name) for name in ("open_meteo_single_runs", "pioupiou")}
    stored = contents(environment)

    again = typed(shorter, environment)

    assert again.exit_code == 0, again.output
    assert {name: upstreams.requests(name) for name in before} == before
    assert contents(environment)["forecast"] == stored["forecast"]

    line = f"backfill --from {days_ago(40)} --to {days_ago(3)} --source pioupiou"
    assert typed(line, environment).exit_code == 0
    # 38 days in runs of 31 and 7, the second cut in two by what was here.
    assert upstreams.requests("pioupiou") - before["pioupiou"] == 3
    times = [row.time for row in rows(environment, sa.select(t.observation.c.time))]
    assert 38 * 120 < len(times) < 38 * 144


def test_the_ffvl_is_asked_as_far_back_as_its_histories_reach(environment: Environment) -> None:
    keyed = {**environment, "FFVL_API_KEY": ""}
    result = typed(f"backfill --from {days_ago(30)} --to {days_ago(1)} --source ffvl", keyed)

    assert result.exit_code == 0, result.output
    assert "ffvl: its archive starts at" in result.output
    assert contents(environment)["observation"] > 5 * 120


def test_sources_that_cannot_serve_the_past_are_named_with_the_reason(environment: Environment) -> None:
    result = typed(f"backfill --from {days_ago(6)} --to {days_ago(6)} --json", environment)

    assert result.exit_code == 0, result.output
    assert "romma: left out: cannot serve past days: ROMMA has no history" in result.stderr
    assert "arome: left out: cannot serve past days: its publisher serves files for 15 days" in result.stderr
    assert "meteo_parapente: left out: cannot serve past days" in result.stderr
    runs = json.loads(result.stdout)
    assert {source["source"] for run in runs for source in run["sources"]} == {
        "open_meteo",
        "ffvl",
        "pioupiou",
    }


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        (
            "--from {6} --to {6} --source romma",
            "--source romma: cannot serve past days: ROMMA has no history",
        ),
        ("--from {6} --to {6} --source unknown", "--source unknown: must be one of meteo_parapente, arome"),
        ("--from {6} --to {0}", "must be yesterday (UTC) at most"),
        ("--from {5} --to {6}", "must not be later than --to"),
    ],
)
def test_what_can_never_work_is_refused_in_one_line(environment: Environment, line: str, reason: str) -> None:
    words = {f"{{{days}}}": days_ago(days) for days in (0, 5, 6)}
    for mark, day in words.items():
        line = line.replace(mark, day)

    result = typed(f"backfill {line}", environment)

    assert result.exit_code == 2
    assert reason in result.output


def test_a_spent_quota_ends_it_with_a_hint_to_repeat_it(
    environment: Environment, tmp_path: Path, upstreams: StandIns
) -> None:
    host = environment["OPEN_METEO_SINGLE_RUNS_URL"].removeprefix("http://").replace(":", "-")
    (tmp_path / "quota").mkdir()
    spent = tmp_path / "quota" / f"{host}_{utc_now():%Y-%m-%d}.txt"
    spent.write_text(f"{utc_now().timestamp():.0f} 4990\n")

    result = typed(f"backfill --from {days_ago(9)} --to {days_ago(4)} --source open_meteo", environment)

    assert result.exit_code == 1
    assert "quota: 4999 of the 5000 calls" in result.output
    assert "repeat the command" in result.output
    assert len(rows(environment, sa.select(t.forecast_batch.c.id))) == 9

    spent.write_text("")
    assert (
        typed(f"backfill --from {days_ago(9)} --to {days_ago(4)} --source open_meteo", environment).exit_code
        == 0
    )
    assert len(rows(environment, sa.select(t.forecast_batch.c.id))) == 48
