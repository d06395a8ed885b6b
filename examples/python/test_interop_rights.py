"""Bad input to the daemon in conversations: who may ask, who may answer, how often, and where."""

from __future__ import annotations

import unittest
from dataclasses import replace
from typing import Tuple
from uuid import uuid4

import localbus
from interop import PATIENCE
from localbus.batch import Event
from localbus.client import Client
from localbus.layouts import MORE_FOLLOW, RECEIPT, REQUEST, RETAIN
from localbus.names import reply_topic
from refusals import RefusalTest


class ReplyTopics(RefusalTest):
    def test_only_its_session_subscribes_to_one(self) -> None:
        client = self.connected()
        own = client.welcome["session"]
        with self.unnoticed() as witness:
            theirs = witness.welcome["session"]
            for filter in (f"$reply.{theirs}", "$reply.*", "$reply.>", "$reply", f"$reply.{own}.>", f"$reply.0{own}",
                           "$reply.999999", f"$reply.{theirs}.x"):
                with self.subTest(filter=filter):
                    self.refused("denied", client.subscribe, filter)
                    self.refused("denied", client.subscribe, filter, last=True)
                    self.refused("denied", client.subscribe, filter, group="g")
        client.subscribe(f"$reply.{own}")

    def test_nobody_opens_a_seal_without_a_right(self) -> None:
        client = self.connected()
        with self.unnoticed() as witness:
            for topic in (reply_topic(witness.welcome["session"]), reply_topic(client.welcome["session"]),
                          "$reply.999999", "$reply.x", "$reply.1.x"):
                with self.subTest(topic=topic):
                    self.refused("no-reply-right", client.open_seal, topic)
            for topic in ("$reply", "$bus.session.opened", "$bus.x", "$dead.x", "$"):
                with self.subTest(topic=topic):
                    self.refused("bad-topic", client.open_seal, topic)


class Answers(RefusalTest):
    def opened(self) -> Tuple[Client, Client, localbus.Conversation, localbus.Request]:
        """Somebody asks, and somebody else was handed the request."""
        asking, answering = self.connected("asking"), self.connected("answering")
        topic = f"ask.{uuid4()}"
        responder = answering.respond(topic)
        conversation = asking.ask(topic, b"?")
        return asking, answering, conversation, responder.take(PATIENCE)

    def answer_to(self, request: localbus.Request, payload: bytes) -> Event:
        return Event(payload, correlation=request.event.correlation, causation=request.event.id)

    def test_a_second_answer_on_a_right_of_one(self) -> None:
        asking, answering, conversation, request = self.opened()
        answer = self.answer_to(request, b"!")
        with self.unnoticed():
            self.publish(answering, request.reply_topic, answer)
            for flags in (RECEIPT, RECEIPT | MORE_FOLLOW):
                self.refused("no-reply-right", self.publish, answering, request.reply_topic, answer, flags=flags)
        self.assertEqual([one.payload for one in conversation], [b"!"])
        asking.status()
        self.assertFalse(asking._inbox.has_items)

    def test_two_answers_in_one_batch_need_the_flag(self) -> None:
        asking, answering, conversation, request = self.opened()
        receipt = self.publish(
            answering, request.reply_topic, self.answer_to(request, b"first"), self.answer_to(request, b"second"))
        self.assertEqual(receipt.event_count, 2)
        self.assertEqual([one.payload for one in conversation], [b"first"])
        asking, answering, conversation, request = self.opened()
        both = self.answer_to(request, b"first"), self.answer_to(request, b"second")
        self.publish(answering, request.reply_topic, *both, flags=RECEIPT | MORE_FOLLOW)
        self.publish(answering, request.reply_topic, self.answer_to(request, b"last"))
        self.assertEqual([one.payload for one in conversation], [b"first", b"second", b"last"])

    def test_of_a_batch_only_what_was_asked_for_arrives(self) -> None:
        asking, answering, conversation, request = self.opened()
        strange = Event(b"unasked", correlation=uuid4())
        self.publish(answering, request.reply_topic, strange, self.answer_to(request, b"asked"), Event(b"none"))
        self.assertEqual([one.payload for one in conversation], [b"asked"])
        asking.status()
        self.assertFalse(asking._inbox.has_items)

    def test_an_answer_nobody_asked_for(self) -> None:
        asking, answering, conversation, request = self.opened()
        with self.unnoticed():
            for event in (Event(b"no correlation"), Event(b"unknown", correlation=uuid4()),
                          Event(b"its id only", id=request.event.id)):
                self.refused("no-reply-right", self.publish, answering, request.reply_topic, event)
            for flags in (RECEIPT | RETAIN, RECEIPT | REQUEST):
                answer = self.answer_to(request, b"with a flag that has no place here")
                self.refused("malformed-batch", self.publish, answering, request.reply_topic, answer, flags=flags)
        self.publish(answering, request.reply_topic, self.answer_to(request, b"!"))
        self.assertEqual([one.payload for one in conversation], [b"!"])

    def test_a_right_is_nobody_elses(self) -> None:
        asking, answering, conversation, request = self.opened()
        thief = self.connected("thief")
        with self.unnoticed():
            self.refused("no-reply-right", thief.open_seal, request.reply_topic)
            thief.send("cancelRequest", correlation=conversation.correlation.bytes)
            thief.status()
        answering.status()
        self.assertFalse(request.is_cancelled)
        request.answer(b"!")
        self.assertEqual([one.payload for one in conversation], [b"!"])

    def test_an_answer_after_it_was_called_off(self) -> None:
        asking, answering, conversation, request = self.opened()
        again = self.answer_to(request, b"too late")
        first = replace(again, payload=b"more to come")
        self.publish(answering, request.reply_topic, first, flags=RECEIPT | MORE_FOLLOW)
        self.assertEqual(conversation.take(PATIENCE).payload, b"more to come")
        conversation.cancel()
        answering.run_until(lambda: request.is_cancelled, PATIENCE)
        with self.unnoticed():
            self.refused("no-reply-right", self.publish, answering, request.reply_topic, again)
        asking.status()
        self.assertFalse(asking._inbox.has_items)

    def test_an_answer_to_somebody_who_is_gone(self) -> None:
        asking, answering, conversation, request = self.opened()
        self.publish(answering, request.reply_topic, self.answer_to(request, b"1"), flags=RECEIPT | MORE_FOLLOW)
        asking.vanish()
        answering.run_until(lambda: request.is_cancelled, PATIENCE)
        with self.unnoticed():
            self.refused("unknown-seal", self.publish, answering, request.reply_topic, self.answer_to(request, b"2"))
            answering.retire(answering._seals[request.reply_topic])
            self.refused("no-reply-right", answering.open_seal, request.reply_topic)
        answering.publish("a.x", b"the connection goes on")


class Asks(RefusalTest):
    def test_requests_without_what_they_need(self) -> None:
        client, other = self.connected(), self.connected()
        responder = other.respond("h.*")
        own = reply_topic(client.welcome["session"]).encode()
        good = Event(b"?", correlation=uuid4(), reply_to=own)
        with self.unnoticed() as witness:
            theirs = reply_topic(witness.welcome["session"]).encode()
            for event in (
                replace(good, correlation=None), replace(good, reply_to=b""), replace(good, reply_to=theirs),
                replace(good, reply_to=b"h.x"), replace(good, reply_to=b"$reply."), replace(good, reply_to=own + b".x"),
            ):
                with self.subTest(event=event):
                    self.refused("malformed-batch", self.publish, client, "h.x", event, flags=RECEIPT | REQUEST)
                    batch = [replace(good, correlation=uuid4()), event]
                    self.refused("malformed-batch", self.publish, client, "h.x", *batch, flags=RECEIPT | REQUEST)
            self.refused("malformed-batch", self.publish, client, "h.x", good, good, flags=RECEIPT | REQUEST)
            for flag in (RETAIN, MORE_FOLLOW):
                self.refused("malformed-batch", self.publish, client, "h.x", good, flags=RECEIPT | REQUEST | flag)
        self.publish(client, "h.x", good, flags=RECEIPT | REQUEST)
        self.assertEqual(responder.take(PATIENCE).event.correlation, good.correlation)
        with self.unnoticed():
            self.refused("malformed-batch", self.publish, client, "h.x", good, flags=RECEIPT | REQUEST)
        client.send("cancelRequest", correlation=good.correlation.bytes)
        self.publish(client, "h.x", good, flags=RECEIPT | REQUEST)

    def test_nobody_there_takes_no_sequence(self) -> None:
        client = self.connected()
        own = reply_topic(client.welcome["session"]).encode()
        client.publish("k.x", b"1")
        with self.unnoticed():
            request = Event(b"?", correlation=uuid4(), reply_to=own)
            self.refused("no-responders", self.publish, client, "k.x", request, flags=RECEIPT | REQUEST)
            client.send("cancelRequest", correlation=uuid4().bytes)
        self.assertEqual(client.publish("k.x", b"2").first_sequence, 2)

    def test_batches_to_be_kept_are_short(self) -> None:
        client = self.connected()
        events = [Event(bytes(1000))] * 5
        with self.unnoticed():
            self.refused("malformed-batch", self.publish, client, "l.x", *events, flags=RECEIPT | RETAIN)
        self.publish(client, "l.x", *events)
        client.publish("l.x", bytes(5000), retain=True)
        client.publish("l.x", b"", retain=True)


if __name__ == "__main__":
    unittest.main()
