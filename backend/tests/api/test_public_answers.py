"""Public answers with withheld sources: their days, their rounding, and that they do not change."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import httpx2
import numpy as np
import pytest

from backend.core.local_time import day_number, month_number
from backend.core.parameters import Parameter
from backend.main import Service
from backend.scoring.days.public_months import publish
from backend.scoring.public.figures import enough, figure_step, rounded, share_step
from backend.scoring.public.windows import PublicRules, Window, newest_window, windows
from backend.scoring.sample.quantities import Quantity
from backend.scoring.views import VIEWS
from backend.tests.support.score_store import DIRECTION, GUST, SPEED, Grid, constant, keep
from backend.tests.support.served import ADMIN, NOW, make_service, served
from backend.tests.support.stores import make_tables

AROME, ICON, PARAPENTE = "arome_0025", "icon_d2", "meteo_parapente"
FFVL, ROMMA = "ffvl:901", "romma:902"
SITE = "/api/v1/sites/grand-pre"
APRIL, TODAY = date(2026, 4, 1), NOW.date()
JUNE = ("2026-06-01", "2026-06-30")
PATHS = ["verdict?", "comparison?", "scores?", "scores?stratum=hour&", "bias?", "events?"]


def noise(seed: int, days: int, size: float = 1.0) -> Grid:
    return np.random.default_rng(seed).normal(0, size, (days, 25))


def stored(folder: Path, first: date = APRIL, *, late: bool = False, parapente: str = PARAPENTE) -> Service:
    """Return a service with days up to today; with `late` one reading of ROMMA is missing."""
    service = make_service(folder)
    make_tables(service.database)
    write(service, first, late=late, parapente=parapente)
    publish(service.database, NOW)
    return service


def write(
    service: Service,
    first: date = APRIL,
    *,
    late: bool = False,
    corrected: int = 0,
    parapente: str = PARAPENTE,
    doubts: Mapping[tuple[Parameter, str], int] | None = None,
) -> None:
    days = (TODAY - first).days + 1
    wind = constant(days, 20.0) + noise(9, days, 6.0)
    of_romma = wind + 2 + noise(8, days)
    of_romma[:corrected] += 5
    if late:
        of_romma[(date(2026, 6, 10) - first).days, 14] = np.nan
    direction = constant(days, 200.0) + noise(7, days, 20.0)
    forecast = {
        name: {SPEED: np.clip(wind + bias + noise(seed, days), 0, None), GUST: wind + 12 + noise(seed, days)}
        | {DIRECTION: (direction + noise(seed, days, 15.0)) % 360}
        for seed, (name, bias) in enumerate(((AROME, 1.0), (ICON, 2.0), (parapente, 4.0)))
    }
    stations = {
        code: {SPEED: np.clip(speed, 0, None), GUST: np.clip(speed + 10, 0, None), DIRECTION: direction % 360}
        for code, speed in ((FFVL, wind), (ROMMA, of_romma))
    }
    site = service.sites()[0]
    keep(service.database, site, first, models=forecast, stations=stations, views=VIEWS, doubts=doubts)


async def get(client: httpx2.AsyncClient, path: str, **options: Any) -> Any:
    answer = await client.get(path, **options)
    assert answer.status_code == 200, answer.text
    return answer.json()


def by_model(answer: Any, part: str = "models") -> dict[str, Any]:
    return {each["model"]: each for each in answer[part]}


# --- Days --------------------------------------------------------------------------------------------


def test_periods_are_one_three_or_twelve_whole_months() -> None:
    may, june = (month_number(day_number(date(2026, month, 1))) for month in (5, 6))
    found = windows({may, june}, june)
    assert {window.months for window in found} == {1, 3, 12}
    assert all(window.last_month <= june for window in found)
    assert found[0].last_month == june
    assert (Window(june, 3).first, Window(june, 3).last) == (
        day_number(date(2026, 4, 1)),
        day_number(date(2026, 6, 30)),
    )
    assert windows(set(), june) == []


@pytest.mark.parametrize(
    ("months", "length"), [([0], 1), ([0, 1], 3), ([0, 1, 2], 3), ([0, 1, 2, 3], 12), ([5, 6], 3)]
)
def test_the_default_is_the_shortest_period_with_the_most_published_months(
    months: list[int], length: int
) -> None:
    assert newest_window([24_000 - month for month in months]) == Window(24_000 - months[0], length)


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("station", ["", f"station={ROMMA}&"])
async def test_the_default_is_the_newest_period_that_is_published(
    tmp_path: Path, path: str, station: str
) -> None:
    async with served(stored(tmp_path)) as client:
        answer = await get(client, f"{SITE}/{path}{station}")
        of_june = await get(client, f"{SITE}/{path}{station}from={JUNE[0]}&to={JUNE[1]}")
    assert (answer["firstDay"], answer["lastDay"]) == ("2026-04-01", "2026-06-30")
    assert (of_june["firstDay"], of_june["lastDay"]) == JUNE
    assert answer["rounded"] is True
    assert "raw values are not public" in answer["notes"][0]


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize(
    "days",
    [
        "from=2026-06-01&to=2026-06-29",
        "from=2026-06-02&to=2026-06-30",
        "from=2026-05-01&to=2026-06-30",
        "from=2026-07-01",
        "to=2026-06-30&from=2026-06-30",
    ],
)
async def test_other_days_are_refused_with_the_days_that_are_published(
    tmp_path: Path, path: str, days: str
) -> None:
    async with served(stored(tmp_path)) as client:
        answer = await client.get(f"{SITE}/{path}{days}")
        operator = await client.get(f"{SITE}/{path}{days}", headers=ADMIN)
    assert (answer.status_code, operator.status_code) == (422, 200)
    (error,) = answer.json()["errors"]
    assert error["field"] == "query.from"
    for period in ("2026-06-01 to 2026-06-30", "2026-04-01 to 2026-06-30", "2025-07-01 to 2026-06-30"):
        assert period in error["message"]
    assert "MeteoParapente" in error["message"] and "sources=public" in error["message"]


async def test_for_a_withheld_station_the_message_names_a_query_that_works(tmp_path: Path) -> None:
    days = "sources=public&from=2026-06-02&to=2026-06-30"
    async with served(stored(tmp_path)) as client:
        refused = await client.get(f"{SITE}/verdict?{days}&station={ROMMA}")
        answered = await client.get(f"{SITE}/verdict?{days}&station={FFVL}")
    assert (refused.status_code, answered.status_code) == (422, 200)
    assert "Other models" not in refused.json()["detail"], "no model of that station is public"
    assert "a `station` whose values are public is answered for any days" in refused.json()["detail"]


async def test_other_models_are_exact_and_for_any_days(tmp_path: Path) -> None:
    days = "from=2026-06-11&to=2026-07-15"
    async with served(stored(tmp_path)) as client:
        of_arome = await get(client, f"{SITE}/scores?model={AROME}&{days}")
        verdict = await get(client, f"{SITE}/verdict?sources=public&{days}")
        usual = await get(client, f"{SITE}/verdict?sources=public")
        exact = await get(client, f"{SITE}/scores?model={AROME}&{days}", headers=ADMIN)
        refused = await client.get(f"{SITE}/scores?model={PARAPENTE}&{days}")
        at_romma = await client.get(f"{SITE}/scores?model={AROME}&station={ROMMA}&{days}")
    assert of_arome["rounded"] is verdict["rounded"] is False
    assert by_model(of_arome)[AROME]["score"] == by_model(exact)[AROME]["score"]
    assert PARAPENTE not in by_model(verdict)
    assert PARAPENTE not in verdict["commonSample"]
    # The mean of the models, and the stations that are asked too, are those of public values alone.
    assert [each["station"] for each in verdict["robustness"]["stations"]] == [FFVL]
    own = by_model(of_arome, "references")["model_mean"]["score"]
    assert own["mae"] != by_model(exact, "references")["model_mean"]["score"]["mae"]
    assert usual["lastDay"] == TODAY.isoformat()
    assert [each["source"] for each in verdict["withheld"]] == [PARAPENTE]
    assert (refused.status_code, at_romma.status_code) == (422, 422)


async def test_before_the_first_month_is_complete_a_sentence_explains_it(tmp_path: Path) -> None:
    async with served(stored(tmp_path, date(2026, 6, 15))) as client:
        verdict = await get(client, f"{SITE}/verdict")
        of_parapente = await get(client, f"{SITE}/scores?model={PARAPENTE}")
        at_romma = await get(client, f"{SITE}/verdict?station={ROMMA}")
        refused = await client.get(f"{SITE}/verdict?from=2026-06-15")
    sentence = "MeteoParapente: the first calendar month is not complete"
    assert sentence in verdict["sentence"] and verdict["notes"][0].startswith(sentence)
    assert set(by_model(verdict)) == {AROME, ICON}  # these are answered of the usual days
    assert verdict["nDays"] == 31
    assert of_parapente["notes"][0].startswith(sentence)
    assert by_model(of_parapente)[PARAPENTE]["score"] is None
    assert "first calendar month is not complete" in at_romma["sentence"]
    assert at_romma["nPairs"] == 0
    assert refused.status_code == 422 and sentence in refused.json()["detail"]


async def test_a_model_of_unknown_terms_is_withheld_from_mixed_answers(tmp_path: Path) -> None:
    """The licence is unknown, because this version does not have the source."""
    async with served(stored(tmp_path, parapente="gone_model")) as client:
        refused = await client.get(f"{SITE}/verdict?from=2026-06-11&to=2026-07-15")
        answer = await get(client, f"{SITE}/verdict")
        without = await get(client, f"{SITE}/verdict?sources=public")
    assert refused.status_code == 422 and "gone_model" in refused.json()["detail"]
    assert (answer["rounded"], answer["lastDay"]) == (True, "2026-06-30")
    assert set(by_model(answer)) == {AROME, ICON, PARAPENTE, "gone_model"}
    # MeteoParapente is collected and has no data: it is listed as such, and gone_model is not in the answer.
    assert {name: each["nPairs"] > 0 for name, each in by_model(without).items()} == {
        AROME: True,
        ICON: True,
        PARAPENTE: False,
    }


async def test_a_month_with_fewer_than_20_days_of_pairs_is_left_out(tmp_path: Path) -> None:
    """Station and model have enough days each, but in May only 15 in common."""
    service = make_service(tmp_path)
    make_tables(service.database)
    days = (TODAY - APRIL).days + 1
    forecast, observed = constant(days, 22.0), constant(days, 20.0)
    forecast[30:38] = np.nan  # 1 to 8 May
    observed[38:46] = np.nan
    keep(
        service.database,
        service.sites()[0],
        APRIL,
        models={PARAPENTE: {SPEED: forecast}, AROME: {SPEED: constant(days, 21.0)}},
        stations={FFVL: {SPEED: observed}},
    )
    publish(service.database, NOW)
    async with served(service) as client:
        answer = await get(client, f"{SITE}/scores")
    assert by_model(answer)[PARAPENTE]["nDays"] == 60
    assert by_model(answer)[AROME]["nDays"] == 60 + 23


# --- Rounding ----------------------------------------------------------------------------------------


def test_the_step_grows_as_hours_get_fewer() -> None:
    steps = [figure_step(Quantity.WIND_SPEED, pairs) for pairs in (180, 270, 810, 3285, 8760)]
    assert steps == [pytest.approx(step) for step in (1.0, 0.5, 0.5, 0.2, 0.1)]
    assert figure_step(Quantity.WIND_DIRECTION, 270) == 5.0
    assert figure_step(Quantity.TEMPERATURE, 270) == pytest.approx(0.2)
    assert [share_step(pairs) for pairs in (270, 3285, 90_000)] == [
        pytest.approx(step) for step in (0.1, 0.05, 0.01)
    ]
    assert rounded(2.26, 0.5) == 2.5 and rounded(-0.1, 0.5) == 0.0 and rounded(None, 0.5) is None
    assert not enough(179) and enough(180)


@pytest.mark.parametrize("path", ["verdict", "comparison", "scores", "scores?stratum=hour", "bias"])
@pytest.mark.parametrize("parameter", ["wind_speed", "wind_direction"])
async def test_figures_lie_at_their_steps_and_details_are_left_out(
    tmp_path: Path, path: str, parameter: str
) -> None:
    query = "&" if "?" in path else "?"
    days = f"hours=flying&from={JUNE[0]}&to={JUNE[1]}"
    async with served(stored(tmp_path)) as client:
        answer = await get(client, f"{SITE}/{path}{query}{days}&parameter={parameter}")
    step = 0.5 if parameter == "wind_speed" else 5.0
    figures = [value for name, value in numbers(answer) if name in FIGURES]
    assert figures
    assert [value for value in figures if value % step not in {0.0, step}] == []
    for name in ("rmse", "errorSd", "correlation", "quantiles", "circularSd", "resultant", "breezePairs"):
        assert set(found(answer, name)) <= {None}
    for name in ("test", "effectivePairs", "lightWindPairs", "undefinedPairs"):
        assert set(map(str, found(answer, name))) <= {"None"}
    assert all(count % 10 == 0 for name in ("nPairs", "ownPairs") for count in found(answer, name) if count)
    assert all(not each for each in found(answer, "givenForecast"))


FIGURES = {"mae", "meanError", "low", "high", "scoreA", "scoreB", "difference"}


def numbers(answer: Any, name: str = "") -> Iterator[tuple[str, float]]:
    if isinstance(answer, dict):
        for key, value in answer.items():
            if key not in {"skill", "coverage", "within", "sector", "surprises"}:
                yield from numbers(value, key)
    elif isinstance(answer, list):
        for value in answer:
            yield from numbers(value, name)
    elif isinstance(answer, float):
        yield name, answer


def found(answer: Any, name: str) -> list[Any]:
    """Return the values of a name at any depth."""
    if isinstance(answer, list):
        return [each for value in answer for each in found(value, name)]
    if not isinstance(answer, dict):
        return []
    here = [answer[name]] if name in answer else []
    return here + [each for value in answer.values() for each in found(value, name)]


async def test_a_group_of_few_hours_and_a_histogram_are_not_published(tmp_path: Path) -> None:
    async with served(stored(tmp_path)) as client:
        by_hour = await get(client, f"{SITE}/scores?stratum=hour&from={JUNE[0]}&to={JUNE[1]}")
        by_class = await get(client, f"{SITE}/scores?stratum=wind_class")
        bias = await get(client, f"{SITE}/bias?from={JUNE[0]}&to={JUNE[1]}&hours=all")
    assert {each["shown"] for group in by_hour["groups"] for each in group["models"]} == {False}
    shown = {each["model"] for group in by_class["groups"] for each in group["models"] if each["shown"]}
    assert PARAPENTE not in shown and AROME in shown
    wrong = by_model(bias)[PARAPENTE]
    assert (wrong["byHour"], wrong["bySector"], wrong["givenForecast"]) == ([], [], [])
    assert [group["group"] for group in wrong["byDayAndNight"]] == ["day", "night"]


async def test_yesterday_has_no_mean_error(tmp_path: Path) -> None:
    """The sum of the differences from day to day is the last day less the first."""
    async with served(stored(tmp_path)) as client:
        answer = await get(client, f"{SITE}/scores?station={ROMMA}")
        operator = await get(client, f"{SITE}/scores?station={ROMMA}", headers=ADMIN)
    score = by_model(answer, "references")["yesterday"]["score"]
    assert (score["meanError"], score["meanErrorInterval"]) == (None, None)
    assert score["mae"] is not None
    assert by_model(operator, "references")["yesterday"]["score"]["meanError"] is not None


async def test_events_have_no_counts_and_limits_lie_at_steps(tmp_path: Path) -> None:
    async with served(stored(tmp_path)) as client:
        answer = await get(client, f"{SITE}/events?limit=22.6&gustLimit=33")
        operator = await get(client, f"{SITE}/events?limit=22.6&gustLimit=33", headers=ADMIN)
    assert (answer["windLimit"], answer["gustLimit"]) == (25.0, 35.0)
    assert (operator["windLimit"], operator["gustLimit"]) == (22.6, 33.0)
    shown = 0
    for event in answer["events"]:
        for each in event["models"]:
            assert each["counts"] is each["kept"] is each["detected"] is None
            assert {name for name, value in each["scores"].items() if value is not None} <= {"surpriseRate"}
            assert set(each["intervals"].values()) == {None}
            if each["surprises"] is not None:
                shown += 1
                assert each["surprises"]["count"] is each["surprises"]["of"] is None
                assert round(each["surprises"]["value"] * 100) % 5 == 0
                assert "about" in each["sentence"]
    assert shown


async def test_the_pairs_of_a_day_do_not_reveal_which_winds_are_strong(tmp_path: Path) -> None:
    """A direction counts from 10.8 km/h on: the number of such hours of one day would be a reading."""
    path = f"{SITE}/series?parameter=wind_direction&from=2026-07-10&to=2026-07-10&station={ROMMA}"
    async with served(stored(tmp_path)) as client:
        public, operator = await get(client, path), await get(client, path, headers=ADMIN)
    assert (public["nPairs"], public["nDays"]) == (0, 0)
    assert operator["nPairs"] > 0


@pytest.mark.parametrize("path", ["series?from=2026-07-10&to=2026-07-10&", *PATHS])
async def test_the_reason_why_a_withheld_reading_is_flagged_is_not_published(
    tmp_path: Path, path: str
) -> None:
    """A wind flagged as stopped is 0: the reason, requested day by day, would reveal the reading."""
    service = make_service(tmp_path)
    make_tables(service.database)
    write(service, doubts={(SPEED, "stopped"): 2, (SPEED, "calm_among_wind"): 1})
    publish(service.database, NOW)
    async with served(service) as client:
        public = await get(client, f"{SITE}/{path}station={ROMMA}")
        operator = await get(client, f"{SITE}/{path}station={ROMMA}", headers=ADMIN)
        of_ffvl = await get(client, f"{SITE}/{path}station={FFVL}")
    assert [*operator["stations"][0]["doubted"]] == [*of_ffvl["stations"][0]["doubted"]]
    assert operator["stations"][0]["doubted"].keys() == {"stopped", "calm_among_wind"}
    (count,) = public["stations"][0]["doubted"].items()
    assert count == ("set_aside", 3 * public["stations"][0]["days"])
    assert any("stored and left out" in note for note in operator["notes"])
    assert not any("stored and left out" in note for note in public["notes"])


# --- Stability ---------------------------------------------------------------------------------------


async def everything(client: httpx2.AsyncClient) -> list[Any]:
    """Return the public answers for June, without the time of the answer."""
    answers = []
    for path in PATHS:
        for station in (FFVL, ROMMA):
            answer = await get(client, f"{SITE}/{path}station={station}&from={JUNE[0]}&to={JUNE[1]}")
            answers.append({name: value for name, value in answer.items() if name != "generatedAt"})
    return answers


@pytest.mark.parametrize(("corrected", "same"), [(0, True), (19, True), (61 + 20, False)])
async def test_a_published_figure_changes_by_20_days_or_not_at_all(
    tmp_path: Path, corrected: int, same: bool
) -> None:
    """A reading that arrives late, and up to 19 corrected days, are in no figure of a published month."""
    service = stored(tmp_path, late=True)
    write(service, corrected=0, late=True)
    async with served(service) as client:
        before = await everything(client)
        write(service, corrected=corrected)
        may, june = (month_number(day_number(date(2026, month, 1))) for month in (5, 6))
        publish(service.database, NOW, {1: [may - 1, may, june]})
        after = await everything(client)
        live = await get(client, f"{SITE}/scores?station={ROMMA}", headers=ADMIN)
    assert (before == after) is same
    assert live["nPairs"]


async def test_the_cached_answer_depends_on_the_token_and_on_the_rules(tmp_path: Path) -> None:
    service = stored(tmp_path)
    path = f"{SITE}/verdict?from={JUNE[0]}&to={JUNE[1]}"
    async with served(service) as client:
        public, admin = await client.get(path), await client.get(path, headers=ADMIN)
        again = await client.get(path, headers={"If-None-Match": public.headers["etag"]})
    async with served(replace(service, public_rules=PublicRules(closed_months=False))) as client:
        other = await client.get(path)
    assert public.headers["cache-control"].startswith("public")
    assert admin.headers["cache-control"].startswith("private")
    assert again.status_code == 304
    assert len({each.headers["etag"] for each in (public, admin, other)}) == 3


async def test_a_month_is_published_by_the_next_collection_after_it_is_closed(tmp_path: Path) -> None:
    service = make_service(tmp_path)
    make_tables(service.database)
    write(service)
    publish(service.database, datetime(2026, 7, 3, 12, tzinfo=UTC))
    async with served(service) as client:
        before = await get(client, f"{SITE}/verdict")
        publish(service.database, datetime(2026, 7, 4, 12, tzinfo=UTC))
        after = await get(client, f"{SITE}/verdict")
    assert (before["lastDay"], after["lastDay"]) == ("2026-05-31", "2026-06-30")
