"""What is read from and written into the headers of HTTP."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from importlib.metadata import version

import httpx2


def host_name(url: httpx2.URL) -> str:
    """Return host and port, in lower case, the usual ports left out."""
    return url.netloc.decode("ascii").removesuffix(":443").removesuffix(":80")


def user_agent(contact: str) -> str:
    """Say who we are, and whom to write to about us."""
    name = f"MeteoScore/{version('meteo-score')}"
    return f"{name} (+{contact})" if contact else name


def encoded(headers: Mapping[str, str]) -> httpx2.Headers:
    """Return headers that may hold any letter: a contact or a mistyped key need not be ASCII."""
    return httpx2.Headers(dict(headers), encoding="utf-8")


def declared_bytes(headers: httpx2.Headers) -> int | None:
    """Return how long the body should be; None where that is unsaid, or said of its compressed form."""
    length = headers.get("Content-Length", "")
    return int(length) if length.isdecimal() and "Content-Encoding" not in headers else None


def body_version(headers: httpx2.Headers) -> str:
    """Return length, ETag and Last-Modified of a body; empty where none of them is sent.

    A length alone is a version too: a file that gets a field that it did not have is longer.
    """
    parts = (headers.get(name, "") for name in ("Content-Length", "ETag", "Last-Modified"))
    return " ".join(part.strip() for part in parts if part.strip())


def last_modified(headers: httpx2.Headers) -> datetime | None:
    """Return the publisher's stamp in UTC; None where it is absent or unreadable."""
    return http_date(headers.get("Last-Modified", ""))


def retry_after(headers: httpx2.Headers, now: datetime) -> float | None:
    """Return the wait in seconds that a host asks for; None where it asks for none that we can read."""
    value = headers.get("Retry-After", "").strip()
    if value.isdecimal():
        return float(value)
    moment = http_date(value)
    return max(0.0, (moment - now).total_seconds()) if moment else None


def stated_time(headers: httpx2.Headers) -> datetime | None:
    """Return the host's own time in UTC as it answers; None where it states none.

    A cache keeps the `Date` of the stored answer and says in `Age` how many seconds ago that was.
    """
    stated, age = http_date(headers.get("Date", "")), headers.get("Age", "").strip()
    if stated is None or not age.isdecimal():
        return stated
    try:
        return stated + timedelta(seconds=int(age))
    except (OverflowError, ValueError):  # no number of seconds that a time can have
        return None


def http_date(value: str) -> datetime | None:
    """Read a date of HTTP into UTC, which is also meant where no zone is said; None if it is no date."""
    try:
        moment = parsedate_to_datetime(value)
        return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
    except (ValueError, OverflowError):  # no date, or one beyond the years that Python knows
        return None
