"""The page's worked example, byte for byte, in both directions: what it says is what this code writes and reads."""

from __future__ import annotations

import random
import struct
import unittest
from uuid import UUID

from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

import vectors
from localbus import batch, crypto, ids, names, receipts, rows, selection, wire
from localbus.batch import Event
from localbus.errors import REASONS, BadName, BatchError, FrameError, WireError
from localbus.layouts import CLIENT, DAEMON, LAYOUTS, RECEIPT

EXAMPLE = vectors.worked_example()
TOPIC = b"demo.greeting"
EPOCH, SEAL = 3, 42
FIRST_ID = UUID("018bcfe5-6800-7123-8045-6789abcdef01")
TIME = 1_700_000_000_000_000
GREETING = [Event(b"hello", ((b"content-type", b"text/plain"),), FIRST_ID, TIME)]
CONVERSATION = UUID("01234567-89ab-7cde-f012-3456789abcde")
ONE_AND_TWO = [
    Event(b"one", (), ids.following(FIRST_ID, 1), TIME, CONVERSATION, None, b"$reply.", 0x1122334455667788),
    Event(b"two", (), ids.following(FIRST_ID, 2), TIME + 1, CONVERSATION, None, b"$reply.", 0),
]
SENDERS = {layout.name: layout.sender for layout in LAYOUTS}


def example(section: str, label: str) -> bytes:
    return EXAMPLE[section, label]


def connection(label: str) -> bytes:
    return example("The connection", label)


def seal(label: str) -> bytes:
    return example("The seal", label)


def subscriber(label: str) -> bytes:
    return example("Its subscriber", label)


def public_of(private: bytes) -> bytes:
    return X25519PrivateKey.from_private_bytes(private).public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)


def connection_keys() -> crypto.ConnectionKeys:
    private = X25519PrivateKey.from_private_bytes(connection("client private"))
    daemon = public_of(connection("daemon private"))
    return crypto.connection_keys(private, daemon, connection("hello frame"), connection("welcome frame"))


def seal_keys() -> crypto.SealKeys:
    return crypto.SealKeys(seal("seal key"), seal("nonce base"), seal("key check"))


def flipped(data: bytes, bit: int) -> bytes:
    return data[:bit // 8] + bytes([data[bit // 8] ^ 1 << bit % 8]) + data[bit // 8 + 1:]


class Connection(unittest.TestCase):
    def test_hello_is_written_and_read(self) -> None:
        raw = wire.encode(
            "hello", magic=b"LBUS", oldest=1, newest=1, public_key=public_of(connection("client private")),
            nonce=bytes(range(0x80, 0xA0)), name="example",
        )
        self.assertEqual(raw, connection("hello frame"))
        self.assertEqual(wire.decode(raw, CLIENT)["name"], "example")

    def test_welcome_is_written_and_read(self) -> None:
        raw = wire.encode(
            "welcome", magic=b"LBUS", version=1, public_key=public_of(connection("daemon private")),
            nonce=bytes(range(0xA0, 0xC0)), incarnation=UUID("11111111-2222-4333-8444-555555555555").bytes, session=7,
            frame_length_max=(1 << 20) + (512 << 10), payload_length_max=1 << 20, publish_window=4 << 20, name="busd 1",
        )
        self.assertEqual(raw, connection("welcome frame"))
        self.assertEqual(wire.decode(raw, DAEMON)["session"], 7)

    def test_both_sides_derive_the_same_keys(self) -> None:
        private = X25519PrivateKey.from_private_bytes(connection("daemon private"))
        client = public_of(connection("client private"))
        frames = connection("hello frame"), connection("welcome frame")
        for keys in (connection_keys(), crypto.connection_keys(private, client, *frames)):
            self.assertEqual(keys.shared, connection("shared"))
            self.assertEqual(keys.transcript, connection("transcript"))
            self.assertEqual(keys.client_to_server, connection("key c→s"))
            self.assertEqual(keys.server_to_client, connection("key s→c"))

    def test_a_key_that_gives_the_secret_away_is_refused(self) -> None:
        private = X25519PrivateKey.from_private_bytes(connection("client private"))
        with self.assertRaisesRegex(FrameError, "weak-key"):
            crypto.connection_keys(private, bytes(32), b"", b"")


class Seals(unittest.TestCase):
    def test_keys_follow_from_the_namespace_secret(self) -> None:
        secret = crypto.topic_secret(seal("namespace secret"), TOPIC)
        self.assertEqual(secret, seal("topic secret"))
        self.assertEqual(crypto.seal_keys(secret, seal("salt"), TOPIC, EPOCH), seal_keys())

    def test_open_seal_is_written_and_read(self) -> None:
        raw = wire.encode("openSeal", request=1, salt=seal("salt"), topic=TOPIC)
        self.assertEqual(raw, seal("openSeal frame"))
        self.assertEqual(wire.decode(raw, CLIENT)["topic"], TOPIC)

    def test_seal_grant_is_sealed_and_opened(self) -> None:
        aad = crypto.seal_grant_aad(TOPIC, EPOCH, SEAL)
        nonce = crypto.grant_nonce(1, 0)
        self.assertEqual((aad, nonce), (seal("grant AAD"), seal("grant nonce")))
        grant = AESGCM(connection("key s→c")).encrypt(nonce, seal_keys().joined(), aad)
        raw = wire.encode(
            "sealOpened", request=1, epoch=EPOCH, seal=SEAL, batch_length_max=256 << 10, batch_event_count_max=4096,
            grant_incarnation=1, counter=0, grant=grant,
        )
        self.assertEqual(raw, seal("sealOpened frame"))
        opener = crypto.GrantOpener(connection_keys().server_to_client)
        self.assertEqual(opener.open_seal(wire.decode(raw, DAEMON), TOPIC), seal_keys())

    def test_topic_grant_is_sealed_and_opened(self) -> None:
        aad, nonce = crypto.topic_grant_aad(TOPIC, EPOCH), crypto.grant_nonce(1, 1)
        self.assertEqual((aad, nonce), (subscriber("grant AAD"), subscriber("grant nonce")))
        grant = AESGCM(connection("key s→c")).encrypt(nonce, seal("topic secret"), aad)
        raw = wire.encode("grant", epoch=EPOCH, grant_incarnation=1, counter=1, topic=TOPIC, grant=grant)
        self.assertEqual(raw, subscriber("grant frame"))
        opener = crypto.GrantOpener(connection_keys().server_to_client)
        self.assertEqual(opener.open_topic(wire.decode(raw, DAEMON)), seal("topic secret"))

    def test_a_grant_is_taken_once(self) -> None:
        opener = crypto.GrantOpener(connection("key s→c"))
        frame = wire.decode(subscriber("grant frame"), DAEMON)
        opener.open_topic(frame)
        with self.assertRaises(crypto.GrantRefused):
            opener.open_topic(frame)
        with self.assertRaises(crypto.GrantRefused):  # its counter is below
            opener.open_seal(wire.decode(seal("sealOpened frame"), DAEMON), TOPIC)

    def test_no_bit_of_a_grant_frame_can_be_flipped(self) -> None:
        raw = subscriber("grant frame")
        required_bits = [8 * raw.index(tag) + 15 for tag in (b"\x03\x80", b"\x05\x80")]
        for bit in range(8 * len(raw)):
            if bit in required_bits or bit // 8 == 5:
                continue  # that a known field is required, and flags, say nothing in a grant
            with self.subTest(bit=bit), self.assertRaises(FrameError):
                frame = wire.decode(flipped(raw, bit), DAEMON)
                crypto.GrantOpener(connection("key s→c")).open_topic(frame)


class Batches(unittest.TestCase):
    def check(self, section: str, counter: int, events: list) -> None:
        raw = example(section, "batch")
        self.assertEqual(batch.encode_records(events), example(section, "plaintext"))
        self.assertEqual(seal_keys().nonce(counter), example(section, "nonce"))
        self.assertEqual(crypto.seal_batch(seal_keys(), SEAL, counter, events), raw)
        decoded = batch.decode_batch(raw)
        self.assertEqual((decoded.seal, decoded.counter, decoded.event_count), (SEAL, counter, len(events)))
        self.assertEqual(crypto.open_batch(seal_keys(), decoded), events)

    def test_one_event(self) -> None:
        section = "A batch of one event"
        self.check(section, 0, GREETING)
        decoded = batch.decode_batch(example(section, "batch"))
        self.assertEqual(decoded.head, example(section, "header") + example(section, "columns"))

    def test_columns(self) -> None:
        self.check("A second batch, with columns", 1, ONE_AND_TWO)

    def test_publish_and_its_receipt(self) -> None:
        sealed = example("A batch of one event", "batch")
        raw = wire.encode("publish", RECEIPT, sealed, number=1)
        self.assertEqual(raw, example("A batch of one event", "publish frame"))
        self.assertEqual(wire.decode(raw, CLIENT).rest, sealed)
        entry = receipts.ENTRY.pack(1, 1, 1, 1, 0, 0, 0)
        raw = wire.encode("receipts", rest=entry, progress=1, count=1, entry_length=len(entry))
        self.assertEqual(raw, example("A batch of one event", "receipts frame"))
        self.assertEqual(receipts.decode_receipts(wire.decode(raw, DAEMON)), [receipts.Receipt(1, 1, 1, 1, 0, 0, 0)])

    def test_subscribe_announce_and_deliver(self) -> None:
        raw = wire.encode(
            "subscribe", subscription=1, overflow=0, stall_milliseconds=0, queue_event_count=0, queue_length=0,
            credit_events=1024, credit_bytes=4 << 20, filter=b"demo.>",
        )
        self.assertEqual(raw, subscriber("subscribe frame"))
        raw = wire.encode(
            "announce", seal=SEAL, epoch=EPOCH, uid=1000, gid=1000, salt=seal("salt"), key_check=seal("key check"),
            topic=TOPIC, name="example",
        )
        self.assertEqual(raw, subscriber("announce frame"))
        sealed = example("A batch of one event", "batch")
        raw = wire.encode(
            "deliver", rest=sealed, subscription=1, attempt=1, delivery=1, first_sequence=1, time=TIME + 250,
            selection_length=0,
        )
        self.assertEqual(raw, subscriber("deliver frame"))
        self.assertEqual(selection.split_delivery(wire.decode(raw, DAEMON)), (b"", sealed))

    def test_no_bit_of_a_batch_can_be_flipped(self) -> None:
        for section in ("A batch of one event", "A second batch, with columns"):
            raw = example(section, "batch")
            for bit in range(8 * len(raw)):
                with self.subTest(section=section, bit=bit), self.assertRaises(BatchError):
                    crypto.open_batch(seal_keys(), batch.decode_batch(flipped(raw, bit)))

    def test_no_prefix_of_a_batch_is_one(self) -> None:
        raw = example("A second batch, with columns", "batch")
        for length in range(len(raw)):
            with self.subTest(length=length), self.assertRaises(BatchError):
                batch.decode_batch(raw[:length])

    def test_records_must_fill_the_body_exactly(self) -> None:
        raw = example("A second batch, with columns", "batch")
        for plaintext in (b"", bytes(33), batch.encode_records(ONE_AND_TWO) + b"\0"):
            with self.assertRaises(BatchError):
                batch.decode_records(plaintext, batch.decode_batch(raw))


class Names(unittest.TestCase):
    def test_topics(self) -> None:
        for topic in ("a", "a.b", "$dead.x", "grüße.welt", ".".join("a" * 16), "a" * 255, "e\u0301"):
            self.assertEqual(names.decode_topic(names.encode_topic(topic)), topic)
        for topic in ("", ".", "a.", ".a", "a..b", "a b", "a\u3000b", "a\n", "a\x85", "*", "a.>", ".".join("a" * 17),
                      "a" * 256, "\udcff"):
            with self.subTest(topic=topic), self.assertRaisesRegex(BadName, "bad-topic"):
                names.encode_topic(topic)
        with self.assertRaises(BadName):
            names.decode_topic(b"\xff")

    def test_filters(self) -> None:
        for filter in ("*", ">", "a.*.b", "a.>", "*.>"):
            names.encode_filter(filter)
        for filter in ("a.>.b", "a*", ">>", "a.**", ""):
            with self.subTest(filter=filter), self.assertRaisesRegex(BadName, "bad-filter"):
                names.encode_filter(filter)


class Ids(unittest.TestCase):
    def test_only_the_number_moves(self) -> None:
        first = UUID("018bcfe5-6800-7123-bfff-ffffffffffff")
        self.assertEqual(ids.following(first, 1), UUID("018bcfe5-6800-7124-8000-000000000000"))
        self.assertEqual(ids.following(UUID(int=1), 2), UUID(int=3))

    def test_the_last_id_must_not_overflow(self) -> None:
        last = UUID("018bcfe5-6800-7fff-bfff-ffffffffffff")
        self.assertTrue(ids.counts_to(last, 1))
        self.assertFalse(ids.counts_to(last, 2))

    def test_a_source_counts_up(self) -> None:
        source = ids.IdSource()
        first = source.take(3)
        self.assertEqual([id.version for id in first], [7, 7, 7])
        self.assertEqual(first[2], ids.following(first[0], 2))
        self.assertEqual(ids.number_of(source.take(1)[0]), ids.number_of(first[2]) + 1)

    def test_ids_that_do_not_count_get_a_column(self) -> None:
        events = [Event(b"", (), UUID(int=9), TIME), Event(b"", (), UUID(int=5), TIME)]
        decoded = batch.decode_batch(crypto.seal_batch(seal_keys(), SEAL, 0, events))
        self.assertEqual(crypto.open_batch(seal_keys(), decoded), events)


class Frames(unittest.TestCase):
    def test_the_golden_files_say_the_same(self) -> None:
        found = vectors.golden("example.txt")
        if not found:
            self.skipTest(f"no {vectors.GOLDEN}/example.txt")
        self.assertEqual(set(found.values()), set(EXAMPLE.values()))

    def test_one_of_every_frame(self) -> None:
        found = vectors.golden("v1.txt")
        if not found:
            self.skipTest(f"no {vectors.GOLDEN}/v1.txt")
        for label, raw in found.items():
            first, *others = label.split("-")
            name = first + "".join(word.capitalize() for word in others)
            name = name if name in SENDERS else first
            with self.subTest(label=label):
                frame = wire.decode(raw, SENDERS[name])
                self.assertEqual(wire.encode(name, frame.flags, frame.rest, **frame.values), raw)
        self.assertEqual(receipts.decode_receipts(wire.decode(found["receipts"], DAEMON))[1].flags, 2)
        for label, expected in (
            ("inspected", ([{"sessions": 3, "name": "busd"}, {}], 0)),
            ("inspected-with-more", ([{"topic": "demo.greeting", "sequence": 3}], 0x1112131415161718)),
        ):
            frame = wire.decode(found[label], DAEMON)
            self.assertEqual(rows.decode_rows(frame), expected)
            self.assertEqual(rows.encode_rows(*expected), frame.rest)

    def test_what_later_versions_may_do(self) -> None:
        raw = wire.encode("subscribed", subscription=5)
        longer = struct.pack("<IBBH", 7, 0x21, 0xFF, 7) + raw[8:] + b"new"
        self.assertEqual(wire.decode(longer, DAEMON)["subscription"], 5)
        optional = wire.encode("subscribed", rest=wire.encode_field(99, b"new"), subscription=5)
        self.assertEqual(wire.decode(optional, DAEMON)["subscription"], 5)
        required = wire.encode("subscribed", rest=wire.encode_field(99 | wire.FIELD_REQUIRED, b"new"), subscription=5)
        with self.assertRaisesRegex(FrameError, "unknown-required-field: field 99"):
            wire.decode(required, DAEMON)
        self.assertIsNone(wire.decode(struct.pack("<IBBH", 0, 0x7E, 0x80, 0), DAEMON))
        with self.assertRaisesRegex(FrameError, "malformed-frame"):
            wire.decode(struct.pack("<IBBH", 0, 0x7E, 0, 0), DAEMON)

    def test_the_first_of_two_fields_counts(self) -> None:
        raw = wire.encode("closing", rest=wire.encode_field(2, b"one") + wire.encode_field(2, b"two"), reason=11)
        self.assertEqual(wire.decode(raw, DAEMON)["message"], "one")

    def test_a_long_frame_is_refused_by_its_header(self) -> None:
        reader = wire.FrameReader()
        reader.feed(struct.pack("<IBBH", 1017, 1, 0, 72))
        with self.assertRaisesRegex(FrameError, "frame-too-long"):
            reader.next()

    def test_frames_come_whole_however_they_arrive(self) -> None:
        stream = connection("hello frame") + seal("openSeal frame")
        reader, found = wire.FrameReader(), []
        for byte in stream:
            reader.feed(bytes([byte]))
            found += [raw for raw in [reader.next()] if raw]
        self.assertEqual(found, [connection("hello frame"), seal("openSeal frame")])

    def test_selections(self) -> None:
        self.assertEqual(selection.selected(b"", 3), [0, 1, 2])
        self.assertEqual(selection.selected(b"\x05", 3), [0, 2])
        self.assertEqual(selection.selected(b"\x01", 20), [0])
        self.assertEqual(selection.selected(b"\x00\x01\x00", 20), [8])
        for chosen in ([0], [7, 8], [63], list(range(64)), [1, 2, 40]):
            self.assertEqual(selection.selected(selection.selection_of(chosen, 64), 64), chosen)
        for faulty, count in ((b"\xfd", 3), (b"\x00", 8), (b"\x01\x00", 8), (b"\x01\x02", 9), (b"\x02", 1)):
            with self.subTest(faulty=faulty), self.assertRaisesRegex(FrameError, "malformed-frame"):
                selection.selected(faulty, count)

    def test_any_bytes_are_a_value_or_a_named_error(self) -> None:
        dice = random.Random(1)
        frames = [raw for (_, label), raw in EXAMPLE.items() if label.endswith("frame")]
        for _ in range(20_000):
            raw = bytearray(dice.choice(frames))
            for _ in range(dice.randint(1, 4)):
                raw[dice.randrange(len(raw))] = dice.choice((0, 1, 0x7F, 0x80, 0xFF, dice.randrange(256)))
            for sender in (CLIENT, DAEMON):
                try:
                    frame = wire.decode(bytes(raw), sender)
                    if frame and frame.name == "publish":
                        crypto.open_batch(seal_keys(), batch.decode_batch(frame.rest))
                    elif frame and frame.name == "deliver":
                        batch.decode_batch(selection.split_delivery(frame)[1])
                    elif frame and frame.name == "receipts":
                        receipts.decode_receipts(frame)
                except WireError as error:
                    self.assertIn(error.reason, REASONS.values())


if __name__ == "__main__":
    unittest.main()
