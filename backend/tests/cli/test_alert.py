"""`meteo-score alert`: a test message, the open problems, and alerts where cron collects."""

from __future__ import annotations

import json
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from backend.core.clock import utc_now
from backend.core.config import Settings
from backend.core.masking import MASKED, mask_of
from backend.scheduler.config import OBSERVATIONS
from backend.storage.ledger import Ledger
from backend.storage.run_records import SourceRun
from backend.tests.support.commands import (
    METEO_SCORE,
    SITE,
    Environment,
    outside,
    running,
    store_of,
    typed,
)
from backend.tests.support.receiver import Receiver, receiving
from backend.tests.support.stores import make_tables
from backend.tests.support.waiting import wait_for

SECRETS = ("hook-of-the-club", "a-pass-word", "6f1e7a38-3d3c")


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with receiving() as one:
        yield one


@pytest.fixture
def environment(tmp_path: Path, receiver: Receiver) -> Environment:
    (tmp_path / "sites.toml").write_text(SITE)
    return outside() | {
        "DATABASE_URL": f"sqlite:///{tmp_path / 'store.sqlite3'}",
        "SITES_FILE": str(tmp_path / "sites.toml"),
        "DATA_DIR": str(tmp_path),
        "ALERT_URLS": f"json://club:a-pass-word@{receiver.address}/hook-of-the-club",
        "PING_URL_FORECASTS": f"http://{receiver.address}/6f1e7a38-3d3c",
    }


def test_a_test_message_goes_to_each_address_and_a_failure_is_named(
    environment: Environment, receiver: Receiver
) -> None:
    sent = typed("alert --test", environment)
    assert (sent.exit_code, sent.stdout) == (0, "address 1 (json): delivered\n")
    assert json.loads(receiver.requests[0].body)["title"] == "MétéoScore: test"
    receiver.status = 404
    failed = typed("alert --test --json", environment)
    (result,) = json.loads(failed.stdout)
    assert (failed.exit_code, result["delivered"]) == (1, False)
    assert "404" in result["reason"]
    assert not (Path(environment["DATA_DIR"]) / "store.sqlite3").exists(), "no store is needed"
    for secret in SECRETS:
        assert secret not in sent.output + failed.output


def test_cron_reports_after_a_collection_what_is_open_once(
    environment: Environment, receiver: Receiver
) -> None:
    database = store_of(environment)
    make_tables(database)
    ledger = Ledger(database)
    claim = ledger.claim(OBSERVATIONS, "cli", utc_now())
    assert claim is not None
    ledger.finish(
        claim, "failed", utc_now(), duration=1, sources=[SourceRun(source="romma", status="failed")]
    )
    database.close()
    for _ in range(2):
        shown = typed("alert --json", environment)
        assert shown.exit_code == 0
        assert [one["subject"] for one in json.loads(shown.stdout)] == ["job_failing:collect_observations"]
    assert [json.loads(request.body)["title"] for request in receiver.requests] == ["MétéoScore: 1 problem"]
    assert "job_failing" in typed("alert", environment).stdout


def test_without_addresses_or_with_a_wrong_one_it_is_one_line(environment: Environment) -> None:
    none = typed("alert", environment | {"ALERT_URLS": ""})
    assert none.exit_code == 2
    assert none.stderr.startswith("meteo-score: ALERT_URLS is not set")
    for wrong in ("just-a-secret-word", "json://ok.example nonsense://hook-of-the-club"):
        refused = typed("alert --test", environment | {"ALERT_URLS": wrong})
        assert refused.exit_code == 2
        assert refused.stderr.startswith("meteo-score: ALERT_URLS=(secret): ")
        assert "secret-word" not in refused.stderr
        assert "hook-of-the-club" not in refused.stderr


def test_the_settings_in_force_and_the_log_have_no_part_of_an_address(environment: Environment) -> None:
    shown = typed("config --json", environment).stdout + typed("config", environment).stdout
    for secret in SECRETS:
        assert secret not in shown
    assert json.loads(typed("config --json", environment).stdout)["ALERT_URLS"] == MASKED


@pytest.mark.parametrize(
    ("address", "secrets", "plain"),
    [
        ("tgram://123456789:AAFabcdef/-100200300", ["123456789", "AAFabcdef", "-100200300"], []),
        ("mailtos://club:pass-word@mail.example.org?to=you@example.org", ["pass-word"], ["mail.example.org"]),
        ("ntfy://club-topic-x", ["club-topic-x"], []),
        ("discord://4174216298/JHMHI8qBe7bk2Zw", ["4174216298", "JHMHI8qBe7bk2Zw"], []),
        ("json://127.0.0.1:8080/hooks/abc?+X-Token=abcdef123", ["abcdef123"], ["127.0.0.1", "8080", "json"]),
        ("matrix://user:token123@matrix.example/#room", ["token123"], ["matrix.example"]),
    ],
)
def test_each_secret_part_of_an_address_is_masked(address: str, secrets: list[str], plain: list[str]) -> None:
    mask = mask_of(Settings.load(alert_urls=address).secrets())
    for secret in secrets:
        assert secret not in mask(f"could not send to https://api.example/bot{secret}/send")
    for word in plain:
        assert word in mask(f"listening on {word}")


@pytest.mark.parametrize("line", ["alert --test", "status"])
def test_ctrl_c_during_a_request_that_hangs_leaves_no_traceback(
    line: str, environment: Environment, receiver: Receiver
) -> None:
    receiver.held.clear()
    there = environment | {"PORT": str(receiver.port)}
    with running(METEO_SCORE, *line.split(), environment=there) as command:
        wait_for(lambda: receiver.requests, "the request")
        command.process.send_signal(signal.SIGINT)
        assert command.wait() == 130
        assert command.text() == "meteo-score: stopped\n"
