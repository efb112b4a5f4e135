"""Scores over the API, through the whole service: verdicts, bias, surprises, recent days."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx2
import numpy as np
import pytest

from backend.core.parameters import Parameter
from backend.core.records import IMPORTED, Forecast, ForecastBatch, Observation, ObservationBatch, Run, Site
from backend.main import Service
from backend.scoring.days.update import update
from backend.scoring.intervals import wilson
from backend.scoring.views import LEAD_VIEWS, MORNING, VIEWS
from backend.tests.support.score_store import DIRECTION, GUST, SPEED, TEMPERATURE, Grid, constant, keep
from backend.tests.support.served import ADMIN, NOW, OPENED, make_service, served, store_forecasts
from backend.tests.support.stores import make_tables
from backend.tests.support.worlds import HandClock

DAYS = 40
TODAY = NOW.date()
FIRST = TODAY - timedelta(days=DAYS - 1)
AROME, PARAPENTE = "arome_0025", "meteo_parapente"
FFVL, ROMMA = "ffvl:901", "romma:902"
VERDICT = "/api/v1/sites/grand-pre/verdict"

Values = Mapping[Parameter, Grid]


def grand_pre(service: Service) -> Site:
    return service.sites()[0]


def noise(seed: int, days: int = DAYS, size: float = 1.0) -> Grid:
    return np.random.default_rng(seed).normal(0, size, (days, 25))


def stored(
    folder: Path,
    models: Mapping[str, Values],
    stations: Mapping[str, Values] | None = None,
    first: date = FIRST,
    public_raw_sources: str = OPENED,
    **options: Any,
) -> Service:
    service = make_service(folder, public_raw_sources=public_raw_sources)
    make_tables(service.database)
    observed = {FFVL: {SPEED: constant(DAYS, 20.0)}} if stations is None else stations
    keep(service.database, grand_pre(service), first, models=models, stations=observed, **options)
    return service


SCORED = re.compile(r"/(verdict|scores|comparison|bias|events)(\?|$)")


async def get(client: httpx2.AsyncClient, path: str, **options: Any) -> Any:
    """Return an answer, of all hours unless the path has others: test_hours.py is about that choice."""
    if SCORED.search(path) and "hours=" not in path:
        path += f"{'&' if '?' in path else '?'}hours=all"
    answer = await client.get(path, **options)
    assert answer.status_code == 200, answer.text
    return answer.json()


def by_model(answer: Any, part: str = "models") -> dict[str, Any]:
    return {each["model"]: each for each in answer[part]}


def speeds(*values: float | Grid, days: int = DAYS) -> list[Values]:
    return [{SPEED: constant(days, 0.0) + value} for value in values]


# --- The sign ----------------------------------------------------------------------------------------


async def test_a_forecast_of_25_where_20_came_is_5_too_much_everywhere(tmp_path: Path) -> None:
    forecast, other = speeds(25.0, 19.0)
    service = stored(tmp_path, {AROME: forecast, PARAPENTE: other}, views=VIEWS)
    site = "/api/v1/sites/grand-pre"
    async with served(service) as client:
        verdict = await get(client, VERDICT)
        scores = await get(client, f"{site}/scores?stratum=hour")
        comparison = await get(client, f"{site}/comparison")
        bias = await get(client, f"{site}/bias")
        series = await get(client, f"{site}/series", headers=ADMIN)
    for answer in (verdict, scores, comparison):
        found = by_model(answer)[AROME]
        assert (found["score"]["meanError"], found["score"]["mae"], found["score"]["rmse"]) == (5, 5, 5)
        assert found["tendency"] == "overestimates"
    assert {
        each["entry"]["score"]["meanError"] for group in scores["groups"] for each in group["models"]
    } == {
        5.0,
        -1.0,
    }
    wrong = by_model(bias)[AROME]
    assert (
        wrong["sentence"]
        == "In all hours, AROME overestimates the mean wind by 5.0 km/h (between 5.0 and 5.0)."
    )
    groups = [*wrong["byHour"], *wrong["byPartOfDay"], *wrong["byDayAndNight"], *wrong["byLead"]]
    assert {(each["meanError"], each["tendency"]) for each in groups} == {(5.0, "overestimates")}
    assert len(groups) == 24 + 8 + 2 + 6
    assert wrong["givenForecast"] == [
        {"low": 25.0, "high": 30.0, "nPairs": 960, "nDays": 40, "shown": True}
        | {"p10": 20.0, "median": 20.0, "p90": 20.0}
    ]
    (said_of_hour,) = (each for each in series["hours"][0]["forecasts"] if each["model"] == AROME)
    assert (said_of_hour["forecast"], said_of_hour["error"]) == (25.0, 5.0)
    assert by_model(bias)[PARAPENTE]["tendency"] == "underestimates"


async def test_350_degrees_against_10_is_20_degrees_anticlockwise(tmp_path: Path) -> None:
    forecast = {SPEED: constant(DAYS, 20.0), DIRECTION: constant(DAYS, 350.0)}
    observed = {SPEED: constant(DAYS, 20.0), DIRECTION: constant(DAYS, 10.0)}
    service = stored(tmp_path, {AROME: forecast}, {FFVL: observed})
    async with served(service) as client:
        verdict = await get(client, f"{VERDICT}?parameter=wind_direction")
        bias = await get(client, "/api/v1/sites/grand-pre/bias?parameter=wind_direction")
    score = by_model(verdict)[AROME]["score"]
    assert score["mae"] == pytest.approx(20.0, abs=1e-3)
    assert score["circularBias"] == pytest.approx(-20.0, abs=1e-3)
    assert by_model(bias)[AROME]["sentence"] == (
        "In all hours, AROME turns the wind 20° anticlockwise of the observed one (between 20 and 20)."
    )
    assert verdict["unit"] == "degrees"
    assert {by_model(answer)[AROME]["tendency"] for answer in (verdict, bias)} == {"anticlockwise"}
    assert by_model(bias)[AROME]["byHour"][12]["tendency"] == "anticlockwise"


async def test_zero_degrees_and_no_wind_are_values(tmp_path: Path) -> None:
    forecast = {SPEED: constant(DAYS, 0.0), TEMPERATURE: constant(DAYS, 1.0)}
    observed = {SPEED: constant(DAYS, 0.0), TEMPERATURE: constant(DAYS, 0.0)}
    service = stored(tmp_path, {AROME: forecast}, {FFVL: observed}, grounds={AROME: 1400.0})
    async with served(service) as client:
        wind = await get(client, VERDICT)
        warmth = await get(client, f"{VERDICT}?parameter=temperature")
        series = await get(client, "/api/v1/sites/grand-pre/series?parameter=temperature")
    assert by_model(wind)[AROME]["score"]["mae"] == 0.0
    assert by_model(wind)[AROME]["nPairs"] == 24 * DAYS
    assert by_model(warmth)[AROME]["score"]["meanError"] == 1.0
    assert series["hours"][0]["observation"] == 0.0


# --- Verdicts ----------------------------------------------------------------------------------------


def two_models(*, days: int = DAYS, a: float = 2.0, b: float = 5.0, first: date = FIRST) -> dict[str, Any]:
    """Return models for `stored`: AROME with errors of about `a`, MeteoParapente of about `b`."""
    observed = constant(days, 20.0)
    return {
        "models": {
            AROME: {SPEED: observed + a + noise(1, days)},
            PARAPENTE: {SPEED: observed + b + noise(2, days)},
        },
        "stations": {FFVL: {SPEED: observed}},
        "first": first,
    }


async def test_the_better_model_wins_in_one_sentence_with_its_figures(tmp_path: Path) -> None:
    async with served(stored(tmp_path, **two_models())) as client:
        answer = await get(client, VERDICT)
    assert answer["finding"] == "winner"
    assert answer["sentence"] == (
        "AROME errs least the evening before: its mean wind in all hours is wrong by 2.0 km/h on average,"
        " that of MeteoParapente by 5.0; 40 common days (preliminary)."
    )
    assert (answer["best"], answer["second"]) == (AROME, PARAPENTE)
    assert [(each["model"], each["rank"]) for each in answer["models"]] == [(AROME, 1), (PARAPENTE, 2)]
    assert answer["duel"]["outcome"] == "a_better"
    assert answer["duel"]["interval"]["high"] < 0
    assert answer["duel"]["test"]["interval"]["high"] < 0
    for name, value in {
        "nPairs": 24 * DAYS,
        "nDays": DAYS,
        "label": "preliminary",
        "commonSample": f"hours that AROME, MeteoParapente and {FFVL} all have",
        "methodVersion": "2",
        "generatedAt": "2026-07-15T12:10:00Z",
        "confidence": 0.95,
        "firstDay": "2025-07-16",
        "lastDay": "2026-07-15",
    }.items():
        assert answer[name] == value, name


async def test_models_that_err_alike_are_too_close_to_call(tmp_path: Path) -> None:
    async with served(stored(tmp_path, **two_models(a=2.0, b=2.3))) as client:
        answer = await get(client, VERDICT)
    assert answer["finding"] == "too_close_to_call"
    assert answer["sentence"].startswith(
        "Too close to call the evening before: the mean wind in all hours of AROME is wrong by "
    )
    assert [each["rank"] for each in answer["models"]] == [None, None]


@pytest.mark.parametrize(("days", "label"), [(14, "collecting"), (15, "first_look"), (29, "first_look")])
async def test_too_few_days_name_no_winner_however_clear_it_looks(
    tmp_path: Path, days: int, label: str
) -> None:
    found = two_models(a=5.0, b=2.0, days=days, first=TODAY - timedelta(days=days - 1))
    found["stations"][ROMMA] = {SPEED: constant(days, 20.0)}
    service = stored(tmp_path, **found, means=found["stations"], positions={ROMMA: (45.91, 6.7)})
    async with served(service) as client:
        answer = await get(client, VERDICT)
        comparison = await get(client, "/api/v1/sites/grand-pre/comparison")
    assert (answer["finding"], answer["label"], answer["nDays"]) == ("not_enough_data", label, days)
    nothing = ("best", "second", "duel", "robustness", "hourlyMeans")
    assert [answer[name] for name in nothing] == [None] * 5
    assert [duel["outcome"] for duel in comparison["duels"]] == [None]
    assert [each["model"] for each in answer["models"]] == [AROME, PARAPENTE]  # by name
    assert f"{days} common days of the 30 that a verdict needs" in answer["sentence"]
    assert [each["rank"] for each in answer["models"]] == [None, None]
    shown = label != "collecting"
    assert [each["score"] is not None for each in answer["models"]] == [shown, shown]


async def test_a_model_without_data_is_last_unranked_and_null(tmp_path: Path) -> None:
    models = {AROME: {SPEED: constant(DAYS, 22.0)}}
    async with served(stored(tmp_path, models)) as client:
        answer = await get(client, VERDICT)
    last = answer["models"][-1]
    assert [each["model"] for each in answer["models"]] == [AROME, PARAPENTE]
    models = {PARAPENTE: {SPEED: constant(DAYS, 22.0)}}
    other = tmp_path / "other"
    other.mkdir()
    async with served(stored(other, models)) as client:
        others = [
            await get(client, f"/api/v1/sites/grand-pre/{path}")
            for path in ("verdict", "comparison", "scores?stratum=hour", "bias")
        ]
    for each in (*others, others[2]["groups"][0]):
        assert [entry["model"] for entry in each["models"]] == [PARAPENTE, AROME]
    assert (last["rank"], last["score"], last["nPairs"], last["onCommonSample"]) == (None, None, 0, False)
    assert answer["finding"] == "not_enough_data"
    assert "nothing to compare it with" in answer["sentence"]


async def test_two_models_without_common_hours_are_not_described_as_one_model(tmp_path: Path) -> None:
    early, late = constant(DAYS, 20.0), constant(DAYS, 20.0)
    early[20:], late[:20] = np.nan, np.nan
    async with served(stored(tmp_path, {AROME: {SPEED: early}, PARAPENTE: {SPEED: late}})) as client:
        answer = await get(client, VERDICT)
    assert answer["sentence"].endswith("no two models have an hour in common.")


async def test_a_model_that_missed_the_stormy_days_gains_nothing_by_it(tmp_path: Path) -> None:
    """In the first ten days both err by 20; the one without forecasts then is compared on the others only."""
    found = two_models(a=2.0, b=2.0)
    storm = found["models"][AROME][SPEED]
    storm[:10] += 20
    found["models"][PARAPENTE][SPEED][:10] = np.nan
    async with served(stored(tmp_path, **found)) as client:
        answer = await get(client, VERDICT)
    assert answer["nDays"] == 30
    assert {
        each["model"]: (each["nPairs"], each["ownPairs"], each["nDays"]) for each in answer["models"]
    } == {AROME: (24 * 30, 24 * DAYS, 30), PARAPENTE: (24 * 30, 24 * 30, 30)}
    assert answer["references"][0]["ownPairs"] is None
    assert answer["finding"] == "too_close_to_call"
    assert by_model(answer)[AROME]["score"]["mae"] == pytest.approx(2.0, abs=0.2)


async def test_a_model_with_a_short_history_does_not_erase_the_others(tmp_path: Path) -> None:
    found = two_models()
    third = constant(DAYS, np.nan)
    third[:5] = 20.0
    found["models"]["icon_d2"] = {SPEED: third}
    async with served(stored(tmp_path, **found)) as client:
        answer = await get(client, VERDICT)
        comparison = await get(client, "/api/v1/sites/grand-pre/comparison")
    assert (answer["finding"], answer["best"], answer["nDays"]) == ("winner", AROME, DAYS)
    assert answer["models"][-1]["model"] == "icon_d2"
    assert answer["models"][-1]["onCommonSample"] is False
    assert comparison["compared"] == [AROME, PARAPENTE]
    assert comparison["commonSampleShare"] == 1.0
    mean = by_model(answer, "references")["model_mean"]  # of the two that are compared
    assert (mean["nPairs"], mean["onCommonSample"]) == (answer["nPairs"], True)
    assert by_model(answer)[AROME]["skill"]["model_mean"]["skill"] is not None
    assert {(duel["a"], duel["b"]): duel["nDays"] for duel in comparison["duels"]} == {
        (AROME, "icon_d2"): 5,
        (AROME, PARAPENTE): DAYS,
        ("icon_d2", PARAPENTE): 5,
    }


async def test_a_reference_that_has_fewer_hours_is_not_on_the_common_sample(tmp_path: Path) -> None:
    async with served(stored(tmp_path, **two_models())) as client:
        answer = await get(client, VERDICT)
    yesterday = by_model(answer, "references")["yesterday"]
    assert 0 < yesterday["nPairs"] < answer["nPairs"]  # the first day has none before it
    assert yesterday["onCommonSample"] is False


async def test_each_view_has_its_own_verdict(tmp_path: Path) -> None:
    service = stored(tmp_path, **two_models())
    swapped = two_models(a=5.0, b=2.0)
    keep(
        service.database,
        grand_pre(service),
        FIRST,
        models=swapped["models"],
        stations=swapped["stations"],
        views=(MORNING,),
    )
    async with served(service) as client:
        evening = await get(client, VERDICT)
        morning = await get(client, f"{VERDICT}?view=morning")
    assert (evening["best"], morning["best"]) == (AROME, PARAPENTE)
    assert morning["viewText"] == "at 07:00 on the day itself"


# --- Further stations, and the reference station ------------------------------------------------------


async def test_another_station_is_compared_and_a_copy_of_the_first_is_not_counted(tmp_path: Path) -> None:
    found = two_models()
    found["stations"][ROMMA] = {SPEED: constant(DAYS, 20.0) + noise(5) * 0.2}
    service = stored(tmp_path, **found)
    async with served(service) as client:
        copy = await get(client, VERDICT)
    keep(service.database, grand_pre(service), FIRST, **found_only(found), positions={ROMMA: (45.91, 6.7)})
    async with served(service) as client:
        other = await get(client, VERDICT)
    assert copy["robustness"]["sentence"] is None
    assert copy["robustness"]["stations"][1]["duplicateOf"] == FFVL
    assert copy["robustness"]["stations"][1]["agrees"] is None
    assert other["robustness"]["sentence"] == "Same winner at 2 of 2 beacons."


def found_only(found: dict[str, Any]) -> dict[str, Any]:
    """Return observations without the forecasts, which are in the store already."""
    return {"models": {}, "stations": found["stations"]}


async def test_without_a_winner_no_station_is_described_as_agreeing(tmp_path: Path) -> None:
    found = two_models(a=2.0, b=2.3)
    found["stations"][ROMMA] = {SPEED: constant(DAYS, 20.0)}
    async with served(stored(tmp_path, **found, positions={ROMMA: (45.91, 6.7)})) as client:
        answer = await get(client, VERDICT)
    assert answer["finding"] == "too_close_to_call"
    assert (answer["robustness"]["counted"], answer["robustness"]["sentence"]) == (2, None)


async def test_a_station_that_disagrees_is_named(tmp_path: Path) -> None:
    found = two_models()
    found["stations"][ROMMA] = {SPEED: constant(DAYS, 25.0)}
    async with served(stored(tmp_path, **found)) as client:
        answer = await get(client, VERDICT)
    assert answer["robustness"]["sentence"] == (
        f"Same winner at 1 of 2 beacons: the other model is better at {ROMMA}."
    )
    assert [each["agrees"] for each in answer["robustness"]["stations"]] == [True, False]


async def test_a_beacon_that_is_too_close_to_call_does_not_have_the_same_winner(tmp_path: Path) -> None:
    """The same model errs less there too, by 0.3 km/h in the mean: no pilot would notice."""
    found = two_models(a=2.0, b=5.0)
    found["stations"][ROMMA] = {SPEED: constant(DAYS, 23.35)}
    async with served(stored(tmp_path, **found)) as client:
        answer = await get(client, VERDICT)
    reference, other = answer["robustness"]["stations"]
    assert other["difference"] < 0
    assert (reference["agrees"], other["agrees"], other["outcome"]) == (True, False, "too_close_to_call")
    assert (answer["robustness"]["agreeing"], answer["robustness"]["counted"]) == (1, 2)
    assert answer["robustness"]["sentence"] == f"Same winner at 1 of 2 beacons: too close to call at {ROMMA}."


async def test_a_station_may_be_asked_for_by_itself(tmp_path: Path) -> None:
    found = two_models()
    found["stations"][ROMMA] = {SPEED: constant(DAYS, 25.0)}
    async with served(stored(tmp_path, **found)) as client:
        answer = await get(client, f"{VERDICT}?station={ROMMA}")
        unknown = await client.get(f"{VERDICT}?station=ffvl:1")
    assert answer["best"] == PARAPENTE
    assert [each["station"] for each in answer["stations"]] == [ROMMA]
    assert unknown.status_code == 404


async def test_each_day_is_judged_by_the_station_that_was_the_reference_on_it(tmp_path: Path) -> None:
    change = FIRST + timedelta(days=20)
    service = make_service(tmp_path, public_raw_sources=OPENED)
    text = (tmp_path / "sites.toml").read_text()
    references = f'references = [{{station = "{FFVL}"}}, {{station = "{ROMMA}", since = {change}}}]'
    stations = f'stations = ["{FFVL}", "{ROMMA}"]'
    (tmp_path / "sites.toml").write_text(text.replace(stations, f"{stations}\n{references}"))
    make_tables(service.database)
    keep(
        service.database,
        grand_pre(service),
        FIRST,
        models={AROME: {SPEED: constant(DAYS, 25.0)}},
        stations={FFVL: {SPEED: constant(DAYS, 20.0)}, ROMMA: {SPEED: constant(DAYS, 24.0)}},
    )
    async with served(service) as client:
        answer = await get(client, "/api/v1/sites/grand-pre/scores")
        series = await get(client, f"/api/v1/sites/grand-pre/series?to={change}&from={FIRST}", headers=ADMIN)
    assert by_model(answer)[AROME]["score"]["mae"] == pytest.approx((5.0 + 1.0) / 2)
    assert [(each["station"], each["days"]) for each in answer["stations"]] == [(FFVL, 345), (ROMMA, 20)]
    of_day = {each["localDay"]: each["observation"] for each in series["hours"]}
    assert of_day[str(change - timedelta(days=1))] == 20.0
    assert of_day[str(change)] == 24.0


# --- Coverage ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(("march", "april", "complete"), [(2, 0, True), (3, 1, False)])
async def test_a_month_is_complete_from_nine_tenths_of_its_hours_on(
    tmp_path: Path, march: int, april: int, complete: bool
) -> None:
    """March 2026 has 743 hours, for the clock goes forward, and April 720: 669 and 648 are needed."""
    first = date(2026, 2, 28)
    days = (date(2026, 5, 1) - first).days + 1
    observed = constant(days, 20.0)
    for start, hours in ((1, march), (32, april)):
        observed[start : start + 3] = np.nan  # 72 hours
        observed[start + 3, :hours] = np.nan
    forecast = {SPEED: constant(days, 22.0)}
    service = stored(tmp_path, {AROME: forecast}, {FFVL: {SPEED: observed}}, first=first)
    async with served(service) as client:
        answer = await get(client, f"{SITE}/scores?from=2026-01-01&to=2026-05-01")
        cut = await get(client, f"{SITE}/scores?from=2026-03-08&to=2026-05-01")
    assert [tuple(month.values()) for month in answer["months"]] == [
        ("2026-02", 24, 28 * 24, False),
        ("2026-03", 671 - march, 743, complete),
        ("2026-04", 648 - april, 720, complete),
        ("2026-05", 24, 744, False),
    ]
    # A month that the question cuts is one only if enough of the whole lies within.
    assert cut["months"][0] == {"month": "2026-03", "hours": 743 - 7 * 24, "expected": 743, "complete": False}


async def test_each_model_and_station_has_its_coverage_up_to_now(tmp_path: Path) -> None:
    """40 days up to 12:10 UTC, 14:10 in Paris: 39 * 24 + 15 hours; in the view of noon 39 * 12 + 3."""
    forecast, observed = constant(DAYS, 22.0), constant(DAYS, 20.0)
    forecast[:10] = np.nan
    observed[0, :12] = np.nan
    observed[-1, 15:] = np.nan
    models = {AROME: {SPEED: constant(DAYS, 21.0)}, PARAPENTE: {SPEED: forecast}}
    models[AROME][SPEED][:, :12] = np.nan
    service = stored(tmp_path, models, {FFVL: {SPEED: observed}}, views=VIEWS)
    async with served(service) as client:
        evening = await get(client, VERDICT)
        noon = await get(client, f"{VERDICT}?view=noon")
    all_hours, of_noon = 39 * 24 + 15, 39 * 12 + 3
    (station,) = evening["stations"]
    assert station["coverage"]["hours"] == all_hours - 12
    assert station["coverage"]["expected"] == all_hours
    assert station["coverage"]["share"] == pytest.approx((all_hours - 12) / all_hours)
    found = {model: each["coverage"] for model, each in by_model(evening).items()}
    assert (found[AROME]["hours"], found[AROME]["expected"]) == (of_noon, all_hours)
    assert found[PARAPENTE]["hours"] == 29 * 24 + 15
    assert by_model(noon)[AROME]["coverage"] == {"hours": of_noon, "expected": of_noon, "share": 1.0}
    assert by_model(evening, "references")["yesterday"]["coverage"] is None


async def test_winds_too_light_for_a_direction_count_as_observed(tmp_path: Path) -> None:
    forecast = {SPEED: constant(DAYS, 5.0), DIRECTION: constant(DAYS, 10.0)}
    observed = {SPEED: constant(DAYS, 5.0), DIRECTION: constant(DAYS, 10.0)}
    observed[SPEED][:, :12], observed[DIRECTION][:, :12] = 0.0, np.nan
    observed[DIRECTION][:, 20:] = np.nan
    async with served(stored(tmp_path, {AROME: forecast}, {FFVL: observed})) as client:
        answer = await get(client, f"{SITE}/scores?parameter=wind_direction&to={TODAY - timedelta(days=1)}")
    assert by_model(answer)[AROME]["nPairs"] == 0
    assert answer["stations"][0]["coverage"]["hours"] == 39 * 20
    assert answer["stations"][0]["coverage"]["expected"] == 39 * 24


async def test_readings_that_enter_no_score_are_counted_with_the_reason(tmp_path: Path) -> None:
    service = lived(tmp_path, beside=21.8)
    with_spike = datetime.combine(FIRST, datetime.min.time(), UTC) + timedelta(hours=13, minutes=5)
    service.store.add_observations(
        ObservationBatch(
            source="ffvl",
            route="test",
            rank=0,
            collected_at=NOW,
            averaging_minutes=10,
            records=[Observation(FFVL, SPEED, with_spike, 99.0)],
        )
    )
    update(service.database, NOW)
    async with served(service) as client:
        answer = await get(client, VERDICT)
        gust = await get(client, f"{VERDICT}?parameter=wind_gust")
        later = await get(client, f"{VERDICT}?from={FIRST + timedelta(days=1)}")
    assert [each["stations"][0]["doubted"] for each in (answer, gust, later)] == [{"spike": 1}, {}, {}]
    assert answer["nPairs"] == 4 * DAYS, "the reading before it, ten minutes from the hour, replaces it"


# --- Directions in light winds -----------------------------------------------------------------------


@pytest.mark.parametrize(("days", "mae"), [(20, 40.0), (19, None)])
async def test_directions_in_light_winds_have_a_score_of_their_own(
    tmp_path: Path, days: int, mae: float | None
) -> None:
    """From 5 to below 10.8 km/h: 8 hours err by 30 degrees and 4 by 60, 40 in the mean; 10.8 is not light."""
    speed, forecast = constant(DAYS, 4.9), constant(DAYS, 190.0)
    for hours, wind, error in (
        (slice(8, 16), 5.0, 30.0),
        (slice(16, 20), 10.7, 60.0),
        (slice(20, 24), 10.8, 10.0),
    ):
        speed[:, hours], forecast[:, hours] = wind, 10.0 - error
    winds = {SPEED: speed, DIRECTION: constant(DAYS, 10.0)}
    service = stored(tmp_path, {AROME: {SPEED: speed, DIRECTION: forecast % 360}}, {FFVL: winds})
    first = TODAY - timedelta(days=days - 1)
    async with served(service) as client:
        answer = await get(client, f"{SITE}/scores?parameter=wind_direction&from={first}")
    score = by_model(answer)[AROME]["score"]
    assert score["mae"] == pytest.approx(10.0)
    assert (score["breezePairs"], score["lightWindPairs"]) == (12 * days, 20 * days)
    assert score["breezeMae"] == (None if mae is None else pytest.approx(mae))


# --- Skill against baselines -------------------------------------------------------------------------


async def test_a_model_that_is_worse_than_yesterdays_observation_is_called_so(tmp_path: Path) -> None:
    """Half a km/h more each day: yesterday's errs by 0.5, and by 1 from 19:00 on, 0.604 in the mean."""
    observed = constant(DAYS, 10.0) + 0.5 * np.arange(DAYS)[:, None]
    models = {AROME: {SPEED: observed + 0.25}, PARAPENTE: {SPEED: observed - 3.0}}
    async with served(stored(tmp_path, models, {FFVL: {SPEED: observed}})) as client:
        answer = await get(client, VERDICT, headers=ADMIN)
    skills = {model: each["skill"]["yesterday"] for model, each in by_model(answer).items()}
    assert skills[AROME]["skill"] == pytest.approx(1 - 0.25 / 0.604, abs=0.01)
    assert skills[AROME]["text"] == "better than yesterday's observation"
    assert skills[PARAPENTE]["skill"] == pytest.approx(1 - 3 / 0.604, abs=0.1)
    assert skills[PARAPENTE]["text"] == "worse than yesterday's observation"
    for each in skills.values():  # within the ends, which are as close as the days are alike
        assert each["interval"]["low"] <= each["skill"] <= each["interval"]["high"]
        assert each["interval"]["high"] - each["interval"]["low"] < 0.2 * abs(each["skill"])


async def test_a_skill_that_may_be_chance_is_worded_as_uncertain(tmp_path: Path) -> None:
    """Steady 10 km/h, and now and then a step of 4: it errs as yesterday does, a day earlier or later."""
    observed = constant(DAYS, 10.0)
    observed[::6] += 4.0
    model = constant(DAYS, 10.0)
    model[1::6] += 4.0
    async with served(stored(tmp_path, {AROME: {SPEED: model}}, {FFVL: {SPEED: observed}})) as client:
        answer = await get(client, VERDICT, headers=ADMIN)
    skill = by_model(answer)[AROME]["skill"]["yesterday"]
    assert skill["interval"]["low"] < 0 < skill["interval"]["high"]
    word = "better" if skill["skill"] > 0 else "worse"
    assert skill["text"] == f"{word} than yesterday's observation, but not clearly so"


# --- By hourly means --------------------------------------------------------------------------------


def lived(folder: Path, beside: float, *, minutes: int = 10) -> Service:
    """Return a service that collected 40 days of four hours, in which the reading on the hour is 20 km/h.

    The other five of the hour are `beside`. AROME forecasts 21.5 and 22.5 by turns, MeteoParapente 25.1.
    """
    service = make_service(folder, public_raw_sources=OPENED)
    make_tables(service.database)
    service.store.save_sites(service.sites())
    readings = []
    for day in range(DAYS):
        noon = datetime.combine(FIRST, datetime.min.time(), UTC) + timedelta(days=day, hours=12)
        run = noon - timedelta(days=1, hours=6)
        for model, speed in ((AROME, 21.5 + day % 2), (PARAPENTE, 25.1)):
            service.store.add_forecasts(
                ForecastBatch(
                    source=model,
                    route="test",
                    rank=0,
                    collected_at=run,
                    run=Run(model, run, run + timedelta(hours=4), published=True),
                    records=[
                        Forecast(model, "grand-pre", SPEED, run, noon + timedelta(hours=hour), speed)
                        for hour in range(4)
                    ],
                )
            )
        for minute in range(-25, 240 - 25, minutes):
            value = 20.0 if minute % 60 == 5 else beside
            readings.append(Observation(FFVL, SPEED, noon + timedelta(minutes=minute), value))
    service.store.add_observations(
        ObservationBatch(
            source="ffvl", route="test", rank=0, collected_at=NOW, averaging_minutes=10, records=readings
        )
    )
    update(service.database, NOW)
    return service


async def test_by_hourly_means_the_same_model_may_be_the_better_one(tmp_path: Path) -> None:
    """(20 + 5 * 21.8) / 6 = 21.5: AROME errs by 0 and 1 by turns, MeteoParapente by 3.6; else 2 and 5.1."""
    async with served(lived(tmp_path, beside=21.8)) as client:
        answer = await get(client, VERDICT, headers=ADMIN)
    assert (answer["finding"], answer["best"], answer["nPairs"]) == ("winner", AROME, 4 * DAYS)
    assert answer["duel"]["difference"] == pytest.approx(2.0 - 5.1)
    means = answer["hourlyMeans"]
    assert means["difference"] == pytest.approx(0.5 - 3.6)
    assert (means["nPairs"], means["nDays"], means["outcome"]) == (4 * DAYS, DAYS, "a_better")
    assert means["sameFinding"] is True
    assert means["sentence"] == (
        "By hourly means of the beacon instead of single reports: the same finding;"
        " the models differ by 3.1 km/h (3.1 by single reports)."
    )


async def test_by_hourly_means_the_other_model_may_be_the_better_one(tmp_path: Path) -> None:
    """(20 + 5 * 26) / 6 = 25: AROME errs by 3.5 and 2.5 by turns, MeteoParapente by 0.1."""
    async with served(lived(tmp_path, beside=26.0)) as client:
        answer = await get(client, VERDICT, headers=ADMIN)
    assert (answer["finding"], answer["best"]) == ("winner", AROME)
    assert answer["hourlyMeans"]["difference"] == pytest.approx(3.0 - 0.1)
    assert answer["hourlyMeans"]["sameFinding"] is False
    assert answer["hourlyMeans"]["sentence"] == (
        "By hourly means of the beacon instead of single reports: another finding, MeteoParapente is better;"
        " the models differ by 2.9 km/h (3.1 by single reports)."
    )


async def test_a_station_that_reports_too_rarely_has_no_hourly_means(tmp_path: Path) -> None:
    async with served(lived(tmp_path, beside=26.0, minutes=30)) as client:
        answer = await get(client, VERDICT)
        gust = await get(client, f"{VERDICT}?parameter=wind_gust")
    assert answer["finding"] == "winner"
    assert answer["hourlyMeans"] == {
        "sentence": None,
        "nPairs": 0,
        "nDays": 0,
        "difference": None,
        "outcome": None,
        "sameFinding": None,
    }
    assert gust["hourlyMeans"] is None


# --- Temperature -------------------------------------------------------------------------------------


async def test_a_temperature_is_corrected_to_the_stations_height_and_shown_raw_too(
    tmp_path: Path,
) -> None:
    """The model's ground lies 100 m above the station: 0.65 degrees are added."""
    models = {AROME: {TEMPERATURE: constant(DAYS, 10.0)}, PARAPENTE: {TEMPERATURE: constant(DAYS, 10.0)}}
    stations = {FFVL: {TEMPERATURE: constant(DAYS, 10.0)}}
    service = stored(tmp_path, models, stations, grounds={AROME: 1500.0})
    async with served(service) as client:
        corrected = await get(client, f"{VERDICT}?parameter=temperature", headers=ADMIN)
        raw = await get(client, f"{VERDICT}?parameter=temperature_raw")
        parts = await get(
            client, "/api/v1/sites/grand-pre/scores?parameter=temperature&stratum=day_and_night"
        )
    assert by_model(corrected)[AROME]["score"]["meanError"] == pytest.approx(0.65)
    assert by_model(corrected)[PARAPENTE]["score"] is None
    assert any("MeteoParapente: the height of the model's ground" in note for note in corrected["notes"])
    assert by_model(raw)[PARAPENTE]["score"]["meanError"] == 0.0
    assert [group["group"] for group in parts["groups"]] == ["day", "night"]


async def test_raw_temperatures_at_different_model_elevations_are_not_ranked(tmp_path: Path) -> None:
    models = {
        AROME: {TEMPERATURE: 10.0 + noise(1, size=0.1)},
        PARAPENTE: {TEMPERATURE: 13.0 + noise(2, size=0.1)},
    }
    service = stored(tmp_path, models, {FFVL: {TEMPERATURE: constant(DAYS, 10.0)}})
    async with served(service) as client:
        answer = await get(client, f"{VERDICT}?parameter=temperature_raw")
    assert (answer["finding"], answer["mayHeadline"]) == ("not_ranked", False)
    assert (answer["best"], answer["duel"], answer["robustness"]) == (None, None, None)
    assert [each["rank"] for each in answer["models"]] == [None, None]
    assert answer["sentence"] == (
        "Not ranked, the evening before, temperature as forecast in all hours, each at the height of its own"
        " ground: average errors AROME 0.1 °C, MeteoParapente 3.0 °C; 40 common days (preliminary)."
    )


async def test_gusts_of_three_hours_are_not_compared_with_those_of_one(tmp_path: Path) -> None:
    gusts = {SPEED: constant(DAYS, 10.0), GUST: constant(DAYS, 20.0)}
    models = {AROME: gusts, "ecmwf_ifs025": gusts}
    async with served(stored(tmp_path, models, {FFVL: gusts})) as client:
        answer = await get(client, f"{VERDICT}?parameter=wind_gust")
        wind = await get(client, VERDICT)
        events = await get(client, "/api/v1/sites/grand-pre/events")
    assert by_model(answer)["ecmwf_ifs025"]["nPairs"] == 0
    assert "IFS: gusts of three hours, not compared with those of one." in answer["notes"]
    assert by_model(wind)["ecmwf_ifs025"]["nPairs"] == 24 * DAYS
    assert "(IFS: without gusts)" in events["events"][0]["text"]


async def test_a_station_of_unknown_height_has_a_note(tmp_path: Path) -> None:
    models = {AROME: {TEMPERATURE: constant(DAYS, 10.0)}}
    stations = {FFVL: {TEMPERATURE: constant(DAYS, 10.0)}}
    service = stored(tmp_path, models, stations, grounds={AROME: 1500.0}, elevations={FFVL: None})
    async with served(service) as client:
        answer = await get(client, f"{VERDICT}?parameter=temperature")
    assert f"the height of {FFVL} is unknown" in answer["sentence"]
    assert any(f"{FFVL}: the height of the station is not known" in note for note in answer["notes"])


async def test_a_model_far_in_height_heads_no_page(tmp_path: Path) -> None:
    models = {AROME: {TEMPERATURE: constant(DAYS, 10.0)}}
    stations = {FFVL: {TEMPERATURE: constant(DAYS, 10.0)}}
    service = stored(tmp_path, models, stations, grounds={AROME: 1701.0})
    async with served(service) as client:
        far = await get(client, f"{VERDICT}?parameter=temperature")
        wind = await get(client, VERDICT)
    assert far["mayHeadline"] is False
    assert any("more than 300 m" in note for note in far["notes"])
    assert wind["mayHeadline"] is True


# --- Groups ------------------------------------------------------------------------------------------


async def test_a_group_with_too_few_days_has_no_value(tmp_path: Path) -> None:
    models = {AROME: {SPEED: constant(DAYS, 22.0)}}
    async with served(stored(tmp_path, models)) as client:
        path = "/api/v1/sites/grand-pre/scores?stratum=month&model=arome_0025&from=2026-06-"
        answers = [await get(client, path + day) for day in ("11", "12")]
    enough, too_few = (
        {group["group"]: group["models"][0]["entry"] for group in answer["groups"]} for answer in answers
    )
    assert len(enough) == 12
    assert enough["06"]["nDays"] == 20
    assert too_few["06"] is None  # 19 days
    assert enough["01"] is None


async def test_an_hour_with_a_bias_is_detected_and_the_others_are_not(tmp_path: Path) -> None:
    forecast = constant(DAYS, 20.0) + noise(1)
    forecast[:, 12] += 6
    async with served(stored(tmp_path, {AROME: {SPEED: forecast}})) as client:
        answer = await get(client, "/api/v1/sites/grand-pre/bias?model=arome_0025")
    (found,) = answer["models"]
    hours = {each["group"]: each for each in found["byHour"]}
    assert hours["12"]["meanError"] == pytest.approx(6.0, abs=0.5)
    assert hours["12"]["tendency"] == "overestimates"
    assert [each["tendency"] for each in found["byHour"]].count("no steady bias") >= 20
    assert found["byPartOfDay"][4]["tendency"] == "overestimates"


@pytest.mark.parametrize(
    ("stratum", "groups"),
    [("season", 4), ("sector", 8), ("wind_class", 5), ("part_of_day", 8), ("hour", 24)],
)
async def test_every_stratum_has_all_its_groups(tmp_path: Path, stratum: str, groups: int) -> None:
    forecast = {SPEED: constant(DAYS, 22.0), DIRECTION: constant(DAYS, 45.0)}
    async with served(stored(tmp_path, {AROME: forecast})) as client:
        answer = await get(client, f"/api/v1/sites/grand-pre/scores?model=arome_0025&stratum={stratum}")
    entries = [group["models"][0]["entry"] for group in answer["groups"]]
    assert len(entries) == groups
    assert sum(entry["nPairs"] for entry in entries if entry is not None) == 24 * DAYS


@pytest.mark.parametrize("parameter", ["wind_speed", "wind_direction", "wind"])
async def test_every_score_has_its_effective_pairs(tmp_path: Path, parameter: str) -> None:
    """The errors of a day are alike, so its hours are worth little more than one."""
    turned = np.repeat(noise(5)[:, :1], 25, axis=1)
    forecast = {SPEED: 22.0 + turned, DIRECTION: 45.0 + 10.0 * turned}
    seen = {SPEED: constant(DAYS, 20.0), DIRECTION: constant(DAYS, 45.0)}
    async with served(stored(tmp_path, {AROME: forecast}, {FFVL: seen})) as client:
        verdict = await get(client, f"{VERDICT}?parameter={parameter}")
        scores = await get(client, f"{SITE}/scores?parameter={parameter}&model={AROME}&stratum=hour")
    whole = by_model(verdict)[AROME]
    hours = [group["models"][0]["entry"] for group in scores["groups"]]
    assert 0.4 * DAYS < whole["effectivePairs"] < 2.5 * DAYS < whole["nPairs"]
    assert all(0.4 * DAYS < hour["effectivePairs"] <= hour["nPairs"] for hour in hours)


async def test_a_model_stored_in_one_view_only_has_a_bias_there_and_none_by_lead(
    tmp_path: Path,
) -> None:
    forecast = {"my_wrf": {SPEED: constant(DAYS, 25.0)}}
    async with served(stored(tmp_path, forecast)) as client:
        answer = await get(client, "/api/v1/sites/grand-pre/bias", headers=ADMIN)
    found = by_model(answer)["my_wrf"]
    assert found["meanError"] == 5.0
    assert {each["meanError"] for each in found["byLead"]} == {None}


async def test_the_length_of_a_vector_has_no_bias_and_no_hourly_value(tmp_path: Path) -> None:
    async with served(stored(tmp_path, {})) as client:
        for path in ("bias", "series"):
            answer = await client.get(f"/api/v1/sites/grand-pre/{path}?parameter=wind")
            assert answer.status_code == 422, path


# --- Events ------------------------------------------------------------------------------------------


def windy(over: int, forecast_over: int, both: int, days: int = DAYS) -> tuple[Grid, Grid]:
    """Return observed and forecast winds at noon: hours over 25 km/h on so many days, and 10 on the rest.

    The days are in no order: windy ones that followed each other would be worth few.
    """
    observed, forecast = constant(days, np.nan), constant(days, np.nan)
    observed[:, 12], forecast[:, 12] = 10.0, 10.0
    observed[:over, 12] = 30.0
    forecast[:both, 12] = 30.0
    forecast[over : over + forecast_over - both, 12] = 30.0
    order = np.random.default_rng(5).permutation(days)
    return observed[order], forecast[order]


async def test_surprises_are_counted_among_the_hours_forecast_as_good(tmp_path: Path) -> None:
    """12 windy hours of 40; 11 were called windy, 8 of them rightly: 4 of 29 go hours were surprises."""
    observed, forecast = windy(over=12, forecast_over=11, both=8)
    service = stored(tmp_path, {AROME: {SPEED: forecast}}, {FFVL: {SPEED: observed}})
    async with served(service) as client:
        answer = await get(client, "/api/v1/sites/grand-pre/events?limit=25")
    event = next(each for each in answer["events"] if each["event"] == "wind_over")
    arome = by_model(event)[AROME]
    assert arome["counts"] == {"hits": 8, "falseAlarms": 3, "misses": 4, "correctRejections": 25}
    assert (arome["surprises"]["count"], arome["surprises"]["of"]) == (4, 29)
    assert arome["surprises"]["value"] == pytest.approx(4 / 29)
    interval = arome["surprises"]["interval"]
    assert interval == arome["intervals"]["surpriseRate"]
    assert interval["low"] == pytest.approx(0.055, abs=0.03)  # about Wilson's: an hour a day, in no order
    low, high = (f"{100 * interval[end]:.0f}" for end in ("low", "high"))
    assert arome["sentence"] == f"AROME, in all hours: 4 bad surprises in 29 go hours (14 %, {low}–{high} %)."
    assert arome["scores"]["pod"] == pytest.approx(8 / 12)
    assert by_model(event)[PARAPENTE]["counts"] is None


async def test_few_events_have_counts_and_no_rate(tmp_path: Path) -> None:
    observed, forecast = windy(over=9, forecast_over=11, both=8)
    service = stored(tmp_path, {AROME: {SPEED: forecast}}, {FFVL: {SPEED: observed}})
    async with served(service) as client:
        answer = await get(client, "/api/v1/sites/grand-pre/events?limit=25")
    arome = by_model(next(each for each in answer["events"] if each["event"] == "wind_over"))[AROME]
    assert (arome["enoughEvents"], arome["surprises"]["value"], arome["scores"]["pod"]) == (False, None, None)
    assert arome["sentence"] == "AROME, in all hours: 1 bad surprise in 29 go hours."


@pytest.mark.parametrize(("limit", "over"), [(29.9, 12), (30, 0)])
async def test_the_limit_itself_is_still_good(tmp_path: Path, limit: float, over: int) -> None:
    observed, forecast = windy(over=12, forecast_over=12, both=12)
    service = stored(tmp_path, {AROME: {SPEED: forecast}}, {FFVL: {SPEED: observed}})
    async with served(service) as client:
        answer = await get(client, f"/api/v1/sites/grand-pre/events?limit={limit}")
    arome = by_model(next(each for each in answer["events"] if each["event"] == "wind_over"))[AROME]
    assert arome["counts"]["hits"] == over


async def test_a_wind_off_the_slope_is_not_flyable_and_light_winds_are_from_anywhere(tmp_path: Path) -> None:
    """Grand Pré faces S and SW: 157.5 to 247.5 degrees."""
    direction = constant(DAYS, 0.0)
    direction[:, 12] = 200.0
    direction[:, 14] = 0.0
    speed = constant(DAYS, 15.0)
    speed[:, 14] = 8.0
    winds = {SPEED: speed, DIRECTION: direction}
    async with served(stored(tmp_path, {AROME: winds}, {FFVL: winds})) as client:
        answer = await get(client, "/api/v1/sites/grand-pre/events?limit=20")
    assert answer["sector"] == [157.5, 247.5]
    events = {each["event"]: by_model(each)[AROME]["counts"] for each in answer["events"]}
    assert events["not_flyable_hour"] == {
        "hits": 22 * DAYS,
        "falseAlarms": 0,
        "misses": 0,
        "correctRejections": 2 * DAYS,
    }
    assert events["off_slope"]["correctRejections"] == DAYS  # of the light winds nothing is known
    assert events["not_flyable_day"]["hits"] == DAYS  # 12 and 14 o'clock are not in a row


async def test_a_model_without_gusts_is_charged_for_those_that_came(tmp_path: Path) -> None:
    observed = {SPEED: constant(DAYS, 10.0), GUST: constant(DAYS, 20.0)}
    observed[GUST][:, 12] = 50.0
    models = {
        AROME: {SPEED: constant(DAYS, 10.0), GUST: observed[GUST]},
        PARAPENTE: {SPEED: constant(DAYS, 10.0)},
    }
    async with served(stored(tmp_path, models, {FFVL: observed})) as client:
        answer = await get(client, "/api/v1/sites/grand-pre/events")
    event = answer["events"][0]
    assert "(MeteoParapente: without gusts)" in event["text"]
    assert by_model(event)[AROME]["surprises"]["count"] == 0
    assert by_model(event)[PARAPENTE]["surprises"]["count"] == DAYS


def half_windy() -> Values:
    """Return light winds from the south in the morning and strong ones after noon."""
    winds = {SPEED: constant(DAYS, 5.0), DIRECTION: constant(DAYS, 180.0)}
    winds[SPEED][:, 12:] = 30.0
    return winds


@pytest.mark.parametrize("reported", [0.0, 0.5])
async def test_hours_count_windy_or_not_if_a_station_reports_few_directions(
    tmp_path: Path, reported: float
) -> None:
    """A vane that is broken, now and then or for good, must not leave the light hours alone."""
    winds = half_windy()
    there = np.random.default_rng(1).random((DAYS, 25)) < reported
    observed = {SPEED: winds[SPEED], DIRECTION: np.where(there, winds[DIRECTION], np.nan)}
    async with served(stored(tmp_path, {AROME: winds}, {FFVL: observed})) as client:
        answer = await get(client, "/api/v1/sites/grand-pre/events?limit=20")
    event = answer["events"][0]
    counts = by_model(event)[AROME]["counts"]
    windy = there[:, 12:24].sum() if reported else 12 * DAYS
    light = there[:, :12].sum() if reported else 12 * DAYS
    assert (counts["hits"], counts["correctRejections"]) == (windy, light)
    assert ("off the slope" in event["text"]) is bool(reported)


async def test_a_calm_has_no_direction_and_is_flyable_all_the_same(tmp_path: Path) -> None:
    winds = half_windy()
    winds[SPEED][:, 8] = 0.0
    winds[DIRECTION][:, 8] = np.nan
    async with served(stored(tmp_path, {AROME: winds}, {FFVL: winds})) as client:
        answer = await get(client, "/api/v1/sites/grand-pre/events?limit=20")
    assert by_model(answer["events"][0])[AROME]["counts"]["correctRejections"] == 12 * DAYS


async def test_a_model_without_directions_is_named(tmp_path: Path) -> None:
    winds = half_windy()
    models = {AROME: winds, PARAPENTE: {SPEED: winds[SPEED]}}
    async with served(stored(tmp_path, models, {FFVL: winds})) as client:
        answer = await get(client, "/api/v1/sites/grand-pre/events?limit=20")
    assert "(MeteoParapente: without directions)" in answer["events"][0]["text"]
    assert answer["events"][0]["nPairs"] == 24 * DAYS


async def test_at_noon_a_day_is_judged_by_the_hours_to_come(tmp_path: Path) -> None:
    """The view has nothing before 12 o'clock; days that were not called flyable are known all the same."""
    forecast, real = constant(DAYS, 30.0), constant(DAYS, 30.0)
    forecast[:, :12] = np.nan
    forecast[:25], real[20:] = 10.0, 10.0
    models = {AROME: {SPEED: forecast}}
    async with served(stored(tmp_path, models, {FFVL: {SPEED: real}}, views=VIEWS)) as client:
        answer = await get(client, "/api/v1/sites/grand-pre/events?limit=20&view=noon")
    event = answer["events"][1]
    assert "from 12 to 18 o'clock" in event["text"]
    assert by_model(event)[AROME]["counts"] == {
        "hits": 0,
        "falseAlarms": DAYS - 25,
        "misses": 20,
        "correctRejections": 5,
    }


async def test_scores_of_events_have_intervals_of_whole_days(tmp_path: Path) -> None:
    """Hours of one day are no independent cases: the interval is far wider than Wilson's of so many hours."""
    generator = np.random.default_rng(7)
    observed = np.where(generator.random((DAYS, 1)) < 0.4, 30.0, 10.0) + constant(DAYS, 0.0)
    forecast = np.where(generator.random((DAYS, 1)) < 0.8, observed, 40.0 - observed)
    async with served(stored(tmp_path, {AROME: {SPEED: forecast}}, {FFVL: {SPEED: observed}})) as client:
        answer = await get(client, "/api/v1/sites/grand-pre/events?limit=25")
    found = by_model(next(each for each in answer["events"] if each["event"] == "wind_over"))[AROME]
    assert found["scores"].keys() == found["intervals"].keys()
    for name, value in found["scores"].items():
        assert found["intervals"][name]["low"] < value < found["intervals"][name]["high"], name
    assert found["scores"]["surpriseRate"] == found["surprises"]["value"]
    assert found["intervals"]["surpriseRate"] == found["surprises"]["interval"]
    assert found["intervals"]["pod"] == found["detected"]["interval"]
    assert found["kept"]["interval"]["low"] == pytest.approx(1 - found["intervals"]["far"]["high"])
    by_days, by_hours = (
        found["surprises"]["interval"],
        wilson(found["surprises"]["value"], found["surprises"]["of"]),
    )
    assert by_days["high"] - by_days["low"] > 2 * (by_hours.high - by_hours.low)


async def test_a_model_that_never_gives_a_go_has_a_sentence_in_the_words_of_the_event(tmp_path: Path) -> None:
    models = {AROME: {SPEED: constant(DAYS, 30.0)}}
    async with served(stored(tmp_path, models)) as client:
        answer = await get(client, "/api/v1/sites/grand-pre/events?limit=25")
    sentences = {each["event"]: by_model(each)[AROME]["sentence"] for each in answer["events"]}
    assert sentences["wind_over"] == "AROME never forecast a mean wind within the limit in all hours."
    assert sentences["not_flyable_day"] == "AROME never forecast a flyable day."


async def test_a_skill_of_too_few_days_is_none(tmp_path: Path) -> None:
    """The station reports every other day, so that yesterday's observation is there on two of 21 days."""
    observed = constant(DAYS, 20.0)
    observed[1::2] = np.nan
    observed[5] = 20.0
    models = {AROME: {SPEED: 21.0 + noise(1)}, PARAPENTE: {SPEED: 22.0 + noise(2)}}
    async with served(stored(tmp_path, models, {FFVL: {SPEED: observed}}, views=VIEWS)) as client:
        answer = await get(client, f"{VERDICT}?view=morning")
    assert (answer["nDays"], by_model(answer, "references")["yesterday"]["nDays"]) == (21, 2)
    assert by_model(answer)[AROME]["skill"]["yesterday"]["skill"] is None
    assert by_model(answer)[AROME]["skill"]["yesterday"]["text"] is None


async def test_days_are_counted_by_what_is_known_of_them_and_not_by_how_they_were(tmp_path: Path) -> None:
    wind = constant(DAYS, 10.0)
    wind[1::2] = 30.0
    gaps = wind.copy()
    gaps[:, [11, 12, 14, 15]] = np.nan
    one_gap = wind.copy()
    one_gap[:, 12] = np.nan
    counts = []
    for name, observed in (("whole", wind), ("one", one_gap), ("four", gaps)):
        folder = tmp_path / name
        folder.mkdir()
        async with served(stored(folder, {AROME: {SPEED: wind}}, {FFVL: {SPEED: observed}})) as client:
            answer = await get(client, "/api/v1/sites/grand-pre/events?limit=20")
        found = by_model(answer["events"][1])[AROME]["counts"]
        counts.append(None if found is None else (found["hits"], found["correctRejections"]))
    assert counts == [(20, 20), (20, 20), None]


async def test_a_day_that_was_calm_throughout_counts(tmp_path: Path) -> None:
    winds = half_windy()
    winds[SPEED][:10], winds[DIRECTION][:10] = 0.0, np.nan
    async with served(stored(tmp_path, {AROME: winds}, {FFVL: winds})) as client:
        answer = await get(client, "/api/v1/sites/grand-pre/events?limit=20")
    assert (answer["events"][0]["nPairs"], answer["events"][0]["nDays"]) == (24 * DAYS, DAYS)


async def test_a_take_off_that_faces_all_sides_asks_for_no_direction(tmp_path: Path) -> None:
    service = make_service(tmp_path, public_raw_sources=OPENED)
    text = (tmp_path / "sites.toml").read_text()
    (tmp_path / "sites.toml").write_text(text.replace('orientation = ["S", "SW"]\n', "", 1))
    make_tables(service.database)
    winds = {SPEED: constant(DAYS, 15.0), DIRECTION: constant(DAYS, 0.0)}
    half = {SPEED: winds[SPEED], DIRECTION: winds[DIRECTION].copy()}
    half[DIRECTION][:, ::2] = np.nan
    keep(service.database, grand_pre(service), FIRST, models={AROME: winds}, stations={FFVL: half})
    async with served(service) as client:
        answer = await get(client, "/api/v1/sites/grand-pre/events?limit=20")
    assert answer["sector"] is None
    assert [each["event"] for each in answer["events"]] == [
        "not_flyable_hour",
        "not_flyable_day",
        "wind_over",
        "gust_over",
    ]
    assert answer["events"][0]["nPairs"] == 24 * DAYS
    assert "slope" not in answer["events"][0]["text"]


async def test_a_model_that_is_not_compared_with_the_others_has_the_reason(tmp_path: Path) -> None:
    half = constant(DAYS, 10.0)
    half[:, ::2] = np.nan
    models = {
        AROME: {SPEED: constant(DAYS, 10.0)},
        PARAPENTE: {SPEED: constant(DAYS, 12.0)},
        "icon_d2": {SPEED: half},
    }
    async with served(stored(tmp_path, models, {FFVL: {SPEED: constant(DAYS, 11.0)}})) as client:
        answer = await get(client, "/api/v1/sites/grand-pre/events?limit=20")
    icon = by_model(answer["events"][0])["icon_d2"]
    assert (icon["nPairs"], icon["nDays"], icon["counts"]) == (12 * DAYS, DAYS, None)
    assert icon["sentence"] == "ICON-D2: not compared, because it has too few of the others' cases."


async def test_five_go_hours_give_no_surprise_rate_anywhere(tmp_path: Path) -> None:
    forecast, real = constant(DAYS, 30.0), constant(DAYS, 30.0)
    forecast[0, :5], real[0, :2], real[0, 20] = 10.0, 10.0, 10.0
    async with served(stored(tmp_path, {AROME: {SPEED: forecast}}, {FFVL: {SPEED: real}})) as client:
        answer = await get(client, "/api/v1/sites/grand-pre/events?limit=25")
    arome = by_model(next(each for each in answer["events"] if each["event"] == "wind_over"))[AROME]
    assert (arome["surprises"]["count"], arome["surprises"]["of"], arome["enoughEvents"]) == (3, 5, True)
    assert (arome["surprises"]["value"], arome["scores"]["surpriseRate"]) == (None, None)
    assert arome["scores"]["pod"] is not None


async def test_without_data_no_direction_is_called_unsteady(tmp_path: Path) -> None:
    winds = {SPEED: constant(5, 20.0), DIRECTION: constant(5, 90.0)}
    first = TODAY - timedelta(days=4)
    async with served(stored(tmp_path, {AROME: winds}, {FFVL: winds}, first)) as client:
        bias = await get(client, "/api/v1/sites/grand-pre/bias?parameter=wind_direction")
    for model, name in ((AROME, "AROME"), (PARAPENTE, "MeteoParapente")):
        sentence = by_model(bias)[model]["sentence"]
        assert sentence == f"{name}, wind direction in all hours: not enough data for a bias."


# --- Recent days -------------------------------------------------------------------------------------


async def test_an_hour_has_its_run_and_how_far_its_report_is(tmp_path: Path) -> None:
    service = stored(tmp_path, {AROME: {SPEED: constant(DAYS, 22.0)}})
    async with served(service) as client:
        answer = await get(client, f"/api/v1/sites/grand-pre/series?from={TODAY}")
    hour = answer["hours"][12]
    assert (hour["validTime"], hour["localHour"]) == ("2026-07-15T10:00:00Z", 12)
    assert hour["reportOffsetMinutes"] == 0
    arome = next(each for each in hour["forecasts"] if each["model"] == AROME)
    assert arome == {
        "model": AROME,
        "forecast": 22.0,
        "error": 2.0,
        "referenceTime": "2026-07-14T16:00:00Z",
        "leadMinutes": 1080,
    }
    assert len(answer["hours"]) == 24
    assert answer["nDays"] == 1


async def test_days_of_23_and_25_hours_have_as_many_rows(tmp_path: Path) -> None:
    service = make_service(
        tmp_path, public_raw_sources=OPENED, clock=HandClock(datetime(2026, 11, 1, tzinfo=UTC))
    )
    async with served(stored_in(service)) as client:
        spring = await get(client, "/api/v1/sites/grand-pre/series?from=2026-03-29&to=2026-03-29")
        autumn = await get(client, "/api/v1/sites/grand-pre/series?from=2026-10-25&to=2026-10-25")
    assert [each["localHour"] for each in spring["hours"]][:4] == [0, 1, 3, 4]
    assert [each["localHour"] for each in autumn["hours"]][:5] == [0, 1, 2, 2, 3]
    assert (len(spring["hours"]), len(autumn["hours"])) == (23, 25)


def stored_in(service: Service) -> Service:
    make_tables(service.database)
    return service


async def test_values_that_are_not_public_are_withheld_with_their_errors_and_named(tmp_path: Path) -> None:
    found = two_models()
    found["stations"][ROMMA] = {SPEED: constant(DAYS, 20.0)}
    path = "/api/v1/sites/grand-pre/series?from=2026-07-15"
    async with served(stored(tmp_path, **found, public_raw_sources="")) as client:
        public = await get(client, path)
        of_romma = await get(client, f"{path}&station={ROMMA}")
        admin = await get(client, path, headers=ADMIN)
        head = await client.get(path, headers=ADMIN)
    hour = {each["model"]: each for each in public["hours"][12]["forecasts"]}
    assert (hour[PARAPENTE]["forecast"], hour[PARAPENTE]["error"]) == (None, None)
    assert hour[AROME]["error"] is not None
    assert [each["source"] for each in public["withheld"]] == [PARAPENTE]
    # One side and the error reveal the other: without the station's value no model's error is shown.
    assert {each["observation"] for each in of_romma["hours"]} == {None}
    assert {each["error"] for hour in of_romma["hours"] for each in hour["forecasts"]} == {None}
    assert of_romma["hours"][12]["forecasts"][0]["forecast"] is not None
    assert [each["source"] for each in of_romma["withheld"]] == [PARAPENTE, "romma"]
    assert admin["withheld"] == []
    assert {each["model"]: each["error"] is None for each in admin["hours"][12]["forecasts"]} == {
        AROME: False,
        PARAPENTE: False,
    }
    assert head.headers["cache-control"].startswith("private")


SITE = "/api/v1/sites/grand-pre"


async def test_a_few_days_give_no_mean_from_which_single_values_follow(tmp_path: Path) -> None:
    async with served(stored(tmp_path, **two_models())) as client:
        for path in ("scores?stratum=hour&", "bias?", "events?", "comparison?", "verdict?"):
            text = (await client.get(f"/api/v1/sites/grand-pre/{path}from={TODAY}")).text
            found = [part for part in text.split(",") if '"mae":' in part or '"meanError":' in part]
            assert all(part.endswith("null") for part in found), (path, found)
            assert '"misses"' not in text


# --- Empty answers and invalid questions --------------------------------------------------------------


@pytest.mark.parametrize("path", ["verdict", "scores", "comparison", "bias", "events", "series"])
async def test_a_time_without_data_has_null_scores_and_the_label(tmp_path: Path, path: str) -> None:
    async with served(stored(tmp_path, **two_models())) as client:
        answer = await get(client, f"/api/v1/sites/grand-pre/{path}?from=2020-01-01&to=2020-01-31")
        never = await get(client, f"/api/v1/sites/petit-col/{path}")
        no_station = await get(client, f"/api/v1/sites/sans-balise/{path}")
    for found in (answer, never, no_station):
        assert (found["nPairs"], found["nDays"], found["label"]) == (0, 0, "collecting")
        if path in {"verdict", "scores", "comparison"}:
            assert [each["score"] for each in found["models"]] == [None, None]
    assert no_station["commonSample"] == "this site has no reference station"


@pytest.mark.parametrize(
    "path", ["bias?", "scores?", "scores?stratum=sector&", "bias?parameter=temperature&"]
)
async def test_a_model_that_is_no_longer_collected_is_null_without_stored_values(
    tmp_path: Path, path: str
) -> None:
    service = stored(tmp_path, **two_models())
    service.store.save_sites(service.sites())
    store_forecasts(service, "my_wrf", IMPORTED, base=10.0, gust=False)
    async with served(service) as client:
        answer = await get(client, f"{SITE}/{path}model=my_wrf&from=2026-06-10&to=2026-07-10")
    (found,) = answer["models"]
    assert (found["model"], found["nPairs"]) == ("my_wrf", 0)
    assert (found["score"] if "score" in found else found["meanError"]) is None


@pytest.mark.parametrize(
    ("query", "status", "word"),
    [
        ("/api/v1/sites/nowhere/verdict", 404, "nowhere"),
        (f"{VERDICT}?parameter=humidity", 422, "parameter"),
        (f"{VERDICT}?view=tomorrow", 422, "view"),
        (f"{VERDICT}?from=2026-07-15T00:00:00Z", 422, "2026-07-15"),
        (f"{VERDICT}?from=1493979010", 422, "must be a date"),
        (f"{VERDICT}?from=2026-07-15&to=2026-07-14", 422, "later"),
        (f"{VERDICT}?from=2020-01-01", 422, "at most 1100"),
        (f"{VERDICT}?from=0001-01-01&to=0001-02-01", 422, "2000-01-01"),
        (f"{VERDICT}?period=year", 422, "period"),
        ("/api/v1/sites/grand-pre/series?from=2026-01-01", 422, "at most 31"),
        ("/api/v1/sites/grand-pre/scores?model=gfs", 404, "gfs"),
        ("/api/v1/sites/grand-pre/scores?stratum=moon", 422, "stratum"),
        ("/api/v1/sites/grand-pre/events?limit=1000", 422, "80"),
    ],
)
async def test_invalid_questions_are_refused_with_the_rule(
    tmp_path: Path, query: str, status: int, word: str
) -> None:
    async with served(stored(tmp_path, {})) as client:
        answer = await client.get(query)
    assert answer.status_code == status
    assert answer.headers["content-type"] == "application/problem+json"
    assert word in answer.json()["detail"]


# --- Cached answers ----------------------------------------------------------------------------------


async def test_an_answer_that_the_client_has_is_304_until_the_days_change(tmp_path: Path) -> None:
    service = stored(tmp_path, **two_models())
    async with served(service) as client:
        first = await client.get(VERDICT)
        again = await client.get(VERDICT, headers={"If-None-Match": first.headers["etag"]})
        other = await client.get(f"{VERDICT}?view=noon", headers={"If-None-Match": first.headers["etag"]})
        admin = await client.get(VERDICT, headers={**ADMIN, b"If-None-Match": first.headers["etag"].encode()})
        keep(service.database, grand_pre(service), **two_models(a=6.0))
        changed = await client.get(VERDICT, headers={"If-None-Match": first.headers["etag"]})
    assert first.headers["etag"].startswith('W/"')
    assert first.headers["cache-control"] == "public, max-age=300"
    assert first.headers["vary"] == "Authorization"
    assert (again.status_code, again.content) == (304, b"")
    assert again.headers["etag"] == first.headers["etag"]
    assert (other.status_code, admin.status_code) == (200, 200)
    assert changed.status_code == 200
    assert changed.headers["etag"] != first.headers["etag"]
    assert (first.json()["best"], changed.json()["best"]) == (AROME, PARAPENTE)


async def test_the_next_day_is_another_answer(tmp_path: Path) -> None:
    clock = HandClock(NOW)
    service = make_service(tmp_path, public_raw_sources=OPENED, clock=clock)
    async with served(stored_in(service)) as client:
        today = await client.get(VERDICT)
        clock.now += timedelta(days=1)
        tomorrow = await client.get(VERDICT, headers={"If-None-Match": today.headers["etag"]})
    assert tomorrow.json()["lastDay"] == "2026-07-16"


# --- Models and methods ------------------------------------------------------------------------------


async def test_the_methods_have_every_constant_with_its_reason(tmp_path: Path) -> None:
    async with served(stored(tmp_path, {})) as client:
        answer = await get(client, "/api/v1/methods")
        models = await get(client, "/api/v1/models")
    constants = {each["name"]: each for each in answer["constants"]}
    assert constants["light_wind"]["value"] == 10.8
    assert constants["wind_classes"]["value"] == [5.0, 10.8, 20.0, 30.0]
    assert all(each["reason"] for each in constants.values())
    assert [view["name"] for view in answer["views"]][-6:] == [view.name for view in LEAD_VIEWS]
    assert {each["model"]: (each["name"], each["public"]) for each in models["models"]} == {
        AROME: ("AROME", True),
        PARAPENTE: ("MeteoParapente", True),
        "claef_1km": ("C-LAEF 1 km", True),
    }
