"""What the proofs of durability share: a daemon that can be killed, a client for durable topics, and the checker.

The checker is the protocol's second implementation (examples/python), so that what the daemon says of its store is not
judged by code the daemon was made from. Every proof prints one line of what it did and ends with status 0, or says what
is wrong and ends with 1.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import Any, Dict, List, NamedTuple, Optional, Sequence, Tuple

sys.path.insert(0, str(Path(__file__).resolve().parents[3] / "examples" / "python"))

from localbus.batch import Event  # noqa: E402
from localbus.client import Client  # noqa: E402
from localbus.errors import Closed, Refused, TimedOut  # noqa: E402
from localbus.ids import IdSource, following  # noqa: E402
from localbus.layouts import AGAIN, DURABLE, RECEIPT  # noqa: E402
from localbus.names import encode_filter  # noqa: E402
from localbus.settings import ALL, NEW, OPERATIONS  # noqa: E402
from localbus.subscription import CaughtUp, Delivery, Gap, Subscription, Unopenable  # noqa: E402
from localbus.transport import open_socket  # noqa: E402

__all__ = ["ALL", "NEW", "Bus", "CaughtUp", "Closed", "Daemon", "Delivery", "Event", "Gap", "Gone", "IdSource", "PATIENCE",
           "Reading", "Refused", "Stored", "TimedOut", "Unopenable", "Wrong", "check", "following", "number", "ranges", "run"]

CREDIT = 65_536, 16 << 20
PATIENCE = 20.0
"""Seconds after which what should come counts as never: the same as in steps.sh."""

Gone = (Closed, ConnectionError, FileNotFoundError, BlockingIOError)
"""How a daemon that was killed looks from outside."""


class Wrong(Exception):
    """A promise was broken."""


def check(holds: Any, said: str) -> None:
    if not holds:
        raise Wrong(said)


def number(name: str, default: int) -> int:
    """A number from the environment: how `make prove` makes a proof longer."""
    return int(os.environ.get(name) or default)


def run(proof: Any) -> None:
    """Runs a proof in the directory that is the first argument."""
    try:
        print(proof(Path(sys.argv[1])))
    except Wrong as wrong:
        print(f"WRONG: {wrong}")
        sys.exit(1)


class Stored(NamedTuple):
    """An event as a reader got it."""

    sequence: int
    id: Any
    payload: bytes
    time: int
    """When it was accepted, microseconds since 1970."""


class Reading(NamedTuple):
    """All that a topic filter has stored, and what was said to be missing."""

    topics: Dict[str, List[Stored]]
    gaps: List[Gap]
    unopenable: List[Unopenable]


class Bus(Client):
    """The example's client with what durable topics need beyond it."""

    def __init__(self, path: Path, name: str, timeout: float = PATIENCE) -> None:
        sock = open_socket(str(path), None, timeout)
        try:
            super().__init__(sock, name, timeout)
        except BaseException:
            sock.close()
            raise

    def __exit__(self, *_: Any) -> None:
        self.vanish()

    def put(self, topic: str, events: Sequence[Event], again: bool = False, due: Optional[int] = None) -> int:
        """Sends one batch and waits for nothing but room; its number, to ask for the receipt with."""
        flags = RECEIPT | DURABLE | (AGAIN if again else 0)
        return self.publish_one(topic, self.stamped(events), flags, PATIENCE, due)[1]

    def follow(self, filter: str, durable: Optional[str] = None, start: Optional[int] = None) -> Subscription:
        """A subscription that begins with what is stored, a durable one where it has a name."""
        number = next(self._numbers)
        subscription = Subscription(self, number, filter, None, *CREDIT)
        self._subscriptions[number] = subscription
        self.call(
            "subscribe", number, PATIENCE, subscription=number, overflow=0, stall_milliseconds=0, queue_event_count=0,
            queue_length=0, credit_events=CREDIT[0], credit_bytes=CREDIT[1], filter=encode_filter(filter),
            durable_name=durable.encode() if durable else None, start=None if start is None else (start, 0),
        )
        return subscription

    def read_all(self, filter: str, timeout: float = PATIENCE) -> Reading:
        """Everything that is stored, up to the marker."""
        reading = Reading({}, [], [])
        subscription = self.follow(filter, start=ALL)
        while True:
            item = subscription.take(timeout)
            if isinstance(item, CaughtUp):
                break
            if isinstance(item, Gap):
                reading.gaps.append(item)
            elif isinstance(item, Unopenable):
                reading.unopenable.append(item)
            else:
                events = reading.topics.setdefault(item.topic, [])
                events += [Stored(sequence, event.id, event.payload, item.time) for sequence, event in item.events]
        subscription.unsubscribe()
        return reading

    def administer(self, operation: str, key: Optional[str] = None, filter: Optional[str] = None) -> int:
        request = next(self._numbers)
        answer = self.call(
            "administer", request, PATIENCE, request=request, operation=OPERATIONS[operation], key=key,
            filter=encode_filter(filter) if filter else None)
        return answer["count"]

    def _on_administered(self, frame: Any) -> None:
        self._answers["administer", frame["request"]] = frame


class Daemon:
    """A busd of the proof's own, with a state directory that outlives it."""

    def __init__(self, directory: Path, more: str = "", topics: str = "  'proof.>': {kind: durable}\n") -> None:
        self.directory = directory
        self.state = directory / "state"
        self.socket = directory / "run" / "bus.sock"
        self.log = directory / "busd.log"
        self.config = directory / "busd.yaml"
        self.state.mkdir(mode=0o700, exist_ok=True)
        self.socket.parent.mkdir(mode=0o700, exist_ok=True)
        self.config.write_text(f'socket: "{self.socket}"\nstate: "{self.state}"\ntopics:\n{topics}{more}')
        self.process: Optional[subprocess.Popen] = None
        self.environment: Dict[str, str] = {}

    def begin(self, under: Sequence[str] = ()) -> None:
        """Starts it, and waits for nothing."""
        program = shutil.which("busd") or "busd"
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                [*under, program, "--config", str(self.config)], stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                env={**os.environ, **self.environment})

    def start(self, under: Sequence[str] = (), timeout: float = PATIENCE) -> bool:
        """Starts it; whether it serves. False when it ended by itself."""
        self.begin(under)
        return self.serves(timeout)

    def serves(self, timeout: float = PATIENCE) -> bool:
        deadline = time.monotonic() + timeout
        while time.monotonic() < deadline:
            try:
                self.connect("is it there", timeout).vanish()
                return True
            except (*Gone, TimedOut, OSError):
                if self.process.poll() is not None:
                    return False
                time.sleep(0.005)
        self.kill()
        raise Wrong(f"the daemon neither served nor ended in {timeout} s:\n{self.said()}")

    def connect(self, name: str, timeout: float = PATIENCE) -> Bus:
        return Bus(self.socket, name, timeout)

    def status(self) -> Dict[str, Any]:
        with self.connect("status") as bus:
            return bus.status()

    @property
    def pid(self) -> int:
        """The daemon's own, also where it runs under something else."""
        pid = self.process.pid
        try:
            children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
        except FileNotFoundError:
            return pid
        return int(children[0]) if children else pid

    def kill(self) -> None:
        """As the kernel does when memory is short."""
        self.signal(9)

    def stop(self) -> int:
        return self.signal(15)

    def signal(self, signal: int) -> int:
        if self.process.poll() is None:
            try:
                os.kill(self.pid, signal)
            except ProcessLookupError:
                pass
        return self.ended()

    def ended(self, timeout: float = PATIENCE) -> int:
        """Its exit status, once it has one."""
        try:
            return self.process.wait(timeout)
        except subprocess.TimeoutExpired:
            os.kill(self.pid, 9)
            self.process.wait(timeout)
            raise Wrong(f"the daemon did not end in {timeout} s:\n{self.said()}") from None

    def said(self, since: int = 0) -> str:
        """Its log, from a place on."""
        with self.log.open("rb") as log:
            log.seek(since)
            return log.read().decode("utf-8", "replace")

    @property
    def said_length(self) -> int:
        return self.log.stat().st_size if self.log.exists() else 0


def ranges(numbers: Sequence[int]) -> List[Tuple[int, int]]:
    """Runs of consecutive numbers, for messages a person can read."""
    found: List[Tuple[int, int]] = []
    for n in sorted(numbers):
        if found and found[-1][1] + 1 == n:
            found[-1] = (found[-1][0], n)
        else:
            found.append((n, n))
    return found
