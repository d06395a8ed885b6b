"""Requests and answers, between the two implementations."""

from __future__ import annotations

import json
import unittest

import localbus
from interop import PATIENCE, InteropTest


class Requests(InteropTest):
    def test_python_asks_swift(self) -> None:
        client = self.connected()
        with self.bus_running("reply", "q.*", "--exec", "--", "tr", "a-z", "A-Z", until=self.is_subscribed("q.*")):
            answer = client.request("q.upper", b"hello", PATIENCE)
            self.assertEqual(answer.payload, b"HELLO")
            self.assertEqual(answer.event.causation, answer.event.correlation)
            conversation = client.ask("q.upper", b"once more")
            self.assertEqual([one.payload for one in conversation], [b"ONCE MORE"])
            self.assertEqual(conversation.responders, 1)

    def test_python_asks_swift_and_it_fails(self) -> None:
        command = ("sh", "-c", "echo out of paper >&2; exit 3")
        with self.bus_running("reply", "fails.*", "--exec", "--", *command, until=self.is_subscribed("fails.*")):
            with self.assertRaisesRegex(localbus.Failed, "out of paper"):
                self.connected().request("fails.x", b"", PATIENCE)

    def test_swift_asks_python(self) -> None:
        responder = self.connected("responder").respond("t.*")
        with self.bus_running("req", "t.x", "hello", "--json", until=lambda: True) as asking:
            request = responder.take(PATIENCE)
            self.assertEqual((request.topic, request.payload), ("t.x", b"hello"))
            request.answer(b"yes")
            output, errors = asking.communicate(timeout=PATIENCE)
        self.assertEqual(asking.returncode, 0, errors.decode())
        answer = json.loads(output)
        self.assertEqual((answer["data"], answer["correlation"]), ("yes", str(request.event.correlation)))

    def test_swift_asks_and_python_streams(self) -> None:
        responder = self.connected("responder").respond("t.*")
        with self.bus_running("req", "t.x", "hello", "--replies", "10", until=lambda: True) as asking:
            request = responder.take(PATIENCE)
            for k in range(3):
                request.answer(b"%d" % k, more=k < 2)
            output, errors = asking.communicate(timeout=PATIENCE)
        self.assertEqual((asking.returncode, output), (0, b"0\n1\n2\n"), errors.decode())

    def test_swift_asks_and_python_fails(self) -> None:
        responder = self.connected("responder").respond("t.*")
        with self.bus_running("req", "t.x", "hello", until=lambda: True) as asking:
            responder.take(PATIENCE).fail("no such thing")
            _, errors = asking.communicate(timeout=PATIENCE)
        self.assertEqual(asking.returncode, 1)
        self.assertIn(b"no such thing", errors)

    def test_a_requester_that_stops_waiting_is_heard_of(self) -> None:
        client = self.connected("responder")
        responder = client.respond("t.*")
        for end_it in ("times out", "is killed"):
            timeout = "300ms" if end_it == "times out" else "60s"
            arguments = ("req", "t.x", "?", "--timeout", timeout)
            with self.subTest(end_it), self.bus_running(*arguments, until=lambda: True) as process:
                request = responder.take(PATIENCE)
                if end_it == "is killed":
                    process.kill()
                client.run_until(lambda: request.is_cancelled, PATIENCE)
                request.answer(b"too late")

    def test_responders_that_are_gone_are_told(self) -> None:
        asking = self.connected("asking")
        one, other = self.connected("one"), self.connected("other")
        responders = [client.respond("u.*") for client in (one, other)]
        conversation = asking.ask("u.x", b"?")
        requests = [responder.take(PATIENCE) for responder in responders]
        one.vanish()
        requests[1].answer(b"!")
        self.assertEqual([answer.payload for answer in conversation], [b"!"])
        self.assertEqual((conversation.responders, conversation.unanswered), (2, ["responder-gone"]))
        conversation = asking.ask("u.x", b"?")
        responders[1].take(PATIENCE)
        other.close()
        with self.assertRaisesRegex(localbus.Unanswered, "responder-gone"):
            conversation.take(PATIENCE)

    def test_in_a_group_another_member_answers(self) -> None:
        asking, one, other = (self.connected() for _ in range(3))
        first = one.respond("v.*", group="answering", exclusive=True)
        second = other.respond("v.*", group="answering", exclusive=True)
        conversation = asking.ask("v.x", b"?")
        first.take(PATIENCE)
        one.vanish()
        request = second.take(PATIENCE)
        self.assertEqual(request.attempt, 2)
        request.answer(b"!")
        self.assertEqual([answer.payload for answer in conversation], [b"!"])
        self.assertEqual((conversation.responders, conversation.unanswered), (1, []))

    def test_a_request_lost_in_a_queue_is_told(self) -> None:
        asking, slow = self.connected(), self.connected()
        slow.subscribe("w.*", "drop-newest", responds=True, credit_events=0, credit_bytes=0, queue_event_count=1)
        first = asking.ask("w.x", b"waits")
        second = asking.ask("w.x", b"is lost")
        with self.assertRaisesRegex(localbus.Unanswered, "queue-full"):
            second.take(PATIENCE)
        first.cancel()

    def test_a_cancelled_request_is_not_handed_out(self) -> None:
        asking, slow = self.connected(), self.connected()
        subscription = slow.subscribe("x.*", responds=True, credit_events=0, credit_bytes=0)
        conversations = [asking.ask("x.y", b"%d" % k) for k in range(3)]
        for conversation in conversations:
            asking.run_until(lambda: conversation.responders or conversation._read_receipt(PATIENCE) or True, PATIENCE)
        conversations[1].cancel()
        asking.status()
        subscription.widen(10, 1 << 20)
        self.assertEqual([event.payload for event in self.events(subscription, 2)], [b"0", b"2"])
        slow.status()
        self.assertFalse(subscription.has_items, "neither the request nor a gap for it")

    def test_others_see_a_request_as_an_event(self) -> None:
        asking, other = self.connected(), self.connected()
        listening = other.subscribe("y.*")
        responder = other.respond("y.*")
        asking.ask("y.x", b"?")
        self.assertFalse(listening.take(PATIENCE).is_answerable)
        self.assertEqual(responder.take(PATIENCE).payload, b"?")

    def test_a_session_may_ask_itself_and_hold_two_rights(self) -> None:
        client = self.connected()
        responders = [client.respond("z.*") for _ in range(2)]
        conversation = client.ask("z.x", b"?")
        for k, responder in enumerate(responders):
            responder.take(PATIENCE).answer(b"%d" % k)
        self.assertEqual([answer.payload for answer in conversation], [b"0", b"1"])


if __name__ == "__main__":
    unittest.main()
