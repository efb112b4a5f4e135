"""The columns of the arrays of a score day, and their special values."""

from __future__ import annotations

from backend.core.parameters import Parameter

SPEED, GUST, DIRECTION, TEMPERATURE = range(len(Parameter))


UNPAIRED = -128
"""In an array of offsets: no reading was matched."""


ZERO_DIRECTION, STOPPED = "zero_direction", "stopped"

STUCK_VANE, FROZEN_TEMPERATURE, EXCLUDED = "stuck_vane", "frozen_temperature", "excluded_by_operator"

MOVED = "moved"
"""Why values are doubted that a station measured at a place that is none of its site's."""

REASONS = (
    *("", "stuck", "calm_among_wind", "spike", "gust_below_mean", "far_from_models"),
    *("zero_mean", ZERO_DIRECTION, STOPPED, STUCK_VANE, FROZEN_TEMPERATURE, EXCLUDED, MOVED),
)
"""Their numbers are kept with the days: a new one comes last."""
