"""The job that issues forecasts at decision times. It returns them; the caller (runner.py) stores them."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

import structlog

from backend.core.issued import IssuedForecast
from backend.core.registry import OWN_MODEL
from backend.scheduler.jobs import Tally
from backend.storage.issued_batches import IssuedBatch
from backend.storage.run_records import SourceRun

log = structlog.get_logger()


class Issuer(Protocol):
    """What makes the forecasts of a decision time, batch by batch; it stores nothing."""

    def batches(self, decision: datetime) -> Iterator[IssuedBatch]:
        """Yield what is issued at a decision time. Blocks. Raises StoreUnavailableError, ConfigError."""
        ...


@dataclass(frozen=True, kw_only=True)
class Issuing:
    """The result of the job: the forecasts (none if `deliver` received them), and how it went."""

    forecasts: tuple[IssuedForecast, ...]
    outcome: SourceRun


async def issue_forecasts(
    issuer: Issuer,
    decision: datetime,
    deliver: Callable[[IssuedBatch], int] | None = None,
    *,
    tallies: dict[str, Tally] | None = None,
) -> Issuing:
    """Issue the forecasts of a decision time; return them, and store nothing.

    With `deliver`, each batch is passed on in a thread, and it returns how many forecasts are new. Raises
    what the issuer and `deliver` raise.
    """
    tally = Tally(OWN_MODEL.name)
    if tallies is not None:
        tallies[OWN_MODEL.name] = tally
    forecasts: list[IssuedForecast] = []

    def issue() -> None:
        for batch in issuer.batches(decision):
            tally.collected += len(batch.forecasts)
            if deliver is None:
                forecasts.extend(batch.forecasts)
                tally.new += len(batch.forecasts)
            else:
                tally.new += deliver(batch)
            if any(forecast.is_late for forecast in batch.forecasts):
                tally.notes["issued late: shown, and not scored"] = None

    await asyncio.to_thread(issue)
    reason = "; ".join(tally.notes)
    if not tally.collected:
        reason = "nothing to issue: no site has enough days with readings yet, or all is issued already"
    tally.ended = tally.outcome("success" if tally.new else "nothing_new", reason)
    log.info("forecasts issued", decision=decision, issued=tally.collected, new=tally.new, reason=reason)
    return Issuing(forecasts=tuple(forecasts), outcome=tally.ended)
