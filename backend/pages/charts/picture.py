"""Pictures of texts and boxes for previews of links: 1200 × 630 pixels, drawn like the charts."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal

from backend.pages.charts.style import Spec

WIDTH, HEIGHT = 1200, 630
"""Size of the picture that messengers and networks show beside a link."""

Align = Literal["left", "center", "right"]


@dataclass
class Picture:
    """Texts and boxes at places in pixels from the top left corner; colours are those of the style sheet."""

    _texts: dict[tuple[str, Align], list[dict[str, Any]]] = field(default_factory=dict)
    _boxes: list[dict[str, Any]] = field(default_factory=list)

    def text(
        self,
        x: float,
        y: float,
        text: str,
        size: int,
        *,
        color: str = "var(--text)",
        bold: bool = False,
        align: Align = "left",
    ) -> None:
        """Add a line of text; `y` is its middle."""
        rows = self._texts.setdefault(("bold" if bold else "normal", align), [])
        rows.append({"x": x, "y": y, "text": text, "size": size, "color": color})

    def box(self, x: float, y: float, width: float, height: float, color: str) -> None:
        """Add a filled box, below all texts."""
        self._boxes.append({"x": x, "y": y, "x2": x + width, "y2": y + height, "color": color})

    def spec(self) -> Spec:
        """Return the specification of the picture."""
        places: Spec = {
            axis: {
                "field": axis,
                "type": "quantitative",
                "axis": None,
                "scale": {"domain": [0, size], "range": [0, size], "nice": False},
            }
            for axis, size in (("x", WIDTH), ("y", HEIGHT))
        }
        colour = {"field": "color", "type": "nominal", "scale": None}
        layers: list[Spec] = [
            {
                "data": {"values": self._boxes},
                "mark": {"type": "rect", "cornerRadius": 6},
                "encoding": {**places, "x2": {"field": "x2"}, "y2": {"field": "y2"}, "color": colour},
            }
        ]
        layers += [
            {
                "data": {"values": rows},
                "mark": {"type": "text", "fontWeight": weight, "align": align, "baseline": "middle"},
                "encoding": {
                    **places,
                    "text": {"field": "text"},
                    "color": colour,
                    "size": {"field": "size", "type": "quantitative", "scale": None},
                },
            }
            for (weight, align), rows in self._texts.items()
        ]
        return {
            "width": WIDTH,
            "height": HEIGHT,
            "padding": 0,
            "autosize": {"type": "none"},  # a long text must not widen the picture
            "layer": layers,
            "config": {
                "font": "sans-serif",
                "view": {"stroke": None},
                "legend": {"disable": True},
                "background": "white",
            },
        }


def shortened(text: str, most: int) -> str:
    """Return a text of at most so many characters, with an ellipsis if some are left out."""
    return text if len(text) <= most else f"{text[: most - 1].rstrip()}…"


def wrapped(text: str, most: int, lines: int) -> list[str]:
    """Return a text in at most `lines` lines of `most` characters, the last one shortened."""
    found: list[str] = []
    rest = text
    while rest and len(found) < lines - 1 and len(rest) > most:
        end = rest.rfind(" ", 0, most + 1)
        end = most if end <= 0 else end
        found.append(rest[:end])
        rest = rest[end:].strip()
    return [*found, shortened(rest, most)] if rest else found
