"""The commit that the program was built from, where it is known."""

from __future__ import annotations

import shutil
import subprocess
from importlib.metadata import distribution
from pathlib import Path

import msgspec


class _VersionControl(msgspec.Struct):
    commit_id: str


class _DirectUrl(msgspec.Struct):
    vcs_info: _VersionControl | None = None


def commit() -> str | None:
    """Return the first twelve digits of the commit: of an installation from git, or of the checkout in use.

    None where neither is known, as for a wheel. An installation from git has a direct_url.json (PEP 610).
    """
    recorded = distribution("meteo-score").read_text("direct_url.json")
    direct = msgspec.json.decode(recorded, type=_DirectUrl) if recorded else _DirectUrl()
    if direct.vcs_info is not None:
        return direct.vcs_info.commit_id[:12]
    root, git = Path(__file__).parents[2], shutil.which("git")
    if git is None or not (root / ".git").exists():
        return None
    asked = subprocess.run(  # noqa: S603 - a fixed command
        [git, "-C", root, "rev-parse", "--short=12", "HEAD"], capture_output=True, text=True, check=False
    )
    return asked.stdout.strip() or None if asked.returncode == 0 else None
