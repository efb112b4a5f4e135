"""`meteo-score token`: made and shown once, listed, revoked."""

from __future__ import annotations

import json
from pathlib import Path

from backend.core.access import token_hash
from backend.storage.database import Database
from backend.storage.tokens import tokens
from backend.tests.support.commands import typed


def test_a_token_is_printed_once_listed_without_it_and_revoked(tmp_path: Path) -> None:
    address = f"sqlite:///{tmp_path / 'store.sqlite3'}"
    environment = {"DATABASE_URL": address, "DATA_DIR": str(tmp_path)}
    made = typed("token new club-page --read-withheld", environment)
    token = made.stdout.strip()
    assert made.exit_code == 0
    listed = json.loads(typed("token list --json", environment).stdout)
    assert [(one["name"], one["rights"], one["revokedAt"]) for one in listed] == [
        ("club-page", ["read-withheld"], None)
    ]
    with Database(address).read() as connection:
        assert [entry.hash for entry in tokens(connection)] == [token_hash(token.encode())]
    assert typed("token revoke club-page", environment).exit_code == 0
    shown = typed("token list", environment).stdout
    assert "revoked" in shown
    assert token not in shown


def test_a_token_without_a_right_or_with_a_name_that_logs_cannot_show_is_refused(tmp_path: Path) -> None:
    environment = {"DATABASE_URL": f"sqlite:///{tmp_path / 'store.sqlite3'}", "DATA_DIR": str(tmp_path)}
    without = typed("token new club", environment)
    assert without.exit_code == 2
    assert "a token needs a right" in without.stderr
    odd = typed("token new Club\x1b[31m --operate", environment)
    assert odd.exit_code == 2
    assert "small letters" in odd.stderr
    assert typed("token list", environment).stdout.strip() in ("", "There is no named token.")
