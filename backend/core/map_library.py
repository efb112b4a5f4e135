"""Where the files of Leaflet, the library of the map page, are installed: by the extra `map`."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path


def leaflet_folder() -> Path | None:
    """Return the folder of `leaflet.js` and `leaflet.css`; None if the extra is not installed.

    The package is made for Django, but its files need none: it is found without being imported.
    """
    package = find_spec("js_lib_leaflet")
    if package is None or package.origin is None:
        return None
    return Path(package.origin).parent / "static" / "js_lib_leaflet"
