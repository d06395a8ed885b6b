"""The Swift client against a daemon in Python: patterns, and a daemon that breaks the protocol."""

from __future__ import annotations

import contextlib
import json
import os
import socket
import subprocess
import tempfile
import unittest
from pathlib import Path
from typing import Any, Callable, Iterator, List, Tuple
from uuid import UUID

from fake_daemon import TIME
from fake_patterns import PatternDaemon
from interop import BUS, PATIENCE, end, eventually
from localbus.batch import Event
from localbus.layouts import ANSWERABLE, STORED


def event(payload: bytes, id: int, **columns: Any) -> Event:
    return Event(payload, id=UUID(int=id), time=TIME, **columns)


class ClientTest(unittest.TestCase):
    def setUp(self) -> None:
        if not BUS.exists() and os.environ.get("CI") != "true":
            raise unittest.SkipTest(f"not built: {BUS}")
        directory = tempfile.TemporaryDirectory(prefix="localbus-")
        self.addCleanup(directory.cleanup)
        self.path = os.path.join(directory.name, "bus.sock")
        self.listener = socket.socket(socket.AF_UNIX)
        self.addCleanup(self.listener.close)
        self.listener.bind(self.path)
        self.listener.listen()
        self.listener.settimeout(PATIENCE)

    @contextlib.contextmanager
    def bus(self, *arguments: str) -> Iterator[Tuple[PatternDaemon, subprocess.Popen]]:
        """`bus` on a connection that was just accepted."""
        process = subprocess.Popen(
            [str(BUS), *arguments], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
            env={**os.environ, "LOCALBUS_SOCKET": self.path},
        )
        try:
            accepted, _ = self.listener.accept()
            accepted.settimeout(None)
            yield PatternDaemon(accepted=accepted), process
        finally:
            end(process)
            process.stdout.close()
            process.stderr.close()

    def output(self, process: subprocess.Popen) -> Tuple[int, str, str]:
        output, errors = process.communicate(timeout=PATIENCE)
        return process.returncode, output.decode(), errors.decode()


class Patterns(ClientTest):
    def deliver(self, daemon: PatternDaemon, events: List[Event], selection: bytes, sequence: int, flags: int = 0,
                attempt: int = 1) -> None:
        member, = eventually("it subscribes", lambda: list(daemon.members.values()))
        seal, batch = daemon.sealed(b"x.y", events)
        daemon.deliver(batch, seal, member, selection, sequence, flags, attempt)

    def test_only_what_is_selected_is_printed_and_acknowledged(self) -> None:
        with self.bus("sub", "x.>", "--group", "g", "--json", "--count", "2") as (daemon, process):
            self.deliver(daemon, [event(b"%d" % k, k + 1) for k in range(10)], b"\x00\x01", 100)
            self.deliver(daemon, [event(b"again", 77)], b"\x01", 50, attempt=2)
            status, output, errors = self.output(process)
        lines = [json.loads(line) for line in output.splitlines()]
        self.assertEqual([(line["data"], line["sequence"], line["attempt"]) for line in lines],
                         [("8", 108, 1), ("again", 50, 2)], errors)
        self.assertEqual(lines[0]["id"], str(UUID(int=9)))
        self.assertEqual(status, 0)
        acknowledged = [frame["delivery"] for frame in daemon.received if frame.name == "acknowledge"]
        self.assertEqual(acknowledged[-1], 2)

    def test_stored_values_and_their_marker(self) -> None:
        with self.bus("sub", "x.>", "--last", "--json", "--count", "2") as (daemon, process):
            daemon_subscribed = eventually("it subscribes", lambda: daemon.count("subscribe"))
            self.assertEqual(daemon_subscribed, 1)
            self.deliver(daemon, [event(b"live", 1)], b"", 5)
            self.deliver(daemon, [event(b"another", 2)], b"", 6, STORED)
            _, output, _ = self.output(process)
        lines = [json.loads(line) for line in output.splitlines()]
        self.assertEqual(lines[0], {"caught_up": 0})
        self.assertEqual([line.get("stored", False) for line in lines[1:]], [False, True])

    def test_gaps_of_a_later_daemon_are_told_by_number(self) -> None:
        with self.bus("sub", "x.>", "--json", "--count", "1") as (daemon, process):
            member, = eventually("it subscribes", lambda: list(daemon.members))
            for reason in (55, 56, 999):
                daemon.send("gap", subscription=member, reason=reason, gap_flags=0, count=3, first_sequence=1,
                            last_sequence=9, topic="x.y")
            self.deliver(daemon, [event(b"1", 1)], b"", 10)
            _, output, _ = self.output(process)
        gaps = [json.loads(line)["gap"] for line in output.splitlines() if "gap" in json.loads(line)]
        self.assertEqual([gap["reason"] for gap in gaps], ["superseded", "attempts-exhausted", "reason-999"])
        self.assertEqual({gap["count"] for gap in gaps}, {3})

    def test_a_request_that_is_called_off_ends_the_command(self) -> None:
        with self.bus("reply", "x.>", "--exec", "--", "sleep", "60") as (daemon, process):
            asked = event(b"?", 1, correlation=UUID(int=5), reply_to=b"$reply.9")
            self.deliver(daemon, [asked], b"", 1, ANSWERABLE)
            eventually("the command runs", lambda: children_of(process.pid))
            daemon.send("requestCancelled", correlation=UUID(int=6).bytes, topic=b"$reply.9")  # another
            daemon.send("requestCancelled", correlation=UUID(int=5).bytes, topic=b"$reply.8")  # another's
            daemon.send("requestCancelled", correlation=UUID(int=5).bytes, topic=b"$reply.9")
            eventually("the command is ended", lambda: not children_of(process.pid))
            self.assertIsNone(process.poll())


def children_of(pid: int) -> List[str]:
    """Whichever of its threads began them."""
    return [child for file in Path(f"/proc/{pid}/task").glob("*/children") for child in file.read_text().split()]


class Faults(ClientTest):
    """A client that meets a daemon that breaks the protocol leaves it, says why, and doesn't come back."""

    def left(self, spoil: Callable[[PatternDaemon, int], Any], *arguments: str) -> None:
        with self.bus(*(arguments or ("sub", "x.>", "--timeout", "15s"))) as (daemon, process):
            member, = eventually("it subscribes", lambda: list(daemon.members))
            spoil(daemon, member)
            status, output, errors = self.output(process)
            self.assertNotIn(status, (0, 75), errors)
            self.assertRegex(errors, "malformed-frame|unexpected-frame|bad-topic|protocol")
            self.assertEqual(output, "")
        self.listener.settimeout(0.2)
        with self.assertRaises(TimeoutError):
            self.listener.accept()
        self.listener.settimeout(PATIENCE)

    def test_selections_against_the_rules(self) -> None:
        for count, selection in ((1, b"\x00"), (1, b"\x02"), (3, b"\x08"), (8, b"\x01\x00"), (9, b"\x01\x02"),
                                 (1, bytes(4096)), (3, b"\xff")):
            def spoil(daemon: PatternDaemon, member: int) -> None:
                seal, batch = daemon.sealed(b"x.y", [event(b"secret", k + 1) for k in range(count)])
                daemon.deliver(batch, seal, daemon.members[member], selection, 1, 0)

            for group in ((), ("--group", "g")):
                with self.subTest(count=count, selection=selection[:2], group=group):
                    self.left(spoil, "sub", "x.>", "--timeout", "15s", *group)

    def test_a_reply_topic_against_the_rules(self) -> None:
        self.left(lambda daemon, _: daemon.send("requestCancelled", correlation=bytes(16), topic=b"a..b"))

    def test_word_of_what_was_never_asked_for(self) -> None:
        for frame, values in (
            ("subscribed", {"subscription": 999}),
            ("caughtUp", {"subscription": 999, "count": 0}),
            ("gap", {"subscription": 999, "reason": 50, "gap_flags": 0, "count": 1, "first_sequence": 1,
                     "last_sequence": 1}),
            ("done", {"in_reply_to": 0x16, "request": 999}),
            ("inspected", {"request": 999}),
        ):
            with self.subTest(frame=frame):
                self.left(lambda daemon, _: daemon.send(frame, **values))

    def test_what_may_cross_on_the_way_is_no_fault(self) -> None:
        with self.bus("sub", "x.>", "--count", "1") as (daemon, process):
            member, = eventually("it subscribes", lambda: list(daemon.members))
            daemon.send("sealLimits", seal=999, batch_length_max=1, batch_event_count_max=1)
            daemon.send("unanswered", correlation=bytes(16), reason=40)
            daemon.send("requestCancelled", correlation=bytes(16), topic=b"$reply.1")
            seal, batch = daemon.sealed(b"x.y", [event(b"goes on", 1)])
            daemon.deliver(batch, seal, daemon.members[member], b"", 1, 0)
            status, output, errors = self.output(process)
        self.assertEqual((status, output), (0, "goes on\n"), errors)


if __name__ == "__main__":
    unittest.main()
