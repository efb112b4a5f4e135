"""Grids of squares with a figure in each: hours counted by class, and errors by month and hour."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from backend.pages.charts.style import GRID, QUIET, Spec, chart

STRONGEST = 0.45
"""Opacity of the fullest colour: the figure in the square needs its contrast on it."""

FAINTEST = 0.06


@dataclass(frozen=True, slots=True)
class Square:
    """A square of the grid: its figure, its colour, and how full the colour is, from 0 to 1."""

    text: str
    colour: str
    strength: float


Squares = Mapping[tuple[int, int], Square]
"""Squares by column and row, from 0 on."""


def counted_chart(edges: Sequence[str], squares: Squares, titles: tuple[str, str]) -> Spec:
    """Return hours counted by their announced (across) and measured (up) class; squares of one class framed.

    `edges` are the lower ends of the classes but the first. `titles` are those of both axes.
    """
    count = len(edges) + 1
    labels = json.dumps(["0", *edges])
    axis = {"values": list(range(count)), "grid": True, "labelExpr": f"{labels}[datum.value]"}
    scale = {"domain": [0, count], "nice": False}
    x = {"type": "quantitative", "scale": scale, "axis": {**axis, "title": titles[0]}}
    y = {
        "type": "quantitative",
        "scale": scale,
        "axis": {**axis, "title": titles[1], "titleAngle": 0, "titleAlign": "left", "titleX": 0, "titleY": -2,
                 "titleAnchor": "end"},
    }  # fmt: skip
    frames = [{"x": place, "y": place, "x2": place + 1, "y2": place + 1} for place in range(count)]
    return chart(
        [
            *_squares(squares, x, y),
            {
                "data": {"values": frames},
                "mark": {"type": "rect", "color": "none", "stroke": QUIET, "strokeWidth": 1.2},
                "encoding": _corners(x, y),
            },
        ],
        width=440,
        height=380,
        padding={"left": 2, "right": 6, "top": 16, "bottom": 2},
    )


def month_chart(months: Sequence[str], hours: Sequence[str], squares: Squares) -> Spec:
    """Return errors by hour (across) and month (down, in this order)."""
    x = {
        "type": "quantitative",
        "scale": {"domain": [0, len(hours)], "nice": False},
        "axis": {"title": None, "grid": False, "ticks": False,
                 "values": [place + 0.5 for place in range(0, len(hours), 2)],
                 "labelExpr": f"{json.dumps(list(hours))}[floor(datum.value)]"},
    }  # fmt: skip
    y = {
        "type": "quantitative",
        "scale": {"domain": [len(months), 0], "nice": False},
        "axis": {"title": None, "grid": False, "ticks": False,
                 "values": [place + 0.5 for place in range(len(months))],
                 "labelExpr": f"{json.dumps(list(months))}[floor(datum.value)]"},
    }  # fmt: skip
    return chart(_squares(squares, x, y), width=700, height=34 + 26 * len(months))


def _corners(x: Spec, y: Spec) -> Spec:
    return {"x": {**x, "field": "x"}, "y": {**y, "field": "y"}, "x2": {"field": "x2"}, "y2": {"field": "y2"}}


def _squares(squares: Squares, x: Spec, y: Spec) -> list[Spec]:
    rows = [
        {
            "x": column,
            "y": row,
            "x2": column + 1,
            "y2": row + 1,
            "xm": column + 0.5,
            "ym": row + 0.5,
            "text": square.text,
            "colour": square.colour,
            "opacity": FAINTEST + (STRONGEST - FAINTEST) * square.strength if square.strength else 0,
        }
        for (column, row), square in sorted(squares.items())
    ]
    return [
        {
            "data": {"values": rows},
            "mark": {"type": "rect", "stroke": GRID, "strokeWidth": 0.5},
            "encoding": {
                **_corners(x, y),
                "fill": {"field": "colour", "type": "nominal", "scale": None},
                "fillOpacity": {"field": "opacity", "type": "quantitative", "scale": None},
            },
        },
        {
            "data": {"values": rows},
            "mark": {"type": "text", "baseline": "middle", "color": "var(--text)", "fontSize": 10},
            "encoding": {
                "x": {**x, "field": "xm"},
                "y": {**y, "field": "ym"},
                "text": {"field": "text", "type": "nominal"},
            },
        },
    ]
