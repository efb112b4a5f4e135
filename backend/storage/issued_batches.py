"""What a run of the issuing job stores at once: forecasts, what they were learned from, and the states."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from backend.core.issued import IssuedForecast
from backend.storage.database import Database
from backend.storage.gate_decisions import GateDecision, append_decision
from backend.storage.issued import append_issued
from backend.storage.learning_days import (
    ModelsOfDay,
    Question,
    ReadingsOfDay,
    SavedState,
    append_learning,
    save_states,
)
from backend.storage.ledger import require_lease
from backend.storage.run_records import Claim


@dataclass(frozen=True, slots=True, kw_only=True)
class IssuedBatch:
    """The result of a decision for some sites. All of it is stored, or none of it."""

    question: Question
    forecasts: Sequence[IssuedForecast] = ()
    learned: Sequence[ModelsOfDay | ReadingsOfDay] = ()
    states: Sequence[SavedState] = ()
    decision: GateDecision | None = None


def store_issued_batch(database: Database, batch: IssuedBatch, claim: Claim | None = None) -> int:
    """Store a batch in one transaction; return how many forecasts are new. Storing it again changes nothing.

    Raises LeaseLostError, with nothing written, if `claim` is no longer valid; StoreUnavailableError.
    """
    with database.write() as connection:
        require_lease(connection, claim)
        append_learning(connection, batch.question, batch.learned)
        save_states(connection, batch.question, batch.states)
        if batch.decision is not None:
            append_decision(connection, batch.decision)
        return append_issued(connection, batch.forecasts)
