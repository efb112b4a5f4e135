"""An attack on withheld values: public answers, combined until single values follow from them.

The attacker knows everything that is public: the other models, the other station, which hours there are. Each
published mean is an equation for the withheld values behind it, known to half of its rounding step. All
equations are solved together, around the best guess from the public values of the same hour. The result is
the least-squares estimate of every single value. A mean size of errors is an equation too, once the
estimate gives the side of the forecast on which each value lies.

Under the rules of version 1 (any days, figures to 0.1) the attack recovers most values; the same attack must
gain nothing under the current rules.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx2
import numpy as np
import pytest
from numpy.typing import NDArray

from backend.main import Service
from backend.scoring.constants import PUBLIC_PAIRS
from backend.scoring.days.public_months import publish
from backend.scoring.public.figures import figure_step
from backend.scoring.public.windows import PublicRules
from backend.scoring.sample.quantities import Quantity
from backend.scoring.views import EVENING_BEFORE, LEAD_VIEWS, MORNING, View
from backend.tests.support.score_store import SPEED, Grid, keep
from backend.tests.support.served import make_service, served
from backend.tests.support.stores import make_tables
from backend.tests.support.worlds import HandClock

FIRST, TODAY = date(2026, 4, 1), date(2026, 7, 15)
DAYS = (TODAY - FIRST).days
NOW = datetime(2026, 7, 15, 12, 10, tzinfo=UTC)
JUNE = range((date(2026, 6, 1) - FIRST).days, (date(2026, 6, 30) - FIRST).days + 1)
PUBLIC = ("arome_0025", "icon_d2", "gfs_global")
WITHHELD = "meteo_parapente"
BEACON, ROMMA = "ffvl:901", "romma:902"
VIEWS: tuple[View, ...] = (EVENING_BEFORE, MORNING, LEAD_VIEWS[1], LEAD_VIEWS[2])
SITE = "/api/v1/sites/grand-pre"
HOURS = {"flying": range(10, 19), "day": range(8, 20), "all": range(24)}
VERSION_1 = PublicRules(closed_months=False)

Numbers = NDArray[np.float64]


# --- The world ---------------------------------------------------------------------------------------


@dataclass(frozen=True)
class World:
    """Wind in km/h, (days, 25), NaN where there is none; per view the forecast of each model."""

    stations: Mapping[str, Grid]
    models: Mapping[str, Mapping[str, Grid]]


def make_world(seed: int = 15) -> World:
    rng = np.random.default_rng(seed)

    def noise(of_day: float, of_hour: float) -> Grid:
        slow = rng.normal(0, of_day, (DAYS, 1))
        fast = rng.normal(0, of_hour, (DAYS, 25))
        for hour in range(1, 25):
            fast[:, hour] = 0.8 * fast[:, hour - 1] + 0.6 * fast[:, hour]
        return slow + fast

    clock = np.arange(25)[None, :]
    truth = 16 + 6 * np.sin((clock - 9) * math.pi / 12) + noise(4, 2)
    beacon = np.clip(truth + noise(0.3, 1.0), 0, None).round()
    romma = np.clip(truth + 3 + noise(1.0, 2.0), 0, None).round(1)
    models: dict[str, dict[str, Grid]] = {}
    for view in VIEWS:
        of_view = {}
        for name, bias in zip((*PUBLIC, WITHHELD), (-1.0, 1.5, 2.0, 2.5), strict=True):
            of_view[name] = np.clip(truth + bias + noise(1.0, 2.2), 0, None).round(2)
        if view in LEAD_VIEWS:  # a run that was not collected, and one that one model does not have
            for name in of_view:
                of_view[name][50, 6:12] = np.nan
            of_view[PUBLIC[1]][70, 12:18] = np.nan
        models[view.name] = of_view
    for readings in (beacon, romma):
        readings[rng.random(readings.shape) < 0.03] = np.nan
    return World({BEACON: beacon, ROMMA: romma}, models)


def store(folder: Path, world: World, rules: PublicRules) -> Service:
    service = make_service(folder, clock=HandClock(NOW))
    make_tables(service.database)
    write(service, world)
    publish(service.database, NOW)
    return replace(service, public_rules=rules)


def write(service: Service, world: World) -> None:
    stations = {code: {SPEED: values} for code, values in world.stations.items()}
    for view in VIEWS:
        models = {name: {SPEED: values} for name, values in world.models[view.name].items()}
        keep(service.database, service.sites()[0], FIRST, models=models, stations=stations, views=[view])


# --- The questions -----------------------------------------------------------------------------------


@dataclass
class Target:
    """The target of the attack: the values of a station, or of a model in one view."""

    station: str
    model: str | None = None
    view: View = EVENING_BEFORE

    def truth(self, world: World) -> Grid:
        return (
            world.stations[self.station] if self.model is None else world.models[self.view.name][self.model]
        )

    def known(self, world: World, view: View, model: str) -> Grid:
        """Return the other side of a pair, which is public."""
        return world.stations[self.station] if self.model else world.models[view.name][model]

    def figures(self, answer: Mapping[str, Any]) -> Iterator[tuple[str, str | None, Mapping[str, Any]]]:
        """Yield the entry of each model, as a whole and in each group."""
        wanted = (self.model,) if self.model else PUBLIC
        for entry in answer["models"]:
            if entry["model"] in wanted and entry["score"] is not None:
                yield entry["model"], None, entry
        for group in answer.get("groups", ()):
            for each in group["models"]:
                if (
                    each["model"] in wanted
                    and each["entry"] is not None
                    and each["entry"]["score"] is not None
                ):
                    yield each["model"], group["group"], each["entry"]


@dataclass
class Equations:
    """One equation per figure: its hours (days * 25), their number, its value and half of its step."""

    masks: list[NDArray[np.bool_]] = field(default_factory=list)
    others: list[Numbers] = field(default_factory=list)
    means: list[float] = field(default_factory=list)
    sizes: list[float | None] = field(default_factory=list)
    half_steps: list[float] = field(default_factory=list)

    def add(self, mask: NDArray[np.bool_], other: Grid, entry: Mapping[str, Any], rules: PublicRules) -> None:
        count = int(mask.sum())
        if not count or entry["score"]["meanError"] is None:
            return
        self.masks.append(mask.ravel())
        self.others.append(np.nan_to_num(other).ravel())
        self.means.append(entry["score"]["meanError"])
        self.sizes.append(entry["score"]["mae"])
        self.half_steps.append(0.05 if not rules.closed_months else half_step_of(entry, count))


def half_step_of(entry: Mapping[str, Any], count: int) -> float:
    """Return half of the rounding step, by the rule in the methodology."""
    least = 1.35 * 5.0 / math.sqrt(count)
    return next(step for step in (0.1, 0.2, 0.5, 1.0, 2.0, 5.0) if step >= least) / 2


def groups_of(stratum: str | None, group: str | None) -> range:
    if group is None or stratum == "month":
        return range(24)
    if stratum == "hour":
        return range(int(group), int(group) + 1)
    first, last = group.split("-")
    return range(int(first), int(last) + 1)


async def collect(
    client: httpx2.AsyncClient,
    world: World,
    target: Target,
    queries: Sequence[Mapping[str, str]],
    rules: PublicRules,
) -> tuple[Equations, int]:
    """Return the equations of the answers, and the number of refused questions."""
    found, refused = Equations(), 0
    truth = target.truth(world)
    for query in queries:
        view = next(view for view in VIEWS if view.name == query["view"])
        path = "scores" if "stratum" in query else "verdict"
        answer = await client.get(f"{SITE}/{path}", params={**query, "station": target.station})
        if answer.status_code == 422:
            refused += 1
            continue
        if target.model and view is not target.view:
            continue  # other runs, other values
        assert answer.status_code == 200, answer.text
        body = answer.json()
        first = (date.fromisoformat(body["firstDay"]) - FIRST).days
        last = (date.fromisoformat(body["lastDay"]) - FIRST).days
        within = np.zeros((DAYS, 25), np.bool_)
        within[max(first, 0) : last + 1, list(HOURS[body["hours"]])] = True
        for model, group, entry in target.figures(body):
            other = target.known(world, view, model)
            mask = within & ~np.isnan(other) & ~np.isnan(truth)
            if path == "verdict":  # on the hours that all models have
                for values in (*world.models[view.name].values(), world.stations[target.station]):
                    mask &= ~np.isnan(values)
            of_group = np.zeros(25, np.bool_)
            of_group[list(groups_of(query.get("stratum"), group))] = True
            if query.get("stratum") == "month" and group is not None:
                mask &= np.array([int(group) == (FIRST + timedelta(days=d)).month for d in range(DAYS)])[
                    :, None
                ]
            found.add(mask & of_group, other, entry, rules)
    return found, refused


# --- The estimate ------------------------------------------------------------------------------------


def best_guess(world: World, target: Target) -> tuple[Numbers, float]:
    """Return the best linear guess from all public values of the same hour, and its spread.

    It is fitted on the withheld values themselves, so no guess from outside is as good.
    """
    truth = target.truth(world).ravel()
    sides = [world.models[view.name][name].ravel() for view in VIEWS for name in PUBLIC]
    sides.append(world.stations[BEACON].ravel())
    clock = np.tile(np.arange(25), DAYS) * math.pi / 12
    columns = [np.nan_to_num(side, nan=float(np.nanmean(side))) for side in sides]
    design = np.column_stack([*columns, np.sin(clock), np.cos(clock), np.ones_like(clock)])
    there = ~np.isnan(truth)
    weights, *_ = np.linalg.lstsq(design[there], truth[there], rcond=None)
    guess = design @ weights
    return guess, float(np.std((truth - guess)[there]))


def assert_true(found: Equations, truth: Numbers, *, of_model: bool) -> None:
    """Raise AssertionError unless the true values fulfil every equation, as the attack assumes."""
    assert found.masks
    for mask, other, mean, half in zip(found.masks, found.others, found.means, found.half_steps, strict=True):
        error = float((truth - other)[mask].mean()) * (1 if of_model else -1)
        assert abs(error - mean) <= half + 0.01


def solve(
    found: Equations,
    guess: Numbers,
    spread: float,
    *,
    of_model: bool,
    rounds: int,
    unknown: NDArray[np.bool_],
) -> Numbers:
    """Return the least-squares estimate of every value, given the guess and its spread.

    After the first round, the mean sizes of errors are equations too: by the sides that the estimate gives.
    """
    estimate = guess.copy()
    masks = np.array(found.masks, float)
    others, half = np.array(found.others), np.array(found.half_steps)
    counts = masks.sum(axis=1)
    sign = 1.0 if of_model else -1.0  # error = forecast - observation
    sums = np.array(found.means) * counts + sign * (masks * others).sum(axis=1)
    for turn in range(rounds):
        rows, values, widths = [sign * masks], [sums], [half * counts]
        if turn:
            sized = np.array([size is not None for size in found.sizes])
            sides = np.sign(sign * (estimate[None, :] - others))
            rows.append((masks * sides * sign)[sized])
            sizes = np.array([size or 0.0 for size in found.sizes])
            values.append((sizes * counts + sign * (masks * sides * others).sum(axis=1))[sized])
            widths.append((half * counts)[sized])
        a = np.concatenate(rows)[:, unknown]
        y = np.concatenate(values) - a @ guess[unknown]
        noise = np.concatenate(widths) ** 2 / 3
        gain = spread**2 * a.T @ np.linalg.pinv(spread**2 * a @ a.T + np.diag(noise), hermitian=True)
        estimate = guess.copy()
        estimate[unknown] += gain @ y
    return estimate


def shares(estimate: Numbers, truth: Numbers, cells: NDArray[np.bool_]) -> tuple[float, float, int]:
    """Return the shares of values within 0.5 and 2 km/h of the estimate, and the number of values."""
    cells = cells & ~np.isnan(truth)
    off = np.abs(estimate - truth)[cells]
    return float((off <= 0.5).mean()), float((off <= 2).mean()), int(cells.sum())


# --- The tests ---------------------------------------------------------------------------------------


def day(index: int) -> str:
    return (FIRST + timedelta(days=index)).isoformat()


def windows_of_any_days(starts: int, step: int) -> list[dict[str, str]]:
    """Return questions of periods that end on neighbouring days of June: 20 values of one hour.

    The more starts, the more often is each difference of two periods published, each time rounded otherwise.
    """
    return [
        {
            "view": EVENING_BEFORE.name,
            "from": day(first),
            "to": day(last),
            "stratum": "hour",
            "hours": "all",
        }
        for first in range(JUNE[-1] - 45, JUNE[-1] - 45 + starts * step, step)
        for last in range(JUNE[-1] - 20, JUNE[-1] + 1)
    ]


def whole_months() -> list[dict[str, str]]:
    """Return questions for every published period, in every form of scores."""
    periods = [("2026-06-01", "2026-06-30"), ("2026-05-01", "2026-05-31"), ("2026-04-01", "2026-06-30")]
    return [
        {"view": view.name, "from": first, "to": last, "hours": hours}
        | ({"stratum": stratum} if stratum else {})  # without one: the verdict
        for view in VIEWS
        for first, last in periods
        for hours, strata in (
            ("flying", ["", "month"]),
            ("day", ["", "month"]),
            ("all", ["", "hour", "part_of_day"]),
        )
        for stratum in strata
    ]


TARGETS = {"station": Target(ROMMA), "model": Target(BEACON, WITHHELD)}


@pytest.mark.parametrize("which", TARGETS)
async def test_the_attack_recovers_values_under_the_rules_of_version_1(tmp_path: Path, which: str) -> None:
    world, target = make_world(), TARGETS[which]
    queries = windows_of_any_days(6 if target.model is None else 12, 1)
    async with served(store(tmp_path, world, VERSION_1)) as client:
        found, refused = await collect(client, world, target, queries, VERSION_1)
    assert refused == 0
    truth = target.truth(world).ravel()
    guess, spread = best_guess(world, target)
    cells = np.zeros((DAYS, 25), np.bool_)
    cells[JUNE[-1] - 19 : JUNE[-1] + 1, 14] = True
    estimate = solve_hour(found, guess, spread, hour=14, of_model=target.model is not None)
    within, _, count = shares(estimate, truth, cells.ravel())
    print(f"{which}: {within * count:.0f} of {count} within 0.5 km/h from {len(queries)} questions")
    assert within * count >= 15


def solve_hour(found: Equations, guess: Numbers, spread: float, *, hour: int, of_model: bool) -> Numbers:
    of_hour = np.tile(np.arange(25) == hour, DAYS)
    picked = [index for index, mask in enumerate(found.masks) if not (mask & ~of_hour).any()]
    few = Equations(*([each[index] for index in picked] for each in vars(found).values()))
    return solve(few, guess, spread, of_model=of_model, rounds=1, unknown=of_hour)


@pytest.mark.parametrize("which", TARGETS)
async def test_the_attack_gains_nothing_over_the_best_guess(tmp_path: Path, which: str) -> None:
    world, target, rules = make_world(), TARGETS[which], PublicRules()
    any_days = windows_of_any_days(2, 3)
    queries = [*whole_months(), *any_days]
    async with served(store(tmp_path, world, rules)) as client:
        found, refused = await collect(client, world, target, queries, rules)
    assert refused == len(any_days)
    truth = target.truth(world).ravel()
    assert_true(found, truth, of_model=target.model is not None)
    guess, spread = best_guess(world, target)
    cells = np.zeros((DAYS, 25), np.bool_)
    cells[JUNE[0] : JUNE[-1] + 1, :24] = True
    base = shares(guess, truth, cells.ravel())
    for rounds in (1, 2, 4):
        estimate = solve(
            found,
            guess,
            spread,
            of_model=target.model is not None,
            rounds=rounds,
            unknown=~np.isnan(truth),
        )
        reached = shares(estimate, truth, cells.ravel())
        print(f"{which}, {rounds} rounds, {len(found.masks)} figures: guess {base}, attack {reached}")
        for got, guessed in zip(reached[:2], base[:2], strict=True):
            assert got <= guessed + 1.96 * math.sqrt(guessed * (1 - guessed) / base[2])


# --- Why whole months are not enough ------------------------------------------------------------------


def recovered(hours: int, step: float, forecasts: int = 100) -> tuple[float, float]:
    """Return which share of a station's values a guess, and an attack by RMSE, have within 0.5 km/h.

    The RMSE of two public forecasts, and their mean errors, give a linear equation for these values.
    There are ten models in ten views; a public value of the hour errs by 2 km/h.
    """
    rng = np.random.default_rng(3)
    guess = rng.normal(16, 5, hours)
    truth = guess + rng.normal(0, 2, hours)
    forecast = guess + rng.normal(0, 1, (forecasts // 10, hours)).repeat(10, 0)
    forecast = forecast + rng.normal(0, 2.2, (forecasts, hours))
    means, roots = (
        np.round(exact / step) * step
        for exact in ((forecast - truth).mean(axis=1), np.sqrt(((forecast - truth) ** 2).mean(axis=1)))
    )
    squares = (forecast**2).sum(axis=1)
    rows = np.concatenate([-np.ones((forecasts, hours)), 2 * (forecast[0] - forecast[1:])])
    values = np.concatenate(
        [
            hours * means - forecast.sum(axis=1),
            squares[0] - squares[1:] - hours * (roots[0] ** 2 - roots[1:] ** 2),
        ]
    )
    noise = np.concatenate(
        [np.full(forecasts, (hours * step) ** 2 / 12), (2 * hours * roots[1:] * step) ** 2 / 6]
    )
    gain = rows.T @ np.linalg.inv(rows @ rows.T + np.diag(noise / 4))
    estimate = guess + gain @ (values - rows @ guess)
    guessed, found = (float((np.abs(each - truth) < 0.5).mean()) for each in (guess, estimate))
    return guessed, found


def test_whole_months_with_rmse_by_the_hour_reveal_nearly_every_value() -> None:
    guessed, found = recovered(hours=30, step=0.1)
    assert guessed < 0.4 and found > 0.9


@pytest.mark.parametrize("hours", [PUBLIC_PAIRS.value, 270, 1000])
def test_many_hours_and_coarse_steps_reveal_nothing_even_with_rmse(hours: int) -> None:
    guessed, found = recovered(hours, figure_step(Quantity.WIND_SPEED, hours))
    assert found <= guessed + 1.96 * math.sqrt(guessed * (1 - guessed) / hours)
