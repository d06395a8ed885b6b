"""An event's id is a place to count from: a batch names its first id, and the others follow."""

from __future__ import annotations

import secrets
import time
from typing import List
from uuid import UUID

NUMBER_BITS = 74
LOWER_BITS = 62
LOWER = (1 << LOWER_BITS) - 1
UPPER = (1 << NUMBER_BITS - LOWER_BITS) - 1
VERSION_7 = 7 << 76
VARIANT = 0b10 << 62


def number_of(id: UUID) -> int:
    """The 12 and the 62 bits of an id as one 74-bit number."""
    return (id.int >> 64 & UPPER) << LOWER_BITS | id.int & LOWER


def counts_to(first: UUID, count: int) -> bool:
    """Whether `count` ids from `first` on fit without overflow."""
    return number_of(first) + count <= 1 << NUMBER_BITS


def following(first: UUID, k: int) -> UUID:
    """Event k's id: only the 74-bit number moves, whatever the version of the id."""
    number = number_of(first) + k
    rest = first.int & ~(UPPER << 64 | LOWER)
    return UUID(int=rest | number >> LOWER_BITS << 64 | number & LOWER)


class IdSource:
    """Version 7 ids for one connection, raised by one for each event.

    The seed leaves the top bit clear, so that no connection lives long enough to overflow.
    """

    def __init__(self) -> None:
        self._next = secrets.randbits(NUMBER_BITS - 1)

    def take(self, count: int) -> List[UUID]:
        """`count` ids of one millisecond, each the one before plus one."""
        number, self._next = self._next, self._next + count
        milliseconds = time.time_ns() // 1_000_000
        first = UUID(int=milliseconds << 80 | VERSION_7 | number >> LOWER_BITS << 64 | VARIANT | number & LOWER)
        return [following(first, k) for k in range(count)]
