"""The store is full: of its own bound, of a small tmpfs, of a small ext4. Publishes get a typed error; acknowledgements,
reads, purge and deletes still work; nothing receipted is lost; normal again once there is room, without a restart.

Mounts, so it wants root, and a mount namespace of its own (durable-full.test makes one).
"""

from __future__ import annotations

import os
import subprocess
import time
from pathlib import Path
from typing import Any, Dict, List, Tuple

from proof import ALL, PATIENCE, Bus, CaughtUp, Daemon, Delivery, Event, Refused, check, run

MEBI = 1 << 20
FILE_SYSTEM_LENGTH = 64 * MEBI
BOUND = 12 * MEBI
PAYLOAD_LENGTH = 60_000
SAVED = 0.5
TEMPORARY = 75
"""Exit status of `bus pub` where the store is full."""


def mount(kind: str, at: Path) -> bool:
    """A small file system at a place; whether this machine lets us."""
    at.mkdir(mode=0o700)
    if kind == "bound":
        return True
    if kind == "tmpfs":
        command = ["mount", "-t", "tmpfs", "-o", f"size={FILE_SYSTEM_LENGTH},mode=700", "tmpfs", str(at)]
        return subprocess.run(command, capture_output=True).returncode == 0
    image = at.with_suffix(".image")
    image.touch()
    os.truncate(image, FILE_SYSTEM_LENGTH)
    commands = (["mkfs.ext4", "-q", "-m", "0", str(image)], ["mount", "-o", "loop", str(image), str(at)])
    try:
        return all(subprocess.run(command, capture_output=True).returncode == 0 for command in commands)
    except FileNotFoundError:
        return False


class Filled:
    """A store that takes nothing more, and what it had receipted."""

    def __init__(self, daemon: Daemon, kind: str) -> None:
        self.daemon, self.kind = daemon, kind
        self.receipted: Dict[Tuple[str, int], Tuple[Any, bytes]] = {}
        self.refused: List[bytes] = []
        self.count = 0

    def publish(self, bus: Bus, topic: str, length: int = PAYLOAD_LENGTH) -> bool:
        """Publishes one event; whether it was taken."""
        self.count += 1
        (event,) = bus.stamped([Event(b"%d " % self.count + os.urandom(length))])
        try:
            receipt = bus.receipt(bus.put(topic, [event]))
        except Refused as refused:
            check(refused.reason == "store-full", f"{self.kind}: refused for an odd reason: {refused}")
            self.refused.append(event.payload)
            return False
        check(receipt.is_on_disk, f"{self.kind}: a receipt that isn't of the disk")
        self.receipted[topic, receipt.first_sequence] = (event.id, event.payload)
        return True

    def fill(self, bus: Bus) -> int:
        """Until even small ones are refused; how many were taken."""
        taken = 0
        for length in (PAYLOAD_LENGTH, 6000, 600):
            # A checkpoint may make some room at first: full is what stays full.
            refused = 0
            while refused < 5:
                topic = "proof.kept" if self.count % 4 == 0 else "proof.purged"
                if self.publish(bus, topic, length):
                    taken += 1
                else:
                    refused += 1
                check(taken < 10_000, f"{self.kind}: it never gets full")
        return taken

    def check_stored(self, bus: Bus) -> None:
        reading = bus.read_all("proof.>")
        check(not reading.gaps, f"{self.kind}: {reading.gaps}")
        stored = {(topic, event.sequence): (event.id, event.payload)
                  for topic, events in reading.topics.items() for event in events}
        lost = [place for place, was in self.receipted.items() if stored.get(place) != was]
        check(not lost, f"{self.kind}: {len(lost)} receipted events are lost, such as {lost[:3]}")
        check(len(stored) == len(self.receipted), f"{self.kind}: {len(stored)} events, receipted {len(self.receipted)}")


def tool(daemon: Daemon, *arguments: str) -> subprocess.CompletedProcess:
    return subprocess.run(
        ["bus", *arguments], text=True,
        capture_output=True, timeout=PATIENCE, env={**os.environ, "LOCALBUS_SOCKET": str(daemon.socket)})


def begin_on_full_disk(filled: Filled, daemon: Daemon, state: Path) -> None:
    """Somebody else has filled the disk, and the daemon begins: everything but storing works, and storing once it can."""
    kind, filling = filled.kind, state / "filling"
    try:
        with filling.open("wb", buffering=0) as file:
            while file.write(bytes(4096)):
                pass
    except OSError:
        pass
    check(daemon.start(), f"{kind}: it doesn't start on a full disk: {daemon.said()}")
    with daemon.connect("reader") as bus:
        filled.check_stored(bus)
    # What the daemon gave up of its own log at the start may be room enough for one.
    answer = tool(daemon, "pub", "--durable", "proof.kept", "x")
    check(answer.returncode in (0, TEMPORARY), f"{kind}: bus pub ended with {answer.returncode}: {answer.stderr}")
    answer = tool(daemon, "topic", "purge", "proof.kept")
    check(answer.returncode == 0, f"{kind}: purge ended with {answer.returncode}: {answer.stderr}{answer.stdout}")
    filling.unlink()
    answer = tool(daemon, "pub", "--durable", "proof.kept", "x")
    check(answer.returncode == 0, f"{kind}: bus pub ended with {answer.returncode}: {answer.stderr}")
    daemon.kill()


def attempt(directory: Path, kind: str) -> str:
    directory.mkdir()
    if not mount(kind, directory / "state"):
        return f"{kind}: not here"
    bytes_max = BOUND if kind == "bound" else 1 << 30
    daemon = Daemon(directory, f"store: {{max-bytes: {bytes_max}}}\n")
    check(daemon.start(), f"{kind}: it doesn't start: {daemon.said()}")
    pid = daemon.process.pid
    filled = Filled(daemon, kind)
    with daemon.connect("filler") as bus:
        subscription = bus.follow("proof.>", "proof", ALL)
        bus.administer("create-subscription", "other", "proof.>")
        taken = filled.fill(bus)
        check(taken > 50, f"{kind}: full after {taken} events: {daemon.said()}")

        answer = tool(daemon, "pub", "--durable", "proof.kept", "x" * 20_000)
        check(answer.returncode == TEMPORARY, f"{kind}: bus pub ended with {answer.returncode}: {answer.stderr}")
        check("full" in answer.stderr, f"{kind}: bus pub doesn't say that it is full: {answer.stderr}")

        # All that is needed to get out of it.
        handled = 0
        while handled < len(filled.receipted):
            item = subscription.take(PATIENCE)
            if isinstance(item, Delivery):
                subscription.acknowledge(item)
                handled += len(item.events)
            else:
                check(isinstance(item, CaughtUp), f"{kind}: the subscription got {item}")
        filled.check_stored(bus)
        bus.administer("delete-subscription", "other")
        answer = tool(daemon, "topic", "purge", "proof.purged")
        check(answer.returncode == 0, f"{kind}: purge ended with {answer.returncode}: {answer.stderr}{answer.stdout}")
        filled.receipted = {place: was for place, was in filled.receipted.items() if place[0] != "proof.purged"}

        # Slices of what was purged are removed behind the answer.
        normal = 0
        for _ in range(2000):
            normal = normal + 1 if filled.publish(bus, "proof.after", 6000) else 0
            if normal == 20:
                break
        check(normal == 20, f"{kind}: still full after the purge: {daemon.said()}")
        filled.check_stored(bus)
    check(daemon.process.pid == pid and daemon.process.poll() is None, f"{kind}: it ended: {daemon.said()}")

    # What was acknowledged while it was full is acknowledged, and everything else is there, also after a kill. When
    # acknowledgements are on disk nobody is told: a tenth of a second later, is promised.
    time.sleep(SAVED)
    daemon.kill()
    check(daemon.start(), f"{kind}: it doesn't start again: {daemon.said()}")
    with daemon.connect("reader") as bus:
        filled.check_stored(bus)
        check(not {payload for _, payload in filled.receipted.values()} & set(filled.refused), f"{kind}: refused and stored")
        subscription = bus.follow("proof.>", "proof")
        again = 0
        while not isinstance(item := subscription.take(PATIENCE), CaughtUp):
            again += sum((item.topic, sequence) in filled.receipted and item.topic == "proof.kept"
                         for sequence, _ in item.events)
        check(again == 0, f"{kind}: {again} events come again that were acknowledged while it was full")
    check("damage" not in daemon.said(), f"{kind}: damage: {daemon.said()}")
    daemon.kill()
    if kind != "bound":
        begin_on_full_disk(filled, daemon, directory / "state")
    return f"{kind}: full after {taken} events, {len(filled.refused)} refused, normal again"


def proof(directory: Path) -> str:
    return "; ".join(attempt(directory / kind, kind) for kind in ("bound", "tmpfs", "ext4"))


if __name__ == "__main__":
    run(proof)
