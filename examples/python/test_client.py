"""The client against a daemon of one connection: what it sends, what it makes of the answers, and whom it trusts."""

from __future__ import annotations

import contextlib
import io
import json
import os
import socket
import tempfile
import unittest
from typing import Optional
from unittest import mock
from uuid import UUID

import bus
import localbus
from fake_daemon import TIME, FakeDaemon
from localbus.errors import BatchError


class ClientTest(unittest.TestCase):
    def connected(self, daemon: Optional[FakeDaemon] = None) -> localbus.Client:
        self.daemon = daemon or FakeDaemon()
        client = localbus.Client(self.daemon.client_end, "test")
        self.addCleanup(client.close)
        return client

    def test_what_is_published_arrives(self) -> None:
        client = self.connected()
        subscription = client.subscribe("x.>")
        conversation = UUID(int=7)
        event = localbus.Event(b"\x00\xff", ((b"a", b"b"),), correlation=conversation)
        receipt = client.publish("x.y", b"one", event, b"")
        self.assertEqual((receipt.first_sequence, receipt.event_count), (1, 3))
        delivery = subscription.take(5)
        self.assertEqual((delivery.topic, delivery.time, delivery.number), ("x.y", TIME, 1))
        self.assertEqual(delivery.publisher.name, "fake")
        self.assertEqual([sequence for sequence, _ in delivery.events], [1, 2, 3])
        self.assertEqual([event.payload for _, event in delivery.events], [b"one", b"\x00\xff", b""])
        self.assertEqual(delivery.events[1][1].correlation, conversation)
        self.assertEqual(delivery.events[1][1].headers, ((b"a", b"b"),))
        subscription.acknowledge(delivery)
        self.assertEqual(subscription.unsubscribe().reason, "unsubscribed")
        self.assertIsNone(subscription.take(5))
        self.assertEqual(self.daemon.count("acknowledge"), 1)

    def test_a_stale_epoch_is_told_by_a_new_seal_and_the_same_ids(self) -> None:
        client = self.connected()
        subscription = client.subscribe("x.>")
        self.daemon.stale_seals.add(1)
        id = UUID(int=99)
        client.publish_all("x.y", [localbus.Event(b"again", id=id)])
        self.assertEqual(subscription.take(5).events[0][1].id, id)
        self.assertEqual((self.daemon.count("openSeal"), self.daemon.count("closeSeal")), (2, 1))

    def test_many_events_keep_to_batches_and_window(self) -> None:
        client = self.connected(FakeDaemon(window=4096, batch_event_count_max=100))
        receipts = client.publish_all("x.y", [b"%d" % k for k in range(1000)])
        self.assertEqual(sum(receipt.event_count for receipt in receipts), 1000)
        self.assertTrue(all(receipt.event_count <= 100 for receipt in receipts))
        self.assertEqual(self.daemon.count("publish"), len(receipts))

    def test_credit_is_renewed_as_deliveries_are_taken(self) -> None:
        client = self.connected()
        subscription = client.subscribe("x.>", credit_events=4)
        for _ in range(6):
            client.publish("x.y", b"")
            subscription.take(5)
        client.status()
        credits = [frame["events"] for frame in self.daemon.received if frame.name == "credit"]
        self.assertEqual(credits, [6, 8, 10])

    def test_what_cannot_be_opened_is_told_and_passed(self) -> None:
        client = self.connected()
        subscription = client.subscribe("x.>")
        self.daemon.tampers = True
        client.publish("x.y", b"bad")
        self.daemon.tampers = False
        client.publish("x.y", b"good")
        self.assertIsInstance(subscription.take(5), localbus.Unopenable)
        self.assertEqual(subscription.take(5).events[0][1].payload, b"good")

    def test_a_reused_counter_ends_the_seal(self) -> None:
        client = self.connected()
        client.publish("x.y", b"one")
        client._seals["x.y"].next_counter = 0
        with self.assertRaisesRegex(localbus.Refused, "counter-out-of-order"):
            client.publish("x.y", b"two")
        client.publish("x.y", b"three")
        self.assertEqual(self.daemon.count("openSeal"), 2)

    def test_waiting_ends(self) -> None:
        subscription = self.connected().subscribe("x.>")
        with self.assertRaises(localbus.TimedOut):
            subscription.take(0.01)

    def test_a_daemon_that_breaks_the_protocol_is_left(self) -> None:
        client = self.connected()
        self.daemon.send("gap", subscription=9, reason=50, gap_flags=0, count=1, first_sequence=1, last_sequence=1)
        with self.assertRaisesRegex(localbus.Closed, "unexpected-frame"):
            client.run_until(lambda: False, 5)

    def test_fatal_errors_and_closing_carry_their_reason(self) -> None:
        client = self.connected()
        self.daemon.send("error", reason=9, in_reply_to=0x13, fatal=1, request=0, message="too much")
        with self.assertRaisesRegex(localbus.Closed, "window-exceeded: too much"):
            client.publish("x.y", b"")
        client = self.connected()
        self.daemon.send("closing", reason=11)
        with self.assertRaisesRegex(localbus.Closed, "shutting-down"):
            client.publish("x.y", b"")

    def test_limits_are_kept_before_sending(self) -> None:
        client = self.connected()
        with self.assertRaisesRegex(BatchError, "payload-too-large"):
            client.publish("x.y", bytes((1 << 20) + 1))
        with self.assertRaisesRegex(BatchError, "more than a batch"):
            client.publish("x.y", *[bytes(1 << 10)] * 300)
        client.publish("x.y", bytes(1 << 20))

    def test_status_is_a_row_of_names(self) -> None:
        self.assertEqual(self.connected().status(), {"sessions": 1})


class Trust(unittest.TestCase):
    def test_a_directory_others_can_write_is_refused_before_hello(self) -> None:
        with tempfile.TemporaryDirectory() as directory, socket.socket(socket.AF_UNIX) as listener:
            path = os.path.join(directory, "bus.sock")
            listener.bind(path)
            listener.listen()
            os.chmod(directory, 0o777)
            with self.assertRaisesRegex(localbus.Untrusted, "mode 777"):
                localbus.connect(path, timeout=5)
            with listener.accept()[0] as accepted:
                self.assertEqual(accepted.recv(1), b"")

    def test_a_server_of_another_uid_is_refused(self) -> None:
        one, other = socket.socketpair()
        with one, other, self.assertRaises(localbus.Untrusted):
            localbus.transport.check_server(one, {os.geteuid() + 1})

    def test_the_environment_names_the_socket(self) -> None:
        with mock.patch.dict(os.environ, LOCALBUS_SOCKET="/somewhere/bus.sock"):
            self.assertEqual(localbus.default_path(), "/somewhere/bus.sock")


class CommandLine(unittest.TestCase):
    def run_bus(self, *arguments: str) -> int:
        with contextlib.redirect_stderr(io.StringIO()) as self.stderr:
            try:
                return bus.main(list(arguments))
            except SystemExit as ended:
                return ended.code

    def test_exit_statuses(self) -> None:
        self.assertEqual(self.run_bus("pub"), 64)
        self.assertEqual(self.run_bus("sub", "x.>", "--count", "none"), 64)
        with mock.patch.dict(os.environ, LOCALBUS_SOCKET="/nowhere/bus.sock"):
            self.assertEqual(self.run_bus("pub", "x", "y"), 69)
        for arguments, status in ((("sub", "a..b"), 64), (("sub", "x", "--timeout", "10ms"), 75)):
            client = localbus.Client(FakeDaemon().client_end)
            with mock.patch("localbus.connect", return_value=client):
                self.assertEqual(self.run_bus(*arguments), status)

    def test_a_line_says_all_of_an_event(self) -> None:
        event = localbus.Event(b"\xff", ((b"a", b"b"),), UUID(int=5))
        publisher = localbus.subscription.Publisher(1000, 100, None)
        delivery = localbus.Delivery(1, 2, "x.y", publisher, TIME, ((8, event),))
        line = json.loads(json.dumps(bus.described(delivery, 8, event)))
        self.assertEqual(line, {
            "id": "00000000-0000-0000-0000-000000000005", "topic": "x.y", "sequence": 8,
            "time": "2023-11-14T22:13:20.000250Z", "publisher": {"uid": 1000, "gid": 100, "name": None},
            "correlation": "00000000-0000-0000-0000-000000000005", "attempt": 2, "stored": False, "headers": {"a": "b"},
            "data_base64": "/w==",
        })


if __name__ == "__main__":
    unittest.main()
