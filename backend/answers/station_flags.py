"""Flags of stations' sensors, as an answer and as a sentence."""

from __future__ import annotations

from datetime import datetime, timedelta

from pydantic import Field

from backend.answers.base import ApiModel
from backend.core.clock import PARIS
from backend.core.parameters import Parameter
from backend.scoring.words.sentences import flag_sentence
from backend.storage import station_flags as stored

FLAG_LASTS = timedelta(days=2)
"""Time after its end for which a flag is still one of now: flags are learned of days that are over."""


class StationFlag(ApiModel):
    """A period in which the values of a station's sensor are suspect. The values stay stored."""

    parameter: Parameter
    reason: str = Field(
        description="zero_direction, stopped, stuck_vane, frozen_temperature, drift, excluded_by_operator"
    )
    since: datetime
    until: datetime | None = Field(description="the end, not included; null: no end")
    excluded: bool = Field(
        description="true: left out of the scores; false: the operator should check the sensor"
    )
    sites: list[str] = Field(description="sites whose scores the station is used for")
    text: str


def flag_entry(flag: stored.StationFlag) -> StationFlag:
    """Return a flag as part of an answer."""
    return StationFlag(
        parameter=flag.parameter,
        reason=flag.reason,
        since=flag.since,
        until=flag.until,
        excluded=flag.excludes,
        sites=list(flag.sites),
        text=flag_text(flag),
    )


def flag_text(flag: stored.StationFlag) -> str:
    """Return a flag as one sentence, with local days."""
    # `until` is midnight after the last day, which would be read as one day more.
    last = None if flag.until is None else flag.until - timedelta(seconds=1)
    return flag_sentence(
        flag.station,
        flag.parameter,
        flag.reason,
        flag.since.astimezone(PARIS).date(),
        None if last is None else last.astimezone(PARIS).date(),
        excludes=flag.excludes,
        note=flag.note,
    )
