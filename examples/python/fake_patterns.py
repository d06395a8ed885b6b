"""A daemon of one connection that knows the patterns: groups, last values, requests, wills, pages of rows.

Enough of each to see what a client makes of it; whatever has two sides, both are the one client's.
"""

from __future__ import annotations

import socket
from dataclasses import dataclass
from typing import Any, Dict, List, Optional, Sequence, Tuple

from fake_daemon import FakeDaemon
from localbus import layouts, wire
from localbus.batch import CORRELATION, REPLY_TO, decode_batch
from localbus.rows import Row, encode_rows
from localbus.selection import selection_of

NO_RESPONDERS, NO_REPLY_RIGHT = 37, 38
WILL = 0x16


@dataclass
class Member:
    """One subscription of the client."""

    number: int
    filter: str
    group: Optional[bytes]
    mode: int
    deliveries: int = 0


@dataclass
class Kept:
    """A topic's last value: the batch, and where it stood."""

    batch: bytes
    seal: int
    event_count: int
    sequence: int


class PatternDaemon(FakeDaemon):
    """Delivers what matches, credit or not."""

    def __init__(self, pages: Sequence[List[Row]] = ([],), accepted: Optional[socket.socket] = None) -> None:
        self.pages = pages
        self.members: Dict[int, Member] = {}
        self.kept: Dict[bytes, Kept] = {}
        self.rights: Dict[Tuple[bytes, Any], int] = {}
        self.will: Optional[wire.Frame] = None
        super().__init__(accepted=accepted)

    # Publishing

    def accept(self, frame: wire.Frame, seal: int, topic: bytes) -> Tuple[int, int, int]:
        """Refusal or 0, matches, responders."""
        batch = decode_batch(frame.rest)
        correlations, reply_topics = batch.columns[CORRELATION], batch.columns[REPLY_TO]
        targets = self._targets(topic.decode())
        responders = [one for one in targets if one[0].mode & layouts.RESPONDS]
        is_request = bool(frame.flags & layouts.REQUEST)
        if is_request and not responders:
            return NO_RESPONDERS, 0, 0
        if topic.startswith(b"$reply."):
            meant = [k for k, one in enumerate(correlations) if self._may_answer(topic, one, frame.flags)]
            if not meant:
                return NO_REPLY_RIGHT, 0, 0
        else:
            meant = list(range(batch.event_count))
        if is_request:
            for key in zip(reply_topics, correlations):
                self.rights[key] = len(responders)
        if frame.flags & layouts.RETAIN:
            self.kept[topic] = Kept(frame.rest, seal, batch.event_count, self.sequence)
            if frame.flags & layouts.TOMBSTONE:
                del self.kept[topic]
        for members in targets:
            self._share(frame.rest, seal, meant, batch.event_count, members, _deliver_flags(frame.flags, members))
        return 0, len(targets), len(responders) if is_request else 0

    def _targets(self, topic: str) -> List[List[Member]]:
        """Who gets a topic's events: each alone, or a group's members."""
        groups: Dict[Any, List[Member]] = {}
        for member in self.members.values():
            if matches(member.filter, topic):
                groups.setdefault((member.filter, member.group) if member.group else member.number, []).append(member)
        return list(groups.values())

    def _may_answer(self, topic: bytes, correlation: Any, flags: int) -> bool:
        left = self.rights.get((topic, correlation), 0)
        if left and not flags & layouts.MORE_FOLLOW:
            self.rights[topic, correlation] = left - 1
        return left > 0

    def _share(
        self, raw: bytes, seal: int, meant: List[int], event_count: int, members: List[Member], flags: int
    ) -> None:
        """Events in turns, so that every batch of a few is cut."""
        for place, member in enumerate(members):
            chosen = meant[place::len(members)]
            if chosen:
                self.deliver(raw, seal, member, selection_of(chosen, event_count), self.sequence, flags)

    def deliver(
        self, raw: bytes, seal: int, member: Member, selection: bytes, sequence: int, flags: int, attempt: int = 1
    ) -> None:
        self.introduce(seal)
        member.deliveries += 1
        self.send_delivery(member.number, member.deliveries, selection, raw, sequence, flags, attempt)

    # Subscribing

    def _subscribe(self, frame: wire.Frame) -> None:
        member = Member(frame["subscription"], frame["filter"].decode(), frame["group"], frame["mode"] or 0)
        self.members[member.number] = member
        self.send("subscribed", subscription=member.number)
        if member.mode & layouts.LAST:
            found = [one for topic, one in self.kept.items() if matches(member.filter, topic.decode())]
            for one in found:
                last = selection_of([one.event_count - 1], one.event_count)
                self.deliver(one.batch, one.seal, member, last, one.sequence, layouts.STORED)
            self.send("caughtUp", subscription=member.number, count=len(found))

    def _unsubscribe(self, frame: wire.Frame) -> None:
        member = self.members.pop(frame["subscription"])
        self.send("unsubscribed", subscription=member.number, reason=34, delivered=member.deliveries, missed=0)

    # The rest

    def _will(self, frame: wire.Frame) -> None:
        self.will = frame if frame.rest else None
        self.send("done", in_reply_to=WILL, request=frame["request"])

    def _cancelRequest(self, frame: wire.Frame) -> None:
        for (topic, correlation), left in self.rights.items():
            if correlation.bytes == frame["correlation"] and left:
                self.rights[topic, correlation] = 0
                self.send("requestCancelled", correlation=correlation.bytes, topic=topic)

    def _circuit(self, frame: wire.Frame) -> None:
        pass

    def _inspect(self, frame: wire.Frame) -> None:
        page = frame["after"] or 0
        after = page + 1 if page + 1 < len(self.pages) else 0
        self.send("inspected", rest=encode_rows(self.pages[page], after), request=frame["request"])


def _deliver_flags(publish_flags: int, members: List[Member]) -> int:
    is_answerable = publish_flags & layouts.REQUEST and members[0].mode & layouts.RESPONDS
    return (layouts.ANSWERABLE if is_answerable else 0) | (layouts.MORE if publish_flags & layouts.MORE_FOLLOW else 0)


def matches(filter: str, topic: str) -> bool:
    """The page's rules for filters, said in a few lines."""
    pattern, tokens = filter.split("."), topic.split(".")
    if pattern[0] in "*>" and topic.startswith("$"):
        return False
    if pattern[-1] == ">" and len(tokens) >= len(pattern):
        pattern, tokens = pattern[:-1], tokens[:len(pattern) - 1]
    return len(pattern) == len(tokens) and all(p in ("*", token) for p, token in zip(pattern, tokens))
