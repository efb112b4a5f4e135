"""Where the wind came from, and from where models announced it: public values only."""

from __future__ import annotations

import numpy as np

from backend.answers.base import ApiModel
from backend.answers.question import Question, load
from backend.answers.service import ReadingParts
from backend.answers.withholding import Withholding
from backend.core.parameters import Parameter
from backend.core.records import network_of
from backend.core.units import COMPASS
from backend.scoring.constants import LIGHT_WIND, STRATUM_DAYS
from backend.scoring.grid import present, thousandths
from backend.scoring.names import model_name
from backend.scoring.sample.quantities import Quantity, QuantitySample
from backend.scoring.sample.wind_groups import sectors


class Rose(ApiModel):
    """The shares of eight sectors, from north on, clockwise, in the hours with a usable direction."""

    model: str | None
    name: str
    shares: list[float]
    n_hours: int
    n_days: int


class DirectionsAnswer(ApiModel):
    """How often the wind was too light for a direction, and the roses of the beacon and of each model.

    The roses of a model and of the beacon beside it are of the same hours. Null with too few days.
    """

    light_below: float
    light_share: float | None
    n_hours: int
    sectors: list[str]
    pairs: list[tuple[Rose, Rose]]


def directions_answer(
    service: ReadingParts, question: Question, withheld: Withholding
) -> DirectionsAnswer | None:
    """Return the roses of the hours that count; None if the values of the reference station are withheld.

    `question` is about public models only.
    """
    sample = load(service, question)
    if question.public or any(network_of(code) in withheld.networks for code in sample.reference_days):
        return None
    speed = sample.observed[Parameter.WIND_SPEED]
    known = present(speed)
    light = known & (speed < thousandths(LIGHT_WIND.value))
    names = [sample.stations[code].station.name or code for code in sample.reference_days]
    of_direction = QuantitySample(sample, Quantity.WIND_DIRECTION)
    pairs = []
    for model in sample.forecasts:
        both = of_direction.pairs(model)
        hours, days = int(both.sum()), int(both.any(axis=1).sum())
        if days >= STRATUM_DAYS.value:
            observed, forecast = (
                np.bincount(sectors(values)[both], minlength=len(COMPASS)) / hours
                for values in (of_direction.observed.main, of_direction.series(model).main)
            )
            pairs.append(
                (
                    Rose(
                        model=None,
                        name=", ".join(names),
                        shares=observed.tolist(),
                        n_hours=hours,
                        n_days=days,
                    ),
                    Rose(
                        model=model,
                        name=model_name(model),
                        shares=forecast.tolist(),
                        n_hours=hours,
                        n_days=days,
                    ),
                )
            )
    return DirectionsAnswer(
        light_below=LIGHT_WIND.value,
        light_share=float(light.sum() / known.sum()) if known.any() else None,
        n_hours=int(known.sum()),
        sectors=list(COMPASS),
        pairs=pairs,
    )
