"""What routes are given: the service, and who is asking."""

from __future__ import annotations

import hmac
from typing import Annotated, Any, Protocol, cast

from fastapi import Depends, HTTPException, Request, Security
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer

from backend.core.clock import Clock
from backend.core.config import Settings
from backend.core.records import Site
from backend.scheduler.config import SchedulerConfig
from backend.scheduler.runner import Runner, Sources
from backend.storage.database import Database
from backend.storage.ledger import Ledger
from backend.storage.reading import Reading
from backend.storage.store import Store


class ServiceParts(Protocol):
    """What the API needs of the service that `main.py` puts together."""

    settings: Settings
    config: SchedulerConfig
    clock: Clock
    database: Database
    store: Store
    ledger: Ledger
    reading: Reading
    sources: Sources
    runner: Runner

    def sites(self) -> tuple[Site, ...]:
        """Return the sites as they are configured just now; raise ConfigError, or StoreUnavailable."""
        ...


async def service_of(request: Request) -> ServiceParts:
    """Return the service that an application was made for.

    `async`, like what is asked below: FastAPI would send a plain function to a thread and wait for it.
    """
    return cast(ServiceParts, request.app.state.service)


ServiceDep = Annotated[ServiceParts, Depends(service_of)]

_bearer = HTTPBearer(
    scheme_name="adminToken",
    description="The value of the setting ADMIN_TOKEN. It starts and pauses jobs, and shows withheld values.",
    auto_error=False,
)

CHALLENGE = {"WWW-Authenticate": "Bearer"}


async def is_admin(
    service: ServiceDep, shown: Annotated[HTTPAuthorizationCredentials | None, Security(_bearer)]
) -> bool:
    """Say whether the admin token was shown. A wrong one is refused rather than taken for none."""
    if shown is None:
        return False
    token = _admin_token(service)
    as_sent = shown.credentials.encode("latin-1")  # as header bytes are read, whatever they were meant in
    if not hmac.compare_digest(as_sent, token.encode()):
        raise HTTPException(401, "This is not the admin token.", CHALLENGE)
    return True


async def require_admin(service: ServiceDep, admin: Annotated[bool, Depends(is_admin)]) -> None:
    """Refuse whoever did not show the admin token."""
    _admin_token(service)
    if not admin:
        raise HTTPException(401, "Send Authorization: Bearer and the admin token.", CHALLENGE)


def _admin_token(service: ServiceParts) -> str:
    token = service.settings.admin_token
    if token is None or not token.get_secret_value():
        raise HTTPException(
            403,
            "No admin token is configured: set ADMIN_TOKEN in the environment or the .env file, restart the"
            " service, and send it as Authorization: Bearer.",
        )
    return token.get_secret_value()


Admin = Annotated[bool, Depends(is_admin)]

# FastAPI can say that a route needs the token, or that it does not; this says that it may be shown.
TOKEN_OPTIONAL: dict[str, Any] = {"security": [{}]}
