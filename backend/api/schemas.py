"""Answers as JSON: names in camelCase, times as ISO 8601 in UTC, null means unknown."""

from __future__ import annotations

from datetime import datetime
from typing import Literal

from pydantic import Field, computed_field

from backend.answers.base import ApiModel, WithheldSource
from backend.answers.completeness import SourceCompleteness
from backend.answers.freshness import SourceFreshness
from backend.answers.readiness import StateReason
from backend.answers.record_head import RecordHead
from backend.answers.station_flags import StationFlag
from backend.core.parameters import RULES, Parameter
from backend.core.records import RunStatus, SourceStatus
from backend.scheduler.config import JobId

Trigger = Literal["schedule", "catch_up", "api", "cli", "backfill"]


# --- Runs and their sources --------------------------------------------------------------------------


class RequestFailure(ApiModel):
    """One failed request or unusable payload. The address never contains a key."""

    route: str
    url: str
    reason: str
    error: str
    traceback: str | None = Field(description="of an unexpected error; only with the admin token")


class SourceOutcome(ApiModel):
    """The outcome of one source in a run. `failures` has the first of `failedRequests`."""

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
    newest_data: datetime | None = Field(
        description="time of the source's newest value, stored before or not"
    )


class RunError(ApiModel):
    """An error in a run; `source` is null if it concerns the run as a whole."""

    source: str | None
    reason: str
    error: str | None = None
    route: str | None = None
    url: str | None = None


class CollectionRun(ApiModel):
    """One execution of a job. Counts are null until the run ends."""

    run_id: int
    job: JobId
    trigger: Trigger
    scheduled_time: datetime | None = Field(description="null for a run started by hand")
    start_time: datetime | None
    end_time: datetime | None
    duration_seconds: float | None
    status: RunStatus
    attempt: int
    note: str | None
    records_collected: int | None
    records_stored: int | None = Field(description="new values, and values by a better route")
    records_rejected: int | None = Field(description="implausible values, stored apart with the reason")
    errors: list[RunError]
    sources: list[SourceOutcome]


class RunPage(ApiModel):
    """Runs, newest first; `next` is the cursor of the page after this one."""

    runs: list[CollectionRun]
    next: str | None


class StartedRun(ApiModel):
    """A run that was started by hand."""

    run_id: int
    job: JobId
    status: Literal["running"] = "running"


# --- The schedule ------------------------------------------------------------------------------------


class BlockedRun(ApiModel):
    """A run that cannot start because it cannot be written to the store; no list of runs contains it."""

    job: JobId
    scheduled_time: datetime | None = Field(description="null if the ledger is unreadable")
    since: datetime


class MovedStation(ApiModel):
    """A station that moved. The site's scores do not use its readings from the new place until confirmed."""

    site: str
    station: str
    since: datetime
    metres: float = Field(description="between the two positions")
    name_before: str | None
    name_after: str | None
    route: str = Field(description="the route with the new position")


class ServiceInstance(ApiModel):
    """A process of the service. Its host and number are on the operator's page only."""

    id: int
    role: str
    version: str
    started_at: datetime
    heartbeat_at: datetime
    heartbeat_age_seconds: int
    stopped_at: datetime | None
    state: Literal["alive", "stopped", "dead"] = Field(
        description="dead: no heartbeat for three intervals, or its end was seen on its machine"
    )


class SchedulerStatus(ApiModel):
    """The last runs, the current runs, and the age of each source's data."""

    running: bool = Field(description="whether the schedule runs in this process")
    enabled: bool = Field(description="SCHEDULER_ENABLED")
    last_forecast_collection: CollectionRun | None
    last_observation_collection: CollectionRun | None
    last_issuing: CollectionRun | None = Field(description="of the corrected forecasts")
    record: RecordHead | None = Field(description="of the issued forecasts; null before the first ones")
    current: list[CollectionRun]
    instances: list[ServiceInstance] = Field(
        description="the processes on this store, also those that ended in the last seven days"
    )
    blocked: list[BlockedRun] = Field(description="runs that cannot start, as known to this process")
    freshness: list[SourceFreshness]
    moved_stations: list[MovedStation] = Field(
        description="moved stations of sites, until `sites confirm-station` or a change of the site's list"
    )


class ScheduledJob(ApiModel):
    """A job and its next scheduled times."""

    id: JobId
    name: str
    trigger: str = Field(description="a crontab line, in the zone of triggerText")
    trigger_text: str
    next_run_time: datetime | None = Field(description="null if paused, or if the scheduler does not run")
    next_run_times: list[datetime] = Field(
        description="the next five times of the schedule; they have no effect while nextRunTime is null"
    )
    paused: bool
    paused_by: str | None
    paused_at: datetime | None


class JobList(ApiModel):
    """The jobs of the service."""

    jobs: list[ScheduledJob]


# --- The state of the operation ----------------------------------------------------------------------


class CompletenessPage(ApiModel):
    """What was received of what is expected, by source, site and local day. It has counts and no values."""

    sources: list[SourceCompleteness] = Field(description="one entry for each model, and for each network")
    next: str | None = Field(description="cursor of the sites after these; null on the last page")


class RejectedValues(ApiModel):
    """Values of a source that were rejected for the same reason, with the last one as it was received."""

    source: str
    reason: str
    count: int
    subject: str = Field(description="the station or site of the last one")
    parameter: str | None
    raw: str = Field(description="the last one, secrets masked")
    last: datetime = Field(description="when the last one was collected")


class FlaggedReadings(ApiModel):
    """Readings of a station with the same flag of the quality control: stored, and in no score."""

    site: str
    station: str
    parameter: Parameter
    reason: str
    count: int
    last: datetime = Field(description="time of the newest")


class ValuesSetAside(ApiModel):
    """Values of the last days that enter no score, most frequent first."""

    since: datetime
    rejected: list[RejectedValues]
    flagged: list[FlaggedReadings]


class SettingsInForce(ApiModel):
    """The settings by their names in the environment, as they would be written there."""

    settings: dict[str, str] = Field(description="secrets and passwords are masked")


# --- Sites, stations and models ----------------------------------------------------------------------


class SiteEntry(ApiModel):
    """A flying site: its take-off, in degrees (WGS 84) and metres above sea level."""

    id: str
    name: str
    latitude: float
    longitude: float
    elevation: float
    orientation: list[str]
    stations: list[str] = Field(description="its stations, the reference station first")
    without: list[str] = Field(description="networks without a station here")
    valid_from: datetime | None
    collected: bool = Field(description="whether a collection has included it yet")
    moved_stations: list[str] = Field(
        description="moved stations: the scores do not use their readings from the new place until confirmed"
    )


class SiteList(ApiModel):
    """Every configured site."""

    sites: list[SiteEntry]


class StationEntry(ApiModel):
    """A station, in degrees (WGS 84) and metres; null if the network does not publish it."""

    id: str
    network: str
    name: str | None
    latitude: float | None
    longitude: float | None
    elevation: float | None
    kind: str | None
    remarks: str | None
    sites: list[str] = Field(description="the sites that list it")
    flags: list[StationFlag] = Field(description="suspect periods of its sensors; the values stay stored")
    moved_at: datetime | None = Field(description="start at its current position; null if it never moved")
    not_counted_for: list[str] = Field(
        description="sites whose scores do not use its readings since a move that is not confirmed"
    )


class StationPage(ApiModel):
    """Stations by id; `next` is the cursor of the page after this one."""

    stations: list[StationEntry]
    next: str | None


class ModelEntry(ApiModel):
    """A weather model; `newestRun` is null and `runs` 0 before the first stored run."""

    name: str
    source: str | None = Field(description="null for a model that is no longer collected")
    newest_run: datetime | None
    runs: int


class ModelList(ApiModel):
    """Every model that is collected or has stored runs."""

    models: list[ModelEntry]


# --- Values ------------------------------------------------------------------------------------------


class ForecastValue(ApiModel):
    """A model's forecast of a parameter at a site and a time."""

    site: str
    model: str
    parameter: Parameter
    value: float
    reference_time: datetime = Field(description="start of the run")
    valid_time: datetime = Field(description="the moment that the forecast is for")
    lead_minutes: int
    route: str
    available_at: datetime
    available_at_published: bool = Field(
        description="false: the publisher gives no time; availableAt is when the service first found the run"
    )
    collected_at: datetime

    @computed_field  # type: ignore[prop-decorator]
    @property
    def unit(self) -> str:
        """Return the unit of the value."""
        return RULES[self.parameter].unit


class ObservationValue(ApiModel):
    """A station's observation; null where the network does not publish how it was measured."""

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
    """Forecasts, ordered by site, valid time, model and run."""

    forecasts: list[ForecastValue]
    next: str | None = Field(description="the cursor of the page after this one; null on the last")
    withheld: list[WithheldSource]
    attribution: list[str]


class ObservationPage(ApiModel):
    """Observations, ordered by station and time."""

    observations: list[ObservationValue]
    next: str | None = Field(description="the cursor of the page after this one; null on the last")
    withheld: list[WithheldSource]
    attribution: list[str]


# --- The process -------------------------------------------------------------------------------------


class Health(ApiModel):
    """The process is up."""

    status: Literal["ok"] = "ok"
    version: str


class Readiness(ApiModel):
    """The database answers, and the schedule runs or is off by setting; `reasons` if it is degraded."""

    status: Literal["ready", "degraded"]
    store: Literal["reachable"] = "reachable"
    scheduler: Literal["running", "off"]
    reasons: list[StateReason] = Field(description="why the status is degraded; empty if it is ready")
    freshness: list[SourceFreshness]
