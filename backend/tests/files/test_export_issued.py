"""Export of the record of issued forecasts, and of the pairs and scores of our own forecast."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import msgspec
import polars as pl
import pytest

from backend.core.issued import Input, IssuedForecast
from backend.core.local_time import day_number
from backend.core.parameters import Parameter
from backend.core.registry import OWN_MODEL
from backend.files.columns import ISSUED, schema
from backend.files.export_filter import Choice
from backend.files.export_issued import issued_frames
from backend.scoring.days.update import update
from backend.scoring.views import MORNING
from backend.storage.issued import append_issued, withdraw_issued
from backend.storage.store import Store
from backend.tests.support.commands import Environment, outside, typed
from backend.tests.support.issued import an_issued_day
from backend.tests.support.score_days import SITE, a_run, add, every, measured, utc
from backend.tests.support.stores import open_store, sqlite_url

DAY = day_number(date(2026, 7, 15))


def made_of(forecast: IssuedForecast, *models: str) -> IssuedForecast:
    inputs = tuple(Input(model, int(datetime(2026, 7, 14, tzinfo=UTC).timestamp())) for model in models)
    return replace(forecast, hours=msgspec.structs.replace(forecast.hours, inputs=inputs))


RECORD = (
    made_of(an_issued_day(SITE.id, DAY, 20.0, station="ffvl:2496"), "arome_0025"),
    an_issued_day(SITE.id, DAY, 33.0, parameter=Parameter.WIND_GUST, station="ffvl:2496", quantiles=False),
    an_issued_day(SITE.id, DAY, 21.0, view=MORNING, station="ffvl:2496", delay=timedelta(hours=1)),
    made_of(an_issued_day(SITE.id, DAY, 66.0, audience="operator", station="romma:241"), "meteo_parapente"),
    an_issued_day(SITE.id, DAY + 80, 22.0, station="ffvl:2496"),
)


def recorded(url: str) -> Store:
    store = open_store(url, SITE)
    add(
        store,
        [a_run(utc(14, 6), every(60, utc(14, 22), 24, 15.0)), measured(every(10, utc(15, 4), 90, 14.0))],
    )
    with store.database.write() as connection:
        append_issued(connection, RECORD)
    update(store.database, datetime(2027, 1, 1, tzinfo=UTC))
    return store


@pytest.fixture
def store(database_url: str) -> Store:
    return recorded(database_url)


def test_the_file_has_the_record_hour_by_hour(store: Store) -> None:
    inputs: set[str] = set()
    frame = pl.concat(issued_frames(store.database, Choice(), "public", inputs=inputs))
    assert frame.schema == pl.Schema(schema(ISSUED))
    assert frame["number"].unique(maintain_order=True).to_list() == [1, 2, 3, 5]
    assert len(frame) == 4 * 24
    first = frame.row(0, named=True)
    assert first["valid_time"] == datetime(2026, 7, 14, 22, tzinfo=UTC)
    assert first["decision_time"] == datetime(2026, 7, 14, 17, tzinfo=UTC)
    assert [first[name] for name in ("value", "p10", "p50", "p90")] == [20.0, 16.0, 20.0, 24.0]
    assert (first["view"], first["late"], first["station"]) == ("evening_before", False, "ffvl:2496")
    assert len(first["hash"]) == 64
    assert frame.filter(pl.col("parameter") == "wind_gust")["p10"].null_count() == 24
    assert frame.filter(pl.col("late"))["view"].unique().to_list() == ["morning"]
    assert inputs == {"arome_0025"}


def test_only_the_operator_s_own_export_has_what_was_made_from_all_sources(store: Store) -> None:
    of_operator = pl.concat(issued_frames(store.database, Choice(), "operator"))
    assert of_operator["value"].unique().to_list() == [66.0]
    assert 66.0 not in pl.concat(issued_frames(store.database, Choice(), "public"))["value"].to_list()


def test_the_choice_narrows_the_file_and_a_withdrawn_forecast_is_not_in_it(store: Store) -> None:
    chosen = Choice(first=DAY, last=DAY)
    frame = pl.concat(issued_frames(store.database, chosen, "public", [Parameter.WIND_SPEED], [MORNING]))
    assert frame["number"].unique().to_list() == [3]
    with store.database.write() as connection:
        withdraw_issued(connection, SITE.id, 1, datetime(2026, 7, 16, tzinfo=UTC), "wrong")
    frame = pl.concat(issued_frames(store.database, chosen, "public"))
    assert frame["number"].unique(maintain_order=True).to_list() == [2, 3]


@pytest.fixture
def environment(tmp_path: Path) -> Environment:
    recorded(sqlite_url(tmp_path))
    return outside() | {
        "DATABASE_URL": sqlite_url(tmp_path),
        "DATA_DIR": str(tmp_path),
        "SOURCES": "arome,ffvl,romma,meteo_parapente",
    }


@pytest.mark.parametrize("kind", ["csv", "parquet"])
def test_the_command_writes_the_record_with_its_credits(
    environment: Environment, tmp_path: Path, kind: str
) -> None:
    file = tmp_path / f"issued.{kind}"
    shown = typed(f"export issued -o {file}", environment)
    assert (shown.exit_code, shown.stderr) == (0, "")
    assert f"{file}: 96 issued forecasts" in shown.stdout
    assert "arome_0025: Météo-France, AROME" in shown.stdout
    frame = pl.read_csv(file) if kind == "csv" else pl.read_parquet(file)
    assert frame["audience"].unique().to_list() == ["public"]
    assert "`p10`" in file.with_name(f"issued.{kind}.dictionary.md").read_text()


def test_a_file_of_what_was_made_from_withheld_sources_warns(
    environment: Environment, tmp_path: Path
) -> None:
    shown = typed(f"export issued --audience operator -o {tmp_path / 'issued.csv'}", environment)
    assert shown.exit_code == 0
    assert "do not pass this file on" in shown.stderr
    assert "meteo_parapente, romma" in shown.stderr


def test_pairs_and_scores_of_ours_name_the_sources_that_it_is_made_from(
    environment: Environment, tmp_path: Path
) -> None:
    file = tmp_path / "pairs.csv"
    shown = typed(f"export pairs --model {OWN_MODEL.name} -o {file}", environment)
    assert (shown.exit_code, shown.stderr) == (0, "")
    frame = pl.read_csv(file)
    assert frame["model"].unique().to_list() == [OWN_MODEL.name]
    assert frame["view"].unique().to_list() == ["evening_before"], "the forecast of the morning was late"
    assert frame["forecast"].unique().to_list() == [20.0]
    assert (
        "meteo_score: MétéoScore, made by this service from public models: Météo-France, AROME"
        in shown.stdout
    )
    scores = tmp_path / "scores.csv"
    assert typed(f"export scores --view evening_before --exact -o {scores}", environment).exit_code == 0
    assert OWN_MODEL.name in pl.read_csv(scores)["model"].to_list()
