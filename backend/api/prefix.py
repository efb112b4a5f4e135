"""Addresses of a service below a path prefix (`ROOT_PATH`), whether its proxy strips the prefix or not."""

from __future__ import annotations

from collections.abc import Iterable

from fastapi import APIRouter
from starlette.types import ASGIApp, Receive, Scope, Send

from backend.core.errors import ConfigError


class BelowPrefix:
    """Middleware that names the path prefix of the service in every request, as a server's option would."""

    def __init__(self, app: ASGIApp, root: str) -> None:
        self._app = app
        self._root = root

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on with the prefix in its scope."""
        if scope["type"] == "http":
            scope["root_path"] = self._root
        await self._app(scope, receive, send)


def check_prefix(root: str, routers: Iterable[APIRouter]) -> None:
    """Raise ConfigError if an address of the service begins like its path prefix.

    If a proxy strips the prefix, the service could not see which of the two a request means.
    """
    first = root.split("/")[1]
    for router in routers:
        for route in router.routes:
            if getattr(route, "path", "").split("/")[1:2] == [first]:
                raise ConfigError(f"ROOT_PATH={root!r}: must not begin with /{first}, which has pages")


def root_of(scope: Scope) -> str:
    """Return the path prefix of the service, such as "/meteo"; empty without one."""
    root: str = scope.get("root_path", "")
    return root


def path_of(scope: Scope) -> str:
    """Return the path of a request below the prefix, as the routes know it."""
    path: str = scope["path"]
    root = root_of(scope)
    if root and (path == root or path.startswith(f"{root}/")):
        return path[len(root) :]
    return path


def public_path(scope: Scope) -> str:
    """Return the path of a request with the prefix, as the client has to write it.

    It begins with one slash: after two, a browser would read the name of another host.
    """
    return f"{root_of(scope)}/{path_of(scope).lstrip('/')}"
