"""Figures of the layout: how many functions one answer passes, and how the rooms depend on each other.

    python -m backend.tests.support.house_counts                        # print the counts
    python -m backend.tests.support.house_counts docs/architecture.md   # write them into the page

A test fails when a count exceeds the one in the page.
"""

from __future__ import annotations

import argparse
import ast
import io
import re
import sys
import tempfile
import threading
import tokenize
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from types import CodeType, FrameType

import numpy as np

from backend.tests.test_layers import MODULES, ROOMS, SCORING, room_of

BACKEND = Path(__file__).parents[2]

Trees = Mapping[str, ast.Module]
"""The syntax tree of each production module, by its path below `backend`."""

Graph = Mapping[str, frozenset[str]]
"""What each module, or each group of modules, imports of the others."""


def production() -> dict[str, ast.Module]:
    """Return the tree of every module but the tests and the one that holds the version."""
    paths = [path.relative_to(BACKEND) for path in sorted(BACKEND.rglob("*.py"))]
    return {
        path.as_posix(): ast.parse((BACKEND / path).read_text())
        for path in paths
        if path.parts[0] not in {"tests", "__init__.py"}
    }


# --- Imports -------------------------------------------------------------------------------------------


def top_folder(path: str) -> str:
    """Return the folder directly below `backend` that a module is in, and "top" for main.py and its like."""
    folder, slash, _ = path.partition("/")
    return folder if slash else "top"


def module_imports(trees: Trees) -> Graph:
    """Return which modules each module imports: at its top, in a function, or for types only."""
    files = {}
    for path in trees:
        name = path.removesuffix(".py").removesuffix("/__init__").replace("/", ".")
        files[f"backend.{name}"] = path
    graph = {}
    for path, tree in trees.items():
        package = ["backend", *Path(path).parent.parts]
        imported: set[str] = set()
        for node in ast.walk(tree):
            if isinstance(node, ast.Import):
                imported |= {alias.name for alias in node.names}
            elif isinstance(node, ast.ImportFrom):
                above = package[: len(package) - node.level + 1] if node.level else []
                module = ".".join([*above, *([node.module] if node.module else [])])
                for alias in node.names:
                    inner = f"{module}.{alias.name}"
                    imported.add(inner if inner in files else module)
        graph[path] = frozenset(files[name] for name in imported if name in files) - {path}
    return graph


def grouped(graph: Graph, group_of: Callable[[str], str]) -> Graph:
    """Return which groups of modules each group imports."""
    groups: dict[str, set[str]] = {group_of(path): set() for path in graph}
    for path, imported in graph.items():
        groups[group_of(path)] |= {group_of(other) for other in imported} - {group_of(path)}
    return {group: frozenset(others) for group, others in groups.items()}


def circles(graph: Graph) -> list[tuple[str, ...]]:
    """Return the groups of nodes that import each other, directly or through others of the group."""
    reachable: dict[str, set[str]] = {}
    for start in graph:
        seen: set[str] = set()
        waiting = list(graph[start])
        while waiting:
            node = waiting.pop()
            if node not in seen:
                seen.add(node)
                waiting.extend(graph[node])
        reachable[start] = seen
    groups = {
        tuple(sorted(node for node in reachable[start] if start in reachable[node]))
        for start in graph
        if start in reachable[start]
    }
    return sorted(groups)


# --- Functions -----------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class FunctionCounts:
    """All functions and methods, and the private ones that their own module names exactly once."""

    functions: int
    private_used_once: int

    @property
    def share(self) -> float:
        """The share of private functions used once, in percent of all functions."""
        return 100 * self.private_used_once / self.functions


def count_functions(trees: Trees) -> FunctionCounts:
    """Count the functions of all modules. A dunder method is not private."""
    functions = private_used_once = 0
    for tree in trees.values():
        uses: Counter[str] = Counter()
        defined = []
        for node in ast.walk(tree):
            if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load):
                uses[node.id] += 1
            elif isinstance(node, ast.Attribute):
                uses[node.attr] += 1
            elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                defined.append(node.name)
        functions += len(defined)
        private_used_once += sum(
            name.startswith("_") and not name.startswith("__") and uses[name] == 1 for name in defined
        )
    return FunctionCounts(functions, private_used_once)


# --- One answer ------------------------------------------------------------------------------------------


@dataclass(slots=True)
class Walk:
    """The production functions that were called, and how often a call went from one file to another."""

    functions: set[CodeType] = field(default_factory=set)
    moves: int = 0
    _importing: int = 0
    _files: dict[str, str | None] = field(default_factory=dict)

    @property
    def files(self) -> set[str]:
        """The files of the functions."""
        return {code.co_filename for code in self.functions}

    def _production_file(self, code: CodeType) -> str | None:
        name = code.co_filename
        if name not in self._files:
            path = Path(name)
            inside = path.is_relative_to(BACKEND) and path.relative_to(BACKEND).parts[0] != "tests"
            self._files[name] = name if inside else None
        return self._files[name]

    def profile(self, frame: FrameType, event: str, argument: object) -> None:
        """Take note of a call. What runs while a module is imported does not count."""
        code = frame.f_code
        if code.co_name == "<module>":
            self._importing += {"call": 1, "return": -1}.get(event, 0)
        if event != "call" or self._importing:
            return
        file = self._production_file(code)
        if file is None or (code.co_name.startswith("<") and code.co_name != "<lambda>"):
            return
        self.functions.add(code)
        caller = frame.f_back
        while caller is not None and self._production_file(caller.f_code) is None:
            caller = caller.f_back
        self.moves += caller is not None and caller.f_code.co_filename != file


def traced(run: Callable[[], None]) -> Walk:
    """Run something, and return the functions that it passed in all threads of this process."""
    walk = Walk()
    threading.setprofile(walk.profile)
    sys.setprofile(walk.profile)
    try:
        run()
    finally:
        sys.setprofile(None)
        threading.setprofile(None)
    return walk


def walk_of_score() -> Walk:
    """Trace `meteo-score score SITE` on a store with 120 days of two models and two stations."""
    from backend.core.parameters import Parameter
    from backend.core.sites import load_sites
    from backend.storage.database import Database
    from backend.tests.support.commands import typed
    from backend.tests.support.score_store import constant, keep
    from backend.tests.support.served import SITES

    first, days = date(2026, 3, 1), 120
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "sites.toml").write_text(SITES)
        environment = {
            "DATABASE_URL": f"sqlite:///{folder / 'store.sqlite3'}",
            "SITES_FILE": str(folder / "sites.toml"),
            "DATA_DIR": name,
        }
        database = Database(environment["DATABASE_URL"], durable=False)
        database.migrate()
        site = load_sites(folder / "sites.toml")[0]
        noise = np.random.default_rng(1).normal(0, 1, (2, days, 25))
        wind = constant(days, 20.0)
        models = {
            name: {Parameter.WIND_SPEED: wind + bias + noise[index]}
            for index, (name, bias) in enumerate((("arome_0025", 2), ("meteo_parapente", 5)))
        }
        stations = {station: {Parameter.WIND_SPEED: wind} for station in site.stations}
        keep(database, site, first, models=models, stations=stations, means=stations)
        database.close()

        def score() -> None:
            result = typed(f"score {site.id} --from 2026-03-01 --to 2026-06-28", environment)
            if result.exit_code != 0 or "errs least" not in result.stdout:
                raise RuntimeError(f"score ended with exit code {result.exit_code}: {result.output}")

        return traced(score)


# --- The page ------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Count:
    """A figure with its `unit`, and the aim that it should not exceed."""

    name: str
    value: int
    aim: int | None = None
    unit: str = ""

    def row(self) -> str:
        """Return the row of the table in docs/architecture.md."""
        aim = "" if self.aim is None else f"at most {self.aim}{self.unit}"
        return f"| {self.name} | {self.value}{self.unit} | {aim} |"


_FOR_TOOLS = re.compile(r"#( ---|!| (noqa|type|fmt|pragma|ruff|mypy)\b)")


def lines_per_comment(trees: Trees) -> float:
    """Return the lines of code for each comment, or text that documents an attribute or a constant.

    Docstrings and empty lines are no code. Titles of sections, and comments for tools, are no comments.
    """
    code = explained = 0
    for path, tree in trees.items():
        source = (BACKEND / path).read_text()
        texts: set[int] = set()
        for node in ast.walk(tree):
            body = node.body if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef) else []
            for place, part in enumerate(body):
                match part:
                    case ast.Expr(value=ast.Constant(value=str())):
                        texts |= set(range(part.lineno, (part.end_lineno or part.lineno) + 1))
                        explained += place > 0
        code += sum(
            1 for number, line in enumerate(source.splitlines(), 1) if line.strip() and number not in texts
        )
        tokens = tokenize.generate_tokens(io.StringIO(source).readline)
        explained += sum(
            token.type == tokenize.COMMENT and not _FOR_TOOLS.match(token.string) for token in tokens
        )
    return code / explained


def structure() -> Iterator[Count]:
    """Yield the counts that need no trace."""
    trees = production()
    graph = module_imports(trees)
    folders = grouped(graph, top_folder)
    yield Count("folders of `backend`, with `main.py` as one", len(folders))
    yield Count("imports between these folders, as pairs", sum(map(len, folders.values())))
    yield Count("circles of rooms", len(circles(grouped(graph, room_of))), 0)
    yield Count("circles of modules", len(circles(graph)), 0)
    yield Count(
        "private functions used once, of all functions", round(count_functions(trees).share), 12, " %"
    )
    yield Count("lines of code for each comment or documented constant", round(lines_per_comment(trees)), 33)


def walked() -> Iterator[Count]:
    """Yield the counts of `score SITE`."""
    walk = walk_of_score()
    yield Count("functions that `score SITE` passes", len(walk.functions), 200)
    yield Count("files that these functions are in", len(walk.files), 40)
    yield Count("calls from one file into another", walk.moves)


def counts_table() -> str:
    """Return all counts as a table."""
    rows = [count.row() for count in (*walked(), *structure())]
    return "\n".join(["| Count | Now | Aim |", "| --- | --- | --- |", *rows, ""])


_NOT_PACKAGES = {
    "storage/migrations": "Migrations of the store by Alembic, which loads them as files.",
    "storage/migrations/versions": "One file per migration, in their order.",
}
"""What is in the folders that cannot have a docstring."""


def rooms_table() -> str:
    """Return the table of test_layers, with the first line of each folder's docstring."""
    rows = []
    for room, may in ROOMS.items():
        modules = [f"`{path.rpartition('/')[2]}`" for path, row in MODULES.items() if row == room]
        package = BACKEND / room / "__init__.py"
        about = ast.get_docstring(ast.parse(package.read_text())) if package.exists() else None
        about = about or _NOT_PACKAGES.get(room, "")
        first = f"only {', '.join(modules)}" if modules else about.partition("\n")[0]
        all_scoring = set(SCORING) - {room} <= may and not room.startswith("scoring")
        others = [*sorted(may - set(SCORING)), "all of scoring"] if all_scoring else sorted(may)
        rows.append(f"| `{room}` | {first} | {', '.join(others) or 'none'} |")
    return "\n".join(["| Room | What is in it | May import |", "| --- | --- | --- |", *rows, ""])


PARTS: dict[str, Callable[[], str]] = {"rooms": rooms_table, "counts": counts_table}
"""The generated parts of docs/architecture.md."""

_BLOCK = re.compile(r"(<!-- begin: (\w+) -->\n).*?(<!-- end -->)", re.DOTALL)


def renewed(document: str) -> str:
    """Return the page with its generated parts as the code has them now."""
    return _BLOCK.sub(lambda found: f"{found[1]}{PARTS[found[2]]()}{found[3]}", document)


def main() -> None:
    """Print the counts, or write them into the page."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("page", nargs="?", type=Path, help="a page whose generated parts are written")
    parser.add_argument(
        "--arrows", action="store_true", help="print which room imports which, and every circle"
    )
    given = parser.parse_args()
    if given.page is not None:
        given.page.write_text(renewed(given.page.read_text()))
    elif given.arrows:
        graph = module_imports(production())
        for folder, others in sorted(grouped(graph, top_folder).items()):
            print(f"{folder}: {', '.join(sorted(others))}")
        for circle in circles(graph) + circles(grouped(graph, room_of)):
            print(f"circle: {', '.join(circle)}")
    else:
        print(counts_table(), end="")


if __name__ == "__main__":
    main()
