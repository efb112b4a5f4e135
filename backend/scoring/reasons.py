"""The reasons for which quality control keeps a value out of the scores, and their stored numbers."""

from __future__ import annotations

ZERO_DIRECTION, STOPPED = "zero_direction", "stopped"

STUCK_VANE, FROZEN_TEMPERATURE, EXCLUDED = "stuck_vane", "frozen_temperature", "excluded_by_operator"

MOVED = "moved"
"""The station measured the value at a place that is not confirmed for its site."""

REASONS = (
    *("", "stuck", "calm_among_wind", "spike", "gust_below_mean", "far_from_models"),
    *("zero_mean", ZERO_DIRECTION, STOPPED, STUCK_VANE, FROZEN_TEMPERATURE, EXCLUDED, MOVED),
)
"""Days are stored with the index of a reason: append a new reason at the end."""
