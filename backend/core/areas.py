"""The area within which a model has values."""

from __future__ import annotations

from typing import NamedTuple

from backend.core.records import Site


class Area(NamedTuple):
    """A box in degrees (WGS 84), east and north positive, within which a model has values."""

    south: float
    west: float
    north: float
    east: float

    def holds(self, site: Site) -> bool:
        """Return True if a site is inside."""
        return self.south <= site.latitude <= self.north and self.west <= site.longitude <= self.east

    def __str__(self) -> str:
        """Write the box as in "43.3 to 58 N, 3.8 W to 20.2 E"."""

        def written(degrees: float, positive: str, negative: str) -> str:
            return f"{abs(degrees):g} {positive if degrees >= 0 else negative}"

        latitudes = f"{written(self.south, 'N', 'S')} to {written(self.north, 'N', 'S')}"
        return f"{latitudes}, {written(self.west, 'E', 'W')} to {written(self.east, 'E', 'W')}"
