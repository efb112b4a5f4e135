"""`meteo-score score`: the verdict first, in words, and all sites in a list that allows for its length."""

from __future__ import annotations

import json
import re
from datetime import date
from pathlib import Path

import numpy as np
import pytest

from backend.core.sites import load_sites
from backend.scoring.inference.comparison import significant_winners
from backend.storage.database import Database
from backend.tests.support.commands import typed
from backend.tests.support.score_store import SPEED, constant, keep
from backend.tests.support.served import FOUR_SOURCES, SITES
from backend.tests.support.stores import make_tables, sqlite_url

DAYS = 40
FIRST, LAST = date(2026, 6, 6), date(2026, 7, 15)
SPAN = f"--from {FIRST} --to {LAST}"


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    """Return the environment of a store in which AROME is the better one at Grand Pré, and none elsewhere."""
    sites = tmp_path / "sites.toml"
    sites.write_text(SITES)
    database = Database(sqlite_url(tmp_path), durable=False)
    make_tables(database)
    noise = np.random.default_rng(1).normal(0, 1, (2, DAYS, 25))
    observed = constant(DAYS, 20.0)
    for site, biases in zip(load_sites(sites), ((2, 5), (2, 2)), strict=False):
        models = {
            name: {SPEED: observed + bias + noise[index]}
            for index, (name, bias) in enumerate(zip(("arome_0025", "meteo_parapente"), biases, strict=True))
        }
        stations = {site.stations[0]: {SPEED: observed}}
        keep(database, site, FIRST, models=models, stations=stations, means=stations)
    database.close()
    return {
        "DATABASE_URL": sqlite_url(tmp_path),
        "SITES_FILE": str(sites),
        "DATA_DIR": str(tmp_path),
        "SOURCES": FOUR_SOURCES,
    }


def test_the_verdict_comes_first_in_one_sentence(environment: dict[str, str]) -> None:
    shown = typed(f"score grand-pre {SPAN}", environment)
    assert (shown.exit_code, shown.stderr) == (0, "")
    first, *rest = shown.stdout.splitlines()
    assert first == (
        "AROME errs least the evening before: its mean wind in flying hours, 10 to 18, is wrong by 1.9 km/h"
        " on average, that of MeteoParapente by 4.9; 40 common days (preliminary)."
    )
    assert any(line.startswith("AROME ") and "+1.9" in line for line in rest)
    assert any("observation *" in line for line in rest)
    assert "* on its own hours, not comparable with the others." in rest
    assert "Skill: against yesterday's observation, above 0 is better." in rest
    assert rest[:2] == [
        "Within 5 km/h: AROME in 100 % of the hours, MeteoParapente in 54 %.",
        "The beacon ffvl:901 stands at the take-off, at its height.",
    ]
    assert rest[2] == (
        "By hourly means of the beacon instead of single reports: the same finding;"
        " the models differ by 3.0 km/h (3.0 by single reports)."
    )
    assert (
        "Hours available out of hours expected: observed 100 %, AROME 100 %, MeteoParapente 100 %."
        " Complete months of observations (90 % of the hours and more): 0 of 2."
    ) in rest
    assert "not a flight decision" in rest[-1]


def test_a_model_that_is_worse_than_yesterdays_observation_is_called_so(
    environment: dict[str, str], tmp_path: Path
) -> None:
    database, (site, *_) = Database(sqlite_url(tmp_path), durable=False), load_sites(tmp_path / "sites.toml")
    observed = constant(DAYS, 10.0) + 0.5 * np.arange(DAYS)[:, None]
    models = {"arome_0025": {SPEED: observed + 0.25}, "meteo_parapente": {SPEED: observed - 3.0}}
    keep(database, site, FIRST, models=models, stations={site.stations[0]: {SPEED: observed}})
    database.close()
    shown = typed(f"score grand-pre {SPAN}", environment).stdout
    assert "MeteoParapente is worse than yesterday's observation." in shown
    assert re.search(
        r"Skill against yesterday's observation, 95 % intervals: AROME [+]0[.]\d\d…[+]0[.]\d\d;"
        r" MeteoParapente -\d[.]\d\d…-\d[.]\d\d[.]",
        shown,
    )
    assert "AROME is worse" not in shown
    assert "bad surprises (over 25 km/h where no more was forecast): AROME in 0 %, MeteoParapente in" in shown
    assert re.search(r"Within +Surprise", shown)
    assert max(map(len, re.findall(r"^ *(?:Model|AROME|MeteoParapente) .*", shown, re.MULTILINE)[1:])) <= 80


def test_its_json_is_that_of_the_api(environment: dict[str, str]) -> None:
    answer = json.loads(typed(f"score grand-pre {SPAN} --json", environment).stdout)
    assert (answer["finding"], answer["best"], answer["nDays"]) == ("winner", "arome_0025", DAYS)
    assert answer["duel"]["interval"]["high"] < 0


def test_without_a_site_all_are_listed(environment: dict[str, str]) -> None:
    shown = typed(f"score {SPAN}", environment)
    lines = {line.split()[0]: line for line in shown.stdout.splitlines() if line.strip()}
    assert "AROME" in lines["grand-pre"]
    assert "too close to call" in lines["petit-col"]
    assert "not enough data yet" in lines["sans-balise"]
    assert lines["Site"].split() == ["Site", "Verdict", "km/h", "Against", "prise", "Days", "Label"]
    assert "Average errors in flying hours, 10 to 18." in shown.stdout
    answer = json.loads(typed(f"score {SPAN} --json", environment).stdout)
    assert [(each["site"], each["significantInList"]) for each in answer] == [
        ("grand-pre", True),
        ("petit-col", False),
        ("sans-balise", False),
    ]
    assert [(each["hours"], each["surpriseLimit"]) for each in answer] == [("flying", 25.0)] * 3
    assert all(each["sentence"] == each["sentences"][0] for each in answer)


def test_a_winner_that_may_be_chance_does_not_stand_among_many() -> None:
    """0.04 is below 0.05, and of 20 tests the smallest has to be below 0.1 / 20 = 0.005."""
    assert significant_winners([0.04, *[0.9] * 19], [True, *[False] * 19]) == [False] * 20
    assert significant_winners([0.004, *[0.9] * 19], [True, *[False] * 19]) == [True, *[False] * 19]
    assert significant_winners([0.001, None], [False, False]) == [False, False]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("score nowhere", "there is no site 'nowhere': see meteo-score sites list"),
        (
            "score grandpre",
            "there is no site 'grandpre' (did you mean 'grand-pre'?): see meteo-score sites list",
        ),
        ("score grand-pre --from 2020-01-01 --to 2026-01-01", "at most 1100"),
        ("score grand-pre --from 2026-01-02 --to 2026-01-01", "must not be later"),
    ],
)
def test_what_cannot_be_asked_ends_with_one_line_and_code_2(
    environment: dict[str, str], words: str, message: str
) -> None:
    shown = typed(words, environment)
    assert shown.exit_code == 2
    assert message in shown.stderr
    assert len(shown.stderr.splitlines()) == 1


def test_without_collected_values_there_is_not_enough_data(environment: dict[str, str]) -> None:
    shown = typed("score grand-pre --from 2020-01-01 --to 2020-02-01", environment)
    assert shown.exit_code == 0
    assert shown.stdout.startswith(
        "Not enough data yet, the evening before, mean wind in flying hours, 10 to 18: "
    )
    assert "no score is shown yet" in shown.stdout
