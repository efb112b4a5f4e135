"""Why the service is degraded, since when, and what to do: for `ready`, the operator and `doctor`.

`take_snapshot` reads the state, with a few queries to the store. `reasons` is a pure function of it.
"""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Literal

from pydantic import Field

from backend.answers.base import ApiModel
from backend.answers.durations import in_words
from backend.answers.freshness import SourceFreshness, freshness
from backend.answers.operation import processes
from backend.answers.service import ServiceParts
from backend.core.clock_watch import ClockOffset
from backend.core.errors import StoreDamagedError, StoreReplacedError, StoreUnavailableError
from backend.scheduler.config import JOB_NAMES, JOBS
from backend.scheduler.runner import BlockedJob
from backend.scheduler.scheduler import is_alive
from backend.storage.database import Trouble
from backend.storage.retention import retention
from backend.storage.run_records import FailureStreak
from backend.storage.store_identity import store_identity

ReasonCode = Literal[
    "store_unreachable",
    "store_damaged",
    "store_replaced",
    "scheduler_dead",
    "run_cannot_begin",
    "job_failing",
    "source_silent",
    "data_stale",
    "disk_low",
    "disk_full",
    "sites_file_broken",
    "clock_off",
    "backup_overdue",
    "values_not_removed",
]

FAILED_RUNS = 3
"""Number of consecutive failed runs of a job from which the service is degraded."""

DISK_LOW_BYTES = 500_000_000
"""Below this the disk is nearly full: one AROME package can have this many bytes."""

DISK_FULL_BYTES = 50_000_000
"""Below this the disk counts as full: SQLite needs room for its log before it can store a value."""

SET_THE_CLOCK = (
    "Set the clock of the machine and keep it set (timedatectl set-ntp true). Values that were rejected as"
    " future are collected again."
)

ABSENT_AFTER = timedelta(minutes=5)
"""Time without a heartbeat of a process with the schedule after which the others report that."""

ScheduleState = Literal["running", "off", "dead", "absent"]
"""`dead` is the schedule of this process, and `absent` that of another one."""

BLOCKING: frozenset[ReasonCode] = frozenset(
    {"store_unreachable", "store_damaged", "store_replaced", "scheduler_dead"}
)
"""With one of these the service cannot work: not ready. With all others it is ready and "degraded"."""


class StateReason(ApiModel):
    """One reason why the service is degraded. docs/operations.md has a section for each `code`."""

    code: ReasonCode
    subject: str | None = Field(
        default=None, description="the job, source or disk that it is about; null: the service as a whole"
    )
    sentence: str
    since: datetime | None = Field(description="null if unknown")
    what_to_do: str


@dataclass(frozen=True, slots=True)
class Disk:
    """Free space of the disk that a part of the service writes to, in bytes."""

    role: str
    free: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Snapshot:
    """The state of the service at one moment (UTC), from which `reasons` are derived."""

    now: datetime
    store: Literal["reachable", "unreachable", "damaged", "replaced"] = "reachable"
    damage: Trouble | None = None
    replaced: Trouble | None = None
    scheduler: ScheduleState = "running"
    blocked: Sequence[BlockedJob] = ()
    streaks: Sequence[FailureStreak] = ()
    silent: dict[str, datetime]
    freshness: Sequence[SourceFreshness] = ()
    disks: Sequence[Disk] = ()
    disk_full: Trouble | None = None
    sites_problem: Trouble | None = None
    clock_offset: ClockOffset | None = None
    backed_up_at: datetime | None = None
    backup_max_age: timedelta | None = None
    retention_since: datetime | None = None
    """Since when closed months could not be exported, or old values not removed; None: they can."""


def schedule_state(service: ServiceParts) -> ScheduleState:
    """Return whether the schedule runs, here or in the process that has it. Raises StoreUnavailableError."""
    if not service.config.scheduler_enabled:
        return "off"
    if service.config.ticks:
        return "running" if is_alive() else "dead"
    ticking = [one for one in processes(service) if one.role in {"all", "scheduler"}]
    return "running" if any(one.age < ABSENT_AFTER for one in ticking) else "absent"


def take_snapshot(service: ServiceParts) -> Snapshot:
    """Return the state now. Blocks for a few queries. An unreachable store is a state, not an error."""
    enabled = {source.name for job in JOBS for source in service.sources.of(job) if source.disabled is None}
    streaks: list[FailureStreak] = []
    silent: dict[str, datetime] = {}
    ages: list[SourceFreshness] = []
    backed_up_at: datetime | None = None
    retention_since: datetime | None = None
    store: Literal["reachable", "unreachable", "damaged", "replaced"] = "reachable"
    schedule: ScheduleState = "dead" if service.config.ticks and not is_alive() else "off"
    try:
        service.ledger.require_same_store()
        streaks = [streak for job in service.runner.jobs if (streak := service.ledger.failure_streak(job))]
        silent = service.ledger.silent_sources(enabled)
        ages = freshness(service, service.ledger.newest_data())
        schedule = schedule_state(service)
        with service.database.read() as connection:
            backed_up_at = store_identity(connection).backed_up_at
            if service.settings.months_dir is not None:  # without it there is no work that could fail
                retention_since = retention(connection).since
    except StoreReplacedError:
        store = "replaced"
    except StoreDamagedError:
        store = "damaged"
    except StoreUnavailableError:
        store = "unreachable"
    # Read after the queries: they may be what finds the damage.
    damage = service.database.damage
    places = {  # a full disk under any of them stops a part of the service
        "the store": service.database.path,
        "the payload archive": service.settings.data_dir,
        "temporary files": Path(tempfile.gettempdir()),
    }
    return Snapshot(
        now=service.clock(),
        # The check of the whole store can have found damage that these few queries do not touch.
        store="damaged" if damage is not None and store == "reachable" else store,
        damage=damage,
        replaced=service.database.replaced,
        scheduler=schedule,
        blocked=tuple(service.runner.blocked.values()),
        streaks=streaks,
        silent=silent,
        freshness=ages,
        disks=[
            Disk(role, free)
            for role, path in places.items()
            if path is not None and (free := service.free_bytes(path)) is not None
        ],
        disk_full=service.database.full,
        sites_problem=service.site_list.look(),
        clock_offset=service.clock_watch.offset(),
        backed_up_at=backed_up_at,
        backup_max_age=timedelta(hours=hours) if (hours := service.settings.backup_max_age_hours) else None,
        retention_since=retention_since,
    )


def reasons(snapshot: Snapshot) -> tuple[StateReason, ...]:
    """Return why the service is degraded, blocking reasons first. Empty if the service is well."""
    return (
        *_about_the_store(snapshot),
        *_about_the_schedule(snapshot),
        *_about_the_data(snapshot),
        *_about_the_machine(snapshot),
    )


def is_blocking(reason: StateReason) -> bool:
    """Return whether the service cannot work for this reason."""
    return reason.code in BLOCKING and reason.subject is None  # the schedule of another process has one


def _about_the_store(snapshot: Snapshot) -> list[StateReason]:
    if snapshot.store == "damaged":
        return [
            StateReason(
                code="store_damaged",
                sentence="The store is damaged: some of the stored values cannot be read.",
                since=snapshot.damage.since if snapshot.damage else None,
                what_to_do="Stop the service, copy the store, then restore a backup or recover the readable"
                " values: docs/operations.md, store_damaged.",
            )
        ]
    if snapshot.store == "replaced":
        return [
            StateReason(
                code="store_replaced",
                sentence="The store was replaced while the service runs: it reads and writes nothing.",
                since=snapshot.replaced.since if snapshot.replaced else None,
                what_to_do="Stop the service, see that no -wal or -shm of the old store lies beside the new"
                " one, and start it again: docs/operations.md, store_replaced.",
            )
        ]
    if snapshot.store == "unreachable":
        return [
            StateReason(
                code="store_unreachable",
                sentence="The database is unreachable.",
                since=None,
                what_to_do="Check that the database runs, and that its file or address is reachable. The"
                " service retries, and its log has the error of the database.",
            )
        ]
    return []


def _about_the_schedule(snapshot: Snapshot) -> list[StateReason]:
    state_reasons = []
    if snapshot.scheduler == "dead":
        state_reasons.append(
            StateReason(
                code="scheduler_dead",
                sentence="The scheduler is not running.",
                since=None,
                what_to_do="If the service is starting, wait. Otherwise restart it, and look for the error in"
                " its log.",
            )
        )
    if snapshot.scheduler == "absent":
        state_reasons.append(
            StateReason(
                code="scheduler_dead",
                subject="scheduler",
                sentence="The process with the schedule does not run.",
                since=None,
                what_to_do="Start the process with METEO_SCORE_ROLE=scheduler, and look for the error in its"
                " log.",
            )
        )
    state_reasons += [
        StateReason(
            code="run_cannot_begin",
            subject=blocked.job,
            sentence=f"{JOB_NAMES[blocked.job]} cannot start: the run cannot be written to the store.",
            since=blocked.since,
            what_to_do="Check that the store is writable (rights, disk, locks). Then the run starts by"
            " itself.",
        )
        for blocked in snapshot.blocked
    ]
    state_reasons += [
        StateReason(
            code="job_failing",
            subject=streak.job,
            sentence=f"The last {streak.runs} runs of {streak.job} failed.",
            since=streak.since,
            what_to_do=f"Read the error of each source: meteo-score runs --job {streak.job}, then"
            " meteo-score runs with the id of the last run.",
        )
        for streak in snapshot.streaks
        if streak.runs >= FAILED_RUNS  # one or two failed runs are usual
    ]
    return state_reasons


def _about_the_data(snapshot: Snapshot) -> list[StateReason]:
    state_reasons = [
        StateReason(
            code="source_silent",
            subject=source,
            sentence=f"{source} has not answered since the start of the service.",
            since=since,
            what_to_do="Check its key, its address and the network: meteo-score doctor sends it one request.",
        )
        for source, since in sorted(snapshot.silent.items())
    ]
    state_reasons += [
        StateReason(
            code="data_stale",
            subject=source.source,
            sentence=f"The newest data of {source.source} are {in_words(source.age_seconds)} old;"
            f" {in_words(source.max_age_seconds)} is the limit for this source.",
            since=source.newest_data,
            what_to_do="If its runs fail, read their errors. If they succeed, the publisher has no newer"
            " data: wait, or ask the publisher.",
        )
        for source in snapshot.freshness
        if source.stale and source.disabled is None and source.age_seconds is not None
    ]
    return state_reasons


def _about_the_machine(snapshot: Snapshot) -> list[StateReason]:
    state_reasons = []
    if snapshot.disk_full is not None:
        state_reasons.append(
            _disk("disk_full", None, "The last write failed: the disk is full.", snapshot.disk_full.since)
        )
    for disk in snapshot.disks:
        if disk.free < DISK_LOW_BYTES:
            sentence = f"{disk.free // 1_000_000} MB are free on the disk of {disk.role}."
            state_reasons.append(
                _disk("disk_full" if disk.free < DISK_FULL_BYTES else "disk_low", disk.role, sentence, None)
            )
    if snapshot.sites_problem is not None:
        state_reasons.append(
            StateReason(
                code="sites_file_broken",
                sentence="The sites file is not usable; the service uses the last valid list.",
                since=snapshot.sites_problem.since,
                what_to_do="Correct the file before the next restart, which would fail. The log and"
                " meteo-score sites list show the line and the rule.",
            )
        )
    if snapshot.clock_offset is not None:
        state_reasons.append(
            StateReason(
                code="clock_off",
                sentence=snapshot.clock_offset.in_words(),
                since=None,
                what_to_do=SET_THE_CLOCK,
            )
        )
    age = None if snapshot.backed_up_at is None else snapshot.now - snapshot.backed_up_at
    if age is not None and snapshot.backup_max_age is not None and age > snapshot.backup_max_age:
        state_reasons.append(
            StateReason(
                code="backup_overdue",
                sentence=f"The newest backup is {in_words(age.total_seconds())} old;"
                f" {in_words(snapshot.backup_max_age.total_seconds())} is the limit.",
                since=snapshot.backed_up_at,
                what_to_do="Run meteo-score backup, and see why its timer or cron job did not.",
            )
        )
    if snapshot.retention_since is not None:
        state_reasons.append(
            StateReason(
                code="values_not_removed",
                sentence="Closed months could not be exported, or old raw values not be removed: they stay in"
                " the store.",
                since=snapshot.retention_since,
                what_to_do="Run meteo-score data retain --dry-run: it names the reason. See"
                " values_not_removed in docs/operations.md.",
            )
        )
    return state_reasons


def _disk(code: ReasonCode, subject: str | None, sentence: str, since: datetime | None) -> StateReason:
    return StateReason(
        code=code,
        subject=subject,
        sentence=sentence,
        since=since,
        what_to_do="Free some space: lower KEEP_PAYLOADS_DAYS, or move DATA_DIR or the store to a larger"
        " disk.",
    )
