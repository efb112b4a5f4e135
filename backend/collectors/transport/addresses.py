"""The public address of a request, and its secrets."""

from __future__ import annotations

from urllib.parse import urlencode, urlsplit

from backend.collectors.base import Request


def address(request: Request) -> str:
    """Return the address of a request with its query, and without anything secret."""
    url, parts = request.url, urlsplit(request.url)
    # A setting may hold user and password of a mirror.
    if "@" in parts.netloc:
        url = parts._replace(netloc=parts.netloc.rpartition("@")[2]).geturl()
    if not request.params:
        return url
    return f"{url}{'&' if parts.query else '?'}{urlencode(request.params)}"


def secrets_of(request: Request) -> tuple[str, ...]:
    """Return every secret value of a request: keys in parameters and headers, and a password in the URL."""
    return (
        *request.secret_params.values(),
        *request.secret_headers.values(),
        urlsplit(request.url).password or "",
    )
