"""The bulletin of a club: the next flying day at a few sites, and who was right yesterday."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

from pydantic import Field

from backend.answers.announced import in_fixed_order
from backend.answers.base import ApiModel
from backend.answers.home import HomeAnswer, HomeQuestion, home_answer
from backend.answers.service import ServiceParts
from backend.answers.withholding import Withholding
from backend.answers.yesterday import Judgement, yesterday_answer
from backend.scoring.names import model_name

MOST_SITES = 5
"""Number of sites of a bulletin: so many rows can be read on a phone."""


class ModelYesterday(ApiModel):
    """At how many sites a model was right yesterday, of those at which it could be judged."""

    model: str
    name: str
    right: int
    of: int


class BulletinAnswer(ApiModel):
    """The next flying day at up to five sites. `chosen` is false for a sample without chosen sites."""

    chosen: bool
    home: HomeAnswer
    yesterday: list[ModelYesterday] = Field(description="public models, in the order of the registry")


def bulletin_answer(
    service: ServiceParts,
    site_ids: Sequence[str],
    withheld: Withholding,
    *,
    wind_limit: float,
    gust_limit: float,
    is_today: bool,
) -> BulletinAnswer:
    """Return the bulletin of these sites; of the first ones of the service without a known id.

    It is about today or, without `is_today`, about tomorrow.

    Raises StoreUnavailableError.
    """
    sites = {site.id: site for site in service.sites()}
    chosen = [name for name in site_ids if name in sites][:MOST_SITES]
    shown = chosen or sorted(sites)[:MOST_SITES]
    question = HomeQuestion(
        chosen=tuple(shown),
        wind_limit=wind_limit,
        gust_limit=gust_limit,
        is_today=is_today,
    )
    counts: defaultdict[str, list[bool]] = defaultdict(list)
    for name in shown:
        yesterday = yesterday_answer(service, sites[name], withheld, limit=wind_limit)
        for model in yesterday.day.models:
            if model.judgement is not Judgement.TOO_FEW_HOURS:
                counts[model.model].append(model.judgement is Judgement.RIGHT)
    return BulletinAnswer(
        chosen=bool(chosen),
        home=home_answer(service, question, withheld),
        yesterday=[
            ModelYesterday(model=model, name=model_name(model), right=sum(judged), of=len(judged))
            for model, judged in sorted(counts.items(), key=lambda item: in_fixed_order(item[0]))
        ],
    )
