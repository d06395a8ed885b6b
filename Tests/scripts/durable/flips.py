"""One random bit flipped in a copy of the database, its log or the head file, FLIPS times: the next start and a full read
give exactly what was stored, or report what is damaged. Never a wrong event, never a topic that is shorter in silence."""

from __future__ import annotations

import random
import shutil
from pathlib import Path
from typing import Any, Dict, List, Tuple

from proof import ALL, Daemon, Delivery, Event, Reading, TimedOut, check, number, run

FILES = ("store.db", "store.db-wal", "store.head")
TOPICS = ("proof.long", "proof.short", "proof.lines")
Contents = Dict[Tuple[str, int], Tuple[Any, bytes]]


def fill(daemon: Daemon, dice: random.Random) -> Contents:
    """A store with some of everything: checkpointed rows, a log, a trimmed topic, a subscription with a dead letter."""
    contents: Contents = {}
    check(daemon.start(), f"it doesn't start: {daemon.said()}")
    with daemon.connect("filler") as bus:
        subscription = bus.follow("proof.>", "proof", ALL)
        put(bus, "proof.purged", [b"gone"] * 20, contents)
        for k in range(120):
            topic = dice.choice(TOPICS)
            length = dice.choice((0, 10, 100, 1000, 30_000)) if topic == "proof.long" else dice.randint(0, 200)
            count = dice.randint(1, 9) if length <= 1000 else 1
            payloads = [b"%s %d/%d " % (topic.encode(), k, j) + dice.randbytes(length) for j in range(count)]
            put(bus, topic, payloads, contents)
        for _ in range(30):
            item = subscription.take(5)
            if isinstance(item, Delivery):
                subscription.acknowledge(item)
        bus.administer("purge-topic", "proof.purged")
    for place in [place for place in contents if place[0] == "proof.purged"]:
        del contents[place]
    # Half of it into the database, as a stop does; the rest stays in the log, as a kill leaves it.
    check(daemon.stop() == 0, f"it doesn't stop: {daemon.said()}")
    check(daemon.start(), f"it doesn't start again: {daemon.said()}")
    with daemon.connect("filler") as bus:
        for k in range(60):
            put(bus, dice.choice(TOPICS), [b"late %d/%d" % (k, j) for j in range(dice.randint(1, 9))], contents)
    daemon.kill()
    return contents


def put(bus: Any, topic: str, payloads: List[bytes], contents: Contents) -> None:
    events = bus.stamped([Event(payload) for payload in payloads])
    first = bus.receipt(bus.put(topic, events)).first_sequence
    for k, event in enumerate(events):
        contents[topic, first + k] = (event.id, event.payload)


def flip(path: Path, bit: int) -> None:
    with path.open("r+b") as file:
        file.seek(bit // 8)
        byte = file.read(1)[0] ^ 1 << bit % 8
        file.seek(bit // 8)
        file.write(bytes([byte]))


def used_length(path: Path) -> int:
    """The log lies in a file that is longer than it: zeros at its end were never written."""
    return len(path.read_bytes().rstrip(b"\0")) or path.stat().st_size


def attempt(daemon: Daemon, contents: Contents, what: str) -> str:
    """What became of a flip: refused, reported or harmless."""
    mark = daemon.said_length
    if not daemon.start():
        said = daemon.said(mark)
        check("error" in said.lower() and "store" in said, f"{what}: it doesn't start, and doesn't say why: {said}")
        return "refused"
    try:
        with daemon.connect("reader") as bus:
            reading = bus.read_all("proof.>", timeout=10)
            status = bus.status()
    except TimedOut:
        check(False, f"{what}: the reader never gets to the end: {daemon.said(mark)}")
    except Exception as error:  # a daemon that ends, says so
        check(daemon.process.poll() is not None, f"{what}: {error!r}: {daemon.said(mark)}")
        check("the store failed" in daemon.said(mark), f"{what}: it ended without a word: {error!r} {daemon.said(mark)}")
        return "refused"
    daemon.kill()
    return judge(reading, status, contents, daemon.said(mark), what)


def judge(reading: Reading, status: Dict[str, Any], contents: Contents, said: str, what: str) -> str:
    found: Contents = {}
    for topic, events in reading.topics.items():
        sequences = [event.sequence for event in events]
        check(sequences == sorted(set(sequences)), f"{what}: {topic} isn't in order: {sequences}")
        for event in events:
            found[topic, event.sequence] = (event.id, event.payload)
    for place, was in found.items():
        check(contents.get(place) == was, f"{what}: a wrong event at {place}: {was}, stored was {contents.get(place)}")
    lost = [place for place in contents if place not in found]
    is_reported = "damage" in said or "can't be read" in said
    if "damage in the store" in said:
        warning = status.get("store_warning", "")
        check("damaged" in warning, f"{what}: the log tells of damage, the status says '{warning}': {said}")
    if lost:
        check(is_reported, f"{what}: {len(lost)} events are gone without a word, such as {lost[:3]}: {said}")
        # In band, too: whoever reads is told that something is missing.
        check(reading.gaps or reading.unopenable or "commits" in said,
              f"{what}: {len(lost)} events are missing, and the reader isn't told, such as {lost[:3]}: {said}")
        return "lost, and reported"
    return "reported" if is_reported else "harmless"


def proof(directory: Path) -> str:
    flips, seed = number("FLIPS", 30), number("SEED", random.randrange(1 << 31))
    print(f"seed {seed}", flush=True)
    dice = random.Random(seed)
    daemon = Daemon(directory)
    contents = fill(daemon, dice)
    good = directory / "good"
    shutil.copytree(daemon.state, good)
    lengths = {name: used_length(good / name) for name in FILES}
    check(attempt(daemon, contents, "no flip at all") == "harmless", "something is damaged before anything was flipped")
    outcomes: Dict[str, int] = {}
    for k in range(flips):
        name = FILES[k % len(FILES)] if k % 9 else "store.db"
        bit = dice.randrange(8 * lengths[name])
        shutil.rmtree(daemon.state)
        shutil.copytree(good, daemon.state)
        flip(daemon.state / name, bit)
        outcome = attempt(daemon, contents, f"bit {bit % 8} of byte {bit // 8} of {name}")
        outcomes[outcome] = outcomes.get(outcome, 0) + 1
    told = ", ".join(f"{count} {outcome}" for outcome, count in sorted(outcomes.items()))
    return f"{flips} flips over {len(contents)} events: {told}; no wrong event, nothing gone in silence"


if __name__ == "__main__":
    run(proof)
