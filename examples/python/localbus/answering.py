"""A responder's side: requests as they come, the right to answer each once, and who no longer waits."""

from __future__ import annotations

from collections import OrderedDict, deque
from dataclasses import dataclass, field, replace
from typing import Any, Deque, Dict, Iterator, List, Optional, Tuple
from uuid import UUID

from . import wire
from .batch import Event
from .errors import Refused
from .layouts import MORE_FOLLOW, RECEIPT
from .names import decode_topic
from .publishing import Payload, Publishing
from .subscribing import Subscribing
from .subscription import Delivery, Subscription, Unopenable

REPLY_SEAL_COUNT_MAX = 64
REMEMBERED_COUNT_MAX = 1024
CALLED_OFF = ("no-reply-right", "unknown-seal")


@dataclass(eq=False)
class Request:
    """A request to be answered, in as many parts as it takes; the last one ends it."""

    event: Event
    topic: str
    sequence: int
    attempt: int
    uid: int
    _client: Answering
    is_cancelled: bool = False
    is_answered: bool = False
    _given: List[Tuple[Event, bool]] = field(default_factory=list)

    @property
    def payload(self) -> bytes:
        return self.event.payload

    @property
    def reply_topic(self) -> str:
        return decode_topic(self.event.reply_to)

    def answer(self, payload: Payload, more: bool = False) -> None:
        """Gives an answer; nothing comes of it where nobody waits any more."""
        event = payload if isinstance(payload, Event) else Event(bytes(payload))
        self._given.append((event, more))
        self.is_answered = not more
        self._client._give(self, event, more)

    def fail(self, what: str) -> None:
        """An error answer."""
        self.answer(Event(b"", ((b"error", what.encode()),)))


class Responder:
    """The requests of one subscription. A request that comes again, because its requester tried again, gets the answers
    it got before, and isn't handed out twice."""

    def __init__(self, client: Answering, subscription: Subscription) -> None:
        self.subscription = subscription
        self._client = client
        self._waiting: Deque[Request] = deque()
        self._under_way: Optional[Delivery] = None
        self._remembered: OrderedDict[Tuple[int, UUID], Request] = OrderedDict()

    def take(self, timeout: Optional[float] = None) -> Optional[Request]:
        """The next request that somebody waits for; None behind the last. What was taken before is acknowledged."""
        while True:
            while self._waiting:
                request = self._waiting.popleft()
                if not request.is_cancelled and not self._answered_before(request):
                    return request
            self._acknowledge()
            item = self.subscription.take(timeout)
            if item is None:
                return None
            if isinstance(item, Delivery):
                self._under_way = item
                self._waiting.extend(self._client._requests_of(self.subscription, item))
            elif isinstance(item, Unopenable):
                self.subscription.acknowledge(item)

    def __iter__(self) -> Iterator[Request]:
        return iter(self.take, None)

    def _acknowledge(self) -> None:
        if self._under_way is not None:
            self.subscription.acknowledge(self._under_way)
            self._under_way = None

    def _answered_before(self, request: Request) -> bool:
        key = request.uid, request.event.id
        before = self._remembered.get(key)
        self._remembered[key] = request
        while len(self._remembered) > REMEMBERED_COUNT_MAX:
            self._remembered.popitem(last=False)
        if before is None or not before.is_answered:
            return False
        for event, more in before._given:
            request.answer(event, more)
        return True


class Answering(Publishing, Subscribing):
    """Answers requests, and hears which of them are called off."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        self._owed: Dict[Tuple[bytes, UUID], List[Request]] = {}
        self._arrived: Dict[Tuple[int, int], List[Request]] = {}
        self._reply_topics: OrderedDict[str, None] = OrderedDict()
        super().__init__(*arguments, **options)

    def respond(self, filter: str, **options: Any) -> Responder:
        """A subscription that answers; the options are those of `subscribe`."""
        return Responder(self, self.subscribe(filter, responds=True, **options))

    def _requests_of(self, subscription: Subscription, delivery: Delivery) -> List[Request]:
        """The requests of a delivery. Without the right to answer they are events like any other, and nobody's here."""
        return self._arrived.pop((subscription.number, delivery.number), [])

    def _on_deliver(self, frame: wire.Frame) -> None:
        """What may be answered is owed from its arrival on, since it can be called off before it is taken."""
        super()._on_deliver(frame)
        delivery = self._subscription(frame).last_item
        if not isinstance(delivery, Delivery) or not delivery.is_answerable:
            return
        requests = [
            Request(event, delivery.topic, sequence, delivery.attempt, delivery.publisher.uid, self)
            for sequence, event in delivery.events
        ]
        self._arrived[frame["subscription"], delivery.number] = requests
        for request in requests:
            self._owed.setdefault((request.event.reply_to, request.event.correlation), []).append(request)

    def _give(self, request: Request, event: Event, more: bool) -> None:
        if request.is_cancelled:
            return
        event = replace(event, id=None, correlation=request.event.correlation, causation=request.event.id)
        try:
            events = self.stamped([event])
            sent = self.publish_one(request.reply_topic, events, RECEIPT | (MORE_FOLLOW if more else 0), 10)
            self._settle(events, *sent, 10)
            self._keep_few_seals(request.reply_topic)
        except Refused as refused:
            if refused.reason not in CALLED_OFF:
                raise
            request.is_cancelled = True
        if not more or request.is_cancelled:
            self._forget(request)

    def _keep_few_seals(self, topic: str) -> None:
        """A requester that is gone takes its reply topic along without a word."""
        self._reply_topics[topic] = None
        self._reply_topics.move_to_end(topic)
        while len(self._reply_topics) > REPLY_SEAL_COUNT_MAX:
            oldest, _ = self._reply_topics.popitem(last=False)
            if oldest in self._seals:
                self.retire(self._seals[oldest])

    def _forget(self, request: Request) -> None:
        key = request.event.reply_to, request.event.correlation
        owed = self._owed.get(key, [])
        if request in owed:
            owed.remove(request)
        if not owed:
            self._owed.pop(key, None)

    def _on_requestCancelled(self, frame: wire.Frame) -> None:
        decode_topic(frame["topic"])
        for request in self._owed.pop((frame["topic"], UUID(bytes=frame["correlation"])), []):
            request.is_cancelled = True
