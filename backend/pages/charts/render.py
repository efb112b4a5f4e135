"""Specifications to SVG and PNG."""

from __future__ import annotations

import json
import re
from pathlib import Path

from markupsafe import Markup, escape

from backend.pages.charts.drawing import Decimals, drawn_png, drawn_svg
from backend.pages.charts.style import Spec, light_colours, with_colours

_STYLE_SHEET = Path(__file__).parents[2] / "web" / "styles" / "base.css"
_ROLES = re.compile(r' (?:role|aria-roledescription)="[^"]*"')
"""Roles inside of a chart, without names: a screen reader would stop at each mark."""

_OPENING = re.compile(r'<svg [^>]*?width="([\d.]+)" height="([\d.]+)"[^>]*>')


def svg(spec: Spec, text: str, *, decimals: Decimals = "en-GB") -> Markup:
    """Return a chart as an element for a page; `text` describes it to those who do not see it.

    `decimals` is the locale of the numbers at the axes.

    The element has no style attributes and no scripts, so that a strict Content-Security-Policy allows it.
    """
    drawn = drawn_svg(json.dumps(spec), decimals)
    opening = '<svg class="chart" role="img" aria-label="{}" viewBox="0 0 {} {}" xmlns="http://www.w3.org/2000/svg">'
    found = _OPENING.search(drawn)
    if found is None:
        raise ValueError("the chart library returned no svg element with a size")
    return Markup(opening.format(escape(text), found[1], found[2]) + _ROLES.sub("", drawn[found.end() :]))  # noqa: S704 - escaped by the library


def png(spec: Spec, *, scale: float = 1.0) -> bytes:
    """Return a chart as an image in the light theme."""
    plain = with_colours(spec, light_colours(_STYLE_SHEET)) | {"background": "white"}
    return drawn_png(json.dumps(plain), scale)
