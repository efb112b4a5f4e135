"""AROME by its GRIB files: the requested runs and files, and their values.

Files are composed (grib_factory.py): 3 m/s towards the east and 4 m/s towards the south make 18 km/h from
323.13 degrees; gusts of 6 and 8 m/s make 36 km/h; 288.15 K is 15 °C.
"""

from __future__ import annotations

import os
import signal
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from backend.collectors import forecast_sources
from backend.collectors.base import Download, Request, Source, collect
from backend.collectors.grib.decode import read_fields
from backend.collectors.grib.fields import FIELDS, FileValues, parse
from backend.collectors.grib.object_storage import parse_listing
from backend.collectors.grib.runs import GRIDS
from backend.collectors.grib.worker import Worker
from backend.collectors.runs import Part
from backend.core.config import Settings
from backend.core.errors import FetchError, ParseError
from backend.core.parameters import Parameter
from backend.core.records import (
    CollectionRequest,
    Forecast,
    ForecastBatch,
    GridPoint,
    Outside,
    Rejected,
    Run,
    Site,
)
from backend.tests.support import grib_factory
from backend.tests.support.arome_files import (
    EARLIER,
    ELSEWHERE,
    GROUPS,
    NOW,
    PLANPRAZ,
    SAINT_HILAIRE,
    SITES,
    STORAGE,
    beside,
    file_url,
    grib,
    ifs_source,
    listing,
    listing_url,
    source,
)
from backend.tests.support.fakes import PAYLOADS, ScriptedFetch, address, lead_time
from backend.tests.support.grib_factory import RUN, Cut, Message, messages
from backend.tests.support.waiting import HANG_SECONDS

pytestmark = pytest.mark.asyncio(loop_scope="module")


CELLS = {
    ("arome_0025", "saint-hilaire"): "8,8",
    ("arome_0025", "planpraz"): "4,20",
    ("arome_001", "saint-hilaire"): "20,20",
    ("arome_001", "planpraz"): "10,50",
    ("arome_ifs_0025", "saint-hilaire"): "8,8",
    ("arome_ifs_0025", "planpraz"): "4,20",
}


def needs(
    *sites: Site,
    since: datetime = EARLIER,
    collected: dict[tuple[str, datetime, str, str], int] | None = None,
) -> CollectionRequest:
    """Want the values of the sites and nothing else: the ground of the model is known (test_arome_ground)."""
    return CollectionRequest(
        now=NOW,
        since=since,
        sites=sites or SITES,
        collected=collected or {},
        cells=CELLS,
        model_elevations=frozenset(CELLS),
    )


async def batches(source: Source[ForecastBatch], needs: CollectionRequest, fetch: Any) -> list[ForecastBatch]:
    return [batch async for batch in collect(source, needs, fetch)]


def values(
    batch: ForecastBatch | FileValues, site: Site = SAINT_HILAIRE, lead: int = 6
) -> dict[Parameter, float]:
    return {
        record.parameter: round(record.value, 2)
        for record in batch.records
        if record.site == site.id and lead_time(record) == timedelta(hours=lead)
    }


USUAL = {
    Parameter.WIND_SPEED: 18.0,
    Parameter.WIND_DIRECTION: 323.13,
    Parameter.WIND_GUST: 36.0,
    Parameter.TEMPERATURE: 15.0,
}


@pytest.fixture
def scripted(tmp_path: Path) -> Callable[..., ScriptedFetch]:
    """Make a fetch for a storage that lists the run of 06:00 UTC and has its first file."""

    def make(script: dict[str, Any] | None = None, **keywords: Any) -> ScriptedFetch:
        usual: dict[str, Any] = {
            listing_url(EARLIER): listing((), EARLIER),
            listing_url(): listing(),
            file_url("00H06H"): grib(),
        }
        return ScriptedFetch({**usual, **(script or {})}, now=NOW, folder=tmp_path, **keywords)

    return make


# A complete run


async def test_one_download_answers_for_all_sites(
    worker: Worker, scripted: Callable[..., ScriptedFetch]
) -> None:
    fetch = scripted()

    (batch,) = await batches(source(worker), needs(), fetch)

    assert fetch.urls == [listing_url(), file_url("00H06H")]
    assert values(batch, SAINT_HILAIRE) == values(batch, PLANPRAZ) == USUAL
    assert {record.valid_time for record in batch.records} == {
        datetime(2026, 7, 15, hour, tzinfo=UTC) for hour in range(6, 13)
    }
    assert {(record.model, record.reference_time) for record in batch.records} == {("arome_0025", RUN)}
    assert len(batch.records) == 2 * (7 * 4 - 1)
    assert (batch.source, batch.route, batch.rank) == ("arome", "object_storage", 0)
    assert (batch.parts, batch.sites) == (("00H06H",), ("saint-hilaire", "planpraz"))
    assert batch.newest == RUN
    assert (batch.failures, batch.rejected) == ((), ())
    assert batch.grid_points == (
        GridPoint("arome_0025", "saint-hilaire", "8,8"),
        GridPoint("arome_0025", "planpraz", "4,20"),
    )


async def test_a_run_is_available_since_its_newest_file(
    worker: Worker, scripted: Callable[..., ScriptedFetch]
) -> None:
    everything = {file_url(GROUPS[1]): grib(7, 12), file_url(GROUPS[2]): grib(13, 18)}
    (batch,) = await batches(source(worker, arome_max_lead=18), needs(), scripted(everything))

    stamp = datetime(2026, 7, 15, 11, 7, tzinfo=UTC)
    assert batch.run == Run("arome_0025", RUN, available_at=stamp, published=True)
    assert batch.collected_at == NOW


async def test_the_analysis_has_no_gust(worker: Worker, scripted: Callable[..., ScriptedFetch]) -> None:
    (batch,) = await batches(source(worker, arome_max_lead=0), needs(), scripted())

    assert values(batch, lead=0) == {p: v for p, v in USUAL.items() if p is not Parameter.WIND_GUST}
    assert batch.parts == ("00H",)


async def test_hours_beyond_the_longest_lead_are_dropped_and_files_beyond_it_not_asked_for(
    worker: Worker, scripted: Callable[..., ScriptedFetch]
) -> None:
    fetch = scripted({file_url("07H12H"): grib(7, 12)})

    (batch,) = await batches(source(worker, arome_max_lead=8), needs(), fetch)

    assert max(lead_time(record) for record in batch.records) == timedelta(hours=8)
    assert batch.parts == ("00H06H", "07H08H")
    assert fetch.urls[1:] == [file_url("00H06H"), file_url("07H12H")]


async def test_a_part_cut_short_once_is_collected_whole_after_the_limit_was_raised(
    worker: Worker, scripted: Callable[..., ScriptedFetch]
) -> None:
    short = {("arome_0025", RUN, "00H03H", site.id): 0 for site in SITES}

    (batch,) = await batches(source(worker), needs(collected=short), scripted())

    assert batch.parts == ("00H06H",)


async def test_the_fine_grid_is_a_model_of_its_own_with_a_file_per_hour(
    worker: Worker, scripted: Callable[..., ScriptedFetch]
) -> None:
    fine = Message("wind_east", 0, cut=Cut(degrees=0.01, rows=41, columns=61))
    hours = ("00H", "01H", "02H")
    fetch = scripted(
        {
            listing_url(EARLIER, "001"): listing((), EARLIER, "001"),
            listing_url(grid="001"): listing((*hours, "03H"), grid="001"),
            **{file_url(name, grid="001"): grib(hour, hour, like=fine) for hour, name in enumerate(hours)},
        }
    )

    (batch,) = await batches(source(worker, arome_grid="001", arome_max_lead=2), needs(), fetch)

    assert values(batch, lead=2) == USUAL
    assert batch.parts == hours
    assert {record.model for record in batch.records} == {"arome_001"}
    assert batch.grid_points[0] == GridPoint("arome_001", "saint-hilaire", "20,20")


async def test_every_complete_run_is_collected_newest_first(
    worker: Worker, scripted: Callable[..., ScriptedFetch]
) -> None:
    before = Message("wind_east", 0, run=EARLIER)
    midnight = EARLIER - timedelta(seconds=1)
    fetch = scripted(
        {
            listing_url(EARLIER): listing(run=EARLIER),
            file_url("00H06H", EARLIER): grib(like=before),
        }
    )

    newer, older = await batches(source(worker), needs(since=midnight), fetch)

    assert [newer.run.reference_time if newer.run else None, older.run and older.run.reference_time] == [
        RUN,
        EARLIER,
    ]
    assert newer.newest == older.newest == RUN
    assert max(record.valid_time for record in older.records) == datetime(2026, 7, 15, 6, tzinfo=UTC)


async def test_only_the_cycles_asked_for_are_looked_at(
    worker: Worker, scripted: Callable[..., ScriptedFetch]
) -> None:
    fetch = scripted()
    since = NOW - timedelta(hours=36)

    await batches(source(worker, arome_runs="3,18"), needs(since=since), fetch)

    assert fetch.urls == [
        listing_url(datetime(2026, 7, day, hour, tzinfo=UTC)) for day, hour in ((15, 3), (14, 18), (14, 3))
    ]


# What is asked for, and what is not


async def test_a_run_that_is_not_whole_yet_is_nothing_and_no_failure(
    worker: Worker, scripted: Callable[..., ScriptedFetch]
) -> None:
    fetch = scripted({listing_url(): (PAYLOADS / "arome/listing-partial.xml").read_bytes()})

    assert await batches(source(worker, arome_max_lead=51), needs(), fetch) == []
    assert fetch.urls == [listing_url()]


async def test_a_run_that_is_not_listed_at_all_is_nothing_and_no_failure(
    worker: Worker, scripted: Callable[..., ScriptedFetch]
) -> None:
    assert await batches(source(worker), needs(), scripted({listing_url(): listing(())})) == []


async def test_a_file_without_bytes_is_not_there_yet(
    worker: Worker, scripted: Callable[..., ScriptedFetch]
) -> None:
    fetch = scripted({listing_url(): listing(empty="00H06H")})
    assert await batches(source(worker), needs(), fetch) == []


async def test_a_listing_of_several_pages_is_read_to_its_end(
    worker: Worker, scripted: Callable[..., ScriptedFetch]
) -> None:
    first, second = ((PAYLOADS / f"arome/listing-page-{page}.xml").read_bytes() for page in (1, 2))
    token = "continuation-token=1ueGcxLPRx1Tr%2FXYExHnhbYLgveDs2J%2Fwm36Hy4vbOwM%3D"
    fetch = scripted({listing_url(): first, f"{listing_url()}&{token}": second, f"{STORAGE}/pnt": grib()})

    (batch,) = await batches(source(worker, arome_max_lead=51), needs(), fetch)

    assert fetch.urls[:3] == [listing_url(), f"{listing_url()}&{token}", file_url("00H06H")]
    assert len(fetch.urls) == 2 + 9
    assert [request.expected_bytes for request in fetch.requests[2:4]] == [54210877, 48877213]
    assert batch.run == Run("arome_0025", RUN, datetime(2026, 7, 15, 11, 10, 56, tzinfo=UTC), published=True)


async def test_a_listing_without_end_fails(worker: Worker, scripted: Callable[..., ScriptedFetch]) -> None:
    endless = (PAYLOADS / "arome/listing-page-1.xml").read_bytes()

    (batch,) = await batches(source(worker), needs(), scripted({listing_url(): endless}))

    assert [failure.reason for failure in batch.failures] == ["a listing of more than 20 pages"]


async def test_nothing_missing_downloads_nothing_and_still_reports_the_newest_run(
    worker: Worker, scripted: Callable[..., ScriptedFetch]
) -> None:
    fetch = scripted()
    kept = {("arome_0025", RUN, "00H06H", site.id): 0 for site in SITES}

    (batch,) = await batches(source(worker), needs(collected=kept), fetch)

    assert fetch.urls == [listing_url()]
    assert (batch.newest, batch.records, batch.parts) == (RUN, (), ())
    assert (batch.run, batch.failures, batch.collected_at) == (None, (), NOW)


async def test_only_missing_parts_are_downloaded_and_only_for_the_sites_that_miss_them(
    worker: Worker, scripted: Callable[..., ScriptedFetch]
) -> None:
    fetch = scripted({file_url("07H12H"): grib(7, 12), file_url("13H18H"): grib(13, 18)})
    kept = {
        ("arome_0025", RUN, "00H06H", SAINT_HILAIRE.id): 0,
        ("arome_0025", RUN, "00H06H", PLANPRAZ.id): 0,
        ("arome_0025", RUN, "07H12H", SAINT_HILAIRE.id): 0,
        ("arome_0025", RUN, "07H12H", PLANPRAZ.id): 2,
    }

    found = await batches(source(worker, arome_max_lead=18), needs(collected=kept), fetch)

    assert fetch.urls == [listing_url(), file_url("07H12H"), file_url("13H18H")]
    assert [(batch.parts, batch.sites) for batch in found] == [
        (("07H12H",), ("planpraz",)),
        (("13H18H",), ("saint-hilaire", "planpraz")),
    ]
    assert {record.site for record in found[0].records} == {"planpraz"}


# What cannot be used


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (grib(like=Message("wind_east", 0, run=EARLIER)), "holds the run of 2026-07-15 00:00 UTC"),
        (
            Message("wind_east", 6).encode() + Message("gust_north", 6).encode(),
            "incomplete, without wind_east at 0 h, wind_north at 0 h, temperature at 0 h, wind_east at 1 h",
        ),
        (grib()[: len(grib()) // 2], "cut: the message at byte"),
        (grib() + b"0", "no GRIB message starts at byte"),
        (b'{"error": "no GRIB"}', "no GRIB message starts at byte 0"),
        (grib(like=Message("wind_east", 0, cut=Cut(degrees=0.05))), "a grid of 0.05 degrees, not 0.025"),
    ],
    ids=["another_run", "nothing_whole", "cut_in_half", "trailing_byte", "foreign_body", "another_grid"],
)
async def test_a_bad_file_costs_itself_only(
    worker: Worker, scripted: Callable[..., ScriptedFetch], body: bytes, reason: str
) -> None:
    fetch = scripted({file_url("00H06H"): body, file_url("07H12H"): grib(7, 12)})

    (batch,) = await batches(source(worker, arome_max_lead=12), needs(), fetch)

    (failure,) = batch.failures
    assert failure.reason.startswith(reason)
    assert (failure.url, failure.route, failure.error) == (file_url("00H06H"), "object_storage", "ParseError")
    assert batch.parts == ("07H12H",)
    assert {lead_time(record) // timedelta(hours=1) for record in batch.records} == set(range(7, 13))


WIND = frozenset({Parameter.WIND_SPEED, Parameter.WIND_DIRECTION})
GUST = frozenset({Parameter.WIND_GUST})


def without(*names: str, step: int | None = None) -> bytes:
    """Return a file of seven hours without some of its fields, at all steps or at one."""
    kept = [each for each in messages(range(7)) if each.name not in names or step not in {None, each.step}]
    return grib_factory.encode(kept)


@pytest.mark.parametrize(
    ("body", "absent", "lost", "leads"),
    [
        (without("gust_east", "gust_north"), "gust_east at 1 h, gust_north at 1 h", GUST, range(1, 7)),
        (without("gust_north"), "gust_north at 1 h", GUST, range(1, 7)),
        (without("wind_north"), "wind_north at 0 h", WIND, range(7)),
        (without("wind_east", step=3), "wind_east at 3 h", WIND, [3]),
        (without("temperature", step=0), "temperature at 0 h", {Parameter.TEMPERATURE}, [0]),
        (grib(0, 5), "wind_east at 6 h, wind_north at 6 h, temperature at 6 h", set(Parameter), [6]),
        (
            without("gust_east", step=6) + Message("gust_east", 6, hours=6).encode(),
            "gust_east at 6 h (it covers 6 h)",
            GUST,
            [6],
        ),
    ],
    ids=["no_gusts", "half_a_gust", "u_without_v", "one_hour", "no_analysis", "no_last_hour", "long_gust"],
)
async def test_a_field_that_is_not_there_costs_its_own_values_only(
    worker: Worker,
    scripted: Callable[..., ScriptedFetch],
    body: bytes,
    absent: str,
    lost: Iterable[Parameter],
    leads: Iterable[int],
) -> None:
    fetch = scripted({file_url("00H06H"): body})

    (batch,) = await batches(source(worker), needs(), fetch)

    def keys(records: Iterable[Forecast]) -> set[tuple[int, Parameter]]:
        return {(lead_time(record) // timedelta(hours=1), record.parameter) for record in records}

    (full,) = await batches(source(worker), needs(), scripted())
    assert keys(full.records) - keys(batch.records) == {(lead, one) for lead in leads for one in lost} - {
        (0, Parameter.WIND_GUST)
    }
    (failure,) = batch.failures
    assert failure.reason.startswith(
        f"arome_0025 of 2026-07-15 06:00 UTC is incomplete: 00H06H is without {absent}"
    )
    assert (failure.url, failure.error) == (file_url("00H06H"), "IncompleteError")
    assert batch.complete() == ()
    assert {(one.part, one.site) for one in batch.incomplete} == {("00H06H", site.id) for site in SITES}


@pytest.mark.parametrize("headers", [{"generatingProcessIdentifier": 254}, {"centre": 98}])
async def test_another_model_or_centre_is_not_taken_for_arome(
    worker: Worker, scripted: Callable[..., ScriptedFetch], headers: dict[str, int]
) -> None:
    foreign = [replace(message, headers=headers) for message in messages(range(7))]
    fetch = scripted({file_url("00H06H"): grib_factory.encode(foreign)})

    (batch,) = await batches(source(worker), needs(), fetch)

    assert "not AROME as we know it" in batch.failures[0].reason
    assert batch.records == ()


# AROME-IFS, which lies beside it


async def test_arome_ifs_is_read_by_the_same_reader_under_a_name_of_its_own(
    worker: Worker, tmp_path: Path
) -> None:
    own = [replace(message, headers={"generatingProcessIdentifier": 254}) for message in messages(range(7))]
    script: dict[str, Any] = {
        beside(listing_url()): beside(listing().decode()).encode(),
        beside(file_url("00H06H")): grib_factory.encode(own),
    }
    fetch = ScriptedFetch(script, now=NOW, folder=tmp_path)

    (batch,) = await batches(ifs_source(worker), needs(), fetch)

    assert fetch.urls == list(script)
    assert values(batch) == USUAL
    assert batch.run is not None
    assert (batch.source, batch.run.model, batch.run.reference_time) == ("arome_ifs", "arome_ifs_0025", RUN)
    assert {record.model for record in batch.records} == {"arome_ifs_0025"}
    assert {point.model for point in batch.grid_points} == {"arome_ifs_0025"}


async def test_a_file_of_arome_is_not_taken_for_one_of_arome_ifs(worker: Worker, tmp_path: Path) -> None:
    script: dict[str, Any] = {
        beside(listing_url()): beside(listing().decode()).encode(),
        beside(file_url("00H06H")): grib(),
    }

    (batch,) = await batches(ifs_source(worker), needs(), ScriptedFetch(script, now=NOW, folder=tmp_path))

    assert "process 204: not AROMEIFS as we know it" in batch.failures[0].reason
    assert batch.records == ()


async def test_arome_ifs_is_off_unless_it_is_named(worker: Worker) -> None:
    def built(**settings: Any) -> Source[ForecastBatch]:
        return next(s for s in forecast_sources(Settings.load(**settings), worker) if s.name == "arome_ifs")

    assert not built().opted_in
    on = built(sources="arome,arome_ifs", arome_runs="0")
    assert (on.opted_in, on.disabled, on.models) == (True, None, ("arome_ifs_0025",))
    assert on.max_age == timedelta(hours=20)


async def test_both_numbers_of_toulouse_are_the_publisher(
    worker: Worker, scripted: Callable[..., ScriptedFetch]
) -> None:
    captured_in_2026 = [replace(message, headers={"centre": 85}) for message in messages(range(7))]
    fetch = scripted({file_url("00H06H"): grib_factory.encode(captured_in_2026)})

    (batch,) = await batches(source(worker), needs(), fetch)

    assert values(batch) == USUAL


async def test_a_download_that_fails_costs_itself_only(
    worker: Worker, scripted: Callable[..., ScriptedFetch]
) -> None:
    cut = FetchError("cut: received 1000 of 5000000 bytes", url=file_url("00H06H"), retryable=True)
    fetch = scripted({file_url("00H06H"): cut, file_url("07H12H"): grib(7, 12)})

    (batch,) = await batches(source(worker, arome_max_lead=12), needs(), fetch)

    assert [failure.reason for failure in batch.failures] == ["cut: received 1000 of 5000000 bytes"]
    assert batch.parts == ("07H12H",)


async def test_a_listing_that_fails_costs_its_run_only(
    worker: Worker, scripted: Callable[..., ScriptedFetch]
) -> None:
    broken = FetchError("HTTP 503", url=listing_url(EARLIER), status=503, retryable=True)
    fetch = scripted({listing_url(EARLIER): broken})

    good, bad = await batches(source(worker), needs(since=EARLIER - timedelta(hours=1)), fetch)

    assert (good.parts, good.failures) == (("00H06H",), ())
    assert [failure.reason for failure in bad.failures] == ["HTTP 503"]


@pytest.mark.parametrize("day", [b"2026-07-14T", b"2026-07-16T"], ids=["before_the_run", "in_the_future"])
async def test_files_with_a_stamp_that_cannot_be_true_fail_their_run(
    worker: Worker, scripted: Callable[..., ScriptedFetch], day: bytes
) -> None:
    stamped = listing().replace(b"<LastModified>2026-07-15T", b"<LastModified>" + day)

    (batch,) = await batches(source(worker), needs(since=EARLIER), scripted({listing_url(): stamped}))

    (failure,) = batch.failures
    assert "not between the start of the run and now" in failure.reason


# Places


async def test_sites_outside_or_newly_masked_are_reported_once_and_not_asked_for_again(
    worker: Worker, scripted: Callable[..., ScriptedFetch]
) -> None:
    masked = [replace(message, masked=[(4, 20)]) for message in messages(range(13))]
    fetch = scripted(
        {
            file_url("00H06H"): grib_factory.encode(masked),
            file_url("07H12H"): grib_factory.encode(masked),
        }
    )

    (batch,) = await batches(source(worker, arome_max_lead=12), needs(*SITES, ELSEWHERE), fetch)

    assert {record.site for record in batch.records} == {"saint-hilaire"}
    nothing = "masked: the model has no value in cell 4,20"
    assert set(batch.rejected) == {
        Rejected("arome_0025 planpraz", Parameter.WIND_SPEED, None, "9999", nothing),
        Rejected("arome_0025 planpraz", Parameter.WIND_GUST, None, "9999", nothing),
        Rejected("arome_0025 planpraz", Parameter.TEMPERATURE, None, "9999", nothing),
    }
    assert len(batch.rejected) == 3
    assert batch.outside == (Outside("arome_0025", "ager", "it lies outside the grid of the model's files"),)
    assert batch.sites == ("saint-hilaire", "planpraz", "ager")
    assert batch.parts == ("00H06H", "07H12H")
    assert [point.site for point in batch.grid_points] == ["saint-hilaire"]


async def test_a_site_that_was_never_under_the_model_is_outside_and_nothing_of_it_is_rejected(
    worker: Worker, scripted: Callable[..., ScriptedFetch]
) -> None:
    masked = [replace(message, masked=[(4, 20)]) for message in messages(range(7))]
    far = Site("tenerife", "Taucho", 28.1, -16.7, 900)
    new = replace(needs(*SITES, far), cells={("arome_0025", "saint-hilaire"): "8,8"})

    away, batch = await batches(
        source(worker), new, scripted({file_url("00H06H"): grib_factory.encode(masked)})
    )

    assert away.outside == (
        Outside(
            "arome_0025",
            "tenerife",
            "it lies outside the area of the model (37.5 N to 55.4 N, 12 W to 16 E)",
        ),
    )
    assert batch.outside == (Outside("arome_0025", "planpraz", "its grid cell 4,20 is masked"),)
    assert (batch.rejected, batch.failures) == ((), ())
    assert batch.sites == ("saint-hilaire", "planpraz")


def read(tmp_path: Path, sites: tuple[Site, ...], **how: Any) -> FileValues:
    """Read a file of two steps in this process."""
    part = Part(0, 1)
    path = tmp_path / "file.grib2"
    path.write_bytes(grib(part.first, part.last, **how))
    fields = read_fields(path, [(site.latitude, site.longitude) for site in sites], FIELDS)
    return parse(fields, grid=GRIDS["0025"], reference_time=RUN, part=part, sites=sites)


async def test_sites_on_both_sides_of_greenwich_get_their_own_cells(tmp_path: Path) -> None:
    west, east = Site("west", "", 46.0, -0.2, 0), Site("east", "", 46.0, 0.2, 0)
    warmer_eastwards = {"temperature": lambda latitudes, longitudes, step: 283.15 + 10 * longitudes}

    reading = read(
        tmp_path,
        (west, east),
        weather=warmer_eastwards,
        like=Message("wind_east", 0, cut=Cut(west=-0.4)),
    )

    assert values(reading, west, 1)[Parameter.TEMPERATURE] == pytest.approx(8.0, abs=0.01)
    assert values(reading, east, 1)[Parameter.TEMPERATURE] == pytest.approx(12.0, abs=0.01)


async def test_a_grid_scanned_from_the_south_gives_the_same_values(tmp_path: Path) -> None:
    colder_northwards = {"temperature": lambda latitudes, longitudes, step: 283.15 - 10 * (latitudes - 46)}

    north, south = (
        read(tmp_path, SITES, weather=colder_northwards, like=Message("wind_east", 0, cut=Cut(from_south=up)))
        for up in (False, True)
    )

    assert values(north, PLANPRAZ, 1)[Parameter.TEMPERATURE] == pytest.approx(9.0, abs=0.01)
    assert values(north, PLANPRAZ, 1) == pytest.approx(values(south, PLANPRAZ, 1), abs=0.01)


# Values


async def test_a_file_with_the_speed_of_gusts_only_is_enough(tmp_path: Path) -> None:
    reading = read(tmp_path, SITES, gusts=grib_factory.GUST_SPEED, weather={"gust_speed": 12.5})
    assert values(reading, lead=1) == {**USUAL, Parameter.WIND_GUST: 45.0}


async def test_the_components_of_a_gust_come_before_its_speed(tmp_path: Path) -> None:
    both = {**grib_factory.GUST_COMPONENTS, **grib_factory.GUST_SPEED}
    reading = read(tmp_path, SITES, gusts=both, decoys=True, weather={"gust_speed": 12.5})
    assert values(reading, lead=1) == USUAL


async def test_a_calm_has_a_speed_and_no_direction(tmp_path: Path) -> None:
    reading = read(tmp_path, SITES, weather={"wind_east": 0.0, "wind_north": 0.0})
    calm = {parameter: value for parameter, value in values(reading, lead=1).items() if value == 0}
    assert calm == {Parameter.WIND_SPEED: 0.0}
    assert Parameter.WIND_DIRECTION not in values(reading, lead=1)


async def test_a_wind_that_cannot_be_true_has_no_direction_and_its_sites_are_asked_for_again(
    worker: Worker, scripted: Callable[..., ScriptedFetch]
) -> None:
    def mad_at_planpraz(latitudes: Any, longitudes: Any, _step: int) -> Any:
        return np.where(longitudes > 6.8, 2000.0, 3.0) + 0 * latitudes

    fetch = scripted({file_url("00H06H"): grib(weather={"wind_east": mad_at_planpraz})})
    (batch,) = await batches(source(worker), needs(), fetch)

    assert set(values(batch, PLANPRAZ)) == {Parameter.WIND_GUST, Parameter.TEMPERATURE}
    assert {(value.subject, value.parameter) for value in batch.rejected} == {
        ("arome_0025 planpraz", Parameter.WIND_SPEED)
    }
    assert (batch.parts, batch.sites) == (("00H06H",), ("saint-hilaire",))


async def test_a_value_masked_alone_is_absent_and_the_rest_of_the_hour_is_read(tmp_path: Path) -> None:
    hidden = [
        replace(message, masked=[(8, 8)] if message.name == "gust_north" else ())
        for message in messages(range(2))
    ]
    path = tmp_path / "file.grib2"
    path.write_bytes(grib_factory.encode(hidden))
    fields = read_fields(path, [(46.0, 6.6)], FIELDS)

    reading = parse(fields, grid=GRIDS["0025"], reference_time=RUN, part=Part(0, 1), sites=[SAINT_HILAIRE])

    assert values(reading, lead=1) == {p: v for p, v in USUAL.items() if p is not Parameter.WIND_GUST}
    assert [rejected.parameter for rejected in reading.rejected] == [Parameter.WIND_GUST]


# The worker


class RecordingFetch(ScriptedFetch):
    """A ScriptedFetch that records the start and the end of each download."""

    def __init__(self, *args: Any, on_download: Callable[[int], None] = lambda _: None, **keywords: Any):
        super().__init__(*args, **keywords)
        self.events: list[str] = []
        self.on_download = on_download

    @asynccontextmanager
    async def download(self, request: Request) -> AsyncIterator[Download]:
        number = sum(event.startswith("hold") for event in self.events) + 1
        self.on_download(number)
        async with super().download(request) as download:
            self.events.append(f"hold {number}")
            yield download
            self.events.append(f"let go {number}")


def three_files() -> dict[str, Any]:
    bodies = {
        group: grib(first, last) for group, first, last in zip(GROUPS, (0, 7, 13), (6, 12, 18), strict=False)
    }
    return {listing_url(): listing(), **{file_url(group): body for group, body in bodies.items()}}


async def test_the_next_file_is_downloaded_while_one_is_decoded_and_no_further_one(
    worker: Worker, tmp_path: Path
) -> None:
    fetch = RecordingFetch(three_files(), now=NOW, folder=tmp_path)

    (batch,) = await batches(source(worker, arome_max_lead=18), needs(), fetch)

    # A file is held until it is decoded: the second came before the first was done, the third after.
    assert fetch.events == ["hold 1", "hold 2", "let go 1", "hold 3", "let go 2", "let go 3"]
    assert batch.parts == ("00H06H", "07H12H", "13H18H")
    assert list(tmp_path.iterdir()) == []


class HangingFirstFile(RecordingFetch):
    """The first file is a pipe without a writer: its decode never ends by itself."""

    @asynccontextmanager
    async def download(self, request: Request) -> AsyncIterator[Download]:
        async with super().download(request) as download:
            if address(request) == file_url("00H06H"):
                download.path.unlink()
                os.mkfifo(download.path)
            yield download


async def test_a_worker_killed_while_it_decodes_costs_that_file_only(worker: Worker, tmp_path: Path) -> None:
    await worker.run(os.getpid)

    def kill(number: int) -> None:
        if number == 2:  # the first is being decoded
            assert worker.pid is not None
            os.kill(worker.pid, signal.SIGKILL)

    fetch = HangingFirstFile(three_files(), now=NOW, folder=tmp_path, on_download=kill)

    (batch,) = await batches(source(worker, arome_max_lead=18), needs(), fetch)

    (failure,) = batch.failures
    assert (failure.url, failure.error) == (file_url("00H06H"), "CollectorError")
    assert failure.reason == "the worker process died during a call"
    assert batch.parts == ("07H12H", "13H18H")
    assert values(batch, lead=12) == USUAL


async def test_a_file_that_hangs_the_decoder_costs_itself_only(tmp_path: Path) -> None:
    worker = Worker()
    await worker.run(os.getpid)
    worker.seconds_per_call = 0.2

    def be_patient(number: int) -> None:
        if number == 2:  # the first is being decoded, and its time is running
            worker.seconds_per_call = HANG_SECONDS

    fetch = HangingFirstFile(three_files(), now=NOW, folder=tmp_path, on_download=be_patient)

    (batch,) = await batches(source(worker, arome_max_lead=12), needs(), fetch)

    assert [failure.reason for failure in batch.failures] == [
        "the worker process was ended: a call took more than 0.2 s"
    ]
    assert batch.parts == ("07H12H",)
    worker.close()


# Listings


async def test_a_listing_is_read_as_it_stands() -> None:
    page = parse_listing((PAYLOADS / "arome/listing.xml").read_bytes())

    assert len(page.objects) == 9
    assert page.next_token is None
    last = page.objects[-1]
    assert last.key.endswith("/arome__0025__SP1__49H51H__2026-07-15T06:00:00Z.grib2")
    assert (last.size, last.last_modified) == (25107733, datetime(2026, 7, 15, 11, 10, 56, tzinfo=UTC))


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        ((PAYLOADS / "arome/listing-error.xml").read_bytes(), "<Error> instead of a listing: NoSuchBucket"),
        (b"<html><body>moved</body></html>", "<html> without <Code>"),
        (b"<ListBucketResult/>", "<ListBucketResult> without <IsTruncated>"),
        (listing()[:300], "not well-formed XML at line 1"),
        (listing().replace(b"<Size>5000000</Size>", b""), "<Contents> without <Size>"),
        (listing().replace(b"5000000", b"big"), "invalid literal"),
        (listing().replace(b".000Z", b""), "not an aware time in UTC"),
        (listing().replace(b"false", b"perhaps"), "perhaps"),
        (listing().replace(b"false", b"true"), "without <NextContinuationToken>"),
        (b'<!DOCTYPE x [<!ENTITY e "e">]>' + listing()[38:], "document type declaration"),
        (b"", "not well-formed XML"),
    ],
)
async def test_what_is_no_listing_is_refused(body: bytes, reason: str) -> None:
    with pytest.raises(ParseError, match=reason):
        parse_listing(body)


async def test_names_that_are_not_of_this_run_and_package_are_passed_over(
    worker: Worker, scripted: Callable[..., ScriptedFetch]
) -> None:
    strange = listing(("00H06H", "latest", "12H07H"), run=RUN)
    other = listing(("07H12H",), run=EARLIER)
    body = strange.replace(b"</ListBucketResult>", other[other.index(b"<Contents>") :])

    fetch = scripted({listing_url(): body})

    assert await batches(source(worker, arome_max_lead=12), needs(), fetch) == []
    (batch,) = await batches(source(worker), needs(), fetch)
    assert batch.parts == ("00H06H",)


# The source


async def test_the_settings_choose_the_grid_and_the_routes(worker: Worker) -> None:
    plain = source(worker)
    assert (plain.name, plain.models, plain.public) == ("arome", ("arome_0025",), True)
    assert [(route.name, route.rank) for route in plain.routes] == [("object_storage", 0)]
    assert plain.attribution == "Météo-France, AROME, Licence Ouverte 2.0 (Etalab)"

    rich = source(worker, arome_grid="001", meteofrance_api_key="key", open_meteo_fallback=True)
    assert rich.models == ("arome_001",)
    assert [(route.name, route.rank) for route in rich.routes] == [
        ("object_storage", 0),
        ("portal", 0),
        ("open_meteo", 2),
    ]
    assert "Open-Meteo.com, CC BY 4.0" in rich.attribution


@pytest.mark.parametrize(("hours", "expected"), [("0,6,12,18", 18), ("0,3,6,9,12,15,18,21", 12), ("0", 54)])
async def test_one_missing_run_does_not_make_the_source_stale(
    worker: Worker, hours: str, expected: int
) -> None:
    assert source(worker, arome_runs=hours).max_age == timedelta(hours=expected)


async def test_a_forecast_has_its_lead_time(tmp_path: Path) -> None:
    records = read(tmp_path, (SAINT_HILAIRE,)).records
    assert records[-1] == Forecast(
        "arome_0025",
        "saint-hilaire",
        Parameter.TEMPERATURE,
        RUN,
        datetime(2026, 7, 15, 7, tzinfo=UTC),
        pytest.approx(15.0, abs=1e-4),  # type: ignore[arg-type]
    )
    assert lead_time(records[-1]) == timedelta(hours=1)
