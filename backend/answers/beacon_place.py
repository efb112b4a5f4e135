"""Where a beacon stands, seen from a site's take-off."""

from __future__ import annotations

from pydantic import Field

from backend.answers.base import ApiModel
from backend.core.records import Site, Station
from backend.scoring.questions.headline import beacon


class BeaconPlace(ApiModel):
    """A station and its distance from the take-off. Lengths are null where a position is not known."""

    station: str
    name: str = Field(description="its id if the network states no name")
    elevation: float | None = Field(description="metres above sea level")
    distance_km: float | None
    height_difference: float | None = Field(description="metres above the take-off; below it negative")
    is_reference: bool = Field(description="whether scores of the site are about it")


def beacon_place(site: Site, station: Station, reference: str | None) -> BeaconPlace:
    """Return where a station stands. `reference` is the site's reference station."""
    place = beacon(site, station)
    return BeaconPlace(
        station=station.id,
        name=station.name or station.id,
        elevation=station.elevation,
        distance_km=place.distance,
        height_difference=place.height,
        is_reference=station.id == reference,
    )
