"""What the public may ask of scores in which a withheld source takes part, and what it is answered from.

With the admin token every question is answered as it is. Without it, a question in which no withheld source
takes part is answered as it is, too: of any days, exactly. All others are answered of whole closed months,
from their published copies, with coarse figures (docs/decisions/withheld-values.md).
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace

from backend.api.dependencies import ServiceParts
from backend.api.problems import bad_query
from backend.api.questions import HoursQuery, Question
from backend.api.withholding import Withholding, public_models
from backend.core.local_time import local_day
from backend.core.records import Site, network_of
from backend.scoring.constants import PUBLIC_AFTER_DAYS
from backend.scoring.days.public_months import newest_closed_month
from backend.scoring.local_span import Span
from backend.scoring.names import listed, model_name
from backend.scoring.public.windows import Window, named, newest_window, windows
from backend.scoring.sample.sample import Samples, reference_days


def public_question(
    service: ServiceParts,
    query: HoursQuery,
    site: Site,
    withheld: Withholding,
    *,
    model: str | None = None,
) -> Question:
    """Return the question as it is answered for this caller; `model` is the only one that is asked about.

    Raises a problem for days that cannot be asked for; it names those that can.
    """
    question = query.question(service, site)
    if not withheld.public or not service.public_rules.closed_months:
        return question
    samples = Samples(service.database)
    kept_models, kept_stations = samples.kept_between(site, question.first, question.last)
    of_models, of_stations = samples.public_months(site, question.last)
    codes = (
        [question.station] if question.station else reference_days(site, Span(question.first, question.last))
    )
    stations = frozenset(code for code in codes if network_of(code) in withheld.networks)
    models = _not_public(service, withheld, kept_models | of_models.keys())
    apart = replace(
        question,
        left_out=models,
        networks_left_out=withheld.networks,
        named=tuple(withheld.of_models(None)) if model is None else (),
    )
    if not stations and (query.sources == "public" or (model is not None and model not in models)):
        return apart
    # About a withheld station, or one withheld model: without a published month there is nothing to answer.
    alone = bool(stations) or model is not None
    if query.sources == "public":
        question = replace(question, left_out=models)
        models = frozenset()
    months = {
        month
        for found, owners in ((of_models, models), (of_stations, stations))
        for owner in owners & found.keys()
        for month in found[owner]
    }
    present = (models & kept_models) | (stations & kept_stations)
    if query.first is not None or query.last is not None:
        if not present:
            return replace(question, public=True) if alone else apart
        return _of_days(service, question, present, months)
    newest = newest_window(months)
    if newest is not None:
        return replace(question, first=newest.first, last=newest.last, public=True)
    remark = not_complete(sorted(present)) if present else None
    if alone:
        return replace(question, public=True, remark=remark)
    return replace(apart, remark=remark)


def _not_public(service: ServiceParts, withheld: Withholding, models: Collection[str]) -> frozenset[str]:
    """Return the models whose values are withheld, and those of `models` that are not known to be public."""
    known = public_models(service, models)
    return frozenset(withheld.models) | {model for model in models if not known.get(model, False)}


def _of_days(
    service: ServiceParts, question: Question, present: frozenset[str], months: set[int]
) -> Question:
    """Return a question of days that the caller chose, if they may be asked for."""
    allowed = windows(months, newest_closed_month(local_day(service.clock())))
    if any((window.first, window.last) == (question.first, question.last) for window in allowed):
        return replace(question, public=True)
    raise bad_query("from", _refusal(sorted(present), allowed))


def _refusal(sources: list[str], allowed: list[Window]) -> str:
    names = listed([_name(source) for source in sources])
    others = "Other models are answered of any days with sources=public."
    if any(":" in source for source in sources):
        others = "Of a `station` that is public, any days are answered with sources=public."
    if not allowed:
        return f"{not_complete(sources)} {others}"
    return (
        f"{names}: raw values are not public, so figures with them are published of whole calendar months"
        f" only, of these `from` and `to`: {named(allowed)}. The newest is answered without `from` and `to`."
        f" {others}"
    )


def not_complete(sources: list[str]) -> str:
    """Return why nothing is published yet of these models and stations."""
    return (
        f"{listed([_name(source) for source in sources])}: the first calendar month is not complete; raw"
        " values are not public, so figures are published of whole calendar months with at least 20 days,"
        f" {PUBLIC_AFTER_DAYS.value} days after they end."
    )


def _name(source: str) -> str:
    return source if ":" in source else model_name(source)
