"""What each public model announces for a local day at a site, and how its last runs changed it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Sequence
from datetime import date, datetime

from pydantic import Field

from backend.answers.attribution import forecast_attribution
from backend.answers.base import ApiModel
from backend.answers.service import ReadingParts
from backend.answers.withholding import Withholding
from backend.core.clock import PARIS
from backend.core.local_time import day_number, local_moment
from backend.core.parameters import Parameter
from backend.core.records import Site
from backend.core.registry import MODELS, THREE_HOUR_GUST_MODELS
from backend.scoring.names import model_name
from backend.scoring.views import EVENING_BEFORE, MORNING, TWO_EVENINGS_BEFORE, DecisionView
from backend.storage import announced as store
from backend.storage.announced import AnnouncedValue
from backend.storage.database import from_epoch

VIEWS: tuple[DecisionView, ...] = (MORNING, EVENING_BEFORE, TWO_EVENINGS_BEFORE)
"""The stored view whose lead is the one of an announcement for today, tomorrow and the day after."""

LAST_RUNS = 4
"""Number of runs that are compared for an hour."""


def view_of(days_ahead: int, now: datetime) -> DecisionView:
    """Return the view whose past days are like an announcement that is read now for a coming day.

    After midnight, today's forecast is still the one of the evening before: the view of the morning has runs
    that came in the night, which no pilot has yet.
    """
    if days_ahead == 0 and now.astimezone(PARIS).hour < MORNING.hour:
        return EVENING_BEFORE
    return VIEWS[days_ahead]


class RunValue(ApiModel):
    """A value in the parameter's unit (km/h, degrees, °C), and the run that it comes from."""

    value: float
    reference_time: datetime = Field(description="start of the run")
    available_at: datetime
    published: bool = Field(description="false: `availableAt` is not stated by the publisher")
    age_seconds: float = Field(description="since the start of the run")


class AnnouncedHour(ApiModel):
    """The values of an hour, each from the newest run that has it; null if no run has one."""

    hour: int = Field(description="o'clock of the local day")
    valid_time: datetime
    wind_speed: RunValue | None = None
    wind_gust: RunValue | None = None
    wind_direction: RunValue | None = None
    temperature: RunValue | None = None


class AnnouncedModel(ApiModel):
    """What a public model announces: the hours of the question for which it has any value."""

    model: str
    name: str
    attribution: str | None = Field(description="null for an imported model")
    gust_hours: int = Field(description="a gust is the highest of the last so many hours")
    newest_run: datetime = Field(description="start of the newest run among the values")
    age_seconds: float = Field(description="since the start of that run")
    hours: list[AnnouncedHour]


class UnshownModel(ApiModel):
    """A collected model whose raw values are not public. Its publisher shows them."""

    model: str
    name: str
    source: str
    attribution: str


class AnnouncedDay(ApiModel):
    """What the public models announce for a local day at a site, in the order of the registry."""

    site: str
    day: date
    models: list[AnnouncedModel]
    withheld: list[UnshownModel]
    generated_at: datetime


class HourOfRun(ApiModel):
    """What one run announces for an hour; null if it has no such value."""

    reference_time: datetime
    available_at: datetime
    age_seconds: float
    wind_speed: float | None = None
    wind_gust: float | None = None
    wind_direction: float | None = None
    temperature: float | None = None


class RunsOfModel(ApiModel):
    """The last runs of a model for an hour, newest first."""

    model: str
    name: str
    runs: list[HourOfRun]


def announced_days(
    service: ReadingParts,
    sites: Collection[Site],
    day: date,
    withheld: Withholding,
    *,
    hours: Sequence[int] = range(24),
) -> dict[str, AnnouncedDay]:
    """Return what the public models announce for a local day, by site id. One query for all sites.

    Raises StoreUnavailableError.
    """
    now = service.clock()
    time_of = {hour: from_epoch(local_moment(day_number(day), hour)) for hour in hours}
    newest: dict[tuple[str, str], dict[datetime, dict[Parameter, AnnouncedValue]]] = {}
    for value in store.announced_values(
        service.database,
        [site.id for site in sites],
        # On the day on which the clocks go forward, two hours of the clock are the same moment.
        sorted(set(time_of.values())),
        now,
        models_withheld=withheld.models,
        only_newest=True,
    ):
        of_time = newest.setdefault((value.site, value.model), {}).setdefault(value.valid_time, {})
        of_time[value.parameter] = value

    def announced_hour(hour: int, values: dict[Parameter, AnnouncedValue]) -> AnnouncedHour:
        return AnnouncedHour(
            hour=hour,
            valid_time=time_of[hour],
            **{parameter.value: _run_value(value, now) for parameter, value in values.items()},
        )

    def announced_model(
        model: str, of_model: dict[datetime, dict[Parameter, AnnouncedValue]]
    ) -> AnnouncedModel:
        newest_run = max(value.reference_time for of_time in of_model.values() for value in of_time.values())
        return AnnouncedModel(
            model=model,
            name=model_name(model),
            attribution=next(iter(forecast_attribution(service, {model})), None),
            gust_hours=3 if model in THREE_HOUR_GUST_MODELS else 1,
            newest_run=newest_run,
            age_seconds=(now - newest_run).total_seconds(),
            hours=[
                announced_hour(hour, of_model[time]) for hour, time in time_of.items() if time in of_model
            ],
        )

    unshown = unshown_models(service, withheld)
    by_site: defaultdict[str, list[AnnouncedModel]] = defaultdict(list)
    for (site, model), of_model in sorted(newest.items(), key=lambda item: in_fixed_order(item[0][1])):
        by_site[site].append(announced_model(model, of_model))
    return {
        site.id: AnnouncedDay(
            site=site.id, day=day, models=by_site[site.id], withheld=unshown, generated_at=service.clock()
        )
        for site in sites
    }


def announced_day(
    service: ReadingParts,
    site: Site,
    day: date,
    withheld: Withholding,
    *,
    hours: Sequence[int] = range(24),
) -> AnnouncedDay:
    """Return what the public models announce for a local day at one site."""
    return announced_days(service, [site], day, withheld, hours=hours)[site.id]


def last_runs(
    service: ReadingParts, site: Site, day: date, hour: int, withheld: Withholding, *, most: int = LAST_RUNS
) -> list[RunsOfModel]:
    """Return what the last runs of each public model announce for an hour of a local day."""
    now = service.clock()
    time = from_epoch(local_moment(day_number(day), hour))
    of_models: dict[str, dict[datetime, list[AnnouncedValue]]] = {}
    for value in store.announced_values(
        service.database, [site.id], [time], now, models_withheld=withheld.models
    ):
        of_models.setdefault(value.model, {}).setdefault(value.reference_time, []).append(value)
    return [
        RunsOfModel(
            model=model,
            name=model_name(model),
            runs=[
                HourOfRun(
                    reference_time=run,
                    available_at=max(value.available_at for value in values),
                    age_seconds=(now - run).total_seconds(),
                    **{value.parameter.value: value.value for value in values},
                )
                for run, values in list(runs.items())[:most]
            ],
        )
        for model, runs in sorted(of_models.items(), key=lambda item: in_fixed_order(item[0]))
    ]


def unshown_models(service: ReadingParts, withheld: Withholding) -> list[UnshownModel]:
    """Return the collected models whose raw values are withheld, for links to their publishers."""
    return [
        UnshownModel(model=model, name=model_name(model), source=source.name, attribution=source.attribution)
        for model, source in service.sources.of_models().items()
        if model in withheld.models
    ]


def data_version(service: ReadingParts) -> tuple[int, int, int]:
    """Return numbers that change with each new batch and score day, as a part of cached pages."""
    return store.data_version(service.database)


def in_fixed_order(model: str) -> tuple[int, str]:
    """Return the key of a model in the order of the registry; imported models come last, by name."""
    names = list(MODELS)
    return (names.index(model) if model in MODELS else len(names), model)


def _run_value(value: AnnouncedValue, now: datetime) -> RunValue:
    return RunValue(
        value=value.value,
        reference_time=value.reference_time,
        available_at=value.available_at,
        published=value.published,
        age_seconds=(now - value.reference_time).total_seconds(),
    )
