"""Cache headers of answers: ETag, Cache-Control, Vary, and the check of If-None-Match."""

from __future__ import annotations

import hashlib

from fastapi import Request

from backend import __version__
from backend.answers.models import collected_models
from backend.answers.question import Question
from backend.answers.service import ReadingParts
from backend.answers.withholding import Withholding
from backend.scoring.questions.scorecard import METHOD_VERSION
from backend.scoring.sample.load import Samples

MAX_AGE_SECONDS = 300
"""Time that a client may reuse an answer: half of the shortest usual collection interval."""


def cache_headers(
    service: ReadingParts, request: Request, question: Question, withheld: Withholding
) -> dict[str, str]:
    """Return the cache headers of an answer to a question.

    The ETag is weak, because the answer also contains the time of its computation.
    """
    return {
        # Everything that an answer depends on. With a part missing, clients would see outdated answers.
        "ETag": _etag(
            request.url.path,
            request.url.query,
            Samples(service.database).stamp(question.site, question.last),
            question,
            collected_models(service),
            withheld.key,
            service.public_rules,
        ),
        "Cache-Control": f"{'public' if withheld.public else 'private'}, max-age={MAX_AGE_SECONDS}",
        "Vary": "Authorization",  # the admin token changes which values are withheld
    }


def static_headers(request: Request, *parts: object) -> dict[str, str]:
    """Return the cache headers of an answer that depends only on `parts`, not on data of a site."""
    return {"ETag": _etag(request.url.path, parts), "Cache-Control": f"public, max-age={MAX_AGE_SECONDS}"}


def known_already(request: Request, headers: dict[str, str]) -> bool:
    """Return whether the client has this answer already (If-None-Match, weak comparison)."""
    etags = {part.strip().removeprefix("W/") for part in request.headers.get("if-none-match", "").split(",")}
    return "*" in etags or headers["ETag"].removeprefix("W/") in etags


def _etag(*parts: object) -> str:
    # The versions: after an upgrade figures or sentences differ without any change of the data.
    text = repr((__version__, METHOD_VERSION, *parts))
    return f'W/"{hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:24]}"'
