"""Dependencies of routes: the service, and whether the caller has the admin token."""

from __future__ import annotations

import hmac
from enum import Enum
from typing import Annotated, Any, cast

from fastapi import Depends, HTTPException, Request, Security
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer

from backend.answers.service import ServiceParts
from backend.core.config import LEAST_TOKEN, Settings


async def service_of(request: Request) -> ServiceParts:
    """Return the service of the application.

    `async`, like the functions below: FastAPI would run a plain function in a thread and wait for it.
    """
    return cast(ServiceParts, request.app.state.service)


ServiceDep = Annotated[ServiceParts, Depends(service_of)]

_bearer = HTTPBearer(
    scheme_name="adminToken",
    description="The value of the setting ADMIN_TOKEN. It starts and pauses jobs, and shows withheld values.",
    auto_error=False,
)

CHALLENGE = {"WWW-Authenticate": "Bearer"}


class TokenShown(Enum):
    """Whether a request has the admin token."""

    NONE = "none"
    ADMIN = "admin"
    WRONG = "wrong"


def token_shown(settings: Settings, authorization: str | None) -> TokenShown:
    """Return whether an Authorization header has the admin token.

    Every token is WRONG if the settings have no usable one.
    """
    scheme, _, credentials = (authorization or "").partition(" ")
    if scheme.lower() != "bearer" or not credentials:
        return TokenShown.NONE
    as_sent = credentials.strip().encode("latin-1")  # header bytes were read as Latin-1
    return TokenShown.ADMIN if is_admin_token(settings, as_sent) else TokenShown.WRONG


def is_admin_token(settings: Settings, sent: bytes) -> bool:
    """Return whether these bytes (UTF-8) are the admin token. False if the settings have no usable one."""
    token = settings.usable_admin_token
    return token is not None and hmac.compare_digest(sent, token.encode())


async def is_admin(
    service: ServiceDep,
    request: Request,
    shown: Annotated[HTTPAuthorizationCredentials | None, Security(_bearer)],
) -> bool:
    """Return whether the request has the admin token. A wrong token is an error, not the same as none."""
    if shown is None:
        return False
    _require_token(service)
    if token_shown(service.settings, request.headers.get("authorization")) is not TokenShown.ADMIN:
        raise HTTPException(401, "This is not the admin token.", CHALLENGE)
    return True


def operator_name(request: Request) -> str:
    """Return who does something with the admin token, for the ledger: by the address of the client."""
    return f"admin ({request.client.host})" if request.client else "admin"


async def require_admin(service: ServiceDep, admin: Annotated[bool, Depends(is_admin)]) -> None:
    """Raise 401 for a request without the admin token."""
    _require_token(service)
    if not admin:
        raise HTTPException(
            401, "This route needs the admin token: send it as Authorization: Bearer.", CHALLENGE
        )


def _require_token(service: ServiceParts) -> None:
    if service.settings.admin_token is None:
        raise HTTPException(
            403,
            "No admin token is configured: set ADMIN_TOKEN in the environment or the .env file, restart the"
            " service, and send it as Authorization: Bearer.",
        )
    if service.settings.usable_admin_token is None:
        raise HTTPException(
            403,
            f"The admin routes are off: ADMIN_TOKEN has fewer than {LEAST_TOKEN} characters. Set a longer one"
            " and restart the service.",
        )


Admin = Annotated[bool, Depends(is_admin)]

# For the OpenAPI document: the token is optional. FastAPI itself only knows "required" and "none".
TOKEN_OPTIONAL: dict[str, Any] = {"security": [{}]}
