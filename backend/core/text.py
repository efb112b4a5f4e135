"""Cleaning of texts from outside: they may contain escape sequences and very long names."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches


def printable(text: str, *, keep: str = "") -> str:
    """Return a text with each control or invisible character, except those in `keep`, as `\\x1b`."""
    if text.isprintable():
        return text
    letters = (
        letter
        if letter.isprintable() or letter in keep
        else " "  # a no-break space is shown as a space
        if letter.isspace()
        else letter.encode("unicode_escape", "surrogatepass").decode("ascii")
        for letter in text
    )
    return "".join(letters)


def one_line(text: str, longest: int) -> str:
    """Return a text in one line of at most `longest` characters, without control characters."""
    line = printable(" ".join(text.split()))
    return line if len(line) <= longest else f"{line[: longest - 1]}…"


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """Return " (did you mean 'planfait'?)" with the most similar known name, or "" if none is similar."""
    names = {candidate.lower(): candidate for candidate in known}
    near = get_close_matches(name.lower(), names, n=1)
    return f" (did you mean {names[near[0]]!r}?)" if near else ""
