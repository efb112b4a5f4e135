"""Which values are shown to whom: those of sources that are not public need the admin token."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from typing import Annotated

from fastapi import Depends

from backend.api.dependencies import Admin, ServiceDep, ServiceParts
from backend.api.schemas import WithheldSource
from backend.core.records import Station
from backend.scheduler.config import FORECASTS, JOBS, OBSERVATIONS

REASON = "its publisher does not let raw values be shown to the public; with the admin token they are"
IMPORT_REASON = (
    "it came from a file, and its publisher's terms are not known here; with the admin token it is shown,"
    " and to the public once the setting PUBLIC_IMPORTS names it"
)


@dataclass(frozen=True, slots=True)
class Withholding:
    """The models, each with its source, and the networks, whose values are left out for this caller.

    `silent` are those of them that nobody asked to collect: named only to whoever asks for them. `imported`
    are the models and networks that came from files: they stand for their own source.
    """

    models: dict[str, str]
    networks: frozenset[str]
    silent: frozenset[str] = frozenset()
    imported: frozenset[str] = frozenset()
    public: bool = True  # false: what is shown is not for everybody, and no shared cache may keep it

    def of_models(self, asked: str | None) -> list[WithheldSource]:
        """Name the sources left out of an answer about one model, or about all."""
        if asked is None:
            return self.named(set(self.models.values()) - self.silent)
        return self.named({source for model, source in self.models.items() if asked == model})

    def of_stations(self, asked: Sequence[str] | None) -> list[WithheldSource]:
        """Name the networks left out of an answer about some stations, or about all."""
        if asked is None:
            return self.named(self.networks - self.silent)
        return self.named(self.networks & {Station(station).network for station in asked})

    def named(self, sources: Iterable[str]) -> list[WithheldSource]:
        """Name sources that are withheld, each with the reason."""
        return [
            WithheldSource(source=source, reason=IMPORT_REASON if source in self.imported else REASON)
            for source in sorted(set(sources))
        ]


NOTHING = Withholding({}, frozenset(), public=False)
"""What is withheld from the operator."""


def withholding(service: ServiceDep, admin: Admin) -> Withholding:
    """Return what is withheld from whoever is asking. Raises StoreUnavailable."""
    if admin:
        return NOTHING
    forecasts, observations = service.sources.every(FORECASTS), service.sources.every(OBSERVATIONS)
    models, networks = service.reading.imported(
        {model for source in forecasts for model in source.models}, {source.name for source in observations}
    )
    imported = (models | networks).difference(service.settings.public_imports)
    return Withholding(
        {model: source.name for source in forecasts if not source.public for model in source.models}
        | {model: model for model in models & imported},
        frozenset(source.name for source in observations if not source.public) | (networks & imported),
        frozenset(
            source.name for job in JOBS for source in service.sources.every(job) if not source.asked_for
        ),
        imported,
    )


def public_models(service: ServiceParts, models: Collection[str]) -> dict[str, bool]:
    """Return which of these models' raw values are shown to everybody, of those whose terms are known."""
    sources = {model: source for source in service.sources.every(FORECASTS) for model in source.models}
    imported, _ = service.reading.imported(
        sources, {source.name for source in service.sources.every(OBSERVATIONS)}
    )
    known = {model: source.public for model, source in sources.items()}
    known |= {model: model in service.settings.public_imports for model in imported}
    return {model: known[model] for model in models if model in known}


Withheld = Annotated[Withholding, Depends(withholding)]
