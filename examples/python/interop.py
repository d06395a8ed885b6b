"""What the tests across implementations stand on: a daemon of their own, both clients, and a recorder of raw bytes."""

from __future__ import annotations

import base64
import contextlib
import json
import os
import signal
import socket
import subprocess
import tempfile
import time
import unittest
from pathlib import Path
from typing import Any, Callable, Dict, Iterator, List, Tuple

import localbus
from localbus import batch, wire
from localbus.client import Client
from localbus.layouts import DAEMON
from vectors import ROOT

BUS = Path(os.environ.get("BUS", ROOT / ".build/release/bus"))
BUSD = Path(os.environ.get("BUSD", ROOT / ".build/release/busd"))
PATIENCE = 20.0
MARKER = b"plaintext-marker-5f1c0e"


def eventually(what: str, condition: Callable[[], Any]) -> Any:
    """Polls until the condition is true, and says what never came."""
    deadline = time.monotonic() + PATIENCE
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > deadline:
            raise AssertionError(f"{what}: not within {PATIENCE} s")
        time.sleep(0.02)


def end(process: subprocess.Popen) -> None:
    """Ends one process by its id: asked first, then made to."""
    if process.poll() is None:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(5)
        except subprocess.TimeoutExpired:
            process.kill()
    process.wait()


class Recorder:
    """A socket that keeps every byte it received."""

    def __init__(self, sock: socket.socket) -> None:
        self._socket = sock
        self.received = bytearray()

    def recv(self, length: int) -> bytes:
        data = self._socket.recv(length)
        self.received += data
        return data

    def __getattr__(self, name: str) -> Any:
        return getattr(self._socket, name)

    def frames(self) -> List[wire.Frame]:
        reader = wire.FrameReader(1 << 30)
        reader.feed(bytes(self.received))
        decoded = (wire.decode(raw, DAEMON) for raw in iter(reader.next, None))
        return [frame for frame in decoded if frame]


class Daemon:
    """`busd` in a directory of its own."""

    def __init__(self, configuration: str = "") -> None:
        self._directory = tempfile.TemporaryDirectory(prefix="localbus-")
        self.path = os.path.join(self._directory.name, "bus.sock")
        self.log = tempfile.TemporaryFile()
        config = Path(self._directory.name, "busd.yaml")
        config.write_text(configuration)
        state = os.path.join(self._directory.name, "state")
        arguments = [str(BUSD), "--state", state, "--socket", self.path, "--config", str(config)]
        self._process = subprocess.Popen(arguments, stdin=subprocess.DEVNULL, stdout=self.log, stderr=self.log)
        try:
            eventually("busd accepts", self._accepts)
        except BaseException:
            self.close()
            raise

    def _accepts(self) -> bool:
        if self._process.poll() is not None:
            self.log.seek(0)
            raise AssertionError(f"busd ended with {self._process.returncode}: {self.log.read().decode()}")
        with socket.socket(socket.AF_UNIX) as probe:
            return probe.connect_ex(self.path) == 0

    def close(self) -> None:
        end(self._process)
        self.log.close()
        self._directory.cleanup()


class InteropTest(unittest.TestCase):
    daemon: Daemon
    configuration = ""

    @classmethod
    def setUpClass(cls) -> None:
        missing = [str(path) for path in (BUS, BUSD) if not path.exists()]
        if missing and os.environ.get("CI") == "true":
            raise AssertionError(f"not built: {', '.join(missing)}")
        if missing:
            raise unittest.SkipTest(f"not built: {', '.join(missing)}; see BUS and BUSD")
        cls.daemon = Daemon(cls.configuration)
        cls.addClassCleanup(cls.daemon.close)
        cls.environment = {**os.environ, "LOCALBUS_SOCKET": cls.daemon.path}

    # Python's side

    def connected(self, name: str = "python") -> Client:
        client = localbus.connect(self.daemon.path, name, timeout=PATIENCE)
        self.addCleanup(client.close)
        return client

    def recorded(self) -> Tuple[Client, Recorder]:
        recorder = Recorder(localbus.transport.open_socket(self.daemon.path, None, PATIENCE))
        client = Client(recorder, "recorder", PATIENCE)
        self.addCleanup(client.close)
        return client, recorder

    def take(self, subscription: localbus.Subscription, count: int) -> List[Tuple[localbus.Delivery, batch.Event]]:
        """The next `count` events, acknowledged, each with its delivery."""
        found: List[Tuple[localbus.Delivery, batch.Event]] = []
        while len(found) < count:
            delivery = subscription.take(PATIENCE)
            self.assertIsInstance(delivery, localbus.Delivery)
            subscription.acknowledge(delivery)
            found += [(delivery, event) for _, event in delivery.events]
        self.assertEqual(len(found), count)
        return found

    def events(self, subscription: localbus.Subscription, count: int) -> List[batch.Event]:
        return [event for _, event in self.take(subscription, count)]

    # Swift's side

    def bus(self, *arguments: str, data: bytes = b"") -> subprocess.CompletedProcess:
        finished = subprocess.run(
            [str(BUS), *arguments], input=data, capture_output=True, env=self.environment, timeout=PATIENCE
        )
        self.assertEqual(finished.returncode, 0, f"bus {' '.join(arguments)}: {finished.stderr.decode()}")
        return finished

    @contextlib.contextmanager
    def bus_running(self, *arguments: str, until: Callable[[], Any]) -> Iterator[subprocess.Popen]:
        """`bus` in the background, from when something is true until the block is left."""
        process = subprocess.Popen(
            [str(BUS), *arguments], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
            env=self.environment,
        )
        try:
            eventually(f"bus {' '.join(arguments)}", lambda: process.poll() is not None or until())
            yield process
        finally:
            end(process)
            process.stdout.close()
            process.stderr.close()

    def is_subscribed(self, filter: str) -> Callable[[], bool]:
        """Whether one of Swift's commands is subscribed to `filter`, which no other of this test is."""
        watcher = self.connected("watcher")
        return lambda: any(
            row["filter"] == filter and row["name"].startswith("bus ") for row in watcher.inspect("subscriptions"))

    @contextlib.contextmanager
    def bus_sub(self, filter: str, count: int) -> Iterator[Callable[[], Tuple[List[Dict[str, Any]], str]]]:
        """`bus sub`, begun when the block is entered; call what it gives for its lines and its stderr."""
        is_there = self.is_subscribed(filter)
        arguments = [str(BUS), "sub", filter, "--count", str(count), "--timeout", f"{PATIENCE:.0f}s", "--json"]
        process = subprocess.Popen(
            arguments, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=self.environment
        )

        def result() -> Tuple[List[Dict[str, Any]], str]:
            output, errors = process.communicate(timeout=2 * PATIENCE)
            lines = [json.loads(line) for line in output.splitlines()]
            self.assertEqual(len([line for line in lines if "gap" not in line]), count, errors.decode())
            return lines, errors.decode()

        try:
            eventually("bus sub subscribes", lambda: process.poll() is not None or is_there())
            self.assertIsNone(process.poll(), "bus sub ended before anything was published")
            yield result
        finally:
            end(process)
            process.stdout.close()
            process.stderr.close()


def data_of(line: Dict[str, Any]) -> bytes:
    return base64.b64decode(line["data_base64"]) if "data_base64" in line else line["data"].encode()
