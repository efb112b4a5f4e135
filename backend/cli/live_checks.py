"""The checks of `doctor --live`: what was seen of a source against what its page and its settings expect."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import urlsplit

from backend.answers.readiness import SET_THE_CLOCK
from backend.cli.live_report import Check
from backend.cli.live_requests import WatchedFetch
from backend.collectors.base import Fetch, Request, Source
from backend.core.clock_watch import CLOCK_LIMIT, ClockWatch
from backend.core.errors import CollectorError
from backend.core.records import CollectionRequest, Site
from backend.core.source_info import SourceInfo


def check_address(source: Source[Any], info: SourceInfo, fetch: WatchedFetch) -> Check:
    """Check that the hosts of a route answer."""
    hosts = ", ".join(fetch.hosts)
    if not fetch.hosts:
        return Check(name="address", verdict="not checked", seen="the route needs a station of a site")
    if not fetch.errors:
        return Check(name="address", verdict="ok", seen=f"{hosts} answers")
    seen = "; ".join(dict.fromkeys(f"{error.reason} ({error.url})" for error in fetch.errors))
    return Check(
        name="address",
        verdict="differs",
        expected=f"an answer of {hosts}",
        seen=seen,
        to_do=if_gone(source, info),
    )


def if_gone(source: Source[Any], info: SourceInfo) -> str:
    """Return what is known about a source that does not answer; the default names the publisher's page."""
    page = f"look for a move or an end of the service at {info.website}" if info.website else ""
    general = page or f"ask {info.display_name} whether the service moved or ended"
    return f"{source.live.if_gone}. Then {general}" if source.live.if_gone else general


def check_newest(
    source: Source[Any], batches: Iterable[Any], now: datetime, fetch: WatchedFetch, watch: ClockWatch
) -> Check:
    """Check the age of the newest run or reading, by the clock of the source."""
    name = "newest run" if source.models else "newest data"
    limit = _hours(source.max_age)
    newest = max((batch.newest for batch in batches if batch.newest is not None), default=None)
    if newest is None:
        if fetch.errors or not fetch.hosts:
            seen = "the address did not answer" if fetch.hosts else "nothing was requested"
            return Check(name=name, verdict="not checked", seen=seen)
        return Check(
            name=name,
            verdict="differs",
            expected=f"data that are at most {limit} old",
            seen="none in the answer",
            to_do="compare with the publisher's page; if it has newer data, the format has changed",
        )
    # By the source's own clock, so that a wrong clock here does not look like a late publisher.
    ahead = next((s for host in fetch.hosts if (s := watch.seconds_of(host)) is not None), 0.0)
    age = now + timedelta(seconds=ahead) - newest
    seen = f"{newest:%Y-%m-%d %H:%M} UTC, {_hours(age)} old"
    # A publisher's stamp may be a few minutes ahead of its own clock.
    if -CLOCK_LIMIT <= age <= source.max_age:
        return Check(name=name, verdict="ok", seen=f"{seen} (limit {limit})")
    return Check(
        name=name,
        verdict="differs",
        expected=f"0 to {limit} old",
        seen=seen,
        to_do="wait and repeat; if it stays so, the publisher has stopped or its times have another zone",
    )


def check_payload(
    source: Source[Any], batches: Sequence[Any], models: set[str], failures: Sequence[str], where: str
) -> Check:
    """Check that the values of one place can be read, of each model of the source."""
    records = sum(len(batch.records) for batch in batches)
    refused = [rejected for batch in batches for rejected in batch.rejected]
    short = sorted(set(source.models) - models)
    if not where and not records and not failures:
        reason = "no site lies in the area of all its models" if source.models else "no site has its station"
        return Check(name="payload", verdict="not checked", seen=reason)
    seen = f"{records} values, {len(refused)} set aside"
    if records and not failures and not short:
        return Check(name="payload", verdict="ok", seen=seen)
    if short and models:
        seen += f"; none of {', '.join(short)}"
    details = [*dict.fromkeys(failures)] or [*dict.fromkeys(rejected.reason for rejected in refused)][:3]
    return Check(
        name="payload",
        verdict="differs",
        expected="values in the documented format",
        seen="; ".join([seen, *details]),
        to_do="send this report to the project; the collector stores nothing that it cannot read",
    )


def check_place(
    source: Source[Any],
    needs: CollectionRequest,
    batches: Sequence[Any],
    sites: Sequence[Site],
    where: str,
) -> Check:
    """Check that a site lies in the area, or that a station of a site is in the answer."""
    if source.models:
        areas = source.areas.values()
        inside = sum(all(area.holds(site) for area in areas) for site in sites)
        count = f"{inside} of {len(sites)} sites inside the area"
        if not where:
            return Check(name="area", verdict="not checked", seen=count)
        refused = [one for batch in batches for one in batch.outside]
        if refused:
            return Check(
                name="area",
                verdict="differs",
                expected=f"{where} inside",
                seen="; ".join(f"{one.model}: {one.reason}" for one in refused),
                to_do="the declared area is too large: send this report to the project",
            )
        if not any(batch.records for batch in batches):
            return Check(name="area", verdict="not checked", seen=f"{count}; no values were read")
        return Check(name="area", verdict="ok", seen=f"{count}; {where} has values")
    if not where:
        return Check(name="station", verdict="not checked", seen="no site has a station of this network")
    listed = {
        station
        for batch in batches
        for station in (
            *(record.station for record in batch.records),
            *(station.id for station in batch.stations),
            *(position.station for position in batch.positions),
        )
    }
    if where in listed:
        return Check(name="station", verdict="ok", seen=f"{where} is in the answer")
    if not listed:
        return Check(name="station", verdict="not checked", seen="no station was read")
    return Check(
        name="station",
        verdict="differs",
        expected=f"{where} of {needs.sites[0].id} in the answer",
        seen=f"{len(listed)} other stations",
        to_do="its number has changed, or it has ended: meteo-score sites near",
    )


def check_clocks(hosts: Iterable[str], watch: ClockWatch) -> list[Check]:
    """Check the time that each host states in its answers against ours."""
    checks = []
    for host in hosts:
        seconds = watch.seconds_of(host)
        if seconds is None:
            checks.append(Check(name="clock", verdict="not checked", seen=f"{host} stated no time"))
        elif abs(seconds) <= CLOCK_LIMIT.total_seconds():
            checks.append(Check(name="clock", verdict="ok", seen=f"{host}: {seconds:+.0f} s from ours"))
        else:
            checks.append(
                Check(
                    name="clock",
                    verdict="differs",
                    expected=f"at most {CLOCK_LIMIT.total_seconds():.0f} s from ours",
                    seen=f"{host}: {seconds:+.0f} s",
                    to_do=f"if other hosts differ alike: {SET_THE_CLOCK}",
                )
            )
    return checks


async def check_licence(source: Source[Any], info: SourceInfo, hosts: Iterable[str], fetch: Fetch) -> Check:
    """Check that the licence is still stated on its page; not for a stand-in on this machine."""
    facts, known = source.live, info.licence or "no published licence"
    if not facts.licence_page:
        return Check(name="licence", verdict="not checked", seen=f"{known}; no page to compare is known")
    names = [urlsplit(f"//{host}").hostname for host in hosts]
    if not names:
        return Check(name="licence", verdict="not checked", seen=f"{known}; nothing was requested")
    if any(name in ("127.0.0.1", "localhost", "::1") for name in names):
        seen = "the address is on this machine, and not the publisher's"
        return Check(name="licence", verdict="not checked", seen=seen)
    try:
        page = await fetch(Request(url=facts.licence_page, kind=facts.licence_kind))
        text = " ".join(re.sub(r"<[^>]*>", " ", page.body.decode("utf-8", "replace")).split()).casefold()
        found = facts.licence_words.casefold() in text
        seen = "the page is there without these words"
    except CollectorError as error:
        found, seen = False, error.reason
    if found:
        return Check(name="licence", verdict="ok", seen=f"{facts.licence_page} states {known}")
    return Check(
        name="licence",
        verdict="differs",
        expected=f"{facts.licence_words!r} at {facts.licence_page}",
        seen=seen,
        to_do=f"read the present terms of {info.display_name} before its values are shown to the public",
    )


def _hours(period: timedelta) -> str:
    minutes = round(period.total_seconds() / 60)
    return f"{minutes} min" if abs(minutes) < 120 else f"{minutes / 60:.1f} h"
