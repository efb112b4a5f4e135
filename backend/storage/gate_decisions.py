"""Decisions of the gate: whether the corrected forecast of a parameter and a view is shown. Append-only."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

import msgspec
import sqlalchemy as sa

from backend.core.issued import Audience, GateReason
from backend.core.parameters import Parameter
from backend.storage import schema as t
from backend.storage.database import from_epoch, insert_into, to_epoch

OPEN, CLOSED = "open", "closed"


class Grounds(msgspec.Struct, frozen=True, kw_only=True):
    """What a decision rests on: days of evidence, failed decisions in a row, and what each of them names.

    `pooled_gain`: mean error of the best raw model less that of the corrected forecast, in the unit.
    `vetoes`: by site, why it is not shown there although the gate is open.
    """

    days: int
    failures: int
    reasons: tuple[GateReason, ...] = ()
    pooled_gain: float | None = None
    vetoes: dict[str, GateReason] = {}


@dataclass(frozen=True, slots=True, kw_only=True)
class GateDecision:
    """A decision for one audience, view (its number), parameter and version of the method."""

    audience: Audience
    view: int
    parameter: Parameter
    method: str
    decided_at: datetime
    open: bool
    grounds: Grounds


def append_decision(connection: sa.Connection, decision: GateDecision) -> bool:
    """Append a decision; return False if there is one of that time already."""
    insert = insert_into(connection, t.gate_decision).values(
        audience=decision.audience,
        view=decision.view,
        parameter=decision.parameter.value,
        method=decision.method,
        decided_at=to_epoch(decision.decided_at),
        state=OPEN if decision.open else CLOSED,
        content=msgspec.json.encode(decision.grounds).decode(),
    )
    once = insert.on_conflict_do_nothing().returning(t.gate_decision.c.decided_at)
    return connection.execute(once).first() is not None


def decisions(
    connection: sa.Connection,
    *,
    audience: Audience,
    view: int,
    parameter: Parameter,
    method: str,
    limit: int = 1,
) -> list[GateDecision]:
    """Return the newest decisions, newest first."""
    column = t.gate_decision.c
    query = (
        sa.select(column.decided_at, column.state, column.content)
        .where(
            column.audience == audience,
            column.view == view,
            column.parameter == parameter.value,
            column.method == method,
        )
        .order_by(column.decided_at.desc())
        .limit(limit)
    )
    return [
        GateDecision(
            audience=audience,
            view=view,
            parameter=parameter,
            method=method,
            decided_at=from_epoch(row.decided_at),
            open=row.state == OPEN,
            grounds=msgspec.json.decode(row.content, type=Grounds),
        )
        for row in connection.execute(query)
    ]
