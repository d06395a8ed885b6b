"""The page's table of frames, as data: what each fixed part holds, and which fields follow it."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import Dict, Optional, Tuple

CLIENT, DAEMON = "client", "daemon"

RECEIPT, PATIENT, RETAIN, TOMBSTONE, REQUEST, MORE_FOLLOW, DURABLE, AGAIN = (1 << bit for bit in range(8))
"""Flags of `publish`; `will` has two of them."""
STORED, MORE, ANSWERABLE, MAY_BE_REPEATED = 0x01, 0x02, 0x04, 0x08
"""Flags of `deliver`."""
FORGET_EARLIER = 0x01
"""Flag of `announce`."""
SKIP_IF_UNKNOWN = 0x80
"""Flag of any frame of a later version."""
EXCLUSIVE, RESPONDS, LAST, SHARED, UNACKNOWLEDGED = 1, 2, 4, 8, 16
"""Bits of the field `mode`."""


@dataclass(frozen=True)
class Field:
    """One row of the page's table of fields. What has a shape is a number, or a pair of them where the shape has two;
    text is text, anything else is bytes. Of what is repeated every one counts, and the value is a list."""

    tag: int
    length_max: Optional[int] = None
    is_text: bool = False
    shape: Optional[struct.Struct] = None
    is_repeated: bool = False


FIELDS = {
    "name": Field(1, 255, is_text=True),
    "message": Field(2, 960, is_text=True),
    "topic": Field(3, 1024),
    "filter": Field(4, 1024),
    "grant": Field(5, 128),
    "row": Field(6),
    "number": Field(7),
    "text": Field(8),
    "group": Field(9, 1024),
    "mode": Field(10, shape=struct.Struct("<I")),
    "incarnation": Field(11, shape=struct.Struct("<Q")),
    "key": Field(12, 255, is_text=True),
    "after": Field(13, shape=struct.Struct("<Q")),
    "durable_name": Field(14, 1024),
    "start": Field(15, 9, shape=struct.Struct("<BQ")),
    "setting": Field(16, shape=struct.Struct("<Hq"), is_repeated=True),
    "selection": Field(17),
    "payload_limit": Field(18, shape=struct.Struct("<I")),
}


@dataclass(frozen=True)
class Use:
    """A field in a frame: whether the frame needs it, whether it is written as required, and how long it may be there."""

    name: str
    is_needed: bool
    is_required: bool
    length_max: Optional[int]


@dataclass(frozen=True)
class Layout:
    """One row of the page's table of frames."""

    type: int
    name: str
    sender: str
    fixed: struct.Struct
    values: Tuple[str, ...]
    fields: Optional[Dict[int, Use]]
    """By tag; None where the rest isn't fields, or is rows of them."""


def _layout(type: int, name: str, sender: str, fixed: str, values: str, fields: Optional[str] = "") -> Layout:
    """Fields are written `topic!` when the frame needs them, `mode?` when it doesn't but they are required to be
    understood, `name` when neither; `key:960?` has a bound of its own in this frame."""
    uses = None
    if fields is not None:
        uses = {}
        for word in fields.split():
            field, _, bound = word.rstrip("!?").partition(":")
            length_max = int(bound) if bound else FIELDS[field].length_max
            uses[FIELDS[field].tag] = Use(field, word.endswith("!"), word[-1] in "!?", length_max)
    return Layout(type, name, sender, struct.Struct("<" + fixed), tuple(values.split()), uses)


LAYOUTS = (
    _layout(0x01, "hello", CLIENT, "4sHH32s32s", "magic oldest newest public_key nonce", "name"),
    _layout(0x02, "welcome", DAEMON, "4sHxx32s32s16sQIII",
            "magic version public_key nonce incarnation session frame_length_max payload_length_max publish_window",
            "name"),
    _layout(0x03, "error", DAEMON, "HBB4xQ", "reason in_reply_to fatal request", "message"),
    _layout(0x04, "goodbye", CLIENT, "", ""),
    _layout(0x05, "closing", DAEMON, "Hxx", "reason", "message"),
    _layout(0x06, "done", DAEMON, "B7xQ", "in_reply_to request"),
    _layout(0x10, "openSeal", CLIENT, "I32s", "request salt", "topic!"),
    _layout(0x11, "sealOpened", DAEMON, "IIQIIIQ",
            "request epoch seal batch_length_max batch_event_count_max grant_incarnation counter",
            "grant! payload_limit"),
    _layout(0x12, "closeSeal", CLIENT, "Q", "seal"),
    _layout(0x13, "publish", CLIENT, "Q", "number", None),
    _layout(0x14, "receipts", DAEMON, "QIHxx", "progress count entry_length", None),
    _layout(0x15, "sync", CLIENT, "", ""),
    _layout(0x16, "will", CLIENT, "Q", "request", None),
    _layout(0x17, "cancelRequest", CLIENT, "16s", "correlation"),
    _layout(0x18, "circuit", CLIENT, "B3x", "state", "topic!"),
    _layout(0x19, "publishLater", CLIENT, "Qq", "number due", None),
    _layout(0x1A, "sealLimits", DAEMON, "QII", "seal batch_length_max batch_event_count_max", "payload_limit"),
    _layout(0x1B, "unanswered", DAEMON, "16sHxx", "correlation reason"),
    _layout(0x20, "subscribe", CLIENT, "IB3xIIQQQ",
            "subscription overflow stall_milliseconds queue_event_count queue_length credit_events credit_bytes",
            "filter! group? mode? durable_name? start? setting?"),
    _layout(0x21, "subscribed", DAEMON, "I", "subscription"),
    _layout(0x22, "unsubscribe", CLIENT, "I", "subscription"),
    _layout(0x23, "unsubscribed", DAEMON, "IHxxQQ", "subscription reason delivered missed"),
    _layout(0x24, "credit", CLIENT, "IQQ", "subscription events bytes"),
    _layout(0x25, "acknowledge", CLIENT, "IQ", "subscription delivery"),
    _layout(0x26, "settle", CLIENT, "IB3xQI4x", "subscription settlement delivery delay_milliseconds",
            "selection? message"),
    _layout(0x28, "announce", DAEMON, "QIII32s16s", "seal epoch uid gid salt key_check", "topic! name incarnation"),
    _layout(0x29, "grant", DAEMON, "IIQ", "epoch grant_incarnation counter", "topic! grant!"),
    _layout(0x2A, "deliver", DAEMON, "IHxxQQqI",
            "subscription attempt delivery first_sequence time selection_length", None),
    _layout(0x2B, "gap", DAEMON, "IHHQQQ", "subscription reason gap_flags count first_sequence last_sequence", "topic"),
    _layout(0x2C, "caughtUp", DAEMON, "IQ", "subscription count"),
    _layout(0x2D, "requestCancelled", DAEMON, "16s", "correlation", "topic!"),
    _layout(0x30, "inspect", CLIENT, "IHxx", "request kind", "key? after?"),
    _layout(0x31, "inspected", DAEMON, "I4x", "request", None),
    _layout(0x32, "administer", CLIENT, "IB3x", "request operation", "key:960? filter? mode? start? setting?"),
    _layout(0x33, "administered", DAEMON, "I4xQ", "request count"),
)
BY_TYPE = {layout.type: layout for layout in LAYOUTS}
BY_NAME = {layout.name: layout for layout in LAYOUTS}
