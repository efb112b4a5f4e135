"""What must be said beside a score, so that nobody reads more into it than it holds."""

from __future__ import annotations

from backend.core.parameters import ABSENT, Parameter
from backend.scoring.constants import FAR_IN_HEIGHT, UNINFORMED_DIRECTION_MAE
from backend.scoring.direction import quantisation_floor
from backend.scoring.quantities import Quantity
from backend.scoring.sample import Sample
from backend.scoring.temperature import is_far_in_height
from backend.scoring.wording import RELATIVE, SAFETY, light_wind_words, model_name

_TEMPERATURES = {Quantity.TEMPERATURE, Quantity.TEMPERATURE_RAW}


def far_models(sample: Sample) -> tuple[str, ...]:
    """Return the models whose ground is too far from a station's height to headline their temperature."""
    heights = [sample.stations[code].station.elevation for code in sample.speaking]
    return tuple(
        model
        for model in sample.forecasts
        for ground in [sample.grounds.get(model)]
        if ground is not None
        and any(height is not None and is_far_in_height(ground, height) for height in heights)
    )


def may_headline(sample: Sample, quantity: Quantity) -> bool:
    """Say whether a quantity may head a page here: not a temperature of which the height decides."""
    return quantity not in _TEMPERATURES or not far_models(sample)


def notes(sample: Sample, quantity: Quantity) -> tuple[str, ...]:
    """Return what holds for every score of this question."""
    found = []
    if not sample.speaking:
        found.append("No station speaks for this site: there is nothing to compare forecasts with.")
    if quantity is Quantity.WIND_DIRECTION:
        found += _of_direction(sample)
    if quantity in _TEMPERATURES:
        found += _of_temperature(sample, quantity)
    estimated = [model_name(model) for model, hours in sample.estimated.items() if hours]
    if estimated:
        found.append(
            f"{_listed(estimated)}: where the publisher does not say when a run could be had, it is taken to"
            " be when we first saw it."
        )
    return (*found, RELATIVE, SAFETY)


def _of_direction(sample: Sample) -> list[str]:
    found = [
        f"A forecast that knows nothing errs by {UNINFORMED_DIRECTION_MAE.value:g}° in the mean.",
        f"{light_wind_words().capitalize()}: their direction is noise.",
    ]
    if sample.resolution:
        floor = quantisation_floor(sample.resolution)
        found.append(
            f"The beacon tells directions in steps of {sample.resolution:g}°: a perfect forecast errs by"
            f" {floor:.1f}°."
        )
    return found


def _of_temperature(sample: Sample, quantity: Quantity) -> list[str]:
    found = []
    unknown = [
        model_name(model)
        for model, values in sample.forecasts.items()
        if sample.grounds.get(model) is None and bool((values[Parameter.TEMPERATURE] != ABSENT).any())
    ]
    if unknown and quantity is Quantity.TEMPERATURE:
        found.append(
            f"{_listed(unknown)}: the height of the model's ground is not known, so its temperature cannot be"
            " brought to the station's height and is not ranked. parameter=temperature_raw shows it as it is."
        )
    far = [model_name(model) for model in far_models(sample)]
    if far:
        found.append(
            f"{_listed(far)}: more than {FAR_IN_HEIGHT.value:g} m between the model's ground and the station:"
            " a constant lapse rate decides the error there."
        )
    if quantity is Quantity.TEMPERATURE_RAW:
        found.append("The temperature as forecast, at the height of the model's ground, not the station's.")
    return found


def _listed(names: list[str]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"
