"""Which public model a site's row of tomorrow shows, and how far it has been right there."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

from pydantic import Field

from backend.answers.announced import AnnouncedModel
from backend.answers.base import ApiModel
from backend.core.parameters import Parameter
from backend.scoring.names import model_name
from backend.scoring.questions.scorecard import Finding


class Standing(StrEnum):
    """How well the shown model is known at the site.

    CLEARLY_BEST is the winner of the verdict. ONLY_ONE has no other public model to compare it with. INSTEAD
    takes the place of a better one that does not reach all shown hours. NOT_JUDGED has too few days.
    """

    CLEARLY_BEST = "clearly_best"
    TOO_CLOSE = "too_close_to_call"
    ONLY_ONE = "only_one"
    INSTEAD = "instead"
    NOT_JUDGED = "not_yet_judged"


class GoDays(ApiModel):
    """The days that a model called flyable within the pilot's limits, and those of them that were not."""

    wrong: int
    of: int


class TrustedModel(ApiModel):
    """The model that is shown for a quantity at a site."""

    model: str
    name: str
    standing: Standing
    in_place_of: str | None = Field(
        None, description="name of the better model that does not reach all hours"
    )
    average_error: float | None = Field(description="the MAE in flying hours, in km/h")
    n_days: int = Field(description="distinct days of the comparison")


class Trust(ApiModel):
    """The models that a site's row shows: of the mean wind, and of gusts."""

    wind: TrustedModel
    gust: TrustedModel | None = Field(description="null if no public model has gusts of single hours")
    go_days: GoDays | None = Field(
        description="of the model of the mean wind; null if it has not been judged"
    )


@dataclass(frozen=True, slots=True)
class Judged:
    """The models of one quantity with their average errors, best first, as far as they may be ranked."""

    finding: Finding
    may_rank: bool
    n_days: int
    errors: Mapping[str, float]
    """Average error by model; in the order of the ranking if `may_rank`; empty with too few days."""
    compared: frozenset[str]
    """The models with common days, also where these are too few for an error."""


@dataclass(frozen=True, slots=True)
class Judgement:
    """What the days of a site show about its public models, for a view and a pilot's limits.

    `station` is None if the site has no station whose values are public.
    """

    station: str | None
    wind: Judged
    gust: Judged
    go_days: Mapping[str, GoDays]


NOT_JUDGED = Judged(Finding.NOT_ENOUGH, may_rank=False, n_days=0, errors={}, compared=frozenset())


def trusted(judgement: Judgement, models: Sequence[AnnouncedModel], hours: Sequence[int]) -> Trust | None:
    """Return which of the announced models are shown for these hours; None if none has a mean wind.

    The model of the mean wind: the first of the ranking that reaches all hours; below 30 days the first of
    `models`, which have a fixed order. Gusts are those of the best model that has gusts of single hours; if
    that is too close to call, those of the model of the mean wind.
    """
    winds = _reaching(models, Parameter.WIND_SPEED, hours)
    if not winds:
        return None
    wind = _first(judgement.wind, winds)
    gusts = _reaching([each for each in models if each.gust_hours == 1], Parameter.WIND_GUST, hours)
    gust = None
    if gusts:
        own_first = sorted(gusts, key=lambda model: model != wind.model)
        close = judgement.gust.finding is not Finding.WINNER and wind.model in gusts
        gust = _first(judgement.gust, own_first[:1] if close else own_first)
    return Trust(wind=wind, gust=gust, go_days=judgement.go_days.get(wind.model))


def _first(judged: Judged, announced: Sequence[str]) -> TrustedModel:
    """Return the first announced model of the ranking, else the first announced one."""
    ranked = list(judged.errors) if judged.may_rank else []
    best = next((model for model in ranked if model in announced), None)
    standing = {Finding.WINNER: Standing.CLEARLY_BEST, Finding.TOO_CLOSE: Standing.TOO_CLOSE}.get(
        judged.finding, Standing.ONLY_ONE
    )
    in_place_of = None
    if best is None:
        standing = Standing.NOT_JUDGED
    elif best != ranked[0] and ranked[0] not in announced:
        standing, in_place_of = Standing.INSTEAD, model_name(ranked[0])
    model = announced[0] if best is None else best
    return TrustedModel(
        model=model,
        name=model_name(model),
        standing=standing,
        in_place_of=in_place_of,
        average_error=judged.errors.get(model),
        n_days=judged.n_days if model in judged.compared else 0,
    )


def _reaching(models: Sequence[AnnouncedModel], parameter: Parameter, hours: Sequence[int]) -> list[str]:
    """Return the models that have a parameter at as many of the hours as any, in their order."""
    counts = {
        each.model: sum(
            getattr(hour, parameter.value) is not None for hour in each.hours if hour.hour in hours
        )
        for each in models
    }
    most = max(counts.values(), default=0)
    return [model for model, count in counts.items() if most and count == most]
