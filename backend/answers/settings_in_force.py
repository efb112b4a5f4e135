"""The settings in force, secrets masked."""

from __future__ import annotations

from collections.abc import Iterator

from pydantic import SecretStr

from backend.core.config import EnvironmentSettings, without_credentials
from backend.core.masking import MASKED
from backend.storage.engines import shown, usable_url


def settings_in_force(*groups: EnvironmentSettings) -> dict[str, object]:
    """Return every setting by its name in the environment; secrets and passwords are masked."""
    return dict(setting for group in groups for setting in _shown(group))


def settings_without_secrets(*groups: EnvironmentSettings) -> str:
    """Return the settings that differ from their defaults as lines of an env file, secrets as comments."""
    lines = []
    for group in groups:
        for name, shown_value in _shown(group):
            value = getattr(group, name.lower())
            if value == type(group).model_fields[name.lower()].get_default(call_default_factory=True):
                continue
            secret = isinstance(value, SecretStr) or as_written(shown_value) != as_written(value)
            line = f"{name}={as_written(shown_value)}"
            lines.append(f"# {line}  (a secret, not in the backup)" if secret else line)
    return "".join(f"{line}\n" for line in lines)


def as_written(value: object) -> str:
    """Return a value in the form of the environment."""
    match value:
        case None:
            return ""
        case bool():
            return str(value).lower()
        case tuple():
            return ",".join(map(str, value))
        case _:
            return str(value)


def _shown(settings: EnvironmentSettings) -> Iterator[tuple[str, object]]:
    for name, value in settings:
        if isinstance(value, SecretStr):
            value = MASKED
        elif name == "database_url":
            value = shown(usable_url(value, make=None))
        elif name.endswith("_url") and value is not None:
            value = without_credentials(value)
        yield name.upper(), value
