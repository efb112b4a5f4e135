"""The tree of exceptions in core/errors.py is complete."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import backend
from backend.core import errors


def test_every_exception_that_is_not_private_stands_in_the_tree_of_errors() -> None:
    drawn = dict(re.findall(r"(\w+Error)\b.*?(?:\(([\w/]+\.py)\))?$", errors.__doc__ or "", re.MULTILINE))
    source = Path(backend.__file__).parent
    defined = {
        node.name: "" if (path := file.relative_to(source).as_posix()) == "core/errors.py" else path
        for file in source.rglob("*.py")
        if "tests" not in file.relative_to(source).parts
        for node in ast.walk(ast.parse(file.read_text()))
        if isinstance(node, ast.ClassDef) and not node.name.startswith("_")
        if any(ast.unparse(base).endswith(("Error", "Exception")) for base in node.bases)
    }
    assert defined == drawn
