"""No test judges by wall time: what is slow only because the machine is busy passes all the same.

A test waits for a condition (`backend.tests.support.waiting`), measures CPU time, compares with the same
work at another size, or sets a clock. The lists below name the files that may do otherwise, and why.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

from backend.tests.slow import SLOW_MODULES, UNMEASURED_MODULES

TESTS = Path(__file__).resolve().parent
PROJECT = TESTS.parents[1]

COMPARES = "compares wall time"
SLEEPS = "sleeps"
LIMITS = "limits a wait by a number of its own: use HANG_SECONDS"
DEADLINE = "sets a deadline of Hypothesis: the profile in conftest.py has none"
MARKS = "sets a timeout of its own: pyproject.toml has one for what hangs"

ALLOWED = {
    COMPARES: {
        "waiting.py": "the one place where a wait ends after HANG_SECONDS",
        "fuzz.py": "`make fuzz` lasts as long as it is asked to",
        "quiet.py": "the bench waits for a quiet machine",
        "reader.py": "the bench measures how late a reader is",
        "scale.py": "ends by itself after an hour",
        "starting.py": "the bench measures how long a start takes",
        "test_processes.py": "waits for the end of a lease, which is a time of the clock",
    },
    SLEEPS: {
        "waiting.py": "the pause between two looks",
        "clocked.py": "the pause between two looks of a schedule in a process of its own",
        "loopback.py": "a server that sends its body slowly",
        "test_http_hosts.py": "on a loop that jumps to the next timer",
        "soak_life.py": "a circuit closes after that time; more of it does no harm",
        "fault_bench.py": "a circuit closes after that time; more of it does no harm",
        "client.py": "the bench asks at the times that it planned",
        "quiet.py": "the bench waits for a quiet machine",
        "scale.py": "the pause between two looks",
        "server.py": "the bench keeps a server at work",
        "starting.py": "the pause between two looks",
    },
    LIMITS: {
        "test_quota.py": "calls that must wait a minute; a slow machine cannot fail it",
        "test_store.py": "the pause between two looks",
        "test_http_sinks.py": "a write that must not have ended; a slow machine cannot fail it",
    },
    DEADLINE: {
        "conftest.py": "the profile",
        "fuzz.py": "runs without pytest, and so without the profile",
    },
    MARKS: {},
}

WAITS = (".drain", ".join", ".result", ".wait")
WALL_CLOCKS = {"monotonic", "monotonic_ns", "perf_counter", "perf_counter_ns", "time_ns"}


def called(node: ast.AST) -> str:
    """Return what a call calls, as the last two parts of its name: "time.sleep", ".wait", "sleep"."""
    if not isinstance(node, ast.Call):
        return ""
    if isinstance(node.func, ast.Attribute):
        owner = node.func.value
        return f"{owner.id if isinstance(owner, ast.Name) else ''}.{node.func.attr}"
    return node.func.id if isinstance(node.func, ast.Name) else ""


def reads_wall_clock(node: ast.AST) -> bool:
    name = called(node)
    return name.rpartition(".")[2] in WALL_CLOCKS or name in {"time.time", "loop.time"}


def holds_wall_time(node: ast.AST, names: set[str]) -> bool:
    """Return whether an expression is made of a wall clock, or of a name that holds such a value."""
    return any(
        reads_wall_clock(part) or (isinstance(part, ast.Name) and part.id in names) for part in ast.walk(node)
    )


def is_time_since(node: ast.AST) -> bool:
    """Return whether an expression is the time that passed between something and now."""
    return (
        isinstance(node, ast.BinOp)
        and isinstance(node.op, ast.Sub)
        and any(called(part) in {"datetime.now", "utc_now"} for part in ast.walk(node))
    )


def names_of_wall_time(function: ast.AST) -> set[str]:
    """Return the local names that are assigned a value made of a wall clock."""
    names: set[str] = set()
    found = -1
    while found != len(names):
        found = len(names)
        for node in ast.walk(function):
            if isinstance(node, ast.Assign | ast.AnnAssign | ast.AugAssign | ast.NamedExpr):
                if node.value is None or not holds_wall_time(node.value, names):
                    continue
                targets = node.targets if isinstance(node, ast.Assign) else [node.target]
                parts = [part for each in targets for part in ast.walk(each)]
                names |= {
                    part.id
                    for part in parts
                    if isinstance(part, ast.Name) and isinstance(part.ctx, ast.Store)
                }
    return names


def is_number(node: ast.AST | None) -> bool:
    return isinstance(node, ast.Constant) and isinstance(node.value, int | float) and node.value > 0


def offences(source: str) -> Iterator[tuple[str, int]]:
    """Yield each way in which a module depends on wall time, with its line."""
    tree = ast.parse(source)
    for function in ast.walk(tree):
        if isinstance(function, ast.FunctionDef | ast.AsyncFunctionDef):
            names = names_of_wall_time(function)
            for node in ast.walk(function):
                if not isinstance(node, ast.Compare):
                    continue
                if holds_wall_time(node, names) or any(is_time_since(part) for part in ast.walk(node)):
                    yield COMPARES, node.lineno
    for node in ast.walk(tree):
        if (
            isinstance(node, ast.Attribute)
            and node.attr == "timeout"
            and ast.unparse(node) == "pytest.mark.timeout"
        ):
            yield MARKS, node.lineno
        if not isinstance(node, ast.Call):
            continue
        name, keywords = called(node), {word.arg: word.value for word in node.keywords}
        if name in {"time.sleep", "asyncio.sleep", "sleep"} and ast.unparse(node.args[0]) != "0":
            yield SLEEPS, node.lineno
        if "deadline" in keywords and name.endswith(("settings", "register_profile")):
            yield DEADLINE, node.lineno
        limits = [keywords.get("timeout"), *(node.args[:1] if name == "asyncio.timeout" else ())]
        limits += node.args[1:2] if name == "asyncio.wait_for" else ()
        limits += node.args[:1] if name.endswith(WAITS) else ()
        if any(map(is_number, limits)):
            yield LIMITS, node.lineno


FOUND = [
    (path, what, line)
    for path in sorted([*TESTS.rglob("*.py"), *(PROJECT / "proofs").rglob("*.py")])
    for what, line in sorted(set(offences(path.read_text(encoding="utf-8"))))
]


def test_no_test_depends_on_wall_time() -> None:
    refused = [
        f"{path.relative_to(PROJECT)}:{line} {what}"
        for path, what, line in FOUND
        if path.name not in ALLOWED[what]
    ]
    assert refused == []


@pytest.mark.parametrize("what", ALLOWED)
def test_what_is_allowed_is_done(what: str) -> None:
    assert set(ALLOWED[what]) <= {path.name for path, done, _ in FOUND if done == what}


@pytest.mark.parametrize(
    ("source", "what"),
    [
        ("def f():\n    assert time.monotonic() - began < 5", COMPARES),
        ("def f():\n    took = time.perf_counter() - began\n    assert took < 5", COMPARES),
        ("def f():\n    end = time.time() + 5\n    later = end + 1\n    while later > now(): pass", COMPARES),
        ("async def f():\n    await until(lambda: loop.time() > end)", COMPARES),
        ("def f():\n    assert datetime.now(UTC) - world.now() < SECOND", COMPARES),
        ("time.sleep(0.1)", SLEEPS),
        ("asyncio.sleep(PAUSE)", SLEEPS),
        ("subprocess.run(command, timeout=20)", LIMITS),
        ("asyncio.wait_for(task, 5)", LIMITS),
        ("runner.drain(60)", LIMITS),
        ("with asyncio.timeout(0.2): pass", LIMITS),
        ("settings(deadline=None)", DEADLINE),
        ("@pytest.mark.timeout(400)\ndef test(): pass", MARKS),
    ],
)
def test_each_offence_is_found(source: str, what: str) -> None:
    assert {found for found, _ in offences(source)} == {what}


@pytest.mark.parametrize(
    "source",
    [
        "def f():\n    assert time.process_time() - began < 5",
        "def f():\n    assert before <= world.now() <= datetime.now(UTC)",
        "asyncio.sleep(0)",
        "process.wait(HANG_SECONDS)",
        "asyncio.timeout(HANG_SECONDS)",
        "settings(max_examples=5)",
        "def f():\n    began = time.monotonic()\n    print(time.monotonic() - began)",
    ],
)
def test_what_no_load_can_change_is_allowed(source: str) -> None:
    assert list(offences(source)) == []


def test_each_slow_module_is_there() -> None:
    assert {
        path.relative_to(TESTS).with_suffix("").as_posix() for path in TESTS.rglob("test_*.py")
    } >= SLOW_MODULES | UNMEASURED_MODULES
