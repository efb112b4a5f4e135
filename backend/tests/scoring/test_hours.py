"""Which hours count: one choice for verdict, scores, bias, events and coverage; `all` is version 1."""

from __future__ import annotations

import json
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import httpx2
import numpy as np
import pytest

from backend.main import Service
from backend.scoring.constants import DAY_FROM, DAY_UNTIL, FLYING_FROM, FLYING_UNTIL
from backend.scoring.grid import Hours, clock_hours
from backend.scoring.views import EVENING_BEFORE, LEAD_VIEWS, MORNING, TWO_EVENINGS_BEFORE, View
from backend.tests.support.method_one import STORED, figures, world
from backend.tests.support.score_store import SPEED, Grid, constant, keep
from backend.tests.support.served import ADMIN, make_service, served
from backend.tests.support.stores import make_tables

DAYS = 60
FIRST, LAST = date(2025, 10, 1), date(2025, 11, 29)
"""The clocks change on 2025-10-26."""

SITE = "/api/v1/sites/grand-pre"
AROME, PARAPENTE, FFVL = "arome_0025", "meteo_parapente", "ffvl:901"


def in_hours(first: int, last: int) -> Grid:
    """Return 1 in the hours of the local clock from `first` to `last`, both included, and else 0."""
    clock = clock_hours(FIRST, DAYS)
    return ((clock >= first) & (clock <= last)).astype(np.float64)


def stored(folder: Path, a: Grid, b: Grid, observed: Grid | None = None) -> Service:
    """Return a service whose store has two models with these errors of the mean wind."""
    service = make_service(folder)
    make_tables(service.database)
    wind = constant(DAYS, 20.0) if observed is None else observed
    models = {AROME: {SPEED: wind + a}, PARAPENTE: {SPEED: wind + b}}
    keep(service.database, service.sites()[0], FIRST, models=models, stations={FFVL: {SPEED: wind}})
    return service


async def ask(client: httpx2.AsyncClient, path: str) -> Any:
    answer = await client.get(
        f"{SITE}/{path}{'&' if '?' in path else '?'}from={FIRST}&to={LAST}", headers=ADMIN
    )
    assert answer.status_code == 200, answer.text
    return answer.json()


def of(answer: Any, model: str, part: str = "models") -> Any:
    return next(each for each in answer[part] if each["model"] == model)


async def test_all_hours_give_the_point_figures_of_method_version_1(tmp_path: Path) -> None:
    async with served(world(tmp_path)) as client:
        now = await figures(client, "&hours=all")
    before = json.loads(STORED.read_text())
    assert now.keys() == before.keys()
    different = {
        f"{asked} {name}": (value, now[asked].get(name))
        for asked, values in before.items()
        for name, value in values.items()
        if now[asked].get(name) != value
    }
    assert different == {}


async def test_a_model_that_errs_at_night_only_is_the_better_one_in_flying_hours(tmp_path: Path) -> None:
    noise = np.random.default_rng(1).normal(0, 0.2, (2, DAYS, 25))
    flying = in_hours(10, 18)
    night = 9.0 * (1 - flying) + 1.0 * flying + noise[0]
    async with served(stored(tmp_path, night, constant(DAYS, 3.0) + noise[1])) as client:
        usual, all_hours = await ask(client, "verdict"), await ask(client, "verdict?hours=all")
    assert (usual["best"], usual["hours"]) == (AROME, "flying")
    assert (all_hours["best"], all_hours["hours"]) == (PARAPENTE, "all")
    assert usual["nPairs"] == 9 * DAYS
    assert all_hours["nPairs"] == 24 * DAYS + 1
    assert "in flying hours, 10 to 18" in usual["sentence"]
    assert "in all hours" in all_hours["sentence"]
    assert usual["commonSample"] == f"hours from 10 to 18 that AROME, MeteoParapente and {FFVL} all have"
    assert of(usual, AROME)["score"]["mae"] == pytest.approx(1.0, abs=0.1)


@pytest.mark.parametrize(("hours", "first", "last"), [("flying", 10, 18), ("day", 8, 19), ("all", 0, 23)])
async def test_both_ends_count_and_hours_are_those_of_the_local_clock(
    tmp_path: Path, hours: str, first: int, last: int
) -> None:
    """An error of 1 at every hour that counts, and of 50 at those beside: on both sides of a clock change."""
    within = in_hours(first, last)
    async with served(stored(tmp_path, within + 50 * (1 - within), constant(DAYS, 2.0))) as client:
        for kind in ("verdict", "comparison", "scores", "scores?stratum=hour", "bias"):
            answer = await ask(client, f"{kind}{'&' if '?' in kind else '?'}hours={hours}")
            found = of(answer, AROME)
            assert answer["hours"] == hours
            assert found["nPairs"] == within.sum()
            assert (found.get("score") or found)["meanError"] == 1.0
        groups = of(answer, AROME)["byHour"]
    assert [each["group"] for each in groups if each["nPairs"]] == [
        f"{hour:02d}" for hour in range(first, last + 1)
    ]


async def test_each_kind_of_question_has_its_own_usual_hours(tmp_path: Path) -> None:
    noise = np.random.default_rng(1).normal(0, 1, (2, DAYS, 25))
    async with served(stored(tmp_path, noise[0], noise[1] + 3)) as client:
        for path, hours in {
            "verdict": "flying",
            "comparison": "flying",
            "scores": "flying",
            "scores?stratum=month": "flying",
            "scores?stratum=sector": "flying",
            "scores?stratum=hour": "all",
            "scores?stratum=part_of_day": "all",
            "scores?stratum=day_and_night": "all",
            "scores?stratum=hour&hours=day": "day",
            "bias": "flying",
            "events": "flying",
        }.items():
            assert (await ask(client, path))["hours"] == hours, path
        bias, by_day = await ask(client, "bias"), await ask(client, "bias?hours=day")
        series = (await client.get(f"{SITE}/series?from={FIRST}&to={FIRST}", headers=ADMIN)).json()
        refused = await client.get(f"{SITE}/series?hours=flying")
        unknown = await client.get(f"{SITE}/verdict?hours=night")
    assert (bias["clockHours"], by_day["clockHours"]) == ("all", "day")
    assert sum(each["nPairs"] for each in of(bias, AROME)["byHour"]) == 24 * DAYS + 1
    assert of(bias, AROME)["nPairs"] == 9 * DAYS
    assert sum(each["nPairs"] for each in of(by_day, AROME)["byPartOfDay"]) == 12 * DAYS
    assert (len(series["hours"]), series["hoursText"]) == (24, "all hours")
    assert (refused.status_code, unknown.status_code) == (422, 422)


async def test_a_reference_knows_the_other_hours_and_is_compared_in_those_that_count(tmp_path: Path) -> None:
    """The wind rises by 0.5 km/h a day: what was observed at 10 to 18 the day before is 0.5 too low.

    Of later hours the evening before knows only the day before that.
    """
    observed = constant(DAYS, 10.0) + 0.5 * np.arange(DAYS)[:, None]
    async with served(stored(tmp_path, constant(DAYS, 0.1), constant(DAYS, 2.0), observed)) as client:
        flying, all_hours = await ask(client, "scores"), await ask(client, "scores?hours=all")
    yesterday = of(flying, "yesterday", "references")
    assert yesterday["score"]["meanError"] == pytest.approx(-0.5)
    assert yesterday["nPairs"] == 9 * (DAYS - 1)
    assert of(all_hours, "yesterday", "references")["score"]["meanError"] < -0.59
    for name in ("climatology", "model_mean"):
        assert of(flying, name, "references")["nPairs"] == 9 * DAYS


async def test_flyable_days_keep_their_own_hours_and_hours_are_those_asked_for(tmp_path: Path) -> None:
    observed = constant(DAYS, 10.0)
    observed[::3] = 40.0
    forecast = observed.copy()
    forecast[:12] = 10.0
    async with served(stored(tmp_path, forecast - observed, constant(DAYS, 0.0), observed)) as client:
        answers = {hours: await ask(client, f"events?hours={hours}") for hours in ("flying", "day", "all")}
    events = {hours: {each["event"]: each for each in answer["events"]} for hours, answer in answers.items()}
    days = [of(each["not_flyable_day"], AROME) for each in events.values()]
    assert days[0] == days[1] == days[2]
    assert days[0]["counts"]["misses"] == 4
    for event in ("not_flyable_hour", "wind_over"):
        misses = [of(each[event], AROME)["counts"]["misses"] for each in events.values()]
        assert misses == [4 * 9, 4 * 12, 4 * 24]
    assert "in flying hours, 10 to 18" in of(events["flying"]["wind_over"], AROME)["sentence"]


async def test_coverage_and_months_are_of_the_hours_that_count(tmp_path: Path) -> None:
    observed = constant(DAYS, 10.0)
    observed[in_hours(0, 9) == 1] = np.nan
    async with served(stored(tmp_path, constant(DAYS, 1.0), constant(DAYS, 2.0), observed)) as client:
        flying, all_hours = await ask(client, "verdict"), await ask(client, "verdict?hours=all")
    october, november = flying["months"]
    assert (october["hours"], october["expected"], october["complete"]) == (9 * 31, 9 * 31, True)
    assert (november["hours"], november["expected"]) == (9 * 29, 9 * 30)
    assert flying["stations"][0]["coverage"] == {"hours": 9 * DAYS, "expected": 9 * DAYS, "share": 1.0}
    assert of(flying, AROME)["ownPairs"] == 9 * DAYS
    assert all_hours["months"][0]["expected"] == 24 * 31 + 1
    assert not all_hours["months"][0]["complete"]


async def test_another_choice_of_hours_is_another_answer_to_caches(tmp_path: Path) -> None:
    async with served(stored(tmp_path, constant(DAYS, 1.0), constant(DAYS, 2.0))) as client:
        tags = [
            (await client.get(f"{SITE}/verdict?from={FIRST}&to={LAST}{more}", headers=ADMIN)).headers["etag"]
            for more in ("", "&hours=flying", "&hours=day", "&hours=all")
        ]
        answer = await ask(client, "verdict?hours=all")
    assert len(set(tags)) == 4
    assert answer["hours"] == "all"


def test_the_hours_are_those_of_the_constants() -> None:
    assert Hours.FLYING.ends == (FLYING_FROM.value, FLYING_UNTIL.value) == (10, 18)
    assert Hours.DAY.ends == (DAY_FROM.value, DAY_UNTIL.value) == (8, 19)


@pytest.mark.parametrize(
    ("view", "lag"), [(EVENING_BEFORE, 1), (TWO_EVENINGS_BEFORE, 2), (LEAD_VIEWS[-1], 3), (MORNING, 1)]
)
async def test_yesterday_of_the_first_asked_day_lies_in_the_days_before(
    tmp_path: Path, view: View, lag: int
) -> None:
    """The wind rises by 0.5 km/h a day: each day asked for has its own yesterday, the first ones as well."""
    service = make_service(tmp_path)
    make_tables(service.database)
    wind = constant(DAYS, 10.0) + 0.5 * np.arange(DAYS)[:, None]
    models = {AROME: {SPEED: wind}, PARAPENTE: {SPEED: wind + 1}}
    site = service.sites()[0]
    keep(service.database, site, FIRST, models=models, stations={FFVL: {SPEED: wind}}, views=[view])
    first = FIRST + timedelta(days=10)
    async with served(service) as client:
        path = f"{SITE}/scores?view={view.name}&from={first}&to={LAST}"
        cut = (await client.get(path, headers=ADMIN)).json()
        whole = (await client.get(path.replace(str(first), str(FIRST)), headers=ADMIN)).json()
    yesterday = of(cut, "yesterday", "references")
    assert (yesterday["nPairs"], yesterday["nDays"]) == (9 * (DAYS - 10), DAYS - 10)
    assert yesterday["score"]["mae"] == 0.5 * lag
    assert of(whole, "yesterday", "references")["nDays"] == DAYS - lag  # before FIRST nothing is stored
