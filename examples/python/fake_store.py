"""A daemon that pretends to have a store: it tells what it was asked, and answers with the same rows every time.

    python3 fake_store.py SOCKET

What a tool makes of durable subscriptions, dead letters and traces can be seen against it, exactly and without a bus.
A line on standard output for each request; three stored events for each subscription that begins in what is stored.
"""

from __future__ import annotations

import socket
import sys
from typing import Any, Dict, List
from uuid import UUID

from fake_daemon import FakeDaemon
from localbus import layouts, settings, wire
from localbus.batch import Event
from localbus.rows import Row, encode_rows

NOT_DURABLE, UNKNOWN_NAME, NAME_TAKEN = 60, 42, 69
OPERATIONS = {number: name for name, number in settings.OPERATIONS.items()}
SETTINGS = {number: name for name, number in settings.SETTINGS.items()}
SETTLEMENTS = ("acknowledge", "retry", "extend", "reject")
STARTS = ("new", "all", "last", "since", "sequence")
TIME = 1_700_000_000_000_000
ORDER, BILL = "018bcfe5-6800-7000-8000-000000000001", "018bcfe5-6800-7000-8000-000000000002"
REPLY, NOTE = "018bcfe5-6800-7000-8000-000000000003", "018bcfe5-6800-7000-8000-000000000004"

DEAD = {
    "id": ORDER, "topic": "orders.new", "sequence": 42, "subscription": "billing", "reason": "rejected",
    "message": "no such customer", "attempts": 3, "accepted_at": TIME, "died_at": TIME + 5_000_000, "bytes": 812,
}
DECLARED = {"filter": "orders.>", "source": "command", "durable": 1, "max-age": 86_400_000_000, "limit-hard": 1}
DURABLE = {
    "subscription": "billing", "filter": "orders.>", "mode": "shared", "consumers": 0, "pending": 7, "outstanding": 2,
    "delayed": 1, "acknowledged": 35, "redelivered": 3, "dead": 1, "attended_at": 0, "created_at": TIME, "position": 35,
    "uid": 0, "ack-wait": 30_000_000, "attempts": 10,
}
TRACE: List[Row] = [
    {"what": "published", "id": ORDER, "time": TIME, "uid": 0, "name": "shop", "topic": "orders.new", "sequence": 42,
     "position": 7, "stored": 1, "correlation": ORDER, "causation": ""},
    {"what": "delivery", "id": ORDER, "subscription": "billing", "state": "sent", "session": 7, "name": "biller",
     "attempt": 1, "time": TIME + 1500},
    {"what": "delivery", "id": ORDER, "subscription": "billing", "state": "retried", "session": 7, "name": "biller",
     "attempt": 1, "time": TIME + 2_001_500, "after_us": 2_000_000, "reason": "retried", "message": "card machine down"},
    {"what": "delivery", "id": ORDER, "subscription": "billing", "state": "acknowledged", "session": 8, "name": "biller",
     "attempt": 2, "time": TIME + 2_201_500, "after_us": 850},
    {"what": "delivery", "id": ORDER, "subscription": "9/1", "state": "dropped", "time": TIME + 1600,
     "reason": "queue-full"},
    {"what": "answer", "id": REPLY, "causation": ORDER, "state": "answered", "session": 9, "name": "till",
     "time": TIME + 2100, "after_us": 2100, "reason": ""},
    {"what": "answer", "id": "", "causation": ORDER, "state": "unanswered", "session": 8, "name": "biller",
     "time": TIME + 900_000, "after_us": 900_000, "reason": "responder-gone"},
    {"what": "event", "id": BILL, "topic": "bills.new", "causation": ORDER, "time": TIME + 2_202_000},
    {"what": "event", "id": NOTE, "topic": "notes.new", "causation": REPLY, "time": TIME + 2_203_000},
]


class StoreDaemon(FakeDaemon):
    """One connection to it."""

    def tell(self, *words: Any) -> None:
        print(*words, flush=True)

    def _goodbye(self, frame: wire.Frame) -> None:
        pass

    # Questions and changes

    def _inspect(self, frame: wire.Frame) -> None:
        rows: Dict[int, List[Row]] = {4: [], 6: [DEAD], 7: [DECLARED], 8: [DURABLE], 9: TRACE}
        key = frame["key"]
        found = [row for row in rows.get(frame["kind"], []) if not key or frame["kind"] == 9 or key in row.values()]
        if (key and not found) or key == BILL:
            self.send("error", reason=UNKNOWN_NAME, in_reply_to=0x30, fatal=0, request=frame["request"])
        else:
            self.send("inspected", rest=encode_rows(found), request=frame["request"])

    def _administer(self, frame: wire.Frame) -> None:
        name = OPERATIONS[frame["operation"]]
        self.tell(name, *_words(frame))
        if frame["key"] == "unknown":
            self.send("error", reason=UNKNOWN_NAME, in_reply_to=0x32, fatal=0, request=frame["request"],
                      message="there is no durable subscription unknown")
        elif frame["filter"] == b"taken.>":
            self.send("error", reason=NAME_TAKEN, in_reply_to=0x32, fatal=0, request=frame["request"],
                      message="topics 'taken.>' are declared already")
        else:
            self.send("administered", request=frame["request"], count=7)

    # Events

    def accept(self, frame: wire.Frame, seal: int, topic: bytes) -> Any:
        self.tell("publish", topic.decode(), *(name for bit, name in (
            (layouts.DURABLE, "durable"), (layouts.AGAIN, "again")) if frame.flags & bit))
        if frame.flags & layouts.DURABLE and topic.startswith(b"live."):
            return NOT_DURABLE, 0, 0
        return 0, 0, 0

    def _subscribe(self, frame: wire.Frame) -> None:
        number = frame["subscription"]
        self.tell("subscribe", *_words(frame))
        super()._subscribe(frame)
        if frame["durable_name"] is None and frame["start"] is None:
            return
        for place in range(1, 4):
            seal, batch = self.sealed(b"orders.new", [Event(b"order %d" % place, (), UUID(int=place), TIME)])
            self.introduce(seal)
            self.send_delivery(number, place, b"", batch, place, flags=layouts.STORED, attempt=1)
        self.send("caughtUp", subscription=number, count=3)

    def _settle(self, frame: wire.Frame) -> None:
        self.tell(SETTLEMENTS[frame["settlement"]], frame["delivery"], *([frame["message"]] if frame["message"] else []))

    def _acknowledge(self, frame: wire.Frame) -> None:
        self.tell("acknowledged up to", frame["delivery"])

    def _sync(self, frame: wire.Frame) -> None:
        pass


def _words(frame: wire.Frame) -> List[str]:
    """What a request says, in the order of its fields."""
    words = [f"{name}={frame[name] if isinstance(frame[name], str) else frame[name].decode()}"
             for name in ("key", "filter", "durable_name") if frame.values.get(name)]
    mode = frame["mode"] or 0
    words += [name for bit, name in (
        (layouts.EXCLUSIVE, "exclusive"), (layouts.LAST, "last-value"), (layouts.SHARED, "shared"),
        (layouts.UNACKNOWLEDGED, "unacknowledged")) if mode & bit]
    if frame["start"]:
        kind, value = frame["start"]
        words.append(f"start={STARTS[kind]}" + (f":{value}" if kind == settings.SEQUENCE else ""))
    return words + [f"{SETTINGS[key]}={value}" for key, value in frame["setting"] or ()]


def main() -> None:
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(sys.argv[1])
    listener.listen()
    while True:
        StoreDaemon(accepted=listener.accept()[0])


if __name__ == "__main__":
    main()
