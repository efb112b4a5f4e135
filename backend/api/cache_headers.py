"""Cache headers of answers: ETag, Cache-Control, Vary, and the check of If-None-Match."""

from __future__ import annotations

import hashlib

from fastapi import Request

from backend.answers.models import collected_models
from backend.answers.question import Question
from backend.answers.service import ReadingParts
from backend.answers.withholding import Withholding
from backend.scoring.questions.scorecard import METHOD_VERSION
from backend.scoring.sample.load import Samples

KEPT_SECONDS = 300
"""How long an answer may be shown without asking again: half of the shortest usual collection interval."""


def cache_headers(
    service: ReadingParts, request: Request, question: Question, withheld: Withholding
) -> dict[str, str]:
    """Return what an answer says about how long, by whom and as what it may be kept.

    The ETag is weak: the answer itself also says when it was made.
    """
    return {
        "ETag": _etag(
            request.url.path,
            request.url.query,
            Samples(service.database).stamp(question.site, question.last),
            question,
            collected_models(service),
            sorted(withheld.models),
            sorted(withheld.networks),
            service.public_rules,
        ),
        "Cache-Control": f"{'public' if withheld.public else 'private'}, max-age={KEPT_SECONDS}",
        "Vary": "Authorization",
    }


def static_headers(request: Request, *parts: object) -> dict[str, str]:
    """Return the same of an answer that depends on `parts` and on nothing of a site."""
    return {"ETag": _etag(request.url.path, parts), "Cache-Control": f"public, max-age={KEPT_SECONDS}"}


def known_already(request: Request, headers: dict[str, str]) -> bool:
    """Say whether the asker has this answer already (If-None-Match, compared weakly)."""
    told = {part.strip().removeprefix("W/") for part in request.headers.get("if-none-match", "").split(",")}
    return "*" in told or headers["ETag"].removeprefix("W/") in told


def _etag(*parts: object) -> str:
    text = repr((METHOD_VERSION, *parts))
    return f'W/"{hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:24]}"'
