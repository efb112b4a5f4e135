"""`meteo-score demo`: the default sources and their days, collected and served without network or keys."""

from __future__ import annotations

import asyncio
import socket
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Annotated, Any, cast

import typer
import uvicorn
from rich.console import Console
from rich.table import Table

from backend.answers.service import ReadingParts
from backend.api.connections import BACKLOG, BoundedProtocol, allow_files
from backend.cli.console import run_to_the_end
from backend.cli.progress import progress
from backend.cli.score import ScoreOptions, find_all, print_all
from backend.core.clock import utc_now
from backend.core.config import Settings
from backend.core.errors import ConfigError
from backend.core.logs import configure_logging
from backend.core.progress import Progress
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
    """The period that a demo collects, and its store."""

    start: datetime
    end: datetime
    seed: int
    folder: Path
    database_url: str | None
    withheld: bool

    @property
    def count(self) -> int:
        """Return the number of days."""
        return (self.end - self.start).days

    def day_of(self, slot: datetime) -> int:
        """Return the number of the day of a slot, from 1."""
        return min((slot - self.start) // timedelta(days=1) + 1, self.count)

    @property
    def shortage(self) -> str:
        """Return a sentence if the days are too few for a verdict, otherwise nothing."""
        least = int(PRELIMINARY_DAYS.value)
        if self.count >= least:
            return ""
        return f'A verdict needs {least} days: after {self.count} the scores show "not enough data yet".'


@app.command()
def demo(
    days: Annotated[int, typer.Option(min=1, max=200, help="Number of simulated days to collect.")] = 30,
    fresh: Annotated[bool, typer.Option("--fresh", help="Delete the store of an earlier demo.")] = False,
    serve: Annotated[bool, typer.Option(help="Serve the page and the API.")] = True,
    port: Annotated[int, typer.Option(min=1, max=65535, help="Port to serve on.")] = 8000,
    seed: Annotated[int, typer.Option(help="Seed of the weather.")] = 1,
    until: Annotated[
        datetime | None,
        typer.Option(formats=["%Y-%m-%dT%H:%M:%SZ"], help="End of the period, UTC; default: now."),
    ] = None,
    folder: Annotated[Path, typer.Option(help="Folder of the store.")] = FOLDER,
    database_url: Annotated[
        str | None, typer.Option(help="Database for the demo alone, instead of a file in the folder.")
    ] = None,
    withheld: Annotated[
        bool,
        typer.Option(
            "--withheld",
            help="Withhold what the real publishers do not allow to be shown. The values of the demo are"
            " invented, so all are shown without this option.",
        ),
    ] = False,
) -> None:
    """Start stand-in upstreams, collect from them day by day, and serve the page from the start.

    An earlier demo is resumed at its first unfinished slot, unless --fresh.
    """
    if fresh and database_url is not None:
        raise ConfigError("--fresh deletes the folder of the demo, not a database: create a new one")
    end = until.replace(tzinfo=UTC) if until else utc_now()
    period = Days(end - timedelta(days=days), end, seed, folder, database_url, withheld)
    with held(folder), listening(port) if serve else nullcontext() as listener:
        if fresh:
            clear(folder)
        if period.shortage:
            console.print(period.shortage)
        run_to_the_end(_demo(period, listener))


@contextmanager
def listening(port: int) -> Iterator[socket.socket]:
    """Listen on a port of the loopback interface; connections wait for the server. Raises ConfigError."""
    # With the protocol given: asyncio sets TCP_NODELAY only then, and small writes are sent at once.
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP) as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind(("127.0.0.1", port))
            listener.listen(BACKLOG)
        except OSError as error:
            raise ConfigError(
                f"port {port}: cannot listen ({error.strerror}): choose another with --port"
            ) from error
        yield listener


class _Server(uvicorn.Server):
    """A server without handlers of signals: the demo handles them, as it also collects."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


async def _demo(days: Days, listener: socket.socket | None) -> None:
    clock = SteppedClock()
    async with Upstreams(seed=days.seed) as upstreams:
        own: dict[str, Any] = upstreams.environment | store_settings(days.folder)
        if days.database_url is not None:
            own["database_url"] = days.database_url
        if days.withheld:
            own["public_raw_sources"] = ()
        settings = Settings.load(**own, log_level="WARNING")
        if settings.admin_token is None:
            settings = Settings.load(**own, log_level="WARNING", admin_token=ADMIN_TOKEN)
        configure_logging(settings)
        # A demo's store need not survive a loss of power, and a run must take no more than a second.
        service = Service.make(settings, SchedulerConfig.load(), clock, durable=False)
        await asyncio.to_thread(service.database.migrate)
        if listener is None:
            try:
                await _collect_days(service, upstreams, clock, days)
            finally:
                await service.close()
        else:
            await _serve(service, upstreams, clock, days, listener)


async def _serve(
    service: Service, upstreams: Upstreams, clock: SteppedClock, days: Days, listener: socket.socket
) -> None:
    """Serve while the days are collected; the schedule starts after the last of them."""
    store_open, collected = asyncio.Event(), asyncio.Event()

    async def hold_the_schedule() -> None:
        store_open.set()
        await collected.wait()

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
        console.print(f"{address} shows the days as they are collected (Ctrl-C ends it)")
        await store_open.wait()
        await _collect_days(service, upstreams, clock, days)
        collected.set()
        console.print(f"\n{address} (Ctrl-C ends it); the API is described at /docs")
        await asyncio.wait([serving])  # cancelling this task does not yet stop the server
    finally:
        server.should_exit = True
        await asyncio.wait([serving])
    serving.result()


async def _collect_days(service: Service, upstreams: Upstreams, clock: SteppedClock, days: Days) -> None:
    """Collect the days, and print the outcomes of their runs and which forecast to trust."""
    count = len(slots(service.config, days.start, days.end))
    statuses: Counter[str] = Counter()
    try:
        with progress(console=console) as bar:
            task = bar.add_task("collecting", total=count)

            def show(slot: datetime) -> str:
                number = days.day_of(slot)
                day = f"day {number} of {days.count}"
                service.notices[:] = [Progress(f"Collecting {day}.", number, days.count)]
                if days.shortage:
                    service.notices.append(days.shortage)
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
    console.print(
        "\n[bold]Which forecast to trust[/] for the mean wind, by the forecasts of the evening before:"
    )
    options = ScoreOptions()
    headlines = await asyncio.to_thread(find_all, cast(ReadingParts, service), options)
    print_all(headlines, options)
    if days.shortage:
        console.print(days.shortage)
