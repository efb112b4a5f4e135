"""A coming day as a fan: the median within its intervals, the gust as a line, and the beacon so far."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from backend.pages.charts.day import Line, axes, band_layers, limit_rule, line_layers
from backend.pages.charts.style import OBSERVED, OWN, OWN_BAND, OWN_INNER, Spec, chart


@dataclass(frozen=True, kw_only=True)
class FanChart:
    """What the chart shows, in the pilot's unit. `outer` and `inner` are pairs of a low and a high value."""

    first: int
    last: int
    unit: str
    middle: Line
    outer: Mapping[int, tuple[float, float]]
    inner: Mapping[int, tuple[float, float]] = field(default_factory=dict)
    gust: Line = field(default_factory=dict)
    observed: Line = field(default_factory=dict)
    limit: float | None = None

    def spec(self) -> Spec:
        """Return the specification of the chart."""
        hours = range(self.first, self.last + 1)
        tops = [value for line in (self.middle, self.gust, self.observed) for value in line.values()]
        tops += [high for _, high in self.outer.values()]
        x, y = axes(self.first, self.last, self.unit, max([*tops, self.limit or 0, 10]) * 1.08)
        layers: list[Spec] = []
        for part, colour in ((self.outer, OWN_BAND), (self.inner, OWN_INNER)):
            shown = {hour: part[hour] for hour in hours if hour in part}
            layers += band_layers(x, y, shown, colour)
        if self.limit is not None:
            layers.append(limit_rule(y, self.limit))
        for line, colour, thickness, dash in (
            (self.gust, OWN, 1.4, [5, 3]),
            (self.middle, OWN, 2.6, [1, 0]),
            (self.observed, OBSERVED, 3.2, [1, 0]),
        ):
            layers += line_layers(
                x, y, {hour: line[hour] for hour in hours if hour in line}, colour, thickness, dash
            )
        return chart(layers, height=200)
