"""The clock jumps a day back and forth under load, and a daemon that began in 1970, or tomorrow, steps to today: nothing
expires early, nothing is redelivered, ids stay unique, times of a topic never go back; and nothing that waits to be
published comes early.

libfaketime moves CLOCK_REALTIME for the daemon alone: the monotonic clock goes on, as it does when a clock is set.
"""

from __future__ import annotations

import threading
import time
from pathlib import Path
from typing import Any, Dict, List, Set

from load import Consumer, Publisher, check_all, subscribe
from proof import ALL, PATIENCE, CaughtUp, Daemon, Delivery, Event, check, run

LIBRARY = "/faketime/libfaketimeMT.so.1"
UNDER = ("env",)
"""libfaketime sets a variable when it is loaded first, which moves the environment from where Swift looks for the
arguments, and they are gone. The second program finds it set."""
DAY = 86_400
TOPICS = "  'proof.>': {kind: durable, max-age: 1h}\n  'later.>': {kind: durable}\n"
LATER = "later.all"
STEPS = ("+0", f"-{DAY}s", "+0", f"+{DAY}s", "+0", f"+{DAY}s")


def library() -> str:
    found = sorted(str(path) for path in Path("/usr/lib").glob("*" + LIBRARY))
    return found[0] if found else ""


class Clock:
    """The daemon's wall clock."""

    def __init__(self, daemon: Daemon, file: Path, at: str) -> None:
        self.daemon, self.file, self.asked = daemon, file, 0
        self.set(at)
        daemon.environment = {
            "LD_PRELOAD": library(), "FAKETIME_TIMESTAMP_FILE": str(file), "FAKETIME_NO_CACHE": "1",
            "FAKETIME_DONT_FAKE_MONOTONIC": "1", "DONT_FAKE_MONOTONIC": "1", "NO_FAKE_STAT": "1",
        }

    def set(self, at: str) -> None:
        """What libfaketime is told; renamed into place, since it reads whenever it likes."""
        new = self.file.with_suffix(".new")
        new.write_text(at + "\n")
        new.rename(self.file)

    def is_at(self, offset: float) -> bool:
        return abs(self.accepted() - time.time() - offset) < 3600

    def accepted(self) -> float:
        """When the daemon says it accepts an event now, in seconds; on a topic of its own, whose times go up only."""
        self.asked += 1
        topic = f"live.clock{self.asked}"
        with self.daemon.connect("clock") as bus:
            subscription = bus.subscribe(topic)
            bus.publish(topic, b"now")
            return subscription.take(PATIENCE).time / 1e6


def times_of(daemon: Daemon) -> Dict[str, List[int]]:
    """Times of acceptance, by topic, in the order of their sequences."""
    times: Dict[str, List[int]] = {}
    with daemon.connect("reader") as bus:
        subscription = bus.follow("proof.>", start=ALL)
        while not isinstance(item := subscription.take(PATIENCE), CaughtUp):
            check(isinstance(item, Delivery), f"the reader got {item}")
            times.setdefault(item.topic, []).append(item.time)
    return times


def leave(daemon: Daemon, due: float) -> Any:
    """Leaves an event that is due then, in seconds since 1970; its id."""
    with daemon.connect("later") as bus:
        (event,) = bus.stamped([Event(b"%d" % int(due * 1e6))])
        receipt = bus.receipt(bus.put(LATER, [event], due=int(due * 1e6)))
        check(receipt.is_on_disk and receipt.is_waiting, f"what is due at {due} doesn't wait: {receipt}")
        return event.id


def came(daemon: Daemon) -> Set[Any]:
    """Ids of what was left and is published by now; none of them before it was due by the clock of then."""
    with daemon.connect("reader") as bus:
        events = bus.read_all("later.>").topics.get(LATER, [])
    for event in events:
        check(event.time >= int(event.payload), f"{event} came early")
    ids = {event.id for event in events}
    check(len(ids) == len(events), f"published twice: {events}")
    return ids


def wait_for(daemon: Daemon, ids: Set[Any], when: str) -> None:
    """Until just these are published."""
    deadline = time.monotonic() + PATIENCE
    while (found := came(daemon)) != ids:
        check(found < ids, f"{when} {len(found - ids)} events came that weren't due")
        check(time.monotonic() < deadline, f"{when} {len(ids - found)} events are due and don't come")
        time.sleep(0.05)


def jumps(directory: Path) -> str:
    directory.mkdir()
    daemon = Daemon(directory, topics=TOPICS)
    clock = Clock(daemon, directory / "clock", "+0")
    check(daemon.start(UNDER), f"it doesn't start: {daemon.said()}")
    subscribe(daemon)
    ending, leaving = threading.Event(), threading.Event()
    publishers = [Publisher(daemon, n, directory / "receipts", ending, pause=0.01) for n in range(2)]
    consumer = Consumer(daemon, leaving)
    known = once(daemon, None)
    began = time.time()
    in_an_hour, _ = leave(daemon, began + 3600), leave(daemon, began + DAY / 2)
    due: Set[Any] = set()
    for thread in (*publishers, consumer):
        thread.start()
    for count, step in enumerate(STEPS):
        clock.set(step)
        offset = float(step.rstrip("s"))
        deadline = time.monotonic() + PATIENCE
        while not clock.is_at(offset):
            check(time.monotonic() < deadline, f"the daemon's clock doesn't follow to {step}")
        # The clock is followed at once until it jumps ahead: that is believed after five minutes.
        if count < 2:
            due.add(leave(daemon, time.time() + offset + 1))
        # What is too old is looked for each second: twice at least under each clock.
        time.sleep(2.2)
        wait_for(daemon, due, f"at {step}")
        check(once(daemon, known) is True, f"at {step} an id published a moment ago is known no more")
    ending.set()
    for publisher in publishers:
        publisher.join(PATIENCE)
        check(not publisher.is_alive() and publisher.failure is None, f"{publisher.name}: {publisher.failure!r}")
    with daemon.connect("reader") as bus:
        reading = bus.read_all("proof.>")
    check(len(reading.topics.pop("proof.once")) == 1, "what was published once is stored more than once")
    count = sum(map(len, reading.topics.values()))
    deadline = time.monotonic() + PATIENCE
    while len(consumer.handled) < count + 1 and time.monotonic() < deadline:
        time.sleep(0.05)
    leaving.set()
    consumer.join(PATIENCE)
    check(consumer.failure is None, f"consumer: {consumer.failure!r}")
    check(consumer.repeated == 0, f"{consumer.repeated} events were redelivered, and nobody was gone")
    del consumer.handled["proof.once", 1]
    consumer.order.remove(("proof.once", 1))
    check_all(reading, publishers, consumer)
    for topic, times in times_of(daemon).items():
        check(times == sorted(times), f"times of {topic} go back")
    daemon.kill()
    # The daemon is down when the first is due.
    clock.set("+3700s")
    check(daemon.start(UNDER), f"it doesn't start an hour later: {daemon.said()}")
    wait_for(daemon, due | {in_an_hour}, "an hour later")
    daemon.kill()
    return f"{len(STEPS)} jumps under {count} events: none expired, none redelivered, none early"


def once(daemon: Daemon, known: Any) -> Any:
    """Publishes an event, or says whether it is known already."""
    with daemon.connect("once") as bus:
        (event,) = bus.stamped([Event(b"once")]) if known is None else (known,)
        receipt = bus.receipt(bus.put("proof.once", [event], again=known is not None))
        return event if known is None else receipt.is_duplicate


def set_later(directory: Path, at: str) -> str:
    """A daemon that begins under a wrong clock, which is set to today then."""
    directory.mkdir()
    daemon = Daemon(directory, topics=TOPICS)
    clock = Clock(daemon, directory / "clock", at)
    check(daemon.start(UNDER), f"it doesn't start at {at}: {daemon.said()}")
    check(abs(clock.accepted() - time.time()) > DAY / 2, f"it isn't {at} for the daemon")
    subscribe(daemon)
    ids = set()
    # Due in a day by the wrong clock: a day after a boot in 1970 is over when it is set, a day after tomorrow isn't.
    waiting = leave(daemon, clock.accepted() + DAY)
    check(came(daemon) == set(), f"at {at}: something came a day early")
    with daemon.connect("early") as bus:
        subscription = bus.follow("proof.>", "proof")
        put(bus, "proof.boot", range(50))
        for item in take(subscription, 50, ids)[:-1]:
            subscription.acknowledge(item)
        clock.set("+0")
        deadline = time.monotonic() + PATIENCE
        while not clock.is_at(0):
            check(time.monotonic() < deadline, "the daemon's clock doesn't step to today")
        put(bus, "proof.boot", range(50, 100))
        put(bus, "proof.today", range(50))
        for item in take(subscription, 100, ids):
            subscription.acknowledge(item)
        known = once(daemon, None)
        check(once(daemon, known) is True, f"from {at}: an id published a moment ago is known no more")
        time.sleep(2.2)
        wait_for(daemon, {waiting} if at.startswith("@1970") else set(), f"set from {at} to today")
        repeated = [item for item in iter(lambda: subscription.has_items and subscription.take(0), False)
                    if isinstance(item, Delivery) and item.topic != "proof.once"]
        check(not repeated, f"from {at}: redelivered after the step: {repeated}")
        reading = bus.read_all("proof.>")
    check(not reading.gaps, f"from {at}: {reading.gaps}")
    for topic, count in (("proof.boot", 100), ("proof.today", 50), ("proof.once", 1)):
        found = len(reading.topics.get(topic, []))
        check(found == count, f"from {at}: {found} of {count} events of {topic} are there")
    stored = {event.id for topic in ("proof.boot", "proof.today") for event in reading.topics[topic]}
    check(ids == stored and len(ids) == 150, f"from {at}: ids aren't unique")
    for topic, times in times_of(daemon).items():
        check(times == sorted(times), f"from {at}: times of {topic} go back")
    daemon.kill()
    return f"from {at} to today: 151 events, none expired, none redelivered"


def put(bus: Any, topic: str, numbers: range) -> None:
    for k in numbers:
        bus.receipt(bus.put(topic, [Event(b"%d" % k)]))


def take(subscription: Any, count: int, ids: set) -> List[Delivery]:
    items: List[Delivery] = []
    while sum(len(item.events) for item in items) < count:
        item = subscription.take(PATIENCE)
        if isinstance(item, Delivery):
            check(item.attempt == 1, f"redelivered: {item}")
            ids.update(event.id for _, event in item.events)
            items.append(item)
    return items


def proof(directory: Path) -> str:
    return "; ".join((
        jumps(directory / "jumps"),
        set_later(directory / "early", "@1970-01-01 00:00:30"),
        set_later(directory / "ahead", f"+{DAY}s"),
    ))


if __name__ == "__main__":
    run(proof)
