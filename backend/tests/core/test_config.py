"""The settings: their names, their defaults, their rules, and that the documentation knows them all."""

from __future__ import annotations

import os
import re
from datetime import timedelta
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from platformdirs import user_data_path
from pydantic import SecretStr, ValidationError

from backend.core.config import (
    ChosenModels,
    EnvironmentSettings,
    Settings,
    check_setting_names,
    settings_file,
    without_credentials,
)
from backend.core.errors import ConfigError
from backend.core.registry import DEFAULT_SOURCES
from backend.scheduler.config import SchedulerConfig
from backend.tests.support.commands import VARIABLES

ROOT = Path(__file__).parents[3]
PAGE = ROOT / "docs" / "settings.md"
SETTINGS_TABLE = re.compile(r"^\| Variable \| Default \| Meaning \|\n((?:\|.*\n)+)", re.MULTILINE)
EXAMPLE = ROOT / ".env.example"


@pytest.fixture(autouse=True)
def _nothing_set(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in os.environ if name.upper() in VARIABLES]:
        monkeypatch.delenv(name)


def owner_of(variable: str) -> type[EnvironmentSettings]:
    return Settings if variable.lower() in Settings.model_fields else SchedulerConfig


def value_of(variable: str) -> object:
    """Return what a variable comes to in the present environment."""
    return getattr(owner_of(variable).load(), variable.lower())


# --- Names and defaults -----------------------------------------------------------------------------


@pytest.mark.parametrize("settings", [Settings, SchedulerConfig, ChosenModels])
def test_every_default_follows_the_rule_of_its_setting(settings: type[EnvironmentSettings]) -> None:
    """A command does not check the defaults, but every value that it is given."""
    defaults = settings.load()
    checked = settings.load(**dict(defaults))
    assert checked == defaults
    assert [type(value) for _, value in checked] == [type(value) for _, value in defaults]  # 60 == 60.0


SPECIFIED: dict[str, object] = {
    "SCHEDULER_FORECAST_HOURS": (0, 6, 12, 18),
    "SCHEDULER_OBSERVATION_HOURS": (8, 10, 12, 14, 16, 18),
    "SCHEDULER_ENABLED": True,
    "SCHEDULER_FORECAST_CRON": None,
    "SCHEDULER_OBSERVATION_CRON": None,
    "LOG_FORMAT": "console",
    "LOG_LEVEL": "INFO",
    "LEASE_SECONDS": 60.0,
    "CATCHUP_WINDOW_HOURS": 48,
    "SHUTDOWN_GRACE_SECONDS": 30.0,
    "FORECAST_LOOKBACK_HOURS": 36,
    "METEO_PARAPENTE_URL": "https://data0.meteo-parapente.com",
    "AROME_URL": "https://meteofrance-pnt.s3.rbx.io.cloud.ovh.net",
    "GEOSPHERE_URL": "https://dataset.api.hub.geosphere.at",
    "GEOSPHERE_SPACING_SECONDS": 0.5,
    "METEOFRANCE_API_URL": "https://public-api.meteofrance.fr",
    "METEOFRANCE_API_KEY": None,
    "OPEN_METEO_URL": "https://api.open-meteo.com",
    "OPEN_METEO_SINGLE_RUNS_URL": "https://single-runs-api.open-meteo.com",
    "FFVL_URL": "https://data.ffvl.fr",
    "FFVL_API_KEY": None,
    "WINDS_MOBI_URL": "https://winds.mobi",
    "BALISEMETEO_URL": "https://www.balisemeteo.com",
    "ROMMA_URL": "https://www.romma.fr",
    "ROMMA_KEY": None,
    "SOURCES": ("meteo_parapente", "arome", "geosphere", "ffvl", "romma", "meteofrance_hourly"),
    "PIOUPIOU_URL": "https://api.pioupiou.fr",
    "PIOUPIOU_SPACING_SECONDS": 2.0,
    "CONTACT": "",
    "METEO_PARAPENTE_SPACING_SECONDS": 1.5,
    "WINDS_MOBI_SPACING_SECONDS": 1.0,
    "ROMMA_SPACING_SECONDS": 5.0,
    "BALISEMETEO_SPACING_SECONDS": 2.0,
    "AROME_GRID": "0025",
    "AROME_MAX_LEAD": 51,
    "AROME_RUNS": (0, 6, 12, 18),
    "OPEN_METEO_FALLBACK": False,
    "OPEN_METEO_MODELS": (),
    "FFVL_HTML": False,
    "ROMMA_HTML": True,
    "PUBLIC_RAW_SOURCES": (),
    "PUBLIC_IMPORTS": (),
    "KEEP_PAYLOADS_DAYS": 14,
    "SITES_FROM": "file",
    "ADMIN_TOKEN": None,
    "DATABASE_URL": f"sqlite:///{user_data_path('meteo-score', appauthor=False) / 'meteo-score.sqlite3'}",
}


@pytest.mark.parametrize(("variable", "default"), SPECIFIED.items(), ids=SPECIFIED.keys())
def test_a_specified_variable_has_its_name_and_default(variable: str, default: object) -> None:
    assert value_of(variable) == default


def test_without_a_file_of_ones_own_the_shipped_sites_are_meant() -> None:
    assert Settings.load().sites_file.read_text() == (ROOT / "sites.toml").read_text()


# --- The documentation ------------------------------------------------------------------------------


def documented() -> dict[str, str]:
    """Return the default of each variable in the tables of settings, alone or in a shared row.

    The settings of one source may stand on the page of that source.
    """
    found: dict[str, str] = {}
    pages = (PAGE, *sorted((ROOT / "docs" / "sources").glob("*.md")))
    tables = [table for page in pages for table in SETTINGS_TABLE.findall(page.read_text())]
    for row in re.findall(r"^\| (`[A-Z].*) \|$", "".join(tables), re.MULTILINE):
        names, defaults, *_ = (cell.strip() for cell in row.split(" |"))
        variables, values = re.findall(r"`(\w+)`", names), re.findall(r"`([^`]*)`", defaults)
        for index, variable in enumerate(variables):
            assert variable not in found, f"{variable} is in the table twice"
            found[variable] = values[index] if len(values) == len(variables) else ""
    return found


def test_the_page_lists_exactly_the_settings_there_are() -> None:
    assert set(documented()) == VARIABLES


def test_the_page_states_the_defaults_there_are(monkeypatch: pytest.MonkeyPatch) -> None:
    stated = {variable: value for variable, value in documented().items() if value}
    assert len(stated) > 25, "the table was not read"
    meant = {variable: value_of(variable) for variable in stated}
    meant["SITES_FILE"] = Path("sites.toml")  # of the folder one works in
    for variable, value in stated.items():
        monkeypatch.setenv(variable, value)
    assert {variable: value_of(variable) for variable in stated} == meant


def test_the_example_file_is_one_that_can_be_used(monkeypatch: pytest.MonkeyPatch) -> None:
    defaults = Settings.load()
    Path(".env").write_text(EXAMPLE.read_text())
    assert Settings.load() == defaults
    assert set(re.findall(r"^([A-Z_]+)=", EXAMPLE.read_text(), re.MULTILINE)) <= VARIABLES


# --- From where they are read -----------------------------------------------------------------------


def test_a_file_is_read_and_the_environment_wins(monkeypatch: pytest.MonkeyPatch) -> None:
    Path(".env").write_text("CONTACT=pilot@example.org\nSOURCES=ffvl\nAROME_RUNS=0,12\nUNKNOWN=1\n")
    monkeypatch.setenv("SOURCES", "romma, arome")
    settings = Settings.load()
    assert (settings.contact, settings.sources) == ("pilot@example.org", ("romma", "arome"))
    assert settings.arome_runs == (0, 12)


@pytest.mark.parametrize(
    ("name", "meant"),
    [("FFVL_KEY", "FFVL_API_KEY"), ("DATABSE_URL", "DATABASE_URL"), ("scheduler_forecast_hour", None)],
)
def test_a_slip_in_a_settings_file_is_refused_with_the_right_name(name: str, meant: str | None) -> None:
    known = Settings.names() | SchedulerConfig.names()
    file = Path("my.env")
    file.write_text(f"CONTACT=pilot@example.org\n{name}=x\nCOMPOSE_PROJECT_NAME=mine\nHOSTNAME=me\n")
    meant = meant or "SCHEDULER_FORECAST_HOURS"
    with pytest.raises(ConfigError, match=rf"^my\.env: {name}: is not a setting: did you mean {meant}\?$"):
        check_setting_names(file, known)
    file.write_text("contact=pilot@example.org\nCOMPOSE_PROJECT_NAME=mine\nHOSTNAME=me\nPATH=/bin\n")
    check_setting_names(file, known)


def test_another_settings_file_takes_the_place_of_the_usual_one(monkeypatch: pytest.MonkeyPatch) -> None:
    Path(".env").write_text("CONTACT=pilot@example.org\nSOURCES=ffvl\n")
    Path("other.env").write_text("\ufeffCONTACT=other@example.org\n")
    assert Settings.load(Path("other.env")).contact == "other@example.org"
    assert Settings.load(Path("other.env")).sources == DEFAULT_SOURCES
    assert settings_file(Path("other.env")) == Path("other.env").absolute()
    assert settings_file() == Path(".env").absolute()
    with pytest.raises(ConfigError, match=r"^--env-file=none\.env: there is no such file$"):
        settings_file(Path("none.env"))


def test_a_file_that_is_no_text_is_named() -> None:
    Path(".env").write_bytes(b"CONTACT=caf\xe9\n")
    with pytest.raises(ConfigError, match=r"^\.env: is not UTF-8: save the file with that encoding$"):
        Settings.load()


def test_settings_never_change() -> None:
    with pytest.raises(ValidationError, match="frozen"):
        Settings.load().contact = "pilot@other.example"  # type: ignore[misc]


# --- Rules (the schedule's own are in test_scheduler.py) --------------------------------------------

BASE_URL = "must be an http or https address without a query, such as https://example.org/api"
SPACING = ("less than or equal to 3600", "greater than or equal to 0")


@pytest.mark.parametrize(
    ("variable", "value", "rule"),
    [
        (
            "SOURCES",
            "romma,foo",
            "unknown source 'foo': choose from meteo_parapente, arome, geosphere, ",
        ),
        ("SOURCES", "FFVL", "unknown source 'FFVL'"),
        ("SOURCES", "", "must name a source: choose from"),
        ("WINDS_MOBI_PROVIDERS", "slf,metar", "unknown network 'metar': choose from meteoswiss, slf"),
        ("PUBLIC_RAW_SOURCES", "rommma", "unknown source 'rommma'"),
        ("ROMMA_URL", "www.romma.fr", BASE_URL),
        ("ROMMA_URL", "", BASE_URL),
        ("FFVL_URL", "ftp://data.ffvl.fr", BASE_URL),
        ("AROME_URL", "https://", BASE_URL),
        ("AROME_URL", "https://bad host.example", BASE_URL),
        ("WINDS_MOBI_URL", "https://winds.mobi?x=1", BASE_URL),
        ("WINDS_MOBI_URL", "https://winds.mobi#x", BASE_URL),
        ("BALISEMETEO_URL", "https://example.org:99999", BASE_URL),
        ("OPEN_METEO_URL", "https://[::1", BASE_URL),
        ("OPEN_METEO_FALLBACK", "maybe", "must be one of true, false, 1, 0, yes, no, on, off"),
        (
            "OPEN_METEO_MODELS",
            "icon_d2,best_match",
            "unknown model 'best_match': choose from arome_hd, icon_d2",
        ),
        ("FFVL_HTML", "", "must be one of true, false"),
        ("ROMMA_HTML", "2", "must be one of true, false"),
        ("AROME_GRID", "25", "'0025' or '001'"),
        ("AROME_MAX_LEAD", "52", "less than or equal to 51"),
        ("AROME_MAX_LEAD", "-1", "greater than or equal to 0"),
        ("AROME_RUNS", "1", "must be different hours out of 0,3,6,9,12,15,18,21"),
        ("AROME_RUNS", "6,6", "must be different hours"),
        ("AROME_RUNS", "6;12", "must be whole numbers separated by commas"),
        ("AROME_RUNS", "", "must be whole numbers separated by commas"),
        ("KEEP_PAYLOADS_DAYS", "two", "valid integer"),
        ("KEEP_PAYLOADS_DAYS", "-1", "greater than or equal to 0"),
        ("ROMMA_SPACING_SECONDS", "nan", SPACING[0]),
        ("ROMMA_SPACING_SECONDS", "inf", SPACING[0]),
        ("WINDS_MOBI_SPACING_SECONDS", "-1", SPACING[1]),
        ("METEO_PARAPENTE_SPACING_SECONDS", "fast", "valid number"),
        ("SITES_FROM", "memory", "'file' or 'database'"),
        ("CONTACT", "pilot@example.org\nX-Evil: 1", "must be one line of text"),
        ("PORT", "65536", "less than or equal to 65535"),
        ("LOG_LEVEL", "LOUD", "'DEBUG', 'INFO', 'WARNING' or 'ERROR'"),
        ("LOG_FORMAT", "xml", "'console' or 'json'"),
        ("SHUTDOWN_GRACE_SECONDS", "-1", "greater than or equal to 0"),
        ("CATCHUP_WINDOW_HOURS", "0", "greater than or equal to 1"),
        ("RUN_DEADLINE_SECONDS", "0", "greater than 0"),
        ("SCHEDULER_FORECAST_CRON", "0 6 31 2 8", "name weekdays"),
    ],
)
def test_a_bad_value_is_refused_in_one_line_with_name_value_and_rule(
    monkeypatch: pytest.MonkeyPatch, variable: str, value: str, rule: str
) -> None:
    monkeypatch.setenv(variable, value)
    with pytest.raises(ConfigError) as refused:
        owner_of(variable).load()
    message = str(refused.value)
    assert message.startswith(f"{variable}={value!r}: ")
    assert rule in message
    assert "\n" not in message


@pytest.mark.parametrize(
    "url",
    ["ftp://me:s3cret@example.org", "https://me:s3/cr@et@example.org", "https://me:s3cret@example.org?a=b"],
)
def test_a_bad_address_is_refused_without_the_password_in_it(
    monkeypatch: pytest.MonkeyPatch, url: str
) -> None:
    monkeypatch.setenv("FFVL_URL", url)
    with pytest.raises(ConfigError, match=r"^FFVL_URL='.*://\*\*\*@example\.org.*': must be") as refused:
        Settings.load()
    assert refused.value.__cause__ is None  # a traceback shows no more than the message
    assert "s3" not in str(refused.value)


def test_a_bad_key_is_refused_without_being_shown() -> None:
    with pytest.raises(ConfigError, match=r"^ROMMA_KEY=\(secret\): ") as refused:
        Settings.load(romma_key=["k3y"])
    assert "k3y" not in str(refused.value)


@pytest.mark.parametrize("word", ["true", "1", "yes", "on", "True", " ON "])
def test_every_word_for_yes_is_understood(monkeypatch: pytest.MonkeyPatch, word: str) -> None:
    monkeypatch.setenv("FFVL_HTML", word)
    assert Settings.load().ffvl_html is True


@pytest.mark.parametrize("word", ["false", "0", "no", "off", "FALSE"])
def test_every_word_for_no_is_understood(monkeypatch: pytest.MonkeyPatch, word: str) -> None:
    monkeypatch.setenv("ROMMA_HTML", word)
    assert Settings.load().romma_html is False


def test_an_address_may_be_a_proxy_and_loses_its_last_slash(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ROMMA_URL", " http://127.0.0.1:8080/romma/ ")
    assert Settings.load().romma_url == "http://127.0.0.1:8080/romma"


def test_the_level_of_the_log_may_be_written_small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LOG_LEVEL", "warning")
    assert Settings.load().log_level == "WARNING"


def test_an_empty_list_of_public_sources_is_a_list(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PUBLIC_RAW_SOURCES", " ")
    assert Settings.load().public_raw_sources == ()


# --- Keys -------------------------------------------------------------------------------------------

KEYS = ("ADMIN_TOKEN", "METEOFRANCE_API_KEY", "FFVL_API_KEY", "ROMMA_KEY")


@pytest.mark.parametrize("variable", KEYS)
@pytest.mark.parametrize("blank", ["", "  ", "\n"])
def test_an_empty_key_is_no_key(monkeypatch: pytest.MonkeyPatch, variable: str, blank: str) -> None:
    monkeypatch.setenv(variable, blank)
    assert value_of(variable) is None
    assert Settings.load().secrets() == ()


def test_a_key_loses_what_was_copied_with_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FFVL_API_KEY", " k3y \n")
    assert Settings.load().ffvl_api_key == SecretStr("k3y")


def test_every_key_is_known_as_a_secret_and_shown_by_none_of_its_names(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for variable in KEYS:
        monkeypatch.setenv(variable, f"value-of-{variable}")
    settings = Settings.load()
    assert set(settings.secrets()) == {f"value-of-{variable}" for variable in KEYS}
    assert "value-of" not in repr(settings)
    fields = {name.upper() for name, field in Settings.model_fields.items() if "Secret" in str(field)}
    assert fields == set(KEYS) | {"ALERT_URLS", "PING_URL_FORECASTS", "PING_URL_OBSERVATIONS"}


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("https://example.org/api", "https://example.org/api"),
        ("http://me:s3cret@example.org:81/api", "http://***@example.org:81/api"),
        ("http://token@example.org", "http://***@example.org"),
    ],
)
def test_an_address_is_shown_without_whom_it_lets_in(url: str, shown: str) -> None:
    assert without_credentials(url) == shown


# --- What is made of them ---------------------------------------------------------------------------


def test_each_host_has_its_own_spacing() -> None:
    settings = Settings.load(romma_url="http://127.0.0.1:8080/romma", romma_spacing_seconds=7)
    assert (
        settings.spacing().items()
        >= {
            "data0.meteo-parapente.com": timedelta(seconds=1.5),
            "winds.mobi": timedelta(seconds=1),
            "127.0.0.1:8080": timedelta(seconds=7),
            "www.balisemeteo.com": timedelta(seconds=2),
            "api.pioupiou.fr": timedelta(seconds=2),
        }.items()
    )


def test_of_sources_on_one_host_the_longest_spacing_holds() -> None:
    proxy = {
        "romma_url": "http://Proxy.example:8080/romma",
        "winds_mobi_url": "http://proxy.example:8080/winds",
    }
    for romma, winds in ((7, 1), (1, 7)):
        settings = Settings.load(**proxy, romma_spacing_seconds=romma, winds_mobi_spacing_seconds=winds)
        assert settings.spacing()["proxy.example:8080"] == timedelta(seconds=7)


def test_collection_talks_to_the_configured_hosts_and_no_other() -> None:
    settings = Settings.load(ffvl_url="http://127.0.0.1:8080", public_url="https://score.example")
    own = {"database_url", "public_url", "map_tiles_url"}
    addresses = {value for name, value in settings if name.endswith("_url") and name not in own}
    hosts = settings.hosts()
    assert hosts == {urlsplit(address).netloc for address in addresses}
    assert {"127.0.0.1:8080", "winds.mobi", "public-api.meteofrance.fr"} < hosts
    assert "data.ffvl.fr" not in hosts
