"""What the readings of the FFVL's beacons have in common, whichever of its three routes they come by."""

from __future__ import annotations

from datetime import timedelta

from backend.collectors.beacons.readings import Network
from backend.core import registry

FFVL = Network(
    name=registry.FFVL.name,
    cadence=timedelta(minutes=15),  # they speak every ten minutes
    direction_resolution=22.5,  # vanes report sixteen sectors
)
"""It documents no averaging period, so none is stated."""
