"""Lists as JSON or CSV, with the link to the next page."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from typing import Any, TypeVar
from urllib.parse import quote

from fastapi import Request, Response

from backend.answers.base import ApiModel, WithheldSource
from backend.api.prefix import public_path

P = TypeVar("P", bound=ApiModel)

CSV_ANSWER: dict[int | str, dict[str, Any]] = {
    200: {
        "description": "JSON, or the same rows as CSV with `Accept: text/csv`. `Link` names the next page.",
        "content": {"text/csv": {"schema": {"type": "string"}}},
    }
}


def table(
    page: P,
    rows: Sequence[ApiModel],
    shape: type[ApiModel],
    *,
    request: Request,
    response: Response,
    following: str | None = None,
    withheld: Sequence[WithheldSource] = (),
) -> P | Response:
    """Return a page as JSON, or its rows as CSV if the client prefers CSV.

    `following` is the cursor of the next page. Both formats have it in a `Link` header, because CSV has no
    other place for it. The names of withheld sources are in a header for the same reason.
    """
    headers = {"Vary": "Accept, Authorization"}
    if following is not None:
        url = request.url.include_query_params(cursor=following)
        headers["Link"] = f'<{quote(public_path(request.scope))}?{url.query}>; rel="next"'
    if withheld:
        headers["X-Withheld"] = ", ".join(source.source for source in withheld)
    if not prefers_csv(request.headers.get("accept", "")):
        response.headers.update(headers)
        return page
    return Response(csv_text(rows, shape), media_type="text/csv", headers=headers)


def prefers_csv(accept: str) -> bool:
    """Return whether an Accept header prefers CSV to JSON."""
    weights = {"text/csv": 0.0, "application/json": 0.0}
    for part in accept.split(","):
        media_type, _, rest = part.partition(";")
        name = media_type.strip().lower()
        if name in weights:
            weights[name] = _weight(rest)
    # Browsers and most clients accept `*/*`: they get JSON.
    return weights["text/csv"] > weights["application/json"]


def _weight(parameters: str) -> float:
    for parameter in parameters.split(";"):
        name, _, value = parameter.partition("=")
        if name.strip().lower() == "q":
            try:
                return float(value)
            except ValueError:
                return 0.0
    return 1.0


def csv_text(rows: Sequence[ApiModel], shape: type[ApiModel]) -> str:
    """Return rows as CSV with the names of the JSON. Null is an empty cell, a list is joined by spaces."""
    columns = list(shape.model_json_schema(mode="serialization")["properties"])
    text = io.StringIO(newline="")
    writer = csv.writer(text)
    writer.writerow(columns)
    for row in rows:
        values = row.model_dump(mode="json")
        writer.writerow([_cell(values[column]) for column in columns])
    return text.getvalue()


def _cell(value: object) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return str(value).lower()
    if not isinstance(value, str | list):
        return str(value)
    if isinstance(value, str):
        text = value
    elif value and isinstance(value[0], dict):
        text = "; ".join(str(entry["text"]) for entry in value)
    else:
        text = " ".join(value)
    # A spreadsheet would run a name that starts with such a character as a formula.
    return f"'{text}" if text.startswith(("=", "+", "-", "@", "\t", "\r")) else text
