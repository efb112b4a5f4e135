"""The corrected forecast through the service: store, job and record, beside the replay of the same years.

    make prove PROVE="--only forecast-service [--days 200] [--sites 3] [--seed 1] [--evenings] [--folder F]"

The years of proofs/forecast_store.py arrive in a store of SQLite with a moving clock. At 07, 12 and 19 local
time the job's own function (backend/scheduler/issuing.py) issues, and what it returns is stored as the runner
stores it. The rows that are read back must be those of a replay of backend/forecast on what had arrived by
then. `--folder` keeps the store, so that a service can be started on it.
"""

from __future__ import annotations

import argparse
import asyncio
import logging
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from functools import partial
from pathlib import Path

import numpy as np
import structlog

from backend.core.columns import Ints
from backend.core.issued import LEVELS, GateState, IssuedForecast
from backend.core.local_time import HOURS_A_DAY, date_of
from backend.core.parameters import ABSENT, Parameter
from backend.forecast import experts, interval
from backend.forecast.cells import Floats, from_cells, to_cells
from backend.forecast.gate import TRIAL_DAYS
from backend.forecast.learning import METHOD, Day, ForecastHours, State, replay
from backend.issuing.issue import Issuer
from backend.scheduler.issuing import issue_forecasts
from backend.scoring.grid import SCALE, clock_hours
from backend.scoring.views import DECISION_VIEWS, EVENING_BEFORE, DecisionView
from backend.storage.gate_decisions import decisions
from backend.storage.issued import chains, issued_forecasts
from backend.storage.issued_batches import store_issued_batch
from backend.storage.learning_days import Question, learning_days
from backend.storage.store import Store
from proofs.forecast import Aim
from proofs.forecast_record import PIT_SEED, Scores
from proofs.forecast_store import COLLECTIONS, FIRST, MODELS, PARAMETERS, Years, at, epoch
from proofs.forecast_world import YEAR

RULES = {
    Parameter.WIND_SPEED: experts.WIND,
    Parameter.WIND_GUST: experts.WIND,
    Parameter.TEMPERATURE: experts.TEMPERATURE,
}
SOON = timedelta(seconds=5)
"""From a decision time to the job's start."""

NEVER = 2**62
COLUMNS = [int(np.flatnonzero(np.isclose(interval.LEVELS, level / 100))[0]) for level in LEVELS]
"""Of the quantiles that are issued."""


class NothingWithheld:
    """All models and networks are public."""

    models: Mapping[str, str] = {}
    networks: frozenset[str] = frozenset()


@dataclass
class Expected:
    """What the job must issue and learn at a site, by the target day from FIRST on."""

    issued: dict[int, tuple[ForecastHours, int]] = field(default_factory=dict)
    """The hours, and from how many days they were learned."""
    learned: dict[int, tuple[int, Ints]] = field(default_factory=dict)
    """When (seconds since 1970), and the readings."""


HOURS = tuple(sorted({view.hour for view in DECISION_VIEWS}))
"""The local hours of the decisions; each follows a collection."""


def live(store: Store, years: Years, hours: Sequence[int] = HOURS) -> float:
    """Play all days: collect, and issue at these decision times. Return the seconds of CPU of the job."""
    now = at(FIRST, 0)
    issuer = Issuer(
        database=store.database,
        sites=lambda: years.sites,
        withheld=NothingWithheld,
        clock=lambda: now,
    )
    seconds = 0.0
    deliver = partial(store_issued_batch, store.database)
    for day in range(years.days):
        for collected, decided in zip(COLLECTIONS, HOURS, strict=True):
            if now < years.confirmed <= at(FIRST + day, collected):
                site = years.sites[years.moved[0]]
                store.confirm_station(site.id, site.stations[0], years.confirmed)
            years.collect(store, day, collected)
            now = at(FIRST + day, decided) + SOON
            if decided not in hours:
                continue
            before = time.process_time()
            asyncio.run(issue_forecasts(issuer, at(FIRST + day, decided), deliver))
            seconds += time.process_time() - before
    return seconds


def expected(years: Years, site: int, view: DecisionView, parameter: Parameter) -> Expected:
    """Return what had arrived, replayed: a moved beacon starts again on the day of its move."""
    found, waiting, days = Expected(), list[int](), dict[int, Day]()
    restart = epoch(years.noticed) if site == years.moved[0] else NEVER
    for decided in range(years.days):
        target, moment = decided + view.days_before, epoch(at(FIRST + decided, view.hour))
        if moment >= restart:
            waiting = [day for day in waiting if day >= years.moved[1]]
        while waiting and years.is_complete(waiting[0], site, moment):
            day = waiting.pop(0)
            readings = years.arrived(day, site, parameter, moment)
            found.learned[day] = moment, readings
            days[day] = days[day]._replace(observed=_cells(readings, day)[None], known=moment)
        values = years.announced(target, site, view, parameter) if target < years.days else {}
        if not values:
            continue
        nothing = np.full(HOURS_A_DAY, ABSENT, np.int32)
        models = _cells(np.stack([values.get(name, nothing) for name in MODELS]), target)[None]
        days[target] = Day(models, np.full((1, *models.shape[2:]), np.nan), moment, NEVER)
        waiting.append(target)
    before = {target: of_day for target, of_day in days.items() if of_day.decided < restart}
    after = {target: of_day for target, of_day in days.items() if target >= years.moved[1]}
    for part, first in ((before, 0), (after, restart)):
        start = State.fresh(1, len(MODELS))
        for (target, of_day), (hours, state) in zip(
            part.items(), replay(list(part.values()), start, RULES[parameter]), strict=True
        ):
            count = int(state.days[0])
            if of_day.decided >= first and count >= TRIAL_DAYS:
                found.issued[target] = hours, count
    return found


def _cells(hours: Ints, day: int) -> Floats:
    clock = clock_hours(date_of(FIRST + day), 1)[0]
    return to_cells(np.where(hours == ABSENT, np.nan, hours / SCALE), clock)


def differences(row: IssuedForecast, hours: ForecastHours, days: int) -> int:
    """Return how many of the figures of an issued row are not those of the replay."""
    clock = clock_hours(date_of(row.day), 1)[0]
    there = clock >= 0

    def listed(cells: Floats) -> list[int | None]:
        values = (from_cells(cells, clock)[there] * SCALE).tolist()
        return [None if np.isnan(value) else round(value) for value in values]

    pairs = list(zip(row.hours.values, listed(hours.value[0]), strict=True))
    for of_row, column in zip(row.hours.quantiles, COLUMNS, strict=True):
        pairs += zip(of_row, listed(hours.quantiles[0, ..., column]), strict=True)
    best = int(hours.best[0])
    if row.hours.best:
        pairs += zip(row.hours.best_values, listed(hours.best_value[0]), strict=True)
    same_best = row.hours.best == (MODELS[best] if best >= 0 else "")
    return sum(a != b for a, b in pairs) + (not same_best) + (row.hours.days != days)


def compared(store: Store, years: Years, hours: Sequence[int] = HOURS) -> Iterator[Aim]:
    """Yield whether the record and the stored inputs are those of the replay, in the views of these hours."""
    last = FIRST + years.days
    rows = missing = other = wrong = readings = unlike = late = 0
    for parameter in PARAMETERS:
        for view in [each for each in DECISION_VIEWS if each.hour in hours]:
            question = Question("public", view.number, parameter)
            for number, site in enumerate(years.sites):
                of_replay = expected(years, number, view, parameter)
                with store.database.read() as connection:
                    own, of_operator = (
                        {
                            row.day - FIRST: row
                            for row in issued_forecasts(
                                connection,
                                [site.id],
                                audience=audience,
                                view=view.number,
                                first=FIRST,
                                last=last,
                            )
                            if row.parameter is parameter
                        }
                        for audience in ("public", "operator")
                    )
                    stored = learning_days(connection, question, [site.id])[site.id, site.stations[0]]
                rows += len(own)
                missing += len(of_replay.issued.keys() - own.keys())
                other += len(own.keys() - of_replay.issued.keys())
                late += sum(row.is_late for row in own.values())
                for day in own.keys() & of_replay.issued.keys():
                    wrong += differences(own[day], *of_replay.issued[day])
                    wrong += own[day].hours.values != of_operator[day].hours.values
                learned = {
                    day.models.day - FIRST: (day.readings.decided_at, day.readings.observed)
                    for day in stored
                    if day.readings is not None
                }
                unlike += len(learned.keys() ^ of_replay.learned.keys())
                for day in learned.keys() & of_replay.learned.keys():
                    (when, observed), (then, arrived) = learned[day], of_replay.learned[day]
                    readings += int((arrived != ABSENT).sum())
                    unlike += int((observed != arrived).sum()) + (when != then)
    yield Aim("forecasts of the replay that were not issued", f"{missing} of {rows}", missing == 0 < rows)
    yield Aim("forecasts that the replay has not, or that came late", f"{other}, {late}", other == late == 0)
    yield Aim("figures that differ from the replay by a thousandth", f"{wrong}", wrong == 0)
    text = f"{unlike} of {readings} readings"
    yield Aim("readings learned that had not arrived, or another value", text, unlike == 0 < readings)


def restarted(store: Store, years: Years) -> Aim:
    """Return whether the moved beacon started again, and the other sites did not."""
    site, moved = years.moved
    with store.database.read() as connection:
        rows = [
            row
            for row in issued_forecasts(
                connection,
                [each.id for each in years.sites],
                audience="public",
                view=EVENING_BEFORE.number,
                first=FIRST + moved + 2,
                last=FIRST + moved + TRIAL_DAYS,
            )
            if row.parameter is Parameter.WIND_SPEED
        ]
    there = {row.site for row in rows}
    others = {each.id for each in years.sites} - {years.sites[site].id}
    return Aim(
        "after its move a beacon starts again, the other sites go on",
        f"{len(there)} of {len(years.sites)} sites issued",
        there == others,
    )


def record(store: Store) -> Aim:
    """Return whether the chains of the record are whole."""
    with store.database.read() as connection:
        found = list(chains(connection))
    faults = [chain for chain in found if chain.fault is not None]
    count = sum(chain.rows for chain in found)
    return Aim("chains of the record with a fault", f"{len(faults)}, {count} rows", not faults and count > 0)


def print_gate(store: Store) -> None:
    """Print the decisions for the wind of tomorrow, where they differ from the one before."""
    with store.database.read() as connection:
        found = decisions(
            connection,
            audience="public",
            view=EVENING_BEFORE.number,
            parameter=Parameter.WIND_SPEED,
            method=METHOD,
            limit=10_000,
        )
    print(f"\nGate for the wind of tomorrow: {len(found)} decisions; those that differ from the one before")
    before: tuple[object, ...] | None = None
    for decision in reversed(found):
        reasons = decision.grounds.reasons
        state = (decision.open, [reason.code for reason in reasons], sorted(decision.grounds.vetoes))
        if state != before:
            day = (decision.decided_at - at(FIRST, 0)) // timedelta(days=1)
            why = ", ".join(f"{each.code} {each.figure} (limit {each.limit})" for each in reasons)
            vetoes = f"; veto at {', '.join(state[2])}" if state[2] else ""
            print(f"  day {day:3}: {'open' if decision.open else 'closed'} {why}{vetoes}")
        before = state


def print_states(store: Store, years: Years) -> None:
    """Print how many rows have each state."""
    with store.database.read() as connection:
        rows = issued_forecasts(
            connection,
            [site.id for site in years.sites],
            audience="public",
            view=None,
            first=FIRST,
            last=FIRST + years.days,
        )
    counts = {state: sum(row.hours.state == state for row in rows) for state in GateState}
    print("States of public rows: " + ", ".join(f"{state} {count}" for state, count in counts.items()))


def main(arguments: Sequence[str] | None = None) -> int:
    """Print what was compared and the scores of the record; return 1 if an aim is missed."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--days", type=int, default=200)
    parser.add_argument("--sites", type=int, default=3)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--evenings", action="store_true", help="decide at 19 only: half of the work")
    parser.add_argument("--folder", type=Path, help="keep the store here, as store.sqlite3")
    options = parser.parse_args(arguments)
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.WARNING))
    with tempfile.TemporaryDirectory() as temporary:
        folder = options.folder or Path(temporary)
        path = folder / "store.sqlite3"
        if path.exists():
            parser.error(f"{path} is there already: name another folder")
        folder.mkdir(parents=True, exist_ok=True)
        hours = HOURS[-1:] if options.evenings else HOURS
        print(
            f"seed {options.seed}: {options.sites} sites, {options.days} days, {len(MODELS)} models,"
            f" {len(PARAMETERS)} parameters, decisions at {', '.join(map(str, hours))}; PIT seed {PIT_SEED}",
            flush=True,
        )
        years = Years.drawn(options.days, options.sites, options.seed)
        store = years.opened(f"sqlite:///{path}")
        seconds = live(store, years, hours)
        site_days = options.sites * options.days
        print(
            f"The job took {seconds:.1f} s of CPU: {YEAR * seconds / site_days:.1f} s for a site and a year"
            f" of {len(PARAMETERS)} parameters and 2 audiences,"
            f" {1000 * seconds / (len(hours) * site_days):.0f} ms for a site and a decision",
            flush=True,
        )
        print_states(store, years)
        print_gate(store)
        found = [*compared(store, years, hours), restarted(store, years), record(store)]
        found += Scores.of(store, years).aims()
        store.database.close()
    print("\nThrough the service; scores are those of the wind as issued on the evening before")
    for aim in found:
        print(f"  {'passed' if aim.met else 'FAILED'}  {aim.text}: {aim.found}")
    failed = sum(not aim.met for aim in found)
    print(f"{len(found) - failed} passed, {failed} failed")
    return int(failed > 0)


if __name__ == "__main__":
    sys.exit(main())
