"""What each learning step of the corrected forecast used: models as known at a decision, and readings.

The store keeps only the last correction of a reading. These rows keep what had arrived when a day was
learned, so that a replay gives the same forecasts. They are append-only; the state that follows is a cache.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from hashlib import sha256
from typing import Any, NamedTuple

import msgspec
import numpy as np
import sqlalchemy as sa

from backend.core.columns import Ints
from backend.core.issued import Audience
from backend.core.local_time import HOURS_A_DAY
from backend.core.parameters import Parameter
from backend.storage import schema as t
from backend.storage.database import insert_into
from backend.storage.rows import chunks, fetched

MODELS, READINGS = "models", "readings"


class Question(NamedTuple):
    """What the rows of all sites have in common: `view` is the number of a decision view."""

    audience: Audience
    view: int
    parameter: Parameter


@dataclass(frozen=True, slots=True, eq=False)
class ModelsOfDay:
    """What each model announced for a local day at a decision (epoch seconds), hour by hour of the day.

    Values (25 hours) are whole thousandths of the unit, ABSENT where there is none.
    """

    site: str
    station: str
    day: int
    decided_at: int
    models: Mapping[str, Ints]


@dataclass(frozen=True, slots=True, eq=False)
class ReadingsOfDay:
    """The readings of a local day as they had arrived by a decision (epoch seconds), in the same form."""

    site: str
    station: str
    day: int
    decided_at: int
    observed: Ints


@dataclass(frozen=True, slots=True, eq=False)
class LearningDay:
    """Both parts of a day; `readings` is None while the day is not learned."""

    models: ModelsOfDay
    readings: ReadingsOfDay | None


@dataclass(frozen=True, slots=True)
class SavedState:
    """A state as it was saved for a unit: learned from `days` days from local day `first` on.

    `is_public`: the content is that of the public audience after the same decision, and stored only there.
    """

    site: str
    station: str
    method: str
    first: int
    days: int
    content: bytes
    is_public: bool = False


def append_learning(
    connection: sa.Connection, question: Question, parts: Iterable[ModelsOfDay | ReadingsOfDay]
) -> None:
    """Append parts of days. A part that is there stays as it is."""
    rows = []
    for part in parts:
        if isinstance(part, ModelsOfDay):
            values = [of_model.astype("<i4").tobytes() for of_model in part.models.values()]
            kind, content = MODELS, msgspec.msgpack.encode((list(part.models), b"".join(values)))
        else:
            kind, content = READINGS, part.observed.astype("<i4").tobytes()
        rows.append(
            {
                **_columns(question),
                "site": part.site,
                "station": part.station,
                "day": part.day,
                "part": kind,
                "decided_at": part.decided_at,
                "content": content,
            }
        )
    if rows:
        connection.execute(insert_into(connection, t.forecast_learning).on_conflict_do_nothing(), rows)


_OF_QUESTION = (
    t.forecast_learning.c.audience == sa.bindparam("audience"),
    t.forecast_learning.c.view == sa.bindparam("view"),
    t.forecast_learning.c.parameter == sa.bindparam("parameter"),
    t.forecast_learning.c.site.in_(sa.bindparam("sites", expanding=True)),
)
_DAYS = (
    sa.select(
        *(t.forecast_learning.c[name] for name in ("site", "station", "day", "part", "decided_at", "content"))
    )
    .where(*_OF_QUESTION, t.forecast_learning.c.day >= sa.bindparam("first", type_=sa.BigInteger))
    .order_by(t.forecast_learning.c.site, t.forecast_learning.c.day, t.forecast_learning.c.part)
)
_LEARNED = (
    sa.select(
        t.forecast_learning.c.site,
        t.forecast_learning.c.station,
        t.forecast_learning.c.part,
        sa.func.min(t.forecast_learning.c.day),
        sa.func.max(t.forecast_learning.c.day),
        sa.func.count(),
    )
    .where(*_OF_QUESTION)
    .group_by(t.forecast_learning.c.site, t.forecast_learning.c.station, t.forecast_learning.c.part)
)


def learning_days(
    connection: sa.Connection, question: Question, sites: Sequence[str], first: int = 0
) -> dict[tuple[str, str], list[LearningDay]]:
    """Return the days from local day `first` on, by site and station, in the order of the days."""
    found: dict[tuple[str, str], list[LearningDay]] = {}
    for some in chunks(sites):
        parameters = {**_columns(question), "sites": some, "first": first}
        for site, station, day, part, decided_at, content in fetched(connection, _DAYS, parameters):
            of_unit = found.setdefault((site, station), [])
            if part == MODELS:  # "models" comes before "readings"
                names, values = msgspec.msgpack.decode(content, type=tuple[list[str], bytes])
                hours = np.frombuffer(values, "<i4").reshape(len(names), HOURS_A_DAY)
                models = dict(zip(names, hours, strict=True))
                of_unit.append(LearningDay(ModelsOfDay(site, station, day, decided_at, models), None))
            else:
                readings = ReadingsOfDay(site, station, day, decided_at, np.frombuffer(content, "<i4"))
                of_unit[-1] = LearningDay(of_unit[-1].models, readings)
    return found


def learned_readings(
    connection: sa.Connection, question: Question, sites: Sequence[str], first: int
) -> dict[tuple[str, str | None, int], Ints]:
    """Return the readings of the learned days from local day `first` on, by site, station and day."""
    query = _DAYS.where(t.forecast_learning.c.part == READINGS)
    return {
        (site, station, day): np.frombuffer(content, "<i4")
        for some in chunks(sites)
        for site, station, day, _, _, content in fetched(
            connection, query, {**_columns(question), "sites": some, "first": first}
        )
    }


class Extent(NamedTuple):
    """The first and the last local day with models of a station, and how many days are learned there."""

    first: int
    last: int
    learned: int


def extents(
    connection: sa.Connection, question: Question, sites: Sequence[str]
) -> dict[str, dict[str, Extent]]:
    """Return what is stored of each station of these sites, by site and station."""
    found: dict[str, dict[str, Extent]] = {}
    for some in chunks(sites):
        rows = fetched(connection, _LEARNED, {**_columns(question), "sites": some})
        for site, station, part, first, last, count in sorted(map(tuple, rows)):
            of_site = found.setdefault(site, {})
            if part == MODELS:
                of_site[station] = Extent(first, last, 0)
            else:
                of_site[station] = of_site[station]._replace(learned=count)
    return found


# --- The cache of states -------------------------------------------------------------------------------


def save_states(connection: sa.Connection, question: Question, states: Sequence[SavedState]) -> None:
    """Save states over those of the same sites. Of a content that is public the SHA-256 is stored."""
    insert = insert_into(connection, t.learning_state)
    names = ("station", "method", "first", "days", "content")
    statement = insert.on_conflict_do_update(
        index_elements=t.learning_state.primary_key, set_={name: insert.excluded[name] for name in names}
    )
    rows = [
        {
            "site": state.site,
            **_columns(question),
            **{name: getattr(state, name) for name in names},
            "content": sha256(state.content).digest() if state.is_public else state.content,
        }
        for state in states
    ]
    if rows:
        connection.execute(statement, rows)


_SAVED = sa.select(
    *(
        t.learning_state.c[name]
        for name in ("audience", "site", "station", "method", "first", "days", "content")
    )
).where(
    t.learning_state.c.view == sa.bindparam("view"),
    t.learning_state.c.parameter == sa.bindparam("parameter"),
    t.learning_state.c.site.in_(sa.bindparam("sites", expanding=True)),
)


def saved_states(
    connection: sa.Connection, view: int, parameter: Parameter, sites: Collection[str]
) -> dict[Audience, dict[str, SavedState]]:
    """Return the saved states by audience and site; none whose public content is no longer there."""
    found: dict[Audience, dict[str, SavedState]] = {"public": {}, "operator": {}}
    for some in chunks(sites):
        parameters = {"view": view, "parameter": parameter.value, "sites": some}
        for audience, site, station, method, first, days, content in fetched(connection, _SAVED, parameters):
            found[audience][site] = SavedState(site, station, method, first, days, bytes(content))
    public = found["public"]
    for site, state in list(found["operator"].items()):
        if len(state.content) != sha256().digest_size:
            continue
        if site in public and sha256(public[site].content).digest() == state.content:
            found["operator"][site] = replace(state, content=public[site].content, is_public=True)
        else:
            del found["operator"][site]
    return found


def _columns(question: Question) -> dict[str, Any]:
    return {
        "audience": question.audience,
        "view": question.view,
        "parameter": question.parameter.value,
    }
