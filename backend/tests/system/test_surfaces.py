"""One question, one answer: API, `export scores` and the command line give the same score and the same word.

The store is like the demo's: two sites, three models (one of them late), all views and quantities, gaps on
both sides, and readings from ten days before the first forecast on.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import httpx2
import numpy as np
import polars as pl
import pytest
import sqlalchemy as sa

from backend.core.parameters import Parameter
from backend.files.export_filter import Choice
from backend.files.export_scores import score_frames
from backend.scoring.grid import Hours
from backend.scoring.sample.quantities import SINGLE_VALUED, Quantity
from backend.scoring.views import EVENING_BEFORE, LEAD_VIEWS, MORNING, VIEW_OF, VIEWS
from backend.storage import schema as t
from backend.tests.support.commands import outside, typed
from backend.tests.support.score_store import DIRECTION, GUST, SPEED, TEMPERATURE, Grid, keep
from backend.tests.support.served import FOUR_SOURCES, NOW, make_service, served

DAYS, BEFORE = 45, 10
TODAY = NOW.date()
FIRST = TODAY - timedelta(days=DAYS + BEFORE - 1)
MODELS = ("arome_0025", "icon_d2", "gfs_global")
SITES = """
[[sites]]
id = "grand-pre"
name = "Grand Pré"
latitude = 45.9
longitude = 6.7
elevation = 1400
orientation = ["S", "SW"]
stations = ["ffvl:901"]
without = ["romma"]

[[sites]]
id = "petit-col"
name = "Petit Col"
latitude = 45.8
longitude = 6.6
elevation = 1100
orientation = ["W"]
stations = ["ffvl:903"]
without = ["romma"]
"""
VIEW_NAMES = tuple(view.name for view in (EVENING_BEFORE, MORNING, LEAD_VIEWS[0], LEAD_VIEWS[3]))
ENDS = ("low", "high")


def lasting(generator: np.random.Generator, days: int) -> Grid:
    """Return errors that last for days, as those of weather do."""
    steps = generator.normal(0, 1, (days, 25))
    return np.asarray(
        np.cumsum(steps, axis=1) / 4 + np.convolve(steps[:, 0], [0.8, 0.6, 0.4], "same")[:, None]
    )


def weather(seed: int, days: int, base: Mapping[Parameter, Grid] | None = None) -> dict[Parameter, Grid]:
    """Return values of all parameters, a twentieth of them absent, those of a model around `base`."""
    generator = np.random.default_rng(seed)
    bias, turn = generator.normal(0, 1.5), generator.normal(0, 15)
    if base is None:
        base = {
            SPEED: np.abs(18 + 5 * lasting(generator, days)),
            GUST: np.abs(28 + 7 * lasting(generator, days)),
            DIRECTION: (200 + 60 * lasting(generator, days)) % 360,
            TEMPERATURE: 12 + 4 * lasting(generator, days),
        }
        values = dict(base)
    else:
        values = {
            SPEED: np.abs(base[SPEED] + bias + 3 * lasting(generator, days)),
            GUST: np.abs(base[GUST] + bias + 4 * lasting(generator, days)),
            DIRECTION: (base[DIRECTION] + turn + 40 * lasting(generator, days)) % 360,
            TEMPERATURE: base[TEMPERATURE] + bias + 2 * lasting(generator, days),
        }
    return {
        parameter: np.where(generator.random(grid.shape) < 0.05, np.nan, grid)
        for parameter, grid in values.items()
    }


def fill(folder: Path) -> Any:
    """Return a service whose store holds both sites."""
    service = make_service(folder, sites=SITES)
    service.database.migrate()
    for number, site in enumerate(service.sites()):
        truth = weather(number, DAYS + BEFORE)
        models = {}
        for index, name in enumerate(MODELS):
            said = weather(10 * number + index + 5, DAYS + BEFORE, truth)
            late = BEFORE + (12 if name == "gfs_global" else 0)
            models[name] = {
                parameter: np.where(np.arange(len(grid))[:, None] < late, np.nan, grid)
                for parameter, grid in said.items()
            }
        keep(
            service.database,
            site,
            FIRST,
            models=models,
            stations={site.stations[0]: truth},
            views=VIEWS,
            grounds=dict.fromkeys(MODELS, 1250.0),
        )
    with service.database.write() as connection:  # the days have no stored values: they are not due
        connection.execute(sa.delete(t.due_day))
    return service


def figures(entry: Mapping[str, Any]) -> dict[str, Any]:
    """Return the figures of a score, from an entry of the API."""
    score = entry["score"] or {}
    found = {"n_pairs": entry["nPairs"], "tendency": entry["tendency"]}
    found |= {name: score.get(key) for name, key in (("mae", "mae"), ("mean_error", "meanError"))}
    for name, key in (("mae", "maeInterval"), ("mean_error", "meanErrorInterval")):
        found |= {f"{name}_{end}": (score.get(key) or {}).get(end) for end in ENDS}
    return found


def assert_same(one: Mapping[str, Any], other: Mapping[str, Any], where: object) -> None:
    """Compare the figures that both have; sums of floats may differ in the last bits."""
    shared = [name for name in one if name in other]
    assert len(shared) >= 3
    for name in shared:
        if isinstance(one[name], float) and isinstance(other[name], float):
            assert one[name] == pytest.approx(other[name], rel=1e-9, abs=1e-9), (where, name)
        else:
            assert one[name] == other[name], (where, name)


def of_bias(entry: Mapping[str, Any]) -> dict[str, Any]:
    """Return the figures of a bias, of a model or a group, in the names of `figures`."""
    interval = entry["interval"] or {}
    return {
        "n_pairs": entry["nPairs"],
        "mean_error": entry["meanError"],
        **{f"mean_error_{end}": interval.get(end) for end in ENDS},
        "tendency": entry["tendency"],
    }


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("surfaces")


@pytest.fixture(scope="module")
def service(folder: Path) -> Iterator[Any]:
    made = fill(folder)
    yield made
    made.database.close()


async def ask(client: httpx2.AsyncClient, path: str) -> Any:
    answer = await client.get(path)
    assert answer.status_code == 200, answer.text
    return answer.json()


def exported(service: Any, hours: Hours, first: date | None = None, last: date | None = None) -> pl.DataFrame:
    days = [None if day is None else (day - date(1970, 1, 1)).days for day in (first, last)]
    views = [VIEW_OF[name] for name in VIEW_NAMES]
    return pl.concat(score_frames(service.database, Choice(first=days[0], last=days[1]), views, hours=hours))


@pytest.mark.parametrize("hours", [Hours.FLYING, Hours.ALL])
async def test_scores_bias_and_export_give_one_interval_and_one_word(service: Any, hours: Hours) -> None:
    file = {
        (row["site"], row["view"], row["quantity"], row["model"]): row
        for row in exported(service, hours).iter_rows(named=True)
    }
    words, compared = set(), 0
    async with served(service) as client:
        for site in service.sites():
            for view in VIEW_NAMES:
                for quantity in Quantity:
                    asked = f"view={view}&parameter={quantity}&hours={hours}"
                    scores = await ask(client, f"/api/v1/sites/{site.id}/scores?{asked}")
                    entries = {each["model"]: each for each in (*scores["models"], *scores["references"])}
                    for model, entry in entries.items():
                        row = file.pop((site.id, view, quantity.value, model), None)
                        assert (row is None) == (entry["nPairs"] == 0)
                        if row is not None:
                            assert_same(figures(entry), row, (site.id, asked, model))
                            words.add(entry["tendency"])
                            compared += 1
                    if quantity in SINGLE_VALUED:
                        bias = await ask(client, f"/api/v1/sites/{site.id}/bias?{asked}")
                        for each in bias["models"]:
                            where = (site.id, asked, each["model"])
                            assert_same(of_bias(each), figures(entries[each["model"]]), where)
    assert not file, "rows that the API does not have"
    assert words >= {"overestimates", "underestimates", "clockwise", "no steady bias"}
    assert compared > 250


@pytest.mark.parametrize("quantity", [Quantity.WIND_SPEED, Quantity.WIND_DIRECTION, Quantity.TEMPERATURE])
async def test_groups_of_scores_and_of_bias_are_the_same(service: Any, quantity: Quantity) -> None:
    groups = {"hour": "byHour", "part_of_day": "byPartOfDay", "day_and_night": "byDayAndNight"}
    groups["sector"] = "bySector"
    compared = 0
    async with served(service) as client:
        path, asked = "/api/v1/sites/grand-pre", f"parameter={quantity}&hours=all"
        bias = await ask(client, f"{path}/bias?{asked}")
        for stratum, name in groups.items():
            scores = await ask(client, f"{path}/scores?{asked}&stratum={stratum}")
            of_group = {
                (group["group"], each["model"]): each
                for group in scores["groups"]
                for each in group["models"]
            }
            for model in bias["models"]:
                for group in model[name]:
                    entry = of_group[group["group"], model["model"]]["entry"]
                    assert group["shown"] == (entry is not None)
                    if entry is not None:
                        assert_same(of_bias(group), figures(entry), (stratum, group["group"]))
                        compared += 1
        for lead in LEAD_VIEWS:
            scores = await ask(client, f"{path}/scores?{asked}&view={lead.name}")
            entries = {each["model"]: each for each in scores["models"]}
            for model in bias["models"]:
                (group,) = (each for each in model["byLead"] if each["group"] == lead.name)
                if group["shown"]:
                    assert_same(of_bias(group), figures(entries[model["model"]]), lead.name)
                    compared += 1
    assert compared > 60


async def test_the_days_asked_for_are_those_of_every_surface(service: Any) -> None:
    """Readings before the first forecast are yesterday's observation and climatology of the first days."""
    first, last = FIRST, TODAY + timedelta(days=3)
    file = {
        (row["site"], row["view"], row["quantity"], row["model"]): row
        for row in exported(service, Hours.FLYING, first, last).iter_rows(named=True)
    }
    assert {row["first_day"] for row in file.values()} == {first}
    assert {row["last_day"] for row in file.values()} == {last}
    async with served(service) as client:
        for view in VIEW_NAMES:
            asked = f"view={view}&from={first}&to={last}"
            scores = await ask(client, f"/api/v1/sites/grand-pre/scores?{asked}")
            for entry in (*scores["models"], *scores["references"]):
                if entry["nPairs"]:
                    row = file["grand-pre", view, "wind_speed", entry["model"]]
                    assert_same(figures(entry), row, (asked, entry["model"]))


def test_without_days_a_file_has_all_days_of_forecasts_and_of_readings(service: Any) -> None:
    file = exported(service, Hours.FLYING)
    assert set(file["first_day"]) == {FIRST}
    assert set(file["last_day"]) == {TODAY}
    naive = file.filter(pl.col("model") == "yesterday", pl.col("quantity") == "wind_speed")
    assert min(naive["n_days"].to_list()) >= DAYS + BEFORE - 2  # of the readings, not of the forecasts


async def test_the_command_line_gives_what_the_api_gives(service: Any, folder: Path) -> None:
    environment = outside() | {
        "DATABASE_URL": f"sqlite:///{folder / 'store.sqlite3'}",
        "SITES_FILE": str(folder / "sites.toml"),
        "DATA_DIR": str(folder),
        "SOURCES": FOUR_SOURCES,
    }
    days = f"--from {FIRST} --to {TODAY}"
    path = folder / "scores.parquet"
    done = typed(f"export scores {days} --view evening_before --hours all -o {path}", environment)
    assert done.exit_code == 0, done.output
    file = {(row["site"], row["quantity"], row["model"]): row for row in pl.read_parquet(path).to_dicts()}
    listed = typed(f"score {days} --hours all --json", environment)
    of_sites = {each["site"]: each for each in json.loads(listed.stdout)}
    async with served(service) as client:
        for site in service.sites():
            asked = f"from={FIRST}&to={TODAY}&hours=all"
            scores = await ask(client, f"/api/v1/sites/{site.id}/scores?{asked}")
            for entry in scores["models"]:
                if entry["nPairs"]:
                    assert_same(figures(entry), file[site.id, "wind_speed", entry["model"]], site.id)
            verdict = await ask(client, f"/api/v1/sites/{site.id}/verdict?{asked}")
            command = typed(f"score {site.id} {days} --hours all --json", environment)
            answer = json.loads(command.stdout)
            for one, other in zip(answer["models"], verdict["models"], strict=True):
                assert_same(_camel(one), figures(other), site.id)
            in_list, rows = of_sites[site.id], file[site.id, "wind_speed", MODELS[0]]
            assert in_list["finding"] == verdict["finding"] == answer["finding"] == rows["finding"]
            assert in_list["best"] == verdict["best"] == answer["best"]


def _camel(entry: Mapping[str, Any]) -> dict[str, Any]:
    """Return the figures of an entry of `score --json`, with names in camel case or snake case."""
    if "nPairs" in entry:
        return figures(entry)
    score = entry["score"] or {}
    renamed = {
        "meanError": score.get("mean_error"),
        "meanErrorInterval": score.get("mean_error_interval"),
        "mae": score.get("mae"),
        "maeInterval": score.get("mae_interval"),
    }
    return figures({"nPairs": entry["n_pairs"], "tendency": entry["tendency"], "score": renamed})
