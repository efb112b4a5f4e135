"""Properties of the FFVL's readings that hold on all three routes."""

from __future__ import annotations

from datetime import timedelta

from backend.collectors.beacons.readings import Network
from backend.core import registry

FFVL = Network(
    name=registry.FFVL.name,
    cadence=timedelta(minutes=15),  # they report every ten minutes
    direction_resolution=22.5,  # vanes report sixteen sectors
)
"""Without averaging minutes: the FFVL documents none."""
