"""The values withheld from a request: none with a token that shows them."""

from __future__ import annotations

from typing import Annotated

from fastapi import Depends

from backend.answers.withholding import NOTHING, Withholding, withheld_from_public
from backend.api.dependencies import ReadsWithheld, ServiceDep


def withholding(service: ServiceDep, reads_withheld: ReadsWithheld) -> Withholding:
    """Return the models and networks withheld from the caller. Raises StoreUnavailableError."""
    return NOTHING if reads_withheld else withheld_from_public(service)


Withheld = Annotated[Withholding, Depends(withholding)]
