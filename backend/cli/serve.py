"""`meteo-score serve`: the collecting service with its API and pages."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Container
from typing import Annotated, cast

import structlog
import typer
import uvicorn

from backend.answers.service import ServiceParts
from backend.api.connections import BACKLOG, BoundedProtocol, allow_files
from backend.cli.context import opened
from backend.core.logs import configure_logging
from backend.main import Service, create_app, look_after
from backend.scheduler.heartbeat import Heartbeat
from backend.scheduler.roles import share_work, tick, work
from backend.scheduler.scheduler import is_alive
from backend.scoring.days.after_run import update_scores

log = structlog.get_logger()

app = typer.Typer(add_completion=False)


@app.command()
def serve(
    context: typer.Context,
    host: Annotated[str | None, typer.Option(help="Address to listen on; default: HOST.")] = None,
    port: Annotated[
        int | None, typer.Option(min=0, max=65535, help="Port to listen on; default: PORT.")
    ] = None,
) -> None:
    """Collect on schedule, and serve the API and the pages.

    METEO_SCORE_ROLE limits the process to a part of this: api, scheduler or worker.
    """
    service = opened(context).service
    configure_logging(service.settings)
    if service.config.meteo_score_role in {"scheduler", "worker"}:
        asyncio.run(_serve_without_http(service))
        return
    allow_files()
    uvicorn.run(
        create_app(service),
        host=service.settings.host if host is None else host,
        port=service.settings.port if port is None else port,
        # Logging is configured above; the configuration of uvicorn would replace it.
        log_config=None,
        timeout_graceful_shutdown=5,
        http=BoundedProtocol,
        backlog=BACKLOG,
        proxy_headers=False,  # only those of TRUSTED_PROXIES count, which the application checks
    )


async def _serve_without_http(service: Service) -> None:
    """Do the work of the role `scheduler` or `worker` until SIGTERM or SIGINT. Raises ConfigError."""
    stop = asyncio.Event()

    def end() -> None:
        service.stopping.set()
        stop.set()

    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, end)
    service.check()
    keeper = share_work(service.runner)
    alerts = asyncio.create_task(service.alert_watch.forever(cast(ServiceParts, service)), name="alerts")
    opening = asyncio.create_task(service.open_store())
    duties = look_after(service, opening)
    stopped = asyncio.create_task(stop.wait())
    heartbeat = Heartbeat(
        service.database,
        service.config.meteo_score_role,
        is_well=lambda: is_alive() or not service.config.ticks or not keeper.looked.is_set(),
    )
    try:
        await asyncio.wait([opening, stopped], return_when=asyncio.FIRST_COMPLETED)
        if opening.done():
            await opening
            heartbeat.start()
            if service.config.meteo_score_role == "scheduler":
                await tick(service.runner, keeper, stop)
            else:

                def make_scores(sites: Container[int]) -> None:
                    update_scores(service.database, service.clock(), sites, stopped=service.stopping.is_set)

                await work(service.runner, keeper, stop, make_scores)
    finally:
        tasks = (opening, alerts, stopped, *duties)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await heartbeat.stop()
        await service.close()
