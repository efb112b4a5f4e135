"""Durations in words."""

from __future__ import annotations

import pytest

from backend.answers.durations import in_words


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (0, "less than a minute"),
        (29, "less than a minute"),
        (60, "1 min"),
        (89 * 60, "89 min"),
        (90 * 60, "2 h"),
        (47 * 3600, "47 h"),
        (49 * 3600, "2 days"),
    ],
)
def test_a_duration_is_in_its_largest_sensible_unit(seconds: float, words: str) -> None:
    assert in_words(seconds) == words
