"""docs/architecture.md is true: its paths and functions exist, its tables are those of the code."""

from __future__ import annotations

import ast
import re

import pytest

from backend.tests.support.house_counts import BACKEND, Count, rooms_table, structure, walked

ROOT = BACKEND.parent
TEXT = (ROOT / "docs" / "architecture.md").read_text()
STEPS = re.findall(r"^\d+\. (.+)$", TEXT.partition("## The walk")[2].partition("\n## ")[0], re.MULTILINE)
RENEW = "python -m backend.tests.support.house_counts docs/architecture.md"


def functions_of(path: str) -> set[str]:
    """Return the functions of a module, methods with the name of their class."""
    found = set()
    for node in ast.parse((BACKEND / path).read_text()).body:
        members = node.body if isinstance(node, ast.ClassDef) else [node]
        for member in members:
            if isinstance(member, ast.FunctionDef | ast.AsyncFunctionDef):
                found |= {member.name, f"{node.name}.{member.name}" if isinstance(node, ast.ClassDef) else ""}
    return found


def test_the_walk_of_a_value_has_at_most_fifteen_steps() -> None:
    assert 10 <= len(STEPS) <= 15


@pytest.mark.parametrize("step", STEPS)
def test_each_function_of_the_walk_exists_in_a_file_of_its_step(step: str) -> None:
    files = re.findall(r"`([a-z_/]+\.py)`", step)
    known = set().union(*map(functions_of, files))
    assert files
    assert set(re.findall(r"`([\w.]+)\(\)`", step)) <= known


def test_each_place_that_the_page_names_exists() -> None:
    written = re.sub(r"<!-- begin.*?<!-- end -->", "", TEXT, flags=re.DOTALL)
    places = set(re.findall(r"`((?:backend/|proofs/)?[a-z_]+/[a-z_/]*(?:\.py)?)`", written))
    assert len(places) > 30
    assert [place for place in places if not (BACKEND / place).exists() and not (ROOT / place).exists()] == []


def test_the_table_of_rooms_is_the_one_that_the_tests_enforce() -> None:
    assert f"<!-- begin: rooms -->\n{rooms_table()}<!-- end -->" in TEXT, RENEW


def stated(count: Count) -> int:
    """Return the figure of a count in the page."""
    found = re.search(rf"^\| {re.escape(count.name)} \| (\d+)", TEXT, re.MULTILINE)
    assert found is not None, RENEW
    return int(found[1])


def test_no_count_of_the_layout_exceeds_the_one_in_the_page() -> None:
    assert [count for count in structure() if count.value > stated(count)] == [], RENEW


@pytest.mark.slow
def test_one_answer_passes_no_more_functions_and_files_than_the_page_states() -> None:
    assert [count for count in walked() if count.value > stated(count)] == [], RENEW
