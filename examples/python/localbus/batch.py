"""A batch: consecutive events of one publisher on one topic, in a header, columns and a body.

Header and columns are what the daemon reads and the seal authenticates; the body's records are what subscribers
read. Sealing and opening are `crypto`'s.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import Any, List, Optional, Sequence, Tuple
from uuid import UUID

from . import ids
from .errors import BatchError
from .wire import Cursor

BATCH_HEADER = struct.Struct("<BBHIQQ16sII")
RECORD = struct.Struct("<IqH")
RECORD_LENGTH_MIN = RECORD.size
TAG_LENGTH = 16
EVENT_COUNT_MAX = 4096
COLUMNS_LENGTH_MAX = 16_384
HEADER_COUNT_MAX = 64
HEADER_LENGTH_MAX = 4096
FORMAT = 1
SUITE = 1

ID, CORRELATION, CAUSATION, REPLY_TO, ORDERING_KEY, EXPIRY = range(6)
COLUMN_COUNT = 6


@dataclass(frozen=True)
class Event:
    """What an application publishes and receives. Id and time are given at publishing where they are None.

    Header names and values are bytes; times are microseconds since 1970.
    """

    payload: bytes
    headers: Tuple[Tuple[bytes, bytes], ...] = ()
    id: Optional[UUID] = None
    time: Optional[int] = None
    correlation: Optional[UUID] = None
    causation: Optional[UUID] = None
    reply_to: bytes = b""
    ordering_key: int = 0
    expiry: int = 0


@dataclass(frozen=True)
class Batch:
    """A sealed batch as the daemon sees it: `head` is header and columns, `columns` has a value for each event."""

    event_count: int
    seal: int
    counter: int
    columns: Tuple[Tuple[Any, ...], ...]
    head: bytes
    body: bytes


def encode_records(events: Sequence[Event]) -> bytes:
    """The plaintext of a body."""
    return b"".join(map(_encode_record, events))


def _encode_record(event: Event) -> bytes:
    if len(event.headers) > HEADER_COUNT_MAX:
        raise BatchError(f"{len(event.headers)} headers, limit {HEADER_COUNT_MAX}")
    parts = []
    for name, value in event.headers:
        if not 1 <= len(name) <= 255 or len(name) + len(value) > HEADER_LENGTH_MAX:
            raise BatchError(f"header of {len(name)} and {len(value)} bytes")
        parts.append(struct.pack("<BH", len(name), len(value)) + name + value)
    tail = b"".join(parts) + event.payload
    return RECORD.pack(RECORD.size - 4 + len(tail), event.time, len(event.headers)) + tail


def decode_records(plaintext: bytes, batch: Batch) -> List[Event]:
    """The events of an opened body, with what the columns say of each."""
    cursor = Cursor(plaintext, BatchError)
    events = [_decode_record(cursor, batch, k) for k in range(batch.event_count)]
    if cursor.remainder():
        raise BatchError("bytes behind the last record")
    return events


def _decode_record(cursor: Cursor, batch: Batch, k: int) -> Event:
    record = Cursor(cursor.take(cursor.unpack("I")[0]), BatchError)
    time, header_count = record.unpack("qH")
    if header_count > HEADER_COUNT_MAX:
        raise BatchError(f"{header_count} headers")
    headers = []
    for _ in range(header_count):
        name_length, value_length = record.unpack("BH")
        if name_length == 0 or name_length + value_length > HEADER_LENGTH_MAX:
            raise BatchError(f"header of {name_length} and {value_length} bytes")
        headers.append((record.take(name_length), record.take(value_length)))
    columns = [column[k] for column in batch.columns]
    return Event(record.remainder(), tuple(headers), columns[ID], time, *columns[CORRELATION:])


def encode_head(seal: int, counter: int, events: Sequence[Event], body_length: int) -> bytes:
    """Header and columns: what the daemon reads and the seal authenticates. Events have their ids by now."""
    if not 1 <= len(events) <= EVENT_COUNT_MAX:
        raise BatchError(f"{len(events)} events")
    columns = _encode_columns(events)
    if len(columns) > COLUMNS_LENGTH_MAX:
        raise BatchError(f"columns of {len(columns)} bytes")
    first = _uuid_bytes(events[0].id)
    return BATCH_HEADER.pack(FORMAT, SUITE, 0, len(events), seal, counter, first, len(columns), body_length) + columns


def _encode_columns(events: Sequence[Event]) -> bytes:
    table = [
        ([_uuid_bytes(e.id) for e in events], None),
        ([_uuid_bytes(e.correlation) for e in events], bytes(16)),
        ([_uuid_bytes(e.causation) for e in events], bytes(16)),
        ([struct.pack("B", len(e.reply_to)) + e.reply_to for e in events], b"\0"),
        ([struct.pack("<Q", e.ordering_key) for e in events], bytes(8)),
        ([struct.pack("<q", e.expiry) for e in events], bytes(8)),
    ]
    bitmap, columns = 0, b""
    for n, (values, none) in enumerate(table):
        if n == ID:
            is_there, is_each = not _ids_count_up(events), True
        else:
            is_each = any(value != values[0] for value in values)
            is_there = is_each or values[0] != none
        if is_there:
            bitmap |= (0b11 if is_each else 0b01) << 2 * n
            columns += b"".join(values) if is_each else values[0]
    return struct.pack("<I", bitmap) + columns


def _ids_count_up(events: Sequence[Event]) -> bool:
    first = events[0].id
    return ids.counts_to(first, len(events)) and all(e.id == ids.following(first, k) for k, e in enumerate(events))


def decode_batch(raw: bytes) -> Batch:
    """Header, columns and lengths, checked as the daemon checks them; the body stays closed."""
    cursor = Cursor(raw, BatchError)
    version, suite, flags, count, seal, counter, first, columns_length, body_length = cursor.unpack("BBHIQQ16sII")
    if (version, suite, flags) != (FORMAT, SUITE, 0):
        raise BatchError(f"version {version}, suite {suite}, flags {flags:#x}")
    if not 1 <= count <= EVENT_COUNT_MAX:
        raise BatchError(f"{count} events")
    if not 4 <= columns_length <= COLUMNS_LENGTH_MAX or body_length < TAG_LENGTH + RECORD_LENGTH_MIN * count:
        raise BatchError(f"columns of {columns_length}, body of {body_length} bytes")
    if BATCH_HEADER.size + columns_length + body_length != len(raw):
        raise BatchError("columns and body don't fill the batch")
    first_id = UUID(bytes=first)
    columns = _decode_columns(cursor.take(columns_length), count, first_id)
    head_length = BATCH_HEADER.size + columns_length
    return Batch(count, seal, counter, columns, raw[:head_length], raw[head_length:])


def _decode_columns(raw: bytes, count: int, first_id: UUID) -> Tuple[Tuple[Any, ...], ...]:
    cursor = Cursor(raw, BatchError)
    bitmap = cursor.unpack("I")[0]
    if bitmap >> 2 * COLUMN_COUNT:
        raise BatchError(f"columns {bitmap:#x}")
    columns = []
    for n in range(COLUMN_COUNT):
        is_there, is_each = bitmap >> 2 * n & 1, bitmap >> 2 * n + 1 & 1
        if is_each and not is_there or n == ID and is_there and not is_each:
            raise BatchError(f"column {n}: bits {is_there}, {is_each}")
        if is_there:
            values = [_decode_value(cursor, n) for _ in range(count if is_each else 1)]
            columns.append(tuple(values if is_each else values * count))
        else:
            columns.append(_without_column(n, count, first_id))
    if cursor.remainder():
        raise BatchError("bytes behind the last column")
    if columns[ID][0] != first_id or None in columns[ID] or first_id.int == 0:
        raise BatchError("ids: one is zero, or the first isn't the header's")
    return tuple(columns)


def _decode_value(cursor: Cursor, n: int) -> Any:
    if n in (ID, CORRELATION, CAUSATION):
        raw = cursor.take(16)
        return UUID(bytes=raw) if any(raw) else None
    if n == REPLY_TO:
        return cursor.take(cursor.unpack("B")[0])
    return cursor.unpack("Q" if n == ORDERING_KEY else "q")[0]


def _without_column(n: int, count: int, first_id: UUID) -> Tuple[Any, ...]:
    if n == ID:
        if not ids.counts_to(first_id, count):
            raise BatchError("the last id overflows")
        return tuple(ids.following(first_id, k) for k in range(count))
    return (({CORRELATION: None, CAUSATION: None, REPLY_TO: b""}.get(n, 0)),) * count


def _uuid_bytes(id: Optional[UUID]) -> bytes:
    return id.bytes if id else bytes(16)
