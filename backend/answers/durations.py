"""Durations in words, for reasons and the operator."""

from __future__ import annotations


def in_words(seconds: float) -> str:
    """Return a duration in its largest sensible unit: "25 min", "7 h", "3 days"."""
    minutes = round(seconds / 60)
    if minutes < 1:
        return "less than a minute"
    if minutes < 90:
        return f"{minutes} min"
    hours = round(seconds / 3600)
    return f"{hours} h" if hours < 48 else f"{round(hours / 24)} days"
