"""Points of Lighthouse for a page, in its profile of a phone on slow 4G, four times slower."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

from backend.tests.support.browser import CHROMIUM, OPTIONS

CATEGORIES = ("performance", "accessibility", "best-practices")
PATIENCE_SECONDS = 180.0


def points(modules: Path, url: str) -> dict[str, float]:
    """Return the points (0 to 100) of a page by category. Raises RuntimeError if Lighthouse fails."""
    done = subprocess.run(
        (
            str(modules / ".bin" / "lighthouse"),
            url,
            "--quiet",
            "--output=json",
            f"--only-categories={','.join(CATEGORIES)}",
            f"--chrome-flags=--headless=new {' '.join(OPTIONS)}",
        ),
        env={**os.environ, "CHROME_PATH": str(CHROMIUM)},
        capture_output=True,
        text=True,
        timeout=PATIENCE_SECONDS,
    )
    if done.returncode:
        raise RuntimeError(f"Lighthouse, {url}: {done.stderr[-1000:]}")
    report = json.loads(done.stdout)
    if error := report.get("runtimeError"):
        raise RuntimeError(f"Lighthouse, {url}: {error}")
    return {name: 100 * float(report["categories"][name]["score"]) for name in CATEGORIES}
