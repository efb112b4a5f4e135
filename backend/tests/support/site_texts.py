"""Sites as texts of a TOML and a CSV file."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

from backend.core.records import Site

SEMNOZ = {
    "id": '"semnoz"',
    "name": '"Le Semnoz"',
    "latitude": "45.79718",
    "longitude": "6.10478",
    "elevation": "1685",
    "orientation": '["W", "NW"]',
    "stations": '["ffvl:67"]',
    "without": '["romma"]',
}

MAY = datetime(2026, 5, 1, tzinfo=UTC)

SITE = Site(
    id="semnoz",
    name="Le Semnoz",
    latitude=45.79718,
    longitude=6.10478,
    elevation=1685.0,
    orientation=("W", "NW"),
    stations=("ffvl:67",),
    networks_without_station=("romma",),
)
MOVED = replace(SITE, latitude=45.80001, valid_from=MAY)


def entry(**changes: str | None) -> str:
    """A [[sites]] entry as a user writes it; None leaves a key out."""
    keys = {key: value for key, value in (SEMNOZ | changes).items() if value is not None}
    return "\n".join(["[[sites]]", *(f"{key} = {value}" for key, value in keys.items()), ""])


HEADER = "id,name,latitude,longitude,elevation,orientation,stations,without\n"
ROW = "semnoz,Le Semnoz,45.79718,6.10478,1685,W NW,ffvl:67,romma\n"
