"""Values with their intervals in a few groups, one colour per model: bias by part of the day, for example."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from backend.pages.charts.style import QUIET, Spec, chart, model_colour


@dataclass(frozen=True, slots=True)
class Point:
    """A value with the ends of its interval, if it has one."""

    value: float
    low: float | None = None
    high: float | None = None


@dataclass(frozen=True, kw_only=True)
class IntervalChart:
    """What the chart shows: for each model its values by the index of the group, in `unit`.

    `reference` is a dashed line to compare with. `joined` connects the values of a model.
    """

    groups: Sequence[str]
    unit: str
    models: Mapping[str, Mapping[int, Point]]
    reference: Mapping[int, float] = field(default_factory=dict)
    joined: bool = False

    def spec(self) -> Spec:
        """Return the specification of the chart."""
        x = {
            "field": "x",
            "type": "quantitative",
            "scale": {"domain": [-0.5, len(self.groups) - 0.5], "nice": False},
            "axis": {"title": None, "values": list(range(len(self.groups))), "grid": False,
                     "labelExpr": f"{json.dumps(list(self.groups))}[datum.value]"},
        }  # fmt: skip
        y = {
            "field": "value",
            "type": "quantitative",
            "scale": {"zero": True, "nice": True},
            "axis": {"title": self.unit, "tickCount": 5, "titleAngle": 0, "titleAlign": "left",
                     "titleY": -2, "titleX": 0, "titleAnchor": "end"},
        }  # fmt: skip
        layers: list[Spec] = [
            {
                "data": {"values": [{"value": 0}]},
                "mark": {"type": "rule", "color": QUIET},
                "encoding": {"y": y},
            }
        ]
        if self.reference:
            dashed = [{"x": index, "value": value} for index, value in sorted(self.reference.items())]
            layers.append(
                {
                    "data": {"values": dashed},
                    "mark": {"type": "line", "color": QUIET, "strokeDash": [4, 3], "point": False},
                    "encoding": {"x": x, "y": y},
                }
            )
        step = 0.5 / max(len(self.models), 1)  # beside each other, so that intervals do not cover each other
        for place, (model, points) in enumerate(self.models.items()):
            offset = (place - (len(self.models) - 1) / 2) * step
            rows: list[Spec] = [
                {"x": index + offset, "value": point.value, "low": point.low, "high": point.high}
                for index, point in sorted(points.items())
            ]
            colour = model_colour(model)
            ranges = [row for row in rows if row["low"] is not None]
            if ranges:
                layers.append(
                    {
                        "data": {"values": ranges},
                        "mark": {"type": "rule", "color": colour, "strokeWidth": 2, "opacity": 0.6},
                        "encoding": {"x": x, "y": {**y, "field": "low"}, "y2": {"field": "high"}},
                    }
                )
            if self.joined and len(rows) > 1:
                layers.append(
                    {
                        "data": {"values": rows},
                        "mark": {"type": "line", "color": colour, "strokeWidth": 1.4},
                        "encoding": {"x": x, "y": y},
                    }
                )
            layers.append(
                {
                    "data": {"values": rows},
                    "mark": {"type": "point", "color": colour, "filled": True, "size": 45, "opacity": 1},
                    "encoding": {"x": x, "y": y},
                }
            )
        return chart(layers)
