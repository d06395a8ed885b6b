"""A seal: the right to publish on one topic, and what fits one of its batches."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Iterator, Sequence

from . import crypto, wire
from .batch import TAG_LENGTH, Event, encode_head, encode_records


@dataclass
class Seal:
    """The right to publish on one topic, and the counter that is never used twice."""

    topic: str
    number: int
    keys: crypto.SealKeys
    batch_length_max: int
    batch_event_count_max: int
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


def fits(events: Sequence[Event], seal: Seal) -> bool:
    """Whether the events make one batch; a single event always does, as far as the seal is asked."""
    if len(events) <= 1:
        return True
    try:
        body_length = len(encode_records(events)) + TAG_LENGTH
        length = len(encode_head(seal.number, 0, events, body_length)) + body_length
    except wire.BatchError:
        return False
    return len(events) <= seal.batch_event_count_max and length <= seal.batch_length_max


def in_batches(events: Sequence[Event], seal: Seal) -> Iterator[Sequence[Event]]:
    """Halves what doesn't fit a batch until it does."""
    if fits(events, seal):
        yield events
    else:
        middle = len(events) // 2
        yield from in_batches(events[:middle], seal)
        yield from in_batches(events[middle:], seal)
