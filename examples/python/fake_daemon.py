"""A daemon of one connection on a socket pair: enough of the other side to test the client without a bus."""

from __future__ import annotations

import contextlib
import itertools
import secrets
import socket
import threading
from typing import Any, Dict, List, Optional, Sequence, Set, Tuple

from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from localbus import crypto, wire
from localbus.batch import Event, decode_batch
from localbus.layouts import CLIENT, FORGET_EARLIER
from localbus.receipts import ENTRY
from localbus.rows import encode_rows

EPOCH = 3
TIME = 1_700_000_000_000_250
LIFE = 77
STALE_EPOCH, COUNTER_OUT_OF_ORDER = 25, 26


class FakeDaemon(threading.Thread):
    """Sends what is published back to every subscription, whatever its filter and credit.

    Over a socket pair, whose other end is `client_end`; or over a socket that somebody accepted.
    """

    def __init__(
        self, window: int = 4 << 20, batch_event_count_max: int = 4096, accepted: Optional[socket.socket] = None
    ) -> None:
        super().__init__(daemon=True)
        self.client_end, self._socket = (None, accepted) if accepted else socket.socketpair()
        self.window = window
        self.batch_event_count_max = batch_event_count_max
        self.namespace_secret = secrets.token_bytes(32)
        self.stale_seals: Set[int] = set()
        self.tampers = False
        self.received: List[wire.Frame] = []
        self._seal_numbers = itertools.count(1)
        self._seals: Dict[int, Dict[str, Any]] = {}
        self._deliveries: Dict[int, int] = {}
        self.sequence = 1
        self._grant_counter = 0
        self.start()

    def run(self) -> None:
        with self._socket, contextlib.suppress(ConnectionError):
            reader = wire.FrameReader(8 << 20)
            for data in iter(lambda: self._socket.recv(1 << 16), b""):
                reader.feed(data)
                for raw in iter(reader.next, None):
                    frame = wire.decode(raw, CLIENT)
                    self.received.append(frame)
                    if frame.name == "goodbye":
                        return
                    if frame.name == "hello":
                        self._hello(frame, raw)
                    else:
                        getattr(self, "_" + frame.name)(frame)

    def count(self, name: str) -> int:
        return sum(frame.name == name for frame in self.received)

    def send(self, frame: str, flags: int = 0, rest: bytes = b"", **values: Any) -> bytes:
        raw = wire.encode(frame, flags, rest, **values)
        self._socket.sendall(raw)
        return raw

    def _hello(self, hello: wire.Frame, raw: bytes) -> None:
        private = X25519PrivateKey.generate()
        public = private.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)
        welcome = self.send(
            "welcome", magic=wire.MAGIC, version=1, public_key=public, nonce=secrets.token_bytes(32),
            incarnation=secrets.token_bytes(16), session=1, frame_length_max=(3 << 20) // 2,
            payload_length_max=1 << 20, publish_window=self.window,
        )
        keys = crypto.connection_keys(private, hello["public_key"], raw, welcome)
        self._cipher = AESGCM(keys.server_to_client)

    def _grant(self, plaintext: bytes, aad: bytes) -> Dict[str, Any]:
        counter, self._grant_counter = self._grant_counter, self._grant_counter + 1
        grant = self._cipher.encrypt(crypto.grant_nonce(1, counter), plaintext, aad)
        return {"grant_incarnation": 1, "counter": counter, "grant": grant}

    def _openSeal(self, frame: wire.Frame) -> None:
        topic = frame["topic"]
        number, keys = self._new_seal(topic, frame["salt"])
        self.send(
            "sealOpened", request=frame["request"], epoch=EPOCH, seal=number, batch_length_max=256 << 10,
            batch_event_count_max=self.batch_event_count_max,
            **self._grant(keys.joined(), crypto.seal_grant_aad(topic, EPOCH, number)),
        )

    def _new_seal(self, topic: bytes, salt: bytes) -> Tuple[int, crypto.SealKeys]:
        number, secret = next(self._seal_numbers), crypto.topic_secret(self.namespace_secret, topic)
        keys = crypto.seal_keys(secret, salt, topic, EPOCH)
        self._seals[number] = {"topic": topic, "salt": salt, "check": keys.check, "next": 0, "told": False}
        return number, keys

    def sealed(self, topic: bytes, events: Sequence[Event]) -> Tuple[int, bytes]:
        """A seal and a batch under it, as if somebody else had published."""
        number, keys = self._new_seal(topic, secrets.token_bytes(32))
        return number, crypto.seal_batch(keys, number, 0, events)

    def _closeSeal(self, frame: wire.Frame) -> None:
        del self._seals[frame["seal"]]

    def _publish(self, frame: wire.Frame) -> None:
        batch = decode_batch(frame.rest)
        seal = self._seals.get(batch.seal)
        reason, entry = 0, b""
        if batch.seal in self.stale_seals:
            reason = STALE_EPOCH
        elif seal["next"] != batch.counter:
            reason = COUNTER_OUT_OF_ORDER
        else:
            seal["next"] += 1
            reason, matches, responders = self.accept(frame, batch.seal, seal["topic"])
        if reason:
            self.send("error", reason=reason, in_reply_to=0x13, fatal=0, request=frame["number"])
        else:
            entry = ENTRY.pack(frame["number"], self.sequence, batch.event_count, matches, 0, 0, responders)
            self.sequence += batch.event_count
        self.send("receipts", rest=entry, progress=frame["number"], count=bool(entry), entry_length=32)

    def accept(self, frame: wire.Frame, seal: int, topic: bytes) -> Tuple[int, int, int]:
        """Delivers a batch: a reason to refuse it or 0, how many subscriptions it was for, how many of them answer."""
        if self._deliveries:
            self.introduce(seal)
        raw = frame.rest[:-1] + bytes([frame.rest[-1] ^ 1]) if self.tampers else frame.rest
        for subscription in self._deliveries:
            self._deliveries[subscription] += 1
            self.send_delivery(subscription, self._deliveries[subscription], b"", raw, self.sequence)
        return 0, len(self._deliveries), 0

    def introduce(self, number: int) -> None:
        """Says whose seal a number is, and grants its topic, once."""
        seal = self._seals[number]
        if seal["told"]:
            return
        seal["told"] = True
        # The first announcement may make the client forget: there is nothing before it.
        flags = 0 if any(other["told"] for other in self._seals.values() if other is not seal) else FORGET_EARLIER
        self.send(
            "announce", flags, seal=number, epoch=EPOCH, uid=1000, gid=1000, salt=seal["salt"],
            key_check=seal["check"], topic=seal["topic"], name="fake", incarnation=LIFE,
        )
        secret = crypto.topic_secret(self.namespace_secret, seal["topic"])
        grant = self._grant(secret, crypto.topic_grant_aad(seal["topic"], EPOCH))
        self.send("grant", epoch=EPOCH, topic=seal["topic"], **grant)

    def send_delivery(
        self, subscription: int, number: int, selection: bytes, batch: bytes, sequence: int, flags: int = 0,
        attempt: int = 1,
    ) -> None:
        self.send(
            "deliver", flags, selection + batch, subscription=subscription, attempt=attempt, delivery=number,
            first_sequence=sequence, time=TIME, selection_length=len(selection),
        )

    def _subscribe(self, frame: wire.Frame) -> None:
        self._deliveries[frame["subscription"]] = 0
        self.send("subscribed", subscription=frame["subscription"])

    def _unsubscribe(self, frame: wire.Frame) -> None:
        delivered = self._deliveries.pop(frame["subscription"])
        self.send("unsubscribed", subscription=frame["subscription"], reason=34, delivered=delivered, missed=0)

    def _credit(self, frame: wire.Frame) -> None:
        pass

    def _acknowledge(self, frame: wire.Frame) -> None:
        pass

    def _inspect(self, frame: wire.Frame) -> None:
        self.send("inspected", rest=encode_rows([{"sessions": 1}]), request=frame["request"])
