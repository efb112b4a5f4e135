"""State of a run under way, and waiting for the store."""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncIterator
from dataclasses import dataclass, field, replace

import stamina

from backend.core.errors import StoreDamagedError, StoreReplacedError, StoreUnavailableError
from backend.scheduler.jobs import Tally
from backend.storage.run_records import SourceRun


@dataclass
class RunProgress:
    """State of a run, from which its outcomes are computed at its end or before."""

    tallies: dict[str, Tally] = field(default_factory=dict)
    stored: Counter[str] = field(default_factory=Counter)
    store_error: str = ""
    damage: StoreDamagedError | StoreReplacedError | None = None

    def outcomes(self, cut_short: str = "") -> tuple[SourceRun, ...]:
        """Return the outcome of each source; `cut_short` is the reason of unfinished ones."""
        return tuple(
            replace(
                tally.ended or tally.outcome("partial" if tally.collected else "failed", cut_short),
                stored=self.stored[name],
            )
            for name, tally in self.tallies.items()
        )


async def until_the_store_answers(
    progress: RunProgress, *, also_if_damaged: bool = True
) -> AsyncIterator[stamina.Attempt]:
    """Yield attempts while the store is unavailable; the caller's deadline ends it.

    Waiting does not repair a damaged or replaced store: a collection fails at once, so that this is
    noticed. The end of a run also waits for a store that the operator restores.
    """

    def unavailable(error: Exception) -> bool:
        if not isinstance(error, StoreUnavailableError):
            return False  # e.g. a deadline within an attempt: the earlier error of the store stays recorded
        progress.store_error = str(error)
        return also_if_damaged or not isinstance(error, StoreDamagedError | StoreReplacedError)

    async for attempt in stamina.retry_context(
        on=unavailable, attempts=None, timeout=None, wait_initial=0.2, wait_max=15.0
    ):
        yield attempt
    progress.store_error = ""
