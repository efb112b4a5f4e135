"""`meteo-score alert`: the open problems, a test message, and the watch where cron collects."""

from __future__ import annotations

import asyncio
from functools import partial
from typing import Annotated, cast

import typer

from backend.alerts.targets import deliver, targets_of
from backend.answers.service import ServiceParts
from backend.cli.console import AsJson, print_json, print_text
from backend.cli.context import opened
from backend.core.daemon_thread import in_daemon_thread
from backend.core.errors import ConfigError
from backend.core.masking import mask_of
from backend.core.text import printable
from backend.storage.alerts import AlertStore, Message

app = typer.Typer(add_completion=False)


@app.command()
def alert(
    context: typer.Context,
    test: Annotated[
        bool, typer.Option("--test", help="Send a test message to each address of ALERT_URLS, and stop.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Report new problems to ALERT_URLS, and show the open ones. Exit 1 if a message was not delivered.

    A running service does this by itself, and this command then only shows them. Where cron collects, let
    cron run it after each collection.
    """
    used = opened(context)
    settings = used.settings
    if settings.alert_urls is None:
        raise ConfigError("ALERT_URLS is not set: it has the addresses to send to, see docs/operations.md")
    targets = targets_of(settings.alert_urls, in_pool=False)
    masked = mask_of(settings.secrets())
    if test:
        failed = 0
        text = "This is a test of meteo-score alert --test. No problem is reported."
        results = []
        for target in targets:
            reason = masked(deliver(target, Message("MétéoScore: test", text, good=True)))
            failed += bool(reason)
            results.append({"address": target.shown, "delivered": not reason, "reason": reason or None})
        if as_json:
            print_json(results)
        else:
            for result in results:
                outcome = "delivered" if result["delivered"] else f"not delivered: {result['reason']}"
                print_text(printable(f"address {result['address']}: {outcome}"))
        raise typer.Exit(1 if failed else 0)
    service = used.migrated()
    alerts = AlertStore(service.database)
    watching = partial(service.alert_watch.round, cast(ServiceParts, service), alerts, in_service=False)
    # The watch delivers in threads of a pool. The main thread starts none of them (see targets_of).
    undelivered = asyncio.run(in_daemon_thread("alerts", watching))
    open_ones = alerts.open_alerts()
    if as_json:
        print_json([{"subject": one.key, "since": one.since, "sentence": one.sentence} for one in open_ones])
    else:
        for one in open_ones:
            print_text(printable(f"{one.since:%Y-%m-%d %H:%M} UTC {one.key}: {one.sentence}"))
        if not open_ones:
            print_text("No open problem.")
    raise typer.Exit(1 if undelivered else 0)
