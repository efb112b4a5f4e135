"""The demo in processes of their own: its port, its folder, its page while it fills in, and its end."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx2
import psutil
import pytest

from backend.tests.support.commands import METEO_SCORE, Environment, Running, outside, running
from backend.tests.support.loopback import unused_port
from backend.tests.support.waiting import HANG_SECONDS, wait_for


@pytest.fixture
def environment(tmp_path: Path) -> Environment:
    """The environment of a newcomer, who works in this folder."""
    return outside() | {"DATA_DIR": str(tmp_path), "COLUMNS": "80"}


def ended(
    *arguments: str, environment: Environment, user: int | None = None
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [METEO_SCORE, *arguments],
        env=environment,
        cwd=environment["DATA_DIR"],
        capture_output=True,
        text=True,
        timeout=HANG_SECONDS,
        check=False,
        user=user,
    )


@contextmanager
def serving(environment: Environment, *options: str) -> Iterator[tuple[Running, int]]:
    """Run `meteo-score demo` on a port that is free."""
    port = unused_port()
    with running(METEO_SCORE, "demo", "--port", str(port), *options, environment=environment) as process:
        yield process, port


STATUS = "/api/scheduler/status"


def page(port: int, path: str = "/?lang=en") -> str:
    """Return a page, the home page by default, or nothing while no server listens."""
    try:
        return httpx2.get(f"http://127.0.0.1:{port}{path}", timeout=HANG_SECONDS, trust_env=False).text
    except httpx2.HTTPError:
        return ""


def family(process: Running) -> list[psutil.Process]:
    return psutil.Process(process.process.pid).children(recursive=True)


def stopped(process: Running) -> None:
    """Press Ctrl-C, as a terminal does it, and expect a plain end that leaves no process behind."""
    started = family(process)
    os.killpg(process.process.pid, signal.SIGINT)
    assert process.wait() in {1, 130}
    assert "Traceback" not in process.text()
    assert len([line for line in process.text().splitlines() if "stopped" in line]) == 1
    wait_for(lambda: not any(one.is_running() for one in started), "the end of the demo's processes")


def test_the_page_is_served_while_the_days_fill_in_and_shows_their_progress(
    environment: Environment,
) -> None:
    with serving(environment, "--days", "7") as (process, port):
        wait_for(lambda: "Collecting day 1 of 7." in page(port), "the first page")
        for path in ("/?lang=en", "/about-data?lang=en"):
            assert "A verdict needs 30 days" in page(port, path)
            assert 'http-equiv="refresh"' in page(port, path)
        assert re.search('<progress [^>]*max="7" value="[1-7]"', page(port, "/"))
        assert "Collecte du jour" in page(port, "/?lang=fr")
        wait_for(lambda: re.search("Collecting day [2-7] of 7", page(port)), "the second day")
        assert "which forecast to trust" not in process.text().lower()  # it is still at work
        assert "A verdict needs 30 days" in " ".join(process.text().split())
        stopped(process)


def test_a_demo_that_lived_through_its_days_goes_on_as_the_service_does(environment: Environment) -> None:
    with serving(environment, "--days", "1") as (process, port):
        wait_for(lambda: '"running":true' in page(port, STATUS), "the schedule")
        assert "Collecting day" not in page(port)
        assert 'http-equiv="refresh"' not in page(port)
        stopped(process)
    words = " ".join(process.text().split())
    assert words.count("A verdict needs 30 days") == 2  # at the start, and at the end


@pytest.mark.parametrize("moment", ["loading", "starting the upstreams", "collecting"])
def test_ctrl_c_at_any_moment_leaves_no_traceback_and_no_process(
    moment: str, environment: Environment, tmp_path: Path
) -> None:
    lock = tmp_path / ".demo" / "demo.lock"
    with serving(environment, "--days", "2") as (process, port):
        if moment == "loading":
            wait_for(lambda: "encodings" in maps(process), "Python")
            wait_for(lambda: "_asyncio" in maps(process) or "pydantic" in maps(process), "a library")
        elif moment == "starting the upstreams":
            wait_for(lock.exists, "the folder")
            wait_for(lambda: family(process), "the upstreams")
        else:
            wait_for(lambda: '"status":"running"' in page(port, STATUS), "a run")
        stopped(process)


def maps(process: Running) -> str:
    """Return the files that a process has loaded; of Python itself as "encodings"."""
    found = Path(f"/proc/{process.process.pid}/maps").read_text()
    return found + ("encodings" if "python" in found else "")


def test_the_port_is_tried_before_any_work(environment: Environment, tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        refused = ended("demo", "--port", str(port), environment=environment)
    assert refused.returncode == 2
    assert refused.stderr.startswith(f"meteo-score: port {port}: ")
    assert "--port" in refused.stderr
    assert len(refused.stderr.splitlines()) <= 2
    assert not (tmp_path / ".demo" / "demo.sqlite3").exists()


def test_a_folder_that_another_demo_uses_is_not_thrown_away(environment: Environment, tmp_path: Path) -> None:
    with serving(environment, "--days", "2") as (process, port):
        wait_for(lambda: "Collecting" in page(port), "the first page")
        (tmp_path / ".demo" / "kept").touch()
        for options in (["--fresh"], []):
            refused = ended("demo", "--no-serve", *options, environment=environment)
            assert refused.returncode == 2
            assert f"process {process.process.pid}" in " ".join(refused.stderr.split())
        assert (tmp_path / ".demo" / "kept").exists()
        process.process.kill()
        process.wait()
    # Killed, it holds nothing any more.
    with serving(environment, "--days", "2", "--fresh") as (process, port):
        wait_for(lambda: "Collecting" in page(port), "the first page")
        assert not (tmp_path / ".demo" / "kept").exists()


def test_a_folder_that_cannot_be_written_to_is_one_line(environment: Environment, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    refused = ended("demo", "--folder", "file/demo", environment=environment)
    assert refused.returncode == 2
    assert "Traceback" not in refused.stderr
    assert " ".join(refused.stderr.split()).startswith(
        "meteo-score: --folder file/demo: the demo cannot write"
    )


OTHER_USER = 65534


def test_a_folder_without_the_right_to_write_is_one_line(tmp_path: Path) -> None:
    """As another user where the tests are root's, who may write anywhere."""
    folder = tmp_path / "folder"
    folder.mkdir()
    folder.chmod(0o555)
    line = (
        "import os, sys; from pathlib import Path; from backend.demo.store import held;"
        f"os.getuid() == 0 and os.setuid({OTHER_USER});"
        "held(Path(sys.argv[1])).__enter__()"
    )
    for above in folder.parents[:2]:  # pytest keeps them to the user of the tests
        above.chmod(0o755)
    (shared := folder.parents[2]).chmod(shared.stat().st_mode | 0o011)
    refused = subprocess.run(
        [sys.executable, "-c", line, folder], capture_output=True, text=True, check=False
    )
    assert refused.returncode == 1
    assert "ConfigError: --folder" in refused.stderr
    assert "the demo cannot write there (Permission denied)" in refused.stderr
