"""What durable topics and subscriptions are told in numbers: settings, where to begin, what became of a delivery."""

from __future__ import annotations

from typing import Tuple

SETTINGS = {
    "durable": 1, "retain": 2, "max-age": 3, "max-bytes": 4, "max-events": 5, "limit-hard": 6, "dedup": 7,
    "max-payload": 8,
    "ack-wait": 20, "attempts": 21, "backoff-min": 22, "backoff-max": 23, "expire": 24, "dead-letters": 25,
    "max-outstanding": 26, "dead-expired": 27,
}
"""Keys of the field `setting`: of topics, then of durable subscriptions."""

OPERATIONS = {
    "create-topic": 1, "alter-topic": 2, "delete-topic": 3, "purge-topic": 4,
    "create-subscription": 10, "alter-subscription": 11, "seek-subscription": 12, "delete-subscription": 13,
    "redrive-dead": 20, "drop-dead": 21, "backup": 30, "scrub": 31, "backup-with-key": 32,
    "cancel-scheduled": 40,
}
"""Operations of `administer`."""

ACKNOWLEDGE, RETRY, EXTEND, REJECT = range(4)
"""Settlements of `settle`."""

NEW, ALL, LAST_OF_EACH, SINCE, SEQUENCE = range(5)
"""Kinds of the field `start`."""

SEQUENCE_MAX = 1 << 63

Start = Tuple[int, int]


def is_start(start: Start) -> bool:
    """Whether a kind is known and its number one it may have. A time before 1970 is written as a negative number is."""
    kind, value = start
    return kind < SEQUENCE or kind == SEQUENCE and value <= SEQUENCE_MAX
