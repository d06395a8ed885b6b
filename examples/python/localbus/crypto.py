"""Who holds which key: the connection's two, a seal's own, a topic's secret, and how one follows from another.

A publisher is granted the keys of its own seals; a subscriber is granted topic secrets and derives the keys of
each announced seal. Nothing here remembers a counter: the client never gives out the same one twice.
"""

from __future__ import annotations

import hmac
from dataclasses import dataclass
from hashlib import sha256
from typing import List, Sequence, Tuple

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from . import wire
from .batch import SUITE, TAG_LENGTH, Batch, Event, decode_records, encode_head, encode_records
from .errors import BatchError, FrameError

SALT_LENGTH = 32
SEAL_BATCH_COUNT_MAX = 1 << 30
SEAL_BLOCK_COUNT_MAX = (1 << 34) - (1 << 23)  # the page's bound, less one batch of the longest payload


class GrantRefused(FrameError):
    """A grant that doesn't open, or whose nonce was used: the connection isn't what it seems."""


class Unsealable(BatchError):
    """A batch its subscriber can't open."""

    reason = "unopenable"


def fields(*parts: bytes) -> bytes:
    """The encoding of every info and of the grants' additional data."""
    return b"".join(len(part).to_bytes(2, "little") + part for part in parts)


def u32(number: int) -> bytes:
    return number.to_bytes(4, "little")


def u64(number: int) -> bytes:
    return number.to_bytes(8, "little")


def hkdf(material: bytes, salt: bytes, info: bytes, length: int) -> bytes:
    return HKDF(SHA256(), length, salt, info).derive(material)


# The connection

@dataclass(frozen=True)
class ConnectionKeys:
    shared: bytes
    transcript: bytes
    client_to_server: bytes
    server_to_client: bytes


def connection_keys(private: X25519PrivateKey, peer: bytes, hello: bytes, welcome: bytes) -> ConnectionKeys:
    """From an own private key, the other's public key, and both frames whole, as they were sent."""
    try:
        shared = private.exchange(X25519PublicKey.from_public_bytes(peer))
    except ValueError:
        raise FrameError("the shared secret would be zero", "weak-key") from None
    transcript = sha256(hello + welcome).digest()
    to_server, to_client = (
        hkdf(shared, transcript, fields(b"localbus connection", direction), 32)
        for direction in (b"client to server", b"server to client")
    )
    return ConnectionKeys(shared, transcript, to_server, to_client)


# Seals

@dataclass(frozen=True)
class SealKeys:
    key: bytes
    nonce_base: bytes
    check: bytes

    @classmethod
    def split(cls, material: bytes) -> SealKeys:
        return cls(material[:32], material[32:44], material[44:60])

    def joined(self) -> bytes:
        return self.key + self.nonce_base + self.check

    def nonce(self, counter: int) -> bytes:
        return bytes(a ^ b for a, b in zip(self.nonce_base, counter.to_bytes(12, "big")))


def topic_secret(namespace_secret: bytes, topic: bytes) -> bytes:
    """The daemon's step; here only for the worked example and for tests."""
    return hkdf(namespace_secret, b"", fields(b"localbus topic", topic), 32)


def seal_keys(secret: bytes, salt: bytes, topic: bytes, epoch: int) -> SealKeys:
    info = fields(b"localbus seal", bytes([SUITE]), topic, u32(epoch))
    return SealKeys.split(hkdf(secret, salt, info, 60))


def seal_batch(keys: SealKeys, seal: int, counter: int, events: Sequence[Event]) -> bytes:
    """A whole batch. The caller answers for the counter: with one key it is used once."""
    plaintext = encode_records(events)
    head = encode_head(seal, counter, events, len(plaintext) + TAG_LENGTH)
    return head + AESGCM(keys.key).encrypt(keys.nonce(counter), plaintext, head)


def open_batch(keys: SealKeys, batch: Batch) -> List[Event]:
    try:
        plaintext = AESGCM(keys.key).decrypt(keys.nonce(batch.counter), batch.body, batch.head)
    except InvalidTag:
        raise Unsealable("the tag doesn't fit") from None
    return decode_records(plaintext, batch)


def same(one: bytes, other: bytes) -> bool:
    return hmac.compare_digest(one, other)


# Grants

def seal_grant_aad(topic: bytes, epoch: int, seal: int) -> bytes:
    return fields(b"localbus seal grant", topic, u32(epoch), u64(seal))


def topic_grant_aad(topic: bytes, epoch: int) -> bytes:
    return fields(b"localbus grant", topic, u32(epoch))


def grant_nonce(incarnation: int, counter: int) -> bytes:
    return incarnation.to_bytes(4, "big") + counter.to_bytes(8, "big")


class GrantOpener:
    """Opens the daemon's grants; each one's nonce must be above the last one's."""

    def __init__(self, server_to_client: bytes) -> None:
        self._cipher = AESGCM(server_to_client)
        self._last: Tuple[int, int] = (-1, -1)

    def open_seal(self, sealOpened: wire.Frame, topic: bytes) -> SealKeys:
        aad = seal_grant_aad(topic, sealOpened["epoch"], sealOpened["seal"])
        return SealKeys.split(self._open(sealOpened, aad, 60))

    def open_topic(self, grant: wire.Frame) -> bytes:
        return self._open(grant, topic_grant_aad(grant["topic"], grant["epoch"]), 32)

    def _open(self, frame: wire.Frame, aad: bytes, length: int) -> bytes:
        pair = (frame["grant_incarnation"], frame["counter"])
        if pair <= self._last:
            raise GrantRefused(f"{frame.name}: nonce {pair} after {self._last}")
        if len(frame["grant"]) != length + TAG_LENGTH:
            raise GrantRefused(f"{frame.name}: grant of {len(frame['grant'])} bytes")
        try:
            plaintext = self._cipher.decrypt(grant_nonce(*pair), frame["grant"], aad)
        except InvalidTag:
            raise GrantRefused(f"{frame.name}: the grant doesn't open") from None
        self._last = pair
        return plaintext
