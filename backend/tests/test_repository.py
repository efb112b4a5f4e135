"""The files around the code: what pages link to and name, the wheel, hooks and CI."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import unicodedata
from collections.abc import Iterator
from pathlib import Path
from zipfile import ZipFile

import pytest

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted(ROOT.glob("docs/**/*.md"))]

_CODE = re.compile(r"^```.*?^```|`[^`\n]*`", re.MULTILINE | re.DOTALL)
_LINK = re.compile(r"\[(?:[^\[\]]|\[[^\]]*\])*\]\(([^()\s]+)\)")


def links(text: str) -> Iterator[str]:
    """Return the targets of all links in a Markdown text that are no addresses of the web."""
    plain = _CODE.sub("", text)
    return (
        target for target in _LINK.findall(plain) if "://" not in target and not target.startswith("mailto:")
    )


def anchors(text: str) -> set[str]:
    """Return the anchors that hosting services make of the headings of a Markdown text."""
    found: set[str] = set()
    plain = re.sub(r"^```.*?^```", "", text, flags=re.MULTILINE | re.DOTALL)
    for heading in re.findall(r"^#{1,6} +(.+?) *$", plain, re.MULTILINE):
        words = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading).lower()
        anchor = "".join(
            "-" if letter == " " else letter
            for letter in words
            if letter in " -_" or unicodedata.category(letter)[0] in "LN"
        )
        repeated = anchor
        number = 0
        while repeated in found:
            number += 1
            repeated = f"{anchor}-{number}"
        found.add(repeated)
    return found


def broken_links(page: Path) -> list[str]:
    """Return the links of a page whose file or heading does not exist."""
    broken = []
    for link in links(page.read_text()):
        path, _, anchor = link.partition("#")
        target = page.parent / path if path else page
        if not target.exists() or (anchor and anchor not in anchors(target.read_text())):
            broken.append(link)
    return broken


@pytest.mark.parametrize(
    "page", [*PAGES, ROOT / "CHANGELOG.md"], ids=lambda page: str(page.relative_to(ROOT))
)
def test_every_link_between_pages_leads_to_a_file_and_a_heading(page: Path) -> None:
    assert broken_links(page) == []


def test_a_link_without_a_file_or_a_heading_is_found(tmp_path: Path) -> None:
    (tmp_path / "other.md").write_text(
        "# It's [here](x.md)\n\n## Twice\n\n## Twice\n\n```\n# no heading\n```\n"
    )
    page = tmp_path / "page.md"
    page.write_text(
        "[a](other.md) [b](other.md#its-here) [c](other.md#twice-1) `[code](gone.md)` [web](https://example.org/x)\n"
        "[d](gone.md) [e](other.md#no-heading) [f](#nowhere) [g](other.md#twice-2)\n"
    )
    assert broken_links(page) == ["gone.md", "other.md#no-heading", "#nowhere", "other.md#twice-2"]


def files_that_are_missing(text: str) -> set[str]:
    """Return the files, modules and tests that a text names and the repository does not have.

    A comment `<!-- path -->` stands before the content of a file that the reader creates.
    """
    created = set(re.findall(r"<!-- (\S+) -->", text))
    code = [path for folder in ("backend", "proofs") for path in (ROOT / folder).rglob("*.py")]
    paths = set(re.findall(r"\b(?:backend|proofs)(?:/[\w.-]+)*/[\w-]+\.\w+", text))
    modules = set(re.findall(r"python -m ((?:backend|proofs)[\w.]*)", text))
    paths |= {module.replace(".", "/") for module in modules}
    tests = {
        f"{file}::{name}"
        for file, name in re.findall(r"`(\w+\.py)::(test_\w+)`", text)
        if not any(f"def {name}(" in path.read_text() for path in code if path.name == file)
    }
    names = set(re.findall(r"`(\w+\.py)`", text)) | {
        f"{name}.py" for name in re.findall(r"`(test_\w+)`", text)
    }
    missing = {path for path in paths - created if not list(ROOT.glob(f"{path}*"))}
    return missing | tests | (names - {path.name for path in code})


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_file_module_and_test_that_a_page_names_exists(page: Path) -> None:
    assert files_that_are_missing(page.read_text()) == set()


def test_a_file_module_or_test_that_is_missing_is_found() -> None:
    text = "`backend/gone.py`, `python -m proofs.gone`, `gone_too.py`, `test_gone`"
    text += " `backend/main.py`, `python -m proofs.soak`, `main.py`, `test_layers`"
    assert files_that_are_missing(text) == {"backend/gone.py", "proofs/gone", "gone_too.py", "test_gone.py"}


def test_the_wheel_has_the_package_with_its_types_and_licence(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(tmp_path)]
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True)
    (wheel,) = tmp_path.glob("*.whl")
    names = ZipFile(wheel).namelist()
    assert {"backend/main.py", "backend/py.typed", "backend/web/styles/base.css"} <= set(names)
    assert [name for name in names if name.endswith(".dist-info/licenses/LICENSE")]
    assert [name for name in names if name.startswith(("backend/tests", "proofs"))] == []


def test_hooks_use_the_tools_of_the_environment_and_download_nothing() -> None:
    text = (ROOT / ".pre-commit-config.yaml").read_text()
    assert set(re.findall(r"\brepo: (.*)", text)) == {"local"}
    assert set(re.findall(r"\blanguage: (.*)", text)) == {"system"}
    assert set(re.findall(r"\bentry: (\S+)", text)) == {".venv/bin/ruff", ".venv/bin/mypy"}


@pytest.mark.parametrize(
    ("file", "command"), [(".github/workflows/ci.yml", "run: "), (".gitlab-ci.yml", "script:\n +- ")]
)
def test_every_ci_service_runs_the_same_command(file: str, command: str) -> None:
    assert re.findall(rf"\b{command}(.*)", (ROOT / file).read_text()) == [".ci/run"]


def test_the_list_of_packages_has_every_package_of_an_installation(tmp_path: Path) -> None:
    lock, listed = ROOT / "deploy" / "requirements.lock", tmp_path / "sbom.json"
    program = str(Path(sys.executable).with_name("cyclonedx-py"))
    command = [program, "requirements", "--output-reproducible", "--of", "JSON", "-o", str(listed), str(lock)]
    subprocess.run(command, check=True, capture_output=True)
    components = json.loads(listed.read_text())["components"]
    pinned = set(re.findall(r"^([\w.-]+)==([\w.]+)", lock.read_text(), flags=re.MULTILINE))
    assert {(component["name"], component["version"]) for component in components} == pinned


def test_every_test_that_the_page_on_security_names_exists() -> None:
    text = (ROOT / "docs" / "security.md").read_text()
    named = re.findall(r"`([\w/]+\.py)(?:::(test_\w+))?`", text)
    assert len(named) > 15
    for file, name in named:
        tests = (ROOT / "backend" / "tests" / file).read_text()
        assert not name or f"def {name}(" in tests, f"{file} has no {name}"
