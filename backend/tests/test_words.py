"""Code, messages and pages are in plain present-day English: the words below are refused.

Each of them hid the noun or the agent of a sentence in this project: files, runs and stations do not speak,
and a pronoun for any person stands where the user, the operator or the publisher is meant. The rule reads
comments, docstrings, other strings and pages, not identifiers.
"""

from __future__ import annotations

import io
import re
import tokenize
from collections.abc import Iterator
from pathlib import Path

import pytest

PROJECT = Path(__file__).parents[2]

REFUSED = re.compile(
    r"\b(?:says?|said|tells?|told|telling|speaks?|speaking|spoken|whoever|whatever|whichever|nobody|somebody"
    r"|begun|lacks?|lacked|lacking|brings?|brought|hence|meanwhile|anew|mend(?:s|ed|ing)?|for ever"
    r"|of which|made again|(?:could be|was|were|is|are|be|been) had|vouch(?:es|ed)?)\b",
    re.IGNORECASE,
)

JSON_OF_DOCTOR = "`doctor --json` has this name since version 0.1.0"
ALLOWED = {
    "backend/cli/doctor.py": {"says": JSON_OF_DOCTOR},
    "backend/demo/beacons.py": {"said": "seeds the noise: another word changes every value of the demo"},
    "backend/tests/api/test_readiness.py": {"says": JSON_OF_DOCTOR},
    "backend/tests/cli/test_cli.py": {"says": JSON_OF_DOCTOR},
    "backend/tests/core/test_clock_watch.py": {"says": JSON_OF_DOCTOR},
    "backend/tests/storage/test_station_flags.py": {"says": JSON_OF_DOCTOR},
}
"""For a file, the words that may stand in it, and why."""


def texts(path: Path) -> Iterator[tuple[int, str]]:
    """Yield the lines of a page, or of the comments and strings of a module, with their numbers."""
    source = path.read_text(encoding="utf-8")
    if path.suffix != ".py":
        yield from enumerate(source.splitlines(), 1)
        return
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type in (tokenize.COMMENT, tokenize.STRING):
            yield from enumerate(token.string.splitlines(), token.start[0])


def refused(path: Path) -> Iterator[str]:
    allowed = ALLOWED.get(path.relative_to(PROJECT).as_posix(), {})
    for line, text in texts(path):
        for match in REFUSED.finditer(text):
            if match[0].lower() not in allowed:
                yield f"{path.relative_to(PROJECT)}:{line}: {match[0]}: {text.strip()}"


def files() -> list[Path]:
    modules = [*(PROJECT / "backend").rglob("*.py"), *(PROJECT / "proofs").rglob("*.py")]
    pages = [*(PROJECT / "docs").rglob("*.md"), *(PROJECT / "backend").rglob("*.md")]
    templates = [*(PROJECT / "backend" / "web").rglob("*.html")]
    top = [*PROJECT.glob("*.md"), *PROJECT.glob("*.toml"), PROJECT / "Makefile"]
    return sorted(path for path in (*modules, *pages, *templates, *top) if path != Path(__file__))


def test_no_text_has_a_refused_word() -> None:
    found = [problem for path in files() for problem in refused(path)]
    assert not found, f"{len(found)} refused words:\n" + "\n".join(found)


def test_each_exception_is_needed() -> None:
    for name, words in ALLOWED.items():
        text = "\n".join(text.lower() for _, text in texts(PROJECT / name))
        assert [word for word in words if not re.search(rf"\b{word}\b", text)] == [], name


@pytest.mark.parametrize(
    "source",
    ['"""What a run says."""', "x = 1  # nobody asks", "raise E('was told of Y')", 'f"it lacks {x}"'],
)
def test_a_refused_word_is_found(source: str, tmp_path: Path) -> None:
    path = tmp_path / "module.py"
    path.write_text(source)
    assert [match[0] for _, text in texts(path) for match in REFUSED.finditer(text)] != []


def test_identifiers_may_be_any_word(tmp_path: Path) -> None:
    path = tmp_path / "module.py"
    path.write_text("says = told(lack)\n")
    assert list(texts(path)) == []
