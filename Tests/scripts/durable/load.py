"""The load under which the proofs break things, and what must hold of it afterwards.

A publisher numbers its events, keeps every batch until its receipt, and sends what has none again under the same ids
when the daemon is back. Another one leaves events that are due a moment later, and takes some of them back. A consumer
writes down what it handled and acknowledges it.
"""

from __future__ import annotations

import random
import sqlite3
import threading
import time
from collections import deque
from pathlib import Path
from typing import Any, Deque, Dict, List, NamedTuple, Optional, Set, Tuple

from proof import (ALL, Daemon, Delivery, Event, Gap, Gone, IdSource, Reading, Refused, TimedOut, check, following,
                   ranges)

UNDER_WAY_MAX = 8
BATCH_MAX = 12
LATER = "proof.later"
"""What `Later` publishes on, and nobody else."""


class Batch(NamedTuple):
    """Some consecutive events of a publisher on one topic."""

    topic: str
    first: int
    count: int


class Resender(threading.Thread):
    """Publishes whenever the daemon is there, until it is told to end and everything is receipted."""

    def __init__(self, name: str, daemon: Daemon, stop: threading.Event, pause: float, dice: int) -> None:
        super().__init__(name=name, daemon=True)
        self.duplicates = 0
        self.failure: Optional[BaseException] = None
        self._daemon, self._stop_wanted, self._pause = daemon, stop, pause
        self._dice = random.Random(dice)
        self._kept: Deque[Any] = deque()
        """What has no receipt, to be sent again first."""

    def run(self) -> None:
        while not (self._stop_wanted.is_set() and not self._kept):
            try:
                with self._daemon.connect(self.name) as bus:
                    self._publish(bus)
            except (*Gone, TimedOut):
                self._stop_wanted.wait(0.005)
            except BaseException as failure:  # told by the main thread
                self.failure = failure
                return

    def _publish(self, bus: Any) -> None:
        raise NotImplementedError


class Publisher(Resender):
    """Publishes on its own topic and on one that all share, until it is told to end and everything is receipted."""

    def __init__(self, daemon: Daemon, number: int, receipts: Path, stop: threading.Event, pause: float = 0) -> None:
        super().__init__(f"publisher {number}", daemon, stop, pause, dice=number)
        self.number = number
        self.topics = ("proof.shared", f"proof.own{number}")
        self.first_id = IdSource().take(1)[0]
        self.batches: List[Batch] = []
        self.receipted: Dict[int, int] = {}
        """The sequence that the receipt of a batch named, by the batch's first number."""
        self._file = receipts.open("a")

    def run(self) -> None:
        super().run()
        self._file.close()

    def _publish(self, bus: Any) -> None:
        under_way = deque((bus.put(batch.topic, self.events(batch), again=True), batch) for batch in self._kept)
        while True:
            while len(under_way) < UNDER_WAY_MAX and not self._stop_wanted.is_set():
                batch = self._next_batch()
                under_way.append((bus.put(batch.topic, self.events(batch)), batch))
                if self._pause:
                    self._stop_wanted.wait(self._pause)
            if not under_way:
                return
            number, batch = under_way.popleft()
            receipt = bus.receipt(number)
            check(receipt.is_on_disk, f"a receipt of {self.name} that isn't of the disk: {receipt}")
            check(receipt.event_count == batch.count, f"a receipt of {receipt.event_count} events for {batch}")
            self.duplicates += receipt.is_duplicate
            self.receipted[batch.first] = receipt.first_sequence
            print(self.number, *batch, receipt.first_sequence, receipt.flags, file=self._file, flush=True)
            self._kept.popleft()

    def _next_batch(self) -> Batch:
        first = self.batches[-1].first + self.batches[-1].count if self.batches else 0
        batch = Batch(self._dice.choice(self.topics), first, self._dice.randint(1, BATCH_MAX))
        self.batches.append(batch)
        self._kept.append(batch)
        return batch

    def id(self, n: int) -> Any:
        return following(self.first_id, n)

    def events(self, batch: Batch) -> List[Event]:
        return [Event(b"%d %d" % (self.number, n), id=self.id(n)) for n in range(batch.first, batch.first + batch.count)]


class Later(Resender):
    """Leaves events that are due within two seconds, sends again those without a receipt, and takes every tenth back."""

    def __init__(self, daemon: Daemon, stop: threading.Event, pause: float = 0) -> None:
        super().__init__("publisher of later", daemon, stop, pause, dice=99)
        self.due: Dict[Any, int] = {}
        """When each event is due, by id; microseconds since 1970."""
        self.taken_back: Set[Any] = set()
        self.doubtful: Set[Any] = set()
        """Those of which the daemon died before it said whether they were taken back."""
        self.receipted: Dict[Any, int] = {}
        """The sequence that a receipt named, of those that were published by then."""
        self._next_id = IdSource().take(1)[0]

    def _publish(self, bus: Any) -> None:
        under_way = deque((self._put(bus, id, again=True), id) for id in self._kept)
        while True:
            while len(under_way) < UNDER_WAY_MAX and not self._stop_wanted.is_set():
                id, self._next_id = self._next_id, following(self._next_id, 1)
                self.due[id] = time.time_ns() // 1000 + self._dice.randrange(2_000_000)
                self._kept.append(id)
                under_way.append((self._put(bus, id), id))
                if self._pause:
                    self._stop_wanted.wait(self._pause)
            if not under_way:
                return
            number, id = under_way.popleft()
            receipt = bus.receipt(number)
            check(receipt.is_on_disk and receipt.event_count == 1, f"a receipt of {self.name}: {receipt}")
            check(receipt.is_waiting == (receipt.first_sequence == 0), f"it waits and is published, or neither: {receipt}")
            self.duplicates += receipt.is_duplicate
            if not receipt.is_waiting:
                self.receipted[id] = receipt.first_sequence
            self._kept.popleft()
            if self._dice.random() < 0.1:
                self._take_back(bus, id)

    def _put(self, bus: Any, id: Any, again: bool = False) -> int:
        return bus.put(LATER, [Event(b"%d" % self.due[id], id=id)], again, due=self.due[id])

    def _take_back(self, bus: Any, id: Any) -> None:
        self.doubtful.add(id)
        try:
            count = bus.administer("cancel-scheduled", key=str(id))
            check(count == 1, f"{count} events were taken back under one id")
            self.taken_back.add(id)
        except Refused as refused:
            check(refused.reason == "unknown-name", f"taking back: {refused}")
        self.doubtful.discard(id)


class Consumer(threading.Thread):
    """One consumer of a durable subscription, which comes back as often as it takes."""

    def __init__(self, daemon: Daemon, stop: threading.Event, durable: str = "proof") -> None:
        super().__init__(name="consumer", daemon=True)
        self.handled: Dict[Tuple[str, int], Tuple[Any, bytes]] = {}
        """What came, by topic and sequence."""
        self.repeated = 0
        self.gaps: List[Gap] = []
        self.order: List[Tuple[str, int]] = []
        """First comings, as they came."""
        self.failure: Optional[BaseException] = None
        self._daemon, self._stop_wanted, self._durable = daemon, stop, durable

    def run(self) -> None:
        while not self._stop_wanted.is_set():
            try:
                with self._daemon.connect("consumer") as bus:
                    self._consume(bus.follow("proof.>", self._durable))
            except (*Gone, TimedOut):
                self._stop_wanted.wait(0.005)
            except BaseException as failure:
                self.failure = failure
                return

    def _consume(self, subscription: Any) -> None:
        while not self._stop_wanted.is_set():
            try:
                item = subscription.take(0.2)
            except TimedOut:
                continue
            if isinstance(item, Gap):
                self.gaps.append(item)
            elif isinstance(item, Delivery):
                for sequence, event in item.events:
                    place, was = (item.topic, sequence), (event.id, event.payload)
                    if place in self.handled:
                        check(self.handled[place] == was, f"{place} was {self.handled[place]} and is now {was}")
                        self.repeated += 1
                    else:
                        self.handled[place] = was
                        self.order.append(place)
                subscription.acknowledge(item)
            else:
                check(not hasattr(item, "why"), f"a batch doesn't open: {item}")


def subscribe(daemon: Daemon, durable: str = "proof") -> None:
    """Makes the durable subscription, so that nothing is published before it is there."""
    with daemon.connect("proof") as bus:
        bus.follow("proof.>", durable, ALL)


def check_all(
    reading: Reading, publishers: List[Publisher], consumer: Optional[Consumer], later: Optional[Later] = None
) -> int:
    """Everything published is stored once, where its receipt said, in its publisher's order, and was handled."""
    check(not reading.gaps and not reading.unopenable, f"missing: {reading.gaps} {reading.unopenable}")
    places: Dict[Tuple[str, int], Tuple[Any, bytes]] = {}
    ids: Set[Any] = set()
    for topic, events in reading.topics.items():
        sequences = [event.sequence for event in events]
        check(all(a < b for a, b in zip(sequences, sequences[1:])), f"sequences of {topic} don't go up")
        for event in events:
            check(event.id not in ids, f"{event.id} is stored twice, the second time as {event.sequence} of {topic}")
            ids.add(event.id)
            places[topic, event.sequence] = (event.id, event.payload)
    for publisher in publishers:
        _check_publisher(publisher, reading, places)
    expected = sum(batch.count for publisher in publishers for batch in publisher.batches)
    if later:
        expected += _check_later(later, reading)
    check(len(ids) == expected, f"{len(ids)} events stored, {expected} published")
    if consumer:
        _check_consumer(consumer, places, publishers)
    return expected


def _check_publisher(publisher: Publisher, reading: Reading, places: Dict) -> None:
    prefix = b"%d " % publisher.number
    for topic in publisher.topics:
        wanted = [n for b in publisher.batches if b.topic == topic for n in range(b.first, b.first + b.count)]
        found = [int(e.payload.split()[1]) for e in reading.topics.get(topic, []) if e.payload.startswith(prefix)]
        lost = ranges(set(wanted) - set(found))
        check(not lost, f"lost of {publisher.name} on {topic}: {lost}, of {len(wanted)}")
        check(found == wanted, f"{publisher.name} on {topic}: not in its order, or more than it published")
    for batch in publisher.batches:
        first = publisher.receipted.get(batch.first)
        check(first is not None, f"{batch} of {publisher.name} has no receipt")
        for k, event in enumerate(publisher.events(batch)):
            found = places.get((batch.topic, first + k))
            check(found == (event.id, event.payload), f"the receipt of {batch} names {first}, where {found} is")


def _check_later(later: Later, reading: Reading) -> int:
    """What was left is published once and not early, or was taken back; how many were published."""
    stored = {event.id: event for event in reading.topics.get(LATER, [])}
    lost = set(later.due) - set(stored) - later.taken_back - later.doubtful
    check(not lost, f"{len(lost)} of {len(later.due)} events left for later never came, such as {sorted(lost)[:3]}")
    both = later.taken_back & set(stored)
    check(not both, f"{len(both)} events came though they were taken back, such as {sorted(both)[:3]}")
    for event in stored.values():
        due = later.due.get(event.id)
        check(due is not None and event.payload == b"%d" % due, f"nobody left {event} for later")
        check(event.time >= due, f"{event} came {due - event.time} µs early")
    for id, sequence in later.receipted.items():
        check(id in stored and stored[id].sequence == sequence,
              f"the receipt of {id} names {sequence}, stored is {stored.get(id)}")
    return len(stored)


def wait_for_later(daemon: Daemon, patience: float) -> None:
    """Until nothing waits any more."""
    deadline = time.monotonic() + patience
    with daemon.connect("later") as bus:
        while rows := bus.inspect("scheduled"):
            check(time.monotonic() < deadline, f"{len(rows)} events are due and wait, such as {rows[0]}")
            time.sleep(0.05)


def _check_consumer(consumer: Consumer, places: Dict, publishers: List[Publisher]) -> None:
    check(not consumer.gaps, f"the durable subscription was told of gaps: {consumer.gaps}")
    missed = [place for place in places if place not in consumer.handled]
    check(not missed, f"{len(missed)} events never reached the durable subscription, such as {missed[:3]}")
    for place, was in consumer.handled.items():
        check(places.get(place) == was, f"the subscription got {was} at {place}, stored is {places.get(place)}")
    last: Dict[str, int] = {}
    for topic, sequence in consumer.order:
        check(last.get(topic, 0) < sequence, f"{sequence} of {topic} came for the first time after {last.get(topic)}")
        last[topic] = sequence


def check_database(state: Path, copy: Path, expected: int) -> None:
    """What SQLite itself says of the files as a kill left them."""
    copy.mkdir()
    for name in ("store.db", "store.db-wal"):
        if (state / name).exists():
            (copy / name).write_bytes((state / name).read_bytes())
    database = sqlite3.connect(str(copy / "store.db"))
    (whole,) = database.execute("PRAGMA integrity_check").fetchone()
    check(whole == "ok", f"SQLite says of the database: {whole}")
    stored, batches, distinct = database.execute(
        "SELECT sum(count), count(*), count(DISTINCT publisher || hex(first_id)) FROM batches").fetchone()
    check(stored == expected, f"the database has {stored} events, {expected} were published")
    check(batches == distinct, f"{batches} batches have {distinct} first ids")
    waiting, = database.execute("SELECT count(*) FROM scheduled").fetchone()
    check(waiting == 0, f"{waiting} events still wait to be published")
    quarantined, = database.execute("SELECT count(*) FROM quarantine").fetchone()
    check(quarantined == 0, f"{quarantined} rows were put aside as damaged")
    database.close()
