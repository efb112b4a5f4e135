"""The sources of this service: publisher, licence, what is shown of them, and how new their data are."""

from __future__ import annotations

from datetime import datetime, timedelta

from pydantic import Field

from backend.answers.base import ApiModel
from backend.answers.freshness import Kind, freshness
from backend.answers.models import ModelRuns, models_with_runs
from backend.answers.service import ServiceParts
from backend.answers.withholding import withheld_from_public
from backend.core.registry import MODELS, SOURCES
from backend.scheduler.config import FORECASTS, OBSERVATIONS, JobId
from backend.scoring.names import model_name


class SourceModel(ApiModel):
    """A model of a source; `newestRun` is null without a stored run."""

    model: str
    name: str
    run_hours: list[int] = Field(description="UTC; empty if unknown")
    newest_run: datetime | None
    age_seconds: float | None = Field(description="since the start of that run")
    runs: int = Field(description="number of stored runs")


class DataSource(ApiModel):
    """A source: what its publisher requires and allows, and whether this service collects it."""

    source: str
    name: str
    kind: Kind
    attribution: str
    licence: str | None = Field(description="null without a published licence")
    website: str | None
    public: bool = Field(description="whether single values are shown, besides the scores")
    collected: bool
    disabled: str | None = Field(description="why a source that is turned on is not collected")
    models: list[SourceModel]
    newest_data: datetime | None
    age_seconds: float | None
    stale: bool | None


class CollectionTimes(ApiModel):
    """When a kind of data is collected: the times of the next 24 hours."""

    kind: Kind
    times: list[datetime]


class DataSourcesAnswer(ApiModel):
    """Every source that this version knows, the collected ones first, and how to reach the operator."""

    sources: list[DataSource]
    newest_own_decision: datetime | None = Field(
        description="newest decision of our own forecast; null: none issued"
    )
    unknown_licences: list[str] = Field(description="imported models and networks: only scores are shown")
    schedule: list[CollectionTimes]
    contact: str | None
    generated_at: datetime


def data_sources_answer(service: ServiceParts) -> DataSourcesAnswer:
    """Return the sources with their terms and the age of their data. Raises StoreUnavailableError."""
    listed = {source.name: source for source in service.sources.every()}
    ages = {entry.source: entry for entry in freshness(service, service.ledger.newest_data())}
    runs = {entry.name: entry for entry in models_with_runs(service, MODELS)}
    now = service.clock()
    sources = []
    for info in SOURCES:
        source, age = listed.get(info.name), ages.get(info.name)
        if source is None:  # tests list fewer sources
            continue
        collected = source.opted_in and age is not None and age.disabled is None
        names = source.models if source.opted_in else tuple(model.name for model in info.models)
        sources.append(
            DataSource(
                source=info.name,
                name=info.display_name,
                kind="forecasts" if info.models else "observations",
                attribution=source.attribution,
                licence=info.licence or None,
                website=info.website or None,
                public=source.public,
                collected=collected,
                disabled=age.disabled if age is not None else None,
                models=[_model(runs[name], now) for name in names],
                newest_data=age.newest_data if age is not None else None,
                age_seconds=age.age_seconds if age is not None else None,
                stale=age.stale if age is not None else None,
            )
        )
    return DataSourcesAnswer(
        sources=sorted(sources, key=lambda source: not source.collected),
        newest_own_decision=service.reading.newest_decision(),
        unknown_licences=sorted(withheld_from_public(service).imported),
        schedule=[_times(service, job, now) for job in (FORECASTS, OBSERVATIONS)],
        contact=service.settings.contact or None,
        generated_at=now,
    )


def _times(service: ServiceParts, job: JobId, now: datetime) -> CollectionTimes:
    slots = (
        service.config.slots(job, now, now + timedelta(hours=24)) if service.config.scheduler_enabled else ()
    )
    return CollectionTimes(kind="forecasts" if job == FORECASTS else "observations", times=list(slots))


def _model(stored: ModelRuns, now: datetime) -> SourceModel:
    newest = stored.newest_run
    return SourceModel(
        model=stored.name,
        name=model_name(stored.name),
        run_hours=list(MODELS[stored.name].run_hours),
        newest_run=newest,
        age_seconds=None if newest is None else max((now - newest).total_seconds(), 0),
        runs=stored.runs,
    )
