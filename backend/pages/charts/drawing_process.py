"""The process that draws charts: one request a line on standard input, and its answer on standard output.

A request is [kind, specification as JSON, option]; the answer [the SVG or the PNG in base64, error].
"""

from __future__ import annotations

import base64
import json
import sys
from typing import Any

import vl_convert

VEGA_LITE = "6.4"


def drawn(kind: str, spec: str, option: Any) -> str:
    """Return a chart. `option` is the locale of an SVG or the scale of a PNG. Raises ValueError."""
    if kind == "png":
        picture = vl_convert.vegalite_to_png(spec, vl_version=VEGA_LITE, scale=option)
        return base64.b64encode(picture).decode()
    return vl_convert.vegalite_to_svg(spec, vl_version=VEGA_LITE, format_locale=option)


def main() -> None:
    """Answer until standard input is closed."""
    for line in sys.stdin:
        try:
            answer = [drawn(*json.loads(line)), None]
        except ValueError as error:
            answer = [None, str(error)]
        print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    main()
