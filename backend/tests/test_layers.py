"""Who may import whom, and the few other rules that a reader of the whole code counts on.

Each rule reads the source of a module and names the line that breaks it.
"""

from __future__ import annotations

import ast
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

BACKEND = Path(__file__).parents[1]

# Each folder, and the folders that it may import besides itself. `scoring/*` means each folder under scoring,
# and scoring itself. A few modules have a row of their own: MODULES names them.
SCORING = {
    "scoring": {"core"},
    "scoring/metrics": {"core", "scoring"},
    "scoring/days": {"core", "storage", "scoring", "scoring/metrics"},
    "scoring/sample": {"core", "storage", "scoring", "scoring/metrics"},
    "scoring/inference": {"core", "scoring", "scoring/metrics", "scoring/sample"},
    "scoring/questions": {"core", "scoring", "scoring/metrics", "scoring/sample", "scoring/inference"},
    "scoring/public": {
        *("core", "scoring", "scoring/metrics", "scoring/sample", "scoring/inference", "scoring/questions"),
    },
    "scoring/words": {
        *("core", "scoring", "scoring/days", "scoring/metrics", "scoring/sample", "scoring/inference"),
        "scoring/questions",
    },
}
COLLECTORS = {
    "collectors/base": {"core"},
    "collectors/transport": {"core", "collectors/base"},
    "collectors/beacons": {"core", "collectors/base", "collectors/transport"},
    "collectors/ffvl_routes": {"core", "collectors/base", "collectors/transport", "collectors/beacons"},
    "collectors/grib": {"core", "collectors/base", "collectors/transport"},
    "collectors": {
        *("core", "collectors/base", "collectors/transport", "collectors/beacons"),
        *("collectors/ffvl_routes", "collectors/grib"),
    },
}
ROOMS = {
    "core": set(),
    "storage": {"core"},
    "storage/migrations": {"core", "storage"},
    "storage/migrations/versions": {"core", "storage"},
    **SCORING,
    "forecast": {"core", "scoring"},
    "issuing": {"core", "storage", "forecast", *SCORING},
    **COLLECTORS,
    "scheduler": {
        *("core", "storage"),
        *("collectors", "collectors/base", "collectors/grib", "collectors/transport"),
    },
    "files": {"core", "storage", *SCORING},
    "demo": {"core", "storage", "scheduler"},
    "demo/upstreams": {"core", "demo"},
    "demo/server": {"core", "demo", "demo/upstreams"},
    "answers": {"core", "storage", "scheduler", "forecast", *SCORING},
    "alerts": {"core", "storage", "scheduler", "answers"},
    "api": {"core", "storage", "scheduler", "answers", "scoring", "scoring/sample", "scoring/questions"},
    "api/routes": {
        *("core", "storage", "scheduler", "answers", "api"),
        *("scoring", "scoring/days", "scoring/sample"),
    },
    "pages": {
        "core",
        "scheduler",
        "answers",
        "api",
        "scoring",
        "scoring/sample",
        "scoring/questions",
        "pages/charts",
    },
    "pages/charts": {"core", "scoring"},
    "pages/routes": {
        *("core", "scheduler", "answers", "api", "pages", "pages/charts"),
        *("scoring", "scoring/sample", "scoring/questions"),
    },
    "main": {
        *("core", "storage", "scheduler", "issuing", "files", "answers", "alerts", "api", "api/routes"),
        *("pages", "pages/routes"),
        *COLLECTORS,
        *SCORING,
    },
    # The command line uses no HTTP: only the commands that start a server know the API.
    "cli": {
        *("core", "storage", "scheduler", "files", "demo", "answers", "alerts", "main"),
        *COLLECTORS,
        *SCORING,
    },
    "cli/serve": {"core", "storage", "scheduler", "demo", "answers", "api", "main", "cli", *SCORING},
}
MODULES = {
    **dict.fromkeys(
        ("collectors/base.py", "collectors/set_aside.py", "collectors/areas.py", "collectors/runs.py"),
        "collectors/base",
    ),
    **dict.fromkeys(("demo/server.py", "demo/__main__.py"), "demo/server"),
    "main.py": "main",
    **dict.fromkeys(("__main__.py", "cli/serve.py", "cli/demo.py"), "cli/serve"),
}

# Besides the standard library, nothing else is under everything.
CORE_LIBRARIES = {
    "dotenv",
    "pydantic",
    "pydantic_settings",
    "platformdirs",
    "structlog",
    "msgspec",
    "geographiclib",
    "numpy",
}

MAY_DECODE_GRIB = ("collectors/grib/decode.py", "demo/")
MAY_READ_ENVIRONMENT = ("core/config.py", "scheduler/config.py")
MAY_CATCH_EVERYTHING = ("scheduler/jobs.py", "scheduler/runner.py")

WEB_LIBRARIES = {"fastapi", "starlette", "uvicorn", "jinja2"}
MAY_SERVE = ("api/", "pages/", "main.py", "cli/serve.py", "cli/demo.py", "demo/")
NAMES_ADDRESSES = (*MAY_SERVE, "collectors/", "cli/status.py")  # the last is a client of the API

Problem = tuple[int, str]
Rule = Callable[[str, ast.Module], Iterator[Problem]]


def _is_module(name: str) -> bool:
    path = BACKEND.parent / name.replace(".", "/")
    return path.is_dir() or path.with_suffix(".py").is_file()


def imports(path: str, tree: ast.Module) -> Iterator[tuple[int, str]]:
    """Every module that is imported, at the top or in a function, by name or through importlib."""
    package = ["backend", *Path(path).parent.parts]
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            above = package[: len(package) - node.level + 1] if node.level else []
            module = ".".join([*above, *([node.module] if node.module else [])])
            for alias in node.names:
                inner = f"{module}.{alias.name}"
                is_module = module == "backend" or _is_module(inner)
                yield node.lineno, inner if is_module else module
        elif isinstance(node, ast.Call) and ast.unparse(node.func).endswith(("import_module", "__import__")):
            yield from ((node.lineno, str(a.value)) for a in node.args[:1] if isinstance(a, ast.Constant))


def room_of(path: str) -> str:
    """The row of the table that a module belongs to; its path is relative to the package."""
    return MODULES.get(path) or Path(path).parent.as_posix()


def room_of_import(module: str) -> str:
    """The row of a module of ours, by its dotted name."""
    path = module.partition(".")[2].replace(".", "/")
    return path if path in ROOMS and f"{path}.py" not in MODULES else room_of(f"{path}.py")


def rooms_keep_to_their_table(path: str, tree: ast.Module) -> Iterator[Problem]:
    room = room_of(path)
    may = ROOMS.get(room, set()) | {room}
    for line, module in imports(path, tree):
        ours = module.startswith("backend.") and module != "backend.__version__"
        if ours and room_of_import(module) not in may:
            yield line, f"{room} may not import {module}; it may import {', '.join(sorted(may))}"


def core_stands_on_little(path: str, tree: ast.Module) -> Iterator[Problem]:
    if path.startswith("core/"):
        for line, module in imports(path, tree):
            top = module.partition(".")[0]
            if top not in sys.stdlib_module_names | CORE_LIBRARIES | {"backend"}:
                yield line, f"core may not import {top}: only {', '.join(sorted(CORE_LIBRARIES))}"


def only_servers_import_web_libraries(path: str, tree: ast.Module) -> Iterator[Problem]:
    if not path.startswith(MAY_SERVE):
        for line, module in imports(path, tree):
            if module.partition(".")[0] in WEB_LIBRARIES:
                yield line, f"only {' and '.join(MAY_SERVE)} may import {module}"


def only_the_api_names_its_addresses(path: str, tree: ast.Module) -> Iterator[Problem]:
    if not path.startswith(NAMES_ADDRESSES):
        for node in ast.walk(tree):
            if isinstance(node, ast.Constant) and isinstance(node.value, str) and "/api/" in node.value:
                yield node.lineno, "an address of the API: errors of other rooms leave that hint to the API"


def only_the_worker_decodes_grib(path: str, tree: ast.Module) -> Iterator[Problem]:
    if not path.startswith(MAY_DECODE_GRIB):
        for line, module in imports(path, tree):
            if module.partition(".")[0] in {"eccodes", "gribapi", "eccodeslib"}:
                yield line, f"only {' and '.join(MAY_DECODE_GRIB)} may import {module}"


def only_settings_read_the_environment(path: str, tree: ast.Module) -> Iterator[Problem]:
    if path in MAY_READ_ENVIRONMENT:
        return
    message = f"only {' and '.join(MAY_READ_ENVIRONMENT)} may read the environment"
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and ast.unparse(node) in {
            "os.environ",
            "os.environb",
            "os.getenv",
        }:
            yield node.lineno, message
        elif isinstance(node, ast.ImportFrom) and node.module == "os":
            if {alias.name for alias in node.names} & {"environ", "environb", "getenv"}:
                yield node.lineno, message
        elif isinstance(node, ast.ClassDef):
            bases = {ast.unparse(base).rpartition(".")[2] for base in node.bases}
            if bases & {"BaseSettings", "EnvironmentSettings"}:
                yield node.lineno, f"{message}: class {node.name}"


def only_two_places_catch_everything(path: str, tree: ast.Module) -> Iterator[Problem]:
    if path in MAY_CATCH_EVERYTHING:
        return
    for node in ast.walk(tree):
        if not isinstance(node, ast.ExceptHandler):
            continue
        caught = node.type.elts if isinstance(node.type, ast.Tuple) else [node.type]
        if {None if one is None else ast.unparse(one) for one in caught} & {None, "Exception"}:
            yield node.lineno, f"only {' and '.join(MAY_CATCH_EVERYTHING)} may catch every exception"


def scoring_builds_no_sql(path: str, tree: ast.Module) -> Iterator[Problem]:
    if path.startswith("scoring/"):
        for line, module in imports(path, tree):
            if module.partition(".")[0] == "sqlalchemy" or module == "backend.storage.schema":
                yield line, f"scoring may not import {module}: a statement belongs into storage/"


def time_is_aware(path: str, tree: ast.Module) -> Iterator[Problem]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and node.attr in {"utcnow", "utcfromtimestamp"}:
            yield node.lineno, f"{node.attr} gives a time without a zone: use datetime.now(UTC)"
        elif isinstance(node, ast.Call) and ast.unparse(node).endswith("datetime.now()"):
            yield node.lineno, "datetime.now() gives a time without a zone: use datetime.now(UTC)"


RULES: tuple[Rule, ...] = (
    rooms_keep_to_their_table,
    core_stands_on_little,
    only_servers_import_web_libraries,
    only_the_api_names_its_addresses,
    only_the_worker_decodes_grib,
    only_settings_read_the_environment,
    only_two_places_catch_everything,
    scoring_builds_no_sql,
    time_is_aware,
)


def problems(rule: Rule, path: str, source: str) -> list[str]:
    return [f"backend/{path}:{line}: {message}" for line, message in rule(path, ast.parse(source))]


def modules() -> list[Path]:
    return sorted(path for path in BACKEND.rglob("*.py") if "tests" not in path.relative_to(BACKEND).parts)


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.__name__)
def test_no_line_of_the_service_breaks_the_rule(rule: Rule) -> None:
    found = [
        problem
        for path in modules()
        for problem in problems(rule, path.relative_to(BACKEND).as_posix(), path.read_text())
    ]
    assert not found, "\n" + "\n".join(found)


def test_every_module_has_a_row_of_the_table() -> None:
    paths = [path.relative_to(BACKEND).as_posix() for path in modules()]
    outside = [path for path in paths if room_of(path) not in ROOMS and path != "__init__.py"]
    assert outside == []


def test_every_row_of_the_table_is_a_folder_or_names_its_modules() -> None:
    rows = {room for room in ROOMS if room not in MODULES.values()}
    assert [room for room in sorted(rows) if not (BACKEND / room).is_dir()] == []
    assert [path for path in MODULES if not (BACKEND / path).is_file()] == []


def test_the_table_allows_no_circle() -> None:
    left = {room: set(may) for room, may in ROOMS.items()}
    while free := {room for room, may in left.items() if not may}:
        left = {room: may - free for room, may in left.items() if room not in free}
    assert left == {}


@pytest.mark.parametrize(
    ("rule", "path", "source", "line", "word"),
    [
        (rooms_keep_to_their_table, "storage/store.py", "import backend.collectors.base", 1, "storage"),
        (
            rooms_keep_to_their_table,
            "collectors/ffvl.py",
            "from backend.storage import store",
            1,
            "collectors",
        ),
        (rooms_keep_to_their_table, "collectors/ffvl.py", "from backend import storage", 1, "collectors"),
        (
            rooms_keep_to_their_table,
            "collectors/ffvl.py",
            "from ..storage import store",
            1,
            "backend.storage",
        ),
        (rooms_keep_to_their_table, "core/units.py", "def f():\n    import backend.scoring", 2, "core"),
        (
            rooms_keep_to_their_table,
            "scoring/metrics/scalar.py",
            "import backend.storage.store",
            1,
            "scoring",
        ),
        (rooms_keep_to_their_table, "collectors/base.py", "import backend.collectors.arome", 1, "arome"),
        (
            rooms_keep_to_their_table,
            "collectors/transport/client.py",
            "from backend.collectors import ffvl",
            1,
            "transport",
        ),
        (rooms_keep_to_their_table, "api/routes/a.py", "import backend.collectors", 1, "backend.collectors"),
        (rooms_keep_to_their_table, "answers/scores.py", "import backend.api.schemas", 1, "backend.api"),
        (rooms_keep_to_their_table, "cli/score.py", "import backend.api.schemas", 1, "backend.api"),
        (rooms_keep_to_their_table, "cli/sites.py", "import backend.cli.demo", 1, "backend.cli.demo"),
        (rooms_keep_to_their_table, "main.py", "import backend.cli.score", 1, "backend.cli"),
        (rooms_keep_to_their_table, "demo/weather.py", "import backend.main", 1, "backend.main"),
        (core_stands_on_little, "core/sites.py", "import json\nimport tomlkit", 2, "tomlkit"),
        (only_servers_import_web_libraries, "answers/scores.py", "from fastapi import Query", 1, "fastapi"),
        (only_servers_import_web_libraries, "cli/score.py", "import uvicorn", 1, "uvicorn"),
        (only_the_api_names_its_addresses, "answers/sites.py", "x = 'no site: /api/sites'", 1, "address"),
        (only_the_worker_decodes_grib, "collectors/arome.py", "import eccodes", 1, "eccodes"),
        (only_the_worker_decodes_grib, "main.py", "from eccodes import codes_get", 1, "eccodes"),
        (only_the_worker_decodes_grib, "main.py", "importlib.import_module('eccodes')", 1, "eccodes"),
        (only_settings_read_the_environment, "main.py", "x = os.environ['A']", 1, "environment"),
        (only_settings_read_the_environment, "main.py", "x = os.getenv('A')", 1, "environment"),
        (only_settings_read_the_environment, "main.py", "from os import environ", 1, "environment"),
        (only_settings_read_the_environment, "api/a.py", "class S(BaseSettings): ...", 1, "class S"),
        (only_two_places_catch_everything, "main.py", "try: ...\nexcept Exception: ...", 2, "jobs.py"),
        (only_two_places_catch_everything, "main.py", "try: ...\nexcept: ...", 2, "runner.py"),
        (only_two_places_catch_everything, "a.py", "try: ...\nexcept (OSError, Exception): ...", 2, "catch"),
        (scoring_builds_no_sql, "scoring/days/drift.py", "import sqlalchemy as sa", 1, "sqlalchemy"),
        (scoring_builds_no_sql, "scoring/sample/load.py", "from backend.storage import schema", 1, "schema"),
        (time_is_aware, "core/clock.py", "now = datetime.now()", 1, "datetime.now(UTC)"),
        (time_is_aware, "core/clock.py", "now = datetime.utcnow()", 1, "utcnow"),
    ],
)
def test_a_line_that_breaks_a_rule_is_named(rule: Rule, path: str, source: str, line: int, word: str) -> None:
    (problem,) = problems(rule, path, source)
    assert problem.startswith(f"backend/{path}:{line}: ")
    assert word in problem


@pytest.mark.parametrize(
    ("rule", "path", "source"),
    [
        (rooms_keep_to_their_table, "storage/store.py", "from backend.storage.schema import site"),
        (rooms_keep_to_their_table, "storage/store.py", "from .schema import site"),
        (rooms_keep_to_their_table, "scoring/days/update.py", "import backend.storage.store"),
        (rooms_keep_to_their_table, "cli/sites.py", "import backend.storage.store"),
        (rooms_keep_to_their_table, "main.py", "import backend.api.routes.sites"),
        (rooms_keep_to_their_table, "cli/serve.py", "import backend.api.connections"),
        (rooms_keep_to_their_table, "collectors/arome.py", "from backend.collectors import base"),
        (rooms_keep_to_their_table, "demo/server.py", "import backend.demo.upstreams.ffvl"),
        (core_stands_on_little, "core/config.py", "import pydantic_settings\nimport backend.core.errors"),
        (only_servers_import_web_libraries, "cli/serve.py", "import uvicorn"),
        (only_the_api_names_its_addresses, "api/problems.py", "x = '/api/sites'"),
        (only_the_worker_decodes_grib, "collectors/grib/decode.py", "import eccodes"),
        (only_the_worker_decodes_grib, "demo/grib.py", "import eccodes"),
        (only_settings_read_the_environment, "core/config.py", "class S(BaseSettings): ..."),
        (only_settings_read_the_environment, "main.py", "import os\nprint(os.getpid())"),
        (only_two_places_catch_everything, "scheduler/jobs.py", "try: ...\nexcept Exception: ..."),
        (only_two_places_catch_everything, "main.py", "try: ...\nexcept (OSError, ValueError): ..."),
        (scoring_builds_no_sql, "scoring/days/update.py", "from backend.storage import days"),
        (scoring_builds_no_sql, "storage/days.py", "import sqlalchemy as sa"),
        (time_is_aware, "core/clock.py", "now = datetime.now(UTC)"),
        (time_is_aware, "core/clock.py", "now = datetime.now(tz=UTC)"),
    ],
)
def test_what_is_allowed_passes(rule: Rule, path: str, source: str) -> None:
    assert problems(rule, path, source) == []
