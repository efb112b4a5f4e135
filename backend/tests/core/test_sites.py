"""The sites file: its keys and values, and errors with file, line, key and rule."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime
from pathlib import Path

import pytest

from backend.core.errors import ConfigError
from backend.core.records import Reference, Site
from backend.core.site_entry import entry_from_site, site_from_entry
from backend.core.sites import (
    active,
    check_positions,
    check_series,
    default_sites_file,
    load_sites,
    parse_csv,
    read_text,
    slugify,
)
from backend.storage.sites_file import SitesFile
from backend.tests.support.site_texts import HEADER, MAY, MOVED, ROW, SITE, entry
from backend.tests.support.stores import open_store, sqlite_url

JUNE = datetime(2026, 6, 1, tzinfo=UTC)


def refusal(tmp_path: Path, text: str) -> str:
    """Return the error for a file with this text, without the path of its folder."""
    path = tmp_path / "sites.toml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(ConfigError) as refused:
        load_sites(path)
    return str(refused.value).replace(str(path), "sites.toml")


# --- A whole file --------------------------------------------------------------------------------------


def test_an_entry_becomes_a_site_with_all_its_fields(tmp_path: Path) -> None:
    path = tmp_path / "sites.toml"
    path.write_text(entry())
    assert load_sites(path) == (SITE,)


def test_an_empty_file_has_no_sites(tmp_path: Path) -> None:
    path = tmp_path / "sites.toml"
    path.write_text("# nothing yet\n")
    assert load_sites(path) == ()


def test_a_missing_file_is_named_with_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"nowhere\.toml: no such file: check the path \(SITES_FILE"):
        load_sites(tmp_path / "nowhere.toml")


def test_a_folder_in_place_of_a_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="cannot be read: Is a directory"):
        load_sites(tmp_path)


def test_text_in_another_encoding_is_refused_with_its_line(tmp_path: Path) -> None:
    path = tmp_path / "sites.toml"
    path.write_bytes("# Sites\n# Puy de Dôme\n".encode("latin-1"))
    with pytest.raises(ConfigError, match=r"sites\.toml, line 2: is not UTF-8: save the file"):
        read_text(path)


def test_a_slip_in_the_syntax_is_named_with_its_line(tmp_path: Path) -> None:
    message = refusal(tmp_path, '[[sites]]\nid = "semnoz"\nlatitude = 45,79\n')
    assert message.startswith("sites.toml: not valid TOML: ")
    assert "line 3" in message


def test_a_foreign_table_is_refused(tmp_path: Path) -> None:
    assert refusal(tmp_path, entry() + "[stations]\n").startswith("sites.toml: stations: unknown key: ")


@pytest.mark.parametrize("text", ["[sites]\n", "sites = []\n", 'sites = [{ id = "a" }]\n', "sites = 3\n"])
def test_sites_not_written_as_entries_of_their_own_are_refused(tmp_path: Path, text: str) -> None:
    rule = "sites.toml: sites: write each site under a [[sites]] line of its own"
    assert refusal(tmp_path, text) == rule


def test_a_refusal_names_the_line_where_the_entry_begins_and_its_id(tmp_path: Path) -> None:
    text = "# Haute-Savoie\n\n" + entry() + "\n" + entry(id='"varan"', latitude="91")
    assert refusal(tmp_path, text) == (
        "sites.toml, line 13 (varan): latitude = 91: must be from -90 to 90 degrees"
    )


# --- One entry -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("changes", "key", "rule"),
    [
        ({"altitude": "1685"}, "altitude", "unknown key: the keys are id, name, latitude"),
        ({"name": None}, "name", "is missing"),
        ({"latitude": None}, "latitude", "is missing"),
        ({"longitude": None}, "longitude", "is missing"),
        ({"elevation": None}, "elevation", "is missing"),
        ({"name": '" "'}, "name = ' '", "must not be blank"),
        ({"id": '"Le Semnoz"'}, "id = 'Le Semnoz'", "must be a slug"),
        ({"id": '"semnoz-"'}, "id = 'semnoz-'", "must be a slug"),
        ({"id": '"le--semnoz"'}, "id = 'le--semnoz'", "must be a slug"),
        ({"id": '"semnôz"'}, "id = 'semnôz'", "must be a slug"),
        ({"id": '""'}, "id = ''", "must be a slug"),
        ({"id": "67"}, "id = 67", "valid string"),
        ({"latitude": "-90.01"}, "latitude = -90.01", "must be from -90 to 90 degrees"),
        ({"latitude": '"45.8"'}, "latitude = '45.8'", "valid number"),
        ({"latitude": "true"}, "latitude = True", "valid number"),
        ({"latitude": "nan"}, "latitude = nan", "must be from -90 to 90 degrees"),
        ({"longitude": "180.5"}, "longitude = 180.5", "must be from -180 to 180 degrees"),
        ({"elevation": "5001"}, "elevation = 5001", "must be from -100 to 5000 metres"),
        ({"elevation": "-101"}, "elevation = -101", "must be from -100 to 5000 metres"),
        ({"orientation": '["O"]'}, "orientation", "'O' is not one of N, NE, E, SE, S, SW, W, NW"),
        ({"orientation": '["SW-NW"]'}, "orientation", "'SW-NW' is not one of N, NE"),
        ({"orientation": '["W", "W"]'}, "orientation", "names 'W' twice"),
        ({"orientation": '"W"'}, "orientation = 'W'", "valid list"),
        ({"stations": '["67"]'}, "stations", "'67' is not network:number, such as ffvl:87"),
        ({"stations": '["ffvl:"]'}, "stations", "'ffvl:' is not network:number"),
        ({"stations": '["ffvl:067"]'}, "stations", "'ffvl:067' is not network:number"),
        ({"stations": '["holfuy:142"]'}, "stations", "'holfuy' is not one of ffvl, romma"),
        ({"stations": '["ffvl:67", "ffvl:67"]'}, "stations", "names 'ffvl:67' twice"),
        ({"without": '["holfuy"]'}, "without", "'holfuy' is not one of ffvl, romma"),
        ({"without": "[]"}, "stations", "none of 'romma': add one, or, if there is none, put 'romma'"),
        ({"stations": "[]"}, "stations", "none of 'ffvl': add one"),
        ({"without": '["romma", "ffvl"]'}, "without", "'ffvl' has a station here: drop one of the two"),
        ({"valid_from": "2026-05-01T00:00:00"}, "valid_from", "must be a date (00:00 UTC), or a time in UTC"),
        ({"valid_from": "2026-05-01T00:00:00+02:00"}, "valid_from", "must be a date (00:00 UTC)"),
        ({"valid_from": "2026"}, "valid_from = 2026", "must be a date (00:00 UTC)"),
        ({"references": '[{station = "ffvl:68"}]'}, "references", "'ffvl:68' is not one of the stations"),
        ({"references": "[{}]"}, "references", "Field required: write {station = "),
        ({"references": '["ffvl:67"]'}, "references", "write {station = "),
        ({"references": '[{station = "ffvl:67", since = 2026}]'}, "references", "must be a date"),
        (
            {"references": '[{station = "ffvl:67", since = 2026-05-01T06:00:00Z}]'},
            "references",
            "since must be a date such as 2026-05-01",
        ),
        (
            {"references": '[{station = "ffvl:67"}, {station = "ffvl:67"}]'},
            "references",
            "'ffvl:67' must have a since later than the one before it",
        ),
        ({"valid_from": '"in May"'}, "valid_from = 'in May'", "must be a date (00:00 UTC)"),
    ],
)
def test_an_entry_that_breaks_a_rule_is_refused_by_file_line_key_and_rule(
    tmp_path: Path, changes: dict[str, str | None], key: str, rule: str
) -> None:
    message = refusal(tmp_path, entry(**changes))
    assert message.startswith("sites.toml, line 1 (")
    assert f"): {key}" in message
    assert rule in message


def test_an_entry_without_an_id_is_named_by_its_line(tmp_path: Path) -> None:
    assert refusal(tmp_path, entry(id=None)) == "sites.toml, line 1: id: is missing"


@pytest.mark.parametrize("bound", [{"latitude": "-90"}, {"longitude": "180"}, {"elevation": "-100"}])
def test_the_bounds_themselves_are_allowed(tmp_path: Path, bound: dict[str, str]) -> None:
    path = tmp_path / "sites.toml"
    path.write_text(entry(**bound))
    assert len(load_sites(path)) == 1


@pytest.mark.parametrize(
    ("written", "start"),
    [
        ("2026-05-01", MAY),
        ("2026-05-01T06:30:00Z", datetime(2026, 5, 1, 6, 30, tzinfo=UTC)),
        ("2026-05-01T06:30:00+00:00", datetime(2026, 5, 1, 6, 30, tzinfo=UTC)),
        ('"2026-05-01"', MAY),
        ('"2026-05-01T06:30:00Z"', datetime(2026, 5, 1, 6, 30, tzinfo=UTC)),
    ],
)
def test_a_series_starts_at_a_time_in_utc_and_a_date_means_its_midnight(
    tmp_path: Path, written: str, start: datetime
) -> None:
    path = tmp_path / "sites.toml"
    path.write_text(entry(valid_from=written))
    assert load_sites(path)[0].valid_from == start


@pytest.mark.parametrize("site", [SITE, MOVED, replace(SITE, elevation=56.5, valid_from=MAY.replace(hour=6))])
def test_what_is_written_of_a_site_reads_back_as_the_same_site(site: Site) -> None:
    assert site_from_entry(entry_from_site(site), "here") == site


CHANGED = replace(
    SITE,
    stations=("ffvl:67", "ffvl:68"),
    references=(Reference("ffvl:68"), Reference("ffvl:67", date(2026, 5, 1))),
)


def test_a_site_has_its_reference_stations_with_their_first_days(tmp_path: Path) -> None:
    path = tmp_path / "sites.toml"
    path.write_text(
        entry(
            stations='["ffvl:67", "ffvl:68"]',
            references='[{station = "ffvl:68"}, {station = "ffvl:67", since = 2026-05-01}]',
        )
    )
    (site,) = load_sites(path)
    assert site == CHANGED
    assert [site.reference_on(date(2026, month, day)) for month, day in ((4, 30), (5, 1))] == [
        "ffvl:68",
        "ffvl:67",
    ]


def test_without_a_word_the_first_station_is_the_reference() -> None:
    later = replace(CHANGED, references=(Reference("ffvl:68", date(2026, 5, 1)),))
    assert SITE.reference_on(date(1990, 1, 1)) == "ffvl:67"
    assert later.reference_on(date(2026, 4, 30)) == "ffvl:67"
    assert replace(SITE, stations=()).reference_on(date(2026, 4, 30)) is None


def test_references_are_written_as_they_are_read(tmp_path: Path) -> None:
    assert site_from_entry(entry_from_site(CHANGED), "here") == CHANGED
    (tmp_path / "sites.toml").write_text("")
    file = SitesFile(tmp_path / "sites.toml")
    file.add([CHANGED])
    assert load_sites(tmp_path / "sites.toml") == (CHANGED,)
    assert (
        'references = [{station = "ffvl:68"}, {station = "ffvl:67", since = 2026-05-01}]'
        in (tmp_path / "sites.toml").read_text()
    )


def test_a_row_of_a_csv_may_name_references() -> None:
    header = HEADER.strip() + ",references\n"
    row = ROW.strip().replace("ffvl:67", "ffvl:67 ffvl:68") + ",ffvl:68 ffvl:67@2026-05-01\n"
    ((site, _),) = parse_csv(header + row, "mine.csv")
    assert site == CHANGED


def test_the_store_gives_references_back(tmp_path: Path) -> None:
    store = open_store(sqlite_url(tmp_path), CHANGED)
    assert store.sites() == (CHANGED,)
    store.save_sites([SITE])
    assert store.sites() == (SITE,)


# --- Series ----------------------------------------------------------------------------------------------


def test_an_id_that_is_used_twice_is_refused_with_both_lines(tmp_path: Path) -> None:
    message = refusal(tmp_path, entry() + "\n" + entry())
    assert message.startswith(
        "sites.toml, line 11 (semnoz): id = 'semnoz': is used already (sites.toml, line 1 "
    )
    assert "give the second entry a later valid_from" in message


def test_a_later_series_of_the_same_site_is_accepted(tmp_path: Path) -> None:
    path = tmp_path / "sites.toml"
    path.write_text(entry() + entry(valid_from="2026-05-01") + entry(valid_from="2026-06-01"))
    assert [site.valid_from for site in load_sites(path)] == [None, MAY, JUNE]


@pytest.mark.parametrize("dates", [("2026-06-01", "2026-05-01"), ("2026-05-01", "2026-05-01")])
def test_series_of_a_site_must_be_written_in_their_order(tmp_path: Path, dates: tuple[str, str]) -> None:
    message = refusal(tmp_path, "".join(entry(valid_from=day) for day in dates))
    assert "line 11 (semnoz): id = 'semnoz': is used already" in message


def test_a_series_since_ever_cannot_follow_a_dated_one(tmp_path: Path) -> None:
    assert "is used already" in refusal(tmp_path, entry(valid_from="2026-05-01") + entry())


@pytest.mark.parametrize(
    "change",
    [{"latitude": 45.79720}, {"longitude": 6.10476}, {"elevation": 1687.0}],
)
def test_a_changed_position_of_a_known_site_is_refused_with_what_to_do(change: dict[str, float]) -> None:
    with pytest.raises(ConfigError) as refused:
        check_positions([replace(SITE, **change)], [SITE])  # type: ignore[arg-type]
    message = str(refused.value)
    assert message.startswith("site 'semnoz': is now at ")
    assert "collected for 45.79718, 6.10478, 1685 m" in message
    assert "give the new position a new id" in message
    assert "valid_from = the day it moved" in message


@pytest.mark.parametrize(
    "change",
    [{"latitude": 45.79719}, {"longitude": 6.10477}, {"elevation": 1686.0}, {"name": "Semnoz"}],
)
def test_a_difference_of_a_metre_is_the_same_place(change: dict[str, float]) -> None:
    check_positions([replace(SITE, **change)], [SITE])  # type: ignore[arg-type]


def test_a_new_site_may_be_anywhere() -> None:
    check_positions([replace(MOVED, id="autre")], [SITE])


def test_a_moved_site_is_accepted_as_a_later_series() -> None:
    check_positions([MOVED], [SITE])
    check_positions([SITE, MOVED], [SITE])
    check_positions([replace(SITE, valid_from=JUNE)], [SITE, MOVED])


@pytest.mark.parametrize("start", [None, datetime(2026, 4, 1, tzinfo=UTC), MAY])
def test_a_move_must_be_later_than_the_series_that_is_known(start: datetime | None) -> None:
    with pytest.raises(ConfigError, match=r"the day it moved \(after 2026-05-01\)"):
        check_positions([replace(SITE, valid_from=start)], [MOVED])


def test_older_series_that_the_store_has_too_are_no_move() -> None:
    check_positions([SITE, MOVED], [SITE, MOVED])


@pytest.mark.parametrize("known", [[SITE], [SITE, MOVED]])
def test_an_older_series_with_stored_data_must_stay_where_it_was(known: list[Site]) -> None:
    with pytest.raises(
        ConfigError, match=r"site 'semnoz': is now at 45\.90000, .* collected for 45\.79718, "
    ):
        check_positions([replace(SITE, latitude=45.9), MOVED], known)


def test_an_older_series_that_was_never_stored_is_no_move() -> None:
    check_positions([SITE, MOVED], [MOVED])


def test_of_several_series_the_newest_started_one_is_active() -> None:
    other = replace(SITE, id="varan")
    sites = (SITE, other, MOVED)
    assert active(sites, MAY.replace(month=4)) == (SITE, other)
    assert active(sites, MAY) == (other, MOVED)


def test_a_site_that_only_begins_later_is_not_active() -> None:
    assert active([MOVED], MAY.replace(month=4)) == ()


# --- CSV -------------------------------------------------------------------------------------------------


def test_a_row_becomes_a_site_with_lists_split_at_spaces() -> None:
    ((site, where),) = parse_csv(HEADER + ROW, "mine.csv")
    assert site == SITE
    assert where == "mine.csv, line 2"


def test_a_row_may_start_a_series() -> None:
    text = HEADER.strip() + ",valid_from\n" + ROW + ROW.strip() + ",2026-05-01\n"
    with pytest.raises(ConfigError, match=r"mine\.csv, line 2: must have as many cells as the header"):
        parse_csv(text, "mine.csv")
    fixed = text.replace("romma\nsemnoz", "romma,\nsemnoz")
    assert [entry.site.valid_from for entry in parse_csv(fixed, "mine.csv")] == [None, MAY]


def test_what_spreadsheets_put_into_a_csv_is_understood() -> None:
    text = "\ufeff" + HEADER + '\r\n"semnoz","Le Semnoz ",45.79718,6.10478,1685,,"ffvl:67 romma:24",\r\n'
    ((site, where),) = parse_csv(text, "mine.csv")
    assert (site.name, site.orientation, site.stations) == ("Le Semnoz", (), ("ffvl:67", "romma:24"))
    assert where == "mine.csv, line 3"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            HEADER.replace("elevation", "altitude") + ROW,
            "line 1: the header is 'id,name,latitude,longitude,alt",
        ),
        (HEADER.replace(",", ";"), "line 1: the header is 'id;name"),
        (HEADER.replace("name", "id"), "line 1: the header is 'id,id"),
        (
            "",
            "line 1: the header is '': must be id,name,latitude,longitude,elevation,orientation,stations",
        ),
        (HEADER + ROW.replace("45.79718", "45,79718"), "line 2: must have as many cells as the header"),
        (HEADER + ROW.replace(",romma", ""), "line 2: must have as many cells as the header"),
        (
            HEADER + ROW + ROW.replace("45.79718", "north"),
            "line 3: latitude = 'north': Input should be a valid",
        ),
        (HEADER + ROW.replace("1685", ""), "line 2: elevation: is missing"),
        (HEADER + ROW.replace("W NW", "W;NW"), "line 2: orientation = ['W;NW']: 'W;NW' is not one of"),
        (HEADER + ROW + '"semnoz"x\n', "line 3: not valid CSV: "),
    ],
)
def test_a_csv_that_breaks_a_rule_is_refused_by_file_and_line(text: str, message: str) -> None:
    with pytest.raises(ConfigError) as refused:
        parse_csv(text, "mine.csv")
    assert str(refused.value).startswith(f"mine.csv, {message}")


def test_rows_with_the_same_id_are_refused_with_both_lines() -> None:
    with pytest.raises(
        ConfigError, match=r"mine\.csv, line 3: id = 'semnoz': is used already \(mine\.csv, line 2\)"
    ):
        check_series(parse_csv(HEADER + ROW + ROW, "mine.csv"))


# --- Ids made of names -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "slug"),
    [
        ("Puy de Dôme", "puy-de-dome"),
        ("Col de la Forclaz (Montmin)", "col-de-la-forclaz-montmin"),
        ("La Puncho d’Agast", "la-puncho-d-agast"),
        ("Le Salève 2", "le-saleve-2"),
        ("Cœur ÆGIR", "coeur-aegir"),
        ("富士", ""),
    ],
)
def test_an_id_is_made_of_the_plain_letters_of_a_name(name: str, slug: str) -> None:
    assert slugify(name) == slug


# --- What ships ------------------------------------------------------------------------------------------


def test_without_a_file_in_the_working_folder_the_shipped_one_is_meant() -> None:
    assert default_sites_file() == Path(__file__).parents[3] / "sites.toml"


def test_a_file_in_the_working_folder_comes_first() -> None:
    Path("sites.toml").write_text(entry())
    assert default_sites_file() == Path("sites.toml")
    assert load_sites(default_sites_file()) == (SITE,)


def test_the_shipped_sites_are_french_and_each_accounts_for_both_networks() -> None:
    sites = load_sites(default_sites_file())
    assert len(sites) >= 18
    assert sum(1 for site in sites if site.stations) >= 18
    for site in sites:
        assert 41.3 <= site.latitude <= 51.1, site
        assert -5.2 <= site.longitude <= 9.6, site
        assert site.orientation, site
        networks = {station.partition(":")[0] for station in site.stations} | set(
            site.networks_without_station
        )
        assert networks - {"meteofrance_hourly"} == {"ffvl", "romma"}, site


def test_the_shipped_sites_match_the_lists_of_stations() -> None:
    sites = {site.id: site for site in load_sites(default_sites_file())}
    pilat = sites["dune-du-pilat"]
    assert (pilat.name, pilat.latitude, pilat.longitude, pilat.elevation) == (
        "Dune du Pilat",
        44.58596,
        -1.21491,
        56.0,
    )
    assert (pilat.orientation, pilat.stations) == (
        ("W", "NW"),
        ("ffvl:64", "meteofrance_hourly:33236002"),
    )
    assert sites["plaine-joux"].stations == ("romma:241", "ffvl:87")
