"""Which models there are, and how scores are made: every number with its reason, from the code itself."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import NamedTuple

from backend.api.dependencies import ServiceParts
from backend.api.score_schemas import (
    KnownModel,
    MethodConstant,
    MethodHours,
    MethodLabel,
    MethodsAnswer,
    MethodView,
    ModelsAnswer,
)
from backend.api.withholding import public_models
from backend.core.clock import PARIS
from backend.scoring.constants import CONSTANTS
from backend.scoring.hours import Hours
from backend.scoring.names import model_name
from backend.scoring.questions.scorecard import METHOD_VERSION
from backend.scoring.sample.quantities import Quantity
from backend.scoring.sample_size import SampleLabel
from backend.scoring.views import VIEWS
from backend.scoring.words.sentences import LABEL_MEANINGS, SIGN, view_name


class ModelRuns(NamedTuple):
    """A model, the start of its newest stored run (UTC), and the number of its stored runs."""

    name: str
    newest_run: datetime | None
    runs: int


def models_with_runs(service: ServiceParts, collected: Iterable[str]) -> list[ModelRuns]:
    """Return the models that are `collected` and those with stored runs, by name."""
    stored = {row.name: ModelRuns(row.name, row.newest, row.runs) for row in service.reading.models()}
    return [stored.get(name, ModelRuns(name, None, 0)) for name in sorted({*collected, *stored})]


def models_answer(service: ServiceParts) -> ModelsAnswer:
    """Return the models that are collected, and those of which something is kept."""
    sources = service.sources.of_models()
    found = models_with_runs(service, sources)
    public = public_models(service, {each.name for each in found})
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
            )
            for name, newest_run, runs in found
        ],
        method_version=METHOD_VERSION,
        generated_at=service.clock(),
    )


def methods_answer(service: ServiceParts) -> MethodsAnswer:
    """Return every constant of scoring with its reason, the views, the labels and the units."""
    return MethodsAnswer(
        method_version=METHOD_VERSION,
        sign=SIGN,
        local_zone=PARIS.key,
        constants=[
            MethodConstant(
                name=each.name,
                value=list(each.value) if isinstance(each.value, tuple) else each.value,
                unit=each.unit,
                reason=each.reason,
                reference=each.reference,
            )
            for each in CONSTANTS
        ],
        views=[MethodView(name=view.name, text=view_name(view)) for view in VIEWS],
        hours=[
            MethodHours(name=hours, text=hours.text, first=hours.ends[0], last=hours.ends[1])
            for hours in Hours
        ],
        labels=[MethodLabel(label=label, text=LABEL_MEANINGS[label]) for label in SampleLabel],
        parameters={quantity.value: quantity.unit for quantity in Quantity},
        generated_at=service.clock(),
    )
