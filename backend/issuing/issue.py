"""The forecasts of one decision, from what had arrived by then.

At a decision a unit learns the days whose readings have come, and issues the coming day. Under TRIAL_DAYS
learned days nothing is issued, but the models' values are kept for the learning.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from itertools import groupby, repeat
from typing import Protocol

import msgspec

from backend.core.clock import PARIS, Clock
from backend.core.columns import Ints
from backend.core.issued import Audience, GateReason, GateState, IssuedForecast, reason_text
from backend.core.local_time import date_of, local_day
from backend.core.parameters import Parameter
from backend.core.records import Site
from backend.core.registry import OWN_MODEL
from backend.forecast.gate import GATED_DAYS, Reason, Stage, stage
from backend.forecast.learning import METHOD
from backend.issuing.arrived import AnnouncedDay, ArrivedReadings, announced, restarts
from backend.issuing.batch import Made, made
from backend.issuing.deciding import decided
from backend.issuing.packing import UnitState
from backend.issuing.units import RULES, Unit, replayed
from backend.scoring.views import DECISION_VIEWS, DecisionView
from backend.storage.database import Connection, Database, to_epoch
from backend.storage.gate_decisions import GateDecision, decisions
from backend.storage.issued_batches import IssuedBatch
from backend.storage.learning_days import (
    Extent,
    ModelsOfDay,
    Question,
    ReadingsOfDay,
    SavedState,
    extents,
    learning_days,
    saved_states,
)
from backend.storage.positions import first_stated_moves
from backend.storage.score_queries import model_ids

MOST_UNITS = 40
"""Sites that are computed at once: enough for numpy, and few enough for the memory."""

MOST_DAYS_TO_WAIT = 7
"""Days after which a day without readings is no longer learned."""

AUDIENCES: tuple[Audience, ...] = ("public", "operator")


class Withheld(Protocol):
    """The models (keys) and networks whose values everyone but the operator must not see."""

    @property
    def models(self) -> Mapping[str, str]:
        """Return the withheld models, each with its source."""
        ...

    @property
    def networks(self) -> frozenset[str]:
        """Return the withheld networks of stations."""
        ...


@dataclass(frozen=True, kw_only=True)
class Issuer:
    """Issues forecasts from a store, and stores nothing itself.

    Blocks. Raises StoreUnavailableError, ConfigError.
    """

    database: Database
    sites: Callable[[], tuple[Site, ...]]
    withheld: Callable[[], Withheld]
    clock: Clock

    def batches(self, decision: datetime) -> Iterator[IssuedBatch]:
        """Yield what is issued at a decision time: one that is a view's, or nothing is."""
        views = [view for view in DECISION_VIEWS if view.hour == decision.astimezone(PARIS).hour]
        if not views:
            return
        day, at, withheld, sites = local_day(decision), to_epoch(decision), self.withheld(), self.sites()
        with self.database.read() as connection:
            moved = [
                (move.site, move.station, local_day(move.since))
                for move in first_stated_moves(connection, {site.id: site.stations for site in sites})
            ]
            names = {number: name for name, number in model_ids(connection).items() if name != OWN_MODEL.name}
            coming = {site.id: announced(connection, site, views, day, names) for site in sites}
            readings = {site.id: ArrivedReadings(connection, site, at) for site in sites}
            for view in views:
                of_view = _View(
                    view=view,
                    decision=decision,
                    day=day + view.days_before,
                    clock=self.clock,
                    announced={name: of_site[view.number] for name, of_site in coming.items()},
                    readings=readings,
                )
                stations = {
                    audience: _stations(of_view, sites, moved, hidden)
                    for audience, hidden in _hidden(withheld).items()
                }
                for parameter in RULES:
                    yield from _of_parameter(connection, of_view, parameter, stations)


@dataclass(frozen=True, slots=True, kw_only=True)
class _View:
    """A decision for one view: for a local day, from what had arrived."""

    view: DecisionView
    decision: datetime
    day: int
    clock: Clock
    announced: Mapping[str, AnnouncedDay]
    readings: Mapping[str, ArrivedReadings]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Place:
    """A site with its station for an audience. `moved`: the day of the newest move of its mast, or 0."""

    site: str
    station: str
    moved: int
    elevation: float | None
    hidden: frozenset[str]


def _hidden(withheld: Withheld) -> dict[Audience, tuple[frozenset[str], frozenset[str]]]:
    """Return the models and the networks that each audience must not see."""
    return {"public": (frozenset(withheld.models), withheld.networks), "operator": (frozenset(), frozenset())}


def _stations(
    of_view: _View,
    sites: Sequence[Site],
    moved: Sequence[tuple[str, str, int]],
    hidden: tuple[frozenset[str], frozenset[str]],
) -> list[_Place]:
    return [
        _Place(
            site=site.id,
            station=code,
            moved=restarts(site, code, moved, to_epoch(of_view.decision)),
            elevation=of_view.readings[site.id].elevation(code),
            hidden=hidden[0],
        )
        for site in sites
        if (code := site.station_without(date_of(of_view.day), hidden[1])) is not None
    ]


def _of_parameter(
    connection: Connection, of_view: _View, parameter: Parameter, places: Mapping[Audience, Sequence[_Place]]
) -> Iterator[IssuedBatch]:
    """Yield what is issued of a parameter, some sites after the other, and what its gate decides."""
    gates = {}
    for audience in places:
        newest = decisions(
            connection, audience=audience, view=of_view.view.number, parameter=parameter, method=METHOD
        )
        gates[audience] = newest[0] if newest else None
    for start in range(0, max(map(len, places.values()), default=0), MOST_UNITS):
        # Without withheld sources both audiences have the same inputs, and the second costs no computation.
        known: dict[Hashable, list[Made]] = {}
        some = {audience: of[start : start + MOST_UNITS] for audience, of in places.items()}
        saved = saved_states(
            connection, of_view.view.number, parameter, {place.site for of in some.values() for place in of}
        )
        unpacked: dict[bytes, UnitState] = {}
        for audience, of_audience in some.items():
            question = Question(audience, of_view.view.number, parameter)
            units = _units(connection, question, of_view, of_audience, saved[audience], unpacked)
            of_question = _Decision(question, of_view, gates[audience])
            if units:
                yield of_question.issued(units, known)
    for audience, of_audience in places.items():
        question = Question(audience, of_view.view.number, parameter)
        ids = [place.site for place in of_audience]
        weekly = decided(connection, question, ids, of_view.decision, gates[audience])
        if weekly is not None:
            yield IssuedBatch(question=question, decision=weekly)


def _units(
    connection: Connection,
    question: Question,
    of_view: _View,
    places: Sequence[_Place],
    saved: Mapping[str, SavedState],
    unpacked: dict[bytes, UnitState],
) -> list[Unit]:
    """Return the units of sites before a decision, without those whose decision was made already.

    `unpacked` are states by their content: both audiences have most of them in common.
    """
    found = []
    for place in places:
        of_site = of_view.announced[place.site].of(question.parameter, place.elevation)
        values = {name: hours for name, hours in of_site.items() if name not in place.hidden}
        cached = _cached(place, saved.get(place.site), values, unpacked)
        if cached is None:
            cached = _replayed(connection, question, place, values, of_view.day)
        if cached is not None and cached.known.newest < of_view.day:
            found.append(cached)
    return found


def _cached(
    place: _Place, saved: SavedState | None, values: Mapping[str, Ints], unpacked: dict[bytes, UnitState]
) -> Unit | None:
    """Return the unit of the saved state; None if that is of another station, method, start or set of models.

    A state is stored with the rows that it was learned from, all of them or none.
    """
    if saved is None or (saved.station, saved.method) != (place.station, METHOD):
        return None
    known = unpacked.get(saved.content)
    if known is None:
        known = unpacked[saved.content] = UnitState.unpacked(saved.content)
    names = sorted((set(known.models) | values.keys()) - place.hidden)
    if names != list(known.models) or known.moved != place.moved:
        return None
    return Unit(place.site, place.station, saved.first, saved.days, known, values, saved.content)


def _replayed(
    connection: Connection, question: Question, place: _Place, values: Mapping[str, Ints], day: int
) -> Unit | None:
    """Return the unit after a replay of its stored days; None if the decision was made, or without any model.

    Learning starts after the newest day of another station, and at the newest move of its own.
    """
    of_site = extents(connection, question, [place.site]).get(place.site, {})
    mine = of_site.get(place.station, Extent(day, day - 1, 0))
    if mine.last >= day or (not values and not of_site):
        return None
    others = [extent.last + 1 for code, extent in of_site.items() if code != place.station]
    first = max([place.moved, *others], default=0)
    days = learning_days(connection, question, [place.site], first).get((place.site, place.station), [])
    names = sorted({*values, *(name for each in days for name in each.models.models)} - place.hidden)
    if not names:
        return None
    known, learned = replayed(days, names, RULES[question.parameter], place.moved)
    return Unit(place.site, place.station, first, learned, known, values)


@dataclass(frozen=True, slots=True)
class _Decision:
    question: Question
    of_view: _View
    gate: GateDecision | None

    def state(self, site: str, days: int) -> tuple[GateState, tuple[GateReason, ...]]:
        """Return whether a forecast learned from so many days is shown, and why not."""
        if stage(days) is Stage.TRIAL:
            return GateState.TRIAL, (GateReason(Reason.FEW_DAYS.value, days, GATED_DAYS),)
        if self.gate is None:
            return GateState.TRIAL, (GateReason(Reason.FEW_DAYS.value, 0, GATED_DAYS),)
        grounds = self.gate.grounds
        if not self.gate.open:
            few = all(reason.code == Reason.FEW_DAYS for reason in grounds.reasons)
            return GateState.TRIAL if few else GateState.CLOSED, grounds.reasons
        if site in grounds.vetoes:
            return GateState.VETO, (grounds.vetoes[site],)
        return GateState.SHOWN, ()

    def issued(self, units: Sequence[Unit], known: dict[Hashable, list[Made]]) -> IssuedBatch:
        """Return what is issued for units, after each has learned what came since its last decision.

        `known` are results by their inputs: of those that are there nothing is computed again.
        """
        day, rules = self.of_view.day, RULES[self.question.parameter]
        ready = []
        for unit in units:
            waiting = {of: one for of, one in unit.known.waiting.items() if day - of <= MOST_DAYS_TO_WAIT}
            unit = replace(unit, known=replace(unit.known, waiting=waiting))
            ready.append((unit, self._arrived(unit)))
        parts: list[tuple[Unit, Mapping[int, Ints], Made, bool]] = []
        ready.sort(key=lambda pair: (list(pair[0].known.models), list(pair[1]), pair[0].site))
        for _, same in groupby(ready, key=lambda pair: (list(pair[0].known.models), list(pair[1]))):
            some, readings = zip(*same, strict=True)
            inputs = [self.of_view.announced[unit.site].inputs for unit in some]
            key = tuple(map(_inputs_of, some))
            results = known.get(key)
            is_public = results is not None  # the public audience is the first one
            if results is None:
                results = known[key] = made(some, readings, inputs, day, rules)
            parts += zip(some, readings, results, repeat(is_public))
        return self._batch(parts)

    def _arrived(self, unit: Unit) -> dict[int, Ints]:
        """Return the readings of the days that a unit learns now, in the order of the days."""
        found: dict[int, Ints] = {}
        for day in sorted(unit.known.waiting):
            observed = self.of_view.readings[unit.site].of(unit.station, day, self.question.parameter)
            if observed is None:
                break  # the days are learned in their order
            found[day] = observed
        return found

    def _batch(self, parts: Iterable[tuple[Unit, Mapping[int, Ints], Made, bool]]) -> IssuedBatch:
        day, at, now = self.of_view.day, to_epoch(self.of_view.decision), self.of_view.clock()
        forecasts, states, learned = [], [], list[ModelsOfDay | ReadingsOfDay]()
        for unit, of_unit, result, is_public in parts:
            if unit.announced:
                learned.append(ModelsOfDay(unit.site, unit.station, day, at, unit.announced))
            learned += (
                ReadingsOfDay(unit.site, unit.station, of, at, observed) for of, observed in of_unit.items()
            )
            days = unit.learned + len(of_unit)
            states.append(
                SavedState(unit.site, unit.station, METHOD, unit.first, days, result.content, is_public)
            )
            if result.hours is None:
                continue
            state, reasons = self.state(unit.site, result.hours.days)
            forecasts.append(
                IssuedForecast(
                    site=unit.site,
                    audience=self.question.audience,
                    parameter=self.question.parameter,
                    view=self.question.view,
                    day=day,
                    method=METHOD,
                    decision_time=self.of_view.decision,
                    issued_at=now,
                    hours=msgspec.structs.replace(result.hours, state=state, reason=reason_text(reasons)),
                )
            )
        return IssuedBatch(question=self.question, forecasts=forecasts, learned=learned, states=states)


def _inputs_of(unit: Unit) -> Hashable:
    """Return what the result of a unit follows from, apart from the readings, which all audiences share.

    It equals nothing else for a replayed unit.
    """
    if unit.saved_as is None:
        return object()
    values = tuple((name, hours.tobytes()) for name, hours in unit.announced.items())
    return unit.site, unit.station, unit.saved_as, values
