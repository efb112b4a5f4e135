"""`meteo-score serve`: the collecting service with its API and pages."""

from __future__ import annotations

from typing import Annotated

import typer
import uvicorn

from backend.api.connections import BACKLOG, BoundedProtocol, allow_files
from backend.cli.context import opened
from backend.core.logs import configure_logging
from backend.main import create_app

app = typer.Typer(add_completion=False)


@app.command()
def serve(
    context: typer.Context,
    host: Annotated[str | None, typer.Option(help="Address to listen on; default: HOST.")] = None,
    port: Annotated[
        int | None, typer.Option(min=0, max=65535, help="Port to listen on; default: PORT.")
    ] = None,
) -> None:
    """Collect on schedule, and serve the API and the pages."""
    service = opened(context).service
    configure_logging(service.settings)
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
