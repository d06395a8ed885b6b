"""Which events of a batch are meant: bit k of byte k/8 for event k, and no bytes at all for all of them."""

from __future__ import annotations

from typing import List, Sequence, Tuple

from .errors import FrameError
from .wire import Frame


def split_delivery(frame: Frame) -> Tuple[bytes, bytes]:
    """A deliver frame's selection and its batch."""
    length = frame["selection_length"]
    if length > len(frame.rest):
        raise FrameError(f"deliver: selection of {length} in {len(frame.rest)} bytes")
    return frame.rest[:length], frame.rest[length:]


def selected(selection: bytes, event_count: int) -> List[int]:
    """The places of the events that are meant. A daemon that selects nothing, or what isn't there, is at fault."""
    if not selection:
        return list(range(event_count))
    if len(selection) > (event_count + 7) // 8:
        raise FrameError(f"deliver: selection of {len(selection)} bytes for {event_count} events")
    chosen = [k for k in range(8 * len(selection)) if selection[k // 8] >> k % 8 & 1]
    if not chosen or chosen[-1] >= event_count:
        raise FrameError(f"deliver: selection of {chosen or 'no event'} of {event_count}")
    return chosen


def selection_of(chosen: Sequence[int], event_count: int) -> bytes:
    """The shortest bytes for these events; for a daemon, here the tests'."""
    if len(chosen) == event_count:
        return b""
    bits = bytearray(max(chosen) // 8 + 1)
    for k in chosen:
        bits[k // 8] |= 1 << k % 8
    return bytes(bits)
