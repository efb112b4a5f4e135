"""The texts of messages to the operator."""

from __future__ import annotations

from collections.abc import Sequence

from backend.storage.alerts import AlertSubject, Message, OpenAlert


def change_text(worse: Sequence[AlertSubject], over: Sequence[OpenAlert], page: str) -> Message:
    """Return the message about new problems and those that are over; `page` is a line at its end."""
    counts = []
    if worse:
        counts.append(f"{len(worse)} problem{'' if len(worse) == 1 else 's'}")
    if over:
        counts.append(f"{len(over)} over")
    lines = [f"Problem: {one.sentence}\n  What to do: {one.what_to_do}" for one in worse]
    lines += [f"Over: {one.sentence} (reported {one.since:%Y-%m-%d %H:%M} UTC)" for one in over]
    return Message(f"MétéoScore: {', '.join(counts)}", _body(lines, page), good=not worse)


def digest_text(alerts: Sequence[OpenAlert], page: str) -> Message:
    """Return the daily message about all open problems."""
    lines = [f"Since {one.since:%Y-%m-%d %H:%M} UTC: {one.sentence}" for one in alerts]
    number = f"{len(alerts)} open problem{'' if len(alerts) == 1 else 's'}"
    return Message(f"MétéoScore: {number}", _body(lines, page))


def store_text(reason: str, page: str) -> Message:
    """Return the message about a store that cannot be used: it is not stored itself."""
    lines = [
        f"Problem: The store cannot be used: {reason}.\n  What to do: meteo-score status, and"
        " docs/operations.md. Collections wait in memory until the deadline of their run."
    ]
    return Message("MétéoScore: the store cannot be used", _body(lines, page))


def store_back_text(page: str) -> Message:
    """Return the message about a store that can be used again."""
    return Message(
        "MétéoScore: the store answers again", _body(["Over: The store could not be used."], page), good=True
    )


def _body(lines: Sequence[str], page: str) -> str:
    return "\n".join([*lines, *([page] if page else [])])
