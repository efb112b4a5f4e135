"""What the operator is alerted about: the problems of now, from the store and the state of this process."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from datetime import timedelta
from itertools import takewhile

from backend.answers.operation import SILENT_AFTER, stations_to_check
from backend.answers.readiness import ReasonCode, Snapshot, StateReason, reasons, take_snapshot
from backend.answers.service import ServiceParts
from backend.answers.station_flags import FLAG_LASTS
from backend.core.errors import ConfigError, StoreUnavailableError
from backend.core.records import network_of
from backend.core.registry import SOURCES
from backend.scheduler.config import ALL_JOBS, ISSUING, JOB_NAMES, JOBS
from backend.storage.alerts import AlertStore, AlertSubject
from backend.storage.run_records import JobRun, SourceRun
from backend.storage.station_flags import BY_OPERATOR

RECENT_RUNS = 20
"""Number of runs of a job that are read; a longer series of failures counts as this many."""

WINDOW = timedelta(days=1)
"""Period of the missed runs, and of the share of rejected values."""

REJECTED_SHARE = 0.2
"""Share of a source's values from which the rejected ones are a problem."""

REJECTED_LEAST = 50
"""Minimum number of rejected values: a share of fewer means little."""

_KEY_REFUSED = re.compile(r"HTTP (401|403)\b")

# These are alerts of their own, with their number of failures, or are no state of the store.
_OTHERWISE: frozenset[ReasonCode] = frozenset(
    {"job_failing", "source_silent", "run_cannot_begin", "store_unreachable", "store_replaced"}
)
_CONTACTS = {source.name: source.access_contact or source.website for source in SOURCES}


def current_subjects(
    service: ServiceParts, alerts: AlertStore, *, in_service: bool
) -> tuple[list[AlertSubject], frozenset[str]]:
    """Return the problems of now, and the codes about which nothing is known now.

    `in_service` is False in a command: it has no schedule, has asked no host for the time, and has not
    checked the store. Raises StoreUnavailableError.
    """
    snapshot = take_snapshot(service)
    if snapshot.store in {"unreachable", "replaced"}:
        raise StoreUnavailableError(f"the store is {snapshot.store}")
    found = reasons(snapshot)
    if snapshot.store == "damaged":  # what its other values show may be wrong: it stays as it was reported
        damaged = [_subject(reason) for reason in found if reason.code == "store_damaged"]
        return damaged, frozenset(alert.key for alert in alerts.open_alerts())
    undetermined: set[str] = set()
    if not in_service:
        undetermined |= {"scheduler_dead", "store_damaged"}
    if not service.clock_watch.knows():
        undetermined.add("clock_off")
    if service.database.checked_at is None:
        undetermined.add("store_damaged")
    subjects = [
        _subject(reason)
        for reason in found
        if reason.code not in _OTHERWISE and reason.code not in undetermined
    ]
    ill: set[str] = {source.source for source in snapshot.freshness if source.stale}
    for subject in (*_jobs(service, alerts, snapshot), *_sources(service, alerts)):
        subjects.append(subject)
        code, _, about = subject.key.partition(":")
        if code == "source_failing":
            ill.add(about)
    subjects += _rejected(service, alerts)

    def is_silent_with_its_network(key: str) -> bool:
        code, _, station = key.partition(":")
        return code == "station_silent" and network_of(station) in ill

    # The stations of a network that fails or is stale are silent with it: one alert is enough.
    stations = [
        subject for subject in _stations(service, alerts) if not is_silent_with_its_network(subject.key)
    ]
    undetermined |= {alert.key for alert in alerts.open_alerts() if is_silent_with_its_network(alert.key)}
    return [*subjects, *stations], frozenset(undetermined)


def _subject(reason: StateReason) -> AlertSubject:
    return AlertSubject(
        key=f"{reason.code}:{reason.subject}" if reason.subject else reason.code,
        sentence=reason.sentence,
        what_to_do=reason.what_to_do,
    )


def _jobs(service: ServiceParts, alerts: AlertStore, snapshot: Snapshot) -> Iterator[AlertSubject]:
    for streak in snapshot.streaks:
        runs = "run" if streak.runs == 1 else f"{streak.runs} runs"
        yield AlertSubject(
            key=f"job_failing:{streak.job}",
            sentence=f"The last {runs} of {streak.job} failed, since {streak.since:%Y-%m-%d %H:%M} UTC.",
            what_to_do=f"Read the error of each source: meteo-score runs --job {streak.job}.",
            failures=streak.runs,
        )
    now = service.clock()
    for job in ALL_JOBS:
        if missed := alerts.missed_slots(job, now - WINDOW, now):
            times = ", ".join(f"{slot:%d %H:%M}" for slot in missed[:6])
            more = f" and {len(missed) - 6} more" if len(missed) > 6 else ""
            yield AlertSubject(
                key=f"job_missed:{job}",
                sentence=f"{JOB_NAMES[job]}: no process ran the slots of {times}{more} UTC.",
                what_to_do="See why the service was down at these times: its log, and the log of the machine."
                + (
                    " The record has no forecast of these times; the next decision time issues again."
                    if job == ISSUING
                    else " Later runs collect what the sources still have."
                ),
            )


def _sources(service: ServiceParts, alerts: AlertStore) -> Iterator[AlertSubject]:
    for job in JOBS:
        runs = alerts.newest_runs(job, RECENT_RUNS)
        for source in service.sources.of(job):
            parts = _parts(runs, source.name)
            if source.disabled is not None or not parts:
                continue
            failed = list(takewhile(lambda part: part.status == "failed", parts))
            if failed:
                number = "run" if len(failed) == 1 else f"{len(failed)} runs"
                yield AlertSubject(
                    key=f"source_failing:{source.name}",
                    sentence=f"{source.name} failed in the last {number}: {failed[0].reason or 'no reason'}.",
                    what_to_do="Check its key, its address and the network: meteo-score doctor --live"
                    f" --source {source.name}.",
                    failures=len(failed),
                )
            refused = next((f for f in parts[0].failures if _KEY_REFUSED.match(f.reason)), None)
            if refused is not None:
                number_of_runs = sum(
                    1
                    for _ in takewhile(
                        lambda part: any(_KEY_REFUSED.match(f.reason) for f in part.failures), parts
                    )
                )
                yield AlertSubject(
                    key=f"key_refused:{source.name}",
                    sentence=f"{source.name} refuses the key or the requests of this service, by its route"
                    f" {refused.route}: {refused.reason}.",
                    what_to_do=f"Compare the key in the settings with the one that you received. If they are"
                    f" the same, write to {_CONTACTS.get(source.name) or 'the publisher'}.",
                    failures=number_of_runs,
                )


def _parts(runs: Sequence[JobRun], source: str) -> list[SourceRun]:
    """Return what a source did in these runs, in their order, without those in which it was disabled."""
    return [
        part for run in runs for part in run.sources if part.source == source and part.status != "disabled"
    ]


def _rejected(service: ServiceParts, alerts: AlertStore) -> Iterator[AlertSubject]:
    for source, (collected, rejected) in sorted(alerts.counted_values(service.clock() - WINDOW).items()):
        share = rejected / max(1, collected + rejected)
        if rejected >= REJECTED_LEAST and share >= REJECTED_SHARE:
            yield AlertSubject(
                key=f"rejected_share:{source}",
                sentence=f"{rejected} of {collected + rejected} values of {source} in 24 hours were rejected"
                f" ({share:.0%}).",
                what_to_do="See the reasons in the run: meteo-score runs, or the operator's page. Values that"
                " are out of range or in the future come from the publisher, or from a wrong clock.",
            )


def _stations(service: ServiceParts, alerts: AlertStore) -> Iterator[AlertSubject]:
    now = service.clock()
    try:
        sites = service.sites()
    except ConfigError:
        return  # the reason sites_file_broken has it
    stations = stations_to_check(service, sites)
    first = alerts.first_run()
    may_be_unseen = first is None or first > now - SILENT_AFTER
    for silent in stations.silent:
        if silent.last is None and may_be_unseen:
            continue  # a new installation: its stations were not collected for long enough
        since = (
            "has sent no reading"
            if silent.last is None
            else f"is silent since {silent.last:%Y-%m-%d %H:%M} UTC"
        )
        yield AlertSubject(
            key=f"station_silent:{silent.station}",
            sentence=f"{silent.station} {since}: station of {', '.join(silent.sites)}.",
            what_to_do="Look at the page of its network. If the station is gone, take it out of the site, or"
            " choose another: meteo-score sites near.",
        )
    for move in stations.moved:
        yield AlertSubject(
            key=f"station_moved:{move.site}:{move.station}",
            sentence=f"{move.station} of {move.site} moved by {move.metres / 1000:.1f} km, since"
            f" {move.since:%Y-%m-%d} UTC; its readings since then enter no score.",
            what_to_do=f"If it still measures for the site: meteo-score sites confirm-station {move.site}"
            f" {move.station}.",
        )
    for suspect in stations.suspect:
        flag = suspect.flag
        if flag.until is None or flag.until > now - FLAG_LASTS:
            if flag.reason == BY_OPERATOR:
                continue  # the operator knows
            yield AlertSubject(
                key=f"station_defective:{suspect.station}:{flag.parameter.value}:{flag.reason}",
                sentence=flag.text,
                what_to_do="Write to the owner of the station, or exclude the sensor: meteo-score sites"
                " exclude-station.",
            )
