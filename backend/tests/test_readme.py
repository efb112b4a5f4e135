"""The commands of the README and of docs/api.md, word by word on a store of the demo."""

from __future__ import annotations

import json
import re
import shlex
import subprocess
import sys
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from backend.core.config import Settings
from backend.demo.store import ADMIN_TOKEN, store_settings
from backend.main import Service
from backend.scheduler.config import SchedulerConfig
from backend.tests.support.commands import typed
from backend.tests.support.served import served
from backend.tests.support.worlds import HandClock

PROJECT = Path(__file__).parents[2]
END = "2026-07-16T12:00:00Z"  # docs/api.md asks for values of 15 July
NOBODY = "http://127.0.0.1:9"
EMPTY_WHEN_WELL = ("status=failed", "/api/scheduler/stations")  # lists of what is wrong


@dataclass(frozen=True)
class Curl:
    """A line of the documentation that asks the API."""

    line: str
    address: str
    method: str = "GET"
    headers: dict[bytes, bytes] = field(default_factory=dict)
    jq: str = ""


def curls(document: str) -> list[Curl]:
    """Return every line of a document that begins with curl."""
    text = (PROJECT / document).read_text()
    found = []
    for line in re.findall("^curl .*$", text, re.MULTILINE):
        words = shlex.split(line.replace("$ADMIN_TOKEN", ADMIN_TOKEN), comments=True)
        jq = words[words.index("|") + 1 :] if "|" in words else []
        words = words[: words.index("|")] if jq else words
        headers = [words[at + 1] for at, word in enumerate(words) if word == "-H"]
        (address,) = (word for word in words if "localhost:8000/" in word or "127.0.0.1:8000/" in word)
        found.append(
            Curl(
                line,
                "/" + address.split(":8000/", 1)[1],
                words[words.index("-X") + 1] if "-X" in words else "GET",
                dict(tuple(part.strip().encode() for part in header.split(":", 1)) for header in headers),  # type: ignore[misc]
                jq[-1] if jq else "",
            )
        )
    return found


def picked(document: Any, path: str) -> list[Any]:
    """Return what jq prints for a path such as `.models[].sentence`."""
    values = [document]
    for step in re.findall(r"\.(\w+)|(\[\])", path):
        values = [inner for value in values for inner in (value if step[1] else [value[step[0]]])]
    return values


@pytest.fixture(scope="module")
def lived(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A working directory after a demo of two days."""
    folder = tmp_path_factory.mktemp("readme")
    command = (sys.executable, "-m", "backend", "demo", "--no-serve")
    subprocess.run([*command, "--days", "2", "--until", END], cwd=folder, check=True, capture_output=True)
    return folder


def service_of(folder: Path) -> Service:
    """Return the service as the demo serves it; its upstreams are gone."""
    urls = {
        name: NOBODY for name in Settings.model_fields if name.endswith("_url") and name != "map_tiles_url"
    }
    settings = Settings.load(**urls | store_settings(folder / ".demo") | {"admin_token": ADMIN_TOKEN})
    clock = HandClock(datetime.fromisoformat(END).astimezone(UTC))
    return Service.make(settings, SchedulerConfig.load(scheduler_enabled=False), clock)


LINES = [*curls("README.md"), *curls("docs/api.md")]


def test_there_are_lines_to_try() -> None:
    assert len([line for line in LINES if line.jq]) >= 4
    assert len(LINES) >= 20


async def test_every_curl_line_answers_on_the_demo(lived: Path) -> None:
    wrong = []
    async with served(service_of(lived)) as client:
        for curl in LINES:
            answer = await client.request(curl.method, curl.address, headers=curl.headers)
            expected = {202} if curl.address.endswith("/run") else {200}
            if curl.address == "/api/ready":
                expected |= {503}  # the schedule of this store is off
            if answer.status_code not in expected:
                wrong.append(f"{curl.line}: {answer.status_code}: {answer.text}")
            elif curl.jq and not all(picked(answer.json(), curl.jq) or [""]):
                wrong.append(f"{curl.line}: nothing: {answer.text[:300]}")
            elif "csv" in answer.headers["content-type"]:
                if len(answer.text.splitlines()) < 2:
                    wrong.append(f"{curl.line}: no row")
            elif (
                curl.method == "GET"
                and not curl.jq
                and not any(part in curl.address for part in EMPTY_WHEN_WELL)
            ):
                lists = [value for value in json.loads(answer.text).values() if isinstance(value, list)]
                if lists and not any(lists):
                    wrong.append(f"{curl.line}: only empty lists: {answer.text[:300]}")
    assert wrong == []


def test_every_command_of_the_section_on_verdicts_answers_on_the_demo(
    lived: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    section = (PROJECT / "README.md").read_text().split("## A verdict in one command")[1].split("\n## ")[0]
    lines = re.findall(r"^\.venv/bin/meteo-score ([^#\n]*)", section, re.MULTILINE)
    assert len(lines) == 4
    monkeypatch.chdir(lived)
    for line in lines:
        result = typed(line, {})
        assert result.exit_code == 0, result.stderr
        assert "planfait" in result.stdout.lower()
