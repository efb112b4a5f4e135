"""The order of imports, each tried in a process of its own: ecCodes must come last, and only in the worker.

Its wheels load a SQLite of their own. Imported before `sqlite3`, that one is what Python then uses; imported
before `psycopg`, it crashes the process at exit. Not every build of Python is affected: where the wrong order
does no harm, its test is skipped.
"""

from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

from backend.tests.support import grib_factory
from backend.tests.support.grib_factory import Message
from backend.tests.support.waiting import HANG_SECONDS

# Coverage imports sqlite3 before anything else, and has remarks of its own for the standard error.
UNMEASURED = {name: value for name, value in os.environ.items() if not name.startswith("COVERAGE")}

SQL = "sqlite3.connect(':memory:').execute('select sqlite_version()').fetchone()[0]"
VERSION = f"import sqlite3; print({SQL})"
OWN = sqlite3.sqlite_version


def run(*statements: str) -> subprocess.CompletedProcess[str]:
    """Run statements in a new interpreter; a crash at its exit shows in the return code."""
    return python("-c", "\n".join(statements))


def python(*arguments: str) -> subprocess.CompletedProcess[str]:
    """Run an interpreter to its end."""
    return subprocess.run(
        [sys.executable, *arguments],
        capture_output=True,
        text=True,
        timeout=HANG_SECONDS,
        check=False,
        env=UNMEASURED,
    )


def test_eccodes_before_sqlite_swaps_it_for_another() -> None:
    swapped = run("import eccodes", VERSION)
    if swapped.stdout.strip() == OWN:
        pytest.skip("this Python keeps its SQLite after any import")
    assert swapped.returncode == 0


def test_sqlite_before_eccodes_stays_what_it_was() -> None:
    kept = run("import sqlite3", "import eccodes", VERSION)
    assert (kept.stdout.strip(), kept.returncode) == (OWN, 0)


def test_eccodes_before_psycopg_crashes_at_exit() -> None:
    ended = run("import sqlite3", "import eccodes", "import psycopg", "print('done')")
    if ended.returncode == 0:
        pytest.skip("this Python ends well after any import")
    assert ended.stdout == "done\n"


def test_psycopg_before_eccodes_ends_well() -> None:
    ended = run("import sqlite3", "import psycopg", "import eccodes", "print('done')")
    assert (ended.stdout, ended.stderr, ended.returncode) == ("done\n", "", 0)


@pytest.mark.parametrize(
    "module",
    [
        "backend.collectors",
        "backend.collectors.arome",
        "backend.collectors.grib.decode",
        "backend.collectors.grib.worker",
        "backend.scheduler.jobs",
        "backend.main",
    ],
)
def test_no_module_of_the_service_loads_eccodes(module: str) -> None:
    loaded = run(
        f"import {module}",
        "import sys",
        "print([name for name in sys.modules if name in {'eccodes', 'gribapi', 'eccodeslib'}])",
    )
    assert (loaded.stdout, loaded.returncode) == ("[]\n", 0), loaded.stderr


SERVICE = """
import asyncio, sqlite3, sys
from pathlib import Path
from backend.collectors.grib.fields import FIELDS
from backend.collectors.grib.decode import read_fields
from backend.collectors.grib.worker import Worker

async def main():
    worker = Worker()
    (field,) = await worker.run(read_fields, Path(sys.argv[1]), [(46.0, 6.6)], FIELDS)
    version = "sqlite3.connect(':memory:').execute('select sqlite_version()').fetchone()[0]"
    print(field.values, "eccodes" in sys.modules, eval(version))
    print(await worker.run(eval, version.replace("sqlite3", "__import__('sqlite3')", 1)))
    print(await worker.run(eval, "'eccodes' in __import__('sys').modules"))
    worker.close()

if __name__ == "__main__":
    asyncio.run(main())
"""


def test_decoding_in_the_worker_leaves_both_processes_their_own_sqlite(tmp_path: Path) -> None:
    script, file = tmp_path / "service.py", tmp_path / "arome.grib2"
    script.write_text(SERVICE)
    file.write_bytes(Message("wind_east", 3).encode())

    done = python(str(script), str(file))

    assert done.stdout.splitlines() == [f"(3.0,) False {OWN}", OWN, "True"], done.stderr
    assert (done.stderr, done.returncode) == ("", 0)


def test_this_process_composes_grib_and_keeps_its_sqlite() -> None:
    assert grib_factory.encode([Message("wind_east", 3)]).startswith(b"GRIB")
    assert eval(SQL) == OWN
