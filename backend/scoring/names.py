"""Names of models and baselines in sentences for pilots."""

from __future__ import annotations

from collections.abc import Sequence

from backend.core.registry import MODELS, OWN_MODEL

BASELINE_NAMES = {
    "yesterday": "yesterday's observation",
    "climatology": "the usual for the month and hour",
    "model_mean": "the mean of the models",
}


def model_name(model: str) -> str:
    """Return the display name of a model or a baseline; an imported model has none but its own."""
    if model == OWN_MODEL.name:
        return OWN_MODEL.display_name
    if info := MODELS.get(model):
        return info.display_name
    return BASELINE_NAMES.get(model, model)


def is_ours(model: str) -> bool:
    """Return whether a model is the corrected forecast of this service."""
    return model == OWN_MODEL.name


def listed(names: Sequence[str]) -> str:
    """Return names as a list in words: "AROME, ICON-D2 and IFS"."""
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"
