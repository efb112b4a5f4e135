"""What the public models announce for a day, and how their last runs changed it."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import cast

import pytest
import sqlalchemy as sa

from backend.answers.announced import (
    AnnouncedDay,
    announced_day,
    announced_days,
    data_version,
    last_runs,
)
from backend.answers.home import HOURS, likely_within
from backend.answers.reading import ReadingService
from backend.answers.service import ReadingParts
from backend.answers.withholding import NOTHING, Withholding, withheld_from_public
from backend.core.config import Settings
from backend.core.parameters import Parameter
from backend.core.records import Forecast, Run
from backend.storage import schema as t
from backend.storage.announced import newest_readings
from backend.storage.database import to_epoch
from backend.tests.support.stores import (
    DIRECTION,
    GUST,
    NOW,
    PASSY,
    PLANFAIT,
    RUN,
    WIND,
    forecast,
    forecasts,
    looks_up,
    observations,
    open_store,
    query_plans,
    reading,
    walks,
)

TODAY = date(2026, 7, 15)
HOUR = timedelta(hours=1)


@pytest.fixture
def service(database_url: str, tmp_path: Path) -> ReadingParts:
    """A service on an empty store with two sites, at 14:10 local time."""
    open_store(database_url).database.close()
    settings = Settings.load(database_url=database_url, data_dir=tmp_path)
    return cast(ReadingParts, ReadingService.make(settings, lambda: NOW, durable=False))


def store_run(service: ReadingParts, run: datetime, *records: Forecast, model: str = "arome_0025") -> None:
    service.store.add_forecasts(forecasts(*records, run=run, model=model))


def values(day: AnnouncedDay, model: str, parameter: Parameter) -> dict[int, tuple[float, str]]:
    """Return value and start of the run by local hour."""
    [entry] = [entry for entry in day.models if entry.model == model]
    found = {hour.hour: getattr(hour, parameter.value) for hour in entry.hours}
    return {hour: (each.value, f"{each.reference_time:%H}") for hour, each in found.items() if each}


def test_each_value_is_from_the_newest_run_that_has_it(service: ReadingParts) -> None:
    early = RUN - 6 * HOUR
    store_run(
        service,
        early,
        *(forecast(10 + lead, hours=lead, run=early) for lead in range(12)),
        forecast(45, GUST, 10, run=early),
    )
    store_run(service, RUN, forecast(30, hours=4), forecast(31, hours=6), forecast(270, DIRECTION, 4))
    day = announced_day(service, PLANFAIT, TODAY, NOTHING, hours=range(10, 15))
    assert values(day, "arome_0025", WIND) == {
        10: (18, "00"),
        11: (19, "00"),
        12: (30, "06"),
        13: (21, "00"),
        14: (31, "06"),
    }
    assert values(day, "arome_0025", GUST) == {12: (45, "00")}, "the newer run has no gust"
    assert values(day, "arome_0025", DIRECTION) == {12: (270, "06")}
    [arome] = day.models
    assert arome.newest_run == RUN and arome.age_seconds == (NOW - RUN).total_seconds()
    noon = arome.hours[2]
    assert noon.valid_time == RUN + 4 * HOUR
    assert noon.wind_speed is not None and noon.wind_speed.available_at == RUN + 4 * HOUR
    assert noon.wind_gust is not None and noon.wind_gust.age_seconds == (NOW - early).total_seconds()
    assert arome.attribution == "Météo-France, AROME, Licence Ouverte 2.0 (Etalab)"


def test_a_model_without_values_on_the_day_is_absent(service: ReadingParts) -> None:
    store_run(service, RUN, forecast(30, hours=6))
    tomorrow = announced_day(service, PLANFAIT, TODAY + timedelta(days=1), NOTHING)
    assert tomorrow.models == []
    assert announced_day(service, PASSY, TODAY, NOTHING).models == []


def test_many_sites_have_their_own_values_and_the_models_a_fixed_order(service: ReadingParts) -> None:
    for model in ("zoo", "icon_d2", "arome_0025"):
        store_run(
            service,
            RUN,
            forecast(20, model=model),
            forecast(40, site="passy", model=model),
            model=model,
        )
    days = announced_days(service, [PASSY, PLANFAIT], TODAY, NOTHING, hours=[14])
    assert list(days) == ["passy", "planfait"]
    assert [model.model for model in days["passy"].models] == ["arome_0025", "icon_d2", "zoo"]
    assert values(days["passy"], "zoo", WIND) == {14: (40, "06")}
    assert values(days["planfait"], "zoo", WIND) == {14: (20, "06")}


def test_what_was_known_earlier_leaves_out_later_runs(service: ReadingParts) -> None:
    early = RUN - 6 * HOUR
    store_run(service, early, forecast(20, hours=12, run=early))
    store_run(service, RUN, forecast(30, hours=6))
    early_clock = replace(cast(ReadingService, service), clock=lambda: RUN + HOUR)
    then = announced_day(cast(ReadingParts, early_clock), PLANFAIT, TODAY, NOTHING, hours=[14])
    assert values(then, "arome_0025", WIND) == {14: (20, "00")}, "the run of 06:00 was available at 10:00"
    ahead = NOW + 12 * HOUR
    store_run(service, ahead, forecast(99, hours=-12, run=ahead))
    now = announced_day(service, PLANFAIT, TODAY, NOTHING, hours=[14])
    assert values(now, "arome_0025", WIND) == {14: (30, "06")}, "a run of the future is of a wrong clock"


def test_a_moved_site_shows_its_present_series_only(service: ReadingParts) -> None:
    store_run(service, RUN, forecast(30, hours=6))
    moved = replace(PLANFAIT, latitude=45.9, valid_from=NOW - HOUR)
    service.store.save_sites((moved, PASSY))
    assert announced_day(service, moved, TODAY, NOTHING).models == []


def test_a_withheld_model_is_named_without_any_value(service: ReadingParts) -> None:
    for model in ("arome_0025", "meteo_parapente"):
        store_run(service, RUN, forecast(77, model=model), model=model)
    withheld = withheld_from_public(service)
    day = announced_day(service, PLANFAIT, TODAY, withheld)
    assert [model.model for model in day.models] == ["arome_0025"]
    assert [(model.model, model.name) for model in day.withheld] == [("meteo_parapente", "MeteoParapente")]
    runs = last_runs(service, PLANFAIT, TODAY, 14, withheld)
    assert [model.model for model in runs] == ["arome_0025"]
    assert announced_day(service, PLANFAIT, TODAY, NOTHING).withheld == []


def test_the_last_four_runs_of_an_hour_come_newest_first(service: ReadingParts) -> None:
    for count in range(6):
        run = RUN - count * 3 * HOUR
        store_run(
            service,
            run,
            forecast(30 + count, hours=6 + 3 * count, run=run),
            forecast(50, GUST, 6 + 3 * count, run=run),
        )
    [arome] = last_runs(service, PLANFAIT, TODAY, 14, NOTHING)
    assert [run.wind_speed for run in arome.runs] == [30, 31, 32, 33]
    assert [run.reference_time for run in arome.runs] == [RUN - count * 3 * HOUR for count in range(4)]
    assert (arome.runs[0].wind_gust, arome.runs[0].wind_direction) == (50, None)


def test_a_value_has_the_availability_of_its_own_batch(service: ReadingParts) -> None:
    store_run(service, RUN, forecast(30, hours=6))
    late = Run("arome_0025", RUN, RUN + 6 * HOUR, published=False)
    service.store.add_forecasts(replace(forecasts(forecast(50, GUST), rank=1), run=late))
    [arome] = announced_day(service, PLANFAIT, TODAY, Withholding({}, frozenset()), hours=[14]).models
    [hour] = arome.hours
    assert hour.wind_speed is not None and hour.wind_gust is not None
    assert (hour.wind_speed.available_at, hour.wind_speed.published) == (RUN + 4 * HOUR, True)
    assert (hour.wind_gust.available_at, hour.wind_gust.published) == (RUN + 6 * HOUR, False)


def test_the_data_version_changes_with_every_batch(service: ReadingParts) -> None:
    versions = [data_version(service)]
    store_run(service, RUN, forecast(30, hours=6))
    versions.append(data_version(service))
    service.store.add_observations(observations(reading(12)))
    versions.append(data_version(service))
    assert len(set(versions)) == 3
    assert data_version(service) == versions[-1]


def test_the_newest_reading_of_each_station_is_known(service: ReadingParts) -> None:
    service.store.add_observations(observations(reading(12), reading(14, minutes=20)))
    assert newest_readings(service.database, ["ffvl:2496", "romma:404"]) == {
        "ffvl:2496": NOW.replace(minute=0)
    }


def within(service: ReadingParts, wind: float, gust: float, withheld: Withholding = NOTHING) -> set[str]:
    return likely_within(service, TODAY, withheld, wind_limit=wind, gust_limit=gust)


def store_all_hours(
    service: ReadingParts, run: datetime, wind: float, gust: float | None, model: str
) -> None:
    """Store a run of Planfait that reaches from 10 to 18 o'clock; Passy has one hour."""
    first = (RUN + 2 * HOUR - run) // HOUR
    records = [forecast(wind, hours=first + step, run=run, model=model) for step in range(9)]
    if gust is not None:
        records += [forecast(gust, GUST, first + step, run=run, model=model) for step in range(9)]
    store_run(
        service, run, *records, forecast(5, hours=first, site="passy", run=run, model=model), model=model
    )


def test_a_site_is_likely_within_the_limits_if_every_public_model_is(service: ReadingParts) -> None:
    store_all_hours(service, RUN - 6 * HOUR, 40, 60, "arome_0025")
    store_all_hours(service, RUN, 18, 30, "arome_0025")
    assert within(service, 18, 30) == {"planfait"}, "the newest run counts, and the limit is still good"
    assert within(service, 17.9, 30) == within(service, 18, 29.9) == set()
    store_all_hours(service, RUN, 22, None, "icon_d2")
    assert within(service, 20, 30) == set()
    assert within(service, 22, 30) == {"planfait"}
    store_all_hours(service, RUN, 15, 80, "ecmwf_ifs025")
    assert within(service, 22, 30) == {"planfait"}, "a gust of three hours is another quantity"
    store_all_hours(service, RUN, 70, None, "meteo_parapente")
    assert within(service, 22, 30) == set()
    assert within(service, 22, 30, withheld_from_public(service)) == {"planfait"}


def test_limits_are_compared_with_the_values_that_the_page_shows(service: ReadingParts) -> None:
    def shown() -> tuple[float, float]:
        [model] = announced_day(service, PLANFAIT, TODAY, NOTHING, hours=HOURS).models
        winds = [hour.wind_speed.value for hour in model.hours if hour.wind_speed]
        gusts = [hour.wind_gust.value for hour in model.hours if hour.wind_gust]
        return max(winds), max(gusts)

    store_all_hours(service, RUN - 6 * HOUR, 30, 50, "arome_0025")
    store_all_hours(service, RUN, 18, None, "arome_0025")
    assert shown() == (18, 50)
    assert within(service, 18, 50) == {"planfait"}
    assert within(service, 18, 49) == set(), "the newest run has no gust, the one before has"

    late = Run("arome_0025", RUN, NOW + HOUR, published=True)
    gusts = [forecast(20, GUST, 2 + step) for step in range(9)]
    service.store.add_forecasts(replace(forecasts(*gusts, rank=1), run=late))
    assert shown() == (18, 50)
    assert within(service, 18, 49) == set(), "its gusts come in a later batch"

    run = RUN + 3 * HOUR
    later = replace(late, reference_time=run)
    winds = [forecast(10, hours=step - 1, run=run) for step in range(9)]
    service.store.add_forecasts(replace(forecasts(*winds, run=run), run=later))
    assert shown() == (18, 50)
    assert within(service, 17, 50) == set(), "that run is not available yet"


def test_announced_values_are_looked_up_by_site_and_hour(service: ReadingParts) -> None:
    first = to_epoch(RUN - 30 * 24 * HOUR)
    with service.database.write() as connection:
        connection.execute(sa.insert(t.model), [{"name": "arome_0025"}])
        connection.execute(
            sa.insert(t.forecast_batch).values(
                source="any", route="any", rank=0, collected_at=0,
                model_id=1, reference_time=0, available_at=0, published=True,
            )
        )  # fmt: skip
        row = {"model_id": 1, "batch_id": 1, "wind_speed": 20_000}
        connection.execute(
            sa.insert(t.forecast),
            [
                row | {"site_id": site, "valid_time": run + 3600 * lead, "reference_time": run}
                for site in (1, 2)
                for run in range(first, first + 130 * 21_600, 21_600)
                for lead in range(52)
            ],
        )
        connection.exec_driver_sql("ANALYZE")  # PostgreSQL reads a small table as a whole without statistics

    def ask() -> None:
        days = announced_days(service, [PLANFAIT, PASSY], TODAY, NOTHING, hours=range(10, 19))
        assert days["passy"].models
        assert last_runs(service, PLANFAIT, TODAY, 14, NOTHING)
        assert within(service, 30, 30) == {"planfait", "passy"}

    plans = query_plans(service.database, ask)
    assert not [plan for plan in plans if walks(plan, t.forecast)]
    # PostgreSQL may find the rows of many hours by a bitmap of the same index.
    found = [
        plan for plan in plans if looks_up(plan, t.forecast) or "Bitmap Index Scan on pk_forecast" in plan
    ]
    assert len(found) == 3
