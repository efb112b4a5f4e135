"""A real browser for the tests of the pages: Debian's Chromium, driven by Playwright."""

from __future__ import annotations

import os
import shutil
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import uvicorn
from fastapi import FastAPI
from playwright.sync_api import Browser, BrowserContext, sync_playwright

from backend.tests.support.served import NOW

CHROMIUM = os.environ.get("CHROMIUM") or shutil.which("chromium")
"""The browser; None if none is installed."""

REQUIRED = "BROWSER_TESTS_REQUIRED"
"""With this variable in the environment, a missing browser is a failure: no test is left out for it."""

in_a_browser = pytest.mark.skipif(
    CHROMIUM is None and REQUIRED not in os.environ,
    reason="no Chromium installed: the tests in a browser were left out (Debian package chromium)",
)
"""The mark of tests that need the browser."""

OPTIONS = (
    "--no-sandbox",  # Chromium refuses to run as root with it
    "--disable-gpu",
    "--disable-dev-shm-usage",  # containers often have 64 MB of it, and a page needs more
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)


@contextmanager
def chromium() -> Iterator[Browser]:
    """Run the browser for as long as the context lasts."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=list(OPTIONS))
        try:
            yield browser
        finally:
            browser.close()


def new_context(browser: Browser, **options: Any) -> BrowserContext:
    """Return a context of the browser whose clock stands at the time of the stores of tests."""
    context = browser.new_context(**options)
    context.clock.set_fixed_time(NOW)
    return context


@contextmanager
def listening(app: FastAPI) -> Iterator[str]:
    """Serve an application on a free port of 127.0.0.1, in a thread; give its address."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        server = uvicorn.Server(uvicorn.Config(app, log_config=None, lifespan="on"))
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, name="pages")
        thread.start()
        try:
            yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        finally:
            server.should_exit = True
            thread.join()
