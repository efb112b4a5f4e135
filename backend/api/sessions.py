"""Sessions of the operator: a signed cookie that stands for the admin token, and the tokens of its forms."""

from __future__ import annotations

import hmac
import secrets
from dataclasses import dataclass, field
from typing import Any

from fastapi import Request, Response
from itsdangerous import BadData, Signer, TimestampSigner, URLSafeTimedSerializer

from backend.api.prefix import root_of
from backend.core.clock import Clock
from backend.core.config import Settings

COOKIE = "operator"

LASTS_SECONDS = 12 * 3600
"""Time after which a session ends by itself."""


class _ClockedSigner(TimestampSigner):
    """A signer that takes its time from the clock of the service."""

    def __init__(self, *args: Any, clock: Clock, **options: Any) -> None:
        super().__init__(*args, **options)
        self._clock = clock

    def get_timestamp(self) -> int:
        return int(self._clock().timestamp())


@dataclass(frozen=True, slots=True)
class Session:
    """A session by its random id; `form_token` is in each of its forms, and no other page can know it."""

    id: str
    form_token: str

    def allows(self, form_token: str) -> bool:
        """Return whether a form with this token is one of the session's."""
        return hmac.compare_digest(self.form_token.encode(), form_token.encode("utf-8", "surrogatepass"))


@dataclass(frozen=True, kw_only=True)
class Sessions:
    """The sessions of one service. Their keys are derived from the admin token: a new token ends them."""

    settings: Settings
    clock: Clock
    _ended: set[str] = field(default_factory=set)

    def begin(self, request: Request, response: Response) -> None:
        """Set the cookie of a new session. Raises ValueError without a usable admin token."""
        token = self.settings.usable_admin_token
        if token is None:
            raise ValueError("a session needs a usable admin token")
        response.set_cookie(
            COOKIE,
            self._serializer(token).dumps(secrets.token_urlsafe(16)),
            max_age=LASTS_SECONDS,
            **_place(request),
        )

    def of(self, request: Request) -> Session | None:
        """Return the session of a request, if it has one that is valid now."""
        token, cookie = self.settings.usable_admin_token, request.cookies.get(COOKIE)
        if token is None or cookie is None:
            return None
        try:
            session_id = self._serializer(token).loads(cookie, max_age=LASTS_SECONDS)
        except BadData:
            return None
        if not isinstance(session_id, str) or session_id in self._ended:
            return None
        form_token = Signer(token, salt="form of the operator").get_signature(session_id).decode()
        return Session(session_id, form_token)

    def end(self, session: Session, request: Request, response: Response) -> None:
        """End a session: delete its cookie, and refuse copies of it until this process ends."""
        self._ended.add(session.id)
        response.delete_cookie(COOKIE, **_place(request))

    def _serializer(self, token: str) -> URLSafeTimedSerializer:
        return URLSafeTimedSerializer(
            token, salt="session of the operator", signer=_ClockedSigner, signer_kwargs={"clock": self.clock}
        )


def _place(request: Request) -> dict[str, Any]:
    """Return for whom a cookie is. The scheme is that of the client, if a trusted proxy states it."""
    return {
        "path": root_of(request.scope) + "/ops",
        "secure": request.url.scheme == "https",
        "httponly": True,
        "samesite": "strict",
    }
