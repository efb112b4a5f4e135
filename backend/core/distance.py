"""The distance between two positions: one function for all folders."""

from __future__ import annotations

from functools import lru_cache
from typing import overload

from geographiclib.geodesic import Geodesic

Position = tuple[float | None, float | None]
"""Latitude and longitude in degrees; None if unknown."""


@overload
def metres_between(one: tuple[float, float], other: tuple[float, float]) -> float: ...
@overload
def metres_between(one: Position, other: Position) -> float | None: ...


@lru_cache(maxsize=4096)
def metres_between(one: Position, other: Position) -> float | None:
    """Return the distance on the ellipsoid (WGS 84, Karney 2013) in metres; None without both positions."""
    if None in one or None in other:
        return None
    if one == other:
        return 0.0
    return float(Geodesic.WGS84.Inverse(*one, *other, Geodesic.DISTANCE)["s12"])
