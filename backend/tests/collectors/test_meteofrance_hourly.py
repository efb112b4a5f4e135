"""The hourly files of Météo-France."""

from __future__ import annotations

import gzip
import tempfile
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx2
import pytest

from backend.collectors.base import Request
from backend.collectors.meteofrance_files import Content, read
from backend.collectors.meteofrance_hourly import Latest, Years, by_department, file_names
from backend.collectors.transport.client import HttpClient
from backend.core.errors import FetchError, ParseError, UnchangedError
from backend.core.parameters import Parameter
from backend.core.records import CollectionRequest, ObservationBatch, Station
from backend.tests.support import fuzz_targets as fuzz
from backend.tests.support.fakes import ScriptedFetch
from backend.tests.support.ffvl_samples import DIRECTION, GUST, NOW, SPEED, collected, needs, payload, values

MAST = "meteofrance_hourly:74999001"
URL = "https://mf.test"
FILE = f"{URL}/H_74_latest-2025-2026.csv.gz"
HEADER = (
    "NUM_POSTE;NOM_USUEL;LAT;LON;ALTI;AAAAMMJJHH;FF;QFF;DD;QDD;FXY;QFXY;FXI;QFXI;FF2;QFF2;FXI2;QFXI2;T;QT"
)


def at(hour: int, day: int = 9) -> datetime:
    return datetime(2026, 5, day, hour, tzinfo=UTC)


def row(
    stamp: str = "2026050912",
    wind: str = "5.0;1;220;1;6.1;1;10.0;1;2.0;1;30.0;1;3.4;1",
    station: str = "74999001;COL DE L'ÉTOILE;45.81;6.23;1210",
) -> str:
    return f"{station};{stamp};{wind}"


def file_of(*rows: str, encoding: str = "utf-8") -> bytes:
    return gzip.compress("\n".join((HEADER, *rows, "")).encode(encoding))


def parsed(body: bytes, *stations: str) -> Content:
    """Read a file from the disk, as the route does."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "file.csv.gz"
        path.write_bytes(body)
        wanted = dict.fromkeys(stations or (MAST,), NOW - timedelta(days=10))
        return read(path, payload(b""), wanted)


def fuzz_targets() -> tuple[fuzz.Target, ...]:
    """Return the reader of the decompressed text, with payloads in its format."""

    def read_text(body: bytes) -> object:
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "file.csv.gz"
            path.write_bytes(gzip.compress(body, 1))
            since = {MAST: fuzz.NOW - timedelta(days=400)}
            return read(path, fuzz.payload(b""), since)

    text = gzip.decompress(file_of(row(), row("2026050913"), row(station="01999002;PLUIE;45.9;5.8;240")))
    return (
        fuzz.Target("meteofrance_hourly file", "markup", read_text, (text,), r"meteofrance_hourly:[0-9]{8}"),
    )


def test_a_row_has_its_values_in_km_h_at_the_hour_in_utc() -> None:
    content = parsed(file_of(row()))

    assert values(content.readings.records, MAST) == {
        at(12): {SPEED: 18.0, GUST: 36.0, DIRECTION: 220.0, Parameter.TEMPERATURE: 3.4}
    }
    assert content.readings.newest == at(12)
    assert content.stations == (Station(MAST, "COL DE L'ÉTOILE", 45.81, 6.23, 1210.0),)


def test_a_missing_value_is_absent_and_a_direction_without_wind_too() -> None:
    content = parsed(file_of(row(wind=";;220;1;6.1;1;;;2.0;1;30.0;1;0.0;1")))

    assert values(content.readings.records, MAST) == {at(12): {Parameter.TEMPERATURE: 0.0}}
    assert not content.readings.rejected
    assert content.stations == ()  # no wind: no mast


def test_a_doubtful_value_is_set_aside_and_an_unknown_code_too() -> None:
    content = parsed(file_of(row(wind="5.0;2;220;0;6.1;1;10.0;7;;;;;3.4;9")))

    assert values(content.readings.records, MAST) == {at(12): {DIRECTION: 220.0, Parameter.TEMPERATURE: 3.4}}
    assert [(value.parameter, value.reason_code) for value in content.readings.rejected] == [
        (SPEED, "doubtful"),
        (GUST, "unknown_quality"),
    ]


def test_a_calm_at_the_hour_beside_a_gust_of_the_hour_is_a_calm() -> None:
    content = parsed(file_of(row(wind="0.0;1;0;1;4.0;1;9.0;1;;;;;3.4;1")))

    assert values(content.readings.records, MAST)[at(12)] == {
        SPEED: 0.0,
        GUST: pytest.approx(32.4),
        Parameter.TEMPERATURE: 3.4,
    }
    assert not content.readings.rejected


def test_a_number_without_its_leading_zero_is_the_same_station() -> None:
    ain = "meteofrance_hourly:01999002"
    content = parsed(file_of(row(station=" 1999002;BELLEY;45.7;5.7;330")), ain)

    assert at(12) in values(content.readings.records, ain)


def test_names_in_latin_1_are_read() -> None:
    assert parsed(file_of(row(), encoding="latin-1")).stations[0].name == "COL DE L'ÉTOILE"


def test_odd_rows_cost_themselves_and_most_of_them_the_file() -> None:
    good = row(), row("2026050911")
    content = parsed(file_of(*good, "74999001;odd", row("20260509xx")))

    assert set(values(content.readings.records, MAST)) == {at(11), at(12)}
    assert [value.reason_code for value in content.readings.rejected] == ["odd_row", "invalid_time"]
    with pytest.raises(ParseError, match="odd"):
        parsed(file_of(row(), "74999001;odd", "74999001;odder"))


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (file_of(row())[:-30], "not a whole gzip file"),
        (b"\x1f\x8bno gzip at all", "not a whole gzip file"),
        (file_of(), "no row"),
        (gzip.compress(b""), "no column"),
        (gzip.compress(f"{HEADER.replace('FXI;', 'FX;')}\n{row()}\n".encode()), "no column FXI"),
    ],
    ids=["cut", "not gzip", "no rows", "empty", "no column"],
)
def test_another_shape_is_refused(body: bytes, reason: str) -> None:
    with pytest.raises(ParseError, match=reason):
        parsed(body)


async def test_only_departments_with_a_mapped_mast_are_requested_and_once_per_version(tmp_path: Path) -> None:
    fetch = ScriptedFetch({FILE: file_of(row())}, now=NOW, folder=tmp_path, version='20 "a"')
    route = Latest(URL)

    [batch] = await collected(route, needs(MAST, "ffvl:1"), fetch)
    assert fetch.urls == [FILE]
    assert (batch.complete_until, batch.averaging_minutes) == ({MAST: at(12)}, 10)
    [again] = await collected(route, needs(MAST, complete_until=batch.complete_until), fetch)
    assert (again.records, again.failures, again.newest) == ((), (), at(12))
    assert fetch.requests[-1].known == '20 "a"'
    # A store that does not have the readings gets them again.
    [new_store] = await collected(route, needs(MAST), fetch)
    assert new_store.records == batch.records


async def test_without_a_mapped_mast_nothing_is_requested(tmp_path: Path) -> None:
    fetch = ScriptedFetch({}, now=NOW, folder=tmp_path)

    [batch] = await collected(Latest(URL), needs("ffvl:1"), fetch)
    assert (fetch.urls, batch.failures) == ([], ())
    assert "no site names a mast" in batch.notes[0]


async def test_in_january_the_file_of_the_year_before_is_read(tmp_path: Path) -> None:
    january = replace(needs(MAST), now=datetime(2027, 1, 2, 8, tzinfo=UTC))
    fetch = ScriptedFetch({FILE: file_of(row("2026123123"))}, now=january.now, folder=tmp_path)

    [batch] = await collected(Latest(URL), january, fetch)
    assert fetch.urls == [FILE.replace("2025-2026", "2026-2027"), FILE]
    assert batch.newest == datetime(2026, 12, 31, 23, tzinfo=UTC)


async def test_a_failed_file_and_an_absent_mast_do_not_stop_the_others(tmp_path: Path) -> None:
    absent, other = "meteofrance_hourly:74999009", "meteofrance_hourly:01999002"
    fetch = ScriptedFetch({FILE: file_of(row())}, now=NOW, folder=tmp_path)

    failed, good, unknown = await collected(Latest(URL), needs(other, MAST, absent), fetch)
    assert "404" in failed.failures[0].reason
    assert values(good.records, MAST)
    assert absent in unknown.failures[0].reason


async def test_a_backfill_reads_the_files_of_the_missing_years(tmp_path: Path) -> None:
    script = {
        f"{URL}/H_74_latest-2025-2026": file_of(row("2025010200")),
        f"{URL}/H_74_previous-2020-2024": file_of(row("2024123123"), row("2024122923")),
    }
    fetch = ScriptedFetch(script, now=NOW, folder=tmp_path)
    since, until = datetime(2024, 12, 30, tzinfo=UTC), datetime(2025, 1, 2, 23, 59, 59, tzinfo=UTC)
    want: CollectionRequest = replace(needs(MAST, since=since), until=until)

    batches: list[ObservationBatch] = await collected(Years(URL), want, fetch)
    times = sorted({record.time for batch in batches for record in batch.records})
    assert times == [datetime(2024, 12, 31, 23, tzinfo=UTC), datetime(2025, 1, 2, tzinfo=UTC)]
    days = [(since + timedelta(days=day)).date() for day in range(4)]
    assert await collected(Years(URL), replace(want, backfilled_days={MAST: days}), fetch) == []


def test_files_and_departments_have_the_documented_names() -> None:
    assert [name for name, _, _ in file_names(2026)][:3] == [
        "latest-2025-2026",
        "previous-2020-2024",
        "2010-2019",
    ]
    stations = ("x:01999002", "x:74999001", "x:97100001", "x:20004002")
    assert set(by_department(stations)) == {"01", "74", "971", "20"}


def _answering(status: int) -> tuple[Callable[[httpx2.Request], httpx2.Response], list[str | None]]:
    asked: list[str | None] = []

    def answer(request: httpx2.Request) -> httpx2.Response:
        asked.append(request.headers.get("If-None-Match"))
        return httpx2.Response(status, content=b"" if status == 304 else file_of(row()))

    return answer, asked


async def test_a_known_version_is_asked_for_by_its_tag_and_304_is_unchanged() -> None:
    answer, asked = _answering(304)
    request = Request(url=FILE, kind="gzip", known='17 "abc" Sat, 09 May 2026 06:00:00 GMT')

    async with HttpClient(transport=httpx2.MockTransport(answer)) as client:
        with pytest.raises(UnchangedError):
            async with client.download(request):
                pass
        with pytest.raises(FetchError, match="304"):  # it was not asked for
            async with client.download(replace(request, known="")):
                pass
    assert asked == ['"abc"', None]
