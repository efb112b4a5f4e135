"""The tree of exceptions in core/errors.py is complete, and each of them survives pickle and copy."""

from __future__ import annotations

import ast
import copy
import importlib
import pickle
import pkgutil
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import backend
from backend.answers.public_question import UnpublishedDaysError
from backend.collectors.transport.hosts import CircuitOpenError
from backend.core import errors
from backend.scoring.public.windows import Window
from backend.storage.store_copy import CopyDiffersError, TableCopy, Tally


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


FETCH: dict[str, Any] = {
    "source": "arome",
    "url": "https://example.org",
    "status": 503,
    "retryable": True,
    "retry_after": 2.5,
}

MADE: dict[type[BaseException], Callable[[], BaseException]] = {
    errors.UnknownNameError: lambda: errors.UnknownNameError("site", "planfet", ["planfait"]),
    errors.CollectorError: lambda: errors.CollectorError(
        "no data", source="arome", url="https://example.org"
    ),
    errors.FetchError: lambda: errors.FetchError("no answer", **FETCH),
    errors.PayloadMissingError: lambda: errors.PayloadMissingError("not archived", **FETCH),
    errors.UnchangedError: lambda: errors.UnchangedError("unchanged", **FETCH),
    errors.ParseError: lambda: errors.ParseError("another format", source="ffvl", url="https://example.org"),
    errors.JobBusyError: lambda: errors.JobBusyError("collect_forecasts", 7),
    CircuitOpenError: lambda: CircuitOpenError(5, 60.0, "HTTP 503"),
    CopyDiffersError: lambda: CopyDiffersError([TableCopy("site", Tally(rows=1), Tally())]),
    UnpublishedDaysError: lambda: UnpublishedDaysError(["ffvl:87"], [Window(677, 678)]),
}
"""How an exception is made that takes other arguments than one text, or more of them."""


def exceptions(base: type[BaseException] = BaseException) -> Iterator[type[BaseException]]:
    """Yield every exception that a module of production code defines."""
    for found in base.__subclasses__():
        if found.__module__.startswith("backend.") and ".tests." not in found.__module__:
            yield found
        yield from exceptions(found)


def all_exceptions() -> list[type[BaseException]]:
    for module in pkgutil.walk_packages(backend.__path__, "backend."):
        if not module.name.startswith(("backend.tests", "backend.storage.migrations", "backend.__main__")):
            importlib.import_module(module.name)
    return sorted(set(exceptions()), key=lambda found: found.__qualname__)


@pytest.mark.parametrize("through", [lambda error: pickle.loads(pickle.dumps(error)), copy.copy])
@pytest.mark.parametrize("kind", all_exceptions(), ids=lambda kind: kind.__name__)
def test_every_exception_survives_pickle_and_copy(
    kind: type[BaseException], through: Callable[[BaseException], BaseException]
) -> None:
    error = MADE.get(kind, lambda: kind("a reason"))()
    again = through(error)

    assert type(again) is kind
    assert (str(again), again.args) == (str(error), error.args)
    assert again.__dict__ == error.__dict__
