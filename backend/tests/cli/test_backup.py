"""`meteo-score backup` and `restore`: what comes back is what was there, or nothing comes."""

from __future__ import annotations

import json
import sqlite3
import subprocess
import tarfile
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from backend.core.private_files import open_to_others
from backend.storage.database import Database, revisions
from backend.tests.support.commands import METEO_SCORE, SITE, outside, typed
from backend.tests.support.damage import overwrite_pages
from backend.tests.support.filled_store import MakeUrl, contents, fill
from backend.tests.support.released_stores import unpacked
from backend.tests.support.stores import PASSY, open_database, open_store, sqlite_url
from backend.tests.support.waiting import HANG_SECONDS, wait_for

KINDS = ("sqlite", "postgresql")
SECRETS = {"ADMIN_TOKEN": "token-of-an-admin-1", "FFVL_API_KEY": "key-of-the-ffvl-2"}


def backed_up(url: str, target: Path, *options: str, **environment: str) -> dict[str, Any]:
    line = " ".join(["backup", str(target), "--json", *options])
    result = typed(line, {"DATABASE_URL": url, **environment})
    assert result.exit_code == 0, result.stderr
    made: dict[str, Any] = json.loads(result.stdout)
    return made


def restored(file: Path, url: str, **environment: str) -> str:
    """Restore and return the standard output."""
    result = typed(f"restore {file}", {"DATABASE_URL": url, **environment})
    assert (result.exit_code, result.stderr) == (0, "")
    return result.stdout


def refused(line: str, url: str, code: int, **environment: str) -> str:
    """Return the error of a command that must not succeed."""
    result = typed(line, {"DATABASE_URL": url, **environment})
    assert result.exit_code == code, result.output
    return result.stderr


def file_of(url: str) -> Path:
    return Path(url.removeprefix("sqlite:///"))


def without_backup_time(tables: dict[str, list[tuple[Any, ...]]]) -> dict[str, list[tuple[Any, ...]]]:
    """Leave out when the store was backed up: a snapshot is older than that note."""
    return {**tables, "store_identity": [row[:-1] for row in tables["store_identity"]]}


@pytest.fixture
def filled(tmp_path: Path) -> str:
    folder = tmp_path / "filled"
    folder.mkdir()
    fill(sqlite_url(folder))
    return sqlite_url(folder)


@pytest.fixture
def backup(filled: str, tmp_path: Path) -> Path:
    return Path(backed_up(filled, tmp_path / "backup.tar.gz")["file"])


# --- Everything -------------------------------------------------------------------------------------


@pytest.mark.parametrize("to", KINDS)
@pytest.mark.parametrize("kind", KINDS)
def test_what_is_restored_is_what_was_backed_up(
    make_url: MakeUrl, tmp_path: Path, kind: str, to: str
) -> None:
    source, target = make_url(kind), make_url(to)
    fill(source)
    before = without_backup_time(contents(source))
    made = backed_up(source, tmp_path / "backup.tar.gz")
    assert made["rows"] == {name: len(table) for name, table in before.items()}
    assert made["recordHead"] is not None
    assert (made["revision"], made["store"]) == (revisions()[-1], before["store_identity"][0][0])
    assert not open_to_others(Path(made["file"]))

    data = tmp_path / "data"
    data.mkdir()
    assert "Restored: " in restored(Path(made["file"]), target, DATA_DIR=str(data))
    assert without_backup_time(contents(target)) == before == without_backup_time(contents(source))
    assert [path.name for path in tmp_path.glob("**/.*")] == [], "a draft is left"


def test_the_store_records_when_it_was_backed_up_and_the_file_is_a_plain_tar(
    filled: str, tmp_path: Path
) -> None:
    made = backed_up(filled, tmp_path / "backup.tar.gz")
    backed_up_at = contents(filled)["store_identity"][0][-1]
    assert backed_up_at is not None
    with tarfile.open(made["file"], "r:gz") as archive:
        assert archive.getnames() == ["manifest.json", "store.sqlite3", "settings.env", "sites.toml"]
        archive.extract("store.sqlite3", tmp_path, filter="data")
    with closing(sqlite3.connect(tmp_path / "store.sqlite3")) as store:
        assert store.execute("SELECT count(*) FROM forecast").fetchone() == (12_000,)
        assert store.execute("PRAGMA journal_mode").fetchone() == ("delete",)


def test_sites_and_settings_are_in_it_and_no_secret(filled: str, tmp_path: Path) -> None:
    sites = tmp_path / "mine.toml"
    sites.write_text(SITE)
    settings = {"SITES_FILE": str(sites), "CONTACT": "club@example.org", **SECRETS}
    settings["OPEN_METEO_URL"] = "https://user:word-of-entry@proxy.example"
    made = backed_up(filled, tmp_path / "backup.tar.gz", **settings)
    with tarfile.open(made["file"], "r:gz") as archive:
        members = {name: archive.extractfile(name) for name in archive.getnames()}
        files = {name: content.read() for name, content in members.items() if content is not None}
    for secret in (*SECRETS.values(), "word-of-entry"):
        assert not any(secret.encode() in content for content in files.values())
    lines = files["settings.env"].decode().splitlines()
    assert "CONTACT=club@example.org" in lines
    assert "# ADMIN_TOKEN=***  (a secret, not in the backup)" in lines
    assert "# OPEN_METEO_URL=https://***@proxy.example  (a secret, not in the backup)" in lines
    assert not [line for line in lines if line.startswith("LOG_LEVEL")], "a default stays a default"
    assert files["sites.toml"] == sites.read_bytes()

    moved, other = tmp_path / "moved", tmp_path / "other"
    restored(Path(made["file"]), sqlite_url(moved), SITES_FILE=str(moved / "sites.toml"))
    assert (moved / "sites.toml").read_bytes() == sites.read_bytes()
    sites.write_text("# another list\n")
    output = restored(Path(made["file"]), sqlite_url(other), SITES_FILE=str(sites))
    assert f"The sites of the backup differ from {sites}: {other / 'restored-sites.toml'}" in output
    assert sites.read_text() == "# another list\n"
    assert (other / "restored-sites.toml").read_text() == SITE


def test_sites_that_cannot_be_put_in_place_lie_beside_the_restored_store(
    backup: Path, tmp_path: Path
) -> None:
    sites = tmp_path / "not-there" / "sites.toml"
    output = restored(backup, sqlite_url(tmp_path / "new"), SITES_FILE=str(sites))
    beside = tmp_path / "new" / "restored-sites.toml"
    assert f"Copy the sites of the backup into place ({sites}: No such file or directory): {beside}" in output
    assert beside.stat().st_size
    assert not open_to_others(beside)


# --- Several backups --------------------------------------------------------------------------------


def test_keep_removes_the_oldest_backups_of_the_same_store_only(filled: str, tmp_path: Path) -> None:
    folder = tmp_path / "backups"
    mine = [f"meteo-score-2020010{day}T000000Z.tar.gz" for day in (1, 2, 3)]
    folder.mkdir()
    for number, name in enumerate(mine):
        made = backed_up(filled, folder / name)
        _date_back(Path(made["file"]), f"2020-01-0{number + 1}T00:00:00Z")
    other_store = tmp_path / "other"
    other_store.mkdir()
    open_database(sqlite_url(other_store)).close()
    other = folder / "meteo-score-20190101T000000Z.tar.gz"
    backed_up(sqlite_url(other_store), other)
    _date_back(other, "2019-01-01T00:00:00Z")
    broken = folder / "meteo-score-20190102T000000Z.tar.gz"
    broken.write_bytes(other.read_bytes()[:200])

    made = backed_up(filled, folder, "--keep", "2")
    assert made["removed"] == [str(folder / name) for name in mine[:2]]
    assert set(folder.iterdir()) == {other, broken, folder / mine[2], Path(made["file"])}
    assert backed_up(filled, tmp_path / "new" / "folder", "--keep", "1")["removed"] == []
    assert "is a file, and --keep needs a folder" in refused(f"backup {other} --keep 1", filled, 2)
    assert f"{other}: there is a file already" in refused(f"backup {other}", filled, 2)


def _date_back(path: Path, made_at: str) -> None:
    """Rewrite a backup as if it were older."""
    with tarfile.open(path, "r:gz") as archive:
        members = [(member, archive.extractfile(member)) for member in archive.getmembers()]
        files = {member.name: content.read() for member, content in members if content is not None}
    files["manifest.json"] = json.dumps(json.loads(files["manifest.json"]) | {"madeAt": made_at}).encode()
    _rewrite(path, files)


def _rewrite(path: Path, files: dict[str, bytes]) -> None:
    folder = path.with_name("unpacked")
    folder.mkdir()
    with tarfile.open(path, "w:gz", compresslevel=1) as archive:
        for name, content in files.items():
            (folder / name).write_bytes(content)
            archive.add(folder / name, name)
            (folder / name).unlink()
    folder.rmdir()


def test_a_damaged_store_gets_no_backup_and_costs_no_older_one(filled: str, tmp_path: Path) -> None:
    folder = tmp_path / "backups"
    folder.mkdir()
    whole = backed_up(filled, folder / "meteo-score-20200101T000000Z.tar.gz")["file"]
    overwrite_pages(file_of(filled), 60)
    error = refused(f"backup {folder} --keep 1", filled, 1)
    assert "the store is damaged" in error
    assert [str(path) for path in folder.iterdir()] == [whole]


def test_a_backup_of_no_store_creates_none(tmp_path: Path) -> None:
    url = sqlite_url(tmp_path / "nowhere")
    assert "there is no store to back up" in refused(f"backup {tmp_path / 'b.tar.gz'}", url, 2)
    assert list(tmp_path.iterdir()) == []


# --- Refused ----------------------------------------------------------------------------------------


def test_a_damaged_backup_is_refused_and_nothing_appears(backup: Path, tmp_path: Path) -> None:
    whole = backup.read_bytes()
    url = sqlite_url(tmp_path / "target")
    for damaged in (
        whole[: len(whole) // 2],
        whole[:100],
        b"",
        b"PK\3\4 another archive",
        *(
            whole[:at] + bytes([whole[at] ^ 0x5A]) + whole[at + 1 :]
            for at in range(len(whole) // 20, len(whole), len(whole) // 10)
        ),
    ):
        backup.write_bytes(damaged)
        error = refused(f"restore {backup}", url, 1)
        assert str(backup) in error
        assert list((tmp_path / "target").glob("*")) == []
    backup.write_bytes(whole)
    restored(backup, url)


def test_a_manifest_with_other_numbers_of_rows_is_refused(backup: Path, tmp_path: Path) -> None:
    with tarfile.open(backup, "r:gz") as archive:
        members = [(member, archive.extractfile(member)) for member in archive.getmembers()]
        files = {member.name: content.read() for member, content in members if content is not None}
    manifest = json.loads(files["manifest.json"])
    manifest["rows"]["forecast"] -= 1
    _rewrite(backup, files | {"manifest.json": json.dumps(manifest).encode()})
    error = refused(f"restore {backup}", sqlite_url(tmp_path / "target"), 1)
    assert "the numbers of rows differ in forecast" in error
    assert list((tmp_path / "target").glob("*")) == []


def test_a_backup_of_a_newer_version_is_refused_with_the_version_to_use(backup: Path, tmp_path: Path) -> None:
    with tarfile.open(backup, "r:gz") as archive:
        members = [(member, archive.extractfile(member)) for member in archive.getmembers()]
        files = {member.name: content.read() for member, content in members if content is not None}
    manifest = json.loads(files["manifest.json"])
    for change in ({"revision": "9999"}, {"format": 2, "rows": "in another form"}):
        newer = manifest | {"program": "7.0.1"} | change
        _rewrite(backup, files | {"manifest.json": json.dumps(newer).encode()})
        error = refused(f"restore {backup}", sqlite_url(tmp_path / "target"), 2)
        assert "use meteo-score 7.0.1, which made it, or later" in error
    assert not (tmp_path / "target").exists()


@pytest.mark.parametrize("kind", KINDS)
def test_a_place_that_is_not_empty_is_refused_and_left_alone(
    backup: Path, make_url: MakeUrl, tmp_path: Path, kind: str
) -> None:
    url = make_url(kind)
    open_store(url, PASSY).database.close()
    before = contents(url)
    error = refused(f"restore {backup}", url, 2, DATA_DIR=str(tmp_path))
    assert "is not empty" in error
    assert contents(url) == before


@pytest.mark.parametrize("kind", KINDS)
def test_a_store_that_a_service_holds_is_refused(
    backup: Path, make_url: MakeUrl, tmp_path: Path, kind: str
) -> None:
    url = make_url(kind)
    holder = (
        "import sys, backend.storage.database as d; base = d.Database(sys.argv[1]); base.migrate();"
        "reader = base.read(); reader.__enter__().exec_driver_sql('SELECT 1').all();"
        "print('held', flush=True); sys.stdin.read()"
    )
    command = [str(METEO_SCORE.with_name("python")), "-c", holder, url]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=outside()) as service:
        assert service.stdout is not None and service.stdin is not None
        assert service.stdout.readline() == b"held\n"
        if kind == "sqlite":
            file_of(url).unlink()  # the service has it open still, with its -wal and -shm
        error = refused(f"restore {backup}", url, 2, DATA_DIR=str(tmp_path))
        service.stdin.close()
        service.wait(HANG_SECONDS)
    assert "a running service holds this store" in error or "1 other connections are open" in error


def test_a_wal_of_a_store_that_is_gone_is_refused_by_name(backup: Path, tmp_path: Path) -> None:
    url = sqlite_url(tmp_path)
    (tmp_path / "scores.sqlite3-wal").write_bytes(b"pages of another store")
    assert "move all of scores.sqlite3-wal away" in refused(f"restore {backup}", url, 2)
    assert not file_of(url).exists()


# --- Interrupted ------------------------------------------------------------------------------------


def test_a_killed_restore_leaves_no_store_and_the_next_one_works(
    filled: str, backup: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "target"
    url = sqlite_url(folder)
    environment = {**outside(), "DATABASE_URL": url, "DATA_DIR": str(tmp_path)}
    draft = folder / ".meteo-score-backup" / "store.sqlite3"
    process = subprocess.Popen([METEO_SCORE, "restore", backup], env=environment, stdout=subprocess.DEVNULL)
    wait_for(lambda: process.poll() is not None or draft.exists(), "the draft")
    process.kill()
    process.wait(HANG_SECONDS)
    if file_of(url).exists():  # it was done before the kill
        file_of(url).unlink()
    draft.parent.mkdir(exist_ok=True)
    draft.write_bytes(b"half of a store")
    restored(backup, url)
    assert without_backup_time(contents(url)) == without_backup_time(contents(filled))
    assert not draft.parent.exists()


def test_an_older_backup_is_upgraded_while_it_is_restored(tmp_path: Path) -> None:
    old = tmp_path / "old"
    old.mkdir()
    unpacked("0.2.0", old)
    made = backed_up(sqlite_url(old), tmp_path / "backup.tar.gz")
    assert (made["revision"], made["store"], made["recordHead"]) == ("0016", None, None)
    restored(Path(made["file"]), sqlite_url(tmp_path / "new"))
    Database(sqlite_url(tmp_path / "new")).require_current()
