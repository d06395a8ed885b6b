"""The bytes of a connection: frames, their fixed parts and fields, and the names in them.

Decoding is total: whatever the bytes are, a function here returns a value or raises a `WireError` with the
protocol's own name for what is wrong. Nothing here does input or output, and nothing here holds a key.
"""

from __future__ import annotations

import struct
import unicodedata
from dataclasses import dataclass, field
from typing import Any, Dict, Iterator, List, Optional, Sequence, Tuple

MAGIC = b"LBUS"
VERSION = 1

FRAME_HEADER = struct.Struct("<IBBH")
FRAME_LENGTH_MAX_BEFORE_WELCOME = 1024
DELIVER_OVERHEAD_MAX = 1024
FIELD_COUNT_MAX = 64
ROW_FIELD_COUNT_MAX = 65_536
FLAG_WANTS_RECEIPT = 0x01
FLAG_FORGET_EARLIER = 0x01
FLAG_SKIP_IF_UNKNOWN = 0x80
FIELD_REQUIRED = 0x8000

REASONS = {
    1: "malformed-frame", 2: "frame-too-long", 3: "unsupported-version", 4: "hello-timeout", 5: "unexpected-frame",
    6: "denied", 7: "unknown-required-field", 8: "weak-key", 9: "window-exceeded", 10: "not-reading",
    11: "shutting-down", 12: "descriptors-exhausted", 13: "peer-closed",
    20: "bad-topic", 21: "bad-filter", 22: "payload-too-large", 23: "malformed-batch", 24: "unknown-seal",
    25: "stale-epoch", 26: "counter-out-of-order", 27: "salt-reused", 28: "quota-exceeded",
    29: "unknown-subscription", 30: "subscription-exists", 31: "invalid-credit", 32: "acknowledged-unsent",
    33: "not-supported", 34: "unsubscribed",
    50: "queue-full", 51: "stall-timed-out", 52: "bus-restarted", 53: "reconnected", 54: "unopenable",
}


def reason_name(number: int) -> str:
    return REASONS.get(number, f"reason {number}")


class WireError(ValueError):
    """Bytes against the protocol, or values that have no bytes in it."""

    reason = "malformed-frame"

    def __init__(self, text: str, reason: Optional[str] = None) -> None:
        self.reason = reason or self.reason
        super().__init__(f"{self.reason}: {text}")


class FrameError(WireError):
    """The connection can't go on."""


class BatchError(WireError):
    """One batch is lost; the connection goes on."""

    reason = "malformed-batch"


class BadName(WireError):
    """A topic or filter against the rules."""

    reason = "bad-topic"


# Frames

CLIENT, DAEMON = "client", "daemon"
FIELD_TAGS = {"name": 1, "message": 2, "topic": 3, "filter": 4, "grant": 5, "row": 6, "number": 7, "text": 8}
FIELD_LENGTH_MAX = {"name": 255, "message": 960, "grant": 128}


@dataclass(frozen=True)
class Layout:
    """One row of the page's table of frames."""

    type: int
    name: str
    sender: str
    fixed: struct.Struct
    values: Tuple[str, ...]
    fields: Optional[Dict[int, Tuple[str, bool]]]
    """Tag to name and whether it is required; None where the rest isn't fields, or is rows of them."""


def _layout(type: int, name: str, sender: str, fixed: str, values: str, fields: Optional[str] = "") -> Layout:
    known = None
    if fields is not None:
        known = {FIELD_TAGS[word.rstrip("!")]: (word.rstrip("!"), word.endswith("!")) for word in fields.split()}
    return Layout(type, name, sender, struct.Struct("<" + fixed), tuple(values.split()), known)


LAYOUTS = (
    _layout(0x01, "hello", CLIENT, "4sHH32s32s", "magic oldest newest public_key nonce", "name"),
    _layout(0x02, "welcome", DAEMON, "4sHxx32s32s16sQIII",
            "magic version public_key nonce incarnation session frame_length_max payload_length_max publish_window",
            "name"),
    _layout(0x03, "error", DAEMON, "HBB4xQ", "reason in_reply_to fatal request", "message"),
    _layout(0x04, "goodbye", CLIENT, "", ""),
    _layout(0x05, "closing", DAEMON, "Hxx", "reason", "message"),
    _layout(0x10, "openSeal", CLIENT, "I32s", "request salt", "topic!"),
    _layout(0x11, "sealOpened", DAEMON, "IIQIIIQ",
            "request epoch seal batch_length_max batch_event_count_max incarnation counter", "grant!"),
    _layout(0x12, "closeSeal", CLIENT, "Q", "seal"),
    _layout(0x13, "publish", CLIENT, "Q", "number", None),
    _layout(0x14, "receipts", DAEMON, "QIHxx", "progress count entry_length", None),
    _layout(0x15, "sync", CLIENT, "", ""),
    _layout(0x20, "subscribe", CLIENT, "IB3xIIQQQ",
            "subscription overflow stall_milliseconds queue_event_count queue_length credit_events credit_bytes",
            "filter!"),
    _layout(0x21, "subscribed", DAEMON, "I", "subscription"),
    _layout(0x22, "unsubscribe", CLIENT, "I", "subscription"),
    _layout(0x23, "unsubscribed", DAEMON, "IHxxQQ", "subscription reason delivered missed"),
    _layout(0x24, "credit", CLIENT, "IQQ", "subscription events bytes"),
    _layout(0x25, "acknowledge", CLIENT, "IQ", "subscription delivery"),
    _layout(0x28, "announce", DAEMON, "QIII32s16s", "seal epoch uid gid salt key_check", "topic! name"),
    _layout(0x29, "grant", DAEMON, "IIQ", "epoch incarnation counter", "topic! grant!"),
    _layout(0x2A, "deliver", DAEMON, "IHxxQQqI",
            "subscription attempt delivery first_sequence time selection_length", None),
    _layout(0x2B, "gap", DAEMON, "IHHQQQ", "subscription reason gap_flags count first_sequence last_sequence", "topic"),
    _layout(0x30, "inspect", CLIENT, "IHxx", "request kind"),
    _layout(0x31, "inspected", DAEMON, "I4x", "request", None),
)
BY_TYPE = {layout.type: layout for layout in LAYOUTS}
BY_NAME = {layout.name: layout for layout in LAYOUTS}


@dataclass(frozen=True)
class Frame:
    """A decoded frame. `frame["seal"]` is a value of the fixed part or of a field; an absent field is None."""

    name: str
    values: Dict[str, Any] = field(default_factory=dict)
    flags: int = 0
    rest: bytes = b""

    def __getitem__(self, key: str) -> Any:
        return self.values[key]


def encode(frame: str, flags: int = 0, rest: bytes = b"", **values: Any) -> bytes:
    """The bytes of a frame; fields that are None stay out."""
    layout = BY_NAME[frame]
    fixed = layout.fixed.pack(*(values[key] for key in layout.values))
    for tag, (key, required) in (layout.fields or {}).items():
        if values.get(key) is not None:
            rest += encode_field(tag | (FIELD_REQUIRED if required else 0), _to_bytes(values[key]))
    return FRAME_HEADER.pack(len(fixed) + len(rest), layout.type, flags, len(fixed)) + fixed + rest


def decode(raw: bytes, sender: str) -> Optional[Frame]:
    """One whole frame, or None for one to be skipped."""
    if len(raw) < FRAME_HEADER.size:
        raise FrameError("shorter than a frame's header")
    length, type, flags, fixed_length = FRAME_HEADER.unpack_from(raw)
    body = raw[FRAME_HEADER.size:]
    if length != len(body):
        raise FrameError(f"length says {length} bytes, there are {len(body)}")
    layout = BY_TYPE.get(type)
    if layout is None and flags & FLAG_SKIP_IF_UNKNOWN:
        return None
    if layout is None or layout.sender != sender:
        raise FrameError(f"no frame of a {sender}: type {type:#04x}")
    if not layout.fixed.size <= fixed_length <= length:
        raise FrameError(f"{layout.name}: fixed part of {fixed_length} bytes in {length}")
    values = dict(zip(layout.values, layout.fixed.unpack_from(body)))
    rest = body[fixed_length:]
    if layout.fields is None:
        return Frame(layout.name, values, flags, rest)
    values.update(_read_fields(layout, rest))
    return Frame(layout.name, values, flags)


def encode_field(tag: int, value: bytes) -> bytes:
    return struct.pack("<HI", tag, len(value)) + value


def _to_bytes(value: Any) -> bytes:
    return value.encode() if isinstance(value, str) else value


def _split_fields(rest: bytes, count_max: int, known: Sequence[int]) -> Iterator[Tuple[int, bytes]]:
    at, count = 0, 0
    while at < len(rest):
        count += 1
        if count > count_max:
            raise FrameError(f"more than {count_max} fields")
        if len(rest) - at < 6:
            raise FrameError("a field's header is cut short")
        tag, length = struct.unpack_from("<HI", rest, at)
        at += 6
        if len(rest) - at < length:
            raise FrameError(f"field {tag & ~FIELD_REQUIRED} is longer than its frame")
        if tag & ~FIELD_REQUIRED in known:
            yield tag & ~FIELD_REQUIRED, rest[at:at + length]
        elif tag & FIELD_REQUIRED:
            raise FrameError(f"field {tag & ~FIELD_REQUIRED}", "unknown-required-field")
        at += length


def _read_fields(layout: Layout, rest: bytes) -> Dict[str, Any]:
    known = layout.fields or {}
    values: Dict[str, Any] = {}
    for tag, value in _split_fields(rest, FIELD_COUNT_MAX, tuple(known)):
        name = known[tag][0]
        if len(value) > FIELD_LENGTH_MAX.get(name, len(value)):
            raise FrameError(f"{layout.name}: {name} of {len(value)} bytes")
        if name in ("name", "message"):
            values.setdefault(name, value.decode("utf-8", "replace"))
        else:
            values.setdefault(name, value)
    for name, required in known.values():
        if required and name not in values:
            raise FrameError(f"{layout.name} has no {name}")
        values.setdefault(name, None)
    return values


def decode_rows(rest: bytes) -> List[Dict[str, Any]]:
    """The rows of `inspected`: named numbers and texts."""
    row, number, text = (FIELD_TAGS[name] for name in ("row", "number", "text"))
    rows: List[Dict[str, Any]] = []
    for tag, value in _split_fields(rest, ROW_FIELD_COUNT_MAX, (row, number, text)):
        if tag == row:
            rows.append({})
            continue
        cursor = Cursor(value, FrameError)
        name = cursor.take(cursor.unpack("B")[0]).decode("utf-8", "replace")
        if not rows:
            raise FrameError(f"inspected: {name} before the first row")
        rows[-1][name] = cursor.unpack("Q")[0] if tag == number else cursor.remainder().decode("utf-8", "replace")
    return rows


class FrameReader:
    """Cuts a stream into whole frames, and refuses a long one before making room for it."""

    def __init__(self, length_max: int = FRAME_LENGTH_MAX_BEFORE_WELCOME) -> None:
        self.length_max = length_max
        self._buffer = bytearray()

    def feed(self, data: bytes) -> None:
        self._buffer += data

    def next(self) -> Optional[bytes]:
        if len(self._buffer) < FRAME_HEADER.size:
            return None
        whole = FRAME_HEADER.size + FRAME_HEADER.unpack_from(self._buffer)[0]
        if whole > self.length_max:
            raise FrameError(f"{whole} bytes, limit {self.length_max}", "frame-too-long")
        if len(self._buffer) < whole:
            return None
        raw = bytes(self._buffer[:whole])
        del self._buffer[:whole]
        return raw


@dataclass(frozen=True)
class Receipt:
    number: int
    first_sequence: int
    event_count: int
    live_matches: int
    durable_matches: int
    flags: int

    @property
    def is_on_disk(self) -> bool:
        return bool(self.flags & 1)

    @property
    def is_duplicate(self) -> bool:
        return bool(self.flags & 2)


RECEIPT = struct.Struct("<QQIIIHxx")


def decode_receipts(frame: Frame) -> List[Receipt]:
    step = frame["entry_length"]
    if step < RECEIPT.size or frame["count"] * step != len(frame.rest):
        raise FrameError(f"receipts: {frame['count']} entries of {step} in {len(frame.rest)} bytes")
    return [Receipt(*RECEIPT.unpack_from(frame.rest, at)) for at in range(0, len(frame.rest), step)]


def split_delivery(frame: Frame) -> Tuple[bytes, bytes]:
    """A deliver frame's selection and its batch."""
    length = frame["selection_length"]
    if length > len(frame.rest):
        raise FrameError(f"deliver: selection of {length} in {len(frame.rest)} bytes")
    return frame.rest[:length], frame.rest[length:]


def selected(selection: bytes, event_count: int) -> List[int]:
    """Which events of a batch are meant; an empty selection means all."""
    if not selection:
        return list(range(event_count))
    return [k for k in range(min(event_count, 8 * len(selection))) if selection[k // 8] >> k % 8 & 1]


class Cursor:
    """Reads on from one place; running out of bytes is the error it was given."""

    def __init__(self, data: bytes, error: type) -> None:
        self._data, self._at, self._error = data, 0, error

    def take(self, length: int) -> bytes:
        if len(self._data) - self._at < length:
            raise self._error(f"{length} bytes wanted, {len(self._data) - self._at} there")
        self._at += length
        return self._data[self._at - length:self._at]

    def unpack(self, format: str) -> Tuple[Any, ...]:
        shape = struct.Struct("<" + format)
        return shape.unpack(self.take(shape.size))

    def remainder(self) -> bytes:
        return self.take(len(self._data) - self._at)


# Names

NAME_LENGTH_MAX = 255
TOKEN_COUNT_MAX = 16


def encode_topic(topic: str) -> bytes:
    return _encode_name(topic, "bad-topic")


def encode_filter(filter: str) -> bytes:
    return _encode_name(filter, "bad-filter")


def decode_topic(raw: bytes) -> str:
    try:
        topic = raw.decode()
    except UnicodeDecodeError:
        raise BadName("not UTF-8") from None
    encode_topic(topic)
    return topic


def _encode_name(name: str, reason: str) -> bytes:
    try:
        raw = name.encode()
    except UnicodeEncodeError:
        raise BadName("not UTF-8", reason) from None
    if not 1 <= len(raw) <= NAME_LENGTH_MAX:
        raise BadName(f"{len(raw)} bytes, not 1 to {NAME_LENGTH_MAX}", reason)
    tokens = name.split(".")
    if len(tokens) > TOKEN_COUNT_MAX:
        raise BadName(f"{len(tokens)} tokens, limit {TOKEN_COUNT_MAX}", reason)
    for place, token in enumerate(tokens, 1):
        is_wild = token == "*" or token == ">" and place == len(tokens)
        if not (is_wild and reason == "bad-filter" or _is_token(token)):
            raise BadName(f"token {place} of {name!r}", reason)
    return raw


def _is_token(token: str) -> bool:
    # str.isspace() is Unicode's White_Space and four control characters, which are refused anyway.
    return token != "" and not any(c in "*>" or c.isspace() or unicodedata.category(c) == "Cc" for c in token)
