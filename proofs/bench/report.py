"""Figures: the measured value, the value of an alternative, and the aim."""

from __future__ import annotations

import math
import os
import platform
import statistics
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from importlib.metadata import version
from itertools import groupby
from pathlib import Path
from typing import Any

import psutil
from rich.console import Console
from rich.table import Table

_LIBRARIES = (
    *("eccodes", "numpy", "httpx2", "sqlalchemy", "psycopg", "msgspec"),
    *("fastapi", "uvicorn", "httptools", "apscheduler"),
)


COLUMNS = ("What", "Median", "Rounds", "Beside", "Ratio", "Aim", "")


@dataclass(frozen=True, kw_only=True)
class Figure:
    """One line of the table: a value, the alternative's, and whether the aim (if any) is met.

    `spread` is the lowest and the highest round.
    """

    group: str
    name: str
    value: float
    unit: str
    spread: tuple[float, float] | None = None
    beside: str = ""
    beside_value: float | None = None
    aim: str = ""
    met: bool | None = None

    @property
    def ratio(self) -> float | None:
        """Return how many times the alternative's value this is."""
        return self.value / self.beside_value if self.beside_value else None


def over_rounds(
    group: str, name: str, unit: str, values: Sequence[float], *, at_most: float | None = None, **rest: Any
) -> Figure:
    """Return the median of the rounds as a figure; `at_most` is its aim where it has one."""
    median = statistics.median(values)
    aim: dict[str, Any] = (
        {} if at_most is None else {"aim": f"≤ {at_most:g} {unit}", "met": median <= at_most}
    )
    spread = (min(values), max(values))
    return Figure(group=group, name=name, unit=unit, value=median, spread=spread, **(aim | rest))


def percentile(values: Iterable[float], share: float) -> float:
    """Return the value that `share` of all values do not exceed (nearest rank)."""
    ordered = sorted(values)
    return ordered[math.ceil(share * len(ordered)) - 1]


def machine() -> dict[str, Any]:
    """Return the properties of the machine and the versions that the figures depend on."""
    return {
        "cores": psutil.cpu_count(),
        "memory_gb": round(psutil.virtual_memory().total / 1e9, 1),
        "processor": _processor(),
        "system": f"{platform.system()} {platform.release()}",
        "python": platform.python_version(),
        "sqlite": __import__("sqlite3").sqlite_version,
        "load_before": round(os.getloadavg()[0], 2),
        "libraries": {name: version(name) for name in _LIBRARIES},
    }


def _processor() -> str:
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    return next((line.partition(": ")[2] for line in lines if line.startswith("model name")), "")


def show(figures: Sequence[Figure], console: Console) -> None:
    """Print the figures as a table."""
    table = Table(*COLUMNS, title="MétéoScore bench")
    for group, lines in groupby(figures, key=lambda figure: figure.group):
        table.add_section()
        table.add_row(f"[bold]{group}[/]")
        for figure in lines:
            table.add_row(*_cells(figure))
    console.print(table)


def as_markdown(figures: Sequence[Figure]) -> str:
    """Return the figures as the tables of docs/lab/performance.md."""
    lines = []
    for group, members in groupby(figures, key=lambda figure: figure.group):
        lines += [f"### {group}", "", _row(COLUMNS), _row(["---"] * len(COLUMNS))]
        lines += [_row(_cells(figure)) for figure in members] + [""]
    return "\n".join(lines)


def _row(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _cells(figure: Figure) -> tuple[str, ...]:
    return (
        figure.name,
        f"{_number(figure.value)} {figure.unit}".rstrip(),
        "" if figure.spread is None else "–".join(map(_number, figure.spread)),
        "" if figure.beside_value is None else f"{figure.beside}: {_number(figure.beside_value)}",
        "" if figure.ratio is None else f"{figure.ratio:.2f}",
        figure.aim,
        {None: "", True: "met", False: "missed"}[figure.met],
    )


def _number(value: float) -> str:
    return f"{value:.0f}" if value >= 100 or value == int(value) else f"{value:.3g}"


def as_json(figures: Sequence[Figure], about: Mapping[str, Any]) -> dict[str, Any]:
    """Return everything that a page or a later run may want to compare with."""
    return {**about, "figures": [{**asdict(figure), "ratio": figure.ratio} for figure in figures]}
