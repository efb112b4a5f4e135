"""The shapes of answers. Names are camelCase on the wire, times ISO 8601 in UTC, and null means unknown."""

from __future__ import annotations

from datetime import datetime
from typing import Literal

from pydantic import Field, computed_field

from backend.answers.base import ApiModel, WithheldSource
from backend.answers.freshness import SourceFreshness
from backend.answers.readiness import StateReason
from backend.answers.station_flags import StationFlag
from backend.core.parameters import RULES, Parameter
from backend.core.records import RunStatus, SourceStatus
from backend.scheduler.config import JobId

Trigger = Literal["schedule", "catch_up", "api", "cli", "backfill"]


# --- What was done: runs and their sources -----------------------------------------------------------


class RequestFailure(ApiModel):
    """One request or payload that brought nothing; the address never holds a key."""

    route: str
    url: str
    reason: str
    error: str


class SourceOutcome(ApiModel):
    """What one source did in a run. `failures` holds the first of `failedRequests`."""

    source: str
    status: SourceStatus
    reason: str | None
    records_collected: int
    records_stored: int
    records_rejected: int
    rejected_reasons: dict[str, int]
    failed_requests: int
    failures: list[RequestFailure]
    requests: int
    bytes: int = Field(description="as transferred")
    duration_seconds: float
    newest_data: datetime | None = Field(description="the newest that the source showed, new to us or not")


class RunError(ApiModel):
    """Something that went wrong in a run; `source` is null where it was the run as a whole."""

    source: str | None
    reason: str
    error: str | None = None
    route: str | None = None
    url: str | None = None


class CollectionRun(ApiModel):
    """One execution of a job. Counts are null while they are unknown: a run writes them at its end."""

    run_id: int
    job: JobId
    trigger: Trigger
    scheduled_time: datetime | None = Field(description="null for a run asked for by hand")
    start_time: datetime | None
    end_time: datetime | None
    duration_seconds: float | None
    status: RunStatus
    attempt: int
    note: str | None
    records_collected: int | None
    records_stored: int | None = Field(description="new or better values among those collected")
    records_rejected: int | None = Field(description="implausible values, set aside with the reason")
    errors: list[RunError]
    sources: list[SourceOutcome]


class RunPage(ApiModel):
    """Runs, newest first; `next` is the cursor of the page after this one."""

    runs: list[CollectionRun]
    next: str | None


class StartedRun(ApiModel):
    """A run that was asked for and has begun."""

    run_id: int
    job: JobId
    status: Literal["running"] = "running"


# --- The schedule ------------------------------------------------------------------------------------


class BlockedRun(ApiModel):
    """A run that cannot begin, because the store does not take it; it is in no list of runs."""

    job: JobId
    scheduled_time: datetime | None = Field(description="null where even that cannot be read")
    since: datetime


class MovedStation(ApiModel):
    """A station that moved; a site's scores use its readings from before until its new place is confirmed."""

    site: str
    station: str
    since: datetime
    metres: float = Field(description="between the two places")
    name_before: str | None
    name_after: str | None
    route: str = Field(description="the way that stated the new place")


class SchedulerStatus(ApiModel):
    """What the service did last, what it does now, and how fresh each source is."""

    running: bool = Field(description="whether the schedule ticks in this process")
    enabled: bool = Field(description="SCHEDULER_ENABLED")
    last_forecast_collection: CollectionRun | None
    last_observation_collection: CollectionRun | None
    current: list[CollectionRun]
    blocked: list[BlockedRun] = Field(description="runs that cannot begin, as far as this process knows")
    freshness: list[SourceFreshness]
    moved_stations: list[MovedStation] = Field(
        description="stations of sites that moved, until `sites confirm-station` or another list of stations"
    )


class ScheduledJob(ApiModel):
    """A job and when it runs next by itself."""

    id: JobId
    name: str
    trigger: str = Field(description="a crontab line, in UTC")
    trigger_text: str
    next_run_time: datetime | None = Field(description="null while paused, or without a running scheduler")
    next_run_times: list[datetime] = Field(
        description="the five next times of the schedule; nothing runs at them while nextRunTime is null"
    )
    paused: bool
    paused_by: str | None
    paused_at: datetime | None


class JobList(ApiModel):
    """The jobs of the service."""

    jobs: list[ScheduledJob]


# --- What is collected, and where --------------------------------------------------------------------


class SiteEntry(ApiModel):
    """A flying site: its take-off, in degrees (WGS 84) and metres above sea level."""

    id: str
    name: str
    latitude: float
    longitude: float
    elevation: float
    orientation: list[str]
    stations: list[str] = Field(description="the stations that speak for it, best first")
    without: list[str] = Field(description="networks known to have no station here")
    valid_from: datetime | None
    collected: bool = Field(description="whether a collection has asked for it yet")
    moved_stations: list[str] = Field(
        description="stations that moved: its scores use their readings from before, until confirmed"
    )


class SiteList(ApiModel):
    """Every configured site."""

    sites: list[SiteEntry]


class StationEntry(ApiModel):
    """A beacon, in degrees (WGS 84) and metres; null is what its network has not told."""

    id: str
    network: str
    name: str | None
    latitude: float | None
    longitude: float | None
    elevation: float | None
    kind: str | None
    remarks: str | None
    sites: list[str] = Field(description="the sites that it speaks for")
    flags: list[StationFlag] = Field(description="what is known of its sensors; the values stay stored")
    moved_at: datetime | None = Field(
        description="since when it is at its present place; null if it never moved"
    )
    not_counted_for: list[str] = Field(
        description="sites whose scores do not use its readings since it moved: the move is not confirmed"
    )


class StationPage(ApiModel):
    """Stations by id; `next` is the cursor of the page after this one."""

    stations: list[StationEntry]
    next: str | None


class ModelEntry(ApiModel):
    """A weather model; `newestRun` is null and `runs` 0 before anything of it was kept."""

    name: str
    source: str | None = Field(description="null for a model that is no longer collected")
    newest_run: datetime | None
    runs: int


class ModelList(ApiModel):
    """Every model that is collected or kept."""

    models: list[ModelEntry]


# --- Values ------------------------------------------------------------------------------------------


class ForecastValue(ApiModel):
    """What a model said about a parameter at a site and a time."""

    site: str
    model: str
    parameter: Parameter
    value: float
    reference_time: datetime = Field(description="start of the run")
    valid_time: datetime = Field(description="the moment the forecast speaks of")
    lead_minutes: int
    route: str
    available_at: datetime
    available_at_published: bool = Field(
        description="false: the publisher does not say, and this is when we first saw the run"
    )
    collected_at: datetime

    @computed_field  # type: ignore[prop-decorator]
    @property
    def unit(self) -> str:
        """Return the unit of the value."""
        return RULES[self.parameter].unit


class ObservationValue(ApiModel):
    """What a station measured; null where the network does not say how."""

    station: str
    parameter: Parameter
    value: float
    time: datetime
    route: str
    averaging_minutes: int | None
    direction_resolution: float | None = Field(description="degrees")
    collected_at: datetime

    @computed_field  # type: ignore[prop-decorator]
    @property
    def unit(self) -> str:
        """Return the unit of the value."""
        return RULES[self.parameter].unit


class ForecastPage(ApiModel):
    """Forecasts by site, valid time, model and run."""

    forecasts: list[ForecastValue]
    next: str | None = Field(description="the cursor of the page after this one; null on the last")
    withheld: list[WithheldSource]
    attribution: list[str]


class ObservationPage(ApiModel):
    """Readings by station and time."""

    observations: list[ObservationValue]
    next: str | None = Field(description="the cursor of the page after this one; null on the last")
    withheld: list[WithheldSource]
    attribution: list[str]


# --- The process -------------------------------------------------------------------------------------


class Health(ApiModel):
    """The process answers."""

    status: Literal["ok"] = "ok"
    version: str


class Readiness(ApiModel):
    """The store answers, and the schedule ticks or is off by setting; degraded for the reasons given."""

    status: Literal["ready", "degraded"]
    store: Literal["reachable"] = "reachable"
    scheduler: Literal["running", "off"]
    reasons: list[StateReason] = Field(description="why the status is degraded; empty otherwise")
    freshness: list[SourceFreshness]
