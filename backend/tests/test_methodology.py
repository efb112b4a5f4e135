"""The methodology document says what the code does, to the last constant."""

from __future__ import annotations

from pathlib import Path

from backend.scoring.constants import CONSTANTS
from backend.scoring.methodology import examples, renewed

DOCUMENT = Path(__file__).parents[2] / "docs" / "methodology.md"


def test_the_document_is_what_the_code_would_write() -> None:
    text = DOCUMENT.read_text()
    assert renewed(text) == text, "python -m backend.scoring.methodology docs/methodology.md"
    assert all(f"`{constant.name}`" in text for constant in CONSTANTS)
    assert text.count("<!-- begin: ") == 2


def test_the_examples_are_those_worked_out_by_hand() -> None:
    """(5 - 2 + 6) / 3 = 3; (5 + 2 + 6) / 3 = 4.33; sqrt(65 / 3) = 4.65; 6 / 57 = 11 %; hypot(30, 40) = 50."""
    text = examples()
    for figure in ("= +3.0 km/h", "= 4.33 km/h", "= 4.65 km/h", "-20°, +10°, +10°", "6 of 57 go hours, 11 %"):
        assert figure in text
    for figure in ("between 5 and 21 %", "50 km/h apart", "= 11.3 °C", "= +0.20", "-0.20, worse", "67 %"):
        assert figure in text
