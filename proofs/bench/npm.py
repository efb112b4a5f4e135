"""Lighthouse, which npm has."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

VERSIONS = {"lighthouse": "12.8.2"}

INSTALL = ("npm", "install", "--no-save", "--no-package-lock", "--no-audit", "--no-fund", "--silent")
PATIENCE_SECONDS = 600.0


def node_modules(work: Path, *, install: bool) -> Path | None:
    """Return the folder of the installed tools; None, with a printed line, where there are none.

    They are installed once into `work`. Without `install` only those installed before are used.
    """
    folder = work / ("npm-" + "-".join(VERSIONS.values()))
    modules = folder / "node_modules"
    if modules.exists() and shutil.which("node"):
        return modules
    if shutil.which("npm") is None:
        print("npm is not installed: the points of Lighthouse are left out")
        return None
    if not install:
        print("Lighthouse is not installed for tiny sizes: its points are left out")
        return None
    half = folder.with_suffix(".half")
    shutil.rmtree(half, ignore_errors=True)
    half.mkdir(parents=True)
    packages = [f"{name}@{version}" for name, version in VERSIONS.items()]
    done = subprocess.run(
        (*INSTALL, *packages), cwd=half, capture_output=True, text=True, timeout=PATIENCE_SECONDS
    )
    if done.returncode:
        reason = " ".join((done.stderr or done.stdout).split())[-300:]
        print(f"npm could not install {' '.join(packages)}: their figures are left out ({reason})")
        return None
    half.replace(folder)
    return modules
