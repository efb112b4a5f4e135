"""What a run is asked to do."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass
from datetime import datetime

from backend.core.records import Batch
from backend.scheduler.config import JobId

OnBatch = Callable[[Batch], None]
"""Called with each batch before it is stored, for a progress bar."""


@dataclass(frozen=True, kw_only=True)
class Selection:
    """Sources and sites that a run by hand is limited to; None means all.

    `since` and `until` make it a backfill of that period, both ends included (aware, UTC).
    """

    sources: Collection[str] | None = None
    sites: Collection[str] | None = None
    since: datetime | None = None
    until: datetime | None = None


EVERYTHING = Selection()


@dataclass(frozen=True, kw_only=True)
class Order:
    """A run: its job, what triggers it, and its slot unless it is by hand.

    `seconds` is how long the work may take. `began` is the start (UTC) of the run that this is a part of;
    None: the run starts now.
    """

    job: JobId
    trigger: str
    slot: datetime | None
    selection: Selection
    seconds: float
    on_batch: OnBatch | None = None
    began: datetime | None = None
