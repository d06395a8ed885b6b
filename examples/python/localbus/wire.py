"""The bytes of a connection: frames, their fixed parts and fields.

Decoding is total: whatever the bytes are, a function here returns a value or raises a `WireError` with the
protocol's own name for what is wrong. Nothing here does input or output, and nothing here holds a key.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass, field
from typing import Any, Dict, Iterator, Optional, Sequence, Tuple

from .errors import FrameError
from .layouts import BY_NAME, BY_TYPE, FIELDS, SKIP_IF_UNKNOWN, Field, Layout, Use
from .settings import is_start

MAGIC = b"LBUS"
VERSION = 1

FRAME_HEADER = struct.Struct("<IBBH")
FIELD_HEADER = struct.Struct("<HI")
FRAME_LENGTH_MAX_BEFORE_WELCOME = 1024
DELIVER_OVERHEAD_MAX = 1024
FIELD_COUNT_MAX = 64
FIELD_REQUIRED = 0x8000


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
    for tag, use in (layout.fields or {}).items():
        field, value = FIELDS[use.name], values.get(use.name)
        for one in value or () if field.is_repeated else () if value is None else (value,):
            rest += encode_field(tag, _to_bytes(field, one), use.is_required)
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
    if layout is None and flags & SKIP_IF_UNKNOWN:
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


def encode_field(tag: int, value: bytes, is_required: bool = False) -> bytes:
    return FIELD_HEADER.pack(tag | (FIELD_REQUIRED if is_required else 0), len(value)) + value


def _to_bytes(field: Field, value: Any) -> bytes:
    if field.shape:
        return field.shape.pack(*value) if isinstance(value, tuple) else field.shape.pack(value)
    return value.encode() if isinstance(value, str) else value


def split_fields(rest: bytes, count_max: int, known: Sequence[int]) -> Iterator[Tuple[int, bytes]]:
    """The fields among `known`, as they come; others are skipped, or refused where they are required."""
    at, count = 0, 0
    while at < len(rest):
        count += 1
        if count > count_max:
            raise FrameError(f"more than {count_max} fields")
        if len(rest) - at < FIELD_HEADER.size:
            raise FrameError("a field's header is cut short")
        tag, length = FIELD_HEADER.unpack_from(rest, at)
        at += FIELD_HEADER.size
        if len(rest) - at < length:
            raise FrameError(f"field {tag & ~FIELD_REQUIRED} is longer than its frame")
        if tag & ~FIELD_REQUIRED in known:
            yield tag & ~FIELD_REQUIRED, rest[at:at + length]
        elif tag & FIELD_REQUIRED:
            raise FrameError(f"field {tag & ~FIELD_REQUIRED}", "unknown-required-field")
        at += length


def _read_fields(layout: Layout, rest: bytes) -> Dict[str, Any]:
    uses = layout.fields or {}
    values: Dict[str, Any] = {}
    for tag, value in split_fields(rest, FIELD_COUNT_MAX, tuple(uses)):
        name = uses[tag].name
        if FIELDS[name].is_repeated:
            values.setdefault(name, []).append(_read_field(layout, uses[tag], value))
        elif name not in values:  # of two with one tag the first counts
            values[name] = _read_field(layout, uses[tag], value)
    for use in uses.values():
        if use.is_needed and use.name not in values:
            raise FrameError(f"{layout.name} has no {use.name}")
        values.setdefault(use.name, None)
    return values


def _read_field(layout: Layout, use: Use, value: bytes) -> Any:
    field = FIELDS[use.name]
    if use.length_max is not None and len(value) > use.length_max:
        raise FrameError(f"{layout.name}: {use.name} of {len(value)} bytes")
    if field.shape:
        if len(value) < field.shape.size:
            raise FrameError(f"{layout.name}: {use.name} of {len(value)} bytes")
        numbers = field.shape.unpack_from(value)
        if use.name == "start" and not is_start(numbers):
            raise FrameError(f"{layout.name}: a start of kind {numbers[0]}")
        return numbers if len(numbers) > 1 else numbers[0]
    return value.decode("utf-8", "replace") if field.is_text else value


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
