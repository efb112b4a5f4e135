"""The base class of all answers, and the part that most of them share."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict
from pydantic.alias_generators import to_camel


class ApiModel(BaseModel):
    """Base of every answer. It turns the names into camelCase."""

    model_config = ConfigDict(
        alias_generator=to_camel,
        validate_by_name=True,
        validate_by_alias=True,
        serialize_by_alias=True,
        from_attributes=True,
        frozen=True,
        defer_build=True,  # a command uses few of these classes, and building all takes 0.1 s
    )


class WithheldSource(ApiModel):
    """A source whose values are left out of an answer, and why."""

    source: str
    reason: str
