"""Which public model a site's row of tomorrow shows, and how far it has been right there."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum
from threading import Lock
from weakref import WeakKeyDictionary

from pydantic import Field

from backend.answers.announced import AnnouncedModel
from backend.answers.base import ApiModel
from backend.answers.models import collected_models
from backend.answers.question import Question, load, make_question
from backend.answers.service import ReadingParts
from backend.answers.shown_station import shown_question
from backend.answers.withholding import Withholding
from backend.core.local_time import local_day
from backend.core.parameters import Parameter
from backend.core.records import Site
from backend.core.registry import OWN_MODEL
from backend.scoring.names import model_name
from backend.scoring.public.figures import public_verdict
from backend.scoring.questions.flyability import flyable_days
from backend.scoring.questions.scorecard import Finding, Scorecard
from backend.scoring.sample.quantities import Quantity
from backend.scoring.views import DecisionView
from backend.storage import announced as store
from backend.storage.database import Database


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


def judge(service: ReadingParts, question: Question, wind_limit: float, gust_limit: float) -> Judgement:
    """Return what the sample of a page's question shows. Limits in km/h.

    Without a public station the figures are those of the published months, and none depends on the limits.
    """
    # Our own forecast is shown by itself: here stands the model to trust among those that it is made from.
    sample = load(service, replace(question, left_out=question.left_out | {OWN_MODEL.name}))
    station = next(iter(sample.reference_days), None)
    if station is None:
        return Judgement(None, NOT_JUDGED, NOT_JUDGED, {})
    card = Scorecard(sample)
    if question.public:
        return Judgement(
            None, _published(card, Quantity.WIND_SPEED), _published(card, Quantity.WIND_GUST), {}
        )
    days = flyable_days(sample, wind_limit, gust_limit)
    return Judgement(
        station,
        _judged(card, Quantity.WIND_SPEED),
        _judged(card, Quantity.WIND_GUST),
        {
            each.model: GoDays(wrong=int(each.counts.c), of=int(each.counts.c + each.counts.d))
            for each in days.models
        }
        if days.size.shows_values
        else {},
    )


def _judged(card: Scorecard, quantity: Quantity) -> Judged:
    ranking = card.ranking(quantity)
    errors = {
        each.model: each.score.mae
        for each in ranking.scores
        if each.score.mae is not None and ranking.size.shows_values
    }
    compared = frozenset(each.model for each in ranking.scores)
    return Judged(ranking.finding, ranking.size.may_rank, ranking.size.days, errors, compared)


def _published(card: Scorecard, quantity: Quantity) -> Judged:
    verdict = public_verdict(card.verdict(quantity))
    found = {
        each.model: each.score.mae
        for each in verdict.models
        if each.model in verdict.compared and each.score.mae is not None
    }
    errors = dict(sorted(found.items(), key=lambda item: item[1]))
    may_rank = verdict.size.may_rank and (verdict.finding.ranks or len(errors) == 1)
    return Judged(verdict.finding, may_rank, verdict.size.days, errors, frozenset(verdict.compared))


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


# --- Judgements are kept in the process -----------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Kept:
    """A judgement, when it was made, and the stamp of the site's days and the local day then."""

    judgement: Judgement
    at: datetime
    stamp: tuple[int | None, int]


_judgements: WeakKeyDictionary[Database, OrderedDict[Hashable, _Kept]] = WeakKeyDictionary()
_lock = Lock()

_MOST_KEPT = 10_000
"""Judgements kept in a process: about 10 MB."""

_FRESH = timedelta(minutes=10)
"""Age up to which a judgement serves, also if a collection has changed the days of the site since."""

_SERVES = timedelta(hours=26)
"""Age up to which it serves if the same request renews _MOST_RENEWED others."""

_MOST_RENEWED = 8
"""Judgements renewed for one page: each takes 15 to 30 ms, and one day of a year changes little."""


def _renewal_is_due(entry: _Kept, now: datetime, stamp: tuple[int | None, int], *, may_wait: bool) -> bool:
    age = abs(now - entry.at)  # the clock of a test or of a demo may be set back
    return age > _SERVES or (entry.stamp != stamp and age > _FRESH and not may_wait)


def judged_sites(
    service: ReadingParts,
    sites: Sequence[Site],
    view: DecisionView,
    withheld: Withholding,
    *,
    wind_limit: float,
    gust_limit: float,
) -> Mapping[str, Judgement]:
    """Return the judgement of each site, from the cache of this process where it still serves."""
    now = service.clock()
    stamps = store.days_stamps(service.database, now)
    terms = (
        collected_models(service),
        tuple(sorted(withheld.models)),
        tuple(sorted(withheld.networks)),
        service.public_rules,
    )
    with _lock:
        kept = _judgements.setdefault(service.database, OrderedDict())
    found, renewed = {}, 0
    for site in sites:
        key = site, view.name, wind_limit, gust_limit, terms
        stamp = stamps.get(site.id), local_day(now)
        with _lock:
            entry = kept.get(key)
            if entry is not None:
                kept.move_to_end(key)
        if entry is None or _renewal_is_due(entry, now, stamp, may_wait=renewed >= _MOST_RENEWED):
            renewed += 1
            asked = shown_question(
                service, make_question(service, site, view=view), withheld, only_public=True
            )
            entry = _Kept(judge(service, asked, wind_limit, gust_limit), now, stamp)
            with _lock:
                kept[key] = entry
                while len(kept) > _MOST_KEPT:
                    kept.popitem(last=False)
        found[site.id] = entry.judgement
    return found
