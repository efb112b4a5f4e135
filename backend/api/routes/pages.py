"""What people see at `/`."""

from __future__ import annotations

import structlog
from fastapi import APIRouter
from fastapi.responses import FileResponse, HTMLResponse

from backend.api.dependencies import Admin, ServiceDep
from backend.api.problems import RETRY_AFTER_SECONDS
from backend.api.status_page import STYLESHEET, status_page, unavailable_page
from backend.api.withholding import withholding
from backend.core.errors import ConfigError, StoreDamagedError, StoreUnavailableError

log = structlog.get_logger()

router = APIRouter(include_in_schema=False)

# The page needs nothing but its stylesheet: whatever else a name could smuggle in is not loaded.
_HEADERS = {
    "Content-Security-Policy": "default-src 'none'; style-src 'self'; img-src data:; base-uri 'none';"
    " form-action 'none'; frame-ancestors 'none'",
    "Vary": "Authorization",
    "Cache-Control": "no-cache",
}


@router.get("/", response_class=HTMLResponse)
def page(service: ServiceDep, admin: Admin) -> HTMLResponse:
    """Show what the service did, does and will do, and the newest values of each site."""
    try:
        return HTMLResponse(status_page(service, withholding(service, admin)), headers=_HEADERS)
    except StoreUnavailableError as error:
        log.warning("store unavailable", path="/", reason=str(error))
        title = "The store does not answer just now"
        explanation = "The service goes on trying by itself; its log says what is wrong."
        if isinstance(error, StoreDamagedError):
            title = "The store is damaged"
            explanation = (
                "Some of what was collected cannot be read, and the operator has to restore it. The page of"
                " the documentation on operations says how."
            )
    except ConfigError as error:
        log.error("configuration cannot be used", path="/", reason=str(error))  # noqa: TRY400 - a line says it all
        title = "The sites file cannot be used just now"
        explanation = "Its log names the line and the rule."
    headers = _HEADERS | {"Retry-After": str(RETRY_AFTER_SECONDS)}
    return HTMLResponse(
        unavailable_page(service.clock(), title, explanation), status_code=503, headers=headers
    )


@router.get("/style.css")
def stylesheet() -> FileResponse:
    """Return the one stylesheet; the page asks for it under a new address whenever it changes."""
    return FileResponse(
        STYLESHEET, media_type="text/css", headers={"Cache-Control": "public, max-age=604800"}
    )
