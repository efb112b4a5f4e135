"""Wind roses: how often the wind comes from each of eight sectors."""

from __future__ import annotations

import math
from collections.abc import Sequence

from backend.pages.charts.style import GRID, Spec, chart


def rose_chart(names: Sequence[str], shares: Sequence[float], colour: str, most: float) -> Spec:
    """Return a rose of these shares of 1. The rim stands for the share `most`, so that two roses compare."""
    width = 2 * math.pi / len(names)
    rows = [
        {
            "from": index * width - width / 2,
            "to": index * width + width / 2,
            "radius": math.sqrt(share / most) * 70 if most else 0,  # the area stands for the share
            "name": name,
        }
        for index, (name, share) in enumerate(zip(names, shares, strict=True))
    ]
    arc = {
        "theta": {"field": "from", "type": "quantitative", "scale": None},
        "theta2": {"field": "to"},
        "radius": {"field": "radius", "type": "quantitative", "scale": None},
    }
    rim = [{**row, "radius": 70} for row in rows]
    labels = [
        {"x": 95 + 82 * math.sin(index * width), "y": 95 - 82 * math.cos(index * width), "name": name}
        for index, name in enumerate(names)
        if index % 2 == 0
    ]
    place = {"type": "quantitative", "scale": None, "axis": None}
    return chart(
        [
            {
                "data": {"values": rim},
                "mark": {"type": "arc", "color": "none", "stroke": GRID},
                "encoding": arc,
            },
            {"data": {"values": rows}, "mark": {"type": "arc", "color": colour}, "encoding": arc},
            {
                "data": {"values": labels},
                "mark": {"type": "text", "baseline": "middle"},
                "encoding": {
                    "x": {"field": "x", **place},
                    "y": {"field": "y", **place},
                    "text": {"field": "name"},
                },
            },
        ],
        height=190,
        width=190,
        padding=0,
        autosize={"type": "none"},
    )
