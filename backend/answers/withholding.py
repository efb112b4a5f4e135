"""Which values are shown to whom: those of sources that are not public need the admin token."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from backend.answers.base import WithheldSource
from backend.answers.service import ReadingParts
from backend.core.records import IMPORTED, network_of
from backend.scheduler.config import FORECASTS, JOBS, OBSERVATIONS

REASON = "its publisher does not let raw values be shown to the public; with the admin token they are"
UNKNOWN_REASON = (
    "its publisher's terms are not known: it came from a file, or from a source that this version does not"
    " have; with the admin token it is shown, and to the public once the setting PUBLIC_IMPORTS names it"
)


@dataclass(frozen=True, slots=True)
class Withholding:
    """The models, each with its source, and the networks, whose values are left out for this caller.

    `silent` are those of them that nobody asked to collect: named only to whoever asks for them. `imported`
    are the models and networks whose terms are not known: they stand for their own source.
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
        return self.named(self.networks & {network_of(station) for station in asked})

    def named(self, sources: Iterable[str]) -> list[WithheldSource]:
        """Name sources that are withheld, each with the reason."""
        return [
            WithheldSource(source=source, reason=UNKNOWN_REASON if source in self.imported else REASON)
            for source in sorted(set(sources))
        ]


NOTHING = Withholding({}, frozenset(), public=False)
"""What is withheld from the operator."""


def withheld_from_public(service: ReadingParts) -> Withholding:
    """Return what is withheld from a caller without the admin token. Raises StoreUnavailableError."""
    observations = service.sources.every(OBSERVATIONS)
    sources = service.sources.of_every_model()
    known = {model: _Terms(source.name, source.public) for model, source in sources.items()}
    others = _terms_of_other_models(service, known)
    networks = service.reading.other_networks({source.name for source in observations})
    declared = frozenset(service.settings.public_imports)
    undeclared = {model for model, terms in others.items() if terms is None} - declared
    collected = known | {model: terms for model, terms in others.items() if terms is not None}
    return Withholding(
        {model: terms.name for model, terms in collected.items() if not terms.public}
        | {model: model for model in undeclared},
        frozenset(source.name for source in observations if not source.public) | (networks - declared),
        frozenset(
            source.name for job in JOBS for source in service.sources.every(job) if not source.opted_in
        ),
        frozenset(undeclared | (networks - declared)),
    )


class _Terms(NamedTuple):
    """Whose terms a model is under: the name of a source, and whether raw values may be shown."""

    name: str
    public: bool


def _terms_of_other_models(service: ReadingParts, known: Collection[str]) -> dict[str, _Terms | None]:
    """Return each stored model that no source lists now, with its terms.

    They are those of the source which collected it (AROME's other grid, after the setting changed). Of
    several, one that is not public counts. None where it came from files alone, or where a source took part
    that this version does not have.
    """
    sources = {source.name: _Terms(source.name, source.public) for source in service.sources.every(FORECASTS)}
    found: dict[str, _Terms | None] = {}
    for model, names in service.reading.other_models(known).items():
        collected = names - {IMPORTED}
        if not collected or not collected <= sources.keys():
            found[model] = None
        else:
            found[model] = min((sources[name] for name in collected), key=lambda terms: terms.public)
    return found


def public_models(service: ReadingParts, models: Collection[str]) -> dict[str, bool]:
    """Return of each of these models whether its raw values are shown to everybody."""
    public = {model: source.public for model, source in service.sources.of_every_model().items()}
    for model, terms in _terms_of_other_models(service, public).items():
        public[model] = model in service.settings.public_imports if terms is None else terms.public
    return {model: public[model] for model in models if model in public}
