"""What is kept of a run, for how long, and that it can be parsed again."""

from __future__ import annotations

import asyncio
import gzip
import random
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import msgspec
import pytest
from structlog.testing import capture_logs

from backend.collectors.base import Fetch, Kind, Payload, Request
from backend.collectors.transport.payload_archive import ArchivedRun, PayloadArchive
from backend.core.errors import FetchError, NotFoundError, ParseError
from backend.core.private_files import open_to_others
from backend.core.records import CollectionRequest, Site, Station
from backend.tests.support.fakes import ScriptedFetch
from backend.tests.support.full_disk import disk_with_room_for

NOON = datetime(2026, 7, 15, 12, 0, tzinfo=UTC)
STAMP = datetime(2026, 7, 15, 11, 58, tzinfo=UTC)
LIST, READING = "https://data.example/list", "https://data.example/read"
SCRIPT = {
    LIST: b'\xef\xbb\xbf[{"id": "64"}]',
    READING: b'{"wind": 12.5}',
    "https://data.example/page": b"<p>\xe9</p>",
}


def asks(url: str, kind: Kind = "json", **params: str) -> Request:
    return Request(url=url, kind=kind, params=params)


def upstream(now: datetime = NOON, folder: Path | None = None) -> ScriptedFetch:
    return ScriptedFetch(
        SCRIPT | {"https://data.example/grib": b"GRIB7777"}, now=now, last_modified=STAMP, folder=folder
    )


def files(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


@pytest.fixture
def archive(tmp_path: Path) -> PayloadArchive:
    return PayloadArchive(tmp_path, keep_days=14)


async def collect(fetch: Fetch, *requests: Request) -> list[Payload]:
    return [await fetch(request) for request in requests]


async def test_each_payload_is_passed_on_and_archived_by_day_run_and_source(
    archive: PayloadArchive, tmp_path: Path
) -> None:
    kept = archive.archiving(upstream(), 17, "ffvl")
    payloads = await collect(
        kept, asks(LIST), asks(READING, id="64"), asks("https://data.example/page", "html")
    )
    assert [payload.body for payload in payloads] == list(SCRIPT.values())
    assert files(tmp_path) == [f"2026-07-15/run-17/ffvl/000{number}.gz" for number in (1, 2, 3)]


async def test_payloads_are_for_the_user_of_the_service_alone(tmp_path: Path) -> None:
    folder = tmp_path / "data" / "payloads"
    await collect(PayloadArchive(folder, keep_days=14).archiving(upstream(), 17, "ffvl"), asks(LIST))
    assert files(folder) == ["2026-07-15/run-17/ffvl/0001.gz"]
    assert not open_to_others(folder)


async def test_an_archived_file_is_a_line_of_json_and_the_body_as_received(
    archive: PayloadArchive, tmp_path: Path
) -> None:
    await collect(archive.archiving(upstream(), 17, "ffvl"), asks(LIST, mode="json"))
    header, _, body = gzip.decompress((tmp_path / "2026-07-15/run-17/ffvl/0001.gz").read_bytes()).partition(
        b"\n"
    )
    assert msgspec.json.decode(header) == {
        "url": "https://data.example/list?mode=json",
        "kind": "json",
        "fetched_at": "2026-07-15T12:00:00Z",
        "last_modified": "2026-07-15T11:58:00Z",
    }
    assert body == SCRIPT[LIST]


async def test_grib_is_passed_on_and_not_archived(archive: PayloadArchive, tmp_path: Path) -> None:
    downloads = tmp_path / "downloads"
    downloads.mkdir()
    kept = archive.archiving(upstream(folder=downloads), 17, "arome")
    request = asks("https://data.example/grib", "grib")
    assert (await kept(request)).body == b"GRIB7777"
    async with kept.download(request) as download:
        assert download.path.read_bytes() == b"GRIB7777"
    assert files(tmp_path) == []


async def test_with_zero_days_nothing_is_archived(tmp_path: Path) -> None:
    archive = PayloadArchive(tmp_path / "payloads", keep_days=0)
    fetch = upstream()
    assert archive.archiving(fetch, 17, "ffvl") is fetch
    assert archive.runs() == []


async def test_a_failed_request_is_not_archived_and_still_fails(
    archive: PayloadArchive, tmp_path: Path
) -> None:
    with pytest.raises(FetchError, match="404"):
        await archive.archiving(upstream(), 17, "ffvl")(asks("https://data.example/nothing"))
    assert files(tmp_path) == []


async def test_keys_are_neither_in_the_address_nor_in_the_archived_body(
    archive: PayloadArchive, tmp_path: Path
) -> None:
    def echo(request: Request) -> bytes:
        return f'{{"asked with": "{request.secret_params["key"]}"}}'.encode()

    fetch = archive.archiving(ScriptedFetch({READING: echo}, now=NOON), 17, "ffvl")
    request = Request(
        url=READING, kind="json", secret_params={"key": "s3cret-key"}, secret_headers={"k": "short"}
    )
    assert (await fetch(request)).body == b'{"asked with": "s3cret-key"}'
    assert b"s3cret-key" not in gzip.decompress((tmp_path / "2026-07-15/run-17/ffvl/0001.gz").read_bytes())
    replayed = await archive.replay(17, "ffvl")(request)
    assert replayed.body == b'{"asked with": "***"}'


async def test_simultaneous_payloads_are_all_archived(archive: PayloadArchive, tmp_path: Path) -> None:
    fetch = archive.archiving(upstream(), 17, "ffvl")
    await asyncio.gather(*(fetch(asks(READING, id=str(number))) for number in range(40)))
    assert len(files(tmp_path)) == 40
    replay = archive.replay(17, "ffvl")
    for number in range(40):
        assert (await replay(asks(READING, id=str(number)))).body == SCRIPT[READING]


async def test_two_workers_on_one_source_of_a_run_archive_all_their_payloads(
    archive: PayloadArchive, tmp_path: Path
) -> None:
    parts = [one.archiving(upstream(), 17, "ffvl") for one in (archive, PayloadArchive(tmp_path, 14))]
    requests = [
        part(asks(READING, id=f"{number}-{n}")) for number in range(30) for n, part in enumerate(parts)
    ]
    await asyncio.gather(*requests)
    assert len(files(tmp_path)) == 60
    assert {int(name.rpartition("/")[2].partition(".")[0]) for name in files(tmp_path)} == set(range(1, 61))


async def test_a_run_that_another_process_takes_over_is_archived_further(
    archive: PayloadArchive, tmp_path: Path
) -> None:
    await collect(archive.archiving(upstream(), 17, "ffvl"), asks(LIST))
    await collect(PayloadArchive(tmp_path, 14).archiving(upstream(), 17, "ffvl"), asks(READING))
    replay = archive.replay(17, "ffvl")
    assert [payload.body for payload in await collect(replay, asks(LIST), asks(READING))] == [
        SCRIPT[LIST],
        SCRIPT[READING],
    ]


async def test_a_disk_that_takes_nothing_costs_the_copy_and_one_warning_a_run(tmp_path: Path) -> None:
    (tmp_path / "payloads").write_text("a file where the folder should be")
    archive = PayloadArchive(tmp_path / "payloads", keep_days=14)
    with capture_logs() as lines:
        for run_id in (17, 18):
            for source in ("ffvl", "romma"):
                fetch = archive.archiving(upstream(), run_id, source)
                assert (await fetch(asks(LIST))).body == SCRIPT[LIST]
    assert [(line["log_level"], line["run"], line["source"]) for line in lines] == [
        ("warning", 17, "ffvl"),
        ("warning", 18, "ffvl"),
    ]
    assert "payloads" in lines[0]["reason"]


async def test_a_payload_that_fills_the_disk_leaves_no_half_of_a_file(
    archive: PayloadArchive, tmp_path: Path
) -> None:
    body = b'{"noise": "' + random.Random(1).randbytes(50_000).hex().encode() + b'"}'
    fetch = archive.archiving(ScriptedFetch(SCRIPT | {READING: body}, now=NOON), 17, "ffvl")
    with capture_logs() as lines, disk_with_room_for(20_000):
        payloads = await collect(fetch, asks(LIST), asks(READING))
    assert [payload.body for payload in payloads] == [SCRIPT[LIST], body]
    assert ["File too large" in line["reason"] for line in lines] == [True]
    assert files(tmp_path) == ["2026-07-15/run-17/ffvl/0001.gz"]
    assert (await archive.replay(17, "ffvl")(asks(LIST))).body == SCRIPT[LIST]


async def test_a_replay_answers_as_the_run_was_answered(archive: PayloadArchive) -> None:
    kept = await collect(
        archive.archiving(upstream(), 17, "ffvl"),
        asks(LIST),
        Request(url=READING, kind="json", params={"id": "64"}, secret_params={"key": "s3cret-key"}),
    )
    replay = archive.replay(17, "ffvl")
    with_another_key = Request(url=READING, kind="json", params={"id": "64"}, secret_params={"key": "new"})
    assert await collect(replay, asks(LIST), with_another_key) == kept


def test_the_collection_request_of_a_run_is_archived_whole(archive: PayloadArchive) -> None:
    site = Site("planfait", "Planfait", 45.85, 6.22, 950.0, ("W",), ("ffvl:2496",), ("romma",))
    needs = CollectionRequest(
        now=NOON,
        since=NOON - timedelta(days=3),
        sites=(site,),
        collected={("arome_0025", NOON, "00H06H", "planfait"): 0},
        complete_until={"ffvl:2496": NOON},
        stations={"ffvl:2496": Station("ffvl:2496", "Planfait")},
        cells={("arome_0025", "planfait"): "3,4"},
        model_elevations=frozenset({("arome_0025", "planfait")}),
    )
    archive.store_request(17, needs)
    assert archive.request_of(17) == needs
    assert archive.runs() == []  # no payload, nothing to replay
    with pytest.raises(NotFoundError, match="run 18"):
        archive.request_of(18)


def test_a_request_archived_by_version_0_1_is_read_whole(archive: PayloadArchive, tmp_path: Path) -> None:
    site = Site("planfait", "Planfait", 45.85, 6.22, 950.0, ("W",), ("ffvl:2496",), ("romma",))
    request = CollectionRequest(
        now=NOON,
        since=NOON - timedelta(days=3),
        sites=(site,),
        collected={("arome_0025", NOON, "00H06H", "planfait"): 0},
        complete_until={"ffvl:2496": NOON},
        model_elevations=frozenset({("arome_0025", "planfait")}),
        backfilled_days={"ffvl:2496": [date(2026, 7, 14)]},
    )
    archive.store_request(17, request)
    (path,) = tmp_path.rglob("run-17/wanted.gz")
    content = msgspec.msgpack.decode(gzip.decompress(path.read_bytes()))
    for new, former in (
        ("complete_until", "caught_up"),
        ("model_elevations", "grounds"),
        ("backfilled_days", "filled"),
    ):
        content[former] = content.pop(new)
    content["sites"][0]["without"] = content["sites"][0].pop("networks_without_station")
    path.write_bytes(gzip.compress(msgspec.msgpack.encode(content)))
    assert archive.request_of(17) == request


async def test_several_answers_to_one_address_come_in_their_order_and_the_last_one_stays(
    archive: PayloadArchive,
) -> None:
    bodies = [f"[{number}]".encode() for number in range(12)]
    left = list(bodies)
    fetch = archive.archiving(ScriptedFetch({READING: lambda _: left.pop(0)}, now=NOON), 17, "ffvl")
    await collect(fetch, *[asks(READING)] * 12)
    replayed = await collect(archive.replay(17, "ffvl"), *[asks(READING)] * 14)
    assert [payload.body for payload in replayed] == [*bodies, bodies[-1], bodies[-1]]


async def test_a_replay_goes_on_over_midnight(
    archive: PayloadArchive,
) -> None:
    evening, morning = datetime(2026, 7, 14, 23, 59, tzinfo=UTC), datetime(2026, 7, 15, 0, 1, tzinfo=UTC)
    await collect(archive.archiving(upstream(evening), 17, "ffvl"), asks(LIST))
    await collect(archive.archiving(upstream(morning), 17, "ffvl"), asks(LIST))
    replay = archive.replay(17, "ffvl")
    assert [answer.fetched_at for answer in await collect(replay, asks(LIST), asks(LIST))] == [
        evening,
        morning,
    ]
    assert archive.runs() == [ArchivedRun(17, date(2026, 7, 14), ("ffvl",))]


async def test_a_payload_that_is_not_archived_is_an_error(archive: PayloadArchive) -> None:
    await collect(archive.archiving(upstream(), 17, "ffvl"), asks(READING, id="64"))
    replay = archive.replay(17, "ffvl")
    for request in (asks(READING, id="65"), asks(READING), asks(LIST)):
        with pytest.raises(FetchError) as caught:
            await replay(request)
        assert caught.value.reason == "not in the payload archive"
        assert not caught.value.retryable
    with pytest.raises(FetchError, match="not in the payload archive"):
        async with replay.download(asks("https://data.example/grib", "grib")):
            pytest.fail("a download was replayed")


@pytest.mark.parametrize(("run_id", "source"), [(18, "ffvl"), (17, "romma")])
async def test_a_run_or_source_without_payloads_cannot_be_replayed(
    archive: PayloadArchive, run_id: int, source: str
) -> None:
    await collect(archive.archiving(upstream(), 17, "ffvl"), asks(LIST))
    with pytest.raises(
        NotFoundError, match=f"the archive has no payload of source '{source}' for run {run_id}"
    ):
        archive.replay(run_id, source)


async def test_the_runs_are_listed_oldest_first_with_their_sources(
    archive: PayloadArchive, tmp_path: Path
) -> None:
    for run_id, source, days in ((18, "romma", 1), (9, "ffvl", 0), (18, "ffvl", 1), (17, "ffvl", 1)):
        await collect(archive.archiving(upstream(NOON + timedelta(days=days)), run_id, source), asks(LIST))
    (tmp_path / "2026-07-15/notes.txt").write_text("not ours")
    (tmp_path / "2026-07-15/run-x").mkdir()
    (tmp_path / "2026-13-45").mkdir()
    assert archive.runs() == [
        ArchivedRun(9, date(2026, 7, 15), ("ffvl",)),
        ArchivedRun(17, date(2026, 7, 16), ("ffvl",)),
        ArchivedRun(18, date(2026, 7, 16), ("ffvl", "romma")),
    ]


def _cut(content: bytes) -> bytes:
    return content[:-12]


def _spoilt(content: bytes) -> bytes:
    return content[:15] + b"\xff" * 10 + content[25:]


def _foreign(_: bytes) -> bytes:
    return b"not compressed"


def _headless(_: bytes) -> bytes:
    return gzip.compress(b'{"wind": 12.5}')


@pytest.mark.parametrize("damage", [_cut, _spoilt, _foreign, _headless])
async def test_a_damaged_file_is_an_error_that_names_it(
    archive: PayloadArchive, tmp_path: Path, damage: Callable[[bytes], bytes]
) -> None:
    await collect(archive.archiving(upstream(), 17, "ffvl"), asks(LIST))
    path = tmp_path / "2026-07-15/run-17/ffvl/0001.gz"
    path.write_bytes(damage(path.read_bytes()))
    with pytest.raises(ParseError, match=r"archived payload .*0001\.gz cannot be read: "):
        await archive.replay(17, "ffvl")(asks(LIST))


async def test_days_older_than_we_keep_are_deleted_and_nothing_else(
    archive: PayloadArchive, tmp_path: Path
) -> None:
    for age in (0, 14, 15, 40):
        await collect(archive.archiving(upstream(NOON - timedelta(days=age)), age, "ffvl"), asks(LIST))
    (tmp_path / "notes.txt").write_text("not ours")
    (tmp_path / "1999-01-01.txt").write_text("not ours")
    archive.prune(NOON)
    assert [run.run_id for run in archive.runs()] == [14, 0]
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "1999-01-01.txt",
        "2026-07-01",
        "2026-07-15",
        "notes.txt",
    ]


async def test_zero_days_delete_earlier_payloads(archive: PayloadArchive, tmp_path: Path) -> None:
    await collect(archive.archiving(upstream(), 17, "ffvl"), asks(LIST))
    PayloadArchive(tmp_path, keep_days=0).prune(NOON)
    assert files(tmp_path) == []


async def test_a_day_that_cannot_be_deleted_is_logged_and_the_others_go(
    archive: PayloadArchive, tmp_path: Path
) -> None:
    for age in (20, 30):
        await collect(archive.archiving(upstream(NOON - timedelta(days=age)), age, "ffvl"), asks(LIST))
    # A link is never followed: what it leads to is not ours to delete.
    (tmp_path / "2026-06-15").rename(tmp_path / "elsewhere")
    (tmp_path / "2026-06-15").symlink_to(tmp_path / "elsewhere")
    with capture_logs() as lines:
        archive.prune(NOON)
    assert [(line["log_level"], line["day"]) for line in lines] == [("warning", "2026-06-15")]
    assert files(tmp_path) == ["elsewhere/run-30/ffvl/0001.gz"]
    assert not (tmp_path / "2026-06-25").exists()


def test_an_archive_that_was_never_written_to_has_no_runs_and_nothing_to_delete(tmp_path: Path) -> None:
    archive = PayloadArchive(tmp_path / "never", keep_days=14)
    archive.prune(NOON)
    assert archive.runs() == []
    assert not (tmp_path / "never").exists()
