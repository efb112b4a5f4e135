"""Write what users and programs see of MétéoScore into a folder, and compare two such folders.

    python -m backend.tests.support.frozen_outputs write FOLDER [--only PART ...]
    python -m backend.tests.support.frozen_outputs compare FOLDER [FOLDER2] [--only PART ...]

`compare` with one folder writes the outputs of the present code into a temporary folder first. It prints a
unified diff for each file, and ends with exit code 1 if anything differs. PARTS below names the parts.

The script must work before and after code moves. It types commands into the entry point of `meteo-score` and
asks a served application over HTTP. It imports only `backend.__main__`, the clock and the PostgreSQL fixture.
"""

from __future__ import annotations

import argparse
import csv
import difflib
import http.client
import json
import os
import random
import re
import shutil
import socket
import sqlite3
import subprocess
import sys
import tempfile
import traceback
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from unittest import mock

from backend.tests.support.postgres import running_postgres
from backend.tests.support.waiting import HANG_SECONDS, wait_for

REPOSITORY = Path(__file__).parents[3]

NOW = datetime(2026, 6, 20, 7, 0, tzinfo=UTC)
"""The time of every command and answer, one hour after the end of the demo's days."""

DEMO_END = "2026-06-20T06:00:00Z"
DEMO_DAYS = 4
"""Each day costs about 5 s of CPU. The history for a verdict (30 days and more) is imported instead."""

SEED = 1
TOKEN = "an-admin-token-of-the-freeze"
WIDTH = 80

Outputs = dict[str, str]
"""Text by the name of its file, relative to the folder."""


# --- What varies by nature -------------------------------------------------------------------------------


@dataclass(frozen=True)
class Substitution:
    """A pattern whose text differs between two runs of the same code, and its replacement."""

    name: str
    pattern: re.Pattern[str]
    replacement: str


SUBSTITUTIONS = (
    # The log stamps its lines with the system's time, in another form before it is configured. All other
    # times come from the fixed clock or from the demo's stepped one, and have no microseconds.
    Substitution(
        "log stamp",
        re.compile(
            r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d\.\d{6}(?:Z|\+00:00)"
            r"|^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d(?= \[(?:debug|info|warning|error|critical) *\])",
            re.MULTILINE,
        ),
        "<STAMP>",
    ),
    # The operating system chooses the ports of the stand-ins and of the served application.
    Substitution("port", re.compile(r"\b(127\.0\.0\.1|localhost):\d{2,5}\b"), r"\1:<PORT>"),
    # How long the command worked.
    Substitution("seconds in a sentence", re.compile(r"\bin \d+(?:\.\d+)? s\b"), "in <SECONDS> s"),
    Substitution(
        "seconds in JSON",
        re.compile(r'"(seconds|durationSeconds)": \d+(?:\.\d+)?(?:e-\d+)?'),
        r'"\1": <SECONDS>',
    ),
    # The same in tables: of runs, where it follows the status, and of a run's sources, after the megabytes.
    Substitution(
        "seconds of a run",
        re.compile(r"\b(success|partial|nothing_new|failed|missed|interrupted|cancelled) +\d+\.\d\b"),
        r"\1 <SECONDS>",
    ),
    Substitution("seconds of a source", re.compile(r"(\d\.\d) +\d+\.\d *$", re.MULTILINE), r"\1 <SECONDS>"),
    # The entity tag of a site's scores is made of the random stamps of its days.
    Substitution("entity tag", re.compile(r'W/"[0-9a-f]{24}"'), 'W/"<TAG>"'),
)


def normalised(text: str, folders: Mapping[str, str] | None = None) -> str:
    """Return a text with names in place of all that varies: `folders` are paths with their names."""
    # The longest path first: one folder may lie in another.
    for path, name in sorted((folders or {}).items(), key=lambda item: -len(item[0])):
        text = text.replace(path, name)
    for substitution in SUBSTITUTIONS:
        text = substitution.pattern.sub(substitution.replacement, text)
    return text


# --- Commands --------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Call:
    """A command line with the settings that stand in its environment."""

    line: tuple[str, ...]
    settings: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Answer:
    """What a command wrote and its exit code."""

    code: int
    out: str
    err: str


def call(line: str, **settings: str) -> Call:
    return Call(tuple(line.split()), settings)


def environment(folder: Path, settings: Mapping[str, str]) -> dict[str, str]:
    """Return an environment without any variable of the person who runs this, except the program path."""
    return {
        "PATH": os.environ["PATH"],
        "HOME": str(folder),
        "XDG_DATA_HOME": str(folder / "data"),
        "LANG": "C.UTF-8",
        "TZ": "UTC",
        "COLUMNS": str(WIDTH),
        "PYTHONPATH": str(REPOSITORY),
        **settings,
    }


def run_calls(folder: Path, calls: Sequence[Call], now: datetime = NOW) -> list[Answer]:
    """Type commands in one process with `folder` as its working directory, one after the other.

    One process for all: starting it costs more than most of the commands.
    """
    order = folder / "calls.json"
    order.write_text(json.dumps([[each.line, environment(folder, each.settings)] for each in calls]))
    subprocess.run(
        [*_this_program(), "type", now.isoformat(), str(order)],
        cwd=folder,
        env=environment(folder, {}),
        stdin=subprocess.DEVNULL,
        check=True,
    )
    found = [Answer(*each) for each in json.loads(order.read_text())]
    order.unlink()
    return found


def _this_program() -> list[str]:
    # Run as a program, this module is called __main__, and only its spec has the name to import it by. Not by
    # -m: the command would then call itself "python -m" and a package in its lines of usage.
    name = __spec__.name if __spec__ is not None else __name__
    return [sys.executable, "-c", f"import {name} as program; raise SystemExit(program.main())"]


@contextmanager
def clock_at(now: datetime) -> Iterator[None]:
    """Stop the clock of this process: the command line has no option for it."""
    from backend.core import clock

    with mock.patch.object(clock, "utc_now", lambda: now):
        yield


def _type(now: datetime, order: Path) -> None:
    """Run the calls of a file, and write their answers over it."""
    folder = Path.cwd()
    answers = []
    with clock_at(now):
        for line, variables in json.loads(order.read_text()):
            os.chdir(folder)
            os.environ.clear()
            os.environ.update(variables)
            answers.append(_typed(line))
    order.write_text(json.dumps(answers))


def _typed(line: list[str]) -> tuple[int, str, str]:
    from backend.__main__ import main

    sys.argv = ["meteo-score", *line]
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
        # The file descriptors and not sys.stdout: log handlers and child processes keep what they were given.
        saved = [(number, os.dup(number)) for number in (1, 2)]
        os.dup2(out.fileno(), 1)
        os.dup2(err.fileno(), 2)
        try:
            main()
            code = 0
        except SystemExit as ended:
            code = ended.code if isinstance(ended.code, int) else int(ended.code is not None)
        except Exception:  # noqa: BLE001 - a traceback is an output like any other, and the other calls go on
            traceback.print_exc(limit=0)
            code = 1
        finally:
            sys.stdout.flush()
            sys.stderr.flush()
            for number, copy in saved:
                os.dup2(copy, number)
                os.close(copy)
        texts = []
        for file in (out, err):
            file.seek(0)
            texts.append(file.read().decode())
    return code, texts[0], texts[1]


def shown(calls: Sequence[Call], answers: Sequence[Answer]) -> str:
    """Return calls with their answers as one text."""
    parts = []
    for each, answer in zip(calls, answers, strict=True):
        settings = [f"{name}={value}" for name, value in each.settings.items()]
        parts.append(f"$ {' '.join([*settings, 'meteo-score', *each.line])}\nexit code {answer.code}\n")
        parts += [
            f"--- {name}\n{text}{'' if text.endswith(chr(10)) else chr(10)}"
            for name, text in (("output", answer.out), ("errors", answer.err))
            if text
        ]
        parts.append("\n")
    return "".join(parts)


def write_texts(folder: Path, texts: Mapping[str, str | bytes]) -> None:
    for name, text in texts.items():
        file = folder / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(text.encode() if isinstance(text, str) else text)


# --- Help ------------------------------------------------------------------------------------------------

_COMMAND = re.compile(r"^│ ([a-z][a-z-]*)(?=\s)", re.MULTILINE)


def commands_in(help_text: str) -> list[str]:
    """Return the names of the commands that a page of help lists."""
    _, _, panel = help_text.partition("╭─ Commands ─")
    return _COMMAND.findall(panel.partition("╰")[0])


def help_pages(folder: Path) -> Outputs:
    """Return the help of every command, found by walking from page to page."""
    pages: Outputs = {}
    level: list[tuple[str, ...]] = [()]
    while level:
        answers = run_calls(folder, [Call((*path, "--help")) for path in level])
        following = []
        for path, answer in zip(level, answers, strict=True):
            if answer.code != 0 or answer.err:
                raise RuntimeError(f"no help of {path}: {answer}")
            pages[f"{'-'.join(('meteo-score', *path))}.txt"] = answer.out
            following += [(*path, name) for name in commands_in(answer.out)]
        level = following
    return pages


# --- Wrong calls -----------------------------------------------------------------------------------------

SITES = """
[[sites]]
id = "planfait"
name = "Planfait"
latitude = 45.857
longitude = 6.224
elevation = 930
orientation = ["W", "SW"]
stations = ["ffvl:9001", "romma:901"]
"""

WRONG_FILES: Mapping[str, str | bytes] = {
    "sites.toml": SITES,
    "broken.toml": "[[sites]\nid = 3\n",
    "incomplete.toml": '[[sites]]\nid = "a"\nname = "A"\nlatitude = 45.9\n',
    "twice.toml": SITES + SITES,
    "sites.xml": "<sites/>",
    "wrong.csv": "id,name,height\na,A,3\n",
    "empty.csv": "",
    "damaged.sqlite3": b"SQLite format 3\x00" + bytes(range(256)) * 16,
    "text.sqlite3": "no database\n" * 400,
    "there.csv": "a file that is there\n",
    "slip.env": "ADMIN_TOKN=abc\n",
    "latin.env": "CONTACT=caf\xe9\n".encode("latin-1"),
    "forecasts.csv": "model,site,parameter,reference_time,valid_time,value\n"
    "m,nowhere,wind_speed,2026-06-01T00:00:00Z,2026-06-01T06:00:00Z,10\n"
    "m,planfait,rain,2026-06-01T00:00:00Z,2026-06-01T06:00:00Z,10\n"
    "m,planfait,wind_speed,2026-06-01T00:00:00,2026-06-01T06:00:00Z,10\n"
    "m,planfait,wind_speed,2026-06-01T00:00:00Z,2026-06-01T06:00:00Z,900\n"
    "m,planfait,wind_speed,2026-06-01T00:00:00Z,2026-06-01T06:00:00Z,much\n"
    "m,planfait,wind_speed,2026-07-01T00:00:00Z,2026-07-01T06:00:00Z,10\n"
    "m,planfait,wind_speed,2026-06-01T00:00:00Z,2026-08-01T06:00:00Z,10\n",
    "column.csv": "model,site,parameter,reference_time,valid_time,value,colour\n",
    "observations.csv": "station,parameter,time,value\n"
    "ffvl:1,wind_speed,2026-06-01T00:00:00Z,10\n"
    "ffvl:9001,wind_direction,2026-06-01T00:00:00Z,400\n",
    "data.json": "{}",
}

_STORE = {"DATABASE_URL": "sqlite:///store.sqlite3", "SITES_FILE": "sites.toml"}


def _on_store(line: str, **settings: str) -> Call:
    return call(line, **(_STORE | settings))


WRONG_CALLS = (
    # No store, or one that cannot be used
    call("score planfait", DATABASE_URL="sqlite:///missing.sqlite3"),
    call("runs", DATABASE_URL="sqlite:///missing.sqlite3"),
    call("score planfait", DATABASE_URL="sqlite:///damaged.sqlite3"),
    call("score planfait", DATABASE_URL="sqlite:///text.sqlite3"),
    call("score planfait", DATABASE_URL="mysql://user:secret@localhost/meteo"),
    call("score planfait", DATABASE_URL="sqlite:///no/such/folder/store.sqlite3"),
    call("db upgrade", DATABASE_URL="sqlite:///text.sqlite3"),
    call("db copy sqlite:///missing.sqlite3 sqlite:///new.sqlite3"),
    call("db copy sqlite:///store.sqlite3 sqlite:///store.sqlite3"),
    call("--demo score planfait"),
    call("--demo collect forecasts"),
    # Settings and their files
    call("config", PORT="abc"),
    call("config", PORT="70000"),
    call("config", SOURCES="nowhere"),
    call("config", SOURCES=""),
    call("config", LOG_LEVEL="LOUD"),
    call("config", OPEN_METEO_MODELS="icon_d3"),
    call("config", AROME_RUNS="1,2"),
    call("config", AROME_URL="ftp://example.org"),
    call("config", TRUSTED_PROXIES="proxy"),
    call("config", SCHEDULER_ENABLED="perhaps"),
    call("config", FORECAST_LOOKBACK_HOURS="-1"),
    call("--env-file missing.env config"),
    call("--env-file slip.env config"),
    call("--env-file latin.env config"),
    _on_store("sites list", SITES_FILE="missing.toml"),
    _on_store("sites list", SITES_FILE="broken.toml"),
    _on_store("sites list", SITES_FILE="incomplete.toml"),
    _on_store("sites list", SITES_FILE="twice.toml"),
    _on_store("score planfait", SITES_FILE="broken.toml"),
    # The line itself
    call(""),
    call("scor"),
    call("score --colour red"),
    call("export"),
    call("serve --port 70000"),
    call("demo --days 0"),
    call("demo --fresh --database-url sqlite:///demo.sqlite3"),
    call("demo --until yesterday"),
    # Scores
    _on_store("score planfai"),
    _on_store("score zzz"),
    _on_store("score planfait --from 2026-13-01"),
    _on_store("score planfait --from 2026-06-10 --to 2026-06-01"),
    _on_store("score planfait --from 2020-01-01 --to 2026-06-01"),
    _on_store("score planfait --parameter rain"),
    _on_store("score planfait --view tomorrow"),
    _on_store("score planfait --hours night"),
    _on_store("score", SITES_FROM="database"),
    _on_store("scores rebuild --site nowhere"),
    _on_store("scores rebuild --workers 0"),
    # Runs
    _on_store("runs 99"),
    _on_store("runs first"),
    _on_store("runs --job collect_nothing"),
    _on_store("runs --status fine"),
    _on_store("runs --limit 0"),
    _on_store("replay 99"),
    # Collections that are refused before the first request
    _on_store("collect rain"),
    _on_store("collect forecasts --source nowhere"),
    _on_store("collect forecasts --source ffvl"),
    _on_store("collect observations --site planfai"),
    _on_store("backfill --from 2026-06-10 --to 2026-06-01"),
    _on_store("backfill --from 2026-06-10 --to 2030-06-01"),
    _on_store("backfill --from 2026-06-10 --to 2026-06-11 --source nowhere"),
    _on_store("backfill --from 2026-06-10"),
    # Exports
    _on_store("export pairs"),
    _on_store("export pairs -o pairs.xlsx"),
    _on_store("export pairs -o no/such/folder/pairs.csv"),
    _on_store("export pairs -o there.csv"),
    _on_store("export pairs -o pairs.csv --parameter wind"),
    _on_store("export pairs -o pairs.csv --view tomorrow"),
    _on_store("export pairs -o pairs.csv --model nowhere"),
    _on_store("export pairs -o pairs.csv --site nowhere"),
    _on_store("export pairs -o pairs.csv --station ffvl:1"),
    _on_store("export scores -o scores.csv --from 2026-06-10 --to 2026-06-01"),
    _on_store("export scores -o scores.csv --parameter rain"),
    _on_store("export verif -o verif.csv --model m --parameter wind_speed --view morning"),
    _on_store("export verif -o verif.txt --parameter wind_speed --view morning"),
    _on_store("export verif -o verif.txt --model m --parameter wind_speed --view tomorrow"),
    # Imports
    _on_store("import forecasts missing.csv"),
    _on_store("import forecasts forecasts.csv"),
    _on_store("import forecasts column.csv"),
    _on_store("import forecasts empty.csv"),
    _on_store("import forecasts data.json"),
    _on_store("import observations observations.csv"),
    _on_store("import observations forecasts.csv"),
    # Sites
    _on_store("sites import sites.xml"),
    _on_store("sites import wrong.csv"),
    _on_store("sites import empty.csv"),
    _on_store("sites import missing.toml"),
    _on_store("sites import sites.toml"),
    _on_store("sites add"),
    _on_store("sites remove planfai"),
    _on_store("sites near 95 6"),
    _on_store("sites near 45.9"),
    _on_store("sites confirm-station nowhere ffvl:1"),
    _on_store("sites confirm-station planfait ffvl:1"),
    _on_store("sites confirm-station planfait ffvl:9001 --undo"),
    _on_store("sites exclude-station ffvl:9001 rain"),
    _on_store("sites exclude-station ffvl:9001 wind"),
    _on_store("sites exclude-station ffvl:9001 wind --undo"),
    _on_store("sites exclude-station ffvl:9001 wind --from 2026-06-10 --until 2026-06-01"),
)


def wrong_calls(folder: Path) -> Outputs:
    """Return the answers to calls that are refused."""
    write_texts(folder, WRONG_FILES)
    made, *answers = run_calls(folder, [_on_store("db upgrade"), *WRONG_CALLS])
    if made.code != 0:
        raise RuntimeError(f"no store for the wrong calls: {made}")
    return {"wrong_calls.txt": shown(WRONG_CALLS, answers)}


# --- Databases -------------------------------------------------------------------------------------------


def sqlite_ddl(folder: Path) -> str:
    """Return the definitions of all tables, indexes and triggers of a migrated SQLite store."""
    (made,) = run_calls(folder, [call("db upgrade", DATABASE_URL="sqlite:///ddl.sqlite3")])
    if made.code != 0:
        raise RuntimeError(f"no store: {made}")
    with closing(sqlite3.connect(folder / "ddl.sqlite3")) as connection:
        rows = connection.execute("SELECT type, name, tbl_name, sql FROM sqlite_master").fetchall()
        version = connection.execute("SELECT version_num FROM alembic_version").fetchall()
    parts = [
        f"-- {kind} {name} of {table}\n{text or '(implied)'};\n" for kind, name, table, text in sorted(rows)
    ]
    return "\n".join([*parts, f"-- migrations up to {version}\n"])


POSTGRES_QUERIES = {
    "columns": "SELECT table_name, ordinal_position, column_name, data_type, character_maximum_length,"
    " numeric_precision, numeric_scale, is_nullable, column_default, is_identity, identity_generation,"
    " collation_name FROM information_schema.columns WHERE table_schema = 'public'",
    "constraints": "SELECT conrelid::regclass::text, conname, contype::text, pg_get_constraintdef(oid)"
    " FROM pg_constraint WHERE connamespace = 'public'::regnamespace",
    "indexes": "SELECT tablename, indexname, indexdef FROM pg_indexes WHERE schemaname = 'public'",
    "triggers": "SELECT tgrelid::regclass::text, tgname, pg_get_triggerdef(oid) FROM pg_trigger"
    " WHERE NOT tgisinternal",
    "functions": "SELECT proname, pg_get_functiondef(oid) FROM pg_proc"
    " WHERE pronamespace = 'public'::regnamespace AND prokind IN ('f', 'p')",
    "views": "SELECT viewname, definition FROM pg_views WHERE schemaname = 'public'",
    "sequences": "SELECT sequencename, data_type::text, start_value, increment_by, cycle FROM pg_sequences"
    " WHERE schemaname = 'public'",
    "relations": "SELECT relname, relkind::text, relpersistence::text, reloptions::text FROM pg_class"
    " WHERE relnamespace = 'public'::regnamespace",
    "migrations": "SELECT version_num FROM alembic_version",
}


def postgres_ddl(folder: Path) -> str:
    """Return the schema of a migrated PostgreSQL store, as its catalogue describes it."""
    import psycopg

    with running_postgres() as server, server.database() as url:
        (made,) = run_calls(folder, [call("db upgrade", DATABASE_URL=url)])
        if made.code != 0:
            raise RuntimeError(f"no store: {made}")
        parts = []
        with psycopg.connect(url.replace("postgresql+psycopg:", "postgresql:")) as connection:
            for title, query in POSTGRES_QUERIES.items():
                rows = connection.execute(query.encode()).fetchall()
                lines = sorted(" | ".join("" if each is None else str(each) for each in row) for row in rows)
                parts.append("\n".join([f"-- {title}", *lines, "\n"]))
    return "".join(parts)


def definitions(folder: Path) -> Outputs:
    return {"sqlite.sql": sqlite_ddl(folder), "postgresql.txt": postgres_ddl(folder)}


# --- A store ---------------------------------------------------------------------------------------------

HISTORY = (datetime(2026, 3, 20, tzinfo=UTC), datetime(2026, 6, 14, tzinfo=UTC))
"""The days of the imported history: 86, with two closed calendar months. The demo's days follow it."""

HISTORY_SITES = {
    "planfait": ("ffvl:9001", "romma:901"),
    "montmin": ("ffvl:9002",),
    "semnoz": ("ffvl:9003",),
}
HISTORY_MODELS = {"meteo_parapente": (2.0, 3.0), "arome_0025": (-1.0, 4.5), "my_wrf": (0.5, 6.0)}
"""Models with the bias and the standard deviation of their errors, km/h."""

LEADS = 48

FORECAST_COLUMNS = ("model", "site", "parameter", "reference_time", "valid_time", "value", "available_at")
READING_COLUMNS = ("station", "parameter", "time", "value", "averaging_minutes")


def write_history(folder: Path) -> None:
    """Write forecasts and readings of invented weather as files to import."""
    chance = random.Random(SEED)
    begin, end = HISTORY
    hours = int((end - begin) / timedelta(hours=1))
    truth = {}
    for site in HISTORY_SITES:
        spell = 0.0
        for hour in range(hours + LEADS):
            spell = 0.9 * spell + chance.gauss(0, 2)
            day = max(0.0, 1 - abs(hour % 24 - 13) / 9)
            truth[site, hour] = (
                max(0.0, 6 + 14 * day + spell),
                (220 + 90 * day + 4 * spell) % 360,
                8 + 12 * day,
            )
    with (folder / "history.csv").open("w", newline="") as file:
        table = csv.writer(file)
        table.writerow(FORECAST_COLUMNS)
        for site in HISTORY_SITES:
            for model, (bias, spread) in HISTORY_MODELS.items():
                for first in range(0, hours - LEADS, 24):
                    run = begin + timedelta(hours=first)
                    error = chance.gauss(bias, spread / 2)
                    for lead in range(LEADS):
                        speed, direction, warmth = truth[site, first + lead]
                        said = max(0.0, speed + error + chance.gauss(0, spread))
                        values = {
                            "wind_speed": said,
                            "wind_gust": 1.5 * said + abs(chance.gauss(0, 3)),
                            "wind_direction": (direction + chance.gauss(bias, 8 * spread)) % 360,
                            "temperature": warmth + chance.gauss(bias / 2, spread / 3),
                        }
                        stamps = [each.isoformat() for each in (run, run + timedelta(hours=lead))]
                        known = (run + timedelta(hours=4)).isoformat()
                        for name, value in values.items():
                            table.writerow([model, site, name, *stamps, round(value, 1) % 360, known])
    with (folder / "readings.csv").open("w", newline="") as file:
        table = csv.writer(file)
        table.writerow(READING_COLUMNS)
        for site, stations in HISTORY_SITES.items():
            for station in stations:
                for hour in range(hours):
                    speed, direction, warmth = truth[site, hour]
                    measured = max(0.0, speed + chance.gauss(0, 1.5))
                    values = {
                        "wind_speed": measured,
                        "wind_gust": 1.5 * measured + abs(chance.gauss(0, 2)),
                        "wind_direction": (direction + chance.gauss(0, 10)) % 360,
                        "temperature": warmth + chance.gauss(0, 0.5),
                    }
                    stamp = (begin + timedelta(hours=hour, minutes=hour % 3)).isoformat()
                    for name, value in values.items():
                        table.writerow([station, name, stamp, round(value, 1) % 360, 10])


STORE = {
    "DATABASE_URL": "sqlite:///.demo/demo.sqlite3",
    "DATA_DIR": ".demo",
    "SITES_FROM": "database",
    "CONTACT": "freeze@example.org",
}
"""The settings to write to the demo's store and to read it as a live one, with values withheld."""


def make_store(folder: Path) -> Outputs:
    """Live through the demo's days, and import the history before them."""
    demo = call(f"demo --days {DEMO_DAYS} --no-serve --seed {SEED} --until {DEMO_END}")
    # In a process of its own and on the system's clock: its worker process starts the same program again.
    lived = subprocess.run(
        [sys.executable, "-m", "backend", *demo.line],
        cwd=folder,
        env=environment(folder, {}),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    write_history(folder)
    imports = [
        call("import forecasts history.csv --dry-run", **STORE),
        call("import forecasts history.csv", **STORE),
        call("import observations readings.csv --json", **STORE),
        call("import forecasts history.csv", **STORE),
    ]
    answers = [Answer(lived.returncode, lived.stdout, lived.stderr), *run_calls(folder, imports)]
    if any(answer.code for answer in answers):
        raise RuntimeError(f"no store: {answers}")
    return {"made.txt": shown([demo, *imports], answers)}


SCORE_CALLS = (
    *(call(f"--demo score {site}") for site in ("planfait", "montmin", "semnoz", "mieussy")),
    *(call(f"--demo score {site} --json") for site in ("planfait", "montmin")),
    call("--demo score planfait --from 2026-04-01 --to 2026-05-31"),
    call("--demo score planfait --from 2026-04-01 --to 2026-05-31 --json"),
    call("--demo score planfait --parameter wind_gust --view two_evenings_before"),
    call("--demo score planfait --parameter wind_direction --view morning --json"),
    call("--demo score planfait --parameter wind --hours day"),
    call("--demo score planfait --parameter temperature --hours all"),
    call("--demo score planfait --parameter temperature_raw --view noon --hours day"),
    call("--demo score montmin --view lead_24_35 --from 2026-05-10 --to 2026-05-30"),
    call("--demo score semnoz --view lead_6_11 --hours all --json"),
    call("--demo score planfait --from 2024-01-01 --to 2024-02-01"),
    call("--demo score"),
    call("--demo score --json"),
    call("--demo score --parameter wind_gust --view noon --hours all --from 2026-04-01"),
    call("score planfait", **STORE),
)

READING_CALLS = (
    # Not with --demo: its last line is centred by the length of the repository's path.
    call("sites list", **STORE),
    call("--demo sites list --json"),
    call("--demo sites near 45.9 6.3 --elevation 1000"),
    call("--demo sites near 45.9 -6.3 --limit 1 --json"),
    call("--demo sites flags"),
    call("--demo sites flags --json"),
    call("--demo runs --limit 5"),
    call("--demo runs --json --limit 3"),
    call("--demo runs 3"),
    call("--demo runs 3 --json"),
    call("--demo runs --job collect_observations --status partial"),
    call("--demo config"),
    call("config --json", **STORE),
    call("--demo import replaced"),
    call("--demo import replaced --json"),
)

_DAYS = "--from 2026-06-08 --to 2026-06-19"

EXPORT_CALLS = (
    call(f"--demo export pairs -o pairs.csv {_DAYS} --view evening_before --view lead_12_23 --site planfait"),
    call(
        "--demo export pairs -o directions.csv --parameter wind_direction --view noon --site montmin --json"
    ),
    call("--demo export scores -o scores.csv"),
    call("--demo export scores -o scores_part.csv --from 2026-05-02"),
    call(
        "--demo export scores -o scores_day.csv --hours day --view morning --from 2026-05-01 --to 2026-05-31"
        " --json"
    ),
    call("export scores -o scores_public.csv", **STORE),
    call("export scores -o scores_exact.csv --exact --site planfait --view evening_before", **STORE),
    call("--demo export verif -o verif.txt --model my_wrf --parameter wind_speed --view morning"),
    call(
        "export verif -o temperature.txt --model arome_0025 --parameter temperature --view lead_6_11"
        " --site semnoz --json",
        **STORE,
    ),
    call("--demo export forecasts -o forecasts.csv --site planfait --from 2026-06-18 --to 2026-06-18"),
    call("--demo export observations -o observations.csv --site planfait --from 2026-06-18 --to 2026-06-18"),
    call("export observations -o observations_raw.csv --station romma:901 --from 2026-06-18 --json", **STORE),
)

CHANGED = "changed.csv"

WRITING_CALLS = (
    call(f"import forecasts {CHANGED}", **STORE),
    call(f"import forecasts {CHANGED} --replace", **STORE),
    call("import replaced", **STORE),
    call("import replaced --json", **STORE),
    call(
        "sites exclude-station ffvl:9001 wind_gust --from 2026-05-01 --until 2026-05-20 --note ice", **STORE
    ),
    call("sites flags", **STORE),
    call("sites flags --json", **STORE),
    call("sites remove planpraz", **STORE),
    call("sites confirm-station planfait ffvl:9001 --undo", **STORE),
    call("scores rebuild --site planfait --json", **STORE),
    call("score planfait --parameter wind_gust", **STORE),
    call("db upgrade", **STORE),
)


def store_outputs(folder: Path) -> Outputs:
    """Return what commands that only read print of a store, what they export, and what its API answers."""
    outputs = make_store(folder)
    pieces = (("score", SCORE_CALLS), ("reading", READING_CALLS), ("export", EXPORT_CALLS))
    before = set(folder.iterdir())
    answers = iter(run_calls(folder, [each for _, calls in pieces for each in calls]))
    for name, calls in pieces:
        outputs[f"{name}.txt"] = shown(calls, [next(answers) for _ in calls])
    for file in sorted(set(folder.iterdir()) - before):
        if file.is_file():
            outputs[f"export/{file.name}"] = file.read_text()
    with served(folder, {**STORE, "ADMIN_TOKEN": TOKEN}) as get:
        outputs |= {f"api/{name}.txt": get(path, headers) for name, (path, headers) in API_QUESTIONS.items()}
    # Last, because the store is another one then: a value of the history is corrected.
    head, first, *_ = (folder / "history.csv").read_text().splitlines()
    *names, value, known = first.split(",")
    write_texts(
        folder, {CHANGED: "\n".join([head, ",".join([*names, f"{float(value) + 1:.1f}", known]), ""])}
    )
    outputs["writing.txt"] = shown(WRITING_CALLS, run_calls(folder, WRITING_CALLS))
    return outputs


# --- The API ---------------------------------------------------------------------------------------------

_ADMIN = {"Authorization": f"Bearer {TOKEN}"}
_CSV = {"Accept": "text/csv"}
_PLANFAIT = "/api/v1/sites/planfait"

API_QUESTIONS: Mapping[str, tuple[str, Mapping[str, str]]] = {
    "page": ("/", {}),
    "page_admin": ("/", _ADMIN),
    "health": ("/api/health", {}),
    "ready": ("/api/ready", {}),
    "scheduler_status": ("/api/scheduler/status", {}),
    "scheduler_jobs": ("/api/scheduler/jobs", {}),
    "scheduler_runs": ("/api/scheduler/runs?limit=3", {}),
    "scheduler_run": ("/api/scheduler/runs/3", {}),
    "scheduler_run_admin": ("/api/scheduler/runs/3", _ADMIN),
    "sites": ("/api/sites", {}),
    "sites_csv": ("/api/sites", _CSV),
    "stations": ("/api/stations?site=planfait", {}),
    "stations_csv": ("/api/stations?limit=5", _CSV),
    "models": ("/api/models", {}),
    "forecasts": ("/api/forecasts?site=planfait&parameter=wind_speed&limit=20", {}),
    "forecasts_admin": ("/api/forecasts?model=meteo_parapente&from=2026-06-18T00:00:00Z&limit=10", _ADMIN),
    "forecasts_csv": ("/api/forecasts?model=arome_0025&from=2026-06-18T00:00:00Z&limit=10", _CSV),
    "observations": ("/api/observations?site=planfait&from=2026-06-19T00:00:00Z&limit=20", {}),
    "observations_csv": ("/api/observations?station=ffvl:9001&from=2026-06-19T00:00:00Z&limit=10", _CSV),
    "v1_models": ("/api/v1/models", {}),
    "v1_methods": ("/api/v1/methods", {}),
    "verdict": (f"{_PLANFAIT}/verdict", {}),
    "verdict_admin": (f"{_PLANFAIT}/verdict", _ADMIN),
    "verdict_public_sources": (f"{_PLANFAIT}/verdict?sources=public&parameter=wind_gust&hours=day", {}),
    "verdict_wind": ("/api/v1/sites/montmin/verdict?parameter=wind&view=noon", _ADMIN),
    "verdict_empty": ("/api/v1/sites/mieussy/verdict", {}),
    "scores": (f"{_PLANFAIT}/scores", {}),
    "scores_hour": (f"{_PLANFAIT}/scores?stratum=hour", _ADMIN),
    "scores_sector": (f"{_PLANFAIT}/scores?stratum=sector&model=my_wrf&view=morning", _ADMIN),
    "scores_direction": (f"{_PLANFAIT}/scores?parameter=wind_direction&stratum=wind_class", _ADMIN),
    "comparison": (f"{_PLANFAIT}/comparison?from=2026-05-01&to=2026-05-31", {}),
    "comparison_admin": (f"{_PLANFAIT}/comparison?view=lead_12_23&hours=all", _ADMIN),
    "bias": (f"{_PLANFAIT}/bias", {}),
    "bias_admin": (f"{_PLANFAIT}/bias?parameter=temperature&model=arome_0025", _ADMIN),
    "events": (f"{_PLANFAIT}/events?limit=20&gustLimit=30", {}),
    "events_admin": (f"{_PLANFAIT}/events?limit=20&gustLimit=30&view=noon", _ADMIN),
    "series": (f"{_PLANFAIT}/series?from=2026-06-09&to=2026-06-11", {}),
    "series_admin": (f"{_PLANFAIT}/series?from=2026-06-18&to=2026-06-18&parameter=wind_gust", _ADMIN),
    "problem_no_page": ("/api/nothing", {}),
    "problem_no_site": ("/api/v1/sites/planfai/verdict", {}),
    "problem_no_model": (f"{_PLANFAIT}/scores?model=nowhere", {}),
    "problem_no_station": ("/api/observations?station=ffvl:1", {}),
    "problem_no_run": ("/api/scheduler/runs/9999", {}),
    "problem_no_job_token": ("/api/scheduler/jobs/collect_forecasts/run", {}),
    "problem_token": ("/api/scheduler/jobs", {"Authorization": "Bearer wrong"}),
    "problem_parameter": (f"{_PLANFAIT}/verdict?parameter=rain", {}),
    "problem_view": (f"{_PLANFAIT}/verdict?view=tomorrow", {}),
    "problem_filter": ("/api/forecasts?sites=planfait", {}),
    "problem_days": (f"{_PLANFAIT}/verdict?from=2026-06-10&to=2026-06-01", _ADMIN),
    "problem_days_withheld": (f"{_PLANFAIT}/verdict?from=2026-06-01&to=2026-06-10", {}),
    "problem_many_days": (f"{_PLANFAIT}/series?from=2026-01-01&to=2026-06-10", _ADMIN),
    "problem_limit": (f"{_PLANFAIT}/events?limit=2", {}),
    "problem_bias_of_wind": (f"{_PLANFAIT}/bias?parameter=wind", {}),
    "problem_cursor": ("/api/forecasts?cursor=wrong", {}),
    "problem_time": ("/api/forecasts?from=2026-06-10T00:00:00", {}),
}

# The date is of the server's own clock; the length follows the body, in which runs have their durations.
LEFT_OUT_HEADERS = frozenset({"date", "content-length"})

Get = Callable[[str, Mapping[str, str]], str]


@contextmanager
def served(folder: Path, settings: Mapping[str, str]) -> Iterator[Get]:
    """Serve the application in a process of its own at the time NOW, without the schedule."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    quiet = {"SCHEDULER_ENABLED": "false", "RATE_LIMIT_PER_MINUTE": "0", "LOG_LEVEL": "ERROR"}
    log = folder / "served.log"
    with log.open("wb") as file:
        process = subprocess.Popen(
            [*_this_program(), "serve", NOW.isoformat(), str(port)],
            cwd=folder,
            env=environment(folder, {**quiet, **settings}),
            stdin=subprocess.DEVNULL,
            stdout=file,
            stderr=subprocess.STDOUT,
        )

    def is_served() -> bool:
        if process.poll() is not None:
            raise RuntimeError(f"the application is not served: {log.read_text()}")
        try:
            return _get(port, "/api/sites", {}).startswith("status 200")
        except OSError:
            return False

    try:
        wait_for(is_served, "the application")
        yield lambda path, headers: _get(port, path, headers)
    finally:
        process.terminate()
        process.wait()


def _get(port: int, path: str, headers: Mapping[str, str]) -> str:
    with closing(http.client.HTTPConnection("127.0.0.1", port, timeout=HANG_SECONDS)) as connection:
        connection.request("GET", path, headers=dict(headers))
        response = connection.getresponse()
        body = response.read().decode()
        sent = sorted((name.lower(), value) for name, value in response.getheaders())
    if "json" in (response.getheader("content-type") or ""):
        body = json.dumps(json.loads(body), indent=1, ensure_ascii=False)
    lines = [f"{name}: {value}" for name, value in sent if name not in LEFT_OUT_HEADERS]
    return "\n".join([f"status {response.status}", *lines, "", body, ""])


def _serve(now: datetime, port: str) -> None:
    from backend.__main__ import main

    sys.argv = ["meteo-score", "serve", "--port", port]
    with clock_at(now):
        main()


def openapi(folder: Path) -> Outputs:
    """Return the description of the API, keys sorted."""
    write_texts(folder, {"sites.toml": SITES})
    with served(folder, {"SITES_FILE": "sites.toml"}) as get:
        _, _, body = get("/openapi.json", {}).partition("\n\n")
    return {"openapi.json": json.dumps(json.loads(body), indent=1, sort_keys=True, ensure_ascii=False) + "\n"}


def methodology(folder: Path) -> Outputs:
    return {"methodology.md": (REPOSITORY / "docs" / "methodology.md").read_text()}


# --- All of it -------------------------------------------------------------------------------------------

PARTS: Mapping[str, Callable[[Path], Outputs]] = {
    "openapi": openapi,
    "help": help_pages,
    "wrong": wrong_calls,
    "methodology": methodology,
    "ddl": definitions,
    "store": store_outputs,
}


def write(folder: Path, parts: Sequence[str] = tuple(PARTS)) -> None:
    """Write the outputs of some parts into a folder; the parts that it had before are replaced."""
    folder.mkdir(parents=True, exist_ok=True)
    for part in parts:
        with tempfile.TemporaryDirectory(prefix="frozen-") as name:
            work = Path(name).resolve()
            outputs = PARTS[part](work)
            names = {str(work): "<FOLDER>", str(REPOSITORY): "<REPOSITORY>"}
            texts = {each: normalised(text, names) for each, text in outputs.items()}
        shutil.rmtree(folder / part, ignore_errors=True)
        write_texts(folder / part, texts)
        print(f"{part}: {len(texts)} files", file=sys.stderr)


def outputs_in(folder: Path, parts: Sequence[str]) -> Outputs:
    """Return the outputs that a folder has of some parts."""
    return {
        file.relative_to(folder).as_posix(): file.read_text()
        for part in parts
        for file in (folder / part).rglob("*")
        if file.is_file()
    }


LINES_SHOWN = 60
"""How many lines of a file's diff are printed."""


def differences(before: Outputs, after: Outputs) -> list[str]:
    """Return a unified diff for each file that differs; the end of a long one is counted, not shown."""
    found = []
    for name in sorted(before.keys() | after.keys()):
        old, new = before.get(name), after.get(name)
        if old == new:
            continue
        lines = list(
            difflib.unified_diff(
                [] if old is None else old.splitlines(),
                [] if new is None else new.splitlines(),
                f"before/{name}" if old is not None else "(no such file before)",
                f"after/{name}" if new is not None else "(no such file after)",
                lineterm="",
                n=2,
            )
        )
        more = len(lines) - LINES_SHOWN
        rest = [f"... and {more} more lines of {name}"] if more > 0 else []
        found.append("\n".join([*lines[:LINES_SHOWN], *rest]) or f"{name}: only line ends differ")
    return found


def compare(before: Path, after: Path, parts: Sequence[str]) -> int:
    """Print how two folders differ, and return the exit code."""
    old, new = outputs_in(before, parts), outputs_in(after, parts)
    if not old:
        print(f"{before}: holds no outputs of {', '.join(parts)}", file=sys.stderr)
        return 2
    found = differences(old, new)
    for each in found:
        print(each, end="\n\n")
    print(f"{len(found)} of {len(old.keys() | new.keys())} files differ")
    return 1 if found else 0


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="frozen_outputs", description=__doc__.partition("\n")[0])
    actions = parser.add_subparsers(dest="action", required=True)
    for name in ("write", "compare"):
        action = actions.add_parser(name)
        action.add_argument("folder", type=Path)
        if name == "compare":
            action.add_argument("folder2", type=Path, nargs="?")
        action.add_argument("--only", nargs="+", choices=PARTS, default=list(PARTS), metavar="PART")
    # The two that follow are started by this module itself, in processes of their own.
    typing = actions.add_parser("type")
    typing.add_argument("now", type=datetime.fromisoformat)
    typing.add_argument("order", type=Path)
    serving = actions.add_parser("serve")
    serving.add_argument("now", type=datetime.fromisoformat)
    serving.add_argument("port")
    asked = parser.parse_args(arguments)
    if asked.action == "type":
        _type(asked.now, asked.order)
    elif asked.action == "serve":
        _serve(asked.now, asked.port)
    elif asked.action == "write":
        write(asked.folder, asked.only)
    elif asked.folder2 is not None:
        return compare(asked.folder, asked.folder2, asked.only)
    else:
        with tempfile.TemporaryDirectory(prefix="frozen-now-") as name:
            write(Path(name), asked.only)
            return compare(asked.folder, Path(name), asked.only)
    return 0


if __name__ == "__main__":
    sys.exit(main())
