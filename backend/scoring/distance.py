"""The distance between two positions: one function for every place that needs one."""

from __future__ import annotations

from geopy.distance import geodesic

Position = tuple[float | None, float | None]
"""Latitude and longitude in degrees; None where it is not known."""


def metres_between(one: Position, other: Position) -> float | None:
    """Return the distance on the ellipsoid (WGS 84, Karney 2013) in metres; None without both positions."""
    if None in one or None in other:
        return None
    return float(geodesic(one, other).m)
