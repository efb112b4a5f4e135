"""What stands beside a verdict: surprises, the mean of the models, the beacon; and no bias of 0.0."""

from __future__ import annotations

from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from backend.core.records import Site, Station
from backend.scoring.grid import Hours
from backend.scoring.intervals import Interval
from backend.scoring.questions.headline import beacon
from backend.scoring.sample.quantities import Quantity
from backend.scoring.words.sentences import beacon_words, bias_sentence, tendency
from backend.tests.support.score_store import DIRECTION, GUST, SPEED, Grid, constant, keep
from backend.tests.support.served import ADMIN, make_service, served
from backend.tests.support.stores import make_tables

DAYS = 40
FIRST, LAST = date(2026, 6, 1), date(2026, 7, 10)
AROME, PARAPENTE, FFVL = "arome_0025", "meteo_parapente", "ffvl:901"
PLANFAIT = Site("planfait", "Planfait", 45.85, 6.22, 950.0, ("W",), ("ffvl:2496",))


async def verdict(
    folder: Path,
    models: dict[str, dict[Any, Grid]],
    observed: dict[Any, Grid],
    more: str = "",
    **options: Any,
) -> Any:
    service = make_service(folder)
    make_tables(service.database)
    keep(service.database, service.sites()[0], FIRST, models=models, stations={FFVL: observed}, **options)
    async with served(service) as client:
        answer = await client.get(
            f"/api/v1/sites/grand-pre/verdict?from={FIRST}&to={LAST}{more}", headers=ADMIN
        )
    assert answer.status_code == 200, answer.text
    return answer.json()


def noise(seed: int, size: float = 0.5) -> Grid:
    return np.random.default_rng(seed).normal(0, size, (DAYS, 25))


def windy() -> Grid:
    """Return 20 km/h, and 30 in the afternoon of every fourth day."""
    wind = constant(DAYS, 20.0)
    wind[::4, 13:17] = 30.0
    return wind


async def test_a_verdict_states_that_its_number_is_an_error_and_what_a_pilot_needs(
    tmp_path: Path,
) -> None:
    """AROME errs least, and misses every strong hour: 40 of 360; MeteoParapente announces each of them."""
    wind = windy()
    models = {
        AROME: {SPEED: np.minimum(wind, 24.0) + 0.5 * noise(1)},
        PARAPENTE: {SPEED: wind + 4.0 + 0.5 * noise(2)},
    }
    answer = await verdict(
        tmp_path, models, {SPEED: wind}, elevations={FFVL: 1720.0}, positions={FFVL: (45.93, 6.75)}
    )
    first, reliable, beacon_sentence = answer["sentences"]
    assert (
        answer["sentence"]
        == first
        == (
            "AROME errs least the evening before: its mean wind in flying hours, 10 to 18, is wrong by 0.8"
            " km/h on average, that of MeteoParapente by 4.0; 40 common days (preliminary)."
        )
    )
    assert reliable == (
        "Within 5 km/h: AROME in 89 % of the hours, MeteoParapente in 100 %; bad surprises (over 25 km/h"
        " where no more was forecast): AROME in 40 of 360 hours, MeteoParapente in 0 %."
    )
    assert beacon_sentence == f"The beacon {FFVL} stands 5.1 km from the take-off, 320 m higher."
    (station,) = answer["stations"]
    assert station["distanceKm"] == pytest.approx(5.1, abs=0.05)
    assert station["heightDifference"] == 320.0
    arome, parapente = answer["contenders"]
    assert (arome["model"], arome["within"]) == (AROME, pytest.approx(320 / 360))
    assert (arome["surprises"]["count"], arome["surprises"]["of"]) == (40, 360)
    assert (parapente["surprises"]["count"], answer["surpriseLimit"], answer["withinTolerance"]) == (
        0,
        25.0,
        5.0,
    )
    assert arome["surprises"]["value"] is None  # it forecasts none of the strong hours
    assert "±" not in " ".join(answer["sentences"])


async def test_the_mean_of_the_models_is_named_where_it_errs_less_than_the_winner(tmp_path: Path) -> None:
    wind = constant(DAYS, 20.0)
    opposite = {AROME: {SPEED: wind + 2.0 + noise(1)}, PARAPENTE: {SPEED: wind - 4.0 + noise(2)}}
    alike = {AROME: {SPEED: wind + 2.0 + noise(1)}, PARAPENTE: {SPEED: wind + 4.0 + noise(2)}}
    better = await verdict(tmp_path, opposite, {SPEED: wind})
    worse = await verdict(tmp_path, alike, {SPEED: wind})
    assert better["betterMean"]["averageError"] == pytest.approx(1.0, abs=0.1)
    assert better["sentences"][-1].startswith(
        "The mean of the models errs less: it is wrong by 1.0 km/h on average; the beacon "
    )
    assert worse["betterMean"] is None
    assert "mean of the models" not in " ".join(worse["sentences"])


async def test_what_too_few_days_or_events_do_not_allow_is_left_out(tmp_path: Path) -> None:
    wind, few = constant(DAYS, 20.0), windy()
    few[8:] = 20.0
    calm = await verdict(
        tmp_path, {AROME: {SPEED: few + noise(1)}, PARAPENTE: {SPEED: few + 4.0 + noise(2)}}, {SPEED: few}
    )
    assert "surprise" not in " ".join(calm["sentences"])
    assert calm["contenders"][0]["surprises"]["value"] is None
    wind[20:] = np.nan
    other = tmp_path / "short"
    other.mkdir()
    short = await verdict(
        other, {AROME: {SPEED: wind + noise(1)}, PARAPENTE: {SPEED: wind + 4.0 + noise(2)}}, {SPEED: wind}
    )
    assert short["finding"] == "not_enough_data"
    assert short["sentences"] == [short["sentence"]]
    assert "20 common days of the 30" in short["sentence"]


async def test_gusts_have_a_limit_of_their_own_and_directions_none(tmp_path: Path) -> None:
    wind = windy()
    observed = {SPEED: wind, GUST: wind + 10.0, DIRECTION: constant(DAYS, 180.0)}
    models = {
        name: {SPEED: wind, GUST: wind + 10.0 + noise(seed), DIRECTION: constant(DAYS, 180.0 + 20 * seed)}
        for seed, name in ((1, AROME), (2, PARAPENTE))
    }
    gust = await verdict(tmp_path, models, observed, "&parameter=wind_gust")
    direction = await verdict(tmp_path, models, observed, "&parameter=wind_direction")
    assert gust["surpriseLimit"] == 35.0
    assert "bad surprises (over 35 km/h where no more was forecast)" in gust["sentences"][1]
    assert (direction["surpriseLimit"], direction["contenders"][0]["surprises"]) == (None, None)
    assert direction["sentences"][1] == "Within 30°: AROME in 100 % of the hours, MeteoParapente in 0 %."


@pytest.mark.parametrize(
    ("station", "words"),
    [
        (
            Station("ffvl:1", "Le Col", 45.89, 6.22, 1270.0),
            "the beacon Le Col stands 4.4 km from the take-off, 320 m higher",
        ),
        (
            Station("ffvl:1", "", 45.85, 6.22, 900.0),
            "the beacon ffvl:1 stands at the take-off, 50 m lower",
        ),
        (Station("ffvl:1", "", 45.85, 6.22, None), "the beacon ffvl:1 stands at the take-off"),
        (Station("ffvl:1", "", None, 6.22, 900.0), None),
    ],
)
def test_a_beacon_stands_where_it_is_known_to_stand(station: Station, words: str | None) -> None:
    assert beacon_words(beacon(PLANFAIT, station)) == words


@pytest.mark.parametrize(
    ("quantity", "bias", "word"),
    [
        (Quantity.WIND_SPEED, 0.04, "no steady bias"),
        (Quantity.WIND_SPEED, -0.04, "no steady bias"),
        (Quantity.WIND_SPEED, 0.06, "overestimates"),
        (Quantity.WIND_DIRECTION, 0.4, "no steady bias"),
        (Quantity.WIND_DIRECTION, -0.6, "anticlockwise"),
        (Quantity.TEMPERATURE, -0.06, "underestimates"),
    ],
)
def test_a_bias_that_is_shown_as_0_is_none(quantity: Quantity, bias: float, word: str) -> None:
    around = Interval(bias - 0.001, bias + 0.001)
    sentence = bias_sentence(AROME, quantity, bias, around, Hours.FLYING, shown=True)
    assert tendency(quantity, bias, around) == word
    assert word in sentence
    assert "0.0" not in sentence
