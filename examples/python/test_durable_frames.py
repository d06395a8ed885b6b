"""Frames of durable topics: numbers by key, where to begin, and what becomes of bytes that are no such thing."""

from __future__ import annotations

import random
import unittest

import vectors
from localbus import settings, wire
from localbus.errors import REASONS, FrameError, WireError
from localbus.layouts import CLIENT, DAEMON, LAYOUTS

SENDERS = {layout.name: layout.sender for layout in LAYOUTS}


def subscribe(rest: bytes) -> bytes:
    return wire.encode(
        "subscribe", rest=rest, subscription=1, overflow=0, stall_milliseconds=0, queue_event_count=0, queue_length=0,
        credit_events=0, credit_bytes=0,
    )


def field(name_tag: int, value: bytes) -> bytes:
    return wire.encode_field(name_tag, value, is_required=True)


FILTER = field(4, b"demo.>")


class Starts(unittest.TestCase):
    def read(self, value: bytes) -> object:
        return wire.decode(subscribe(FILTER + field(15, value)), CLIENT)["start"]

    def test_every_kind_is_read(self) -> None:
        for kind in range(5):
            self.assertEqual(self.read(bytes([kind]) + (7).to_bytes(8, "little")), (kind, 7))

    def test_a_wrong_length_is_refused(self) -> None:
        for length in (0, 1, 8, 10, 64):
            with self.subTest(length=length), self.assertRaisesRegex(FrameError, f"start of {length} bytes"):
                self.read(bytes(length))

    def test_an_unknown_kind_is_refused(self) -> None:
        for kind in (5, 0x7F, 0xFF):
            with self.subTest(kind=kind), self.assertRaisesRegex(FrameError, f"a start of kind {kind}"):
                self.read(bytes([kind]) + bytes(8))

    def test_a_position_that_could_not_be_counted_on_from_is_refused(self) -> None:
        self.assertEqual(self.read(b"\x04" + settings.SEQUENCE_MAX.to_bytes(8, "little"))[1], settings.SEQUENCE_MAX)
        with self.assertRaises(FrameError):
            self.read(b"\x04" + (settings.SEQUENCE_MAX + 1).to_bytes(8, "little"))


class Settings(unittest.TestCase):
    def test_all_count_in_their_order(self) -> None:
        pairs = [(20, 5), (20, -6), (0xFFFF, (1 << 63) - 1)]
        raw = wire.encode("administer", request=1, operation=2, filter=b"a", setting=pairs)
        self.assertEqual(wire.decode(raw, CLIENT)["setting"], pairs)

    def test_none_are_no_field(self) -> None:
        self.assertIsNone(wire.decode(wire.encode("administer", request=1, operation=31), CLIENT)["setting"])

    def test_one_cut_short_is_refused_and_a_longer_one_read(self) -> None:
        one = (20).to_bytes(2, "little") + (5).to_bytes(8, "little")
        for length in range(10):
            with self.subTest(length=length), self.assertRaisesRegex(FrameError, "malformed-frame"):
                wire.decode(subscribe(FILTER + field(16, one[:length])), CLIENT)
        longer = wire.decode(subscribe(FILTER + field(16, one + b"new")), CLIENT)
        self.assertEqual(longer["setting"], [(20, 5)])

    def test_the_keys_have_numbers_of_their_own(self) -> None:
        for names in (settings.SETTINGS, settings.OPERATIONS):
            self.assertEqual(len(set(names.values())), len(names))


class Others(unittest.TestCase):
    def test_a_key_has_its_bound_by_frame(self) -> None:
        long = "k" * 960
        self.assertEqual(wire.decode(wire.encode("administer", request=1, operation=30, key=long), CLIENT)["key"], long)
        for raw in (
            wire.encode("administer", request=1, operation=30, key=long + "k"),
            wire.encode("inspect", request=1, kind=9, key="k" * 256),
        ):
            with self.assertRaisesRegex(FrameError, "malformed-frame"):
                wire.decode(raw, CLIENT)

    def test_fields_of_other_frames_are_refused_where_they_are_required(self) -> None:
        for tag in (14, 15, 16, 17):
            with self.subTest(tag=tag), self.assertRaisesRegex(FrameError, f"unknown-required-field: field {tag}"):
                wire.decode(wire.encode("administered", rest=field(tag, bytes(10)), request=1, count=1), DAEMON)

    def test_any_bytes_are_a_value_or_a_named_error(self) -> None:
        found = vectors.golden("v1.txt")
        if not found:
            self.skipTest(f"no {vectors.GOLDEN}/v1.txt")
        dice, frames = random.Random(2), list(found.items())
        for _ in range(20_000):
            label, good = dice.choice(frames)
            raw = bytearray(good)
            for _ in range(dice.randint(1, 4)):
                raw[dice.randrange(len(raw))] = dice.choice((0, 1, 0x7F, 0x80, 0xFF, dice.randrange(256)))
            try:
                wire.decode(bytes(raw), SENDERS[label.split("-")[0]])
            except WireError as error:
                self.assertIn(error.reason, REASONS.values())


if __name__ == "__main__":
    unittest.main()
