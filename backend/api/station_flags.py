"""What is known of a station's sensors, as the API and people read it."""

from __future__ import annotations

from datetime import timedelta

from backend.api import schemas
from backend.core.clock import PARIS
from backend.scoring.words.sentences import flag_sentence
from backend.storage.station_flags import StationFlag


def flag_entry(flag: StationFlag) -> schemas.StationFlag:
    """Return a flag as the API shows it."""
    return schemas.StationFlag(
        parameter=flag.parameter,
        reason=flag.reason,
        since=flag.since,
        until=flag.until,
        excluded=flag.excludes,
        sites=list(flag.sites),
        text=flag_text(flag),
    )


def flag_text(flag: StationFlag) -> str:
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
