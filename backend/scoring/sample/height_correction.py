"""Temperature at the station's height. Publish raw and corrected side by side."""

from __future__ import annotations

import numpy as np

from backend.scoring.constants import FAR_IN_HEIGHT, LAPSE_RATE
from backend.scoring.grid import ABSENT, SCALE, Values, present


def to_station_height(
    f: Values, model_elevation: float | None, station_elevation: float | None
) -> Values | None:
    """Return the forecast corrected to the station's height, `T + 0.0065 * (z_model - z_station)`.

    Elevations in metres, temperatures in thousandths of °C, rounded to them. None when an elevation
    is unknown: the raw forecast is then shown with a warning and not ranked. A constant lapse rate
    fails under a valley inversion: always show night and day apart as well (WMO LC-DNV).
    """
    if model_elevation is None or station_elevation is None:
        return None
    # Air cools with height: a model whose ground lies above the station is too cold for it.
    shift = round(LAPSE_RATE.value * SCALE * (model_elevation - station_elevation))
    return np.where(present(f), f.astype(np.int64) + shift, ABSENT).astype(np.int32)


def is_far_in_height(model_elevation: float, station_elevation: float) -> bool:
    """Return whether model ground and station (metres) are too far apart to headline a temperature."""
    return abs(model_elevation - station_elevation) > FAR_IN_HEIGHT.value
