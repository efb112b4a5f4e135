"""`meteo-score demo`: four sources, many days and a page to look at, without network or keys."""

from __future__ import annotations

import asyncio
import socket
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Annotated, cast

import typer
import uvicorn
from rich.console import Console
from rich.table import Table

from backend.answers.service import ReadingParts
from backend.api.connections import BACKLOG, BoundedProtocol, allow_files
from backend.cli.console import run_to_the_end
from backend.cli.progress import progress
from backend.cli.score import Asked, find_all, print_all
from backend.core.clock import utc_now
from backend.core.config import Settings
from backend.core.errors import ConfigError
from backend.core.logs import configure_logging
from backend.demo.backfill import SteppedClock, collect_days, slots
from backend.demo.process import Upstreams
from backend.demo.store import ADMIN_TOKEN, FOLDER, clear, held, store_settings
from backend.main import Service, create_app
from backend.scheduler.config import SchedulerConfig
from backend.scoring.constants import PRELIMINARY_DAYS
from backend.storage.run_records import JobRun

app = typer.Typer(add_completion=False)

console = Console()


@dataclass(frozen=True, slots=True)
class Days:
    """What is lived through, on which store, and where it is served."""

    start: datetime
    end: datetime
    seed: int
    folder: Path
    database_url: str | None
    withheld: bool

    @property
    def count(self) -> int:
        """Return how many days they are."""
        return (self.end - self.start).days

    def day_of(self, slot: datetime) -> int:
        """Return on which of the days a slot lies, from 1."""
        return min((slot - self.start) // timedelta(days=1) + 1, self.count)

    @property
    def shortage(self) -> str:
        """Return that the days are too few for a verdict, or nothing."""
        least = int(PRELIMINARY_DAYS.value)
        if self.count >= least:
            return ""
        return f'A verdict needs {least} days: after {self.count} the scores say "not enough data yet".'


@app.command()
def demo(
    days: Annotated[int, typer.Option(min=1, max=60, help="How many days to live through.")] = 30,
    fresh: Annotated[bool, typer.Option("--fresh", help="Throw the store of an earlier demo away.")] = False,
    serve: Annotated[bool, typer.Option(help="Serve the page and the API.")] = True,
    port: Annotated[int, typer.Option(min=1, max=65535, help="Port to serve on.")] = 8000,
    seed: Annotated[int, typer.Option(help="Seed of the weather.")] = 1,
    until: Annotated[
        datetime | None, typer.Option(formats=["%Y-%m-%dT%H:%M:%SZ"], help="End of the days, UTC; now.")
    ] = None,
    folder: Annotated[Path, typer.Option(help="Where the demo keeps its store.")] = FOLDER,
    database_url: Annotated[
        str | None, typer.Option(help="A database for the demo alone, in place of a file in its folder.")
    ] = None,
    withheld: Annotated[
        bool,
        typer.Option(
            "--withheld",
            help="Withhold what real publishers do not let be shown. The demo's values are invented, so all"
            " are shown without this option.",
        ),
    ] = False,
) -> None:
    """Start stand-in upstreams, collect from them day by day, and serve what comes from the start.

    An earlier demo is resumed at its first unfinished slot, unless --fresh.
    """
    if fresh and database_url is not None:
        raise ConfigError("--fresh throws the demo's folder away, and no database: make a new one for it")
    end = until.replace(tzinfo=UTC) if until else utc_now()
    lived = Days(end - timedelta(days=days), end, seed, folder, database_url, withheld)
    with held(folder), listening(port) if serve else nullcontext() as listener:
        if fresh:
            clear(folder)
        if lived.shortage:
            console.print(lived.shortage)
        run_to_the_end(_demo(lived, listener))


@contextmanager
def listening(port: int) -> Iterator[socket.socket]:
    """Listen on a port of loopback; who connects before there is a server waits. Raises ConfigError."""
    # Named by its protocol, or asyncio would send small writes late.
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP) as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind(("127.0.0.1", port))
            listener.listen(BACKLOG)
        except OSError as error:
            raise ConfigError(
                f"port {port}: cannot be listened on ({error.strerror}): name another with --port"
            ) from error
        yield listener


class _Server(uvicorn.Server):
    """A server that leaves signals to the process, which is busy with more than serving."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


async def _demo(days: Days, listener: socket.socket | None) -> None:
    clock = SteppedClock()
    async with Upstreams(seed=days.seed) as upstreams:
        settings = _settings(days, upstreams)
        configure_logging(settings)
        # A throw-away store need not survive a power cut; a run of the demo's is over in a second.
        service = Service.make(settings, SchedulerConfig.load(), clock, durable=False)
        await asyncio.to_thread(service.database.migrate)
        if listener is None:
            try:
                await _live(service, upstreams, clock, days)
            finally:
                await service.close()
        else:
            await _serve(service, upstreams, clock, days, listener)


def _settings(days: Days, upstreams: Upstreams) -> Settings:
    own = store_settings(days.folder)
    if days.database_url is not None:
        own["database_url"] = days.database_url
    if days.withheld:
        own["public_raw_sources"] = ()
    settings = Settings.load(**upstreams.environment | own, log_level="WARNING")
    if settings.admin_token is not None:
        return settings
    return Settings.load(**upstreams.environment | own, log_level="WARNING", admin_token=ADMIN_TOKEN)


async def _serve(
    service: Service, upstreams: Upstreams, clock: SteppedClock, days: Days, listener: socket.socket
) -> None:
    """Serve from the start, while the days fill in; the schedule begins once they are lived through."""
    store_open, lived = asyncio.Event(), asyncio.Event()

    async def hold_the_schedule() -> None:
        store_open.set()
        await lived.wait()

    address = f"[bold]http://127.0.0.1:{listener.getsockname()[1]}/[/]"
    allow_files()
    app = create_app(service, before_schedule=hold_the_schedule)
    server = _Server(
        uvicorn.Config(
            app,
            log_config=None,
            timeout_graceful_shutdown=5,
            http=BoundedProtocol,
            backlog=BACKLOG,
            proxy_headers=False,
        )
    )
    serving = asyncio.create_task(server.serve(sockets=[listener]), name="serve the demo")
    try:
        console.print(f"{address} fills in while the days are collected (Ctrl-C ends it)")
        await store_open.wait()
        await _live(service, upstreams, clock, days)
        lived.set()
        console.print(f"\n{address} (Ctrl-C ends it); the API is described at /docs")
        await asyncio.wait([serving])  # a stop of this task is none of the server's yet
    finally:
        server.should_exit = True
        await asyncio.wait([serving])
    serving.result()


async def _live(service: Service, upstreams: Upstreams, clock: SteppedClock, days: Days) -> None:
    """Live through the days, and print what came and which forecast to trust."""
    count = len(slots(service.config, days.start, days.end))
    statuses: Counter[str] = Counter()
    try:
        with progress(console=console) as bar:
            task = bar.add_task("collecting", total=count)

            def show(slot: datetime) -> str:
                day = f"day {days.day_of(slot)} of {days.count}"
                service.notices[:] = [f"Collecting {day}. {days.shortage}".rstrip()]
                return day

            def on_slot(slot: datetime, run: JobRun | None) -> None:
                statuses[run.status if run else "done before"] += 1
                bar.update(task, advance=1, description=show(slot))

            show(days.start)
            await collect_days(service.runner, upstreams, clock, days.start, days.end, on_slot)
    finally:
        service.notices.clear()
    table = Table("Runs", "Status", title=f"{days.start:%d %B} to {days.end:%d %B %Y}")
    for status, number in statuses.most_common():
        table.add_row(str(number), status)
    console.print(table)
    console.print("\n[bold]Which forecast to trust[/] for the mean wind, looked at the evening before:")
    asked = Asked()
    found = await asyncio.to_thread(find_all, cast(ReadingParts, service), asked)
    print_all(found, asked)
    if days.shortage:
        console.print(days.shortage)
