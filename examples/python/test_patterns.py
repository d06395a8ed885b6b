"""What the client makes of groups, last values, requests, wills, gaps and pages, against a daemon that knows them."""

from __future__ import annotations

import unittest
from typing import List, Optional, Tuple
from uuid import UUID

import localbus
from fake_daemon import LIFE
from fake_patterns import PatternDaemon, matches
from localbus.errors import REASONS, BadName, BatchError
from localbus.layouts import MORE_FOLLOW, RECEIPT, REQUEST, RETAIN, TOMBSTONE
from localbus.wire import Frame


class PatternTest(unittest.TestCase):
    def connected(self, daemon: Optional[PatternDaemon] = None) -> localbus.Client:
        self.daemon = daemon or PatternDaemon()
        client = localbus.Client(self.daemon.client_end, "test")
        self.addCleanup(client.close)
        return client

    def received(self, name: str) -> List[Frame]:
        return [frame for frame in self.daemon.received if frame.name == name]

    def flags(self) -> List[int]:
        return [frame.flags for frame in self.received("publish")]


class Groups(PatternTest):
    def test_members_share_a_batch_by_selection(self) -> None:
        client = self.connected()
        one, other = (client.subscribe("x.>", group="workers") for _ in range(2))
        alone = client.subscribe("x.>")
        self.assertEqual(client.publish("x.y", *[b"%d" % k for k in range(5)]).live_matches, 2)
        shares = [subscription.take(5) for subscription in (one, other)]
        self.assertEqual([[s for s, _ in share.events] for share in shares], [[1, 3, 5], [2, 4]])
        self.assertEqual([e.payload for _, e in shares[1].events], [b"1", b"3"])
        self.assertEqual(len(alone.take(5).events), 5)
        self.assertEqual(shares[0].topic_incarnation, LIFE)

    def test_a_loop_acknowledges_what_is_behind_it(self) -> None:
        client = self.connected()
        member = client.subscribe("x.>", group="workers")
        for _ in range(3):
            client.publish("x.y", b"")
        for item in member:
            if item.number == 3:
                break
        client.status()  # everything before has arrived
        acknowledged = [frame["delivery"] for frame in self.received("acknowledge")]
        self.assertEqual(acknowledged, [1, 2], "the third isn't handled yet")

    def test_what_was_asked_for_is_written(self) -> None:
        client = self.connected()
        client.subscribe("x.>", "latest", group="wörk", exclusive=True, responds=True)
        client.subscribe("x.>", last=True)
        client.subscribe("x.>")
        asked = [(frame["group"], frame["mode"], frame["overflow"]) for frame in self.received("subscribe")]
        self.assertEqual(asked, [("wörk".encode(), 3, 3), (None, 4, 0), (None, None, 0)])

    def test_names_against_the_rules_are_refused_here(self) -> None:
        client = self.connected()
        for group in ("a.b", "$a", "*", "a b", "x" * 65, "ä" * 33):
            with self.subTest(group=group), self.assertRaises(BadName) as caught:
                client.subscribe("x.>", group=group)
            self.assertEqual(caught.exception.reason, "bad-group")
        self.assertEqual(client._subscriptions, {})

    def test_a_redelivery_says_which_attempt_it_is(self) -> None:
        client = self.connected()
        member = client.subscribe("x.>", group="workers")
        client.publish("x.y", b"a", b"b")
        first = member.take(5)
        batch = self.received("publish")[0].rest
        self.daemon.deliver(batch, 1, self.daemon.members[member.number], b"\x02", 1, 0, attempt=2)
        again = member.take(5)
        self.assertEqual((first.attempt, again.attempt, again.number), (1, 2, 2))
        self.assertEqual([s for s, _ in again.events], [2])


class LastValues(PatternTest):
    def test_stored_values_a_marker_and_what_follows(self) -> None:
        client = self.connected()
        client.publish("x.a", b"old", b"kept", retain=True)
        client.publish("x.b", b"not kept")
        subscription = client.subscribe("x.>", last=True)
        client.publish("x.a", b"new", retain=True)
        stored, marker, live = (subscription.take(5) for _ in range(3))
        self.assertEqual([(s, e.payload) for s, e in stored.events], [(2, b"kept")])
        self.assertTrue(stored.is_stored)
        self.assertEqual(marker, localbus.CaughtUp(1))
        self.assertFalse(live.is_stored)
        self.assertEqual(live.events[0][1].payload, b"new")

    def test_an_empty_last_event_is_a_tombstone(self) -> None:
        client = self.connected()
        client.publish("x.a", b"kept", retain=True)
        client.publish("x.a", b"", b"kept again", retain=True)
        client.publish("x.a", b"kept", b"", retain=True)
        client.publish("x.a", b"")
        self.assertEqual(
            self.flags(), [RECEIPT | RETAIN, RECEIPT | RETAIN, RECEIPT | RETAIN | TOMBSTONE, RECEIPT | TOMBSTONE])
        self.assertEqual(client.subscribe("x.>", last=True).take(5), localbus.CaughtUp(0))

    def test_a_kept_batch_is_short(self) -> None:
        client = self.connected()
        events = [bytes(1000)] * 5
        with self.assertRaisesRegex(BatchError, "more than a batch"):
            client.publish("x.a", *events, retain=True)
        client.publish("x.a", *events)
        client.publish("x.a", bytes(5000), retain=True)

    def test_payloads_are_held_to_their_topic_s_limit(self) -> None:
        client = self.connected()
        client.publish("x.a", bytes(11))
        limit = {"batch_length_max": 256 << 10, "batch_event_count_max": 4096}
        self.daemon.send("sealLimits", seal=1, payload_limit=10, **limit)
        client.publish("x.a", bytes(10))
        with self.assertRaisesRegex(BatchError, "payload of 11 bytes"):
            client.publish("x.a", bytes(11))
        client.publish("x.b", bytes(11))
        self.daemon.send("sealLimits", seal=1, **limit)
        client.publish("x.b", b"")  # behind it
        client.publish("x.a", bytes(11))

    def test_bounds_follow_what_the_daemon_says(self) -> None:
        client = self.connected()
        client.publish("x.a", b"")
        self.daemon.send("sealLimits", seal=1, batch_length_max=16 << 10, batch_event_count_max=64)
        self.daemon.send("sealLimits", seal=99, batch_length_max=1, batch_event_count_max=1)  # crossed a closeSeal
        client.publish("x.a", b"")  # behind both
        receipts = client.publish_all("x.a", [b"%d" % k for k in range(200)])
        self.assertEqual([receipt.event_count for receipt in receipts], [64, 64, 64, 8])
        receipts = client.publish_all("x.a", [bytes(1000)] * 32)
        self.assertTrue(all(len(frame.rest) <= 16 << 10 for frame in self.received("publish")[-len(receipts):]))


class Wills(PatternTest):
    def test_a_will_is_sealed_as_a_batch_of_its_own(self) -> None:
        client = self.connected()
        client.publish("x.a", b"")
        client.leave_will("x.a", b"gone", retain=True)
        self.assertEqual(self.daemon.will.flags & RETAIN, RETAIN)
        self.assertEqual(client._seals["x.a"].next_counter, 2)
        client.take_will_back()
        self.assertIsNone(self.daemon.will)

    def test_a_will_over_its_limit_is_not_sent(self) -> None:
        client = self.connected()
        with self.assertRaisesRegex(BatchError, "will-too-large"):
            client.leave_will("x.a", bytes(64 << 10))
        self.assertEqual(self.daemon.count("will"), 0)
        self.assertEqual(client._seals, {}, "no counter was used for it")


class Requests(PatternTest):
    def both(self) -> Tuple[localbus.Client, localbus.Responder]:
        client = self.connected()
        return client, client.respond("ask.>")

    def test_columns_say_whom_to_answer_and_which_request(self) -> None:
        client, responder = self.both()
        client.ask("ask.a", localbus.Event(b"?", id=UUID(int=9)))
        request = responder.take(5)
        self.assertEqual(self.flags(), [RECEIPT | REQUEST])
        self.assertEqual((request.reply_topic, request.payload), ("$reply.1", b"?"))
        self.assertEqual((request.event.id, request.event.correlation), (UUID(int=9), UUID(int=9)))

    def test_streamed_answers_end_the_request(self) -> None:
        client, responder = self.both()
        conversation = client.ask("ask.a", b"?")
        request = responder.take(5)
        request.answer(b"1", more=True)
        request.answer(b"2")
        answers = list(conversation)
        self.assertEqual([(answer.payload, answer.has_more) for answer in answers], [(b"1", True), (b"2", False)])
        self.assertEqual({answer.event.causation for answer in answers}, {request.event.id})
        self.assertEqual({answer.event.correlation for answer in answers}, {request.event.correlation})
        self.assertEqual(self.flags()[1:], [RECEIPT | MORE_FOLLOW, RECEIPT])
        conversation.cancel()
        client.status()
        self.assertEqual(self.daemon.count("cancelRequest"), 0, "there is nothing left to call off")

    def test_nobody_is_there(self) -> None:
        client = self.connected()
        with self.assertRaisesRegex(localbus.Refused, "no-responders"):
            client.request("ask.a", b"?")
        self.assertEqual(client._conversations, {})

    def test_who_will_not_answer_is_counted(self) -> None:
        client, responder = self.both()
        client.respond("ask.*")
        conversation = client.ask("ask.a", b"?")
        self.unanswered(conversation, 40)
        responder.take(5).answer(b"!")
        self.assertEqual([answer.payload for answer in conversation], [b"!"])
        self.assertEqual((conversation.responders, conversation.unanswered), (2, ["responder-gone"]))

    def test_nobody_of_those_who_had_it_answers(self) -> None:
        client, _ = self.both()
        conversation = client.ask("ask.a", b"?")
        self.unanswered(conversation, 50)
        with self.assertRaisesRegex(localbus.Unanswered, "queue-full"):
            conversation.take(5)

    def unanswered(self, conversation: localbus.Conversation, reason: int) -> None:
        self.daemon.send("unanswered", correlation=conversation.correlation.bytes, reason=reason)

    def test_what_crosses_the_end_of_a_request_is_nothing(self) -> None:
        client, responder = self.both()
        conversation = client.ask("ask.a", b"?")
        conversation.cancel()
        responder.take(5).answer(b"too late")
        self.unanswered(conversation, 40)
        client.publish("z", b"the connection goes on")
        self.assertEqual(self.daemon.count("cancelRequest"), 1, "called off when its receipt came")

    def test_a_request_that_is_called_off_is_not_handed_out(self) -> None:
        client, responder = self.both()
        conversations = [client.ask("ask.a", b"%d" % k) for k in range(3)]
        client.status()  # all three have arrived
        for conversation in conversations:
            conversation.responders = conversation.responders or 1
        conversations[1].cancel()
        client.status()
        taken = [responder.take(5) for _ in range(2)]
        self.assertEqual([request.payload for request in taken], [b"0", b"2"])
        conversations[2].cancel()
        client.status()
        self.assertTrue(taken[1].is_cancelled)
        taken[1].answer(b"nobody waits")  # and nothing is sent
        self.assertEqual(self.daemon.count("openSeal"), 1)

    def test_an_answer_nobody_has_a_right_to_ends_it_quietly(self) -> None:
        client, responder = self.both()
        client.ask("ask.a", b"?")
        request = responder.take(5)
        self.daemon.rights.clear()
        request.answer(b"!")
        self.assertTrue(request.is_cancelled)

    def test_a_request_that_comes_again_gets_the_same_answers(self) -> None:
        client, responder = self.both()
        event = localbus.Event(b"?", id=UUID(int=9))
        first = client.ask("ask.a", event)
        responder.take(5).answer(b"!")
        self.assertEqual([answer.payload for answer in first], [b"!"])
        first.cancel()
        again = client.ask("ask.a", event)
        with self.assertRaises(localbus.TimedOut):
            responder.take(0.05)
        self.assertEqual([answer.payload for answer in again], [b"!"])

    def test_a_failure_is_an_answer_with_a_header(self) -> None:
        client, responder = self.both()
        conversation = client.ask("ask.a", b"?")
        responder.take(5).fail("no such thing")
        self.assertEqual(conversation.take(5).failure, "no such thing")

    def test_events_that_are_no_requests_are_passed_over(self) -> None:
        client, responder = self.both()
        client.publish("ask.a", b"only told")
        client.ask("ask.a", b"?")
        self.assertEqual(responder.take(5).payload, b"?")
        client.status()
        self.assertEqual([frame["delivery"] for frame in self.received("acknowledge")], [1])

    def test_the_library_keeps_few_seals_of_reply_topics(self) -> None:
        client, responder = self.both()
        for session in range(2, 70):
            correlation = UUID(int=session)
            topic = b"$reply.%d" % session
            event = localbus.Event(b"?", correlation=correlation, reply_to=topic)
            client.send_batch(client.seal_of("ask.a", 5).seal(client.stamped([event])), RECEIPT | REQUEST)
            responder.take(5).answer(b"!")
        client.status()
        open_seals = [topic for topic in client._seals if topic.startswith("$reply.")]
        self.assertEqual(len(open_seals), 64)
        self.assertEqual(self.daemon.count("closeSeal"), 4)


class Gaps(PatternTest):
    def test_every_reason_has_its_name(self) -> None:
        client = self.connected()
        subscription = client.subscribe("x.>")
        for number, name in REASONS.items():
            self.daemon.send(
                "gap", subscription=subscription.number, reason=number, gap_flags=0, count=3, first_sequence=1,
                last_sequence=9, topic="x.y")
            self.assertEqual(subscription.take(5), localbus.Gap(name, "x.y", 3, 1, 9))

    def test_an_end_the_client_did_not_ask_for_says_why(self) -> None:
        client = self.connected()
        subscription = client.subscribe("x.>", "disconnect")
        self.daemon.send("unsubscribed", subscription=subscription.number, reason=50, delivered=7, missed=3)
        with self.assertRaisesRegex(localbus.Refused, "queue-full"):
            subscription.take(5)
        self.assertEqual(subscription.ended, localbus.Ended("queue-full", 7, 3))


class Faults(PatternTest):
    """A daemon that breaks the protocol is left."""

    def broken(self, reason: str, client: localbus.Client) -> None:
        with self.assertRaises(localbus.Closed) as caught:
            client.run_until(lambda: False, 5)
        self.assertEqual(caught.exception.reason, reason)

    def test_selections_against_the_rules(self) -> None:
        for selection in (b"\x00", b"\x02", b"\x05", b"\x01\x00", b"\x80"):
            with self.subTest(selection=selection):
                client = self.connected()
                member = client.subscribe("x.>")
                client.publish("x.y", b"the only one")
                batch = self.received("publish")[0].rest
                self.daemon.deliver(batch, 1, self.daemon.members[member.number], selection, 1, 0)
                self.broken("malformed-frame", client)

    def test_what_was_never_announced_and_what_was_never_asked(self) -> None:
        client = self.connected()
        self.daemon.send("caughtUp", subscription=9, count=0)
        self.broken("unexpected-frame", client)
        client = self.connected()
        self.daemon.send("done", in_reply_to=0x16, request=9)
        self.broken("unexpected-frame", client)
        client = self.connected()
        self.daemon.send("requestCancelled", correlation=bytes(16), topic=b"a..b")
        self.broken("bad-topic", client)
        client = self.connected()
        self.daemon.send("receipts", progress=5, count=0, entry_length=32)
        self.broken("unexpected-frame", client)


class Inspection(PatternTest):
    def test_pages_are_read_to_the_last(self) -> None:
        pages = [[{"topic": f"x.{10 * page + k}", "sequence": k} for k in range(page)] for page in (2, 0, 3)]
        client = self.connected(PatternDaemon(pages))
        self.assertEqual(len(client.inspect("topics")), 5)
        self.assertEqual([frame["after"] for frame in self.received("inspect")], [None, 1, 2])
        self.assertEqual({frame["kind"] for frame in self.received("inspect")}, {3})

    def test_a_key_names_one_thing(self) -> None:
        client = self.connected(PatternDaemon([[{"uid": 1000}]]))
        self.assertEqual(client.inspect("users", "1000"), [{"uid": 1000}])
        self.assertEqual(self.received("inspect")[0]["key"], "1000")

    def test_a_circuit_is_told_and_never_answered(self) -> None:
        client = self.connected(PatternDaemon())
        client.tell_circuit("ask.a", True)
        client.tell_circuit("ask.a", False)
        client.status()
        self.assertEqual([(f["state"], f["topic"]) for f in self.received("circuit")], [(1, b"ask.a"), (0, b"ask.a")])


class Filters(unittest.TestCase):
    def test_the_fake_matches_as_the_page_says(self) -> None:
        for filter, topic, expected in (
            ("a.b", "a.b", True), ("a.*", "a.b", True), ("a.>", "a.b.c", True), ("a.>", "a", False),
            (">", "a", True), (">", "$bus.x", False), ("*.x", "$bus.x", False), ("$bus.>", "$bus.x", True),
            ("a.*", "a.b.c", False), ("a.*.c", "a.b.c", True), ("a.b", "a.c", False),
        ):
            with self.subTest(filter=filter, topic=topic):
                self.assertEqual(matches(filter, topic), expected)


if __name__ == "__main__":
    unittest.main()
