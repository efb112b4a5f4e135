"""What a pilot chose, as it stands in the address of a page: sites, limits, unit and language."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from backend.scoring.constants import LEAST_LIMIT, MOST_LIMIT, USUAL_GUST_LIMIT, USUAL_WIND_LIMIT

Limit = Annotated[float, Field(ge=LEAST_LIMIT.value, le=MOST_LIMIT.value)]

MOST_CHOSEN = 50
"""Number of sites that an address may list."""


class Unit(StrEnum):
    """A unit of wind speed, by its code in an address."""

    KMH = "kmh"
    KNOTS = "kt"
    MS = "ms"

    @property
    def symbol(self) -> str:
        """The symbol beside a value."""
        return {"kmh": "km/h", "kt": "kt", "ms": "m/s"}[self.value]

    def of(self, kmh: float) -> float:
        """Return a speed in km/h in this unit."""
        return kmh / {"kmh": 1.0, "kt": 1.852, "ms": 3.6}[self.value]


class Choices(BaseModel):
    """The query of every page. Limits are in km/h. The unit of the page does not change them."""

    model_config = ConfigDict(frozen=True)

    s: Annotated[str, Field(max_length=60 * MOST_CHOSEN)] = ""
    lim: Limit = USUAL_WIND_LIMIT.value
    glim: Limit = USUAL_GUST_LIMIT.value
    u: Unit = Unit.KMH
    lang: Literal["fr", "en"] | None = None

    @property
    def sites(self) -> tuple[str, ...]:
        """The ids of the chosen sites in their order, each once."""
        return tuple(dict.fromkeys(part for part in self.s.split(",") if part))[:MOST_CHOSEN]

    def query(self) -> dict[str, str]:
        """Return what differs from the defaults, for the links of a page."""
        return {name: f"{value:g}" if isinstance(value, float) else str(value)
                for name, value in self.model_dump(exclude_defaults=True).items()}  # fmt: skip
