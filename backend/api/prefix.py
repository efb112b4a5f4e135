"""Addresses of a service below a path prefix (`ROOT_PATH`), whether its proxy strips the prefix or not."""

from __future__ import annotations

from starlette.types import ASGIApp, Receive, Scope, Send


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
