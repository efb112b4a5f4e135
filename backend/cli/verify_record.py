"""`meteo-score verify-record`: the chains of the record of issued forecasts, computed again."""

from __future__ import annotations

import typer

from backend.answers.record_head import record_head
from backend.cli.console import AsJson, print_json, print_text
from backend.cli.context import opened
from backend.storage.issued import chains, head

app = typer.Typer(add_completion=False)


@app.command()
def verify_record(context: typer.Context, as_json: AsJson = False) -> None:
    """Check the chains of the record of issued forecasts. Exit 1 if a row was changed or is missing.

    Compare the head of the day with the one that was published or backed up: a chain without its last rows is
    whole, and only the head shows that they are gone.
    """
    service = opened(context).current()
    daily = record_head(service.database, service.clock())
    with service.database.read() as connection:
        present = head(connection)
        found = list(chains(connection))
    faults = [chain for chain in found if chain.fault is not None]
    if as_json:
        print_json(
            {
                "head": present.hex() if present else None,
                "dailyHead": None if daily is None else daily.head,
                "dailyHeadBefore": None if daily is None else daily.before,
                "sites": [
                    {"site": chain.site, "rows": chain.rows, "head": chain.head.hex(), "fault": chain.fault}
                    for chain in found
                ],
            }
        )
    else:
        for chain in found:
            print_text(f"{chain.site}: {chain.fault or f'{chain.rows} rows'}")
        print_text(f"head: {present.hex() if present else 'nothing was issued yet'}")
        if daily is not None:
            print_text(f"head of what was issued before {daily.before:%Y-%m-%d %H:%M} UTC: {daily.head}")
    raise typer.Exit(1 if faults else 0)
