"""Which values need the admin token: those of sources whose raw values are not public."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from backend.answers.base import WithheldSource
from backend.answers.service import ReadingParts
from backend.core.records import IMPORTED, network_of
from backend.core.registry import OWN_MODEL

REASON = "raw values are not public under the publisher's licence; the admin token shows them"
UNKNOWN_REASON = (
    "licence unknown: imported from a file, or from a source that this version does not have; the admin token"
    " shows the values, and the setting PUBLIC_IMPORTS makes them public"
)


@dataclass(frozen=True, slots=True)
class Withholding:
    """The models, each with its source, and the networks, whose values are left out for this caller.

    `silent` are sources that are not opted in: an answer names them only if the question does. `imported`
    are the models and networks whose licence is unknown; each counts as its own source.
    """

    models: dict[str, str]
    networks: frozenset[str]
    silent: frozenset[str] = frozenset()
    imported: frozenset[str] = frozenset()
    public: bool = True  # false: the answer has values that are not public, so no shared cache may store it

    @property
    def key(self) -> tuple[object, ...]:
        """All of it, in one order: part of the key of a cached answer."""
        sets = (self.networks, self.silent, self.imported)
        return (*sorted(self.models.items()), *(tuple(sorted(each)) for each in sets), self.public)

    def of_models(self, model: str | None) -> list[WithheldSource]:
        """Return the sources left out of an answer about one model, or about all."""
        if model is None:
            return self.named(set(self.models.values()) - self.silent)
        return self.named({self.models[model]} if model in self.models else ())

    def of_stations(self, stations: Sequence[str] | None) -> list[WithheldSource]:
        """Return the networks left out of an answer about some stations, or about all."""
        if stations is None:
            return self.named(self.networks - self.silent)
        return self.named(self.networks & {network_of(station) for station in stations})

    def named(self, sources: Iterable[str]) -> list[WithheldSource]:
        """Return withheld sources, each with the reason."""
        return [
            WithheldSource(source=source, reason=UNKNOWN_REASON if source in self.imported else REASON)
            for source in sorted(set(sources))
        ]


NOTHING = Withholding({}, frozenset(), public=False)
"""For the operator: no value is withheld."""


def withheld_from_public(service: ReadingParts) -> Withholding:
    """Return the models and networks withheld without the admin token. Raises StoreUnavailableError."""
    observations = service.sources.observations
    sources = service.sources.of_every_model()
    known = {model: _Terms(source.name, source.public) for model, source in sources.items()}
    known[OWN_MODEL.name] = _OWN_TERMS
    others = _terms_of_other_models(service, known)
    networks = service.reading.other_networks({source.name for source in observations})
    declared = frozenset(service.settings.public_imports)
    undeclared = {model for model, terms in others.items() if terms is None} - declared
    collected = known | {model: terms for model, terms in others.items() if terms is not None}
    return Withholding(
        {model: terms.name for model, terms in collected.items() if not terms.public}
        | {model: model for model in undeclared},  # no source is known, so the model stands for it
        frozenset(source.name for source in observations if not source.public) | (networks - declared),
        frozenset(source.name for source in service.sources.every() if not source.opted_in),
        frozenset(undeclared | (networks - declared)),
    )


class _Terms(NamedTuple):
    """The licence of a model: the name of its source, and whether raw values are public."""

    name: str
    public: bool


_OWN_TERMS = _Terms(OWN_MODEL.name, public=True)
"""Of what this service issues to everyone: it is made from public models and stations only."""


def _terms_of_other_models(service: ReadingParts, known: Collection[str]) -> dict[str, _Terms | None]:
    """Return each stored model that no source lists now, with its licence.

    It is the licence of the source that collected the model, such as AROME's other grid after a change of the
    setting. With several sources, one that is not public decides. None if the model was only imported from
    files, or if one of its sources does not exist in this version.
    """
    sources = {source.name: _Terms(source.name, source.public) for source in service.sources.forecasts}
    terms_of: dict[str, _Terms | None] = {}
    for model, names in service.reading.other_models(known).items():
        collected = names - {IMPORTED}
        if not collected or not collected <= sources.keys():
            terms_of[model] = None
        else:
            terms_of[model] = min(
                (sources[name] for name in collected), key=lambda terms: terms.public
            )  # False < True
    return terms_of


def public_models(service: ReadingParts, models: Collection[str]) -> dict[str, bool]:
    """Return for each of these models whether its raw values are public. Unknown models are left out."""
    public = {model: source.public for model, source in service.sources.of_every_model().items()}
    public[OWN_MODEL.name] = _OWN_TERMS.public
    for model, terms in _terms_of_other_models(service, public).items():
        public[model] = model in service.settings.public_imports if terms is None else terms.public
    return {model: public[model] for model in models if model in public}
