"""Caveats that belong beside a score."""

from __future__ import annotations

from backend.core.local_time import date_of
from backend.core.parameters import ABSENT, Parameter
from backend.core.registry import THREE_HOUR_GUST_MODELS
from backend.scoring.constants import FAR_IN_HEIGHT, UNINFORMED_DIRECTION_MAE
from backend.scoring.days.quality_control import LEARNED
from backend.scoring.metrics.direction import quantisation_floor
from backend.scoring.names import listed, model_name
from backend.scoring.sample.height_correction import is_far_in_height
from backend.scoring.sample.quantities import Quantity
from backend.scoring.sample.sample import Sample
from backend.scoring.words.sentences import LIGHT_WIND_WORDS, RELATIVE, SAFETY, left_out_sentence

_TEMPERATURES = {Quantity.TEMPERATURE, Quantity.TEMPERATURE_RAW}


def far_models(sample: Sample) -> tuple[str, ...]:
    """Return the models whose ground is too far from a station's height to headline their temperature."""
    heights = [sample.stations[code].station.elevation for code in sample.reference_days]
    return tuple(
        model
        for model in sample.forecasts
        for ground in [sample.grounds.get(model)]
        if ground is not None
        and any(height is not None and is_far_in_height(ground, height) for height in heights)
    )


def notes(sample: Sample, quantity: Quantity) -> tuple[str, ...]:
    """Return what holds for every score of this question."""
    found = []
    if not sample.reference_days:
        found.append("This site has no reference station: there is nothing to compare forecasts with.")
    parameters = [quantity.parameter]
    if quantity in {Quantity.WIND, Quantity.WIND_DIRECTION}:
        parameters = [Parameter.WIND_SPEED, Parameter.WIND_DIRECTION]
    of_sensors = parameters if quantity is Quantity.WIND else [quantity.parameter]
    found += [
        left_out_sentence(code, parameter, reason, count)
        for code in sample.reference_days
        for (parameter, reason), count in sample.stations[code].doubted.items()
        if parameter in of_sensors and reason in LEARNED
    ]
    found += [
        f"{code} moved on {date_of(day):%-d %B %Y}: its readings since then are stored and not compared with"
        " forecasts until the operator confirms its new place."
        for code in sample.reference_days
        for day in [sample.stations[code].away_since]
        if day is not None and day <= sample.span.last
    ]
    if quantity is Quantity.WIND_DIRECTION:
        found += _of_direction(sample)
    if quantity is Quantity.WIND_GUST:
        longer = [model_name(model) for model in sample.forecasts if model in THREE_HOUR_GUST_MODELS]
        if longer:
            found.append(f"{listed(longer)}: gusts of three hours, not compared with those of one.")
    if quantity in _TEMPERATURES:
        found += _of_temperature(sample, quantity)
    found += [
        f"{model_name(model)}: in {count} hours the newest run has no {parameter.value.replace('_', ' ')};"
        " that of the newest run that has one counts."
        for model in sample.forecasts
        for parameter in parameters
        if (count := sample.from_older_runs(model, parameter))
    ]
    estimated = [model_name(model) for model, hours in sample.estimated.items() if hours]
    if estimated:
        found.append(
            f"{listed(estimated)}: the publisher gives no time of availability of a run, and that time is an"
            " estimate."
        )
    # What holds for every question comes last.
    return (*found, RELATIVE, SAFETY)


def _of_direction(sample: Sample) -> list[str]:
    found = [
        f"A forecast that knows nothing errs by {UNINFORMED_DIRECTION_MAE.value:g}° in the mean.",
        f"{LIGHT_WIND_WORDS.capitalize()}: their direction is noise.",
    ]
    if sample.resolution:
        floor = quantisation_floor(sample.resolution)
        found.append(
            f"The beacon reports directions in steps of {sample.resolution:g}°: a perfect forecast errs by"
            f" {floor:.1f}°."
        )
    return found


def _of_temperature(sample: Sample, quantity: Quantity) -> list[str]:
    found = []
    unknown = [
        model_name(model)
        for model, values in sample.forecasts.items()
        if model not in sample.temperatures
        and sample.grounds.get(model) is None
        and bool((values[Parameter.TEMPERATURE] != ABSENT).any())
    ]
    if unknown and quantity is Quantity.TEMPERATURE:
        found.append(
            f"{listed(unknown)}: the height of the model's ground is not known, so its temperature cannot be"
            " converted to the station's height and is not ranked. parameter=temperature_raw shows it"
            " unchanged."
        )
    no_height = [code for code in sample.reference_days if sample.stations[code].station.elevation is None]
    if no_height and quantity is Quantity.TEMPERATURE:
        found.append(
            f"{listed(no_height)}: the height of the station is not known, so no temperature can be converted"
            " to it. parameter=temperature_raw shows them as they are."
        )
    far = [model_name(model) for model in far_models(sample)]
    if far:
        found.append(
            f"{listed(far)}: more than {FAR_IN_HEIGHT.value:g} m between the model's ground and the station:"
            " a constant lapse rate decides the error there."
        )
    if quantity is Quantity.TEMPERATURE_RAW:
        found.append(
            "The temperature as forecast, at the height of the model's ground, not the station's: no model is"
            " ranked by it."
        )
    return found
