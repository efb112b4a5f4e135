"""The watch: at intervals, and after each run, it stores what changed and sends the messages about it.

It works beside the collections, in threads of its own, and no error of it reaches them.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from datetime import datetime, time, timedelta
from functools import cached_property

import structlog
from pydantic import SecretStr

from backend.alerts.subjects import current_subjects
from backend.alerts.targets import Target, deliver, targets_of
from backend.alerts.texts import change_text, digest_text, store_back_text, store_text
from backend.answers.readiness import is_blocking, reasons, schedule_state, take_snapshot
from backend.answers.service import ServiceParts
from backend.core.daemon_thread import in_daemon_thread
from backend.core.errors import ConfigError, MeteoScoreError, StoreUnavailableError
from backend.storage.alerts import AlertStore, AlertSubject, Message, OpenAlert

log = structlog.get_logger()

EVERY = timedelta(minutes=5)
"""Interval of the rounds. The end of a run starts a round at once."""

WHILE_THE_STORE_IS_AWAY = timedelta(minutes=1)

ROUND_SECONDS = 120.0
"""Time after which a round is left to its thread: an address may hold a connection for long."""

TURN_SECONDS = 900.0
"""How long a process without a sign of life stays the one that watches: three intervals."""

FAILED_ROUNDS = 2
"""Number of rounds in a row without the store from which it is reported: a short restart is no problem."""


class AlertWatch:
    """The watch of one process. Without targets it does nothing."""

    def __init__(
        self,
        urls: SecretStr | None,
        *,
        after: int,
        digest_hour: int | None,
        page: str = "",
        every: timedelta = EVERY,
        send: Callable[[Target, Message], str] = deliver,
    ) -> None:
        """`urls` are the addresses of ALERT_URLS, and `after` is the number of failures in a row from which a
        problem is reported. `digest_hour` is the hour (UTC) of a daily message about open problems; None: no
        such message. `page` is a line at the end of each message.
        """
        self._urls = urls
        self.after = after
        self.digest_hour = digest_hour
        self.page = page
        self._every = every
        self._send = send
        self._loop: asyncio.AbstractEventLoop | None = None
        self._wanted = asyncio.Event()
        self._without_store = 0
        self._has_turn: bool | None = None  # as the store last answered; None before its first answer
        self._store_reported: set[str] = set()  # targets that have the message about the store

    @cached_property
    def targets(self) -> tuple[Target, ...]:
        """Return the addresses. Raises ConfigError for one that Apprise cannot use."""
        return targets_of(self._urls)

    def wake(self) -> None:
        """Start a round soon. May be called from any thread."""
        if self._loop is not None:
            self._loop.call_soon_threadsafe(self._wanted.set)

    async def forever(self, service: ServiceParts) -> None:
        """Watch until cancelled."""
        if not self.targets:
            return
        self._loop = asyncio.get_running_loop()
        alerts = AlertStore(service.database)
        while True:
            self._wanted.clear()
            try:
                async with asyncio.timeout(ROUND_SECONDS):
                    await in_daemon_thread("alerts", lambda: self.round(service, alerts, in_service=True))
            except TimeoutError:
                log.warning("alerts delayed: an address did not answer in time", seconds=ROUND_SECONDS)
            except MeteoScoreError as error:
                log.warning("alerts not evaluated", reason=str(error))
            wait = WHILE_THE_STORE_IS_AWAY if self._without_store else self._every
            try:
                async with asyncio.timeout(min(wait, self._every).total_seconds()):
                    await self._wanted.wait()
            except TimeoutError:
                pass

    def round(self, service: ServiceParts, alerts: AlertStore, *, in_service: bool) -> int:
        """Store what changed since the last round, and send what is due; return how many were not delivered.

        Blocks for up to minutes. A store that cannot be used is reported here, and is no error.
        """
        try:
            service.database.require_current()
            undelivered = self._evaluate(service, alerts, in_service=in_service)
        except (ConfigError, StoreUnavailableError) as error:
            self._without_store += 1
            if self._without_store == 1:  # not again every minute of an outage
                log.warning("alerts not evaluated: the store cannot be used", reason=str(error))
            if self._without_store >= FAILED_ROUNDS:
                self._report_the_store(service)
            return 0
        self._without_store = 0
        for target in [target for target in self.targets if target.id in self._store_reported]:
            if self._deliver(target, store_back_text(self.page)):
                self._store_reported.discard(target.id)
        return undelivered

    def _evaluate(self, service: ServiceParts, alerts: AlertStore, *, in_service: bool) -> int:
        # A worker does not check the store, so that it leaves the turn to the process with the schedule.
        leaves = service.config.meteo_score_role == "worker" and schedule_state(service) == "running"
        self._has_turn = not leaves and alerts.take_turn(TURN_SECONDS)
        if not self._has_turn:
            return 0
        now = service.clock()
        subjects, undetermined = current_subjects(service, alerts, in_service=in_service)
        ids = {target.id: target for target in self.targets}

        def change(worse: Sequence[AlertSubject], over: Sequence[OpenAlert]) -> Message:
            return change_text(worse, over, self.page)

        worse, over = alerts.change(
            now, subjects, undetermined=undetermined, after=self.after, targets=ids, text=change
        )
        if worse or over:
            log.info("alert", problems=[one.key for one in worse], over=[one.key for one in over])
        if (since := _digest_time(now, self.digest_hour)) is not None:
            alerts.add_digest(now, since, ids, lambda open_ones: digest_text(open_ones, self.page))
        undelivered = 0
        while (queued := alerts.claim_due(service.clock(), ids)) is not None:
            delivered = self._deliver(ids[queued.target], queued.message)
            undelivered += not delivered
            alerts.note_delivery(queued, service.clock(), delivered=delivered)
        return undelivered

    def _report_the_store(self, service: ServiceParts) -> None:
        """Send the message about the store itself, once to each target: it cannot be queued.

        Of several processes the one sends it that watched when the store last answered; before its first
        answer, the one with the schedule.
        """
        watches = self._has_turn
        if watches is None:
            watches = service.config.meteo_score_role in {"all", "scheduler"}
        if not watches:
            return
        blocking = [
            reason.sentence.rstrip(".") for reason in reasons(take_snapshot(service)) if is_blocking(reason)
        ]
        message = store_text("; ".join(blocking) or "It takes no writes", self.page)
        for target in self.targets:
            if target.id not in self._store_reported and self._deliver(target, message):
                self._store_reported.add(target.id)

    def _deliver(self, target: Target, message: Message) -> bool:
        reason = self._send(target, message)
        if reason:
            log.warning("alert not delivered", address=target.shown, reason=reason)
        return not reason


def _digest_time(now: datetime, hour: int | None) -> datetime | None:
    """Return the last time of the daily message up to `now`; None if there is none."""
    if hour is None:
        return None
    today = datetime.combine(now.date(), time(hour), now.tzinfo)
    return today if today <= now else today - timedelta(days=1)
