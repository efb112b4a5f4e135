"""The delivery of a message to one address."""

from __future__ import annotations

import logging
import threading

import pytest
from pydantic import SecretStr

from backend.alerts.targets import deliver, targets_of
from backend.storage.alerts import Message
from backend.tests.support.loopback import unused_port


class Senders(logging.Handler):
    """Keeps the names of the threads that report a delivery that failed."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.threads: list[str | None] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.threads.append(record.threadName)


@pytest.mark.parametrize("in_pool", [True, False])
def test_a_message_is_sent_by_its_caller_or_by_a_pool(*, in_pool: bool) -> None:
    senders, apprise = Senders(), logging.getLogger("apprise")
    (target,) = targets_of(SecretStr(f"json://127.0.0.1:{unused_port()}/alerts"), in_pool=in_pool)
    apprise.addHandler(senders)
    try:
        reason = deliver(target, Message("A title", "A text.", good=True))
    finally:
        apprise.removeHandler(senders)

    assert "Connection error" in reason
    assert len(senders.threads) == 1
    assert (senders.threads[0] != threading.current_thread().name) == in_pool
