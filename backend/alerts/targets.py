"""The addresses of ALERT_URLS, and the delivery of a message to one of them by Apprise.

Apprise is imported at the first use: a service without ALERT_URLS does not load it.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from hashlib import sha256
from typing import Any

from pydantic import SecretStr

from backend.core.config import address_list
from backend.core.errors import ConfigError
from backend.core.text import one_line
from backend.storage.alerts import Message

DELIVERY_SECONDS = 60
"""The most for a delivery, with what Apprise repeats."""

_LONGEST_REASON = 300


@dataclass(frozen=True, slots=True)
class Target:
    """An address: its number in ALERT_URLS, its `id` in the store, and how it is shown without secrets."""

    number: int
    id: str
    shown: str
    plugin: Any  # of Apprise


def targets_of(urls: SecretStr | None, *, in_pool: bool = True) -> tuple[Target, ...]:
    """Return the addresses. Raises ConfigError for one that Apprise cannot use, without its text.

    Apprise delivers in threads of a pool, to give up after DELIVERY_SECONDS; without `in_pool`, in the thread
    of its caller, which a Ctrl-C can stop at any moment. A Ctrl-C while the main thread starts a thread of
    the pool leaves that thread without work and without an end, and the command waits for it.
    """
    if urls is None:
        return ()
    import apprise

    asset = apprise.AppriseAsset(
        app_id="MétéoScore",
        app_desc="MétéoScore",
        async_mode=False,
        service_timeout=DELIVERY_SECONDS if in_pool else 0,
    )
    targets = []
    for number, address in enumerate(address_list(urls.get_secret_value()), 1):
        plugin = apprise.Apprise.instantiate(address, asset=asset, suppress_exceptions=True)
        if plugin is None:
            scheme = address.partition("://")[0]
            raise ConfigError(
                f"ALERT_URLS=(secret): Apprise cannot use address {number} ({scheme}://...): see"
                " https://appriseit.com/services/ for its form"
            )
        identity = sha256(address.encode()).hexdigest()[:32]
        # Only the scheme and the number: Apprise's own short form keeps a part of some keys.
        targets.append(Target(number, identity, f"{number} ({address.partition('://')[0]})", plugin))
    return tuple(targets)


def deliver(target: Target, message: Message) -> str:
    """Send a message. Blocks for seconds. Returns why it was not delivered; empty if it was."""
    import apprise

    sender = apprise.Apprise()
    sender.add(target.plugin)
    kind = apprise.NotifyType.SUCCESS if message.good else apprise.NotifyType.WARNING
    capture: Any = apprise.LogCapture  # it has no types
    with capture(level=logging.WARNING, fmt="%(message)s") as captured:
        delivered = sender.notify(body=message.body, title=message.title, notify_type=kind)
        reason = captured.getvalue() if captured is not None else ""
    if delivered:
        return ""
    return one_line(reason, _LONGEST_REASON) or "Apprise did not deliver it, and gave no reason"
