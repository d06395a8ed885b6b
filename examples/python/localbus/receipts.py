"""The daemon's answers to publishes."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import List

from .errors import FrameError
from .wire import Frame

ENTRY = struct.Struct("<QQIIIHH")


@dataclass(frozen=True)
class Receipt:
    """What became of one accepted batch. `responders` is of requests: how many answers to expect."""

    number: int
    first_sequence: int
    event_count: int
    live_matches: int
    durable_matches: int
    flags: int
    responders: int

    @property
    def is_on_disk(self) -> bool:
        return bool(self.flags & 1)

    @property
    def is_waiting(self) -> bool:
        """Whether it waits until it is due, and has no sequence yet."""
        return bool(self.flags & 4)

    @property
    def is_duplicate(self) -> bool:
        return bool(self.flags & 2)


def decode_receipts(frame: Frame) -> List[Receipt]:
    step = frame["entry_length"]
    if step < ENTRY.size or frame["count"] * step > len(frame.rest):
        raise FrameError(f"receipts: {frame['count']} entries of {step} in {len(frame.rest)} bytes")
    return [Receipt(*ENTRY.unpack_from(frame.rest, step * k)) for k in range(frame["count"])]
