"""Check of the store for damage: at the start, regularly, and by `doctor`.

SQLite checks a file itself (`PRAGMA quick_check`, `integrity_check`). PostgreSQL has no such command: all
tables are read, which finds every broken page if page checksums are on, and its extension amcheck is used if
it is installed and allowed. Neither finds values that were altered without damage to their page.
"""

from __future__ import annotations

import asyncio
import sqlite3
from contextlib import closing, suppress
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from pathlib import Path

import sqlalchemy as sa
import structlog

from backend.core.daemon_thread import in_daemon_thread
from backend.core.errors import MeteoScoreError, StoreDamagedError, StoreUnavailableError
from backend.storage import schema as t
from backend.storage.database import Database
from backend.storage.driver_errors import is_damage

log = structlog.get_logger()

CHECK_EVERY = timedelta(hours=6)
WHOLE_CHECK_EVERY = timedelta(days=1)
"""Interval of the checks that also compare indexes with their tables, and read every value."""

RECHECK_EVERY = timedelta(minutes=5)
"""Wait before the next check of a damaged or unreachable store: the operator may have restored it."""

MOST_PROBLEMS = 20
"""The check stops after this many problems: more broken pages do not change what the operator has to do."""


@dataclass(frozen=True, slots=True)
class CheckReport:
    """The problems found, in the database's words, and what the check covers."""

    problems: tuple[str, ...]
    covers: str

    @property
    def damage(self) -> str:
        """Return the problems in one line; empty where there are none."""
        if not self.problems:
            return ""
        first, *others = self.problems
        if not others:
            return first
        least = "at least " if len(self.problems) >= MOST_PROBLEMS else ""
        return f"{first} (and {least}{len(others)} more)"


def check_store(database: Database, *, whole: bool) -> CheckReport:
    """Check the stored data and whether the store is writable; set `database.damage` to what is found.

    `whole` also compares indexes with their tables and reads every value. Only a whole check without a
    problem clears earlier damage. Blocks for seconds to minutes, on its own connections, and blocks no
    writer. Raises StoreUnavailableError if the store is unreachable or read-only.
    """
    # A write that changes nothing shows whether the store is writable. If it finds damage, the check below
    # finds the same, with more detail.
    with suppress(StoreDamagedError), database.write() as connection:
        connection.execute(sa.update(t.job).where(t.job.c.name == "").values(schedule=""))
    try:
        report = _check_sqlite(database.path, whole) if database.path else _check_postgres(database, whole)
    except StoreDamagedError as error:
        report = CheckReport((str(error),), "stopped at the first error")
    if report.problems:
        database.note_damage(report.damage)
    elif whole:
        database.damage = None
    database.note_check()
    return report


def _check_sqlite(path: Path, whole: bool) -> CheckReport:
    # A new connection has an empty page cache, so that it reads from the disk.
    pragma = "integrity_check" if whole else "quick_check"
    covers = "every page and index checked" if whole else "every page checked"
    try:
        with closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True)) as connection:
            lines = [str(row[0]) for row in connection.execute(f"PRAGMA {pragma}({MOST_PROBLEMS})")]
    except sqlite3.Error as error:
        if not is_damage(error):
            raise StoreUnavailableError(f"the store does not answer: {error}") from error
        lines = [str(error)]
    problems = [line for line in lines if line != "ok"]
    # SQLite's first line only names the schema: "*** in database main ***".
    return CheckReport(tuple(line.removeprefix("*** in database main ***\n") for line in problems), covers)


def _check_postgres(database: Database, whole: bool) -> CheckReport:
    problems: list[str] = []
    with database.read() as connection:
        checksums = connection.exec_driver_sql("SHOW data_checksums").scalar_one() == "on"
        failures = connection.exec_driver_sql(_CHECKSUM_FAILURES).scalar_one()
        amcheck = connection.exec_driver_sql(_AMCHECK).scalar_one()
        indexes = [str(name) for (name,) in connection.exec_driver_sql(_INDEXES)] if amcheck else []
    if failures:
        problems.append(f"the server counted {failures} pages with a wrong checksum")
    counted = "(value.*)::text" if whole else "*"  # a row as text: reads every value, also long ones
    tables = [table.name for table in t.metadata.sorted_tables]
    statements = [f"SELECT count({counted}) FROM {table} AS value" for table in tables]  # noqa: S608 - ours
    if amcheck and whole:
        statements += [f"SELECT count(*), min(msg) FROM verify_heapam('{table}')" for table in tables]  # noqa: S608
        statements += [f"SELECT bt_index_check('{index}')" for index in indexes]
    for statement in statements:
        try:
            with database.read() as connection:
                # An index scan would read only the pages of the index.
                connection.exec_driver_sql("SET LOCAL enable_indexscan = off")
                connection.exec_driver_sql("SET LOCAL enable_indexonlyscan = off")
                row = connection.exec_driver_sql(statement).one()
        except StoreDamagedError as error:
            problems.append(str(error))
        else:
            if "verify_heapam" in statement and row[0]:
                problems.append(str(row[1]))
    covers = ["every row read" if whole else "every page of every table read"]
    if amcheck and whole:
        covers.append("tables and indexes checked by amcheck")
    elif whole:
        covers.append("indexes not checked: amcheck is not installed, or not allowed for this user")
    if not checksums:
        covers.append("page checksums are off on this server, so that some broken pages are not detected")
    return CheckReport(tuple(problems[:MOST_PROBLEMS]), "; ".join(covers))


_CHECKSUM_FAILURES = (
    "SELECT coalesce(max(checksum_failures), 0) FROM pg_stat_database WHERE datname = current_database()"
)
_AMCHECK = """
    SELECT coalesce(bool_and(has_function_privilege(p.oid, 'EXECUTE')) AND count(*) > 0, false)
    FROM pg_proc p JOIN pg_depend d ON d.objid = p.oid AND d.deptype = 'e'
    JOIN pg_extension e ON e.oid = d.refobjid
    WHERE e.extname = 'amcheck' AND p.proname IN ('verify_heapam', 'bt_index_check')
"""
_INDEXES = """
    SELECT c.oid::regclass::text FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid
    JOIN pg_class r ON r.oid = i.indrelid JOIN pg_am a ON a.oid = c.relam
    JOIN pg_namespace n ON n.oid = r.relnamespace
    WHERE a.amname = 'btree' AND n.nspname = current_schema() AND i.indisvalid
"""


async def watch_store(
    database: Database, *, every: timedelta = CHECK_EVERY, again: timedelta = RECHECK_EVERY
) -> None:
    """Check the store now and at intervals, until cancelled; collections and answers are not blocked.

    The check at the start reads pages only, because the first collections run beside it. The next one is
    whole, and then one a day.
    """
    rounds_between = max(1, round(WHOLE_CHECK_EVERY / CHECK_EVERY))
    left_until_whole = 1
    while True:
        wait = every
        # While damage is known, only a whole check can show that the store was restored.
        whole = database.damage is not None or left_until_whole == 0
        try:
            # SQLite 3.40 cannot interrupt a check, and it must not delay a stop.
            report = await in_daemon_thread("store check", partial(check_store, database, whole=whole))
            left_until_whole = rounds_between - 1 if whole else left_until_whole - 1
            log.debug("store checked", covers=report.covers, problems=len(report.problems))
        except MeteoScoreError as error:
            log.warning("the store could not be checked", reason=str(error))
            wait = again
        left = wait
        while left > timedelta():  # if a query finds damage during the pause, the next check follows soon
            pause = min(left, again)
            await asyncio.sleep(pause.total_seconds())
            left = timedelta() if database.damage else left - pause
