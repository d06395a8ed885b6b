"""kill -9 at random moments under load, KILLS times, also while it starts: nothing receipted is lost, order is kept,
nothing is stored twice; what was left for later comes once, not early, or was taken back."""

from __future__ import annotations

import random
import threading
import time
from pathlib import Path

from load import Consumer, Later, Publisher, check_all, check_database, subscribe, wait_for_later
from proof import PATIENCE, Daemon, check, number, run

PUBLISHERS = 3
LIFE_MAX = 0.5
"""Seconds between a start and the next kill, at most."""


def proof(directory: Path) -> str:
    kills, seed = number("KILLS", 50), number("SEED", random.randrange(1 << 31))
    print(f"seed {seed}", flush=True)
    dice = random.Random(seed)
    daemon = Daemon(directory)
    check(daemon.start(), f"it doesn't start: {daemon.said()}")
    subscribe(daemon)
    ending, leaving = threading.Event(), threading.Event()
    publishers = [Publisher(daemon, n, directory / "receipts", ending, pause=0.004) for n in range(PUBLISHERS)]
    consumer = Consumer(daemon, leaving)
    later = Later(daemon, ending, pause=0.004)
    threads = [*publishers, later, consumer]
    for thread in threads:
        thread.start()

    slowest = 0.0
    for kill in range(kills):
        # Every fifth dies before it serves, now and then while it recovers from the one before.
        is_early = dice.random() < 0.2
        time.sleep(dice.uniform(0, 0.1 if is_early else LIFE_MAX))
        daemon.kill()
        daemon.begin()
        if not is_early or kill == kills - 1:
            began = time.monotonic()
            check(daemon.serves(), f"it doesn't start after kill {kill + 1}: {daemon.said()[-2000:]}")
            slowest = max(slowest, time.monotonic() - began)
        for thread in threads:
            check(thread.failure is None, f"{thread.name}, after kill {kill + 1}: {thread.failure!r}")

    ending.set()
    for publisher in (*publishers, later):
        publisher.join(PATIENCE)
        check(not publisher.is_alive(), f"{publisher.name} never got all its receipts")
        check(publisher.failure is None, f"{publisher.name}: {publisher.failure!r}")
    wait_for_later(daemon, PATIENCE)
    with daemon.connect("reader") as bus:
        reading = bus.read_all("proof.>", timeout=60)
    count = sum(map(len, reading.topics.values()))
    deadline = time.monotonic() + PATIENCE + kills / 10
    while len(consumer.handled) < count and time.monotonic() < deadline:
        time.sleep(0.05)
    leaving.set()
    consumer.join(PATIENCE)
    check(consumer.failure is None, f"consumer: {consumer.failure!r}")
    check_all(reading, publishers, consumer, later)
    check("damage" not in daemon.said(), f"damage was reported: {daemon.said()[-2000:]}")
    daemon.kill()
    check_database(daemon.state, directory / "copy", count)
    duplicates = sum(publisher.duplicates for publisher in (*publishers, later))
    return (f"{kills} kills, {count} events, none lost, none twice: {duplicates} batches resent and known, "
            f"{len(later.due)} events left for later, {len(later.taken_back)} of them taken back, "
            f"{consumer.repeated} events redelivered, the slowest start {slowest:.2f} s")


if __name__ == "__main__":
    run(proof)
