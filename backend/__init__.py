"""MétéoScore: which forecast deserves a pilot's trust, at this site, this far ahead."""

from importlib.metadata import version

__version__ = version("meteo-score")
