"""Why the learning of a corrected forecast started again: the station was moved, or is another one."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from enum import StrEnum

from pydantic import Field

from backend.answers.base import ApiModel
from backend.answers.service import ReadingParts
from backend.core.issued import Audience
from backend.core.local_time import date_of, local_day
from backend.core.parameters import Parameter
from backend.core.records import Site
from backend.forecast.interval import WINDOW
from backend.scoring.views import DecisionView
from backend.storage.announced import described_stations
from backend.storage.database import Connection
from backend.storage.learning_days import Question, extents
from backend.storage.positions import Move, first_stated_moves


class RestartReason(StrEnum):
    """What happened to the station."""

    MOVED = "moved"
    REPLACED = "replaced"


class LearningRestart(ApiModel):
    """A new start of the learning: nothing from before it is in the forecast."""

    since: date = Field(description="the first local day that is learned")
    reason: RestartReason
    station_name: str = Field(description="of the station that is learned since")
    before_name: str | None = Field(None, description="of the station before, if it was replaced")
    kilometres: float | None = Field(None, description="between the two places of a station that was moved")
    confirmed: bool = Field(
        True, description="false while the readings from a new place do not count: it is not confirmed"
    )
    text: str


def newest_moves(connection: Connection, stations: Mapping[str, str]) -> dict[str, Move]:
    """Return the newest move of one station of each site, if it moved at all, by site id."""
    found = first_stated_moves(connection, {site: (station,) for site, station in stations.items()})
    return {move.site: move for move in found}  # oldest first: the newest one stays


def learning_restart(
    service: ReadingParts, site: Site, station: str, view: DecisionView, audience: Audience
) -> LearningRestart | None:
    """Return the newest start of the learning at a station of the last 90 days, unless it is the first.

    Raises StoreUnavailableError.
    """
    today = local_day(service.clock())
    question = Question(audience, view.number, Parameter.WIND_SPEED)
    with service.database.read() as connection:
        move = newest_moves(connection, {site.id: station}).get(site.id)
        of_site = extents(connection, question, [site.id]).get(site.id, {})
    moved = 0 if move is None else local_day(move.since)
    others = [(extent.last, code) for code, extent in of_site.items() if code != station]
    last, before = max(others, default=(-1, station))
    since = max(moved, last + 1)
    if since <= today - WINDOW:
        return None
    described = described_stations(service.database, [station, before])
    names = {code: (described[code].name if code in described else "") or code for code in (station, before)}
    text = f"The learning started again on {date_of(since)}: "
    if move is None or moved <= last:
        return LearningRestart(
            since=date_of(since),
            reason=RestartReason.REPLACED,
            station_name=names[station],
            before_name=names[before],
            text=f"{text}the station is {names[station]} now, and was {names[before]} before.",
        )
    kilometres = move.metres / 1000
    text += f"the station was moved by {kilometres:.1f} km."
    if not move.confirmed:
        text += " Its readings count again once the operator has confirmed the new place."
    return LearningRestart(
        since=date_of(since),
        reason=RestartReason.MOVED,
        station_name=names[station],
        kilometres=kilometres,
        confirmed=move.confirmed,
        text=text,
    )


def first_learned(connection: Connection, site: Site, station: str, first: int) -> int:
    """Return the first local day from `first` on that was measured at the present place of a station."""
    move = newest_moves(connection, {site.id: station}).get(site.id)
    return first if move is None else max(first, local_day(move.since))
