"""The state of the service as metrics of Prometheus, built from the store at each request.

Every series exists from the first start, for every job, source and reason, so that a rule can distinguish a
source that never delivered from one that is not collected. A timestamp of 0 means never.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import datetime
from typing import Any, cast, get_args

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.exposition import generate_latest

from backend import __version__
from backend.answers.operation import store_growth
from backend.answers.readiness import ReasonCode, is_blocking, reasons, take_snapshot
from backend.answers.service import ServiceParts
from backend.core.errors import ConfigError, StoreUnavailableError
from backend.core.records import RunStatus, SourceStatus
from backend.scheduler.config import ALL_JOBS, JOBS
from backend.storage.alerts import AlertStore
from backend.storage.totals import COUNTED, RunTotals

_PREFIX = "meteo_score"

_SOURCE_COUNTERS = {
    "collected": ("values_collected", "values that a source delivered, repeated ones included"),
    "stored": ("values_stored", "values that were new and stored"),
    "rejected": ("values_rejected", "values that were rejected"),
    "failed": ("requests_failed", "requests without a usable answer"),
    "requests": ("requests", "requests to the source"),
    "bytes": ("received_bytes", "bytes received from the source"),
}


class ServiceMetrics:
    """Collector of Prometheus for one service."""

    def __init__(self, service: ServiceParts) -> None:
        self._service = service
        self._totals = RunTotals(service.database)

    def text(self) -> bytes:
        """Return the metrics in the text format 0.0.4. Blocks for some queries."""
        return generate_latest(cast(Any, self))  # of a registry it uses collect() alone

    def collect(self) -> Iterable[Metric]:
        """Return all metrics. Without the store, those of the service alone."""
        yield from self._of_the_service()
        try:
            found = [*self._of_jobs_and_sources(), *self._of_the_store()]
        except (StoreUnavailableError, ConfigError):
            return  # meteo_score_ready and its reason show it
        yield from found

    def _of_the_service(self) -> Iterator[Metric]:
        snapshot = take_snapshot(self._service)
        found = reasons(snapshot)
        yield _gauge("info", "the version of the program", {("version", __version__): 1})
        ready = not any(is_blocking(reason) for reason in found)
        yield _gauge("ready", "1: the service can do its work", {(): int(ready)})
        active = {reason.code for reason in found}
        yield _gauge(
            "reason",
            "1: the service is degraded or not ready for this reason (docs/operations.md)",
            {("code", code): int(code in active) for code in get_args(ReasonCode)},
        )
        yield _gauge(
            "disk_free_bytes",
            "free bytes on the disk of a part of the service",
            {("disk", disk.role): disk.free for disk in snapshot.disks},
        )
        if snapshot.store == "reachable":
            yield _gauge(
                "backup_timestamp_seconds",
                "time of the newest backup; 0: none yet",
                {(): _seconds(snapshot.backed_up_at)},
            )
            yield _gauge(
                "source_newest_data_timestamp_seconds",
                "time of the newest data of a source; 0: none yet",
                {
                    ("source", age.source): _seconds(age.newest_data)
                    for age in snapshot.freshness
                    if age.disabled is None
                },
            )
            yield _gauge(
                "source_max_age_seconds",
                "age of its newest data, at a collection, from which a source is stale",
                {
                    ("source", age.source): age.max_age_seconds
                    for age in snapshot.freshness
                    if age.disabled is None
                },
            )
        yield _gauge(
            "store_checked_timestamp_seconds",
            "time of the last check of the store by this process; 0: none yet",
            {(): _seconds(self._service.database.checked_at)},
        )

    def _of_jobs_and_sources(self) -> Iterator[Metric]:
        totals = self._totals.read(self._service.clock())
        # Not "job": Prometheus sets that label itself, and would rename ours, so that no rule finds it.
        runs = CounterMetricFamily(
            f"{_PREFIX}_runs", "runs of a job by their outcome", labels=["scheduler_job", "status"]
        )
        ended = GaugeMetricFamily(
            f"{_PREFIX}_run_end_timestamp_seconds",
            "end of the last run of a job with this outcome; 0: none yet",
            labels=["scheduler_job", "status"],
        )
        for job in ALL_JOBS:
            for status in get_args(RunStatus):
                runs.add_metric([job, status], totals.runs[job, status])
                if status not in {"running", "missed"}:  # these have no end
                    ended.add_metric([job, status], totals.last_end.get((job, status), 0))
        yield runs
        yield ended
        names = [
            source.name for job in JOBS for source in self._service.sources.of(job) if source.disabled is None
        ]
        parts = CounterMetricFamily(
            f"{_PREFIX}_source_runs", "runs of a source by its outcome", labels=["source", "status"]
        )
        for name in names:
            for outcome in get_args(SourceStatus):
                parts.add_metric([name, outcome], totals.parts[name, outcome])
        yield parts
        yield _gauge(
            "source_answer_timestamp_seconds",
            "end of the last run in which a source answered; 0: none yet",
            {("source", name): totals.last_answer.get(name, 0) for name in names},
        )
        for column in COUNTED:
            name, help_text = _SOURCE_COUNTERS[column]
            counter = CounterMetricFamily(f"{_PREFIX}_source_{name}", help_text, labels=["source"])
            for source in names:
                counter.add_metric([source], totals.values[source, column])
            yield counter

    def _of_the_store(self) -> Iterator[Metric]:
        growth = store_growth(self._service)
        if growth.bytes is not None:
            yield _gauge("store_bytes", "size of the store", {(): growth.bytes})
        newest = self._service.reading.newest_readings(
            sorted({station for site in self._service.sites() for station in site.stations})
        )
        yield _gauge(
            "station_newest_reading_timestamp_seconds",
            "time of the newest reading of a station of a site; 0: none yet",
            {("station", code): _seconds(last) for code, last in newest.items()},
        )
        alerts = AlertStore(self._service.database).open_alerts()
        yield _gauge("open_alerts", "problems that were reported and are not over", {(): len(alerts)})


def _gauge(name: str, help_text: str, values: dict[tuple[str, str] | tuple[()], float]) -> Metric:
    labels = next((key[:1] for key in values if key), ())
    gauge = GaugeMetricFamily(f"{_PREFIX}_{name}", help_text, labels=list(labels))
    for key, value in values.items():
        gauge.add_metric(list(key[1:]), value)
    return gauge


def _seconds(moment: datetime | None) -> float:
    return 0 if moment is None else moment.timestamp()
