"""Import of files: each rule refuses with file, line and rule, and a file is stored whole or not at all."""

from __future__ import annotations

import os
import re
import tracemalloc
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from backend.core.records import Site
from backend.files import import_kinds
from backend.files.csv_table import CsvTable
from backend.files.faults import FileRefusedError
from backend.files.formats import forecast_table, is_verif, observation_table
from backend.files.import_kinds import FORECAST_SHAPE
from backend.files.importing import Imported, import_forecasts, import_observations
from backend.files.tables import LONGEST_LINE
from backend.scoring.days.update import update
from backend.scoring.views import DECISION_VIEWS, LEAD_VIEWS
from backend.storage import schema as t
from backend.storage.queries import StoreQueries
from backend.storage.replaced import Measure, replaced_values
from backend.storage.store import Store
from backend.tests.support.stores import (
    NOW,
    PASSY,
    PLANFAIT,
    RUN,
    TEMPERATURE,
    WIND,
    forecast,
    forecasts,
    observations,
    open_store,
    reading,
    rows,
    sqlite_url,
)

SITES = (PLANFAIT, PASSY)
STATIONS = ("ffvl:2496", "romma:241", "romma:77")
FORECAST_HEADER = "model,site,parameter,reference_time,valid_time,value"
READING_HEADER = "station,parameter,time,value"
GOOD = "arome_0025,planfait,wind_speed,2026-07-15T06:00:00Z,2026-07-15T12:00:00Z,12.5"
GOOD_READING = "ffvl:2496,wind_speed,2026-07-15T12:00:00Z,12.5"


@pytest.fixture
def store(database_url: str) -> Store:
    return open_store(database_url, *SITES)


@pytest.fixture(scope="module")
def empty(tmp_path_factory: pytest.TempPathFactory) -> Store:
    """A store that every test here leaves empty."""
    return open_store(sqlite_url(tmp_path_factory.mktemp("empty")), *SITES)


@pytest.fixture
def write(tmp_path: Path) -> Callable[..., Path]:
    def written(*lines: str, header: str = FORECAST_HEADER, name: str = "history.csv") -> Path:
        path = tmp_path / name
        path.write_text("\n".join([header, *lines]) + "\n")
        return path

    return written


Write = Callable[..., Path]


def take_forecasts(
    store: Store, path: Path, now: datetime = NOW, sites: Sequence[Site] = SITES, **options: Any
) -> Imported:
    return import_forecasts(store.database, forecast_table(path), sites, now, **options)


def take_readings(store: Store, path: Path, now: datetime = NOW, **options: Any) -> Imported:
    table = observation_table(path)
    return import_observations(store.database, table, STATIONS, now, merge_same=is_verif(path), **options)


def refusal(take: Callable[[], object]) -> list[str]:
    """Return the faults of a refused file, one per line, without the path of its folder."""
    with pytest.raises(FileRefusedError) as refused:
        take()
    return [re.sub(r"^/\S*/", "", line) for line in str(refused.value).splitlines()]


def nothing_is_in(store: Store) -> bool:
    tables = (t.forecast, t.forecast_batch, t.observation, t.observation_batch, t.station, t.model, t.due_day)
    return not any(rows(store.database, table, *table.c.keys()) for table in tables)


# --- What is good -------------------------------------------------------------------------------------


def test_a_forecast_is_stored_as_it_is_written_and_as_an_import(store: Store, write: Write) -> None:
    path = write(
        GOOD,
        "my.wrf-1,passy,temperature,2026-07-15T08:00:00+02:00,2026-07-15 14:00:00+02:00,-3.25",
        "my.wrf-1,passy,wind_direction,2026-07-15T06:00Z,2026-07-15T12:00Z,359.9996",
    )
    assert take_forecasts(store, path) == Imported(3, 3)
    found, _ = StoreQueries(store.database).forecasts()
    assert {(row.model, row.site, row.parameter.value, row.value) for row in found} == {
        ("arome_0025", "planfait", "wind_speed", 12.5),
        ("my.wrf-1", "passy", "temperature", -3.25),
        ("my.wrf-1", "passy", "wind_direction", 0.0),
    }
    noon = datetime(2026, 7, 15, 12, tzinfo=UTC)
    for row in found:
        assert (row.reference_time, row.valid_time) == (RUN, noon)
        assert (row.available_at, row.available_at_published, row.collected_at) == (NOW, False, NOW)
    batches = rows(store.database, t.forecast_batch, "source", "route", "rank", "job_run_id")
    assert set(batches) == {("import", "file", import_kinds.RANK, None)}


def test_a_reading_is_stored_with_how_it_was_measured(store: Store, write: Write) -> None:
    path = write(
        f"{GOOD_READING},10,22.5",
        "romma:77,temperature,2026-07-15T12:00:00Z,1e1,,",
        header=f"{READING_HEADER},averaging_minutes,direction_resolution",
    )
    assert take_readings(store, path) == Imported(2, 2)
    found, _ = StoreQueries(store.database).observations()
    assert [
        (row.station, row.parameter, row.value, row.averaging_minutes, row.direction_resolution)
        for row in found
    ] == [("ffvl:2496", WIND, 12.5, 10, 22.5), ("romma:77", TEMPERATURE, 10.0, None, None)]


@pytest.mark.parametrize("text", ["\ufeff", '"quoted"', "blank", "crlf", "column order"])
def test_what_spreadsheets_write_is_read(store: Store, tmp_path: Path, text: str) -> None:
    lines = [FORECAST_HEADER, GOOD]
    if text == '"quoted"':
        lines = [",".join(f'"{cell}"' for cell in line.split(",")) for line in lines]
    if text == "blank":
        lines = [FORECAST_HEADER, "", GOOD.replace(",", " , "), "", ""]
    if text == "column order":
        lines = [",".join(reversed(line.split(","))) for line in lines]
    path = tmp_path / "from a [spreadsheet] *.csv"
    path.write_bytes(
        (("\r\n" if text == "crlf" else "\n").join(lines) + "\n").encode(
            "utf-8-sig" if text == "\ufeff" else "utf-8"
        )
    )
    assert take_forecasts(store, path) == Imported(1, 1)
    found, _ = StoreQueries(store.database).forecasts()
    assert [row.value for row in found] == [12.5]


SEMICOLONS = GOOD.replace(",", ";").replace("12.5", "12,5")


@pytest.mark.parametrize(
    "text",
    {
        "semicolons and decimal commas": f"{FORECAST_HEADER.replace(',', ';')}\n{SEMICOLONS}\n",
        "Excel's line": f"sep=;\r\n{FORECAST_HEADER.replace(',', ';')}\r\n{SEMICOLONS}\r\n",
        "Excel's line, quoted": f'\ufeff"sep=;"\n\n{FORECAST_HEADER.replace(",", ";")}\n{SEMICOLONS}\n',
        "tabs": f"{FORECAST_HEADER}\n{GOOD}\n".replace(",", "\t"),
        "bars": f"{FORECAST_HEADER}\n{GOOD}\n".replace(",", "|"),
        "a quoted decimal comma": f"{FORECAST_HEADER}\n" + GOOD.replace("12.5", '"12,5"'),
        "pandas' index": f",{FORECAST_HEADER}\n0,{GOOD}\n",
        "pandas' index, named": f"Unnamed: 0,{FORECAST_HEADER}\n0,{GOOD}\n",
        "capital letters and blanks": f"{FORECAST_HEADER.title()}\n{GOOD}\n".replace(",", " , "),
        "rows of separators": f"{FORECAST_HEADER}\n{GOOD}\n,,,,,\n,,,,,\n",
        "blank lines first": f"\n\n{FORECAST_HEADER}\n{GOOD}\n",
    }.values(),
)
def test_what_people_and_programs_write_is_read(store: Store, tmp_path: Path, text: str) -> None:
    path = tmp_path / "a.csv"
    path.write_bytes(text.encode())
    assert take_forecasts(store, path) == Imported(1, 1)
    found, _ = StoreQueries(store.database).forecasts()
    assert [(row.model, row.value) for row in found] == [("arome_0025", 12.5)]
    # The lines of a message are those of the file, also with lines before the header.
    path.write_bytes(text.replace("planfait", "planfoy").encode())
    line = next(n for n, row in enumerate(text.splitlines(), start=1) if "planfait" in row)
    messages = refusal(lambda: take_forecasts(store, path))[0].replace(" ", "")
    assert messages.startswith(f"a.csv,line{line}:site='planfoy'")


@pytest.mark.parametrize(
    "mark", ["", " ", "NA", "N/A", "NaN", "nan", "null", "None", "-", "#N/A", "-999", "-9999", "-9999.0"]
)
def test_a_row_whose_value_is_marked_as_missing_is_passed_over_and_counted(
    store: Store, write: Write, mark: str
) -> None:
    other = GOOD.replace("planfait", "passy")
    assert take_forecasts(store, write(GOOD.replace("12.5", mark), other)) == Imported(1, 1, missing=1)
    assert [row.site for row in StoreQueries(store.database).forecasts()[0]] == ["passy"]


def test_a_missing_mark_in_another_column_is_an_empty_cell(store: Store, write: Write) -> None:
    header = f"{READING_HEADER},averaging_minutes,direction_resolution"
    assert take_readings(store, write(f"{GOOD_READING},NA,-", header=header)) == Imported(1, 1)
    header = f"{FORECAST_HEADER},available_at"
    assert take_forecasts(store, write(f"{GOOD},null", header=header)) == Imported(1, 1)
    (row,) = StoreQueries(store.database).forecasts()[0]
    assert row.available_at == NOW


def test_missing_values_of_a_parquet_file_are_passed_over(store: Store, tmp_path: Path) -> None:
    lines = [GOOD.replace("12:00:00Z,", f"{hour}:00:00Z,").split(",") for hour in range(10, 15)]
    frame = pl.DataFrame(lines, schema=FORECAST_HEADER.split(","), orient="row")
    values = pl.Series("value", [None, float("nan"), -999.0, 12.5, -9999.0])
    path = tmp_path / "a.parquet"
    frame.with_columns(values).write_parquet(path)
    assert take_forecasts(store, path) == Imported(1, 1, missing=4)
    frame.with_columns(pl.Series("value", ["NA", "", "-", "12,5", None])).write_parquet(path)
    assert take_forecasts(store, path) == Imported(1, 0, missing=4)


def test_a_parquet_file_with_endless_columns_is_refused(empty: Store, tmp_path: Path) -> None:
    frame = pl.DataFrame([GOOD.split(",")], schema=FORECAST_HEADER.split(","), orient="row")
    more = {f"x{number}": [number] for number in range(60)}
    frame.with_columns(**{name: pl.Series(cells) for name, cells in more.items()}).write_parquet(
        tmp_path / "a.parquet"
    )
    messages = refusal(lambda: take_forecasts(empty, tmp_path / "a.parquet"))
    assert messages == ["a.parquet, line 1: the header has 66 columns: must have at most 64"]


def test_a_parquet_file_is_read_with_times_of_any_zone_and_unit(store: Store, tmp_path: Path) -> None:
    frame = pl.DataFrame(
        {
            "model": ["m"] * 2,
            "site": ["passy"] * 2,
            "parameter": ["wind_gust"] * 2,
            "reference_time": ["2026-07-15T06:00:00Z"] * 2,
            "valid_time": [datetime(2026, 7, 15, hour, tzinfo=UTC) for hour in (11, 12)],
            "value": [20, 30],
        }
    ).with_columns(pl.col("valid_time").dt.convert_time_zone("Europe/Paris").dt.cast_time_unit("ns"))
    frame.write_parquet(tmp_path / "values.parquet")
    assert take_forecasts(store, tmp_path / "values.parquet") == Imported(2, 2)
    found, _ = StoreQueries(store.database).forecasts()
    assert [(row.valid_time.hour, row.value) for row in found] == [(11, 20.0), (12, 30.0)]


def test_the_same_file_again_changes_nothing(store: Store, write: Write) -> None:
    path = write(GOOD)
    take_forecasts(store, path)
    assert take_forecasts(store, path, NOW + timedelta(days=1)) == Imported(1, 0)
    assert Imported(1, 0).known == 1
    assert len(rows(store.database, t.forecast_batch, "id")) == 1


def test_rows_of_a_run_may_lie_anywhere_in_a_file(store: Store, write: Write) -> None:
    """The run is stored as one batch, also if the file is read in several pieces."""
    hour = [
        f"m,planfait,wind_speed,2026-07-15T06:00:00Z,2026-07-15T{hour:02}:00:00Z,1" for hour in range(6, 24)
    ]
    other = [f"m,passy,wind_speed,2026-07-15T00:00:00Z,2026-07-15T{hour:02}:00:00Z,2" for hour in range(24)]
    mixed = [line for both in zip(hour, other, strict=False) for line in both]
    assert take_forecasts(store, write(*reversed(mixed))) == Imported(36, 36)
    assert len(rows(store.database, t.forecast_batch, "id")) == 2


def test_a_dry_run_checks_and_stores_nothing(store: Store, write: Write) -> None:
    assert take_forecasts(store, write(GOOD), dry_run=True).rows == 1
    assert refusal(lambda: take_forecasts(store, write(GOOD, GOOD), dry_run=True))
    assert nothing_is_in(store)


# --- What an import may not do ------------------------------------------------------------------------


def test_what_was_collected_stays_and_what_is_collected_later_wins(store: Store, write: Write) -> None:
    store.add_forecasts(forecasts(forecast(20), rank=2))
    store.add_observations(observations(reading(20), rank=2))
    assert take_forecasts(store, write(GOOD, GOOD.replace("12:00:00Z,", "13:00:00Z,"))) == Imported(
        2, 1, 0, 1
    )
    assert take_readings(store, write(GOOD_READING, header=READING_HEADER)) == Imported(1, 0, 0, 1)
    values = StoreQueries(store.database)
    assert [row.value for row in values.forecasts()[0]] == [20, 12.5]
    assert [row.value for row in values.observations()[0]] == [20]

    store.add_forecasts(forecasts(forecast(7, hours=7), rank=2))
    assert [row.value for row in values.forecasts()[0]] == [20, 7]


@pytest.mark.parametrize("file_first", [True, False])
def test_a_value_of_a_file_beside_collected_ones_is_an_imported_one(
    store: Store, write: Write, file_first: bool
) -> None:
    gust = GOOD.replace("wind_speed", "wind_gust")
    collected = forecasts(forecast(20), rank=2)
    if not file_first:
        store.add_forecasts(collected)
    assert take_forecasts(store, write(gust)) == Imported(1, 1)
    if file_first:
        store.add_forecasts(collected)
    assert take_forecasts(store, write(GOOD, gust)) == Imported(2, 0, 0, 1)
    path = write(gust.replace("12.5", "30"))
    with pytest.raises(FileRefusedError, match=r"12\.5 is stored"):
        take_forecasts(store, path)
    assert take_forecasts(store, path, replace=True) == Imported(1, 0, 1)
    assert [row.value for row in StoreQueries(store.database).forecasts()[0]] == [20, 30]


ADVICE = "nothing was stored: --replace stores the values of the file, and keeps a record of the old ones"
LATER = NOW + timedelta(days=1)
WITH_TIME = f"{FORECAST_HEADER},available_at"


def state(store: Store) -> list[list[tuple[object, ...]]]:
    tables = (t.forecast, t.forecast_batch, t.forecast_origin, t.observation, t.observation_batch)
    return [rows(store.database, table, *table.c.keys()) for table in (*tables, t.replaced_value, t.due_day)]


@pytest.mark.parametrize("dry_run", [True, False])
def test_a_forecast_that_differs_from_an_earlier_files_is_refused_by_its_line(
    store: Store, write: Write, dry_run: bool
) -> None:
    other = GOOD.replace("12:00:00Z,", "13:00:00Z,")
    take_forecasts(store, write(GOOD, other))
    before = state(store)
    path = write(other, GOOD.replace("12.5", "14"), GOOD.replace("wind_speed", "wind_gust"))
    messages = refusal(lambda: take_forecasts(store, path, LATER, dry_run=dry_run))
    assert messages == ["history.csv, line 3: value = 14: 12.5 is stored", ADVICE]
    assert state(store) == before


@pytest.mark.parametrize("dry_run", [True, False])
def test_a_reading_that_differs_from_an_earlier_files_is_refused_by_its_line(
    store: Store, write: Write, dry_run: bool
) -> None:
    header = f"{READING_HEADER},averaging_minutes"
    take_readings(store, write(f"{GOOD_READING},10", header=header))
    before = state(store)
    messages = refusal(
        lambda: take_readings(store, write(f"{GOOD_READING},30", header=header), LATER, dry_run=dry_run)
    )
    assert messages == ["history.csv, line 2: averaging_minutes = 30: 10 is stored", ADVICE]
    corrected = GOOD_READING.replace("12.5", "13")
    messages = refusal(lambda: take_readings(store, write(corrected, header=READING_HEADER), dry_run=dry_run))
    assert messages == ["history.csv, line 2: value = 13: 12.5 is stored", ADVICE]
    assert state(store) == before


def test_another_time_of_availability_is_refused_and_none_is_no_difference(
    store: Store, write: Write
) -> None:
    take_forecasts(store, write(f"{GOOD},2026-07-15T09:00:00Z", header=WITH_TIME))
    before = state(store)
    messages = refusal(
        lambda: take_forecasts(store, write(f"{GOOD},2026-07-15T10:00:00Z", header=WITH_TIME), LATER)
    )
    assert messages[0] == (
        "history.csv, line 2: available_at = 2026-07-15T10:00:00Z: 2026-07-15T09:00:00Z is stored"
    )
    assert take_forecasts(store, write(GOOD), LATER) == Imported(1, 0)
    assert take_forecasts(store, write(f"{GOOD},", header=WITH_TIME), LATER) == Imported(1, 0)
    assert state(store) == before


def test_many_differences_are_counted(store: Store, write: Write) -> None:
    hours = [
        GOOD.replace("12:00:00Z,12.5", f"{hour:02}:{minute}:00Z,{{}}")
        for hour in range(8, 20)
        for minute in ("00", "30")
    ]
    take_forecasts(store, write(*(line.format(10) for line in hours)))
    messages = refusal(lambda: take_forecasts(store, write(*(line.format(11) for line in hours)), LATER))
    assert (len(messages), messages[20]) == (22, "history.csv: and 4 more")


def test_replace_takes_the_file_and_records_what_was_stored(store: Store, write: Write) -> None:
    gust = GOOD.replace("wind_speed", "wind_gust")
    take_forecasts(
        store, write(f"{GOOD},2026-07-15T09:00:00Z", f"{gust},2026-07-15T09:00:00Z", header=WITH_TIME)
    )
    update(store.database, LATER)
    path = write(
        f"{GOOD.replace('12.5', '14')},2026-07-15T10:00:00Z",
        f"{gust},2026-07-15T09:00:00Z",
        f"{GOOD.replace('wind_speed', 'temperature')},2026-07-15T09:00:00Z",
        header=WITH_TIME,
        name="corrected.csv",
    )
    assert take_forecasts(store, path, LATER, dry_run=True, replace=True) == Imported(3, 1, 1)
    assert replaced_values(store.database, 10) == ([], 0)
    assert take_forecasts(store, path, LATER, replace=True) == Imported(3, 1, 1)
    found, _ = StoreQueries(store.database).forecasts()
    assert [(row.parameter.value, row.value, f"{row.available_at:%H:%M}") for row in found] == [
        ("wind_speed", 14, "10:00"),
        ("wind_gust", 12.5, "09:00"),
        ("temperature", 12.5, "09:00"),
    ]
    assert rows(store.database, t.due_day, "site_id") != [], "its scores are computed again"
    nine, ten = (int(RUN.replace(hour=hour).timestamp()) for hour in (9, 10))
    (record,), count = replaced_values(store.database, 10)
    assert (record.old, record.new) == (
        Measure(value=12_500, available_at=nine),
        Measure(value=14_000, available_at=ten),
    )
    assert (count, record.name, record.site, record.parameter) == (1, "arome_0025", "planfait", "wind_speed")
    assert (Path(record.file).name, record.replaced_at) == ("corrected.csv", LATER)
    assert (record.reference_time, record.time) == (RUN, RUN.replace(hour=12))
    assert take_forecasts(store, path, LATER, replace=True) == Imported(3, 0)
    store.remove_site("planfait")
    assert replaced_values(store.database, 10)[1] == 1


def test_replace_takes_a_reading_and_leaves_what_was_collected(store: Store, write: Write) -> None:
    store.add_observations(observations(reading(20, station="romma:77")))
    take_readings(store, write(GOOD_READING, header=READING_HEADER))
    update(store.database, LATER)
    path = write(
        GOOD_READING.replace("12.5", "13"),
        GOOD_READING.replace("ffvl:2496", "romma:77"),
        header=READING_HEADER,
    )
    assert take_readings(store, path, LATER, replace=True) == Imported(2, 0, 1, 1)
    found, _ = StoreQueries(store.database).observations()
    assert {(row.station, row.value) for row in found} == {("ffvl:2496", 13), ("romma:77", 20)}
    (record,), _ = replaced_values(store.database, 10)
    assert (record.name, record.site, record.old.value, record.new.value) == (
        "ffvl:2496",
        None,
        12_500,
        13_000,
    )
    assert rows(store.database, t.due_day, "site_id") != []


def test_an_import_does_not_mark_parts_of_runs_as_collected(store: Store, write: Write) -> None:
    take_forecasts(store, write(GOOD))
    needs = store.forecast_request(SITES, NOW, NOW - timedelta(days=2))
    assert needs.missing("arome_0025", RUN, "whole", 0) == SITES


def views_with_anything(store: Store, now: datetime) -> set[int]:
    update(store.database, now)
    return {view for (view,) in rows(store.database, t.forecast_day, "view")}


def test_without_a_time_of_availability_a_run_is_in_no_view_of_a_decision(store: Store, write: Write) -> None:
    ago = NOW + timedelta(days=300)
    lines = [GOOD.replace("12:00:00Z,", f"{hour}:00:00Z,") for hour in range(10, 24)]
    take_forecasts(store, write(*lines), ago)
    found = views_with_anything(store, ago)
    assert found and found <= {view.number for view in LEAD_VIEWS}


def test_with_a_time_of_availability_a_run_enters_the_decisions_after_it(store: Store, write: Write) -> None:
    lines = [
        GOOD.replace("12:00:00Z,", f"{hour}:00:00Z,") + ",2026-07-15T09:30:00Z" for hour in range(10, 24)
    ]
    take_forecasts(store, write(*lines, header=f"{FORECAST_HEADER},available_at"))
    decisions = {view.name for view in DECISION_VIEWS if view.number in views_with_anything(store, NOW)}
    assert decisions == {"noon"}
    found, _ = StoreQueries(store.database).forecasts()
    assert {(row.available_at, row.available_at_published) for row in found} == {
        (datetime(2026, 7, 15, 9, 30, tzinfo=UTC), False)
    }


def test_parts_of_a_run_keep_their_own_times_of_availability(store: Store, write: Write) -> None:
    later = GOOD.replace("12:00:00Z,", "13:00:00Z,")
    path = write(
        f"{GOOD},2026-07-15T09:00:00Z",
        f"{later},2026-07-15T10:00:00Z",
        f"{GOOD.replace('wind_speed', 'wind_gust')},2026-07-15T10:00:00Z",
        f"{later.replace('wind_speed', 'wind_gust')},",
        header=f"{FORECAST_HEADER},available_at",
    )
    assert take_forecasts(store, path) == Imported(4, 4)
    found, _ = StoreQueries(store.database).forecasts()
    assert {(row.parameter.value, row.valid_time.hour, f"{row.available_at:%H:%M}") for row in found} == {
        ("wind_speed", 12, "09:00"),
        ("wind_speed", 13, "10:00"),
        ("wind_gust", 12, "10:00"),
        ("wind_gust", 13, "12:10"),
    }


# --- What is refused ----------------------------------------------------------------------------------

BAD_FORECASTS = {
    GOOD.replace("planfait", "planfoy"): "site = 'planfoy': is not a site on the list",
    GOOD.replace("planfait", ""): "site: is not a site on the list",
    GOOD.replace("wind_speed", "wind"): "parameter = 'wind': is not one of wind_speed, wind_gust",
    GOOD.replace("arome_0025", ""): "model: is not the name of a model",
    GOOD.replace("arome_0025", "a b"): "model = 'a b': is not the name of a model",
    GOOD.replace("arome_0025", "yesterday"): "model = 'yesterday': is not the name of a model",
    GOOD.replace("06:00:00Z", "06:00:00"): "reference_time = '2026-07-15T06:00:00': is a time without a zone",
    GOOD.replace("12:00:00Z", "12:00:00"): "valid_time = '2026-07-15T12:00:00': is a time without a zone",
    GOOD.replace("T12:00:00Z", ""): "valid_time = '2026-07-15': is a time without a zone",
    GOOD.replace("2026-07-15T12:00:00Z", "noon"): "valid_time = 'noon': is not a time with its zone",
    GOOD.replace("2026-07-15T12:00:00Z", ""): "valid_time: is missing",
    GOOD.replace("12:00:00Z", "12:00:00.5Z"): "is not a whole second",
    GOOD.replace("2026-07-15T06", "1870-07-15T06"): "is before 1971",
    GOOD.replace("2026-07-15T12:00:00Z", "9999-12-31T23:00:00-05:00"): "is outside the calendar",
    GOOD.replace(
        "2026-07-15T06", "2026-07-16T06"
    ): "reference_time = '2026-07-16T06:00:00Z': is in the future",
    GOOD.replace(
        "2026-07-15T12", "2026-07-15T05"
    ): "valid_time = '2026-07-15T05:00:00Z': is before reference_time",
    GOOD.replace("2026-07-15T12", "2026-08-15T12"): "is over 20 days ahead",
    GOOD.replace("12.5", "12,5"): "has 7 cells: must have as many as the header, 6",
    GOOD.replace("12.5", "calm"): "value = 'calm': is not a number",
    GOOD.replace("12.5", "1_000"): "value = '1_000': is not a number",
    GOOD.replace("12.5", "1e999"): "value = '1e999': is not a number",
    GOOD.replace("12.5", "9" * 400): f"value = '{'9' * 60}': is not a number",
    GOOD.replace("12.5", '"1.234,5"'): "value = '1.234,5': is not a number",
    GOOD.replace("12.5", '"1,234"'): "value = '1,234': the comma may separate decimals or thousands",
    GOOD.replace("12.5", "inf"): "value = 'inf': is not a number",
    GOOD.replace("12.5", "-0.1"): "value = '-0.1': must be from 0 to 250 km/h (wind_speed)",
    GOOD.replace("12.5", "9999"): "value = '9999': must be from 0 to 250 km/h (wind_speed)",
    GOOD.replace("wind_speed", "wind_direction").replace("12.5", "361"): "must be from 0 to 360 degrees",
    GOOD.replace("wind_speed", "temperature").replace("12.5", "288.1"): "must be from -40 to 50 °C",
    "arome_0025,planfait": "has 2 cells: must have as many as the header, 6",
    GOOD.removesuffix(",12.5"): "has 5 cells: must have as many as the header, 6",
}


@pytest.mark.parametrize(("line", "rule"), BAD_FORECASTS.items())
def test_one_bad_line_refuses_the_whole_file_by_its_number(
    empty: Store, write: Write, line: str, rule: str
) -> None:
    other = GOOD.replace("planfait", "passy")
    messages = refusal(lambda: take_forecasts(empty, write(other, line, GOOD)))
    assert messages[0].startswith("history.csv, line 3"), messages
    assert rule in messages[0]
    assert messages[1:] == ([] if "cells" in rule or "thousands" in rule else ["nothing was stored"])
    assert nothing_is_in(empty)


@pytest.mark.parametrize(
    ("line", "rule"),
    {
        GOOD_READING.replace("ffvl:2496", "ffvl:1"): "station = 'ffvl:1': is not a known station",
        GOOD_READING.replace("wind_speed", "pressure"): "parameter = 'pressure': is not one of",
        GOOD_READING.replace("Z", ""): "time = '2026-07-15T12:00:00': is a time without a zone",
        GOOD_READING.replace("T12:00", "T12:11"): "time = '2026-07-15T12:11:00Z': is in the future",
        GOOD_READING.replace("12.5", "x"): "value = 'x': is not a number",
        f"{GOOD_READING},0": "averaging_minutes = '0': must be from 1 to 1440 minutes",
        f"{GOOD_READING},1.5": "averaging_minutes = '1.5': is not a whole number",
        f"{GOOD_READING},ten": "averaging_minutes = 'ten': is not a number",
        f"{GOOD_READING},,400": "direction_resolution = '400': must be from 0.001 to 180 degrees",
    }.items(),
)
def test_one_bad_reading_refuses_the_whole_file_by_its_number(
    empty: Store, write: Write, line: str, rule: str
) -> None:
    header = f"{READING_HEADER},averaging_minutes,direction_resolution"
    other = GOOD_READING.replace("ffvl:2496", "romma:77")
    messages = refusal(lambda: take_readings(empty, write(other, line, header=header)))
    assert messages[0].startswith("history.csv, line 3: "), messages
    assert rule in messages[0]
    assert nothing_is_in(empty)


def test_a_value_given_twice_is_refused_with_both_lines(store: Store, write: Write) -> None:
    """Also with the same value, with times in another format, and far apart."""
    between = [GOOD.replace("12:00:00Z,", f"{hour}:00:00Z,") for hour in (13, 14)]
    again = GOOD.replace("12:00:00Z,12.5", "14:00:00+02:00,3")
    messages = refusal(lambda: take_forecasts(store, write(GOOD, *between, again)))
    assert messages == [
        "history.csv, line 5: has the same model, reference_time, site, valid_time, parameter as line 2",
        "nothing was stored",
    ]
    messages = refusal(lambda: take_readings(store, write(GOOD_READING, GOOD_READING, header=READING_HEADER)))
    assert messages[0] == "history.csv, line 3: has the same station, time, parameter as line 2"
    assert nothing_is_in(store)


def test_the_first_twenty_faults_are_named_and_the_others_counted(empty: Store, write: Write) -> None:
    bad = [GOOD.replace("12.5", f"bad {number}") for number in range(30)]
    messages = refusal(lambda: take_forecasts(empty, write(GOOD, *bad[:29], GOOD)))
    assert len(messages) == 22
    assert messages[0].startswith("history.csv, line 3: value = 'bad 0'")
    assert messages[19].startswith("history.csv, line 22: value = 'bad 19'")
    assert messages[20:] == ["history.csv: and 10 more", "nothing was stored"]
    assert nothing_is_in(empty)


def test_lines_are_counted_through_blank_ones_and_cells_of_several_lines(empty: Store, write: Write) -> None:
    lines = ["", f'"a\nb",{GOOD.partition(",")[2]}', GOOD.replace("12.5", "x")]
    messages = refusal(lambda: take_forecasts(empty, write(*lines)))
    assert [line.partition(" = ")[0] for line in messages[:2]] == [
        "history.csv, line 3: model",
        "history.csv, line 5: value",
    ]


@pytest.mark.parametrize("block", [5, 40, 10_000])
def test_it_makes_no_difference_in_which_blocks_a_file_is_read(write: Write, block: int) -> None:
    lines = [GOOD, "", f'"a\n\nb",{GOOD.partition(",")[2]}', "", *[GOOD] * 3, f'"x",{GOOD.partition(",")[2]}']
    table = CsvTable(write(*lines), FORECAST_SHAPE, block)
    found = pl.concat(table.pieces())
    assert found["row"].to_list() == [0, 2, 4, 5, 6, 7]
    assert found["model"].to_list() == ["arome_0025", "a\n\nb", *["arome_0025"] * 3, "x"]
    assert table.lines([0, 2, 4, 7]) == ["line 2", "line 4", "line 8", "line 11"]


def test_a_run_before_a_site_moved_is_refused(empty: Store, write: Write) -> None:
    moved = Site(
        "planfait", "Planfait", 45.9, 6.3, 900.0, stations=("ffvl:2496",), valid_from=RUN + timedelta(hours=1)
    )
    messages = refusal(lambda: take_forecasts(empty, write(GOOD), sites=(moved, PASSY)))
    assert "line 2: reference_time" in messages[0]
    assert "is before planfait moved to its present position (2026-07-15)" in messages[0]


BAD_FILES: dict[str, tuple[str, bytes, str]] = {
    "no rows": ("a.csv", f"{FORECAST_HEADER}\n\n".encode(), "a.csv: contains no rows"),
    "only a header": ("a.csv", FORECAST_HEADER.encode(), "a.csv: contains no rows"),
    "empty": ("a.csv", b"", "a.csv, line 1: the header has no model, site"),
    "semicolons": (
        "a.csv",
        f"{FORECAST_HEADER[:-6]}\n".replace(",", ";").encode(),
        "a.csv, line 1: the header has no value: it must be model,site,parameter,reference_time,valid_time,"
        "value, and it may have available_at (the columns are separated by a semicolon)",
    ),
    "another separator": ("a.csv", b"sep=:\n", "a.csv, line 1: sep=:: must be a comma, a semicolon, a tab"),
    "the wrong separator": (
        "a.csv",
        f"sep=;\n{FORECAST_HEADER}\n{GOOD}\n".encode(),
        "a.csv, line 2: the header has no model",
    ),
    "utf-16": (
        "a.csv",
        f"{FORECAST_HEADER}\n{GOOD}\n".encode("utf-16"),
        "a.csv: is UTF-16 or not text: save",
    ),
    "utf-16 without a mark": ("a.csv", f"{FORECAST_HEADER}\n".encode("utf-16-le"), "a.csv: is UTF-16 or no"),
    "commas and points": (
        "a.csv",
        f"{FORECAST_HEADER}\n{GOOD}\n{GOOD.replace('12:00:00Z,', '13:00:00Z,')}".replace(",", ";")
        .replace("12.5", "12,5", 1)
        .encode(),
        "a.csv, line 3: '12.5', and '12,5' in line 2: a file must have decimal commas or decimal points,",
    ),
    "decimal commas between commas": (
        "a.csv",
        f"{FORECAST_HEADER}\n{GOOD.replace('12.5', '12,5')}\n".encode(),
        "(the columns are separated by a comma): a number with a decimal comma must be quoted",
    ),
    "many columns": (
        "a.csv",
        ",".join([FORECAST_HEADER, *(f"x{number}" for number in range(40_000))]).encode(),
        "a.csv, line 1: the header has 40006 columns (the columns are separated by a comma): must have at",
    ),
    "a long header": ("a.csv", b"x" * (LONGEST_LINE + 1), "a.csv, line 1: is longer than 1048576 bytes"),
    "no value at all": (
        "a.csv",
        f"{FORECAST_HEADER}\n{GOOD.replace('12.5', 'NA')}\n".encode(),
        "a.csv: contains no values: its 1 rows have no value",
    ),
    "a long line of verif": (
        "a.txt",
        b"# variable: wind_speed\n# units: km/h\n# model: m\n" + b"1 " * (LONGEST_LINE // 2 + 1),
        "a.txt, line 4: is longer than 1048576 bytes",
    ),
    "a slip": ("a.csv", f"{FORECAST_HEADER},availble_at\n{GOOD},\n".encode(), "the header has 'availble_at'"),
    "twice": ("a.csv", f"{FORECAST_HEADER},value\n{GOOD},1\n".encode(), "the header names value twice"),
    "latin-1": (
        "a.csv",
        f"{FORECAST_HEADER}\n{GOOD}\n{GOOD}é\n".encode("latin-1"),
        "a.csv, line 3: is not UTF-8",
    ),
    "open quote": ("a.csv", f'{FORECAST_HEADER}\n{GOOD}\n"{GOOD}\n'.encode(), "a.csv, line 3: not valid CSV"),
    "stray quote": (
        "a.csv",
        f'{FORECAST_HEADER}\n{GOOD}\n{GOOD}"\n{GOOD}\nnonsense\n'.encode(),
        "a.csv, line 3: here or soon after, a quote is not closed, or is inside a cell",
    ),
    "stray quote at once": (
        "a.csv",
        f'{FORECAST_HEADER}\nm"x,{GOOD}\n'.encode(),
        "a.csv, line 2: has 7 cells",
    ),
    "two stray quotes": (
        "a.csv",
        f'{FORECAST_HEADER}\n{GOOD}\n{GOOD}"\n{GOOD}\n{GOOD}"\n{GOOD}\n'.encode(),
        "a.csv, line 2: here or soon after, a quote is not closed, or is inside a cell",
    ),
    "doubled stray quotes": (
        "a.csv",
        f'{FORECAST_HEADER}\ny""q",{GOOD[11:]}\ny"",{GOOD[11:]}\n'.encode(),
        "a.csv, line 2: ",
    ),
    "returns alone": (
        "a.csv",
        f"{FORECAST_HEADER}\r{GOOD}\r".encode(),
        "a.csv, line 1: has a carriage return without a line feed",
    ),
    "a return alone": (
        "a.csv",
        f"{FORECAST_HEADER}\r\n{GOOD}\r\n\r{GOOD}\r\n".encode(),
        "a.csv, line 3: has a carriage return without a line feed",
    ),
    "no parquet": ("a.parquet", b"PAR1", "a.parquet: is not a Parquet file"),
    "another kind": ("a.xlsx", b"", "a.xlsx: must end in .csv, .parquet or .txt"),
}


@pytest.mark.parametrize("name", BAD_FILES)
def test_a_broken_file_is_refused_with_what_is_wrong(empty: Store, tmp_path: Path, name: str) -> None:
    file, content, rule = BAD_FILES[name]
    (tmp_path / file).write_bytes(content)
    assert rule in refusal(lambda: take_forecasts(empty, tmp_path / file))[0]
    assert nothing_is_in(empty)


def test_a_file_that_is_not_there_is_refused(empty: Store, tmp_path: Path) -> None:
    assert refusal(lambda: take_forecasts(empty, tmp_path / "a.csv")) == ["a.csv: no such file"]
    (tmp_path / "folder.csv").mkdir()
    messages = refusal(lambda: take_forecasts(empty, tmp_path / "folder.csv"))
    assert messages[0].startswith("folder.csv: cannot be read: ")


def test_a_line_of_600_mb_is_refused_after_its_first_megabytes(empty: Store, tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text(f"{FORECAST_HEADER}\n{GOOD}\n")
    os.truncate(path, 600_000_000)  # a sparse file: the line is made of NUL characters
    tracemalloc.start()
    try:
        # NUL characters within the first megabyte would be refused as UTF-16: here they come after it.
        path.write_text(f"{FORECAST_HEADER}\n" + f"{GOOD}\n" * 20_000)
        os.truncate(path, 600_000_000)
        messages = refusal(lambda: take_forecasts(empty, path))
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert messages == ["a.csv, line 20002: is longer than 1048576 bytes: it is not a row of a table"]
    assert peak < 150_000_000, "several times what is read at once, and not the file"


@pytest.mark.parametrize(
    "column",
    [
        pl.Series("value", [True]),
        pl.Series("value", [[12.5]]),
        pl.Series("value", [{"km/h": 12.5}]),
        pl.Series("value", [b"12.5"]),
        pl.Series("value", [timedelta(seconds=12)]),
        pl.Series("model", [["arome_0025"]]),
    ],
)
def test_a_column_of_a_parquet_file_that_is_of_another_kind_is_named(
    empty: Store, tmp_path: Path, column: pl.Series
) -> None:
    frame = pl.DataFrame([GOOD.split(",")], schema=FORECAST_HEADER.split(","), orient="row")
    frame.with_columns(column).write_parquet(tmp_path / "a.parquet")
    messages = refusal(lambda: take_forecasts(empty, tmp_path / "a.parquet"))
    assert messages == [
        f"a.parquet: the column {column.name} is {column.dtype}: must be text, numbers, or times with their"
        " zone"
    ]
    assert nothing_is_in(empty)


def test_words_and_numbers_may_be_stored_as_categories(store: Store, tmp_path: Path) -> None:
    frame = pl.DataFrame([GOOD.split(",")], schema=FORECAST_HEADER.split(","), orient="row")
    frame.cast({"model": pl.Categorical, "value": pl.Categorical}).write_parquet(tmp_path / "a.parquet")
    assert take_forecasts(store, tmp_path / "a.parquet").new == 1


@pytest.mark.parametrize(
    ("column", "rule"),
    [
        (pl.Series("valid_time", [NOW]).dt.replace_time_zone(None), "is a time without a zone"),
        (pl.Series("valid_time", [NOW.date()]), "is a time without a zone"),
        (pl.Series("valid_time", [1_800_000_000]), "is not a time with its zone"),
        (pl.Series("valid_time", [None], dtype=pl.Datetime("us", "UTC")), "valid_time: is missing"),
        (pl.Series("valid_time", [datetime(1960, 1, 1, tzinfo=UTC)]), "is before 1971"),
        (pl.Series("valid_time", [datetime(2026, 7, 15, 12, 0, 0, 5, tzinfo=UTC)]), "is not a whole second"),
        (pl.Series("value", [float("inf")]), "value = 'inf': is not a number"),
        (
            pl.Series("valid_time", [2**62]).cast(pl.Datetime("ms", "UTC")),
            "valid_time: is outside the calendar",
        ),
        (
            pl.Series("model", [2**63 - 1]).cast(pl.Datetime("us", "UTC")),
            "model: is outside the calendar",
        ),
        (pl.Series("model", [NOW]), "is not the name of a model"),
        (pl.Series("value", ["1,234"]), "value = '1,234': the comma may separate decimals or thousands"),
        (pl.Series("value", [NOW]), "is not a number"),
        (pl.Series("value", ["x"], dtype=pl.Categorical), "value = 'x': is not a number"),
    ],
)
def test_a_bad_row_of_a_parquet_file_is_named(
    empty: Store, tmp_path: Path, column: pl.Series, rule: str
) -> None:
    frame = pl.DataFrame([GOOD.split(",")], schema=FORECAST_HEADER.split(","), orient="row")
    frame.with_columns(column).write_parquet(tmp_path / "a.parquet")
    messages = refusal(lambda: take_forecasts(empty, tmp_path / "a.parquet"))
    assert messages[0].startswith("a.parquet, row 1: ") and rule in messages[0], messages
    assert nothing_is_in(empty)
