"""A publisher's side of a connection: seals, batches under way, receipts, and the event left behind as a will."""

from __future__ import annotations

import os
import secrets
import time
from collections import deque
from dataclasses import replace
from typing import Any, Deque, Dict, List, Optional, Sequence, Set, Tuple, Union

from . import crypto, wire
from .batch import Event
from .errors import BatchError, FrameError, Refused
from .ids import IdSource
from .layouts import RECEIPT, RETAIN, TOMBSTONE
from .link import Link
from .names import encode_topic
from .receipts import Receipt, decode_receipts
from .seal import RETAINED_LENGTH_MAX, Seal, batch_length, first_batch, fits

SEAL_ENDING_REASONS = ("stale-epoch", "counter-out-of-order", "malformed-batch", "unknown-seal")
WILL_LENGTH_MAX = 64 << 10

Payload = Union[bytes, Event]


class Publishing(Link):
    """Keeps to the publish window, and never uses a counter twice."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        self._pid = os.getpid()
        self._ids = IdSource()
        self._seals: Dict[str, Seal] = {}
        self._opening: Dict[int, str] = {}
        self._wills: Set[int] = set()
        self._publish_number = 0
        self._progress = 0
        self._unsettled: Deque[Tuple[int, int]] = deque()
        self._receipts: Dict[int, Receipt] = {}
        super().__init__(*arguments, **options)

    def publish(
        self, topic: str, *payloads: Payload, retain: bool = False, timeout: Optional[float] = 10
    ) -> Receipt:
        """One batch of one or many events; the receipt, or `Refused`. To retain is to keep the last of them."""
        events = self.stamped(payloads)
        return self._settle(events, *self.publish_one(topic, events, retain_flags(events, retain), timeout), timeout)

    def publish_later(
        self, topic: str, payload: Payload, due: int, retain: bool = False, timeout: Optional[float] = 10
    ) -> Receipt:
        """Leaves one event on a durable topic, to be published at a time: microseconds since 1970."""
        events = self.stamped([payload])
        flags = retain_flags(events, retain)
        return self._settle(events, *self.publish_one(topic, events, flags, timeout, due), timeout, due)

    def publish_all(
        self, topic: str, payloads: Sequence[Payload], timeout: Optional[float] = 10
    ) -> List[Receipt]:
        """As many batches as it takes, under way together as far as the window goes."""
        events = self.stamped(payloads)
        sent = []
        while events:
            batch = first_batch(events, self.seal_of(topic, timeout))  # whose bounds may change meanwhile
            events = events[len(batch):]
            sent.append((batch, *self.publish_one(topic, batch, retain_flags(batch, False), timeout)))
        return [self._settle(batch, seal, number, flags, timeout) for batch, seal, number, flags in sent]

    def leave_will(
        self, topic: str, payload: Payload, retain: bool = False, timeout: Optional[float] = 10
    ) -> None:
        """What the daemon publishes when this session is gone without goodbye; it takes the place of the one before."""
        events = self.stamped([payload])
        length = batch_length(events)
        if length > WILL_LENGTH_MAX:  # before a counter is used for it
            raise BatchError(f"a will of {length} bytes", "will-too-large")
        self.send_will(self.seal_of(topic, timeout).seal(events), retain_flags(events, retain), timeout)

    def take_will_back(self, timeout: Optional[float] = 10) -> None:
        self.send_will(b"", 0, timeout)

    def send_will(self, batch: bytes, flags: int, timeout: Optional[float] = 10) -> None:
        request = next(self._numbers)
        self._wills.add(request)
        self.call("will", request, timeout, flags, batch, request=request)

    def open_seal(self, topic: str, salt: Optional[bytes] = None, timeout: Optional[float] = 10) -> Seal:
        """A new seal with a new salt. Giving the salt is for tests of its refusal."""
        request = next(self._numbers)
        self._opening[request] = topic
        salt = secrets.token_bytes(crypto.SALT_LENGTH) if salt is None else salt
        return self.call("openSeal", request, timeout, request=request, salt=salt, topic=encode_topic(topic))

    def send_batch(
        self, batch: bytes, flags: int = RECEIPT, timeout: Optional[float] = 10, due: Optional[int] = None
    ) -> int:
        """Sends a sealed batch when the window has room for it; the publish number."""
        frame_length = (16 if due is None else 24) + len(batch)
        if frame_length > self.welcome["frame_length_max"]:
            raise BatchError(f"a frame of {frame_length} bytes", "payload-too-large")
        self.run_until(lambda: self._has_room(frame_length), timeout)
        self._publish_number += 1
        self._unsettled.append((self._publish_number, frame_length))
        if due is None:
            self.send("publish", flags, batch, number=self._publish_number)
        else:
            self.send("publishLater", flags, batch, number=self._publish_number, due=due)
        return self._publish_number

    def receipt(self, number: int, timeout: Optional[float] = 10) -> Receipt:
        self.run_until(lambda: number <= self._progress, timeout)
        refused = self._answers.pop(("publish", number), None)
        if refused is not None:
            raise refused
        if number not in self._receipts:
            raise FrameError(f"progress covers publish {number}, but its receipt didn't come")
        return self._receipts.pop(number)

    def stamped(self, payloads: Sequence[Payload]) -> List[Event]:
        """Events with ids that count up and the publisher's time, where the caller gave none."""
        now = time.time_ns() // 1000
        events = [p if isinstance(p, Event) else Event(bytes(p)) for p in payloads]
        return [
            replace(event, id=event.id or id, time=now if event.time is None else event.time)
            for event, id in zip(events, self._ids.take(len(events)))
        ]

    def seal_of(self, topic: str, timeout: Optional[float]) -> Seal:
        if os.getpid() != self._pid:
            raise RuntimeError("a connection and its counters don't survive fork()")
        seal = self._seals.get(topic)
        if seal is not None and seal.is_spent:
            self.retire(seal)
        if topic not in self._seals:
            self._seals[topic] = self.open_seal(topic, timeout=timeout)
        return self._seals[topic]

    def retire(self, seal: Seal) -> None:
        if self._seals.get(seal.topic) is seal:
            del self._seals[seal.topic]
            self.send("closeSeal", seal=seal.number)

    def publish_one(
        self, topic: str, events: Sequence[Event], flags: int, timeout: Optional[float], due: Optional[int] = None
    ) -> Tuple[Seal, int, int]:
        seal = self.seal_of(topic, timeout)
        longest = max((len(event.payload) for event in events), default=0)
        if longest > (seal.payload_length_max or self.welcome["payload_length_max"]):
            raise BatchError(f"a payload of {longest} bytes", "payload-too-large")
        if not fits(events, seal, RETAINED_LENGTH_MAX if flags & RETAIN else seal.batch_length_max):
            raise BatchError(f"{len(events)} events are more than a batch")
        return seal, self.send_batch(seal.seal(events), flags, timeout, due), flags

    def _settle(
        self, events: Sequence[Event], seal: Seal, number: int, flags: int, timeout: Optional[float],
        due: Optional[int] = None,
    ) -> Receipt:
        """Waits for the receipt. After a stale epoch the same events are sent again under a new seal, once."""
        try:
            return self.receipt(number, timeout)
        except Refused as refused:
            if refused.reason in SEAL_ENDING_REASONS:
                self.retire(seal)
            if refused.reason != "stale-epoch":
                raise
        _, number, _ = self.publish_one(seal.topic, events, flags, timeout, due)
        return self.receipt(number, timeout)

    def _has_room(self, length: int) -> bool:
        under_way = sum(length for _, length in self._unsettled)
        return under_way == 0 or under_way + length <= self.welcome["publish_window"]

    # What arrives

    def _on_sealOpened(self, frame: wire.Frame) -> None:
        topic = self._opening.pop(frame["request"], None)
        if topic is None:
            raise FrameError(f"sealOpened for request {frame['request']}", "unexpected-frame")
        keys = self._grants.open_seal(frame, topic.encode())
        self._answers["openSeal", frame["request"]] = Seal(
            topic, frame["seal"], keys, frame["batch_length_max"], frame["batch_event_count_max"],
            frame["payload_limit"] or 0,
        )

    def _on_sealLimits(self, frame: wire.Frame) -> None:
        for seal in self._seals.values():
            if seal.number == frame["seal"]:  # otherwise it crossed a `closeSeal`
                seal.batch_length_max = frame["batch_length_max"]
                seal.batch_event_count_max = frame["batch_event_count_max"]
                seal.payload_length_max = frame["payload_limit"] or 0

    def _on_receipts(self, frame: wire.Frame) -> None:
        for receipt in decode_receipts(frame):
            self._receipts[receipt.number] = receipt
        if frame["progress"] > self._publish_number:
            raise FrameError(f"progress {frame['progress']} of {self._publish_number}", "unexpected-frame")
        self._progress = frame["progress"]
        while self._unsettled and self._unsettled[0][0] <= self._progress:
            self._unsettled.popleft()

    def _on_done(self, frame: wire.Frame) -> None:
        if frame["request"] not in self._wills:
            raise FrameError(f"done for request {frame['request']}", "unexpected-frame")
        self._wills.discard(frame["request"])
        self._answers["will", frame["request"]] = frame


def retain_flags(events: Sequence[Event], retain: bool) -> int:
    """The publish flags that follow from the last event: only the publisher can see that it is empty."""
    is_empty = bool(events) and not events[-1].payload
    return RECEIPT | (RETAIN if retain else 0) | (TOMBSTONE if is_empty else 0)
