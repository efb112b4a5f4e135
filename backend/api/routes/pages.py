"""The status page at `/status`."""

from __future__ import annotations

import structlog
from fastapi import APIRouter
from fastapi.responses import HTMLResponse

from backend.api.dependencies import Admin, ServiceDep
from backend.api.problems import RETRY_AFTER_SECONDS
from backend.api.status_page import status_page, unavailable_page
from backend.api.withholding import withholding
from backend.core.errors import ConfigError, StoreDamagedError, StoreUnavailableError

log = structlog.get_logger()

router = APIRouter(include_in_schema=False)

# The page needs only its stylesheet. The policy blocks everything that a name from outside could inject.
_HEADERS = {
    "Content-Security-Policy": "default-src 'none'; style-src 'self'; img-src data:; base-uri 'none';"
    " form-action 'none'; frame-ancestors 'none'",
    "Vary": "Authorization",
    "Cache-Control": "no-cache",
}


@router.get("/status", response_class=HTMLResponse)
def page(service: ServiceDep, admin: Admin) -> HTMLResponse:
    """Show the state of the service, its runs, and the newest values of each site."""
    try:
        return HTMLResponse(status_page(service, withholding(service, admin)), headers=_HEADERS)
    except StoreUnavailableError as error:
        log.warning("store unavailable", path="/status", reason=str(error))
        title = "The database is unreachable"
        explanation = "The service retries by itself. The reason is in its log."
        if isinstance(error, StoreDamagedError):
            title = "The store is damaged"
            explanation = (
                "Some of the stored values cannot be read, and the operator has to restore the store. The"
                " steps are in the documentation, on the page about operations."
            )
    except ConfigError as error:
        log.error("configuration cannot be used", path="/status", reason=str(error))  # noqa: TRY400 - one line is enough
        title = "The sites file is not usable"
        explanation = "The log of the service has the line and the rule."
    headers = _HEADERS | {"Retry-After": str(RETRY_AFTER_SECONDS)}
    return HTMLResponse(
        unavailable_page(service.clock(), title, explanation), status_code=503, headers=headers
    )
