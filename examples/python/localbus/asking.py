"""A requester's side: a reply topic of its own, open requests told apart by correlation, and how each of them ends."""

from __future__ import annotations

import time
from collections import deque
from dataclasses import dataclass, replace
from typing import Any, Deque, Dict, Iterator, List, Optional
from uuid import UUID

from . import wire
from .batch import Event
from .errors import Refused, reason_name
from .layouts import RECEIPT, REQUEST
from .names import reply_topic
from .publishing import Payload, Publishing
from .subscribing import Subscribing
from .subscription import Delivery, Subscription


class Unanswered(Exception):
    """Everyone who had the request is gone, or lost it, without an answer."""

    def __init__(self, reason: str) -> None:
        self.reason = reason
        super().__init__(reason)


class Failed(Exception):
    """The responder answered that it failed."""


@dataclass(frozen=True)
class Answer:
    """One answer. `failure` is what went wrong, of an error answer; `has_more` says that this responder goes on."""

    event: Event
    has_more: bool
    failure: Optional[str]

    @property
    def payload(self) -> bytes:
        return self.event.payload


class Conversation:
    """A request on its way. Answers, and word of who won't answer, may come before its receipt does."""

    def __init__(self, client: Asking, correlation: UUID, number: int) -> None:
        self.correlation = correlation
        self.number = number
        self.responders: Optional[int] = None
        self.unanswered: List[str] = []
        self._client = client
        self._answers: Deque[Answer] = deque()
        self._final_count = 0
        self._taken_count = 0

    @property
    def is_over(self) -> bool:
        """Whether everyone has answered, or won't."""
        return self.responders is not None and self._final_count + len(self.unanswered) >= self.responders

    def take(self, timeout: Optional[float] = 5) -> Optional[Answer]:
        """The next answer; None behind the last one, `Unanswered` where there was none at all."""
        deadline = None if timeout is None else time.monotonic() + timeout
        if self.responders is None:
            self._read_receipt(timeout)
        left = None if deadline is None else max(0.0, deadline - time.monotonic())
        self._client.run_until(lambda: self._client._sort_answers() or self._answers or self.is_over, left)
        if self._answers:
            self._taken_count += 1
            return self._answers.popleft()
        if not self._taken_count:
            raise Unanswered(self.unanswered[0])
        return None

    def __iter__(self) -> Iterator[Answer]:
        return iter(self.take, None)

    def cancel(self) -> None:
        """Wants no more answers; responders are told."""
        self._client._end_conversation(self)

    def _read_receipt(self, timeout: Optional[float]) -> None:
        """How many will answer. While the publish waits behind a stall, there is no receipt."""
        try:
            self.responders = self._client.receipt(self.number, timeout).responders
        except Refused:
            self.responders = 0
            self.cancel()
            raise

    def _put(self, answer: Answer) -> None:
        self._answers.append(answer)
        self._final_count += not answer.has_more


class Asking(Publishing, Subscribing):
    """Makes requests."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        self._inbox: Optional[Subscription] = None
        self._conversations: Dict[UUID, Conversation] = {}
        self._abandoned: Dict[int, UUID] = {}
        super().__init__(*arguments, **options)

    def request(self, topic: str, payload: Payload, timeout: float = 5) -> Answer:
        """The first answer; `Refused` (no-responders), `Unanswered`, `Failed` or `TimedOut` where there is none."""
        deadline = time.monotonic() + timeout
        conversation = self.ask(topic, payload, timeout)
        try:
            answer = conversation.take(max(0.0, deadline - time.monotonic()))
        finally:
            conversation.cancel()
        if answer.failure is not None:
            raise Failed(answer.failure)
        return answer

    def ask(self, topic: str, payload: Payload, timeout: Optional[float] = 5) -> Conversation:
        """Sends a request, whose answers can be taken; who has enough of them cancels."""
        own = reply_topic(self.welcome["session"])
        if self._inbox is None:
            self._inbox = self.subscribe(own, timeout=timeout)
        event, = self.stamped([payload])
        correlation = event.correlation or event.id
        event = replace(event, correlation=correlation, reply_to=own.encode())
        _, number, _ = self.publish_one(topic, [event], RECEIPT | REQUEST, timeout)
        self._conversations[correlation] = Conversation(self, correlation, number)
        return self._conversations[correlation]

    def _end_conversation(self, conversation: Conversation) -> None:
        if self._conversations.pop(conversation.correlation, None) is None:
            return
        if conversation.responders is None:
            self._abandoned[conversation.number] = conversation.correlation
        elif not conversation.is_over:
            self._call_off(conversation.correlation)

    def _call_off(self, correlation: UUID) -> None:
        if self._end is None:
            self.send("cancelRequest", correlation=correlation.bytes)

    def _on_receipts(self, frame: wire.Frame) -> None:
        """A request given up on while its publish waited is open only now, and called off now."""
        super()._on_receipts(frame)
        for number in [number for number in self._abandoned if number <= self._progress]:
            correlation = self._abandoned.pop(number)
            self._answers.pop(("publish", number), None)
            if self._receipts.pop(number, None):
                self._call_off(correlation)

    def _sort_answers(self) -> None:
        """Puts what came to the reply topic to the requests it answers; for one that is over it is nobody's."""
        while self._inbox.has_items:
            delivery = self._inbox.take()
            if not isinstance(delivery, Delivery):
                continue  # a gap: whose answer it was isn't known, and the request's own time limit ends it
            for _, event in delivery.events:
                conversation = self._conversations.get(event.correlation)
                if conversation is not None:
                    failure = dict(event.headers).get(b"error")
                    text = None if failure is None else failure.decode("utf-8", "replace")
                    conversation._put(Answer(event, delivery.has_more, text))

    def _on_unanswered(self, frame: wire.Frame) -> None:
        conversation = self._conversations.get(UUID(bytes=frame["correlation"]))
        if conversation is not None:  # otherwise it crossed the end of the request
            conversation.unanswered.append(reason_name(frame["reason"]))
