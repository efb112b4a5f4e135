"""Texts of others, made safe to print: upstreams and files may hold escape sequences and endless names."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches


def printable(text: str, *, keep: str = "") -> str:
    """Return a text with each control or invisible character, except those in `keep`, as `\\x1b`."""
    if text.isprintable():
        return text
    return "".join(letter if letter.isprintable() or letter in keep else _escaped(letter) for letter in text)


def one_line(text: str, longest: int) -> str:
    """Return a text in one line of at most `longest` characters, without control characters."""
    line = printable(" ".join(text.split()))
    return line if len(line) <= longest else f"{line[: longest - 1]}…"


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """Return " (did you mean 'planfait'?)" for the known name that is nearest, or nothing if none is near."""
    names = {each.lower(): each for each in known}
    near = get_close_matches(name.lower(), names, n=1)
    return f" (did you mean {names[near[0]]!r}?)" if near else ""


def _escaped(letter: str) -> str:
    if letter.isspace():  # a no-break space is as good as a space
        return " "
    return letter.encode("unicode_escape", "surrogatepass").decode("ascii")
