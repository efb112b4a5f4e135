"""Settings of the schedule and of the limits of runs, from the environment."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta, tzinfo
from functools import lru_cache
from itertools import islice, pairwise
from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import AfterValidator, BeforeValidator, Field

from backend.core.clock import PARIS
from backend.core.config import Boolean, EnvironmentSettings, Integers, Settings, unset_if_blank

if TYPE_CHECKING:
    from apscheduler.triggers.cron import CronTrigger

JobId = Literal["collect_forecasts", "collect_observations", "issue_forecasts"]

FORECASTS: JobId = "collect_forecasts"
OBSERVATIONS: JobId = "collect_observations"
ISSUING: JobId = "issue_forecasts"
JOBS: tuple[JobId, ...] = (FORECASTS, OBSERVATIONS)
"""The jobs that collect from sources."""

ALL_JOBS: tuple[JobId, ...] = (*JOBS, ISSUING)
"""With the job that issues forecasts, which is of services with an issuer."""

JOB_NAMES: dict[JobId, str] = {
    FORECASTS: "Collect forecasts",
    OBSERVATIONS: "Collect observations",
    ISSUING: "Issue forecasts",
}

DECISION_HOURS = "0 7,12,19 * * *"
"""When forecasts are issued, in local time: the hours of the decision views of scoring/views.py."""

MISFIRE_GRACE_SECONDS = 1800


def zone_of(job: JobId) -> tzinfo:
    """Return the zone of a job's schedule: decisions follow the pilots' clock, collections UTC."""
    return PARIS if job == ISSUING else UTC


def _trigger(crontab: str, zone: tzinfo = UTC) -> CronTrigger:
    """Return the trigger of a crontab line in a zone. Raises ValueError."""
    # Imported here: commands that only read settings need no scheduler.
    from apscheduler.triggers.cron import CronTrigger

    return CronTrigger.from_crontab(crontab, timezone=zone)


def _hours(hours: tuple[int, ...]) -> tuple[int, ...]:
    if any(hour > 23 for hour in hours) or len(set(hours)) != len(hours):
        raise ValueError("must be different hours from 0 to 23, separated by commas")
    return tuple(sorted(hours))


def _crontab(line: str) -> str:
    fields = line.split()
    if len(fields) != 5:
        raise ValueError("must be a crontab line of five fields: minute hour day month weekday")
    if any(character.isdigit() for character in fields[4]):
        raise ValueError("must name weekdays (mon, tue, …): programs number them differently")
    try:
        _trigger(line)
    except ValueError as error:
        raise ValueError(f"is not a crontab line: {error}") from error
    return " ".join(fields)


Hours = Annotated[Integers, AfterValidator(_hours)]
Crontab = Annotated[Annotated[str, AfterValidator(_crontab)] | None, BeforeValidator(unset_if_blank)]


Role = Literal["all", "api", "scheduler", "worker"]
"""What a process does: everything, or one part of a service of several processes on PostgreSQL."""

ENDING_SECONDS = 5.0
"""A source is cut short this long before the next slot, so that the end of its run can be recorded."""


class SchedulerConfig(EnvironmentSettings):
    """The schedule, and the limits of runs."""

    meteo_score_role: Role = "all"
    scheduler_enabled: Boolean = True
    scheduler_forecast_hours: Hours = (0, 6, 12, 18)
    scheduler_observation_hours: Hours = (8, 10, 12, 14, 16, 18)
    scheduler_forecast_cron: Crontab = None
    scheduler_observation_cron: Crontab = None

    forecast_lookback_hours: Annotated[int, Field(ge=1, le=360)] = 36
    observation_lookback_hours: Annotated[int, Field(ge=1, le=168)] = 72
    catchup_window_hours: Annotated[int, Field(ge=1, le=720)] = 48
    lease_seconds: Annotated[float, Field(gt=0, le=3600)] = 60.0
    run_deadline_seconds: Annotated[float, Field(gt=0, le=86400)] = 5400.0
    shutdown_grace_seconds: Annotated[float, Field(ge=0, le=3600)] = 30.0

    @property
    def ticks(self) -> bool:
        """Return True if this process has the schedule."""
        return self.scheduler_enabled and self.meteo_score_role in {"all", "scheduler"}

    def crontab(self, job: JobId) -> str:
        """Return the schedule of a job as a crontab line in its zone; a `_cron` setting has priority."""
        if job == ISSUING:
            return DECISION_HOURS
        line, hours = {
            FORECASTS: (self.scheduler_forecast_cron, self.scheduler_forecast_hours),
            OBSERVATIONS: (self.scheduler_observation_cron, self.scheduler_observation_hours),
        }[job]
        return line or f"0 {','.join(map(str, hours))} * * *"

    def trigger(self, job: JobId) -> CronTrigger:
        """Return the trigger of a job, in its zone and without jitter."""
        return _trigger(self.crontab(job), zone_of(job))

    def source_seconds(self, job: JobId, now: datetime) -> float:
        """Return how many seconds a source that starts at `now` may take, so that the next slot can start.

        A run that starts in the second half of an interval has until the slot after the next one.
        """
        trigger = self.trigger(job)
        following = trigger.get_next_fire_time(None, now)
        after = None if following is None else trigger.get_next_fire_time(following, following)
        if following is None or after is None:
            return self.run_deadline_seconds
        if following - now < (after - following) / 2:
            following = after
        seconds: float = (following - now).total_seconds()
        return max(seconds - ENDING_SECONDS, 1.0)

    def slots(self, job: JobId, start: datetime, end: datetime) -> Iterator[datetime]:
        """Return the scheduled times of a job after `start` and up to `end`, the same in every process."""
        return _slots(self.trigger(job), start, end)

    def latest_slot(self, job: JobId, now: datetime) -> datetime | None:
        """Return the last scheduled time of a job up to `now`; None if there is none within a year."""
        return _latest_slot(self.crontab(job), zone_of(job), now.replace(second=0, microsecond=0))

    def shortest_interval(self, job: JobId) -> timedelta:
        """Return the shortest time between two of a job's scheduled times."""
        return _shortest_interval(self.crontab(job), zone_of(job))

    def lookback(self, job: JobId) -> timedelta:
        """Return how far back a collection looks for missing data."""
        hours = {FORECASTS: self.forecast_lookback_hours, OBSERVATIONS: self.observation_lookback_hours}
        return timedelta(hours=hours[job])


SETTING_NAMES = Settings.names() | SchedulerConfig.names()
"""Every setting, as the environment names it."""


def _slots(trigger: CronTrigger, start: datetime, end: datetime) -> Iterator[datetime]:
    slot = trigger.get_next_fire_time(None, start + timedelta(microseconds=1))
    while slot is not None and slot <= end:
        yield slot.astimezone(UTC)
        slot = trigger.get_next_fire_time(slot, slot)


@lru_cache(maxsize=16)
def _latest_slot(crontab: str, zone: tzinfo, minute: datetime) -> datetime | None:
    """Return the last slot up to a minute. Crontabs have no seconds, so the cache serves repeated calls."""
    trigger = _trigger(crontab, zone)
    for days in (1, 8, 32, 366):
        slots = list(_slots(trigger, minute - timedelta(days=days), minute))
        if slots:
            return slots[-1]
    return None


@lru_cache(maxsize=16)
def _shortest_interval(crontab: str, zone: tzinfo) -> timedelta:
    """Return the shortest time between two of the first thousand slots of a leap year."""
    trigger = _trigger(crontab, zone)
    start = datetime(2024, 1, 1, tzinfo=UTC)
    slots = list(islice(_slots(trigger, start, start + timedelta(days=366)), 1000))
    return min((later - earlier for earlier, later in pairwise(slots)), default=timedelta.max)
