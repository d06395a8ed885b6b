"""A seal: the right to publish on one topic, and what fits one of its batches."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Optional, Sequence

from . import crypto
from .batch import TAG_LENGTH, Event, encode_head, encode_records
from .errors import BatchError

RETAINED_LENGTH_MAX = 4 << 10


@dataclass
class Seal:
    """The right to publish on one topic, and the counter that is never used twice."""

    topic: str
    number: int
    keys: crypto.SealKeys
    batch_length_max: int
    batch_event_count_max: int
    payload_length_max: int = 0  # of one event on this topic; 0: the bus's
    next_counter: int = 0
    blocks: int = 0

    @property
    def is_spent(self) -> bool:
        return self.next_counter >= crypto.SEAL_BATCH_COUNT_MAX or self.blocks >= crypto.SEAL_BLOCK_COUNT_MAX

    def seal(self, events: Sequence[Event]) -> bytes:
        counter, self.next_counter = self.next_counter, self.next_counter + 1
        batch = crypto.seal_batch(self.keys, self.number, counter, events)
        self.blocks += len(batch) // 16 + 1
        return batch


def batch_length(events: Sequence[Event]) -> int:
    """How long their batch would be, under any seal."""
    body_length = len(encode_records(events)) + TAG_LENGTH
    return len(encode_head(0, 0, events, body_length)) + body_length


def fits(events: Sequence[Event], seal: Seal, length_max: Optional[int] = None) -> bool:
    """Whether the events make one batch; a single event always does, as far as the seal is asked."""
    if len(events) <= 1:
        return True
    try:
        length = batch_length(events)
    except BatchError:
        return False
    length_max = seal.batch_length_max if length_max is None else min(length_max, seal.batch_length_max)
    return len(events) <= seal.batch_event_count_max and length <= length_max


def first_batch(events: Sequence[Event], seal: Seal) -> Sequence[Event]:
    """As many events from the front as make one batch, found by halving."""
    events = events[:seal.batch_event_count_max]
    while not fits(events, seal):
        events = events[:len(events) // 2]
    return events
