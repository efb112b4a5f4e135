"""The visual language of all charts: one colour per model, and the parts that every chart has.

Colours are variables of the style sheet (`var(--m1)`), so that one SVG serves light and dark pages. A PNG has
the values of a theme instead.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from backend.core.registry import MODELS
from backend.scoring.names import is_ours

Spec = dict[str, Any]
"""A Vega-Lite specification, or a part of one."""

WIDTH = 340
"""Width of a chart in its own units: that of a phone, so that a text of 11 units can be read there."""

COLOURS = 6
"""Number of colours of models: the style sheet has `--m1` to `--m6`. Further models repeat them, dashed."""

OBSERVED = "var(--observed)"
LIMIT = "var(--limit)"
BAND = "var(--band)"
OWN = "var(--own)"
OWN_INNER = "var(--own-inner)"
OWN_BAND = "var(--own-band)"
GRID = "var(--line)"
QUIET = "var(--quiet)"

_ORDER = {name: index for index, name in enumerate(MODELS)}
_VARIABLE = re.compile(r"var\((--[a-z0-9-]+)\)")


def model_index(model: str) -> int:
    """Return the place of a model in the fixed order of colours. Imported models follow the known ones."""
    if model in _ORDER:
        return _ORDER[model]
    return len(_ORDER) + sum(model.encode()) % COLOURS


def model_colour(model: str) -> str:
    """Return the colour of a model, the same in every chart and table."""
    if is_ours(model):
        return OWN
    return f"var(--m{model_index(model) % COLOURS + 1})"


def model_class(model: str) -> str:
    """Return the classes of the style sheet that have the colour and the dashes of a model."""
    if is_ours(model):
        return "m-own"
    colour = f"m{model_index(model) % COLOURS + 1}"
    # The second and third model of a colour have a dashed and a dotted line: so must their keys.
    return colour + ("", " dashed", " dotted")[model_index(model) // COLOURS % 3]


def model_dash(model: str) -> list[int]:
    """Return the dash pattern of a model's line: solid for the first models."""
    return [[1, 0], [6, 3], [2, 2]][model_index(model) // COLOURS % 3]


def chart(layers: list[Spec], *, height: int = 190, width: int = WIDTH, **more: Any) -> Spec:
    """Return a specification with the common look."""
    return {
        "width": width,
        "height": height,
        "background": None,
        "padding": {"left": 2, "right": 6, "top": 6, "bottom": 2},
        "autosize": {"type": "fit", "contains": "padding"},
        "layer": layers,
        "config": {
            "font": "sans-serif",
            "aria": False,  # the whole image has one text, and a table beside it
            "view": {"stroke": None},
            "axis": {
                "domain": False,
                "tickColor": GRID,
                "gridColor": GRID,
                "labelColor": QUIET,
                "titleColor": QUIET,
                "labelFontSize": 11,
                "titleFontSize": 11,
                "titleFontWeight": "normal",
            },
            "text": {"fontSize": 11, "color": QUIET},
            "legend": {"disable": True},
        },
        **more,
    }


def with_colours(spec: Any, colours: Mapping[str, str]) -> Any:
    """Return a specification with each variable of the style sheet replaced by its value."""
    if isinstance(spec, str):
        return _VARIABLE.sub(lambda found: colours[found[1]], spec)
    if isinstance(spec, dict):
        return {name: with_colours(part, colours) for name, part in spec.items()}
    if isinstance(spec, list):
        return [with_colours(part, colours) for part in spec]
    return spec


def light_colours(style_sheet: Path) -> dict[str, str]:
    """Return the variables of the light theme: those of the first `:root` block of a style sheet."""
    block = re.search(r":root\s*\{([^}]*)\}", style_sheet.read_text())
    if block is None:
        raise ValueError(f"{style_sheet}: has no :root block")
    return dict(re.findall(r"(--[a-z0-9-]+):\s*([^;]+);", block[1]))
