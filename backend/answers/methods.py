"""The method of scoring: every constant with its reason, taken from the code."""

from __future__ import annotations

from backend.answers.service import ReadingParts
from backend.answers.shapes import (
    MethodConstant,
    MethodHours,
    MethodLabel,
    MethodsAnswer,
    MethodView,
)
from backend.core.clock import PARIS
from backend.scoring.constants import CONSTANTS
from backend.scoring.grid import Hours
from backend.scoring.questions.scorecard import METHOD_VERSION
from backend.scoring.sample.quantities import Quantity
from backend.scoring.sample_size import SampleLabel
from backend.scoring.views import VIEWS
from backend.scoring.words.sentences import LABEL_MEANINGS, SIGN, view_name


def methods_answer(service: ReadingParts) -> MethodsAnswer:
    """Return every constant of scoring with its reason, the views, the labels and the units."""
    return MethodsAnswer(
        method_version=METHOD_VERSION,
        sign=SIGN,
        local_zone=PARIS.key,
        constants=[
            MethodConstant(
                name=constant.name,
                value=list(constant.value) if isinstance(constant.value, tuple) else constant.value,
                unit=constant.unit,
                reason=constant.reason,
                reference=constant.reference,
            )
            for constant in CONSTANTS
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
