"""Output in ASCII: readable and without a traceback for any text."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest

from backend.core.terminal import plain
from backend.tests.support.commands import METEO_SCORE, VARIABLES, outside

SITES = """
[[sites]]
id = "crete"
name = "Crête du Loup – décollage"
latitude = 45.857
longitude = 6.224
elevation = 930
stations = ["ffvl:9001"]
without = ["romma"]
"""


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Crête du Loup – décollage", "Crete du Loup - decollage"),
        ("≥ 3 °C, 45°, 2…3", ">= 3  degC, 45 deg, 2...3"),
        ("œuf, 東", "oeuf, ?"),
        ("plain", "plain"),
    ],
)
def test_a_text_without_its_accents_reads_alike(text: str, expected: str) -> None:
    assert plain(text) == expected


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("ascii")
    (folder / "sites.toml").write_text(SITES, encoding="utf-8")
    assert run(folder, "scores", "rebuild").returncode == 0
    return folder


def run(folder: Path, *words: str, encoding: str = "ascii") -> subprocess.CompletedProcess[bytes]:
    """Run the command in a process of its own whose output has this encoding."""
    settings = {
        "SITES_FILE": str(folder / "sites.toml"),
        "DATABASE_URL": f"sqlite:///{folder / 'store.sqlite3'}",
        "DATA_DIR": str(folder),
        "PYTHONIOENCODING": encoding,
    }
    environment = {name: value for name, value in outside().items() if name not in VARIABLES}
    return subprocess.run(
        [METEO_SCORE, *words], env=environment | settings, cwd=folder, capture_output=True, check=False
    )


@pytest.mark.parametrize(
    "words",
    [
        ("--help",),
        ("sites", "list"),
        ("sites", "add", "Déco été", "--latitude", "45.8", "--longitude", "6.2", "--elevation", "x"),
        ("sites", "remove", "où"),
        ("sites", "near", "45.8", "6.2"),
        ("sites", "confirm-station", "crete", "ffvl:9001"),
        ("runs",),
        ("score", "crete"),
        ("score", "où"),
        ("scores", "rebuild"),
        ("config",),
        ("export", "scores"),
        ("import", "observations", "fichier-où.csv"),
        ("backfill", "--help"),
        ("replay", "--help"),
        ("demo", "--help"),
        ("serve", "--help"),
        ("db", "--help"),
    ],
    ids=" ".join,
)
def test_a_command_prints_ascii_and_no_traceback(folder: Path, words: tuple[str, ...]) -> None:
    ended = run(folder, *words)
    assert b"Traceback" not in ended.stderr, ended.stderr.decode()
    ended.stdout.decode("ascii")
    ended.stderr.decode("ascii")
    assert b"\\u" not in ended.stdout


def test_names_stay_readable_and_json_loses_nothing(folder: Path) -> None:
    assert b"Crete du Loup - decollage" in run(folder, "sites", "list").stdout.replace(b"\n", b" ")
    shown = json.loads(run(folder, "sites", "list", "--json").stdout.decode("ascii"))
    assert shown[0]["name"] == "Crête du Loup – décollage"
    latin = run(folder, "sites", "list", encoding="latin-1").stdout.decode("latin-1")
    assert "Crête du Loup" in latin
