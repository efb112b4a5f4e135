"""The methodology document agrees with the code, to the last constant."""

from __future__ import annotations

import ast
import re
from pathlib import Path

from backend.scoring import constants
from backend.scoring.constants import CONSTANTS
from backend.scoring.words.methodology import examples, renewed

DOCUMENT = Path(__file__).parents[3] / "docs" / "methodology.md"


def test_the_document_is_what_the_code_would_write() -> None:
    text = DOCUMENT.read_text()
    assert renewed(text) == text, "python -m backend.scoring.methodology docs/methodology.md"
    assert all(f"`{constant.name}`" in text for constant in CONSTANTS)
    assert text.count("<!-- begin: ") == 3, "the third is of backend/answers/verification_examples.py"


def test_nothing_is_published_that_the_code_does_not_apply() -> None:
    """The ranking score is a declaration: which one it is stands in quantities.py."""
    package = Path(constants.__file__).parents[1]
    used = {
        node.id
        for path in package.rglob("*.py")
        if "tests" not in path.parts and path.name != "constants.py"
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Name)
    }
    tables = re.findall(r"^    Parameter\.\w+: (\w+),$", Path(constants.__file__).read_text(), re.MULTILINE)
    names = {name for name, value in vars(constants).items() if isinstance(value, constants.Constant)}
    assert names - used - set(tables) == {"RANKING_SCORE"}


def test_the_examples_are_those_worked_out_by_hand() -> None:
    """(5 - 2 + 6) / 3 = 3; (5 + 2 + 6) / 3 = 4.33; sqrt(65 / 3) = 4.65; 6 / 57 = 11 %; hypot(30, 40) = 50."""
    text = examples()
    for figure in ("= +3.0 km/h", "= 4.33 km/h", "= 4.65 km/h", "-20°, +10°, +10°", "6 of 57 go hours, 11 %"):
        assert figure in text
    for figure in ("is 5 to 21 %", "50 km/h apart", "= 11.3 °C", "= +0.20", "-0.20, worse", "67 %"):
        assert figure in text
