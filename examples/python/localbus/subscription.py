"""What a subscriber knows and is owed: the keys of what it reads, and the credit it has given."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Deque, Dict, Iterator, List, Optional, Tuple, Union

from . import crypto, wire
from .batch import Batch, Event, decode_batch
from .errors import BatchError, FrameError, Refused, reason_name
from .layouts import ANSWERABLE, FORGET_EARLIER, MORE, STORED
from .names import decode_topic
from .selection import selected, split_delivery

if TYPE_CHECKING:
    from .link import Link

GAP_COUNT_UNKNOWN = 1
OVERFLOWS = {"drop-oldest": 0, "stall": 1, "drop-newest": 2, "latest": 3, "disconnect": 4}


@dataclass(frozen=True)
class Publisher:
    """Uid and gid are the kernel's word, the name is the publisher's own."""

    uid: int
    gid: int
    name: Optional[str]


@dataclass(frozen=True)
class Delivery:
    """The selected events of one batch, each with its sequence. `time` is when the daemon accepted it.

    A sequence is a position in one life of its topic: an idle topic is forgotten, and begins anew as another.
    """

    number: int
    attempt: int
    topic: str
    publisher: Publisher
    time: int
    events: Tuple[Tuple[int, Event], ...]
    topic_incarnation: Optional[int] = None
    is_stored: bool = False
    has_more: bool = False
    is_answerable: bool = False


@dataclass(frozen=True)
class Unopenable:
    """A delivery that can't be opened: dropped whole, and told."""

    number: int
    attempt: int
    why: str


@dataclass(frozen=True)
class Gap:
    """What was missed before the next delivery; what isn't known is None."""

    reason: str
    topic: Optional[str]
    count: Optional[int]
    first_sequence: int
    last_sequence: int


@dataclass(frozen=True)
class CaughtUp:
    """All last values are delivered; what follows is new."""

    count: int


@dataclass(frozen=True)
class Ended:
    """A subscription's account."""

    reason: str
    delivered: int
    missed: int


class KeyRing:
    """Announced seals and granted secrets of one connection. The first word of each counts; repeats change nothing."""

    def __init__(self) -> None:
        self.announcements: Dict[int, wire.Frame] = {}
        self.secrets: Dict[Tuple[bytes, int], bytes] = {}
        self.keys: Dict[int, crypto.SealKeys] = {}

    def announce(self, frame: wire.Frame) -> None:
        if frame.flags & FORGET_EARLIER:
            self.announcements, self.secrets, self.keys = {}, {}, {}
        self.announcements.setdefault(frame["seal"], frame)

    def grant(self, topic: bytes, epoch: int, secret: bytes) -> None:
        self.secrets.setdefault((topic, epoch), secret)

    def open(self, batch: Batch) -> Tuple[wire.Frame, List[Event]]:
        """The announcement of the batch's seal and all its events."""
        announcement = self.announcements.get(batch.seal)
        if announcement is None:
            raise FrameError(f"deliver: seal {batch.seal} was not announced")
        return announcement, crypto.open_batch(self._keys(announcement), batch)

    def _keys(self, announcement: wire.Frame) -> crypto.SealKeys:
        seal, topic, epoch = (announcement[key] for key in ("seal", "topic", "epoch"))
        if seal not in self.keys:
            secret = self.secrets.get((topic, epoch))
            if secret is None:
                raise crypto.Unsealable(f"no grant for epoch {epoch} of the topic")
            keys = crypto.seal_keys(secret, announcement["salt"], topic, epoch)
            if not crypto.same(keys.check, announcement["key_check"]):
                raise crypto.Unsealable("the key check is not the announced one")
            self.keys[seal] = keys
        return self.keys[seal]


Item = Union[Delivery, Unopenable, Gap, CaughtUp]


class Subscription:
    """Deliveries, gaps and unopenable batches in order. Taking renews the credit; acknowledging is the reader's, unless
    it is read in a loop: that acknowledges each delivery when the next item is asked for."""

    def __init__(
        self, client: Link, number: int, filter: str, group: Optional[str], credit_events: int, credit_bytes: int
    ) -> None:
        self.number = number
        self.filter = filter
        self.group = group
        self.ended: Optional[Ended] = None
        self._client = client
        self._items: Deque[Tuple[Union[Item, Refused], int, int]] = deque()
        self._window = (credit_events, credit_bytes)
        self._promised = (credit_events, credit_bytes)
        self._taken = (0, 0)

    @property
    def has_items(self) -> bool:
        return bool(self._items)

    @property
    def last_item(self) -> Union[Item, Refused]:
        """What came last and wasn't taken."""
        return self._items[-1][0]

    def take(self, timeout: Optional[float] = None) -> Optional[Item]:
        """The next item, or None behind the last one; an end the client didn't ask for is raised as `Refused`."""
        self._client.run_until(lambda: self._items or self.ended, timeout)
        if not self._items:
            if self.ended.reason == "unsubscribed":
                return None
            raise Refused(self.ended.reason, f"subscription to {self.filter} ended")
        item, event_count, length = self._items.popleft()
        if isinstance(item, Refused):
            raise item
        self._taken = (self._taken[0] + event_count, self._taken[1] + length)
        self._renew_credit()
        return item

    def __iter__(self) -> Iterator[Item]:
        for item in iter(self.take, None):
            yield item
            if isinstance(item, (Delivery, Unopenable)):
                self.acknowledge(item)

    def acknowledge(self, item: Union[Delivery, Unopenable]) -> None:
        """Everything up to this delivery has been handled."""
        if self.ended is None:
            self._client.send("acknowledge", subscription=self.number, delivery=item.number)

    def unsubscribe(self, timeout: Optional[float] = 10) -> Ended:
        """What was delivered before the end can still be taken."""
        if self.ended is None:
            self._client.send("unsubscribe", subscription=self.number)
            self._client.run_until(lambda: self.ended, timeout)
        return self.ended

    def widen(self, credit_events: int, credit_bytes: int) -> None:
        """Is ready for this much from now on, at least as much as before."""
        self._window = (credit_events, credit_bytes)
        self._promise(self._wanted())

    def _wanted(self) -> Tuple[int, int]:
        return self._taken[0] + self._window[0], self._taken[1] + self._window[1]

    def _renew_credit(self) -> None:
        """Tops the running totals up when half of either window is used."""
        wanted = self._wanted()
        gains = zip(wanted, self._promised, self._window)
        if any(window and 2 * (want - had) >= window for want, had, window in gains):
            self._promise(wanted)

    def _promise(self, totals: Tuple[int, int]) -> None:
        if self.ended is None:
            self._promised = totals
            self._client.send("credit", subscription=self.number, events=totals[0], bytes=totals[1])

    # What the connection hands on

    def put_delivery(self, frame: wire.Frame, ring: KeyRing) -> None:
        """What the daemon should have refused is its fault; what only a subscriber can see is the publisher's."""
        selection, raw = split_delivery(frame)
        try:
            batch = decode_batch(raw)
        except BatchError as error:
            raise FrameError(f"deliver: {error}") from None
        chosen = selected(selection, batch.event_count)
        try:
            item: Any = _opened(frame, batch, chosen, ring)
        except BatchError as error:
            item = Unopenable(frame["delivery"], frame["attempt"], str(error))
        self._items.append((item, len(chosen), len(raw)))

    def put_gap(self, frame: wire.Frame) -> None:
        count = None if frame["gap_flags"] & GAP_COUNT_UNKNOWN else frame["count"]
        topic = frame["topic"].decode("utf-8", "replace") if frame["topic"] else None
        reason = reason_name(frame["reason"])
        self._items.append((Gap(reason, topic, count, frame["first_sequence"], frame["last_sequence"]), 0, 0))

    def put_caught_up(self, frame: wire.Frame) -> None:
        self._items.append((CaughtUp(frame["count"]), 0, 0))

    def put_refusal(self, refused: Refused) -> None:
        self._items.append((refused, 0, 0))


def _opened(frame: wire.Frame, batch: Batch, chosen: List[int], ring: KeyRing) -> Delivery:
    announcement, events = ring.open(batch)
    return Delivery(
        number=frame["delivery"],
        attempt=frame["attempt"],
        topic=decode_topic(announcement["topic"]),
        publisher=Publisher(announcement["uid"], announcement["gid"], announcement["name"]),
        time=frame["time"],
        events=tuple((frame["first_sequence"] + k, events[k]) for k in chosen),
        topic_incarnation=announcement["incarnation"],
        is_stored=bool(frame.flags & STORED),
        has_more=bool(frame.flags & MORE),
        is_answerable=bool(frame.flags & ANSWERABLE),
    )
