"""Named tokens: each may do what its rights name, for as long as it is not revoked."""

from __future__ import annotations

from pathlib import Path

import httpx2
import pytest
import sqlalchemy as sa

from backend.api import tokens as api_tokens
from backend.core.access import NamedToken, Right, new_token, token_hash
from backend.core.errors import ConfigError, NotFoundError
from backend.main import Service
from backend.storage.database import Database
from backend.storage.tokens import add_token, revoke_token, tokens
from backend.tests.support.served import NOW, fill, lose_the_store, make_service, served
from backend.tests.support.stores import make_tables

PAUSE = "/api/scheduler/jobs/collect_forecasts/pause"
VALUES = "/api/forecasts"


@pytest.fixture
def database(database_url: str) -> Database:
    database = Database(database_url)
    make_tables(database)
    return database


def add(database: Database, name: str, *rights: Right) -> str:
    token = new_token()
    entry = NamedToken(name=name, hash=token_hash(token.encode()), rights=frozenset(rights), created_at=NOW)
    with database.write() as connection:
        add_token(connection, entry)
    return token


def shown(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


def a_service(folder: Path, **settings: object) -> Service:
    service = make_service(folder, **settings)  # type: ignore[arg-type]
    fill(service)
    return service


# --- In the store ------------------------------------------------------------------------------------


def test_a_token_is_in_the_store_by_its_hash_alone(database: Database) -> None:
    token = add(database, "club", Right.READ_WITHHELD)
    with database.read() as connection:
        [entry] = tokens(connection)
        row = connection.execute(sa.text("SELECT * FROM access_token")).one()
    assert entry.rights == {Right.READ_WITHHELD}
    assert entry.hash == token_hash(token.encode())
    assert token not in str(row)
    assert len(token.partition("_")[2]) == 43  # 32 bytes


def test_a_name_is_used_once_also_after_its_token_was_revoked(database: Database) -> None:
    add(database, "club", Right.OPERATE)
    with database.write() as connection:
        revoke_token(connection, "club", NOW)
    with pytest.raises(ConfigError, match="has been used"):
        add(database, "club", Right.OPERATE)
    with database.write() as connection, pytest.raises(NotFoundError, match="no valid token"):
        revoke_token(connection, "club", NOW)
    with database.read() as connection:
        assert [(token.name, token.revoked_at) for token in tokens(connection)] == [("club", NOW)]


# --- At the API --------------------------------------------------------------------------------------


async def test_a_token_to_read_shows_withheld_values_and_operates_nothing(tmp_path: Path) -> None:
    service = a_service(tmp_path)
    token = add(service.database, "club", Right.READ_WITHHELD)
    async with served(service) as client:
        public = await client.get(VALUES)
        read = await client.get(VALUES, headers=shown(token))
        refused = await client.post(PAUSE, headers=shown(token))
        state = await client.get("/api/scheduler/store", headers=shown(token))
    assert public.headers["x-withheld"]
    assert "x-withheld" not in read.headers
    assert len(read.content) > len(public.content)
    assert (refused.status_code, state.status_code) == (403, 403)
    assert "'club' may not operate" in refused.json()["detail"]


async def test_a_token_to_operate_does_so_by_its_name_and_reads_no_withheld_values(tmp_path: Path) -> None:
    service = a_service(tmp_path)
    token = add(service.database, "night-watch", Right.OPERATE)
    async with served(service) as client:
        paused = await client.post(PAUSE, headers=shown(token))
        read = await client.get(VALUES, headers=shown(token))
        public = await client.get(VALUES)
    assert paused.status_code == 200
    assert paused.json()["pausedBy"].startswith("night-watch (")
    assert read.content == public.content


async def test_a_revoked_token_is_a_wrong_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(api_tokens, "FRESH_SECONDS", -1.0)  # the list is read for each request
    service = a_service(tmp_path)
    token = add(service.database, "club", Right.OPERATE)
    async with served(service) as client:
        before = await client.post(PAUSE, headers=shown(token))
        with service.database.write() as connection:
            revoke_token(connection, "club", NOW)
        after = await client.post(PAUSE, headers=shown(token))
    assert (before.status_code, after.status_code) == (200, 401)


async def test_named_tokens_work_without_an_admin_token(tmp_path: Path) -> None:
    service = a_service(tmp_path, admin_token=None)
    token = add(service.database, "club", Right.OPERATE)
    async with served(service) as client:
        assert (await client.post(PAUSE, headers=shown(token))).status_code == 200
        assert (await client.post(PAUSE, headers=shown(f"{token}x"))).status_code == 403


@pytest.mark.usefixtures("within_a_minute")
async def test_a_valid_token_is_not_limited_and_a_wrong_one_is(tmp_path: Path) -> None:
    service = a_service(tmp_path, rate_limit_per_minute=5)
    token = add(service.database, "club", Right.READ_WITHHELD)

    async def statuses(client: httpx2.AsyncClient, sent: str) -> set[int]:
        return {(await client.get("/api/sites", headers=shown(sent))).status_code for _ in range(15)}

    async with served(service) as client:
        assert await statuses(client, token) == {200}
        assert 429 in await statuses(client, new_token())


async def test_while_the_store_is_away_a_named_token_is_not_called_wrong(tmp_path: Path) -> None:
    service = a_service(tmp_path)
    async with served(service) as client:
        await client.get("/api/health")
        service.database.close()
        lose_the_store(tmp_path)
        answer = await client.post(PAUSE, headers=shown(new_token()))
    assert answer.status_code == 503
