"""In a process of its own: pages in Chromium over slow 4G, its processor not slowed down."""

from __future__ import annotations

from typing import Any

from playwright.sync_api import Browser

from backend.tests.support.browser import chromium
from proofs.bench.processes import answer, given

SLOW_4G: dict[str, Any] = {  # that of Lighthouse
    "offline": False,
    "latency": 150,  # ms from the request to the first byte
    "downloadThroughput": 1.6e6 / 8,  # bytes per second
    "uploadThroughput": 750e3 / 8,
}

_WATCH = """
const look = () => {
  const sentence = document.querySelector(%r);
  const box = sentence && sentence.getBoundingClientRect();
  if (box && box.height > 0 && box.top < innerHeight) {
    requestAnimationFrame(() => { window.sentenceAt = performance.now(); });
  } else {
    requestAnimationFrame(look);
  }
};
look();
"""
"""Notes when the first sentence has been drawn: in the frame after the one in which it has a place."""


def main() -> None:
    """Answer with the milliseconds from the request of each page to its first sentence and its load event.

    Each page has a context of its own: nothing is in the browser's cache.
    """
    task = given()
    with chromium() as browser:
        answer(
            {
                path: _shown(browser, f"http://127.0.0.1:{task['port']}{path}", sentence)
                for path, sentence in task["pages"].items()
            }
        )


def _shown(browser: Browser, url: str, sentence: str) -> dict[str, Any]:
    context = browser.new_context(
        viewport={"width": 360, "height": 740}, locale="fr", service_workers="block"
    )
    context.add_init_script(_WATCH % sentence)
    tab = context.new_page()
    network = context.new_cdp_session(tab)
    network.send("Network.enable")
    network.send("Network.emulateNetworkConditions", SLOW_4G)
    response = tab.goto(url, wait_until="load")
    if response is None or response.status != 200:
        raise RuntimeError(f"{url}: {response and response.status}")
    tab.wait_for_function("window.sentenceAt !== undefined")
    found: dict[str, Any] = tab.evaluate(
        """() => ({
             sentence: window.sentenceAt,
             whole: performance.getEntriesByType("navigation")[0].loadEventEnd,
           })"""
    )
    context.close()
    return found


if __name__ == "__main__":
    main()
