"""Read and write HTTP headers."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from importlib.metadata import version

import httpx2


def host_name(url: httpx2.URL) -> str:
    """Return host and port in lower case, without the ports 80 and 443."""
    return url.netloc.decode("ascii").removesuffix(":443").removesuffix(":80")


def user_agent(contact: str) -> str:
    """Return program, version and contact address: "MeteoScore/0.2.0 (+pilot@example.org)"."""
    name = f"MeteoScore/{version('meteo-score')}"
    return f"{name} (+{contact})" if contact else name


def encoded(headers: Mapping[str, str]) -> httpx2.Headers:
    """Return headers in UTF-8: a contact or a mistyped key may contain letters outside ASCII."""
    return httpx2.Headers(dict(headers), encoding="utf-8")


def declared_bytes(headers: httpx2.Headers) -> int | None:
    """Return the Content-Length; None if it is absent, or counts the compressed body."""
    length = headers.get("Content-Length", "")
    return int(length) if length.isdecimal() and "Content-Encoding" not in headers else None


def body_version(headers: httpx2.Headers) -> str:
    """Return length, ETag and Last-Modified of a body; empty if the host sends none of them.

    A length alone is a version too: a GRIB file that gets one more field becomes longer.
    """
    parts = (headers.get(name, "") for name in ("Content-Length", "ETag", "Last-Modified"))
    return " ".join(part.strip() for part in parts if part.strip())


def entity_tag(version: str) -> str:
    """Return the ETag in a body's version, as the host wrote it; empty if it has none."""
    found = re.search(r'(?:W/)?"[^"]*"', version)
    return found[0] if found else ""


def last_modified(headers: httpx2.Headers) -> datetime | None:
    """Return the time of `Last-Modified` in UTC; None if it is absent or unreadable."""
    return http_date(headers.get("Last-Modified", ""))


def retry_after(headers: httpx2.Headers, now: datetime) -> float | None:
    """Return `Retry-After` in seconds; None if it is absent or unreadable."""
    value = headers.get("Retry-After", "").strip()
    if value.isdecimal():
        return float(value)
    moment = http_date(value)
    return max(0.0, (moment - now).total_seconds()) if moment else None


def stated_time(headers: httpx2.Headers) -> datetime | None:
    """Return the host's own time in UTC at its answer; None if it states none.

    A cache returns the `Date` of the stored answer, and its age in seconds in `Age`.
    """
    stated, age = http_date(headers.get("Date", "")), headers.get("Age", "").strip()
    if stated is None or not age.isdecimal():
        return stated
    try:
        return stated + timedelta(seconds=int(age))
    except (OverflowError, ValueError):  # beyond the range of datetime
        return None


def http_date(value: str) -> datetime | None:
    """Read an HTTP date as UTC, also if it names no zone; None if it is not a date."""
    try:
        moment = parsedate_to_datetime(value)
        return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
    except (ValueError, OverflowError):  # not a date, or beyond the range of datetime
        return None
