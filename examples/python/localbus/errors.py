"""What can be wrong, under the protocol's own names: numbers for the wire, exceptions for the reader of bytes."""

from __future__ import annotations

from typing import Optional

REASONS = {
    1: "malformed-frame", 2: "frame-too-long", 3: "unsupported-version", 4: "hello-timeout", 5: "unexpected-frame",
    6: "denied", 7: "unknown-required-field", 8: "weak-key", 9: "window-exceeded", 10: "not-reading",
    11: "shutting-down", 12: "descriptors-exhausted", 13: "peer-closed", 14: "goodbye",
    20: "bad-topic", 21: "bad-filter", 22: "payload-too-large", 23: "malformed-batch", 24: "unknown-seal",
    25: "stale-epoch", 26: "counter-out-of-order", 27: "salt-reused", 28: "quota-exceeded",
    29: "unknown-subscription", 30: "subscription-exists", 31: "invalid-credit", 32: "acknowledged-unsent",
    33: "not-supported", 34: "unsubscribed", 35: "bad-group", 36: "group-conflict", 37: "no-responders",
    38: "no-reply-right", 39: "will-too-large", 40: "responder-gone", 41: "request-cancelled", 42: "unknown-name",
    50: "queue-full", 51: "stall-timed-out", 52: "bus-restarted", 53: "reconnected", 54: "unopenable",
    55: "superseded", 56: "attempts-exhausted",
    60: "not-durable", 61: "store-full", 62: "retention", 63: "expired", 64: "rejected", 65: "damaged",
    66: "partly-known", 67: "consumer-exists", 68: "invalid-setting", 69: "name-taken",
    70: "acknowledgement-timed-out", 71: "retried", 72: "purged", 73: "store-unavailable", 74: "other-store",
    75: "session-gone",
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
    """A topic, a filter or a group's name against the rules."""

    reason = "bad-topic"


class Refused(Exception):
    """The daemon said no to one request, by the protocol's name; the connection goes on."""

    def __init__(self, reason: str, message: Optional[str] = None) -> None:
        self.reason = reason
        super().__init__(f"{reason}: {message}" if message else reason)


class Closed(Exception):
    """The connection is over; whatever has no receipt is unknown."""

    def __init__(self, reason: str, message: Optional[str] = None) -> None:
        self.reason = reason
        super().__init__(f"{reason}: {message}" if message else reason)


class TimedOut(Exception):
    """What was waited for didn't come in time; the connection goes on."""
