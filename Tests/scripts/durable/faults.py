"""The n-th system call of the store fails, for n = 1, 2, 3 …: no false receipt, and the next start has all that was
receipted. strace does it, for calls on the store's own files only.

Short writes are writes that took nothing (`retval=0`): strace answers in the kernel's place and can't have half of a
write done. Half writes are what durable-full.test gets from file systems.
"""

from __future__ import annotations

import random
import shutil
import subprocess
import time
from pathlib import Path
from typing import Any, Dict, List, NamedTuple, Tuple

from proof import ALL, Bus, Daemon, Delivery, Event, Gone, Refused, TimedOut, check, number, run

FAILURES = {
    "pwrite64": ("error=EIO", "error=ENOSPC", "error=EINTR", "retval=0"),
    "fdatasync": ("error=EIO", "error=ENOSPC", "error=EINTR"),
    "fsync": ("error=EIO", "error=ENOSPC", "error=EINTR"),
    "ftruncate": ("error=EIO", "error=ENOSPC", "error=EINTR"),
    "openat": ("error=EIO", "error=ENOSPC", "error=EINTR"),
}
FILES = ("", "/store.db", "/store.db-wal", "/store.db-shm", "/store.head", "/store.ballast")
REFUSALS = ("store-full", "store-unavailable", "quota-exceeded")
"""The last is a seal's: the keyring lies in the same directory, and can't be written where that can't be opened."""
STORE_FAILED, CANT_START = 74, (1, 78)
PAYLOAD_LENGTH = 200_000
"""Long enough that the log is copied into the database several times in one run."""
BATCHES = 40


class Case(NamedTuple):
    """Which call fails how, and whether from the daemon's beginning or once it serves."""

    call: str
    failure: str
    n: int
    from_start: bool

    def __str__(self) -> str:
        return f"{self.call} {self.n} {self.failure}{' from the start' if self.from_start else ''}"

    @property
    def rule(self) -> List[str]:
        return ["-e", f"trace={self.call}", "-e", f"inject={self.call}:{self.failure}:when={self.n}"]


class Outcome:
    """What the publisher was told."""

    def __init__(self) -> None:
        self.receipted: Dict[Tuple[str, int], Tuple[Any, bytes]] = {}
        self.refused: List[bytes] = []
        self.acknowledged = 0
        self.purged = False


def strace(daemon: Daemon, case: Case, trace: Path) -> List[str]:
    paths = [word for file in FILES for word in ("-P", f"{daemon.state}{file}")]
    return ["strace", "-f", "-qq", "-y", "-e", "signal=none", "-o", str(trace), *paths, *case.rule]


def work(daemon: Daemon, outcome: Outcome) -> None:
    """Publishes, reads, acknowledges and purges, until it is through or the daemon is gone."""
    with daemon.connect("worker") as bus:
        subscription = bus.follow("proof.>", "proof", ALL)
        for k in range(BATCHES):
            topic = "proof.kept" if k % 4 else "proof.purged"
            publish(bus, topic, b"%d " % k + bytes(PAYLOAD_LENGTH), outcome)
            while subscription.has_items:
                item = subscription.take(1)
                if isinstance(item, Delivery):
                    subscription.acknowledge(item)
                    outcome.acknowledged += len(item.events)
            if k == BATCHES // 2:
                outcome.purged = True
                bus.administer("purge-topic", "proof.purged")
        bus.status()


def publish(bus: Bus, topic: str, payload: bytes, outcome: Outcome) -> None:
    (event,) = bus.stamped([Event(payload)])
    try:
        receipt = bus.receipt(bus.put(topic, [event]))
    except Refused as refused:
        check(refused.reason in REFUSALS, f"refused for an odd reason: {refused}")
        outcome.refused.append(payload)
        return
    check(receipt.is_on_disk, f"a receipt that isn't of the disk: {receipt}")
    outcome.receipted[topic, receipt.first_sequence] = (event.id, payload)


def attempt(directory: Path, case: Case) -> Tuple[bool, bool]:
    """Runs one case; whether the call came about, and whether the daemon ended for it."""
    directory.mkdir()
    daemon, outcome, trace = Daemon(directory), Outcome(), directory / "trace"
    tracer = None
    if case.from_start:
        began = daemon.start(strace(daemon, case, trace))
    else:
        began = daemon.start()
        tracer = attach(daemon, case, trace)
    try:
        if began:
            work(daemon, outcome)
    except Refused as refused:
        check(refused.reason in REFUSALS, f"{case}: an administrator was refused for an odd reason: {refused}")
    except (*Gone, TimedOut) as gone:
        check(not isinstance(gone, TimedOut), f"{case}: the daemon neither answered nor ended: {daemon.said()}")
    must_end = case.call in ("fsync", "fdatasync") and "/store.db" in injected(trace)
    failed = not began or has_ended(daemon, must_end)
    status = daemon.ended() if failed else daemon.kill()
    if tracer:
        tracer.wait(10)
    happened = injected(trace)
    if failed:
        check(happened, f"{case}: the daemon ended, status {status}, and nothing had failed: {daemon.said()}")
        expected = (STORE_FAILED,) if began else CANT_START
        check(status in expected, f"{case}: it ended with status {status}: {daemon.said()}")
        check("the store failed" in daemon.said() if began else "error" in daemon.said().lower(),
              f"{case}: it doesn't say why it ended: {daemon.said()}")
    check(failed or not must_end, f"{case}: it goes on after a failed sync: {daemon.said()} {happened}")
    recover(daemon, outcome, case)
    return bool(happened), failed


def injected(trace: Path) -> str:
    """The calls that failed, as strace wrote them, with the files they were on."""
    if not trace.exists():
        return ""
    return "".join(line for line in trace.read_text(errors="replace").splitlines(True) if "INJECTED" in line)


def attach(daemon: Daemon, case: Case, trace: Path) -> subprocess.Popen:
    """Attaches to every thread; returns when it has."""
    tracer = subprocess.Popen([*strace(daemon, case, trace), "-p", str(daemon.process.pid)], stdout=subprocess.DEVNULL,
                              stderr=subprocess.DEVNULL)
    tasks = Path(f"/proc/{daemon.process.pid}/task")
    deadline = time.monotonic() + 10
    while any("TracerPid:\t0\n" in (task / "status").read_text() for task in tasks.iterdir()):
        check(tracer.poll() is None and time.monotonic() < deadline, f"{case}: strace can't attach")
        time.sleep(0.005)
    return tracer


def has_ended(daemon: Daemon, must: bool) -> bool:
    """Whether it has, or does so soon where it must."""
    deadline = time.monotonic() + (5 if must else 0.05)
    while daemon.process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.005)
    return daemon.process.poll() is not None


def recover(daemon: Daemon, outcome: Outcome, case: Case) -> None:
    """The next start, without faults, has everything that was receipted and nothing that was refused."""
    mark = daemon.said_length
    check(daemon.start(), f"{case}: it doesn't start again: {daemon.said()}")
    with daemon.connect("reader") as bus:
        reading = bus.read_all("proof.>")
    check(not reading.gaps and not reading.unopenable, f"{case}: {reading.gaps} {reading.unopenable}")
    stored = {(topic, event.sequence): (event.id, event.payload)
              for topic, events in reading.topics.items() for event in events}
    for place, was in outcome.receipted.items():
        if outcome.purged and place[0] == "proof.purged":
            check(stored.get(place, was) == was, f"{case}: {place} is another event than was receipted")
        else:
            check(stored.get(place) == was, f"{case}: a false receipt: {place} is {str(stored.get(place))[:60]}")
    payloads = {payload for _, payload in stored.values()}
    check(not payloads & set(outcome.refused), f"{case}: what was refused is stored")
    check(len(payloads) == len(stored), f"{case}: something is stored twice")
    check("damage" not in daemon.said(mark), f"{case}: damage after it: {daemon.said(mark)}")
    daemon.kill()


def proof(directory: Path) -> str:
    seed, most = number("SEED", random.randrange(1 << 31)), number("FAULTS", 24)
    print(f"seed {seed}", flush=True)
    dice = random.Random(seed)
    ways = [(call, failure, start) for call in FAILURES for failure in FAILURES[call] for start in (False, True)]
    nexts = {way: 1 for way in ways}
    tried = failed = 0
    while nexts and tried < most:
        # A sample skips some; all of them go one by one, until the call doesn't come about any more.
        way = dice.choice(list(nexts))
        n = nexts[way]
        nexts[way] = n + (1 if most >= 200 else dice.randint(1, 4))
        case = Case(way[0], way[1], n, way[2])
        place = directory / "case"
        happened, ended = attempt(place, case)
        shutil.rmtree(place)
        tried += 1
        failed += ended
        if not happened:
            del nexts[way]
    return f"{tried} calls failed, for which the daemon ended {failed} times; no false receipt, all recovered"


if __name__ == "__main__":
    run(proof)
