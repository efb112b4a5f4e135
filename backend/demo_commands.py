"""`meteo-score demo`: four sources, many days and a page to look at, without network or keys."""

from __future__ import annotations

import asyncio
import shutil
from collections import Counter
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Annotated, cast

import typer
import uvicorn
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from backend.api.dependencies import ServiceParts
from backend.core.clock import utc_now
from backend.core.config import SOURCE_NAMES, Settings
from backend.core.errors import ConfigError
from backend.core.logs import configure_logging
from backend.demo.backfill import SteppedClock, backfill, slots
from backend.demo.process import Upstreams
from backend.main import Service, create_app
from backend.scheduler.config import SchedulerConfig
from backend.score_commands import Asked, score_all
from backend.storage.runs import JobRun

console = Console()


def demo(
    days: Annotated[int, typer.Option(min=1, max=60, help="How many days to live through.")] = 30,
    fresh: Annotated[bool, typer.Option("--fresh", help="Throw the store of an earlier demo away.")] = False,
    serve: Annotated[bool, typer.Option(help="Serve the page and the API afterwards.")] = True,
    port: Annotated[int, typer.Option(help="Port to serve on.")] = 8000,
    seed: Annotated[int, typer.Option(help="Seed of the weather.")] = 1,
    until: Annotated[
        datetime | None, typer.Option(formats=["%Y-%m-%dT%H:%M:%SZ"], help="End of the days, UTC; now.")
    ] = None,
    folder: Annotated[Path, typer.Option(help="Where the demo keeps its store.")] = Path(".demo"),
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
    """Start stand-in upstreams, collect from them day by day, and serve what came.

    An earlier demo is resumed at its first unfinished slot, unless --fresh.
    """
    if fresh and database_url is not None:
        raise ConfigError("--fresh throws the demo's folder away, and no database: make a new one for it")
    if fresh:
        shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True, exist_ok=True)
    end = until.replace(tzinfo=UTC) if until else utc_now()
    database_url = database_url or f"sqlite:///{folder / 'demo.sqlite3'}"
    shown = () if withheld else SOURCE_NAMES
    asyncio.run(_demo(end - timedelta(days=days), end, serve, port, seed, folder, database_url, shown))


async def _demo(
    start: datetime,
    end: datetime,
    serve: bool,
    port: int,
    seed: int,
    folder: Path,
    database_url: str,
    shown: tuple[str, ...],
) -> None:
    clock = SteppedClock()
    async with Upstreams(seed=seed) as upstreams:
        settings = Settings.load(
            **upstreams.environment,
            database_url=database_url,
            data_dir=folder,
            keep_payloads_days=0,
            port=port,
            public_raw_sources=shown,
            log_level="WARNING",
        )
        configure_logging(settings)
        # A throw-away store need not survive a power cut; a run of the demo's is over in a second.
        service = Service.make(settings, SchedulerConfig.load(), clock, durable=False)
        await asyncio.to_thread(service.database.migrate)
        await _backfill(service, upstreams, clock, start, end)
        console.print("\n[bold]Which forecast to trust[/] for the mean wind, looked at the evening before:")
        score_all(cast(ServiceParts, service), Asked())
        if not serve:
            await service.close()
            return
        console.print(f"\n[bold]http://127.0.0.1:{port}/[/] (Ctrl-C ends it); the API is described at /docs")
        server = uvicorn.Server(uvicorn.Config(create_app(service), port=port, log_config=None))
        await server.serve()


async def _backfill(
    service: Service, upstreams: Upstreams, clock: SteppedClock, start: datetime, end: datetime
) -> None:
    count = len(slots(service.config, start, end))
    statuses: Counter[str] = Counter()
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=console, disable=not console.is_terminal) as bar:
        task = bar.add_task("collecting", total=count)

        def on_slot(slot: datetime, run: JobRun | None) -> None:
            statuses[run.status if run else "done before"] += 1
            bar.update(task, advance=1, description=f"{slot:%Y-%m-%d %H:%M}")

        await backfill(service.runner, upstreams, clock, start, end, on_slot)
    table = Table("Runs", "Status", title=f"{start:%d %B} to {end:%d %B %Y}")
    for status, number in statuses.most_common():
        table.add_row(str(number), status)
    console.print(table)
