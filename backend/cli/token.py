"""`meteo-score token`: named tokens for the API, each with its own rights."""

from __future__ import annotations

import re
from typing import Annotated

import typer

from backend.cli.console import AsJson, print_json, print_text
from backend.cli.context import opened
from backend.core.access import NamedToken, Right, new_token, token_hash
from backend.core.clock import utc_now
from backend.core.errors import ConfigError
from backend.storage.tokens import add_token, revoke_token, tokens

app = typer.Typer(
    name="token", add_completion=False, help="Named tokens for the API, each with its own rights."
)

Name = Annotated[str, typer.Argument(help="Who has the token: a person or a program, such as club-page.")]


@app.command()
def new(
    context: typer.Context,
    name: Name,
    read_withheld: Annotated[
        bool,
        typer.Option("--read-withheld", help="The token shows values that are withheld from the public."),
    ] = False,
    operate: Annotated[
        bool, typer.Option("--operate", help="The token starts, pauses and resumes jobs.")
    ] = False,
    read_metrics: Annotated[
        bool, typer.Option("--read-metrics", help="The token reads /metrics, for Prometheus.")
    ] = False,
) -> None:
    """Make a token and print it, once. The store has its hash only."""
    if not re.fullmatch(r"[a-z0-9][a-z0-9._-]{0,63}", name):
        raise ConfigError(f"NAME={name!r}: must be small letters, digits, points and hyphens, at most 64")
    rights = frozenset(
        right
        for right, given in (
            (Right.READ_WITHHELD, read_withheld),
            (Right.OPERATE, operate),
            (Right.READ_METRICS, read_metrics),
        )
        if given
    )
    if not rights:
        raise ConfigError(
            "a token needs a right: add --read-withheld, --operate or --read-metrics, or several of them"
        )
    token = new_token()
    entry = NamedToken(name=name, hash=token_hash(token.encode()), rights=rights, created_at=utc_now())
    with opened(context).migrated().database.write() as connection:
        add_token(connection, entry)
    print_text(token)
    print_text("It is not shown again. Send it as Authorization: Bearer.", err=True)


@app.command()
def revoke(context: typer.Context, name: Name) -> None:
    """Revoke a token. Each process of the service refuses it within ten seconds."""
    with opened(context).migrated().database.write() as connection:
        revoke_token(connection, name, utc_now())


@app.command("list")
def list_tokens(context: typer.Context, as_json: AsJson = False) -> None:
    """List the tokens with their rights, also revoked ones."""
    with opened(context).current().database.read() as connection:
        found = tokens(connection)
    if as_json:
        print_json(
            [
                {
                    "name": token.name,
                    "rights": sorted(token.rights),
                    "createdAt": token.created_at,
                    "revokedAt": token.revoked_at,
                }
                for token in found
            ]
        )
        return
    for token in found:
        state = "valid" if token.revoked_at is None else f"revoked {token.revoked_at:%Y-%m-%d}"
        print_text(f"{token.name}  {', '.join(sorted(token.rights))}  {token.created_at:%Y-%m-%d}  {state}")
    if not found:
        print_text("There is no named token.")
