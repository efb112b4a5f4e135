"""MétéoScore: which forecast deserves a pilot's trust, at this site, this far ahead."""

from __future__ import annotations

__version__: str


def __getattr__(name: str) -> str:
    """Look the version up when it is used: the metadata of packages takes longer than many commands."""
    if name != "__version__":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib.metadata import version

    return version("meteo-score")
