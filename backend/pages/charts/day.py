"""One day hour by hour: models as thin lines, the beacon as a thick one, a band, and the pilot's limit."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from backend.pages.charts.style import BAND, LIMIT, OBSERVED, Spec, chart, model_colour, model_dash

Line = Mapping[int, float]
"""Values by the full hour of the local clock. An hour without a value is absent, and a gap in the line."""


@dataclass(frozen=True, kw_only=True)
class DayChart:
    """What the chart shows, in the pilot's unit. `band` and `gusts` are pairs of a low and a high value.

    `arrows` are directions in degrees, each with whether it suits the take-off; the wind comes from there.
    """

    first: int
    last: int
    unit: str
    models: Mapping[str, Line]
    observed: Line = field(default_factory=dict)
    band: Mapping[int, tuple[float, float]] = field(default_factory=dict)
    gusts: Mapping[int, tuple[float, float]] = field(default_factory=dict)
    limit: float | None = None
    limit_text: str = ""
    arrows: Mapping[int, tuple[float, bool]] = field(default_factory=dict)

    def spec(self) -> Spec:
        """Return the specification of the chart."""
        hours = range(self.first, self.last + 1)
        tops = [value for line in (*self.models.values(), self.observed) for value in line.values()]
        tops += [high for _, high in (*self.band.values(), *self.gusts.values())]
        top = max([*tops, self.limit or 0, 10]) * 1.08
        x, y = axes(self.first, self.last, self.unit, top)
        layers: list[Spec] = []
        for part, opacity in ((self.band, 1.0), (self.gusts, 0.6)):
            layers += band_layers(x, y, {hour: part[hour] for hour in hours if hour in part}, BAND, opacity)
        if self.limit is not None:
            layers.append(limit_rule(y, self.limit, self.limit_text))
        lines = [(line, model_colour(name), 1.6, model_dash(name)) for name, line in self.models.items()]
        for line, colour, thickness, dash in [*lines, (self.observed, OBSERVED, 3.2, [1, 0])]:
            shown = {hour: line[hour] for hour in hours if hour in line}
            layers += line_layers(x, y, shown, colour, thickness, dash)
        if self.arrows:
            layers += [_arrows(x, self.arrows, suits=suits) for suits in (True, False)]
        return chart(layers, height=220 if self.arrows else 190)


def axes(first: int, last: int, unit: str, top: float) -> tuple[Spec, Spec]:
    """Return the axes of a day: hours of the local clock, and values from 0 to `top`."""
    x = {
        "field": "hour",
        "type": "quantitative",
        "scale": {"domain": [first, last], "nice": False},
        "axis": {
            "title": None,
            "values": [hour for hour in range(first, last + 1) if hour % 3 == 0],
            "grid": False,
            "labelExpr": "datum.value + ' h'",
        },
    }
    y = {
        "field": "value",
        "type": "quantitative",
        "scale": {"domain": [0, top], "nice": False},
        "axis": {"title": unit, "tickCount": 5, "titleAngle": 0, "titleAlign": "left", "titleY": -2,
                 "titleX": 0, "titleAnchor": "end"},
    }  # fmt: skip
    return x, y


def limit_rule(y: Spec, limit: float, text: str = "") -> Spec:
    """Return the line of the pilot's limit."""
    return {
        "data": {"values": [{"value": limit, "text": text}]},
        "encoding": {"y": y},
        "layer": [
            {"mark": {"type": "rule", "color": LIMIT, "strokeDash": [4, 3]}},
            {
                "mark": {"type": "text", "align": "left", "dy": -5, "x": 2, "color": LIMIT},
                "encoding": {"text": {"field": "text"}},
            },
        ],
    }


def band_layers(
    x: Spec, y: Spec, band: Mapping[int, tuple[float, float]], colour: str, opacity: float = 1.0
) -> list[Spec]:
    """Return an area between low and high values that is interrupted where hours are missing."""
    rows = [
        {"hour": hour, "value": band[hour][0], "high": band[hour][1], "part": index}
        for index, group in enumerate(unbroken(list(band)))
        for hour in group
    ]
    if not rows:
        return []
    encoding = {"x": x, "y": y, "y2": {"field": "high"}, "detail": {"field": "part"}}
    mark = {"type": "area", "color": colour, "opacity": opacity}
    return [{"data": {"values": rows}, "mark": mark, "encoding": encoding}]


def line_layers(
    x: Spec, y: Spec, line: Line, colour: str, thickness: float, dash: Sequence[int]
) -> list[Spec]:
    """Return a line that is interrupted where hours are missing; an hour by itself is a point."""
    groups = unbroken(list(line))
    rows = [
        {"hour": hour, "value": line[hour], "part": index}
        for index, group in enumerate(groups)
        for hour in group
    ]
    if not rows:
        return []
    mark = {"type": "line", "color": colour, "strokeWidth": thickness, "strokeDash": dash}
    encoding = {"x": x, "y": y, "detail": {"field": "part"}}
    layers = [{"data": {"values": rows}, "mark": mark, "encoding": encoding}]
    alone = {group[0] for group in groups if len(group) == 1}
    if alone:  # a line needs two points
        layers.append(
            {
                "data": {"values": [row for row in rows if row["hour"] in alone]},
                "mark": {"type": "point", "color": colour, "filled": True, "size": 30},
                "encoding": {"x": x, "y": y},
            }
        )
    return layers


def _arrows(x: Spec, arrows: Mapping[int, tuple[float, bool]], *, suits: bool) -> Spec:
    """Return a row of arrows beneath the hours: filled where the direction suits the take-off."""
    rows = [
        {"hour": hour, "angle": (degrees + 180) % 360}
        for hour, (degrees, of_slope) in arrows.items()
        if of_slope is suits
    ]
    return {
        "data": {"values": rows},
        "mark": {
            "type": "point",
            "shape": "M0,-1L0.7,0.9L0,0.45L-0.7,0.9Z",
            "size": 130,
            "yOffset": 34,
            "color": OBSERVED,
            "filled": suits,
            "strokeWidth": 1.2,
            "opacity": 1,
        },
        "encoding": {
            "x": x,
            "y": {"value": "height"},
            "angle": {"field": "angle", "type": "quantitative", "scale": None},
        },
    }


def unbroken(hours: Sequence[int]) -> list[list[int]]:
    """Return hours in groups without a gap."""
    groups: list[list[int]] = []
    for hour in hours:
        if groups and groups[-1][-1] == hour - 1:
            groups[-1].append(hour)
        else:
            groups.append([hour])
    return groups
