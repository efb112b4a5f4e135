"""Conversions to the stored units: km/h, degrees true (direction *from*), °C."""

from __future__ import annotations

import math

from backend.core.errors import ParseError

KMH_PER_MS = 3.6
ZERO_CELSIUS_K = 273.15

COMPASS = ("N", "NE", "E", "SE", "S", "SW", "W", "NW")
"""The eight sectors of 45 degrees, clockwise; the first is centred on north."""

# The sixteen points of the French compass, clockwise from north. O is ouest: west.
_FRENCH_POINTS = (
    *("N", "NNE", "NE", "ENE", "E", "ESE", "SE", "SSE"),
    *("S", "SSO", "SO", "OSO", "O", "ONO", "NO", "NNO"),
)
FRENCH_COMPASS = {point: index * 22.5 for index, point in enumerate(_FRENCH_POINTS)}


def ms_to_kmh(speed_ms: float) -> float:
    """Convert metres per second to km/h."""
    return speed_ms * KMH_PER_MS


def kelvin_to_celsius(temperature_k: float) -> float:
    """Convert kelvins to °C."""
    return temperature_k - ZERO_CELSIUS_K


def wind_from_components(u_ms: float, v_ms: float) -> tuple[float, float | None]:
    """Return speed (km/h) and direction (degrees true, *from*) of a wind given as components.

    `u_ms` blows towards the east and `v_ms` towards the north, both in m/s. A calm (both 0) has no
    direction: None. The direction lies in [0, 360).
    """
    speed = ms_to_kmh(math.hypot(u_ms, v_ms))
    if speed == 0:
        return 0.0, None
    # Twice: an angle a hair below 0 is rounded up to 360 by the first.
    return speed, math.degrees(math.atan2(-u_ms, -v_ms)) % 360.0 % 360.0


def french_compass_to_degrees(point: str) -> float:
    """Convert a French compass point ("ONO") to degrees true; raise ParseError for any other text."""
    try:
        return FRENCH_COMPASS[point.strip().upper()]
    except KeyError:
        raise ParseError(f"{point!r} is not one of the sixteen French compass points") from None
