"""The forecasts of one decision, from what had arrived by then.

At a decision a unit learns the days whose readings have come, and issues the coming day. Under TRIAL_DAYS
learned days nothing is issued, but the models' values are kept for the learning.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from itertools import groupby
from typing import Protocol

import numpy as np

from backend.core.clock import PARIS, Clock
from backend.core.issued import (
    LEVELS,
    Audience,
    GateReason,
    GateState,
    IssuedForecast,
    IssuedHours,
    reason_text,
)
from backend.core.local_time import HOUR, date_of, local_day, local_moment
from backend.core.records import Site
from backend.forecast import aggregation, experts, interval
from backend.forecast.cells import Floats, from_cells
from backend.forecast.gate import GATED_DAYS, Reason, Stage, stage
from backend.forecast.learning import METHOD, ForecastHours, State, issue
from backend.issuing.arrived import AnnouncedDay, ArrivedReadings, announced, restarts
from backend.issuing.deciding import decided
from backend.issuing.packing import UnitState
from backend.issuing.units import RULES, Unit, learned_with, replayed
from backend.scoring.grid import SCALE, clock_hours
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
from backend.storage.positions import moves

MOST_UNITS = 40
"""Sites that are computed at once: enough for numpy, and few enough for the memory."""

MOST_DAYS_TO_WAIT = 7
"""Days after which a day without readings is no longer learned."""

AUDIENCES: tuple[Audience, ...] = ("public", "operator")

_LEVELS = [int(np.flatnonzero(np.isclose(interval.LEVELS, level / 100))[0]) for level in LEVELS]


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
        hour = decision.astimezone(PARIS).hour
        for view in DECISION_VIEWS:
            if view.hour == hour:
                yield from self._of_view(view, decision)

    def _of_view(self, view: DecisionView, decision: datetime) -> Iterator[IssuedBatch]:
        day = local_day(decision) + view.days_before
        at, withheld, sites = to_epoch(decision), self.withheld(), self.sites()
        with self.database.read() as connection:
            moved = [
                (move.site, move.station, local_day(move.since))
                for move in moves(connection, {site.id: site.stations for site in sites})
            ]
            of_models = {site.id: announced(connection, site, view, day) for site in sites}
            readings = {site.id: ArrivedReadings(connection, site, at) for site in sites}
            for audience in AUDIENCES:
                hidden = (
                    (frozenset(withheld.models), withheld.networks)
                    if audience == "public"
                    else (frozenset[str](), frozenset[str]())
                )
                stations = {
                    site: code
                    for site in sites
                    if (code := site.station_without(date_of(day), hidden[1])) is not None
                }
                first = {site.id: restarts(site, station, moved, at) for site, station in stations.items()}
                elevations = {site.id: readings[site.id].elevation(code) for site, code in stations.items()}
                for parameter in RULES:
                    question = Question(audience, view.number, parameter)
                    found = _Found.read(connection, question, [site.id for site in stations], day)
                    units = []
                    for site, station in stations.items():
                        values = {
                            name: hours
                            for name, hours in of_models[site.id].of(parameter, elevations[site.id]).items()
                            if name not in hidden[0]
                        }
                        unit = found.unit(site.id, station, first[site.id], values, hidden[0], day)
                        if unit is not None:
                            units.append(unit)
                    of_question = _Decision(question, decision, day, self.clock(), found.gate)
                    yield from _issued(of_question, units, readings, of_models)
                    ids = [site.id for site in stations]
                    weekly = decided(connection, question, ids, decision, found.gate)
                    if weekly is not None:
                        yield IssuedBatch(question=question, decision=weekly)


@dataclass(frozen=True, slots=True)
class _Found:
    """What the store has of the units of a question."""

    connection: Connection
    question: Question
    extents: Mapping[str, Mapping[str, Extent]]
    saved: Mapping[str, SavedState]
    gate: GateDecision | None

    @classmethod
    def read(cls, connection: Connection, question: Question, sites: Sequence[str], day: int) -> _Found:
        newest = decisions(
            connection,
            audience=question.audience,
            view=question.view,
            parameter=question.parameter,
            method=METHOD,
        )
        return cls(
            connection,
            question,
            extents(connection, question, sites),
            saved_states(connection, question, sites),
            newest[0] if newest else None,
        )

    def unit(
        self,
        site: str,
        station: str,
        moved: int,
        values: Mapping[str, np.ndarray],
        hidden: Collection[str],
        day: int,
    ) -> Unit | None:
        """Return the unit of a site before this decision; None if its decision was made already.

        Learning starts after the newest day of another station, and at the newest move of its own.
        """
        of_site = self.extents.get(site, {})
        mine = of_site.get(station, Extent(day, day - 1, 0))
        if mine.last >= day or (not values and not of_site):
            return None
        others = [extent.last + 1 for code, extent in of_site.items() if code != station]
        first = max([moved, *others], default=0)
        saved = self.saved.get(site)
        if (
            saved is not None
            and (saved.station, saved.method, saved.first) == (station, METHOD, first)
            and (saved.days == mine.learned or first > mine.first)
        ):
            known = UnitState.unpacked(saved.content)
            names = sorted((set(known.models) | values.keys()) - set(hidden))
            if names == list(known.models):
                return Unit(site, station, first, saved.days, known, values)
        days = learning_days(self.connection, self.question, [site], first).get((site, station), [])
        names = sorted({*values, *(name for each in days for name in each.models.models)} - set(hidden))
        if not names:
            return None
        known, learned = replayed(days, names, RULES[self.question.parameter])
        return Unit(site, station, first, learned, known, values)


@dataclass(frozen=True, slots=True)
class _Decision:
    question: Question
    time: datetime
    day: int
    now: datetime
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


def _issued(
    decision: _Decision,
    units: Iterable[Unit],
    readings: Mapping[str, ArrivedReadings],
    announced_days: Mapping[str, AnnouncedDay],
) -> Iterator[IssuedBatch]:
    """Yield batches of units, after each has learned what came since its last decision."""
    at, rules = to_epoch(decision.time), RULES[decision.question.parameter]
    learned: dict[str, list[ReadingsOfDay]] = {}
    ready = []
    for unit in units:
        of_unit = learned[unit.site] = []
        for day in sorted(unit.known.waiting):
            if decision.day - day > MOST_DAYS_TO_WAIT:
                continue
            observed = readings[unit.site].of(unit.station, day, decision.question.parameter)
            if observed is None:
                break  # the days are learned in their order
            of_unit.append(ReadingsOfDay(unit.site, unit.station, day, at, observed))
        waiting = {
            day: hours for day, hours in unit.known.waiting.items() if decision.day - day <= MOST_DAYS_TO_WAIT
        }
        unit = replace(unit, known=replace(unit.known, waiting=waiting))
        ready.append(learned_with(unit, of_unit))
    ready.sort(key=lambda unit: (list(unit.known.models), unit.site))
    for _, same in groupby(ready, key=lambda unit: list(unit.known.models)):
        group = list(same)
        parts = -(-len(group) // MOST_UNITS)
        for numbers in np.array_split(np.arange(len(group)), parts):
            some = [group[number] for number in numbers.tolist()]
            state = State.joined([unit.known.state for unit in some])
            models = np.concatenate([unit.coming(decision.day) for unit in some])
            hours = issue(state, models, rules)
            placebo = _placebo(state, models, rules)
            forecasts, states, inputs = [], [], []
            for index, unit in enumerate(some):
                if unit.announced:
                    inputs.append(ModelsOfDay(unit.site, unit.station, decision.day, at, unit.announced))
                    own = _unit_of(hours, index)
                    waiting = {**unit.known.waiting, decision.day: own}
                    unit = replace(unit, known=replace(unit.known, waiting=waiting))
                    days = int(unit.known.state.days[0])
                    if stage(days) is not Stage.NOTHING:
                        runs = announced_days[unit.site]
                        forecasts.append(_forecast(decision, unit, own, placebo[index], days, runs))
                states.append(unit.saved())
            yield IssuedBatch(
                question=decision.question,
                forecasts=forecasts,
                learned=[*inputs, *(part for unit in some for part in learned[unit.site])],
                states=states,
            )


def _placebo(state: State, models: Floats, rules: experts.Rules) -> Floats:
    """Return the models of each unit, combined by what another unit learned; NaN for a single unit."""
    count = len(models)
    if count < 2:
        return np.full((count, *models.shape[2:]), np.nan)
    other = state.taken([(unit + 1) % count for unit in range(count)])
    advice = experts.advise(other.memory, models, rules)
    return aggregation.combine(aggregation.weights(other.known, advice), advice)


def _unit_of(hours: ForecastHours, index: int) -> ForecastHours:
    names = ForecastHours.__dataclass_fields__
    return ForecastHours(**{name: getattr(hours, name)[index : index + 1] for name in names})


def _forecast(
    decision: _Decision, unit: Unit, hours: ForecastHours, placebo: Floats, days: int, runs: AnnouncedDay
) -> IssuedForecast:
    clock = clock_hours(date_of(decision.day), 1)[0]
    exists = np.flatnonzero(clock >= 0)

    def listed(cells: Floats, scale: int = SCALE) -> tuple[int | None, ...]:
        values = from_cells(cells, clock)[exists]
        return tuple(None if np.isnan(value) else round(value * scale) for value in values.tolist())

    names = experts.expert_names(unit.known.models)
    weights = {
        name: listed(weight, 1000)
        for name, weight in zip(names, hours.weights[0], strict=True)
        if (weight > 0).any()
    }
    state, reasons = decision.state(unit.site, days)
    start, best = local_moment(decision.day), int(hours.best[0])
    return IssuedForecast(
        site=unit.site,
        audience=decision.question.audience,
        parameter=decision.question.parameter,
        view=decision.question.view,
        day=decision.day,
        method=METHOD,
        decision_time=decision.time,
        issued_at=decision.now,
        hours=IssuedHours(
            times=tuple(start + HOUR * column for column in exists.tolist()),
            values=listed(hours.value[0]),
            quantiles=tuple(listed(hours.quantiles[0, ..., level]) for level in _LEVELS),
            weights=weights,
            inputs=tuple(run for name in unit.announced for run in runs.inputs[name]),
            station=unit.station,
            days=days,
            state=state,
            reason=reason_text(reasons),
            best=unit.known.models[best] if best >= 0 else "",
            best_values=listed(hours.best_value[0]) if best >= 0 else (),
            best_quantiles=tuple(listed(hours.best_quantiles[0, ..., level]) for level in _LEVELS)
            if best >= 0
            else (),
            placebo=() if np.isnan(placebo).all() else listed(placebo),
        ),
    )
