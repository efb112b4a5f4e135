"""The sources of an installation, by job and by model, whether described or ready to be collected."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar

from backend.scheduler.config import FORECASTS, OBSERVATIONS, JobId


class ListedSource(Protocol):
    """What a source of a list states about itself; `core/terms.py` explains it."""

    @property
    def name(self) -> str:
        """Return the name in rows, settings and JSON."""
        ...

    @property
    def models(self) -> Sequence[str]:
        """Return the models that it collects, or could collect."""
        ...

    @property
    def public(self) -> bool:
        """Return whether its raw values may be shown."""
        ...

    @property
    def attribution(self) -> str:
        """Return the credit that its publisher requires."""
        ...

    @property
    def opted_in(self) -> bool:
        """Return False for a source that is off by default and stays off."""
        ...


S_co = TypeVar("S_co", bound=ListedSource, covariant=True)


@dataclass(frozen=True, kw_only=True)
class SourceList(Generic[S_co]):
    """The sources of forecasts and of observations."""

    forecasts: Sequence[S_co]
    observations: Sequence[S_co]

    def of(self, job: JobId) -> Sequence[S_co]:
        """Return the sources of a job without opt-in sources that are off; none if it does not collect."""
        sources = {FORECASTS: self.forecasts, OBSERVATIONS: self.observations}.get(job, ())
        return [source for source in sources if source.opted_in]

    def every(self) -> Sequence[S_co]:
        """Return all sources, also opt-in sources that are off: those of forecasts first."""
        return (*self.forecasts, *self.observations)

    def of_models(self) -> dict[str, S_co]:
        """Return the source of each model, without opt-in sources that are off."""
        return {model: source for source in self.forecasts if source.opted_in for model in source.models}

    def of_every_model(self) -> dict[str, S_co]:
        """Return the source of each model, also of opt-in sources that are off."""
        return {model: source for source in self.forecasts for model in source.models}
