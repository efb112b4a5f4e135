"""The shapes of answers. Names are camelCase on the wire, times ISO 8601 in UTC, and null means unknown."""

from __future__ import annotations

from datetime import datetime
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, computed_field
from pydantic.alias_generators import to_camel

from backend.core.parameters import RULES, Parameter
from backend.core.records import RunStatus, SourceStatus
from backend.scheduler.config import JobId

Trigger = Literal["schedule", "catch_up", "api", "cli", "backfill"]
Kind = Literal["forecasts", "observations"]


class ApiModel(BaseModel):
    """Base of every answer: the one place where names become camelCase."""

    model_config = ConfigDict(
        alias_generator=to_camel,
        validate_by_name=True,
        validate_by_alias=True,
        serialize_by_alias=True,
        from_attributes=True,
        frozen=True,
    )


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


class SourceFreshness(ApiModel):
    """How old the newest data of a source are; null where it has shown none yet."""

    source: str
    kind: Kind
    newest_data: datetime | None
    age_seconds: float | None
    max_age_seconds: float
    last_due: datetime = Field(description="the last scheduled time, half an hour of collecting allowed")
    stale: bool | None = Field(description="older than maxAgeSeconds at lastDue")
    disabled: str | None = Field(description="why nothing is collected with the present settings")
    public: bool = Field(description="whether raw values are shown without the admin token")
    attribution: str


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


class StationFlag(ApiModel):
    """Values of a station's sensor that are suspect; they stay stored."""

    parameter: Parameter
    reason: str = Field(
        description="zero_direction, stopped, stuck_vane, frozen_temperature, drift, excluded_by_operator"
    )
    since: datetime
    until: datetime | None = Field(description="the first moment after it; null: without an end")
    excluded: bool = Field(description="from the scores; false: a question for the operator")
    sites: list[str] = Field(description="whose scores it is about")
    text: str


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


class WithheldSource(ApiModel):
    """A source whose values are left out of an answer, and why."""

    source: str
    reason: str


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


ReasonCode = Literal[
    "store_unreachable",
    "store_damaged",
    "scheduler_dead",
    "run_cannot_begin",
    "job_failing",
    "source_silent",
    "data_stale",
    "disk_low",
    "disk_full",
    "sites_file_broken",
    "clock_off",
]


class StateReason(ApiModel):
    """One reason why the service is not well. docs/operations.md has a section for each `code`."""

    code: ReasonCode
    sentence: str
    since: datetime | None = Field(description="null where it is unknown")
    what_to_do: str


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
