"""Editing a sites file: what is not meant stays as it was, to the byte."""

from __future__ import annotations

import stat
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from backend.core.errors import ConfigError
from backend.core.sites import default_sites_file
from backend.storage.sites_file import SitesFile
from backend.tests.support.site_texts import MOVED, SITE, entry

TWO = f"""# My sites

# --- Annecy ---

# the one above the lake
{entry(id='"planfait"')}# closed in winter

{entry(id='"varan"')}
# --- the end ---
"""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "sites.toml"
    path.write_text(TWO, encoding="utf-8")
    return path


def ids(path: Path) -> list[str]:
    return [found.site.id for found in SitesFile(path).entries()]


def test_an_added_site_is_written_after_what_was_there(path: Path) -> None:
    SitesFile(path).add([SITE])
    assert path.read_text(encoding="utf-8") == (
        TWO
        + """
[[sites]]
id = "semnoz"
name = "Le Semnoz"
latitude = 45.79718
longitude = 6.10478
elevation = 1685
orientation = ["W", "NW"]
stations = ["ffvl:67"]
without = ["romma"]
"""
    )


def test_what_was_added_is_what_is_read(path: Path) -> None:
    awkward = replace(SITE, id="awkward", name='Le "Déco" \\ [nord] é\t', elevation=-1.5)
    later = replace(MOVED, valid_from=datetime(2026, 5, 2, 6, tzinfo=UTC))
    SitesFile(path).add([awkward, SITE, MOVED, later])
    assert [found.site for found in SitesFile(path).entries()][2:] == [awkward, SITE, MOVED, later]


def test_adding_and_removing_gives_the_same_file_back(path: Path) -> None:
    SitesFile(path).add([SITE, MOVED])
    SitesFile(path).remove("semnoz")
    assert path.read_text(encoding="utf-8") == TWO


def test_the_last_line_keeps_its_end_when_the_entry_after_it_goes(path: Path) -> None:
    path.write_text(entry(id='"varan"') + entry())
    SitesFile(path).remove("semnoz")
    assert path.read_text() == entry(id='"varan"')


def test_a_removed_site_takes_the_comments_that_touch_it_and_no_other(path: Path) -> None:
    SitesFile(path).remove("planfait")
    assert path.read_text(encoding="utf-8") == (
        f"# My sites\n\n# --- Annecy ---\n\n{entry(id=chr(34) + 'varan' + chr(34))}\n# --- the end ---\n"
    )


def test_a_comment_above_the_next_site_stays_with_it(path: Path) -> None:
    path.write_text(entry(id='"planfait"') + "# the steep one\n" + entry())
    SitesFile(path).remove("planfait")
    assert path.read_text() == "# the steep one\n" + entry()


def test_every_series_of_a_removed_site_goes(path: Path) -> None:
    SitesFile(path).add([SITE, MOVED])
    SitesFile(path).remove("semnoz")
    assert ids(path) == ["planfait", "varan"]


def test_a_file_without_a_last_line_end_or_without_anything_takes_sites(path: Path) -> None:
    path.write_text(entry(id='"varan"').strip())
    SitesFile(path).add([SITE])
    assert ids(path) == ["varan", "semnoz"]
    path.write_text("")
    SitesFile(path).add([SITE])
    assert path.read_text().startswith("[[sites]]\n")


def test_line_ends_of_windows_stay(path: Path) -> None:
    path.write_bytes(TWO.replace("\n", "\r\n").encode())
    SitesFile(path).remove("varan")
    assert ids(path) == ["planfait"]
    assert b"# closed in winter\r\n\r\n# --- the end ---\r\n" in path.read_bytes()


def test_an_addition_that_breaks_a_rule_leaves_the_file_alone(path: Path) -> None:
    with pytest.raises(ConfigError, match="id = 'varan': is used already"):
        SitesFile(path).add([SITE, replace(SITE, id="varan")])
    assert path.read_text(encoding="utf-8") == TWO


def test_a_file_is_replaced_whole_with_its_permissions_and_behind_its_link(
    path: Path, tmp_path: Path
) -> None:
    path.chmod(0o640)
    link = tmp_path / "link.toml"
    link.symlink_to(path)
    SitesFile(link).add([SITE])
    assert link.is_symlink()
    assert stat.S_IMODE(path.stat().st_mode) == 0o640
    assert ids(path) == ["planfait", "varan", "semnoz"]
    assert sorted(found.name for found in tmp_path.iterdir()) == ["link.toml", "sites.toml"]


def test_a_file_that_cannot_be_written_is_named_and_left_alone(tmp_path: Path) -> None:
    path = tmp_path / ("s" * 255)  # leaves no room for the name of a draft beside it
    path.write_text(entry())
    with pytest.raises(ConfigError, match="sss: cannot be written: File name too long"):
        SitesFile(path).remove("semnoz")
    assert path.read_text() == entry()


def test_any_of_the_shipped_sites_can_be_removed_without_touching_the_others(tmp_path: Path) -> None:
    shipped = default_sites_file().read_text(encoding="utf-8")
    path = tmp_path / "sites.toml"
    path.write_text(shipped, encoding="utf-8")
    all_ids = ids(path)
    for site_id in all_ids:
        path.write_text(shipped, encoding="utf-8")
        SitesFile(path).remove(site_id)
        assert ids(path) == [other for other in all_ids if other != site_id]
        assert path.read_text(encoding="utf-8").count("# ---") == shipped.count("# ---")


def test_a_byte_order_mark_is_read_over(path: Path) -> None:
    path.write_bytes(b"\xef\xbb\xbf" + TWO.encode())
    assert ids(path) == ["planfait", "varan"]
    SitesFile(path).add([SITE])
    assert ids(path) == ["planfait", "varan", "semnoz"]
