"""`meteo-score sites …` as it is typed, on a sites file and on a store."""

from __future__ import annotations

import json
import shlex
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner, Result

from backend.cli.app import MainCommand
from backend.cli.sites import SiteStore, app
from backend.collectors.areas import not_covered
from backend.core.areas import Area
from backend.core.clock import PARIS
from backend.core.config import Settings
from backend.core.parameters import Parameter
from backend.core.records import Outside, Site, Station
from backend.core.sites import load_sites
from backend.storage.database import Database
from backend.storage.station_flags import BY_OPERATOR, StationFlag
from backend.storage.stays import Stay
from backend.storage.store import Store
from backend.tests.support.site_texts import HEADER, MOVED, ROW, SITE, entry
from backend.tests.support.stores import make_tables

STATIONS = (
    Station("ffvl:67", "Le Semnoz", 45.7972, 6.10478, 1704.0),
    Station("ffvl:75", "Montmin décollage", 45.8139, 6.24667, 1270.0),
    Station("ffvl:2496", "Planfait [atterro]", 45.84785, 6.21326, None),
    Station("ffvl:64", "Pyla Pilat", 44.57611, -1.22472, 55.0),
    Station("romma:24", "Sévrier", 45.86, 6.14, 450.0),
    Station("romma:7", "nowhere"),
)

PLANFAIT = (
    "add 'Planfait (Talloires)' --id planfait --latitude 45.85323 --longitude 6.22304 --elevation 950"
    " --orientation W --station ffvl:75 --without romma"
)

MOVE = "add 'Le Semnoz' --latitude 45.81 --longitude 6.1 --elevation 1650 --station ffvl:67 --without romma"


class MemoryStore:
    """A SiteStore in memory."""

    def __init__(self, sites: Sequence[Site] = (), stations: Sequence[Station] = STATIONS) -> None:
        self._sites = {(site.id, site.valid_from): site for site in sites}
        self._stations = tuple(stations)
        self.excluded: list[StationFlag] = []

    def sites(self) -> tuple[Site, ...]:
        return tuple(self._sites.values())

    def add_sites(self, sites: Sequence[Site]) -> None:
        self._sites.update({(site.id, site.valid_from): site for site in sites})

    def remove_site(self, site_id: str) -> None:
        self._sites = {key: site for key, site in self._sites.items() if site.id != site_id}

    def stations(self) -> tuple[Station, ...]:
        return self._stations

    def station_flags(self) -> tuple[StationFlag, ...]:
        return tuple(self.excluded)

    def exclude_station(
        self,
        station: str,
        parameters: Sequence[Parameter],
        first: date,
        last: date | None,
        note: str,
        now: datetime,
    ) -> None:
        del now
        begins = datetime.combine(first, time(), PARIS).astimezone(UTC)
        ends = None
        if last is not None:
            ends = datetime.combine(last + timedelta(days=1), time(), PARIS).astimezone(UTC)
        self.excluded += [
            StationFlag(station, parameter, BY_OPERATOR, begins, ends, True, (), note)
            for parameter in parameters
        ]

    def include_station(self, station: str, parameters: Collection[Parameter]) -> list[date]:
        mine = [flag for flag in self.excluded if flag.station == station and flag.parameter in parameters]
        self.excluded = [flag for flag in self.excluded if flag not in mine]
        return [flag.since.astimezone(PARIS).date() for flag in mine]

    def confirm_station(self, site: str, station: str, now: datetime) -> list[Stay]:
        return [Stay("live", 0, 45.4, 6.05, None, "Elsewhere")]

    def withdraw_confirmation(self, site: str, station: str) -> int:
        return 1


@dataclass
class Services:
    settings: Settings
    memory: SiteStore = field(default_factory=MemoryStore)

    def store(self) -> SiteStore:
        return self.memory

    def stored(self) -> SiteStore:
        return self.memory

    def beyond_every_model(self, sites: Sequence[Site]) -> Sequence[Site]:
        europe = Area(35.0, -11.0, 61.0, 25.0)
        return [site for site in sites if not europe.holds(site)]

    def uncovered(self, sites: Sequence[Site]) -> Sequence[Outside]:
        return not_covered({"icon_d2": Area(43.3, -3.8, 58.0, 20.2)}, sites)


Type = Callable[[str], Result]
"""Types a line after `meteo-score sites`."""


def terminal(services: Services) -> Type:
    command = typer.Typer(cls=MainCommand)
    command.add_typer(app)

    @command.callback()
    def main(context: typer.Context) -> None:
        context.obj = services

    return lambda line: CliRunner().invoke(command, ["sites", *shlex.split(line)])


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "sites.toml"
    path.write_text("# mine\n\n" + entry(), encoding="utf-8")
    return path


@pytest.fixture
def on_file(path: Path) -> Type:
    return terminal(Services(Settings(sites_file=path)))


@pytest.fixture
def services() -> Services:
    return Services(Settings(sites_from="database"), MemoryStore([SITE]))


@pytest.fixture
def on_store(services: Services) -> Type:
    return terminal(services)


def test_the_sites_of_a_database_can_be_added_moved_and_removed(tmp_path: Path) -> None:
    database = Database(f"sqlite:///{tmp_path / 'test.sqlite3'}", durable=False)
    make_tables(database)
    store = Store(database)
    store.add_sites([SITE])
    on_database = terminal(Services(Settings(sites_from="database"), store))
    assert on_database(PLANFAIT).exit_code == 0
    assert on_database(f"{MOVE} --id semnoz --valid-from 2026-05-01").exit_code == 0
    assert [(site.id, site.latitude) for site in store.sites()] == [
        ("planfait", 45.85323),
        ("semnoz", 45.79718),
        ("semnoz", 45.81),
    ]
    assert on_database("remove semnoz").exit_code == 0
    assert [site.id for site in store.sites()] == ["planfait"]
    # What was collected for it is still there, so the id cannot be used for a third place.
    elsewhere = on_database(f"{MOVE} --id semnoz".replace("45.81", "45.9"))
    assert (elsewhere.exit_code, elsewhere.stderr.count("\n")) == (2, 1)
    database.close()


# --- list ------------------------------------------------------------------------------------------------


def test_list_shows_each_site_with_its_stations_and_its_networks_without_a_station(on_file: Type) -> None:
    shown = on_file("list")
    assert shown.exit_code == 0
    for word in ("semnoz", "Le Semnoz", "1685 m", "W NW", "ffvl:67", "no romma", "1 in "):
        assert word in shown.stdout


def test_list_shows_ids_whole_on_a_narrow_terminal(path: Path, on_file: Type) -> None:
    path.write_text(entry(id='"saint-hilaire-du-touvet"', name='"Saint-Hilaire-du-Touvet (décollage sud)"'))
    assert "saint-hilaire-du-touvet" in on_file("list").stdout


def test_list_shows_since_when_a_series_holds(services: Services, on_store: Type) -> None:
    services.memory.add_sites([MOVED])
    shown = on_store("list").stdout
    assert "(from" in shown
    assert "2026-05-01)" in shown
    assert "2 in the database" in shown


def test_list_as_json_holds_everything(services: Services, on_store: Type) -> None:
    services.memory.add_sites([MOVED])
    first, second = json.loads(on_store("list --json").stdout)
    assert first == {
        "id": "semnoz",
        "name": "Le Semnoz",
        "latitude": 45.79718,
        "longitude": 6.10478,
        "elevation": 1685,
        "orientation": ["W", "NW"],
        "stations": ["ffvl:67"],
        "without": ["romma"],
        "references": [],
        "validFrom": None,
    }
    assert second["validFrom"] == "2026-05-01T00:00:00Z"


def test_a_file_that_breaks_a_rule_ends_with_its_line_on_stderr_and_code_2(path: Path, on_file: Type) -> None:
    path.write_text(entry(latitude="95"))
    shown = on_file("list")
    assert (shown.exit_code, shown.stdout) == (2, "")
    assert (
        shown.stderr
        == f"meteo-score: {path}, line 1 (semnoz): latitude = 95: must be from -90 to 90 degrees\n"
    )


# --- add -------------------------------------------------------------------------------------------------


def test_add_writes_the_site_into_the_file_and_keeps_its_comments(path: Path, on_file: Type) -> None:
    shown = on_file(PLANFAIT)
    assert (shown.exit_code, shown.stderr) == (0, "")
    assert shown.stdout == f"Added planfait (Planfait (Talloires)) to {path}.\n"
    assert path.read_text().startswith("# mine\n\n" + entry())
    planfait = load_sites(path)[1]
    assert (planfait.id, planfait.name, planfait.elevation) == ("planfait", "Planfait (Talloires)", 950.0)
    assert (planfait.orientation, planfait.stations, planfait.networks_without_station) == (
        ("W",),
        ("ffvl:75",),
        ("romma",),
    )


def test_add_then_remove_gives_the_same_file_back(path: Path, on_file: Type) -> None:
    before = path.read_text()
    assert on_file(PLANFAIT).exit_code == 0
    assert on_file("remove planfait").exit_code == 0
    assert path.read_text() == before


def test_add_makes_an_id_of_the_name_and_takes_western_longitudes(path: Path, on_file: Type) -> None:
    line = "add 'Dune du Pilat' --latitude 44.58596 --longitude -1.21491 --elevation 56 --orientation W,NW"
    assert on_file(f"{line} --station ffvl:64 --without romma").exit_code == 0
    pilat = load_sites(path)[1]
    assert (pilat.id, pilat.longitude, pilat.orientation) == ("dune-du-pilat", -1.21491, ("W", "NW"))


def test_stations_keep_their_order_of_preference(services: Services, on_store: Type) -> None:
    on_store(PLANFAIT.replace("--without romma", "--station romma:24 --station ffvl:2496"))
    assert services.memory.sites()[1].stations == ("ffvl:75", "romma:24", "ffvl:2496")


def test_add_puts_the_site_into_the_store_where_that_is_the_source(
    services: Services, on_store: Type
) -> None:
    assert on_store(PLANFAIT).stdout == "Added planfait (Planfait (Talloires)) to the database.\n"
    assert [site.id for site in services.memory.sites()] == ["semnoz", "planfait"]
    assert not Path("sites.toml").exists()


def test_a_station_that_was_never_seen_is_accepted_with_a_warning(path: Path, on_file: Type) -> None:
    shown = on_file(PLANFAIT.replace("ffvl:75", "ffvl:9999 --station ffvl:75"))
    assert shown.exit_code == 0
    assert shown.stderr.startswith("Warning: not seen yet: ffvl:9999. ")
    assert load_sites(path)[1].stations == ("ffvl:9999", "ffvl:75")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (("45.85323", "145.8"), "site 'planfait': latitude = 145.8: must be from -90 to 90 degrees"),
        (("--without romma", ""), "site 'planfait': stations: none of 'romma': add one"),
        (("ffvl:75", "75"), "site 'planfait': stations = ['75']: '75' is not network:number"),
        (("--id planfait", "--id semnoz"), "site 'semnoz': id = 'semnoz': is used already ("),
        (
            ("--id planfait", "--id planfait --valid-from May"),
            "site 'planfait': valid_from = 'May': must be a date",
        ),
        (
            ("'Planfait (Talloires)' --id planfait", "'富士'"),
            "id: '富士' has no letter or digit for it: give one with --id",
        ),
    ],
)
def test_an_addition_that_breaks_a_rule_changes_nothing(
    path: Path, on_file: Type, change: tuple[str, str], message: str
) -> None:
    before = path.read_text()
    shown = on_file(PLANFAIT.replace(*change))
    assert (shown.exit_code, shown.stdout) == (2, "")
    assert shown.stderr.startswith(f"meteo-score: {message}")
    assert shown.stderr.count("\n") == 1
    assert path.read_text() == before


def test_a_moved_take_off_needs_valid_from(services: Services, on_store: Type) -> None:
    assert on_store(f"{MOVE} --id semnoz").exit_code == 2
    assert on_store(f"{MOVE} --id semnoz --valid-from 2026-05-01").exit_code == 0
    assert [(site.latitude, site.valid_from) for site in services.memory.sites()] == [
        (45.79718, None),
        (45.81, MOVED.valid_from),
    ]


def test_a_file_cannot_move_a_site_whose_data_the_store_holds(path: Path) -> None:
    path.write_text("")
    on_file = terminal(Services(Settings(sites_file=path), MemoryStore([SITE])))
    shown = on_file(f"{MOVE} --id semnoz")
    assert shown.exit_code == 2
    assert shown.stderr.startswith(
        "meteo-score: site 'semnoz': is now at 45.81000, 6.10000, 1650 m, but its stored data"
    )
    assert path.read_text() == ""


# --- remove ------------------------------------------------------------------------------------------------


def test_remove_takes_the_site_off_the_list_and_its_data_stay(path: Path, on_file: Type) -> None:
    shown = on_file("remove semnoz")
    assert (shown.exit_code, path.read_text()) == (0, "# mine\n")
    assert shown.stdout == f"Removed semnoz from {path}. Its forecasts and observations stay stored.\n"


def test_remove_takes_it_off_the_store_where_that_is_the_source(services: Services, on_store: Type) -> None:
    assert on_store("remove semnoz").exit_code == 0
    assert services.memory.sites() == ()


def test_remove_of_a_site_that_is_not_there_is_an_error(on_store: Type) -> None:
    shown = on_store("remove semno")
    assert shown.exit_code == 2
    listed = "see meteo-score sites list"
    assert shown.stderr == f"meteo-score: there is no site 'semno' (did you mean 'semnoz'?): {listed}\n"
    far = on_store("remove xyz")
    assert far.stderr == f"meteo-score: there is no site 'xyz': {listed}\n"


# --- import ------------------------------------------------------------------------------------------------

NEW_ROWS = ROW.replace("semnoz", "planfait") + ROW.replace("semnoz", "varan")


@pytest.mark.parametrize("target", ["on_file", "on_store"])
def test_import_adds_every_site_of_a_csv(target: str, request: pytest.FixtureRequest) -> None:
    Path("new.csv").write_text(HEADER + NEW_ROWS)
    type_: Type = request.getfixturevalue(target)
    assert type_("import new.csv").stdout.startswith("Added 2 sites to ")
    assert [site["id"] for site in json.loads(type_("list --json").stdout)] == ["semnoz", "planfait", "varan"]


def test_import_adds_every_site_of_a_toml_file(services: Services, on_store: Type) -> None:
    Path("new.toml").write_text(entry(id='"planfait"'))
    assert on_store("import new.toml").stdout == "Added 1 site to the database.\n"
    assert [site.id for site in services.memory.sites()] == ["semnoz", "planfait"]


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        (
            "new.csv",
            HEADER + NEW_ROWS.replace("varan", "Varan"),
            "new.csv, line 3: id = 'Varan': must be a slug",
        ),
        ("new.csv", HEADER + NEW_ROWS + ROW, "new.csv, line 4: id = 'semnoz': is used already ("),
        ("new.csv", HEADER, "new.csv: holds no site"),
        (
            "new.toml",
            entry(id='"varan"') + entry(),
            "new.toml, line 10 (semnoz): id = 'semnoz': is used already (",
        ),
        ("new.toml", entry(id='"varan"', height="3"), "new.toml, line 1 (varan): height: unknown key"),
        ("new.xlsx", "", "new.xlsx: must end in .toml or .csv"),
    ],
)
@pytest.mark.parametrize("target", ["on_file", "on_store"])
def test_an_import_with_one_bad_entry_adds_none(
    target: str, request: pytest.FixtureRequest, name: str, text: str, message: str
) -> None:
    Path(name).write_text(text)
    type_: Type = request.getfixturevalue(target)
    shown = type_(f"import {name}")
    assert (shown.exit_code, shown.stdout) == (2, "")
    assert shown.stderr.startswith(f"meteo-score: {message}")
    assert [site["id"] for site in json.loads(type_("list --json").stdout)] == ["semnoz"]


def test_an_import_of_a_file_that_is_not_there_is_named(on_store: Type) -> None:
    assert on_store("import nowhere.csv").stderr.startswith("meteo-score: nowhere.csv: no such file")


# --- near --------------------------------------------------------------------------------------------------


def test_near_lists_the_nearest_stations_of_each_network_first(on_store: Type) -> None:
    stations = json.loads(on_store("near 45.85323 6.22304 --elevation 950 --limit 3 --json").stdout)
    assert [one["id"] for one in stations["ffvl"]] == ["ffvl:2496", "ffvl:75", "ffvl:67"]
    # 4.37 km along the meridian and 1.84 km along the parallel: 4.74 km.
    assert stations["ffvl"][1] == {
        "id": "ffvl:75",
        "name": "Montmin décollage",
        "distanceKm": pytest.approx(4.74, abs=0.01),
        "heightDifference": 320.0,
    }
    assert stations["ffvl"][0]["heightDifference"] is None
    assert [(one["id"], one["heightDifference"]) for one in stations["romma"]] == [("romma:24", -500.0)]


def test_near_shows_distance_and_height_difference(on_store: Type) -> None:
    shown = on_store("near 45.85323 6.22304 --elevation 950 --limit 2")
    assert shown.exit_code == 0
    lines = {line.split()[1]: line for line in shown.stdout.splitlines() if ":" in line}
    assert list(lines) == ["ffvl:2496", "ffvl:75", "romma:24"]
    assert "4.7 km" in lines["ffvl:75"]
    assert "+320 m" in lines["ffvl:75"]
    assert "Planfait [atterro]" in lines["ffvl:2496"]
    assert " m " not in lines["ffvl:2496"]


def test_near_without_an_elevation_has_no_height_difference(on_store: Type) -> None:
    stations = json.loads(on_store("near 45.85323 6.22304 --json").stdout)
    assert [one["heightDifference"] for one in stations["ffvl"]] == [None] * 4


def test_near_takes_a_western_longitude(on_store: Type) -> None:
    stations = json.loads(on_store("near 44.58596 -1.21491 --json --limit 1").stdout)
    assert stations["ffvl"][0]["id"] == "ffvl:64"
    assert stations["ffvl"][0]["distanceKm"] == pytest.approx(1.34, abs=0.01)


def test_near_lists_a_mast_of_the_hourly_files_with_its_height() -> None:
    mast = Station("meteofrance_hourly:33236002", "CAP-FERRET", 44.6305, -1.251667, 8.0)
    beside = terminal(Services(Settings(), MemoryStore(stations=(mast,))))
    stations = json.loads(beside("near 44.58596 -1.21491 --elevation 56 --json").stdout)
    [near] = stations["meteofrance_hourly"]
    assert (near["id"], near["heightDifference"]) == (mast.id, -48.0)
    assert near["distanceKm"] == pytest.approx(5.74, abs=0.02)


@pytest.mark.parametrize(
    "line", ["near 95 6.2", "near 45.8 181", "near north 6.2", "near 45.8", "near 45 6 --limt 3"]
)
def test_near_refuses_what_is_no_place(on_store: Type, line: str) -> None:
    assert on_store(line).exit_code == 2


def test_near_explains_an_empty_list_of_stations() -> None:
    empty = terminal(Services(Settings(), MemoryStore(stations=())))
    shown = empty("near 45.85323 6.22304")
    assert shown.exit_code == 0
    assert "Station" in shown.stdout
    for network in ("ffvl", "romma"):
        assert (
            f"No station of {network} with a known position yet: the first collection of observations"
            in shown.stderr
        )
    assert json.loads(empty("near 45.85323 6.22304 --json").stdout) == {"ffvl": [], "romma": []}


# --- Sensors -----------------------------------------------------------------------------------------


def test_a_parameter_of_a_station_is_left_out_from_a_day_on_and_counts_again(on_store: Type) -> None:
    assert on_store("flags").stdout == "No sensor of a station of a site has a flag.\n"
    result = on_store("exclude-station ffvl:67 wind_direction --from 2026-10-29 --note 'vane is bent'")
    assert result.exit_code == 0
    assert result.stdout == (
        "The wind_direction of ffvl:67 is left out of the scores from 2026-10-29 on."
        " The values stay stored.\n"
        "The next collection of observations updates the scores.\n"
    )
    assert on_store("flags").stdout == (
        "ffvl:67, wind direction, from 2026-10-29 on: excluded by the operator (vane is bent);"
        " left out of the scores\n"
    )
    [flag] = json.loads(on_store("flags --json").stdout)
    assert (flag["station"], flag["since"], flag["until"]) == ("ffvl:67", "2026-10-28T23:00:00Z", None)
    undone = on_store("exclude-station ffvl:67 wind_direction --undo")
    assert "counts again from 2026-10-29 on" in undone.stdout
    assert json.loads(on_store("flags --json").stdout) == []


def test_all_of_the_wind_can_be_left_out_for_some_days(on_store: Type) -> None:
    on_store("exclude-station ffvl:67 wind --from 2026-10-01 --until 2026-10-05")
    flags = json.loads(on_store("flags --json").stdout)
    assert [flag["parameter"] for flag in flags] == ["wind_speed", "wind_gust", "wind_direction"]
    assert flags[0]["text"].startswith("ffvl:67, mean wind, 2026-10-01 to 2026-10-05: ")


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("exclude-station ffvl:67 gust --from 2026-10-01", "'gust' must be one of wind, wind_speed"),
        ("exclude-station ffvl:67 wind_gust", "--from: give the first local day"),
        ("exclude-station ffvl:67 wind_gust --undo", "the wind_gust of ffvl:67 is not excluded"),
    ],
)
def test_an_exclusion_that_cannot_be_is_refused(on_store: Type, line: str, message: str) -> None:
    refused = on_store(line)
    assert (refused.exit_code, message in refused.stderr) == (2, True)


def test_adding_a_site_outside_a_model_warns_which_one_and_adds_it(
    services: Services, on_store: Type
) -> None:
    added = on_store(
        "add 'Val Louron' --latitude 42.81 --longitude 0.4 --elevation 1450 --without ffvl --without romma"
    )

    assert added.exit_code == 0
    assert added.stderr.splitlines() == [
        "Warning: icon_d2 has no forecasts for val-louron: it lies outside the area of the model"
        " (43.3 N to 58 N, 3.8 W to 20.2 E). It is left out there."
    ]
    assert [site.id for site in services.memory.sites()][-1] == "val-louron"


BESIDE = "--elevation 950 --without romma --id here"


def test_swapped_coordinates_are_refused_with_the_right_ones(services: Services, on_store: Type) -> None:
    before = services.memory.sites()
    refused = on_store(f"add Here --latitude 6.223 --longitude 45.8532 {BESIDE} --station ffvl:2496")
    assert refused.exit_code == 2
    assert refused.stderr == (
        "meteo-score: site 'here': no model has forecasts at latitude 6.223, longitude 45.8532: the two look"
        " swapped: give --latitude 45.8532 --longitude 6.223\n"
    )
    far = on_store(f"add Here --latitude -45.8 --longitude 100 {BESIDE} --without ffvl")
    assert far.exit_code == 2
    assert "check both; degrees north and east are positive" in far.stderr
    assert services.memory.sites() == before


def test_a_site_that_is_far_from_its_station_is_refused(services: Services, on_store: Type) -> None:
    before = services.memory.sites()
    refused = on_store(f"add Here --latitude 45.8532 --longitude 6.223 {BESIDE} --station ffvl:64")
    assert refused.exit_code == 2
    assert refused.stderr.startswith(
        "meteo-score: site 'here': ffvl:64 is 602 km away, and 50 km is the most: check"
    )
    assert services.memory.sites() == before


def test_a_site_far_from_its_station_is_refused_in_a_file_too(services: Services, on_store: Type) -> None:
    before = services.memory.sites()
    rows = ROW.replace("semnoz", "here").replace("ffvl:67", "ffvl:64")
    Path("new.csv").write_text(HEADER + rows)
    refused = on_store("import new.csv")
    assert refused.exit_code == 2
    assert "and 50 km is the most" in refused.stderr
    assert services.memory.sites() == before


@pytest.mark.parametrize(
    ("place", "station", "warned"),
    [
        ("--latitude 45.8532 --longitude 6.2230", "ffvl:2496", []),
        (
            "--latitude 45.7972 --longitude 6.2230",
            "ffvl:67",
            ["is 9.2 km from here", "stands 754 m above here"],
        ),
        ("--latitude 45.8600 --longitude 6.1400", "romma:24", ["stands 500 m below here"]),
    ],
)
def test_a_station_beyond_the_documented_distance_or_height_is_warned_of(
    services: Services, on_store: Type, place: str, station: str, warned: list[str]
) -> None:
    without = "ffvl" if station.startswith("romma") else "romma"
    added = on_store(f"add Here {place} --elevation 950 --id here --without {without} --station {station}")
    assert added.exit_code == 0
    lines = added.stderr.splitlines()
    assert len(lines) == len(warned)
    for line, words in zip(lines, warned, strict=True):
        assert line.startswith(f"Warning: {station} {words}: beyond")
        assert line.endswith("(docs/sites.md).")
    assert [site.id for site in services.memory.sites()][-1] == "here"
