"""The four compared parameters, each with its number, its unit and the range of its plausible values."""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import StrEnum


class Parameter(StrEnum):
    """A measured or forecast property; the value is its name in the store, the API and exports."""

    WIND_SPEED = "wind_speed"
    WIND_GUST = "wind_gust"
    WIND_DIRECTION = "wind_direction"
    TEMPERATURE = "temperature"

    number: int
    """Its index in arrays and rows with one value per parameter. Tables store it: the order never changes."""

    def __init__(self, value: str) -> None:
        self.number = len(type(self).__members__)


PARAMETERS = tuple(Parameter)
"""The parameters by their number."""


@dataclass(frozen=True, slots=True)
class Rule:
    """The unit and range of a parameter.

    `low` and `high` are inclusive bounds in `unit`. They are wide on purpose: they reject marks for
    "missing" (9999, -99) and broken sensors, not unusual weather.
    """

    unit: str
    low: float
    high: float
    circular: bool = False


RULES: dict[Parameter, Rule] = {
    Parameter.WIND_SPEED: Rule("km/h", 0.0, 250.0),
    Parameter.WIND_GUST: Rule("km/h", 0.0, 250.0),
    Parameter.WIND_DIRECTION: Rule("degrees true, from", 0.0, 360.0, circular=True),
    Parameter.TEMPERATURE: Rule("°C", -40.0, 50.0),
}


MISSING_BESIDE_WIND = 10.0
"""A mean wind of 0 beside a gust this high (km/h), or a gust of 0 beside such a mean, is a missing value."""


def why_implausible(parameter: Parameter, value: float) -> str | None:
    """Return the rule that `value` (in the parameter's unit) breaks, or None if it is plausible."""
    rule = RULES[parameter]
    if not math.isfinite(value):
        return "not_a_number"
    if not rule.low <= value <= rule.high:
        return f"out_of_range: not within {rule.low:g} to {rule.high:g} {rule.unit}"
    return None


def canonical(parameter: Parameter, value: float) -> float:
    """Return `value` with a single value for north: 360 degrees, also after rounding, becomes 0."""
    if RULES[parameter].circular and round(value, 3) == 360.0:
        return 0.0
    return value


ABSENT = -(2**31)
"""Absent value in arrays of whole thousandths, which have no null."""
