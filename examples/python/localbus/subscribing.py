"""A subscriber's side of a connection: which subscriptions it has, and what arrives for each."""

from __future__ import annotations

from typing import Any, Dict, Optional

from . import wire
from .errors import BadName, FrameError, Refused, reason_name
from .layouts import EXCLUSIVE, LAST, RESPONDS
from .link import Link
from .names import decode_topic, encode_filter, encode_group
from .subscription import OVERFLOWS, Ended, KeyRing, Subscription


class Subscribing(Link):
    """Hands each subscription what is its own."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        self._ring = KeyRing()
        self._subscriptions: Dict[int, Subscription] = {}
        super().__init__(*arguments, **options)

    def subscribe(
        self, filter: str, overflow: str = "drop-oldest", *, group: Optional[str] = None, exclusive: bool = False,
        responds: bool = False, last: bool = False, stall_milliseconds: int = 0, queue_event_count: int = 0,
        queue_length: int = 0, credit_events: int = 1024, credit_bytes: int = 4 << 20, timeout: Optional[float] = 10,
    ) -> Subscription:
        number = next(self._numbers)
        subscription = Subscription(self, number, filter, group, credit_events, credit_bytes)
        self._subscriptions[number] = subscription
        mode = (EXCLUSIVE if exclusive else 0) | (RESPONDS if responds else 0) | (LAST if last else 0)
        try:
            self.call(
                "subscribe", number, timeout, subscription=number, overflow=OVERFLOWS[overflow],
                stall_milliseconds=stall_milliseconds, queue_event_count=queue_event_count, queue_length=queue_length,
                credit_events=credit_events, credit_bytes=credit_bytes, filter=encode_filter(filter),
                group=encode_group(group) if group else None, mode=mode or None,
            )
        except (Refused, BadName):
            del self._subscriptions[number]
            raise
        return subscription

    # What arrives

    def _on_subscribed(self, frame: wire.Frame) -> None:
        self._subscription(frame)
        self._answers["subscribe", frame["subscription"]] = frame

    def _on_unsubscribed(self, frame: wire.Frame) -> None:
        ended = Ended(reason_name(frame["reason"]), frame["delivered"], frame["missed"])
        self._subscription(frame).ended = ended
        del self._subscriptions[frame["subscription"]]

    def _on_refusal(self, frame: str, number: int, refused: Refused) -> None:
        if frame not in ("credit", "acknowledge", "unsubscribe"):
            super()._on_refusal(frame, number, refused)
        elif number in self._subscriptions:  # otherwise it crossed an `unsubscribed`
            self._subscriptions[number].put_refusal(refused)

    def _on_announce(self, frame: wire.Frame) -> None:
        decode_topic(frame["topic"])
        self._ring.announce(frame)

    def _on_grant(self, frame: wire.Frame) -> None:
        self._ring.grant(frame["topic"], frame["epoch"], self._grants.open_topic(frame))

    def _on_deliver(self, frame: wire.Frame) -> None:
        self._subscription(frame).put_delivery(frame, self._ring)

    def _on_gap(self, frame: wire.Frame) -> None:
        self._subscription(frame).put_gap(frame)

    def _on_caughtUp(self, frame: wire.Frame) -> None:
        self._subscription(frame).put_caught_up(frame)

    def _subscription(self, frame: wire.Frame) -> Subscription:
        number = frame["subscription"]
        if number not in self._subscriptions:
            raise FrameError(f"{frame.name} for subscription {number}", "unexpected-frame")
        return self._subscriptions[number]
