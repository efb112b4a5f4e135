"""Gaps by site, day and source: from when on something is expected, and until when it can be collected."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any, cast

import pytest

from backend.answers.gaps import Gap, Gaps, find_gaps, still_offered
from backend.answers.service import ServiceParts
from backend.cli.gaps import _pieces
from backend.collectors.base import Archive, Source
from backend.core.local_time import day_number
from backend.main import Service
from backend.scheduler.config import FORECASTS, OBSERVATIONS, SchedulerConfig
from backend.scheduler.past_days import Obtainable, obtainable
from backend.storage.removals import Target, remove
from backend.tests.support.served import NOW, SITES, fill, in_use, make_service, with_sources
from backend.tests.support.worlds import (
    HandClock,
    brings_a_reading,
    brings_a_run,
    forecast_source,
    observation_source,
)

CONFIG = SchedulerConfig.load()


def found(service: Service, first: date, last: date, *names: str) -> Gaps:
    days = range(day_number(first), day_number(last) + 1)
    return find_gaps(cast(ServiceParts, service), service.sites(), days, names or None)


def counts(gaps: Gaps) -> list[tuple[int, str, int, int]]:
    return [(gap.day.day, gap.site, gap.received, gap.expected) for gap in gaps.gaps]


def test_nothing_is_expected_before_the_site_and_the_source_were_configured(tmp_path: Path) -> None:
    service = make_service(tmp_path)
    in_use(service, datetime(2026, 7, 14, 15, 0, tzinfo=UTC))
    fill(service)
    # From 17:00 local time on the 14th: seven hours; on the 15th the hours 12 and 13 of 14 have readings.
    gaps = found(service, date(2026, 7, 1), date(2026, 7, 15), "ffvl")
    assert counts(gaps) == [(14, "grand-pre", 0, 7), (15, "grand-pre", 2, 14)]
    assert (gaps.expected_hours, gaps.expected_runs) == (21, 0)


def test_a_source_that_never_ran_has_no_gaps(tmp_path: Path) -> None:
    service = make_service(tmp_path)
    in_use(service)
    fill(service)
    late = observation_source(brings_a_reading, "pioupiou")
    sites = SITES.replace('"ffvl:901"', '"ffvl:901", "pioupiou:8001"')
    (tmp_path / "sites.toml").write_text(sites)
    service = with_sources(service, [], [late])
    assert found(service, date(2026, 7, 9), date(2026, 7, 15)) == Gaps((), 0, 0)


def test_a_station_counts_from_the_moment_at_which_the_site_lists_it(tmp_path: Path) -> None:
    service = make_service(tmp_path)
    in_use(service)
    clock = cast(HandClock, service.clock)
    clock.now = datetime(2026, 7, 13, 22, 0, tzinfo=UTC)  # local midnight
    (tmp_path / "sites.toml").write_text(
        SITES.replace('["ffvl:901", "romma:902"]', '["romma:902"]\nwithout = ["ffvl"]')
    )
    service.store.save_sites(service.sites())
    clock.now = NOW
    gaps = found(service, date(2026, 7, 12), date(2026, 7, 15), "ffvl")
    assert counts(gaps) == [(12, "grand-pre", 0, 24), (13, "grand-pre", 0, 24)], "not after it was taken off"


def test_runs_are_expected_from_the_first_that_starts_after_the_site_was_added(tmp_path: Path) -> None:
    service = make_service(tmp_path)
    in_use(service, datetime(2026, 7, 14, 7, 0, tzinfo=UTC))
    gaps = found(service, date(2026, 7, 13), date(2026, 7, 14), "meteo_parapente")
    assert counts(gaps) == [(14, site.id, 0, 2) for site in service.sites()], "those of 12 and 18 UTC"
    assert gaps.expected_runs == 6
    assert [gap.offer for gap in gaps.gaps] == [Obtainable(datetime(2026, 7, 16, 6, tzinfo=UTC))] * 3


def test_what_was_removed_and_is_kept_out_is_no_gap(tmp_path: Path) -> None:
    service = make_service(tmp_path)
    in_use(service)
    fill(service)
    day = datetime(2026, 7, 15, tzinfo=UTC)
    first, last = day - timedelta(days=1), day + timedelta(hours=23)
    with service.database.write() as connection:
        for target in (
            Target(kind="station", name="ffvl:901", first=first, last=last),
            Target(kind="model", name="arome_0025", first=first, last=last),
        ):
            remove(connection, target, now=NOW, by="anna", reason="")
    days_looked_at = date(2026, 7, 13), date(2026, 7, 15)
    # Local days from 22:00 UTC: the first two hours of the 14th were not removed.
    assert counts(found(service, *days_looked_at, "ffvl"))[1:] == [(14, "grand-pre", 0, 2)]
    days = [gap.day.day for gap in found(service, *days_looked_at, "arome_0025").gaps]
    assert days == [13, 13, 13], "three sites"


def test_a_store_without_gaps_has_none(tmp_path: Path) -> None:
    service = make_service(tmp_path, clock=HandClock(NOW.replace(hour=6, minute=30)))
    in_use(service, NOW.replace(hour=6))
    fill(service)
    gaps = found(service, date(2026, 7, 15), date(2026, 7, 15))
    assert gaps.gaps == ()


@pytest.mark.parametrize(
    ("source", "until"),
    [
        (observation_source(brings_a_reading), Obtainable(NOW + timedelta(hours=72))),
        (observation_source(brings_a_reading, name="romma"), None),
        (
            observation_source(brings_a_reading, past=Archive(routes=(), reach=timedelta(days=7))),
            Obtainable(NOW + timedelta(days=7)),
        ),
        (observation_source(brings_a_reading, past=Archive(routes=())), Obtainable(None)),
        (
            observation_source(brings_a_reading, past=Archive(routes=(), since=NOW + timedelta(hours=1))),
            Obtainable(NOW + timedelta(hours=72)),
        ),
        (observation_source(brings_a_reading, disabled="a key is missing"), None),
    ],
)
def test_what_is_missing_can_be_collected_as_long_as_archive_and_lookback_reach(
    source: Source[Any], until: Obtainable | None
) -> None:
    assert obtainable(source, OBSERVATIONS, NOW, CONFIG) == until


def test_a_publisher_that_serves_less_than_the_lookback_limits_it() -> None:
    short = replace(forecast_source(brings_a_run), serves=timedelta(hours=18))
    assert obtainable(short, FORECASTS, NOW, CONFIG) == Obtainable(NOW + timedelta(hours=18))


def gap(day: int, source: str, site: str = "grand-pre") -> Gap:
    return Gap(
        day=date(2026, 7, day),
        site=site,
        source=source,
        job=OBSERVATIONS,
        model=None,
        received=0,
        expected=24,
        incomplete=0,
        offer=Obtainable(None),
    )


def test_fetching_uses_one_plain_collection_and_the_archive_for_past_days(tmp_path: Path) -> None:
    plain = observation_source(brings_a_reading, "ffvl")
    archived = observation_source(brings_a_reading, "pioupiou", past=Archive(routes=()))
    service = with_sources(make_service(tmp_path), [], [plain, archived])
    gaps = [gap(13, "ffvl"), gap(14, "ffvl", "petit-col"), *(gap(day, "pioupiou") for day in (3, 4, 8, 15))]
    pieces = list(_pieces(service, gaps, NOW))
    selections = [(piece.source, piece.selection) for piece in pieces]
    assert [(name, each.since, each.until) for name, each in selections] == [
        ("ffvl", None, None),
        ("pioupiou", datetime(2026, 7, 2, 22, tzinfo=UTC), datetime(2026, 7, 4, 21, 59, 59, tzinfo=UTC)),
        ("pioupiou", datetime(2026, 7, 7, 22, tzinfo=UTC), datetime(2026, 7, 8, 21, 59, 59, tzinfo=UTC)),
        ("pioupiou", None, None),
    ]
    assert selections[0][1].sites == {"grand-pre", "petit-col"}
    old = replace(gap(13, "ffvl"), offer=Obtainable(NOW - timedelta(hours=1)))
    assert still_offered([old, gap(14, "ffvl")], NOW) == [gap(14, "ffvl")]
