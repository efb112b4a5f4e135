"""Removed values count nowhere, come back as they were, and do not come back by themselves."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from backend.core.errors import ConfigError, NotFoundError
from backend.core.local_time import day_of_epoch, month_number
from backend.files.faults import FileRefusedError
from backend.files.formats import forecast_table, observation_table
from backend.files.importing import import_forecasts, import_observations
from backend.scoring.days.update import update
from backend.storage import schema as t
from backend.storage.database import to_epoch
from backend.storage.imported_files import imported_files
from backend.storage.published_months import WITHDRAWN
from backend.storage.removals import (
    Removal,
    Target,
    allow,
    final_days,
    removals,
    remove,
    restore,
    stored,
    vacuum,
)
from backend.storage.retention import raise_floor
from backend.storage.store import Store
from backend.tests.support.stores import (
    DIRECTION,
    GUST,
    NOW,
    PASSY,
    PLANFAIT,
    RUN,
    TEMPERATURE,
    forecast,
    forecasts,
    observations,
    open_store,
    reading,
    set_back,
)

DAY = datetime(2026, 7, 15, tzinfo=UTC)
END = DAY + timedelta(hours=23, minutes=59, seconds=59)
AROME = Target(kind="model", name="arome_0025", first=DAY, last=END)
BEACON = Target(kind="station", name="ffvl:2496", first=DAY, last=END)
LATER = NOW + timedelta(hours=1)

VALUES = (t.forecast, t.forecast_origin, t.observation, t.observation_origin, t.station, t.collected_part)
DERIVED = (t.forecast_day, t.observed_day, t.doubted, t.sensor_day)


@pytest.fixture
def store(database_url: str) -> Store:
    """A run whose rows have values of two routes, a second model, and readings of two stations."""
    store = open_store(database_url)
    hours = range(12)
    store.add_forecasts(
        forecasts(
            *(forecast(20.0 + hour, hours=hour) for hour in hours), parts=("whole",), sites=("planfait",)
        )
    )
    lesser = (forecast(30.0 + hour, GUST, hours=hour) for hour in hours[:6])
    store.add_forecasts(forecasts(*lesser, rank=1))
    store.add_forecasts(
        forecasts(*(forecast(9.0, hours=hour, model="icon_d2") for hour in hours), model="icon_d2")
    )
    day_before = RUN - timedelta(days=1)
    store.add_forecasts(forecasts(forecast(5.0, hours=30, run=day_before), run=day_before))
    store.add_observations(observations(*(reading(12.0, minutes=10 * step) for step in range(30))))
    store.add_observations(observations(reading(225.0, DIRECTION), reading(15.0, TEMPERATURE), rank=1))
    store.add_observations(observations(reading(8.0, station="romma:241"), source="romma"))
    update(store.database, NOW)
    return store


def contents(store: Store, *tables: sa.Table) -> dict[str, list[tuple[Any, ...]]]:
    with store.database.read() as connection:
        return {
            table.name: [
                tuple(row) for row in connection.execute(sa.select(table).order_by(*table.primary_key))
            ]
            for table in tables
        }


def removed(store: Store, target: Target, **options: Any) -> Removal:
    with store.database.write() as connection:
        removal = remove(connection, target, now=LATER, by="anna", reason="a broken file", **options)
    update(store.database, LATER)
    return removal


def restored(store: Store, number: int) -> Removal:
    with store.database.write() as connection:
        removal = restore(connection, number, now=LATER, by="ben")
    update(store.database, LATER)
    return removal


def test_removed_runs_are_in_no_table_of_values_or_scores_and_come_back_as_they_were(store: Store) -> None:
    before = contents(store, *VALUES, *DERIVED)
    with store.database.read() as connection:
        announced = stored(connection, AROME)
        models = dict(map(tuple, connection.execute(sa.select(t.model.c.name, t.model.c.id))))
    removal = removed(store, AROME)
    assert (announced.rows, announced.values) == (12, 18)
    # A row of two routes waits as two rows, one for each batch.
    assert (removal.count.rows, removal.count.values) == (18, 18)
    now = contents(store, *VALUES, *DERIVED)
    of_model = [row for row in now["forecast"] if row[2] == models["arome_0025"]]
    assert len(of_model) == 1, "the run of the day before"
    assert now["forecast_origin"] == []
    assert len([row for row in now["forecast"] if row[2] == models["icon_d2"]]) == 12
    assert now["forecast_day"] != before["forecast_day"]
    assert now["observation"] == before["observation"]
    assert now["collected_part"] == before["collected_part"], "so that its runs are not asked for again"
    assert restored(store, removal.id).waiting.values == 0
    assert contents(store, *VALUES, *DERIVED) == before
    assert contents(store, t.removed_forecast)["removed_forecast"] == []


def test_removed_readings_come_back_as_they_were_and_the_newest_one_is_known(store: Store) -> None:
    before = contents(store, *VALUES, *DERIVED)
    removal = removed(store, BEACON)
    now = contents(store, *VALUES, *DERIVED)
    assert len(now["observation"]) == 1, "that of the other station"
    assert now["observation_origin"] == []
    newest = {row.code: row.newest for row in _rows(store, sa.select(t.station.c.code, t.station.c.newest))}
    assert newest["ffvl:2496"] is None and newest["romma:241"] is not None
    assert restored(store, removal.id).waiting.values == 0
    assert contents(store, *VALUES, *DERIVED) == before


def test_collections_do_not_bring_removed_values_back_unless_they_are_allowed(store: Store) -> None:
    runs, readings = removed(store, AROME), removed(store, BEACON)
    assert store.forecast_request((PLANFAIT, PASSY), NOW, DAY).collected
    again = forecasts(*(forecast(20.0 + hour, hours=hour) for hour in range(12)), parts=("whole",))
    assert store.add_forecasts(again) == 0
    assert store.add_forecasts(again, repair=True) == 0, "a replay"
    sent = observations(reading(12.0), reading(11.0, station="romma:77"))
    assert store.add_observations(sent) == 1, "that of another station"
    with store.database.write() as connection:
        for removal in (runs, readings):
            assert allow(connection, removal.id).holds is False
    assert not store.forecast_request((PLANFAIT, PASSY), NOW, DAY).collected, "its part is asked for again"
    assert store.add_forecasts(again) == 12
    assert store.add_observations(sent) == 1


def test_what_is_stored_in_the_place_of_a_removed_value_stays(store: Store) -> None:
    removal = removed(store, AROME, again=True)
    assert not removal.holds
    store.add_forecasts(forecasts(forecast(77.0, hours=3), rank=0, route="better"))
    back = restored(store, removal.id)
    assert (back.count.values, back.waiting.values) == (18, 1)
    (row,) = _rows(
        store,
        sa.select(t.forecast.c.wind_speed, t.forecast.c.wind_gust).where(t.forecast.c.wind_speed == 77_000),
    )
    assert row.wind_gust == 33_000, "a parameter without a value gets the removed one"


def test_what_waited_for_its_place_is_put_back_once_the_place_is_free(store: Store) -> None:
    before = contents(store, t.observation)
    first = removed(store, BEACON, again=True)
    store.add_observations(observations(*(reading(77.0, minutes=10 * step) for step in range(30))))
    assert restored(store, first.id).waiting.values == 30
    removed(store, BEACON)
    assert restored(store, first.id).waiting.values == 0
    assert contents(store, t.observation) == before
    with pytest.raises(ConfigError, match="was restored"):
        restored(store, first.id)
    with store.database.write() as connection:
        (second,) = vacuum(connection, now=LATER, older_than=timedelta(0))
    assert second.id != first.id, "nothing of the first removal is left"


def test_vacuumed_values_are_gone_and_what_is_held_stays_out(store: Store) -> None:
    removal = removed(store, AROME)
    with store.database.write() as connection:
        young = vacuum(connection, now=LATER + timedelta(days=29), older_than=timedelta(days=30))
        assert young == []
        (old,) = vacuum(connection, now=LATER + timedelta(days=30), older_than=timedelta(days=30))
    assert (old.id, old.waiting.values) == (removal.id, 18)
    with pytest.raises(ConfigError, match="was vacuumed"):
        restored(store, removal.id)
    assert store.add_forecasts(forecasts(forecast(20.0))) == 0
    with store.database.read() as connection:
        (record,) = removals(connection)
    assert (record.removed_by, record.reason, record.holds) == ("anna", "a broken file", True)


def test_published_months_with_removed_values_are_withdrawn(store: Store) -> None:
    month = month_number(day_of_epoch(to_epoch(RUN)))
    with store.database.write() as connection:
        models = dict(map(tuple, connection.execute(sa.select(t.model.c.name, t.model.c.id))))
        stations = dict(map(tuple, connection.execute(sa.select(t.station.c.code, t.station.c.id))))
        owners = [(kind, owner) for kind, ids in enumerate((models, stations)) for owner in ids.values()]
        connection.execute(
            sa.insert(t.public_month),
            [
                {"site_id": 1, "month": number, "kind": kind, "owner_id": owner}
                for number in (month - 1, month)
                for kind, owner in owners
            ],
        )
    removed(store, AROME)
    removed(store, BEACON)
    left = {row[1:] for row in contents(store, t.public_month)["public_month"] if row[2:] != WITHDRAWN}
    gone = {(month, 0, models["arome_0025"]), (month, 1, stations["ffvl:2496"])}
    everything = {(number, kind, owner) for number in (month - 1, month) for kind, owner in owners}
    assert left == everything - gone


def published(store: Store, *months: int) -> dict[str, int]:
    """Publish months of each model and station at Planfait, as far as the table of months shows it."""
    with store.database.write() as connection:
        ids = dict(map(tuple, connection.execute(sa.select(t.station.c.code, t.station.c.id))))
        kept = [{"site_id": 1, "kind": 1, "owner_id": owner} for owner in ids.values()]
        entries = [{**entry, "month": month} for entry in kept for month in months]
        connection.execute(sa.insert(t.public_month), entries)
    return ids


def test_a_removed_reading_is_in_no_published_month_of_a_day_that_it_reaches(store: Store) -> None:
    midnight = datetime(2026, 7, 31, 22, tzinfo=UTC)  # of Paris: the hour 00 of August may be paired with it
    late = observations(reading(9.0, minutes=-(midnight - NOW.replace(minute=0)) // timedelta(minutes=1) + 5))
    store.add_observations(late)
    july = month_number(day_of_epoch(to_epoch(RUN)))
    ids = published(store, july - 1, july, july + 1)
    removed(
        store, Target(kind="station", name="ffvl:2496", first=midnight - timedelta(hours=1), last=midnight)
    )
    left = {tuple(row)[1:] for row in contents(store, t.public_month)["public_month"]}
    assert {month for month, _, owner in left if owner == ids["ffvl:2496"]} == {july - 1}
    assert {month for month, _, owner in left if owner == ids["romma:241"]} == {july - 1, july, july + 1}


def test_a_published_month_stays_where_only_final_days_had_removed_values(store: Store) -> None:
    """Nothing would publish it again: none of its days is computed."""
    published(store, month_number(day_of_epoch(to_epoch(RUN))))
    before = contents(store, t.public_month, t.observed_day)
    with store.database.write() as connection:
        raise_floor(connection, t.observation, to_epoch(DAY))
    removed(store, BEACON)
    assert contents(store, t.public_month, t.observed_day) == before


def test_values_that_are_still_kept_are_put_back_without_those_that_are_not(store: Store) -> None:
    before = [row for row in contents(store, t.observation)["observation"] if row[1] >= to_epoch(RUN) + 7200]
    removal = removed(store, BEACON)
    with store.database.write() as connection:
        raise_floor(connection, t.observation, to_epoch(RUN) + 7200)  # 08:00, one of the readings is of 07:10
    assert restored(store, removal.id).waiting.rows == 5
    assert contents(store, t.observation)["observation"] == before


def test_values_whose_batches_are_gone_are_not_put_back(store: Store) -> None:
    removal = removed(store, AROME)
    before = contents(store, t.forecast, t.removed_forecast)
    with store.database.write() as connection:
        connection.execute(sa.delete(t.forecast_batch).where(t.forecast_batch.c.rank == 1))
    with pytest.raises(ConfigError, match="cannot be put back"):
        restored(store, removal.id)
    assert contents(store, t.forecast, t.removed_forecast) == before


def test_values_that_are_no_longer_kept_are_not_put_back_and_final_days_are_counted(store: Store) -> None:
    removal = removed(store, BEACON)
    with store.database.write() as connection:
        assert final_days(connection, removal) == 0
        raise_floor(connection, t.observation, to_epoch(END))
        assert final_days(connection, removal) == 2, "a day of UTC lies in two local days"
    with pytest.raises(ConfigError, match="no longer kept"):
        restored(store, removal.id)


def test_what_is_not_stored_is_not_removed(store: Store) -> None:
    for target, message in (
        (Target(kind="model", name="arome", first=DAY, last=END), "there is no model 'arome'"),
        (Target(kind="station", name="romma:77", first=DAY, last=END), "there is no station"),
        (Target(kind="model", name="icon_d2", first=DAY - timedelta(9), last=DAY), "nothing of the runs"),
        (Target(kind="import", name="", imported=7), "there is no import 7"),
    ):
        with pytest.raises(NotFoundError, match=message):
            removed(store, target)
    with store.database.read() as connection:
        assert removals(connection) == []


# --- Imports -----------------------------------------------------------------------------------------


def imported(store: Store, folder: Path, *rows: str, name: str = "values.csv") -> int:
    """Import forecasts and return the number of the import."""
    path = folder / name
    path.write_text("model,site,parameter,reference_time,valid_time,value\n" + "\n".join(rows) + "\n")
    import_forecasts(store.database, forecast_table(path), (PLANFAIT, PASSY), NOW)
    with store.database.read() as connection:
        return imported_files(connection)[0].id


GUST_ROW = "icon_d2,planfait,wind_gust,2026-07-15T06:00:00Z,2026-07-15T09:00:00Z,41"
OWN_ROW = "icon_d2,passy,wind_gust,2026-07-15T06:00:00Z,2026-07-15T09:00:00Z,42"


def test_an_import_is_removed_without_the_collected_values_beside_it(store: Store, tmp_path: Path) -> None:
    before = contents(store, *VALUES, *DERIVED)
    number = imported(store, tmp_path, GUST_ROW, OWN_ROW)
    update(store.database, LATER)
    after = contents(store, *VALUES, *DERIVED)
    assert after != before
    removal = removed(store, Target(kind="import", name="", imported=number))
    assert (removal.count.values, removal.target.name) == (2, str(tmp_path / "values.csv"))
    assert contents(store, *VALUES, *DERIVED) == before
    with pytest.raises(FileRefusedError, match=f"removal {removal.id}: a broken file"):
        imported(store, tmp_path, GUST_ROW, OWN_ROW, name="the_same_under_another_name.csv")
    assert restored(store, removal.id).waiting.values == 0
    assert contents(store, *VALUES, *DERIVED) == after


def test_a_corrected_file_can_be_imported_at_once_and_the_removed_one_when_allowed(
    store: Store, tmp_path: Path
) -> None:
    wrong = imported(store, tmp_path, OWN_ROW)
    removal = removed(store, Target(kind="import", name="", imported=wrong))
    right = imported(store, tmp_path, OWN_ROW.replace(",42", ",24"), name="right.csv")
    assert right != wrong
    removed(store, Target(kind="import", name="", imported=right), again=True)
    with store.database.write() as connection:
        allow(connection, removal.id)
    assert imported(store, tmp_path, OWN_ROW, name="again.csv") > right


def test_an_import_into_a_held_period_is_refused_with_its_line(store: Store, tmp_path: Path) -> None:
    removal = removed(store, Target(kind="model", name="icon_d2", first=DAY, last=END))
    with pytest.raises(FileRefusedError, match=rf"line 2: .*\(removal {removal.id}\)"):
        imported(store, tmp_path, GUST_ROW)
    beacon = removed(store, BEACON)
    path = tmp_path / "readings.csv"
    path.write_text("station,parameter,time,value\nffvl:2496,wind_speed,2026-07-15T09:00:00Z,41\n")
    with pytest.raises(FileRefusedError, match=rf"\(removal {beacon.id}\)"):
        import_observations(store.database, observation_table(path), ["ffvl:2496"], NOW)


def test_older_stores_know_their_imports_and_since_when_a_site_is_collected(
    store: Store, tmp_path: Path
) -> None:
    imported(store, tmp_path, GUST_ROW, OWN_ROW)
    values = contents(store, *VALUES)
    with store.database.write() as connection:
        set_back(connection, "0022")
    store.database.migrate()
    with store.database.read() as connection:
        (known,) = imported_files(connection)
        made_at = connection.execute(sa.select(t.store_identity.c.made_at)).scalar_one()
    assert (known.kind, known.file, known.imported_at) == ("forecasts", "", NOW)
    mappings = {row.stations: row.since for row in _rows(store, sa.select(t.site_mapping))}
    assert mappings == {"ffvl:2496,romma:241": to_epoch(RUN), "romma:77": made_at}
    removal = removed(store, Target(kind="import", name="", imported=known.id))
    assert removal.count.values == 2
    assert contents(store, t.forecast)["forecast"] != values["forecast"]


def _rows(store: Store, query: sa.Select[Any]) -> list[Any]:
    with store.database.read() as connection:
        return list(connection.execute(query))
