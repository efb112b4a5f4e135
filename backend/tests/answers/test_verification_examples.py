"""The worked examples of the measures of issued forecasts are what the code computes, and right by hand."""

from __future__ import annotations

from pathlib import Path

import pytest

from backend.answers.verification_examples import in_words, verification_examples
from backend.scoring.words.methodology import renewed

DOCUMENT = Path(__file__).parents[3] / "docs" / "methodology.md"


def test_the_document_is_what_the_code_would_write() -> None:
    text = DOCUMENT.read_text()
    renew = "python -m backend.answers.verification_examples docs/methodology.md"
    assert renewed(text, {"issued": in_words}) == text, renew
    assert "**CRPS**" in text


def test_the_examples_are_those_worked_out_by_hand() -> None:
    """24 - 13 + 10 (27 - 24) = 41; 4 of 5 readings; (4 + 1) / (60 + 2); squares of it and of 1 minus it.

    The reading 19 lies between the quantiles at 55 % (18.6) and 60 % (19.2).
    """
    of = verification_examples()
    assert (of.error, of.width, of.miss, of.inside, of.coverage) == (9.0, 11.0, 3.0, 4, 0.8)
    assert of.interval_score == pytest.approx(41.0)
    assert of.chance == pytest.approx(5 / 62)
    assert of.brier_if_not == pytest.approx((5 / 62) ** 2)
    assert of.brier_if == pytest.approx((57 / 62) ** 2)
    assert 0.55 <= of.pit <= 0.60
    assert of.calm_up_to == pytest.approx(0.3), (
        "0 lies at or below the quantiles of 5 to 25 %, and below the next"
    )
    # Twice the mean of level * (27 - quantile): every quantile is below the reading.
    levels = [step / 20 for step in range(1, 20)]
    quantiles = [
        13 + (level - 0.1) / 0.15 * 2 if level <= 0.25 else 15 + (level - 0.25) / 0.25 * 3 for level in levels
    ]
    upper = [
        18 + (level - 0.5) / 0.25 * 3 if level <= 0.75 else 21 + (level - 0.75) / 0.15 * 3 for level in levels
    ]
    each = [low if level <= 0.5 else high for level, low, high in zip(levels, quantiles, upper, strict=True)]
    assert of.crps == pytest.approx(
        2 * sum(level * (27 - value) for level, value in zip(levels, each, strict=True)) / 19
    )
    assert of.held.low < of.held.mean < of.held.high
