"""What pilots call the models and the references."""

from __future__ import annotations

from collections.abc import Sequence

MODEL_NAMES = {
    "arome_0025": "AROME",
    "arome_001": "AROME 1.3 km",
    "arome_hd": "AROME HD",
    "arome_ifs_0025": "AROME-IFS",
    "arpege_europe": "ARPEGE",
    "ecmwf_ifs025": "IFS",
    "gfs_global": "GFS",
    "icon_ch1": "ICON-CH1",
    "icon_ch2": "ICON-CH2",
    "icon_d2": "ICON-D2",
    "meteo_parapente": "MeteoParapente",
    "yesterday": "yesterday's observation",
    "climatology": "the usual for the month and hour",
    "model_mean": "the mean of the models",
}


def model_name(model: str) -> str:
    """Return what pilots call a model or a reference."""
    return MODEL_NAMES.get(model, model)


def listed(names: Sequence[str]) -> str:
    """Return names as a list in words: "AROME, ICON-D2 and IFS"."""
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"
