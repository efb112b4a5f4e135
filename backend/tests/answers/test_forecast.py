"""The corrected forecast as an answer: what was issued, its chances, the gate, and what is in its place."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path
from typing import Any, cast

import msgspec
import numpy as np
import pytest

from backend.answers.forecast import forecast_answer
from backend.answers.forecast_shapes import ForecastAnswer, ForecastState
from backend.answers.service import ReadingParts
from backend.answers.withholding import NOTHING, withheld_from_public
from backend.core.issued import GateReason, GateState, Input, IssuedForecast, reason_text
from backend.core.local_time import day_number
from backend.core.parameters import Parameter
from backend.main import Service
from backend.scoring.views import MORNING, TWO_EVENINGS_BEFORE
from backend.storage.due import note_due
from backend.storage.issued import append_issued, withdraw_issued
from backend.tests.support.issued import an_issued_day
from backend.tests.support.page_store import page_service
from backend.tests.support.score_store import DIRECTION, GUST, SPEED, Grid, constant, keep
from backend.tests.support.scored_site import AROME, DAYS, FFVL, FIRST, ROMMA, scored_site
from backend.tests.support.served import ADMIN, NOW, served

SITE = "grand-pre"
TOMORROW = NOW.date() + timedelta(days=1)
PAST = DAYS - 1
"""Days before today, whose readings are known at the decision of this evening."""

PATH = f"/api/v1/sites/{SITE}/forecast"


def errors_at(*places: tuple[int, int], size: float = 8.0) -> Grid:
    """Return errors (days, 25) of 0, and of `size` at these days and hours of the summer clock."""
    errors = constant(DAYS, 0.0)
    for day, hour in places:
        errors[day, hour] = size
    return errors


def made(folder: Path, issued: Iterable[IssuedForecast], **observed: Grid) -> Service:
    """Return a service whose first site reads 20 km/h, in gusts 30, with this record."""
    values = {SPEED: constant(DAYS, 20.0), GUST: constant(DAYS, 30.0)}
    service = scored_site(folder, {}, {FFVL: values | {Parameter(k): v for k, v in observed.items()}})
    record(service, issued)
    return service


def record(service: Service, issued: Iterable[IssuedForecast]) -> None:
    with service.database.write() as connection:
        append_issued(connection, issued)


def past(
    errors: Grid, parameter: Parameter = SPEED, true: float = 20.0, **options: Any
) -> list[IssuedForecast]:
    """Return the forecasts of the days before today: the reading minus the error."""
    first = day_number(FIRST)
    return [
        an_issued_day(SITE, first + day, true - errors[day], parameter=parameter, **options)
        for day in range(PAST)
    ]


def coming(value: float | Grid, parameter: Parameter = SPEED, **options: Any) -> IssuedForecast:
    return an_issued_day(SITE, day_number(TOMORROW), value, parameter=parameter, **options)


def answer(service: Service, day: date = TOMORROW, **options: Any) -> ForecastAnswer:
    reading = cast(ReadingParts, service)
    asked: dict[str, Any] = {
        "limit": 25.0,
        "gust_limit": 35.0,
        "withheld": withheld_from_public(reading),
    } | options
    return forecast_answer(reading, service.sites()[0], day, **asked)


def changed(row: IssuedForecast, **fields: Any) -> IssuedForecast:
    return replace(row, hours=msgspec.structs.replace(row.hours, **fields))


def test_an_issued_forecast_has_values_quantiles_chances_and_its_record(tmp_path: Path) -> None:
    strong = errors_at(*((day, hour) for day in range(5) for hour in range(24)))
    service = made(tmp_path, [*past(strong), coming(18.0, spread=1.5)])
    found = answer(service)
    wind = found.wind_speed
    assert (found.view, wind.state, wind.n_days) == ("evening_before", ForecastState.SHOWN, PAST)
    assert [hour.hour for hour in wind.hours] == list(range(24))
    noon = wind.hours[12]
    assert (noon.value, noon.p10, noon.p25, noon.p50, noon.p75, noon.p90) == (
        18.0,
        12.0,
        15.0,
        18.0,
        21.0,
        24.0,
    )
    assert (noon.days_above, noon.chance_days) == (5, PAST)
    assert noon.chance == pytest.approx(6 / (PAST + 2))
    assert found.day_chance is not None
    assert (found.day_chance.days_above, found.day_chance.n_days) == (5, PAST)
    assert found.day_chance.chance == pytest.approx(6 / (PAST + 2))
    assert wind.record is not None
    assert (wind.record.number, wind.record.late, wind.record.audience) == (PAST + 1, False, "public")
    assert len(wind.record.hash) == 64
    assert found.station is not None and found.station.station == FFVL


def test_the_chance_of_a_day_comes_from_whole_days_and_is_not_the_largest_hourly_one(tmp_path: Path) -> None:
    """Each hour from 10 to 18 is too strong on one other day: rare by the hour, not rare by the day."""
    service = made(tmp_path, [*past(errors_at(*((hour, hour) for hour in range(10, 19)))), coming(18.0)])
    found = answer(service)
    assert found.day_chance is not None
    assert (found.day_chance.days_above, found.day_chance.first_hour, found.day_chance.last_hour) == (
        9,
        10,
        18,
    )
    largest = max(hour.chance or 0 for hour in found.wind_speed.hours)
    assert largest == pytest.approx((1 + 1) / (PAST + 2)), "three days with one hour of three each"
    assert found.day_chance.chance == pytest.approx(10 / (PAST + 2))


def test_hours_outside_the_flying_day_do_not_count_for_the_day(tmp_path: Path) -> None:
    service = made(tmp_path, [*past(errors_at(*((day, 9) for day in range(20)))), coming(18.0)])
    found = answer(service).day_chance
    assert found is not None and found.days_above == 0


def test_wind_and_gust_of_a_past_day_stay_together(tmp_path: Path) -> None:
    """Both are too strong on the same four days: four days, not eight."""
    same = errors_at(*((day, 14) for day in range(4)))
    gusts = past(same, GUST, 30.0)
    service = made(tmp_path, [*past(same), *gusts, coming(18.0), coming(28.0, GUST)])
    found = answer(service).day_chance
    assert found is not None
    assert (found.parameters, found.days_above) == ([SPEED, GUST], 4)


@pytest.mark.parametrize("limit", [1.0, 200.0])
def test_no_chance_is_0_or_1(tmp_path: Path, limit: float) -> None:
    service = made(tmp_path, [*past(errors_at()), coming(18.0)])
    found = answer(service, limit=limit)
    assert found.day_chance is not None and found.day_chance.chance is not None
    chances = [found.day_chance.chance, *(hour.chance or 0 for hour in found.wind_speed.hours)]
    assert all(0 < chance < 1 for chance in chances)


def test_below_30_days_there_are_counts_in_place_of_a_chance(tmp_path: Path) -> None:
    service = made(tmp_path, [*past(errors_at((38, 14)))[-21:], coming(18.0, state=GateState.TRIAL)])
    found = answer(service)
    assert (found.wind_speed.state, found.wind_speed.n_days) == (ForecastState.TRIAL, 21)
    assert "day 21 of 30" in found.wind_speed.reason
    assert found.day_chance is not None
    assert (found.day_chance.chance, found.day_chance.days_above, found.day_chance.n_days) == (None, 1, 21)
    assert {hour.chance for hour in found.wind_speed.hours} == {None}
    assert found.wind_speed.hours[14].chance_days == 21


def test_how_often_intervals_held_is_counted_by_days(tmp_path: Path) -> None:
    """An interval of 4 km/h to each side: eight days miss it at all hours, one at the half of its hours."""
    missed = errors_at(*((day, hour) for day in range(8) for hour in range(24)), *((9, h) for h in range(12)))
    held = answer(made(tmp_path, [*past(missed), coming(18.0)])).wind_speed.held
    assert held is not None
    assert (held.n_days, held.n_hours) == (PAST, 24 * PAST)
    assert held.share == pytest.approx((PAST - 8.5) / PAST)
    assert held.low is not None and held.high is not None and held.low < held.share < held.high


def test_a_direction_has_turns_and_no_chance_and_none_in_light_wind(tmp_path: Path) -> None:
    """The vane reads 5 degrees in wind, and anything in the light wind of the mornings."""
    speeds = np.where(np.arange(25) < 6, 4.0, 20.0)
    vane = np.where(speeds < 10, np.arange(DAYS)[:, None] * 37.0 % 360, 5.0)
    rows = [
        *past(constant(DAYS, 0.0)),
        *past(constant(DAYS, 0.0), DIRECTION, 2.0),
        coming(speeds),
        coming(358.0, DIRECTION),
    ]
    observed = {"wind_speed": np.tile(speeds, (DAYS, 1)), "wind_direction": vane}
    found = answer(made(tmp_path, rows, **observed)).wind_direction
    assert found is not None and found.state is ForecastState.SHOWN
    calm, noon = found.hours[5], found.hours[12]
    assert (calm.value, calm.p10, calm.best_model) == (None, None, None)
    assert (noon.value, noon.p10, noon.p50, noon.p90) == (358.0, -4.0, 0.0, 4.0)
    assert [hour.chance for hour in found.hours] == [None] * len(found.hours)
    assert found.held is not None
    assert (found.held.share, found.held.n_hours) == (1.0, 18 * PAST), "light wind does not count"


@pytest.mark.parametrize("state", [GateState.CLOSED, GateState.VETO])
def test_where_the_gate_is_closed_the_best_model_stands_with_the_reason(
    tmp_path: Path, state: GateState
) -> None:
    reasons = (GateReason("coverage_off", 0.7, 0.8), GateReason("mae_not_better", None, 0.0))
    row = changed(
        coming(77.7),
        state=state,
        reason=reason_text(reasons),
        best=AROME,
        best_values=(21_000,) * 24,
        weights={"mean": (1000,) * 24},
    )
    found = answer(made(tmp_path, [*past(errors_at()), row]))
    wind = found.wind_speed
    assert wind.state == ForecastState(state)
    assert (wind.best, wind.best_name) == (AROME, "AROME")
    assert {hour.best_model for hour in wind.hours} == {21.0}
    assert wind.weights == {} and found.day_chance is None
    assert "77" not in found.model_dump_json().replace(wind.record.hash if wind.record else "", "")
    assert [(each.code, each.figure) for each in wind.reasons] == [
        ("coverage_off", 0.7),
        ("mae_not_better", None),
    ]
    assert "held for 70 % of the readings in place of 80 %" in wind.reason
    assert "not surely smaller" in wind.reason and "best model is shown instead" in wind.reason


def test_before_the_gate_has_a_state_nothing_is_shown(tmp_path: Path) -> None:
    wind = answer(made(tmp_path, [coming(18.0, state="none")])).wind_speed
    assert (wind.state, {hour.value for hour in wind.hours}) == (ForecastState.TOO_FEW_DAYS, {None})
    assert "15 issued days" in wind.reason


def test_a_late_forecast_is_marked_and_late_days_lend_no_errors(tmp_path: Path) -> None:
    late = timedelta(minutes=16)
    strong = past(errors_at(*((day, 14) for day in range(PAST))))
    mixed = [
        replace(row, issued_at=row.decision_time + late) if index < 6 else row
        for index, row in enumerate(strong)
    ]
    found = answer(made(tmp_path, [*mixed, coming(18.0, delay=late)]))
    assert found.wind_speed.record is not None and found.wind_speed.record.late
    assert found.wind_speed.n_days == PAST - 6
    assert found.day_chance is not None and found.day_chance.n_days == PAST - 6


def test_days_of_another_station_lend_no_errors(tmp_path: Path) -> None:
    other = [changed(row, station=ROMMA) for row in past(errors_at())[:30]]
    found = answer(made(tmp_path, [*other, *past(errors_at())[30:], coming(18.0)]))
    assert found.wind_speed.n_days == PAST - 30


def test_the_newest_decision_is_shown_unless_a_view_is_asked_for(tmp_path: Path) -> None:
    today = day_number(NOW.date())
    rows = [
        an_issued_day(SITE, today, value, view=view)
        for view, value in ((TWO_EVENINGS_BEFORE, 11.0), (MORNING, 13.0))
    ]
    service = made(tmp_path, [rows[1], rows[0]])
    newest, asked = (
        answer(service, NOW.date()), answer(service, NOW.date(), view=TWO_EVENINGS_BEFORE)
    )  # fmt: skip
    assert (newest.view, newest.wind_speed.hours[12].value) == ("morning", 13.0)
    assert (asked.view, asked.wind_speed.hours[12].value) == ("two_evenings_before", 11.0)


def test_a_withdrawn_forecast_is_not_shown(tmp_path: Path) -> None:
    service = made(tmp_path, [coming(18.0)])
    with service.database.write() as connection:
        withdraw_issued(connection, SITE, 1, NOW, "a wrong unit")
    assert answer(service, on_demand=False).wind_speed.state is ForecastState.NOT_ISSUED


def test_days_that_were_kept_are_read_again_when_the_record_or_the_readings_change(tmp_path: Path) -> None:
    service = made(tmp_path, [*past(errors_at()), coming(18.0)])
    assert answer(service).wind_speed.n_days == answer(service, limit=30.0).wind_speed.n_days == PAST
    with service.database.write() as connection:
        withdraw_issued(connection, SITE, 3, NOW, "a wrong unit")
    assert answer(service).wind_speed.n_days == PAST - 1
    strong = {FFVL: {SPEED: constant(DAYS, 40.0)}}
    with service.database.write() as connection:
        note_due(connection, [(1, day_number(FIRST))])  # as every batch of readings does
    keep(service.database, service.sites()[0], FIRST, models={}, stations=strong)
    found = answer(service).day_chance
    assert found is not None and found.days_above == found.n_days == PAST - 1


def test_a_day_of_25_hours_has_them_all(tmp_path: Path) -> None:
    autumn = date(2026, 10, 25)
    values = np.arange(25.0)
    service = made(tmp_path, [an_issued_day(SITE, day_number(autumn), values)])
    hours = answer(service, autumn).wind_speed.hours
    assert [hour.hour for hour in hours] == [0, 1, 2, 2, *range(3, 24)]
    assert [hour.value for hour in hours] == values.tolist()
    assert len({hour.valid_time for hour in hours}) == 25


async def test_rows_of_the_operator_are_shown_with_the_token_only(tmp_path: Path) -> None:
    """A known value of the operator's forecast is in no public answer."""
    secret = coming(43.21, audience="operator")
    service = made(tmp_path, [*past(errors_at(size=0.0), audience="operator"), secret, coming(18.0)])
    async with served(service) as client:
        for query in ("", "?view=evening_before", f"?day={TOMORROW}", "?limit=10"):
            public = await client.get(PATH + query)
            assert public.status_code == 200 and "43.2" not in public.text
            assert public.json()["windSpeed"]["nDays"] == 0, "no error of the operator's days"
        operator = await client.get(PATH, headers=ADMIN)
    assert operator.json()["windSpeed"]["hours"][12]["value"] == 43.21
    assert "private" in operator.headers["cache-control"]


@pytest.mark.parametrize("trace", ["input", "best", "station"])
async def test_a_public_row_of_what_is_withheld_now_is_hidden(tmp_path: Path, trace: str) -> None:
    """MeteoParapente and ROMMA may have been public when the row was issued."""
    traces: dict[str, dict[str, Any]] = {
        "input": {"inputs": (Input("meteo_parapente", 0),)},
        "best": {"best": "meteo_parapente", "best_values": (43_210,) * 24},
        "station": {"station": ROMMA},
    }
    service = scored_site(tmp_path, {}, {FFVL: {SPEED: constant(DAYS, 20.0)}}, public_raw_sources="")
    record(service, [changed(coming(43.21), **traces[trace])])
    async with served(service) as client:
        public = await client.get(PATH)
        operator = await client.get(PATH, headers=ADMIN)
    assert "43.2" not in public.text
    assert operator.json()["windSpeed"]["record"] is not None


async def test_the_route_has_problems_and_an_etag(tmp_path: Path) -> None:
    service = made(tmp_path, [coming(18.0)])
    async with served(service) as client:
        found = await client.get(PATH)
        again = await client.get(PATH, headers={"If-None-Match": found.headers["etag"]})
        record(service, [coming(28.0, GUST)])
        changed_record = await client.get(PATH, headers={"If-None-Match": found.headers["etag"]})
        unknown = await client.get("/api/v1/sites/nowhere/forecast")
        wrong = [
            await client.get(PATH + query) for query in ("?limit=0", "?view=lead_0_5", "?day=18", "?gust=1")
        ]
    assert (found.status_code, again.status_code, unknown.status_code) == (200, 304, 404)
    assert found.json()["day"] == str(TOMORROW), "after noon the next day is tomorrow"
    assert changed_record.status_code == 200
    assert changed_record.json()["windGust"]["hours"][0]["value"] == 28.0
    assert [each.status_code for each in wrong] == [422] * 4


# --- Without an issued forecast -------------------------------------------------------------------------


@pytest.fixture(scope="module")
def without_record(tmp_path_factory: pytest.TempPathFactory) -> Service:
    return page_service(tmp_path_factory.mktemp("trial"))


def of_site(service: Service, site: int, ahead: int = 1, **options: Any) -> ForecastAnswer:
    reading = cast(ReadingParts, service)
    day = reading.clock().date() + timedelta(days=ahead)
    asked: dict[str, Any] = {"limit": 25.0, "gust_limit": 35.0, "withheld": NOTHING} | options
    return forecast_answer(reading, service.sites()[site], day, **asked)


def test_without_a_record_the_forecast_is_on_trial_and_marked(without_record: Service) -> None:
    found = of_site(without_record, 0)
    for each in (found.wind_speed, found.wind_gust):
        assert (each.state, each.record, each.held) == (ForecastState.TRIAL, None, None)
        assert "not issued" in each.reason
        assert each.replayed is not None and 0 < each.replayed.within < 1
        assert any(hour.p10 is not None and hour.value is not None for hour in each.hours)
    assert found.day_chance is None, "the chance of a day comes from issued days"


def test_a_trial_is_computed_on_demand_only(without_record: Service) -> None:
    assert of_site(without_record, 0, on_demand=False).wind_speed.state is ForecastState.NOT_ISSUED
    assert of_site(without_record, 0, ahead=3).wind_speed.state is ForecastState.NOT_ISSUED
    assert of_site(without_record, 0, ahead=-1).wind_speed.state is ForecastState.NOT_ISSUED


def test_a_site_without_a_station_has_raw_models_and_the_reason(without_record: Service) -> None:
    found = of_site(without_record, 2)
    assert found.station is None
    assert found.wind_speed.state is ForecastState.NO_STATION
    assert "no public station" in found.wind_speed.reason
    assert found.wind_speed.best_name == "MeteoParapente", "the first model in the fixed order"
    assert all(hour.best_model is not None and hour.value is None for hour in found.wind_speed.hours)


def test_a_store_without_a_public_model_says_so(tmp_path: Path) -> None:
    service = scored_site(tmp_path, {}, {FFVL: {SPEED: constant(DAYS, 20.0)}})
    found = answer(service)
    assert {found.wind_speed.state, found.wind_gust.state} == {ForecastState.NO_MODEL}
    assert found.wind_speed.reason == "No public model has values for this day."


def test_with_too_few_days_the_raw_model_stands(tmp_path: Path) -> None:
    found = of_site(page_service(tmp_path, days=8), 0).wind_speed
    assert found.state is ForecastState.TOO_FEW_DAYS
    assert "15 are needed" in found.reason
    assert found.best_name == "MeteoParapente" and any(hour.best_model is not None for hour in found.hours)
