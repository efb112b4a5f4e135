"""A day to come at a site: what the public models announce, and what the beacon read when they did so."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date, datetime, timedelta

import numpy as np
from pydantic import Field

from backend.answers.announced import (
    AnnouncedDay,
    AnnouncedHour,
    RunsOfModel,
    announced_day,
    last_runs,
    view_of,
)
from backend.answers.attribution import network_attribution
from backend.answers.base import ApiModel
from backend.answers.beacon_place import BeaconPlace, beacon_place
from backend.answers.freshness import freshness, is_stale
from backend.answers.question import Question, load, make_question
from backend.answers.scores import scores_answer
from backend.answers.service import ReadingParts, ServiceParts
from backend.answers.shapes import Ends
from backend.answers.shown_station import shown_question, shown_station
from backend.answers.site_records import judged_sites
from backend.answers.trust import Trust, trusted
from backend.answers.withholding import Withholding
from backend.core.clock import PARIS
from backend.core.local_time import date_of, local_day
from backend.core.parameters import ABSENT, Parameter
from backend.core.records import Site, network_of
from backend.core.registry import SOURCES
from backend.scoring.constants import STRATUM_DAYS
from backend.scoring.grid import SCALE, Hours, thousandths
from backend.scoring.metrics.events import in_any_sector, sectors_of
from backend.scoring.questions.bias import given_winds
from backend.scoring.sample.wind_groups import ConditionalQuantiles

HOURS = range(9, 21)
"""The hours of the local clock that the page of a site shows."""


class GivenWind(ApiModel):
    """What the beacon read in flying hours when the model announced a wind of the same class, in km/h.

    The quantiles are null with too few days.
    """

    low: float | None = Field(description="the class is from `low` to below `high`; null: no end")
    high: float | None
    n_days: int
    n_hours: int
    shown: bool
    p10: float | None
    p90: float | None
    days_above: int | None = Field(description="days on which an hour of them was above the limit")


class ComingHour(ApiModel):
    """An hour of the day; null or absent where nothing is announced. `gust` and `direction` of one model."""

    hour: int
    winds: dict[str, float] = Field(description="mean wind in km/h, by model")
    gust: float | None
    direction: float | None
    observed: float | None = Field(description="what the beacon read so far, in km/h")
    on_slope: bool | None = Field(description="whether the direction is in a sector of the take-off")
    given: GivenWind | None = Field(
        description="for the wind of the trusted model; null outside flying hours"
    )


class ComingModel(ApiModel):
    """A model with values for the day."""

    model: str
    name: str
    newest_run: datetime
    age_seconds: float
    stale: bool = Field(description="older than the newest run of a source that works")
    attribution: str | None


class Headline(ApiModel):
    """The strongest announced wind of the flying hours that are left, by the trusted model."""

    hour: int
    wind: float
    given: GivenWind | None
    runs: list[RunsOfModel] = Field(description="the last runs of each public model for this hour")


class StrongestGust(ApiModel):
    """The strongest announced gust of the same hours."""

    hour: int
    gust: float
    name: str = Field(description="of the model")


class UnshownReading(ApiModel):
    """A model that may not be shown, and how to read it: its mean error, rounded, in published months."""

    model: str
    name: str
    website: str | None
    mean_error: float | None = Field(description="km/h; positive: it announces too much")
    interval: Ends | None
    first_day: date | None
    last_day: date | None


class ComingDay(ApiModel):
    """What is announced for a day from today to the day after tomorrow."""

    site: str
    day: date
    days_ahead: int
    view: str = Field(description="the stored view with the same lead, for the figures of past days")
    limit: float
    station: BeaconPlace | None = Field(description="null if the site has no station with public values")
    station_withheld: str | None
    trust: Trust | None = Field(description="null if no public model has values for the day")
    hours: list[ComingHour]
    models: list[ComingModel]
    over: bool = Field(description="no flying hour of the day is left")
    headline: Headline | None
    gust: StrongestGust | None
    unshown: list[UnshownReading]
    attribution: list[str]


def coming_day(
    service: ServiceParts,
    site: Site,
    day: date,
    withheld: Withholding,
    *,
    wind_limit: float,
    gust_limit: float,
) -> ComingDay:
    """Return what is announced for a day, which is today or one of the two days after; limits in km/h."""
    now = service.clock()
    today = date_of(local_day(now))
    ahead = (day - today).days
    view = view_of(ahead, now)
    announced = announced_day(service, site, day, withheld, hours=HOURS)
    judgement = judged_sites(
        service, [site], view, withheld, wind_limit=wind_limit, gust_limit=gust_limit
    )[site.id]  # fmt: skip
    first, last = Hours.FLYING.ends
    trust = trusted(judgement, announced.models, range(first, last + 1))
    code, reference = shown_station(site, today, withheld), site.reference_on(today)
    asked = shown_question(
        service, make_question(service, site, view=view, last=today), withheld, only_public=True
    )
    classes: tuple[ConditionalQuantiles, ...] = ()
    observed: dict[int, float] = {}
    place = None
    if code is not None:
        sample = load(service, asked)
        place = beacon_place(site, sample.stations[code].station, reference)
        if trust is not None and not asked.public and trust.wind.model in sample.forecasts:
            classes = given_winds(sample, trust.wind.model, wind_limit)
        if not ahead and not asked.public:
            measured = sample.measured[Parameter.WIND_SPEED][-1]
            observed = {
                int(sample.clock[-1, column]): int(measured[column]) / SCALE
                for column in np.flatnonzero(measured != ABSENT).tolist()
            }
    hours = _hours(site, announced, trust, classes, observed)
    left = [
        hour
        for hour in hours
        if first <= hour.hour <= last and (ahead or hour.hour >= now.astimezone(PARIS).hour)
    ]
    return ComingDay(
        site=site.id,
        day=day,
        days_ahead=ahead,
        view=view.name,
        limit=wind_limit,
        station=place,
        station_withheld=reference
        if reference is not None and network_of(reference) in withheld.networks
        else None,
        trust=trust,
        hours=hours,
        models=_models(service, announced),
        over=not left,
        headline=_headline(service, site, day, withheld, trust, left),
        gust=_strongest_gust(trust, left),
        unshown=_unshown(service, announced, make_question(service, site, view=view), withheld),
        attribution=[
            *dict.fromkeys(model.attribution for model in announced.models if model.attribution),
            *network_attribution(service, set() if code is None else {network_of(code)}),
        ],
    )


def _models(service: ServiceParts, announced: AnnouncedDay) -> list[ComingModel]:
    source_of = {model: source.name for model, source in service.sources.of_every_model().items()}
    sources = {each.source: each for each in freshness(service, service.ledger.newest_data())}
    models = []
    for model in announced.models:
        known = sources.get(source_of.get(model.model, ""))
        models.append(
            ComingModel(
                model=model.model,
                name=model.name,
                newest_run=model.newest_run,
                age_seconds=model.age_seconds,
                stale=known is not None
                and is_stale(model.newest_run, known.last_due, timedelta(seconds=known.max_age_seconds)),
                attribution=model.attribution,
            )
        )
    return models


def _hours(
    site: Site,
    announced: AnnouncedDay,
    trust: Trust | None,
    classes: Sequence[ConditionalQuantiles],
    observed: Mapping[int, float],
) -> list[ComingHour]:
    by_model = {model.model: {hour.hour: hour for hour in model.hours} for model in announced.models}
    of_wind: Mapping[int, AnnouncedHour] = {} if trust is None else by_model[trust.wind.model]
    of_gust = {} if trust is None or trust.gust is None else by_model[trust.gust.model]
    first, last = Hours.FLYING.ends
    hours = []
    for hour in HOURS:
        shown, gusty = of_wind.get(hour), of_gust.get(hour)
        wind = None if shown is None or shown.wind_speed is None else shown.wind_speed.value
        direction = None if shown is None or shown.wind_direction is None else shown.wind_direction.value
        hours.append(
            ComingHour(
                hour=hour,
                winds={
                    model: entry.wind_speed.value
                    for model, entries in by_model.items()
                    if (entry := entries.get(hour)) is not None and entry.wind_speed is not None
                },
                gust=None if gusty is None or gusty.wind_gust is None else gusty.wind_gust.value,
                direction=direction,
                observed=observed.get(hour),
                on_slope=None if direction is None else _on_slope(site, direction),
                given=_given(classes, wind) if wind is not None and first <= hour <= last else None,
            )
        )
    return hours


def _on_slope(site: Site, direction: float) -> bool:
    degrees = np.array([thousandths(direction)], np.int32)
    return bool(in_any_sector(degrees, sectors_of(site.orientation)).yes[0])


def _given(classes: Sequence[ConditionalQuantiles], wind: float) -> GivenWind | None:
    """Return the class of a wind; None if such a wind was not announced before."""
    for found in classes:
        if (found.low is None or wind >= found.low) and (found.high is None or wind < found.high):
            shown = found.days >= STRATUM_DAYS.value
            return GivenWind(
                low=found.low,
                high=found.high,
                n_days=found.days,
                n_hours=found.n,
                shown=shown,
                p10=found.p10 if shown else None,
                p90=found.p90 if shown else None,
                days_above=found.days_above if shown else None,
            )
    return None


def _headline(
    service: ReadingParts,
    site: Site,
    day: date,
    withheld: Withholding,
    trust: Trust | None,
    hours: Sequence[ComingHour],
) -> Headline | None:
    if trust is None:
        return None
    model = trust.wind.model
    strongest = max(
        (hour for hour in hours if model in hour.winds), key=lambda hour: hour.winds[model], default=None
    )
    if strongest is None:
        return None
    return Headline(
        hour=strongest.hour,
        wind=strongest.winds[model],
        given=strongest.given,
        runs=last_runs(service, site, day, strongest.hour, withheld),
    )


def _strongest_gust(trust: Trust | None, hours: Sequence[ComingHour]) -> StrongestGust | None:
    if trust is None or trust.gust is None:
        return None
    gusts = [(hour.gust, hour.hour) for hour in hours if hour.gust is not None]
    if not gusts:
        return None
    gust, hour = max(gusts, key=lambda each: each[0])
    return StrongestGust(hour=hour, gust=gust, name=trust.gust.name)


def _unshown(
    service: ReadingParts, announced: AnnouncedDay, question: Question, withheld: Withholding
) -> list[UnshownReading]:
    """Return how to read the models that may not be shown, by the scores that may."""
    websites = {source.name: source.website for source in SOURCES}
    published = shown_question(service, question, withheld) if announced.withheld else question
    readings = []
    for model in announced.withheld:
        score = None
        if published.public:
            answer = scores_answer(service, published, withheld, model=model.model)
            score = next((each.score for each in answer.models), None)
        known = score is not None and score.mean_error is not None
        readings.append(
            UnshownReading(
                model=model.model,
                name=model.name,
                website=websites.get(model.source),
                mean_error=score.mean_error if score is not None else None,
                interval=score.mean_error_interval if score is not None else None,
                first_day=date_of(published.first) if known else None,
                last_day=date_of(published.last) if known else None,
            )
        )
    return readings
