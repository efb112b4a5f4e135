"""Export of files: values come back the same, pairs give the scores, and a file names its sources."""

from __future__ import annotations

import json
import os
import re
import sqlite3
import subprocess
from collections.abc import Sequence
from contextlib import closing
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
import sqlalchemy as sa
from polars.testing import assert_frame_equal

from backend.core.errors import ConfigError, MeteoScoreError, NotFoundError
from backend.core.local_time import day_number, local_day
from backend.core.parameters import Parameter
from backend.core.records import Reference, Site
from backend.files.columns import FORECASTS, OBSERVATIONS, PAIRS, SCORES, Columns, schema
from backend.files.export_filter import Choice
from backend.files.export_scores import pair_frames, places, score_frames
from backend.files.export_values import forecast_frames, observation_frames
from backend.files.formats import forecast_table, observation_table
from backend.files.importing import import_forecasts, import_observations
from backend.files.verif import Place, write_verif
from backend.files.writing import new_file
from backend.scoring.days.public_months import publish
from backend.scoring.days.update import update
from backend.scoring.grid import Hours
from backend.scoring.questions.scorecard import Finding, Scorecard
from backend.scoring.sample.load import Samples
from backend.scoring.sample.quantities import SINGLE_VALUED, Quantity
from backend.scoring.views import EVENING_BEFORE, MORNING, NEAREST, VIEWS
from backend.storage import schema as t
from backend.storage.database import Database
from backend.storage.store import Store
from backend.tests.support.commands import METEO_SCORE, Environment, outside, typed
from backend.tests.support.lived_world import END, SITES, lived
from backend.tests.support.score_store import constant, keep
from backend.tests.support.stores import (
    DIRECTION,
    GUST,
    NOW,
    RUN,
    TEMPERATURE,
    WIND,
    forecast,
    forecasts,
    make_tables,
    observations,
    open_store,
    query_plans,
    reading,
    rows,
    sqlite_url,
    walks,
)

DAY = timedelta(days=1)
LATER = NOW + 60 * DAY


def fill(store: Store) -> None:
    """Put in two models, two sites and two stations, over more than the month that is read at a time."""
    for back in (40, 3, 0):
        run = RUN - back * DAY
        for model in ("arome_0025", "meteo_parapente"):
            records = [
                forecast(value + back / 8, parameter, hours, site, run, model)
                for site in ("passy", "planfait")
                for hours in (0, 6, 6.5, 30)
                for parameter, value in ((WIND, 12.345), (DIRECTION, 0.0), (TEMPERATURE, -3.001))
            ]
            store.add_forecasts(forecasts(*records, run=run, model=model))
        store.add_observations(
            observations(
                reading(0.1 * back, minutes=back * 1440),
                reading(20, GUST, minutes=back * 1440 + 10),
                reading(5, TEMPERATURE, minutes=back * 1440, station="romma:77"),
                averaging_minutes=10 if back else None,
                direction_resolution=22.5 if back else None,
            )
        )


@pytest.fixture
def store(database_url: str) -> Store:
    store = open_store(database_url)
    fill(store)
    return store


@pytest.fixture
def another(tmp_path: Path) -> Store:
    """An empty store, to import into."""
    folder = tmp_path / "another"
    folder.mkdir()
    return open_store(sqlite_url(folder))


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Store:
    """A store with two models and a station over seventy days, one site, its days made."""
    return lived(tmp_path_factory.mktemp("files"), 1, SITES["planfait"])


def written(path: Path, columns: Columns, frames: Sequence[pl.DataFrame]) -> Path:
    with new_file(path, columns, force=False) as writer:
        for frame in frames:
            writer.write(frame)
    return path


def values(database: Database, table: sa.Table, *also: str) -> list[tuple[object, ...]]:
    """Return the values of a table with their keys, and what else is asked for of their batches."""
    batch = t.forecast_batch if table is t.forecast else t.observation_batch
    name = t.model.c.name if table is t.forecast else t.station.c.code
    owner = t.forecast.c.model_id if table is t.forecast else t.observation.c.station_id
    query = (
        sa.select(
            name,
            *(column for column in table.primary_key if not column.name.endswith(("model_id", "station_id"))),
            *(table.c[parameter.value] for parameter in Parameter),
            *(batch.c[each] for each in also),
        )
        .join_from(table, batch, batch.c.id == table.c.batch_id)
        .join(name.table, name.table.c.id == owner)
    )
    with database.read() as connection:
        return sorted((tuple(row) for row in connection.execute(query)), key=repr)


# --- Values, there and back ---------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["csv", "parquet"])
def test_exported_forecasts_come_back_the_same(
    store: Store, another: Store, tmp_path: Path, kind: str
) -> None:
    frames = list(forecast_frames(store.database, Choice()))
    path = written(tmp_path / f"all.{kind}", FORECASTS, frames)
    done = import_forecasts(another.database, forecast_table(path), another.sites(), LATER)
    assert (done.rows, done.new) == (144, 144)
    found = values(another.database, t.forecast, "available_at")
    assert found == values(store.database, t.forecast, "available_at")
    assert set(rows(another.database, t.forecast_batch, "source", "published")) == {("import", False)}


@pytest.mark.parametrize("kind", ["csv", "parquet"])
def test_exported_readings_come_back_the_same(
    store: Store, another: Store, tmp_path: Path, kind: str
) -> None:
    path = written(tmp_path / f"all.{kind}", OBSERVATIONS, list(observation_frames(store.database, Choice())))
    stations = ["ffvl:2496", "romma:77"]
    done = import_observations(another.database, observation_table(path), stations, LATER)
    assert (done.rows, done.new) == (9, 9)
    how = ("averaging_minutes", "direction_resolution")
    assert values(another.database, t.observation, *how) == values(store.database, t.observation, *how)


def test_a_csv_file_is_written_so_that_anyone_can_read_it(store: Store, tmp_path: Path) -> None:
    choice = Choice(sites=["planfait"], models=["arome_0025"], first=local_day(NOW), last=local_day(NOW))
    frames = list(forecast_frames(store.database, choice, [WIND]))
    lines = written(tmp_path / "a.csv", FORECASTS, frames).read_text().splitlines()
    assert lines[:2] == [
        "model,site,parameter,reference_time,valid_time,value,available_at,available_at_published,"
        "collected_at,source",
        "arome_0025,planfait,wind_speed,2026-07-15T06:00:00Z,2026-07-15T06:00:00Z,12.345,"
        "2026-07-15T10:00:00Z,true,2026-07-15T12:10:00Z,arome",
    ]
    assert len(lines) == 4


def test_rows_come_in_the_order_of_their_keys(store: Store) -> None:
    frame = pl.concat(forecast_frames(store.database, Choice()))
    order = {parameter.value: parameter.number for parameter in Parameter}
    keys = [
        (row["site"], row["valid_time"], row["model"], row["reference_time"], order[row["parameter"]])
        for row in frame.iter_rows(named=True)
    ]
    assert keys == sorted(keys)
    assert frame.schema == pl.Schema(schema(FORECASTS))
    assert frame["value"].null_count() == 0


def test_only_chosen_values_are_exported(store: Store) -> None:
    today = local_day(NOW)
    of_day = pl.concat(forecast_frames(store.database, Choice(first=today, last=today)))
    assert {moment.day for moment in of_day["valid_time"]} == {15}
    of_model = pl.concat(forecast_frames(store.database, Choice(models=["meteo_parapente"], sites=["passy"])))
    assert set(of_model["model"]) == {"meteo_parapente"} and set(of_model["site"]) == {"passy"}
    of_site = pl.concat(observation_frames(store.database, Choice(sites=["planfait"])))
    assert set(of_site["station"]) == {"ffvl:2496"}
    of_station = pl.concat(observation_frames(store.database, Choice(stations=["romma:77"]), [TEMPERATURE]))
    assert set(of_station["station"]) == {"romma:77"} and len(of_station) == 3
    assert not list(forecast_frames(store.database, Choice(last=today - 100)))


@pytest.mark.parametrize(
    "choice", [Choice(sites=["nowhere"]), Choice(models=["x"]), Choice(stations=["ffvl:1"])]
)
def test_what_is_not_known_is_not_an_empty_file(store: Store, choice: Choice) -> None:
    frames = observation_frames if choice.stations else forecast_frames
    with pytest.raises(NotFoundError, match="there is no"):
        list(frames(store.database, choice))
    with pytest.raises(NotFoundError, match="there is no"):
        list(pair_frames(store.database, choice, VIEWS))


def test_nothing_is_lost_where_one_month_ends_and_the_next_begins(database_url: str) -> None:
    store, month = open_store(database_url), 30 * 1440
    minutes = [0, 1, month - 1, month, month + 1, 5 * month, 9 * month]
    store.add_observations(observations(*(reading(back % 50, minutes=back) for back in minutes)))
    found = pl.concat(observation_frames(store.database, Choice()))
    assert found["time"].to_list() == [
        NOW.replace(minute=0) - timedelta(minutes=back) for back in reversed(minutes)
    ]


def test_values_are_looked_up_and_no_table_is_walked(store: Store) -> None:
    plans = query_plans(store.database, lambda: list(forecast_frames(store.database, Choice())))
    plans += query_plans(store.database, lambda: list(observation_frames(store.database, Choice())))
    of_values = [plan for plan in plans if "forecast" in plan or "observation" in plan]
    assert of_values
    if store.database.path is not None:  # PostgreSQL rightly walks a table of a hundred rows
        assert not [plan for plan in of_values if walks(plan, t.forecast, t.observation)]


def test_an_export_shows_one_state_of_the_store(store: Store) -> None:
    frames = forecast_frames(store.database, Choice())
    first = next(frames)
    store.add_forecasts(forecasts(forecast(99, hours=9, site="planfait")))
    assert 99 not in set(pl.concat([first, *frames])["value"])


# --- Pairs and scores ---------------------------------------------------------------------------------


def test_the_scores_can_be_made_from_the_pairs(world: Store) -> None:
    choice = Choice(sites=["planfait"])
    pairs = pl.concat(pair_frames(world.database, choice, [MORNING, NEAREST]))
    clock = pl.col("valid_time").dt.convert_time_zone("Europe/Paris").dt.hour()
    scores = pl.concat(
        pl.concat(score_frames(world.database, choice, [MORNING, NEAREST], hours=hours)) for hours in Hours
    )
    compared = 0
    for row in scores.filter(~pl.col("reference")).iter_rows(named=True):
        if row["quantity"] == "wind":
            continue
        errors = pairs.filter(
            pl.col("model") == row["model"],
            pl.col("view") == row["view"],
            pl.col("quantity") == row["quantity"],
            clock.is_between(*{"flying": (10, 18), "day": (8, 19), "all": (0, 23)}[row["hours"]]),
        )["error"]
        assert len(errors) == row["n_pairs"]
        assert errors.abs().mean() == pytest.approx(row["mae"], abs=1e-9)
        if row["quantity"] != "wind_direction":
            assert errors.mean() == pytest.approx(row["mean_error"], abs=1e-9)
        compared += 1
    assert compared == 3 * 2 * 2 * 4  # hours, views, models, and quantities that are measured: no gusts
    assert set(scores["model"]) > {"yesterday", "climatology", "model_mean"}


def test_a_pair_has_its_run_and_the_offset_of_its_reading(world: Store) -> None:
    pairs = pl.concat(pair_frames(world.database, Choice(models=["arome_0025"]), [MORNING], SINGLE_VALUED))
    assert pairs.schema == pl.Schema(schema(PAIRS))
    lead = (pairs["valid_time"] - pairs["reference_time"]).dt.total_minutes()
    assert (lead == pairs["lead_minutes"]).all() and lead.min() is not None
    assert (pairs["reference_time"].dt.hour() == 6).all()
    scalar = pairs.filter(pl.col("quantity") != "wind_direction")
    assert np.allclose(scalar["error"], scalar["forecast"] - scalar["observation"])
    turned = pairs.filter(pl.col("quantity") == "wind_direction")["error"]
    assert turned.is_between(-180, 180, closed="right").all()
    winds = pairs.filter(pl.col("quantity") == "wind_speed")["report_offset_minutes"]
    assert winds.null_count() == 0 and winds.is_between(-10, 10).all()
    others = pairs.filter(pl.col("quantity") != "wind_speed")["report_offset_minutes"]
    assert others.null_count() == len(others)


def test_scores_have_their_columns_and_an_empty_one_is_absent(world: Store) -> None:
    scores = pl.concat(score_frames(world.database, Choice(), [EVENING_BEFORE], [Quantity.WIND_SPEED]))
    assert scores.schema == pl.Schema(schema(SCORES))
    assert scores["circular_bias"].null_count() == len(scores)
    assert sorted(scores["rank"].drop_nulls().to_list()) == [1, 2]
    assert set(scores["finding"]) == {"winner"}
    best = scores.filter(pl.col("rank") == 1).row(0, named=True)
    assert best["mae_low"] <= best["mae"] <= best["mae_high"]


# --- verif --------------------------------------------------------------------------------------------


def verif_file(world: Store, path: Path, parameter: Parameter = WIND) -> Path:
    choice, quantity = Choice(models=["arome_0025"]), Quantity(parameter.value)
    if parameter is TEMPERATURE:
        quantity = Quantity.TEMPERATURE_RAW
    with path.open("w") as file:
        count = write_verif(
            file,
            parameter,
            "arome_0025",
            places(world.database, choice),
            pair_frames(world.database, choice, [MORNING], [quantity]),
        )
    assert count > 500
    return path


def test_a_verif_file_has_the_form_that_verif_reads(world: Store, tmp_path: Path) -> None:
    lines = verif_file(world, tmp_path / "wind.txt").read_text().splitlines()
    site = SITES["planfait"]
    assert lines[:5] == [
        "# variable: wind_speed",
        "# units: km/h",
        "# model: arome_0025",
        f"# locations: 1=planfait,{site.stations[0]}",
        "unixtime leadtime location lat lon altitude obs fcst",
    ]
    for line in lines[5:]:
        cells = [float(cell) for cell in line.split()]  # verif takes anything else for a missing value
        assert len(cells) == 8 and cells[0] % 3600 == 0 and cells[2] == 1
        assert cells[3:6] == pytest.approx([site.latitude, site.longitude, site.elevation], abs=1e-3)
    pairs = pl.concat(
        pair_frames(world.database, Choice(models=["arome_0025"]), [MORNING], [Quantity.WIND_SPEED])
    )
    assert [float(line.split()[7]) - float(line.split()[6]) for line in lines[5:]] == pytest.approx(
        pairs["error"].to_list(), abs=1e-3
    )


@pytest.mark.parametrize("parameter", [WIND, DIRECTION, TEMPERATURE])
def test_both_sides_of_a_verif_file_come_back_the_same(
    world: Store, tmp_path: Path, parameter: Parameter
) -> None:
    path = verif_file(world, tmp_path / "pairs.txt", parameter)
    (tmp_path / "new").mkdir()
    store, now = open_store(sqlite_url(tmp_path / "new"), SITES["planfait"]), END
    station = SITES["planfait"].stations[0]
    import_forecasts(store.database, forecast_table(path), store.sites(), now)
    table = observation_table(path)
    done = import_observations(store.database, table, [station], now, merge_same=True)
    assert done.new == done.rows
    update(store.database, now)
    quantity = Quantity.TEMPERATURE_RAW if parameter is TEMPERATURE else Quantity(parameter.value)
    choice = Choice(models=["arome_0025"])
    before = pl.concat(pair_frames(world.database, choice, [MORNING], [quantity])).sort("valid_time")
    forecasts = pl.concat(forecast_frames(store.database, Choice())).sort("valid_time")
    assert forecasts["value"].to_list() == pytest.approx(before["forecast"].to_list(), abs=1e-3)
    assert forecasts["reference_time"].to_list() == before["reference_time"].to_list()
    measured = pl.concat(observation_frames(store.database, Choice()))
    assert measured["value"].to_list() == pytest.approx(before["observation"].to_list(), abs=1e-3)


def test_a_lead_of_any_minutes_comes_back_from_a_verif_file(tmp_path: Path) -> None:
    path = tmp_path / "v.txt"
    run = datetime(2026, 7, 2, 6, 10, tzinfo=UTC)
    frame = pl.DataFrame(
        {
            "site": ["planfait"],
            "station": ["ffvl:2496"],
            "reference_time": [run],
            "lead_minutes": [50],
            "observation": [10.0],
            "forecast": [12.0],
        }
    )
    with path.open("w") as file:
        place = Place("planfait", "ffvl:2496", 45.9, 6.2, 900.0)
        assert write_verif(file, WIND, "arome_0025", [place], [frame]) == 1
    (piece,) = forecast_table(path).pieces()
    assert piece["valid_time"].to_list() == ["2026-07-02T07:00:00+00:00"]


VERIF = """# variable: temperature
# units: $^oC$
# locations: 214=planfait,ffvl:2496
date     hour offset id   lat  lon elev obs  fcst p10
20260701 6    1      214  45.8 6.2 950  20.0 21.5 0.9
20260701 6    2.5    214  45.8 6.2 950  -999 22   0.9
20260701 0    7      214  45.8 6.2 950  20   NA   0.9

20260701 0    8      passy 45.9 6.7 1340 nan -1 0.9
"""


def test_a_file_of_verif_itself_is_read_with_its_older_names_and_gaps(another: Store, tmp_path: Path) -> None:
    path = tmp_path / "t.txt"
    path.write_text(VERIF)
    done = import_forecasts(another.database, forecast_table(path, "ecmwf"), another.sites(), NOW)
    assert (done.rows, done.new) == (3, 3)
    forecasts = pl.concat(forecast_frames(another.database, Choice()))
    assert [
        (row["site"], row["model"], f"{row['valid_time']:%H:%M}", row["value"])
        for row in forecasts.iter_rows(named=True)
    ] == [
        ("passy", "ecmwf", "08:00", -1),
        ("planfait", "ecmwf", "07:00", 21.5),
        ("planfait", "ecmwf", "08:30", 22),
    ]
    table = observation_table(path)
    done = import_observations(another.database, table, ["ffvl:2496"], NOW, merge_same=True)
    assert (done.rows, done.new) == (1, 1), "the reading stands beside each forecast of it"


@pytest.mark.parametrize(
    ("change", "rule"),
    [
        (("# variable: temperature\n", ""), "variable = '': must be one of wind_speed"),
        (("$^oC$", "K"), "units = 'K': temperature must be in °C"),
        (("214=planfait,", "214="), "line 5: site = 'ffvl:2496': is not a site on the list"),
        (("# locations: 214=planfait,ffvl:2496\n", ""), "line 4: site = '214': is not a site on the list"),
        (("214=planfait", "planfait"), "locations: 'planfait,ffvl:2496': must be number=site,station"),
        (("obs  fcst", "obs  model"), "line 4: the header has no fcst"),
        (("21.5 0.9", "21.5"), "line 5: has 9 cells: must have as many as the header, 10"),
        (("21.5 0.9", "warm 0.9"), "line 5: value = 'warm': is not a number"),
        (("21.5 0.9", "98.1 0.9"), "line 5: value = '98.1': must be from -40 to 50"),
        (("20260701 6    1 ", "2026-07-1 6    1 "), "line 5: reference_time = '2026-07-1 6': is not a time"),
        (("20260701 6    2.5", "20260701 6    1"), "line 6: has the same model, reference_time"),
        (("6    1      214", "6    x      214"), "line 5: valid_time = 'x': is not a time"),
    ],
)
def test_a_verif_file_keeps_every_rule_too(
    another: Store, tmp_path: Path, change: tuple[str, str], rule: str
) -> None:
    path = tmp_path / "t.txt"
    path.write_text(VERIF.replace(*change))
    with pytest.raises(ConfigError) as refused:
        import_forecasts(another.database, forecast_table(path, "ecmwf"), another.sites(), NOW)
    assert rule in str(refused.value)
    assert not rows(another.database, t.forecast, "batch_id")


def test_a_verif_file_must_name_its_model(tmp_path: Path) -> None:
    path = tmp_path / "t.txt"
    path.write_text(VERIF)
    with pytest.raises(ConfigError, match="names no model"):
        forecast_table(path)
    with pytest.raises(ConfigError, match="--model is for"):
        forecast_table(tmp_path / "t.csv", "ecmwf")


def test_a_reading_that_a_verif_file_gives_two_values_is_refused(another: Store, tmp_path: Path) -> None:
    path = tmp_path / "t.txt"
    path.write_text(VERIF.replace("7      214  45.8 6.2 950  20 ", "7      214  45.8 6.2 950  21 "))
    with pytest.raises(ConfigError, match="line 7: has the same station, time, parameter as line 5"):
        import_observations(another.database, observation_table(path), ["ffvl:2496"], NOW, merge_same=True)


# --- Files --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["csv", "parquet"])
def test_a_file_that_fails_is_not_there(tmp_path: Path, kind: str) -> None:
    path = tmp_path / f"a.{kind}"
    with pytest.raises(NotFoundError), new_file(path, PAIRS, force=False):
        raise NotFoundError("the store went away")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["a.csv", ".a.csv.part", "a.parquet", ".a.parquet.part"])
def test_a_link_that_lies_in_the_way_is_never_written_through(tmp_path: Path, name: str) -> None:
    victim = tmp_path / "victim"
    victim.write_text("mine")
    (tmp_path / name).symlink_to(victim)
    path = tmp_path / name.removeprefix(".").removesuffix(".part")
    if not name.endswith(".part"):
        with pytest.raises(ConfigError, match="exists already"), new_file(path, PAIRS, force=False):
            pytest.fail("a link is a file that is there")
    with new_file(path, PAIRS, force=True):
        pass
    assert victim.read_text() == "mine"
    assert not path.is_symlink()


def test_a_link_to_nowhere_is_a_file_that_is_there(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.symlink_to(tmp_path / "nowhere")
    with pytest.raises(ConfigError, match="exists already"), new_file(path, PAIRS, force=False):
        pytest.fail("it would have been written to nowhere")
    assert not (tmp_path / "nowhere").exists()


def test_an_existing_file_stays_unless_forced(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text("mine")
    with pytest.raises(ConfigError, match="exists already"), new_file(path, PAIRS, force=False):
        pass
    assert path.read_text() == "mine"
    with new_file(path, PAIRS, force=True):
        pass
    assert path.read_text().startswith("site,station,model,view")
    with (
        pytest.raises(ConfigError, match="must end in"),
        new_file(tmp_path / "a.xls", PAIRS, force=False),
    ):
        pass
    with (
        pytest.raises(MeteoScoreError, match="cannot be written"),
        new_file(tmp_path / "no" / "a.csv", PAIRS, force=False),
    ):
        pass


def test_many_frames_become_one_parquet_file_in_their_order(tmp_path: Path) -> None:
    columns = PAIRS[6:8]
    frames = [
        pl.DataFrame(
            {column.name: pl.arange(start, start + 90_000, eager=True).cast(pl.Float64) for column in columns}
        )
        for start in range(0, 450_000, 90_000)
    ]
    path = written(tmp_path / "a.parquet", columns, frames)
    assert_frame_equal(pl.read_parquet(path), pl.concat(frames))


# --- The command --------------------------------------------------------------------------------------


@pytest.fixture
def environment(world: Store, tmp_path: Path) -> Environment:
    """Settings for a copy of the world, which a command may write into."""
    copy = tmp_path / "world.sqlite3"
    with closing(sqlite3.connect(world.database.path or "")) as connection:
        connection.execute("VACUUM INTO ?", (str(copy),))
    return outside() | {
        "DATABASE_URL": f"sqlite:///{copy}",
        "DATA_DIR": str(tmp_path),
        "SITES_FROM": "database",
    }


def test_export_writes_a_dictionary_that_names_every_column_and_source(
    environment: Environment, tmp_path: Path
) -> None:
    for what, columns in (("pairs", PAIRS), ("scores", SCORES)):
        path = tmp_path / f"{what}.csv"
        result = typed(f"export {what} --view morning --parameter wind_speed -o {path}", environment)
        assert result.exit_code == 0, result.output
        text = (tmp_path / f"{what}.csv.dictionary.md").read_text()
        assert path.read_text().partition("\n")[0] == ",".join(column.name for column in columns)
        for column in columns:
            assert f"| `{column.name}` | {column.kind} | {column.unit} | {column.meaning} |" in text
        assert "An error is forecast − observation" in text
        assert "Licence Ouverte" in text and "Source : FFVL" in text
        assert "| meteo_parapente | MeteoParapente, meteo-parapente.com | **no** |" in text


def test_raw_values_that_may_not_be_passed_on_are_named_and_scores_are_not(
    environment: Environment, tmp_path: Path
) -> None:
    result = typed(
        f"export forecasts -o {tmp_path / 'f.parquet'} --from 2026-07-01 --to 2026-07-02", environment
    )
    assert result.exit_code == 0, result.output
    assert "do not pass this file on: it holds raw values of meteo_parapente." in result.stderr
    assert "**Do not pass this file on**" in (tmp_path / "f.parquet.dictionary.md").read_text()

    free = typed(
        f"export forecasts --json -o {tmp_path / 'a.csv'} --model arome_0025 --to 2026-06-03", environment
    )
    assert json.loads(free.stdout)["notToBePassedOn"] == []
    assert "Do not pass" not in (tmp_path / "a.csv.dictionary.md").read_text()

    scores = typed(f"export scores -o {tmp_path / 's.csv'} --view noon --parameter wind_speed", environment)
    assert (scores.exit_code, scores.stderr) == (0, "")
    assert "it may be passed on" in (tmp_path / "s.csv.dictionary.md").read_text()


# --- What may be published ------------------------------------------------------------------------------

PLACE = Site(
    id="deux", name="Deux", latitude=45.9, longitude=6.7, elevation=1400.0, stations=("ffvl:1", "romma:2")
)
BEGINS = date(2026, 6, 1)


def kept_store(folder: Path, site: Site = PLACE, days: int = 40) -> Database:
    """Return a store: stations with 20 and 24 km/h, forecasts of 25 (AROME) and 28 km/h (the other model)."""
    database = Database(sqlite_url(folder), durable=False)
    make_tables(database)
    noise = np.random.default_rng(3).normal(0, 1, (2, days, 25))
    keep(
        database,
        site,
        BEGINS,
        models={
            "arome_0025": {WIND: constant(days, 25.0) + noise[0]},
            "meteo_parapente": {WIND: constant(days, 28.0) + noise[1]},
        },
        stations={"ffvl:1": {WIND: constant(days, 20.0)}, "romma:2": {WIND: constant(days, 24.0)}},
    )
    return database


def settings_of(folder: Path) -> Environment:
    return outside() | {"DATABASE_URL": sqlite_url(folder), "DATA_DIR": str(folder), "SITES_FROM": "database"}


def changing(folder: Path) -> Database:
    """Return the same where the second station follows the first after twenty days."""
    references = (Reference("ffvl:1"), Reference("romma:2", BEGINS + 20 * DAY))
    return kept_store(folder, replace(PLACE, references=references))


def test_a_pair_is_with_the_station_that_spoke_on_its_day(tmp_path: Path) -> None:
    database, choice = changing(tmp_path), Choice(models=["arome_0025"])
    pairs = pl.concat(pair_frames(database, choice, [EVENING_BEFORE]))
    found = pairs.group_by("station", "observation").len().sort("station").rows()
    assert found == [("ffvl:1", 20.0, 480), ("romma:2", 24.0, 480)]
    change = pairs.filter(pl.col("station") == "romma:2")["valid_time"].min()
    assert change == datetime(2026, 6, 20, 22, tzinfo=UTC)
    assert [place.station for place in places(database, choice)] == ["ffvl:1", "romma:2"]
    with (tmp_path / "v.txt").open("w") as file:
        frames = pair_frames(database, choice, [EVENING_BEFORE], [Quantity.WIND_SPEED])
        assert write_verif(file, WIND, "arome_0025", places(database, choice), frames) == 960


def test_both_networks_of_a_site_are_named_and_credited(tmp_path: Path) -> None:
    changing(tmp_path).close()
    settings = settings_of(tmp_path)
    for what in ("pairs", "scores"):
        result = typed(f"export {what} --json -o {tmp_path / what}.csv --view evening_before", settings)
        assert result.exit_code == 0, result.output
        assert any("ROMMA" in each for each in json.loads(result.stdout)["attribution"])
    result = typed(
        f"export pairs --json -o {tmp_path}/a.csv --model arome_0025 --view evening_before", settings
    )
    assert json.loads(result.stdout)["notToBePassedOn"] == ["romma"]


def test_a_source_that_is_off_keeps_its_terms(tmp_path: Path) -> None:
    database = kept_store(tmp_path)
    models = {"icon_d2": {WIND: constant(40, 26.0)}}
    keep(database, PLACE, BEGINS, models=models, stations={"ffvl:1": {WIND: constant(40, 20.0)}})
    database.close()
    settings = settings_of(tmp_path)
    result = typed(f"export pairs --json -o {tmp_path}/a.csv --view evening_before", settings)
    assert json.loads(result.stdout)["notToBePassedOn"] == []
    assert any("Open-Meteo" in each for each in json.loads(result.stdout)["attribution"])


def test_the_dictionary_names_all_whose_values_scores_rest_on(tmp_path: Path) -> None:
    kept_store(tmp_path).close()
    settings = settings_of(tmp_path)
    path = tmp_path / "s.csv"
    typed(f"export scores -o {path} --view evening_before", settings)
    assert set(pl.read_csv(path)["rounded"]) == {True}
    text = (tmp_path / "s.csv.dictionary.md").read_text()
    assert "| meteo_parapente |" in text and "scores are of whole calendar months" in text


def test_scores_of_a_few_days_are_absent(tmp_path: Path) -> None:
    """A day's own value follows from the means of that day and of the day before."""
    database, choice = kept_store(tmp_path, days=20), Choice(last=day_number(BEGINS) + 13)
    values = [column.name for column in SCORES if column.kind == "number" and column.name != "p_value"]
    for last, absent in ((13, True), (14, False)):
        chosen = replace(choice, last=day_number(BEGINS) + last)
        (scores,) = score_frames(database, chosen, [EVENING_BEFORE], [Quantity.WIND_SPEED])
        models = scores.filter(~pl.col("reference"))
        assert set(models["n_days"]) == {last + 1}
        assert (models["mae"].null_count() == len(models)) is absent
        assert any(models[name].null_count() < len(models) for name in values) is not absent


SEPTEMBER = datetime(2026, 9, 1, tzinfo=UTC)
JULY = date(2026, 7, 1), date(2026, 7, 31)


def romma(models: set[str], stations: set[str]) -> bool:
    return any(station.startswith("romma:") for station in stations)


def scores_of(database: Database, choice: Choice, **options: Any) -> list[pl.DataFrame]:
    return list(score_frames(database, choice, [EVENING_BEFORE], [Quantity.WIND_SPEED], **options))


def test_scores_with_a_withheld_source_are_of_published_months_and_coarse(tmp_path: Path) -> None:
    database = kept_store(tmp_path, days=70)
    publish(database, SEPTEMBER)
    exact, coarse = scores_of(database, Choice(stations=["ffvl:1", "romma:2"]), withheld=romma)
    assert (set(exact["rounded"]), set(coarse["rounded"])) == ({False}, {True})
    assert set(zip(coarse["first_day"], coarse["last_day"], strict=True)) == {(date(2026, 5, 1), JULY[1])}
    models = coarse.filter(~pl.col("reference"))
    for name in ("mae", "mean_error", "mae_low"):
        assert (models[name].round(1) - models[name]).abs().to_numpy().max() < 1e-6
        assert not (exact[name].round(1) == exact[name]).all()
    for name in ("rmse", "correlation", "error_sd", "p90", "median", "p_value"):
        assert coarse[name].null_count() == len(coarse)
    assert (coarse["n_pairs"] % 10 == 0).all()
    naive = coarse.filter(pl.col("model") == "yesterday")
    assert naive["mean_error"].null_count() == len(naive)


def test_other_days_than_published_ones_are_refused_with_those(tmp_path: Path) -> None:
    database = kept_store(tmp_path, days=70)
    publish(database, SEPTEMBER)
    first, last = map(day_number, JULY)
    (frame,) = scores_of(database, Choice(stations=["romma:2"], first=first, last=last), withheld=romma)
    assert set(zip(frame["first_day"], frame["last_day"], strict=True)) == {JULY}
    with pytest.raises(ConfigError, match="2026-07-01 to 2026-07-31"):
        scores_of(database, Choice(stations=["romma:2"], first=first + 1, last=last), withheld=romma)
    (other,) = scores_of(database, Choice(stations=["ffvl:1"], first=first + 1), withheld=romma)
    assert set(other["rounded"]) == {False}


def test_chosen_public_models_keep_any_days_without_the_withheld_ones(tmp_path: Path) -> None:
    database = kept_store(tmp_path, days=70)
    publish(database, SEPTEMBER)
    first, last = map(day_number, JULY)
    days = Choice(first=first + 3, last=last - 2)

    def meteo_parapente(models: set[str], stations: set[str]) -> bool:
        return "meteo_parapente" in models

    rest_on: set[str] = set()
    (frame,) = scores_of(
        database,
        replace(days, models=["arome_0025"], stations=["ffvl:1"]),
        withheld=meteo_parapente,
        taking_part=lambda models, stations: rest_on.update(models),
    )
    assert (set(frame["rounded"]), "meteo_parapente" in rest_on) == ({False}, False)
    for chosen in (replace(days, stations=["ffvl:1"]), replace(days, models=["meteo_parapente"])):
        with pytest.raises(ConfigError, match="whole calendar months"):
            scores_of(database, chosen, withheld=meteo_parapente)


def test_a_site_without_a_published_period_is_left_out_and_named(tmp_path: Path) -> None:
    database = kept_store(tmp_path)
    left_out: list[str] = []
    assert scores_of(database, Choice(stations=["romma:2"]), withheld=romma, left_out=left_out.append) == []
    assert left_out == [PLACE.id]


def test_exact_scores_of_any_days_are_the_operators(tmp_path: Path) -> None:
    kept_store(tmp_path).close()
    days = f"--from {BEGINS + 3 * DAY} --to {BEGINS + 33 * DAY} --view evening_before"
    refused = typed(f"export scores {days} -o {tmp_path}/a.csv", settings_of(tmp_path))
    done = typed(f"export scores {days} --exact -o {tmp_path}/b.csv", settings_of(tmp_path))
    assert (refused.exit_code, done.exit_code) == (2, 0)
    assert set(pl.read_csv(tmp_path / "b.csv")["rounded"]) == {False}
    assert "do not pass this file on: it holds exact scores" in done.stderr
    assert "**Do not pass this file on**" in (tmp_path / "b.csv.dictionary.md").read_text()


def test_a_winner_stands_by_its_weakest_comparison_in_a_list_of_all(tmp_path: Path) -> None:
    database = kept_store(tmp_path)
    (scores,) = score_frames(database, Choice(), [EVENING_BEFORE], [Quantity.WIND_SPEED])
    assert scores["p_value"].null_count() == 0
    assert set(scores.filter(pl.col("finding") == "winner")["stands"]) == {True}


def test_the_weakest_comparison_of_a_winner_is_not_always_that_with_the_second(tmp_path: Path) -> None:
    """The third errs more, but not on every day: that it is beaten is less sure than that the second is."""
    database = kept_store(tmp_path)
    by_day = np.random.default_rng(4).normal(0, 5, (40, 1))
    models = {
        "arome_0025": {WIND: constant(40, 25.0) + np.random.default_rng(6).normal(0, 0.1, (40, 25))},
        "icon_d2": {WIND: constant(40, 26.0) + np.random.default_rng(5).normal(0, 0.1, (40, 25))},
        "gfs_global": {WIND: constant(40, 30.0) + by_day},
    }
    stations = {"ffvl:1": {WIND: constant(40, 20.0)}}
    keep(database, PLACE, BEGINS, models=models, stations=stations)
    (scores,) = score_frames(database, Choice(), [EVENING_BEFORE], [Quantity.WIND_SPEED], hours=Hours.ALL)
    first = day_number(BEGINS)
    ranking = Scorecard(Samples(database).load(PLACE, EVENING_BEFORE, first, first + 39)).ranking(
        Quantity.WIND_SPEED
    )
    found = {duel.b: duel.comparison.test.p_value for duel in ranking.duels if duel.comparison.test}
    assert (ranking.finding, ranking.duels[0].b) == (Finding.WINNER, "icon_d2")
    assert found["gfs_global"] > 100 * found["icon_d2"]
    assert set(scores["p_value"]) == {found["gfs_global"]}


def history(folder: Path) -> tuple[Path, Path]:
    """Write five days of forecasts and readings of the year before the world began."""
    moments = [f"2025-06-0{day}T{hour:02}" for day in range(1, 6) for hour in range(24)]
    lines = [f"my_wrf,planfait,wind_speed,{moment[:10]}T00:00:00Z,{moment}:00:00Z,20" for moment in moments]
    station = SITES["planfait"].stations[0]
    measured = [
        f"{station},wind_speed,{moment}:05:00Z,{15 + number % 3},10" for number, moment in enumerate(moments)
    ]
    forecasts_file, readings_file = folder / "history.csv", folder / "readings.csv"
    forecasts_file.write_text("\n".join(["model,site,parameter,reference_time,valid_time,value", *lines]))
    readings_file.write_text("\n".join(["station,parameter,time,value,averaging_minutes", *measured]))
    return forecasts_file, readings_file


def test_what_was_exported_is_imported_by_the_command(environment: Environment, tmp_path: Path) -> None:
    given, out = history(tmp_path)[0], tmp_path / "out.csv"
    dry = typed(f"import forecasts --dry-run {given}", environment)
    assert "120 forecasts follow every rule. Dry run: nothing was stored." in dry.stdout
    assert typed(f"import forecasts {given}", environment).stdout.endswith("120 forecasts\n  120 new\n")
    again = typed(f"import forecasts {given}", environment)
    assert again.stdout.endswith("120 forecasts\n  0 new\n  120 already stored\n")
    assert typed(f"export forecasts --model my_wrf -o {out}", environment).exit_code == 0
    done = json.loads(typed(f"import forecasts --json {out}", environment).stdout)
    assert (done["rows"], done["new"], done["known"]) == (120, 0, 120)


def test_a_corrected_file_is_refused_without_replace(environment: Environment, tmp_path: Path) -> None:
    given, corrected = history(tmp_path)[0], tmp_path / "corrected.csv"
    assert typed(f"import forecasts {given}", environment).exit_code == 0
    corrected.write_text(given.read_text().replace("T07:00:00Z,20", "T07:00:00Z,21.5"))
    refused = typed(f"import forecasts {corrected}", environment)
    assert (refused.exit_code, refused.stdout) == (2, "")
    assert "corrected.csv, line 9: value = 21.5: 20 is stored" in refused.stderr
    assert "nothing was stored: --replace stores the values of the file" in refused.stderr
    assert typed("import replaced", environment).stdout == "No import has replaced a value.\n"

    done = typed(f"import forecasts --replace {corrected}", environment)
    assert "  0 new\n  115 already stored\n  5 replace another value" in done.stdout
    assert max(map(len, done.stdout.splitlines()[1:])) <= 80
    shown = typed("import replaced --limit 2", environment).stdout
    assert "  my_wrf at planfait: wind_speed of 2025-06-05 07:00 UTC, run of 2025-06-05 00:00 UTC\n" in shown
    assert "  was 20 km/h, available " in shown and "  is  21.5 km/h, available " in shown
    assert shown.endswith("and 3 more: see --limit\n")
    record = json.loads(typed("import replaced --json", environment).stdout)
    assert (record["count"], record["values"][0]["old"]["value"]) == (5, 20.0)
    assert record["values"][0]["file"] == str(corrected)


def test_an_import_that_is_refused_ends_with_two_and_the_lines(
    environment: Environment, tmp_path: Path
) -> None:
    path = tmp_path / "f.csv"
    path.write_text("model,site,parameter,reference_time,valid_time,value\nm,x,wind_speed,a,b,c\n")
    result = typed(f"import forecasts {path}", environment)
    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr.startswith(f"meteo-score: {path}, line 2: site = 'x': is not a site on the list")


def test_scores_follow_an_import_at_once(environment: Environment, tmp_path: Path) -> None:
    forecasts, readings = history(tmp_path)
    assert typed(f"import forecasts {forecasts}", environment).exit_code == 0
    assert typed(f"import observations {readings}", environment).exit_code == 0
    out = tmp_path / "s.csv"
    assert (
        typed(
            f"export scores --exact --hours all --model my_wrf --parameter wind_speed -o {out}", environment
        ).exit_code
        == 0
    )
    scores = pl.read_csv(out)
    assert set(scores["view"]) == {"lead_0_5", "lead_6_11", "lead_12_23"}
    assert set(scores["hours"]) == {"all"}
    terms = "from a file, or from a source unknown to this version: its terms are not known here"
    assert terms in (tmp_path / "s.csv.dictionary.md").read_text()
    raw = f"export forecasts --model my_wrf -o {tmp_path / 'raw.csv'}"
    assert "do not pass this file on" in typed(raw, environment).stderr
    declared = typed(f"{raw} --force", environment | {"PUBLIC_IMPORTS": "my_wrf"})
    assert (declared.exit_code, declared.stderr) == (0, "")
    assert "| my_wrf | imported from a file | yes |" in (tmp_path / "raw.csv.dictionary.md").read_text()


@pytest.mark.parametrize(
    ("line", "rule"),
    [
        ("export pairs -o a.csv --view dawn", "--view dawn: must be one of morning"),
        ("export pairs -o a.csv --parameter wind", "has no pairs"),
        ("export pairs -o a.csv --from 2026-07-02 --to 2026-07-01", "must not be later than --to"),
        ("export pairs -o a.txt", "must end in .csv or .parquet"),
        ("export verif -o a.csv --model arome_0025 --parameter wind_speed --view noon", "must end in .txt"),
        ("export scores -o a.csv --site nowhere", "there is no site 'nowhere'"),
        ("export forecasts -o a.csv --site planfit", "no site 'planfit' (did you mean 'planfait'?)"),
        ("export observations -o a.csv --site planfit", "no site 'planfit' (did you mean 'planfait'?)"),
    ],
)
def test_what_cannot_be_exported_ends_with_two_and_a_reason(
    environment: Environment, line: str, rule: str
) -> None:
    result = typed(line, environment)
    assert result.exit_code == 2 and rule in result.stderr


def test_the_verif_command_writes_file_and_dictionary(environment: Environment, tmp_path: Path) -> None:
    path = tmp_path / "v.txt"
    line = (
        f"export verif -o {path} --model meteo_parapente --parameter temperature --view noon --to 2026-06-20"
    )
    result = typed(line, environment)
    assert result.exit_code == 0, result.output
    assert "raw values of meteo_parapente" in result.stderr
    assert path.read_text().startswith("# variable: temperature\n# units: °C\n# model: meteo_parapente\n")
    assert "| `leadtime` | number | hours |" in (tmp_path / "v.txt.dictionary.md").read_text()


def test_the_example_of_the_page_works_word_by_word(tmp_path: Path) -> None:
    root = Path(__file__).parents[3]
    page = (root / "docs" / "import-export.md").read_text()
    example, shown = re.findall(r"```(?:sh|csv)\n(.*?)```", page, re.DOTALL)[:2]
    environment = outside() | {
        "DATA_DIR": str(tmp_path),
        "DATABASE_URL": f"sqlite:///{tmp_path / 'store.sqlite3'}",
        "SITES_FILE": str(root / "sites.toml"),
        "PATH": f"{METEO_SCORE.parent}:{os.environ['PATH']}",
    }
    done = subprocess.run(
        ["bash", "-e", "-c", example],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "pairs.csv").read_text() == shown
