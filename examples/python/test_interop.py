"""Two implementations that share only docs/PROTOCOL.md, against each other over a socket, in both directions.

BUS and BUSD name the Swift binaries (default: .build/release of this repository). Without them everything here is
skipped, except where CI=true: there a missing binary is a failure.
"""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import tempfile
import time
import unittest
from pathlib import Path
from typing import Any, Callable, List, Tuple
from unittest import mock
from uuid import UUID

import localbus
from fake_daemon import FakeDaemon
from interop import BUS, BUSD, MARKER, PATIENCE, InteropTest, Recorder, data_of, end, eventually
from localbus import batch, wire
from localbus.client import Client
from localbus.errors import reason_name
from localbus.layouts import RECEIPT, SKIP_IF_UNKNOWN
from localbus.seal import Seal
from localbus.selection import split_delivery

class PythonToSwift(InteropTest):
    def test_payloads(self) -> None:
        payloads = [b"hello", b"", bytes(range(256)), "grüße".encode(), os.urandom(1 << 20)]
        client = self.connected("python publisher")
        with self.bus_sub("x.>", len(payloads)) as result:
            receipts = [client.publish("x.payloads", payload) for payload in payloads]
            lines, _ = result()
        self.assertEqual([data_of(line) for line in lines], payloads)
        self.assertEqual([line["sequence"] for line in lines], [receipt.first_sequence for receipt in receipts])
        for line in lines:
            self.assertEqual(line["topic"], "x.payloads")
            self.assertEqual(line["attempt"], 1)
            self.assertEqual(line["publisher"]["uid"], os.getuid())
            self.assertEqual(line["publisher"]["gid"], os.getgid())
            self.assertEqual(line["publisher"]["name"], "python publisher")
            self.assertRegex(line["time"], r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z$")

    def test_headers_ids_and_correlations(self) -> None:
        id, conversation = UUID("018bcfe5-6800-7123-8045-6789abcdef01"), UUID("01234567-89ab-7cde-b012-3456789abcde")
        events = [
            localbus.Event(b"one", ((b"content-type", b"text/plain"), (b"b", b"")), id, correlation=conversation),
            localbus.Event(b"two", id=UUID(int=5)),
        ]
        with self.bus_sub("x.>", 2) as result:
            self.connected().publish("x.headers", *events)
            lines, _ = result()
        self.assertEqual([UUID(line["id"]) for line in lines], [id, UUID(int=5)])
        self.assertEqual(UUID(lines[0]["correlation"]), conversation)
        self.assertEqual(lines[0]["headers"], {"content-type": "text/plain", "b": ""})

    def test_batches_of_many_events(self) -> None:
        client = self.connected()
        with self.bus_sub("x.>", 3000) as result:
            receipt = client.publish("x.many", *[b"%d" % k for k in range(1000)])
            self.assertEqual(receipt.event_count, 1000)
            client.publish_all("x.many", [b"%d" % k for k in range(1000, 3000)])
            lines, _ = result()
        self.assertEqual([line["data"] for line in lines], [str(k) for k in range(3000)])
        self.assertEqual(len({line["id"] for line in lines}), 3000)

    def test_a_tampered_batch_is_told_and_the_next_one_read(self) -> None:
        client = self.connected()
        with self.bus_sub("x.>", 1) as result:
            seal = client.open_seal("x.tampered")
            sealed = bytearray(seal.seal(client.stamped([b"bad"])))
            sealed[-20] ^= 1
            client.receipt(client.send_batch(bytes(sealed)))
            client.receipt(client.send_batch(seal.seal(client.stamped([b"good"]))))
            lines, _ = result()
        # With --json a gap is an object of its own, in its place.
        self.assertEqual([line["gap"]["reason"] for line in lines if "gap" in line], ["unopenable"])
        self.assertEqual([line["data"] for line in lines if "data" in line], ["good"])


class SwiftToPython(InteropTest):
    def test_payloads(self) -> None:
        subscription = self.connected().subscribe("y.>")
        with tempfile.NamedTemporaryFile() as file:
            for payload in (b"", bytes(range(256)), os.urandom(1 << 20)):
                with self.subTest(length=len(payload)):
                    Path(file.name).write_bytes(payload)
                    self.bus("pub", "y.payloads", "--file", file.name)
                    delivery, event = self.take(subscription, 1)[0]
                    self.assertEqual(event.payload, payload)
                    self.assertEqual((delivery.topic, delivery.attempt), ("y.payloads", 1))
                    self.assertEqual((delivery.publisher.uid, delivery.publisher.gid), (os.getuid(), os.getgid()))

    def test_headers_ids_and_correlations(self) -> None:
        id, conversation = UUID("018bcfe5-6800-7123-8045-6789abcdef02"), UUID("01234567-89ab-7cde-b012-3456789abcdf")
        subscription = self.connected().subscribe("y.>")
        self.bus("pub", "y.headers", "data", "--header", "a=1", "--id", str(id), "--correlation", str(conversation))
        _, event = self.take(subscription, 1)[0]
        self.assertEqual((event.id, event.correlation, event.payload), (id, conversation, b"data"))
        self.assertIn((b"a", b"1"), event.headers)

    def test_lines_are_batches(self) -> None:
        subscription = self.connected().subscribe("y.>", credit_events=100)
        self.bus("pub", "y.lines", "--lines", data=b"".join(b"%d\n" % k for k in range(3000)))
        found = self.take(subscription, 3000)
        self.assertEqual([event.payload for _, event in found], [b"%d" % k for k in range(3000)])
        self.assertEqual(len({event.id for _, event in found}), 3000)
        numbers = list(dict.fromkeys(delivery.number for delivery, _ in found))
        self.assertEqual(numbers, list(range(1, len(numbers) + 1)))
        self.assertGreaterEqual(subscription.unsubscribe().delivered, 3000)


class Secrecy(InteropTest):
    def test_no_key_and_no_nonce_is_used_twice_and_nothing_travels_open(self) -> None:
        client, recorder = self.recorded()
        subscription = client.subscribe("z.>")
        lines = b"".join(MARKER + b"\n" for _ in range(200))
        for _ in range(2):
            self.bus("pub", "z.same", MARKER.decode())
            self.bus("pub", "z.same", "--lines", data=lines)
            publisher = self.connected()
            publisher.publish("z.same", MARKER)
            publisher.publish("z.same", MARKER)
            publisher.publish("z.other", MARKER)
        found = self.take(subscription, 2 * (1 + 200 + 3))
        self.assertEqual({event.payload for _, event in found}, {MARKER})

        frames = recorder.frames()
        self.check_seals([frame for frame in frames if frame.name == "announce"], client)
        sealed = [batch.decode_batch(split_delivery(frame)[1]) for frame in frames if frame.name == "deliver"]
        self.assertGreaterEqual(len(sealed), 10)
        used = [(client._ring.keys[one.seal].key, client._ring.keys[one.seal].nonce(one.counter)) for one in sealed]
        self.assertEqual(len(set(used)), len(used), "a key and a nonce were used twice")
        bodies = [one.body for one in sealed]
        self.assertEqual(len(set(bodies)), len(bodies), "the same plaintext gave the same ciphertext")
        self.assertNotIn(MARKER, recorder.received)

    def check_seals(self, announcements: List[wire.Frame], client: Client) -> None:
        seals = {frame["seal"]: frame for frame in announcements}
        self.assertEqual({frame["topic"] for frame in announcements}, {b"z.same", b"z.other"})
        self.assertGreaterEqual(len(seals), 8, "each connection opens seals of its own")
        self.assertEqual(len({frame["salt"] for frame in seals.values()}), len(seals))
        keys = [client._ring.keys[seal] for seal in seals]
        for parts in zip(*((key.key, key.nonce_base, key.check) for key in keys)):
            self.assertEqual(len(set(parts)), len(seals))
            self.assertTrue(all(any(part) for part in parts), "all zero")
        for secret in client._ring.secrets.values():
            self.assertTrue(any(secret), "all zero")

    def test_secrets_differ_by_topic(self) -> None:
        client = self.connected()
        subscription = client.subscribe("z.>")
        for topic in ("z.one", "z.two"):
            client.publish(topic, b"")
        self.take(subscription, 2)
        secrets = client._ring.secrets
        self.assertEqual(len(set(secrets.values())), len(secrets))


class Refusals(InteropTest):
    def refused(self, reason: str, client: Client, sealed: bytes) -> None:
        with self.assertRaises(localbus.Refused) as caught:
            client.receipt(client.send_batch(sealed))
        self.assertEqual(caught.exception.reason, reason)

    def opened(self, client: Client, topic: str = "w.x") -> Tuple[Seal, List[batch.Event]]:
        return client.open_seal(topic), client.stamped([b"data"])

    def test_a_counter_is_used_once(self) -> None:
        client = self.connected()
        seal, events = self.opened(client)
        sealed = seal.seal(events)
        client.receipt(client.send_batch(sealed))
        self.refused("counter-out-of-order", client, sealed)
        client.publish("w.x", b"the connection goes on")

    def test_a_salt_is_used_once(self) -> None:
        salt = os.urandom(32)
        client = self.connected()
        client.open_seal("w.x", salt)
        for again in (client, self.connected()):
            with self.assertRaises(localbus.Refused) as caught:
                again.open_seal("w.x", salt)
            self.assertEqual(caught.exception.reason, "salt-reused")
        client.publish("w.x", b"the connection goes on")

    def test_a_seal_is_its_connections_own(self) -> None:
        seal, events = self.opened(self.connected())
        self.refused("unknown-seal", self.connected(), seal.seal(events))

    def test_a_batch_must_agree_with_itself(self) -> None:
        client = self.connected()
        seal, events = self.opened(client)
        self.refused("malformed-batch", client, seal.seal(events) + b"\0")
        client.publish("w.x", b"the connection goes on")

    def test_requests_are_refused_by_name(self) -> None:
        client = self.connected()
        salt = os.urandom(32)
        nothing = dict.fromkeys(("stall_milliseconds", "queue_event_count", "queue_length", "overflow"), 0)
        credit = {"credit_events": 1, "credit_bytes": 1}
        for reason, name, number, values in (
            ("bad-topic", "openSeal", 900, {"request": 900, "salt": salt, "topic": b"a..b"}),
            ("bad-filter", "subscribe", 901, {"subscription": 901, "filter": b"a.>.b", **nothing, **credit}),
            ("not-supported", "inspect", 902, {"request": 902, "kind": 999}),
        ):
            with self.subTest(name), self.assertRaisesRegex(localbus.Refused, reason):
                client.call(name, number, PATIENCE, **values)

    def test_an_acknowledgement_of_nothing(self) -> None:
        subscription = self.connected().subscribe("w.>")
        subscription.acknowledge(localbus.Unopenable(7, 1, ""))
        with self.assertRaisesRegex(localbus.Refused, "acknowledged-unsent"):
            subscription.take(PATIENCE)

    # What closes a connection, and only that one

    def closed(self, reason: str, spoil: Callable[[Client], Any]) -> None:
        client, recorder = self.recorded()
        witness = self.connected()
        subscription = witness.subscribe("w.witness")
        spoil(client)
        with self.assertRaises(localbus.Closed) as caught:
            client.run_until(lambda: False, PATIENCE)
        self.assertEqual(caught.exception.reason, reason)
        last = recorder.frames()[-1]
        self.assertEqual((last.name, reason_name(last["reason"])), ("error", reason))
        self.assertTrue(last["fatal"])
        witness.publish("w.witness", b"unharmed")
        self.assertEqual(self.take(subscription, 1)[0][1].payload, b"unharmed")

    def test_malformed_frames(self) -> None:
        short = wire.FRAME_HEADER.pack(3, 0x22, 0, 3) + b"abc"
        unknown = wire.FRAME_HEADER.pack(0, 0x7E, 0, 0)
        fixed_behind_the_end = wire.FRAME_HEADER.pack(4, 0x22, 0, 9) + bytes(4)
        field_cut_short = wire.encode("unsubscribe", rest=b"\1\0\xff", subscription=1)
        without_topic = wire.encode("openSeal", request=1, salt=os.urandom(32))
        for raw in (short, unknown, fixed_behind_the_end, field_cut_short, without_topic):
            with self.subTest(raw=raw):
                self.closed("malformed-frame", lambda client: client.send_raw(raw))

    def test_an_unknown_required_field(self) -> None:
        field = wire.encode_field(99 | wire.FIELD_REQUIRED, b"later")
        self.closed("unknown-required-field", lambda client: client.send("unsubscribe", rest=field, subscription=1))

    def test_a_frame_longer_than_the_limit(self) -> None:
        header = wire.FRAME_HEADER.pack(0x7FFFFFFF, 0x13, 0, 8)
        self.closed("frame-too-long", lambda client: client.send_raw(header))

    def test_a_second_hello(self) -> None:
        self.closed("unexpected-frame", lambda client: client.send_raw(client._hello))

    def test_a_publish_number_out_of_order(self) -> None:
        def spoil(client: Client) -> None:
            seal, events = self.opened(client)
            client.send("publish", RECEIPT, seal.seal(events), number=2)

        self.closed("unexpected-frame", spoil)

    def test_the_window(self) -> None:
        """A stalled topic gets no progress, so what is sent stays under way and adds up."""
        stalled = self.connected().subscribe(
            "w.window", "stall", stall_milliseconds=3_600_000, queue_event_count=1, credit_events=0, credit_bytes=0
        )
        self.assertIsNone(stalled.ended)

        def spoil(client: Client) -> None:
            seal = client.open_seal("w.window")
            for number in range(1, client.welcome["publish_window"] // (1 << 20) + 4):
                client._publish_number = number  # past the client's own window
                client.send("publish", 0, seal.seal(client.stamped([bytes(1 << 20)])), number=number)

        self.closed("window-exceeded", spoil)

    def test_what_is_skipped_harms_nobody(self) -> None:
        client = self.connected()
        client.send_raw(wire.FRAME_HEADER.pack(3, 0x7E, SKIP_IF_UNKNOWN, 0) + b"new")
        client.send("closeSeal", rest=wire.encode_field(99, b"optional"), seal=1 << 60)
        client.publish("w.x", b"the connection goes on")


class Flow(InteropTest):
    def test_what_there_was_no_credit_for_is_delivered_or_told(self) -> None:
        """Publisher and slow subscriber are one connection: receipts must not wait behind what has no credit."""
        client = self.connected()
        subscription = client.subscribe("v.>", credit_events=10)
        receipts = client.publish_all("v.x", [b"%0100d" % k for k in range(20_000)], timeout=PATIENCE)
        self.assertEqual(sum(receipt.event_count for receipt in receipts), 20_000)
        accounted, last = 0, receipts[-1].first_sequence + receipts[-1].event_count - 1
        for item in iter(lambda: subscription.take(PATIENCE), None):
            if isinstance(item, localbus.Gap):
                self.assertEqual((item.reason, item.topic), ("queue-full", "v.x"))
                accounted += item.count
            else:
                accounted += len(item.events)
                if item.events[-1][0] == last:
                    break
        self.assertEqual(accounted, 20_000)


class Helpers(unittest.TestCase):
    """What the tests above lean on; runs without the binaries."""

    def test_waiting_is_bounded(self) -> None:
        self.assertEqual(eventually("five", lambda: 5), 5)
        with mock.patch("interop.PATIENCE", 0.05), self.assertRaisesRegex(AssertionError, "never"):
            eventually("never", lambda: False)

    def test_a_process_is_ended_by_its_id(self) -> None:
        process = subprocess.Popen(["sleep", "60"])
        end(process)
        self.assertEqual(process.returncode, -signal.SIGTERM)

    def test_lines_carry_text_or_base64(self) -> None:
        self.assertEqual(data_of({"data": "ü"}), "ü".encode())
        self.assertEqual(data_of({"data_base64": "/w=="}), b"\xff")

    def test_a_recorder_keeps_what_it_received(self) -> None:
        daemon = FakeDaemon()
        recorder = Recorder(daemon.client_end)
        with Client(recorder) as client:
            subscription = client.subscribe("z.>")
            client.publish("z.same", MARKER)
            self.assertEqual(subscription.take(PATIENCE).events[0][1].payload, MARKER)
        names = [frame.name for frame in recorder.frames()]
        self.assertEqual(names[:3], ["welcome", "subscribed", "sealOpened"])
        self.assertNotIn(MARKER, recorder.received)


if __name__ == "__main__":
    unittest.main()
