"""The report of `meteo-score doctor --live`: its checks, in lines of at most 80 columns and as JSON."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from importlib.metadata import version
from typing import Literal

from backend.core.text import printable

Verdict = Literal["ok", "differs", "not checked"]

WIDTH = 80
_LABEL, _TEXT = 15, 27  # columns where the name of a check and its text begin


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """The result of one check: what was expected and seen, and what to do if they differ."""

    name: str
    verdict: Verdict
    seen: str
    expected: str = ""
    to_do: str = ""
    route: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceReport:
    """The checks of one source and what they cost; `bytes` as transferred."""

    source: str
    display_name: str
    checks: Sequence[Check]
    requests: int = 0
    bytes: int = 0


def differs(reports: Iterable[SourceReport]) -> bool:
    """Return True if a check of any source differs."""
    return any(check.verdict == "differs" for report in reports for check in report.checks)


def as_text(reports: Sequence[SourceReport], now: datetime) -> str:
    """Return the report in lines of at most WIDTH columns."""
    title = f"First live contact of MétéoScore {version('meteo-score')}, {now:%Y-%m-%d %H:%M} UTC"
    lines = [title, "Nothing was stored. The report has no keys: it can be sent as it is."]
    for report in reports:
        cost = f"{report.requests} requests, {report.bytes / 1e6:.2f} MB"
        lines += ["", *_wrapped(f"{report.source} ({report.display_name}): {cost}", "")]
        several, group = any(check.route for check in report.checks), ""
        for check in report.checks:
            title = f"by {check.route}" if check.route else "by every route"
            if several and title != group:
                lines, group = [*lines, f"  {title}"], title
            head = f"  {check.verdict:<{_LABEL - 2}}{check.name:<{_TEXT - _LABEL}}"
            if check.verdict == "differs":
                lines += _wrapped(f"expected: {check.expected}", head)
                lines += _wrapped(f"seen: {check.seen}", " " * _TEXT)
                lines += _wrapped(f"to do: {check.to_do}", " " * _TEXT)
            else:
                lines += _wrapped(check.seen, head)
    verdicts = [check.verdict for report in reports for check in report.checks]
    counts = ", ".join(f"{verdicts.count(each)} {each}" for each in ("ok", "differs", "not checked"))
    return "\n".join([*lines, "", f"{len(reports)} sources: {counts}"])


def _wrapped(text: str, head: str) -> list[str]:
    return textwrap.wrap(
        printable(text), WIDTH, initial_indent=head, subsequent_indent=" " * len(head), break_on_hyphens=False
    )


def as_objects(reports: Iterable[SourceReport]) -> list[dict[str, object]]:
    """Return the reports for JSON."""
    names = ("name", "route", "verdict", "expected", "seen", "to_do")
    return [
        {
            "source": report.source,
            "requests": report.requests,
            "bytes": report.bytes,
            "checks": [{name: getattr(check, name) for name in names} for check in report.checks],
        }
        for report in reports
    ]
