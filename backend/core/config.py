"""Settings: the environment and a `.env` file, read once, validated, frozen.

Every error is one line with the variable, its value (unless secret) and the rule.
"""

from __future__ import annotations

import os
import re
from collections.abc import Collection, Iterable, Iterator
from datetime import timedelta
from difflib import get_close_matches
from ipaddress import ip_network
from pathlib import Path
from typing import Annotated, Any, Literal, NamedTuple, Self
from urllib.parse import urlsplit

from dotenv import dotenv_values
from platformdirs import user_data_path
from pydantic import (
    AfterValidator,
    BeforeValidator,
    Field,
    SecretStr,
    ValidationError,
    ValidationInfo,
    field_validator,
)
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from backend.core.errors import ConfigError
from backend.core.registry import (
    AROME,
    DEFAULT_SOURCES,
    OPEN_METEO_MODELS,
    OPTIONAL_SOURCES,
    WINDS_MOBI_PROVIDERS,
)
from backend.core.sites import default_sites_file

SOURCE_NAMES = (*DEFAULT_SOURCES, *OPTIONAL_SOURCES)
"""Valid names in `SOURCES`. `OPEN_METEO_MODELS` and `WINDS_MOBI_PROVIDERS` enable the others."""


class Allowance(NamedTuple):
    """How many calls a host allows one user per minute, hour, day and month."""

    minute: int
    hour: int
    day: int
    month: int


OPEN_METEO_FREE = Allowance(minute=600, hour=5_000, day=10_000, month=300_000)
"""The limits of Open-Meteo's free service (its terms, read in August 2026)."""

USUAL_ENV_FILE = Path(".env")

NEAR = 0.8
"""Minimum similarity (difflib's ratio) at which an unknown name counts as a misspelt setting.

FFVL_KEY and FFVL_API_KEY are this similar, HOSTNAME and HOST are not.
"""

LEAST_TOKEN = 16
"""Minimum characters of an admin token: a shorter one can be guessed and is ignored."""

LEAST_RETENTION_DAYS = 120
"""Minimum of RETENTION_FORECAST_DAYS and RETENTION_OBSERVATION_DAYS.

Score days are computed again from raw values as long as these can change: a month may close 17 days after its
end (31 days after its first), and a flag that is learned then takes up to 60 days of readings out of the
scores. Issuing reads 7 days of raw readings; what it learns from is stored apart and never removed.
"""

_TRUE = frozenset({"true", "1", "yes", "on"})
_FALSE = frozenset({"false", "0", "no", "off"})
_CREDENTIALS = re.compile(r"//.*@")


def without_credentials(url: str) -> str:
    """Return an address for display, without user name and password."""
    return _CREDENTIALS.sub("//***@", url)


def _boolean(value: object) -> object:
    if not isinstance(value, str):
        return value
    word = value.strip().lower()
    if word in _TRUE or word in _FALSE:
        return word in _TRUE
    raise ValueError("must be one of true, false, 1, 0, yes, no, on, off")


def _base_url(value: str) -> str:
    value = value.strip()
    try:
        parts = urlsplit(value)
        well_formed = bool(parts.hostname) and parts.port != 0
    except ValueError:  # a port that is not a number, or an unclosed bracket
        well_formed = False
    else:
        well_formed &= parts.scheme in {"http", "https"} and not parts.query and not parts.fragment
    if not well_formed or any(letter.isspace() for letter in value):
        raise ValueError("must be an http or https address without a query, such as https://example.org/api")
    return value.rstrip("/")


def _root_path(value: str) -> str:
    value = value.strip().rstrip("/")
    if value and not re.fullmatch(r"(/[A-Za-z0-9_~-][A-Za-z0-9._~-]*)+", value):
        raise ValueError("must be a path without special characters, such as /meteo, or empty")
    return value


def _tiles_url(value: str) -> str:
    value = value.strip()
    # The host goes into a Content-Security-Policy, so that no sign may end one of its parts.
    pattern = r"https?://[A-Za-z0-9.-]+(:[0-9]{1,5})?/[A-Za-z0-9._~/{}?=&%@+-]*"
    places = re.findall(r"\{[^{}]*\}?|\}", value)
    if not re.fullmatch(pattern, value) or sorted(places) != ["{x}", "{y}", "{z}"]:
        raise ValueError(
            "must be an http or https address with {z}, {x} and {y}, such as"
            " https://tile.example.org/{z}/{x}/{y}.png"
        )
    return value


def _line_of_text(value: str) -> str:
    value = value.strip()
    if not value.isprintable():
        raise ValueError("must be one line of text")
    return value


def _ping_url(value: SecretStr | None) -> SecretStr | None:
    if value is not None:
        _base_url(value.get_secret_value())
    return value


def _alert_urls(value: SecretStr | None) -> SecretStr | None:
    if value is not None and not all("://" in part for part in address_list(value.get_secret_value())):
        raise ValueError("must be addresses in Apprise's form, such as mailto://... or json://host/path")
    return value


_BETWEEN_ADDRESSES = re.compile(r"[\s,]+(?=[A-Za-z][A-Za-z0-9+.-]*://)")


def address_list(text: str) -> list[str]:
    """Split a setting at spaces or commas before the next address, which may contain commas itself."""
    return [part for part in _BETWEEN_ADDRESSES.split(text.strip()) if part]


LEAST_SECRET = 6
"""Minimum characters of a part of an address that is masked: shorter ones are words of any log line."""


def _secret_parts(text: str) -> Iterator[str]:
    """Return the parts of addresses that give access: users, passwords, tokens in path, query or host."""
    for address in address_list(text):
        yield address
        place, _, query = address.partition("://")[2].partition("?")
        authority, *path = place.split("/")
        user, _, host = authority.rpartition("@")
        parts = [*user.split(":"), *path, *(pair.rpartition("=")[2] for pair in query.split("&"))]
        if "." not in host and host.partition(":")[0] != "localhost" and "[" not in host:
            parts += [host, *host.split(":")]  # the token of a service such as Telegram, or a topic
        yield from (part for part in parts if len(part) >= LEAST_SECRET)


def _key(value: object) -> object:
    """Strip spaces and line ends that copying adds to a key; a blank key is None."""
    if isinstance(value, SecretStr):
        value = value.get_secret_value()
    return value.strip() or None if isinstance(value, str) else value


def unset_if_blank(value: object) -> object:
    """Return None for a blank setting without a value of its own."""
    return None if isinstance(value, str) and not value.strip() else value


def split_words(value: object) -> object:
    """Split a comma-separated setting into its words; pydantic checks values that are not text."""
    if not isinstance(value, str):
        return value
    return tuple(word.strip() for word in value.split(",")) if value.strip() else ()


def integers(value: object) -> object:
    """Parse a comma-separated setting of whole numbers."""
    words = split_words(value)
    if not isinstance(words, tuple) or not all(isinstance(word, str) for word in words):
        return words
    if not words or not all(word.isdecimal() for word in words):
        raise ValueError("must be whole numbers separated by commas")
    return tuple(int(word) for word in words)


def _require_known(kind: str, names: tuple[str, ...], known: Collection[str]) -> tuple[str, ...]:
    for name in names:
        if name not in known:
            raise ValueError(f"unknown {kind} {name!r}: choose from {', '.join(known)}")
    return names


def _at_least_one(names: tuple[str, ...]) -> tuple[str, ...]:
    if not names:
        raise ValueError(f"must name a source: choose from {', '.join(SOURCE_NAMES)}")
    return names


def _networks(values: tuple[str, ...]) -> tuple[str, ...]:
    for value in values:
        try:
            ip_network(value, strict=False)
        except ValueError as error:
            raise ValueError(f"{value!r} is not an IP address or network such as 192.0.2.0/24") from error
    return values


def _origins(values: tuple[str, ...]) -> tuple[str, ...]:
    for value in values:
        if value != "*" and not re.fullmatch(r"https?://(\[[0-9a-f:]+\]|[a-z0-9.-]+)(:[0-9]{1,5})?", value):
            raise ValueError(
                f"{value!r} is not an origin: write scheme, host and port in small letters, without a path,"
                " such as https://club.example.org, or * for every site"
            )
    return values


def _arome_runs(hours: tuple[int, ...]) -> tuple[int, ...]:
    allowed = {hour for model in AROME.models for hour in model.run_hours}
    if len(set(hours)) != len(hours) or not allowed.issuperset(hours):
        raise ValueError(f"must be different hours out of {','.join(map(str, sorted(allowed)))}")
    return hours


def _retention(days: int) -> int:
    if days < LEAST_RETENTION_DAYS:
        raise ValueError(
            f"must be at least {LEAST_RETENTION_DAYS}, or empty to keep all: a sensor is judged by up to 60"
            " days of readings, which are then scored again, and values are removed by whole months"
        )
    return days


Boolean = Annotated[bool, BeforeValidator(_boolean)]
RetentionDays = Annotated[
    Annotated[int, Field(le=36_500), AfterValidator(_retention)] | None, BeforeValidator(unset_if_blank)
]
BaseUrl = Annotated[str, AfterValidator(_base_url)]
Key = Annotated[SecretStr | None, BeforeValidator(_key)]
Seconds = Annotated[float, Field(ge=0, le=3600)]
Names = Annotated[tuple[str, ...], NoDecode, BeforeValidator(split_words)]
Sources = Annotated[Names, AfterValidator(lambda names: _require_known("source", names, SOURCE_NAMES))]
Models = Annotated[
    Names,
    AfterValidator(lambda names: _require_known("model", names, OPEN_METEO_MODELS)),
    AfterValidator(lambda names: tuple(dict.fromkeys(names))),  # a model that is named twice counts once
]
Providers = Annotated[
    Names, AfterValidator(lambda names: _require_known("network", names, WINDS_MOBI_PROVIDERS))
]
Networks = Annotated[Names, AfterValidator(_networks)]
Origins = Annotated[Names, AfterValidator(_origins)]
Integers = Annotated[tuple[int, ...], NoDecode, BeforeValidator(integers)]


class EnvironmentSettings(BaseSettings):
    """Settings whose fields are environment variables of the same name in capitals."""

    model_config = SettingsConfigDict(
        env_file=".env",
        env_file_encoding="utf-8-sig",
        extra="ignore",
        frozen=True,
        validate_default=False,  # a test holds each default to its rule: no command checks constants
    )

    @classmethod
    def load(cls, env_file: Path | None = None, /, **overrides: Any) -> Self:
        """Read the environment and a settings file, by default the working directory's `.env`.

        Raises ConfigError for the first value that breaks a rule, and for a file that cannot be read.
        """
        if env_file is not None:
            overrides["_env_file"] = env_file
        try:
            return cls(**overrides)
        except ValidationError as error:
            first = error.errors(include_url=False)[0]
            name = str(first["loc"][0]) if first["loc"] else ""
            field = cls.model_fields.get(name)
            given = first["input"]
            if name.endswith("_url") and isinstance(given, str):
                given = without_credentials(given)
            secret = field is not None and "SecretStr" in str(field.annotation)
            shown = "(secret)" if secret else repr(given)
            message = first["msg"].removeprefix("Value error, ")
            # Not chained: pydantic's message quotes the value, which may be a key.
            raise ConfigError(f"{name.upper()}={shown}: {message}") from None
        except OSError as error:
            raise ConfigError(f"{error.filename}: cannot be read: {error.strerror}") from error
        except UnicodeDecodeError as error:
            raise ConfigError(
                f"{env_file or USUAL_ENV_FILE}: is not UTF-8: save the file with that encoding"
            ) from error

    @classmethod
    def names(cls) -> frozenset[str]:
        """Return the names of the environment variables."""
        return frozenset(name.upper() for name in cls.model_fields)


def settings_file(env_file: Path | None = None) -> Path | None:
    """Return the absolute path of the settings file in use: `env_file`, or the working directory's `.env`.

    None if there is none. Raises ConfigError for an `env_file` that does not exist.
    """
    if env_file is not None:
        if not env_file.is_file():
            raise ConfigError(f"--env-file={env_file}: there is no such file")
        return env_file.absolute()
    return USUAL_ENV_FILE.absolute() if USUAL_ENV_FILE.is_file() else None


def check_setting_names(file: Path, known: Collection[str]) -> None:
    """Raise ConfigError for a name in a settings file that is similar to a setting: a misspelling."""
    try:
        names = list(dotenv_values(file, encoding="utf-8-sig"))
    except UnicodeDecodeError as error:
        raise ConfigError(f"{file}: is not UTF-8: save the file with that encoding") from error
    except OSError as error:
        raise ConfigError(f"{file}: cannot be read: {error.strerror}") from error
    for name, meant in near_misses(names, known).items():
        raise ConfigError(f"{file}: {name}: is not a setting: did you mean {meant}?")


def slips_in_environment(known: Collection[str]) -> dict[str, str]:
    """Return the variables with names similar to a setting. They may belong to another program."""
    return near_misses(os.environ, known)


def near_misses(names: Iterable[str], known: Collection[str]) -> dict[str, str]:
    """Return each unknown name that is similar to a setting, with that setting.

    Case does not matter, as in the environment.
    """
    misspelt = {}
    for name in names:
        if name.upper() not in known:
            matches = get_close_matches(name.upper(), known, n=1, cutoff=NEAR)
            if matches:
                misspelt[name] = matches[0]
    return misspelt


class ChosenModels(EnvironmentSettings):
    """The one setting that a demo shares with the live service, read without the others."""

    open_meteo_models: Models = ()


class Settings(EnvironmentSettings):
    """All settings except the schedule. Addresses are settings, for stand-ins and proxies."""

    # Storage
    database_url: str = Field(
        default_factory=lambda: (
            f"sqlite:///{user_data_path('meteo-score', appauthor=False) / 'meteo-score.sqlite3'}"
        )
    )
    data_dir: Path = Field(default_factory=lambda: user_data_path("meteo-score", appauthor=False))
    backup_max_age_hours: Annotated[int, Field(ge=0, le=87_600)] = 48  # 0: no limit
    keep_payloads_days: Annotated[int, Field(ge=0, le=3650)] = 14
    months_dir: Annotated[Path | None, BeforeValidator(unset_if_blank)] = None
    retention_forecast_days: RetentionDays = None
    retention_observation_days: RetentionDays = None
    sites_file: Path = Field(default_factory=default_sites_file)
    sites_from: Literal["file", "database"] = "file"

    # Contact and administration
    contact: Annotated[str, AfterValidator(_line_of_text)] = ""
    admin_token: Key = None

    # Alerts
    alert_urls: Annotated[Key, AfterValidator(_alert_urls)] = None
    alert_after_failures: Annotated[int, Field(ge=1, le=100)] = 1
    alert_digest_hour: Annotated[
        Annotated[int, Field(ge=0, le=23)] | None, BeforeValidator(unset_if_blank)
    ] = None
    ping_url_forecasts: Annotated[Key, AfterValidator(_ping_url)] = None
    ping_url_observations: Annotated[Key, AfterValidator(_ping_url)] = None

    # Sources
    sources: Annotated[Sources, AfterValidator(_at_least_one)] = DEFAULT_SOURCES
    public_raw_sources: Sources = ()
    public_imports: Names = ()
    arome_grid: Literal["0025", "001"] = "0025"
    arome_max_lead: Annotated[int, Field(ge=0, le=51)] = 51
    arpege_max_lead: Annotated[int, Field(ge=0, le=102)] = 102
    arome_runs: Annotated[Integers, AfterValidator(_arome_runs)] = (0, 6, 12, 18)
    open_meteo_fallback: Boolean = False
    open_meteo_models: Models = ()
    winds_mobi_providers: Providers = ()
    ffvl_html: Boolean = False
    romma_html: Boolean = True

    # Addresses and keys
    meteo_parapente_url: BaseUrl = "https://data0.meteo-parapente.com"
    arome_url: BaseUrl = "https://meteofrance-pnt.s3.rbx.io.cloud.ovh.net"
    geosphere_url: BaseUrl = "https://dataset.api.hub.geosphere.at"
    meteohub_url: BaseUrl = "https://meteohub.agenziaitaliameteo.it/nwp/ICON-2I_SURFACE_PRESSURE_LEVELS"
    meteofrance_api_url: BaseUrl = "https://public-api.meteofrance.fr"
    meteofrance_api_key: Key = None
    meteofrance_hourly_url: BaseUrl = "https://meteofrance.s3.sbg.io.cloud.ovh.net/data/synchro_ftp/BASE/HOR"
    open_meteo_url: BaseUrl = "https://api.open-meteo.com"
    open_meteo_single_runs_url: BaseUrl = "https://single-runs-api.open-meteo.com"
    ffvl_url: BaseUrl = "https://data.ffvl.fr"
    ffvl_api_key: Key = None
    winds_mobi_url: BaseUrl = "https://winds.mobi"
    balisemeteo_url: BaseUrl = "https://www.balisemeteo.com"
    romma_url: BaseUrl = "https://www.romma.fr"
    romma_key: Key = None
    pioupiou_url: BaseUrl = "https://api.pioupiou.fr"

    # Minimum time between requests
    meteo_parapente_spacing_seconds: Seconds = 1.5
    geosphere_spacing_seconds: Seconds = 0.5
    meteohub_spacing_seconds: Seconds = 1.0
    meteofrance_hourly_spacing_seconds: Seconds = 1.0
    winds_mobi_spacing_seconds: Seconds = 1.0
    romma_spacing_seconds: Seconds = 5.0
    balisemeteo_spacing_seconds: Seconds = 2.0
    pioupiou_spacing_seconds: Seconds = 2.0

    # Server and log
    host: str = "127.0.0.1"
    port: Annotated[int, Field(ge=0, le=65535)] = 8000  # 0: any free port, named in the log
    root_path: Annotated[str, AfterValidator(_root_path)] = ""
    public_url: Annotated[BaseUrl | None, BeforeValidator(unset_if_blank)] = None
    map_tiles_url: Annotated[
        Annotated[str, AfterValidator(_tiles_url)] | None, BeforeValidator(unset_if_blank)
    ] = None
    map_tiles_attribution: Annotated[str, AfterValidator(_line_of_text)] = ""
    trusted_proxies: Networks = ()
    cors_origins: Origins = ()
    rate_limit_per_minute: Annotated[int, Field(ge=0, le=1_000_000)] = 300  # 0: no limit
    log_level: Annotated[
        Literal["DEBUG", "INFO", "WARNING", "ERROR"],
        BeforeValidator(lambda name: name.upper() if isinstance(name, str) else name),
    ] = "INFO"
    log_format: Literal["console", "json"] = "console"

    @field_validator("public_url")
    @classmethod
    def _ends_in_the_root_path(cls, url: str | None, info: ValidationInfo) -> str | None:
        root = info.data.get("root_path", "")
        if url is not None and urlsplit(url).path != root:
            raise ValueError(
                f"must end in ROOT_PATH ({root})" if root else "must have no path: set ROOT_PATH to that path"
            )
        return url

    @field_validator("retention_forecast_days", "retention_observation_days")
    @classmethod
    def _exported_first(cls, days: int | None, info: ValidationInfo) -> int | None:
        if days is not None and info.data.get("months_dir") is None:
            raise ValueError("needs MONTHS_DIR: values are removed only once they are in a file there")
        return days

    @property
    def usable_admin_token(self) -> str | None:
        """The admin token, if it is long enough."""
        token = self.admin_token.get_secret_value() if self.admin_token is not None else ""
        return token if len(token) >= LEAST_TOKEN else None

    @property
    def map_tiles_origin(self) -> str | None:
        """The scheme and host of the tiles of the map; None without a map."""
        if self.map_tiles_url is None:
            return None
        parts = urlsplit(self.map_tiles_url)
        return f"{parts.scheme}://{parts.netloc}"

    def secrets(self) -> tuple[str, ...]:
        """Return all secret values, and the secret parts of addresses: logs and errors mask them."""
        secrets = [value.get_secret_value() for _, value in self if isinstance(value, SecretStr) and value]
        for value in (self.alert_urls, self.ping_url_forecasts, self.ping_url_observations):
            if value is not None:
                secrets += _secret_parts(value.get_secret_value())
        return tuple(dict.fromkeys(secrets))

    def spacing(self) -> dict[str, timedelta]:
        """Return the minimum time between two requests, for each host that has one.

        For a host that several sources share, it is the longest of their times.
        """
        longest: dict[str, timedelta] = {}
        for setting in SPACING_SETTINGS:
            url: str = getattr(self, setting.replace("_spacing_seconds", "_url"))
            seconds: float = getattr(self, setting)
            host, least = urlsplit(url).netloc.lower(), timedelta(seconds=seconds)
            longest[host] = max(least, longest.get(host, least))
        return longest

    def quotas(self) -> dict[str, Allowance]:
        """Return the limits of each host that counts calls."""
        return {urlsplit(self.open_meteo_single_runs_url).netloc: OPEN_METEO_FREE}

    def hosts(self) -> frozenset[str]:
        """Return the hosts (with ports) that collection may contact; redirects to others are refused."""
        return frozenset(urlsplit(getattr(self, setting)).netloc for setting in ADDRESS_SETTINGS)


# Derived from the field names, so that a new source adds only fields above.
ADDRESS_SETTINGS = tuple(
    name
    for name in Settings.model_fields
    if name.endswith("_url") and name not in {"database_url", "public_url", "map_tiles_url"}
)
SPACING_SETTINGS = tuple(name for name in Settings.model_fields if name.endswith("_spacing_seconds"))
KEY_SETTINGS = tuple(name for name in Settings.model_fields if name.endswith("_key"))
