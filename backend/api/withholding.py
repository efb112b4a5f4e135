"""Which values are shown to whom: those of sources that are not public need the admin token."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated

from fastapi import Depends

from backend.api.dependencies import Admin, ServiceDep
from backend.api.schemas import WithheldSource
from backend.core.records import Station
from backend.scheduler.config import FORECASTS, JOBS, OBSERVATIONS

REASON = "its publisher does not let raw values be shown to the public; with the admin token they are"


@dataclass(frozen=True, slots=True)
class Withholding:
    """The models, each with its source, and the networks, whose values are left out for this caller.

    `silent` are those of them that nobody asked to collect: named only to whoever asks for them.
    """

    models: dict[str, str]
    networks: frozenset[str]
    silent: frozenset[str] = frozenset()
    public: bool = True  # false: what is shown is not for everybody, and no shared cache may keep it

    def of_models(self, asked: str | None) -> list[WithheldSource]:
        """Name the sources left out of an answer about one model, or about all."""
        if asked is None:
            return _named(set(self.models.values()) - self.silent)
        return _named({source for model, source in self.models.items() if asked == model})

    def of_stations(self, asked: Sequence[str] | None) -> list[WithheldSource]:
        """Name the networks left out of an answer about some stations, or about all."""
        if asked is None:
            return _named(self.networks - self.silent)
        return _named(self.networks & {Station(station).network for station in asked})


def withholding(service: ServiceDep, admin: Admin) -> Withholding:
    """Return what is withheld from whoever is asking."""
    if admin:
        return Withholding({}, frozenset(), public=False)
    return Withholding(
        {
            model: source.name
            for source in service.sources.every(FORECASTS)
            if not source.public
            for model in source.models
        },
        frozenset(source.name for source in service.sources.every(OBSERVATIONS) if not source.public),
        frozenset(
            source.name for job in JOBS for source in service.sources.every(job) if not source.asked_for
        ),
    )


def _named(sources: set[str] | frozenset[str]) -> list[WithheldSource]:
    return [WithheldSource(source=source, reason=REASON) for source in sorted(sources)]


Withheld = Annotated[Withholding, Depends(withholding)]
