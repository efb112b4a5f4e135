"""What is known of a station's sensors, as the API and people read it."""

from __future__ import annotations

from datetime import datetime, timedelta

from pydantic import Field

from backend.answers.base import ApiModel
from backend.core.clock import PARIS
from backend.core.parameters import Parameter
from backend.scoring.words.sentences import flag_sentence
from backend.storage import station_flags as stored


class StationFlag(ApiModel):
    """Values of a station's sensor that are suspect; they stay stored."""

    parameter: Parameter
    reason: str = Field(
        description="zero_direction, stopped, stuck_vane, frozen_temperature, drift, excluded_by_operator"
    )
    since: datetime
    until: datetime | None = Field(description="the first moment after it; null: without an end")
    excluded: bool = Field(description="from the scores; false: a question for the operator")
    sites: list[str] = Field(description="whose scores it is about")
    text: str


def flag_entry(flag: stored.StationFlag) -> StationFlag:
    """Return a flag as the API shows it."""
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
    """Return what a flag is about in one line; its days are local days."""
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
