"""Bad input to the daemon: groups, credit, quotas, wills, circuits, inspection."""

from __future__ import annotations

import unittest
from dataclasses import replace
from typing import Any, List

import localbus
from interop import PATIENCE
from localbus import layouts, wire
from localbus.batch import Event
from localbus.client import Client
from refusals import RefusalTest

CREDIT_MAX = 1 << 62


class Groups(RefusalTest):
    def subscribe(self, client: Client, **fields: Any) -> Any:
        number = next(client._numbers)
        zero = ("overflow", "stall_milliseconds", "queue_event_count", "queue_length", "credit_events", "credit_bytes")
        values = {**dict.fromkeys(zero, 0), "filter": b"a.>", **fields}
        return client.call("subscribe", number, PATIENCE, subscription=number, **values)

    def test_names_and_modes_against_the_rules(self) -> None:
        client = self.connected()
        with self.unnoticed():
            for group in (b"a.b", b"$a", b"*", b">", b"a b", b"x" * 65, b"\xff", b".", b"a\n", b"x" * 1024):
                with self.subTest(group=group):
                    self.refused("bad-group", self.subscribe, client, group=group)
            for mode in (layouts.EXCLUSIVE, layouts.EXCLUSIVE | layouts.RESPONDS):
                self.refused("bad-group", self.subscribe, client, mode=mode)
                self.refused("bad-group", self.subscribe, client, mode=mode, group=b"")
            for mode in (8, 1 << 31, 15):
                self.refused("not-supported", self.subscribe, client, group=b"g", mode=mode)
            self.refused("not-supported", self.subscribe, client, group=b"g", mode=layouts.LAST)
            self.refused("not-supported", self.subscribe, client, overflow=5)
            self.refused("not-supported", self.subscribe, client, overflow=1, stall_milliseconds=3_600_001)
            self.refused("not-supported", self.subscribe, client, filter=b"$bus.>", overflow=1)
        client.subscribe("a.>", group="x" * 64)

    def test_members_that_do_not_agree(self) -> None:
        client, other = self.connected(), self.connected()
        client.subscribe("b.>", group="agreed")
        with self.unnoticed():
            for options in ({"overflow": "latest"}, {"exclusive": True}, {"responds": True}):
                self.refused("group-conflict", other.subscribe, "b.>", group="agreed", **options)
        other.subscribe("b.>", group="agreed", queue_event_count=7)
        other.subscribe("b.*", "latest", group="agreed", exclusive=True)  # the filter makes it another group

    def test_a_group_whose_name_or_mode_cannot_be_read_closes_the_connection(self) -> None:
        for field, value in ((9, b"x" * 1025), (10, b"\1\0\0")):
            with self.unnoticed():
                client = self.connected()
                raw = wire.encode_field(field, value, is_required=True)
                layout = layouts.BY_NAME["subscribe"]
                rest = wire.encode_field(4, b"a") + raw
                head = wire.FRAME_HEADER.pack(layout.fixed.size + len(rest), layout.type, 0, layout.fixed.size)
                client.send_raw(head + bytes(layout.fixed.size) + rest)
                with self.assertRaisesRegex(localbus.Closed, "malformed-frame"):
                    client.run_until(lambda: False, PATIENCE)

    def test_acknowledgements_of_things_never_sent(self) -> None:
        client, other = self.connected(), self.connected()
        mine, theirs = (one.subscribe("c.>", group="g") for one in (client, other))
        client.publish("c.x", b"1", b"2")
        for subscription in (mine, theirs):
            delivery = subscription.take(PATIENCE)
            with self.unnoticed():
                subscription.acknowledge(replace(delivery, number=delivery.number + 1))
                self.refused("acknowledged-unsent", subscription.take, PATIENCE)
            subscription.acknowledge(delivery)
            subscription.acknowledge(replace(delivery, number=0))  # lower than an earlier one: ignored
        client.status()
        self.assertFalse(mine.has_items)
        rows = client.inspect("subscriptions")
        self.assertEqual([row["outstanding"] for row in rows if row["filter"] == "c.>"], [0, 0])

    def test_a_member_acknowledges_for_itself_alone(self) -> None:
        """Nor can one session acknowledge, or give credit, for another's subscription."""
        client, other = self.connected(), self.connected()
        mine = client.subscribe("d.>", group="g", exclusive=True)
        client.publish("d.x", b"held")
        mine.take(PATIENCE)
        for frame in ({"frame": "acknowledge", "delivery": 1}, {"frame": "credit", "events": 9, "bytes": 9}):
            other.send(subscription=mine.number, **frame)
        other.status()
        row, = client.inspect("subscriptions", f"{client.welcome['session']}/{mine.number}")
        self.assertEqual(row["outstanding"], 1)


class Credit(RefusalTest):
    def test_credit_that_overflows_or_goes_back(self) -> None:
        client = self.connected()
        subscription = client.subscribe("e.>", credit_events=5, credit_bytes=1 << 20)
        with self.unnoticed():
            for events, length in (
                (CREDIT_MAX + 1, 1 << 20), (5, CREDIT_MAX + 1), ((1 << 64) - 1, (1 << 64) - 1), (4, 1 << 20), (5, 1),
            ):
                with self.subTest(events=events, length=length):
                    client.send("credit", subscription=subscription.number, events=events, bytes=length)
                    self.refused("invalid-credit", subscription.take, PATIENCE)
            self.refused("invalid-credit", client.subscribe, "e.>", credit_events=CREDIT_MAX + 1)
            self.refused("invalid-credit", client.subscribe, "e.>", credit_bytes=CREDIT_MAX + 1)
        client.send("credit", subscription=subscription.number, events=CREDIT_MAX, bytes=CREDIT_MAX)
        client.publish("e.x", *[b""] * 100)
        self.assertEqual(len(subscription.take(PATIENCE).events), 100)


class Quotas(RefusalTest):
    configuration = "quotas: {retained_bytes: 16KiB, requests: 3}\n"

    def test_the_subscription_after_the_last(self) -> None:
        with self.unnoticed():
            client = self.connected()
            first = client.subscribe("first")
            for number in range(2, 16_001):
                client.subscribe(f"many.{number}")
            message = self.refused("quota-exceeded", client.subscribe, "one.more")
            self.assertIn("quota subscriptions per session of uid", message)
            self.assertIn("is used up: 16000 of 16000", message)
            first.unsubscribe()
        client.subscribe("one.more")
        client.close()

    def test_kept_bytes(self) -> None:
        client = self.connected()
        client.publish("f.x", bytes(10 << 10), retain=True)
        with self.unnoticed():
            message = self.refused("quota-exceeded", client.publish, "f.y", bytes(10 << 10), retain=True)
            self.assertIn("quota retained_bytes of uid", message)
            self.refused("quota-exceeded", client.leave_will, "f.w", bytes(10 << 10))
        client.publish("f.x", bytes(11 << 10), retain=True)  # takes the place of its own
        self.assertEqual(client.subscribe("f.*", last=True).take(PATIENCE).topic, "f.x")
        client.publish("f.x", b"", retain=True)
        client.publish("f.y", bytes(10 << 10), retain=True)
        client.publish("f.y", b"", retain=True)

    def test_open_requests(self) -> None:
        client, other = self.connected(), self.connected()
        responder = other.respond("g.*")
        open_ones = [client.ask("g.x", b"%d" % k) for k in range(3)]
        with self.unnoticed():
            message = self.refused("quota-exceeded", client.request, "g.x", b"one too many")
            self.assertIn("is used up: 3 of 3", message)
        for _ in open_ones:
            responder.take(PATIENCE).answer(b"!")
        self.assertEqual([one.take(PATIENCE).payload for one in open_ones], [b"!"] * 3)
        conversation = client.ask("g.x", b"now there is room")
        responder.take(PATIENCE).answer(b"!")
        self.assertEqual(conversation.take(PATIENCE).payload, b"!")


class Wills(RefusalTest):
    def test_wills_against_the_rules(self) -> None:
        client, other = self.connected(), self.connected()
        seal = client.seal_of("will.bad", PATIENCE)

        def will(*events: Event) -> bytes:
            return seal.seal(client.stamped(events))

        with self.unnoticed():
            self.refused("will-too-large", client.send_will, will(Event(bytes(64 << 10))), 0)
            self.refused("malformed-batch", client.send_will, will(Event(b"1"), Event(b"2")), 0)
            self.refused("malformed-batch", client.send_will, b"no batch", 0)
            self.refused("unknown-seal", client.send_will, other.seal_of("will.bad", 5).seal(client.stamped([b""])), 0)
            ahead = replace(seal, next_counter=seal.next_counter + 1)
            self.refused("counter-out-of-order", client.send_will, ahead.seal(client.stamped([b""])), 0)
            client.vanish()

    def test_a_refused_will_leaves_the_one_before(self) -> None:
        client, witness = self.connected(), self.connected()
        subscription = witness.subscribe("will.>")
        client.leave_will("will.stays", b"the first")
        seal = client._seals["will.stays"]
        self.refused("malformed-batch", client.send_will, seal.seal(client.stamped([b"1", b"2"])), 0)
        client.vanish()
        self.assertEqual([event.payload for _, event in self.take(subscription, 1)], [b"the first"])

    def test_the_longest_will_is_kept(self) -> None:
        client, witness = self.connected(), self.connected()
        subscription = witness.subscribe("will.>")
        payload = bytes((64 << 10) - 48 - 4 - 14 - 16)
        client.leave_will("will.long", payload)
        client.publish("will.long", b"the next counter")
        client.vanish()
        self.assertEqual([e.payload for _, e in self.take(subscription, 2)], [b"the next counter", payload])

    def test_counters_after_a_refusal(self) -> None:
        """After a will of a known seal was refused, its counter is used up, as after a publish."""
        client = self.connected()
        seal = client.seal_of("will.c", PATIENCE)
        for reason, events in (("will-too-large", [bytes(64 << 10)]), ("malformed-batch", [b"1", b"2"])):
            self.refused(reason, client.send_will, seal.seal(client.stamped(events)), 0)
            self.publish(client, "will.c", Event(b"goes on"))

    def test_an_answer_is_no_will(self) -> None:
        asking, answering = self.connected(), self.connected()
        responder = answering.respond("ask.*")
        conversation = asking.ask("ask.x", b"?")
        request = responder.take(PATIENCE)
        seal = answering.seal_of(request.reply_topic, PATIENCE)
        answer = Event(b"!", correlation=request.event.correlation)
        with self.unnoticed():
            self.refused("no-reply-right", answering.send_will, seal.seal(answering.stamped([answer])), 0)
            answering.vanish()
        with self.assertRaisesRegex(localbus.Unanswered, "responder-gone"):
            conversation.take(PATIENCE)


class Asides(RefusalTest):
    """Circuits, inspection, and frames that are not a client's to send."""

    def circuit(self, client: Client, topic: bytes) -> List[localbus.Refused]:
        refusals: List[localbus.Refused] = []
        client._on_refusal = lambda frame, number, refused: refusals.append((frame, number, refused.reason))
        client.send("circuit", state=1, topic=topic)
        client.status()
        del client._on_refusal
        return refusals

    def test_circuits(self) -> None:
        client = self.connected()
        with self.unnoticed():
            for topic in (b"a..b", b"*", b"", b"x" * 256, b"x" * 1024, b"\xff"):
                with self.subTest(topic=topic):
                    self.assertEqual(self.circuit(client, topic), [("circuit", 0, "bad-topic")])
            for k in range(1024):
                client.tell_circuit(f"far.{k}", True)
            self.assertEqual(self.circuit(client, b"far.more"), [("circuit", 0, "quota-exceeded")])
            self.assertEqual(self.circuit(client, b"far.1"), [], "it is known already")
            client.tell_circuit("far.1", False)
            client.tell_circuit("never.opened", False)
            self.assertEqual(self.circuit(client, b"far.more"), [])
        session, = client.inspect("sessions", str(client.welcome["session"]))
        self.assertEqual(len(session["circuits_open"].split(", ")), 1024)

    def test_questions_about_what_is_not_there(self) -> None:
        client = self.connected()
        with self.unnoticed():
            for kind, keys in (
                ("sessions", ("999999", "x", "-1", "7/1", " 1", "18446744073709551616")),
                ("topics", ("never.published", "a..b", "*")),
                ("subscriptions", ("1", "999999/1", "x/y", "1/2/3", "/")), ("users", ("4294967295", "root", "-1")),
            ):
                for key in keys:
                    with self.subTest(kind=kind, key=key):
                        self.refused("unknown-name", client.inspect, kind, key)
            for kind in (2, 3, 4, 5):
                for after in (1, 1 << 40, (1 << 64) - 1):
                    self.refused("unknown-name", client.inspect_page, kind, after=after)
            for kind in (0, 11, 0xFFFF):
                self.refused("not-supported", client.inspect_page, kind)
        client.inspect("sessions")

    def test_frames_of_the_daemon_and_frames_cut_short(self) -> None:
        spoilt = [
            wire.encode("done", in_reply_to=0x16, request=1),
            wire.encode("sealLimits", seal=1, batch_length_max=1, batch_event_count_max=1),
            wire.encode("unanswered", correlation=bytes(16), reason=40),
            wire.encode("caughtUp", subscription=1, count=0),
            wire.encode("requestCancelled", correlation=bytes(16), topic=b"$reply.1"),
            wire.FRAME_HEADER.pack(4, 0x16, 0, 4) + bytes(4),
            wire.FRAME_HEADER.pack(15, 0x17, 0, 15) + bytes(15),
            wire.FRAME_HEADER.pack(4, 0x18, 0, 4) + bytes(4),
            wire.encode("inspect", request=1, kind=2, rest=wire.encode_field(13, b"\1", is_required=True)),
            wire.encode("inspect", request=1, kind=2, key="x" * 256),
            wire.encode("circuit", state=1, topic=b"x" * 1025),
        ]
        for raw in spoilt:
            with self.subTest(raw=raw[:40]), self.unnoticed():
                client = self.connected()
                client.send_raw(raw)
                with self.assertRaisesRegex(localbus.Closed, "malformed-frame"):
                    client.run_until(lambda: False, PATIENCE)


if __name__ == "__main__":
    unittest.main()
