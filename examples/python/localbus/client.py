"""A connection that blocks: one socket, one thread, and a turn of the loop whenever somebody waits for something.

Whatever is waited for, every frame that arrives is handled, so that a reader of receipts never leaves deliveries
behind. The client keeps to the publish window, never uses a counter twice, and trusts nobody it hasn't checked.
"""

from __future__ import annotations

import itertools
import os
import secrets
import select
import socket
import time
from collections import deque
from dataclasses import replace
from typing import Any, Callable, Deque, Dict, List, Optional, Sequence, Tuple, Union

from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from . import crypto, wire
from .batch import Event
from .ids import IdSource
from .seal import Seal, fits, in_batches
from .subscription import OVERFLOWS, Ended, KeyRing, Refused, Subscription
from .transport import open_socket

RECEIVE_LENGTH = 256 * 1024
INSPECT_STATUS = 1
SEAL_ENDING_REASONS = ("stale-epoch", "counter-out-of-order", "malformed-batch")


class Closed(Exception):
    """The connection is over; whatever has no receipt is unknown."""

    def __init__(self, reason: str, message: Optional[str] = None) -> None:
        self.reason = reason
        super().__init__(f"{reason}: {message}" if message else reason)


class TimedOut(Exception):
    """What was waited for didn't come in time; the connection goes on."""


def connect(
    path: Optional[str] = None, name: Optional[str] = None, bus_uid: Optional[int] = None, timeout: float = 10
) -> Client:
    """Says hello to the bus at `path`, once it is sure whose it is."""
    sock = open_socket(path, bus_uid, timeout)
    try:
        return Client(sock, name, timeout)
    except BaseException:
        sock.close()
        raise


class Client:
    """One session, over a socket whose other end has been checked."""

    def __init__(self, sock: Any, name: Optional[str] = None, timeout: Optional[float] = 10) -> None:
        sock.setblocking(False)
        self._socket = sock
        self._poll = select.poll()
        self._reader = wire.FrameReader()
        self._outgoing = bytearray()
        self._end: Optional[Closed] = None
        self._pid = os.getpid()

        self._numbers = itertools.count(1)
        self._answers: Dict[Tuple[str, int], Union[wire.Frame, Seal, Refused]] = {}
        self._opening: Dict[int, str] = {}

        self._ids = IdSource()
        self._seals: Dict[str, Seal] = {}
        self._publish_number = 0
        self._progress = 0
        self._unsettled: Deque[Tuple[int, int]] = deque()
        self._receipts: Dict[int, wire.Receipt] = {}

        self._ring = KeyRing()
        self._subscriptions: Dict[int, Subscription] = {}

        self.welcome: Optional[wire.Frame] = None
        self._private = X25519PrivateKey.generate()
        public = self._private.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)
        self._hello = self.send(
            "hello", magic=wire.MAGIC, oldest=wire.VERSION, newest=wire.VERSION, public_key=public,
            nonce=secrets.token_bytes(32), name=name,
        )
        self.run_until(lambda: self.welcome, timeout)

    def __enter__(self) -> Client:
        return self

    def __exit__(self, *_: Any) -> None:
        self.close()

    def close(self, timeout: float = 5) -> None:
        """Says goodbye, lets the daemon write what it owes, and closes."""
        try:
            if self._end is None:
                self.send("goodbye")
                self.run_until(lambda: False, timeout)
        except (Closed, TimedOut):
            pass
        self._socket.close()

    # Publishing

    def publish(self, topic: str, *payloads: Union[bytes, Event], timeout: Optional[float] = 10) -> wire.Receipt:
        """One batch of one or many events; the receipt, or `Refused`."""
        events = self._stamped(payloads)
        return self._settle(events, *self._publish_one(topic, events, timeout), timeout)

    def publish_all(
        self, topic: str, payloads: Sequence[Union[bytes, Event]], timeout: Optional[float] = 10
    ) -> List[wire.Receipt]:
        """As many batches as it takes, under way together as far as the window goes."""
        events = self._stamped(payloads)
        batches = list(in_batches(events, self._seal_of(topic, timeout)))
        sent = [(batch, *self._publish_one(topic, batch, timeout)) for batch in batches]
        return [self._settle(batch, seal, number, timeout) for batch, seal, number in sent]

    def open_seal(self, topic: str, salt: Optional[bytes] = None, timeout: Optional[float] = 10) -> Seal:
        """A new seal with a new salt. Giving the salt is for tests of its refusal."""
        request = next(self._numbers)
        self._opening[request] = topic
        salt = secrets.token_bytes(crypto.SALT_LENGTH) if salt is None else salt
        return self._ask("openSeal", request, timeout, request=request, salt=salt, topic=wire.encode_topic(topic))

    def send_batch(self, batch: bytes, timeout: Optional[float] = 10) -> int:
        """Sends a sealed batch when the window has room for it; the publish number."""
        frame_length = 16 + len(batch)
        if frame_length > self.welcome["frame_length_max"]:
            raise wire.BatchError(f"a frame of {frame_length} bytes", "payload-too-large")
        self.run_until(lambda: self._has_room(frame_length), timeout)
        self._publish_number += 1
        self._unsettled.append((self._publish_number, frame_length))
        self.send("publish", wire.FLAG_WANTS_RECEIPT, batch, number=self._publish_number)
        return self._publish_number

    def receipt(self, number: int, timeout: Optional[float] = 10) -> wire.Receipt:
        self.run_until(lambda: number <= self._progress, timeout)
        refused = self._answers.pop(("publish", number), None)
        if refused is not None:
            raise refused
        if number not in self._receipts:
            raise wire.FrameError(f"progress covers publish {number}, but its receipt didn't come")
        return self._receipts.pop(number)

    def _stamped(self, payloads: Sequence[Union[bytes, Event]]) -> List[Event]:
        """Events with ids that count up and the publisher's time, where the caller gave none."""
        now = time.time_ns() // 1000
        events = [p if isinstance(p, Event) else Event(bytes(p)) for p in payloads]
        return [
            replace(event, id=event.id or id, time=now if event.time is None else event.time)
            for event, id in zip(events, self._ids.take(len(events)))
        ]

    def _seal_of(self, topic: str, timeout: Optional[float]) -> Seal:
        if os.getpid() != self._pid:
            raise RuntimeError("a connection and its counters don't survive fork()")
        seal = self._seals.get(topic)
        if seal is not None and seal.is_spent:
            self._retire(seal)
        if topic not in self._seals:
            self._seals[topic] = self.open_seal(topic, timeout=timeout)
        return self._seals[topic]

    def _retire(self, seal: Seal) -> None:
        if self._seals.get(seal.topic) is seal:
            del self._seals[seal.topic]
            self.send("closeSeal", seal=seal.number)

    def _publish_one(self, topic: str, events: Sequence[Event], timeout: Optional[float]) -> Tuple[Seal, int]:
        seal = self._seal_of(topic, timeout)
        longest = max((len(event.payload) for event in events), default=0)
        if longest > self.welcome["payload_length_max"]:
            raise wire.BatchError(f"a payload of {longest} bytes", "payload-too-large")
        if not fits(events, seal):
            raise wire.BatchError(f"{len(events)} events are more than a batch")
        return seal, self.send_batch(seal.seal(events), timeout)

    def _settle(self, events: Sequence[Event], seal: Seal, number: int, timeout: Optional[float]) -> wire.Receipt:
        """Waits for the receipt. After a stale epoch the same events are sent again under a new seal, once."""
        try:
            return self.receipt(number, timeout)
        except Refused as refused:
            if refused.reason in SEAL_ENDING_REASONS:
                self._retire(seal)
            if refused.reason != "stale-epoch":
                raise
        _, number = self._publish_one(seal.topic, events, timeout)
        return self.receipt(number, timeout)

    def _has_room(self, length: int) -> bool:
        under_way = sum(length for _, length in self._unsettled)
        return under_way == 0 or under_way + length <= self.welcome["publish_window"]

    # Subscribing and asking

    def subscribe(
        self, filter: str, overflow: str = "drop-oldest", *, stall_milliseconds: int = 0, queue_event_count: int = 0,
        queue_length: int = 0, credit_events: int = 1024, credit_bytes: int = 4 << 20, timeout: Optional[float] = 10,
    ) -> Subscription:
        number = next(self._numbers)
        subscription = Subscription(self, number, filter, credit_events, credit_bytes)
        self._subscriptions[number] = subscription
        try:
            self._ask(
                "subscribe", number, timeout, subscription=number, overflow=OVERFLOWS[overflow],
                stall_milliseconds=stall_milliseconds, queue_event_count=queue_event_count, queue_length=queue_length,
                credit_events=credit_events, credit_bytes=credit_bytes, filter=wire.encode_filter(filter),
            )
        except Refused:
            del self._subscriptions[number]
            raise
        return subscription

    def status(self, timeout: Optional[float] = 10) -> Dict[str, Any]:
        """The daemon's own numbers, by name."""
        request = next(self._numbers)
        rows = wire.decode_rows(self._ask("inspect", request, timeout, request=request, kind=INSPECT_STATUS).rest)
        return rows[0] if rows else {}

    def _ask(self, name: str, number: int, timeout: Optional[float], **values: Any) -> Any:
        self.send(name, **values)
        self.run_until(lambda: (name, number) in self._answers, timeout)
        answer = self._answers.pop((name, number))
        if isinstance(answer, Refused):
            raise answer
        return answer

    # The loop

    def send(self, frame: str, flags: int = 0, rest: bytes = b"", **values: Any) -> bytes:
        """Encodes a frame and writes what the socket takes at once; the loop writes the rest."""
        raw = wire.encode(frame, flags, rest, **values)
        self.send_raw(raw)
        return raw

    def send_raw(self, raw: bytes) -> None:
        self._outgoing += raw
        self._write()

    def run_until(self, done: Callable[[], Any], timeout: Optional[float] = None) -> None:
        """Turns the loop until `done()`. What has arrived counts, even if the connection is over."""
        deadline = None if timeout is None else time.monotonic() + timeout
        while not done():
            if self._end is not None:
                raise self._end
            self._turn(deadline)

    def _turn(self, deadline: Optional[float]) -> None:
        self._poll.register(self._socket, select.POLLIN | (select.POLLOUT if self._outgoing else 0))
        left = None if deadline is None else max(0.0, deadline - time.monotonic()) * 1000
        ready = self._poll.poll(left)
        if not ready:
            raise TimedOut("no answer in time")
        if ready[0][1] & select.POLLOUT:
            self._write()
        if ready[0][1] & ~select.POLLOUT:
            self._read()

    def _write(self) -> None:
        try:
            while self._outgoing:
                del self._outgoing[:self._socket.send(self._outgoing)]
        except BlockingIOError:
            pass
        except (BrokenPipeError, ConnectionResetError):
            self._outgoing.clear()  # what the daemon said before it closed is still to be read

    def _read(self) -> None:
        try:
            data = self._socket.recv(RECEIVE_LENGTH)
        except BlockingIOError:
            return
        except ConnectionResetError:
            data = b""
        if not data:
            self._end = Closed("peer-closed")
        self._reader.feed(data)
        try:
            for raw in iter(self._reader.next, None):
                self._receive(raw)
        except wire.WireError as error:
            self._end = Closed(error.reason, f"the daemon broke the protocol: {error}")
            self._socket.shutdown(socket.SHUT_RDWR)

    # What arrives

    def _receive(self, raw: bytes) -> None:
        frame = wire.decode(raw, wire.DAEMON)
        if frame is None:
            return
        is_beginning = frame.name in ("welcome", "error", "closing")
        if frame.name == "welcome" if self.welcome else not is_beginning:
            raise wire.FrameError(frame.name, "unexpected-frame")
        if frame.name == "welcome":
            self._on_welcome(frame, raw)
        else:
            getattr(self, "_on_" + frame.name)(frame)

    def _on_welcome(self, frame: wire.Frame, raw: bytes) -> None:
        if frame["magic"] != wire.MAGIC or frame["version"] != wire.VERSION:
            raise wire.FrameError(f"welcome to version {frame['version']}", "unsupported-version")
        keys = crypto.connection_keys(self._private, frame["public_key"], self._hello, raw)
        self._grants = crypto.GrantOpener(keys.server_to_client)
        self._reader.length_max = frame["frame_length_max"] + wire.DELIVER_OVERHEAD_MAX
        self.welcome = frame

    def _on_error(self, frame: wire.Frame) -> None:
        reason = wire.reason_name(frame["reason"])
        if frame["fatal"]:
            self._end = self._end or Closed(reason, frame["message"])
            return
        refused = Refused(reason, frame["message"])
        layout = wire.BY_TYPE.get(frame["in_reply_to"])
        name = layout.name if layout else ""
        if name in ("credit", "acknowledge", "unsubscribe"):
            if frame["request"] in self._subscriptions:  # otherwise it crossed an `unsubscribed`
                self._subscriptions[frame["request"]].put_refusal(refused)
        else:
            self._answers[name, frame["request"]] = refused

    def _on_closing(self, frame: wire.Frame) -> None:
        self._end = self._end or Closed(wire.reason_name(frame["reason"]), frame["message"])

    def _on_sealOpened(self, frame: wire.Frame) -> None:
        topic = self._opening.pop(frame["request"], None)
        if topic is None:
            raise wire.FrameError(f"sealOpened for request {frame['request']}", "unexpected-frame")
        keys = self._grants.open_seal(frame, topic.encode())
        self._answers["openSeal", frame["request"]] = Seal(
            topic, frame["seal"], keys, frame["batch_length_max"], frame["batch_event_count_max"]
        )

    def _on_receipts(self, frame: wire.Frame) -> None:
        for receipt in wire.decode_receipts(frame):
            self._receipts[receipt.number] = receipt
        self._progress = frame["progress"]
        while self._unsettled and self._unsettled[0][0] <= self._progress:
            self._unsettled.popleft()

    def _on_subscribed(self, frame: wire.Frame) -> None:
        self._answers["subscribe", frame["subscription"]] = frame

    def _on_unsubscribed(self, frame: wire.Frame) -> None:
        ended = Ended(wire.reason_name(frame["reason"]), frame["delivered"], frame["missed"])
        self._subscription(frame).ended = ended
        del self._subscriptions[frame["subscription"]]

    def _on_announce(self, frame: wire.Frame) -> None:
        self._ring.announce(frame)

    def _on_grant(self, frame: wire.Frame) -> None:
        self._ring.grant(frame["topic"], frame["epoch"], self._grants.open_topic(frame))

    def _on_deliver(self, frame: wire.Frame) -> None:
        self._subscription(frame).put_delivery(frame, self._ring)

    def _on_gap(self, frame: wire.Frame) -> None:
        self._subscription(frame).put_gap(frame)

    def _on_inspected(self, frame: wire.Frame) -> None:
        self._answers["inspect", frame["request"]] = frame

    def _subscription(self, frame: wire.Frame) -> Subscription:
        number = frame["subscription"]
        if number not in self._subscriptions:
            raise wire.FrameError(f"{frame.name} for subscription {number}", "unexpected-frame")
        return self._subscriptions[number]
