"""The values withheld from a request: none with the admin token."""

from __future__ import annotations

from typing import Annotated

from fastapi import Depends

from backend.answers.withholding import NOTHING, Withholding, withheld_from_public
from backend.api.dependencies import Admin, ServiceDep


def withholding(service: ServiceDep, admin: Admin) -> Withholding:
    """Return the models and networks withheld from the caller. Raises StoreUnavailableError."""
    return NOTHING if admin else withheld_from_public(service)


Withheld = Annotated[Withholding, Depends(withholding)]
