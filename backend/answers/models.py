"""The models that are collected, and those with stored runs."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import NamedTuple

from backend.answers.service import ReadingParts
from backend.answers.shapes import KnownModel, ModelsAnswer
from backend.answers.withholding import public_models
from backend.core.errors import UnknownNameError
from backend.core.registry import DEFAULT_SOURCES, OWN_MODEL
from backend.scoring.names import is_ours, model_name
from backend.scoring.questions.scorecard import METHOD_VERSION


class ModelRuns(NamedTuple):
    """A model, the start of its newest stored run (UTC), and the number of its stored runs."""

    name: str
    newest_run: datetime | None
    runs: int


def models_with_runs(service: ReadingParts, collected: Iterable[str]) -> list[ModelRuns]:
    """Return the models that are `collected` and those with stored runs, by name."""
    # A model that is no longer collected keeps its scores, so it stays in the list.
    stored = {row.name: ModelRuns(row.name, row.newest, row.runs) for row in service.reading.models()}
    return [stored.get(name, ModelRuns(name, None, 0)) for name in sorted({*collected, *stored})]


def models_answer(service: ReadingParts) -> ModelsAnswer:
    """Return the collected models, those with stored runs, and ours once it was issued."""
    sources = service.sources.of_models()
    models = models_with_runs(service, sources)
    newest_decision = service.reading.newest_decision()
    if newest_decision is not None:
        models.append(ModelRuns(OWN_MODEL.name, newest_decision, 0))
    public = public_models(service, {model.name for model in models})
    return ModelsAnswer(
        models=[
            KnownModel(
                model=name,
                name=model_name(name),
                source=sources[name].name if name in sources else None,
                newest_run=newest_run,
                runs=runs,
                public=public.get(name),
                attribution=sources[name].attribution if name in sources else None,
                ours=is_ours(name),
            )
            for name, newest_run, runs in models
        ],
        method_version=METHOD_VERSION,
        generated_at=service.clock(),
    )


def require_model(service: ReadingParts, name: str | None, collected: Iterable[str]) -> None:
    """Raise UnknownNameError for a model neither `collected` nor stored; None stands for all models."""
    if name is not None and name not in {model.name for model in models_with_runs(service, collected)}:
        raise UnknownNameError("model", name)


def collected_models(service: ReadingParts) -> tuple[str, ...]:
    """Return the collected models. Each is in an answer, with or without data.

    A source that is on by default and that `SOURCES` leaves out is not collected: its models are in
    answers only with data from before.
    """
    left_out = set(DEFAULT_SOURCES) - set(service.settings.sources)
    return tuple(
        model for model, source in service.sources.of_models().items() if source.name not in left_out
    )
