"""Dependencies of routes: the service, and what the token of the caller allows."""

from __future__ import annotations

from typing import Annotated, Any, cast

from fastapi import Depends, HTTPException, Request, Security
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer

from backend.answers.service import ServiceParts
from backend.api.tokens import ADMIN, Tokens
from backend.core.access import Access, Right
from backend.core.config import LEAST_TOKEN


async def service_of(request: Request) -> ServiceParts:
    """Return the service of the application.

    `async`, like the functions below: FastAPI would run a plain function in a thread and wait for it.
    """
    return cast(ServiceParts, request.app.state.service)


ServiceDep = Annotated[ServiceParts, Depends(service_of)]

_bearer = HTTPBearer(
    scheme_name="adminToken",
    description="The value of the setting ADMIN_TOKEN: it starts and pauses jobs, and shows withheld values."
    " Or a named token (`meteo-score token new`) with the right to one of both.",
    auto_error=False,
)

CHALLENGE = {"WWW-Authenticate": "Bearer"}


async def access_of(
    service: ServiceDep,
    request: Request,
    shown: Annotated[HTTPAuthorizationCredentials | None, Security(_bearer)],
) -> Access | None:
    """Return what the token of a request allows, or None for a request without one.

    A wrong token is an error, not the same as none.
    """
    if shown is None:
        return None
    tokens: Tokens = request.app.state.tokens
    access = await tokens.access(request.headers["authorization"])
    if access is None:
        _require_token(service)
        raise HTTPException(401, "This is not the admin token, nor a valid named one.", CHALLENGE)
    request.state.access = access
    return access


AccessDep = Annotated[Access | None, Depends(access_of)]


async def reads_withheld(access: AccessDep) -> bool:
    """Return whether the token of the request shows withheld values."""
    return access is not None and Right.READ_WITHHELD in access.rights


async def operates(access: AccessDep) -> bool:
    """Return whether the token of the request may see and do what only the operator may."""
    return access is not None and Right.OPERATE in access.rights


def operator_name(request: Request) -> str:
    """Return who does something, for the ledger: by the name of the token and the address of the client."""
    access: Access = getattr(request.state, "access", ADMIN)  # a session stands for the admin token
    return f"{access.name} ({request.client.host})" if request.client else access.name


async def require_operator(service: ServiceDep, access: AccessDep) -> None:
    """Raise 401 for a request without a token, and 403 for one whose token may not operate."""
    if access is None:
        _require_token(service)
        raise HTTPException(
            401, "This route needs the admin token: send it as Authorization: Bearer.", CHALLENGE
        )
    if Right.OPERATE not in access.rights:
        raise HTTPException(
            403,
            f"The token {access.name!r} may not operate: make one with `meteo-score token new --operate`.",
        )


async def require_metrics(service: ServiceDep, access: AccessDep) -> None:
    """Raise 401 for a request without a token, and 403 for one whose token may not read the metrics."""
    if access is None:
        _require_token(service)
        raise HTTPException(
            401, "The metrics need a token: meteo-score token new prometheus --read-metrics.", CHALLENGE
        )
    if not access.rights & {Right.READ_METRICS, Right.OPERATE}:
        raise HTTPException(
            403, f"The token {access.name!r} may not read the metrics: make one with --read-metrics."
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


ReadsWithheld = Annotated[bool, Depends(reads_withheld)]
Operates = Annotated[bool, Depends(operates)]

# For the OpenAPI document: the token is optional. FastAPI itself only knows "required" and "none".
TOKEN_OPTIONAL: dict[str, Any] = {"security": [{}]}
